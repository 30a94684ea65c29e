//! The verbs that only look at what is kept: `runs`, `show`, `why`, `log`, `verify`. They need no lock, and nobody notices.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use steadfast::RunId;
use steadfast::seam::JournalError;
use steadfast_orchestration::agents::orchestrator::make_whole;
use steadfast_orchestration::history;
use steadfast_orchestration::host;
use steadfast_orchestration::run::explain::{Account, Filter, Log, Row, View, Wanted, json_lines, table, tree, why};
use steadfast_orchestration::run::{PastRun, TaskId, decode};
use steadfast_orchestration::work::chain;
use steadfast_storage::Store;

use crate::args::{LogArgs, RunsArgs, ShowArgs, StateArg, VerifyArgs, WhyArgs};
use crate::family::Family;
use crate::kept::{self, ago, look, refused, runtime, which};
use crate::names::short;
use crate::outcome::{Problem, Status};
use crate::screen::{Screen, print};

/// How often it is looked for new records, where they are followed.
const LOOK: Duration = Duration::from_millis(100);

type Looked = Result<Status, Vec<Problem>>;

fn one(problem: Problem) -> Vec<Problem> {
    vec![problem]
}

fn unreadable(dir: &Path, error: &JournalError) -> Vec<Problem> {
    one(Problem::new(format!("--state {}", dir.display()), chain(error), "see the cause"))
}

/// How the command line that is told to people begins; and whether anybody carries the runs.
fn view(state: &StateArg) -> View {
    let view = kept::view(&state.dir);
    match Store::owner(&state.dir) {
        Ok(Some(_)) => view.carried(),
        Ok(None) => view.abandoned(),
        // It is not said, then.
        Err(_) => view,
    }
}

/// What the records of a run say, with the results that stand beside the journal.
async fn account(store: &Store, run: RunId) -> Result<Account, Vec<Problem>> {
    let problem = |what: String| {
        one(Problem::new(format!("run {run}"), what, "`steadfast verify` lists everything that is damaged"))
    };
    let mut records = host::records(&*store.journal(), run).await.map_err(|error| problem(chain(&error)))?;
    for record in &mut records {
        // What is missing is shown by its digest.
        let _ = make_whole(record, &*store.artifacts()).await;
    }
    Account::of(&records).map_err(|error| problem(chain(&error)))
}

/// The runs of this goal that are over; none where there is no folder of runs, or it cannot be read: an estimate is no
/// reason to fail.
pub(crate) fn past_runs(state: &StateArg, goal: &str) -> Vec<PastRun> {
    let Ok(runtime) = runtime() else { return Vec::new() };
    runtime.block_on(async {
        let Ok(store) = look(&state.dir).await else { return Vec::new() };
        history::past_runs(&*store.journal(), goal).await.unwrap_or_default()
    })
}

/// `steadfast runs`
pub(crate) fn runs(args: &RunsArgs, screen: &Screen) -> Looked {
    let status = args.status.as_deref().map(str::parse::<Wanted>).transpose();
    let status = status.map_err(|error| {
        one(Problem::new("--status", error.to_string(), format!("expected one of {}", Wanted::WORDS.join(", "))))
    })?;
    let filter = Filter { status, goal: args.goal.clone(), since: args.since.map(|since| ago(since.duration())) };
    runtime().map_err(one)?.block_on(async {
        let (dir, view) = (&args.state.dir, view(&args.state));
        let store = look(dir).await.map_err(one)?;
        let mut runs = kept::ids(&*store.journal()).await.map_err(|error| unreadable(dir, &error))?;
        let family = Family::of(&*store.journal(), runs.iter().copied()).await;
        // A step stands behind the run around it, wherever its id would put it.
        runs.sort_by_cached_key(|run| family.place(*run));
        let mut rows = Vec::new();
        for run in runs {
            match account(&store, run).await {
                Ok(account) => rows.extend(Row::of(&account, &view).filter(|row| filter.takes(row))),
                // One that is damaged keeps nobody from seeing the others.
                Err(problems) => problems.iter().for_each(|problem| screen.line(format!("warning: {problem}"))),
            }
        }
        if !args.json {
            print(&short(&table(&rows, &view)));
        } else if !rows.is_empty() {
            print(&json_lines(&rows));
        }
        Ok(Status::Reached)
    })
}

