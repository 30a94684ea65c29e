//! Guarantee: supervision is Erlang/OTP's: what real OTP supervisors were recorded to do, ours do too.
//!
//! `OTP_SCENARIOS` names other files of scenarios, separated by `:`, to be replayed instead of the recorded ones.

#[path = "otp/mod.rs"]
mod otp;

use otp::{core, report};

#[test]
fn the_pure_core_passes_every_recorded_scenario() {
    let recorded = report::scenarios();
    let seen = report::replay(&recorded, |scenario| core::run(scenario, None));
    report::report("core", &recorded, seen);
}
