//! Where a run stands, task by task.

mod build;
mod text;

use serde::Serialize;
use serde_json::Value;

use super::account::Account;
use super::view::View;
use crate::goal::work::TaskKind;
use crate::run::phase::{Phase, TaskStatus};
use crate::run::record::Status;
use crate::run::standing::PauseNote;
use crate::run::waits::On;
pub(super) use build::{how, together};

/// Where a run stands: itself, and every task of its plan.
///
/// As JSON ([`json`](Self::json)) it has these keys, all of them always; what there is none of is null or empty. Times
/// are milliseconds since 1970, durations milliseconds.
///
/// | key | what |
/// |---|---|
/// | `run`, `goal` | the run's id, the name of its goal |
/// | `phase` | a [`Phase`]: `ready`, `planning`, `executing`, `validating`, `paused`, `undoing`, `complete`, `failed`, `cancelled`, `budget_spent`, `drained`; `init` where nothing is recorded |
/// | `standing` | `working`, `waiting`, `paused`, `drained` or `ended`: whether it goes on by itself |
/// | `status` | how it ended: `reached`, `failed`, `cancelled`, `budget_spent`, `drained` |
/// | `started_unix_ms`, `since_unix_ms`, `ended_unix_ms` | when it began, when it came to its phase, when it ended |
/// | `elapsed_ms`, `paused_ms` | how long it took so far, and how much of that it stood still |
/// | `input`, `params` | the input folder, the parameters that were given |
/// | `parent` | `{run, task}` whose step the run is |
/// | `forked` | `{run, task}` whose results it took, up to that task |
/// | `taken_up` | `{by, unix_ms}` of the process that took it up last |
/// | `pauses` | why it stands still, each a [`PauseNote`] |
/// | `cancel` | `{who, why, undo}` of who does not want it any more |
/// | `budget` | what is said of the budget that is used up |
/// | `problem` | why the goal cannot be planned |
/// | `undone` | `{undone, failed}`: how many tasks were undone, and how many could not be |
/// | `counts` | how many tasks are in which status, by the word of the status |
/// | `tasks` | every task, a [`TaskNode`], in the order of the plan; the items of a `for_each` follow it |
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the table above has them all")]
pub struct Tree {
    pub run: Option<String>,
    pub goal: String,
    pub phase: Phase,
    pub standing: &'static str,
    pub status: Option<Status>,
    pub started_unix_ms: u64,
    pub since_unix_ms: u64,
    pub ended_unix_ms: Option<u64>,
    pub elapsed_ms: u64,
    pub paused_ms: u64,
    pub input: String,
    pub params: Value,
    pub parent: Option<Value>,
    pub forked: Option<Value>,
    pub taken_up: Option<Value>,
    pub pauses: Vec<PauseNote>,
    pub cancel: Option<Value>,
    pub budget: Option<String>,
    pub problem: Option<String>,
    pub undone: Value,
    pub counts: Vec<(TaskStatus, usize)>,
    pub tasks: Vec<TaskNode>,
    #[serde(skip)]
    now: u64,
}

/// A task in a [`Tree`].
///
/// | key | what |
/// |---|---|
/// | `id` | the task: `build`, or `digest[3]` for an item of a `for_each` |
/// | `kind` | what it does: `command`, `approve`, …; null where the goal cannot be read |
/// | `needs` | the tasks that end before it starts |
/// | `below` | the task below which it stands in the tree: the last of its needs, or its `for_each` |
/// | `items` | how many items the list of a `for_each` has |
/// | `status` | a [`TaskStatus`], such as `backing_off`; of a `for_each` that of its items together |
/// | `since_unix_ms` | when something was recorded of it last |
/// | `key` | its idempotency key, once it was given out |
/// | `waits_for` | the tasks that it still waits for |
/// | `waits_on` | what it waits for that no agent does: `{"approval": {prompt, until}}`, `{"until": time}`, `{"signal": {name, until}}`, `{"child": {run}}`, `{"paused": note}`, `{"tasks": {of, need}}` |
/// | `waits_since_unix_ms` | since when it does |
/// | `next_attempt_unix_ms` | when it may be tried again |
/// | `attempts` | what was tried, each an [`Attempt`], the first first |
/// | `refused` | how many reports about it were refused |
/// | `outcome` | what came of it, an [`OutcomeNote`] |
/// | `undo` | what became of its undo, an [`UndoNote`]; null where it names none |
/// | `child` | the run that it is, a [`ChildNote`] |
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the table above has them all")]
pub struct TaskNode {
    pub id: String,
    pub kind: Option<TaskKind>,
    pub needs: Vec<String>,
    pub below: Option<String>,
    pub items: Option<u32>,
    pub status: TaskStatus,
    pub since_unix_ms: Option<u64>,
    pub key: Option<String>,
    pub waits_for: Vec<String>,
    pub waits_on: Option<On>,
    pub waits_since_unix_ms: Option<u64>,
    pub next_attempt_unix_ms: Option<u64>,
    pub attempts: Vec<Attempt>,
    pub refused: u64,
    pub outcome: Option<OutcomeNote>,
    pub undo: Option<UndoNote>,
    pub child: Option<ChildNote>,
}

/// One attempt of a task, or of its undo: `number`; `agent` and `incarnation` that had it; `began_unix_ms` and
/// `ended_unix_ms`; `end`, one of `running`, `succeeded`, `skipped`, `failed`, `lost` and `dropped` (nobody waited for it
/// any more); `class` of a failure; `message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the text above has them all")]
pub struct Attempt {
    pub number: u32,
    pub agent: String,
    pub incarnation: u64,
    pub began_unix_ms: u64,
    pub ended_unix_ms: Option<u64>,
    pub end: &'static str,
    pub class: Option<&'static str>,
    pub message: Option<String>,
}

/// What came of a task: `result`, one of `succeeded`, `failed` and `skipped`; `digest` and `bytes` of its result;
/// `class` of a failure; `message` and `remedy`. The result itself is in the report and in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the text above has them all")]
pub struct OutcomeNote {
    pub result: &'static str,
    pub digest: Option<String>,
    pub bytes: Option<u64>,
    pub class: Option<&'static str>,
    pub message: Option<String>,
    pub remedy: Option<String>,
}

/// What became of a task's undo: `state`, one of `possible` (the task did nothing yet, or nobody asked for it), `queued`,
/// `running`, `backing_off`, `undone` and `failed`; its `attempts`; the `message` of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the text above has them all")]
pub struct UndoNote {
    pub state: &'static str,
    pub attempts: Vec<Attempt>,
    pub message: Option<String>,
}

/// The run that a task is: its id `run`, `since_unix_ms`, and how it `ended`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the text above has them all")]
pub struct ChildNote {
    pub run: String,
    pub since_unix_ms: u64,
    pub ended: Option<Status>,
}

/// Where a run stands, task by task.
///
/// # Examples
///
/// ```
/// use steadfast::RunId;
/// use steadfast_orchestration::run::explain::{Account, View, tree};
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
/// let tree = tree(&Account::of(&records)?, &View::at(Millis(5000)));
/// assert!(tree.text().starts_with("goal hello: ready for 5s"));
/// assert_eq!(tree.json()["tasks"][0]["status"], "ready");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn tree(account: &Account, view: &View) -> Tree {
    build::tree(account, view)
}

impl Tree {
    /// The tree for people: lines of at most 120 characters.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// The tree for programs; see the table above.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        let counts = self.counts.iter().map(|(status, count)| (status.as_str().replace(' ', "_"), (*count).into()));
        value["counts"] = Value::Object(counts.collect());
        value
    }
}