/// `steadfast show`
pub(crate) fn show(args: &ShowArgs) -> Looked {
    runtime().map_err(one)?.block_on(async {
        let dir = &args.run.state.dir;
        let store = look(dir).await.map_err(one)?;
        let run = which(&store, dir, &args.run.run).await.map_err(one)?;
        let tree = tree(&account(&store, run).await?, &view(&args.run.state));
        print(&if args.json { format!("{:#}", tree.json()) } else { short(&tree.text()).into_owned() });
        Ok(Status::Reached)
    })
}

/// `steadfast why`
pub(crate) fn reasons(args: &WhyArgs) -> Looked {
    let task = args.task.as_deref().map(str::parse::<TaskId>).transpose();
    let task = task.map_err(|error| one(Problem::new("TASK", error.to_string(), "name a task of the goal")))?;
    runtime().map_err(one)?.block_on(async {
        let dir = &args.state.dir;
        let store = look(dir).await.map_err(one)?;
        let run = which(&store, dir, &args.run).await.map_err(one)?;
        let account = account(&store, run).await?;
        // Where that is not known, it is not said.
        let left_behind = host::left_behind(&*store.journal(), run).await.unwrap_or_default();
        let reasons = why(&account, &view(&args.state).left_behind(left_behind), task.as_ref());
        let reasons = reasons.map_err(|error| {
            one(Problem::new(format!("run {run}"), error.to_string(), "`steadfast show` lists the tasks of a run"))
        })?;
        print(&short(&reasons.text()));
        Ok(Status::Reached)
    })
}

/// `steadfast log`
pub(crate) fn log(args: &LogArgs) -> Looked {
    runtime().map_err(one)?.block_on(async {
        let dir = &args.run.state.dir;
        let store = look(dir).await.map_err(one)?;
        let run = which(&store, dir, &args.run.run).await.map_err(one)?;
        let problem = |what: String| one(Problem::new(format!("run {run}"), what, "see the cause"));
        let (mut log, mut read) = (Log::new(), 0);
        loop {
            let frames = store.journal().read(&run.into(), read).await.map_err(|error| problem(chain(&error)))?;
            for frame in &frames {
                read += 1;
                let record = decode(frame).map_err(|error| problem(format!("record {read}: {}", chain(&error))))?;
                let entry = log.add(&record).map_err(|error| problem(chain(&error)))?;
                print(&if args.json { entry.json() } else { short(&entry.text()).into_owned() });
            }
            if !args.follow || log.ended().is_some() {
                return Ok(Status::Reached);
            }
            tokio::time::sleep(LOOK).await;
        }
    })
}

/// `steadfast verify`
pub(crate) fn verify(args: &VerifyArgs) -> Looked {
    runtime().map_err(one)?.block_on(async {
        let dir = &args.state.dir;
        let store = look(dir).await.map_err(one)?;
        // A record of a run must be readable; of any other stream, its checksum.
        let check = |stream: &steadfast::StreamId, frame: &[u8]| match stream.run() {
            Some(_) => decode(frame).map(|_| ()).map_err(|error| chain(&error)),
            None => steadfast::message::record::open(frame).map(|_| ()).map_err(|error| error.to_string()),
        };
        let found = store.verify(&check).await.map_err(|error| one(refused(dir, &error)))?;
        let is_whole = found.findings.is_empty();
        if args.json {
            let findings: Vec<_> = found.findings.iter().map(ToString::to_string).collect();
            let (streams, records, artifacts) = (found.streams, found.records, found.artifacts);
            print(
                &json!({ "streams": streams, "records": records, "artifacts": artifacts, "findings": findings })
                    .to_string(),
            );
        } else {
            for finding in &found.findings {
                print(&format!("damaged: {finding}"));
            }
            print(&format!(
                "{} records in {} streams, and {} artifacts: {}",
                found.records,
                found.streams,
                found.artifacts,
                if is_whole { "all is whole".to_owned() } else { format!("{} are damaged", found.findings.len()) }
            ));
        }
        Ok(if is_whole { Status::Reached } else { Status::Failed })
    })
}
