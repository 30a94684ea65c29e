//! Checks a goal against itself, before anything runs.
//!
//! Each submodule answers one question and adds what it finds to a list; none of them stops at the first error. What
//! depends on several tasks together (order, cycles, the critical path) is the business of
//! [`plan`](crate::plan).

mod budget;
mod children;
mod names;
mod needs;
mod params;
mod rules;
mod statics;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(crate) use budget::{check_wall, is_counter};
pub(crate) use children::{given, within};
pub(crate) use needs::Need;
pub(crate) use params::{check_defaults, resolved_params};
pub(crate) use waits::signal_name;

use crate::goal::error::{GoalError, closest, list};
use crate::goal::model::{Goal, Task};

/// What is wrong, so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<GoalError>);

impl Findings {
    /// Adds an error at a JSON pointer.
    pub(crate) fn add(&mut self, pointer: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(GoalError::at(pointer, problem, remedy));
    }

    /// Adds an error.
    pub(crate) fn push(&mut self, error: GoalError) {
        self.0.push(error);
    }

    /// All that was found.
    pub(crate) fn into_errors(self) -> Vec<GoalError> {
        self.0
    }
}

/// What the checks of one task look at.
#[derive(Clone, Copy)]
struct Subject<'g> {
    goal: &'g Goal,
    /// The parameters with their values, as far as they have one.
    params: &'g BTreeMap<String, Value>,
    task: &'g Task,
    /// The task's number in the file.
    index: usize,
    /// Where in the task it stands: nothing, or `/undo`.
    part: &'static str,
}

impl Subject<'_> {
    /// The JSON pointer of a field of the task.
    fn at(&self, field: &str) -> String {
        format!("/tasks/{}{}{field}", self.index, self.part)
    }
}

/// Checks every task by itself and in its references; gives what each task needs, in the order of the file.
pub(crate) fn check(goal: &Goal, params: &BTreeMap<String, Value>, findings: &mut Findings) -> Vec<Vec<Need>> {
    names::check(goal, findings);
    rules::check_goal(goal, findings);
    budget::check(goal, findings);
    let ids: BTreeMap<&str, usize> =
        goal.tasks.iter().enumerate().rev().map(|(index, task)| (task.id.as_str(), index)).collect();
    let mut all = Vec::with_capacity(goal.tasks.len());
    for (index, task) in goal.tasks.iter().enumerate() {
        let subject = Subject { goal, params, task, index, part: "" };
        rules::check_task(subject, findings);
        waits::check(subject, findings);
        statics::check(subject, findings);
        if let Some(undo) = task.undo_task() {
            let subject = Subject { task: &undo, part: "/undo", ..subject };
            rules::check_undo(subject, findings);
            statics::check(subject, findings);
        }
        all.push(needs::needs(subject, &ids, findings));
    }
    all
}

/// Refuses tasks whose capability is not among those that are offered.
pub(crate) fn check_offered(goal: &Goal, offered: &BTreeSet<String>, findings: &mut Findings) {
    for (index, task) in goal.tasks.iter().enumerate() {
        check_offer((task, &format!("/tasks/{index}")), offered, findings);
        if let Some(undo) = task.undo_task() {
            check_offer((&undo, &format!("/tasks/{index}/undo")), offered, findings);
        }
    }
}

fn check_offer((task, place): (&Task, &str), offered: &BTreeSet<String>, findings: &mut Findings) {
    if let Some(capability) = capability_of(task).filter(|name| !offered.contains(*name)) {
        let pointer = match (&task.capability, task.kinds().first()) {
            (None, Some(kind)) => format!("{place}/{kind}"),
            _ => format!("{place}/capability"),
        };
        let problem = format!("nobody offers the capability `{capability}`; offered are {}", list(offered));
        let remedy = match closest(capability, offered.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "use an offered capability, or start an agent that offers this one".to_owned(),
        };
        findings.add(pointer, problem, remedy);
    }
}

/// The capability a task needs: its own, or that of its kind. The kinds that the run itself carries out need none.
pub(crate) fn capability_of(task: &Task) -> Option<&str> {
    let kind = task.work()?.kind();
    kind.capability().map(|by_kind| task.capability.as_deref().unwrap_or(by_kind))
}
