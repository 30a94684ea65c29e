//! The children of one supervisor: their specs, their states, their order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::number::{Number, NumberMap, Numbered};
use crate::supervision::intensity::{Moment, Tally, Window};
use crate::supervision::policy::{ChildKind, ChildRules, Restart};

use super::command::Progress;
use super::plan::{Alarm, Trigger};

/// Names a child within its supervisor's machine. Never reused, also not for a child with the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(u64);

impl Number for ChildKey {
    fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {}", self.0)
    }
}

/// The number of a start command of one machine. Tags the events of the life that it begins; those of an earlier life
/// are dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start(NonZeroU64);

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
    /// Its start failed and will be tried again (rule 33), or its restart waits for its back-off.
    Restarting,
    /// Its own intensity ran out: it is kept, stopped, and not started with its group either.
    Quarantined,
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
            Self::Quarantined => "quarantined",
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
    /// What its present life is, or its last one was. An update may have made its rules say something else.
    pub kind: ChildKind,
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
    Ended(Box<(Start, ExitReason)>),
    Stopping(Start),
    Restarting,
    Quarantined,
}

impl Life {
    /// The start of the life, if there is one.
    pub(super) fn start(&self) -> Option<Start> {
        match self {
            Self::Starting(start) | Self::Running(start) | Self::Stopping(start) => Some(*start),
            Self::Ended(end) => Some(end.0),
            Self::Stopped | Self::Restarting | Self::Quarantined => None,
        }
    }

    /// Whether the child counts as present for an automatic shutdown: it runs, or will again (rules 38 and 40).
    pub(super) fn is_present(&self) -> bool {
        !matches!(self, Self::Stopped | Self::Quarantined)
    }

    fn state(&self) -> ChildState {
        match self {
            Self::Stopped => ChildState::Stopped,
            Self::Starting(_) => ChildState::Starting,
            Self::Running(_) => ChildState::Running,
            Self::Ended(_) => ChildState::Ended,
            Self::Stopping(_) => ChildState::Stopping,
            Self::Restarting => ChildState::Restarting,
            Self::Quarantined => ChildState::Quarantined,
        }
    }
}

/// What a child may have beyond OTP, or has only while something goes wrong. Allocated when first needed.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// With what its life ends whatever is reported: it was hung, or did not start in time.
    pub(super) doom: Option<ExitReason>,
    /// Why it waits to be started again, and whether that has been counted.
    pub(super) pending: Option<Pending>,
    /// What it was waiting for, a supervisor that was killed, when it was asked last.
    pub(super) progress: Option<Progress>,
    /// The restarts that count for its own intensity.
    pub(super) budget: Window,
    /// How many restarts its back-off has seen.
    pub(super) step: u32,
}

/// A restart that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) reason: ExitReason,
    pub(super) trigger: Trigger,
    /// The count of this restart, where it was counted before the wait.
    pub(super) counted: Option<Tally>,
    /// The first sibling that was not started because this start failed beside it.
    pub(super) first: Option<ChildKey>,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) rules: Arc<ChildRules>,
    pub(super) position: Position,
    pub(super) life: Life,
    /// What its life is, or was. Its rules may say something else since: an update is for the next one.
    pub(super) kind: ChildKind,
    /// When its last start succeeded, in nanoseconds: half of a [`Moment`], and enough for centuries.
    up_at: u64,
    /// How many of its starts failed since the last one that succeeded.
    pub(super) failed_starts: u32,
    extra: Option<Box<Extra>>,
}

impl Child {
    fn new(id: ChildId, rules: Arc<ChildRules>, position: Position) -> Self {
        let (life, kind) = (Life::Stopped, rules.kind);
        Self { id, rules, position, life, kind, up_at: 0, failed_starts: 0, extra: None }
    }

    /// Its start has succeeded.
    pub(super) fn set_up(&mut self, now: Moment) {
        self.up_at = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    }

    /// When its last start succeeded.
    pub(super) fn up_since(&self) -> Moment {
        Moment::from_nanos(self.up_at)
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.rules.restart == Restart::Temporary
    }

