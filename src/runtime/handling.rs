//! What an agent can ask about the message that it handles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::RequestError;
use crate::id::{AgentId, MessageId};
use crate::message::{Envelope, Kind, Origin, Priority};
use crate::runtime::agent::{Agent, Context};
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::slot::{Stamp, Ticket};

/// The message that is being handled. In the start and in the stop hook there is none, and these say so.
impl<A: Agent> Context<A> {
    /// The number of the message among those to this agent, in the order in which they came, from 1 on.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.about.as_ref().map(|about| about.sequence)
    }

    /// Until when its sender waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.stamp()?.deadline
    }

    /// How much time is left until its sender waits no longer: the budget for whatever is done for it. `None` where nobody
    /// waits.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(self.system().clock().now()))
    }

    /// Its kind; plain where its sender said nothing.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.stamp().map_or(Kind::Plain, |stamp| stamp.kind)
    }

    /// How much it matters; medium where its sender said nothing.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.stamp().map_or(Priority::MEDIUM, |stamp| stamp.priority)
    }

    /// The value of one of its headers.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.envelope()?.header(name)
    }

    /// Who sent it, where its sender said so.
    #[must_use]
    pub fn sender(&self) -> Option<&Arc<AgentId>> {
        self.envelope()?.sender()
    }

    fn stamp(&self) -> Option<Stamp> {
        self.about.as_ref().map(|about| about.stamp(self.slot.office().epoch))
    }

    /// Where more is said than a stamp says.
    fn envelope(&self) -> Option<&Envelope<()>> {
        self.about.as_ref()?.ticket.as_ref()?.said.envelope()
    }

    /// What is needed to send another message because of this one. Gives it an id where it has none yet.
    pub fn origin(&mut self) -> Option<Origin> {
        let entropy = Arc::clone(self.system.entropy());
        let stamp = self.stamp()?;
        let about = self.about.as_mut()?;
        let ticket = about.ticket.get_or_insert_with(|| Box::new(Ticket::stamped(stamp)));
        Some(ticket.said.envelope_mut().origin(|| MessageId::new(entropy.id())))
    }

    /// A message that is sent because of the one that is being handled: of its conversation, its trace, its priority, and
    /// with no more time than it has. Outside of a handler, a message that begins a conversation. Its sender is this agent.
    ///
    /// ```
    /// # use steadfast::{Agent, AgentRef, BoxError, Context};
    /// # struct Forwarder(AgentRef<Forwarder>);
    /// # impl Agent for Forwarder {
    /// #     type Args = ();
    /// #     type Message = String;
    /// #     type Reply = ();
    /// #     async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self(ctx.myself())) }
    /// async fn handle(&mut self, line: String, ctx: &mut Context<Self>) -> Result<(), BoxError> {
    ///     let because = ctx.because(line);
    ///     Ok(self.0.send(because)?)
    /// }
    /// # }
    /// ```
    pub fn because<N>(&mut self, payload: N) -> Envelope<N> {
        let because = match self.origin() {
            Some(origin) => Envelope::caused_by(&origin, 0, payload),
            None => Envelope::new(0, payload),
        };
        match self.system().id(self.path()) {
            Ok(myself) => because.with_sender(myself),
            Err(_) => because,
        }
    }

    /// Asks another agent because of the message that is being handled, within the time that is left for it less what is
    /// `kept` for the way back; [`DEFAULT_ASK`](crate::DEFAULT_ASK), or what the system's limits say, where nobody waits.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]. Where no time is left nothing is sent: [`RequestError::Timeout`] with a limit of 0.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message may or may not be handled.
    pub async fn ask<B: Agent>(
        &mut self,
        whom: &AgentRef<B>,
        message: B::Message,
        kept: Duration,
    ) -> Result<B::Reply, RequestError> {
        let now = self.system().clock().now();
        let question = self
            .because(message)
            .within(now, self.deadline().map_or(self.system().office().default_ask, |_| Duration::MAX));
        let question = question.hop(now, kept);
        if question.remaining(now).is_some_and(|left| left.is_zero()) {
            return Err(RequestError::Timeout { path: whom.path().clone(), limit: Duration::ZERO });
        }
        whom.request(question).await
    }
}
