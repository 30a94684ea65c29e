//! The event stream: bounded, and honest about what a slow reader missed.
//!
//! An event that nobody would read is not made. The system's own readers, the registrar and the one that logs, say
//! beforehand what they look at; they alone must not make every start and every exit of a large tree cost an event.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::broadcast;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::event::{Event, EventKind, is_a_warning};
use crate::flow::BreakerState;
use crate::id::Path;
use crate::registry::selection::Decision;
use crate::runtime::tap::{MailStep, Tap};
use crate::seam::Clock;

/// How many events a reader may lag behind before it misses some.
pub const EVENT_BOUND: usize = 4096;

/// Where events are published. Cheap to clone; publishing never waits.
#[derive(Clone)]
pub(crate) struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    sender: broadcast::Sender<Arc<Event>>,
    over: AtomicBool,
    /// How many read everything.
    readers: AtomicUsize,
    /// Where decisions go: one for each message, which would drown all else. Made when somebody first reads them.
    decisions: OnceLock<broadcast::Sender<Arc<Event>>>,
    /// How many read those.
    deciders: AtomicUsize,
    /// Who hears all, in a simulated world.
    #[cfg(any(test, feature = "testing"))]
    tap: OnceLock<Arc<dyn Tap>>,
}

impl Bus {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let sender = broadcast::Sender::new(EVENT_BOUND);
        let (over, readers, deciders) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Shared {
            clock,
            sender,
            over,
            readers,
            decisions: OnceLock::new(),
            deciders,
            #[cfg(any(test, feature = "testing"))]
            tap: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether somebody reads decisions.
    pub(crate) fn hears_decisions(&self) -> bool {
        self.shared.deciders.load(Ordering::Acquire) > 0
    }

    /// Publishes a decision, for those who read them.
    pub(crate) fn publish_decision(&self, decision: Decision) {
        if let Some(sender) = self.shared.decisions.get() {
            let path = decision.chosen.clone();
            let event = Event { at: self.shared.clock.now(), path, kind: EventKind::Routed(Arc::new(decision)) };
            let _ = sender.send(Arc::new(event));
        }
    }

    /// The decisions, and the end.
    pub(crate) fn decisions(&self) -> Events {
        let sender = self.shared.decisions.get_or_init(|| broadcast::Sender::new(EVENT_BOUND));
        self.shared.deciders.fetch_add(1, Ordering::AcqRel);
        let receiver = sender.subscribe();
        let over = self.shared.over.load(Ordering::Acquire);
        Events { receiver, over, _reading: Some(Reading { bus: self.clone(), decisions: true }) }
    }

    /// Whether somebody would read an event that is logged at this level.
    pub(crate) fn is_heard(&self, level: Level) -> bool {
        self.shared.readers.load(Ordering::Acquire) > 0 || level <= LevelFilter::current() || self.tap().is_some()
    }

    /// Lets somebody hear everything; before anything happens.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn set_tap(&self, tap: Arc<dyn Tap>) {
        let _ = self.shared.tap.set(tap);
    }

    /// Who hears everything; nobody outside of simulated worlds.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn tap(&self) -> Option<&Arc<dyn Tap>> {
        self.shared.tap.get()
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "there are taps in simulated worlds only")]
    pub(crate) const fn tap(&self) -> Option<&Arc<dyn Tap>> {
        None
    }

    /// Says what became of a message.
    #[inline]
    pub(crate) fn mail(&self, path: &Path, step: MailStep, due: Option<Instant>) {
        if let Some(tap) = self.tap() {
            tap.mail(path, step, due);
        }
    }

    pub(crate) fn publish(&self, path: &Path, kind: EventKind) {
        if self.is_heard(level(&kind)) {
            self.send(path, kind);
        }
    }

    /// Publishes that a slot closed. The registrar hears of it in any case where it has something to do then.
    pub(crate) fn publish_closed(&self, path: &Path, has_offers: bool) {
        if has_offers || self.is_heard(level(&EventKind::Closed)) {
            self.send(path, EventKind::Closed);
        }
    }

    fn send(&self, path: &Path, kind: EventKind) {
        // No receiver is left when this fails, which is nobody's loss.
        let Shared { clock, sender, .. } = &*self.shared;
        let event = Arc::new(Event { at: clock.now(), path: path.clone(), kind });
        if let Some(tap) = self.tap() {
            tap.event(&event);
        }
        let _ = sender.send(event);
    }

    /// Publishes the last event. Readers that begin later have nothing to wait for.
    pub(crate) fn end(&self, path: &Path) {
        self.shared.over.store(true, Ordering::Release);
        self.send(path, EventKind::Ended);
        if let Some(sender) = self.shared.decisions.get() {
            let event = Event { at: self.shared.clock.now(), path: path.clone(), kind: EventKind::Ended };
            let _ = sender.send(Arc::new(event));
        }
    }

    /// Everything, for users.
    pub(crate) fn subscribe(&self) -> Events {
        self.shared.readers.fetch_add(1, Ordering::AcqRel);
        self.reader(Some(Reading { bus: self.clone(), decisions: false }))
    }

    /// For readers of the system's own: what others read too, what is logged, and the slots with offers that closed.
    pub(crate) fn listen(&self) -> Events {
        self.reader(None)
    }

    fn reader(&self, reading: Option<Reading>) -> Events {
        // In this order: what ends between the two is received.
        let receiver = self.shared.sender.subscribe();
        Events { receiver, over: self.shared.over.load(Ordering::Acquire), _reading: reading }
    }
}

