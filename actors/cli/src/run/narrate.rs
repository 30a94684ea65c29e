//! What is worth a line.

use std::time::Duration;

use steadfast::supervision::StartCause;
use steadfast::{Event, EventKind, ExitClass, ExitReason, Verdict};
use steadfast_orchestration::run::{Outcome, Record, RunState, Status};

/// The line about a record; `state` is that before it.
pub(crate) fn record(record: &Record, state: &RunState) -> String {
    match record {
        Record::RunStarted { run, .. } => format!("run {run} started"),
        Record::Planned { tasks, critical_path, .. } => {
            format!("planned: {tasks} tasks, critical path {}", critical_path.join(" -> "))
        }
        Record::Unplannable { message } => format!("the goal cannot be planned: {message}"),
        Record::Expanded { task, items } => format!("task {task}: {items} items"),
        Record::Leased(lease) => {
            let again = state.task(&lease.task).is_some_and(|task| task.lost);
            let again = if again { ", given out again" } else { "" };
            format!("task {} started, attempt {} on {}{again}", lease.task, lease.attempt, lease.agent)
        }
        Record::Failed { task, attempt, class, message, .. } => {
            format!("task {task}: attempt {attempt} failed ({}): {message}", class.as_str())
        }
        Record::Lost { task, attempt, why, .. } => format!("task {task}: attempt {attempt} was lost: {why}"),
        Record::Refused { task, attempt, agent, incarnation } => {
            format!(
                "task {task}: the report of {agent}, incarnation {incarnation}, about attempt {attempt} was refused"
            )
        }
        Record::Recorded { task, outcome, .. } => match outcome {
            Outcome::Succeeded { .. } => format!("task {task} done"),
            Outcome::Failed { class, .. } => format!("task {task} failed ({})", class.as_str()),
            Outcome::Skipped { reason, .. } => format!("task {task} skipped: {reason}"),
        },
        Record::Draining => "draining: no further tasks are started".to_owned(),
        Record::Ended { status: Status::Reached, .. } => "the goal is reached".to_owned(),
        Record::Ended { status: Status::Failed, .. } => "the goal failed".to_owned(),
        Record::Ended { status: Status::Drained, .. } => "drained".to_owned(),
    }
}

/// The line about an event of the tree, if it is worth one.
pub(crate) fn event(event: &Event) -> Option<String> {
    let path = &event.path;
    match &event.kind {
        EventKind::Exited { incarnation, reason, verdict } => {
            exited(reason, *verdict).map(|how| format!("agent {path}, incarnation {incarnation}, {how}"))
        }
        EventKind::Starting { incarnation, cause } => match cause {
            StartCause::Init => None,
            StartCause::Sibling { culprit, .. } => {
                Some(format!("agent {path} restarted with {culprit}, incarnation {incarnation}"))
            }
            _ => Some(format!("agent {path} restarted, incarnation {incarnation}")),
        },
        EventKind::GaveUp(escalation) => Some(format!(
            "supervisor {path} gave up ({}): {} {}; {}",
            escalation.limit,
            escalation.child,
            escalation.reason,
            escalation.remedy()
        )),
        EventKind::Killing { incarnation } => {
            Some(format!("agent {path}, incarnation {incarnation}, did not stop in time and is killed"))
        }
        EventKind::Ending { culprit: Some(culprit) } => Some(format!("the tree ends, because of {culprit}")),
        _ => None,
    }
}

/// How an agent ended, unless somebody asked it to.
fn exited(reason: &ExitReason, verdict: Verdict) -> Option<String> {
    use Verdict::{StoppedOnRequest, StoppedWithGroup, StoppedWithSupervisor};
    let asked = matches!(verdict, StoppedOnRequest | StoppedWithGroup | StoppedWithSupervisor);
    (!asked && reason.class() == ExitClass::Abnormal).then(|| format!("{reason}; {verdict}"))
}

/// The line of progress.
pub(crate) fn progress(state: &RunState, restarts: u64, elapsed: Duration) -> String {
    let total = state.tasks().count();
    let done = state.tasks().filter(|(_, task)| task.settled.is_some()).count();
    let running = state.held().count();
    format!("{done}/{total} done, {running} running, {restarts} restarts, {:.1} s", elapsed.as_secs_f64())
}
