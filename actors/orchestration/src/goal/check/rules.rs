//! Does each task say exactly one thing, within its limits?

use super::{Findings, Subject};
use crate::goal::error::{GoalError, list};
use crate::goal::keys::spoken;
use crate::goal::model::{Assertion, Check, Command, Condition, DEFAULT_TIMEOUT, Goal, ResultKind, Retrieve};
use crate::goal::source::escaped;
use crate::goal::span::Span;
use crate::goal::work::{TaskKind, Work};

/// Checks the limits of the goal, and that there is anything to do.
pub(super) fn check_goal(goal: &Goal, findings: &mut Findings) {
    if goal.limits.concurrency == Some(0) {
        findings.add("/limits/concurrency", "with a concurrency of 0 nothing would run; expected 1 or more", "write 1");
    }
    if goal.limits.deadline == Some(Span::default()) {
        findings.add(
            "/limits/deadline",
            "a deadline of 0 cannot be kept; expected a longer one",
            "write such as \"10m\"",
        );
    }
    if goal.tasks.is_empty() {
        findings.add("/tasks", "the goal has no tasks; expected at least one", "add a [[tasks]] with an id and a kind");
    }
}

/// Checks one task by itself.
pub(super) fn check_task(subject: Subject<'_>, findings: &mut Findings) {
    check_numbers(subject, findings);
    if let Some(when) = &subject.task.when {
        check_condition(subject, when, findings);
    }
    let kinds = subject.task.kinds();
    let names = list(&TaskKind::ALL.map(TaskKind::name));
    match (subject.task.work(), kinds.as_slice()) {
        (Some(work), _) => check_work(subject, work, findings),
        (None, []) => {
            let problem = format!("the task `{}` does nothing; expected one of {names}", subject.task.id);
            findings.add(subject.at("/id"), problem, "add what the task does, such as command = { program = \"…\" }");
        }
        (None, [.., second]) => {
            let found = list(&kinds.iter().copied().map(TaskKind::name).collect::<Vec<_>>());
            let problem = format!("the task `{}` has {found}; expected exactly one of {names}", subject.task.id);
            let error =
                GoalError::at(subject.at(&format!("/{second}")), problem, "make a task of its own for each kind");
            findings.push(error.on_key());
        }
    }
}

/// Checks the undo of a task, as the task that it is.
pub(super) fn check_undo(subject: Subject<'_>, findings: &mut Findings) {
    check_numbers(subject, findings);
    match (subject.task.work(), subject.task.kinds().is_empty()) {
        (Some(work), _) => check_work(subject, work, findings),
        (None, true) => {
            let problem =
                format!("the undo of `{}` does nothing; expected one of `command`, `collect`", subject.task.id);
            findings.add(subject.at(""), problem, "add what the undo does, such as command = { program = \"…\" }");
        }
        (None, false) => {
            let problem =
                format!("the undo of `{}` has `command` and `collect`; expected exactly one of them", subject.task.id);
            findings.push(GoalError::at(subject.at("/collect"), problem, "keep one of them").on_key());
        }
    }
}

fn check_numbers(subject: Subject<'_>, findings: &mut Findings) {
    let task = subject.task;
    if task.max_items == 0 {
        findings.add(
            subject.at("/max_items"),
            "with 0 items at most, no list fits; expected 1 or more",
            "write 1 or more",
        );
    }
    if task.timeout == Some(Span::default()) {
        findings.add(
            subject.at("/timeout"),
            "a timeout of 0 fails every attempt; expected a longer one",
            "write such as \"30s\"",
        );
    }
    if task.retries.attempts == 0 {
        let remedy = "write 1 for no second attempt, 2 for one, and so on";
        findings.add(
            subject.at("/retries/attempts"),
            "with 0 attempts the task never runs; expected 1 or more",
            remedy,
        );
    }
    if !(task.retries.factor >= 1.0 && task.retries.factor.is_finite()) {
        let problem = format!("a back-off factor of {} makes no sense; expected 1 or more", task.retries.factor);
        findings.add(subject.at("/retries/factor"), problem, "write 1 for equal waits, or 2 to double them");
    }
    let waits = task.work().is_some_and(|work| work.kind().capability().is_none());
    let timeout = task.timeout.unwrap_or(DEFAULT_TIMEOUT);
    if let Some(at_least) = task.at_least.filter(|at_least| !waits && *at_least > timeout) {
        let which = if task.timeout.is_some() { "its timeout" } else { "the timeout of a task that sets none" };
        let problem =
            format!("the task takes at least {at_least}, more than {which}, {timeout}; expected at most that");
        findings.add(subject.at("/at_least"), problem, format!("raise `timeout` above {at_least} or lower `at_least`"));
    }
}

/// Adds an error unless exactly one of these fields is set.
pub(super) fn exactly_one(subject: Subject<'_>, field: &str, set: &[(&str, bool)], findings: &mut Findings) {
    let found: Vec<&str> = set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    if found.len() != 1 {
        let all: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
        let what = spoken(field);
        let problem = format!("{what} has {}; expected exactly one of {}", list(&found), list(&all));
        let remedy =
            if found.is_empty() { format!("add one of {}", list(&all)) } else { "keep one of them".to_owned() };
        findings.add(subject.at(field), problem, remedy);
    }
}

