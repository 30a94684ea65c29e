//! Why a run, or a task of it, stands where it does, in plain words, and what there is to do.

mod chain;
mod of_run;
mod of_task;
mod say;
mod todo;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::account::Account;
use super::view::View;
use super::words::{capitalised, sentence, wrapped};
use crate::goal::error::{closest, expected};
use crate::run::id::TaskId;

/// Why a run, or a task of it, stands where it does.
///
/// As JSON it has these keys, all of them always:
///
/// | key | what |
/// |---|---|
/// | `run` | the run's id |
/// | `task` | the task that was asked about; null for the run |
/// | `status` | the word of its [`TaskStatus`](crate::run::TaskStatus), or the run's [`Phase`](crate::run::Phase) |
/// | `is` | where it stands, in one sentence |
/// | `because` | what led there, the root cause first |
/// | `tried` | the attempts that did not succeed, the first first |
/// | `next` | what there is to do, each `{what, command}`; `command` is null where no command does it |
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the table above has them all")]
pub struct Why {
    pub run: String,
    pub task: Option<String>,
    pub status: &'static str,
    pub is: String,
    pub because: Vec<String>,
    pub tried: Vec<String>,
    pub next: Vec<Todo>,
}

/// Something to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Todo {
    /// What, for people.
    pub what: String,
    /// The command that does it, as a shell takes it; words in capitals are to be filled in.
    pub command: Option<String>,
}

/// A run has no such task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{task}` is no task of this run; {remedy}")]
#[non_exhaustive]
pub struct NoSuchTask {
    /// What was asked about.
    pub task: String,
    /// The task with the nearest name, where one is near.
    pub nearest: Option<String>,
    /// What was expected, for people.
    pub remedy: String,
}

/// Says why a run stands where it does, or why a task of it does: what it waits for, what failed, what was tried, what to
/// do. There is always something to say.
///
/// # Errors
///
/// [`NoSuchTask`] for a task that the run does not have, with the nearest name.
///
/// # Examples
///
/// ```
/// use steadfast::RunId;
/// use steadfast_orchestration::run::explain::{Account, View, why};
/// use steadfast_orchestration::run::{Millis, Record};
///
/// let goal = r#"{ "name": "hello", "tasks": [{ "id": "say", "collect": "hello" }] }"#;
/// let records = [Record::RunStarted {
///     run: RunId::new(uuid::Uuid::from_u128(7)),
///     goal: goal.to_owned(),
///     params: "{}".to_owned(),
///     input: String::new(),
///     parent: None,
///     wall: Millis(0),
/// }];
/// let (account, view) = (Account::of(&records)?, View::at(Millis(5000)).abandoned());
/// let why = why(&account, &view, None)?;
/// assert_eq!(why.because, ["No process has taken it up yet."]);
/// assert!(why.next[0].command.as_deref().is_some_and(|command| command.starts_with("steadfast resume ")));
///
/// let task = "sya".parse()?;
/// let error = steadfast_orchestration::run::explain::why(&account, &view, Some(&task)).expect_err("it has no such task");
/// assert_eq!(error.nearest.as_deref(), Some("say"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn why(account: &Account, view: &View, task: Option<&TaskId>) -> Result<Why, NoSuchTask> {
    let why = told(account, view, task)?;
    match view.why_left_behind().filter(|_| !account.phase().0.is_final()) {
        // Whatever it waits for, nothing that anybody does makes it go on.
        Some(reason) => Ok(why.left_behind(reason, account, view)),
        None => Ok(why),
    }
}

fn told(account: &Account, view: &View, task: Option<&TaskId>) -> Result<Why, NoSuchTask> {
    let Some(task) = task else { return Ok(of_run::why(account, view)) };
    let state = account.state();
    let is_group = task.index().is_none() && state.groups().any(|(id, _)| id == task.task());
    if is_group {
        return Ok(of_task::of_group(account, view, task.task()));
    }
    if state.task(task).is_none() {
        return Err(no_such(account, task));
    }
    Ok(of_task::why(account, view, task))
}

fn no_such(account: &Account, task: &TaskId) -> NoSuchTask {
    let state = account.state();
    let order = state.outline().order();
    let nearest = closest(task.task(), order.iter().map(String::as_str)).map(str::to_owned);
    let items = state.groups().find(|(id, _)| *id == task.task()).map(|(_, items)| items);
    let remedy = match (&nearest, items) {
        (_, Some(0)) => format!("the list of `{}` is empty", task.task()),
        (_, Some(items)) => format!("`{0}` has {items} items, `{0}[0]` to `{0}[{1}]`", task.task(), items - 1),
        (Some(near), None) if near == task.task() => format!("`{near}` has no items, or they are not known yet"),
        (Some(near), None) => format!("did you mean `{near}`?"),
        (None, None) => expected(order),
    };
    NoSuchTask { task: task.to_string(), nearest, remedy }
}

impl Why {
    fn new(account: &Account, status: &'static str, is: &str) -> Self {
        let run = account.state().run().map(|run| run.to_string()).unwrap_or_default();
        let (because, tried, next) = (Vec::new(), Vec::new(), Vec::new());
        Self { run, task: None, status, is: sentence(&capitalised(is)), because, tried, next }
    }

    /// Says before all else that nobody will carry the run.
    fn left_behind(self, reason: &str, account: &Account, view: &View) -> Self {
        let (because, next) = (self.because, Vec::new());
        let why = Self { because: Vec::new(), next, ..self }.because([reason.to_owned()]).because(because);
        why.next([todo::Todos::of(account, view).show()])
    }

    /// Adds what is not said already.
    fn because(mut self, clauses: impl IntoIterator<Item = String>) -> Self {
        for clause in clauses {
            let told = sentence(&capitalised(&clause));
            if told != self.is && !self.because.contains(&told) {
                self.because.push(told);
            }
        }
        self
    }

    fn tried(mut self, clauses: impl IntoIterator<Item = String>) -> Self {
        for clause in clauses {
            let told = sentence(&capitalised(&clause));
            if !self.tried.contains(&told) {
                self.tried.push(told);
            }
        }
        self
    }

    /// Adds what is not said already.
    fn next(mut self, todos: impl IntoIterator<Item = Todo>) -> Self {
        for todo in todos {
            let said = |other: &Todo| *other == todo || (todo.command.is_some() && other.command == todo.command);
            if !self.next.iter().any(said) {
                self.next.push(todo);
            }
        }
        self
    }

    /// The answer for people: lines of at most 120 characters, but for commands, which stand in lines of their own.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The answer for programs; see the table above.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", wrapped(&self.is, 0))?;
        for (title, lines) in [("Because", &self.because), ("Tried", &self.tried)] {
            if !lines.is_empty() {
                writeln!(f, "\n{title}")?;
            }
            lines.iter().try_for_each(|line| writeln!(f, "{}", wrapped(&format!("  - {line}"), 4)))?;
        }
        if !self.next.is_empty() {
            writeln!(f, "\nWhat to do")?;
        }
        for todo in &self.next {
            let stop = if todo.command.is_some() { ":" } else { "." };
            writeln!(f, "{}", wrapped(&format!("  - {}{stop}", todo.what), 4))?;
            todo.command.iter().try_for_each(|command| writeln!(f, "      {command}"))?;
        }
        Ok(())
    }
}
