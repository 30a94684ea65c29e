//! What a run does next.

mod undo;
mod waits;

use crate::run::budget::{self, end_of_time};
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Kept;
use crate::run::record::{Class, Outcome, Record, SkipCause, Status};
use crate::run::settle::given_up;
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
    /// Prepare this attempt to undo a task and give it out. There is never another step beside it.
    Undo {
        /// The task.
        task: TaskId,
        /// The number of the attempt of the undo.
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
    if state.is_undoing() {
        return undo::next(state, now).into_iter().collect();
    }
    let records = to_append(state, now);
    if !records.is_empty() {
        return records.into_iter().map(Step::Append).collect();
    }
    let mut steps = Vec::new();
    if state.gives_out() {
        let room = state.outline().limits().concurrency.saturating_sub(state.held().count());
        // Who waits holds no lease, so that no room is needed for it.
        let waits = state.ready_to_wait().cloned();
        steps.extend(waits.chain(state.due(now, room)).map(|task| prepare(state, task)));
    }
    let due = if state.gives_out() { state.next_due(now) } else { None };
    // While the run stands still, the time of nobody who waits is over.
    let over = state.timers().next().filter(|_| !state.is_paused()).map(|(until, _)| *until);
    steps.extend(end(state).into_iter().chain(due).chain(over).min().map(Step::WakeAt));
    steps
}

impl RunState {
    /// Whether leases are given out.
    #[must_use]
    pub fn gives_out(&self) -> bool {
        !self.is_draining() && !self.is_paused() && self.ended().is_none()
    }
}

fn unplanned(state: &RunState, now: Millis) -> Option<Step> {
    let volatile = state.outline().limits().kept == Kept::Volatile;
    let status = if state.cancel().is_some() {
        Status::Cancelled
    } else if state.budget_message().is_some() {
        Status::BudgetSpent
    } else if state.is_draining() && state.problem().is_none() {
        return volatile.then(|| Step::Append(ended(state, Status::Drained, now)));
    } else if state.is_paused() {
        return None;
    } else if state.problem().is_some() {
        Status::Failed
    } else {
        return planless(state, now);
    };
    Some(Step::Append(ended(state, status, now)))
}

/// Waits for a plan until the deadline; then there is none.
fn planless(state: &RunState, now: Millis) -> Option<Step> {
    let end = end(state)?;
    if now < end {
        return Some(Step::WakeAt(end));
    }
    if let Some(spent) = out_of_time_first(state, now) {
        return Some(Step::Append(spent));
    }
    let limit = state.outline().limits().deadline.unwrap_or_default();
    let message = format!(
        "the run's deadline of {limit:?} passed before there was a plan; raise `limits.deadline` in the goal file, or \
         look for why no planner answers"
    );
    Some(Step::Append(Record::Unplannable { message }))
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
    if state.open() == 0 {
        // What is not needed any more ends first: nothing of a run goes on when it is over.
        let over = state.children_running() == 0;
        return over.then(|| settled(state, now)).flatten().into_iter().collect();
    }
    if let Some(why) = closed(state) {
        return state.open_tasks().map(|task| not_wanted(state, task, &why, now)).collect();
    }
    if let Some(spent) = out_of_time_first(state, now) {
        return vec![spent];
    }
    if deadline(state).is_some_and(|deadline| now >= deadline) {
        return state.open_tasks().map(|task| out_of_time(state, task, now)).collect();
    }
    let given_up: Vec<_> = state.spent().filter_map(|task| spent(state, task, now)).collect();
    if !given_up.is_empty() {
        return given_up;
    }
    if state.is_failing() && state.is_paused_by_tasks() {
        // Its attempts would mend nothing any more.
        return state.exhausted().filter_map(|task| spent(state, task, now)).collect();
    }
    let waited = if state.is_paused() { Vec::new() } else { waits::waited(state, now) };
    if !waited.is_empty() {
        return waited;
    }
    let volatile = state.outline().limits().kept == Kept::Volatile;
    if state.is_draining() {
        let over = volatile && state.held().next().is_none() && state.children_running() == 0;
        return over.then(|| ended(state, Status::Drained, now)).into_iter().collect();
    }
    if state.is_paused() {
        return Vec::new();
    }
    state.doomed().map(|task| skipped(state, task, now)).collect()
}

/// What becomes of a run whose tasks all have their outcome.
fn settled(state: &RunState, now: Millis) -> Option<Record> {
    let status = closing(state);
    if state.is_paused() && status != Status::Reached {
        return None;
    }
    let undo = match status {
        Status::Failed => true,
        Status::Cancelled => state.cancel().is_some_and(|cancel| cancel.undo),
        Status::Reached | Status::BudgetSpent | Status::Drained | Status::Unfinished => false,
    };
    Some(if undo && state.has_undos() { Record::Undoing { wall: now } } else { ended(state, status, now) })
}

/// How the run ends, once there is nothing left to do.
fn closing(state: &RunState) -> Status {
    if state.cancel().is_some() {
        Status::Cancelled
    } else if state.budget_message().is_some() {
        Status::BudgetSpent
    } else if state.is_failing() {
        Status::Failed
    } else {
        Status::Reached
    }
}

/// Why nothing that is open is wanted any more.
fn closed(state: &RunState) -> Option<String> {
    let cancelled = state.cancel().map(|cancel| match cancel.why.trim() {
        "" => format!("the run was cancelled by {}", cancel.who),
        why => format!("the run was cancelled by {}: {why}", cancel.who),
    });
    cancelled.or_else(|| state.budget_message().map(str::to_owned))
}

fn ended(state: &RunState, status: Status, now: Millis) -> Record {
    Record::Ended { status, undone: state.undone(), wall: now }
}

/// The moment until which the run may take, while it does not stand still.
fn deadline(state: &RunState) -> Option<Millis> {
    let is_over = state.is_planned() && state.open() == 0;
    let limit = state.outline().limits().deadline.filter(|_| !state.is_paused() && !is_over)?;
    Some(state.started().after(limit).after(state.paused_for()))
}

/// The moment at which there is no time left, by the deadline or by the budget.
fn end(state: &RunState) -> Option<Millis> {
    deadline(state).into_iter().chain(end_of_time(state)).min()
}

/// What to append where the budget of time is used up, and was before the deadline passed.
fn out_of_time_first(state: &RunState, now: Millis) -> Option<Record> {
    let spent = budget::out_of_time(state, now)?;
    let first = end_of_time(state) <= deadline(state) || deadline(state).is_none();
    first.then_some(spent)
}

fn spent(state: &RunState, id: &TaskId, now: Millis) -> Option<Record> {
    let task = state.task(id)?;
    let (class, message) = task.trouble.clone()?;
    Some(given_up(state, (id, task.attempts), (class, message), now))
}

fn not_wanted(state: &RunState, task: &TaskId, why: &str, now: Millis) -> Record {
    let attempt = state.task(task).map_or(0, |task| task.attempts);
    let outcome = Outcome::Skipped { reason: why.to_owned(), cause: SkipCause::Closed };
    Record::Recorded { task: task.clone(), attempt, outcome, wall: now }
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
