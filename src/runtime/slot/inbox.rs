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
    lanes: Lanes<Filed<M, R>>,
    rules: LaneRules,
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
    letters: VecDeque<Queued<Filed<M, R>>>,
    /// Before this none of them is over. So that they are not held against the clock one by one, in its nanoseconds.
    calm: Option<Instant>,
    epoch: Instant,
}

/// A letter in a lane, with what its mark says, but for its end, which the lane is told. The priority is there once more for
/// lanes that go by arrival.
pub(super) struct Filed<M, R> {
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

    /// Whether one of them is meant.
    pub(super) fn any(&self, is_meant: impl Fn(&Letter<M, R>) -> bool) -> bool {
        match self {
            Self::Plain { letters, .. } => letters.iter().any(is_meant),
            Self::Lanes(items) => items.letters.iter().any(|queued| is_meant(&queued.message.letter)),
        }
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
            return Self::Bare { bound: limits.mailbox, taken: 0 };
        }
        let rules = LaneRules { order: limits.order, epoch };
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

    /// Adds a letter with its stamp; one with a ticket has that there. Returns one that had to go for it.
    pub(super) fn push(
        &mut self,
        letter: Letter<M, R>,
        stamp: Stamp,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Lost<M, R>>, NoRoomFor<M, R>> {
        self.furnish();
        match self {
            Self::Bare { bound, .. } => Err((letter, *bound)),
            Self::Plain(plain) => match plain.mailbox.push(letter.stamped(stamp)) {
                Ok(()) => Ok(None),
                Err(full) => Err((full.0, plain.mailbox.bound())),
            },
            Self::Lanes(lined) => {
                let InLanes { lanes, rules } = &mut **lined;
                // The time says who has expired, which matters only where room is to be made.
                let now = if lanes.room() == 0 { moment(now(), rules.epoch) } else { Moment::ZERO };
                match lanes.push(now, rules.queued(letter, stamp)) {
                    Ok(shed) => Ok(shed.map(|shed| lost(shed, rules.epoch))),
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
                let InLanes { lanes, rules } = &mut **lined;
                if !matches!(items, Items::Lanes(_)) {
                    *items = rules.items(VecDeque::new());
                }
                let mut shed = Vec::new();
                if let Items::Lanes(items) = items {
                    let LaneItems { letters, calm, .. } = &mut **items;
                    lanes.take(moment(now(), rules.epoch), most, letters, &mut shed);
                    *calm = letters.iter().map(Queued::end).min().and_then(|end| Some(rules.epoch + end.at()?));
                }
                late.extend(shed.into_iter().map(|shed| lost(shed, rules.epoch)));
            }
        }
    }

    /// Puts back what was taken and not handled, first of all.
    pub(super) fn give_back(&mut self, items: Items<M, R>) {
        self.furnish();
        match (self, items) {
            (Self::Bare { .. }, _) => {}
            // Also after updates that made something else of the inbox meanwhile: no number from the first of these on was
            // given to another.
            (Self::Plain(plain), Items::Plain { mut letters, .. }) => {
                plain.taken -= letters.len() as u64;
                plain.mailbox.give_back(&mut letters);
            }
            // An update has made a plain queue of the lanes. What was taken out of those was not next to each other, and is
            // numbered anew.
            (Self::Plain(plain), items) => plain.mailbox.give_back(&mut items.into_letters()),
            (Self::Lanes(lined), items) => {
                let InLanes { lanes, rules } = &mut **lined;
                lanes.give_back(&mut rules.lined_up(items));
            }
        }
    }

    /// From now on it is as these limits say. What waits stays, also over a smaller bound. Numbers go on: none is given
    /// twice.
    pub(super) fn renew(&mut self, limits: &AgentLimits, epoch: Instant) {
        match self {
            Self::Bare { bound, .. } if limits.is_plain() => {
                *bound = limits.mailbox;
                return;
            }
            Self::Plain(plain) if limits.is_plain() => return plain.mailbox.set_bound(limits.mailbox),
            Self::Lanes(lined) if lined.rules.order == limits.order && !limits.is_plain() => {
                lined.lanes.set_bound(limits.mailbox);
                return lined.lanes.set_at_bound(limits.at_bound);
            }
            _ => {}
        }
        let (waiting, next) = self.in_order_of_arrival();
        *self = Self::new(limits, epoch);
        match self {
            // Numbered anew, since what waited in lanes need not have been next to each other.
            Self::Bare { taken, .. } => *taken = next,
            Self::Plain(plain) => plain.taken = next,
            Self::Lanes(lined) => lined.lanes.number_from(next),
        }
        if waiting.is_empty() {
            return;
        }
        self.furnish();
        match self {
            Self::Bare { .. } => {}
            Self::Plain(plain) => plain.mailbox.give_back(&mut waiting.into_letters()),
            Self::Lanes(lined) => {
                let InLanes { lanes, rules } = &mut **lined;
                lanes.give_back(&mut rules.lined_up(waiting));
            }
        }
    }

    /// Takes everything out in the order in which it came, with the number of the next.
    fn in_order_of_arrival(&mut self) -> (Items<M, R>, u64) {
        match self {
            Self::Bare { taken, .. } => (Items::default(), *taken),
            Self::Plain(plain) => {
                let first = plain.taken;
                let letters = self.empty();
                let next = first + letters.len() as u64;
                (Items::Plain { letters, first }, next)
            }
            Self::Lanes(lined) => {
                let mut waiting = lined.lanes.empty();
                waiting.make_contiguous().sort_by_key(Queued::arrival);
                (lined.rules.items(waiting), lined.lanes.arrivals())
            }
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
            Self::Lanes(lined) => lined.emptied().into_letters(),
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
                let InLanes { lanes, rules } = &mut **lined;
                let out = lanes.take_out(|filed| is_meant(&filed.letter));
                rules.items(out.into()).into_letters().into()
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

impl<M, R> InLanes<M, R> {
    fn emptied(&mut self) -> Items<M, R> {
        let waiting = self.lanes.empty();
        self.rules.items(waiting)
    }
}

impl LaneRules {
    /// What came before, as it is put into these lanes: it may have been in others, or in none.
    fn lined_up<M, R>(&self, items: Items<M, R>) -> VecDeque<Queued<Filed<M, R>>> {
        match items {
            Items::Plain { letters, first } => (first..)
                .zip(letters)
                .map(|(number, letter)| self.queued(letter, Stamp::BLANK).again(number, 0))
                .collect(),
            Items::Lanes(items) => {
                let again = |queued: Queued<Filed<M, R>>| {
                    let (arrival, age) = (queued.arrival(), queued.age());
                    let (letter, mark) = unpacked(queued);
                    self.marked(letter, mark).again(arrival, age)
                };
                items.letters.into_iter().map(again).collect()
            }
        }
    }

    fn items<M, R>(&self, letters: VecDeque<Queued<Filed<M, R>>>) -> Items<M, R> {
        Items::Lanes(Box::new(LaneItems { letters, calm: None, epoch: self.epoch }))
    }

    fn queued<M, R>(&self, letter: Letter<M, R>, stamp: Stamp) -> Queued<Filed<M, R>> {
        self.marked(letter, Mark::of(stamp, self.epoch))
    }

    /// A ticket says all that there is to say; without one the mark does.
    fn marked<M, R>(&self, letter: Letter<M, R>, mark: Mark) -> Queued<Filed<M, R>> {
        let Mark { end, kind, priority } =
            letter.ticket.as_ref().map_or(mark, |ticket| Mark::of(ticket.said.stamp(), self.epoch));
        let expires = letter.expires();
        let lane = match self.order {
            Order::Priority => priority,
            // Every letter in the same lane.
            _ => Priority::MEDIUM,
        };
        let queued = Queued::new(Filed { letter, kind, priority }, lane).ends(end);
        match expires {
            Some(at) => queued.time_to_live(Moment::ZERO, moment(at, self.epoch)),
            None => queued,
        }
    }
}

fn unpacked<M, R>(queued: Queued<Filed<M, R>>) -> (Letter<M, R>, Mark) {
    let end = queued.end();
    let Filed { letter, kind, priority } = queued.message;
    let mark = if letter.ticket.is_some() { Mark::BLANK } else { Mark { end, kind, priority } };
    (letter, mark)
}

/// With its stamp, for who gets it back or finds it among the dead letters.
fn lost<M, R>(shed: Shed<Filed<M, R>>, epoch: Instant) -> Lost<M, R> {
    let (letter, mark) = unpacked(shed.queued);
    (letter.stamped(mark.stamp(epoch)), shed.why)
}

#[cfg(test)]
mod tests;
