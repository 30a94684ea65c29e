//! Does a goal inside this one get the parameters that it has?

use std::collections::BTreeMap;

use serde_json::Value;

use super::Findings;
use crate::goal::error::{GoalError, Place, closest, expected};
use crate::goal::model::{ChildGoal, Goal};
use crate::goal::source::escaped;
use crate::goal::template::{Scope, resolve};

/// The parameters of a child as far as they are known before anything runs. Adds what is missing or unknown.
pub(crate) fn given(
    (child, goal): (&ChildGoal, &Goal),
    params: &BTreeMap<String, Value>,
    pointer: &str,
    findings: &mut Findings,
) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, value) in &child.params {
        if goal.params.contains_key(name) {
            // What refers to a result is known when the child begins.
            values
                .extend(resolve(value, &Scope::new(params, &BTreeMap::new())).ok().map(|value| (name.clone(), value)));
            continue;
        }
        let known = goal.params.keys();
        let remedy = match closest(name, known.clone().map(String::as_str)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("leave it out, or declare it as [params.{name}] in that goal"),
        };
        let problem = format!("the goal `{}` has no parameter `{name}`; {}", goal.name, expected(known));
        findings.push(GoalError::at(format!("{pointer}/params/{}", escaped(name)), problem, remedy).on_key());
    }
    for (name, param) in goal.params.iter().filter(|(name, _)| !child.params.contains_key(*name)) {
        if let Some(default) = &param.default {
            values.insert(name.clone(), default.clone());
            continue;
        }
        let problem = format!(
            "the parameter `{name}` of the goal `{}` has no default and is not given; expected a value",
            goal.name
        );
        findings.add(format!("{pointer}/params"), problem, format!("add {name} = VALUE to its `params`"));
    }
    values
}

/// What is wrong with a child, as something wrong with the goal around it.
pub(crate) fn within(pointer: &str, inner: Findings, findings: &mut Findings) {
    for mut error in inner.into_errors() {
        if let Place::Pointer(at) = &error.place {
            error.place = Place::Pointer(format!("{pointer}/inline{at}"));
        }
        findings.push(error);
    }
}
