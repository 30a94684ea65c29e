//! What an agent can ask about the message that it handles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::RequestError;
use crate::id::{AgentId, MessageId};
use crate::message::{Envelope, Kind, Origin, Priority, TraceContext};
use crate::runtime::addressee::Addressee;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::slot::{Said, Stamp, Ticket};

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

    /// All of it.
    pub(crate) fn said(&self) -> Said {
        let said = self.about.as_ref().and_then(|about| about.ticket.as_ref()).map(|ticket| ticket.said.clone());
        said.unwrap_or_else(|| Said::Stamp(self.stamp().unwrap_or(Stamp::BLANK)))
    }

    /// What is needed to send another message because of this one. Gives it an id where it has none yet; its receiver is
    /// this agent.
    pub fn origin(&mut self) -> Option<Origin> {
        let entropy = Arc::clone(self.system.entropy());
        let myself = self.system().id(self.path()).ok();
        let stamp = self.stamp()?;
        let ticket = self.about.as_mut()?.ticket.get_or_insert_with(|| Box::new(Ticket::stamped(stamp)));
        Some(origin_of(ticket.said.envelope_mut(), myself, || MessageId::new(entropy.id())))
    }

    /// Its trace: as its sender said, or where it said none, a new one that begins here and that whatever is sent
    /// [because](Self::because) of it goes on with. `None` outside of a handler.
    pub fn trace(&mut self) -> Option<TraceContext> {
        let id = self.origin()?.id;
        let envelope = self.about.as_mut()?.ticket.as_mut()?.said.envelope_mut();
        Some(envelope.trace_or(|| TraceContext::of(id)))
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
        let origin = self.origin();
        because(origin, self.system().id(self.path()).ok(), payload)
    }

    /// Asks because of the message that is being handled, within the time that is left for it less what is `kept` for the
    /// way back; where nobody waits, for as long as whoever is asked says: a route, or what the system's limits say.
    ///
    /// ```
    /// # use steadfast::{BoxError, Capability, ChildSpec, Strategy, SupervisorSpec, System};
    /// use std::time::Duration;
    /// # use steadfast::{Agent, Context};
    /// const ADD: Capability<(i64, i64), i64> = Capability::new("math.add", "1.0.0");
    /// # struct Adds;
    /// # impl Agent for Adds {
    /// #     type Args = ();
    /// #     type Message = Vec<i64>;
    /// #     type Reply = i64;
    /// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self) }
    /// async fn handle(&mut self, numbers: Vec<i64>, ctx: &mut Context<Self>) -> Result<i64, BoxError> {
    ///     let mut sum = 0;
    ///     for number in numbers {
    ///         // All of it ends within the time of whoever asked for the sum.
    ///         sum = ctx.ask(&ADD, (sum, number), Duration::from_millis(1)).await?;
    ///     }
    ///     Ok(sum)
    /// }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let add = ChildSpec::serve("add", ADD, |_, (a, b): (i64, i64)| async move { Ok(a + b) });
    /// # let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(add);
    /// # let system = System::start(spec.child(ChildSpec::agent::<Adds>("adds", ()))).await?;
    /// # assert_eq!(system.agent::<Adds>("root/adds")?.ask(vec![1, 2, 3]).await?, 6);
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::Expired`] where no time is left, and nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message may or may not be handled.
    pub async fn ask<W: Addressee>(
        &mut self,
        whom: &W,
        message: W::Request,
        kept: Duration,
    ) -> Result<W::Reply, RequestError> {
        let now = self.system().clock().now();
        let question = self.because(message).hop(now, kept);
        whom.asked(self.system(), question).await
    }
}

/// What is needed to answer a message, or to send another because of it. Whoever handles it is its receiver, also where
/// somebody sent on what was said to be for another.
pub(crate) fn origin_of(
    envelope: &mut Envelope<()>,
    myself: Option<Arc<AgentId>>,
    fresh: impl FnOnce() -> MessageId,
) -> Origin {
    let mut origin = envelope.origin(fresh);
    origin.receiver = myself;
    origin
}

/// A message because of another, or the first of a conversation.
pub(crate) fn because<N>(cause: Option<Origin>, myself: Option<Arc<AgentId>>, payload: N) -> Envelope<N> {
    if let Some(cause) = cause {
        return Envelope::caused_by(&cause, 0, payload);
    }
    let first = Envelope::new(0, payload);
    match myself {
        Some(myself) => first.with_sender(myself),
        None => first,
    }
}
