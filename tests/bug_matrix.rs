//! Guarantee: what looks at every simulated run finds the bugs that are there, without knowing of any; and finds none where
//! none is.
//!
//! `scripts/bug-matrix.sh` looks for each of them from the first seed on.

mod arena;
#[path = "bug_matrix/coverage.rs"]
mod coverage;
#[path = "bug_matrix/islands.rs"]
mod islands;
#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/run.rs"]
mod run;
#[path = "bug_matrix/table.rs"]
mod table;
#[path = "chaos/worker.rs"]
mod worker;

use std::collections::BTreeSet;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use arena::Arena;
use coverage::Seen;
use steadfast::testing::Bug;
use table::CAUGHT;

/// How many seeds without a bug, where `CALM_SEEDS` does not say.
const CALM: u64 = 32;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, and no number")))
}

/// The bugs of the framework: those of the orchestration have a matrix of their own.
fn bugs() -> impl Iterator<Item = Bug> {
    Bug::ALL.iter().copied().filter(|bug| !["leases", "orchestrator"].contains(&bug.area()))
}

/// Does something with each number up to a bound, in as many threads as there are cores.
fn for_each(from: u64, to: u64, work: impl Fn(u64) + Sync) {
    let (next, work) = (AtomicU64::new(from), &work);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            let next = &next;
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= to {
                        return;
                    }
                    work(number);
                }
            });
        }
    });
}

/// The first line of what an oracle or a ledger says, and which one it is.
fn first_word(failure: &str) -> &str {
    failure.split(':').next().unwrap_or_default()
}

/// What came of the seeds without a bug: what failed, and all that happened.
fn calm() -> &'static (Vec<String>, Seen) {
    static CALM_SEEDS: OnceLock<(Vec<String>, Seen)> = OnceLock::new();
    CALM_SEEDS.get_or_init(|| {
        let (from, seeds) = (number("CALM_FROM").unwrap_or_default(), number("CALM_SEEDS").unwrap_or(CALM));
        let all = Mutex::new((Vec::new(), Seen::default()));
        for_each(from, from + seeds, |seed| {
            let ran = arena::try_seed(seed, None);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.1.note(&ran);
            if let Some(failure) = ran.failure {
                all.0.push(format!("seed {seed} ({:?}): {failure}", Arena::of(seed)));
            }
        });
        for_each(from, from + seeds.div_ceil(4), |seed| {
            let ran = islands::try_seed(seed);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.1.note(&ran);
            all.0.extend(ran.failure.map(|failure| format!("seed {seed} (islands): {failure}")));
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    })
}

#[test]
fn where_no_bug_is_none_is_found() {
    let (failed, _) = calm();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_fault_and_every_way_in_which_a_life_or_a_message_ends_comes_in_those_seeds() {
    let never = calm().1.never();
    assert!(never.is_empty(), "of what the seeds are for these never came: {never:?}");
}

#[test]
fn each_bug_of_the_framework_is_in_the_table_of_those_that_are_caught() {
    let (listed, there): (BTreeSet<_>, BTreeSet<_>) = (CAUGHT.iter().map(|(bug, ..)| *bug).collect(), bugs().collect());
    assert_eq!(listed, there);
    assert_eq!(CAUGHT.len(), there.len(), "each once");
}

#[test]
fn each_bug_of_the_framework_is_caught_by_what_looks_at_every_run() {
    let missed = Mutex::new(Vec::new());
    for_each(0, CAUGHT.len() as u64, |number| {
        let (bug, seed, by) = CAUGHT[usize::try_from(number).expect("a small number")];
        let failure = arena::try_seed(seed, Some(bug)).failure.unwrap_or_default();
        if !failure.lines().any(|line| first_word(line) == by) {
            let told = format!("{bug}: seed {seed} is not caught by `{by}`: {failure}");
            missed.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        }
    });
    let missed = missed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// For `scripts/bug-matrix.sh`: looks for each bug, or for `MATRIX_BUG`, from seed 0 on, and prints a row for each.
#[test]
fn each_bug_is_found_within_as_many_seeds_as_the_environment_says() {
    let Some(most) = number("MATRIX_SEEDS") else { return };
    let only = env::var("MATRIX_BUG").ok();
    let wanted: Vec<_> = bugs().filter(|bug| only.as_ref().is_none_or(|only| only == bug.as_str())).collect();
    let found = Mutex::new(Vec::new());
    for_each(0, wanted.len() as u64, |number| {
        let bug = wanted[usize::try_from(number).expect("a small number")];
        let caught = (0..most).find_map(|seed| Some((seed, arena::try_seed(seed, Some(bug)).failure?)));
        let row = match &caught {
            Some((seed, failure)) => format!("| `{bug}` | {} | {seed} | {} |", bug.area(), first_word(failure)),
            None => format!("| `{bug}` | {} | not within {most} | |", bug.area()),
        };
        let detail = caught.as_ref().map_or("", |(_, failure)| failure.lines().next().unwrap_or_default());
        println!("{row}\n    {detail}");
        found.lock().unwrap_or_else(PoisonError::into_inner).push((bug, caught.is_some()));
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missed: Vec<_> = found.iter().filter(|(_, is_caught)| !is_caught).map(|(bug, _)| bug.as_str()).collect();
    assert!(missed.is_empty(), "not found within {most} seeds: {missed:?}");
}

/// Prints all that happens in the seed that the environment names, with the bug that it names, if any.
#[test]
fn the_trace_of_a_seed_that_the_environment_names_is_printed() {
    let Some(seed) = number("MATRIX_SHOW") else { return };
    let bug = env::var("MATRIX_BUG").ok().map(|bug| bug.parse().expect("a bug"));
    let ran = arena::try_seed(seed, bug);
    println!("{}\n{:?} seed {seed}: {:?}\n{}", ran.trace.text(), Arena::of(seed), ran.failure, ran.plan);
}