    /// What it has beyond the ordinary, if it has something.
    pub(super) fn seen(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Takes the reason with which its life ends whatever is reported.
    pub(super) fn take_doom(&mut self) -> Option<ExitReason> {
        self.extra.as_mut()?.doom.take()
    }

    pub(super) fn forget_progress(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.progress = None;
        }
    }

    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        self.extra.as_mut()?.pending.take()
    }

    fn view(&self) -> ChildView<'_> {
        ChildView {
            id: &self.id,
            rules: &self.rules,
            kind: self.kind,
            state: self.life.state(),
            start: self.life.start(),
        }
    }
}

/// All children of a supervisor, by key, by position and by name.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_key: Numbered<ChildKey, Child>,
    order: BTreeMap<Position, ChildKey>,
    /// Made when first asked for: a supervisor that is never asked for a child by name does not pay for it.
    by_id: Option<BTreeMap<ChildId, ChildKey>>,
    alarms: BTreeSet<(Moment, Alarm)>,
    /// Who has one of them; nobody has two. Few have one at a time, and they come and go with every stop.
    alarmed: NumberMap<ChildKey, (Moment, Alarm)>,
    keys: u64,
    starts: u64,
    /// How many children are significant and present.
    significant: usize,
    /// How many children are being restarted.
    restarting: usize,
    /// How many children are quarantined.
    quarantined: usize,
    /// How many children say after whom they start.
    dependent: usize,
}

impl Children {
    /// These children, in this order.
    pub(super) fn of(children: impl ExactSizeIterator<Item = (ChildId, Arc<ChildRules>)>) -> Self {
        let child = |(position, (id, rules))| Child::new(id, rules, position);
        let by_key = Numbered::of(children.enumerate().map(|(place, child)| (place as Position, child)).map(child));
        let keys = by_key.len() as u64;
        // Made of all at once: in a map that grows at its end every leaf is left half empty.
        let order = (0..keys).map(|number| (number, ChildKey(number))).collect();
        let dependent = by_key.values().filter(|child| child.rules.after.is_some()).count();
        Self { by_key, order, keys, dependent, ..Self::default() }
    }

    /// Adds a child at the end of the order.
    pub(super) fn append(&mut self, id: ChildId, rules: Arc<ChildRules>) -> ChildKey {
        let position = self.order.last_key_value().map_or(0, |(last, _)| last + 1);
        self.insert(id, rules, position)
    }

    /// Adds a child at a position that is free.
    pub(super) fn insert(&mut self, id: ChildId, rules: Arc<ChildRules>, position: Position) -> ChildKey {
        let key = ChildKey(self.keys);
        self.keys += 1;
        self.order.insert(position, key);
        if let Some(by_id) = &mut self.by_id {
            by_id.insert(id.clone(), key);
        }
        self.dependent += usize::from(rules.after.is_some());
        self.by_key.insert(key, Child::new(id, rules, position));
        key
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.by_key.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.by_key.get_mut(&key)
    }

