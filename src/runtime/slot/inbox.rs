//! What waits in front of an agent: a plain queue, or lanes where its limits ask for them.
//!
//! A plain queue costs half of what lanes do, and most agents need no more.

use std::collections::VecDeque;
use std::time::Instant;

use super::letter::Letter;
use crate::flow::{AgentLimits, AtBound, Lanes, Mailbox, Moment, Order, Queued, Shed, ShedReason};
use crate::message::Priority;

/// What waits in front of an agent.
pub(super) enum Inbox<M, R> {
    /// A plain queue without the queue: nothing waits. So it is until the first message comes, and when the agent is at
    /// rest.
    Bare {
        bound: usize,
        taken: u64,
    },
    Plain(Box<Plain<M, R>>),
    Lanes(Box<InLanes<M, R>>),
}

/// A plain queue.
pub(super) struct Plain<M, R> {
    mailbox: Mailbox<Letter<M, R>>,
    /// How many have been taken for good: the number of the first that waits.
    taken: u64,
}

pub(super) struct InLanes<M, R> {
    lanes: Lanes<Letter<M, R>>,
    rules: LaneRules,
}

/// How lanes are used.
#[derive(Clone, Copy)]
pub(super) struct LaneRules {
    order: Order,
    at_bound: AtBound,
    /// The moment that times are counted from.
    epoch: Instant,
}

/// What was taken out of an inbox and not handled yet.
pub(super) enum Items<M, R> {
    Plain {
        letters: VecDeque<Letter<M, R>>,
        /// The number of the first.
        first: u64,
    },
    Lanes(VecDeque<Queued<Letter<M, R>>>),
}

/// A letter, out of the hand.
pub(super) struct Numbered<M, R> {
    pub(super) letter: Letter<M, R>,
    /// Its number among those of this slot, in the order in which they came.
    pub(super) sequence: u64,
}

/// A letter that left without being handled, and why.
pub(super) type Lost<M, R> = (Letter<M, R>, ShedReason);

/// A letter for which there is no room, and the bound.
pub(super) type NoRoomFor<M, R> = (Letter<M, R>, usize);

impl<M, R> Default for Items<M, R> {
    fn default() -> Self {
        Self::Plain { letters: VecDeque::new(), first: 0 }
    }
}

impl<M, R> Items<M, R> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain { letters, .. } => letters.len(),
            Self::Lanes(letters) => letters.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn pop(&mut self) -> Option<Numbered<M, R>> {
        match self {
            Self::Plain { letters, first } => {
                let letter = letters.pop_front()?;
                *first += 1;
                Some(Numbered { letter, sequence: *first })
            }
            Self::Lanes(letters) => {
                let queued = letters.pop_front()?;
                let sequence = queued.arrival() + 1;
                Some(Numbered { letter: queued.message, sequence })
            }
        }
    }

    /// Empty, it keeps its room for the next batch, but not the room of a flood.
    pub(super) fn trim(&mut self, room: usize) {
        let flood = match self {
            Self::Plain { letters, .. } => letters.capacity() > room,
            Self::Lanes(letters) => letters.capacity() > room,
        };
        if flood {
            *self = Self::default();
        }
    }

    pub(super) fn into_letters(self) -> VecDeque<Letter<M, R>> {
        match self {
            Self::Plain { letters, .. } => letters,
            Self::Lanes(letters) => letters.into_iter().map(|queued| queued.message).collect(),
        }
    }
}

impl<M, R> Inbox<M, R> {
    pub(super) fn new(limits: &AgentLimits, epoch: Instant) -> Self {
        if limits.is_plain() {
            return Self::Bare { bound: limits.mailbox, taken: 0 };
        }
        let rules = LaneRules { order: limits.order, at_bound: limits.at_bound, epoch };
        Self::Lanes(Box::new(InLanes { lanes: Lanes::new(limits.mailbox, limits.at_bound), rules }))
    }

    /// Gets a queue, where it has none.
    #[inline]
    fn furnish(&mut self) {
        if matches!(self, Self::Bare { .. }) {
            self.make_queue();
        }
    }

    #[cold]
    fn make_queue(&mut self) {
        if let Self::Bare { bound, taken } = *self {
            *self = Self::Plain(Box::new(Plain { mailbox: Mailbox::new(bound), taken }));
        }
    }

    /// Needs no room for messages until the next one comes.
    pub(super) fn rest(&mut self) {
        if let Self::Plain(plain) = self
            && plain.mailbox.is_empty()
        {
            *self = Self::Bare { bound: plain.mailbox.bound(), taken: plain.taken };
        }
    }

