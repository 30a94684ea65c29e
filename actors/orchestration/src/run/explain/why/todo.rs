//! What there is to do, with the command that does it.

use super::Todo;
use crate::run::explain::account::Account;
use crate::run::explain::view::View;
use crate::run::explain::words::{moment, span};
use crate::run::id::TaskId;
use crate::run::phase::TaskStatus;
use crate::run::record::{Class, Outcome, PauseCause, WaitFor};
use crate::run::state::{Pause, TaskState};

/// Makes the things to do about one run.
pub(super) struct Todos<'a> {
    account: &'a Account,
    view: &'a View,
    run: String,
}

impl<'a> Todos<'a> {
    pub(super) fn of(account: &'a Account, view: &'a View) -> Self {
        let run = account.state().run().map_or_else(|| "RUN".to_owned(), |run| run.to_string());
        Self { account, view, run }
    }

    /// Something to do by a verb about this run.
    pub(super) fn verb(&self, what: impl Into<String>, verb: &str, more: &[&str]) -> Todo {
        let mut arguments = vec![self.run.as_str()];
        arguments.extend(more);
        Todo { what: what.into(), command: Some(self.view.command(verb, &arguments)) }
    }

    /// Something to do that no command does.
    pub(super) fn by_hand(what: impl Into<String>) -> Todo {
        Todo { what: what.into(), command: None }
    }

    /// What there is to do where nothing is but to let it go on: nobody watches what nobody carries on.
    pub(super) fn go_on(&self) -> Vec<Todo> {
        let watch = self.verb("watch it go on", "log", &["--follow"]);
        match self.view.is_carried() {
            Some(true) => vec![watch],
            Some(false) => vec![self.verb("have a process carry it on", "resume", &[])],
            None => vec![watch, self.verb("where no process carries it on, have one do so", "resume", &[])],
        }
    }

    pub(super) fn show(&self) -> Todo {
        self.verb("see all of it", "show", &[])
    }

    pub(super) fn give_up(&self) -> Todo {
        if self.account.state().is_undoing() {
            return self.verb("or give it up, and leave to a person what is not undone", "cancel", &[]);
        }
        if self.account.state().has_undos() {
            return self.verb("or give it up, and undo what was done", "cancel", &["--undo"]);
        }
        self.verb("or give it up", "cancel", &[])
    }

    /// What mends a pause.
    pub(super) fn pause(&self, pause: &Pause) -> Todo {
        let again = |class: Class, task: &TaskId| {
            let what = format!("{}; then resume the run, which gives `{task}` its attempts again", class.remedy());
            self.verb(what, "resume", &[])
        };
        match &pause.why {
            PauseCause::Asked => self.verb("resume it when it may go on", "resume", &[]),
            PauseCause::Exhausted { task, class } => again(*class, task),
            PauseCause::Poison { task } => again(Class::Poison, task),
            PauseCause::MissingVariable { name } if self.view.is_carried() == Some(true) => {
                let what =
                    "for the process that carries the run, which has to be started anew with it; then resume the run";
                self.verb(format!("set the environment variable {name} {what}"), "resume", &[])
            }
            PauseCause::MissingVariable { name } => {
                self.verb(format!("set the environment variable {name} where you type this"), "resume", &[])
            }
            PauseCause::MissingArtifact { digest, .. } => {
                self.verb(format!("put {digest} back among the artifacts, from a copy of them"), "resume", &[])
            }
        }
    }

    /// To begin again in the middle.
    pub(super) fn fork(&self, task: &TaskId) -> Todo {
        let state = self.account.state();
        let order = state.outline().order();
        // What was undone is done anew, and whatever needs it.
        let first = order.iter().find(|id| *id == task.task() || state.is_undone_of(id));
        let first = first.map_or(task.task(), String::as_str);
        let is_undone = if first == task.task() { "" } else { ", the first that was undone" };
        let what = format!("begin a new run at `{first}`{is_undone}, which takes over what was recorded before it");
        self.verb(what, "fork", &["--from", first])
    }

    /// What can be done about a task that is where it is.
    pub(super) fn task(&self, id: &TaskId) -> Vec<Todo> {
        let state = self.account.state();
        let task = state.task(id);
        match state.status(id) {
            Some(TaskStatus::AwaitingApproval | TaskStatus::AwaitingSignal | TaskStatus::AwaitingTime) => self.wait(id),
            Some(TaskStatus::ChildRunning) => self.child(id).into_iter().collect(),
            Some(TaskStatus::Exhausted) => {
                let pause = state.pauses().iter().find(|pause| pause.why.task() == Some(id));
                pause.map(|pause| self.pause(pause)).into_iter().collect()
            }
            Some(TaskStatus::Failed) => task.map_or_else(Vec::new, |task| self.failed(id, task)),
            Some(TaskStatus::UndoFailed) => {
                let by_hand = Self::by_hand(format!("look at what `{id}` did, and undo it by hand"));
                self.child(id).into_iter().chain([by_hand]).collect()
            }
            _ => Vec::new(),
        }
    }

    fn wait(&self, id: &TaskId) -> Vec<Todo> {
        let state = self.account.state();
        let Some(waiting) = state.waits_on(id).filter(|_| state.answer(id).is_none()) else { return Vec::new() };
        let task = id.to_string();
        match &waiting.on {
            WaitFor::Approval { .. } => vec![
                self.verb("approve it", "approve", &[&task, "--why", "TEXT"]),
                self.verb("or reject it, which fails the task", "approve", &[&task, "--reject", "--why", "TEXT"]),
            ],
            WaitFor::Signal { name, .. } => {
                vec![self.verb(
                    format!("once `{name}` has happened, tell the run"),
                    "signal",
                    &[name, "--data", "JSON"],
                )]
            }
            WaitFor::Until(then) if *then > self.view.now() => {
                let left = span(then.since(self.view.now()));
                vec![Self::by_hand(format!("nothing but wait: it goes on by itself at {}, in {left}", moment(*then)))]
            }
            WaitFor::Until(_) => Vec::new(),
        }
    }

    pub(super) fn child(&self, id: &TaskId) -> Option<Todo> {
        let child = self.account.state().child(id)?.run.to_string();
        let command = self.view.command("why", &[&child]);
        Some(Todo { what: format!("see what the run of `{id}` stands at"), command: Some(command) })
    }

    fn failed(&self, id: &TaskId, task: &TaskState) -> Vec<Todo> {
        let Some(Outcome::Failed { class, .. }) = task.settled.as_ref().map(|settled| &settled.outcome) else {
            return Vec::new();
        };
        let mut todos = vec![Self::by_hand(class.remedy())];
        if *class == Class::Child {
            todos = self.child(id).into_iter().collect();
        }
        if self.account.state().ended().is_some() && !self.account.state().outline().is_spare(id.task()) {
            todos.push(self.fork(id));
        }
        todos
    }
}
