//! Carries out what the pure core decides. The only module that knows ractor and tokio.

#[macro_use]
mod bug;

pub(crate) mod addressee;
pub(crate) mod agent;
pub(crate) mod agent_ref;
pub(crate) mod blackboard;
pub(crate) mod blocking;
pub(crate) mod builder;
pub(crate) mod bus;
pub(crate) mod current;
mod deadline;
pub(crate) mod domain;
pub(crate) mod faults;
pub(crate) mod guard;
mod guardian;
mod handling;
mod hooks;
mod keeper;
pub(crate) mod life;
pub(crate) mod office;
pub(crate) mod panic_hook;
mod patience;
pub(crate) mod patterns;
mod permits;
mod plain;
pub(crate) mod pool;
mod posting;
pub(crate) mod projecting;
mod registrar;
pub(crate) mod route;
mod saver;
pub(crate) mod serve;
mod shell;
mod signal;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod simulated;
pub(crate) mod slot;
pub(crate) mod sourced;
pub(crate) mod spec;
pub(crate) mod supervisor;
pub(crate) mod system;
pub(crate) mod tail;
pub(crate) mod tap;
pub(crate) mod tasks;
pub(crate) mod transport;
mod turn;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod wait;
mod watchdog;
pub(crate) mod world;
