//! Notes of whether user code is being polled, for the watchdog that looks from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::runtime::watchdog::Watch;

/// Whether a piece of user code is inside a poll, as somebody on another thread can see it.
///
/// It holds counts and no times, so a poll costs two plain stores: that the same poll is still running is seen by
/// looking twice.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Odd while it is being polled. Written by the task that polls it only.
    polls: AtomicU64,
    /// How often it said that it is alive.
    signs: AtomicU64,
}

/// One poll, as it looked at one moment. Two that are equal are the same poll, without a sign of life in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnePoll {
    poll: u64,
    signs: u64,
}

impl Turn {
    /// A poll begins; it ends when what this returns is dropped.
    pub(crate) fn enter(&self) -> InPoll<'_> {
        self.step();
        InPoll(self)
    }

    fn step(&self) {
        self.polls.store(self.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// The code says that it is alive.
    pub(crate) fn sign(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// The poll that is running, if one is.
    pub(crate) fn running(&self) -> Option<OnePoll> {
        let poll = self.polls.load(Ordering::Acquire);
        (poll % 2 == 1).then(|| OnePoll { poll, signs: self.signs.load(Ordering::Relaxed) })
    }
}

pub(crate) struct InPoll<'a>(&'a Turn);

impl Drop for InPoll<'_> {
    fn drop(&mut self) {
        self.0.step();
    }
}

/// Takes a turn out of the watchdog's table when it is dropped.
pub(crate) struct WatchGuard {
    pub(super) watch: Arc<Watch>,
    pub(super) number: u64,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.watch.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_poll_looks_the_same_until_it_returns_or_shows_a_sign_of_life() {
        let turn = Turn::default();
        assert_eq!(turn.running(), None);
        let first = turn.enter();
        let seen = turn.running();
        assert!(seen.is_some() && turn.running() == seen);
        turn.sign();
        assert_ne!(turn.running(), seen);
        drop(first);
        assert_eq!(turn.running(), None);
        let _second = turn.enter();
        assert!(turn.running().is_some() && turn.running() != seen);
    }
}
