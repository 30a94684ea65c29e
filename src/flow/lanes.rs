//! A bounded queue of messages with priorities and ends, for agents that want more than the order of arrival.
//!
//! Ten lanes, one for each [`Priority`]. The urgent goes first, but a lane that waits ages: each message that is taken
//! from another lane brings it nearer, and after [`AGE_STEP`] of them it stands one level higher. What is taken from a
//! lane makes it young again.
//!
//! A lane ages, and not each message: if each aged by itself, those of a full mailbox would all be old, and a critical
//! message would wait behind thousands of them. (The scheme is that of a scheduler with dynamic priorities, as the
//! multi-level feedback queue of Corbató, Merwin-Daggett and Daley 1962, with the count of takes for a clock.)
//!
//! # Invariants
//!
//! * Within a priority messages come out in the order in which they went in, also those that were given back.
//! * The first message of the lane of priority `p` is taken after at most `AGE_STEP * (10 - p) + 9` others, whatever
//!   arrives meanwhile: at most `AGE_STEP` for each level above it, and one for each other lane that is as old.
//! * A message that has expired is never taken for handling. It comes out once, as expired.
//! * A push never makes it longer than its bound. Only what is given back can.
//! * No operation but [`sweep`](Lanes::sweep), [`take_out`](Lanes::take_out), [`close`](Lanes::close),
//!   [`len_of`](Lanes::len_of) and a batch depends on how many wait; nothing is allocated before the first message.

mod line;

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use self::line::Line;
use super::Moment;
use super::queued::{Expiry, Nanos, Queued};
use crate::message::Priority;

/// After how many messages of other lanes a lane that waits stands one level higher.
pub const AGE_STEP: u64 = 16;

const LANES: usize = 10;

/// What a push does where there is no room.
///
/// | setting | who goes | who stays |
/// |---|---|---|
/// | `Reject` | the new message | all that wait |
/// | `ShedOldest` | the message that arrived first, whatever its priority | the new one |
/// | `ShedLowest` | the last message of the lowest priority below the new one's; the new one, if there is none | the others |
///
/// Before any of these goes a message that has expired and is the first of its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AtBound {
    /// Refuses the new message.
    #[default]
    Reject,
    /// Makes room by dropping the message that arrived first.
    ShedOldest,
    /// Makes room by dropping the last message of the lowest priority, if that is below the new one's.
    ShedLowest,
}

/// A message that left without being handled, to become a dead letter.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "what is shed becomes a dead letter"]
pub struct Shed<T> {
    /// The message.
    pub queued: Queued<T>,
    /// Why it left.
    pub why: ShedReason,
}

/// Why a message left without being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ShedReason {
    /// It waited too long.
    #[error("{0}")]
    Expired(Expiry),
    /// The mailbox was full, and it was the one that had arrived first.
    #[error("the mailbox was full, and it was the oldest message in it")]
    Oldest,
    /// The mailbox was full, and something more urgent arrived.
    #[error("the mailbox was full, and a more urgent message arrived")]
    Lowest,
}

/// A push was refused for want of room. Holds the message.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox is full, with {bound} messages; send again later, or wait for room")]
pub struct NoRoom<T> {
    /// The message.
    pub queued: Queued<T>,
    /// The bound at which it was refused. 0 when the mailbox is closed.
    pub bound: usize,
}

// A message is a user's value, and need not be printable.

impl<T> fmt::Debug for Shed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shed").field("queued", &self.queued).field("why", &self.why).finish()
    }
}

impl<T> fmt::Debug for NoRoom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoRoom").field("queued", &self.queued).field("bound", &self.bound).finish()
    }
}

/// A bounded queue with ten lanes.
///
/// ```
/// use std::collections::VecDeque;
/// use std::time::Duration;
/// use steadfast::flow::{AtBound, Lanes, Priority, Queued, ShedReason};
///
/// let second = Duration::from_secs(1);
/// let mut lanes = Lanes::new(3, AtBound::ShedLowest);
/// for (message, priority) in [("a", Priority::LOW), ("b", Priority::MEDIUM), ("c", Priority::MEDIUM)] {
///     assert_eq!(lanes.push(second, Queued::new(message, priority)), Ok(None));
/// }
/// let urgent = Queued::new("d", Priority::CRITICAL).deadline(second * 2);
/// let shed = lanes.push(second, urgent).expect("something less urgent waits").expect("it was full");
/// assert_eq!((shed.queued.message, shed.why), ("a", ShedReason::Lowest));
///
/// let (mut batch, mut late) = (VecDeque::new(), Vec::new());
/// lanes.take(second * 2, 64, &mut batch, &mut late);
/// assert_eq!(batch.iter().map(|queued| queued.message).collect::<Vec<_>>(), ["b", "c"]);
/// assert_eq!(late[0].why.to_string(), "its deadline has passed");
/// ```
#[derive(Debug)]
pub struct Lanes<T> {
    queues: [Line<Queued<T>>; LANES],
    /// The lanes in which something waits, one bit each.
    waiting: u16,
    /// How many messages had been taken when a lane was last young.
    young: [u64; LANES],
    taken: u64,
    arrivals: u64,
    len: usize,
    bound: usize,
    at_bound: AtBound,
}

