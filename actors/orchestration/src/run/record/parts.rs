//! The parts of records about tasks.

use serde::{Deserialize, Serialize};
use steadfast::Path;

use crate::goal::model::FailureClass;
use crate::run::id::{Millis, TaskId};

/// A task given to an agent's incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// The task.
    pub task: TaskId,
    /// The attempt, from 1 on.
    pub attempt: u32,
    /// Who holds the lease.
    pub agent: Path,
    /// The incarnation that holds it, and no other.
    pub incarnation: u64,
    /// The idempotency key: the same for every attempt of the task.
    pub key: String,
    /// The digest of everything that the attempt was given.
    pub input_digest: String,
    /// Where what it was given came from.
    pub context: Lookups,
    /// When.
    pub wall: Millis,
}

/// Answers that came from a cache, and those that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookups {
    /// From the cache.
    pub hits: u64,
    /// From the source.
    pub misses: u64,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The task did what it should.
    Succeeded {
        /// The declared result, as JSON.
        value: String,
        /// The digest of the result.
        digest: String,
    },
    /// The task did what it should, and its result stands in the artifact store under its digest.
    Stored {
        /// The digest of the result.
        digest: String,
        /// How long the result is, as JSON.
        bytes: u64,
    },
    /// The task failed for good.
    Failed {
        /// How.
        class: Class,
        /// What happened and what to do, for people.
        message: String,
    },
    /// The task was not run.
    Skipped {
        /// Why, for people.
        reason: String,
        /// What follows for the tasks that need it.
        cause: SkipCause,
    },
}

/// Why a task was skipped, as far as the tasks that need it are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipCause {
    /// Its condition did not hold, or its list does not exist: who needs it runs, and sees null as its result.
    Condition,
    /// A task that it needs failed: who needs it is skipped, too.
    NeedFailed,
    /// Enough others ended first: who needs it runs, and sees null as its result.
    NotNeeded,
    /// The run was cancelled, or its budget is used up: nothing that needs it runs either.
    Closed,
}

/// How an attempt or a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The program ended with an exit code that was not expected, or by a signal.
    Exit,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The program could not be started, or a file could not be read.
    Start,
    /// The output is not what the task declares.
    Output,
    /// A check or a validation said no.
    Invalid,
    /// A policy said no.
    Denied,
    /// The task could not be prepared: a reference leads nowhere, or a list is no list or too long.
    Plan,
    /// Every agent that took the task died or hung.
    Poison,
    /// The run's deadline passed.
    Deadline,
    /// A person said no.
    Rejected,
    /// The goal inside the goal was not reached.
    Child,
    /// A budget is used up.
    Budget,
    /// The same call was made again and again.
    Repeats,
    /// Fewer of the tasks that it gathers can succeed than it needs.
    Quorum,
}

impl Class {
    /// The word for people and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Timeout => "timeout",
            Self::Start => "start",
            Self::Output => "output",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Plan => "plan",
            Self::Poison => "poison",
            Self::Deadline => "deadline",
            Self::Rejected => "rejected",
            Self::Child => "child",
            Self::Budget => "budget",
            Self::Repeats => "repeats",
            Self::Quorum => "quorum",
        }
    }
}

impl From<FailureClass> for Class {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Exit => Self::Exit,
            FailureClass::Timeout => Self::Timeout,
            FailureClass::Start => Self::Start,
            FailureClass::Output => Self::Output,
            FailureClass::Invalid => Self::Invalid,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every task succeeded, or was skipped because its condition did not hold.
    Reached,
    /// A task failed.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
    /// A budget is used up.
    BudgetSpent,
    /// The run was asked to stop before every task had its outcome, and nobody keeps it.
    Drained,
    /// It has not: what a report says of a run that is not over. It is in no record.
    Unfinished,
}

impl Status {
    /// The word for people and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::BudgetSpent => "budget spent",
            Self::Drained => "drained",
            Self::Unfinished => "unfinished",
        }
    }
}

/// What came of the undo of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UndoOutcome {
    /// What the task did is undone.
    Undone,
    /// It is not, and nobody tries again: a person has to look at it.
    Failed {
        /// How the last attempt failed.
        class: Class,
        /// What happened and what to do, for people.
        message: String,
    },
}

/// How many tasks were undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoSummary {
    /// Those that were.
    pub undone: u32,
    /// Those that could not be: a person has to look at them.
    pub failed: u32,
}
