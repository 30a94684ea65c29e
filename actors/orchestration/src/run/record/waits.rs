//! What a run waits for, and why it stands still.

use serde::{Deserialize, Serialize};
use steadfast::RunId;

use crate::run::id::{Millis, TaskId};
use crate::run::record::Class;

/// Whose step a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run that it is a step of.
    pub run: RunId,
    /// The task that it is.
    pub task: TaskId,
}

/// Why a run was paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseCause {
    /// Somebody asked for it.
    Asked,
    /// A task has used up its attempts.
    Exhausted {
        /// The task.
        task: TaskId,
        /// How the last one failed.
        class: Class,
    },
    /// Every agent that took the task died or hung.
    Poison {
        /// The task.
        task: TaskId,
    },
    /// A variable of the environment that the goal names is not set where the run is carried on.
    MissingVariable {
        /// The name of the variable.
        name: String,
    },
    /// A result that is kept beside the journal is not to be had.
    MissingArtifact {
        /// The task whose result it is.
        task: TaskId,
        /// The digest of the result.
        digest: String,
    },
}

/// What a task waits for that no agent does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitFor {
    /// For a person to say yes or no.
    Approval {
        /// What is asked.
        prompt: String,
        /// Until when; without it, for as long as it takes.
        until: Option<Millis>,
    },
    /// For a moment.
    Until(Millis),
    /// For something to happen outside.
    Signal {
        /// The name of the signal.
        name: String,
        /// Until when; without it, for as long as it takes.
        until: Option<Millis>,
    },
}

/// What a run may use only so much of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BudgetKind {
    /// Time.
    Wall,
    /// Attempts, of all tasks together.
    Attempts,
    /// Agents that were started for it.
    Agents,
    /// Bytes of results.
    Output,
    /// What agents charge themselves.
    Counter(String),
    /// The same call, again and again.
    Repeats {
        /// Of which tool.
        tool: String,
    },
}
