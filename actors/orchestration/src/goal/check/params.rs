//! Do the parameters have values?

use std::collections::BTreeMap;

use serde_json::Value;

use super::Findings;
use crate::goal::error::{GoalError, closest, expected};
use crate::goal::model::Goal;
use crate::goal::source::escaped;
use crate::goal::template::references;

/// The value of each parameter: the given one, or the default. Adds what is missing or unknown to the findings.
pub(crate) fn resolved_params(
    goal: &Goal,
    mut given: BTreeMap<String, Value>,
    findings: &mut Findings,
) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    check_defaults(goal, findings);
    for (name, param) in &goal.params {
        if let Some(value) = given.remove(name).or_else(|| param.default.clone()) {
            values.insert(name.clone(), value);
            continue;
        }
        let purpose = param.description.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
        let problem = format!("the parameter `{name}`{purpose} has no default and was not given; expected a value");
        findings.push(GoalError::param(name, problem, format!("give --param {name}=VALUE")));
    }
    for name in given.into_keys() {
        let known = goal.params.keys();
        let remedy = match closest(&name, known.clone().map(String::as_str)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("leave it out, or declare it as [params.{name}] in the goal"),
        };
        let problem = format!("the goal has no parameter `{name}`; {}", expected(known));
        findings.push(GoalError::param(name, problem, remedy));
    }
    values
}

/// Checks the defaults of the parameters.
pub(crate) fn check_defaults(goal: &Goal, findings: &mut Findings) {
    for (name, param) in &goal.params {
        if let Some(default) = &param.default {
            refuse_references(name, default, findings);
        }
    }
}

/// A default is taken as it stands, so a reference in it is a misunderstanding.
fn refuse_references(name: &str, default: &Value, findings: &mut Findings) {
    if let Some(reference) = references(default).ok().and_then(|found| found.into_iter().next()) {
        let problem = format!("a default is taken as it stands, so `{}` would not be resolved", reference.text);
        let remedy = "write a plain value, and refer to other parameters where this one is used";
        findings.push(GoalError::at(format!("/params/{}/default", escaped(name)), problem, remedy));
    }
}
