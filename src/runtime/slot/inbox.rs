//! What waits in front of an agent: a plain queue, or lanes where its limits ask for them.
//!
//! A plain queue costs half of what lanes do, and most agents need no more.

use std::collections::VecDeque;
use std::time::Instant;

use super::letter::Letter;
use crate::flow::{AgentLimits, Lanes, Mailbox, Moment, Order, Queued, Shed, ShedReason};
use crate::message::Priority;

/// What waits in front of an agent.
pub(super) enum Inbox<M, R> {
    Plain {
        mailbox: Mailbox<Letter<M, R>>,
        /// How many have been taken for good: the number of the first that waits.
        taken: u64,
    },
    Lanes {
        lanes: Box<Lanes<Letter<M, R>>>,
        rules: LaneRules,
    },
}

/// How lanes are used.
#[derive(Clone, Copy)]
pub(super) struct LaneRules {
    order: Order,
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
            return Self::Plain { mailbox: Mailbox::new(limits.mailbox), taken: 0 };
        }
        let rules = LaneRules { order: limits.order, epoch };
        Self::Lanes { lanes: Box::new(Lanes::new(limits.mailbox, limits.at_bound)), rules }
    }

    /// Adds a letter. Returns one that had to go for it.
    pub(super) fn push(
        &mut self,
        letter: Letter<M, R>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Lost<M, R>>, NoRoomFor<M, R>> {
        match self {
            Self::Plain { mailbox, .. } => match mailbox.push(letter) {
                Ok(()) => Ok(None),
                Err(full) => Err((full.0, mailbox.bound())),
            },
            Self::Lanes { lanes, rules } => {
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
            Self::Plain { mailbox, taken } => {
                if !matches!(items, Items::Plain { .. }) {
                    *items = Items::default();
                }
                if let Items::Plain { letters, first } = items {
                    mailbox.take(most, letters);
                    *first = *taken;
                    *taken += letters.len() as u64;
                }
            }
            Self::Lanes { lanes, rules } => {
                if !matches!(items, Items::Lanes(_)) {
                    *items = Items::Lanes(VecDeque::new());
                }
                let mut shed = Vec::new();
                if let Items::Lanes(letters) = items {
                    lanes.take(rules.moment(now()), most, letters, &mut shed);
                }
                late.extend(shed.into_iter().map(lost));
            }
        }
    }

    /// Puts back what was taken and not handled, first of all.
    pub(super) fn give_back(&mut self, items: Items<M, R>) {
        match (self, items) {
            // Also after updates that made something else of the inbox meanwhile: no number from the first of these on was
            // given to another.
            (Self::Plain { mailbox, taken }, Items::Plain { mut letters, .. }) => {
                *taken -= letters.len() as u64;
                mailbox.give_back(&mut letters);
            }
            // An update has made a plain queue of the lanes. What was taken out of those was not next to each other, and is
            // numbered anew.
            (Self::Plain { mailbox, .. }, items) => mailbox.give_back(&mut items.into_letters()),
            (Self::Lanes { lanes, rules }, items) => lanes.give_back(&mut rules.lined_up(items)),
        }
    }

    /// From now on it is as these limits say. What waits stays, also over a smaller bound. Numbers go on: none is given
    /// twice.
    pub(super) fn renew(&mut self, limits: &AgentLimits, epoch: Instant) {
        match self {
            Self::Plain { mailbox, .. } if limits.is_plain() => return mailbox.set_bound(limits.mailbox),
            Self::Lanes { lanes, rules } if rules.order == limits.order && !limits.is_plain() => {
                lanes.set_bound(limits.mailbox);
                return lanes.set_at_bound(limits.at_bound);
            }
            _ => {}
        }
        let (waiting, next) = self.in_order_of_arrival();
        *self = Self::new(limits, epoch);
        match self {
            // Numbered anew, since what waited in lanes need not have been next to each other.
            Self::Plain { mailbox, taken } => {
                *taken = next;
                mailbox.give_back(&mut waiting.into_letters());
            }
            Self::Lanes { lanes, rules } => {
                lanes.number_from(next);
                lanes.give_back(&mut rules.lined_up(waiting));
            }
        }
    }

    /// Takes everything out in the order in which it came, with the number of the next.
    fn in_order_of_arrival(&mut self) -> (Items<M, R>, u64) {
        match self {
            Self::Plain { taken, .. } => {
                let first = *taken;
                let letters = self.empty();
                let next = first + letters.len() as u64;
                (Items::Plain { letters, first }, next)
            }
            Self::Lanes { lanes, .. } => {
                let mut waiting = lanes.empty();
                waiting.make_contiguous().sort_by_key(Queued::arrival);
                (Items::Lanes(waiting), lanes.arrivals())
            }
        }
    }

    /// Takes everything out. It is open for more.
    pub(super) fn empty(&mut self) -> VecDeque<Letter<M, R>> {
        match self {
            Self::Plain { mailbox, taken } => {
                let mut all = VecDeque::new();
                mailbox.take(usize::MAX, &mut all);
                *taken += all.len() as u64;
                all
            }
            Self::Lanes { lanes, .. } => Items::Lanes(lanes.empty()).into_letters(),
        }
    }

    /// Takes out those that are meant; the others stay in their order.
    pub(super) fn take_out(&mut self, is_meant: impl Fn(&Letter<M, R>) -> bool) -> Vec<Letter<M, R>> {
        match self {
            Self::Plain { mailbox, taken } => {
                let mut all = VecDeque::new();
                mailbox.take(usize::MAX, &mut all);
                let (out, mut stay): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(is_meant);
                // What is gone was numbered before those that stay, or nobody will miss its number.
                *taken += out.len() as u64;
                mailbox.give_back(&mut stay);
                out.into()
            }
            Self::Lanes { lanes, .. } => lanes.take_out(is_meant).into_iter().map(|queued| queued.message).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain { mailbox, .. } => mailbox.len(),
            Self::Lanes { lanes, .. } => lanes.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Plain { mailbox, .. } => mailbox.room() > 0,
            Self::Lanes { lanes, .. } => lanes.room() > 0,
        }
    }

    /// Whether a push may succeed: lanes that are full may drop another message for it.
    pub(super) fn may_take(&self) -> bool {
        self.has_room() || matches!(self, Self::Lanes { .. })
    }
}

impl LaneRules {
    fn moment(&self, at: Instant) -> Moment {
        at.saturating_duration_since(self.epoch)
    }

    /// What came before, as it is put into these lanes: it may have been in others, or in none.
    fn lined_up<M, R>(&self, items: Items<M, R>) -> VecDeque<Queued<Letter<M, R>>> {
        match items {
            Items::Plain { letters, first } => {
                (first..).zip(letters).map(|(number, letter)| self.queued(letter).again(number, 0)).collect()
            }
            Items::Lanes(letters) => {
                let again = |queued: Queued<Letter<M, R>>| {
                    let (arrival, age) = (queued.arrival(), queued.age());
                    self.queued(queued.message).again(arrival, age)
                };
                letters.into_iter().map(again).collect()
            }
        }
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

#[cfg(test)]
mod tests;
