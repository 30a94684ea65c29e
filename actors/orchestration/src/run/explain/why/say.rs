//! One clause for each thing that can be said of a task.

use crate::run::explain::account::{Account, Try, TryEnd};
use crate::run::explain::view::View;
use crate::run::explain::words::{count, flat, lasting, moment, names, span, until};
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Carried;
use crate::run::phase::TaskStatus;
use crate::run::record::{Class, Outcome, SkipCause, WaitFor};
use crate::run::state::{TaskState, Waiting};
use crate::run::waits::{On, standing};

/// How an attempt, or a task, failed, in words.
pub(super) fn said(class: Class) -> &'static str {
    match class {
        Class::Exit => "its command did not end as it should",
        Class::Timeout => "it took longer than its timeout",
        Class::Start => "its program could not be started, or a file could not be read",
        Class::Output => "its output is not what the task declares",
        Class::Invalid => "a check or a validation said no",
        Class::Denied => "a policy said no",
        Class::Plan => "it could not be prepared",
        Class::Poison => "every agent that took it died or hung",
        Class::Deadline => "the run's deadline passed",
        Class::Rejected => "a person said no",
        Class::Child => "the goal inside it was not reached",
        Class::Budget => "a budget is used up",
        Class::Repeats => "it made the same call again and again",
        Class::Quorum => "too few of the tasks that it gathers can succeed",
    }
}

/// What is known of a task that explains why it stands where it does.
pub(super) fn clause(account: &Account, view: &View, id: &TaskId) -> String {
    let state = account.state();
    let Some(task) = state.task(id) else { return format!("`{id}` is not known") };
    match state.status(id).unwrap_or(TaskStatus::Waiting) {
        TaskStatus::Waiting => waiting(account, id),
        TaskStatus::Ready => ready(account, id),
        TaskStatus::Leased => leased(account, view, id),
        TaskStatus::Validating => format!("the result of `{id}`, attempt {}, is being judged", task.attempts),
        TaskStatus::BackingOff => backing_off(view, id, task),
        TaskStatus::AwaitingApproval | TaskStatus::AwaitingSignal | TaskStatus::AwaitingTime => {
            state.waits_on(id).map_or_else(|| format!("`{id}` waits"), |waiting| awaiting(account, view, id, waiting))
        }
        TaskStatus::ChildRunning => child(account, view, id),
        TaskStatus::Exhausted => exhausted(id, task),
        TaskStatus::Succeeded => succeeded(account, id, task),
        TaskStatus::Failed | TaskStatus::Skipped => settled(id, task),
        TaskStatus::Undoing | TaskStatus::Undone | TaskStatus::UndoFailed => undone(view, id, task),
    }
}

fn waiting(account: &Account, id: &TaskId) -> String {
    let state = account.state();
    if let Some(On::Tasks { of, need }) = standing(state).into_iter().find(|wait| wait.task == *id).map(|wait| wait.on)
    {
        let more = if need == 1 { "1 more of them must".to_owned() } else { format!("{need} more of them must") };
        return format!("`{id}` gathers {}, and {more} succeed", names(of));
    }
    let needs: Vec<_> = state.waits_for(id).collect();
    if needs.is_empty() {
        return format!("a task that `{id}` needs did not succeed, so that it is not run");
    }
    format!("`{id}` waits for {}", names(needs))
}

fn ready(account: &Account, id: &TaskId) -> String {
    let state = account.state();
    if state.is_paused() {
        return format!("`{id}` may begin, but the run is paused");
    }
    if state.is_draining() {
        return format!("`{id}` may begin, but the process that carries the run was asked to stop");
    }
    if !state.is_planned() {
        return format!("`{id}` may begin once there is a plan");
    }
    let places = state.outline().limits().concurrency;
    if state.held().count() >= places {
        return format!(
            "`{id}` may begin, but as many tasks are out as `limits.concurrency` of the goal allows: {places}"
        );
    }
    let by_agent = state.outline().entry(id.task()).is_none_or(|entry| entry.carried == Carried::ByAgent);
    let capability = account.task(id.task()).and_then(crate::goal::check::capability_of);
    match (by_agent, capability) {
        (true, Some(capability)) => format!("`{id}` may begin as soon as an agent that offers `{capability}` is free"),
        (true, None) => format!("`{id}` may begin as soon as an agent is free"),
        (false, _) => format!("`{id}` may begin as soon as a process that carries the run comes to it"),
    }
}

fn leased(account: &Account, view: &View, id: &TaskId) -> String {
    let out = account.tries(id).last().map_or_else(
        || "an agent".to_owned(),
        |one| {
            let lasting = lasting(one.began, view.now());
            format!("{}, incarnation {}: attempt {}, {lasting}", one.agent, one.incarnation, one.number)
        },
    );
    format!("`{id}` is in the hands of {out}")
}

fn backing_off(view: &View, id: &TaskId, task: &TaskState) -> String {
    let trouble = task.trouble.as_ref().map_or_else(String::new, |(class, message)| {
        format!(", since attempt {} failed ({}): {}", task.attempts, class.as_str(), flat(message))
    });
    match task.due() {
        Some(due) if due > view.now() => format!("`{id}` is tried again in {}{trouble}", span(due.since(view.now()))),
        Some(_) => format!("`{id}` is tried again as soon as an agent is free{trouble}"),
        None => format!("`{id}` is not tried again{trouble}"),
    }
}

