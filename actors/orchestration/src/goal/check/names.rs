//! Are the names well formed and unique?

use std::collections::BTreeMap;

use super::Findings;
use crate::goal::error::GoalError;
use crate::goal::model::Goal;
use crate::goal::source::escaped;

/// Checks the name of the goal, of its parameters, of its tasks and of their inputs.
pub(super) fn check(goal: &Goal, findings: &mut Findings) {
    well_formed(("goal", &goal.name), GoalError::at("/name", "", ""), findings);
    for name in goal.params.keys() {
        well_formed(
            ("parameter", name),
            GoalError::at(format!("/params/{}", escaped(name)), "", "").on_key(),
            findings,
        );
    }
    let mut first = BTreeMap::new();
    for (index, task) in goal.tasks.iter().enumerate() {
        let place = || GoalError::at(format!("/tasks/{index}/id"), "", "");
        well_formed(("task", &task.id), place(), findings);
        if let Some(earlier) = first.insert(&task.id, index) {
            let mut error = place();
            error.problem = format!("the id `{}` is taken by tasks[{earlier}]; expected an id of its own", task.id);
            "give one of the two another id".clone_into(&mut error.remedy);
            findings.push(error);
        }
        for name in task.inputs.keys() {
            let place = GoalError::at(format!("/tasks/{index}/inputs/{}", escaped(name)), "", "").on_key();
            well_formed(("input", name), place, findings);
        }
    }
}

fn well_formed((what, name): (&str, &str), mut error: GoalError, findings: &mut Findings) {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return;
    }
    error.problem = format!("`{name}` is no name of a {what}; expected letters, digits, `-` and `_`");
    let tame: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    error.remedy = if tame.is_empty() { format!("give the {what} a name") } else { format!("write `{tame}`") };
    findings.push(error);
}
