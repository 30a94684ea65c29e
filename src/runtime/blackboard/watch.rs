//! What changes on a board, one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Weak};

use tokio::sync::watch::Receiver;

use super::Snapshot;
use super::shared::Place;
use crate::message::blackboard::{Change, Cursor, Lagged};
use crate::message::subject::Pattern;
use crate::runtime::guard::drop_each;
use crate::seam::Clock;

/// A watch of the keys of a board that match a pattern: every change once and in order, over any number of lives of the
/// board's agent.
///
/// It holds no more than the board remembers. Who falls further behind is told how many changes it missed.
pub struct Watch<V> {
    pattern: Pattern,
    cursor: Cursor,
    place: Weak<Place<V>>,
    changed: Receiver<u64>,
    clock: Arc<dyn Clock>,
    read: VecDeque<Change<V>>,
}

impl<V> fmt::Debug for Watch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.pattern)
    }
}

impl<V> Drop for Watch<V> {
    fn drop(&mut self) {
        drop_each(mem::take(&mut self.read));
    }
}

/// No next change can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The watcher was too slow: the board does not remember the changes that it would have to be told.
    #[error("the watcher fell behind and missed {missed} changes; read the state with `Watch::anew`, and go on")]
    Lagged {
        /// How many changes, to any key, are not remembered any more.
        missed: u64,
    },
    /// The board is gone.
    #[error("the board is gone: its agent was forgotten, or the system has ended")]
    Gone,
}

impl From<Lagged> for WatchError {
    fn from(Lagged { missed }: Lagged) -> Self {
        Self::Lagged { missed }
    }
}

impl<V> Watch<V> {
    pub(super) fn new(
        pattern: Pattern,
        cursor: Cursor,
        place: Weak<Place<V>>,
        changed: Receiver<u64>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { pattern, cursor, place, changed, clock, read: VecDeque::new() }
    }

    /// Waits for the next change.
    ///
    /// # Errors
    ///
    /// [`WatchError::Lagged`] when changes were missed: what comes next are changes from then on, so read the state
    /// [`anew`](Self::anew) first. [`WatchError::Gone`] when no change will come.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, no change is lost.
    pub async fn next(&mut self) -> Result<Change<V>, WatchError> {
        loop {
            if let Some(change) = self.try_next()? {
                return Ok(change);
            }
            self.changed.changed().await.map_err(|_| WatchError::Gone)?;
        }
    }

    /// The next change, if there is one now.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn try_next(&mut self) -> Result<Option<Change<V>>, WatchError> {
        if self.read.is_empty() {
            // Before the board is looked at, so that what changes in between is looked at again.
            self.changed.borrow_and_update();
            let place = self.place.upgrade().ok_or(WatchError::Gone)?;
            self.read = place.changes(&mut self.cursor)?.into();
        }
        Ok(self.read.pop_front())
    }

    /// The state as it is now, of the keys that match. What comes next are the changes after it.
    ///
    /// # Errors
    ///
    /// [`WatchError::Gone`] when the board is.
    pub fn anew(&mut self) -> Result<Snapshot<V>, WatchError> {
        let place = self.place.upgrade().ok_or(WatchError::Gone)?;
        let (there, cursor) = place.anew(&self.pattern, self.clock.now());
        self.cursor = cursor;
        // It may hold the last of a value that the board does not remember.
        drop_each(mem::take(&mut self.read));
        Ok(there)
    }
}
