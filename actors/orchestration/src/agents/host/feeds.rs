//! Where others hear of the runs of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::RunId;
use tokio::sync::broadcast;

use crate::agents::orchestrator::Feed;
use crate::run::Standing;

/// How many events a reader may lag behind before it misses some.
const BOUND: usize = 1024;

/// The feeds of the runs that one process carries, by run; and what becomes of the runs. A clone is the same.
///
/// It belongs to the process, not to a life of its host. What is over is not kept: whoever wants to hear of the end of
/// a
/// run takes its feed while it is carried, or before it begins.
#[derive(Clone, Debug)]
pub struct Feeds {
    feeds: Arc<Mutex<BTreeMap<RunId, Entry>>>,
    events: broadcast::Sender<HostEvent>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    feed: Feed,
    carried: bool,
}

/// What became of a run in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// It is carried here from now on.
    TakenUp {
        /// The run.
        run: RunId,
    },
    /// It does nothing more here: it is over, or another process has it, or nobody can carry it.
    Over {
        /// The run.
        run: RunId,
        /// How it stands.
        standing: Standing,
    },
    /// Every run that was unfinished when the host began is being taken up.
    Scanned {
        /// How many there were, without those inside others.
        unfinished: usize,
    },
    /// A request of another process is not done.
    Ignored {
        /// Why.
        why: String,
    },
}

impl Default for Feeds {
    fn default() -> Self {
        Self { feeds: Arc::default(), events: broadcast::Sender::new(BOUND) }
    }
}

impl Feeds {
    /// No run yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The feed of a run.
    #[must_use]
    pub fn of(&self, run: RunId) -> Feed {
        self.entries().entry(run).or_default().feed.clone()
    }

    /// What becomes of the runs, from now on. A reader that falls too far behind is told so and misses some.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    /// The runs that are carried.
    #[must_use]
    pub fn carried(&self) -> Vec<RunId> {
        self.entries().iter().filter(|(_, entry)| entry.carried).map(|(run, _)| *run).collect()
    }

    pub(super) fn carry(&self, run: RunId) -> Feed {
        let mut entries = self.entries();
        let entry = entries.entry(run).or_default();
        entry.carried = true;
        entry.feed.clone()
    }

    /// The run is not carried any more, and its feed is not kept.
    pub(super) fn leave(&self, run: RunId) {
        self.entries().remove(&run);
    }

    pub(super) fn tell(&self, event: HostEvent) {
        // Nobody listens when this fails, which is no loss.
        let _ = self.events.send(event);
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<RunId, Entry>> {
        // Nothing that can panic happens under the lock.
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
