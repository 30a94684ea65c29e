//! How much time a request has left, on its way from one agent to the next.
//!
//! A request begins with a budget. Each hop gets a part of what is left, so that whoever asked has time for an answer, for
//! another try or for a fallback, and nobody works on what nobody waits for any more. (Deadline propagation; Beyer et al.,
//! *Site Reliability Engineering*, 2016, chapter 22.)
//!
//! It has two ends, and the nearer one holds: a deadline, which time brings nearer, and an allowance, which is spent. In one
//! process the deadline travels. Where clocks are not shared only what is left travels; the receiver makes a budget of it, and
//! spends what the way took.
//!
//! # Invariants
//!
//! * Nothing but [`Budget::new`] makes a budget longer: not a hop, not a local timeout, not time.
//! * A budget of which nothing is left is an error, and not a budget of no length: a request without time is not sent.

use std::time::Duration;

use super::Moment;

/// The time that a request has left.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{Budget, Hop};
///
/// let second = Duration::from_secs(1);
/// let budget = Budget::new(second, second * 10);
/// assert_eq!(budget.left(second * 3), Ok(second * 8));
///
/// let hop = budget.for_hop(second * 3, Hop::Minus(second * 2))?;
/// assert_eq!(hop.left(second * 3), Ok(second * 6));
/// let hop = hop.min(second * 3, second * 4)?;
/// assert_eq!(hop.left(second * 3), Ok(second * 4));
///
/// let problem = hop.left(second * 9).unwrap_err();
/// assert_eq!(problem.to_string(), "the deadline of the request passed 2s ago");
/// # Ok::<(), steadfast::flow::BudgetSpent>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    deadline: Moment,
    remaining: Duration,
}

/// What the next one on the way gets of what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hop {
    /// All of it.
    All,
    /// A share of it, in percent. More than 100 counts as 100.
    Share(u32),
    /// All but this much, which is kept for the answer.
    Minus(Duration),
}

impl Budget {
    /// So long, from `now` on.
    #[must_use]
    pub const fn new(now: Moment, length: Duration) -> Self {
        Self { deadline: now.saturating_add(length), remaining: length }
    }

    /// The moment at which it ends, if nothing is spent of it.
    #[must_use]
    pub const fn deadline(&self) -> Moment {
        self.deadline
    }

    /// How much of it is left: the time to the deadline, or what has not been spent, if that is less.
    ///
    /// # Errors
    ///
    /// [`BudgetSpent`] when that is nothing.
    pub fn left(&self, now: Moment) -> Result<Duration, BudgetSpent> {
        if now >= self.deadline {
            return Err(BudgetSpent::Deadline { ago: now.saturating_sub(self.deadline) });
        }
        if self.remaining.is_zero() {
            return Err(BudgetSpent::Allowance { over: Duration::ZERO });
        }
        Ok(self.remaining.min(self.deadline.saturating_sub(now)))
    }

    /// Spends a part of the allowance: the time that a message was on its way between two clocks, or that a try has used.
    ///
    /// # Errors
    ///
    /// [`BudgetSpent`] when nothing is left then.
    pub fn spend(self, now: Moment, spent: Duration) -> Result<Self, BudgetSpent> {
        self.left(now)?;
        match self.remaining.checked_sub(spent) {
            Some(remaining) if !remaining.is_zero() => Ok(Self { remaining, ..self }),
            _ => Err(BudgetSpent::Allowance { over: spent.saturating_sub(self.remaining) }),
        }
    }

    /// The budget of the next one on the way.
    ///
    /// # Errors
    ///
    /// [`BudgetSpent`] when nothing is left for it.
    pub fn for_hop(self, now: Moment, hop: Hop) -> Result<Self, BudgetSpent> {
        let left = self.left(now)?;
        let granted = match hop {
            Hop::All => left,
            Hop::Share(percent) => share(left, percent),
            Hop::Minus(kept) if kept < left => left.saturating_sub(kept),
            Hop::Minus(kept) => return Err(BudgetSpent::Kept { kept, left }),
        };
        self.min(now, granted)
    }

    /// The budget with a limit of one's own, from `now` on: the shorter holds.
    ///
    /// # Errors
    ///
    /// [`BudgetSpent`] when nothing is left.
    pub fn min(self, now: Moment, timeout: Duration) -> Result<Self, BudgetSpent> {
        let remaining = self.left(now)?.min(timeout);
        if remaining.is_zero() {
            return Err(BudgetSpent::Allowance { over: Duration::ZERO });
        }
        Ok(Self::new(now, remaining))
    }
}

fn share(left: Duration, percent: u32) -> Duration {
    // A duration has 94 bits in nanoseconds, so that seven bits more still fit.
    Duration::from_nanos_u128(left.as_nanos() * u128::from(percent.min(100)) / 100)
}

