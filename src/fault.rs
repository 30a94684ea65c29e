//! Faults on purpose: what may go wrong, where a plan is asked, and plans as values.
//!
//! | file | has |
//! |---|---|
//! | `point` | the places in the life of an agent where a plan is asked |
//! | `pattern` | which agents, nodes and links a fault is for |
//! | `action`, `trigger` | what goes wrong, and when |
//! | `plan` | faults as data, with their text |
//! | `chaos` | how likely what goes wrong, with its text, and what is drawn of it |
//! | `progress` | how far a plan has come: what is due, what fired, and what came nearest to what did not |
//! | `shrink` | makes a plan smaller that makes something fail |
//! | `words` | the words and times that all of it is written with |
//!
//! The points are always compiled; without a plan they cost one check.

mod action;
mod chaos;
mod pattern;
mod plan;
mod point;
mod progress;
mod shrink;
mod trigger;
mod words;

pub use self::action::{Action, Crash, Skew};
pub use self::chaos::{Chance, Chaos, ChaosLine};
pub use self::pattern::{Link, NodePattern, PathPattern, Way};
pub use self::plan::{Plan, PlanError, Planned};
pub use self::point::Point;
pub use self::progress::{Due, Fired, Present, Progress, Unfired, Who};
pub use self::shrink::shrink;
pub use self::trigger::{Place, Trigger, When};
use crate::id::{Incarnation, Path};

use std::fmt;
use std::time::Duration;

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

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, attempt } = self;
        write!(f, "{about}.{attempt}")
    }
}

/// Where the runtime asks the plan: a life has come to this point.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FaultPoint<'a> {
    /// The node that it lives on; `None` where nodes have no names.
    pub node: Option<&'a str>,
    /// The agent.
    pub path: &'a Path,
    /// Its present life.
    pub incarnation: Incarnation,
    /// How far it has come.
    pub point: &'a Point,
    /// What the message is about that it handles, where its agent says so ([`Agent::subject`](crate::Agent::subject)).
    pub subject: Option<&'a Subject>,
}

impl<'a> FaultPoint<'a> {
    /// A point, to ask a plan by hand.
    #[must_use]
    pub const fn new(path: &'a Path, incarnation: Incarnation, point: &'a Point, subject: Option<&'a Subject>) -> Self {
        Self { node: None, path, incarnation, point, subject }
    }

    /// The same on a node.
    #[must_use]
    pub const fn on(mut self, node: &'a str) -> Self {
        self.node = Some(node);
        self
    }
}

/// What is made to go wrong at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The code of the agent panics.
    Panic,
    /// It fails with an error.
    Error,
    /// Its life is killed.
    Kill,
    /// It never goes on. In its stop hook: it ignores that it is asked to end.
    Hang,
    /// It goes on so much later.
    Slow(Duration),
    /// Its thread is blocked for so long, `None` for ever. Meanwhile it does not go on, no kill ends it, and no deadline of
    /// its own: what befalls it is what befalls whoever really blocks a thread.
    Block(Option<Duration>),
}

/// Where a simulated network asks the plan: a message is on its way from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop<'a> {
    /// The node that sent it.
    pub from: &'a str,
    /// The node that is to have it.
    pub to: &'a str,
    /// What it was published under.
    pub subject: &'a str,
}

impl<'a> Hop<'a> {
    /// A hop, to ask a plan by hand.
    #[must_use]
    pub const fn new(from: &'a str, to: &'a str, subject: &'a str) -> Self {
        Self { from, to, subject }
    }
}

/// What is made to go wrong with a message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageFault {
    /// It never arrives.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives so much later; what was sent after it may arrive before.
    Delay(Duration),
    /// It arrives after the next one on the same way, where one follows soon.
    Reorder,
}

/// Decides what goes wrong, and where.
///
/// Called at each point that a life comes to; must not block, and must not ask the system for an answer. A plan that wants
/// no second fault for a message that is delivered again must remember what it drew for.
pub trait FaultPlan: Send + Sync {
    /// Returns the fault for this point, or `None`.
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault>;

    /// Returns the fault for a message on its way to another node, or `None`. Asked by simulated networks only.
    fn on_hop(&self, hop: &Hop<'_>) -> Option<MessageFault> {
        let _ = hop;
        None
    }
}
