//! What one process asks of a run that another one may be carrying.
//!
//! Where somebody owns the folder of the runs, a request is left there and its answer is waited for; where nobody does,
//! what is asked is done here. Either way it is recorded in the run, once.

mod detach;
mod resume;
pub(crate) mod way;

use std::path::Path;

use steadfast::seam::Entropy;
use steadfast::{RunId, SeededEntropy, TokioClock};
use steadfast_orchestration::host::{self, Ask};
use steadfast_orchestration::run::large::LARGE;
use steadfast_orchestration::run::{Standing, TaskId};
use steadfast_storage::Store;
use uuid::Uuid;

use crate::args::{ApproveArgs, CancelArgs, ForkArgs, OneRun, SignalArgs, StateArg};
use crate::kept;
use crate::outcome::{Problem, Status};
use crate::screen::{Screen, print};
pub(crate) use detach::detach;
pub(crate) use resume::{left_behind, resume, resume_all};
use way::{About, By, Told, named};

/// A fresh id.
pub(crate) fn id() -> Uuid {
    SeededEntropy::from_os(std::sync::Arc::new(TokioClock)).id()
}

/// Who asks, as the record of it has it.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    user.unwrap_or_else(|_| "somebody".to_owned())
}

/// It is left, and nobody has answered.
fn unanswered(
    run: RunId,
    owner: &steadfast_storage::Owner,
    view: &steadfast_orchestration::run::explain::View,
) -> Problem {
    let what = format!("it is left with {}, who has not answered; whoever owns the folder does it", named(owner));
    Problem::new(format!("run {run}"), what, format!("see later: {}", view.command("why", &[&run.to_string()])))
}

type Said = Result<Status, Vec<Problem>>;

/// Asks of the run that is called so, and says what came of it.
fn say(run: &str, (state, screen): (&StateArg, &Screen), done: &str, what: impl FnOnce(RunId) -> Ask) -> Said {
    let one = |problem| vec![problem];
    let dir = &state.dir;
    kept::runtime().map_err(one)?.block_on(async {
        let store = kept::look(dir).await.map_err(one)?;
        let run = kept::which(&store, dir, run).await.map_err(one)?;
        let mut about = About::of(&store, run).await.map_err(one)?;
        screen.redact_by(&about.redactor);
        let (what, view) = (what(run), kept::view(dir));
        let why = view.command("why", &[&run.to_string()]);
        let refused = |why_not: String| Err(vec![Problem::new(format!("run {run}"), why_not, format!("see: {why}"))]);
        if let Some(over) = about.over.clone().filter(|_| !what.makes_a_run()) {
            return refused(over);
        }
        let (asked, of) = (what.clone(), what.run());
        match about.ask(dir, what).await.map_err(one)? {
            Told::Taken(By::Owner(_)) => print(&format!("run {of}: {done}")),
            Told::Taken(By::Us) => print(&format!("run {of}: {done}{}", still_to_do(&store, &asked, dir).await)),
            Told::Left(owner) => {
                screen.line(unanswered(of, &owner, &view).to_string());
                return Ok(Status::Waiting);
            }
            Told::Refused(why) => return refused(why),
        }
        Ok(Status::Reached)
    })
}

/// What there is still to do, where nobody carries the run: it is over, or does not go on by itself.
async fn still_to_do(store: &Store, asked: &Ask, dir: &Path) -> String {
    let run = asked.run();
    // It was done, whatever can be said about it.
    let Ok(summary) = host::summary(&*store.journal(), run, kept::now()).await else { return String::new() };
    let go_on = kept::view(dir).command("resume", &[&run.to_string()]);
    match (asked, summary.standing) {
        (_, Standing::Ended(_)) => ", and over".to_owned(),
        (Ask::Pause { .. }, _) => String::new(),
        (Ask::Cancel { undo: true, .. }, _) => {
            format!("; nobody carries it, so that what it did is not undone yet; see to that: {go_on}")
        }
        _ => format!("; nobody carries it, go on with it: {go_on}"),
    }
}

/// `steadfast pause`
pub(crate) fn pause(args: &OneRun, screen: &Screen) -> Said {
    say(&args.run, (&args.state, screen), "paused", |run| Ask::Pause { run })
}

/// `steadfast cancel`
pub(crate) fn cancel(args: &CancelArgs, screen: &Screen) -> Said {
    let (undo, why) = (args.undo, args.why.clone());
    say(&args.run.run, (&args.run.state, screen), "cancelled", |run| Ask::Cancel { run, undo, why })
}

/// `steadfast approve`
pub(crate) fn approve(args: &ApproveArgs, screen: &Screen) -> Said {
    let task = args.task.parse();
    let task: TaskId = task.map_err(|error: steadfast_orchestration::run::InvalidTaskId| {
        vec![Problem::new("TASK", error.to_string(), "name a task of the goal")]
    })?;
    let (why, place) = (args.why.clone(), (&args.state, screen));
    if args.reject {
        say(&args.run, place, "rejected", |run| Ask::Reject { run, task, why })
    } else {
        say(&args.run, place, "approved", |run| Ask::Approve { run, task, why })
    }
}

/// `steadfast signal`
pub(crate) fn signal(args: &SignalArgs, screen: &Screen) -> Said {
    let data = serde_json::from_str::<serde_json::Value>(&args.data);
    let data = data.map_err(|error| {
        vec![Problem::new("--data", format!("it is no JSON: {error}"), "write for example --data '{\"amount\": 3}'")]
    })?;
    let (name, data) = (args.name.clone(), data.to_string());
    if data.len() > LARGE {
        let what = format!("it has {} bytes of JSON, and a run keeps all of it; expected {LARGE} at most", data.len());
        let remedy = "give it the path or the digest of a file instead, which a task reads";
        return Err(vec![Problem::new("--data", what, remedy)]);
    }
    say(&args.run, (&args.state, screen), "told", |run| Ask::Signal { run, name, data })
}

/// `steadfast fork`
pub(crate) fn fork(args: &ForkArgs, screen: &Screen) -> Said {
    let (task, run) = (args.from.clone(), RunId::new(id()));
    say(&args.run.run, (&args.run.state, screen), "begun", |from| Ask::Fork { from, task, run })
}
