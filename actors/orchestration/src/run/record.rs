//! What happened in a run, as the journal keeps it.
//!
//! Records are plain enums and structs without optional or tagged fields, so that they can be read back from a compact
//! binary form. Free-form values travel as JSON text. Everything in a record has passed the
//! [`Redactor`](crate::redact::Redactor) before.

use serde::{Deserialize, Serialize};
use steadfast::message::codec::{Bincode, Codec, DecodeError, EncodeError, Schema};
use steadfast::{Path, RunId};

use crate::goal::model::FailureClass;
use crate::run::id::{Millis, TaskId};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The run began.
    RunStarted {
        /// The run.
        run: RunId,
        /// The goal, as JSON.
        goal: String,
        /// The parameters, as a JSON object.
        params: String,
        /// When.
        wall: Millis,
    },
    /// The goal was broken into tasks.
    Planned {
        /// How many tasks the plan has, before lists are expanded.
        tasks: u32,
        /// The tasks on the critical path, first first.
        critical_path: Vec<String>,
        /// How long the critical path takes at least, in milliseconds.
        at_least: u64,
    },
    /// The goal cannot be carried out.
    Unplannable {
        /// Why, and what to do, for people.
        message: String,
    },
    /// The list of a task with `for_each` is known.
    Expanded {
        /// The id of the task in the goal.
        task: String,
        /// How many items the list has.
        items: u32,
    },
    /// An agent's incarnation was given a task.
    Leased(Leased),
    /// An attempt ended, and the task itself was the reason that it did not succeed.
    Failed {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// How it failed.
        class: Class,
        /// What happened, for people.
        message: String,
        /// When.
        wall: Millis,
    },
    /// An attempt was lost because its agent died, hung, or was not there any more.
    Lost {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// What became of the agent, for people.
        why: String,
        /// When.
        wall: Millis,
    },
    /// A report was refused: it came from an incarnation or for an attempt that did not hold the lease.
    Refused {
        /// The task.
        task: TaskId,
        /// The attempt that the report was about.
        attempt: u32,
        /// Who sent it.
        agent: Path,
        /// The incarnation that sent it.
        incarnation: u64,
    },
    /// A task has its outcome, for good.
    Recorded {
        /// The task.
        task: TaskId,
        /// The last attempt; 0 when there was none.
        attempt: u32,
        /// The outcome.
        outcome: Outcome,
        /// When.
        wall: Millis,
    },
    /// No more leases are given out; what is in flight ends.
    Draining,
    /// The run is over.
    Ended {
        /// How.
        status: Status,
        /// When.
        wall: Millis,
    },
}

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
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every task succeeded, or was skipped because its condition did not hold.
    Reached,
    /// A task failed.
    Failed,
    /// The run was asked to stop before every task had its outcome.
    Drained,
}

impl Status {
    /// The word for people and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Failed => "failed",
            Self::Drained => "drained",
        }
    }
}

/// The layout of [`Record`] in the journal; goes up whenever a record changes.
const LAYOUT: Schema = Schema(1);

/// Bytes of a journal are no record of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record has no bytes.
    #[error("a record of the run cannot be written")]
    Write(#[from] EncodeError),
    /// The bytes are no record.
    #[error("a record of the run cannot be read")]
    Read(#[from] DecodeError),
}

/// The bytes of a record.
pub fn encode(record: &Record) -> Result<Vec<u8>, RecordError> {
    Ok(Bincode.encode(LAYOUT, record)?)
}

/// The record that these bytes are.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    Ok(Bincode.decode(LAYOUT, bytes)?)
}
