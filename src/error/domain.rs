//! What a domain could not do.

use crate::error::{ChildError, SpecError, StartError};
use crate::flow::condition::ConditionProblem;
use crate::flow::limits::{LimitProblem, SpawnLimit};
use crate::id::Path;

/// A domain could not be made, found or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// No domain has this name.
    #[error("there is no domain `{domain}`; add it with `System::add_domain`")]
    Unknown {
        /// The name.
        domain: String,
    },
    /// A domain of this name is there.
    #[error("there is a domain `{domain}` already, at `{path}`")]
    AlreadyThere {
        /// The name.
        domain: String,
        /// Its supervisor.
        path: Path,
    },
    /// Where the domain was to be added there is no supervisor.
    #[error("there is no supervisor `{path}` to add a domain to")]
    NoPlace {
        /// The path that was given.
        path: String,
    },
    /// The domain has as many agents as it may; nothing was started.
    #[error(transparent)]
    Full(#[from] SpawnLimit),
    /// A limit makes no sense; nothing has changed.
    #[error(transparent)]
    Limit(#[from] LimitProblem),
    /// A condition makes no sense; it was not taken.
    #[error(transparent)]
    Condition(#[from] ConditionProblem),
    /// The domain was not given what to scale.
    #[error("the domain `{domain}` has nothing to scale; give it a `DomainSpec::template`")]
    NoTemplate {
        /// The name.
        domain: String,
    },
    /// Its supervisor refused, or the agent did not start.
    #[error(transparent)]
    Child(#[from] ChildError),
}

impl From<SpecError> for DomainError {
    fn from(error: SpecError) -> Self {
        Self::Child(error.into())
    }
}

impl From<LimitProblem> for StartError {
    fn from(problem: LimitProblem) -> Self {
        Self::Spec(SpecError::Limit(problem))
    }
}
