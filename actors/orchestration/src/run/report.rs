//! What a run tells people and programs when it is over.

mod markdown;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::redact::Redactor;
use crate::run::budget::{Account, Spent, accounts};
use crate::run::digest::result_digest;
use crate::run::estimate::Estimate;
use crate::run::id::{Millis, TaskId};
use crate::run::phase::{Phase, TaskStatus};
use crate::run::record::{Class, Lookups, Outcome, SkipCause, Status, UndoOutcome, UndoSummary};
use crate::run::standing::PauseNote;
use crate::run::state::{RunState, TaskState, UndoState};

/// The report of a run: `report.json` as it is, `report.md` by [`to_markdown`](Self::to_markdown).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// How the run ended; `unfinished` for one that is not over, of which `phase` says more.
    pub status: Status,
    /// Where the run stands.
    pub phase: Phase,
    /// Why it stands still, and what to do; empty when it does not.
    #[serde(default)]
    pub paused: Vec<PauseNote>,
    /// Who cancelled it, and why.
    #[serde(default)]
    pub cancelled: Option<CancelNote>,
    /// How many tasks were undone, and how many could not be.
    #[serde(default)]
    pub undone: UndoSummary,
    /// The name of the goal.
    pub goal: String,
    /// What the goal is for, as its file says.
    pub description: Option<String>,
    /// Why the goal could not be planned, and what to do.
    pub problem: Option<String>,
    /// The run's id.
    pub run: String,
    /// The digest of the declared results.
    pub result_digest: String,
    /// How many tasks came to which outcome.
    pub tasks: Totals,
    /// How often supervisors restarted a child.
    pub restarts: Restarts,
    /// Leases given out again because the agent died or hung.
    pub reissued: u64,
    /// Tasks of a run that ended which have no outcome: 0 unless there is a bug.
    pub lost: u64,
    /// Attempts started after the task's outcome was recorded: 0 unless there is a bug.
    pub completed_rerun: u64,
    /// Reports refused, because they came from an incarnation or an attempt that did not hold the lease.
    pub refused: u64,
    /// What is used of each budget of the goal, and of each counter that agents charged.
    #[serde(default)]
    pub budgets: Vec<Account>,
    /// Which budget is used up, where one ended the run.
    #[serde(default)]
    pub budget_spent: Option<SpentNote>,
    /// How many agents held a lease.
    pub agents_used: u64,
    /// How often the context of a task came from the retriever's cache, and how often from its source.
    pub context: Lookups,
    /// When the run started, in UTC.
    pub started: String,
    /// When the run started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How long the run took, in milliseconds.
    pub elapsed_ms: u64,
    /// How long it was going to take, by earlier runs of the goal, where these were looked at.
    #[serde(default)]
    pub estimate: Option<Estimate>,
    /// Every task, by id.
    pub results: Vec<TaskReport>,
}

/// Who cancelled a run, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelNote {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Whether what was done was to be undone.
    pub undo: bool,
}

/// How many tasks came to which outcome; every item of a `for_each` is a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All tasks.
    pub total: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were skipped.
    pub skipped: u64,
    /// Those without an outcome, because the run was drained.
    pub unfinished: u64,
}

/// How often supervisors restarted a child.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    /// All of them.
    pub total: u64,
    /// By the path of the supervisor.
    pub by_supervisor: BTreeMap<String, u64>,
}

/// What came of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskReport {
    /// The task: `build`, or `digest[3]` for an item of a `for_each`.
    pub id: String,
    /// `succeeded`, `failed`, `skipped` or `unfinished`.
    pub outcome: String,
    /// Where the task stands.
    pub status: TaskStatus,
    /// The idempotency key; nothing when the task was never given out.
    pub key: Option<String>,
    /// The highest attempt; 0 when the task was never given out.
    pub attempts: u32,
    /// When the outcome was recorded, in UTC.
    pub recorded: Option<String>,
    /// When the outcome was recorded, in milliseconds since 1970.
    pub recorded_unix_ms: Option<u64>,
    /// The agent that had the last lease.
    pub agent: Option<String>,
    /// The declared result.
    pub value: Option<Value>,
    /// The digest of the result.
    pub digest: Option<String>,
    /// Why the task failed or was skipped.
    pub failure: Option<FailureNote>,
    /// What became of its undo, where that began.
    #[serde(default)]
    pub undo: Option<UndoReport>,
}

