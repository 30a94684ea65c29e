//! Many runs, a line each.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use steadfast::RunId;

use super::account::Account;
use super::view::View;
use super::words::{WIDTH, cut, flat, span};
use crate::goal::error::{closest, list};
use crate::run::id::Millis;
use crate::run::phase::Phase;
use crate::run::record::Status;
use crate::run::standing::Standing;
use crate::run::waits::On;

/// One run among many.
///
/// As JSON, a line each ([`json_lines`]), it has these keys, all of them always:
///
/// | key | what |
/// |---|---|
/// | `run`, `goal`, `params`, `input` | the run's id, the name of its goal, its parameters, its input folder |
/// | `parent` | the run that it is a step of |
/// | `phase` | a [`Phase`], as in [`Tree`](super::Tree) |
/// | `standing` | whether it goes on by itself, a [`Standing`]: `"working"`, `{"paused": […]}`, `{"waiting": […]}`, `"drained"`, `{"ended": status}`, `{"taken_over": {owner}}`, `{"given_up": {why}}` |
/// | `done`, `tasks` | how many of its tasks have their outcome, and how many there are |
/// | `started_unix_ms`, `last_unix_ms` | when it began, when something was recorded last |
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the table above has them all")]
pub struct Row {
    pub run: RunId,
    pub goal: String,
    pub params: Value,
    pub input: String,
    pub parent: Option<RunId>,
    pub phase: Phase,
    pub standing: Standing,
    pub done: usize,
    pub tasks: usize,
    #[serde(rename = "started_unix_ms")]
    pub started: Millis,
    #[serde(rename = "last_unix_ms")]
    pub last: Millis,
}

impl Row {
    /// One run in short; nothing before its first record.
    #[must_use]
    pub fn of(account: &Account, view: &View) -> Option<Self> {
        let (state, origin) = (account.state(), account.origin());
        let tasks = state.tasks().count();
        Some(Self {
            run: state.run()?,
            goal: account.goal().to_owned(),
            params: Value::Object(origin.params.clone().into_iter().collect()),
            input: origin.input.clone(),
            parent: origin.parent.as_ref().map(|parent| parent.run),
            phase: state.phase(),
            standing: Standing::of(state, view.now()),
            done: tasks - state.open(),
            tasks,
            started: state.started(),
            last: account.last(),
        })
    }

    /// The word of where it stands.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match &self.standing {
            Standing::Working => self.phase.as_str(),
            Standing::Paused(_) => "paused",
            Standing::Waiting(_) => "waiting",
            Standing::Drained => "drained",
            Standing::Ended(status) => status.as_str(),
            Standing::TakenOver { .. } => "taken over",
            Standing::GivenUp { .. } => "given up",
        }
    }

    /// Why it does not go on by itself, in a few words.
    fn note(&self) -> String {
        match &self.standing {
            Standing::Paused(notes) => {
                let told = |note: &crate::run::PauseNote| match &note.task {
                    Some(task) => format!("{task}: {}", note.cause),
                    None => format!("{}: {}", note.cause, note.message),
                };
                notes.iter().map(told).collect::<Vec<_>>().join("; ")
            }
            Standing::Waiting(waits) => {
                let told = waits.iter().filter_map(|wait| match &wait.on {
                    On::Approval { .. } => Some(format!("{}: a person", wait.task)),
                    On::Until(_) => Some(format!("{}: a time", wait.task)),
                    On::Signal { name, .. } => Some(format!("{}: {name}", wait.task)),
                    On::Child { run } => Some(format!("{}: run {run}", wait.task)),
                    On::Paused(note) => Some(format!("{}: paused, {}", wait.task, note.cause)),
                    On::Tasks { .. } => None,
                });
                told.collect::<Vec<_>>().join("; ")
            }
            Standing::TakenOver { owner } => format!("by {owner}"),
            Standing::GivenUp { why } => why.clone(),
            Standing::Working | Standing::Drained | Standing::Ended(_) => String::new(),
        }
    }
}

/// Which of many runs are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that stand like this.
    pub status: Option<Wanted>,
    /// Only those of the goal with this name.
    pub goal: Option<String>,
    /// Only those that began then or later.
    pub since: Option<Millis>,
}

impl Filter {
    /// Whether a run is wanted.
    #[must_use]
    pub fn takes(&self, row: &Row) -> bool {
        self.status.is_none_or(|wanted| wanted.takes(row))
            && self.goal.as_ref().is_none_or(|goal| *goal == row.goal)
            && self.since.is_none_or(|since| row.started >= since)
    }
}

/// How the runs stand that are wanted: a word of [`Wanted::WORDS`].
///
/// ```
/// use steadfast_orchestration::run::explain::Wanted;
///
/// assert!("paused".parse::<Wanted>().is_ok());
/// let error = "pausd".parse::<Wanted>().expect_err("it is no status");
/// assert!(error.to_string().ends_with("did you mean `paused`?"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(&'static str);

/// A word is no status of runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no status of a run; {remedy}")]
pub struct UnknownStatus {
    word: String,
    remedy: String,
}

impl Wanted {
    /// All words that say how runs stand: whether they are over, whether they go on by themselves, how they ended, and
    /// the phases.
    pub const WORDS: [&'static str; 16] = [
        "unfinished",
        "ended",
        "working",
        "waiting",
        "paused",
        "drained",
        "reached",
        "failed",
        "cancelled",
        "budget spent",
        "ready",
        "planning",
        "executing",
        "validating",
        "undoing",
        "complete",
    ];

    /// Whether a run stands like this.
    #[must_use]
    pub fn takes(self, row: &Row) -> bool {
        let ended = matches!(row.standing, Standing::Ended(_));
        match self.0 {
            "unfinished" => !ended,
            "ended" => ended,
            "working" => row.standing == Standing::Working,
            "waiting" => matches!(row.standing, Standing::Waiting(_)),
            "drained" => matches!(row.standing, Standing::Drained | Standing::Ended(Status::Drained)),
            "reached" => row.standing == Standing::Ended(Status::Reached),
            word => row.phase.as_str() == word,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl FromStr for Wanted {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let word = text.replace(['_', '-'], " ");
        if let Some(known) = Self::WORDS.into_iter().find(|known| *known == word) {
            return Ok(Self(known));
        }
        let remedy = match closest(&word, Self::WORDS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expected one of {}", list(&Self::WORDS)),
        };
        Err(UnknownStatus { word: text.to_owned(), remedy })
    }
}

/// The runs for people: a table in lines of at most 120 characters, in the order in which they are given.
#[must_use]
pub fn table(rows: &[Row], view: &View) -> String {
    let ago = |then: Millis| format!("{} ago", span(view.now().since(then)));
    let mut lines = vec![["run", "goal", "status", "tasks", "began", "last", ""].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.run.to_string(),
            cut(&row.goal, 24),
            row.status().to_owned(),
            format!("{}/{}", row.done, row.tasks),
            ago(row.started),
            ago(row.last),
            flat(&row.note()),
        ]
    }));
    if rows.is_empty() {
        return "no runs\n".to_owned();
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(cut(cells.join("  ").trim_end(), WIDTH).trim_end());
        out.push('\n');
    }
    out
}

/// The runs for programs: a JSON object in a line of its own for each.
#[must_use]
pub fn json_lines(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut lines, row| {
        lines.push_str(&serde_json::to_string(row).unwrap_or_default());
        lines.push('\n');
        lines
    })
}