fn check_condition(subject: Subject<'_>, when: &Condition, findings: &mut Findings) {
    let set = [("exists", when.exists.is_some()), ("missing", when.missing.is_some()), ("value", when.value.is_some())];
    let claims = when.claims();
    let claimed = claims.iter().find(|(_, set)| *set).map(|(name, _)| *name);
    match (claimed, &when.value) {
        (_, Some(_)) => {
            exactly_one(subject, "/when", &set, findings);
            exactly_one(subject, "/when", &claims, findings);
        }
        (Some(name), None) => {
            let problem = format!("`{name}` has no `value` to be about; expected both");
            findings.add(subject.at(&format!("/when/{name}")), problem, "add value = \"${tasks.ID.result}\"");
        }
        (None, None) => exactly_one(subject, "/when", &set, findings),
    }
}

fn check_work(subject: Subject<'_>, work: Work<'_>, findings: &mut Findings) {
    if !matches!(work, Work::Command(_)) && subject.task.result != ResultKind::Exit {
        let problem = format!("`result` is for commands; the task `{}` is a {}", subject.task.id, work.kind());
        let remedy = "remove `result`; the value of this kind of task is its result";
        findings.push(GoalError::at(subject.at("/result"), problem, remedy).on_key());
    }
    match work {
        Work::Command(command) => check_command(subject, command, findings),
        Work::Retrieve(retrieve) => check_retrieve(subject, retrieve, findings),
        Work::Check(check) => check_check(subject, check, findings),
        _ => {}
    }
}

fn check_command(subject: Subject<'_>, command: &Command, findings: &mut Findings) {
    if command.program.is_empty() {
        let remedy = "name a program, such as \"git\"";
        findings.add(subject.at("/command/program"), "the program is empty; expected a name or a path", remedy);
    }
    if command.expect_exit.is_empty() {
        let remedy = "write [0], or leave `expect_exit` out";
        findings.add(
            subject.at("/command/expect_exit"),
            "no exit code would be success; expected at least one",
            remedy,
        );
    }
    for name in command.env.keys() {
        let pointer = subject.at(&format!("/command/env/{}", escaped(name)));
        if name.starts_with("STEADFAST_") {
            let problem =
                format!("`{name}` is set by steadfast itself; expected a name that does not begin with STEADFAST_");
            findings.push(GoalError::at(pointer, problem, "choose another name").on_key());
        } else if name.is_empty() || name.contains(['=', '\0']) {
            let problem = format!("`{name}` is no name of an environment variable; expected one without `=`");
            findings.push(GoalError::at(pointer, problem, "choose another name").on_key());
        }
    }
}

fn check_retrieve(subject: Subject<'_>, retrieve: &Retrieve, findings: &mut Findings) {
    let set = [
        ("files", retrieve.files.is_some()),
        ("content", retrieve.content.is_some()),
        ("digest", retrieve.digest.is_some()),
        ("value", retrieve.value.is_some()),
    ];
    exactly_one(subject, "/retrieve", &set, findings);
    let pointer = retrieve.value.as_ref().map_or("", |value| value.pointer.as_str());
    if !pointer.is_empty() && !pointer.starts_with(['/', '$']) {
        let problem = format!("`{pointer}` is no JSON pointer; expected one that begins with `/`");
        findings.add(
            subject.at("/retrieve/value/pointer"),
            problem,
            format!("write \"/{}\"", pointer.replace('.', "/")),
        );
    }
}

fn check_check(subject: Subject<'_>, check: &Check, findings: &mut Findings) {
    if check.assert.is_empty() && check.schema.is_none() && check.secrets.is_none() && check.licences.is_none() {
        let problem = "the check checks nothing; expected at least one of `assert`, `schema`, `secrets`, `licences`";
        findings.add(subject.at("/check"), problem, "add what must hold");
    }
    if check.schema.is_some() && check.value.is_none() {
        let problem = "`schema` has no `value` to be about; expected both";
        findings.add(subject.at("/check/schema"), problem, "add value = \"${tasks.ID.result}\"");
    }
    if check.schema.is_none() && check.value.is_some() {
        let remedy = "add a `schema`, or put the value into an assertion";
        findings.add(subject.at("/check/value"), "`value` has no `schema` that is about it; expected both", remedy);
    }
    for (index, assertion) in check.assert.iter().enumerate() {
        check_assertion(subject, (index, assertion), findings);
    }
}

fn check_assertion(subject: Subject<'_>, (index, assertion): (usize, &Assertion), findings: &mut Findings) {
    let set = [
        ("equals", assertion.equals.is_some()),
        ("not_equals", assertion.not_equals.is_some()),
        ("at_least", assertion.at_least.is_some()),
        ("at_most", assertion.at_most.is_some()),
        ("matches", assertion.matches.is_some()),
        ("contains", assertion.contains.is_some()),
    ];
    exactly_one(subject, &format!("/check/assert/{index}"), &set, findings);
}
