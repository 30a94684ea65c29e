//! Are the budgets such that anything can be done within them?

use std::time::Duration;

use super::Findings;
use crate::goal::error::GoalError;
use crate::goal::model::Goal;
use crate::goal::source::escaped;
use crate::goal::span::Span;

/// How many characters the name of a counter may have.
const NAME: usize = 64;

/// Checks the budgets of a goal by themselves.
pub(super) fn check(goal: &Goal, findings: &mut Findings) {
    let budget = &goal.budget;
    if budget.wall == Some(Span::default()) {
        let problem = "a budget of no time ends every run at once; expected a longer one";
        findings.add("/budget/wall", problem, "write such as \"10m\"");
    }
    for (name, value) in [("attempts", budget.attempts), ("agents", budget.agents), ("output", budget.output)] {
        if value == Some(0) {
            let problem = format!("with a budget of 0 {name} nothing would be done; expected 1 or more");
            findings.add(format!("/budget/{name}"), problem, format!("write 1 or more, or leave `{name}` out"));
        }
    }
    if budget.repeats.is_some_and(|repeats| repeats < 2) {
        let problem = "a call that was made once was not repeated; expected 2 or more";
        findings.add("/budget/repeats", problem, "write such as 5, or leave `repeats` out");
    }
    for name in budget.counters.keys().filter(|name| !is_counter(name)) {
        let problem = format!(
            "`{name}` is no name of a counter; expected at most {NAME} letters, digits, `.`, `-` and `_`, such as `tokens`"
        );
        let error = GoalError::at(format!("/budget/counters/{}", escaped(name)), problem, "choose another name");
        findings.push(error.on_key());
    }
}

/// Refuses a budget of time that the tasks cannot be done within, whatever happens.
pub(crate) fn check_wall(goal: &Goal, length: Duration, findings: &mut Findings) {
    let length = Span::of(length);
    if let Some(wall) = goal.budget.wall.filter(|wall| *wall < length && *wall > Span::default()) {
        let problem = format!("the budget of {wall} is below the critical path, {length}; expected at least that");
        findings.add("/budget/wall", problem, format!("raise `wall` above {length}, or shorten the path"));
    }
}

/// Whether a counter may have this name.
pub(crate) fn is_counter(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=NAME).contains(&name.len()) && name.chars().all(known)
}
