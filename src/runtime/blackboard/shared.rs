//! What is on a board, where the lives of its agent and its watchers share it.

use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::watch::Sender;

use super::Snapshot;
use super::watch::Watch;
use crate::exit::BoxError;
use crate::message::blackboard::{
    Blackboard, BoardBounds, BoardError, Change, Cursor, Entry, Expected, Lagged, Put, Revision, What,
};
use crate::message::subject::{Pattern, Subject};
use crate::runtime::agent::{Agent, Context};
use crate::runtime::guard::{drop_each, lock};
use crate::runtime::system::System;

/// What is on a board. It belongs to the slot of the board's agent; clones are the same board.
pub(super) struct Shared<V>(Arc<Place<V>>);

/// The board and who is told that it changed.
pub(super) struct Place<V> {
    board: Mutex<Blackboard<Held<V>>>,
    grave: Arc<Grave<V>>,
    /// The last change. Closed when nobody keeps the board any more.
    changed: Sender<u64>,
}

/// Where values go that are not on the board any more, until the board is unlocked.
type Grave<V> = Mutex<Vec<Arc<V>>>;

/// A value on the board. It may be the last that holds the value, and drop it while the board is locked: so it does not
/// drop it, but lays it down.
struct Held<V> {
    value: Arc<V>,
    grave: Arc<Grave<V>>,
}

impl<V> Drop for Held<V> {
    fn drop(&mut self) {
        lock(&self.grave).push(Arc::clone(&self.value));
    }
}

impl<V: Send + Sync + 'static> Shared<V> {
    /// The board of the slot in which this agent lives, with all that lives before it left there.
    pub(super) fn of_slot<A: Agent>(ctx: &Context<A>, bounds: BoardBounds) -> Result<Self, BoxError> {
        let make = || Place::<V> {
            board: Mutex::new(Blackboard::new(bounds)),
            grave: Arc::default(),
            changed: Sender::new(0),
        };
        let slot = ctx.myself().slot();
        let place = ctx.system().patterns().belonging(&slot, make);
        Ok(Self(place.ok_or("the board is forgotten")?))
    }

    pub(super) fn get(&self, key: &Subject, now: Instant) -> Option<Entry<V>> {
        self.0.with(|board| board.get(key.as_str(), now).map(shown))
    }

    pub(super) fn query(&self, pattern: &Pattern, now: Instant) -> Snapshot<V> {
        self.0.query(pattern, now)
    }

    pub(super) fn put(&self, put: Put<V>, now: Instant) -> Result<Revision, BoardError> {
        let put = put.map(|value| Held { value: Arc::new(value), grave: Arc::clone(&self.0.grave) });
        self.0.with(|board| board.put(put, now))
    }

    pub(super) fn remove(
        &self,
        key: &Subject,
        expected: Expected,
        now: Instant,
    ) -> Result<Option<Entry<V>>, BoardError> {
        self.0.with(|board| Ok(board.remove(key, expected, now)?.as_ref().map(shown)))
    }

    pub(super) fn expire(&self, now: Instant) {
        self.0.with(|board| board.expire(now));
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.with(|board| board.next_end())
    }

    /// What is there, and a watch of what changes after it.
    pub(super) fn watch(&self, pattern: Pattern, system: &System) -> (Snapshot<V>, Watch<V>) {
        let (there, cursor) = self.0.anew(&pattern, system.clock().now());
        let changed = self.0.changed.subscribe();
        (there, Watch::new(pattern, cursor, Arc::downgrade(&self.0), changed, Arc::clone(system.clock())))
    }
}

impl<V> Drop for Place<V> {
    fn drop(&mut self) {
        // All that is left is laid down, and then dropped as what goes before.
        drop(mem::take(&mut *lock(&self.board)));
        self.bury();
    }
}

impl<V> Place<V> {
    /// Works with the board; then those who watch are told, and what is out of use is dropped.
    fn with<T>(&self, work: impl FnOnce(&mut Blackboard<Held<V>>) -> T) -> T {
        let (outcome, revision) = {
            let mut board = lock(&self.board);
            let outcome = work(&mut board);
            (outcome, board.revision().get())
        };
        // Two that get here in the other order leave the later revision there.
        self.changed.send_if_modified(|last| {
            let is_new = *last < revision;
            *last = revision.max(*last);
            is_new
        });
        self.bury();
        outcome
    }

    /// Drops what is out of use.
    fn bury(&self) {
        let gone = mem::take(&mut *lock(&self.grave));
        drop_each(gone);
    }

    pub(super) fn query(&self, pattern: &Pattern, now: Instant) -> Snapshot<V> {
        self.with(|board| board.query(pattern, now).map(|(key, entry)| (key.clone(), shown(entry))).collect())
    }

    /// The state that matches, and the cursor at it.
    pub(super) fn anew(&self, pattern: &Pattern, now: Instant) -> (Snapshot<V>, Cursor) {
        self.with(|board| {
            let there = board.query(pattern, now).map(|(key, entry)| (key.clone(), shown(entry))).collect();
            (there, board.watch(pattern.clone()))
        })
    }

    pub(super) fn changes(&self, cursor: &mut Cursor) -> Result<Vec<Change<V>>, Lagged> {
        self.with(|board| Ok(board.changes(cursor)?.into_iter().map(told).collect()))
    }
}

fn shown<V>(entry: &Entry<Held<V>>) -> Entry<V> {
    Entry { value: Arc::clone(&entry.value.value), revision: entry.revision, expires: entry.expires }
}

fn told<V>(change: &Change<Held<V>>) -> Change<V> {
    let what = match &change.what {
        What::Set(held) => What::Set(Arc::clone(&held.value)),
        What::Removed => What::Removed,
        What::Expired => What::Expired,
    };
    Change { revision: change.revision, key: change.key.clone(), what }
}
