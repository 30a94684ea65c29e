//! One error per boundary a caller stands at: the spec, the start, a send, a request, a look-up, the end.

mod domain;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::exit::{ExitReason, GaveUp};
use crate::flow::bulkhead::Occupancy;
use crate::flow::limits::LimitProblem;
use crate::flow::pool::PoolProblem;
use crate::id::{Incarnation, InvalidName, Path};
use crate::registry::record::InvalidOffer;
use crate::supervision::policy::SpecProblem;

pub use domain::DomainError;

/// A supervision tree as it was described cannot be started; nothing was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A name in the tree is not one.
    #[error("{}{problem}", below(supervisor))]
    Name {
        /// The supervisor whose spec holds the name; empty for the root.
        supervisor: String,
        /// What is wrong with it.
        problem: InvalidName,
    },
    /// Two children of one supervisor have the same name.
    #[error("`{supervisor}` has two children named `{child}`; give each a name of its own")]
    DuplicateChild {
        /// The supervisor whose spec holds both.
        supervisor: String,
        /// The name.
        child: String,
    },
    /// A supervisor's limits cannot be meant.
    #[error("`{supervisor}`: {problem}")]
    Rules {
        /// The supervisor.
        supervisor: String,
        /// What is wrong with them.
        problem: SpecProblem,
    },
    /// A limit of an agent leaves it no room or no time at all.
    #[error("`{child}` has a {limit} of zero; give it more, or leave the setting out")]
    ZeroLimit {
        /// The child.
        child: String,
        /// Which limit.
        limit: &'static str,
    },
    /// A capability's version is not a semantic version.
    #[error("`{child}` offers `{capability}` in version `{version}`, which is not of the form 1.2.3")]
    Version {
        /// The child that offers it.
        child: String,
        /// The capability's name.
        capability: String,
        /// The text that was given as its version.
        version: String,
    },
    /// A capability's name or one of its attributes is not written as one.
    #[error("`{child}` offers `{capability}`, which cannot be offered: {problem}")]
    Offer {
        /// The child that offers it.
        child: String,
        /// The capability's name, as it was given.
        capability: String,
        /// What is wrong with it.
        problem: Arc<InvalidOffer>,
    },
    /// A limit of the system makes no sense.
    #[error("in the system's limits, {0}")]
    Limit(LimitProblem),
    /// The rules of a pool make no sense.
    #[error("`{pool}`: {problem}")]
    Pool {
        /// The pool.
        pool: String,
        /// What is wrong with them.
        problem: PoolProblem,
    },
    /// The tree mounts the system's own supervisor more than once.
    #[error("`ChildSpec::system()` stands at `{first}` and at `{second}`; mount it once")]
    TwoSystems {
        /// Where it stands first.
        first: String,
        /// Where it stands again.
        second: String,
    },
}

/// A supervisor could not do what it was asked to do with a child; nothing has changed. OTP's answers, as types.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// A child of this name runs.
    #[error("`{path}` is already started")]
    AlreadyStarted {
        /// The child.
        path: Path,
        /// Its present life.
        incarnation: Option<Incarnation>,
    },
    /// A child of this name is kept, stopped or being restarted.
    #[error("`{path}` is already present; restart it, or delete it first")]
    AlreadyPresent {
        /// The child.
        path: Path,
    },
    /// The child did not start.
    #[error("`{path}` {reason}{}", rest_of_chain(reason))]
    FailedToStart {
        /// The child.
        path: Path,
        /// Why, down to the first cause.
        reason: ExitReason,
    },
    /// No child has this name.
    #[error("there is no child `{path}`")]
    NotFound {
        /// The path it would have.
        path: Path,
    },
    /// The child runs.
    #[error("`{path}` is running; terminate it first")]
    Running {
        /// The child.
        path: Path,
    },
    /// The child is being restarted.
    #[error("`{path}` is being restarted; terminate it first, or wait until it runs")]
    Restarting {
        /// The child.
        path: Path,
    },
    /// A dynamic supervisor cannot be asked for this. OTP's `simple_one_for_one`.
    #[error("`{supervisor}` is a dynamic supervisor; ask it through `System::dynamic_supervisor`")]
    Dynamic {
        /// The supervisor.
        supervisor: Path,
    },
    /// A dynamic supervisor holds as many instances as it may.
    #[error("`{supervisor}` holds {max} instances, as many as it may; terminate one, or raise `max_children`")]
    TooMany {
        /// The supervisor.
        supervisor: Path,
        /// How many.
        max: usize,
    },
    /// The spec makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The supervisor is not running. OTP's `noproc`.
    #[error("the supervisor `{supervisor}` is not running")]
    Gone {
        /// The supervisor.
        supervisor: Path,
    },
    /// Who asked is a life that has ended or was given up, and whose code runs on.
    #[error("not asked of `{supervisor}`: {}", fenced(sender, *incarnation))]
    Fenced {
        /// The supervisor.
        supervisor: Path,
        /// Where the asker stood.
        sender: Path,
        /// The life whose code asked.
        incarnation: Incarnation,
    },
}

