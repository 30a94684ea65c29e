//! Carries out what the pure core decides. The only module that knows ractor and tokio.

pub(crate) mod agent;
pub(crate) mod agent_ref;
pub(crate) mod builder;
pub(crate) mod bus;
mod deadline;
pub(crate) mod guard;
mod guardian;
mod keeper;
mod life;
pub(crate) mod panic_hook;
mod plain;
mod registrar;
pub(crate) mod route;
pub(crate) mod serve;
mod shell;
mod signal;
mod slot;
pub(crate) mod spec;
mod supervisor;
pub(crate) mod system;
pub(crate) mod tasks;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod wait;
pub(crate) mod world;
