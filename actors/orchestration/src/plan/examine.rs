//! What a goal comes to: its order, its critical path, and what is wrong with it and with the goals inside it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::order;
use crate::goal::DEEPEST;
use crate::goal::check::{Findings, Need, check, check_defaults, check_offered, check_wall, given, within};
use crate::goal::error::GoalError;
use crate::goal::model::{ChildGoal, Goal, Task};
use crate::goal::span::Span;

/// What is known when a goal is examined.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    /// The parameters with their values, as far as they have one.
    pub(super) params: &'k BTreeMap<String, Value>,
    /// The capabilities that are offered; any where it does not matter.
    pub(super) offered: Option<&'k BTreeSet<String>>,
    /// How many goals are inside each other, up to this one.
    pub(super) depth: usize,
}

/// What a goal comes to. Tasks are numbers in the order of the file.
pub(super) struct Shape {
    /// What each task needs.
    pub(super) edges: Vec<Vec<usize>>,
    /// The tasks, each after all it needs; none where some wait for each other.
    pub(super) ordered: Vec<usize>,
    /// The tasks on the critical path.
    pub(super) critical: Vec<usize>,
    /// How long the critical path takes at least.
    pub(super) length: Duration,
}

/// Checks a goal and those inside it, and orders its tasks.
pub(super) fn examine(goal: &Goal, known: Known<'_>, findings: &mut Findings) -> Shape {
    let needs = check(goal, known.params, findings);
    if let Some(offered) = known.offered {
        check_offered(goal, offered, findings);
    }
    let weights: Vec<Duration> = goal.tasks.iter().enumerate().map(|task| weight(task, known, findings)).collect();
    let edges: Vec<Vec<usize>> = needs.iter().map(|needs| needs.iter().map(|need| need.task).collect()).collect();
    let ordered = match order::ordered(&edges) {
        Ok(ordered) => ordered,
        Err(cycle) => {
            findings.push(cycle_error(goal, &needs, &cycle));
            Vec::new()
        }
    };
    // A task that goes on without some of what it gathers does not take as long as they do.
    let firm: Vec<Vec<usize>> =
        needs.iter().map(|needs| needs.iter().filter(|need| !need.spare).map(|need| need.task).collect()).collect();
    let critical = order::critical(&ordered, &firm, &weights);
    check_deadline(goal, (&critical, &weights), findings);
    let length = critical.iter().map(|&task| weights[task]).sum();
    check_wall(goal, length, findings);
    Shape { edges, ordered, critical, length }
}

/// How long a task takes at the very least. Whoever may be skipped takes what it says itself.
fn weight((index, task): (usize, &Task), known: Known<'_>, findings: &mut Findings) -> Duration {
    let inner = task.goal.as_ref().map(|child| child_length((index, child), known, findings));
    let said = task.at_least.unwrap_or_default().duration();
    if task.when.is_some() || task.for_each.is_some() {
        return said;
    }
    let waits = task.wait.as_ref().and_then(|wait| wait.span).unwrap_or_default().duration();
    said.max(waits).max(inner.unwrap_or_default())
}

/// Examines the goal of a task; gives how long it takes at least.
fn child_length((index, child): (usize, &ChildGoal), known: Known<'_>, findings: &mut Findings) -> Duration {
    let pointer = format!("/tasks/{index}/goal");
    let Some(goal) = &child.inline else {
        let file = child.file.as_deref().unwrap_or_default();
        let problem = format!("the goal of the file `{file}` is not there; expected it to have been read");
        findings.add(pointer, problem, "load the goal with the goals inside it");
        return Duration::ZERO;
    };
    if known.depth == DEEPEST {
        let problem = format!("more than {DEEPEST} goals are inside each other");
        findings.add(pointer, problem, "take a level out: put its tasks into the goal around it");
        return Duration::ZERO;
    }
    let params = given((child, goal), known.params, &pointer, findings);
    let mut inner = Findings::default();
    check_defaults(goal, &mut inner);
    let shape = examine(goal, Known { params: &params, depth: known.depth + 1, ..known }, &mut inner);
    within(&pointer, inner, findings);
    shape.length
}

/// The error for tasks that wait for each other; each task of the cycle needs the one after it.
fn cycle_error(goal: &Goal, needs: &[Vec<Need>], cycle: &[usize]) -> GoalError {
    let ids: Vec<&str> = cycle.iter().chain(cycle.first()).map(|&task| goal.tasks[task].id.as_str()).collect();
    let next = cycle.get(1).or(cycle.first());
    let stated = cycle.first().and_then(|&first| needs[first].iter().find(|need| Some(&need.task) == next));
    let problem = format!("these tasks wait for each other, so none can start: {}", ids.join(" -> "));
    let remedy = "remove one of these `after` entries or references";
    GoalError::at(stated.map_or("/tasks", |need| need.pointer.as_str()), problem, remedy)
}

fn check_deadline(goal: &Goal, (critical, weights): (&[usize], &[Duration]), findings: &mut Findings) {
    let path = critical.iter().map(|&task| (goal.tasks[task].id.as_str(), Span::of(weights[task])));
    let path: Vec<(&str, Span)> = path.filter(|(_, at_least)| *at_least > Span::default()).collect();
    let length = Span::of(path.iter().map(|(_, at_least)| at_least.duration()).sum());
    if let Some(deadline) = goal.limits.deadline.filter(|deadline| *deadline < length && *deadline > Span::default()) {
        let sum: Vec<String> = path.iter().map(|(id, at_least)| format!("{id} ({at_least})")).collect();
        let problem = format!(
            "the deadline, {deadline}, is below the critical path, {length}: {}; expected at least that",
            sum.join(" -> ")
        );
        findings.add("/limits/deadline", problem, format!("raise the deadline above {length}, or shorten the path"));
    }
}