/// A request has no time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetSpent {
    /// Its deadline has passed.
    #[error("the deadline of the request passed {ago:?} ago")]
    Deadline {
        /// How long ago.
        ago: Duration,
    },
    /// Its allowance is spent.
    #[error("the time of the request is spent, by {over:?} more than it had")]
    Allowance {
        /// How much more was spent than was there.
        over: Duration,
    },
    /// Less is left than is to be kept for the answer.
    #[error("the request has {left:?} left, and {kept:?} are kept for the answer; nothing remains for the next hop")]
    Kept {
        /// What is to be kept.
        kept: Duration,
        /// What is left.
        left: Duration,
    },
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NS: Duration = Duration::from_nanos(1);

    #[test]
    fn time_and_spending_both_shrink_it_and_the_nearer_end_holds() {
        let budget = Budget::new(SECOND, SECOND * 10);
        assert_eq!(budget.left(SECOND * 5), Ok(SECOND * 6));
        let budget = budget.spend(SECOND * 5, SECOND * 7).expect("3 s are left");
        assert_eq!(budget.left(SECOND * 5), Ok(SECOND * 3));
        assert_eq!(budget.left(SECOND * 10), Ok(SECOND));
    }

    #[test]
    fn one_of_which_nothing_is_left_is_an_error_that_says_by_how_much() {
        let budget = Budget::new(SECOND, SECOND * 2);
        assert_eq!(budget.left(SECOND * 3), Err(BudgetSpent::Deadline { ago: Duration::ZERO }));
        assert_eq!(budget.left(SECOND * 5), Err(BudgetSpent::Deadline { ago: SECOND * 2 }));
        assert_eq!(budget.spend(SECOND, SECOND * 3), Err(BudgetSpent::Allowance { over: SECOND }));
        assert_eq!(budget.spend(SECOND, SECOND * 2), Err(BudgetSpent::Allowance { over: Duration::ZERO }));
        assert!(budget.spend(SECOND, (SECOND * 2).saturating_sub(NS)).is_ok());
    }

    #[test]
    fn a_hop_gets_its_share_or_all_but_what_is_kept() {
        let budget = Budget::new(SECOND, SECOND * 10);
        let left = |hop| budget.for_hop(SECOND * 3, hop).map(|budget| budget.left(SECOND * 3).expect("some is left"));
        assert_eq!(left(Hop::All), Ok(SECOND * 8));
        assert_eq!(left(Hop::Share(25)), Ok(SECOND * 2));
        assert_eq!(left(Hop::Share(900)), Ok(SECOND * 8));
        assert_eq!(left(Hop::Minus(SECOND)), Ok(SECOND * 7));
        assert_eq!(left(Hop::Share(0)), Err(BudgetSpent::Allowance { over: Duration::ZERO }));
        let (kept, left_over) = (SECOND * 8, SECOND * 8);
        assert_eq!(left(Hop::Minus(kept)), Err(BudgetSpent::Kept { kept, left: left_over }));
    }

    #[test]
    fn a_timeout_of_ones_own_shortens_it_and_never_lengthens_it() {
        let budget = Budget::new(SECOND, SECOND * 10);
        let left = |timeout| budget.min(SECOND, timeout).and_then(|budget| budget.left(SECOND));
        assert_eq!(left(SECOND * 4), Ok(SECOND * 4));
        assert_eq!(left(SECOND * 40), Ok(SECOND * 10));
        assert!(left(Duration::ZERO).is_err());
    }

    #[test]
    fn the_largest_numbers_overflow_nothing() {
        let budget = Budget::new(Moment::MAX.saturating_sub(NS), Duration::MAX);
        assert_eq!(budget.left(Moment::MAX.saturating_sub(NS)), Ok(NS));
        let budget = Budget::new(Moment::ZERO, Duration::MAX);
        assert_eq!(budget.for_hop(Moment::ZERO, Hop::Share(u32::MAX)), Ok(budget));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Pass(u64),
        Spend(u64),
        Hop(Hop),
        Min(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..50_u64).prop_map(Step::Pass),
            (0..50_u64).prop_map(Step::Spend),
            (0..130_u32).prop_map(|percent| Step::Hop(Hop::Share(percent))),
            (0..50_u64).prop_map(|kept| Step::Hop(Hop::Minus(Duration::from_nanos(kept)))),
            Just(Step::Hop(Hop::All)),
            (0..900_u64).prop_map(Step::Min),
        ];
        vec(step, 0..20)
    }

    proptest! {
        #[test]
        fn nothing_on_the_way_ever_makes_it_longer(steps in steps()) {
            let (mut budget, mut now) = (Budget::new(SECOND, Duration::from_nanos(900)), SECOND);
            for step in steps {
                let before = budget.left(now);
                let next = match step {
                    Step::Pass(ns) => {
                        now += Duration::from_nanos(ns);
                        budget.left(now).map(|_| budget)
                    }
                    Step::Spend(ns) => budget.spend(now, Duration::from_nanos(ns)),
                    Step::Hop(hop) => budget.for_hop(now, hop),
                    Step::Min(ns) => budget.min(now, Duration::from_nanos(ns)),
                };
                let Ok(next) = next else { return Ok(()) };
                let left = next.left(now).expect("a budget has some left");
                prop_assert!(left <= before.expect("it had some left") && next.deadline() <= budget.deadline());
                prop_assert!(now + left <= SECOND + Duration::from_nanos(900));
                budget = next;
            }
        }
    }
}
