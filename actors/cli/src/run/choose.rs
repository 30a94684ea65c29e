//! Which run is carried: a new one, or one that is unfinished.

use std::collections::BTreeMap;

use serde_json::Value;
use steadfast::RunId;
use steadfast::seam::{Journal, JournalError};
use steadfast_orchestration::goal::Goal;
use steadfast_orchestration::host::{
    self, Answer, Change, Difference, Identity, RunSummary, Start, carried_by, changed_steps, find_unfinished, secrets,
};
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::explain::View;
use steadfast_orchestration::run::{Standing, is_inside};
use steadfast_orchestration::work::chain;

use super::Order;
use super::setting::{Keep, Setting};
use crate::asks::left_behind;
use crate::kept::{self, named, now};
use crate::load::Prepared;
use crate::outcome::Problem;
use crate::paused;
use crate::screen::Screen;

/// A run that is to be carried, and what is known of it.
pub(crate) struct Chosen {
    pub(crate) run: RunId,
    pub(crate) plan: Plan,
    pub(crate) redactor: Redactor,
    /// Where it is to be begun.
    pub(crate) start: Option<Start>,
    /// How many records it has already.
    pub(crate) known: u64,
}

/// How the command line that is told to people begins.
pub(crate) fn view(setting: &Setting) -> View {
    kept::view(&setting.state)
}

/// Chooses, says what was chosen, and sees to it that it goes on.
pub(crate) async fn choose(setting: &Setting, keep: &Keep, order: &Order) -> Result<Chosen, Vec<Problem>> {
    match order {
        Order::Goal(goal) => {
            let Prepared { plan, redactor } = &goal.prepared;
            if let Some(run) = goal.goes_on_with(setting, keep).await? {
                if run.is_unfinished() {
                    same_goal(setting, keep, run.run, plan.goal()).await?;
                    go_on(setting, keep, &run).await?;
                } else {
                    setting.screen.line(format!("the run {} is over", run.run));
                }
                return Ok(Chosen {
                    run: run.run,
                    plan: plan.clone(),
                    redactor: redactor.clone(),
                    start: None,
                    known: run.records,
                });
            }
            let run = goal.run_id.map_or_else(|| RunId::new(fresh(setting)), RunId::new);
            let start = Start::of(run, plan.goal(), plan.params(), &goal.input);
            let start = start.map_err(|error| vec![Problem::new("goal", error.to_string(), "see the reason")])?;
            Ok(Chosen { run, plan: plan.clone(), redactor: redactor.clone(), start: Some(start), known: 0 })
        }
        Order::Resume(text) => resume(setting, keep, text).await,
    }
}

/// An id that no other process draws.
fn fresh(setting: &Setting) -> uuid::Uuid {
    if setting.level == steadfast::seam::Level::Volatile { setting.entropy.id() } else { crate::asks::id() }
}

/// A goal that is to be carried out.
pub(crate) struct GoalOrder {
    pub(crate) prepared: Prepared,
    /// The one path that leads to the input folder.
    pub(crate) input: String,
    pub(crate) new: bool,
    pub(crate) run_id: Option<uuid::Uuid>,
}

impl GoalOrder {
    /// The unfinished run of the same goal, folder and parameters; or the one that is named, also where it is over: whoever
    /// names it may have been killed before it could tell of that.
    async fn goes_on_with(&self, setting: &Setting, keep: &Keep) -> Result<Option<RunSummary>, Vec<Problem>> {
        if let Some(id) = self.run_id {
            let run = host::summary(&*keep.journal, RunId::new(id), now()).await;
            return Ok(run.ok());
        }
        if self.new {
            return Ok(None);
        }
        let found = unfinished_of(&*keep.journal, &self.prepared.plan, &self.input, &setting.screen).await;
        found.map_err(|error| vec![unreadable(setting, &error)])
    }
}

/// The unfinished run of this goal, with its parameters, on this folder: the one that began last.
pub(crate) async fn unfinished_of(
    journal: &dyn Journal,
    plan: &Plan,
    input: &str,
    screen: &Screen,
) -> Result<Option<RunSummary>, JournalError> {
    let identity = Identity::new(&plan.goal().name, input, plan.params());
    let (found, damaged) = find_unfinished(journal, &identity, now()).await?;
    for error in damaged {
        screen.line(format!("left alone: {}", chain(&error)));
    }
    Ok(found)
}

