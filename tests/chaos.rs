//! Guarantee: whatever crashes, is killed, suspended, drained or full, each delivery ends once: handled, begun and not
//! finished, a dead letter, or given back to its sender. The counts are made outside of the code that is under test.
//!
//! | a delivery | is |
//! |---|---|
//! | its handler returned | handled |
//! | its handler began and did not return | unknown |
//! | of the rest: it is among the dead letters | a dead letter |
//! | of the rest: its sender has it back, or was told that nobody handled it | refused |
//! | of the rest | lost, which must not be |
//!
//! That a question was not answered in time says nothing of its outcome.

#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/run.rs"]
mod run;
#[path = "chaos/worker.rs"]
mod worker;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use run::{Report, Size, bare, run_in, set_up};
use steadfast::{SeededEntropy, System, TokioClock};
use tokio::runtime::Builder;

/// What `scripts/deliveries.sh` runs.
const FULL: Size =
    Size { domains: 20, agents: 50, deliveries: 200_000, rest: Duration::from_secs(30), time_stands: true };

/// As many as a debug build does in seconds.
const SMALL: Size = Size { domains: 10, agents: 10, deliveries: 20_000, ..FULL };

/// The numbers in a variable, as `7` or `3..9`; so many of a small run where there is none.
fn seeds(few: u64) -> (Range<u64>, Size) {
    let Ok(text) = std::env::var("CHAOS_SEEDS") else { return (0..few, SMALL) };
    let number = |text: &str| text.parse::<u64>().expect("CHAOS_SEEDS is `7` or `3..9`");
    let seeds = match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    };
    (seeds, FULL)
}

async fn run(seed: u64, size: Size) -> Report {
    let entropy = Arc::new(SeededEntropy::new(seed, Arc::new(TokioClock)));
    let builder = set_up(System::builder(), size).entropy(entropy);
    let system = builder.start(bare()).await.expect("the tree starts");
    run_in(system, seed, size).await
}

/// Runs a seed, and holds its counts against each other.
fn each_ends_once(runtime: &mut Builder, seed: u64, size: Size) {
    println!("seed {seed}");
    let runtime = runtime.enable_all().build().expect("a runtime");
    let Report { outcomes, wrong, sent, restarts } = runtime.block_on(run(seed, size));
    let first: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "seed {seed}: {} are wrong, of {outcomes}; the first: {first:#?}", wrong.len());
    assert_eq!(outcomes.total(), sent, "seed {seed}: {outcomes}");
    println!("seed {seed}: {outcomes}, over {restarts} restarts");
    // Too little would have been looked at.
    let least = [outcomes.handled / 4, outcomes.unknown, outcomes.dead, outcomes.refused];
    assert!(least.iter().all(|count| *count > sent / 200), "seed {seed}: {outcomes}");
    assert!(restarts > sent as u64 / 100, "seed {seed}: {restarts} restarts");
}

#[test]
fn each_delivery_ends_once_whatever_crashes_and_the_counts_add_up_to_what_was_sent() {
    let (seeds, size) = seeds(3);
    for seed in seeds {
        each_ends_once(Builder::new_current_thread().start_paused(true), seed, size);
    }
}

/// In real time, for what is only seen where two do something at the same moment.
#[test]
fn each_delivery_ends_once_on_several_threads_too() {
    let (seeds, _) = seeds(1);
    let size = Size { deliveries: 4_000, rest: Duration::from_millis(100), time_stands: false, ..SMALL };
    for seed in seeds {
        each_ends_once(Builder::new_multi_thread().worker_threads(4), seed, size);
    }
}
