//! Whether a goal is the same as one that is under way, and where it differs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use steadfast::StreamId;
use steadfast::seam::{Journal, JournalError};

use crate::goal::model::Goal;
use crate::host::{Head, HostError, RunSummary, end_of, head, summary};
use crate::run::{Millis, canonical, is_inside};

/// By what the same goal is recognised when it is run again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The name of the goal.
    pub goal: String,
    /// The input folder, as the run records it: the one path that leads to it.
    pub input: String,
    /// The parameters, as the one JSON text for them.
    pub params: String,
}

impl Identity {
    /// Of a goal of this name, on this folder, with these parameters.
    #[must_use]
    pub fn new(goal: &str, input: &str, params: &BTreeMap<String, Value>) -> Self {
        let params = canonical(&Value::from_iter(params.clone()));
        Self { goal: goal.to_owned(), input: input.to_owned(), params }
    }

    /// Of a run.
    #[must_use]
    pub fn of(run: &Head) -> Self {
        Self::new(&run.goal.name, &run.input, &run.params)
    }
}

/// The run to go on with when this goal is run again, and those that are left alone since they are damaged: the one that
/// began last, of those that have not ended and are no steps of others. It is looked for from the latest on, by the last
/// record of each run, and by the first one where the run is unfinished, so that old runs cost little.
///
/// # Errors
///
/// Where the journal does not answer.
pub async fn find_unfinished(
    journal: &dyn Journal,
    identity: &Identity,
    now: Millis,
) -> Result<(Option<RunSummary>, Vec<HostError>), JournalError> {
    let mut damaged = Vec::new();
    for info in journal.list(StreamId::RUNS).await?.iter().rev() {
        let Some(run) = info.stream.run().filter(|run| !is_inside(*run)) else { continue };
        if end_of(journal, info).await?.is_some() {
            continue;
        }
        let found = match head(journal, run).await {
            Ok(head) if Identity::of(&head) == *identity => summary(journal, run, now).await,
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match found {
            Ok(summary) => return Ok((Some(summary), damaged)),
            // It is in nobody's way.
            Err(error) => damaged.push(error),
        }
    }
    Ok((None, damaged))
}

/// What became of a part of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another one.
    Changed,
}

/// Where a goal differs from the one that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// A task.
    Step {
        /// Its id.
        id: String,
        /// What became of it.
        change: Change,
    },
    /// A setting of the whole goal, such as `limits`.
    Setting {
        /// Its key in the goal file.
        key: String,
        /// What became of it.
        change: Change,
    },
}

/// Where a goal file differs from the goal that a run recorded: settings by key, then tasks in the order of the
/// recorded
/// goal, and those that are new. Descriptions, and the order of the tasks, make no difference.
#[must_use]
pub fn changed_steps(recorded: &Goal, now: &Goal) -> Vec<Difference> {
    let settings = differences(settings(recorded), &settings(now), |key, change| Difference::Setting { key, change });
    let steps = differences(steps(recorded), &steps(now), |id, change| Difference::Step { id, change });
    settings.into_iter().chain(steps).collect()
}

/// The parts in which the two lists differ.
fn differences<D>(
    before: Vec<(String, Value)>,
    after: &[(String, Value)],
    difference: impl Fn(String, Change) -> D,
) -> Vec<D> {
    let value = |parts: &[(String, Value)], key: &str| parts.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let added: Vec<_> = after.iter().filter(|(key, _)| value(&before, key).is_none()).collect();
    let added: Vec<_> = added.into_iter().map(|(key, _)| difference(key.clone(), Change::Added)).collect();
    let changed = before.into_iter().filter_map(|(key, old)| match value(after, &key) {
        None => Some(difference(key, Change::Removed)),
        Some(new) => (new != old).then(|| difference(key, Change::Changed)),
    });
    changed.chain(added).collect()
}

fn settings(goal: &Goal) -> Vec<(String, Value)> {
    let Value::Object(mut goal) = undescribed(goal) else { return Vec::new() };
    goal.remove("tasks");
    goal.into_iter().collect()
}

fn steps(goal: &Goal) -> Vec<(String, Value)> {
    let Value::Object(mut goal) = undescribed(goal) else { return Vec::new() };
    let Some(Value::Array(tasks)) = goal.remove("tasks") else { return Vec::new() };
    let id = |task: &Value| task.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    tasks.into_iter().map(|task| (id(&task), task)).collect()
}

/// A goal as JSON, without the descriptions of it, of its parameters and of its tasks.
fn undescribed(goal: &Goal) -> Value {
    // What was read from a file, or from a journal, can be written.
    let mut value = serde_json::to_value(goal).unwrap_or_default();
    undescribe(&mut value);
    value
}

fn undescribe(goal: &mut Value) {
    let Value::Object(goal) = goal else { return };
    goal.remove("description");
    let params = goal.get_mut("params").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    for param in params {
        param.as_object_mut().map(|param| param.remove("description"));
    }
    for task in goal.get_mut("tasks").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(task) = task else { continue };
        task.remove("description");
        // A goal of its own inside this one.
        if let Some(inner) = task.get_mut("goal").and_then(|goal| goal.get_mut("inline")) {
            undescribe(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goal::read;

    fn goal(text: &str) -> Goal {
        read("goal.toml", text).unwrap_or_else(|error| panic!("{error}")).goal
    }

    const GOAL: &str =
        "name = 'g'\n[[tasks]]\nid = 'a'\ncollect = { description = 'x' }\n[[tasks]]\nid = 'b'\ncollect = 2\n";

    #[track_caller]
    fn check(now: &str, expected: &[(&str, Change)]) {
        let told: Vec<_> = changed_steps(&goal(GOAL), &goal(now));
        let told: Vec<_> = told
            .iter()
            .map(|difference| match difference {
                Difference::Step { id, change } => (id.as_str(), *change),
                Difference::Setting { key, change } => (key.as_str(), *change),
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn steps_that_differ_are_named_and_descriptions_and_the_order_do_not_count() {
        check(GOAL, &[]);
        let described = GOAL
            .replace("name = 'g'", "name = 'g'\ndescription = 'd'")
            .replace("id = 'b'", "id = 'b'\ndescription = 'd'");
        check(&described, &[]);
        check(
            "name = 'g'\n[[tasks]]\nid = 'b'\ncollect = 2\n[[tasks]]\nid = 'a'\ncollect = { description = 'x' }\n",
            &[],
        );
        check(&GOAL.replace("collect = 2", "collect = 3"), &[("b", Change::Changed)]);
        check(&GOAL.replace("description = 'x'", "description = 'y'"), &[("a", Change::Changed)]);
        check(&GOAL.replace("id = 'b'", "id = 'c'"), &[("b", Change::Removed), ("c", Change::Added)]);
        check(&GOAL.replace("name = 'g'", "name = 'g'\nlimits = { deadline = '1s' }"), &[("limits", Change::Changed)]);
        check(&GOAL.replace("name = 'g'", "name = 'g'\non_exhausted = 'fail'"), &[("on_exhausted", Change::Added)]);
    }
}
