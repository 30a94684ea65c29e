//! Watches a run until it is over, tells what happens, and drains it when a signal says so.
//!
//! The journal is read directly, not through the tree: what the run came to is known here whatever becomes of the
//! agents. Nothing in the tree waits for anything here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::Journal;
use steadfast::{Events, EventsError, RequestError, RunId, System};
use steadfast_orchestration::agents::orchestrator::{Feed, make_whole};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Kept, Millis, Outline, Record, RunState, Standing, decode, explain};
use steadfast_orchestration::seam::artifacts::Artifacts;
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::End;
use super::choose::Chosen;
use super::narrate;
use super::setting::{Keep, Setting};
use super::signals::Signals;
use crate::screen::Screen;

/// How long running tasks may take to end by themselves once the run is drained.
const DRAIN: Duration = Duration::from_secs(10);

/// How often the line of progress is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Follows one run.
pub(crate) struct Conductor {
    system: System,
    screen: Screen,
    run: RunId,
    journal: Arc<dyn Journal>,
    artifacts: Arc<dyn Artifacts>,
    events: Events,
    /// Only wakes us up: the records themselves are read from the journal, where none is missed.
    records: Receiver<Arc<Record>>,
    /// Whether the run goes on by itself.
    standing: watch::Receiver<Standing>,
    /// For how long it may wait, and until when, once it does.
    wait: Duration,
    waits_until: Option<Instant>,
    read: u64,
    /// How many of them are of earlier processes.
    known: u64,
    state: RunState,
    /// Until when running tasks may end by themselves, once a signal came.
    draining: Option<Instant>,
    /// The orchestrator is being told to drain.
    asking: Option<Asking>,
}

type Asking = Pin<Box<dyn Future<Output = Result<(), RequestError>>>>;

impl Conductor {
    /// Begins to follow a run that is about to be carried.
    pub(crate) fn new(
        setting: &Setting,
        (system, keep): (&System, &Keep),
        chosen: &Chosen,
        (feed, wait): (Feed, Duration),
    ) -> Self {
        let outline = Outline::of(&chosen.plan, setting.jobs).kept(Kept::from(keep.journal.level()));
        Self {
            system: system.clone(),
            screen: setting.screen.clone(),
            run: chosen.run,
            journal: Arc::clone(&keep.journal),
            artifacts: Arc::clone(&keep.artifacts),
            events: system.events(),
            records: feed.records(),
            standing: feed.standing(),
            wait,
            waits_until: None,
            read: 0,
            known: chosen.known,
            state: RunState::new(Arc::new(outline)),
            draining: None,
            asking: None,
        }
    }

    /// What the run came to.
    pub(crate) fn into_state(self) -> RunState {
        self.state
    }

    /// Follows the run to its end.
    pub(crate) async fn conduct(&mut self, signals: &mut Signals) -> End {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(why) = self.read().await {
                return End::GaveUp(why);
            }
            if let Some(end) = self.stands_still() {
                return end;
            }
            tokio::select! {
                biased;
                () = signals.next() => match self.draining {
                    None => self.drain(),
                    Some(_) => return End::Stopped,
                },
                ended = self.system.ended() => {
                    return End::GaveUp(ended.map_or_else(|why| why.to_string(), |()| "the tree ended".to_owned()));
                }
                () = time_up(self.draining) => return End::TimeUp,
                () = time_up(self.waits_until) => {
                    if let Standing::Waiting(waits) = self.standing.borrow().clone() {
                        return End::Waits(waits);
                    }
                    self.waits_until = None;
                }
                _ = self.standing.changed() => {}
                answer = asked(&mut self.asking) => self.heard(&answer),
                event = self.events.next() => self.event(event),
                _ = self.records.recv() => {}
                _ = tick.tick() => self.tick(),
            }
        }
    }

    /// How the run stands, where it does nothing more that is worth waiting for.
    fn stands_still(&mut self) -> Option<End> {
        if self.state.ended().is_some() {
            return Some(End::Over);
        }
        let standing = self.standing.borrow_and_update().clone();
        let waits = matches!(standing, Standing::Waiting(_));
        match standing {
            Standing::Drained => return Some(End::Over),
            Standing::Paused(notes) => return Some(End::Paused(notes)),
            Standing::TakenOver { owner } => return Some(End::GaveUp(format!("`{owner}` carries the run now"))),
            Standing::GivenUp { why } => return Some(End::GaveUp(why)),
            Standing::Waiting(waits) if self.draining.is_some() => return Some(End::Waits(waits)),
            _ => {}
        }
        if !waits {
            self.waits_until = None;
        } else if self.waits_until.is_none() {
            #[expect(clippy::disallowed_methods, reason = "the limit is one of tokio's timers")]
            let until = Instant::now() + self.wait;
            self.waits_until = Some(until);
        }
        None
    }

    /// Reads what is new in the journal.
    async fn read(&mut self) -> Result<(), String> {
        let frames = self.journal.read(&self.run.into(), self.read).await.map_err(|error| error.to_string())?;
        for frame in frames {
            self.read += 1;
            let mut record = decode(&frame).map_err(|error| error.to_string())?;
            if let Err(error) = make_whole(&mut record, &*self.artifacts).await {
                // The orchestrator has noticed, too, and says what follows; the report names the digest.
                self.screen.line(format!("{error}: {}", error.source));
            }
            // What happened before this process had the run was told then.
            if self.read > self.known {
                self.screen.line(explain::line(&record, &self.state));
            }
            self.state.apply(&record).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn drain(&mut self) {
        self.screen.line(format!(
            "interrupted: no further tasks are started, running ones have {} s to end; once more stops at once",
            DRAIN.as_secs()
        ));
        #[expect(clippy::disallowed_methods, reason = "the deadline is one of tokio's timers")]
        let until = Instant::now() + DRAIN;
        self.draining = Some(until);
        self.asking = Some(self.ask_to_drain());
    }

    fn ask_to_drain(&self) -> Asking {
        let (system, run) = (self.system.clone(), self.run);
        Box::pin(async move { preset::drain(&system, run).await })
    }

    /// The orchestrator answered, or did not.
    fn heard(&mut self, answer: &Result<(), RequestError>) {
        if let Err(error) = answer {
            self.screen.line(format!("the orchestrator has not heard of it yet: {error}"));
        }
    }

    fn event(&mut self, event: Result<Arc<steadfast::Event>, EventsError>) {
        match event {
            Ok(event) => {
                if let Some(line) = narrate::event(&event) {
                    self.screen.line(line);
                }
            }
            Err(error) => self.screen.line(format!("events of the tree: {error}")),
        }
    }

    fn tick(&mut self) {
        if self.draining.is_some() && self.asking.is_none() && !self.state.is_draining() {
            self.asking = Some(self.ask_to_drain());
        }
        if self.screen.has_progress() && self.state.is_planned() {
            let elapsed = Millis::of(self.system.clock().wall()).since(self.state.started());
            let text = narrate::progress(&self.state, self.system.restarts().total, elapsed);
            self.screen.progress(Some(text));
        }
    }
}

async fn time_up(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn asked(asking: &mut Option<Asking>) -> Result<(), RequestError> {
    let answer = match asking {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    };
    *asking = None;
    answer
}
