//! Whom to choose among those who could.
//!
//! A strategy is a [`Select`]: it looks at a [`Pool`] of candidates, of which it reads no more than it must, and is given
//! a number drawn at random, the number of the turn and the key of what is to be sent. [`Selection`] holds those that
//! come with the framework.
//!
//! # Invariants
//!
//! * Who is not eligible is never chosen; who waits for its next life only where nobody is ready, unless the strategy
//!   says otherwise.
//! * The same pool and the same numbers give the same choice. Nothing is remembered between two choices.
//! * What a pool says may change while a choice is made: a choice is then of somebody who was eligible when looked at.

mod choice;
mod decision;
mod rendezvous;
mod strategy;

use std::time::Duration;

pub use self::choice::{Choice, Considered, NoChoice, Reason, Tally};
pub use self::decision::{Decision, LISTED, Seen};
pub use self::rendezvous::{identity, score};
pub use self::strategy::{Selection, Stickiness, first_of};
use crate::id::Path;

/// How a candidate stands at the moment of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A life is open. The number is its load: messages that wait or are handled, and tasks that run.
    Live(usize),
    /// A lazy agent at rest: the message that is sent to it starts it.
    AtRest,
    /// Between two lives, or at the end of one with another to follow: a message would wait for that.
    Awaited(usize),
    /// Not running, and no start is coming.
    Away,
}

/// Chooses the live candidate with the least load; where none is live, the awaited one with the least. Among equals
/// the turn goes round, so that `turn` raised by one at each choice spreads them evenly. One at rest counts as live,
/// without load.
///
/// Returns its position, or `None` when all are away.
#[must_use]
pub fn choose(standings: &[Standing], turn: usize) -> Option<usize> {
    let rank = |standing: &Standing| match standing {
        Standing::Live(load) => Some((0, *load)),
        Standing::AtRest => Some((0, 0)),
        Standing::Awaited(load) => Some((1, *load)),
        Standing::Away => None,
    };
    let best = standings.iter().filter_map(rank).min()?;
    let equals = || standings.iter().enumerate().filter(|(_, standing)| rank(standing) == Some(best));
    let position = turn % equals().count();
    equals().nth(position).map(|(position, _)| position)
}

/// What is seen of a candidate at the moment of the choice.
///
/// ```
/// use std::time::Duration;
/// use steadfast::registry::selection::{Eligible, Ineligible, Standing, View};
///
/// let view = View::of(Standing::Live(3)).latency(Duration::from_millis(2));
/// assert_eq!(view.eligible(), Ok(Eligible::Now));
/// assert_eq!(view.breaker_open().eligible(), Err(Ineligible::BreakerOpen));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct View {
    /// How it stands.
    pub standing: Standing,
    /// How long it took lately to answer; `None` where that is not known.
    pub latency: Option<Duration>,
    /// Whether it is known to hang.
    pub hung: bool,
    /// Whether the circuit breaker before it is open.
    pub breaker_open: bool,
}

impl View {
    /// One that stands so, of unknown latency, not hung, its breaker closed.
    #[must_use]
    pub const fn of(standing: Standing) -> Self {
        Self { standing, latency: None, hung: false, breaker_open: false }
    }

    /// As it is, with this latency.
    #[must_use]
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }

    /// As it is, but hung.
    #[must_use]
    pub const fn hung(mut self) -> Self {
        self.hung = true;
        self
    }

    /// As it is, with its breaker open.
    #[must_use]
    pub const fn breaker_open(mut self) -> Self {
        self.breaker_open = true;
        self
    }

    /// Whether it may be chosen, and if not, why not.
    ///
    /// | standing | neither hung nor its breaker open | otherwise |
    /// |---|---|---|
    /// | live, at rest | now | not |
    /// | awaited | when it is back | not |
    /// | away | not | not |
    ///
    /// # Errors
    ///
    /// [`Ineligible`], the reason why it may not be chosen.
    #[inline]
    pub const fn eligible(&self) -> Result<Eligible, Ineligible> {
        match self.standing {
            Standing::Away => Err(Ineligible::Away),
            _ if self.hung => Err(Ineligible::Hung),
            _ if self.breaker_open => Err(Ineligible::BreakerOpen),
            Standing::Live(_) | Standing::AtRest => Ok(Eligible::Now),
            Standing::Awaited(_) => Ok(Eligible::WhenBack),
        }
    }

    /// How much it has to do: messages that wait or are handled, and tasks that run.
    #[must_use]
    #[inline]
    pub const fn load(&self) -> usize {
        match self.standing {
            Standing::Live(load) | Standing::Awaited(load) => load,
            Standing::AtRest | Standing::Away => 0,
        }
    }
}

/// When a candidate that may be chosen takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Eligible {
    /// At once.
    Now,
    /// Between two lives: with the next one.
    WhenBack,
}

/// Why a candidate may not be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ineligible {
    /// It is not running, and no start is coming.
    Away,
    /// It is known to hang.
    Hung,
    /// The circuit breaker before it is open.
    BreakerOpen,
}

