//! Do the tasks that wait say what they wait for, and only that?

use std::collections::BTreeMap;

use super::rules::exactly_one;
use super::statics::known;
use super::{Findings, Subject};
use crate::goal::error::GoalError;
use crate::goal::model::{Approve, Gather, Retries, Signal, Take, Wait};
use crate::goal::moment::Moment;
use crate::goal::span::Span;
use crate::goal::work::{TaskKind, Work};

/// Checks a task that the run itself carries out.
pub(super) fn check(subject: Subject<'_>, findings: &mut Findings) {
    let Some(work) = subject.task.work().filter(|work| work.kind().capability().is_none()) else { return };
    check_keys(subject, work.kind(), findings);
    match work {
        Work::Approve(approve) => check_approve(subject, approve, findings),
        Work::Wait(wait) => check_wait(subject, wait, findings),
        Work::Signal(signal) => check_signal(subject, signal, findings),
        Work::Gather(gather) => check_gather(subject, gather, findings),
        _ => {}
    }
}

/// Refuses keys that mean nothing where no agent carries the task out.
fn check_keys(subject: Subject<'_>, kind: TaskKind, findings: &mut Findings) {
    let task = subject.task;
    let timeout = match kind {
        TaskKind::Approve | TaskKind::Signal => format!("write it as `{kind}.timeout`"),
        TaskKind::Wait => "remove it; `wait` itself says how long".to_owned(),
        TaskKind::Goal => "write `limits.deadline` in the file of that goal".to_owned(),
        _ => "remove it; the tasks that are gathered have timeouts of their own".to_owned(),
    };
    let nobody = || "remove it; the run itself carries this task out".to_owned();
    let gather = kind == TaskKind::Gather;
    let elsewhere = || "write it for the gathered tasks, or for those that need this one".to_owned();
    let schema = !matches!(kind, TaskKind::Signal | TaskKind::Goal);
    let set = [
        ("timeout", task.timeout.is_some(), timeout),
        ("retries", task.retries != Retries::default(), "remove it; there are no attempts that could fail".to_owned()),
        ("capability", task.capability.is_some(), nobody()),
        ("schema", schema && task.schema.is_some(), "remove it; the result of this kind has one form only".to_owned()),
        ("when", gather && task.when.is_some(), elsewhere()),
        ("for_each", gather && task.for_each.is_some(), elsewhere()),
        ("inputs", gather && !task.inputs.is_empty(), "remove them; nothing refers to them".to_owned()),
    ];
    for (key, _, remedy) in set.into_iter().filter(|(_, set, _)| *set) {
        let problem = format!("`{key}` means nothing for the task `{}`, of kind `{kind}`; expected none", task.id);
        findings.push(GoalError::at(subject.at(&format!("/{key}")), problem, remedy).on_key());
    }
}

fn check_approve(subject: Subject<'_>, approve: &Approve, findings: &mut Findings) {
    if approve.prompt.trim().is_empty() {
        let remedy = "write what the person is to decide, such as \"Deploy to production?\"";
        findings.add(subject.at("/approve/prompt"), "the prompt is empty; expected a question", remedy);
    }
    check_limit(subject, (approve.timeout, "/approve/timeout"), findings);
}

fn check_limit(subject: Subject<'_>, (limit, field): (Option<Span>, &str), findings: &mut Findings) {
    if limit == Some(Span::default()) {
        findings.add(subject.at(field), "a timeout of 0 fails at once; expected a longer one", "write such as \"3d\"");
    }
}

fn check_wait(subject: Subject<'_>, wait: &Wait, findings: &mut Findings) {
    exactly_one(subject, "/wait", &[("for", wait.span.is_some()), ("until", wait.until.is_some())], findings);
    let until = wait.until.as_deref().and_then(|until| known(subject, until));
    if let Some(Err(error)) = until.map(|until| until.parse::<Moment>()) {
        findings.add(subject.at("/wait/until"), error.to_string(), "write such as \"2026-12-01T00:00:00Z\"");
    }
}

fn check_signal(subject: Subject<'_>, signal: &Signal, findings: &mut Findings) {
    if let Some(Err(problem)) = known(subject, &signal.name).map(|name| signal_name(&name)) {
        findings.add(subject.at("/signal/name"), problem, "write such as \"payment\" or \"payment.${item}\"");
    }
    check_limit(subject, (signal.timeout, "/signal/timeout"), findings);
}

/// Checks the name of a signal; the error says what is wrong and what was expected.
pub(crate) fn signal_name(name: &str) -> Result<(), String> {
    let tame = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if tame && (1..=200).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("`{name}` is no name of a signal; expected 1 to 200 letters, digits, `-`, `_` and `.`"))
}

fn check_gather(subject: Subject<'_>, gather: &Gather, findings: &mut Findings) {
    if gather.of.is_empty() {
        let remedy = "name the tasks, such as of = [\"a\", \"b\"]";
        findings.add(subject.at("/gather/of"), "there is nothing to gather; expected ids of tasks", remedy);
    }
    let mut first = BTreeMap::new();
    for (index, id) in gather.of.iter().enumerate() {
        if let Some(earlier) = first.insert(id, index) {
            let problem = format!("`{id}` is gathered already, by of[{earlier}]; expected each task once");
            findings.add(subject.at(&format!("/gather/of/{index}")), problem, "remove it here");
        }
    }
    if let Take::Quorum(count) = gather.take
        && !(1..=first.len().max(1)).contains(&(count as usize))
    {
        let all = first.len();
        let problem = format!("{count} of {all} tasks make no quorum; expected 1 to {all}");
        findings.add(subject.at("/gather/take/quorum"), problem, "lower it, or gather more tasks");
    }
}
