//! Limits on what flows between agents, as state machines: no task, no lock, no clock.

pub mod mailbox;

pub use mailbox::{DEFAULT_BOUND, Full, Mailbox};