fn below(supervisor: &str) -> String {
    if supervisor.is_empty() { String::new() } else { format!("below `{supervisor}`: ") }
}

/// A system did not start; what had started was stopped again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The tree as described cannot be started.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child did not start.
    #[error("`{path}` {reason}{}", rest_of_chain(reason))]
    Child {
        /// The child that did not start; the supervisors above it did not because of it.
        path: Path,
        /// Why, down to the first cause.
        reason: ExitReason,
    },
    /// The root's own start said that there is nothing to run (rule 8).
    #[error("the root said that there is nothing to run")]
    Ignored,
    /// The actor runtime refused to start an actor.
    #[error("the actor runtime refused to start the system: {0}")]
    Runtime(String),
}

pub(crate) fn rest_of_chain(reason: &ExitReason) -> String {
    reason.chain().iter().skip(1).fold(String::new(), |text, line| text + "; " + line)
}

/// A system did not end in an orderly way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// It had given up before, or while it was asked to stop.
    #[error(transparent)]
    GaveUp(#[from] GaveUp),
}

/// A message was not taken. The message comes back.
#[non_exhaustive]
pub enum TellError<M> {
    /// The agent's mailbox holds as many messages as it may.
    Full {
        /// The message.
        message: M,
        /// The agent.
        path: Path,
        /// How many messages its mailbox may hold.
        bound: usize,
    },
    /// The agent is not running and will not be started again.
    Gone {
        /// The message.
        message: M,
        /// Where the agent was.
        path: Path,
    },
    /// The domain of the agent got as many messages as it may within a time.
    RateLimited {
        /// The message.
        message: M,
        /// The agent.
        path: Path,
        /// The supervisor of its domain.
        domain: Path,
        /// In how long there may be room for another one, if nobody else comes first.
        retry_after: Duration,
    },
    /// The sender is a life that has ended or was given up, and whose code runs on: nothing that it does has an effect.
    Fenced {
        /// The message.
        message: M,
        /// The agent that it was for.
        path: Path,
        /// Where the sender stood.
        sender: Path,
        /// The life whose code sent it.
        incarnation: Incarnation,
    },
}

impl<M> TellError<M> {
    /// The message that was not taken.
    pub fn into_message(self) -> M {
        match self {
            Self::Full { message, .. }
            | Self::Gone { message, .. }
            | Self::RateLimited { message, .. }
            | Self::Fenced { message, .. } => message,
        }
    }
}

impl<M> fmt::Display for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { path, bound, .. } => write!(
                f,
                "the mailbox of `{path}` is full ({bound} messages); wait with `tell_wait`, or give it a larger bound with `mailbox`"
            ),
            Self::Gone { path, .. } => write!(f, "`{path}` is not running and no restart of it is coming"),
            Self::RateLimited { path, domain, retry_after, .. } => {
                write!(f, "not told to `{path}`: {}", rate_limited(domain, *retry_after))
            }
            Self::Fenced { path, sender, incarnation, .. } => {
                write!(f, "not told to `{path}`: {}", fenced(sender, *incarnation))
            }
        }
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<M> std::error::Error for TellError<M> {}

fn rate_limited(domain: &Path, retry_after: Duration) -> String {
    format!(
        "the domain `{domain}` got as many messages as `domain.messages` allows; try again in {retry_after:?}, or wait with `tell_wait`"
    )
}

fn fenced(sender: &Path, incarnation: Incarnation) -> String {
    format!(
        "`{sender}`, incarnation {incarnation}, has ended or was given up, and nothing it does has an effect any more"
    )
}

