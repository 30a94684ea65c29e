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
    priority: Priority,
    expiry: Option<Expiry>,
    /// Its number in the order of arrival.
    pub(super) arrival: u64,
    /// How many others had gone before it when it was taken: what it is owed when it comes back.
    pub(super) age: u64,
}

impl<T> Queued<T> {
    /// A message that waits as long as it must.
    #[must_use]
    pub const fn new(message: T, priority: Priority) -> Self {
        Self { message, priority, expiry: None, arrival: 0, age: 0 }
    }

    /// Sets from which moment on nobody waits for what comes of it. Of several ends the earliest holds.
    #[must_use]
    pub fn deadline(self, at: Moment) -> Self {
        self.ends(Expiry::Deadline { at })
    }

    /// Sets how long it is worth handling, from `now` on. Of several ends the earliest holds.
    #[must_use]
    pub fn time_to_live(self, now: Moment, time_to_live: Duration) -> Self {
        self.ends(Expiry::TimeToLive { at: now.saturating_add(time_to_live) })
    }

    fn ends(mut self, expiry: Expiry) -> Self {
        if self.expiry.is_none_or(|present| expiry.at() < present.at()) {
            self.expiry = Some(expiry);
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
    pub(crate) const fn again(mut self, arrival: u64, age: u64) -> Self {
        self.arrival = arrival;
        self.age = age;
        self
    }

    pub(crate) const fn age(&self) -> u64 {
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
        self.expiry
    }

    /// Why it is not to be handled any more, if so. It expires at the very moment of its end, and not only after it.
    #[must_use]
    pub fn expired(&self, now: Moment) -> Option<Expiry> {
        self.expiry.filter(|expiry| expiry.at() <= now)
    }
}

impl<T> fmt::Debug for Queued<T> {
    /// Without the message, which is a user's value and need not be printable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queued").field("priority", &self.priority).field("expiry", &self.expiry).finish_non_exhaustive()
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
