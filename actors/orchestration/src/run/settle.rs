//! What the end of an attempt means for its task.

use serde_json::Value;

use crate::run::budget::out_of_output;
use crate::run::digest::{canonical, sha256_hex};
use crate::run::id::{Millis, TaskId};
use crate::run::outline::{Entry, Verdict};
use crate::run::record::{Class, Outcome, PauseCause, Record, SkipCause, UndoOutcome};
use crate::run::state::{RunState, TaskState, UndoState};

/// Why a lease is lost that another process gave out.
const WHY: &str = "the process that carried it out ended";

/// How many attempts of one task may be lost with a process in which others were in flight, before the task is poison.
///
/// Each of those others may have been what ended the process, so that this is more than for the deaths of an agent.
pub(crate) const ENDS: u32 = 100;

/// Who pauses a run where nobody asked for it.
pub(crate) const NOBODY: &str = "steadfast";

/// How an attempt ended by itself, after validation.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptEnd {
    /// With this result.
    Succeeded(Value),
    /// Without being done, because the task's condition did not hold.
    Skipped {
        /// Why, for people.
        reason: String,
    },
    /// Without a result.
    Failed {
        /// How.
        class: Class,
        /// What happened and what to do, for people.
        message: String,
    },
}

/// Returns what to append when the attempt that holds the task's lease ended by itself.
///
/// A failure that is tried again is one record; after the last one the task fails, or the run is paused. Nothing is
/// returned when no lease of the task is out.
#[must_use]
pub fn attempt_ended(state: &RunState, task: &TaskId, end: AttemptEnd, now: Millis) -> Vec<Record> {
    let Some(attempt) = state.lease(task).map(|held| held.attempt) else { return Vec::new() };
    let recorded = |outcome| Record::Recorded { task: task.clone(), attempt, outcome, wall: now };
    match end {
        AttemptEnd::Succeeded(value) => {
            let value = canonical(&value);
            if let Some(spent) = out_of_output(state, (task, attempt), value.len() as u64, now) {
                return vec![spent];
            }
            let digest = sha256_hex(value.as_bytes());
            vec![recorded(Outcome::Succeeded { value, digest })]
        }
        AttemptEnd::Skipped { reason } => vec![recorded(Outcome::Skipped { reason, cause: SkipCause::Condition })],
        AttemptEnd::Failed { class, message } => {
            let failures = state.task(task).map_or(0, TaskState::failures_that_count) + 1;
            let entry = state.outline().entry(task.task());
            let verdict = entry.map_or(Verdict::Terminal, |entry| entry.verdict(class, failures));
            let failed = Record::Failed { task: task.clone(), attempt, class, message: message.clone(), wall: now };
            let over = (verdict != Verdict::Again).then(|| given_up(state, (task, attempt), (class, message), now));
            std::iter::once(failed).chain(over).collect()
        }
    }
}

/// Returns what to append when the agent that holds the task's lease died, hung, or is not there any more.
///
/// Nothing is returned when no lease of the task is out. A task that lost too many attempts is poison.
#[must_use]
pub fn attempt_lost(state: &RunState, task: &TaskId, why: &str, now: Millis) -> Vec<Record> {
    let Some(attempt) = state.lease(task).map(|held| held.attempt) else { return Vec::new() };
    let lost = Record::Lost { task: task.clone(), attempt, why: why.to_owned(), wall: now };
    let crashes = state.task(task).map_or(0, TaskState::crashes_that_count) + 1;
    let over = (crashes >= state.outline().limits().crashes)
        .then(|| given_up(state, (task, attempt), (Class::Poison, poison(crashes, why)), now));
    std::iter::once(lost).chain(over).collect()
}

/// What is said of a task that took so many agents along.
pub(crate) fn poison(crashes: u32, why: &str) -> String {
    format!(
        "poison: {crashes} agents died or hung with this task, the last because {why}; run the task by itself to see \
         what it does to its agent"
    )
}

