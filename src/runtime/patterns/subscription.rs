//! What an agent has of a subscription, and why it may not get one.

use std::fmt;
use std::sync::{Arc, Weak};

use super::{Listener, Patterns};
use crate::id::{Incarnation, Path};
use crate::message::subject::Pattern;
use crate::message::subject_map::SubscriptionId;
use crate::runtime::current::{self, FencedLife};

/// The most subscriptions of a system.
pub const MOST_SUBSCRIPTIONS: usize = 1_000_000;

/// A subscription of an agent. It lasts until the agent is forgotten, or until it is ended by this; dropping this does
/// nothing.
#[derive(Clone)]
pub struct Subscription {
    id: SubscriptionId,
    pattern: Pattern,
    patterns: Weak<Patterns>,
}

impl Subscription {
    /// What it listens to.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether it is still there.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.patterns.upgrade().is_some_and(|patterns| patterns.topics.contains(self.id))
    }

    /// Ends it. Returns whether it was there. What is published from now on does not reach the agent by it; what waits
    /// in its mailbox does, and so may what is just being published. Refused to the code of a life that was given up.
    #[expect(clippy::must_use_candidate, reason = "it ends whether somebody looks or not")]
    pub fn unsubscribe(&self) -> bool {
        current::fenced().is_none() && self.patterns.upgrade().is_some_and(|patterns| patterns.topics.remove(self.id))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} to {})", self.id, self.pattern)
    }
}

/// An agent was not subscribed, or did not become a member of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The agent is forgotten: no life of it will come.
    #[error("`{path}` is not running and no restart of it is coming")]
    Gone {
        /// Where it was.
        path: Path,
    },
    /// There are as many subscriptions as there may be.
    #[error("there are {bound} subscriptions already, as many as there may be; end some")]
    Full {
        /// How many.
        bound: usize,
    },
    /// Who asked is a life that has ended or was given up, and whose code runs on.
    #[error("not subscribed: incarnation {incarnation} of `{sender}` has ended or was given up")]
    Fenced {
        /// Where the asker stood.
        sender: Path,
        /// The life whose code asked.
        incarnation: Incarnation,
    },
}

/// Refuses the code of a life that was given up.
pub(super) fn not_fenced() -> Result<(), SubscribeError> {
    match current::fenced() {
        None => Ok(()),
        Some(FencedLife { path: sender, incarnation }) => Err(SubscribeError::Fenced { sender, incarnation }),
    }
}

impl Patterns {
    /// Subscribes an agent, for itself or as a member of a queue group.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        pattern: &Pattern,
        group: Option<&str>,
        listener: Listener,
    ) -> Result<Subscription, SubscribeError> {
        not_fenced()?;
        let slot = listener.shared_slot();
        let Some(id) = self.topics.add(pattern, group, listener) else {
            return Err(SubscribeError::Full { bound: MOST_SUBSCRIPTIONS });
        };
        if !self.tie(&*slot) {
            return Err(SubscribeError::Gone { path: slot.core().path.clone() });
        }
        Ok(Subscription { id, pattern: pattern.clone(), patterns: Arc::downgrade(self) })
    }
}
