//! What waits in front of an agent: a plain queue, or lanes where its limits ask for them.
//!
//! A plain queue costs half of what lanes do, and most agents need no more.

use std::collections::VecDeque;
use std::time::Instant;

use super::letter::Letter;
use super::stamp::{Mark, Stamp, moment};
use crate::flow::{AgentLimits, Lanes, Mailbox, Moment, Order, Queued, Shed, ShedReason};
use crate::message::{Kind, Priority};

/// What waits in front of an agent.
pub(super) enum Inbox<M, R> {
    Plain {
        mailbox: Mailbox<Letter<M, R>>,
        /// How many have been taken for good: the number of the first that waits.
        taken: u64,
    },
    Lanes {
        lanes: Box<Lanes<Parcel<M, R>>>,
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
    Lanes(Box<LaneItems<M, R>>),
}

pub(super) struct LaneItems<M, R> {
    letters: VecDeque<Queued<Parcel<M, R>>>,
    /// Before this none of them is over. So that they are not held against the clock one by one, in its nanoseconds.
    calm: Option<Instant>,
    epoch: Instant,
}

/// A letter in a lane, with what its mark says, but for its end, which the lane is told. The priority is there once more for
/// lanes that go by arrival.
pub(super) struct Parcel<M, R> {
    letter: Letter<M, R>,
    kind: Kind,
    priority: Priority,
}

/// A letter, out of the hand.
pub(super) struct Numbered<M, R> {
    pub(super) letter: Letter<M, R>,
    /// What is said of it, where it has no ticket.
    pub(super) mark: Mark,
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
            Self::Lanes(items) => items.letters.len(),
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
                Some(Numbered { letter, mark: Mark::BLANK, sequence: *first })
            }
            Self::Lanes(items) => {
                let queued = items.letters.pop_front()?;
                let sequence = queued.arrival() + 1;
                let (letter, mark) = unpacked(queued);
                Some(Numbered { letter, mark, sequence })
            }
        }
    }

    /// Whether it is known, without a look at each, that none of them is over at this moment.
    pub(super) fn is_calm(&self, now: Instant) -> bool {
        matches!(self, Self::Lanes(items) if items.calm.is_some_and(|calm| now < calm))
    }

    /// Empty, it keeps its room for the next batch, but not the room of a flood.
    pub(super) fn trim(&mut self, room: usize) {
        let flood = match self {
            Self::Plain { letters, .. } => letters.capacity() > room,
            Self::Lanes(items) => items.letters.capacity() > room,
        };
        if flood {
            *self = Self::default();
        }
    }

    pub(super) fn into_letters(self) -> VecDeque<Letter<M, R>> {
        match self {
            Self::Plain { letters, .. } => letters,
            Self::Lanes(items) => {
                let LaneItems { letters, epoch, .. } = *items;
                let stamped = |(letter, mark): (Letter<M, R>, Mark)| letter.stamped(mark.stamp(epoch));
                letters.into_iter().map(unpacked).map(stamped).collect()
            }
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

    /// Adds a letter with its stamp; one with a ticket has that there. Returns one that had to go for it.
    pub(super) fn push(
        &mut self,
        letter: Letter<M, R>,
        stamp: Stamp,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Lost<M, R>>, NoRoomFor<M, R>> {
        match self {
            Self::Plain { mailbox, .. } => match mailbox.push(letter.stamped(stamp)) {
                Ok(()) => Ok(None),
                Err(full) => Err((full.0, mailbox.bound())),
            },
            Self::Lanes { lanes, rules } => {
                // The time says who has expired, which matters only where room is to be made.
                let now = if lanes.room() == 0 { moment(now(), rules.epoch) } else { Moment::ZERO };
                match lanes.push(now, rules.queued(letter, stamp)) {
                    Ok(shed) => Ok(shed.map(lost)),
                    Err(refused) => Err((refused.queued.message.letter, refused.bound)),
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
                    *items = rules.items(VecDeque::new());
                }
                let mut shed = Vec::new();
                if let Items::Lanes(items) = items {
                    let LaneItems { letters, calm, .. } = &mut **items;
                    lanes.take(moment(now(), rules.epoch), most, letters, &mut shed);
                    *calm = letters.iter().map(Queued::end).min().and_then(|end| Some(rules.epoch + end.at()?));
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
            Self::Lanes { lanes, rules } => {
                let mut waiting = lanes.empty();
                waiting.make_contiguous().sort_by_key(Queued::arrival);
                (rules.items(waiting), lanes.arrivals())
            }
        }
    }

    /// Takes everything out, of lanes without the stamps: for who will not handle it. It is open for more.
    pub(super) fn empty(&mut self) -> VecDeque<Letter<M, R>> {
        match self {
            Self::Plain { mailbox, taken } => {
                let mut all = VecDeque::new();
                mailbox.take(usize::MAX, &mut all);
                *taken += all.len() as u64;
                all
            }
            Self::Lanes { lanes, .. } => lanes.empty().into_iter().map(|queued| queued.message.letter).collect(),
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
            Self::Lanes { lanes, .. } => {
                let out = lanes.take_out(|parcel| is_meant(&parcel.letter));
                out.into_iter().map(|queued| queued.message.letter).collect()
            }
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
    /// What came before, as it is put into these lanes: it may have been in others, or in none.
    fn lined_up<M, R>(&self, items: Items<M, R>) -> VecDeque<Queued<Parcel<M, R>>> {
        match items {
            Items::Plain { letters, first } => (first..)
                .zip(letters)
                .map(|(number, letter)| self.queued(letter, Stamp::BLANK).again(number, 0))
                .collect(),
            Items::Lanes(items) => {
                let again = |queued: Queued<Parcel<M, R>>| {
                    let (arrival, age) = (queued.arrival(), queued.age());
                    let (letter, mark) = unpacked(queued);
                    self.marked(letter, mark).again(arrival, age)
                };
                items.letters.into_iter().map(again).collect()
            }
        }
    }

    fn items<M, R>(&self, letters: VecDeque<Queued<Parcel<M, R>>>) -> Items<M, R> {
        Items::Lanes(Box::new(LaneItems { letters, calm: None, epoch: self.epoch }))
    }

    fn queued<M, R>(&self, letter: Letter<M, R>, stamp: Stamp) -> Queued<Parcel<M, R>> {
        self.marked(letter, Mark::of(stamp, self.epoch))
    }

    /// A ticket says all that there is to say; without one the mark does.
    fn marked<M, R>(&self, letter: Letter<M, R>, mark: Mark) -> Queued<Parcel<M, R>> {
        let Mark { end, kind, priority } =
            letter.ticket.as_ref().map_or(mark, |ticket| Mark::of(ticket.said.stamp(), self.epoch));
        let expires = letter.expires();
        let lane = match self.order {
            Order::Priority => priority,
            // Every letter in the same lane.
            _ => Priority::MEDIUM,
        };
        let queued = Queued::new(Parcel { letter, kind, priority }, lane).ends(end);
        match expires {
            Some(at) => queued.time_to_live(Moment::ZERO, moment(at, self.epoch)),
            None => queued,
        }
    }
}

fn unpacked<M, R>(queued: Queued<Parcel<M, R>>) -> (Letter<M, R>, Mark) {
    let end = queued.end();
    let Parcel { letter, kind, priority } = queued.message;
    let mark = if letter.ticket.is_some() { Mark::BLANK } else { Mark { end, kind, priority } };
    (letter, mark)
}

fn lost<M, R>(shed: Shed<Parcel<M, R>>) -> Lost<M, R> {
    (shed.queued.message.letter, shed.why)
}

#[cfg(test)]
mod tests;
