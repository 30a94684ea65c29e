//! One error per boundary a caller stands at: the spec, the start, a send, a request, a look-up, the end.

mod control;
mod domain;
mod request;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use crate::exit::{ExitReason, GaveUp};
use crate::flow::limits::{LimitProblem, SpawnLimit};
use crate::flow::pool::PoolProblem;
use crate::id::{Incarnation, InvalidName, Path};
use crate::registry::record::InvalidOffer;
use crate::supervision::policy::SpecProblem;

pub use control::{CheckpointError, ControlError};
pub use domain::DomainError;
pub use request::RequestError;
pub use tell::TellError;

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
    /// A task that waits for a message, which nobody can send it.
    #[error("`{child}` is a task and lazy: nobody can send it the message that would start it; leave `lazy` out")]
    LazyTask {
        /// The child.
        child: String,
    },
    /// A limit of an agent cannot be meant.
    #[error("`{child}`: {problem}")]
    AgentLimit {
        /// The child.
        child: String,
        /// What is wrong.
        problem: LimitProblem,
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
    /// A domain around it has as many agents as it may.
    #[error(transparent)]
    Full(#[from] SpawnLimit),
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

fn rate_limited(domain: &Path, retry_after: Duration) -> String {
    format!(
        "the domain `{domain}` got as many messages as `domain.messages` allows; try again in {retry_after:?}, or wait with `tell_wait`"
    )
}

pub(crate) fn fenced(sender: &Path, incarnation: Incarnation) -> String {
    format!(
        "`{sender}`, incarnation {incarnation}, has ended or was given up, and nothing it does has an effect any more"
    )
}

/// What an agent offers was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The capability cannot be offered as it is written.
    #[error(transparent)]
    Offer(#[from] InvalidOffer),
    /// The agent does not offer it.
    #[error("`{path}` does not offer `{capability}`")]
    NotOffered {
        /// The agent.
        path: Path,
        /// The capability, with its version.
        capability: String,
    },
    /// The agent, or the registrar, could not be reached. What was asked for may still come to be, with the agent's next
    /// life or the registrar's.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// No child of the tree has this path, or it is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{path}` in the tree")]
#[non_exhaustive]
pub struct UnknownPath {
    /// What was asked for.
    pub path: String,
}
