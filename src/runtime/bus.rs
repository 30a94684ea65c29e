//! The event stream: bounded, and honest about what a slow reader missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast;

use crate::event::{Event, EventKind};
use crate::id::Path;
use crate::seam::Clock;

/// How many events a reader may lag behind before it misses some.
pub const EVENT_BOUND: usize = 4096;

/// Where events are published. Cheap to clone; publishing never waits.
#[derive(Clone)]
pub(crate) struct Bus {
    clock: Arc<dyn Clock>,
    sender: broadcast::Sender<Arc<Event>>,
    over: Arc<AtomicBool>,
}

impl Bus {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sender: broadcast::Sender::new(EVENT_BOUND), over: Arc::new(AtomicBool::new(false)) }
    }

    pub(crate) fn publish(&self, path: &Path, kind: EventKind) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        // No receiver is left when this fails, which is nobody's loss.
        let _ = self.sender.send(Arc::new(Event { at: self.clock.now(), path: path.clone(), kind }));
    }

    /// Publishes the last event. Readers that begin later have nothing to wait for.
    pub(crate) fn end(&self, path: &Path) {
        self.over.store(true, Ordering::Release);
        self.publish(path, EventKind::Ended);
    }

    pub(crate) fn subscribe(&self) -> Events {
        // In this order: what ends between the two is received.
        let receiver = self.sender.subscribe();
        Events { receiver, over: self.over.load(Ordering::Acquire) }
    }
}

/// A reader of the event stream, from the moment it was made.
pub struct Events {
    receiver: broadcast::Receiver<Arc<Event>>,
    /// The last event was given, or was over before this reader began.
    over: bool,
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
