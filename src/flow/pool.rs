//! How many members a pool should have, and who gets one.
//!
//! The number of members follows the work that waits: more of it than `grow_above` for each member makes the pool grow, less
//! than `shrink_below` for a while makes it shrink by one. Between the two nothing changes, and since the two are a factor of
//! two apart, a pool under steady work settles and does not swing.
//!
//! Who gets a member is decided by a [`Bulkhead`](super::Bulkhead) with a permit for each.
//!
//! | the pool has | decision |
//! |---|---|
//! | fewer members than the minimum | grows to the minimum at once |
//! | more than the maximum | shrinks to the maximum at once |
//! | more work waiting than `grow_above` for each member, and the last growth was `grow_every` ago | grows to as many as the work needs, by at most `grow_by` |
//! | less than `shrink_below` for each, which the others can carry, for `shrink_after` without a break or a change | shrinks by one |
//! | anything else | keeps |
//!
//! # Invariants
//!
//! * A decision never leads below the minimum or above the maximum.
//! * Under work that does not change it never grows after it shrank, or shrinks after it grew.

use std::fmt;
use std::time::Duration;

use super::Moment;
use super::bulkhead::{LineFull, Occupancy};

/// Between which numbers a pool stays, and when it changes.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::PoolRules;
///
/// assert_eq!(PoolRules::fixed(4).check(), Ok(()));
/// let rules = PoolRules::elastic(1, 8).thresholds(10, 2).shrink_after(Duration::from_secs(60));
/// assert_eq!(rules.check(), Ok(()));
/// let problem = rules.thresholds(3, 2).check().unwrap_err();
/// assert_eq!(
///     problem.to_string(),
///     "`shrink_below` of the pool is 2; expected at most half of `grow_above`, which is 3, or the pool would swing"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PoolRules {
    /// The fewest members.
    pub minimum: u32,
    /// The most members.
    pub maximum: u32,
    /// How many messages that wait are too many for one member.
    pub grow_above: u32,
    /// How many messages that wait are too few for one member.
    pub shrink_below: u32,
    /// How many members come at once, at most.
    pub grow_by: u32,
    /// How long it waits after a change before it grows.
    pub grow_every: Duration,
    /// How long there must have been too few messages, and no change, before it shrinks.
    pub shrink_after: Duration,
}

impl PoolRules {
    /// Always as many members.
    #[must_use]
    pub const fn fixed(members: u32) -> Self {
        Self::elastic(members, members)
    }

    /// From `minimum` to `maximum` members: one more for each 8 messages that wait, as many at once as needed, once a
    /// second; one fewer after 30 s with less than 2 for each.
    #[must_use]
    pub const fn elastic(minimum: u32, maximum: u32) -> Self {
        Self {
            minimum,
            maximum,
            grow_above: 8,
            shrink_below: 2,
            grow_by: u32::MAX,
            grow_every: Duration::from_secs(1),
            shrink_after: Duration::from_secs(30),
        }
    }

    /// Sets how many messages that wait are too many and too few for one member.
    #[must_use]
    pub const fn thresholds(mut self, grow_above: u32, shrink_below: u32) -> Self {
        self.grow_above = grow_above;
        self.shrink_below = shrink_below;
        self
    }

    /// Sets how many members come at once, at most.
    #[must_use]
    pub const fn grow_by(mut self, members: u32) -> Self {
        self.grow_by = members;
        self
    }

    /// Sets how long it waits after a change before it grows.
    #[must_use]
    pub const fn grow_every(mut self, pause: Duration) -> Self {
        self.grow_every = pause;
        self
    }

    /// Sets how long there must have been too few messages, and no change, before it shrinks.
    #[must_use]
    pub const fn shrink_after(mut self, pause: Duration) -> Self {
        self.shrink_after = pause;
        self
    }

    /// Looks for settings that make no sense.
    ///
    /// # Errors
    ///
    /// [`PoolProblem`], which names the setting and what was expected.
    pub const fn check(&self) -> Result<(), PoolProblem> {
        let Self { minimum, maximum, grow_above, shrink_below, .. } = *self;
        if maximum == 0 {
            return Err(PoolProblem::Zero { field: "maximum" });
        }
        if grow_above == 0 {
            return Err(PoolProblem::Zero { field: "grow_above" });
        }
        if self.grow_by == 0 {
            return Err(PoolProblem::Zero { field: "grow_by" });
        }
        if minimum > maximum {
            return Err(PoolProblem::Bounds { minimum, maximum });
        }
        if shrink_below > grow_above / 2 {
            return Err(PoolProblem::Swings { shrink_below, grow_above });
        }
        Ok(())
    }
}

