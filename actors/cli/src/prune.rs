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
use steadfast_orchestration::run::explain::View;
use steadfast_orchestration::run::{Millis, is_inside, large};
use steadfast_orchestration::seam::artifacts::Digest;
use steadfast_orchestration::work::chain;
use steadfast_storage::Store;

use crate::args::PruneArgs;
use crate::family::Family;
use crate::kept::{ago, look, named, refused, runtime, view};
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
    let kept = Kept { all: &all, family: &family, view: view(&args.state.dir) };
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
    view: View,
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

    /// Whether it is a step of nobody knows which run, since what it began with cannot be read, and that one may go on.
    fn is_lost(&self, run: RunId) -> bool {
        let may_go_on = |found: &Found| found.ended.is_none() && !is_inside(found.run);
        is_inside(run) && self.family.around(run).is_none() && self.all.iter().any(may_go_on)
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
        self.whole(old.filter(|run| self.top(*run) == *run && !self.is_lost(*run)))
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
        let (top, place) = (self.top(run), format!("run {run}"));
        if self.is_lost(top) {
            let what = format!(
                "what the run {top} began with cannot be read, so that it may be a step of a run which is not over"
            );
            let list = self.view.command("runs", &["--status", "unfinished"]);
            return Err(Problem::new(place, what, format!("end or cancel those first: {list}")));
        }
        // Of one whose run is gone nobody can carry on what is left of it.
        let is_left_over = is_inside(run) && top == run;
        if self.is_over(top) || is_left_over {
            return Ok(run);
        }
        let what = if top == run {
            "it is not over, and would be lost".to_owned()
        } else {
            format!("it is a step of the run {top}, which is not over")
        };
        let cancel = self.view.command("cancel", &[&top.to_string()]);
        Err(Problem::new(place, what, format!("cancel that first: {cancel}")))
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
        let [two, four, five, six, seven] = [2, 4, 5, 6, 7].map(step);
        let all = [
            run(1, None),
            run(two, Some(10)),
            run(3, Some(10)),
            run(four, Some(90)),
            run(five, None),
            run(six, Some(10)),
            run(seven, None),
            run(8, Some(90)),
        ];
        let family = Family::from(
            [(two, 1), (four, 3), (five, four), (six, 99), (seven, 99)]
                .map(|(inside, around)| (id(inside), id(around))),
        );
        let kept = Kept { all: &all, family: &family, view: View::at(Millis(0)).state("there") };
        assert_eq!(kept.older_than(Millis(50)), [four, five, 3, six].map(id));
        let called = |number: u128| kept.called(&[id(number).to_string()]);
        assert_eq!(called(3).expect("it is over"), [four, five, 3].map(id));
        assert_eq!(called(four).expect("that around it is over"), [five, four].map(id));
        assert_eq!(called(seven).expect("nobody can carry it"), [id(seven)]);
        for (number, what) in [(1, "it is not over"), (two, "which is not over")] {
            let problem = &called(number).expect_err("it may go on")[0];
            assert!(problem.what.contains(what), "{number}: {problem}");
            let cancel = format!("steadfast cancel {} --state there", id(1));
            assert!(problem.to_string().contains(&cancel), "{number}: {problem}");
        }
    }

    #[test]
    fn a_step_of_nobody_knows_which_run_stays_while_any_run_may_go_on() {
        // 2 has a first record that nobody can read, and 3 is a step of it.
        let check = |around: Option<u64>, goes: &[RunId], message: &str| {
            let all = [run(1, around), run(step(2), Some(10)), run(step(3), None)];
            let family = Family::from([(id(step(3)), id(step(2)))]);
            let kept = Kept { all: &all, family: &family, view: View::at(Millis(0)) };
            assert_eq!(kept.older_than(Millis(50)), goes);
            for number in [2, 3] {
                let told = kept.called(&[id(step(number)).to_string()]);
                let told = told.map_or_else(|problems| problems[0].to_string(), |_| "it may go".to_owned());
                assert!(told.contains(message), "{number}: {told}");
            }
        };
        check(None, &[], "may be a step of a run which is not over");
        check(Some(90), &[step(3), step(2)].map(id), "it may go");
    }

    /// The number of a run inside another one.
    fn step(number: u128) -> u128 {
        let inside = 0xf000_0000_0000_8000_8000_0000_0000_0000 | number;
        assert!(is_inside(id(inside)), "{inside}");
        inside
    }
}
