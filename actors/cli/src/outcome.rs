//! What came of a command, for the exit status, for programs and for people.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use steadfast::RunId;
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::{Report, Restarts, Totals};

/// How many failed tasks are named; the report has all of them.
const NAMED: usize = 20;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The goal was reached.
    Reached,
    /// What was asked for is done; no run was carried here.
    Done,
    /// The goal was not reached, since a task failed.
    Failed,
    /// The command line or the goal file is wrong; nothing ran.
    Invalid,
    /// The tree of agents gave up.
    GaveUp,
    /// The run was asked to end and did, before every task had its outcome.
    Drained,
    /// The run stands still until somebody resumes it.
    Paused,
    /// The run waits for a person, a time or an event.
    Waiting,
    /// The run was cancelled.
    Cancelled,
    /// A budget of the run is used up.
    BudgetSpent,
    /// The run was stopped at once.
    Stopped,
}

impl Status {
    /// The word for people and programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::GaveUp => "gave_up",
            Self::Drained => "drained",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::Cancelled => "cancelled",
            Self::BudgetSpent => "budget_spent",
            Self::Stopped => "stopped",
        }
    }

    /// The exit status of the process.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Reached | Self::Done => 0,
            Self::Failed | Self::Paused => 1,
            Self::Invalid => 2,
            Self::GaveUp => 3,
            Self::Drained | Self::Waiting => 4,
            Self::Cancelled => 5,
            Self::BudgetSpent => 6,
            Self::Stopped => 130,
        }
    }
}

/// Something that is wrong: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) place: String,
    #[serde(rename = "problem")]
    pub(crate) what: String,
    pub(crate) remedy: Option<String>,
    /// The whole message, where it says more than the parts.
    #[serde(skip)]
    pub(crate) shown: Option<String>,
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), what: problem.into(), remedy: Some(remedy.into()), shown: None }
    }

    fn redacted(&self, redactor: &Redactor) -> Self {
        let clean = |text: &String| redactor.text(text).into_owned();
        Self {
            place: clean(&self.place),
            what: clean(&self.what),
            remedy: self.remedy.as_ref().map(clean),
            shown: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(shown) = &self.shown {
            return out.write_str(shown);
        }
        write!(out, "{}: {}", self.place, self.what)?;
        self.remedy.iter().try_for_each(|remedy| write!(out, "\n  help: {remedy}"))
    }
}

/// What came of `steadfast run`.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    /// The report, where the run began.
    pub(crate) report: Option<Report>,
    /// The folder that has it.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) problems: Vec<Problem>,
    /// The run, where another process carries it.
    pub(crate) run: Option<RunId>,
    /// What was done instead of carrying a run, in lines for people.
    pub(crate) said: Vec<String>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    status: &'static str,
    goal: Option<String>,
    run: Option<String>,
    result_digest: Option<String>,
    tasks: Totals,
    restarts: Restarts,
    reissued: u64,
    lost: u64,
    completed_rerun: u64,
    refused: u64,
    agents_used: u64,
    elapsed_ms: u64,
    report: Option<String>,
    errors: Vec<Problem>,
}

impl Outcome {
    /// Nothing ran, because of these.
    pub(crate) fn invalid(problems: Vec<Problem>) -> Self {
        Self { status: Status::Invalid, report: None, folder: None, problems, run: None, said: Vec::new() }
    }

    /// No run was carried, and this was done.
    pub(crate) fn done(run: Option<RunId>, said: Vec<String>) -> Self {
        Self { status: Status::Done, run, said, ..Self::invalid(Vec::new()) }
    }

    /// It is this as well, if that is worse.
    pub(crate) fn add(&mut self, status: Status, problem: Problem) {
        self.problems.push(problem);
        if status.code() > self.status.code() {
            self.status = status;
        }
    }

