//! Who may be started, or stopped, now, where children say after whom they start.
//!
//! A child that does not say after whom it starts needs all that stand before it: it is a *barrier*. Its edges are not
//! written down, which would be quadratic in a long list; a frontier that moves over the list stands for them.

use std::collections::{BTreeMap, BTreeSet};

use super::child::{ChildKey, Children, Position};

/// The order among some children of a supervisor. Each is given out once those it waits for are done.
#[derive(Debug)]
pub(super) struct Graph {
    /// In list order for a start, in reverse for a stop.
    members: Vec<Member>,
    index: BTreeMap<ChildKey, usize>,
    ready: BTreeSet<usize>,
    /// For a start: all before it are done. For a stop: the first barrier that is not.
    frontier: usize,
    direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Start,
    Stop,
}

#[derive(Debug)]
struct Member {
    key: ChildKey,
    is_barrier: bool,
    /// How many of those it names, or that name it, are not done.
    waits: usize,
    unlocks: Vec<usize>,
    given: bool,
    done: bool,
}

impl Graph {
    /// The order in which the children from one position up to another are started.
    pub(super) fn of_start(children: &Children, from: Position, end: Position) -> Self {
        Self::new(children, &children.within(from, end), Direction::Start)
    }

    /// The order in which they are stopped: nobody before those that need it.
    pub(super) fn of_stop(children: &Children, from: Position, end: Position) -> Self {
        let mut keys = children.within(from, end);
        keys.reverse();
        Self::new(children, &keys, Direction::Stop)
    }

    fn new(children: &Children, keys: &[ChildKey], direction: Direction) -> Self {
        let index: BTreeMap<_, _> = keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
        let by_id: BTreeMap<_, _> = keys.iter().filter_map(|key| Some((&children.get(*key)?.id, index[key]))).collect();
        let after = |key: &ChildKey| children.get(*key).and_then(|child| child.rules.after.clone());
        let mut members: Vec<_> = keys
            .iter()
            .map(|key| Member {
                key: *key,
                is_barrier: after(key).is_none(),
                waits: 0,
                unlocks: Vec::new(),
                given: false,
                done: false,
            })
            .collect();
        for (place, key) in keys.iter().enumerate() {
            // A name outside the batch, or given up since, is nobody to wait for.
            let named = after(key);
            for needed in named.iter().flat_map(|names| names.iter()).filter_map(|name| by_id.get(name).copied()) {
                let (first, then) = if direction == Direction::Start { (needed, place) } else { (place, needed) };
                members[first].unlocks.push(then);
                members[then].waits += 1;
            }
        }
        let mut graph = Self { members, index, ready: BTreeSet::new(), frontier: 0, direction };
        if direction == Direction::Stop {
            graph.frontier = graph.next_barrier(0);
        }
        (0..graph.members.len()).for_each(|place| graph.offer(place));
        graph
    }

    /// The next child that may go, if one may now.
    pub(super) fn next(&mut self) -> Option<ChildKey> {
        let place = self.ready.pop_first()?;
        Some(self.members[place].key)
    }

    pub(super) fn has_next(&self) -> bool {
        !self.ready.is_empty()
    }

    /// This child has started, or is gone, or need not: those that waited for it may go.
    pub(super) fn done(&mut self, key: ChildKey) {
        let Some(&place) = self.index.get(&key) else { return };
        if std::mem::replace(&mut self.members[place].done, true) {
            return;
        }
        for unlocked in std::mem::take(&mut self.members[place].unlocks) {
            self.members[unlocked].waits -= 1;
            self.offer(unlocked);
        }
        let before = self.frontier;
        self.frontier = match self.direction {
            Direction::Start => {
                let rest = self.members[before..].iter();
                before + rest.take_while(|member| member.done).count()
            }
            Direction::Stop => self.next_barrier(before),
        };
        let reach = self.frontier.min(self.members.len().saturating_sub(1));
        if self.frontier != before {
            (before..=reach).for_each(|place| self.offer(place));
        }
    }

    fn next_barrier(&self, from: usize) -> usize {
        let open = |member: &Member| member.is_barrier && !member.done;
        self.members[from..].iter().position(open).map_or(self.members.len(), |distance| from + distance)
    }

    fn offer(&mut self, place: usize) {
        let member = &mut self.members[place];
        let free = match self.direction {
            Direction::Start => !member.is_barrier || place <= self.frontier,
            Direction::Stop => place <= self.frontier,
        };
        if free && member.waits == 0 && !member.given && !member.done {
            member.given = true;
            self.ready.insert(place);
        }
    }
}
