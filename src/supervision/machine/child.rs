//! The children of one supervisor: their specs, their states, their order.

use std::collections::BTreeMap;
use std::fmt;

use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::supervision::policy::{ChildRules, Restart};

/// Names a child within its supervisor's machine. Never reused, also not for a child with the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(u64);

impl fmt::Debug for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {}", self.0)
    }
}

/// The number of a start command of one machine. Tags the events of the life that it begins; those of an earlier life
/// are dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start(u64);

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start {}", self.0)
    }
}

/// Where a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildState {
    /// Its spec is kept; it has no actor.
    Stopped,
    /// Its start is under way.
    Starting,
    /// It runs.
    Running,
    /// It ended; what follows from that waits in line.
    Ended,
    /// It was asked to stop, or killed, and is not gone yet.
    Stopping,
    /// Its start failed and will be tried again (rule 33).
    Restarting,
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
        })
    }
}

/// What can be seen of a child from outside its machine.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ChildView<'a> {
    /// Its name.
    pub id: &'a ChildId,
    /// Its rules.
    pub rules: &'a ChildRules,
    /// Where it stands.
    pub state: ChildState,
    /// The start of its present life, if it has one.
    pub start: Option<Start>,
}

/// The place of a child in the order of starting (rule 30).
pub(super) type Position = u64;

/// Where a child stands, with what is known there.
#[derive(Debug)]
pub(super) enum Life {
    Stopped,
    Starting(Start),
    Running(Start),
    /// Boxed: few children are in this state, and never for long.
    Ended(Start, Box<ExitReason>),
    Stopping(Start),
    Restarting,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) rules: ChildRules,
    pub(super) position: Position,
    pub(super) life: Life,
    /// How many of its starts failed since the last one that succeeded.
    pub(super) failed_starts: u32,
}

impl Child {
    pub(super) fn is_temporary(&self) -> bool {
        self.rules.restart == Restart::Temporary
    }

    fn view(&self) -> ChildView<'_> {
        let (state, start) = match self.life {
            Life::Stopped => (ChildState::Stopped, None),
            Life::Starting(start) => (ChildState::Starting, Some(start)),
            Life::Running(start) => (ChildState::Running, Some(start)),
            Life::Ended(start, _) => (ChildState::Ended, Some(start)),
            Life::Stopping(start) => (ChildState::Stopping, Some(start)),
            Life::Restarting => (ChildState::Restarting, None),
        };
        ChildView { id: &self.id, rules: &self.rules, state, start }
    }
}

/// All children of a supervisor, by key and by position.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_key: BTreeMap<ChildKey, Child>,
    order: BTreeMap<Position, ChildKey>,
    keys: u64,
    starts: u64,
}

impl Children {
    /// Adds a child at the end of the order.
    pub(super) fn append(&mut self, id: ChildId, rules: ChildRules) -> ChildKey {
        let key = ChildKey(self.keys);
        self.keys += 1;
        let position = self.order.last_key_value().map_or(0, |(last, _)| last + 1);
        self.order.insert(position, key);
        self.by_key.insert(key, Child { id, rules, position, life: Life::Stopped, failed_starts: 0 });
        key
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.by_key.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn forget(&mut self, key: ChildKey) {
        if let Some(child) = self.by_key.remove(&key) {
            self.order.remove(&child.position);
        }
    }

    /// The number of the next start.
    pub(super) fn next_start(&mut self) -> Start {
        self.starts += 1;
        Start(self.starts)
    }

    /// The first child at `from` or after it, but not after `to`.
    pub(super) fn first_in(&self, from: Position, to: Position) -> Option<(Position, ChildKey)> {
        // `BTreeMap::range` panics on a range that is the wrong way round.
        if from > to {
            return None;
        }
        self.order.range(from..=to).next().map(|(position, key)| (*position, *key))
    }

    /// The last child at `from` or after it, but before `end`.
    pub(super) fn last_in(&self, from: Position, end: Position) -> Option<(Position, ChildKey)> {
        if from >= end {
            return None;
        }
        self.order.range(from..end).next_back().map(|(position, key)| (*position, *key))
    }

    pub(super) fn view(&self, key: ChildKey) -> Option<ChildView<'_>> {
        self.by_key.get(&key).map(Child::view)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = (ChildKey, ChildView<'_>)> {
        self.order.values().filter_map(|key| Some((*key, self.view(*key)?)))
    }
}
