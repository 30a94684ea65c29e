//! What a task begins to wait for, with everything that it refers to in its place.

use serde_json::{Value, json};

use super::context::unresolved;
use crate::goal::check::signal_name;
use crate::goal::model::{ChildGoal, FailureClass, Signal, Task, Wait};
use crate::goal::moment::Moment;
use crate::goal::span::Span;
use crate::goal::template::Scope;
use crate::goal::work::Work;
use crate::run::Begin;
use crate::work::Failure;

/// What a task that the run itself carries out begins with; nothing for one that an agent carries out.
pub(super) fn begin(task: &Task, scope: &Scope<'_>) -> Result<Begin, Failure> {
    let task = task.resolved(scope).map_err(|error| unresolved(&error))?;
    match task.work() {
        Some(Work::Approve(approve)) => {
            Ok(Begin::Approval { prompt: approve.prompt.clone(), timeout: approve.timeout.map(Span::duration) })
        }
        Some(Work::Wait(wait)) => until(wait),
        Some(Work::Signal(signal)) => event(signal),
        Some(Work::Goal(child)) => Ok(Begin::Child { params: params(child) }),
        _ => Err(Failure::new(FailureClass::Invalid, "the task is of no kind that the run carries out")),
    }
}

fn until(wait: &Wait) -> Result<Begin, Failure> {
    if let Some(span) = wait.span {
        return Ok(Begin::For(span.duration()));
    }
    let moment = wait.until.as_deref().unwrap_or_default().parse::<Moment>();
    let moment = moment.map_err(|error| Failure::new(FailureClass::Invalid, format!("`wait.until`: {error}")))?;
    Ok(Begin::Until(moment.into()))
}

fn event(signal: &Signal) -> Result<Begin, Failure> {
    signal_name(&signal.name).map_err(|problem| Failure::new(FailureClass::Invalid, problem))?;
    Ok(Begin::Signal { name: signal.name.clone(), timeout: signal.timeout.map(Span::duration) })
}

fn params(child: &ChildGoal) -> Value {
    json!(child.params)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::run::Millis;

    #[track_caller]
    fn begins(task: Value) -> Result<Begin, String> {
        let mut task = task;
        task["id"] = json!("a");
        let params = BTreeMap::from([("who".to_owned(), json!("ann")), ("day".to_owned(), json!("2026-12-01"))]);
        let results = BTreeMap::from([("list".to_owned(), json!([1, { "deep": true }]))]);
        let task = serde_json::from_value(task).expect("a task");
        begin(&task, &Scope::new(&params, &results)).map_err(|failure| failure.message)
    }

    #[test]
    fn everything_that_a_task_waits_for_may_come_from_elsewhere() {
        let asks = begins(json!({ "approve": { "prompt": "Ship it, ${params.who}?", "timeout": "3d" } }));
        let timeout = Some(Duration::from_hours(72));
        assert_eq!(asks, Ok(Begin::Approval { prompt: "Ship it, ann?".to_owned(), timeout }));
        let until = begins(json!({ "wait": { "until": "${params.day}T00:00:00Z" } }));
        assert_eq!(until, Ok(Begin::Until(Millis(1_796_083_200_000))));
        assert_eq!(begins(json!({ "wait": { "for": "10m" } })), Ok(Begin::For(Duration::from_mins(10))));
        let signal = begins(json!({ "signal": { "name": "paid.${params.who}" } }));
        assert_eq!(signal, Ok(Begin::Signal { name: "paid.ann".to_owned(), timeout: None }));
        let child = begins(json!({ "goal": { "file": "x.toml", "params": { "list": "${tasks.list.result}" } } }));
        assert_eq!(child, Ok(Begin::Child { params: json!({ "list": [1, { "deep": true }] }) }));
    }

    #[test]
    fn what_turns_out_to_be_no_moment_and_no_name_is_told() {
        let told = begins(json!({ "wait": { "until": "${params.day}" } })).expect_err("no moment");
        assert!(told.starts_with("`wait.until`: `2026-12-01` is no moment"), "{told}");
        let told = begins(json!({ "signal": { "name": "${tasks.list.result}" } })).expect_err("no name");
        assert!(told.contains("is no name of a signal"), "{told}");
        assert!(begins(json!({ "approve": { "prompt": "${params.x}" } })).is_err());
    }
}
