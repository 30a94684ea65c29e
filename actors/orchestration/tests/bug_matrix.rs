//! Guarantee: what looks at runs of goals from outside finds each bug on purpose of leases and of the orchestrator, without
//! knowing of any; and finds nothing where there is none.
//!
//! `MATRIX_SEEDS=2000` searches from seed 0 on, and prints how many seeds each bug took:
//!
//! ```text
//! MATRIX_SEEDS=2000 cargo test -p steadfast-orchestration --test bug_matrix -- --nocapture
//! ```

#[path = "bug_matrix/arena.rs"]
mod arena;
#[path = "bug_matrix/by_hand.rs"]
mod by_hand;
#[path = "bug_matrix/goals.rs"]
mod goals;
#[path = "bug_matrix/oracles.rs"]
mod oracles;
#[path = "bug_matrix/witness.rs"]
mod witness;

use std::collections::BTreeSet;

use arena::ran;
use steadfast::testing::Bug;

/// Each bug with a seed that shows it, and what finds it there. Where that finds it no more, `MATRIX_SEEDS=2000` says which
/// seed does.
const FOUND: [(Bug, u64, &str); 8] = [
    (Bug::LeaseNotTakenBack, 19, "ends"),
    (Bug::AnyReportCounts, 0, "holder"),
    (Bug::LeaseTakenTwice, 0, "no-overlap"),
    (Bug::ResultRecordedTwice, 4, "one-result"),
    (Bug::SentBeforeJournal, 0, "begun-is-kept"),
    (Bug::ToldBeforeJournal, 0, "told-is-kept"),
    (Bug::LastRecordOverlooked, 0, "one-lease"),
    (Bug::StaleAnswerCounts, 274, "one-lease"),
];

/// How many seeds without a bug, where `MATRIX_SEEDS` does not say.
const FEW: u64 = 6;

fn seeds() -> Option<u64> {
    std::env::var("MATRIX_SEEDS").ok().map(|text| text.parse().expect("a number of seeds"))
}

/// What finds a bug by this seed, if anything does.
fn finder(bug: Bug, seed: u64) -> Option<String> {
    let failure = ran(seed, Some(bug)).failure?;
    Some(failure.split(':').next().unwrap_or_default().to_owned())
}

/// Searches from seed 0 on, and says whether a bug was found.
fn search(bug: Bug, most: u64) -> bool {
    let found = (0..most).find_map(|seed| Some((seed, finder(bug, seed)?)));
    match &found {
        Some((seed, oracle)) => println!("{bug}: found by seed {seed}, after {} seeds, by {oracle}", seed + 1),
        None => println!("{bug}: NOT FOUND within {most} seeds"),
    }
    found.is_some()
}

#[test]
fn each_bug_of_leases_and_of_the_orchestrator_is_found_by_what_does_not_know_of_it() {
    if let Some(most) = seeds() {
        let missed: Vec<_> = FOUND.iter().filter(|(bug, ..)| !search(*bug, most)).collect();
        assert!(missed.is_empty(), "{missed:?}");
        return;
    }
    for (bug, seed, oracle) in FOUND {
        assert_eq!(finder(bug, seed).as_deref(), Some(oracle), "{bug}, seed {seed}: see what is said of the table");
    }
}

#[test]
fn where_there_is_no_bug_nothing_is_found_and_a_seed_does_the_same_twice() {
    let mut missing = ROUGH.to_vec();
    for seed in 0..seeds().unwrap_or(FEW) {
        let once = ran(seed, None);
        assert_eq!(once.failure, None, "seed {seed}, under {}", once.plan);
        if seed < FEW {
            let parting = once.trace.parting(&ran(seed, None).trace);
            assert!(
                parting.is_none(),
                "seed {seed}: {}",
                parting.map(|parting| parting.to_string()).unwrap_or_default()
            );
        }
        let text = once.trace.text();
        missing.retain(|what| !text.contains(what));
    }
    // Otherwise too little was looked at.
    assert!(missing.is_empty(), "{missing:?} never happened");
}

/// What happens within the first few seeds.
const ROUGH: [&str; 9] = [
    "crashed a",
    "start 2",
    "in the journal: Lost",
    "in the journal: Refused",
    "in the journal: Failed",
    "was broken off",
    "and was told Refused",
    "unresponsive",
    "killed",
];

#[test]
fn no_bug_of_the_two_areas_is_missing_in_the_table() {
    let all = Bug::ALL.iter().filter(|bug| matches!(bug.area(), "leases" | "orchestrator"));
    let found: BTreeSet<_> = FOUND.iter().map(|(bug, ..)| bug).collect();
    assert_eq!(all.collect::<BTreeSet<_>>(), found);
}
