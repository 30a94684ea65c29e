//! A run that begins in the middle of another one.

use std::collections::BTreeSet;

use steadfast::RunId;

use crate::goal::model::Goal;
use crate::host::Head;
use crate::plan::Plan;
use crate::run::{Fan, Millis, Outcome, Outline, Record, RunState, SkipCause, TaskId};

/// A run cannot be forked there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// Its goal has no such task.
    #[error("the goal `{goal}` has no task `{task}`; it has {}", .known.join(", "))]
    Unknown {
        /// The goal.
        goal: String,
        /// The task.
        task: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The run has no plan.
    #[error("the run {run} has no plan yet, so that there is no result to take over; run its goal anew")]
    NoPlan {
        /// The run.
        run: RunId,
    },
    /// Something that the task needs has no result.
    #[error("the run {run} has not got as far as `{task}`: {} no result; fork from there, or from a task before", has(.missing))]
    NotThatFar {
        /// The run.
        run: RunId,
        /// The task.
        task: String,
        /// What it needs and has no result.
        missing: Vec<String>,
    },
    /// The run has taken back what the task needs.
    #[error("the run {run} has taken back what `{task}` needs: {} undone; fork from there, or from a task before", were(.undone))]
    TakenBack {
        /// The run.
        run: RunId,
        /// The task.
        task: String,
        /// What it needs, itself or through others, and was undone.
        undone: Vec<String>,
    },
    /// The records are those of no run.
    #[error("the records of the run make no sense: {0}")]
    Unfit(String),
}

fn has(missing: &[String]) -> String {
    let names = missing.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    if missing.len() == 1 { format!("{names} has") } else { format!("{names} have") }
}

fn were(undone: &[String]) -> String {
    let names = undone.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    if undone.len() == 1 { format!("{names} was") } else { format!("{names} were") }
}

/// The first records of a new run that takes the results of another one and does `task`, and all that needs it, anew.
///
/// | task of the other run | in the new one |
/// |---|---|
/// | `task`, and whatever needs or gathers it | is done anew |
/// | was not needed, because of one that is done anew | is done anew where it is needed |
/// | has a result, and so has all that it needs; or its condition did not hold | keeps its outcome |
/// | failed, or was skipped because of that | is done anew |
/// | was undone, or somebody began to undo it | is done anew |
/// | has no outcome yet | is done |
///
/// The idempotency keys of what is done anew are new, since they hold the id of the run: a service that remembers keys
/// sees another request. What the other run did is not undone, and its undos are not those of the new run, which undoes what
/// it did itself. Answers of people and signals are kept as the results of the tasks that waited for them.
///
/// The records are those of the journal, in which large results are only named: they stay where they are.
///
/// # Errors
///
/// [`ForkError`] when the task is unknown, or the run has not got that far.
pub fn fork(records: &[Record], task: &str, run: RunId, now: Millis) -> Result<Vec<Record>, ForkError> {
    let first = records.first().ok_or_else(|| ForkError::Unfit("there are none".to_owned()))?;
    let head = Head::of(first).map_err(ForkError::Unfit)?;
    let from = head.run;
    known(&head.goal, task)?;
    let planned = records.iter().find(|record| matches!(record, Record::Planned { .. }));
    let planned = planned.ok_or(ForkError::NoPlan { run: from })?;
    let unfit = |why: String| ForkError::Unfit(why);
    let plan = Plan::rebuild(head.goal, head.params).map_err(|errors| unfit(errors.to_string()))?;
    let outline = Outline::of(&plan, 1);
    let state = RunState::fold(std::sync::Arc::new(outline.clone()), records).map_err(|e| unfit(e.to_string()))?;
    let (whole, anew) = parts(&outline, &state, task);
    let needs = outline.entry(task).into_iter().flat_map(|entry| &entry.needs);
    let missing: Vec<_> = needs.filter(|need| !whole.contains(need.as_str())).cloned().collect();
    if !missing.is_empty() {
        let undone = taken_back(&outline, &state, task);
        if !undone.is_empty() {
            return Err(ForkError::TakenBack { run: from, task: task.to_owned(), undone });
        }
        return Err(ForkError::NotThatFar { run: from, task: task.to_owned(), missing });
    }
    let begun = begun(first, run, now);
    let forked = Record::Forked { from, task: TaskId::single(task), wall: now };
    let is_gone = |record: &&Record| matches!(record, Record::Recorded { task, .. } if state.is_taken_back(task));
    let stands = records.iter().filter(|record| !is_gone(record));
    let kept = stands.filter_map(|record| kept(record, &outline, (&whole, &anew), now));
    Ok([begun, forked, planned.clone()].into_iter().chain(kept).collect())
}

fn known(goal: &Goal, task: &str) -> Result<(), ForkError> {
    if goal.tasks.iter().any(|known| known.id == task) {
        return Ok(());
    }
    let known = goal.tasks.iter().map(|task| format!("`{}`", task.id)).collect();
    Err(ForkError::Unknown { goal: goal.name.clone(), task: task.to_owned(), known })
}

/// The first record for the new run, which is no step of another one.
fn begun(first: &Record, run: RunId, wall: Millis) -> Record {
    match first.clone() {
        Record::RunStarted { goal, params, input, .. } => {
            Record::RunStarted { run, goal, params, input, parent: None, wall }
        }
        other => other,
    }
}

