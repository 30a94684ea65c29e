//! One line for each thing that happened: what `steadfast run` prints while it goes on, and `steadfast log` afterwards.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::account::{Origin, Unexplained};
use super::words::{flat, moment};
use crate::run::id::{Millis, TaskId};
use crate::run::record::{Leased, Outcome, Record, Status, UndoOutcome, WaitFor};
use crate::run::state::RunState;

/// The line about a record; `before` is the state that it found.
#[must_use]
pub fn line(record: &Record, before: &RunState) -> String {
    match record {
        Record::RunStarted { run, .. } => format!("run {run} started"),
        Record::Planned { tasks, critical_path, .. } => {
            format!("planned: {tasks} tasks, critical path {}", critical_path.join(" -> "))
        }
        Record::Unplannable { message } => format!("the goal cannot be planned: {message}"),
        Record::Expanded { task, items } => format!("task {task}: {items} items"),
        Record::Leased(lease) => {
            let again = before.task(&lease.task).is_some_and(|task| task.lost);
            let again = if again { ", given out again" } else { "" };
            format!("task {} started, attempt {} on {}{again}", lease.task, lease.attempt, lease.agent)
        }
        Record::Failed { task, attempt, class, message, .. } => {
            format!("task {task}: attempt {attempt} failed ({}): {message}", class.as_str())
        }
        Record::Lost { task, attempt, why, .. } => format!("task {task}: attempt {attempt} was lost: {why}"),
        Record::Refused { task, attempt, agent, incarnation } => {
            format!(
                "task {task}: the report of {agent}, incarnation {incarnation}, about attempt {attempt} was refused"
            )
        }
        Record::Recorded { task, outcome, .. } => match outcome {
            Outcome::Succeeded { .. } | Outcome::Stored { .. } => format!("task {task} done"),
            Outcome::Failed { class, .. } => format!("task {task} failed ({})", class.as_str()),
            Outcome::Skipped { reason, .. } => format!("task {task} skipped: {reason}"),
        },
        Record::Draining => "draining: no further tasks are started".to_owned(),
        Record::Ended { status, .. } => ended(*status).to_owned(),
        other => about_the_run(other),
    }
}

fn ended(status: Status) -> &'static str {
    match status {
        Status::Reached => "the goal is reached",
        Status::Failed => "the goal failed",
        Status::Cancelled => "the goal was cancelled",
        Status::BudgetSpent => "the goal ended with its budget",
        Status::Drained => "drained",
        Status::Unfinished => "not over",
    }
}

