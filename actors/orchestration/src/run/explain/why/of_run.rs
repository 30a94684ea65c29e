//! Why a run stands where it does.

use super::Why;
use super::say::{clause, few, tried};
use super::todo::Todos;
use crate::run::explain::account::Account;
use crate::run::explain::view::View;
use crate::run::explain::words::{after_colon, count, flat, lasting, moment, span};
use crate::run::id::TaskId;
use crate::run::phase::{Phase, TaskStatus};
use crate::run::record::{Outcome, PauseCause};
use crate::run::standing::Standing;
use crate::run::state::{Pause, RunState};

pub(super) use crate::run::explain::tree::how;

/// How many tasks are told of.
const MOST: usize = 8;

pub(super) fn why(account: &Account, view: &View) -> Why {
    let (phase, _) = account.phase();
    let is = format!("The run{} {}", named(account), stands(account, view));
    let why = Why::new(account, phase.as_str(), &is).because(unattended(account, view));
    match phase {
        Phase::Init => init(why, view),
        Phase::Ready | Phase::Planning | Phase::Validating => between(why, account, view),
        Phase::Executing => executing(why, account, view),
        Phase::Paused => paused(why, account, view),
        Phase::Undoing => undoing(why, account, view),
        Phase::Complete => complete(why, account, view),
        Phase::Failed | Phase::Cancelled | Phase::BudgetSpent | Phase::Drained => ended(why, account, view),
    }
}

fn named(account: &Account) -> String {
    let run = account.state().run().map_or_else(String::new, |run| format!(" {run}"));
    let goal = account.goal();
    if goal.is_empty() { run } else { format!("{run} of the goal `{goal}`") }
}

/// What the run is at, to go on after its name.
fn stands(account: &Account, view: &View) -> String {
    let state = account.state();
    let (phase, since) = account.phase();
    let long = lasting(since, view.now());
    let total = state.tasks().count();
    let done = total - state.open();
    match phase {
        Phase::Init => "has no records".to_owned(),
        Phase::Ready => format!("is recorded and was not begun, {long}"),
        Phase::Planning => format!("has no plan yet: one is being made, {long}"),
        Phase::Executing => {
            let only = match Standing::of(state, view.now()) {
                Standing::Waiting(_) => "does nothing but wait",
                Standing::Drained => "was put down in order",
                _ => "is being carried out",
            };
            format!("{only}: {}", outcomes(done, total))
        }
        Phase::Validating => "has the outcome of every task, and what they come to is being settled".to_owned(),
        Phase::Paused => format!("is paused, {long}: {}", outcomes(done, total)),
        Phase::Undoing => format!("is being undone, the last task first, {long}"),
        Phase::Complete | Phase::Failed | Phase::Cancelled | Phase::BudgetSpent | Phase::Drained => {
            let (status, wall) = state.ended().unwrap_or((crate::run::record::Status::Drained, account.last()));
            format!("{}, {}, after {}", how(status), moment(wall), span(wall.since(state.started())))
        }
    }
}

fn outcomes(done: usize, total: usize) -> String {
    let have = if done == 1 { "has its outcome" } else { "have their outcome" };
    format!("{done} of its {} {have}", count(total, "task"))
}

/// That nobody carries the run on, where that is known and matters.
fn unattended(account: &Account, view: &View) -> Option<String> {
    let phase = account.state().phase();
    let is_done = phase.is_final() || matches!(phase, Phase::Init | Phase::Ready);
    let last = moment(account.last());
    (view.is_carried() == Some(false) && !is_done)
        .then(|| format!("no process carries it on; the last thing that was recorded is of {last}"))
}

fn init(why: Why, view: &View) -> Why {
    let list = super::Todo { what: "see which runs there are".to_owned(), command: Some(view.command("runs", &[])) };
    why.because(["nothing was recorded of it".to_owned()]).next([list])
}

fn between(why: Why, account: &Account, view: &View) -> Why {
    let todos = Todos::of(account, view);
    let because = match account.state().phase() {
        Phase::Ready => "no process has taken it up yet".to_owned(),
        Phase::Planning => "no planner has answered yet".to_owned(),
        _ => "its end, or its undoing, is the next thing that is recorded".to_owned(),
    };
    why.because([because]).next(todos.go_on())
}

