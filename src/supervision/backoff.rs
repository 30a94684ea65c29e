//! How long a child waits before it is started again.
//!
//! A back-off is a setting, and its delay a function of two numbers: which restart this is, and a random number that
//! the caller draws. Who counts the restarts and draws the numbers is the machine.
//!
//! # Invariants
//!
//! * No delay is above the maximum, and without jitter no delay is below the one before it.
//! * No setting and no number panics or overflows: what is too large is the maximum.
//! * The same setting, step and random number give the same delay on every platform; nothing is computed in floats.

use std::fmt;
use std::time::Duration;

use crate::seam::Rng;

/// How long the restarts of a child wait: a first delay that grows by a factor with each further restart.
///
/// A restart after the child stayed up for a while ([`stable_after`](Self::stable_after)) begins again with the first
/// delay. Out of the box the delay doubles up to 30 s, without jitter.
///
/// ```
/// use std::time::Duration;
/// use steadfast::supervision::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_millis(100)).maximum(Duration::from_secs(10));
/// let delays = [0, 1, 2, 9].map(|step| backoff.delay(step, 0));
/// assert_eq!(delays, [100, 200, 400, 10_000].map(Duration::from_millis));
///
/// let backoff = backoff.jitter(0.2).stable_after(Duration::from_secs(30));
/// assert_eq!(backoff.to_string(), "100ms, doubling up to 10s, 20 % jitter, reset after 30s up");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Backoff {
    /// The delay of the first restart.
    pub initial: Duration,
    /// By how much each delay is longer than the one before it, in percent: 200 doubles.
    pub factor_percent: u32,
    /// The longest delay.
    pub maximum: Duration,
    /// The share of a delay by which it may be cut short at random, in percent.
    pub jitter_percent: u32,
    /// How long the child must have been up for the delays to begin anew; as long as the maximum when `None`.
    pub stable_after: Option<Duration>,
}

impl Backoff {
    /// The longest delay, unless [`maximum`](Self::maximum) says otherwise or the first one is longer.
    pub const DEFAULT_MAXIMUM: Duration = Duration::from_secs(30);

    /// Waits this long before the first restart and twice as long before each further one, up to 30 s.
    #[must_use]
    pub const fn exponential(initial: Duration) -> Self {
        let longer = initial.as_nanos() > Self::DEFAULT_MAXIMUM.as_nanos();
        let maximum = if longer { initial } else { Self::DEFAULT_MAXIMUM };
        Self { initial, factor_percent: 200, maximum, jitter_percent: 0, stable_after: None }
    }

    /// Waits equally long before every restart.
    #[must_use]
    pub const fn constant(delay: Duration) -> Self {
        Self { initial: delay, factor_percent: 100, maximum: delay, jitter_percent: 0, stable_after: None }
    }

    /// Sets by how much each delay is longer than the one before it. Kept to the percent; from 1 on.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor_percent = percent(factor);
        self
    }

    /// Sets the longest delay.
    #[must_use]
    pub const fn maximum(mut self, maximum: Duration) -> Self {
        self.maximum = maximum;
        self
    }

    /// Cuts each delay short at random, by up to this share of it. Kept to the percent; from 0 to 1.
    ///
    /// The share is taken off and not added, so that children that have reached the maximum do not fall into step. With
    /// 1 a restart may come at once.
    #[must_use]
    pub const fn jitter(mut self, share: f64) -> Self {
        // Not `share < 0.0`, which would let NaN pass for none.
        self.jitter_percent = if share >= 0.0 { percent(share) } else { u32::MAX };
        self
    }

    /// Sets how long the child must have been up for the delays to begin anew. As long as the maximum, if not set.
    #[must_use]
    pub const fn stable_after(mut self, up: Duration) -> Self {
        self.stable_after = Some(up);
        self
    }

    /// Returns how long a restart waits: the first with step 0, each further one with a step more.
    ///
    /// | random number | delay |
    /// |---|---|
    /// | 0 | in full |
    /// | in between | cut short in proportion |
    /// | `u64::MAX` | cut short by the whole share of jitter |
    ///
    /// A factor below 1 counts as 1, and a jitter above 1 as 1; [`check`](Self::check) refuses both.
    #[must_use]
    pub fn delay(&self, step: u32, random: u64) -> Duration {
        let full = self.full_delay(step);
        let share = u128::from(self.jitter_percent.min(100));
        // A duration has fewer than 94 bits in nanoseconds, so that one of 32 bits more still fits.
        let cut = (full * share / 100) * u128::from(random >> 32) / u128::from(u32::MAX);
        Duration::from_nanos_u128(full - cut)
    }

    /// The delay without jitter, in nanoseconds.
    fn full_delay(&self, step: u32) -> u128 {
        let factor = u128::from(self.factor_percent.max(100));
        let maximum = self.maximum.as_nanos();
        let mut delay = self.initial.as_nanos().min(maximum);
        if factor == 100 || delay == 0 {
            return delay;
        }
        // Rounding up, even the smallest delay and factor grow, which ends this after some thousand rounds at most.
        for _ in 0..step {
            if delay >= maximum {
                return maximum;
            }
            delay = (delay * factor).div_ceil(100);
        }
        delay.min(maximum)
    }

    /// Whether the delays begin anew after a life of this length.
    #[must_use]
    pub fn resets_after(&self, lived: Duration) -> bool {
        lived >= self.stable_after.unwrap_or(self.maximum)
    }

    /// Looks for settings that make no sense.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::supervision::Backoff;
    ///
    /// let problem = Backoff::exponential(Duration::from_secs(1)).factor(0.5).check().unwrap_err();
    /// assert_eq!(
    ///     problem.to_string(),
    ///     "the factor of the back-off is below 1, and so each delay would be shorter; set at least 1.0"
    /// );
    /// ```
    pub fn check(&self) -> Result<(), BackoffProblem> {
        let Self { initial, maximum, .. } = *self;
        if initial.is_zero() {
            return Err(BackoffProblem::InitialZero);
        }
        if maximum < initial {
            return Err(BackoffProblem::MaximumBelowInitial { initial, maximum });
        }
        if self.factor_percent < 100 {
            return Err(BackoffProblem::FactorBelowOne);
        }
        if self.jitter_percent > 100 {
            return Err(BackoffProblem::JitterOutOfRange);
        }
        if self.stable_after.is_some_and(|up| up.is_zero()) {
            return Err(BackoffProblem::StableAfterZero);
        }
        Ok(())
    }
}

