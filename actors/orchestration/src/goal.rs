//! The goal file: its types, how it is read, and what is refused before anything runs.

pub mod model;
pub mod span;
