//! Goals, plans and the agents that carry them out.

pub mod cache;
pub mod goal;
pub mod plan;
pub mod redact;
pub mod run;
pub mod seam;
pub mod secrets;
pub mod work;