    /// Adds a letter. Returns one that had to go for it.
    pub(super) fn push(
        &mut self,
        letter: Letter<M, R>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Lost<M, R>>, NoRoomFor<M, R>> {
        self.furnish();
        match self {
            Self::Bare { bound, .. } => Err((letter, *bound)),
            Self::Plain(plain) => match plain.mailbox.push(letter) {
                Ok(()) => Ok(None),
                Err(full) => Err((full.0, plain.mailbox.bound())),
            },
            Self::Lanes(lined) => {
                let InLanes { lanes, rules } = &mut **lined;
                // The time says who has expired, which matters only where room is to be made.
                let now = if lanes.room() == 0 { rules.moment(now()) } else { Moment::ZERO };
                match lanes.push(now, rules.queued(letter)) {
                    Ok(shed) => Ok(shed.map(lost)),
                    Err(refused) => Err((refused.queued.message, refused.bound)),
                }
            }
        }
    }

    /// Moves up to `most` letters into empty hands.
    pub(super) fn take(
        &mut self,
        most: usize,
        items: &mut Items<M, R>,
        now: impl FnOnce() -> Instant,
        late: &mut Vec<Lost<M, R>>,
    ) {
        match self {
            Self::Bare { .. } => {}
            Self::Plain(plain) => {
                if !matches!(items, Items::Plain { .. }) {
                    *items = Items::default();
                }
                if let Items::Plain { letters, first } = items {
                    plain.mailbox.take(most, letters);
                    *first = plain.taken;
                    plain.taken += letters.len() as u64;
                }
            }
            Self::Lanes(lined) => {
                if !matches!(items, Items::Lanes(_)) {
                    *items = Items::Lanes(VecDeque::new());
                }
                let mut shed = Vec::new();
                if let Items::Lanes(letters) = items {
                    lined.lanes.take(lined.rules.moment(now()), most, letters, &mut shed);
                }
                late.extend(shed.into_iter().map(lost));
            }
        }
    }

    /// Puts back what was taken and not handled, first of all.
    pub(super) fn give_back(&mut self, items: Items<M, R>) {
        self.furnish();
        match (self, items) {
            (Self::Bare { .. }, _) => {}
            (Self::Plain(plain), Items::Plain { mut letters, .. }) => {
                plain.taken -= letters.len() as u64;
                plain.mailbox.give_back(&mut letters);
            }
            (Self::Lanes(lined), Items::Lanes(mut letters)) => lined.lanes.give_back(&mut letters),
            // An update has changed the kind of inbox meanwhile.
            (Self::Plain(plain), items) => plain.mailbox.give_back(&mut items.into_letters()),
            (Self::Lanes(lined), items) => {
                let InLanes { lanes, rules } = &mut **lined;
                let mut letters = items.into_letters().into_iter().map(|letter| rules.queued(letter)).collect();
                lanes.give_back(&mut letters);
            }
        }
    }

    /// From now on it is as these limits say. What waits stays, also over a smaller bound.
    pub(super) fn renew(&mut self, limits: &AgentLimits, epoch: Instant) {
        match self {
            Self::Bare { bound, .. } if limits.is_plain() => {
                *bound = limits.mailbox;
                return;
            }
            Self::Plain(plain) if limits.is_plain() => return plain.mailbox.set_bound(limits.mailbox),
            Self::Lanes(lined) if lined.rules.order == limits.order && lined.rules.at_bound == limits.at_bound => {
                return lined.lanes.set_bound(limits.mailbox);
            }
            _ => {}
        }
        let waiting = self.empty();
        *self = Self::new(limits, epoch);
        if let Self::Bare { taken, .. } = self {
            *taken = waiting.len() as u64;
        }
        if !waiting.is_empty() {
            self.give_back(Items::Plain { letters: waiting, first: 0 });
        }
    }

    /// Takes everything out. It is open for more.
    pub(super) fn empty(&mut self) -> VecDeque<Letter<M, R>> {
        match self {
            Self::Bare { .. } => VecDeque::new(),
            Self::Plain(plain) => {
                let mut all = VecDeque::new();
                plain.mailbox.take(usize::MAX, &mut all);
                plain.taken += all.len() as u64;
                all
            }
            Self::Lanes(lined) => Items::Lanes(lined.lanes.empty()).into_letters(),
        }
    }

    /// Takes out those that are meant; the others stay in their order.
    pub(super) fn take_out(&mut self, is_meant: impl Fn(&Letter<M, R>) -> bool) -> Vec<Letter<M, R>> {
        match self {
            Self::Bare { .. } => Vec::new(),
            Self::Plain(plain) => {
                let mut all = VecDeque::new();
                plain.mailbox.take(usize::MAX, &mut all);
                let (out, mut stay): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(is_meant);
                // What is gone was numbered before those that stay, or nobody will miss its number.
                plain.taken += out.len() as u64;
                plain.mailbox.give_back(&mut stay);
                out.into()
            }
            Self::Lanes(lined) => {
                let (out, mut stay): (VecDeque<_>, VecDeque<_>) =
                    lined.lanes.empty().into_iter().partition(|queued| is_meant(&queued.message));
                lined.lanes.give_back(&mut stay);
                out.into_iter().map(|queued| queued.message).collect()
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bare { .. } => 0,
            Self::Plain(plain) => plain.mailbox.len(),
            Self::Lanes(lined) => lined.lanes.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Bare { bound, .. } => *bound > 0,
            Self::Plain(plain) => plain.mailbox.room() > 0,
            Self::Lanes(lined) => lined.lanes.room() > 0,
        }
    }

    /// Whether a push may succeed: lanes that are full may drop another message for it.
    pub(super) fn may_take(&self) -> bool {
        self.has_room() || matches!(self, Self::Lanes(_))
    }
}

impl LaneRules {
    fn moment(&self, at: Instant) -> Moment {
        at.saturating_duration_since(self.epoch)
    }

    fn queued<M, R>(&self, letter: Letter<M, R>) -> Queued<Letter<M, R>> {
        let priority = match self.order {
            Order::Priority => letter.priority(),
            // Every letter in the same lane.
            _ => Priority::MEDIUM,
        };
        let (deadline, expires) = (letter.deadline(), letter.expires());
        let mut queued = Queued::new(letter, priority);
        if let Some(deadline) = deadline {
            queued = queued.deadline(self.moment(deadline));
        }
        if let Some(expires) = expires {
            queued = queued.time_to_live(Moment::ZERO, self.moment(expires));
        }
        queued
    }
}

fn lost<M, R>(shed: Shed<Letter<M, R>>) -> Lost<M, R> {
    (shed.queued.message, shed.why)
}
