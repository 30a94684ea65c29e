//! Agents that stay up: OTP's supervision trees, typed lifecycles and a registry that routes by capability, on
//! [ractor].
//!
//! A tree is described as data and started. A child that panics, fails, is killed or hangs is noticed and, by the
//! rules of its supervisor, started again; messages to it wait meanwhile.
//!
//! ```
//! use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
//!
//! const SUM: Capability<Vec<i64>, i64> = Capability::new("math.sum", "1.0.0");
//! const MEAN: Capability<Vec<i64>, i64> = Capability::new("math.mean", "1.0.0");
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let system = System::start(
//!         SupervisorSpec::new("root", Strategy::OneForOne)
//!             .child(ChildSpec::serve("adder", SUM, |_, xs| async move { Ok(xs.iter().sum()) }))
//!             .child(ChildSpec::serve("divider", MEAN, |_, xs| async move { Ok(xs.iter().sum::<i64>() / xs.len() as i64) })),
//!     ).await?;
//!     println!("{}", system.ask(&SUM, vec![1, 2, 3]).await?);       // 6
//!     println!("{}", system.ask(&MEAN, vec![]).await.unwrap_err()); // root/divider, incarnation 1, panicked: attempt to divide by zero
//!     println!("{}", system.ask(&MEAN, vec![4, 8]).await?);         // 6: it is back
//!     println!("{}", system.history("root/divider")?);
//!     Ok(system.shutdown().await?)
//! }
//! ```
//!
//! # What is where
//!
//! The modules [`supervision`], [`lifecycle`], [`registry`], [`message`] and [`flow`] decide, and are pure; the
//! runtime behind [`System`] carries out what they decide and is the only part that knows ractor and tokio.
//!
//! # Features
//!
//! `json` and `testing`, both off by default. ractor's features `async-trait` and `cluster` must stay off in the whole
//! dependency graph: each changes ractor's traits, and steadfast does not compile with them.
//!
//! [ractor]: https://docs.rs/ractor

#[cfg(panic = "abort")]
compile_error!(
    "steadfast needs unwinding: with `panic = \"abort\"` a panicking agent would end the process, and nothing could supervise it; remove the setting from the profile"
);

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the pages, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/lifecycle.md")]
#[doc = include_str!("../docs/messaging.md")]
struct Pages;

/// The contract of a store of data: what it is asked by which capability, and what it answers. See
/// [`ChildSpec::data_store`].
pub mod data_persistence {
    pub use crate::runtime::blackboard::{
        ErrorCode, Failure, PERSISTENCE, QUERY, Query, QueryResult, RETRIEVE, Record, Request, Response, Retrieve,
        Retrieved, STORE, Store, Stored,
    };
}
pub mod error;
pub mod event;
pub mod exit;
pub mod fault;
pub mod flow;
pub mod id;
pub mod lifecycle;
pub mod message;
mod number;
pub mod registry;
mod runtime;
pub mod seam;
pub mod sourcing;
pub mod supervision;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;

pub use error::{
    CheckpointError, ChildError, ControlError, DomainError, RegisterError, RequestError, ShutdownError, SpecError,
    StartError, TellError, UnknownPath,
};
pub use event::{DropReason, Event, EventKind, RefuseReason};
pub use exit::{BoxError, Escalation, ExitClass, ExitReason, Failure, GaveUp, ShutdownCause};
pub use fault::{Fault, FaultPlan, FaultPoint, Subject};
pub use flow::mailbox::DEFAULT_BOUND;
pub use id::{
    AgentId, AgentIdProblem, ChildId, Incarnation, InvalidAgentId, InvalidName, InvalidStreamId, MessageId, Path,
    RunId, StreamId,
};
pub use lifecycle::{AgentState, StateName};
pub use registry::capability::{Capability, Wire};
pub use runtime::addressee::Addressee;
pub use runtime::agent::{Agent, Context, Progress};
pub use runtime::agent_ref::{AgentRef, DEFAULT_ASK};
pub use runtime::blackboard::{
    BlackboardRef, Board, BoardAnswer, BoardArgs, BoardCallError, BoardOrder, DataStore, Snapshot as BoardSnapshot,
    StoreOrder, Watch, WatchError,
};
pub use runtime::blocking::BlockingContext;
pub use runtime::builder::SystemBuilder;
pub use runtime::bus::{EVENT_BOUND, Events, EventsError};
pub use runtime::domain::{Domain, DomainSpec, Health};
pub use runtime::life::StartInfo;
pub use runtime::office::SendAgainError;
pub use runtime::panic_hook::panic_hook;
pub use runtime::patterns::{Group, GroupError, MOST_SUBSCRIPTIONS, Published, SubscribeError, Subscription};
pub use runtime::pool::{Pool, PoolGuard, PoolSpec};
pub use runtime::projecting::{Behind, Projecting, ProjectionArgs, ProjectionError, ProjectionOrder, ProjectionRef};
pub use runtime::route::{AtDeath, DEFAULT_ATTEMPTS, Picked, Provider, Route, RouteBuilder, RouteError};
pub use runtime::serve::{Done, FunctionArgs, Once, ServeContext, Served, TaskContext};
pub use runtime::sourced::{Sourced, SourcedArgs};
pub use runtime::spec::dynamic::DynamicSupervisorSpec;
pub use runtime::spec::{AgentSpec, ChildSpec, SupervisorSpec};
pub use runtime::supervisor::handle::{ChildInfo, DynamicSupervisor, StartedChild, Supervisor};
pub use runtime::supervisor::{Ignore, SupervisorContext};
pub use runtime::system::{CHANGE_BOUND, Found, RegistryChange, RegistryWatch, Restarts, System};
pub use runtime::tail::{DEFAULT_POLL, Follow};
pub use runtime::tasks::TaskId;
pub use runtime::transport::LocalTransport;
pub use runtime::world::{MemoryJournal, SeededEntropy, TokioClock};
pub use sourcing::{EventSourced, Projection, Snapshotted};
#[cfg(feature = "testing")]
pub use steadfast_macros::sim_test;
pub use supervision::{
    AutoShutdown, Backoff, ChildState, Counts, History, Intensity, Restart, Shutdown, StartCause, Strategy, Verdict,
};
