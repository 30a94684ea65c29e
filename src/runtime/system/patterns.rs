//! What a system offers to those who tell several, or whoever has the next turn.

use std::sync::Arc;

use super::System;
use crate::event::DropReason;
use crate::id::Path;
use crate::message::Envelope;
use crate::message::subject::{Pattern, Subject};
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::current;
use crate::runtime::patterns::{
    Group, GroupError, Listener, Parcel, Patterns, Published, SubscribeError, Subscription, Unheard,
};

impl System {
    pub(crate) fn patterns(&self) -> &Arc<Patterns> {
        &self.inner.patterns
    }

    /// Subscribes an agent: it is told a copy of every payload of type `T` that is published about a subject that
    /// matches, as the message that `convert` makes of it.
    ///
    /// The subscription belongs to the agent, not to one life of it: it lasts until the agent is forgotten, or until it is
    /// ended. The same agent, pattern and type is one subscription, so an agent may subscribe in every start; the last
    /// `convert` counts. It runs where the payload is published and should only wrap it.
    ///
    /// ```
    /// # use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};
    /// #[derive(Clone)]
    /// struct Evicted(String);
    ///
    /// struct Audit;
    ///
    /// impl Agent for Audit {
    ///     type Args = ();
    ///     type Message = String;
    ///     type Reply = ();
    ///
    ///     async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
    ///         ctx.subscribe(&"agents.*.cache.evicted".parse()?, |Evicted(key)| key)?;
    ///         Ok(Self)
    ///     }
    ///
    ///     async fn handle(&mut self, key: String, _: &mut Context<Self>) -> Result<(), BoxError> {
    ///         println!("{key} is out of the cache");
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let root = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::agent::<Audit>("audit", ()));
    /// let system = System::start(root).await?;
    /// let published = system.publish(&"agents.data.cache.evicted".parse()?, Evicted("plan".to_owned()));
    /// assert_eq!(published.delivered, 1);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SubscribeError::Gone`] where the agent is forgotten, [`SubscribeError::Full`] where there are
    /// [`MOST_SUBSCRIPTIONS`](crate::MOST_SUBSCRIPTIONS), [`SubscribeError::Fenced`] where a life asks that was given up.
    pub fn subscribe<A: Agent, T: Clone + Send + Sync + 'static>(
        &self,
        agent: &AgentRef<A>,
        pattern: &Pattern,
        convert: impl Fn(T) -> A::Message + Send + Sync + 'static,
    ) -> Result<Subscription, SubscribeError> {
        let listener = Listener::new(agent, move |payload: &Arc<T>| convert(T::clone(payload)));
        self.patterns().subscribe(pattern, None, listener)
    }

    /// As [`subscribe`](Self::subscribe), without a copy: all who subscribe so share one payload.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_shared<A: Agent, T: Send + Sync + 'static>(
        &self,
        agent: &AgentRef<A>,
        pattern: &Pattern,
        convert: impl Fn(Arc<T>) -> A::Message + Send + Sync + 'static,
    ) -> Result<Subscription, SubscribeError> {
        let listener = Listener::new(agent, move |payload: &Arc<T>| convert(Arc::clone(payload)));
        self.patterns().subscribe(pattern, None, listener)
    }

    /// Subscribes an agent as a member of a queue group: of the members whose patterns match, each payload goes to one.
    ///
    /// Members that live take turns, in the order in which they joined; who is between two lives gets something only
    /// where no member that lives takes it. Who is full is passed over. Where nobody takes it, the publisher is told
    /// ([`Published::untaken`]). Different groups are independent of each other, and of those who
    /// [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_in_group<A: Agent, T: Clone + Send + Sync + 'static>(
        &self,
        agent: &AgentRef<A>,
        pattern: &Pattern,
        group: &str,
        convert: impl Fn(T) -> A::Message + Send + Sync + 'static,
    ) -> Result<Subscription, SubscribeError> {
        let listener = Listener::new(agent, move |payload: &Arc<T>| convert(T::clone(payload)));
        self.patterns().subscribe(pattern, Some(group), listener)
    }

    /// Publishes a payload about a subject: every agent that listens to it is told, and of each queue group one member.
    /// Never waits, and says what became of it.
    ///
    /// * A mailbox that is full refuses for itself alone; that is an event, and what it refused is a dead letter.
    /// * What nobody listens to is a dead letter, as an `Arc<T>` ([`System::take_dead_letter`]).
    /// * So is, for each receiver, what `convert` or the payload's copy panics on.
    /// * Who listens to the subject for another type of payload does not get it, and is counted.
    /// * What one sender publishes and tells reaches each receiver in that order. (Between the members of a queue group
    ///   there is no order.)
    /// * While an agent is between two lives, what is published for it waits in its mailbox.
    ///
    /// The list of who listens to a subject is kept until somebody comes or leaves, so that publishing costs about what
    /// telling each of them does.
    pub fn publish<T: Send + Sync + 'static>(&self, subject: &Subject, payload: T) -> Published {
        self.publish_parcel(subject, Parcel::plain(payload))
    }

    /// As [`publish`](Self::publish), with what an envelope says: kind, priority, deadline, time to live, headers and the
    /// rest. Each receiver gets a message of which all of it is said.
    ///
    /// * Where a receiver's mailbox has [lanes](crate::AgentSpec::order), the message goes by its priority.
    /// * Whose turn comes after the deadline or the time to live does not handle it: it is a dead letter of that receiver.
    /// * An id that the envelope has is that of every receiver's message; where it has none, each is given one of its own
    ///   when it is first asked for.
    /// * A dead letter keeps the envelope. Sent again, it has neither deadline nor time to live.
    ///
    /// ```
    /// # use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};
    /// #[derive(Clone)]
    /// struct Uploaded(String);
    ///
    /// #[derive(Clone)]
    /// struct Resized(String);
    ///
    /// struct Resizer;
    ///
    /// impl Agent for Resizer {
    ///     type Args = ();
    ///     type Message = String;
    ///     type Reply = ();
    ///
    ///     async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
    ///         ctx.subscribe(&"images.uploaded".parse()?, |Uploaded(name)| name)?;
    ///         Ok(Self)
    ///     }
    ///
    ///     async fn handle(&mut self, name: String, ctx: &mut Context<Self>) -> Result<(), BoxError> {
    ///         // Of the same conversation, and with no more time than what caused it.
    ///         let resized = ctx.because(Resized(name));
    ///         ctx.system().publish_envelope(&"images.resized".parse()?, resized);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use steadfast::message::{Envelope, Priority};
    ///
    /// let root = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::agent::<Resizer>("resizer", ()));
    /// let system = System::start(root).await?;
    /// let urgent = Envelope::new(0, Uploaded("cat.png".to_owned())).with_priority(Priority::HIGH);
    /// assert_eq!(system.publish_envelope(&"images.uploaded".parse()?, urgent).delivered, 1);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_envelope<T: Send + Sync + 'static>(&self, subject: &Subject, envelope: Envelope<T>) -> Published {
        self.publish_parcel(subject, Parcel::enveloped(envelope))
    }

    fn publish_parcel<T: Send + Sync + 'static>(&self, subject: &Subject, parcel: Parcel<T>) -> Published {
        let published = self.patterns().topics.publish(subject, &parcel);
        if published.had_no_receiver() {
            self.nobody_listens(subject, parcel);
        }
        published
    }

    /// Who listens to a subject now, members of queue groups included, by the age of their subscriptions.
    #[must_use]
    pub fn listeners(&self, subject: &Subject) -> Vec<Path> {
        self.patterns().topics.listeners(subject)
    }

    /// The group of agents of this name, whose members are told an `M`. It is there when it is first asked for.
    ///
    /// # Errors
    ///
    /// [`GroupError`] where the group of this name takes another type.
    pub fn group<M: Clone + Send + Sync + 'static>(&self, name: &str) -> Result<Group<M>, GroupError> {
        Group::named(self.patterns(), name)
    }

    fn nobody_listens<T: Send + Sync + 'static>(&self, subject: &Subject, parcel: Parcel<T>) {
        // The code of a life that was given up leaves nothing behind.
        if current::fenced().is_none() {
            let letter = Unheard { subject: subject.clone(), parcel };
            self.office().bury_for_nobody(self.bus(), self.root(), Box::new(letter), DropReason::NoReceiver);
        }
    }
}
