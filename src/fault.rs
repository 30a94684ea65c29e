//! Faults on purpose: what a plan may do, and where the shell asks it.
//!
//! The points are always compiled; without a plan they cost one check.

use crate::id::{Incarnation, Path};

/// What a message is about, as its agent says. Faults are drawn by it, and traces name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Subject {
    /// The thing, such as the id of a task.
    pub about: String,
    /// Which attempt at it, from 1 on.
    pub attempt: u32,
}

impl Subject {
    /// A subject.
    #[must_use]
    pub fn new(about: impl Into<String>, attempt: u32) -> Self {
        Self { about: about.into(), attempt }
    }
}

/// Where the shell asks the plan: an agent is about to handle a message that has a subject.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FaultPoint<'a> {
    /// The agent.
    pub path: &'a Path,
    /// Its present life.
    pub incarnation: Incarnation,
    /// What the message is about.
    pub subject: &'a Subject,
}

impl<'a> FaultPoint<'a> {
    /// A point, to ask a plan by hand.
    #[must_use]
    pub fn new(path: &'a Path, incarnation: Incarnation, subject: &'a Subject) -> Self {
        Self { path, incarnation, subject }
    }
}

/// What is made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The agent panics before it sees the message.
    CrashBefore,
    /// The agent panics after it handled the message, before its reply goes out.
    CrashAfter,
    /// The agent never returns from handling the message.
    Hang,
}

/// Decides what goes wrong, and where.
///
/// Called for each delivery of a message that has a subject; must not block. A plan that wants no second fault for a
/// message that is delivered again must remember what it drew for.
pub trait FaultPlan: Send + Sync {
    /// Returns the fault for this point, or `None`.
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault>;
}
