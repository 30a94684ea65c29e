//! How the conducting of a run ended, and what there is to say about it.

use steadfast::RunId;
use steadfast_orchestration::run::explain::View;
use steadfast_orchestration::run::{Kept, PauseNote, Status as RunStatus, Wait};

use crate::outcome::{Problem, Status};

/// How the conducting of a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The run has ended by itself, or was drained; the journal says how.
    Over,
    /// It stands still until somebody resumes it.
    Paused(Vec<PauseNote>),
    /// It does nothing but wait, and has done so for long enough.
    Waits(Vec<Wait>),
    /// The tree gave up, or nobody can carry the run.
    GaveUp(String),
    /// The run was drained, and tasks were still running when the time was up.
    TimeUp,
    /// A second signal came.
    Stopped,
}

impl End {
    /// The status, and what there is to say about it.
    pub(crate) fn told(
        &self,
        ended: Option<RunStatus>,
        (view, run, kept): (&View, RunId, Kept),
    ) -> (Status, Vec<Problem>) {
        let resume = match kept {
            Kept::Journaled => format!("go on with it: {}", view.command("resume", &[&run.to_string()])),
            Kept::Volatile => "run it again".to_owned(),
        };
        let told = |status, problem: &str, remedy: &str| (status, vec![Problem::new("run", problem, remedy)]);
        match (self, ended) {
            (Self::Stopped, _) => told(Status::Stopped, "it was stopped at once", &resume),
            (_, Some(RunStatus::Reached)) => (Status::Reached, Vec::new()),
            (_, Some(RunStatus::Failed)) => (Status::Failed, Vec::new()),
            (_, Some(RunStatus::Cancelled)) => (Status::Cancelled, Vec::new()),
            (_, Some(RunStatus::BudgetSpent)) => (Status::BudgetSpent, Vec::new()),
            (Self::GaveUp(why), _) => told(
                Status::GaveUp,
                why,
                "see the first cause in the reason, and the lines above for what led to it; `--max-restarts` allows more",
            ),
            (Self::Paused(notes), _) => {
                let resume = view.command("resume", &[&run.to_string()]);
                (Status::Paused, notes.iter().map(|note| paused(note, &resume)).collect())
            }
            (Self::Waits(waits), _) => (Status::Waiting, waits.iter().map(|wait| waiting(wait, view, run)).collect()),
            (Self::TimeUp, _) => {
                told(Status::Drained, "it was interrupted, and tasks that did not end in time were killed", &resume)
            }
            (Self::Over, _) => told(Status::Drained, "it was interrupted before it was finished", &resume),
        }
    }
}

fn paused(note: &PauseNote, resume: &str) -> Problem {
    let place = match &note.task {
        Some(task) => format!("paused by task `{task}` ({})", note.cause),
        None => format!("paused ({})", note.cause),
    };
    Problem::new(place, note.message.clone(), format!("{}: {resume}", note.remedy))
}

fn waiting(wait: &Wait, view: &View, run: RunId) -> Problem {
    use steadfast_orchestration::run::On;
    let (run, task) = (wait.run.unwrap_or(run).to_string(), wait.task.to_string());
    let resume = || view.command("resume", &[&run]);
    let (what, remedy) = match &wait.on {
        On::Approval { prompt, .. } => {
            let approve = view.command("approve", &[&run, &task]);
            (format!("it waits for a person: {prompt}"), format!("approve it: {approve}; then go on: {}", resume()))
        }
        On::Signal { name, .. } => {
            let signal = view.command("signal", &[&run, name, "--data", "JSON"]);
            (format!("it waits for the event `{name}`"), format!("tell of it: {signal}; then go on: {}", resume()))
        }
        On::Until(then) => (format!("it waits until {then}"), format!("go on then, or serve the folder: {}", resume())),
        On::Child { run: child } => (format!("it waits for the run {child} inside it"), resume()),
        On::Paused(note) => {
            (format!("the run inside it is paused: {}", note.message), format!("{}; then {}", note.remedy, resume()))
        }
        On::Tasks { of, .. } => (format!("it waits for {}", of.join(", ")), resume()),
        _ => ("it waits".to_owned(), resume()),
    };
    Problem::new(format!("task `{task}`"), what, remedy)
}
