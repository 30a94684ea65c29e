//! Guarantee: what the machines alone do, real trees do, in scenarios that nobody wrote down too.

#[path = "otp/mod.rs"]
mod otp;

use otp::format::{Expect, Recorded, Scenario, Step};
use otp::random::Draw;
use otp::{compare, core, trees};
use serde_json::{Value, json};

/// How many scenarios are drawn, unless `OTP_RANDOM` says how many.
const SCENARIOS: u64 = 200;

fn read(scenario: &Value) -> Scenario {
    serde_json::from_value(scenario.clone()).unwrap_or_else(|error| panic!("{scenario}: {error}"))
}

/// Whether several may stop at the same moment somewhere in it: then their order says nothing.
fn is_unordered(scenario: &Value) -> bool {
    let text = scenario.to_string();
    text.contains("simple_one_for_one") || text.contains("\"kill\"")
}

/// Puts what happened in one step into an order that does not depend on who was quicker.
fn sorted(mut seen: Expect) -> Expect {
    let sort = |events: &mut Vec<Value>| events.sort_by_key(Value::to_string);
    seen.steps.iter_mut().for_each(|Step { events, .. }| sort(events));
    sort(&mut seen.stop);
    seen
}

/// What differs between the machines alone and real trees, if something does.
fn difference(scenario: &Value) -> Option<String> {
    let scripted = read(scenario);
    let (mut alone, mut real) = (core::run(&scripted, None), trees::current_thread(&scripted, None));
    if is_unordered(scenario) {
        (alone, real) = (sorted(alone), sorted(real));
    }
    let recorded = Recorded { scenario: scripted, expect: alone, relax: Vec::new() };
    compare::compare(&recorded, &real)
}

/// The same with as few operations as still differ.
fn shrunk(mut scenario: Value) -> Value {
    let mut at = 0;
    while let Some(count) = scenario["ops"].as_array().map(Vec::len).filter(|count| at < *count) {
        let mut fewer = scenario.clone();
        let ops = fewer["ops"].as_array_mut().expect("it was one");
        ops.remove(count - 1 - at);
        if difference(&fewer).is_some() { scenario = fewer } else { at += 1 }
    }
    scenario
}

#[test]
fn real_trees_do_what_the_machines_alone_do_in_random_scenarios() {
    let count = std::env::var("OTP_RANDOM").map_or(SCENARIOS, |text| text.parse().expect("OTP_RANDOM is a number"));
    let mut ended_early = 0;
    for seed in 0..count {
        let scenario = Draw::scenario(seed);
        if difference(&scenario).is_some() {
            let least = shrunk(scenario);
            let difference = difference(&least).unwrap_or_default();
            panic!("seed {seed} differs (the machines alone | real trees):\n{difference}\n{least}");
        }
        let seen = core::run(&read(&scenario), None);
        ended_early += u64::from(seen.end == json!({}));
    }
    assert!(ended_early < count / 2, "{ended_early} of {count} trees had ended: too little is looked at");
}
