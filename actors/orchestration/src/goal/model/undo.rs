//! What is undone when a goal fails, and when a goal fails at all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Command, Retries, Task};
use crate::goal::span::Span;

/// Takes back what its task did, when the goal fails or is cancelled with everything undone. Exactly one of `command`
/// and `collect` says how.
///
/// Its templates see what those of the task see, and `${result}`, the result that was recorded for the task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The capability an agent needs to do this; by its kind when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// How long one attempt may take; 10 minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What happens after a failed attempt. When they are used up, a person has to look at it.
    #[serde(default)]
    pub retries: Retries,
    /// Runs a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Gives this value to an agent, which `capability` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<Value>,
}

/// What becomes of a run when a task has used up its attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnExhausted {
    /// It is paused, and nothing is undone: `steadfast resume` gives the task its attempts again.
    #[default]
    Pause,
    /// It fails, and what was done is undone.
    Fail,
}

impl OnExhausted {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Task {
    /// The undo as a task of the same id, with the same inputs and items; nothing where the task names none.
    #[must_use]
    pub fn undo_task(&self) -> Option<Self> {
        let undo = self.undo.as_ref()?.clone();
        Some(Self {
            id: self.id.clone(),
            capability: undo.capability,
            inputs: self.inputs.clone(),
            for_each: self.for_each.clone(),
            max_items: self.max_items,
            timeout: undo.timeout,
            retries: undo.retries,
            command: undo.command,
            collect: undo.collect,
            ..Self::default()
        })
    }
}
