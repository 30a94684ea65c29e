//! Whom an agent can ask for the sake of the message that it handles.

use std::future::Future;

use crate::error::RequestError;
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::route::{self, Provider, Route};
use crate::runtime::system::System;

/// Whom [`Context::ask`](crate::Context::ask) can ask: an agent, a provider, whoever a route chooses, or the least loaded of
/// those who offer a capability. Not to be implemented elsewhere.
pub trait Addressee: sealed::Sealed + Sync {
    /// What it is asked.
    type Request: Send;
    /// What it replies.
    type Reply: Send;

    /// Asks it, in the time that the envelope leaves.
    #[doc(hidden)]
    fn asked(
        &self,
        system: &System,
        envelope: Envelope<Self::Request>,
    ) -> impl Future<Output = Result<Self::Reply, RequestError>> + Send;
}

mod sealed {
    pub trait Sealed {}

    impl<A: super::Agent> Sealed for super::AgentRef<A> {}
    impl<Request, Reply> Sealed for super::Provider<Request, Reply> {}
    impl<Request, Reply> Sealed for super::Route<Request, Reply> {}
    impl<Request, Reply> Sealed for super::Capability<Request, Reply> {}
}

impl<A: Agent> Addressee for AgentRef<A> {
    type Request = A::Message;
    type Reply = A::Reply;

    async fn asked(&self, _: &System, envelope: Envelope<A::Message>) -> Result<A::Reply, RequestError> {
        self.request(envelope).await
    }
}

impl<Request: Wire, Reply: Wire> Addressee for Provider<Request, Reply> {
    type Request = Request;
    type Reply = Reply;

    async fn asked(&self, _: &System, envelope: Envelope<Request>) -> Result<Reply, RequestError> {
        self.request(envelope).await
    }
}

impl<Request: Wire, Reply: Wire> Addressee for Route<Request, Reply> {
    type Request = Request;
    type Reply = Reply;

    async fn asked(&self, _: &System, envelope: Envelope<Request>) -> Result<Reply, RequestError> {
        self.request(envelope).await
    }
}

impl<Request: Wire, Reply: Wire> Addressee for Capability<Request, Reply> {
    type Request = Request;
    type Reply = Reply;

    async fn asked(&self, system: &System, envelope: Envelope<Request>) -> Result<Reply, RequestError> {
        route::ask(system, self, envelope, None).await
    }
}