/// What became of the undo of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoReport {
    /// `undone`, `failed` or `unfinished`.
    pub outcome: String,
    /// The highest attempt of the undo.
    pub attempts: u32,
    /// Why it could not be undone: a person has to look at it.
    pub failure: Option<FailureNote>,
}

/// A budget that ended a run, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentNote {
    /// Its key in the goal file, below `budget`.
    pub budget: String,
    /// What happened: its limit, what was used, and by whom most.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Why a task failed or was skipped, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureNote {
    /// The class of the failure, or `skipped`.
    pub class: String,
    /// What happened.
    pub message: String,
    /// What to do about it; nothing when a condition of the goal did not hold.
    pub remedy: Option<String>,
}

/// What a report holds besides the state of the run.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The name of the goal.
    pub goal: String,
    /// What the goal is for.
    pub description: Option<String>,
    /// How often supervisors restarted a child.
    pub restarts: Restarts,
    /// How long the run was going to take, where anybody looked at earlier ones.
    pub estimate: Option<Estimate>,
}

impl Report {
    /// The report of a run as it stands; `now` counts as its end when it has none.
    #[must_use]
    pub fn of(state: &RunState, facts: Facts, now: Millis) -> Self {
        let (status, ended) = state.ended().unwrap_or((Status::Unfinished, now));
        let results: Vec<_> = state.tasks().map(|(id, task)| TaskReport::of(id, task, state)).collect();
        let tasks = Totals::of(&results);
        let counts = state.counts();
        Self {
            status,
            phase: state.phase(),
            paused: state.pauses().iter().map(PauseNote::of).collect(),
            cancelled: state.cancel().map(|cancel| CancelNote {
                who: cancel.who.clone(),
                why: cancel.why.clone(),
                undo: cancel.undo,
            }),
            undone: state.undone(),
            goal: facts.goal,
            description: facts.description,
            problem: state.problem().map(str::to_owned),
            run: state.run().map(|run| run.to_string()).unwrap_or_default(),
            result_digest: result_digest(state),
            tasks,
            restarts: facts.restarts,
            reissued: counts.reissued,
            lost: if matches!(status, Status::Drained | Status::Unfinished) { 0 } else { tasks.unfinished },
            completed_rerun: counts.completed_rerun,
            refused: counts.refused,
            budgets: accounts(state, now),
            budget_spent: state.usage().spent().map(SpentNote::of),
            agents_used: counts.agents_used.len() as u64,
            context: counts.context,
            started: state.started().to_string(),
            started_unix_ms: state.started().0,
            elapsed_ms: ended.0.saturating_sub(state.started().0),
            estimate: facts.estimate,
            results,
        }
    }

    /// The report without anything that the redactor would take out.
    #[must_use]
    pub fn redacted(&self, redactor: &Redactor) -> Self {
        let mut report = self.clone();
        let clean = |text: &mut String| *text = redactor.text(text).into_owned();
        clean(&mut report.goal);
        report.description.iter_mut().for_each(clean);
        report.problem.iter_mut().for_each(clean);
        report.budget_spent.iter_mut().for_each(|spent| clean(&mut spent.message));
        report.paused.iter_mut().for_each(|note| clean(&mut note.message));
        report.cancelled.iter_mut().for_each(|note| clean(&mut note.why));
        for task in &mut report.results {
            let undo = task.undo.iter_mut().filter_map(|undo| undo.failure.as_mut());
            undo.for_each(|note| clean(&mut note.message));
            task.value = task.value.as_ref().map(|value| redactor.value(value));
            task.failure.iter_mut().for_each(|note| clean(&mut note.message));
        }
        report
    }

    /// The report as a page. The results of the tasks named in `whole` are shown in full, others are cut.
    #[must_use]
    pub fn to_markdown(&self, whole: &BTreeSet<String>) -> String {
        markdown::render(self, whole)
    }
}

impl SpentNote {
    fn of(spent: &Spent) -> Self {
        Self { budget: spent.which.key(), message: spent.message.clone(), remedy: spent.which.remedy() }
    }
}

