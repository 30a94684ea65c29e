//! Goals inside a goal: each is a run of its own.

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use steadfast::RunId;

use crate::run::digest::{canonical, sha256_hex};
use crate::run::id::{Millis, TaskId};
use crate::run::record::{Class, Outcome, Record, Status, UndoOutcome, UndoSummary};
use crate::run::state::RunState;
use crate::run::waits::fits;
use crate::work::bound::bounded;

/// How the id of a run inside another one is made: in a way of one's own (RFC 9562). Other runs have ids of another version.
const VERSION: usize = 8;

/// The run of a task that is a goal of its own. It follows from the run around it and the task, so that whoever begins it
/// again begins no second one.
#[must_use]
pub fn child_run(parent: RunId, task: &TaskId) -> RunId {
    let digest = Sha256::new().chain_update(b"steadfast child run\n").chain_update(parent.to_string());
    let digest = digest.chain_update(b"\n").chain_update(task.to_string()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // This makes it one of that version.
    RunId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Whether a run is a step of another one. Its id says so: it follows from that run and the task, and not from the time at
/// which it was made.
#[must_use]
pub fn is_inside(run: RunId) -> bool {
    run.uuid().get_version_num() == VERSION
}

/// As whom a run tells those inside it what is wanted of them.
pub(crate) fn as_who(run: RunId) -> String {
    format!("run {run}")
}

/// The results of a run, by the ids of its goal's tasks; null for what was skipped or failed.
#[must_use]
pub fn results(state: &RunState) -> Value {
    let of = |id: &String| (id.clone(), state.result(id).map_or(Value::Null, |result| Value::clone(result)));
    Value::Object(state.outline().order().iter().map(of).collect::<Map<_, _>>())
}

/// How the run of a task ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildEnd {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub status: Status,
    /// Its results, by the ids of its goal's tasks.
    pub results: Value,
    /// What failed in it, for people.
    pub why: String,
    /// What was undone in it.
    pub undone: UndoSummary,
}

/// What failed in a run, for people; empty where nothing did.
#[must_use]
pub fn failures(state: &RunState) -> String {
    if let Some(problem) = state.problem() {
        return problem.to_owned();
    }
    let failed = state.tasks().filter_map(|(id, task)| match task.settled.as_ref().map(|settled| &settled.outcome) {
        Some(Outcome::Failed { class, message }) if !state.outline().is_spare(id.task()) => {
            Some(format!("`{id}` ({}): {message}", class.as_str()))
        }
        _ => None,
    });
    let told: Vec<_> = failed.take(3).collect();
    told.join("; ")
}

/// Lets a run that stands still do so after what it heard of the run around it, whatever its clock says: by that it is known
/// afterwards what whoever resumed that one cannot have seen.
#[must_use]
pub(crate) fn after(heard: Option<Millis>, record: Record) -> Record {
    match (heard, record) {
        (Some(heard), Record::Paused { why, who, message, wall }) => {
            Record::Paused { why, who, message, wall: wall.max(heard.after(Duration::from_millis(1))) }
        }
        (_, record) => record,
    }
}

/// What the run around another one wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// To go on, where it stands still because of the run around it.
    GoOn,
    /// To stand still like the run around it.
    Pause,
    /// To give out nothing more in this process.
    Drain,
    /// To take back what it did, although it reached its goal.
    Undo {
        /// Why, for people.
        why: String,
    },
    /// To leave to a person what it has not taken back.
    LeaveUndone {
        /// Why, for people.
        why: String,
    },
    /// To end: its task has its outcome, or is not wanted any more.
    Cancel {
        /// Whether what was done is undone.
        undo: bool,
        /// Whether what is being undone already is left to a person.
        leaves: bool,
        /// Why, for people.
        why: String,
    },
}

/// What a run wants of the run that a task of it is.
#[must_use]
pub fn order(state: &RunState, task: &TaskId) -> Order {
    if state.undone_inside().is_some_and(|(undone, _)| undone == task) {
        return undo_order(state);
    }
    let outcome = state.task(task).and_then(|task| task.settled.as_ref()).map(|settled| &settled.outcome);
    let leaves = state.left().is_some();
    match outcome {
        Some(Outcome::Skipped { reason, .. }) => {
            let undo = state.cancel().is_some_and(|cancel| cancel.undo);
            Order::Cancel { undo, leaves, why: reason.clone() }
        }
        Some(Outcome::Failed { message, .. }) => {
            // Whoever cancels without undo wants nothing more to be undone, whatever had failed.
            let undo = state.cancel().is_none_or(|cancel| cancel.undo);
            Order::Cancel { undo, leaves, why: message.clone() }
        }
        Some(_) => Order::Cancel { undo: false, leaves, why: "its task has its outcome".to_owned() },
        None if state.is_draining() => Order::Drain,
        None if state.is_paused() => Order::Pause,
        None => Order::GoOn,
    }
}

