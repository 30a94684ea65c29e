//! What a system reported, in order, and waiting for what it will report.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, EventKind};
use crate::exit::ExitReason;
use crate::id::Incarnation;
use crate::runtime::bus::{Events, EventsError};
use crate::runtime::system::System;
use crate::runtime::wait;
use crate::supervision::machine::Verdict;
use crate::testing::trace::line;

/// How long a recorder waits for one event: of tokio's time, so that a paused clock makes it nothing.
const LIMIT: Duration = Duration::from_mins(10);

/// Records the events of a system from the moment it is made.
///
/// A test waits with [`until`](Self::until) for the event that shows the effect, and compares the
/// [`story`](Self::story).
///
/// ```
/// use steadfast::testing::{Log, Order, Probe, Recorder};
/// use steadfast::{Strategy, SupervisorSpec, System};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log = Log::default();
/// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("worker", &log));
/// let system = System::start(spec).await?;
/// let mut events = Recorder::of(&system);
///
/// Probe::at(&system, "root/worker").tell(Order::Panic("boom"))?;
/// events.started("root/worker", 2).await;
/// assert_eq!(
///     events.story(),
///     ["dropped root/worker", "exited root/worker #1 panicked", "starting root/worker #2", "started root/worker #2"]
/// );
/// # Ok(system.shutdown().await?)
/// # }
/// ```
pub struct Recorder {
    events: Events,
    seen: Vec<Arc<Event>>,
    limit: Duration,
}

/// The end of a life, as its supervisor reported it.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Which life.
    pub incarnation: Incarnation,
    /// How it ended.
    pub reason: ExitReason,
    /// What its supervisor made of that.
    pub verdict: Verdict,
}

impl Recorder {
    /// Records what this system reports from now on.
    #[must_use]
    pub fn of(system: &System) -> Self {
        Self { events: system.events(), seen: Vec::new(), limit: LIMIT }
    }

    /// Sets how long one wait may take; 10 minutes when not set, which a paused clock jumps over.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Waits for the next event that the predicate names, and returns it. Events before it are recorded and passed.
    ///
    /// # Panics
    ///
    /// When none came within the limit, or the recorder missed events; the message tells the story so far.
    pub async fn until(&mut self, mut is_it: impl FnMut(&Event) -> bool) -> Arc<Event> {
        let limit = self.limit;
        let found = wait::at_most(limit, async {
            loop {
                let event = self.events.next().await?;
                self.seen.push(Arc::clone(&event));
                if is_it(&event) {
                    return Ok::<_, EventsError>(event);
                }
            }
        })
        .await;
        match found {
            Some(Ok(event)) => event,
            Some(Err(error)) => panic!("{error}; so far: {:#?}", self.story()),
            None => panic!("the event did not come within {limit:?}; so far: {:#?}", self.story()),
        }
    }

    /// Waits until a path has started with this number of its incarnation.
    ///
    /// # Panics
    ///
    /// As [`until`](Self::until).
    pub async fn started(&mut self, path: &str, number: u64) {
        self.until(|event| {
            event.path.as_str() == path
                && matches!(event.kind, EventKind::Started { incarnation } if incarnation.get() == number)
        })
        .await;
    }

    /// Waits for the next end of a life at a path.
    ///
    /// # Panics
    ///
    /// As [`until`](Self::until).
    pub async fn exit(&mut self, path: &str) -> Exit {
        let event =
            self.until(|event| event.path.as_str() == path && matches!(event.kind, EventKind::Exited { .. })).await;
        match &event.kind {
            EventKind::Exited { incarnation, reason, verdict } => {
                Exit { incarnation: *incarnation, reason: reason.clone(), verdict: *verdict }
            }
            other => panic!("asked for an exit and got {other:?}"),
        }
    }

    /// All events so far, those included that nobody waited for.
    ///
    /// # Panics
    ///
    /// When the recorder missed events.
    pub fn seen(&mut self) -> &[Arc<Event>] {
        loop {
            match self.events.try_next() {
                Ok(Some(event)) => self.seen.push(event),
                Ok(None) | Err(EventsError::Closed) => return &self.seen,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// All events so far but those of lifecycles, one short line each: `exited root/worker #1 panicked`.
    ///
    /// # Panics
    ///
    /// As [`seen`](Self::seen).
    pub fn story(&mut self) -> Vec<String> {
        self.seen().iter().filter_map(|event| line(&event.kind, &event.path)).collect()
    }

    /// Forgets what was recorded, so that a test can tell one part of a story.
    ///
    /// # Panics
    ///
    /// As [`seen`](Self::seen).
    pub fn forget(&mut self) {
        self.seen();
        self.seen.clear();
    }
}
