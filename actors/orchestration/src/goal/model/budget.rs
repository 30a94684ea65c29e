//! What a whole run may use before it ends.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::goal::span::Span;

/// How often the same call may be made in a row when the goal does not say.
pub const DEFAULT_REPEATS: u32 = 5;

/// What a whole run may use. A run that has used up one of these ends with that: nothing is undone, and it did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How long the run may take, such as `"10m"`. The time in which it is paused does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Span>,
    /// How many attempts may be given out, those of all tasks together. Attempts to undo a task do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// How many agents may be given attempts; one that was started again is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<u64>,
    /// How many bytes of results may be recorded, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// How much of each of these agents may charge, such as `tokens = 100000`. 0 allows nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
    /// The how many-th call of the same tool with the same arguments in a row ends a step; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
}

impl Budget {
    /// Whether the goal says nothing of budgets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The how many-th call of the same tool with the same arguments in a row ends a step.
    #[must_use]
    pub fn repeats(&self) -> u32 {
        self.repeats.unwrap_or(DEFAULT_REPEATS)
    }
}