/// A number in percent, rounded. What is no number is 0, and what is too large the largest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from a float saturates")]
const fn percent(number: f64) -> u32 {
    (number * 100.0 + 0.5) as u32
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maximum = self.maximum;
        write!(f, "{:?}", self.initial)?;
        match self.factor_percent {
            _ if maximum == self.initial => f.write_str(" each time")?,
            ..=100 => f.write_str(" each time")?,
            200 => write!(f, ", doubling up to {maximum:?}")?,
            300 => write!(f, ", tripling up to {maximum:?}")?,
            percent => write!(f, ", growing by {} % up to {maximum:?}", percent - 100)?,
        }
        if self.jitter_percent > 0 {
            write!(f, ", {} % jitter", self.jitter_percent)?;
        }
        write!(f, ", reset after {:?} up", self.stable_after.unwrap_or(maximum))
    }
}

/// A back-off that cannot be meant. The message names the setting and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackoffProblem {
    /// The first delay has no length, and no factor would give it one.
    #[error("the initial delay of the back-off is zero; give it a length such as 100ms, or leave the back-off out")]
    InitialZero,
    /// The longest delay is shorter than the first one.
    #[error("the maximum of the back-off, {maximum:?}, is below its initial delay, {initial:?}; raise the maximum")]
    MaximumBelowInitial {
        /// The first delay.
        initial: Duration,
        /// The longest.
        maximum: Duration,
    },
    /// The delays would shrink, or the factor is no number.
    #[error("the factor of the back-off is below 1, and so each delay would be shorter; set at least 1.0")]
    FactorBelowOne,
    /// More than a whole delay, or less than nothing, would be cut off, or the share is no number.
    #[error("the jitter of the back-off is not a share of a delay; set it from 0.0 to 1.0")]
    JitterOutOfRange,
    /// Every life would count as a stable one, and no delay would ever grow.
    #[error("`stable_after` of the back-off is zero, and so its delay would never grow; give it a length such as 30s")]
    StableAfterZero,
}

/// Draws the random numbers of back-offs. The same seed gives the same delays again.
///
/// ```
/// use std::time::Duration;
/// use steadfast::supervision::{Backoff, Jitter};
///
/// let backoff = Backoff::exponential(Duration::from_secs(1)).jitter(0.5);
/// let delays = |mut jitter: Jitter| [0, 1, 2].map(|step| jitter.delay(&backoff, step));
/// assert_eq!(delays(Jitter::new(7)), delays(Jitter::new(7)));
/// assert_ne!(delays(Jitter::new(7)), delays(Jitter::new(8)));
/// ```
#[derive(Clone, Debug)]
pub struct Jitter(Rng);

impl Jitter {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// Returns the next random number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns how long a restart waits, with the next random number.
    pub fn delay(&mut self, backoff: &Backoff, step: u32) -> Duration {
        backoff.delay(step, self.next_u64())
    }
}

#[cfg(test)]
mod tests;
