//! Why a message was not taken.

use std::fmt;
use std::time::Duration;

use super::{fenced, rate_limited};
use crate::id::{Incarnation, Path};

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
    /// The agent takes no new work.
    Draining {
        /// The message.
        message: M,
        /// The agent.
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
            | Self::Draining { message, .. }
            | Self::RateLimited { message, .. }
            | Self::Fenced { message, .. } => message,
        }
    }
}

impl<M> TellError<M> {
    /// The same error with another message in it.
    pub(crate) fn map<N>(self, change: impl FnOnce(M) -> N) -> TellError<N> {
        match self {
            Self::Full { message, path, bound } => TellError::Full { message: change(message), path, bound },
            Self::Gone { message, path } => TellError::Gone { message: change(message), path },
            Self::Draining { message, path } => TellError::Draining { message: change(message), path },
            Self::RateLimited { message, path, domain, retry_after } => {
                TellError::RateLimited { message: change(message), path, domain, retry_after }
            }
            Self::Fenced { message, path, sender, incarnation } => {
                TellError::Fenced { message: change(message), path, sender, incarnation }
            }
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
            Self::Draining { path, .. } => {
                write!(f, "`{path}` is draining: it takes no new work; tell another, or wait for its next life")
            }
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
