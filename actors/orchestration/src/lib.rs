//! Goals, plans and the agents that carry them out.

pub mod goal;
pub mod plan;
