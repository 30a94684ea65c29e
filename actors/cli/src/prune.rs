//! `steadfast prune`: forgets runs that are over, with the runs inside them, and what no run names any more.
//!
//! # Invariants
//!
//! * A run inside another one is not forgotten while that may go on.
//! * What a run names that is kept, unfinished or over, stays; where it is not known what one names, all of it does.

use std::collections::BTreeSet;

use steadfast::RunId;
use steadfast::seam::{Journal, Level, Upto};
use steadfast_orchestration::host::{Found, found, records};
use steadfast_orchestration::run::{Millis, large};
use steadfast_orchestration::seam::artifacts::Digest;
use steadfast_orchestration::work::chain;
use steadfast_storage::Store;

use crate::args::PruneArgs;
use crate::family::Family;
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
        let pruned = within(args, &store).await;
        store.close().await.map_err(|error| one(refused(dir, &error)))?;
        pruned.map(|()| Status::Reached)
    })
}

async fn within(args: &PruneArgs, store: &Store) -> Result<(), Vec<Problem>> {
    let (journal, place) = (store.journal(), format!("--state {}", args.state.dir.display()));
    let all = found(&*journal).await;
    let all = all.map_err(|error| vec![Problem::new(place.clone(), chain(&error), "see the cause")])?;
    let family = Family::of(&*journal, all.iter().map(|found| found.run)).await;
    let kept = Kept { all: &all, family: &family };
    let wanted = match args.older_than {
        Some(age) => kept.older_than(ago(age.duration())),
        None => kept.called(&args.runs)?,
    };
    for run in &wanted {
        forget(&*journal, *run).await.map_err(|problem| vec![problem])?;
        print(&format!("forgot {run}"));
    }
    let swept = sweep(store, &all, &wanted).await;
    let swept = swept.map_err(|error| vec![Problem::new(place, error, "`steadfast verify` lists what is damaged")]);
    print(&format!("{} runs are forgotten{}", wanted.len(), swept?));
    Ok(())
}

/// The runs that are kept.
struct Kept<'k> {
    all: &'k [Found],
    family: &'k Family,
}

impl Kept<'_> {
    fn find(&self, run: RunId) -> Option<&Found> {
        self.all.iter().find(|found| found.run == run)
    }

    /// The outermost run of those that are kept which this one is a step of; itself, where none is kept.
    fn top(&self, run: RunId) -> RunId {
        let around = self.family.around(run).filter(|around| self.find(*around).is_some());
        around.map_or(run, |around| self.top(around))
    }

    fn is_over(&self, run: RunId) -> bool {
        self.find(run).is_some_and(|found| found.ended.is_some())
    }

    /// These, each with the runs inside it, which go first: so that none is left behind whose run is gone.
    fn whole(&self, runs: impl IntoIterator<Item = RunId>) -> Vec<RunId> {
        let mut whole = Vec::new();
        for run in runs {
            for run in self.family.inside(run).into_iter().chain([run]) {
                if self.find(run).is_some() && !whole.contains(&run) {
                    whole.push(run);
                }
            }
        }
        whole
    }

    /// Those that ended before this moment, and were no step of one that is kept.
    fn older_than(&self, limit: Millis) -> Vec<RunId> {
        let is_old = |found: &&Found| found.ended.is_some_and(|(_, wall)| wall < limit);
        let old = self.all.iter().filter(is_old).map(|found| found.run);
        self.whole(old.filter(|run| self.top(*run) == *run))
    }

    /// Those that are called so; all are over.
    fn called(&self, names: &[String]) -> Result<Vec<RunId>, Vec<Problem>> {
        let ids: Vec<_> = self.all.iter().map(|found| found.run).collect();
        let (mut wanted, mut problems) = (Vec::new(), Vec::new());
        for name in names {
            match named(&ids, name).and_then(|run| self.may_go(run)) {
                Ok(run) => wanted.push(run),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(self.whole(wanted)) } else { Err(problems) }
    }

    /// Refuses to forget what somebody may go on with.
    fn may_go(&self, run: RunId) -> Result<RunId, Problem> {
        let top = self.top(run);
        // Of one whose run is gone nobody can carry on what is left of it.
        let is_left_over = self.family.around(run).is_some() && top == run;
        if self.is_over(top) || is_left_over {
            return Ok(run);
        }
        let what = if top == run {
            "it is not over, and would be lost".to_owned()
        } else {
            format!("it is a step of the run {top}, which is not over")
        };
        Err(Problem::new(format!("run {run}"), what, format!("cancel that first: steadfast cancel {top}")))
    }
}

async fn forget(journal: &dyn Journal, run: RunId) -> Result<(), Problem> {
    let stream = run.into();
    let problem = |error| Problem::new(format!("run {run}"), chain(&error), "see the cause");
    let epoch = journal.fence(&stream, "steadfast prune").await.map_err(problem)?;
    journal.prune(&stream, epoch, Upto::All).await.map_err(problem)
}

/// Removes the artifacts that no run names any more, and says so.
async fn sweep(store: &Store, all: &[Found], gone: &[RunId]) -> Result<String, String> {
    let mut named = BTreeSet::new();
    for found in all.iter().filter(|found| !gone.contains(&found.run)) {
        let Ok(records) = records(&*store.journal(), found.run).await else {
            return Ok(format!("; no artifacts are removed, since nobody knows what the run {} names", found.run));
        };
        let stored = records.iter().filter_map(large::stored);
        named.extend(stored.filter_map(|(_, digest)| digest.parse::<Digest>().ok()));
    }
    // We own the folder and carry no run, so that none is put whose record is still to come.
    let swept = store.sweep_artifacts_now(&named).await.map_err(|error| chain(&error))?;
    let told = format!("; {} artifacts that no run names are removed, {} bytes", swept.artifacts, swept.bytes);
    Ok(told)
}

#[cfg(test)]
mod tests {
    use steadfast::seam::{Epoch, StreamInfo};
    use steadfast_orchestration::run::Status as RunStatus;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> RunId {
        RunId::new(Uuid::from_u128(number))
    }

    fn run(number: u128, ended: Option<u64>) -> Found {
        let info = StreamInfo { stream: id(number).into(), first: 1, last: 1, epoch: Epoch(1), owner: String::new() };
        Found { run: id(number), info, ended: ended.map(|wall| (RunStatus::Reached, Millis(wall))) }
    }

    #[test]
    fn steps_go_with_their_run_and_those_that_have_none_any_more_by_themselves() {
        // 1 is unfinished and has 2; 3 is over and has 4, which has 5; 6 and 7 are of a run that is gone; 8 is new.
        let all = [
            run(1, None),
            run(2, Some(10)),
            run(3, Some(10)),
            run(4, Some(90)),
            run(5, None),
            run(6, Some(10)),
            run(7, None),
            run(8, Some(90)),
        ];
        let family =
            Family::from([(2, 1), (4, 3), (5, 4), (6, 99), (7, 99)].map(|(inside, around)| (id(inside), id(around))));
        let kept = Kept { all: &all, family: &family };
        assert_eq!(kept.older_than(Millis(50)), [4, 5, 3, 6].map(id));
        let called = |number: u128| kept.called(&[id(number).to_string()]);
        assert_eq!(called(3).expect("it is over"), [4, 5, 3].map(id));
        assert_eq!(called(4).expect("that around it is over"), [5, 4].map(id));
        assert_eq!(called(7).expect("nobody can carry it"), [id(7)]);
        for (number, what) in [(1, "it is not over"), (2, "which is not over")] {
            assert!(called(number).expect_err("it may go on")[0].what.contains(what), "{number}");
        }
    }
}