/// A pool that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolProblem {
    /// A number is zero.
    #[error("`{field}` of the pool is 0; expected at least 1")]
    Zero {
        /// The setting.
        field: &'static str,
    },
    /// The fewest are more than the most.
    #[error("`minimum` of the pool is {minimum}; expected at most its `maximum`, which is {maximum}")]
    Bounds {
        /// The fewest.
        minimum: u32,
        /// The most.
        maximum: u32,
    },
    /// It would grow and shrink in turns.
    #[error(
        "`shrink_below` of the pool is {shrink_below}; expected at most half of `grow_above`, which is {grow_above}, or the pool would swing"
    )]
    Swings {
        /// When it shrinks.
        shrink_below: u32,
        /// When it grows.
        grow_above: u32,
    },
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PoolView {
    /// Its members, those that are starting included, those that are leaving not.
    pub members: u32,
    /// How many messages or requests wait for a member, in all.
    pub waiting: u64,
}

/// What a pool should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Scale {
    /// Stay as it is.
    Keep,
    /// Start so many members.
    Grow(u32),
    /// Drain and end so many members.
    Shrink(u32),
}

/// Decides how many members a pool should have.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{PoolRules, PoolView, Scale, Scaler};
///
/// let second = Duration::from_secs(1);
/// let mut scaler = Scaler::new(PoolRules::elastic(1, 4))?;
/// assert_eq!(scaler.decide(second, PoolView { members: 0, waiting: 0 }), Scale::Grow(1));
/// assert_eq!(scaler.decide(second * 2, PoolView { members: 1, waiting: 20 }), Scale::Grow(2));
/// assert_eq!(scaler.decide(second * 3, PoolView { members: 3, waiting: 0 }), Scale::Keep);
/// assert_eq!(scaler.decide(second * 33, PoolView { members: 3, waiting: 0 }), Scale::Shrink(1));
/// # Ok::<(), steadfast::flow::PoolProblem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scaler {
    rules: PoolRules,
    changed: Option<Moment>,
    /// Since when too few messages wait.
    low_since: Option<Moment>,
}

impl Scaler {
    /// One that has not decided anything yet.
    ///
    /// # Errors
    ///
    /// [`PoolProblem`] when the rules make no sense.
    pub const fn new(rules: PoolRules) -> Result<Self, PoolProblem> {
        match rules.check() {
            Ok(()) => Ok(Self { rules, changed: None, low_since: None }),
            Err(problem) => Err(problem),
        }
    }

    /// Decides. What it says counts as done: ask again with the members that there are then.
    pub fn decide(&mut self, now: Moment, view: PoolView) -> Scale {
        let scale = self.judge(now, view);
        if scale != Scale::Keep {
            self.changed = Some(now);
            // Each member that leaves is followed by a pause of its own.
            self.low_since = None;
        }
        scale
    }

    fn judge(&mut self, now: Moment, PoolView { members, waiting }: PoolView) -> Scale {
        let rules = self.rules;
        let low = waiting < u64::from(rules.shrink_below) * u64::from(members);
        self.low_since = if low { self.low_since.or(Some(now)) } else { None };
        if members < rules.minimum {
            return Scale::Grow(rules.minimum - members);
        }
        if members > rules.maximum {
            return Scale::Shrink(members - rules.maximum);
        }
        let rested = |since: Option<Moment>, pause| since.is_none_or(|since| now.saturating_sub(since) >= pause);
        if waiting > u64::from(rules.grow_above) * u64::from(members) {
            let needed = waiting.div_ceil(u64::from(rules.grow_above)).min(u64::from(rules.maximum));
            let missing = u32::try_from(needed).unwrap_or(rules.maximum).saturating_sub(members).min(rules.grow_by);
            let grows = missing > 0 && rested(self.changed, rules.grow_every);
            return if grows { Scale::Grow(missing) } else { Scale::Keep };
        }
        // Without this the last member of a pool that may be empty would leave with work still waiting, and come back for it.
        let carried = waiting <= u64::from(rules.grow_above) * u64::from(members.saturating_sub(1));
        let pause = rules.shrink_after;
        let may = low && carried && members > rules.minimum;
        if may && rested(self.low_since, pause) && rested(self.changed, pause) { Scale::Shrink(1) } else { Scale::Keep }
    }

    /// What it goes by.
    #[must_use]
    pub const fn rules(&self) -> PoolRules {
        self.rules
    }
}

/// How long [`acquire`](super::Bulkhead::acquire) of a pool waits unless told otherwise.
pub const DEFAULT_ACQUIRE: Duration = Duration::from_secs(30);

/// Nobody of a pool could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// Nobody came free in time.
    #[error("no member of the pool came free within {waited:?}: {pool}")]
    Timeout {
        /// How long was waited.
        waited: Duration,
        /// How the pool stood then.
        pool: Occupancy,
    },
    /// Too many wait already.
    #[error(transparent)]
    LineFull(#[from] LineFull),
    /// The pool is not running, and does not come back by itself.
    #[error("the pool is not running")]
    Gone,
    /// Who asked is a life that has ended or was given up, and whose code runs on.
    #[error("not lent: who asked has ended or was given up, and nothing it does has an effect any more")]
    Fenced,
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Grow(members) => write!(f, "grow by {members}"),
            Self::Shrink(members) => write!(f, "shrink by {members}"),
        }
    }
}

#[cfg(test)]
mod tests;
