//! Breaking each rule on purpose: a suite of traces shows something only if it notices.

use std::panic::{AssertUnwindSafe, catch_unwind};

use steadfast::supervision::Mutation;

use super::compare::compare;
use super::format::{Expect, Recorded, Scenario};

/// Our own scenarios: for what the recorded ones let pass.
pub(crate) const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ours/scenarios.jsonl");

/// Which scenario notices a mutation first, if one does.
pub(crate) fn caught_by(
    scenarios: &[Recorded],
    mutation: Mutation,
    driver: impl Fn(&Scenario, Option<Mutation>) -> Expect,
) -> Option<&str> {
    let differs = |recorded: &&Recorded| {
        let run = || compare(recorded, &driver(&recorded.scenario, Some(mutation))).is_some();
        // A driver that trips over what a broken supervisor does has noticed it too.
        catch_unwind(AssertUnwindSafe(run)).unwrap_or(true)
    };
    scenarios.iter().find(differs).map(|recorded| recorded.scenario.name.as_str())
}

/// Breaks each rule, prints which scenario noticed first, and returns what none noticed.
pub(crate) fn unnoticed(
    scenarios: &[Recorded],
    driver: impl Fn(&Scenario, Option<Mutation>) -> Expect,
) -> Vec<Mutation> {
    let mut unnoticed = Vec::new();
    for mutation in Mutation::ALL.iter().copied() {
        let by = caught_by(scenarios, mutation, &driver);
        println!("rule {:>2} {:<26} {}", mutation.rule(), format!("{mutation:?}"), by.unwrap_or("NOT NOTICED"));
        if by.is_none() {
            unnoticed.push(mutation);
        }
    }
    unnoticed
}
