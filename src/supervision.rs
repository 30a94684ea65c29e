//! The rules of supervision, as functions of values.
//!
//! Everything here is pure: no task, no clock, no actor. The supervisor of the runtime feeds a [`machine::Machine`]
//! with what happened and when, and carries out the commands that come back. The numbers of rules in the comments are
//! those of Erlang/OTP's supervisor as the project's specification lists them.

pub mod backoff;
pub mod decision;
pub mod history;
pub mod intensity;
pub mod lint;
pub mod machine;
#[cfg(any(test, feature = "testing"))]
pub mod mutation;
pub mod policy;
pub mod snapshot;

pub use backoff::{Backoff, BackoffProblem, Jitter};
pub use decision::{Decision, decide};
pub use history::{Entry, History};
pub use intensity::{Intensity, Moment, Tally, Window};
pub use lint::{Finding, Outline, OutlineChild, Warning, lint};
pub use machine::{
    ChildExit, ChildKey, ChildRow, ChildState, ChildView, Command, Counts, Event, Machine, Note, Progress, Refusal,
    Reply, Request, RequestId, Start, StartCause, Verdict,
};
#[cfg(any(test, feature = "testing"))]
pub use mutation::Mutation;
pub use policy::{AutoShutdown, ChildKind, ChildRules, Restart, Rules, Shutdown, SpecProblem, Strategy};
pub use snapshot::{ChildSnapshot, Doing, Node, Nodes, Snapshot, SupervisorView};
