//! Replaying recorded scenarios of Erlang/OTP supervisors: reading, comparing, and what drives them.
#![allow(dead_code, reason = "each test target uses a part")]

pub(crate) mod compare;
pub(crate) mod core;
pub(crate) mod format;
pub(crate) mod mutations;
pub(crate) mod random;
pub(crate) mod real;
pub(crate) mod report;
pub(crate) mod stage;
pub(crate) mod trees;
pub(crate) mod words;
