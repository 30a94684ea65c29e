//! The rules of supervision, as functions of values.

pub mod intensity;
pub mod policy;
