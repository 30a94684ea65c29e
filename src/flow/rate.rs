//! How many messages may pass within a time: a token bucket.
//!
//! The bucket holds at most a burst of tokens and fills at a steady rate; each message takes one. (The leaky bucket as a
//! meter of ITU-T I.371, the token bucket of RFC 2697.) Its content is counted in parts of a token so small that every
//! nanosecond adds a whole number of them, and so nothing is ever rounded while it fills.
//!
//! # Invariants
//!
//! * Within any time `t`, at most `burst + rate * t` tokens are taken.
//! * What is asked for as soon as [`Wait`] says is admitted, and not a nanosecond earlier.
//! * Whoever takes each token as soon as told gets exactly the rate, however long it runs, where the burst has room for one
//!   token beside those of a nanosecond: from a burst of 2 on, up to a thousand million a second. With a burst of 1, and tokens
//!   that do not fall on whole nanoseconds, less than a nanosecond is lost with each, since more than the burst would
//!   otherwise pass in some window.
//! * A clock that stands still or goes back adds nothing and takes nothing away.

use std::fmt;
use std::time::Duration;

use super::Moment;

/// A rate with the burst that it allows.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::Rate;
///
/// assert_eq!(Rate::per_second(100_000).to_string(), "100000 per 1s, 10000 at once");
/// assert_eq!(Rate::new(3, Duration::from_secs(60)).burst(3).to_string(), "3 per 60s, 3 at once");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rate {
    /// How many tokens come within each period.
    pub count: u32,
    /// The period.
    pub period: Duration,
    /// How many tokens the bucket holds: so many may pass at once after a pause.
    pub burst: u32,
}

impl Rate {
    /// So many within each period, and a tenth of them at once, or one.
    #[must_use]
    pub const fn new(count: u32, period: Duration) -> Self {
        Self { count, period, burst: count.div_ceil(10) }
    }

    /// So many within each second, and a tenth of them at once, or one.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// Sets how many may pass at once after a pause.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// Looks for settings that make no sense.
    ///
    /// # Errors
    ///
    /// [`RateProblem`] for a rate, a period or a burst of zero.
    pub const fn check(&self) -> Result<(), RateProblem> {
        if self.count == 0 {
            return Err(RateProblem::CountZero);
        }
        if self.period.is_zero() {
            return Err(RateProblem::PeriodZero);
        }
        if self.burst == 0 {
            return Err(RateProblem::BurstZero);
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}, {} at once", self.count, self.period, self.burst)
    }
}

/// A rate that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateProblem {
    /// Nothing would ever pass.
    #[error("the rate is zero, and nothing would ever pass; expected a count of at least 1")]
    CountZero,
    /// The period has no length.
    #[error("the period of the rate is zero; expected a length such as 1s")]
    PeriodZero,
    /// Not one would fit through.
    #[error("the burst of the rate is zero, and not one message would fit through; expected at least 1")]
    BurstZero,
}

/// A token bucket.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{Rate, TokenBucket, Wait};
///
/// let ms = Duration::from_millis(1);
/// let mut bucket = TokenBucket::new(Rate::per_second(100).burst(2))?;
/// assert_eq!(bucket.try_take(ms, 2), Ok(()));
/// assert_eq!(bucket.try_take(ms, 1), Err(Wait::Until(ms * 11)));
/// assert_eq!(bucket.try_take(ms * 11, 1), Ok(()));
/// assert_eq!(bucket.try_take(ms * 11, 3), Err(Wait::Never { asked: 3, burst: 2 }));
/// # Ok::<(), steadfast::flow::RateProblem>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: Rate,
    /// What it holds, in parts of a token: a nanosecond adds `rate.count` of them, and a token is as many as the period
    /// has nanoseconds. A burst and a period have 32 and 94 bits, so that 128 hold it twice.
    parts: u128,
    /// Up to when it was filled.
    filled: Moment,
}

impl TokenBucket {
    /// A full bucket.
    ///
    /// # Errors
    ///
    /// [`RateProblem`] when the rate is none.
    pub const fn new(rate: Rate) -> Result<Self, RateProblem> {
        match rate.check() {
            Ok(()) => Ok(Self { rate, parts: rate.burst as u128 * rate.period.as_nanos(), filled: Moment::ZERO }),
            Err(problem) => Err(problem),
        }
    }

    /// Takes so many tokens, all or none.
    ///
    /// # Errors
    ///
    /// [`Wait`] when it holds fewer: it says from when on it holds enough, if nobody else takes them.
    pub fn try_take(&mut self, now: Moment, tokens: u32) -> Result<(), Wait> {
        if tokens > self.rate.burst {
            return Err(Wait::Never { asked: tokens, burst: self.rate.burst });
        }
        self.fill(now);
        let price = u128::from(tokens) * self.rate.period.as_nanos();
        match self.parts.checked_sub(price) {
            Some(rest) => {
                self.parts = rest;
                Ok(())
            }
            None => Err(Wait::Until(self.holds(price))),
        }
    }

    /// Puts tokens back that were taken for what then did not pass. Never above the burst.
    pub fn put_back(&mut self, tokens: u32) {
        let returned = u128::from(tokens) * self.rate.period.as_nanos();
        // Whatever looks at it fills it first, and that keeps it to the burst.
        self.parts = self.parts.saturating_add(returned);
    }

    /// How many tokens it would hold at a moment.
    #[must_use]
    pub fn available(&self, now: Moment) -> u32 {
        let tokens = self.parts_at(now) / self.rate.period.as_nanos();
        u32::try_from(tokens).unwrap_or(self.rate.burst)
    }

    /// The rate at which it fills.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    fn fill(&mut self, now: Moment) {
        self.parts = self.parts_at(now);
        self.filled = self.filled.max(now);
    }

    fn parts_at(&self, now: Moment) -> u128 {
        let added = now.saturating_sub(self.filled).as_nanos().saturating_mul(u128::from(self.rate.count));
        self.parts.saturating_add(added).min(self.full())
    }

    fn full(&self) -> u128 {
        u128::from(self.rate.burst) * self.rate.period.as_nanos()
    }

    /// The first moment at which it holds so many parts.
    fn holds(&self, parts: u128) -> Moment {
        let wait = parts.saturating_sub(self.parts).div_ceil(u128::from(self.rate.count));
        self.filled.saturating_add(Duration::from_nanos_u128(wait.min(Duration::MAX.as_nanos())))
    }
}

/// There are not enough tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Wait {
    /// There are from this moment on, if nobody else takes them.
    #[error("the rate is used up; there is room again at {0:?}")]
    Until(Moment),
    /// There never are so many at once.
    #[error("{asked} were asked for at once, and never more than {burst} pass at once; ask for fewer")]
    Never {
        /// How many were asked for.
        asked: u32,
        /// How many pass at most.
        burst: u32,
    },
}

#[cfg(test)]
mod tests;
