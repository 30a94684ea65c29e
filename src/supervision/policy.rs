//! What a supervisor is told about its children: strategy, restart types, shutdown, limits.
//!
//! Plain data with OTP's defaults. [`Rules::check`] and [`check_ids`] find what makes no sense before anything starts.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::ChildId;

use super::backoff::{Backoff, BackoffProblem};
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

/// Whether a supervisor ends when its significant children have ended (rules 39 to 42).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It does not; no child may be significant.
    #[default]
    Never,
    /// It ends with the first significant child that ends by itself and is not restarted.
    AnySignificant,
    /// It ends when a significant child ends by itself, is not restarted, and no other is running or restarting.
    AllSignificant,
}

impl fmt::Display for AutoShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::AnySignificant => "any_significant",
            Self::AllSignificant => "all_significant",
        })
    }
}

/// The rules of one child.
///
/// The first three are OTP's and have its defaults; the others are off unless set, and then the child is OTP's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildRules {
    /// Whether it comes back.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// Whether its end counts for the automatic shutdown of its supervisor (rule 39).
    pub significant: bool,
    /// How long a restart of it waits; at once when `None`.
    pub backoff: Option<Backoff>,
    /// Its own intensity. Its restarts count here and not at the supervisor; when it runs out, it is quarantined.
    pub budget: Option<Intensity>,
    /// How long a start may take; without limit when `None`.
    pub start_deadline: Option<Duration>,
    /// Whether a transient child is forgotten when it ends softly, instead of being kept, stopped.
    pub forget_when_done: bool,
    /// The siblings that must have started before it; all that stand before it when `None`.
    pub after: Option<Arc<[ChildId]>>,
}

impl ChildRules {
    /// OTP's defaults for a worker: permanent, 5 s to stop.
    #[must_use]
    pub const fn worker() -> Self {
        Self::new(Shutdown::Within(Duration::from_secs(5)), ChildKind::Worker)
    }

    /// OTP's defaults for a supervisor: permanent, waited for without limit.
    #[must_use]
    pub const fn supervisor() -> Self {
        Self::new(Shutdown::Wait, ChildKind::Supervisor)
    }

    const fn new(shutdown: Shutdown, kind: ChildKind) -> Self {
        Self {
            restart: Restart::Permanent,
            shutdown,
            kind,
            significant: false,
            backoff: None,
            budget: None,
            start_deadline: None,
            forget_when_done: false,
            after: None,
        }
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

    /// Makes the child's end count for the automatic shutdown of its supervisor.
    #[must_use]
    pub const fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// Lets restarts of the child wait.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Gives the child an intensity of its own.
    #[must_use]
    pub const fn budget(mut self, budget: Intensity) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets how long a start of the child may take.
    #[must_use]
    pub const fn start_deadline(mut self, limit: Duration) -> Self {
        self.start_deadline = Some(limit);
        self
    }

    /// Lets a transient child be forgotten when it ends softly.
    #[must_use]
    pub const fn forget_when_done(mut self) -> Self {
        self.forget_when_done = true;
        self
    }

    /// Sets the siblings that must have started before this child. With none it may start at once; without this
    /// setting it starts after all that stand before it.
    #[must_use]
    pub fn after(mut self, siblings: impl IntoIterator<Item = ChildId>) -> Self {
        self.after = Some(siblings.into_iter().collect());
        self
    }

    /// Looks for settings of one child that make no sense (rule 9).
    pub fn check(&self, id: &ChildId) -> Result<(), SpecProblem> {
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecProblem::SignificantPermanent { id: id.clone() });
        }
        if self.budget.is_some_and(|budget| budget.period.is_zero()) {
            return Err(SpecProblem::BudgetPeriodZero { id: id.clone() });
        }
        if self.start_deadline.is_some_and(|limit| limit.is_zero()) {
            return Err(SpecProblem::StartDeadlineZero { id: id.clone() });
        }
        if self.forget_when_done && self.restart != Restart::Transient {
            return Err(SpecProblem::ForgetNotTransient { id: id.clone() });
        }
        match self.backoff.as_ref().map_or(Ok(()), Backoff::check) {
            Ok(()) => Ok(()),
            Err(problem) => Err(SpecProblem::Backoff { id: id.clone(), problem }),
        }
    }
}

impl Default for ChildRules {
    fn default() -> Self {
        Self::worker()
    }
}