/// The state of an agent was not kept for its next life.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The child's spec does not say that its lives hand their state over.
    #[error("`{path}` does not hand its state over; say so with `hand_over` in its spec")]
    NotEnabled {
        /// The agent.
        path: Path,
    },
    /// The life has ended or was given up, and its code runs on.
    #[error("not kept: {}", fenced(path, *incarnation))]
    Fenced {
        /// The agent.
        path: Path,
        /// The life.
        incarnation: Incarnation,
    },
}

/// A request got no reply.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The incarnation that handled the request ended before it replied. The request is not delivered again.
    #[error("{path}, incarnation {incarnation}, {reason}")]
    Exited {
        /// The agent.
        path: Path,
        /// The life that ended.
        incarnation: Incarnation,
        /// How it ended.
        reason: ExitReason,
    },
    /// No reply came before the deadline. Whether the request was handled is not known.
    #[error("`{path}` did not reply within {limit:?}")]
    Timeout {
        /// The agent.
        path: Path,
        /// The deadline that passed.
        limit: Duration,
    },
    /// The mailbox had no room before the deadline; the request was not sent.
    #[error("the mailbox of `{path}` had no room for {limit:?} (it holds {bound} messages)")]
    Full {
        /// The agent.
        path: Path,
        /// How many messages its mailbox may hold.
        bound: usize,
        /// The deadline that passed.
        limit: Duration,
    },
    /// The agent is not running and will not be started again.
    #[error("`{path}` is not running and no restart of it is coming")]
    Gone {
        /// Where the agent was.
        path: Path,
    },
    /// The domain of the agent got as many messages as it may within a time, and the turn of this one does not come
    /// before the deadline; the request was not sent.
    #[error("not asked of `{path}`: {}", rate_limited(domain, *retry_after))]
    RateLimited {
        /// The agent.
        path: Path,
        /// The supervisor of its domain.
        domain: Path,
        /// In how long there may be room for another one, if nobody else comes first.
        retry_after: Duration,
    },
    /// As many requests as may were inside the domain of the agent, and none of them left in time; the request was not
    /// sent.
    #[error(
        "not asked of `{path}`: after {waited:?} the domain `{domain}` is as full as `domain.bulkhead` allows: {occupancy}"
    )]
    Saturated {
        /// The agent.
        path: Path,
        /// The supervisor of its domain.
        domain: Path,
        /// How long was waited for a permit.
        waited: Duration,
        /// How the domain stood then.
        occupancy: Occupancy,
    },
    /// The asker is a life that has ended or was given up, and whose code runs on. The request was not sent.
    #[error("not asked of `{path}`: {}", fenced(sender, *incarnation))]
    Fenced {
        /// The agent that was to be asked.
        path: Path,
        /// Where the asker stood.
        sender: Path,
        /// The life whose code asked.
        incarnation: Incarnation,
    },
    /// Nobody offers the capability in a version that fits.
    #[error("nobody offers `{capability}` in a version compatible with {version}{}", offered_versions(offered))]
    NoProvider {
        /// The capability's name.
        capability: String,
        /// The version that was asked for.
        version: String,
        /// The versions that are offered.
        offered: Vec<String>,
    },
    /// The name is offered with other types of request or reply than the caller's.
    #[error("`{capability}` is offered by `{path}` with other types of request or reply than this constant has")]
    WrongType {
        /// The capability's name.
        capability: String,
        /// Who offers it.
        path: Path,
    },
    /// The agent at this path is of another type.
    #[error("the agent at `{path}` is not a `{expected}`")]
    WrongAgent {
        /// Where the agent is.
        path: Path,
        /// The type that was asked for.
        expected: &'static str,
    },
    /// The agent's reply is not one that belongs to this capability.
    #[error("`{path}` replied to `{capability}` with a reply of another capability")]
    WrongReply {
        /// The capability's name.
        capability: String,
        /// The agent.
        path: Path,
    },
    /// No child of the tree has this path.
    #[error("there is no `{path}` in the tree")]
    Unknown {
        /// The path.
        path: String,
    },
}

fn offered_versions(offered: &[String]) -> String {
    if offered.is_empty() { String::new() } else { format!("; offered: {}", offered.join(", ")) }
}

/// No child of the tree has this path, or it is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{path}` in the tree")]
#[non_exhaustive]
pub struct UnknownPath {
    /// What was asked for.
    pub path: String,
}