    /// The one object that `--json` prints.
    pub(crate) fn json(&self, redactor: &Redactor) -> String {
        let report = self.report.as_ref();
        let count = |of: fn(&Report) -> u64| report.map_or(0, of);
        let summary = Summary {
            status: self.status.word(),
            goal: report.map(|report| redactor.text(&report.goal).into_owned()),
            run: report.map(|report| report.run.clone()).or_else(|| self.run.map(|run| run.to_string())),
            result_digest: report.map(|report| report.result_digest.clone()),
            tasks: report.map(|report| report.tasks).unwrap_or_default(),
            restarts: report.map(|report| report.restarts.clone()).unwrap_or_default(),
            reissued: count(|report| report.reissued),
            lost: count(|report| report.lost),
            completed_rerun: count(|report| report.completed_rerun),
            refused: count(|report| report.refused),
            agents_used: count(|report| report.agents_used),
            elapsed_ms: count(|report| report.elapsed_ms),
            report: self.folder.as_ref().map(|folder| redactor.text(&folder.display().to_string()).into_owned()),
            errors: self.problems.iter().map(|problem| problem.redacted(redactor)).collect(),
        };
        serde_json::to_string(&summary).expect("the summary has only text as keys")
    }

    /// A few lines for people; nothing when nothing ran.
    pub(crate) fn text(&self) -> Option<String> {
        let Some(report) = &self.report else {
            return (!self.said.is_empty()).then(|| self.said.join("\n"));
        };
        let tasks = report.tasks;
        let unfinished =
            if tasks.unfinished == 0 { String::new() } else { format!(", {} unfinished", tasks.unfinished) };
        let folder = self
            .folder
            .as_ref()
            .map_or_else(String::new, |folder| format!("\n  report    {}", folder.join("report.md").display()));
        Some(format!(
            "goal {}: {} after {}\n  tasks     {} in all: {} succeeded, {} failed, {} skipped{unfinished}\n  agents    {} \
             used, {} restarts, {} leases given out again\n  digest    {}{folder}",
            report.goal,
            self.status.word().replace('_', " "),
            seconds(report.elapsed_ms),
            tasks.total,
            tasks.succeeded,
            tasks.failed,
            tasks.skipped,
            report.agents_used,
            report.restarts.total,
            report.reissued,
            report.result_digest,
        ))
    }
}

/// The tasks of a report that failed: which, why, and what to do.
pub(crate) fn failed_tasks(report: &Report) -> Vec<Problem> {
    let failed: Vec<_> = report.results.iter().filter(|task| task.outcome == "failed").collect();
    let unplanned = report
        .problem
        .iter()
        .map(|problem| Problem::new("goal", problem.clone(), "correct the goal file, and see `steadfast check`"));
    let spent = report.budget_spent.iter().map(|spent| Problem {
        place: format!("budget.{}", spent.budget),
        what: spent.message.clone(),
        remedy: Some(spent.remedy.clone()),
        shown: Some(format!("budget.{}: {}", spent.budget, spent.message)),
    });
    let named = failed.iter().take(NAMED).filter_map(|task| {
        let note = task.failure.as_ref()?;
        let place = format!("task `{}` failed ({}, attempt {})", task.id, note.class, task.attempts);
        Some(Problem { place, what: note.message.clone(), remedy: note.remedy.clone(), shown: None })
    });
    let mut problems: Vec<Problem> = unplanned.chain(spent).chain(named).collect();
    if failed.len() > NAMED {
        let more = format!("{} more tasks failed", failed.len() - NAMED);
        problems.push(Problem::new("goal", more, "see report.json"));
    }
    problems
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_object_has_every_key_also_when_nothing_ran() {
        let outcome = Outcome::invalid(vec![Problem::new("goal.toml:1:2", "it is wrong", "correct it")]);
        let object: Value = serde_json::from_str(&outcome.json(&Redactor::new())).expect("an object");
        let keys = "status result_digest tasks restarts reissued lost completed_rerun agents_used elapsed_ms errors";
        for key in keys.split(' ') {
            assert!(object.get(key).is_some(), "{key}");
        }
        assert_eq!(object["status"], "invalid");
        assert_eq!(object["errors"][0]["remedy"], "correct it");
        assert_eq!(outcome.text(), None);
    }

    #[test]
    fn every_end_has_its_exit_status() {
        use Status::{
            BudgetSpent, Cancelled, Done, Drained, Failed, GaveUp, Invalid, Paused, Reached, Stopped, Waiting,
        };
        let ends = [Reached, Done, Failed, Paused, Invalid, GaveUp, Drained, Waiting, Cancelled, BudgetSpent, Stopped];
        assert_eq!(ends.map(Status::code), [0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 130]);
    }
}