/// Returns what to append when a task is not tried again by itself: what another attempt could mend pauses the run,
/// unless it must fail anyway, goes on without the task, or nobody keeps it; all else is the task's outcome.
#[must_use]
pub fn given_up(
    state: &RunState,
    (task, attempt): (&TaskId, u32),
    (class, message): (Class, String),
    now: Millis,
) -> Record {
    let retries = state.outline().entry(task.task()).map(|entry| entry.verdict(class, u32::MAX));
    let is_mended = retries == Some(Verdict::Exhausted);
    let is_spare = state.outline().is_spare(task.task());
    if !is_mended || is_spare || state.is_failing() || !state.outline().limits().pauses() {
        return Record::Recorded {
            task: task.clone(),
            attempt,
            outcome: Outcome::Failed { class, message },
            wall: now,
        };
    }
    let task = task.clone();
    let message = format!("`{task}`, attempt {attempt}: {message}");
    let why = if class == Class::Poison { PauseCause::Poison { task } } else { PauseCause::Exhausted { task, class } };
    Record::Paused { why, who: NOBODY.to_owned(), message, wall: now }
}

/// Returns what to append when the attempt that holds the lease of a task's undo ended by itself.
///
/// Nothing is returned when no such lease is out. An undo that is not tried again is left to a person.
#[must_use]
pub fn undo_ended(state: &RunState, task: &TaskId, end: AttemptEnd, now: Millis) -> Vec<Record> {
    let Some(attempt) = out(state, task) else { return Vec::new() };
    let recorded = |outcome| Record::UndoRecorded { task: task.clone(), attempt, outcome, wall: now };
    let AttemptEnd::Failed { class, message } = end else { return vec![recorded(UndoOutcome::Undone)] };
    let failures = undo_of(state, task).map_or(0, UndoState::failures) + 1;
    let retries = state.outline().entry(task.task()).and_then(|entry| entry.undo.as_ref());
    let again = retries.is_some_and(|retries| Entry::judge(retries, class, failures) == Verdict::Again);
    let failed = Record::UndoFailed { task: task.clone(), attempt, class, message: message.clone(), wall: now };
    let over = (!again).then(|| recorded(UndoOutcome::Failed { class, message }));
    std::iter::once(failed).chain(over).collect()
}

/// Returns what to append when the agent that holds the lease of a task's undo is no more.
///
/// Nothing is returned when no such lease is out.
#[must_use]
pub fn undo_lost(state: &RunState, task: &TaskId, why: &str, now: Millis) -> Vec<Record> {
    let Some(attempt) = out(state, task) else { return Vec::new() };
    let lost = Record::UndoLost { task: task.clone(), attempt, why: why.to_owned(), wall: now };
    let crashes = undo_of(state, task).map_or(0, |undo| undo.crashes) + 1;
    let outcome = UndoOutcome::Failed { class: Class::Poison, message: poison(crashes, why) };
    let over = (crashes >= state.outline().limits().crashes).then(|| Record::UndoRecorded {
        task: task.clone(),
        attempt,
        outcome,
        wall: now,
    });
    std::iter::once(lost).chain(over).collect()
}

/// Returns what to append when a new process carries the run on: whatever was out ended with the one before.
#[must_use]
pub fn taken_up(state: &RunState, by: &str, now: Millis) -> Vec<Record> {
    if state.ended().is_some() {
        return Vec::new();
    }
    let lost = |(task, held): (&TaskId, &crate::run::Held)| Record::Lost {
        task: task.clone(),
        attempt: held.attempt,
        why: WHY.to_owned(),
        wall: now,
    };
    let undo = state.undo_lease().map(|(task, held)| Record::UndoLost {
        task: task.clone(),
        attempt: held.attempt,
        why: WHY.to_owned(),
        wall: now,
    });
    let taken = Record::TakenUp { by: by.to_owned(), wall: now };
    std::iter::once(taken).chain(state.held().map(lost)).chain(undo).collect()
}

/// The attempt of a task's undo that is out.
fn out(state: &RunState, task: &TaskId) -> Option<u32> {
    state.undo_lease().filter(|(id, _)| *id == task).map(|(_, held)| held.attempt)
}

fn undo_of<'s>(state: &'s RunState, task: &TaskId) -> Option<&'s UndoState> {
    state.task(task)?.undo.as_ref()
}
