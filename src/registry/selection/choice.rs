//! What comes of a choice.

use std::fmt;

use crate::registry::selection::{Eligible, Ineligible, Pool};

/// Who was chosen, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Choice {
    position: usize,
    eligible: Eligible,
    reason: Reason,
    considered: Considered,
}

impl Choice {
    /// A choice of the candidate at this position of the pool.
    pub const fn new(position: usize, eligible: Eligible, reason: Reason, considered: Considered) -> Self {
        Self { position, eligible, reason, considered }
    }

    /// The same, as the candidate stands now; nobody, where there is none at that position or it may not be chosen.
    ///
    /// # Errors
    ///
    /// [`NoChoice::Nobody`], with how all stand.
    pub(crate) fn checked(self, pool: &dyn Pool) -> Result<Self, NoChoice> {
        let is_there = self.position < pool.len();
        match is_there.then(|| pool.view(self.position).eligible()) {
            Some(Ok(eligible)) => Ok(Self { eligible, ..self }),
            _ => Err(NoChoice::Nobody(Tally::of(pool))),
        }
    }

    /// The position of the candidate in the pool.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Whether it takes the message now, or with its next life.
    #[must_use]
    pub const fn eligible(&self) -> Eligible {
        self.eligible
    }

    /// Why it was chosen.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Among whom it was chosen.
    #[must_use]
    pub const fn considered(&self) -> Considered {
        self.considered
    }
}

/// Why a candidate was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It was its turn.
    Turn,
    /// It was whose turn it was in place of one that may not be chosen.
    TurnOfAnother,
    /// It was drawn at random.
    Drawn,
    /// It had the least load; this many had as much, and it was its turn among them.
    LeastLoad {
        /// Its load.
        load: usize,
        /// How many had that load, itself included.
        equals: usize,
    },
    /// Of two drawn at random, load times latency was less.
    LessToDo,
    /// Of two drawn at random, the other may not be chosen.
    OtherIneligible,
    /// Nobody else may be chosen.
    OnlyOne,
    /// The key belongs to it.
    Key,
    /// It was the first in the order of the pool.
    First,
    /// A strategy that does not come with the framework says why.
    Other(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turn => f.write_str("it was its turn"),
            Self::TurnOfAnother => f.write_str("it took the turn of one that may not be chosen"),
            Self::Drawn => f.write_str("it was drawn at random"),
            Self::LeastLoad { load, equals: 1 } => write!(f, "it had the least load, {load}"),
            Self::LeastLoad { load, equals } => write!(f, "its turn among {equals} with the least load, {load}"),
            Self::LessToDo => f.write_str("load times latency was the less of two drawn at random"),
            Self::OtherIneligible => f.write_str("of two drawn at random the other may not be chosen"),
            Self::OnlyOne => f.write_str("nobody else may be chosen"),
            Self::Key => f.write_str("the key belongs to it"),
            Self::First => f.write_str("it was the first in order that may be chosen"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

/// Among whom a choice was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Considered {
    /// Only the one that was chosen was looked at.
    One,
    /// It and the one at this position.
    Two(usize),
    /// All from the first of the pool to the one that was chosen.
    UpToIt,
    /// The whole pool.
    All,
}

/// Nobody was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoChoice {
    /// There is no candidate, or none of them may be chosen.
    #[error("{0}")]
    Nobody(Tally),
    /// The strategy goes by a key, and the message has none.
    #[error("the route goes by a key, and the message has none; give it one, or choose another selection")]
    NoKey,
}

/// How the candidates of a pool stand, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Those that may be chosen now.
    pub ready: usize,
    /// Those between two lives.
    pub awaited: usize,
    /// Those that are not running and not coming back.
    pub away: usize,
    /// Those that are known to hang.
    pub hung: usize,
    /// Those whose circuit breaker is open.
    pub breaker_open: usize,
}

impl Tally {
    /// Counts a whole pool.
    #[must_use]
    pub fn of(pool: &dyn Pool) -> Self {
        let mut tally = Self::default();
        (0..pool.len()).for_each(|position| tally.count(pool.view(position).eligible()));
        tally
    }

    pub(super) fn count(&mut self, eligible: Result<Eligible, Ineligible>) {
        let counter = match eligible {
            Ok(Eligible::Now) => &mut self.ready,
            Ok(Eligible::WhenBack) => &mut self.awaited,
            Err(Ineligible::Away) => &mut self.away,
            Err(Ineligible::Hung) => &mut self.hung,
            Err(Ineligible::BreakerOpen) => &mut self.breaker_open,
        };
        *counter += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.ready, "ready"),
            (self.awaited, "between two lives"),
            (self.away, "away"),
            (self.hung, "hung"),
            (self.breaker_open, "with an open breaker"),
        ];
        let all: usize = counts.iter().map(|(count, _)| count).sum();
        write!(f, "{all} candidates")?;
        let mut sign = ": ";
        for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
            write!(f, "{sign}{count} {what}")?;
            sign = ", ";
        }
        Ok(())
    }
}
