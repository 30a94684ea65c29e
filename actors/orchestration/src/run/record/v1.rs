//! Records as layout 1 had them, and what they are today.
//!
//! Nothing here changes any more: journals with these bytes exist.

use serde::Deserialize;
use steadfast::{Path, RunId};

use crate::run::id::{Millis, TaskId};
use crate::run::record::{self as now, UndoSummary};

#[derive(Deserialize)]
pub(super) enum Record {
    RunStarted { run: RunId, goal: String, params: String, wall: Millis },
    Planned { tasks: u32, critical_path: Vec<String>, at_least: u64 },
    Unplannable { message: String },
    Expanded { task: String, items: u32 },
    Leased(Leased),
    Failed { task: TaskId, attempt: u32, class: Class, message: String, wall: Millis },
    Lost { task: TaskId, attempt: u32, why: String, wall: Millis },
    Refused { task: TaskId, attempt: u32, agent: Path, incarnation: u64 },
    Recorded { task: TaskId, attempt: u32, outcome: Outcome, wall: Millis },
    Draining,
    Ended { status: Status, wall: Millis },
}

#[derive(Deserialize)]
pub(super) struct Leased {
    task: TaskId,
    attempt: u32,
    agent: Path,
    incarnation: u64,
    key: String,
    input_digest: String,
    context: Lookups,
    wall: Millis,
}

#[derive(Deserialize)]
struct Lookups {
    hits: u64,
    misses: u64,
}

#[derive(Deserialize)]
pub(super) enum Outcome {
    Succeeded { value: String, digest: String },
    Failed { class: Class, message: String },
    Skipped { reason: String, cause: SkipCause },
}

#[derive(Deserialize)]
pub(super) enum SkipCause {
    Condition,
    NeedFailed,
}

#[derive(Deserialize)]
pub(super) enum Class {
    Exit,
    Timeout,
    Start,
    Output,
    Invalid,
    Denied,
    Plan,
    Poison,
    Deadline,
}

#[derive(Deserialize)]
pub(super) enum Status {
    Reached,
    Failed,
    Drained,
}

impl From<Record> for now::Record {
    fn from(record: Record) -> Self {
        match record {
            Record::RunStarted { run, goal, params, wall } => {
                // Layout 1 did not know of input folders; an empty one is no run's.
                Self::RunStarted { run, goal, params, input: String::new(), parent: None, wall }
            }
            Record::Planned { tasks, critical_path, at_least } => Self::Planned { tasks, critical_path, at_least },
            Record::Unplannable { message } => Self::Unplannable { message },
            Record::Expanded { task, items } => Self::Expanded { task, items },
            Record::Leased(leased) => Self::Leased(leased.into()),
            Record::Failed { task, attempt, class, message, wall } => {
                Self::Failed { task, attempt, class: class.into(), message, wall }
            }
            Record::Lost { task, attempt, why, wall } => Self::Lost { task, attempt, why, wall },
            Record::Refused { task, attempt, agent, incarnation } => {
                Self::Refused { task, attempt, agent, incarnation }
            }
            Record::Recorded { task, attempt, outcome, wall } => {
                Self::Recorded { task, attempt, outcome: outcome.into(), wall }
            }
            Record::Draining => Self::Draining,
            Record::Ended { status, wall } => {
                Self::Ended { status: status.into(), undone: UndoSummary::default(), wall }
            }
        }
    }
}

impl From<Leased> for now::Leased {
    fn from(old: Leased) -> Self {
        let Leased { task, attempt, agent, incarnation, key, input_digest, context, wall } = old;
        let context = now::Lookups { hits: context.hits, misses: context.misses };
        Self { task, attempt, agent, incarnation, key, input_digest, context, wall }
    }
}

impl From<Outcome> for now::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded { value, digest } => Self::Succeeded { value, digest },
            Outcome::Failed { class, message } => Self::Failed { class: class.into(), message },
            Outcome::Skipped { reason, cause } => Self::Skipped {
                reason,
                cause: match cause {
                    SkipCause::Condition => now::SkipCause::Condition,
                    SkipCause::NeedFailed => now::SkipCause::NeedFailed,
                },
            },
        }
    }
}

impl From<Class> for now::Class {
    fn from(class: Class) -> Self {
        match class {
            Class::Exit => Self::Exit,
            Class::Timeout => Self::Timeout,
            Class::Start => Self::Start,
            Class::Output => Self::Output,
            Class::Invalid => Self::Invalid,
            Class::Denied => Self::Denied,
            Class::Plan => Self::Plan,
            Class::Poison => Self::Poison,
            Class::Deadline => Self::Deadline,
        }
    }
}

impl From<Status> for now::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Reached => Self::Reached,
            Status::Failed => Self::Failed,
            Status::Drained => Self::Drained,
        }
    }
}