/// The line about what somebody wants of the run, or it of somebody.
fn about_the_run(record: &Record) -> String {
    match record {
        Record::Forked { from, task, .. } => format!("it takes what run {from} recorded, up to task {task}"),
        Record::TakenUp { by, .. } => format!("taken up by {by}"),
        Record::Paused { message, who, .. } => format!("paused by {who}: {message}"),
        Record::Resumed { who, .. } => format!("resumed by {who}"),
        Record::CancelAsked { undo, who, why, .. } => {
            format!("cancelled by {who}{}{}", if *undo { ", with everything undone" } else { "" }, because(why))
        }
        Record::Waiting { task, on, .. } => match on {
            WaitFor::Approval { prompt, .. } => format!("task {task} waits for a person: {prompt}"),
            WaitFor::Until(until) => format!("task {task} waits until {}", moment(*until)),
            WaitFor::Signal { name, .. } => format!("task {task} waits for the signal {name}"),
        },
        Record::Approved { task, who, why, .. } => format!("task {task} approved by {who}{}", because(why)),
        Record::Rejected { task, who, why, .. } => format!("task {task} rejected by {who}{}", because(why)),
        Record::Signalled { name, who, .. } => format!("signal {name} from {who}"),
        Record::ChildStarted { task, run, .. } => format!("task {task}: run {run} started"),
        Record::ChildEnded { task, run, status, .. } => format!("task {task}: run {run} {}", status.as_str()),
        Record::Reserved { task, counter, amount, .. } => format!("task {task}: {amount} {counter} reserved"),
        Record::Charged { task, counter, amount, .. } => format!("task {task}: {amount} {counter} used"),
        Record::BudgetSpent { message, .. } => format!("budget spent: {message}"),
        Record::ToolCalled { task, tool, .. } => format!("task {task} called {tool}"),
        Record::RequestTaken { id, .. } => format!("request {id} was taken"),
        Record::RequestRefused { id, why, .. } => format!("request {id} was refused: {why}"),
        other => about_an_undo(other),
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn about_an_undo(record: &Record) -> String {
    match record {
        Record::UndoLeased(lease) => {
            format!("undo of {} started, attempt {} on {}", lease.task, lease.attempt, lease.agent)
        }
        Record::UndoFailed { task, attempt, class, message, .. } => {
            format!("undo of {task}: attempt {attempt} failed ({}): {message}", class.as_str())
        }
        Record::UndoLost { task, attempt, why, .. } => format!("undo of {task}: attempt {attempt} was lost: {why}"),
        Record::UndoRecorded { task, outcome: UndoOutcome::Undone, .. } => format!("task {task} undone"),
        Record::UndoRecorded { task, outcome: UndoOutcome::Failed { message, .. }, .. } => {
            format!("task {task} could not be undone: {message}")
        }
        _ => "undoing what was done".to_owned(),
    }
}

/// A record as `steadfast log` tells it.
///
/// | key | what |
/// |---|---|
/// | `number` | the number of the record in its run, from 1 |
/// | `time_unix_ms` | when, in milliseconds since 1970; null for a record without a time of its own, before any had one |
/// | `event` | what happened: the name of the [`Record`], such as `run_started`, `leased`, `undo_recorded` |
/// | `task`, `attempt` | which task and attempt it is about; null where it is about none |
/// | `line` | the same in words |
/// | `record` | what the record holds; values of any shape stand in it as JSON text |
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The number of the record, from 1.
    pub number: u64,
    /// When; the time of the record before where it has none.
    #[serde(rename = "time_unix_ms")]
    pub time: Option<Millis>,
    /// What happened, in one word.
    pub event: String,
    /// The task it is about.
    pub task: Option<TaskId>,
    /// The attempt it is about.
    pub attempt: Option<u32>,
    /// What happened, in words.
    pub line: String,
    /// The fields of the record.
    pub record: Value,
}

impl Entry {
    fn of(number: u64, time: Option<Millis>, record: &Record, before: &RunState) -> Self {
        let (event, fields) = match serde_json::to_value(record) {
            Ok(Value::Object(object)) => object.into_iter().next().unwrap_or_default(),
            Ok(Value::String(name)) => (name, Value::Object(serde_json::Map::new())),
            _ => (String::new(), Value::Null),
        };
        let (task, attempt) = about(record);
        let line = flat(&line(record, before));
        Self { number, time, event: snake(&event), task, attempt, line, record: fields }
    }

    /// One line for people: number, time, what happened.
    ///
    /// ```text
    ///    12  2026-11-20T12:01:47.042Z  task build done
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        let time = self.time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        format!("{:>6}  {time:24}  {}", self.number, self.line)
    }

    /// One line for programs: a JSON object with the keys of the table above.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The task and the attempt that a record is about.
fn about(record: &Record) -> (Option<TaskId>, Option<u32>) {
    match record {
        Record::Leased(Leased { task, attempt, .. })
        | Record::UndoLeased(Leased { task, attempt, .. })
        | Record::Failed { task, attempt, .. }
        | Record::Lost { task, attempt, .. }
        | Record::Refused { task, attempt, .. }
        | Record::Recorded { task, attempt, .. }
        | Record::UndoFailed { task, attempt, .. }
        | Record::UndoLost { task, attempt, .. }
        | Record::UndoRecorded { task, attempt, .. }
        | Record::Reserved { task, attempt, .. }
        | Record::Charged { task, attempt, .. }
        | Record::ToolCalled { task, attempt, .. } => (Some(task.clone()), Some(*attempt)),
        Record::Waiting { task, .. }
        | Record::Approved { task, .. }
        | Record::Rejected { task, .. }
        | Record::ChildStarted { task, .. }
        | Record::ChildEnded { task, .. }
        | Record::Forked { task, .. } => (Some(task.clone()), None),
        Record::Expanded { task, .. } => (Some(TaskId::single(task)), None),
        Record::Paused { why, .. } => (why.task().cloned(), None),
        _ => (None, None),
    }
}

/// `UndoRecorded` as `undo_recorded`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The records of a run as lines, one after the other, so that new ones can be added while it goes on.
#[derive(Clone, Debug, Default)]
pub struct Log {
    state: Option<RunState>,
    number: u64,
    time: Option<Millis>,
}

impl Log {
    /// A log without lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The line of the next record.
    ///
    /// # Errors
    ///
    /// [`Unexplained`] when it is not the next one of one run.
    pub fn add(&mut self, record: &Record) -> Result<Entry, Unexplained> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => RunState::new(Arc::new(Origin::of(record)?.outline())),
        };
        self.number += 1;
        self.time = record.wall().or(self.time);
        let entry = Entry::of(self.number, self.time, record, &state);
        state.apply(record)?;
        self.state = Some(state);
        Ok(entry)
    }

    /// How the run ended, once it did: nothing follows then but answers to late requests.
    #[must_use]
    pub fn ended(&self) -> Option<Status> {
        self.state.as_ref()?.ended().map(|(status, _)| status)
    }
}
