//! Guarantee: the scenarios notice a supervisor that breaks a rule. Each wrong rule is tried, on the recorded scenarios
//! and on ours, whatever `OTP_SCENARIOS` says.

#[path = "otp/mod.rs"]
mod otp;

use otp::{core, format, mutations, report};

#[test]
fn our_own_scenarios_pass() {
    let ours = format::read(mutations::OURS);
    let seen = report::replay(&ours, |scenario| core::run(scenario, None));
    let differ = report::differences(&ours, seen);
    report::explain(&differ);
    assert!(differ.is_empty(), "{} of our {} scenarios differ", differ.len(), ours.len());
}

#[test]
fn every_wrong_rule_is_noticed_by_a_scenario() {
    let mut scenarios = format::read(report::RECORDED);
    scenarios.extend(format::read(mutations::OURS));
    assert_eq!(mutations::unnoticed(&scenarios, core::run), []);
}