/// What is wanted of a run that takes back what it did.
fn undo_order(state: &RunState) -> Order {
    // What nobody keeps is undone to the end.
    if state.goes_on_elsewhere() {
        Order::Drain
    } else if let Some(stopped) = state.undo_stopped() {
        let why = stopped.why.trim();
        let colon = if why.is_empty() { "" } else { ": " };
        Order::LeaveUndone { why: format!("that one was cancelled by {}{colon}{why}", stopped.who) }
    } else if state.is_paused() {
        Order::Pause
    } else {
        let around = state.run().map(|run| format!(", {run},")).unwrap_or_default();
        Order::Undo { why: format!("the run around it{around} is undone") }
    }
}

/// Returns what to append when the run of a task is over. Nothing is returned when the task has its outcome, and that
/// run's end is known, or it is another run.
#[must_use]
pub fn child_ended(state: &RunState, task: &TaskId, end: &ChildEnd, now: Millis) -> Vec<Record> {
    let Some(child) = state.child(task).filter(|child| child.run == end.run) else { return Vec::new() };
    let mut records = Vec::new();
    if child.ended.is_none() {
        records.push(Record::ChildEnded { task: task.clone(), run: end.run, status: end.status, wall: now });
    }
    // Both go on where they were, or neither does.
    let drained = end.status == Status::Drained && state.is_draining();
    if !drained && state.task(task).is_some_and(|task| task.settled.is_none()) {
        let outcome = outcome(state, task, end);
        records.push(Record::Recorded { task: task.clone(), attempt: 0, outcome, wall: now });
    }
    records
}

/// Returns what to append when the run of a task took back what it had done. Nothing is returned where that is not what is
/// being undone now.
#[must_use]
pub fn child_undone(state: &RunState, task: &TaskId, end: &ChildEnd, now: Millis) -> Option<Record> {
    let child = state.child(task).filter(|child| child.run == end.run)?;
    let is_next = state.is_undoing() && state.undo_at() == Some(task) && end.status != Status::Reached;
    let failed = end.undone.failed;
    let message = format!("{failed} tasks of the run {} could not be undone; see what it says of them", child.run);
    let outcome = if failed == 0 { UndoOutcome::Undone } else { UndoOutcome::Failed { class: Class::Child, message } };
    is_next.then(|| Record::UndoRecorded { task: task.clone(), attempt: 1, outcome, wall: now })
}

fn outcome(state: &RunState, task: &TaskId, end: &ChildEnd) -> Outcome {
    let failed = |class, message| Outcome::Failed { class, message };
    if end.status != Status::Reached {
        let why = if end.why.is_empty() { String::new() } else { format!(": {}", end.why) };
        let message = format!("the goal of its own ended as {}, in the run {}{why}", end.status.as_str(), end.run);
        return failed(Class::Child, message);
    }
    if let Err(failure) = bounded(&end.results) {
        return failed(Class::Output, failure.message);
    }
    if let Err(why) = fits(state, task, &end.results) {
        return failed(Class::Invalid, format!("the results are not what the task's schema says: {why}"));
    }
    let value = canonical(&end.results);
    let digest = sha256_hex(value.as_bytes());
    Outcome::Succeeded { value, digest }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_run_of_a_task_follows_from_the_run_around_it_and_the_task() {
        let parent = |number| RunId::new(Uuid::from_u128(number));
        let task = |id: &str| id.parse::<TaskId>().expect("a task");
        let run = child_run(parent(7), &task("ship"));
        assert_eq!(run, child_run(parent(7), &task("ship")));
        let others = [child_run(parent(8), &task("ship")), child_run(parent(7), &task("ship[0]"))];
        assert!(!others.contains(&run) && others[0] != others[1]);
        // It is written into journals: it never changes.
        assert_eq!(run.to_string(), "36cda7e6-1c0f-8628-8572-e17ac70ca918");
    }
}
