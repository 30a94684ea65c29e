//! What one process asks of a run that another one may be carrying.
//!
//! Where somebody owns the folder of the runs, a request is left there and its answer is waited for; where nobody does,
//! what is asked is done here. Either way it is recorded in the run, once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::{Entropy, Level};
use steadfast::{RunId, SeededEntropy, TokioClock};
use steadfast_orchestration::host::{Answer, Ask, Asked, DiskOutfit, Start, answer_to, apply};
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::run::TaskId;
use steadfast_orchestration::seam::commands::OsCommands;
use steadfast_storage::{Store, StoreError};
use uuid::Uuid;

use crate::args::{ApproveArgs, CancelArgs, ForkArgs, OneRun, SignalArgs, StateArg};
use crate::kept::{self, refused, with_causes};
use crate::outcome::{Problem, Status};
use crate::screen::print;

/// How long an owner that lives is waited for; it looks four times a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked for the answer.
const LOOK: Duration = Duration::from_millis(25);

/// What came of it, for people.
pub(crate) enum Told {
    /// It is done.
    Taken,
    /// It is refused, for this reason.
    Refused(String),
    /// It is left with its owner, who has not answered.
    Left,
}

/// A fresh id.
pub(crate) fn id() -> Uuid {
    SeededEntropy::from_os(Arc::new(TokioClock)).id()
}

/// Who asks, as the record of it has it.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    user.unwrap_or_else(|_| "somebody".to_owned())
}

/// Asks, of the owner of the folder or in its place.
pub(crate) async fn ask(dir: &Path, what: Ask) -> Result<Told, Problem> {
    let asked = Asked { id: id(), who: who(), wall: kept::now(), what };
    let mut is_left = false;
    loop {
        let owner = Store::owner(dir).map_err(|error| refused(dir, &error))?;
        if owner.is_none() {
            match Store::open(dir, Level::Durable, "a command").await {
                Ok(store) => return here(dir, store, &asked).await,
                // Somebody came in between.
                Err(StoreError::Owned { .. }) => {}
                Err(error) => return Err(refused(dir, &error)),
            }
        }
        if !is_left {
            leave(dir, &asked).await?;
            is_left = true;
        }
        if let Some(told) = answer(dir, &asked).await? {
            return Ok(told);
        }
    }
}

/// Leaves a request for the owner.
pub(crate) async fn leave(dir: &Path, asked: &Asked) -> Result<(), Problem> {
    let request =
        asked.to_request().map_err(|error| Problem::new("request", with_causes(&error), "ask for less at once"))?;
    Store::leave(dir, &request).await.map_err(|error| refused(dir, &error))
}