/// The rules of one supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Which children share a failure.
    pub strategy: Strategy,
    /// How many restarts are too many.
    pub intensity: Intensity,
    /// How many starts of one child may fail in a row before the supervisor gives up; no limit of its own when
    /// `None`, as in OTP, where only the intensity counts.
    pub failed_starts: Option<u32>,
    /// Whether it ends when its significant children have.
    pub auto_shutdown: AutoShutdown,
    /// How long a child that was killed may take to be gone, before it is abandoned.
    pub abandon_after: Duration,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) mutation: Option<super::Mutation>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(Strategy::OneForOne)
    }
}

impl Rules {
    /// OTP's defaults with this strategy: 1 restart in 5 s, no limit of its own for failed starts.
    #[must_use]
    pub const fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::at_most(1),
            failed_starts: None,
            auto_shutdown: AutoShutdown::Never,
            abandon_after: Self::DEFAULT_ABANDON_AFTER,
            #[cfg(any(test, feature = "testing"))]
            mutation: None,
        }
    }

    /// How long a killed child may take to be gone unless told otherwise.
    pub const DEFAULT_ABANDON_AFTER: Duration = Duration::from_secs(5);

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

    /// Ends the supervisor when its significant children have ended.
    #[must_use]
    pub const fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Sets how long a killed child may take to be gone, before it is abandoned: fenced, reported and replaced. A
    /// supervisor has this time after each moment for which it waits itself, such as the deadline of a child of its own.
    #[must_use]
    pub const fn abandon_after(mut self, limit: Duration) -> Self {
        self.abandon_after = limit;
        self
    }

    /// The same rules with one of them broken on purpose, for tests that must notice it.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub const fn mutated(mut self, mutation: super::Mutation) -> Self {
        self.mutation = Some(mutation);
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

/// Looks for what a list of children gets wrong, each for itself and together (rule 9).
pub fn check_children<'a>(
    rules: &Rules,
    children: impl IntoIterator<Item = (&'a ChildId, &'a ChildRules)>,
) -> Result<(), SpecProblem> {
    let mut seen = HashSet::new();
    for (id, child) in children {
        child.check(id)?;
        if child.significant && rules.auto_shutdown == AutoShutdown::Never {
            return Err(SpecProblem::SignificantButNever { id: id.clone() });
        }
        if let Some(missing) = child.after.iter().flat_map(|after| &**after).find(|name| !seen.contains(name)) {
            return Err(SpecProblem::AfterUnknown { id: id.clone(), missing: missing.clone() });
        }
        if !seen.insert(id) {
            return Err(SpecProblem::DuplicateId { id: id.clone() });
        }
    }
    Ok(())
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
    /// A permanent child cannot be significant, since it never ends for good.
    #[error("`{id}` is significant and permanent; make it transient or temporary, or not significant")]
    SignificantPermanent {
        /// The child.
        id: ChildId,
    },
    /// A child is significant for a supervisor that never shuts down by itself.
    #[error("`{id}` is significant, but its supervisor never shuts down by itself; set `auto_shutdown`")]
    SignificantButNever {
        /// The child.
        id: ChildId,
    },
    /// The window of a child's own intensity has no length.
    #[error("the period of the budget of `{id}` is zero; give it a length, such as 5s")]
    BudgetPeriodZero {
        /// The child.
        id: ChildId,
    },
    /// A start may take no time at all.
    #[error("the start deadline of `{id}` is zero; give it more, or leave it out")]
    StartDeadlineZero {
        /// The child.
        id: ChildId,
    },
    /// Only a transient child is kept when it is done, and so only it can be forgotten instead.
    #[error("`{id}` is to be forgotten when done, but is not transient; make it so, or leave the setting out")]
    ForgetNotTransient {
        /// The child.
        id: ChildId,
    },
    /// A child waits for a sibling that does not stand before it.
    #[error(
        "`{id}` starts after `{missing}`, which does not stand before it in the list; move it up, or mend the name"
    )]
    AfterUnknown {
        /// The child.
        id: ChildId,
        /// What it waits for.
        missing: ChildId,
    },
    /// A back-off that cannot be meant.
    #[error("the back-off of `{id}`: {problem}")]
    Backoff {
        /// The child.
        id: ChildId,
        /// What is wrong with it.
        problem: BackoffProblem,
    },
    /// A dynamic supervisor was given a list of children, or one with a list a template.
    #[error(
        "a supervisor keeps its kind: a list of children, or a template of workers or of supervisors, with the same type of arguments; start another one instead"
    )]
    OtherKind,
    /// A supervisor with a template was given a list of children.
    #[error("a dynamic supervisor has one template and no list of children")]
    TemplateOnly,
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