impl<T> Lanes<T> {
    /// Empty lanes that hold at most `bound` messages together.
    #[must_use]
    pub const fn new(bound: usize, at_bound: AtBound) -> Self {
        Self {
            queues: [const { Line::new() }; LANES],
            waiting: 0,
            young: [0; LANES],
            taken: 0,
            arrivals: 0,
            len: 0,
            bound,
            at_bound,
        }
    }

    /// Adds a message at the end of its lane. Returns the message that had to go for it, if there was no room.
    ///
    /// # Errors
    ///
    /// [`NoRoom`], with the message in it, when there is no room and none is to be made for it.
    pub fn push(&mut self, now: Moment, mut queued: Queued<T>) -> Result<Option<Shed<T>>, NoRoom<T>> {
        let mut shed = None;
        if self.room() == 0 {
            shed = self.make_room(now, queued.priority());
            if shed.is_none() {
                return Err(NoRoom { queued, bound: self.bound });
            }
        }
        queued.arrival = self.arrivals;
        queued.age = 0;
        self.arrivals += 1;
        let lane = lane_of(queued.priority());
        if self.queues[lane].is_empty() {
            self.young[lane] = self.taken;
        }
        self.queues[lane].push_back(queued);
        self.entered(lane);
        Ok(shed)
    }

    /// Takes one message out, so that one may come in.
    fn make_room(&mut self, now: Moment, newcomer: Priority) -> Option<Shed<T>> {
        if self.bound == 0 {
            return None;
        }
        let now = Nanos::of(now);
        if let Some(shed) = ones(self.waiting).find_map(|lane| self.pop_expired(lane, now)) {
            return Some(shed);
        }
        match self.at_bound {
            AtBound::Reject => None,
            AtBound::ShedOldest => {
                let oldest = ones(self.waiting).min_by_key(|lane| self.queues[*lane].front().map(Queued::arrival))?;
                Some(Shed { queued: self.pop(oldest)?, why: ShedReason::Oldest })
            }
            AtBound::ShedLowest => {
                let lowest = ones(self.waiting).next().filter(|lane| *lane < lane_of(newcomer))?;
                let queued = self.queues[lowest].pop_back()?;
                self.left(lowest);
                Some(Shed { queued, why: ShedReason::Lowest })
            }
        }
    }

    /// Moves up to `most` messages to the end of `batch`, in the order in which they are to be handled. What is found
    /// to have expired goes to `late` instead and is not counted.
    pub fn take(&mut self, now: Moment, most: usize, batch: &mut VecDeque<Queued<T>>, late: &mut Vec<Shed<T>>) {
        let mut wanted = most;
        let now = Nanos::of(now);
        while wanted > 0
            && let Some(lane) = self.next_lane()
        {
            if let Some(shed) = self.pop_expired(lane, now) {
                late.push(shed);
                continue;
            }
            wanted -= self.take_run(lane, now, wanted, batch);
        }
    }

    /// Moves messages of the lane whose turn it is, up to `most`, until one has expired or another lane has its turn. Returns
    /// how many.
    fn take_run(&mut self, lane: usize, now: Nanos, most: usize, batch: &mut VecDeque<Queued<T>>) -> usize {
        let most = usize::try_from(self.run(lane)).map_or(most, |run| run.min(most));
        // What it is owed is owed to the first; those behind it are young.
        let mut age = u32::try_from(self.age(lane)).unwrap_or(u32::MAX);
        let moved = self.queues[lane].take_while(
            most,
            |queued| !queued.end().is_over(now),
            |mut queued| {
                queued.age = mem::take(&mut age);
                batch.push_back(queued);
            },
        );
        self.taken += moved as u64;
        self.young[lane] = self.taken;
        self.len -= moved;
        self.note_if_empty(lane);
        moved
    }

    /// The lane whose turn it is: the one that stands highest with its age; among equals the one that waited longer.
    fn next_lane(&self) -> Option<usize> {
        if self.waiting.is_power_of_two() {
            return ones(self.waiting).next();
        }
        ones(self.waiting).max_by_key(|lane| (self.height(*lane), LANES - lane))
    }

    /// For how many messages it is the turn of this lane, whose turn it is, if nothing arrives: with the first that is taken
    /// it stands at its own level, and each of the others comes nearer by one with each.
    fn run(&self, lane: usize) -> u64 {
        let level = lane as u64 * AGE_STEP;
        let until = |other: usize| (level + u64::from(other > lane)).saturating_sub(self.height(other)).max(1);
        ones(self.waiting & !(1 << lane)).map(until).min().unwrap_or(u64::MAX)
    }

