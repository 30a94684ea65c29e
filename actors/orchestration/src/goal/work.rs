//! What a task does, as one value instead of many optional fields.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::goal::model::{Approve, Check, ChildGoal, Command, Gather, Retrieve, Signal, Task, Wait};

/// The kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskKind {
    /// Runs a program.
    Command,
    /// Reads from the input folder.
    Retrieve,
    /// Checks values or files.
    Check,
    /// Puts results together.
    Collect,
    /// Waits for a person.
    Approve,
    /// Waits for a time.
    Wait,
    /// Waits for an event.
    Signal,
    /// Waits for tasks, not necessarily for all.
    Gather,
    /// Carries another goal out.
    Goal,
}

impl TaskKind {
    /// Every kind, in the order in which they are listed for people.
    pub const ALL: [Self; 9] = [
        Self::Command,
        Self::Retrieve,
        Self::Check,
        Self::Collect,
        Self::Approve,
        Self::Wait,
        Self::Signal,
        Self::Gather,
        Self::Goal,
    ];

    /// The key of this kind in a goal file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Retrieve => "retrieve",
            Self::Check => "check",
            Self::Collect => "collect",
            Self::Approve => "approve",
            Self::Wait => "wait",
            Self::Signal => "signal",
            Self::Gather => "gather",
            Self::Goal => "goal",
        }
    }

    /// The capability that a task of this kind needs when it names none; nothing where the run itself carries it out.
    #[must_use]
    pub const fn capability(self) -> Option<&'static str> {
        match self {
            Self::Command => Some("task.command"),
            Self::Retrieve => Some("task.retrieve"),
            Self::Check => Some("task.check"),
            Self::Collect => Some("task.collect"),
            Self::Approve | Self::Wait | Self::Signal | Self::Gather | Self::Goal => None,
        }
    }

    /// The capabilities of all kinds that an agent carries out.
    pub fn capabilities() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter_map(Self::capability)
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// What one task does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Work<'a> {
    /// Runs this program.
    Command(&'a Command),
    /// Reads this.
    Retrieve(&'a Retrieve),
    /// Checks this.
    Check(&'a Check),
    /// Puts this together.
    Collect(&'a Value),
    /// Waits for a person.
    Approve(&'a Approve),
    /// Waits for a time.
    Wait(&'a Wait),
    /// Waits for an event.
    Signal(&'a Signal),
    /// Waits for these tasks.
    Gather(&'a Gather),
    /// Carries this goal out.
    Goal(&'a ChildGoal),
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
            Self::Approve(_) => TaskKind::Approve,
            Self::Wait(_) => TaskKind::Wait,
            Self::Signal(_) => TaskKind::Signal,
            Self::Gather(_) => TaskKind::Gather,
            Self::Goal(_) => TaskKind::Goal,
        }
    }
}

impl Task {
    /// What the task does; nothing unless exactly one kind is set, which a [`Plan`](crate::plan::Plan) guarantees.
    #[must_use]
    pub fn work(&self) -> Option<Work<'_>> {
        let mut set = self.works();
        let only = set.next()?;
        set.next().is_none().then_some(only)
    }

    /// The kinds that are set.
    #[must_use]
    pub fn kinds(&self) -> Vec<TaskKind> {
        self.works().map(|work| work.kind()).collect()
    }

    /// Everything that the task is said to do, in the order of [`TaskKind::ALL`].
    fn works(&self) -> impl Iterator<Item = Work<'_>> {
        let set = [
            self.command.as_ref().map(Work::Command),
            self.retrieve.as_ref().map(Work::Retrieve),
            self.check.as_ref().map(Work::Check),
            self.collect.as_ref().map(Work::Collect),
            self.approve.as_ref().map(Work::Approve),
            self.wait.as_ref().map(Work::Wait),
            self.signal.as_ref().map(Work::Signal),
            self.gather.as_ref().map(Work::Gather),
            self.goal.as_ref().map(Work::Goal),
        ];
        set.into_iter().flatten()
    }
}