/// The tasks whose outcome is taken over, and those that are done anew because of `task`.
fn parts<'o>(outline: &'o Outline, state: &RunState, task: &'o str) -> (BTreeSet<&'o str>, BTreeSet<&'o str>) {
    let mut anew = BTreeSet::from([task]);
    loop {
        let (before, kept) = (anew.len(), whole(outline, state, &anew));
        for id in outline.order() {
            if !anew.contains(id.as_str()) && follows(outline, state, (&kept, &anew), id) {
                anew.insert(id);
            }
        }
        if anew.len() == before {
            return (kept, anew);
        }
    }
}

/// Whether a task is done anew because others are: it needs or gathers one of them, or was not needed because of one.
fn follows(outline: &Outline, state: &RunState, (whole, anew): (&BTreeSet<&str>, &BTreeSet<&str>), id: &str) -> bool {
    let is_anew = |other: &str| anew.contains(other);
    let needs = outline.entry(id).into_iter().flat_map(|entry| &entry.needs).any(|need| is_anew(need));
    let members = outline.gathering(id).into_iter().flat_map(|gathering| &gathering.of);
    let is_done_again = |member: &String| is_anew(member) || whole.contains(id) && runs(outline, state, whole, member);
    let mut around = outline.gatherers(id).chain(outline.dependents(id));
    needs || members.into_iter().any(is_done_again) || was_not_needed(state, id) && around.any(is_anew)
}

/// Whether a task is carried out in the new run, since somebody needs it there.
fn runs(outline: &Outline, state: &RunState, whole: &BTreeSet<&str>, id: &str) -> bool {
    let is_left_over = outline.gatherers(id).all(|gather| whole.contains(gather))
        && outline.dependents(id).all(|dependent| was_not_needed(state, dependent));
    !whole.contains(id) && !is_left_over
}

fn was_not_needed(state: &RunState, id: &str) -> bool {
    let outcome =
        state.task(&TaskId::single(id)).and_then(|task| task.settled.as_ref()).map(|settled| &settled.outcome);
    matches!(outcome, Some(Outcome::Skipped { cause: SkipCause::NotNeeded, .. }))
}

/// The tasks whose outcome stands, and so does that of all that they need.
fn whole<'o>(outline: &'o Outline, state: &RunState, anew: &BTreeSet<&str>) -> BTreeSet<&'o str> {
    let mut whole = BTreeSet::new();
    for id in outline.order() {
        let needs = || outline.entry(id).into_iter().flat_map(|entry| &entry.needs);
        let items = state.groups().find(|(group, _)| group == id).map(|(_, items)| items);
        let stands = match items {
            Some(_) => state.items(id).all(|(item, _)| stands(state, item)),
            None => stands(state, &TaskId::single(id)),
        };
        if stands && !anew.contains(id.as_str()) && needs().all(|need| whole.contains(need.as_str())) {
            whole.insert(id.as_str());
        }
    }
    whole
}

/// What a task needs, itself or through others, and was undone, in the order of the plan.
fn taken_back(outline: &Outline, state: &RunState, task: &str) -> Vec<String> {
    let (mut needed, mut open) = (BTreeSet::new(), vec![task]);
    while let Some(id) = open.pop() {
        let needs = outline.entry(id).into_iter().flat_map(|entry| &entry.needs);
        open.extend(needs.map(String::as_str).filter(|need| needed.insert(*need)));
    }
    let is_undone = |id: &&String| needed.contains(id.as_str()) && state.is_undone_of(id);
    outline.order().iter().filter(is_undone).cloned().collect()
}

fn stands(state: &RunState, task: &TaskId) -> bool {
    if state.is_taken_back(task) {
        return false;
    }
    state.task(task).and_then(|task| task.settled.as_ref()).is_some_and(|settled| is_kept(&settled.outcome))
}

fn is_kept(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Succeeded { .. } | Outcome::Stored { .. } => true,
        Outcome::Skipped { cause, .. } => matches!(cause, SkipCause::Condition | SkipCause::NotNeeded),
        Outcome::Failed { .. } => false,
    }
}

/// The record in the new run, if it is taken over.
fn kept(
    record: &Record,
    outline: &Outline,
    (whole, anew): (&BTreeSet<&str>, &BTreeSet<&str>),
    now: Millis,
) -> Option<Record> {
    let ready = |id: &str| {
        let needs = || outline.entry(id).into_iter().flat_map(|entry| &entry.needs);
        !anew.contains(id) && needs().all(|need| whole.contains(need.as_str()))
    };
    match record {
        // Of a list, the items that are done are kept one by one.
        Record::Expanded { task, .. } if ready(task) => Some(record.clone()),
        Record::Recorded { task, attempt, outcome, .. } if is_kept(outcome) && ready(task.task()) => {
            let listed = outline.entry(task.task()).is_some_and(|entry| entry.fan == Fan::ForEach);
            let listed = listed && task.index().is_some();
            let record =
                Record::Recorded { task: task.clone(), attempt: *attempt, outcome: outcome.clone(), wall: now };
            (listed || whole.contains(task.task())).then_some(record)
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "fork_tests.rs"]
mod tests;
