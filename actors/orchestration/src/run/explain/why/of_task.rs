//! Why a task stands where it does.

use super::Why;
use super::chain::{Root, holding_up, telling, to_blame};
use super::say::{clause, tried};
use super::todo::Todos;
use crate::run::explain::account::Account;
use crate::run::explain::tree::together;
use crate::run::explain::view::View;
use crate::run::explain::words::{after_colon, count, lasting, moment, names};
use crate::run::id::TaskId;
use crate::run::phase::TaskStatus;
use crate::run::record::{Outcome, SkipCause};
use crate::run::state::RunState;

/// How many things that hold a task up are told of.
const MOST: usize = 4;

pub(super) fn why(account: &Account, view: &View, id: &TaskId) -> Why {
    let state = account.state();
    let status = state.status(id).unwrap_or(TaskStatus::Waiting);
    let is = clause(account, view, id);
    let why = Why { task: Some(id.to_string()), ..Why::new(account, status.as_str(), &is) };
    let why = match status {
        TaskStatus::Waiting | TaskStatus::Ready => held_up(why, account, view, id),
        TaskStatus::Skipped => skipped(why, account, view, id),
        TaskStatus::Exhausted => paused(why, account, view),
        TaskStatus::Undoing | TaskStatus::Undone | TaskStatus::UndoFailed => undone(why, account),
        TaskStatus::Succeeded | TaskStatus::Failed => why,
        _ => stopped(why, account, view),
    };
    let todos = Todos::of(account, view);
    let why = why.tried(tried(account, id)).next(todos.task(id));
    go_on(why, account, view)
}

/// Why a task with a list stands where it does: what its items come to.
pub(super) fn of_group(account: &Account, view: &View, id: &str) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    let items: Vec<TaskId> = state.items(id).map(|(item, _)| item.clone()).collect();
    let mut counts: Vec<(TaskStatus, usize)> = Vec::new();
    for status in TaskStatus::ALL {
        let number = items.iter().filter(|item| state.status(item) == Some(status)).count();
        counts.extend((number > 0).then_some((status, number)));
    }
    let each: Vec<_> = counts.iter().map(|(status, number)| format!("{number} {status}")).collect();
    let is = if items.is_empty() {
        format!("`{id}` had nothing to do: its list is empty")
    } else {
        format!("`{id}` runs once for each of {}: {}", count(items.len(), "item"), each.join(", "))
    };
    let why = Why { task: Some(id.to_owned()), ..Why::new(account, together(state, id).as_str(), &is) };
    let quiet = [TaskStatus::Succeeded, TaskStatus::Skipped, TaskStatus::Undone];
    let loud: Vec<_> =
        items.into_iter().filter(|item| state.status(item).is_none_or(|status| !quiet.contains(&status))).collect();
    let loud = telling(state, &loud);
    let mut why = stopped(why, account, view).because(loud.iter().take(MOST).map(|item| clause(account, view, item)));
    if loud.len() > MOST {
        why = why.because([format!("and so on, for {}", count(loud.len() - MOST, "more item"))]);
    }
    why = why.tried(loud.iter().take(3).flat_map(|item| tried(account, item)));
    why = why.next(loud.iter().take(MOST).flat_map(|item| todos.task(item)));
    go_on(why, account, view)
}

/// What there is to do about the run, so that the task goes on.
fn go_on(why: Why, account: &Account, view: &View) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    if state.ended().is_some() {
        return why.next([todos.show()]);
    }
    let why = why.next(state.pauses().iter().map(|pause| todos.pause(pause)));
    if state.is_paused() {
        return why;
    }
    why.next(todos.go_on())
}

/// That the run as a whole does not go on, where that is so.
fn stopped(why: Why, account: &Account, view: &View) -> Why {
    let why = paused(why, account, view);
    let abandoned = view.is_carried() == Some(false) && account.state().ended().is_none();
    let last = moment(account.last());
    why.because(
        abandoned.then(|| format!("no process carries the run on; the last thing that was recorded is of {last}")),
    )
}

/// Why the run is paused, where it is: the cause first.
fn paused(why: Why, account: &Account, view: &View) -> Why {
    account.state().pauses().iter().fold(why, |why, pause| {
        let long = lasting(pause.wall, view.now());
        if let Some(task) = pause.why.task() {
            let paused = format!("the run is paused because of `{task}`, {long}");
            return why.because([clause(account, view, task), paused]).tried(tried(account, task));
        }
        let cause = super::of_run::pause_clause(account, view, pause);
        why.because([format!("the run is paused, {long}: {cause}")])
    })
}

/// What a task that has not begun waits for in the end.
fn held_up(why: Why, account: &Account, view: &View, id: &TaskId) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    let roots = holding_up(account, id);
    let mut why = stopped(why, account, view);
    for root in roots.iter().take(MOST) {
        why = at_the_root(why, account, view, root);
        why = why.next(telling(state, &root.tasks).iter().take(MOST).flat_map(|task| todos.task(task)));
    }
    if roots.len() > MOST {
        why = why.because([format!("and on {}", count(roots.len() - MOST, "more task"))]);
    }
    why
}

/// The root first, then how the task that was asked about hangs on it.
fn at_the_root(why: Why, account: &Account, view: &View, root: &Root) -> Why {
    if root.path.len() < 2 {
        return why;
    }
    let tasks = telling(account.state(), &root.tasks);
    let why = why.because(tasks.iter().take(2).map(|task| clause(account, view, task)));
    let more = tasks.len().saturating_sub(2);
    let why = why.because((more > 0).then(|| format!("and so on, for {}", count(more, "more item"))));
    let why = why.tried(tasks.iter().take(2).flat_map(|task| tried(account, task)));
    let mut links = root.path.iter().map(|task| format!("`{task}`"));
    let first = links.next().unwrap_or_default();
    let rest: Vec<_> = links.collect();
    why.because((root.path.len() > 2).then(|| format!("{first} waits for {}", rest.join(", which waits for "))))
}

fn skipped(why: Why, account: &Account, view: &View, id: &TaskId) -> Why {
    let (state, todos) = (account.state(), Todos::of(account, view));
    let mut why = why;
    for root in to_blame(account, id).iter().filter(|root| root.path.len() > 1).take(MOST) {
        let tasks = telling(state, &root.tasks);
        why = why.because(tasks.iter().take(2).map(|task| clause(account, view, task)));
        let via: Vec<_> = root.path.iter().skip(1).rev().skip(1).collect();
        if !via.is_empty() {
            let was = if via.len() == 1 { "was" } else { "were" };
            why = why.because([format!("so {} {was} not run, and `{id}` needs what they come to", names(via))]);
        }
        why = why.tried(tasks.iter().take(2).flat_map(|task| tried(account, task)));
        why = why.next(tasks.iter().take(2).flat_map(|task| todos.task(task)));
    }
    why
}

fn undone(why: Why, account: &Account) -> Why {
    let state = account.state();
    let cancelled = state.cancel().map(|cancel| {
        let undo = if cancel.undo && state.undo_stopped().is_none() { ", with everything undone" } else { "" };
        format!("the run was cancelled by {}{undo}{}", cancel.who, after_colon(&cancel.why))
    });
    why.because([cancelled.unwrap_or_else(|| failed_goal(state))])
}

fn failed_goal(state: &RunState) -> String {
    format!("the goal failed{}", after_colon(&crate::run::children::failures(state)))
}

/// Whether a task was not run because of what happened to others, or to the run.
pub(super) fn is_consequence(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Skipped { cause: SkipCause::NeedFailed | SkipCause::Closed, .. })
}
