//! What the lint finds, in words that name the setting and the remedy.

use std::time::Duration;

use crate::id::{ChildId, Path};
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::{Restart, Strategy};

/// A setting of a tree that is allowed, and hardly meant.
///
/// `Display` is one line: where, what is suspicious and why, and what a person would change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
#[non_exhaustive]
pub struct Warning {
    /// The supervisor or the child that the setting belongs to.
    pub path: Path,
    /// What was found.
    pub what: Finding,
}

/// What is suspicious about a supervisor or a child.
///
/// A time of `None` is one without limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// The intensity is 0, and there is a child whose end counts.
    #[error(
        "the intensity allows no restart, and so the first end of `{child}`, which is {restart}, makes the supervisor \
         give up; allow at least 1, or make the children temporary"
    )]
    AlwaysGivesUp {
        /// The first such child.
        child: ChildId,
        /// Its restart type.
        restart: Restart,
    },
    /// Stopping the group may take so long that its restarts never come close enough together (quirk Q6).
    #[error(
        "when `{child}` ends, stopping the others of the group may take {}, and restarts that far apart never add up \
         to more than {intensity} (intensity); lengthen the period, or shorten the `shutdown` of the others", spell(*.stopping)
    )]
    StopsOutlastPeriod {
        /// The child whose end stops the others for longest.
        child: ChildId,
        /// How long stopping them may take, one after another.
        stopping: Option<Duration>,
        /// The limit that does not trigger then.
        intensity: Intensity,
    },
    /// The back-offs keep restarts so far apart that the intensity is never exceeded.
    #[error(
        "the back-offs of the children allow at most {most} restarts within {:?}, and so the supervisor never gives up \
         for more than {intensity} (intensity); allow less, or lengthen the period", .intensity.period
    )]
    DelaysOutlastPeriod {
        /// The most restarts that one window can hold.
        most: u64,
        /// The limit that never triggers.
        intensity: Intensity,
    },
    /// The intensity allows more restarts per second than a machine should do.
    #[error(
        "the intensity of {intensity} allows more than {} restarts per second, which is as good as no limit; allow less, \
         or lengthen the period",
        super::MOST_RESTARTS_PER_SECOND
    )]
    UnboundedRestarts {
        /// The limit.
        intensity: Intensity,
    },
    /// A start that always fails is tried too often before the supervisor gives up.
    #[error(
        "a child whose start always fails is tried {} times without a pause before {intensity} (intensity) ends it; set \
         `failed_starts`, or give the child a back-off", .intensity.max
    )]
    UnboundedFailedStarts {
        /// The limit.
        intensity: Intensity,
    },
    /// The intensity ends a series of failed starts before `failed_starts` does.
    #[error(
        "`failed_starts` is {failed_starts}, but {intensity} (intensity) runs out earlier unless the starts fail slowly; \
         set at most {}, or raise the intensity", .intensity.max
    )]
    FailedStartsOutOfReach {
        /// The limit that is not reached.
        failed_starts: u32,
        /// The limit that is reached before it.
        intensity: Intensity,
    },
    /// Starts that run into the child's deadline are too far apart to add up.
    #[error(
        "a start that hangs is tried again every {deadline:?} (`start_deadline`), and so never adds up to more than \
         {intensity} (intensity); set `failed_starts`, or lengthen the period"
    )]
    HungStartsNeverAddUp {
        /// How long each attempt takes.
        deadline: Duration,
        /// The limit that does not trigger.
        intensity: Intensity,
    },
    /// A strategy for groups, and fewer than two children.
    #[error(
        "{strategy} is for children that share a failure, and there {}; use one_for_one, or add the others",
        if *.children == 1 { "is only one" } else { "are none" }
    )]
    GroupOfOne {
        /// The strategy.
        strategy: Strategy,
        /// How many children there are.
        children: usize,
    },
    /// A strategy for groups, and no child that is ever restarted.
    #[error(
        "all children are temporary, and so neither {strategy} nor the intensity ever applies; make those that must \
         come back permanent or transient, or use one_for_one"
    )]
    GroupWithoutRestarts {
        /// The strategy.
        strategy: Strategy,
    },
    /// A temporary child is stopped with its group and does not come back (rule 28).
    #[error(
        "the restart of its group stops and forgets this temporary child, though it did not fail; make it transient, or \
         move it to a supervisor of its own"
    )]
    TemporaryInGroup,
    /// The supervisor is to end with its significant children, and has none.
    #[error("`auto_shutdown` is set, but no child is significant; mark one, or leave `auto_shutdown` out")]
    AutoShutdownWithoutSignificant,
    /// The supervisor ends with its significant children, and is then started again (rule 42).
    #[error(
        "`auto_shutdown` ends this supervisor, but it is permanent and so is started again, which counts; make it \
         transient"
    )]
    AutoShutdownRestarted,
    /// A supervisor that gives up is not started again (rule 24).
    #[error(
        "a supervisor that gives up ends with `shutdown`, and so this one, which is {restart}, is not started again \
         but {}; make it permanent", if *.restart == Restart::Temporary { "forgotten" } else { "stays down" }
    )]
    SupervisorStaysDown {
        /// Its restart type.
        restart: Restart,
    },
    /// A supervisor has less time to stop than its children may take, one after another.
    #[error(
        "it has {limit:?} to stop (`shutdown`), but stopping its children may take {}; use `Shutdown::Wait`, or allow \
         more", spell(*.children)
    )]
    ShutdownTooShort {
        /// How long it has.
        limit: Duration,
        /// How long its children may take.
        children: Option<Duration>,
    },
    /// A supervisor is killed, and its children with it.
    #[error("it is killed to stop it (`shutdown`), and so no child of it may finish; use `Shutdown::Wait`")]
    SupervisorKilled,
    /// A worker that never ends keeps its supervisor from ever stopping.
    #[error(
        "a worker that does not end when asked is waited for without limit (`shutdown`), and so its supervisor may \
         never stop; use `Shutdown::Within`"
    )]
    WorkerWaitedFor,
    /// A supervisor has less time to start than its children may take, one after another.
    #[error(
        "it has {limit:?} to start (`start_deadline`), but its children may take {children:?}; allow more, or shorten \
         their deadlines"
    )]
    StartDeadlineTooShort {
        /// How long it has.
        limit: Duration,
        /// How long its children may take, as far as they have deadlines.
        children: Duration,
    },
    /// The child's budget is 0.
    #[error(
        "its budget allows no restart, and so its first end quarantines it; allow at least 1, or make it temporary"
    )]
    AlwaysQuarantined,
    /// The child's back-off keeps its restarts so far apart that its budget never runs out.
    #[error(
        "its back-off allows at most {most} restarts within {:?}, and so its budget of {budget} never runs out; allow \
         less, or lengthen the period", .budget.period
    )]
    BudgetNeverRunsOut {
        /// The most restarts that one window can hold.
        most: u64,
        /// The limit that never triggers.
        budget: Intensity,
    },
    /// A setting about restarts, for a child that has none.
    #[error("`{setting}` is about restarts, and a temporary child has none; leave it out, or change the restart type")]
    NoEffect {
        /// The name of the setting.
        setting: &'static str,
    },
}

fn spell(time: Option<Duration>) -> String {
    time.map_or_else(|| "for ever".to_owned(), |time| format!("{time:?}"))
}
