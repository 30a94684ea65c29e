//! Why the state of an agent was not changed, or not kept.

use super::fenced;
use crate::id::{Incarnation, Path};
use crate::lifecycle::hook::ChangeError;

/// The state of an agent was not kept for its next life.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The child's spec does not say that its lives hand their state over.
    #[error("`{path}` does not hand its state over; say so with `hand_over` in its spec")]
    NotEnabled {
        /// The agent.
        path: Path,
    },
    /// The life has ended or was given up, and its code runs on.
    #[error("not kept: {}", fenced(path, *incarnation))]
    Fenced {
        /// The agent.
        path: Path,
        /// The life.
        incarnation: Incarnation,
    },
}

/// The state of an agent was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No child of the tree has this path.
    #[error("there is no `{path}` in the tree")]
    Unknown {
        /// The path.
        path: String,
    },
    /// A supervisor, or a plain ractor actor: it has no mailbox of ours to keep or to close.
    #[error("`{path}` is not an agent; only agents can be suspended and drained")]
    NotAnAgent {
        /// Where it is.
        path: Path,
    },
    /// No life of it is running, or the one that was ended before it did.
    #[error("no life of `{path}` is running that could do so; ask again once it has started")]
    NotRunning {
        /// Where the agent is.
        path: Path,
    },
    /// The lifecycle does not allow it, or a hook refused it.
    #[error("`{path}`: {problem}")]
    Change {
        /// Where the agent is.
        path: Path,
        /// What is wrong.
        problem: ChangeError,
    },
    /// Whoever wants it is a life that has ended or was given up, and whose code runs on.
    #[error("not done to `{path}`: {}", fenced(by, *incarnation))]
    Fenced {
        /// Where the agent is.
        path: Path,
        /// Whose code it is.
        by: Path,
        /// The life.
        incarnation: Incarnation,
    },
}
