//! Faults as data: what goes wrong, and when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::action::Needs;
use super::words::{Words, parts, write_parts};
use super::{Action, NodePattern, Place, Trigger, When};

/// Faults on purpose, as a value: it can be written down, sent in, made smaller.
///
/// Each fault comes at most once, unless it says otherwise. The text of a plan has one fault after the other, between
/// semicolons:
///
/// | text | what goes wrong |
/// |---|---|
/// | `panic at before-message of root/a` | `root/a` panics at the first message that it takes |
/// | `error at before-start of root/workers/* #2` | the second start of any of the workers fails |
/// | `hang at during-message of root/a about build.1` | it never goes on with what is about `build`, attempt 1 |
/// | `slow 200ms at before-message of root/** from 1s to 2s` | within that second all that is handled takes longer |
/// | `block 5s at during-message of root/a` | its thread is blocked, so that no kill ends it |
/// | `kill root/b at after-message of root/a #3` | `root/b` is killed when `root/a` has handled its third message |
/// | `kill root/b at 2500ms` | `root/b` is killed at that time |
/// | `panic at before-message of a:root/w` | the same on the node `a` alone |
/// | `drop at link a to b #3` | the third message from the node `a` to the node `b` never arrives |
/// | `partition at link a with b from 1s to 5s` | nothing arrives between the two |
/// | `power-cut a for 2s at after-append of a:system/journal #7` | `a` goes down then, and what was not synced is gone |
/// | `skew b 500ms ahead at 1s` | the clock of `b` is fast from then on |
///
/// ```
/// use steadfast::fault::Plan;
///
/// let plan: Plan = "panic at before-message of root/a #3; kill root/b at 2s".parse()?;
/// assert_eq!(plan.to_string(), "panic at before-message of root/a #3; kill root/b at 2s");
/// assert_eq!(plan.faults.len(), 2);
/// let error = "panic at before-messge of root/a".parse::<Plan>().unwrap_err();
/// assert!(error.to_string().contains("there are before-start, after-start"));
/// # Ok::<(), steadfast::fault::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The faults. Of two that are for the same moment the first comes, and the other waits for the next time.
    pub faults: Vec<Planned>,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Planned {
    /// What goes wrong.
    pub action: Action,
    /// When.
    pub trigger: Trigger,
}

/// What is wrong with a plan, or with chaos, and with which part of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` in faults on purpose: {problem}")]
pub struct PlanError {
    /// The part that cannot be read.
    pub text: String,
    /// Why, and what was expected.
    pub problem: String,
}

impl PlanError {
    pub(super) fn new(text: &str, problem: impl Into<String>) -> Self {
        Self { text: text.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, &self.faults)
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.action, self.trigger)
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        Ok(Self { faults: parts(text).into_iter().map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl FromStr for Planned {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let words = &mut Words::of(text);
        let action = Action::read(words)?;
        words.need("at", "`at` is missing, with a point, a link or a time behind it")?;
        let trigger = Trigger::read(words)?;
        words.end()?;
        let problem = match &trigger {
            Trigger::Time(_) if action.needs() != Needs::Nobody => Some(
                "at a time only `kill` with a path, crash, power-cut, tear and skew make sense; the others need `at POINT of PATH`, or `at link A to B`",
            ),
            Trigger::Time(_) if action.node().is_some_and(NodePattern::is_any) => {
                Some("`*` is the node of whoever is at a point; at a time a node is named")
            }
            Trigger::Time(_) => None,
            Trigger::At { when: When::Nth(_), .. } if action == Action::Partition => {
                Some("a partition lasts: `from 1s to 2s`, or `always`; `drop` is for one message")
            }
            Trigger::At { place, .. } => mismatch(&action, place),
        };
        problem.map_or(Ok(Self { action, trigger }), |problem| Err(words.wrong(problem)))
    }
}

/// Why an action cannot come at a place, if it cannot.
pub(super) fn mismatch(action: &Action, place: &Place) -> Option<&'static str> {
    match (action.needs(), place) {
        (Needs::AMessage, Place::Point { .. }) => {
            Some("drop, duplicate, reorder, delay and partition are for messages between nodes: `at link A to B`")
        }
        (Needs::ALife | Needs::Nobody, Place::Link { .. }) => Some(
            "on a link there are drop, duplicate, reorder, delay and partition; the others need `at POINT of PATH`",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
