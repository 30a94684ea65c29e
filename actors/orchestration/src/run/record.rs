//! What happened in a run, as the journal keeps it.
//!
//! Records are plain enums and structs without tagged fields, so that they can be read back from a compact binary form.
//! Free-form values travel as JSON text. Everything in a record has passed the
//! [`Redactor`](crate::redact::Redactor) before.
//!
//! # Invariants
//!
//! * A layout that was ever written can be read: a record of an earlier one becomes what it is today.
//! * New variants and fields are a new layout; the bytes of each one stand in a file that a test reads.

mod parts;
mod texts;
mod v1;
mod waits;

use serde::{Deserialize, Serialize};
use steadfast::message::codec::{Bincode, Codec, EncodeError, Schema};
use steadfast::message::record::{self, Record as Framed};
use steadfast::{Path, RunId};
use uuid::Uuid;

use crate::run::id::{Millis, TaskId};
pub use parts::{Class, Leased, Lookups, Outcome, SkipCause, Status, UndoOutcome, UndoSummary};
pub use waits::{BudgetKind, Parent, PauseCause, WaitFor};

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
        /// The input folder; empty where the run has none that others could name.
        input: String,
        /// Whose step this run is.
        parent: Option<Parent>,
        /// When.
        wall: Millis,
    },
    /// The run takes the results that another one recorded, up to a task. They follow as records of their own.
    Forked {
        /// The other run.
        from: RunId,
        /// The first task that is not taken over.
        task: TaskId,
        /// When.
        wall: Millis,
    },
    /// A process carries the run on. What an earlier one had begun to drain goes on here.
    TakenUp {
        /// Who.
        by: String,
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
    /// Nothing more is given out until the run is resumed. What is in flight ends, and nothing is undone.
    Paused {
        /// Why.
        why: PauseCause,
        /// Who paused it; `steadfast` where nobody did.
        who: String,
        /// What happened, for people.
        message: String,
        /// When.
        wall: Millis,
    },
    /// The run goes on. Tasks whose attempts were used up have them again.
    Resumed {
        /// Who resumed it.
        who: String,
        /// When.
        wall: Millis,
    },
    /// Somebody does not want the run any more.
    CancelAsked {
        /// Whether what was done is undone.
        undo: bool,
        /// Who.
        who: String,
        /// Why, for people.
        why: String,
        /// When.
        wall: Millis,
    },
    /// What succeeded is undone, the last first.
    Undoing {
        /// When.
        wall: Millis,
    },
    /// An agent's incarnation was given the undo of a task.
    UndoLeased(Leased),
    /// An attempt to undo a task ended without success.
    UndoFailed {
        /// The task.
        task: TaskId,
        /// The attempt of the undo.
        attempt: u32,
        /// How it failed.
        class: Class,
        /// What happened, for people.
        message: String,
        /// When.
        wall: Millis,
    },
    /// An attempt to undo a task was lost with its agent.
    UndoLost {
        /// The task.
        task: TaskId,
        /// The attempt of the undo.
        attempt: u32,
        /// What became of the agent, for people.
        why: String,
        /// When.
        wall: Millis,
    },
    /// What came of the undo of a task, for good.
    UndoRecorded {
        /// The task.
        task: TaskId,
        /// The last attempt of the undo; 0 when there was none.
        attempt: u32,
        /// What came of it.
        outcome: UndoOutcome,
        /// When.
        wall: Millis,
    },
    /// A task waits for something that no agent does.
    Waiting {
        /// The task.
        task: TaskId,
        /// What it waits for.
        on: WaitFor,
        /// When it began to.
        wall: Millis,
    },
    /// A person said yes to a task that asks.
    Approved {
        /// The task.
        task: TaskId,
        /// Who.
        who: String,
        /// Why, for people.
        why: String,
        /// When.
        wall: Millis,
    },
    /// A person said no to a task that asks.
    Rejected {
        /// The task.
        task: TaskId,
        /// Who.
        who: String,
        /// Why, for people.
        why: String,
        /// When.
        wall: Millis,
    },
    /// Something happened outside that a task waits, or will wait, for.
    Signalled {
        /// The name of the signal.
        name: String,
        /// What came with it, as JSON.
        data: String,
        /// Who sent it.
        who: String,
        /// When.
        wall: Millis,
    },
    /// A task that is a goal of its own has a run.
    ChildStarted {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
        /// When.
        wall: Millis,
    },
    /// The run of a task that is a goal of its own is over.
    ChildEnded {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
        /// How it ended.
        status: Status,
        /// When.
        wall: Millis,
    },
    /// So much of a budget is set aside for an attempt, before it is used.
    Reserved {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Which charge of the attempt it is, as the agent named it.
        charge: String,
        /// Of what.
        counter: String,
        /// How much.
        amount: u64,
    },
    /// So much of what was set aside was used; the rest is free again.
    Charged {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Which charge of the attempt it is.
        charge: String,
        /// Of what.
        counter: String,
        /// How much.
        amount: u64,
    },
    /// A budget is used up, and the run ends with that.
    BudgetSpent {
        /// Which.
        which: BudgetKind,
        /// What happened and what to do, for people.
        message: String,
        /// When.
        wall: Millis,
    },
    /// An attempt called a tool.
    ToolCalled {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Which call of the attempt it is, as the agent named it.
        call: String,
        /// The tool.
        tool: String,
        /// The digest of what it was called with.
        arguments_digest: String,
    },
    /// What another process asked for was done.
    RequestTaken {
        /// The request.
        id: Uuid,
        /// When.
        wall: Millis,
    },
    /// What another process asked for was not done.
    RequestRefused {
        /// The request.
        id: Uuid,
        /// Why, for people.
        why: String,
        /// When.
        wall: Millis,
    },
    /// This process gives out no more leases; what is in flight ends. A run that is kept goes on in another process.
    Draining,
    /// The run is over.
    Ended {
        /// How.
        status: Status,
        /// What was undone.
        undone: UndoSummary,
        /// When.
        wall: Millis,
    },
}

/// The layout of [`Record`] in the journal; goes up whenever a record changes.
const LAYOUT: Schema = Schema(2);

/// The first layout, which some journals have.
const V1: Schema = Schema(1);

/// Bytes of a journal are no record of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record has no bytes.
    #[error("a record of the run cannot be written")]
    Write(#[from] EncodeError),
    /// The bytes are no record.
    #[error("a record of the run cannot be read")]
    Read(#[from] record::RecordError),
}

impl Framed for Record {
    const LAYOUT: Schema = LAYOUT;
}

/// The bytes of a record, in the present layout, with their checksum.
///
/// # Errors
///
/// [`RecordError::Write`] when it is longer than a frame may be.
pub fn encode(record: &Record) -> Result<Vec<u8>, RecordError> {
    Ok(record::encode(record)?)
}

/// The record that these bytes are, in whichever layout they were written.
///
/// # Errors
///
/// [`RecordError::Read`] when they are damaged, none, or of a version to come.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    // Layout 1 had no checksum.
    if bytes.get(1) == Some(&V1.0) {
        return Ok(Bincode.decode::<v1::Record>(V1, bytes).map_err(record::RecordError::from)?.into());
    }
    Ok(record::decode(bytes)?)
}

#[cfg(test)]
mod tests;
