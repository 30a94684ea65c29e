//! Guarantee: the scenarios notice a supervisor that breaks a rule. Each wrong rule is tried, on the recorded scenarios
//! and on ours, whatever `OTP_SCENARIOS` says.

#[path = "otp/mod.rs"]
mod otp;

use otp::{core, format, mutations, report, trees};

#[test]
fn our_own_scenarios_pass() {
    let ours = format::read(mutations::OURS);
    let seen = report::replay(&ours, |scenario| core::run(scenario, None));
    let differ = report::differences(&ours, seen);
    report::explain(&differ);
    assert!(differ.is_empty(), "{} of our {} scenarios differ", differ.len(), ours.len());
}

#[test]
fn our_own_scenarios_pass_on_real_trees() {
    let ours = format::read(mutations::OURS);
    let seen = report::replay(&ours, |scenario| trees::current_thread(scenario, None));
    let differ = report::differences(&ours, seen);
    report::explain(&differ);
    assert!(differ.is_empty(), "{} of our {} scenarios differ", differ.len(), ours.len());
}

/// All scenarios, ours first: they are small.
fn all() -> Vec<format::Recorded> {
    let mut scenarios = format::read(mutations::OURS);
    scenarios.extend(format::read(report::RECORDED));
    scenarios
}

#[test]
fn every_wrong_rule_is_noticed_by_a_scenario() {
    assert_eq!(mutations::unnoticed(&all(), core::run), []);
}

#[test]
fn every_wrong_rule_is_noticed_by_a_scenario_on_real_trees() {
    assert_eq!(mutations::unnoticed(&all(), trees::current_thread), []);
}