    fn height(&self, lane: usize) -> u64 {
        lane as u64 * AGE_STEP + self.age(lane)
    }

    /// How many messages of other lanes were taken since a message of this lane was, or since it had none.
    fn age(&self, lane: usize) -> u64 {
        self.taken - self.young[lane]
    }

    /// Puts messages that were taken and not handled back at the front of their lanes, in their order and as old as they
    /// were, also over the bound. Leaves `batch` empty.
    pub fn give_back(&mut self, batch: &mut VecDeque<Queued<T>>) {
        while let Some(queued) = batch.pop_back() {
            let lane = lane_of(queued.priority());
            self.young[lane] = self.taken.saturating_sub(queued.age.into());
            self.queues[lane].push_front(queued);
            self.entered(lane);
        }
    }

    /// Moves all messages that have expired to `late`, the less urgent first. Looks at each message that waits: for
    /// mailboxes from which nothing is taken, as that of an agent that is suspended.
    pub fn sweep(&mut self, now: Moment, late: &mut Vec<Shed<T>>) {
        for lane in 0..LANES {
            self.sift(lane, |queued| match queued.expired(now) {
                Some(expiry) => {
                    late.push(Shed { queued, why: ShedReason::Expired(expiry) });
                    None
                }
                None => Some(queued),
            });
        }
    }

    /// Takes out the messages that are meant, the most urgent first. The others stay in their order, and their lanes as old
    /// as they are.
    pub fn take_out(&mut self, is_meant: impl Fn(&T) -> bool) -> Vec<Queued<T>> {
        let mut out = Vec::new();
        for lane in (0..LANES).rev() {
            self.sift(lane, |queued| {
                if is_meant(&queued.message) {
                    out.push(queued);
                    return None;
                }
                Some(queued)
            });
        }
        out
    }

    /// Shows each message of a lane to `keep`, which returns those that stay.
    fn sift(&mut self, lane: usize, mut keep: impl FnMut(Queued<T>) -> Option<Queued<T>>) {
        for _ in 0..self.queues[lane].len() {
            let Some(queued) = self.queues[lane].pop_front() else { return };
            match keep(queued) {
                Some(queued) => self.queues[lane].push_back(queued),
                None => self.left(lane),
            }
        }
    }

    /// Takes no message from now on, and returns those that waited, the most urgent first.
    pub fn close(&mut self) -> VecDeque<Queued<T>> {
        self.bound = 0;
        self.empty()
    }

    /// Returns all messages that wait, the most urgent first.
    pub fn empty(&mut self) -> VecDeque<Queued<T>> {
        self.waiting = 0;
        self.len = 0;
        let mut all = VecDeque::new();
        self.queues.iter_mut().rev().for_each(|lane| all.extend(lane.drain()));
        all
    }

    /// Holds at most this many messages from now on. More that wait stay, and there is no room until they are fewer.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// Makes room in this way from now on.
    pub fn set_at_bound(&mut self, at_bound: AtBound) {
        self.at_bound = at_bound;
    }

    /// The number of the next message that arrives.
    pub(crate) const fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Gives what arrives numbers from this one on.
    pub(crate) const fn number_from(&mut self, arrivals: u64) {
        self.arrivals = arrivals;
    }

    fn pop_expired(&mut self, lane: usize, now: Nanos) -> Option<Shed<T>> {
        let expiry = self.queues[lane].front().filter(|queued| queued.end().is_over(now))?.expiry()?;
        Some(Shed { queued: self.pop(lane)?, why: ShedReason::Expired(expiry) })
    }

    fn pop(&mut self, lane: usize) -> Option<Queued<T>> {
        let queued = self.queues[lane].pop_front()?;
        self.left(lane);
        Some(queued)
    }

    fn entered(&mut self, lane: usize) {
        self.waiting |= 1 << lane;
        self.len += 1;
    }

    fn left(&mut self, lane: usize) {
        self.len -= 1;
        self.note_if_empty(lane);
    }

    fn note_if_empty(&mut self, lane: usize) {
        if self.queues[lane].is_empty() {
            self.waiting &= !(1 << lane);
        }
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many messages of a priority wait.
    #[must_use]
    pub fn len_of(&self, priority: Priority) -> usize {
        self.queues[lane_of(priority)].len()
    }

    /// How many messages may be pushed before it is full. 0 when it is closed.
    #[must_use]
    pub fn room(&self) -> usize {
        self.bound.saturating_sub(self.len)
    }

    /// The most messages that it holds. 0 when it is closed.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.bound
    }
}

/// The places of the bits that are set, the lowest first.
fn ones(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(place)
    })
}

/// The place of a priority's lane, from 0 on.
fn lane_of(priority: Priority) -> usize {
    usize::from(priority.get()) - 1
}

#[cfg(test)]
mod tests;
