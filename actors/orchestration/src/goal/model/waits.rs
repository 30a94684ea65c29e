//! Kinds of tasks that no agent carries out: the run itself waits for something.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Goal, present};
use crate::goal::span::Span;

/// Waits for a person, who approves or rejects. Its result is `{ "who", "why" }`; a rejection fails the task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// What the person is asked.
    pub prompt: String,
    /// How long to wait, such as `"3d"`; then the task fails. No limit but the run's deadline when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Waits for a time. Its result is null. Exactly one of the fields is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long to wait, from the moment on at which the task could start, such as `"10m"`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// Until when to wait, in UTC, such as `"2026-12-01T00:00:00Z"`; not at all where that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Waits for an event that somebody tells the run of. Its result is the data that came with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The name of the event: letters, digits, `-`, `_` and `.`. One that comes early is kept; those of one name are
    /// taken in the order in which they came, each by one task.
    pub name: String,
    /// How long to wait, such as `"2d"`; then the task fails. No limit but the run's deadline when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Waits for tasks, not necessarily for all. Its result is a list of `{ "task", "result" }` of those that succeeded in
/// time, in the order of `of`; what is not needed after that is cancelled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// Ids of the tasks.
    pub of: Vec<String>,
    /// How many of them must succeed.
    #[serde(default)]
    pub take: Take,
}

/// How many of the gathered tasks must succeed. A task whose condition did not hold is none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// All of them.
    #[default]
    All,
    /// One, the first.
    First,
    /// So many, the first ones.
    Quorum(u32),
}

/// Carries another goal out, in a run of its own. Its result is an object of the results of that goal's tasks, by id.
///
/// In a file exactly one of `file` and `inline` is set. A goal that was loaded has the goal that the file held in
/// `inline`, so that it is whole by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChildGoal {
    /// The goal's file, relative to the folder of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The parameters it is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
    /// The goal itself, in place of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Box<Goal>>,
}

/// When a task runs. Exactly one of `exists`, `missing` and `value` is set; with `value`, exactly one of the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Runs only where this path exists in the input folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<String>,
    /// Runs only where this path does not exist in the input folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Runs only where this value is what one of the fields below says; usually a reference.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The value is this one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// The value is any but this one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Value>,
    /// The value (a number, or the length of a text or list) is this or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The value (a number, or the length of a text or list) is this or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The text matches this regular expression, anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// The text holds this text, or the list this item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Value>,
}

impl Condition {
    /// What the condition says about a value, where it is about one.
    #[must_use]
    pub fn assertion(&self) -> Option<super::Assertion> {
        Some(super::Assertion {
            value: self.value.clone()?,
            equals: self.equals.clone(),
            not_equals: self.not_equals.clone(),
            at_least: self.at_least,
            at_most: self.at_most,
            matches: self.matches.clone(),
            contains: self.contains.clone(),
            message: None,
        })
    }

    /// What is said about the value, each with whether it is set.
    pub(crate) fn claims(&self) -> [(&'static str, bool); 6] {
        [
            ("equals", self.equals.is_some()),
            ("not_equals", self.not_equals.is_some()),
            ("at_least", self.at_least.is_some()),
            ("at_most", self.at_most.is_some()),
            ("matches", self.matches.is_some()),
            ("contains", self.contains.is_some()),
        ]
    }
}

impl Gather {
    /// How many must succeed, of so many that could.
    #[must_use]
    pub fn needed(&self, of: usize) -> usize {
        match self.take {
            Take::All => of,
            Take::First => 1,
            Take::Quorum(count) => count as usize,
        }
    }
}