/// Waits for the owner's answer; nothing where the owner is gone without one.
pub(crate) async fn answer(dir: &Path, asked: &Asked) -> Result<Option<Told>, Problem> {
    let store = kept::look(dir).await?;
    let (journal, run) = (store.journal(), asked.what.run());
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        match answer_to(&*journal, asked).await {
            Ok(Answer::Taken) => return Ok(Some(Told::Taken)),
            Ok(Answer::Refused { why }) => return Ok(Some(Told::Refused(why))),
            Ok(_) => {}
            Err(error) => return Err(Problem::new(format!("run {run}"), with_causes(&error), "try it again")),
        }
        if Store::owner(dir).map_err(|error| refused(dir, &error))?.is_none() {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    Ok(Some(Told::Left))
}

/// Does it here, since nobody owns the folder.
async fn here(dir: &Path, store: Store, asked: &Asked) -> Result<Told, Problem> {
    let by = format!("a command of {}", asked.who);
    let outfit = DiskOutfit::new(Arc::new(OsCommands::new()));
    let answer = apply((&*store.journal(), &outfit), asked, &by, kept::now()).await;
    let run = asked.what.run();
    let answer = answer.map_err(|error| Problem::new(format!("run {run}"), with_causes(&error), "see the cause"))?;
    if let Ok(requests) = store.requests() {
        // It may have been left for an owner that has gone since. Whoever finds it again knows it by its id.
        let _ = requests.done(asked.id).await;
    }
    store.close().await.map_err(|error| refused(dir, &error))?;
    Ok(match answer {
        Answer::Refused { why } => Told::Refused(why),
        _ => Told::Taken,
    })
}

/// Leaves a goal with whoever serves the folder, and returns the run that it becomes.
pub(crate) async fn detach(dir: &Path, plan: &Plan, input: &str) -> Result<RunId, Problem> {
    let place = || format!("--state {}", dir.display());
    let nobody = || {
        let remedy = format!("start `steadfast serve --state {}`, or run it here without `--detach`", dir.display());
        Problem::new(place(), "nobody serves this folder, so nobody would carry the goal", remedy)
    };
    if Store::owner(dir).map_err(|error| refused(dir, &error))?.is_none() {
        return Err(nobody());
    }
    let run = RunId::new(id());
    let start = Start::of(run, plan.goal(), plan.params(), input);
    let start = start.map_err(|error| Problem::new("goal", error.to_string(), "see the reason"))?;
    let asked = Asked { id: id(), who: who(), wall: kept::now(), what: Ask::Start(start) };
    leave(dir, &asked).await?;
    match answer(dir, &asked).await? {
        Some(Told::Taken) => Ok(run),
        Some(Told::Refused(why)) => Err(Problem::new("goal", why, "see the reason")),
        Some(Told::Left) => {
            let what = "whoever owns the folder has not taken the goal, and may carry one run alone";
            Err(Problem::new(place(), what, "wait until it has ended, and start `steadfast serve`"))
        }
        None => Err(nobody()),
    }
}

type Said = Result<Status, Vec<Problem>>;

/// Asks of the run that is called so, and says what came of it.
fn say(run: &str, state: &StateArg, done: &str, what: impl FnOnce(RunId) -> Ask) -> Said {
    let one = |problem| vec![problem];
    let dir = &state.dir;
    kept::runtime().map_err(one)?.block_on(async {
        let store = kept::look(dir).await.map_err(one)?;
        let run = kept::which(&store, dir, run).await.map_err(one)?;
        drop(store);
        let what = what(run);
        let about = what.run();
        match ask(dir, what).await.map_err(one)? {
            Told::Taken => print(&format!("run {about}: {done}")),
            Told::Left => print(&format!("run {about}: left with its owner, who has not answered yet")),
            Told::Refused(why) => {
                return Err(one(Problem::new(format!("run {run}"), why, format!("see `steadfast why {run}`"))));
            }
        }
        Ok(Status::Reached)
    })
}

/// `steadfast pause`
pub(crate) fn pause(args: &OneRun) -> Said {
    say(&args.run, &args.state, "paused", |run| Ask::Pause { run })
}

/// `steadfast cancel`
pub(crate) fn cancel(args: &CancelArgs) -> Said {
    let (undo, why) = (args.undo, args.why.clone());
    say(&args.run.run, &args.run.state, "cancelled", |run| Ask::Cancel { run, undo, why })
}

/// `steadfast approve`
pub(crate) fn approve(args: &ApproveArgs) -> Said {
    let task = args.task.parse();
    let task: TaskId = task.map_err(|error: steadfast_orchestration::run::InvalidTaskId| {
        vec![Problem::new("TASK", error.to_string(), "name a task of the goal")]
    })?;
    let why = args.why.clone();
    if args.reject {
        say(&args.run, &args.state, "rejected", |run| Ask::Reject { run, task, why })
    } else {
        say(&args.run, &args.state, "approved", |run| Ask::Approve { run, task, why })
    }
}

/// `steadfast signal`
pub(crate) fn signal(args: &SignalArgs) -> Said {
    let data = serde_json::from_str::<serde_json::Value>(&args.data);
    let data = data.map_err(|error| {
        vec![Problem::new("--data", format!("it is no JSON: {error}"), "write for example --data '{\"amount\": 3}'")]
    })?;
    let (name, data) = (args.name.clone(), data.to_string());
    say(&args.run, &args.state, "told", |run| Ask::Signal { run, name, data })
}

/// `steadfast fork`
pub(crate) fn fork(args: &ForkArgs) -> Said {
    let (task, run) = (args.from.clone(), RunId::new(id()));
    let done = "begun; `steadfast resume` carries it where nobody serves the folder";
    say(&args.run.run, &args.run.state, done, |from| Ask::Fork { from, task, run })
}
