//! What the end of an attempt means for its task.

use serde_json::Value;

use crate::run::digest::{canonical, sha256_hex};
use crate::run::id::{Millis, TaskId};
use crate::run::record::{Class, Outcome, Record, SkipCause};
use crate::run::state::{RunState, TaskState};

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
/// A failure that is tried again is one record; the last one also gives the task its outcome. Nothing is returned when
/// no lease of the task is out.
#[must_use]
pub fn attempt_ended(state: &RunState, task: &TaskId, end: AttemptEnd, now: Millis) -> Vec<Record> {
    let Some(attempt) = state.lease(task).map(|held| held.attempt) else { return Vec::new() };
    let recorded = |outcome| Record::Recorded { task: task.clone(), attempt, outcome, wall: now };
    match end {
        AttemptEnd::Succeeded(value) => {
            let value = canonical(&value);
            let digest = sha256_hex(value.as_bytes());
            vec![recorded(Outcome::Succeeded { value, digest })]
        }
        AttemptEnd::Skipped { reason } => vec![recorded(Outcome::Skipped { reason, cause: SkipCause::Condition })],
        AttemptEnd::Failed { class, message } => {
            let failed = Record::Failed { task: task.clone(), attempt, class, message: message.clone(), wall: now };
            let failures = state.task(task).map_or(0, TaskState::failures) + 1;
            let again = state.outline().entry(task.task()).is_some_and(|entry| entry.tries_again(class, failures));
            if again { vec![failed] } else { vec![failed, recorded(Outcome::Failed { class, message })] }
        }
    }
}

/// Returns what to append when the agent that holds the task's lease died, hung, or is not there any more.
///
/// Nothing is returned when no lease of the task is out. A task that lost too many attempts fails as poison.
#[must_use]
pub fn attempt_lost(state: &RunState, task: &TaskId, why: &str, now: Millis) -> Vec<Record> {
    let Some(attempt) = state.lease(task).map(|held| held.attempt) else { return Vec::new() };
    let lost = Record::Lost { task: task.clone(), attempt, why: why.to_owned(), wall: now };
    let crashes = state.task(task).map_or(0, |task| task.crashes) + 1;
    if crashes < state.outline().limits().crashes {
        return vec![lost];
    }
    let message = format!(
        "poison: {crashes} agents died or hung with this task, the last because {why}; run the task by itself to see \
         what it does to its agent"
    );
    let outcome = Outcome::Failed { class: Class::Poison, message };
    vec![lost, Record::Recorded { task: task.clone(), attempt, outcome, wall: now }]
}