fn awaiting(account: &Account, view: &View, id: &TaskId, waiting: &Waiting) -> String {
    let now = view.now();
    if let Some(answer) = account.state().answer(id) {
        let answered = if answer.yes { "approved" } else { "rejected" };
        return format!("`{id}` was {answered} by {}, and goes on from there", answer.who);
    }
    let long = lasting(waiting.since, now);
    let most = |limit: &Option<Millis>| limit.map_or_else(String::new, |limit| format!(" ({})", until(limit, now)));
    match &waiting.on {
        WaitFor::Approval { prompt, until } => {
            format!("`{id}` waits for a person to approve it, {long}{}: {}", most(until), flat(prompt))
        }
        WaitFor::Signal { name, until } => {
            format!("`{id}` waits for somebody to tell of `{name}`, {long}{}", most(until))
        }
        WaitFor::Until(then) => format!("`{id}` waits {}", until(*then, now)),
    }
}

fn child(account: &Account, view: &View, id: &TaskId) -> String {
    match account.state().child(id) {
        Some(child) => match child.ended {
            None => format!("`{id}` is a goal of its own, the run {}, {}", child.run, lasting(child.since, view.now())),
            Some(status) => {
                format!("`{id}` is a goal of its own, the run {}, which {}", child.run, super::of_run::how(status))
            }
        },
        None => format!("`{id}` is a goal of its own"),
    }
}

fn exhausted(id: &TaskId, task: &TaskState) -> String {
    match &task.trouble {
        Some((Class::Poison, message)) => format!("`{id}` takes its agents along: {}", flat(message)),
        Some((class, message)) => {
            let failed = count(task.failed.len(), "attempt");
            let why = said(*class);
            format!(
                "`{id}` has used up its attempts: {failed} failed, the last one ({}) because {why}: {}",
                class.as_str(),
                flat(message)
            )
        }
        None => format!("`{id}` has used up its attempts"),
    }
}

fn succeeded(account: &Account, id: &TaskId, task: &TaskState) -> String {
    let at = task.settled.as_ref().map_or_else(String::new, |settled| format!(", {}", moment(settled.wall)));
    match account.tries(id).last() {
        Some(one) => {
            format!("`{id}` succeeded{at}: attempt {} by {}, incarnation {}", one.number, one.agent, one.incarnation)
        }
        None => format!("`{id}` succeeded{at}"),
    }
}

fn settled(id: &TaskId, task: &TaskState) -> String {
    match task.settled.as_ref().map(|settled| &settled.outcome) {
        Some(Outcome::Failed { class, message }) => {
            format!("`{id}` failed ({}), because {}: {}", class.as_str(), said(*class), flat(message))
        }
        Some(Outcome::Skipped { reason, cause: SkipCause::Condition }) => {
            format!("`{id}` did not have to be run: {}", flat(reason))
        }
        Some(Outcome::Skipped { reason, cause: SkipCause::NotNeeded }) => {
            format!("`{id}` was not needed any more: {}", flat(reason))
        }
        Some(Outcome::Skipped { reason, .. }) => format!("`{id}` was not run: {}", flat(reason)),
        _ => format!("`{id}` has its outcome"),
    }
}

fn undone(view: &View, id: &TaskId, task: &TaskState) -> String {
    let Some(undo) = &task.undo else { return format!("`{id}` is not undone") };
    let trouble = undo.trouble.as_ref().map_or_else(String::new, |(class, message)| {
        format!(" ({}), because {}: {}", class.as_str(), said(*class), flat(message))
    });
    match (&undo.outcome, &undo.last) {
        (Some(crate::run::record::UndoOutcome::Undone), _) => format!("what `{id}` did is undone"),
        (Some(crate::run::record::UndoOutcome::Failed { .. }), _) => {
            format!("what `{id}` did could not be undone{trouble}; nobody tries again, and a person has to look at it")
        }
        (None, Some(held)) if undo.is_out => format!(
            "what `{id}` did is being undone: attempt {} by {}, incarnation {}",
            held.attempt, held.agent, held.incarnation
        ),
        _ => match undo.due().filter(|due| *due > view.now()) {
            Some(due) => format!("the undo of `{id}` is tried again in {}{trouble}", span(due.since(view.now()))),
            None => format!("the undo of `{id}` is tried again as soon as an agent is free{trouble}"),
        },
    }
}

/// The attempts that did not succeed, the first first; of many the last ones.
pub(super) fn tried(account: &Account, id: &TaskId) -> Vec<String> {
    let told = |what: &str, tries: &[Try]| -> Vec<String> {
        tries.iter().filter_map(|one| attempt(account, what, id, one)).collect()
    };
    let mut all = told("", account.tries(id));
    all.extend(told("the undo of ", account.undo_tries(id)));
    few(all, "attempt")
}

/// The last of many lines, after how many there are before them.
pub(super) fn few(mut all: Vec<String>, noun: &str) -> Vec<String> {
    const MOST: usize = 6;
    if all.len() > MOST {
        let hidden = all.len() - (MOST - 1);
        let kept = all.split_off(hidden);
        all = vec![format!("{} before these", count(hidden, noun))];
        all.extend(kept);
    }
    all
}

fn attempt(account: &Account, what: &str, id: &TaskId, one: &Try) -> Option<String> {
    let (end, wall) = one.ended.as_ref()?;
    let took = span(wall.since(one.began));
    let how = match end {
        TryEnd::Succeeded | TryEnd::Skipped => return None,
        TryEnd::Failed(class, message) => format!("failed ({}) after {took}: {}", class.as_str(), flat(message)),
        TryEnd::Lost(why) => format!("was lost after {took}: {}", flat(why)),
        TryEnd::Dropped(why) => format!("was dropped after {took}: {}", flat(why)),
    };
    let began = span(one.began.since(account.state().started()));
    Some(format!(
        "{what}`{id}`, attempt {}, {began} into the run, by {}, incarnation {}: it {how}",
        one.number, one.agent, one.incarnation
    ))
}
