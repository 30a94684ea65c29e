//! A choice as others read it: with the candidates and the reason.

use std::fmt;

use crate::id::Path;
use crate::registry::selection::{Choice, Considered, Eligible, Ineligible, Pool, Reason, View};

/// How many candidates a decision lists; of more it says how many there were.
pub const LISTED: usize = 16;

/// A choice, written out: who was chosen, why, and among whom. Made where somebody asks for it, since it costs more than
/// the choice.
///
/// ```
/// use steadfast::registry::selection::{Decision, Draw, Select, Selection, Standing, View};
///
/// let pool: Vec<_> = [("root/a", View::of(Standing::Live(4))), ("root/b", View::of(Standing::Live(1)))]
///     .map(|(path, view)| (path.parse().expect("a path"), view))
///     .into();
/// let choice = Selection::LeastLoaded.select(&pool, &Draw::new(0, 0))?;
/// assert_eq!(
///     Decision::of(&pool, &choice).to_string(),
///     "root/b: it had the least load, 1; considered: root/a (load 4), root/b (load 1)"
/// );
/// # Ok::<(), steadfast::registry::selection::NoChoice>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Who was chosen.
    pub chosen: Path,
    /// Whether it takes the message now, or with its next life.
    pub eligible: Eligible,
    /// Why.
    pub reason: Reason,
    /// Who was considered, in the order of the pool; at most the first [`LISTED`].
    pub candidates: Vec<Seen>,
    /// How many were considered.
    pub considered: usize,
}

/// A candidate as it was seen when the decision was written out, which may be a moment after the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Where it stands in the tree.
    pub path: Path,
    /// How it stood.
    pub view: View,
}

impl Decision {
    /// Writes out a choice that was made in this pool.
    ///
    /// # Panics
    ///
    /// May panic when the choice was made in another pool.
    #[must_use]
    pub fn of(pool: &dyn Pool, choice: &Choice) -> Self {
        let chosen = choice.position();
        let (positions, considered) = match choice.considered() {
            Considered::One => (vec![chosen], 1),
            Considered::Two(other) => (vec![chosen.min(other), chosen.max(other)], 2),
            Considered::UpToIt => ((0..=chosen).take(LISTED).collect(), chosen + 1),
            Considered::All => ((0..pool.len()).take(LISTED).collect(), pool.len()),
        };
        let see = |position| Seen { path: pool.path(position).clone(), view: pool.view(position) };
        Self {
            chosen: pool.path(chosen).clone(),
            eligible: choice.eligible(),
            reason: choice.reason(),
            candidates: positions.into_iter().map(see).collect(),
            considered,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.chosen, self.reason)?;
        if self.eligible == Eligible::WhenBack {
            f.write_str(", and nobody is ready before it is back")?;
        }
        f.write_str("; considered:")?;
        for (number, seen) in self.candidates.iter().enumerate() {
            write!(f, "{} {seen}", if number == 0 { "" } else { "," })?;
        }
        match self.considered - self.candidates.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.path)?;
        match self.view.eligible() {
            Ok(Eligible::Now) => write!(f, "load {}", self.view.load())?,
            Ok(Eligible::WhenBack) => write!(f, "between two lives, load {}", self.view.load())?,
            Err(Ineligible::Away) => f.write_str("away")?,
            Err(Ineligible::Hung) => f.write_str("hung")?,
            Err(Ineligible::BreakerOpen) => f.write_str("breaker open")?,
        }
        if let Some(latency) = self.view.latency {
            write!(f, ", latency {latency:?}")?;
        }
        f.write_str(")")
    }
}