/// The level at which an event is logged.
fn level(kind: &EventKind) -> Level {
    match kind {
        EventKind::Lifecycle { .. } | EventKind::Routed(_) => Level::TRACE,
        EventKind::BreakerChanged(change) if matches!(change.to, BreakerState::Open { .. }) => Level::WARN,
        EventKind::Exited { reason, verdict, .. } if is_a_warning(reason, *verdict) => Level::WARN,
        EventKind::Starting { .. }
        | EventKind::Started { .. }
        | EventKind::Exited { .. }
        | EventKind::BackingOff { .. }
        | EventKind::Closed
        | EventKind::Resting
        | EventKind::Dozing { .. }
        | EventKind::Drained { .. }
        | EventKind::Dropped { .. }
        | EventKind::Refused { .. } => Level::DEBUG,
        EventKind::LeakEnded { .. }
        | EventKind::RuntimeFree { .. }
        | EventKind::BreakerChanged(_)
        | EventKind::Ready
        | EventKind::Ended
        | EventKind::Ending { .. } => Level::INFO,
        EventKind::Quarantined { .. }
        | EventKind::Killing { .. }
        | EventKind::Leaked { .. }
        | EventKind::SpawnRefused(_)
        | EventKind::HookFailed { .. } => Level::WARN,
        EventKind::GaveUp(_) | EventKind::RuntimeBlocked { .. } => Level::ERROR,
    }
}

/// Counts a reader, of everything or of decisions, for as long as it lives.
struct Reading {
    bus: Bus,
    decisions: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Shared { readers, deciders, .. } = &*self.bus.shared;
        let readers = if self.decisions { deciders } else { readers };
        readers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A reader of the event stream, from the moment it was made.
pub struct Events {
    receiver: broadcast::Receiver<Arc<Event>>,
    /// The last event was given, or was over before this reader began.
    over: bool,
    _reading: Option<Reading>,
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// [`EventsError::Lagged`] when this reader fell more than [`EVENT_BOUND`] events behind: read the state anew,
    /// then go on. [`EventsError::Closed`] when the system is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, no event is lost.
    pub async fn next(&mut self) -> Result<Arc<Event>, EventsError> {
        if self.over {
            return Err(EventsError::Closed);
        }
        match self.receiver.recv().await {
            Ok(event) => Ok(self.given(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Err(EventsError::Lagged { missed }),
            Err(broadcast::error::RecvError::Closed) => Err(EventsError::Closed),
        }
    }

    /// Returns the next event if there is one now.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, EventsError> {
        if self.over {
            return Err(EventsError::Closed);
        }
        match self.receiver.try_recv() {
            Ok(event) => Ok(Some(self.given(event))),
            Err(broadcast::error::TryRecvError::Empty) => Ok(None),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Err(EventsError::Lagged { missed }),
            Err(broadcast::error::TryRecvError::Closed) => Err(EventsError::Closed),
        }
    }

    fn given(&mut self, event: Arc<Event>) -> Arc<Event> {
        self.over = matches!(event.kind, EventKind::Ended);
        event
    }
}

/// No next event can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// The reader was too slow.
    #[error("the reader fell behind and missed {missed} events; read the state anew and go on")]
    Lagged {
        /// How many events it missed.
        missed: u64,
    },
    /// The system is gone.
    #[error("the system is gone")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChildId;
    use crate::runtime::world::TokioClock;

    #[tokio::test]
    async fn a_reader_of_the_systems_own_hears_what_closes_with_offers_and_what_others_read() {
        let path = Path::root(&ChildId::new("a").expect("a name"));
        let bus = Bus::new(Arc::new(TokioClock));
        let mut own = bus.listen();
        bus.publish_closed(&path, true);
        assert!(matches!(own.next().await.expect("an event").kind, EventKind::Closed));
        let mut user = bus.subscribe();
        assert!(bus.is_heard(Level::TRACE));
        bus.publish(&path, EventKind::Resting);
        for reader in [&mut own, &mut user] {
            assert!(matches!(reader.next().await.expect("an event").kind, EventKind::Resting));
        }
        drop(user);
        assert_eq!(bus.shared.readers.load(Ordering::Acquire), 0);
        bus.end(&path);
        assert!(matches!(own.next().await.expect("an event").kind, EventKind::Ended));
    }
}
