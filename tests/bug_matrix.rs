//! Guarantee: what looks at every simulated run finds the bugs that are there, without knowing of any.

mod arena;
#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/run.rs"]
mod run;
#[path = "chaos/worker.rs"]
mod worker;

use steadfast::testing::Bug;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn calm() {
    let (from, seeds) = (number("FROM").unwrap_or(0), number("SEEDS").unwrap_or(8));
    let mut failed = 0;
    for seed in from..from + seeds {
        #[expect(clippy::disallowed_methods)]
        let began = std::time::Instant::now();
        let ran = arena::try_seed(seed, None);
        if std::env::var_os("TIMES").is_some() {
            println!("{seed} {:?} {:?} {}", arena::Arena::of(seed), began.elapsed(), ran.trace.entries().len());
        }
        if let Some(failure) = ran.failure {
            failed += 1;
            println!("seed {seed} {:?}: {failure}", arena::Arena::of(seed));
            if std::env::var_os("SHOW").is_some() {
                println!("{}", ran.trace.text());
            }
        }
    }
    println!("{failed} of {seeds} failed");
}

#[test]
fn matrix() {
    let Some(most) = number("MATRIX_SEEDS") else { return };
    let only = std::env::var("BUG").ok();
    for bug in Bug::ALL {
        if ["leases", "orchestrator"].contains(&bug.area()) || only.as_ref().is_some_and(|only| only != bug.as_str()) {
            continue;
        }
        let found = (0..most).find_map(|seed| Some((seed, arena::try_seed(seed, Some(*bug)).failure?)));
        match found {
            Some((seed, failure)) => println!("{bug}: seed {seed}: {}", failure.lines().next().unwrap_or_default()),
            None => println!("{bug}: NOT CAUGHT"),
        }
    }
}
