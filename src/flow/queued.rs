//! A message as it waits in a lane: with its priority, and the moment from which nobody wants it any more.

use std::fmt;
use std::time::Duration;

use super::Moment;
use crate::message::Priority;

/// A message with its priority and its end.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{Expiry, Priority, Queued};
///
/// let second = Duration::from_secs(1);
/// let queued = Queued::new("a", Priority::HIGH).deadline(second * 9).time_to_live(second, second * 3);
/// assert_eq!(queued.expiry(), Some(Expiry::TimeToLive { at: second * 4 }));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Queued<T> {
    /// The message.
    pub message: T,
    end: End,
    /// Its number in the order of arrival.
    pub(super) arrival: u64,
    /// How many others had gone before it when it was taken: what it is owed when it comes back.
    pub(super) age: u32,
    priority: Priority,
}

impl<T> Queued<T> {
    /// A message that waits as long as it must.
    #[must_use]
    pub const fn new(message: T, priority: Priority) -> Self {
        Self { message, end: End::NEVER, arrival: 0, age: 0, priority }
    }

    /// Sets from which moment on nobody waits for what comes of it. Of several ends the earliest holds; one that is more
    /// than 292 years off is none.
    #[must_use]
    pub fn deadline(self, at: Moment) -> Self {
        self.ends(End::deadline(at))
    }

    /// Sets how long it is worth handling, from `now` on. Of several ends the earliest holds; one that is more than 292
    /// years off is none.
    #[must_use]
    pub fn time_to_live(self, now: Moment, time_to_live: Duration) -> Self {
        self.ends(End::time_to_live(now.saturating_add(time_to_live)))
    }

    #[inline]
    pub(crate) fn ends(mut self, end: End) -> Self {
        if end.is_before(self.end) {
            self.end = end;
        }
        self
    }

    /// Its number in the order of arrival at its queue, from 0 on.
    #[must_use]
    pub const fn arrival(&self) -> u64 {
        self.arrival
    }

    /// The same message as one that arrived before, with its number then and the age that it is owed.
    #[must_use]
    pub(crate) const fn again(mut self, arrival: u64, age: u32) -> Self {
        self.arrival = arrival;
        self.age = age;
        self
    }

    pub(crate) const fn age(&self) -> u32 {
        self.age
    }

    /// How urgent it is.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// When it expires, and why. `None` for a message that waits as long as it must.
    #[must_use]
    pub const fn expiry(&self) -> Option<Expiry> {
        self.end.expiry()
    }

    pub(crate) const fn end(&self) -> End {
        self.end
    }

    /// Why it is not to be handled any more, if so. It expires at the very moment of its end, and not only after it.
    #[must_use]
    pub fn expired(&self, now: Moment) -> Option<Expiry> {
        self.end.is_over(Nanos::of(now)).then(|| self.end.expiry())?
    }
}

/// When a message ends, and why, in one word: what waits is moved about, and there may be many thousands of it.
///
/// Twice the nanoseconds, and one more where its time to live is over then and not its deadline. Inline, since it is asked
/// once for each message by code that is compiled with the user's types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End(u64);

/// A moment as an end counts it.
#[derive(Clone, Copy)]
pub(crate) struct Nanos(u64);

impl Nanos {
    /// The last one; what is later is no sooner over than what never is.
    const LAST: u64 = (u64::MAX >> 1) - 1;

    #[inline]
    pub(crate) fn of(at: Moment) -> Self {
        Self(u64::try_from(at.as_nanos()).map_or(Self::LAST, |nanos| nanos.min(Self::LAST)))
    }
}

impl End {
    /// Of what waits as long as it must.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    #[inline]
    pub(crate) fn deadline(at: Moment) -> Self {
        let Nanos(nanos) = Nanos::of(at);
        if nanos == Nanos::LAST { Self::NEVER } else { Self(nanos << 1) }
    }

    fn time_to_live(at: Moment) -> Self {
        let Self(deadline) = Self::deadline(at);
        Self(deadline | 1)
    }

    #[inline]
    const fn is_before(self, other: Self) -> bool {
        self.0 >> 1 < other.0 >> 1
    }

    /// Whether it has come, at this very moment or before.
    #[inline]
    pub(crate) const fn is_over(self, Nanos(now): Nanos) -> bool {
        self.0 >> 1 <= now
    }

    const fn expiry(self) -> Option<Expiry> {
        let at = Moment::from_nanos(self.0 >> 1);
        match self {
            Self::NEVER => None,
            Self(word) if word & 1 == 0 => Some(Expiry::Deadline { at }),
            _ => Some(Expiry::TimeToLive { at }),
        }
    }

    /// When it comes.
    pub(crate) fn at(self) -> Option<Moment> {
        self.expiry().map(Expiry::at)
    }
}

impl<T> fmt::Debug for Queued<T> {
    /// Without the message, which is a user's value and need not be printable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queued")
            .field("priority", &self.priority)
            .field("expiry", &self.expiry())
            .finish_non_exhaustive()
    }
}

/// Why and when a message expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expiry {
    /// Nobody waits any more for what comes of it.
    Deadline {
        /// When.
        at: Moment,
    },
    /// It is not worth handling any more.
    TimeToLive {
        /// When.
        at: Moment,
    },
}

impl Expiry {
    /// The moment from which on the message is not handled.
    #[must_use]
    pub const fn at(self) -> Moment {
        match self {
            Self::Deadline { at } | Self::TimeToLive { at } => at,
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline { .. } => "its deadline has passed",
            Self::TimeToLive { .. } => "its time to live is over",
        })
    }
}
