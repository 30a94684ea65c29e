//! The contenders: the framework, ractor with a supervisor written by hand, and the framework's peers.

pub(crate) mod actix;
pub(crate) mod by_hand;
pub(crate) mod kameo;
pub(crate) mod ours;
pub(crate) mod plain;
pub(crate) mod ractor_supervisor;
pub(crate) mod tokio_actors;
