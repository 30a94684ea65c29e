//! What travels between agents, and its bytes.

pub mod codec;
