//! What a task does, as one value instead of four optional fields.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::goal::model::{Check, Command, Retrieve, Task};

/// The four kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Runs a program.
    Command,
    /// Reads from the input folder.
    Retrieve,
    /// Checks values or files.
    Check,
    /// Puts results together.
    Collect,
}

impl TaskKind {
    /// Every kind, in the order in which they are listed for people.
    pub const ALL: [Self; 4] = [Self::Command, Self::Retrieve, Self::Check, Self::Collect];

    /// The key of this kind in a goal file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Retrieve => "retrieve",
            Self::Check => "check",
            Self::Collect => "collect",
        }
    }

    /// The capability that a task of this kind needs when it names none.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Command => "task.command",
            Self::Retrieve => "task.retrieve",
            Self::Check => "task.check",
            Self::Collect => "task.collect",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// What one task does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work<'a> {
    /// Runs this program.
    Command(&'a Command),
    /// Reads this.
    Retrieve(&'a Retrieve),
    /// Checks this.
    Check(&'a Check),
    /// Puts this together.
    Collect(&'a Value),
}

impl Work<'_> {
    /// The kind of this work.
    #[must_use]
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::Command(_) => TaskKind::Command,
            Self::Retrieve(_) => TaskKind::Retrieve,
            Self::Check(_) => TaskKind::Check,
            Self::Collect(_) => TaskKind::Collect,
        }
    }
}

impl Task {
    /// What the task does; nothing unless exactly one kind is set, which a [`Plan`](crate::plan::Plan) guarantees.
    #[must_use]
    pub fn work(&self) -> Option<Work<'_>> {
        match (&self.command, &self.retrieve, &self.check, &self.collect) {
            (Some(command), None, None, None) => Some(Work::Command(command)),
            (None, Some(retrieve), None, None) => Some(Work::Retrieve(retrieve)),
            (None, None, Some(check), None) => Some(Work::Check(check)),
            (None, None, None, Some(collect)) => Some(Work::Collect(collect)),
            _ => None,
        }
    }

    /// The kinds that are set.
    #[must_use]
    pub fn kinds(&self) -> Vec<TaskKind> {
        let set = [self.command.is_some(), self.retrieve.is_some(), self.check.is_some(), self.collect.is_some()];
        TaskKind::ALL.into_iter().zip(set).filter_map(|(kind, set)| set.then_some(kind)).collect()
    }
}