fn executing(mut why: Why, account: &Account, view: &View) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    let drained = matches!(Standing::of(state, view.now()), Standing::Drained);
    if state.is_draining() {
        let more = if drained { "" } else { ", and ends when what is out has ended" };
        why = why.because([format!("the process that carried it was asked to stop: it gives out nothing more{more}")]);
    }
    why = about_tasks(why, account, view, &[TaskStatus::Failed, TaskStatus::BackingOff]);
    let active = [
        TaskStatus::AwaitingApproval,
        TaskStatus::AwaitingSignal,
        TaskStatus::AwaitingTime,
        TaskStatus::ChildRunning,
        TaskStatus::Leased,
        TaskStatus::Validating,
    ];
    let (before, mut why) = (why.because.len(), about_tasks(why, account, view, &active));
    if why.because.len() == before && !drained {
        why = about_tasks(why, account, view, &[TaskStatus::Ready]);
    }
    let in_trouble = with_status(state, &[TaskStatus::BackingOff, TaskStatus::Leased]);
    why = why.tried(few(in_trouble.iter().flat_map(|id| tried(account, id)).collect(), "attempt"));
    let waits = with_status(state, &active[..4]);
    why = why.next(waits.iter().take(MOST).flat_map(|id| todos.task(id)));
    why.next(todos.go_on())
}

fn paused(mut why: Why, account: &Account, view: &View) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    why = why.because(state.pauses().iter().map(|pause| pause_clause(account, view, pause)));
    let out = state.held().count();
    if out > 0 {
        why = why.because([format!("{} still out; nothing else is given out until it is resumed", is_are(out))]);
    }
    let held_up: Vec<_> = state.pauses().iter().filter_map(|pause| pause.why.task()).collect();
    why = why.tried(held_up.into_iter().flat_map(|id| tried(account, id)));
    why.next(state.pauses().iter().map(|pause| todos.pause(pause))).next([todos.give_up()])
}

fn is_are(out: usize) -> String {
    if out == 1 { "1 task is".to_owned() } else { format!("{out} tasks are") }
}

pub(super) fn pause_clause(account: &Account, view: &View, pause: &Pause) -> String {
    match &pause.why {
        PauseCause::Asked => {
            format!("it was asked for by {}, {}{}", pause.who, moment(pause.wall), after_colon(&pause.message))
        }
        PauseCause::Exhausted { task, .. } | PauseCause::Poison { task } => clause(account, view, task),
        PauseCause::MissingVariable { name } => {
            format!("the environment variable {name}, which the goal names, is not set where the run was carried on")
        }
        PauseCause::MissingArtifact { task, digest } => {
            format!("the result of `{task}`, which is kept beside the journal as {digest}, is not to be had")
        }
    }
}

/// Why what was done is undone.
fn cause_of_end(account: &Account) -> Option<String> {
    let state = account.state();
    let cancelled = state.cancel().map(|cancel| {
        let undo = if cancel.undo && state.undo_stopped().is_none() { ", with everything undone" } else { "" };
        format!("it was cancelled by {}{undo}{}", cancel.who, after_colon(&cancel.why))
    });
    let budget = || state.budget_message().map(flat);
    let problem = || state.problem().map(|problem| format!("the goal cannot be planned: {}", flat(problem)));
    cancelled.or_else(budget).or_else(problem)
}

/// Who did not want the rest to be undone.
fn left(state: &RunState) -> Option<String> {
    let left = state.undo_stopped().or(state.left())?;
    Some(format!("{} left to a person what was not undone then{}", left.who, after_colon(&left.why)))
}

fn undoing(why: Why, account: &Account, view: &View) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    let failed = failures(state);
    let mut why = why.because(cause_of_end(account)).because(left(state));
    why = why.because(failed.iter().take(MOST).map(|id| clause(account, view, id)));
    let (now, summary) = (state.undo_at(), state.undone());
    let undos = summary.undone + summary.failed;
    let are = if summary.undone == 1 { "is" } else { "are" };
    let so_far = format!("{} {are} undone so far", count(summary.undone as usize, "task"));
    why = why.because((undos > 0).then_some(so_far));
    why = why.because(now.map(|id| match state.status(id) {
        Some(TaskStatus::Undoing) => clause(account, view, id),
        _ => match state.undone_inside().filter(|(inside, _)| *inside == id) {
            Some((_, child)) => format!("what `{id}` did is undone in the run {}, which stands for itself", child.run),
            None => format!("what `{id}` did is undone next"),
        },
    }));
    why = why.next(state.undone_inside().and_then(|(inside, _)| todos.child(inside)));
    why = about_tasks(why, account, view, &[TaskStatus::UndoFailed]);
    let in_trouble = failed.iter().take(3).chain(now);
    why = why.tried(few(in_trouble.flat_map(|id| tried(account, id)).collect(), "attempt"));
    let by_hand = with_status(state, &[TaskStatus::UndoFailed]);
    why.next(by_hand.iter().take(MOST).flat_map(|id| todos.task(id))).next(todos.go_on())
}

