//! What a supervisor is told about its children: strategy, restart types, shutdown, limits.
//!
//! Plain data with OTP's defaults. [`Rules::check`] and [`check_ids`] find what makes no sense before anything starts.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::id::ChildId;

use super::intensity::Intensity;

/// Which children share a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the child that ended is started again (rule 25).
    #[default]
    OneForOne,
    /// All other children are stopped, then all are started (rule 26).
    OneForAll,
    /// The children after the one that ended are stopped, then it and they are started (rule 27).
    RestForOne,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
        })
    }
}

/// Whether a child that ended comes back (rules 17 to 19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After an abnormal end only; otherwise its spec stays, stopped.
    Transient,
    /// Never; its spec is forgotten.
    Temporary,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// How a supervisor ends a child (rule 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Killed at once. OTP's `brutal_kill`.
    Kill,
    /// Asked to stop, and killed when it has not ended after this time.
    Within(Duration),
    /// Asked to stop, and waited for without limit. OTP's `infinity`.
    Wait,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Within(limit) => write!(f, "within {limit:?}"),
            Self::Wait => f.write_str("wait"),
        }
    }
}

/// Whether a child is itself a supervisor. Only defaults and counters differ (rule 53).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// An agent, an actor, a function or a task.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

impl fmt::Display for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
        })
    }
}

/// The rules of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildRules {
    /// Whether it comes back.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: ChildKind,
}

impl ChildRules {
    /// OTP's defaults for a worker: permanent, 5 s to stop.
    #[must_use]
    pub const fn worker() -> Self {
        let shutdown = Shutdown::Within(Duration::from_secs(5));
        Self { restart: Restart::Permanent, shutdown, kind: ChildKind::Worker }
    }

    /// OTP's defaults for a supervisor: permanent, waited for without limit.
    #[must_use]
    pub const fn supervisor() -> Self {
        Self { restart: Restart::Permanent, shutdown: Shutdown::Wait, kind: ChildKind::Supervisor }
    }

    /// Sets whether the child comes back.
    #[must_use]
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets how the child is ended.
    #[must_use]
    pub const fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }
}

impl Default for ChildRules {
    fn default() -> Self {
        Self::worker()
    }
}

/// The rules of one supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Which children share a failure.
    pub strategy: Strategy,
    /// How many restarts are too many.
    pub intensity: Intensity,
    /// How many starts of one child may fail in a row before the supervisor gives up; no limit of its own when
    /// `None`, as in OTP, where only the intensity counts.
    pub failed_starts: Option<u32>,
}

impl Rules {
    /// OTP's defaults with this strategy: 1 restart in 5 s, no limit of its own for failed starts.
    #[must_use]
    pub const fn new(strategy: Strategy) -> Self {
        Self { strategy, intensity: Intensity::at_most(1), failed_starts: None }
    }

    /// Sets how many restarts are too many.
    #[must_use]
    pub const fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Gives up as soon as `count` starts of one child failed in a row, also where the intensity would allow more.
    #[must_use]
    pub const fn failed_starts(mut self, count: u32) -> Self {
        self.failed_starts = Some(count);
        self
    }

    /// Looks for settings that make no sense (rule 9).
    pub fn check(&self) -> Result<(), SpecProblem> {
        if self.intensity.period.is_zero() {
            return Err(SpecProblem::PeriodZero);
        }
        if self.failed_starts == Some(0) {
            return Err(SpecProblem::FailedStartsZero);
        }
        Ok(())
    }
}

/// Looks for a name that two children of one supervisor share (rule 9).
pub fn check_ids<'a>(ids: impl IntoIterator<Item = &'a ChildId>) -> Result<(), SpecProblem> {
    let mut seen = BTreeSet::new();
    match ids.into_iter().find(|id| !seen.insert(*id)) {
        Some(id) => Err(SpecProblem::DuplicateId { id: id.clone() }),
        None => Ok(()),
    }
}

/// A specification that no supervisor can follow. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecProblem {
    /// Two children have the same name.
    #[error("two children are named `{id}`; give each a name of its own")]
    DuplicateId {
        /// The name.
        id: ChildId,
    },
    /// The intensity's window has no length.
    #[error("the period of the intensity is zero; give it a length, such as 5s")]
    PeriodZero,
    /// No failed start is allowed, and so no start at all would be.
    #[error("`failed_starts` is 0; allow at least 1, or leave it out")]
    FailedStartsZero,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_otp() {
        let rules = Rules::default();
        assert_eq!((rules.strategy, rules.failed_starts), (Strategy::OneForOne, None));
        assert_eq!((rules.intensity.max, rules.intensity.period), (1, Duration::from_secs(5)));
        let worker = ChildRules::worker();
        assert_eq!((worker.restart, worker.shutdown), (Restart::Permanent, Shutdown::Within(Duration::from_secs(5))));
        assert_eq!(ChildRules::supervisor().shutdown, Shutdown::Wait);
    }

    #[test]
    fn rules_without_a_window_or_without_any_start_are_refused() {
        let rules = Rules::new(Strategy::OneForAll);
        assert_eq!(rules.check(), Ok(()));
        assert_eq!(rules.intensity(Intensity::at_most(0)).check(), Ok(()));
        let no_window = rules.intensity(Intensity::at_most(3).within(Duration::ZERO));
        assert_eq!(no_window.check(), Err(SpecProblem::PeriodZero));
        assert_eq!(rules.failed_starts(0).check(), Err(SpecProblem::FailedStartsZero));
    }

    #[test]
    fn a_name_that_two_children_share_is_refused() {
        let ids = ["a", "b", "a"].map(|name| ChildId::new(name).expect("a name"));
        assert_eq!(check_ids(&ids), Err(SpecProblem::DuplicateId { id: ids[0].clone() }));
        assert_eq!(check_ids(&ids[..2]), Ok(()));
    }

    #[test]
    fn policies_print_as_otp_names_them() {
        let printed = [
            Strategy::RestForOne.to_string(),
            Restart::Transient.to_string(),
            Shutdown::Within(Duration::from_millis(1500)).to_string(),
            ChildKind::Supervisor.to_string(),
        ];
        assert_eq!(printed, ["rest_for_one", "transient", "within 1.5s", "supervisor"]);
    }
}
