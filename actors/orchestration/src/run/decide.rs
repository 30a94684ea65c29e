//! What a run does next.

mod waits;

use crate::run::id::{Millis, TaskId};
use crate::run::record::{Class, Outcome, Record, SkipCause, Status, UndoSummary};
use crate::run::state::RunState;

/// One thing to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Append this record, apply it, and ask again.
    Append(Record),
    /// Find out how many items the list of this task has.
    Expand(String),
    /// Prepare this attempt and give it out.
    Prepare {
        /// The task.
        task: TaskId,
        /// The number of the attempt.
        attempt: u32,
    },
    /// Nothing further before this moment, unless something happens.
    WakeAt(Millis),
}

/// Returns what to do at `now`, in an order that depends on the state and the time alone.
///
/// Where there is something to append, only that is returned. Otherwise each call names everything that may be under
/// way, including what a caller has begun and not yet recorded.
#[must_use]
pub fn next(state: &RunState, now: Millis) -> Vec<Step> {
    if state.ended().is_some() {
        return Vec::new();
    }
    if !state.is_planned() {
        return unplanned(state, now).into_iter().collect();
    }
    let records = to_append(state, now);
    if !records.is_empty() {
        return records.into_iter().map(Step::Append).collect();
    }
    let mut steps = Vec::new();
    if !state.is_draining() {
        let room = state.outline().limits().concurrency.saturating_sub(state.held().count());
        // Who waits holds no lease, so that no room is needed for it.
        let waits = state.ready_to_wait().cloned();
        steps.extend(waits.chain(state.due(now, room)).map(|task| prepare(state, task)));
    }
    let deadline = deadline(state);
    let due = if state.is_draining() { None } else { state.next_due(now) };
    let over = state.timers().next().map(|(until, _)| *until);
    steps.extend(deadline.into_iter().chain(due).chain(over).min().map(Step::WakeAt));
    steps
}

fn unplanned(state: &RunState, now: Millis) -> Option<Step> {
    let status = match (state.problem(), state.is_draining()) {
        (Some(_), _) => Status::Failed,
        (None, true) => Status::Drained,
        (None, false) => return deadline(state).map(|deadline| planless(state, deadline, now)),
    };
    Some(Step::Append(ended(status, now)))
}

/// Waits for a plan until the deadline; then there is none.
fn planless(state: &RunState, deadline: Millis, now: Millis) -> Step {
    if now < deadline {
        return Step::WakeAt(deadline);
    }
    let limit = state.outline().limits().deadline.unwrap_or_default();
    let message = format!(
        "the run's deadline of {limit:?} passed before there was a plan; raise `limits.deadline` in the goal file, or \
         look for why no planner answers"
    );
    Step::Append(Record::Unplannable { message })
}

fn prepare(state: &RunState, task: TaskId) -> Step {
    if state.is_unexpanded(&task) {
        return Step::Expand(task.task().to_owned());
    }
    let attempt = state.task(&task).map_or(0, |task| task.attempts) + 1;
    Step::Prepare { task, attempt }
}

/// What follows from the state without anybody doing anything.
fn to_append(state: &RunState, now: Millis) -> Vec<Record> {
    if deadline(state).is_some_and(|deadline| now >= deadline) && state.open() > 0 {
        return state.open_tasks().map(|task| out_of_time(state, task, now)).collect();
    }
    if state.open() == 0 {
        // What is not needed any more ends first: nothing of a run goes on when it is over.
        let over = state.children_running() == 0;
        return over.then(|| ended(status(state), now)).into_iter().collect();
    }
    let waited = waits::waited(state, now);
    if !waited.is_empty() {
        return waited;
    }
    if state.is_draining() {
        let idle = state.held().next().is_none();
        return idle.then(|| ended(Status::Drained, now)).into_iter().collect();
    }
    state.doomed().map(|task| skipped(state, task, now)).collect()
}

fn deadline(state: &RunState) -> Option<Millis> {
    state.outline().limits().deadline.map(|limit| state.started().after(limit))
}

fn out_of_time(state: &RunState, task: &TaskId, now: Millis) -> Record {
    let limit = state.outline().limits().deadline.unwrap_or_default();
    let waits = state.waits_on(task).is_some() || state.child(task).is_some();
    let stood = match (state.lease(task), state.task(task).map_or(0, |task| task.attempts)) {
        (Some(held), _) => format!("while attempt {} was running", held.attempt),
        (None, 0) if waits => "while it waited".to_owned(),
        (None, 0) => "before it was started".to_owned(),
        (None, attempts) => format!("after {attempts} attempts"),
    };
    let message = format!(
        "the run's deadline of {limit:?} passed {stood}; raise `limits.deadline` in the goal file, or give the run more \
         `--jobs`"
    );
    let attempt = state.task(task).map_or(0, |task| task.attempts);
    Record::Recorded {
        task: task.clone(),
        attempt,
        outcome: Outcome::Failed { class: Class::Deadline, message },
        wall: now,
    }
}

fn skipped(state: &RunState, task: &str, now: Millis) -> Record {
    let needs: Vec<_> = state.failed_needs(task).map(|need| format!("`{need}`")).collect();
    let reason = format!("it needs {}, which did not succeed", needs.join(" and "));
    Record::Recorded {
        task: TaskId::single(task),
        attempt: 0,
        outcome: Outcome::Skipped { reason, cause: SkipCause::NeedFailed },
        wall: now,
    }
}

fn ended(status: Status, now: Millis) -> Record {
    Record::Ended { status, undone: UndoSummary::default(), wall: now }
}

/// How a run whose tasks all have their outcome ended.
fn status(state: &RunState) -> Status {
    let failed = state.tasks().any(|(id, task)| {
        let failed = task.settled.as_ref().is_some_and(|settled| matches!(settled.outcome, Outcome::Failed { .. }));
        failed && !state.outline().is_spare(id.task())
    });
    if failed { Status::Failed } else { Status::Reached }
}
