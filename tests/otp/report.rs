//! What is printed of a replay, and what fails.

use std::env;
use std::io::{self, Write};

use super::compare::compare;
use super::format::{Expect, Recorded, Scenario, read};

/// The recorded scenarios, or those of the files that `OTP_SCENARIOS` names instead.
pub(crate) fn scenarios() -> Vec<Recorded> {
    read(&env::var("OTP_SCENARIOS").unwrap_or_else(|_| RECORDED.to_owned()))
}

/// Replays all scenarios; the driver is told what is done, and not what was seen.
pub(crate) fn replay(recorded: &[Recorded], driver: impl Fn(&Scenario) -> Expect) -> Vec<Expect> {
    recorded.iter().map(|recorded| driver(&recorded.scenario)).collect()
}

/// Prints how many passed, which did not, and how the first of those differ.
///
/// # Panics
///
/// When one did not pass.
pub(crate) fn report(name: &str, recorded: &[Recorded], seen: Vec<Expect>) {
    assert_eq!(recorded.len(), seen.len(), "every scenario was replayed");
    let differ = differences(recorded, seen);
    let passed = recorded.len() - differ.len();
    // On a line of its own, and past the test harness, which keeps for itself what a test prints that passes.
    let line = format!("\notp {name}: passed {passed} of {}\n", recorded.len());
    io::stdout().write_all(line.as_bytes()).expect("somebody reads");
    explain(&differ);
    assert!(differ.is_empty(), "{} of {} scenarios differ", differ.len(), recorded.len());
}

/// Names what differs, and shows the first of it.
pub(crate) fn explain(differ: &[String]) {
    for text in differ {
        println!("  differs: {}", text.lines().next().unwrap_or_default());
    }
    for text in differ.iter().take(3) {
        println!("\n{text}");
    }
}

/// The texts of those that differ.
pub(crate) fn differences(recorded: &[Recorded], seen: Vec<Expect>) -> Vec<String> {
    recorded.iter().zip(seen).filter_map(|(recorded, seen)| compare(recorded, &seen)).collect()
}

/// Recorded on Erlang/OTP.
pub(crate) const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/otp/scenarios.jsonl");
