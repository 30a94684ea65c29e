//! Goals, plans and the agents that carry them out.

pub mod agents;
pub mod cache;
pub mod chaos;
pub mod goal;
pub mod host;
pub mod plan;
pub mod preset;
pub mod redact;
pub mod run;
pub mod seam;
pub mod secrets;
pub mod work;
