//! What a system offers to those who tell several, or whoever has the next turn.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::System;
use crate::event::DropReason;
use crate::id::Path;
use crate::message::subject::{Pattern, Subject};
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::current;
use crate::runtime::office::AnyLetter;
use crate::runtime::patterns::{Group, GroupError, Listener, Patterns, Published, SubscribeError, Subscription};

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
    /// * Who listens to the subject for another type of payload does not get it, and is counted.
    /// * What one sender publishes and tells reaches each receiver in that order. (Between the members of a queue group
    ///   there is no order.)
    /// * While an agent is between two lives, what is published for it waits in its mailbox.
    ///
    /// The list of who listens to a subject is kept until somebody comes or leaves, so that publishing costs about what
    /// telling each of them does.
    pub fn publish<T: Send + Sync + 'static>(&self, subject: &Subject, payload: T) -> Published {
        let payload = Arc::new(payload);
        let published = self.patterns().topics.publish(subject, &payload);
        if published.had_no_receiver() {
            self.nobody_listens(subject, payload);
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

    fn nobody_listens<T: Send + Sync + 'static>(&self, subject: &Subject, payload: Arc<T>) {
        // The code of a life that was given up leaves nothing behind.
        if current::fenced().is_none() {
            let letter = Unheard { subject: subject.clone(), payload };
            self.office().bury_for_nobody(self.bus(), self.root(), Box::new(letter), DropReason::NoReceiver);
        }
    }
}

/// A payload that was published and nobody listened to.
struct Unheard<T> {
    subject: Subject,
    payload: Arc<T>,
}

impl<T: Send + Sync + 'static> AnyLetter for Unheard<T> {
    fn payload_type(&self) -> &'static str {
        type_name::<T>()
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        if system.patterns().topics.publish(&self.subject, &self.payload).had_no_receiver() {
            let problem = format!("nobody listens to `{}`", self.subject);
            return Err((self, problem));
        }
        Ok(())
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.payload)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<Arc<T>>()
    }
}
