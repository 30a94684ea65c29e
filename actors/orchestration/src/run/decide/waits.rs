//! What follows from what a run waits for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::goal::error::list;
use crate::run::digest::{canonical, sha256_hex};
use crate::run::id::{Millis, TaskId};
use crate::run::record::{Class, Outcome, Record, SkipCause, WaitFor};
use crate::run::state::{Gathered, RunState};
use crate::run::waits::fits;

/// The outcomes of tasks that wait no longer at `now`: each task once, in an order that depends on the state alone.
pub(super) fn waited(state: &RunState, now: Millis) -> Vec<Record> {
    let mut outcomes = BTreeMap::new();
    for id in state.surplus() {
        let reason = "not needed: enough others ended first".to_owned();
        outcomes.insert(id.clone(), Outcome::Skipped { reason, cause: SkipCause::NotNeeded });
    }
    for (id, answer) in state.answers() {
        outcomes.entry(id.clone()).or_insert_with(|| said(answer.yes, &answer.who, &answer.why));
    }
    taken(state, &mut outcomes);
    for (until, id) in state.timers().take_while(|(until, _)| *until <= now) {
        outcomes.entry(id.clone()).or_insert_with(|| over(state, id, *until));
    }
    for id in state.ripe() {
        if let Some(gathered) = state.gathered(id) {
            outcomes.entry(TaskId::single(id)).or_insert_with(|| together(state, gathered));
        }
    }
    if outcomes.is_empty() {
        return Vec::new();
    }
    let recorded = |(task, outcome)| {
        // What is not needed any more may be out.
        let attempt = state.task(&task).map_or(0, |task| task.attempts);
        Record::Recorded { task, attempt, outcome, wall: now }
    };
    // A signal is taken by whoever waited first, and it is taken when that outcome is recorded.
    let mut records: Vec<_> = Vec::with_capacity(outcomes.len());
    for (id, _) in state.waiting_in_order() {
        records.extend(outcomes.remove_entry(id).map(recorded));
    }
    records.extend(outcomes.into_iter().map(recorded));
    records
}

/// Gives each signal that came in time to the task that has waited for it longest.
fn taken(state: &RunState, outcomes: &mut BTreeMap<TaskId, Outcome>) {
    if state.untaken().next().is_none() {
        return;
    }
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, waiting) in state.waiting_in_order() {
        let WaitFor::Signal { name, until } = &waiting.on else { continue };
        if outcomes.contains_key(id) {
            continue;
        }
        let number = next.entry(name).or_default();
        let Some(sent) = state.sent(name).nth(*number) else { continue };
        if until.is_some_and(|until| sent.wall > until) {
            continue;
        }
        let value: Value = serde_json::from_str(&sent.data).unwrap_or(Value::Null);
        let outcome = match fits(state, id, &value) {
            Ok(()) => succeeded(&value),
            Err(why) => {
                let message = format!("the data of the signal `{name}` is not what the task's schema says: {why}");
                Outcome::Failed { class: Class::Invalid, message }
            }
        };
        *number += 1;
        outcomes.insert(id.clone(), outcome);
    }
}

fn said(yes: bool, who: &str, why: &str) -> Outcome {
    if yes {
        return succeeded(&json!({ "who": who, "why": why }));
    }
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    Outcome::Failed { class: Class::Rejected, message: format!("{who} rejected it{because}") }
}

/// What a task comes to whose time is over.
fn over(state: &RunState, id: &TaskId, until: Millis) -> Outcome {
    let message = match state.waits_on(id).map(|waiting| &waiting.on) {
        Some(WaitFor::Approval { prompt, .. }) => {
            format!("nobody approved or rejected it until {until}: {prompt}; raise `approve.timeout`, or ask again")
        }
        Some(WaitFor::Signal { name, .. }) => {
            format!("no signal `{name}` came until {until}; raise `signal.timeout`, or look for why nobody sent it")
        }
        _ => return succeeded(&Value::Null),
    };
    Outcome::Failed { class: Class::Timeout, message }
}

/// What a task comes to that gathers.
fn together(state: &RunState, gathered: Gathered) -> Outcome {
    match gathered {
        Gathered::Taken(ids) => succeeded(&state.gathered_value(&ids)),
        Gathered::Short { have, need, without } => {
            let message = format!(
                "it needs {need} of the tasks that it gathers, and no more than {have} can succeed, without {}",
                list(&without)
            );
            Outcome::Failed { class: Class::Quorum, message }
        }
    }
}

fn succeeded(value: &Value) -> Outcome {
    let value = canonical(value);
    let digest = sha256_hex(value.as_bytes());
    Outcome::Succeeded { value, digest }
}
