//! Helpers for tests of supervised systems: a recorder of events, faults by script, an agent that does as it is told, a
//! clock that stands still with tokio's.
//!
//! Nothing here sleeps to wait for an effect: a test waits for the event that reports it, under a limit.

mod bug;
mod clock;
pub mod conformance;
mod disk;
mod fault;
mod net;
pub mod oracle;
mod probe;
mod recorder;
mod replay;
mod settle;
mod sim;
mod stand_in;
mod trace;
mod world;

pub use crate::runtime::faults::run::{Attended, FaultRun, Injector, NotInjected};
pub use bug::{Bug, UnknownBug};
pub use clock::VirtualClock;
pub use disk::{Append, DEFAULT_DISK_TIME, Disk, DiskFault, SimJournal};
pub use fault::{Drawn, Faults};
pub use net::{DEFAULT_LATENCY, Network, Passage, Passed};
pub use probe::{Log, Order, Probe, Script};
pub use recorder::{Exit, Recorder};
pub use replay::replays_alike;
pub use settle::{End, OnEnd, exit_supervisor, is_settled, resume, suspend};
pub use sim::{Outcome, Ran, Sim};
pub use stand_in::{Call, StandIn};
pub use trace::{Entry, MailStep, NodeChange, Parting, Trace, What};
pub use world::{Condition, Node, NodeBuilder, Part, World};

/// Waits until nobody has anything to do: every task waits for a timer or for somebody else.
///
/// Only with tokio's clock paused, which then moves to the next timer; it moves by a millisecond here.
pub async fn settled() {
    crate::runtime::wait::sleep(std::time::Duration::from_millis(1)).await;
}
