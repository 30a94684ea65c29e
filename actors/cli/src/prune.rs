//! `steadfast prune`: forgets runs that are over.

use steadfast::RunId;
use steadfast::seam::{Journal, Level, Upto};
use steadfast_orchestration::host::{Found, found};
use steadfast_orchestration::work::chain;
use steadfast_storage::Store;

use crate::args::PruneArgs;
use crate::kept::{ago, look, named, refused, runtime};
use crate::outcome::{Problem, Status};
use crate::screen::print;

/// Forgets runs, and says which.
pub(crate) fn prune(args: &PruneArgs) -> Result<Status, Vec<Problem>> {
    let one = |problem| vec![problem];
    runtime().map_err(one)?.block_on(async {
        let dir = &args.state.dir;
        // Nobody makes a folder by forgetting what is in it.
        look(dir).await.map_err(one)?;
        let store = Store::open(dir, Level::Durable, "steadfast prune").await;
        let store = store.map_err(|error| one(refused(dir, &error)))?;
        let journal = store.journal();
        let all = found(&*journal).await;
        let all = all
            .map_err(|error| one(Problem::new(format!("--state {}", dir.display()), chain(&error), "see the cause")))?;
        let wanted = wanted(args, &all)?;
        for run in &wanted {
            forget(&*journal, *run).await.map_err(one)?;
            print(&format!("forgot {run}"));
        }
        print(&format!("{} runs are forgotten", wanted.len()));
        store.close().await.map_err(|error| one(refused(dir, &error)))?;
        Ok(Status::Reached)
    })
}

/// The runs that are meant; all are over.
fn wanted(args: &PruneArgs, all: &[Found]) -> Result<Vec<RunId>, Vec<Problem>> {
    if let Some(age) = args.older_than {
        let limit = ago(age.duration());
        return Ok(all
            .iter()
            .filter(|found| found.ended.is_some_and(|(_, wall)| wall < limit))
            .map(|found| found.run)
            .collect());
    }
    let ids: Vec<_> = all.iter().map(|found| found.run).collect();
    let mut wanted = Vec::new();
    let mut problems = Vec::new();
    for text in &args.runs {
        match named(&ids, text) {
            Ok(run) if all.iter().any(|found| found.run == run && found.ended.is_none()) => {
                let remedy = format!("cancel it first: steadfast cancel {run}");
                problems.push(Problem::new(format!("run {run}"), "it is not over, and would be lost", remedy));
            }
            Ok(run) => wanted.push(run),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(wanted) } else { Err(problems) }
}

async fn forget(journal: &dyn Journal, run: RunId) -> Result<(), Problem> {
    let stream = run.into();
    let problem = |error| Problem::new(format!("run {run}"), chain(&error), "see the cause");
    let epoch = journal.fence(&stream, "steadfast prune").await.map_err(problem)?;
    journal.prune(&stream, epoch, Upto::All).await.map_err(problem)
}
