//! Agents that stay up.

pub mod exit;
pub mod flow;
pub mod id;
pub mod lifecycle;
pub mod message;
pub mod seam;
pub mod supervision;

pub use exit::{BoxError, Escalation, ExitClass, ExitReason, Failure, GaveUp, ShutdownCause};
pub use id::{AgentId, ChildId, Incarnation, InvalidAgentId, InvalidName, Path, RunId};

/// Placeholder of the hook until the runtime has it.
pub fn panic_hook() {}
/// Placeholder.
pub struct System;
