//! The agents that carry a goal out. Each is a supervised actor that is reached by what it can do.
//!
//! | agent | capabilities | does |
//! |---|---|---|
//! | [`Planner`](planner::Planner) | [`PLAN`] | makes a plan of a goal |
//! | [`Router`](router::Router) | [`ROUTE`] | chooses who takes a task |
//! | [`Retriever`](retriever::Retriever) | [`CONTEXT`], `task.retrieve` | finds what a task refers to; reads files |
//! | [`Executor`](executor::Executor) | `task.command`, `task.collect` | runs programs |
//! | [`Validator`](validator::Validator) | [`VALIDATE`], `task.check` | judges results; checks values and files |
//! | [`Orchestrator`](orchestrator::Orchestrator) | [`REPORT`], [`CHARGE`] | carries one goal from its plan to its result |
//!
//! Whoever holds a lease has it as this one incarnation: it dies with the incarnation, and the orchestrator gives the
//! task out again. No handler waits for another agent; what takes long is spawned on the agent's context and comes back
//! as a message.

mod ask;
pub mod desk;
pub(crate) mod ends;
pub mod executor;
pub mod floor;
pub mod host;
pub mod meter;
pub mod orchestrator;
pub mod planner;
pub mod protocol;
pub mod retriever;
pub mod router;
pub mod validator;

pub use protocol::{CHARGE, CONTEXT, PLAN, REPORT, ROUTE, VALIDATE, task_capability};