fn unreadable(setting: &Setting, error: &JournalError) -> Problem {
    Problem::new(format!("--state {}", setting.state.display()), chain(error), "see the cause")
}

/// Refuses to go on with a run whose goal has changed since.
async fn same_goal(setting: &Setting, keep: &Keep, run: RunId, goal: &Goal) -> Result<(), Vec<Problem>> {
    let head = host::head(&*keep.journal, run).await;
    let head = head.map_err(|error| vec![Problem::new(format!("run {run}"), chain(&error), "see the cause")])?;
    let changes = changed_steps(&head.goal, goal);
    if changes.is_empty() {
        return Ok(());
    }
    let (view, id) = (view(setting), run.to_string());
    let list: Vec<_> = changes.iter().map(told).collect();
    let what = format!("the goal file has changed since the run {run} began, which is unfinished: {}", list.join(", "));
    let remedy = format!(
        "go on as it was recorded: {}; give it up: {}; or begin another run: `--new`",
        view.command("resume", &[&id]),
        view.command("cancel", &[&id])
    );
    Err(vec![Problem::new(format!("goal {}", goal.name), what, remedy)])
}

fn told(difference: &Difference) -> String {
    let word = |change: &Change| match change {
        Change::Added => "is new",
        Change::Removed => "is gone",
        Change::Changed => "has changed",
    };
    match difference {
        Difference::Step { id, change } => format!("task `{id}` {}", word(change)),
        Difference::Setting { key, change } => format!("`{key}` {}", word(change)),
    }
}

async fn resume(setting: &Setting, keep: &Keep, text: &str) -> Result<Chosen, Vec<Problem>> {
    let journal = &*keep.journal;
    let ids = kept::ids(journal).await.map_err(|error| vec![unreadable(setting, &error)])?;
    let named = named(&ids, text).map_err(|problem| vec![problem])?;
    let run = carried_by(journal, named).await.map_err(|error| {
        vec![Problem::new(format!("run {named}"), chain(&error), "see the cause, and `steadfast verify`")]
    })?;
    if is_inside(run) {
        return Err(vec![left_behind(run, &view(setting))]);
    }
    if run != named {
        setting.screen.line(format!("the run {named} is a step of the run {run}, which is gone on with"));
    }
    let problem = |what: String, remedy: &str| vec![Problem::new(format!("run {run}"), what, remedy)];
    let summary = host::summary(journal, run, now()).await;
    let summary = summary.map_err(|error| problem(chain(&error), "see the cause"))?;
    if let Standing::Ended(status) = summary.standing {
        let what = format!("it is over: {}", status.as_str().replace('_', " "));
        return Err(problem(what, "begin another one: `steadfast run --new`, or `steadfast fork`"));
    }
    let head = host::head(journal, run).await.map_err(|error| problem(chain(&error), "see the cause"))?;
    let redactor = Redactor::new().with_words(secrets(&head.goal, &*setting.gate));
    setting.screen.redact_by(&redactor);
    let plan = rebuilt(head.goal, head.params).map_err(|what| problem(what, "begin another one: `--new`"))?;
    go_on(setting, keep, &summary).await?;
    Ok(Chosen { run, plan, redactor, start: None, known: summary.records })
}

fn rebuilt(goal: Goal, params: BTreeMap<String, Value>) -> Result<Plan, String> {
    Plan::rebuild(goal, params).map_err(|errors| errors.to_string())
}

/// Says what is gone on with; what is paused of it is resumed, since that is what was asked for.
async fn go_on(setting: &Setting, keep: &Keep, run: &RunSummary) -> Result<(), Vec<Problem>> {
    let (done, all) = run.tasks;
    setting.screen.line(format!(
        "goes on with the run {} of {}, which began at {}: {done} of {all} tasks are done (`--new` begins another)",
        run.run, run.goal, run.started
    ));
    if !paused::stands_still(&*keep.journal, run.run).await {
        return Ok(());
    }
    let answer = paused::lift((&*keep.journal, &setting.outfit()), run.run, &setting.by).await;
    let problem = |what: String| vec![Problem::new(format!("run {}", run.run), what, "see the cause")];
    match answer.map_err(|error| problem(chain(&error)))? {
        Answer::Refused { why } => Err(problem(why)),
        _ => Ok(()),
    }
}
