//! What an agent may do about itself: subscribe.

use std::sync::Arc;

use super::subscription::{SubscribeError, Subscription};
use crate::message::subject::Pattern;
use crate::runtime::agent::{Agent, Context};

impl<A: Agent> Context<A> {
    /// Subscribes this agent; see [`System::subscribe`](crate::System::subscribe). In [`Agent::start`] it is done once:
    /// the next life's subscription takes the place of this one's.
    ///
    /// # Errors
    ///
    /// As [`System::subscribe`](crate::System::subscribe).
    pub fn subscribe<T: Clone + Send + Sync + 'static>(
        &self,
        pattern: &Pattern,
        convert: impl Fn(T) -> A::Message + Send + Sync + 'static,
    ) -> Result<Subscription, SubscribeError> {
        self.system().subscribe(&self.myself(), pattern, convert)
    }

    /// As [`subscribe`](Self::subscribe), and shares the payload; see
    /// [`System::subscribe_shared`](crate::System::subscribe_shared).
    ///
    /// # Errors
    ///
    /// As [`System::subscribe`](crate::System::subscribe).
    pub fn subscribe_shared<T: Send + Sync + 'static>(
        &self,
        pattern: &Pattern,
        convert: impl Fn(Arc<T>) -> A::Message + Send + Sync + 'static,
    ) -> Result<Subscription, SubscribeError> {
        self.system().subscribe_shared(&self.myself(), pattern, convert)
    }

    /// Makes this agent a member of a queue group; see
    /// [`System::subscribe_in_group`](crate::System::subscribe_in_group).
    ///
    /// # Errors
    ///
    /// As [`System::subscribe`](crate::System::subscribe).
    pub fn subscribe_in_group<T: Clone + Send + Sync + 'static>(
        &self,
        pattern: &Pattern,
        group: &str,
        convert: impl Fn(T) -> A::Message + Send + Sync + 'static,
    ) -> Result<Subscription, SubscribeError> {
        self.system().subscribe_in_group(&self.myself(), pattern, group, convert)
    }
}
