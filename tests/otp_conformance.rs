//! Guarantee: supervision is Erlang/OTP's: what real OTP supervisors were recorded to do, ours do too.
//!
//! `OTP_SCENARIOS` names other files of scenarios, separated by `:`, to be replayed instead of the recorded ones.

#[path = "otp/mod.rs"]
mod otp;

use otp::{core, report, trees};

#[test]
fn the_pure_core_passes_every_recorded_scenario() {
    let recorded = report::scenarios();
    let seen = report::replay(&recorded, |scenario| core::run(scenario, None));
    report::report("core", &recorded, seen);
}

#[test]
fn real_trees_on_one_thread_in_paused_time_pass_every_recorded_scenario() {
    let recorded = report::scenarios();
    let seen = report::replay(&recorded, |scenario| trees::current_thread(scenario, None));
    report::report("current_thread", &recorded, seen);
}

#[test]
fn real_trees_on_several_threads_in_real_time_pass_every_recorded_scenario() {
    let recorded = report::scenarios();
    let seen = trees::multi_thread(&recorded);
    report::report("multi_thread", &recorded, seen);
}
