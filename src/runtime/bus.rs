//! The event stream: bounded, and honest about what a slow reader missed.
//!
//! An event that nobody would read is not made. The system's own readers, the registrar and the one that logs, say
//! beforehand what they look at; they alone must not make every start and every exit of a large tree cost an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::broadcast;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::event::{Event, EventKind, is_a_warning};
use crate::id::Path;
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
}

impl Bus {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let sender = broadcast::Sender::new(EVENT_BOUND);
        let shared = Shared { clock, sender, over: AtomicBool::new(false), readers: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Whether somebody would read an event that is logged at this level.
    pub(crate) fn is_heard(&self, level: Level) -> bool {
        self.shared.readers.load(Ordering::Acquire) > 0 || level <= LevelFilter::current()
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
        let _ = sender.send(Arc::new(Event { at: clock.now(), path: path.clone(), kind }));
    }

    /// Publishes the last event. Readers that begin later have nothing to wait for.
    pub(crate) fn end(&self, path: &Path) {
        self.shared.over.store(true, Ordering::Release);
        self.send(path, EventKind::Ended);
    }

    /// Everything, for users.
    pub(crate) fn subscribe(&self) -> Events {
        self.shared.readers.fetch_add(1, Ordering::AcqRel);
        self.reader(Some(Reading(self.clone())))
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
        EventKind::Lifecycle { .. } => Level::TRACE,
        EventKind::Exited { reason, verdict, .. } if is_a_warning(reason, *verdict) => Level::WARN,
        EventKind::Starting { .. }
        | EventKind::Started { .. }
        | EventKind::Exited { .. }
        | EventKind::BackingOff { .. }
        | EventKind::Closed
        | EventKind::Resting
        | EventKind::Dropped { .. }
        | EventKind::Refused { .. } => Level::DEBUG,
        EventKind::LeakEnded { .. }
        | EventKind::RuntimeFree { .. }
        | EventKind::Ready
        | EventKind::Ended
        | EventKind::Ending { .. } => Level::INFO,
        EventKind::Quarantined { .. }
        | EventKind::Killing { .. }
        | EventKind::Leaked { .. }
        | EventKind::SpawnRefused(_) => Level::WARN,
        EventKind::GaveUp(_) | EventKind::RuntimeBlocked { .. } => Level::ERROR,
    }
}

/// Counts a reader of everything for as long as it lives.
struct Reading(Bus);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.shared.readers.fetch_sub(1, Ordering::AcqRel);
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