    /// The child of this name.
    pub(super) fn named(&mut self, id: &ChildId) -> Option<ChildKey> {
        let (by_key, order) = (&self.by_key, &self.order);
        let named = |key: &ChildKey| by_key.get(key).map(|child| (child.id.clone(), *key));
        let by_id = self.by_id.get_or_insert_with(|| order.values().filter_map(named).collect());
        by_id.get(id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn restarting(&self) -> usize {
        self.restarting
    }

    pub(super) fn quarantined(&self) -> usize {
        self.quarantined
    }

    pub(super) fn any_significant_present(&self) -> bool {
        self.significant > 0
    }

    /// Whether some child says after whom it starts.
    pub(super) fn any_dependent(&self) -> bool {
        self.dependent > 0
    }

    /// Moves a child to another state and returns the one it leaves. Whatever alarm was set for it is off.
    pub(super) fn set_life(&mut self, key: ChildKey, life: Life) -> Option<Life> {
        self.set_alarm(key, None);
        let child = self.by_key.get_mut(&key)?;
        let old = mem::replace(&mut child.life, life);
        if child.rules.significant {
            self.significant += usize::from(child.life.is_present());
            self.significant -= usize::from(old.is_present());
        }
        self.restarting += usize::from(matches!(child.life, Life::Restarting));
        self.restarting -= usize::from(matches!(old, Life::Restarting));
        self.quarantined += usize::from(matches!(child.life, Life::Quarantined));
        self.quarantined -= usize::from(matches!(old, Life::Quarantined));
        Some(old)
    }

    /// Gives a child other rules.
    pub(super) fn set_rules(&mut self, key: ChildKey, rules: Arc<ChildRules>) {
        let Some(child) = self.by_key.get_mut(&key) else { return };
        let present = child.life.is_present();
        self.significant -= usize::from(child.rules.significant && present);
        self.significant += usize::from(rules.significant && present);
        self.dependent -= usize::from(child.rules.after.is_some());
        self.dependent += usize::from(rules.after.is_some());
        child.rules = rules;
    }

    /// Sets the alarm of a child, or takes it off.
    pub(super) fn set_alarm(&mut self, key: ChildKey, alarm: Option<(Moment, Alarm)>) {
        let old = match alarm {
            _ if self.by_key.get(&key).is_none() => return,
            Some(alarm) => self.alarmed.insert(key, alarm),
            None if self.alarmed.is_empty() => return,
            None => self.alarmed.remove(&key),
        };
        if let Some(old) = old {
            self.alarms.remove(&old);
        }
        self.alarms.extend(alarm);
    }

    /// Sets an alarm that is not one child's.
    pub(super) fn set_common_alarm(&mut self, at: Moment, alarm: Alarm) {
        self.alarms.insert((at, alarm));
    }

    /// When the next alarm is due.
    pub(super) fn next_alarm(&self) -> Option<Moment> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// When somebody is killed or abandoned next.
    pub(super) fn next_end(&self) -> Option<Moment> {
        let ends = |alarm: &Alarm| matches!(alarm, Alarm::Kill(_) | Alarm::KillAll | Alarm::Abandon(_));
        self.alarms.iter().find(|(_, alarm)| ends(alarm)).map(|(at, _)| *at)
    }

    /// Takes the next alarm that is due.
    pub(super) fn due(&mut self, now: Moment) -> Option<Alarm> {
        let (at, alarm) = *self.alarms.first()?;
        if at > now {
            return None;
        }
        self.alarms.remove(&(at, alarm));
        if let Some(child) = alarm.child() {
            self.alarmed.remove(&child);
        }
        Some(alarm)
    }

    pub(super) fn forget(&mut self, key: ChildKey) {
        self.set_life(key, Life::Stopped);
        if let Some(child) = self.by_key.remove(&key) {
            self.order.remove(&child.position);
            self.dependent -= usize::from(child.rules.after.is_some());
            if let Some(by_id) = &mut self.by_id {
                by_id.remove(&child.id);
            }
        }
    }

    /// Puts the children into this order.
    pub(super) fn reorder(&mut self, order: Vec<ChildKey>) {
        self.order = (0..).zip(order).collect();
        for (position, key) in &self.order {
            if let Some(child) = self.by_key.get_mut(key) {
                child.position = *position;
            }
        }
    }

    /// The number of the next start.
    pub(super) fn next_start(&mut self) -> Start {
        let start = Start(NonZeroU64::MIN.saturating_add(self.starts));
        self.starts += 1;
        start
    }

    /// The first child at `from` or after it, but before `end`.
    pub(super) fn first_in(&self, from: Position, end: Position) -> Option<(Position, ChildKey)> {
        // `BTreeMap::range` panics on a range that is the wrong way round.
        if from >= end {
            return None;
        }
        self.order.range(from..end).next().map(|(position, key)| (*position, *key))
    }

    /// The last child at `from` or after it, but before `end`.
    pub(super) fn last_in(&self, from: Position, end: Position) -> Option<(Position, ChildKey)> {
        if from >= end {
            return None;
        }
        self.order.range(from..end).next_back().map(|(position, key)| (*position, *key))
    }

    /// The children at `from` or after it, but before `end`, in order.
    pub(super) fn within(&self, from: Position, end: Position) -> Vec<ChildKey> {
        if from >= end {
            return Vec::new();
        }
        self.order.range(from..end).map(|(_, key)| *key).collect()
    }

    pub(super) fn view(&self, key: ChildKey) -> Option<ChildView<'_>> {
        self.by_key.get(&key).map(Child::view)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = (ChildKey, ChildView<'_>)> {
        self.order.values().filter_map(|key| Some((*key, self.view(*key)?)))
    }
}
