//! What may go wrong with a plan that is right: for whoever reads it before it is carried out.
//!
//! Rules over the plan, who offers what, and what became of earlier runs. A note is never an error.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::goal::check::capability_of;
use crate::goal::model::{Goal, Task};
use crate::goal::span::Span;
use crate::goal::work::TaskKind;
use crate::run::{Estimate, TaskEstimate};

/// From how many of a hundred attempts that failed on, and how many in all, another one is likely to.
const LIKELY: (u32, u32) = (10, 2);

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Risk {
    /// The run may take any time.
    NoDeadline,
    /// A program may change the world, and runs again after a crash.
    ExternalEffect,
    /// What a program did is not undone when the goal fails.
    NoUndo,
    /// One agent is all there is.
    SingleProvider,
    /// Attempts failed before.
    RetriesLikely,
    /// The budget does not even pay for one attempt of each task.
    SmallBudget,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoDeadline => "no deadline",
            Self::ExternalEffect => "external effect",
            Self::NoUndo => "no undo",
            Self::SingleProvider => "single provider",
            Self::RetriesLikely => "retries likely",
            Self::SmallBudget => "small budget",
        })
    }
}

/// Something that may go wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// What kind of risk it is.
    pub risk: Risk,
    /// The task, `outer/inner` inside another goal; nothing where it is about the whole goal.
    pub task: Option<String>,
    /// What may happen.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Note {
    fn new(risk: Risk, task: Option<&str>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { risk, task: task.map(str::to_owned), message: message.into(), remedy: remedy.into() }
    }
}

/// What may go wrong with a plan, by kind of risk and in the order of the plan.
///
/// `offers` says how many agents offer each capability; `estimate` is what earlier runs tell.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use steadfast_orchestration::plan::notes::{Risk, notes};
///
/// let text = "name = 'ship'\n[limits]\ndeadline = '1h'\n[[tasks]]\nid = 'push'\ncommand = { program = 'git' }\n";
/// let loaded = steadfast_orchestration::goal::read("ship.toml", text)?;
/// let plan = loaded.plan(BTreeMap::new(), &steadfast_orchestration::preset::offered())?;
/// let risks: Vec<Risk> = notes(&plan, &BTreeMap::new(), None).iter().map(|note| note.risk).collect();
/// assert_eq!(risks, [Risk::ExternalEffect, Risk::NoUndo]);
/// # Ok::<(), steadfast_orchestration::goal::GoalErrors>(())
/// ```
#[must_use]
pub fn notes(plan: &Plan, offers: &BTreeMap<String, usize>, estimate: Option<&Estimate>) -> Vec<Note> {
    let mut notes: Vec<Note> = no_deadline(plan.goal()).into_iter().collect();
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    about_tasks(plan.goal(), "", &mut notes, &mut users);
    notes.extend(users.iter().filter(|(name, _)| offers.get(**name) == Some(&1)).map(single_provider));
    notes.extend(estimate.into_iter().flat_map(|estimate| &estimate.tasks).filter_map(retries_likely));
    notes.extend(small_budget(plan));
    notes.sort_by_key(|note| note.risk);
    notes
}

fn no_deadline(goal: &Goal) -> Option<Note> {
    let message = "the run may take any time: it has neither a deadline nor a budget of time";
    let remedy = "set `limits.deadline`, which fails the goal, or `budget.wall`, which only ends it";
    (goal.limits.deadline.is_none() && goal.budget.wall.is_none())
        .then(|| Note::new(Risk::NoDeadline, None, message, remedy))
}

/// Looks at the tasks of a goal and of those inside it, and at who needs which capability.
fn about_tasks<'g>(goal: &'g Goal, before: &str, notes: &mut Vec<Note>, users: &mut BTreeMap<&'g str, Vec<String>>) {
    for task in &goal.tasks {
        let name = format!("{before}{}", task.id);
        if let Some(capability) = capability_of(task) {
            users.entry(capability).or_default().push(name.clone());
        }
        if let Some(inner) = task.goal.as_ref().and_then(|child| child.inline.as_deref()) {
            about_tasks(inner, &format!("{name}/"), notes, users);
        }
        if task.work().is_some_and(|work| work.kind() == TaskKind::Command) {
            notes.extend(of_command(task, &name));
        }
    }
}

/// Programs may do anything; the other kinds read, compare and put together.
fn of_command(task: &Task, name: &str) -> impl Iterator<Item = Note> {
    let message = format!("`{name}` runs a program that may change the world; after a crash it runs once more");
    let remedy = "let it do nothing the second time, by the idempotency key in STEADFAST_IDEMPOTENCY_KEY";
    let effect = Note::new(Risk::ExternalEffect, Some(name), message, remedy);
    let message = format!("what `{name}` did stays when the goal fails or is cancelled");
    let undo =
        Note::new(Risk::NoUndo, Some(name), message, "name an `undo`, or leave it where there is nothing to undo");
    std::iter::once(effect).chain(task.undo.is_none().then_some(undo))
}

fn single_provider((capability, users): (&&str, &Vec<String>)) -> Note {
    let more = if users.len() > 1 { format!(" and {} more", users.len() - 1) } else { String::new() };
    let first = users.first().map_or("", String::as_str);
    let message = format!("one agent alone offers `{capability}`: while it is started again, `{first}`{more} waits");
    Note::new(Risk::SingleProvider, Some(first), message, "start a second agent that offers it, such as by `--jobs 2`")
}

fn retries_likely(task: &TaskEstimate) -> Option<Note> {
    let is_likely =
        task.failed >= LIKELY.1 && 100 * u64::from(task.failed) >= u64::from(LIKELY.0) * u64::from(task.tries);
    is_likely.then(|| {
        let message = format!("{} of {} attempts of `{}` failed in earlier runs", task.failed, task.tries, task.task);
        let remedy = "look at why, or allow for it in its `retries`, the deadline and the budget";
        Note::new(Risk::RetriesLikely, Some(&task.task), message, remedy)
    })
}

/// Tasks with a condition may be skipped, and lists may be empty: only what runs in any case counts.
fn small_budget(plan: &Plan) -> Option<Note> {
    let sure = |task: &&Task| task.when.is_none() && task.for_each.is_none() && capability_of(task).is_some();
    let sure = plan.goal().tasks.iter().filter(sure).count() as u64;
    let attempts = plan.goal().budget.attempts.filter(|attempts| *attempts < sure)?;
    let message = format!("a budget of {attempts} attempts does not pay for one attempt of each of {sure} tasks");
    Some(Note::new(Risk::SmallBudget, None, message, format!("raise `budget.attempts` to {sure} or more")))
}

impl Estimate {
    /// How long the run takes, for people: from how many runs, and how far these were apart.
    #[must_use]
    pub fn spoken(&self) -> String {
        let Some(run) = &self.run else {
            return match self.runs {
                0 => "no run of this goal is recorded, so that there is nothing to estimate from".to_owned(),
                runs => {
                    format!("none of {runs} recorded runs reached the goal, so that there is nothing to estimate from")
                }
            };
        };
        let [p50, p95, within] = [run.p50, run.p95, run.half_within].map(Span::from_millis);
        let runs = if run.seen == 1 { "1 run".to_owned() } else { format!("{} runs", run.seen) };
        let path = self.path.map_or_else(String::new, |path| {
            format!("; work on the longest path {}, {}", Span::from_millis(path.p50), Span::from_millis(path.p95))
        });
        format!(
            "half within {p50}, 95 of 100 within {p95}{path}; from {runs} that reached the goal, half of which differed by \
             no more than {within}"
        )
    }
}
