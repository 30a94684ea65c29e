//! What becomes of messages that nobody handled: they are kept for a while, with the reason, and counted for ever.
//!
//! # Invariants
//!
//! * There are never more letters than the bound; the oldest goes first, and is counted.
//! * No count goes back: of what came in, by reason, and of what went out, by way.
//! * What came in is here, was taken, or went at the bound; nothing else.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::id::Path;

/// How many dead letters are kept unless told otherwise.
pub const DEFAULT_DEAD_LETTERS: usize = 1024;

/// Makes the reasons and their table from one declaration.
macro_rules! reasons {
    ($( $(#[$doc:meta])* $reason:ident $word:literal; )+) => {
        /// Why nobody handled a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DeadReason {
            $( $(#[$doc])* $reason, )+
        }

        impl DeadReason {
            /// All reasons, in order.
            pub const ALL: [Self; [$($word),+].len()] = [$( Self::$reason ),+];

            /// The word for it, in logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$reason => $word, )+ }
            }
        }
    };
}

reasons! {
    /// Its deadline or its time to live was over before it was handled; or it is a reply that came too late.
    Expired "expired";
    /// The mailbox was full, or its sender may not send any more.
    Refused "refused";
    /// Nobody listens to its subject, or offers what it asks for.
    NoReceiver "no receiver";
    /// Its receiver ended, and is not coming back.
    Gone "gone";
    /// Its bytes are not a message of the expected type.
    DecodeError "decode error";
    /// It made room for others.
    Shed "shed";
    /// It was published or broadcast, and making a message to its receiver of it panicked.
    Unconverted "unconverted";
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names a dead letter. Later ones have higher numbers; none is given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(u64);

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a message was given up, why, and whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Death {
    why: DeadReason,
    at: Instant,
    receiver: Option<Path>,
}

impl Death {
    /// For this reason, at this moment, with nobody known whose the message was.
    pub const fn new(why: DeadReason, at: Instant) -> Self {
        Self { why, at, receiver: None }
    }

    /// The message was for whom stands at this path.
    pub fn to(mut self, receiver: Path) -> Self {
        self.receiver = Some(receiver);
        self
    }
}

/// A message that nobody handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter<M> {
    /// Its name here.
    pub id: LetterId,
    /// When it was given up.
    pub at: Instant,
    /// Why.
    pub why: DeadReason,
    /// For whom it was, where that is known.
    pub receiver: Option<Path>,
    /// The message.
    pub message: M,
}

impl<M> DeadLetter<M> {
    /// The same letter with another message, such as what is said of it to people.
    pub(crate) fn with_message<N>(&self, message: N) -> DeadLetter<N> {
        DeadLetter { id: self.id, at: self.at, why: self.why, receiver: self.receiver.clone(), message }
    }
}

/// Which letters are meant. Says nothing at first, which means all.
///
/// ```
/// use steadfast::message::{DeadReason, Filter};
///
/// let filter = Filter::all().because(DeadReason::Expired).to("root/data".parse()?);
/// # Ok::<(), steadfast::InvalidName>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Filter {
    why: Option<DeadReason>,
    within: Option<Path>,
    since: Option<Instant>,
}

impl Filter {
    /// All letters.
    pub const fn all() -> Self {
        Self { why: None, within: None, since: None }
    }

    /// Only those for this reason.
    pub const fn because(mut self, why: DeadReason) -> Self {
        self.why = Some(why);
        self
    }

    /// Only those to this path or below it.
    pub fn to(mut self, path: Path) -> Self {
        self.within = Some(path);
        self
    }

    /// Only those from this moment on.
    pub const fn since(mut self, at: Instant) -> Self {
        self.since = Some(at);
        self
    }

    /// Whether a letter is one of those.
    #[must_use]
    pub fn includes<M>(&self, letter: &DeadLetter<M>) -> bool {
        let to = |path: &Path| letter.receiver.as_ref().is_some_and(|receiver| receiver.is_within(path));
        self.why.is_none_or(|why| letter.why == why)
            && self.within.as_ref().is_none_or(to)
            && self.since.is_none_or(|since| letter.at >= since)
    }
}

/// How many letters there were. Counts only go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCounts {
    by_reason: [u64; DeadReason::ALL.len()],
    taken: u64,
    overflowed: u64,
}

