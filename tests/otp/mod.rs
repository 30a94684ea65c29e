//! Replaying recorded scenarios of Erlang/OTP supervisors: reading, comparing, and what drives them.
#![allow(dead_code, reason = "each test target uses a part")]

pub(crate) mod format;
pub(crate) mod real;
pub(crate) mod stage;