impl Totals {
    fn of(results: &[TaskReport]) -> Self {
        let count = |outcome: &str| results.iter().filter(|result| result.outcome == outcome).count() as u64;
        Self {
            total: results.len() as u64,
            succeeded: count("succeeded"),
            failed: count("failed"),
            skipped: count("skipped"),
            unfinished: count("unfinished"),
        }
    }
}

impl TaskReport {
    fn of(id: &TaskId, task: &TaskState, state: &RunState) -> Self {
        let mut report = Self {
            id: id.to_string(),
            outcome: "unfinished".to_owned(),
            // Every task of a run has a status.
            status: state.status(id).unwrap_or(TaskStatus::Waiting),
            key: task.key.clone(),
            attempts: task.attempts,
            recorded: task.settled.as_ref().map(|settled| settled.wall.to_string()),
            recorded_unix_ms: task.settled.as_ref().map(|settled| settled.wall.0),
            agent: task.last.as_ref().map(|last| last.agent.to_string()),
            value: None,
            digest: None,
            failure: None,
            undo: task.undo.as_ref().map(UndoReport::of),
        };
        match task.settled.as_ref().map(|settled| &settled.outcome) {
            Some(Outcome::Succeeded { value, digest }) => {
                "succeeded".clone_into(&mut report.outcome);
                report.value = serde_json::from_str(value).ok();
                report.digest = Some(digest.clone());
            }
            Some(Outcome::Stored { digest, .. }) => {
                "succeeded".clone_into(&mut report.outcome);
                report.digest = Some(digest.clone());
            }
            Some(Outcome::Failed { class, message }) => {
                "failed".clone_into(&mut report.outcome);
                report.failure = Some(FailureNote {
                    class: class.as_str().to_owned(),
                    message: message.clone(),
                    remedy: Some(class.remedy().to_owned()),
                });
            }
            Some(Outcome::Skipped { reason, cause }) => {
                "skipped".clone_into(&mut report.outcome);
                let remedy = (*cause == SkipCause::NeedFailed).then(|| "see the task that it needs".to_owned());
                report.failure = Some(FailureNote { class: "skipped".to_owned(), message: reason.clone(), remedy });
            }
            None => {}
        }
        report
    }
}

impl UndoReport {
    fn of(undo: &UndoState) -> Self {
        let (outcome, failure) = match &undo.outcome {
            None => ("unfinished", None),
            Some(UndoOutcome::Undone) => ("undone", None),
            Some(UndoOutcome::Failed { class, message }) => {
                let remedy = "look at what the task did, and take it back by hand where it has to be".to_owned();
                let (class, message) = (class.as_str().to_owned(), message.clone());
                ("failed", Some(FailureNote { class, message, remedy: Some(remedy) }))
            }
        };
        Self { outcome: outcome.to_owned(), attempts: undo.attempts, failure }
    }
}

impl Class {
    /// What to do about a failure of this class, for people.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Exit => {
                "run the command by itself in the input folder; if it may fail now and then, raise `retries.attempts`"
            }
            Self::Timeout => "raise the task's `timeout`, or find out what the command waits for",
            Self::Start => "check that the program is installed and the file exists, as the message names it",
            Self::Output => "declare another `result`, raise `output_limit`, or change what the command prints",
            Self::Invalid => "change the input so that the check passes, or the check in the goal file",
            Self::Denied => "ask whoever keeps the policy, or change the task so that it is allowed",
            Self::Plan => "correct the reference or the list in the goal file, as the message names it",
            Self::Poison => "run the task by itself to see what it does to the agent that runs it",
            Self::Deadline => "raise `limits.deadline` in the goal file, or run with more `--jobs`",
            Self::Rejected => "ask whoever said no, change what they object to, and run it again",
            Self::Child => "see the run of the goal inside, which says what failed there",
            Self::Budget => "raise the budget in the goal file, or have the task use less",
            Self::Quorum => "see the tasks that it gathers, or let it need fewer of them",
            Self::Repeats => {
                "look at why the task calls the same tool with the same arguments, or raise `budget.repeats`"
            }
        }
    }
}