impl DeadLetterCounts {
    /// How many came in for this reason.
    #[must_use]
    pub const fn because(&self, why: DeadReason) -> u64 {
        self.by_reason[why as usize]
    }

    /// How many came in.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_reason.iter().sum()
    }

    /// How many were taken out, to be sent again or thrown away.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// How many went because newer ones needed the room.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

/// Messages that nobody handled, the latest ones.
///
/// ```
/// use steadfast::message::{DeadLetters, DeadReason, Death, Filter};
/// # use steadfast::seam::Clock;
/// # let now = steadfast::TokioClock.now();
///
/// let mut letters = DeadLetters::new(100);
/// let (id, _) = letters.put("too late", Death::new(DeadReason::Expired, now).to("root/worker".parse()?));
///
/// assert_eq!(letters.query(&Filter::all().because(DeadReason::Gone)).count(), 0);
/// let again = letters.take(id).expect("it is kept");
/// assert_eq!((again.message, letters.counts().because(DeadReason::Expired)), ("too late", 1));
/// # Ok::<(), steadfast::InvalidName>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeadLetters<M> {
    letters: VecDeque<DeadLetter<M>>,
    counts: DeadLetterCounts,
    bound: usize,
    next: u64,
}

impl<M> Default for DeadLetters<M> {
    fn default() -> Self {
        Self::new(DEFAULT_DEAD_LETTERS)
    }
}

impl<M> DeadLetters<M> {
    /// Keeps at most so many letters. With a bound of 0 they are only counted. Allocates nothing before the first.
    #[must_use]
    pub const fn new(bound: usize) -> Self {
        let counts = DeadLetterCounts { by_reason: [0; DeadReason::ALL.len()], taken: 0, overflowed: 0 };
        Self { letters: VecDeque::new(), counts, bound, next: 0 }
    }

    /// Puts a message here. Returns its name, and the letter that made room for it, which may be itself: a user's value
    /// is dropped by the caller, and not under the caller's lock.
    pub fn put(&mut self, message: M, death: Death) -> (LetterId, Option<DeadLetter<M>>) {
        let Death { why, at, receiver } = death;
        let id = LetterId(self.next);
        self.next += 1;
        self.counts.by_reason[why as usize] += 1;
        self.letters.push_back(DeadLetter { id, at, why, receiver, message });
        let oldest = if self.letters.len() > self.bound { self.letters.pop_front() } else { None };
        self.counts.overflowed += u64::from(oldest.is_some());
        (id, oldest)
    }

    /// The letters that are meant, the oldest first.
    pub fn query(&self, filter: &Filter) -> impl Iterator<Item = &DeadLetter<M>> {
        self.letters.iter().filter(|letter| filter.includes(letter))
    }

    /// A letter, if it is still here.
    #[must_use]
    pub fn get(&self, id: LetterId) -> Option<&DeadLetter<M>> {
        let place = self.letters.binary_search_by_key(&id, |letter| letter.id).ok()?;
        self.letters.get(place)
    }

    /// Takes a letter out. `None` where it went already.
    pub fn take(&mut self, id: LetterId) -> Option<DeadLetter<M>> {
        let place = self.letters.binary_search_by_key(&id, |letter| letter.id).ok()?;
        let letter = self.letters.remove(place);
        self.counts.taken += u64::from(letter.is_some());
        letter
    }

    /// Takes out the letters that are meant, the oldest first, at most so many.
    pub fn take_all(&mut self, filter: &Filter, most: usize) -> Vec<DeadLetter<M>> {
        let (mut taken, mut kept) = (Vec::new(), VecDeque::with_capacity(self.letters.len()));
        for letter in self.letters.drain(..) {
            if taken.len() < most && filter.includes(&letter) {
                taken.push(letter);
            } else {
                kept.push_back(letter);
            }
        }
        self.letters = kept;
        self.counts.taken += taken.len() as u64;
        taken
    }

    /// How many letters there were.
    #[must_use]
    pub const fn counts(&self) -> DeadLetterCounts {
        self.counts
    }

    /// How many letters are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The most letters that are kept.
    #[must_use]
    pub const fn bound(&self) -> usize {
        self.bound
    }
}

#[cfg(test)]
mod tests;