/// The candidates of a choice, in an order that stays while nobody comes or goes: by path, or the most suitable first.
///
/// Implemented for slices and lists of paths and views. The runtime implements it over slots, so that only those are
/// read that a strategy looks at.
pub trait Pool {
    /// How many candidates there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the candidate at this position stands in the tree. May panic from [`len`](Self::len) on.
    fn path(&self, position: usize) -> &Path;

    /// What is seen of the candidate at this position now. May panic from [`len`](Self::len) on.
    fn view(&self, position: usize) -> View;

    /// The [`identity`] of the candidate at this position, which a pool may keep instead of computing it again.
    fn identity(&self, position: usize) -> u64 {
        identity(self.path(position).as_str().as_bytes())
    }
}

impl Pool for [(Path, View)] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn path(&self, position: usize) -> &Path {
        &self[position].0
    }

    fn view(&self, position: usize) -> View {
        self[position].1
    }
}

impl Pool for Vec<(Path, View)> {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn path(&self, position: usize) -> &Path {
        &self[position].0
    }

    fn view(&self, position: usize) -> View {
        self[position].1
    }
}

/// What a choice is made with, besides the candidates.
///
/// ```
/// use steadfast::registry::selection::Draw;
///
/// let draw = Draw::new(0x1234, 7).key(b"customer-42");
/// assert_eq!(draw.turn, 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draw<'a> {
    /// 64 bits drawn at random, for this choice alone.
    pub random: u64,
    /// The number of this choice on its route: one more than for the choice before.
    pub turn: u64,
    /// What the message is about, where it is to go to whom others about the same went.
    pub key: Option<&'a [u8]>,
}

impl<'a> Draw<'a> {
    /// A draw without a key.
    #[must_use]
    pub const fn new(random: u64, turn: u64) -> Self {
        Self { random, turn, key: None }
    }

    /// As it is, for a message about this.
    #[must_use]
    pub const fn key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }
}

/// A way to choose one of several candidates.
///
/// A route holds one; [`Selection`] are those that come with the framework. An implementation looks at the pool and the
/// draw alone, so that the same choice can be made again.
///
/// ```
/// use steadfast::Path;
/// use steadfast::registry::selection::{
///     Choice, Considered, Draw, Eligible, NoChoice, Pool, Reason, Select, Standing, Tally, View,
/// };
///
/// /// The last that is ready.
/// #[derive(Debug)]
/// struct Last;
///
/// impl Select for Last {
///     fn select(&self, pool: &dyn Pool, _: &Draw<'_>) -> Result<Choice, NoChoice> {
///         let ready = |position: &usize| pool.view(*position).eligible() == Ok(Eligible::Now);
///         let last = (0..pool.len()).rev().find(ready).ok_or(NoChoice::Nobody(Tally::of(pool)))?;
///         Ok(Choice::new(last, Eligible::Now, Reason::Other("it is the last"), Considered::All))
///     }
/// }
///
/// let path = |text: &str| text.parse::<Path>().expect("a path");
/// let pool = vec![(path("root/a"), View::of(Standing::Live(0))), (path("root/b"), View::of(Standing::Away))];
/// assert_eq!(Last.select(&pool, &Draw::new(0, 0)).map(|choice| choice.position()), Ok(0));
/// ```
pub trait Select: Send + Sync + std::fmt::Debug {
    /// Chooses one. Where that one may not be chosen ([`View::eligible`]), a route takes it that there is nobody.
    ///
    /// # Errors
    ///
    /// [`NoChoice`], when nobody may be chosen.
    fn select(&self, pool: &dyn Pool, draw: &Draw<'_>) -> Result<Choice, NoChoice>;

    /// Whether it looks at [`View::latency`]. A pool need not work it out for one that does not.
    fn reads_latency(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::Standing::{AtRest, Awaited, Away, Live};
    use super::*;

    #[track_caller]
    fn check(standings: &[Standing], turn: usize, chosen: Option<usize>) {
        assert_eq!(choose(standings, turn), chosen, "{standings:?} at turn {turn}");
    }

    #[test]
    fn a_live_candidate_goes_before_one_between_two_lives_however_loaded() {
        check(&[Awaited(0), Live(900)], 0, Some(1));
        check(&[Away, Awaited(3), Awaited(2)], 0, Some(2));
    }

    #[test]
    fn the_least_loaded_live_candidate_is_chosen() {
        check(&[Live(3), Live(1), Live(2)], 0, Some(1));
        check(&[Live(3), Live(1), Live(2)], 2, Some(1));
    }

    #[test]
    fn equals_are_chosen_in_turn() {
        for turn in 0..6 {
            check(&[Live(0), Live(0), Live(0)], turn, Some(turn % 3));
        }
    }

    #[test]
    fn those_who_cannot_be_chosen_do_not_skew_the_turns_of_the_others() {
        for turn in 0..6 {
            check(&[Live(0), Live(7), Live(0), Away], turn, Some([0, 2][turn % 2]));
        }
    }

    #[test]
    fn one_at_rest_is_chosen_like_one_without_load() {
        check(&[Live(1), AtRest, Awaited(0)], 0, Some(1));
        check(&[Live(0), AtRest], 1, Some(1));
    }

    #[test]
    fn a_candidate_that_is_away_is_never_chosen() {
        check(&[Away, Away], 1, None);
        check(&[], 7, None);
    }
}