fn complete(why: Why, account: &Account, view: &View) -> Why {
    let state = account.state();
    let (total, succeeded) = (state.tasks().count(), with_status(state, &[TaskStatus::Succeeded]).len());
    let todos = Todos::of(account, view);
    let why = why.because([format!("{succeeded} of its {} succeeded", count(total, "task"))]);
    about_tasks(why, account, view, &[TaskStatus::Failed, TaskStatus::Skipped])
        .next([Todos::by_hand("nothing: it is done"), todos.show()])
}

fn ended(why: Why, account: &Account, view: &View) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    let failed = failures(state);
    let mut why = why.because(cause_of_end(account)).because(left(state));
    why = why.because(failed.iter().take(MOST).map(|id| clause(account, view, id)));
    if failed.len() > MOST {
        why = why.because([format!("{} more failed", count(failed.len() - MOST, "task"))]);
    }
    why = why.because(skips(state)).because(undos(state));
    why = about_tasks(why, account, view, &[TaskStatus::UndoFailed]);
    if why.because.is_empty() {
        why = why.because(["it was asked to stop, and nobody keeps what happened in it".to_owned()]);
    }
    why = why.tried(failed.iter().take(3).flat_map(|id| tried(account, id)));
    let by_hand = with_status(state, &[TaskStatus::UndoFailed]);
    why = why.tried(few(by_hand.iter().flat_map(|id| tried(account, id)).collect(), "attempt"));
    why = why.next(by_hand.iter().take(MOST).flat_map(|id| todos.task(id)));
    why = why.next(failed.iter().take(3).flat_map(|id| todos.task(id)));
    if state.problem().is_some() {
        why = why.next([Todos::by_hand("correct the goal file, see `steadfast check`, and run it again")]);
    } else if state.budget_message().is_some() {
        why = why.next([Todos::by_hand(crate::run::Class::Budget.remedy())]);
    }
    why.next([todos.show()])
}

/// How many tasks were not run because of what happened.
fn skips(state: &RunState) -> Option<String> {
    let skipped = with_status(state, &[TaskStatus::Skipped]);
    let because = |id: &&TaskId| {
        let settled = state.task(id).and_then(|task| task.settled.as_ref());
        settled.is_some_and(|settled| super::of_task::is_consequence(&settled.outcome))
    };
    let number = skipped.iter().filter(because).count();
    let was = if number == 1 { "was" } else { "were" };
    (number > 0).then(|| format!("{} {was} not run because of that", count(number, "task")))
}

/// What was undone.
fn undos(state: &RunState) -> Option<String> {
    let undone = state.undone();
    let was = if undone.undone == 1 { "was" } else { "were" };
    (undone.undone + undone.failed > 0).then(|| format!("{} {was} undone", count(undone.undone as usize, "task")))
}

/// The tasks because of which the goal cannot be reached, in the order of the plan.
fn failures(state: &RunState) -> Vec<TaskId> {
    let mut failed = with_status(state, &[TaskStatus::Failed]);
    failed.retain(|id| {
        let settled = state.task(id).and_then(|task| task.settled.as_ref());
        settled.is_some_and(|settled| matches!(settled.outcome, Outcome::Failed { .. }))
            && !state.outline().is_spare(id.task())
    });
    failed
}

/// The tasks with one of these statuses, first those with the first one, each in the order of the plan.
fn with_status(state: &RunState, statuses: &[TaskStatus]) -> Vec<TaskId> {
    let place = |id: &TaskId| statuses.iter().position(|status| state.status(id) == Some(*status));
    let mut found: Vec<_> = state.tasks().filter_map(|(id, _)| Some((place(id)?, id))).collect();
    found.sort_by_key(|(place, id)| (*place, state.outline().position(id.task()), (*id).clone()));
    found.into_iter().map(|(_, id)| id.clone()).collect()
}

/// Says of the tasks with these statuses what there is to say; of many the first ones.
fn about_tasks(why: Why, account: &Account, view: &View, statuses: &[TaskStatus]) -> Why {
    let found = with_status(account.state(), statuses);
    let more = found.len().saturating_sub(MOST);
    let told = found.iter().take(MOST).map(|id| clause(account, view, id));
    let why = why.because(told);
    if more == 0 { why } else { why.because([format!("and so on, for {}", count(more, "more task"))]) }
}
