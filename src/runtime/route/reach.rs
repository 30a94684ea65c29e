//! How a candidate of the index is reached: from its slot, with or without the types of request and reply.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{RequestError, TellError};
use crate::id::Path;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::Candidate;
use crate::registry::record::{OfferRecord, WireTypes};
use crate::registry::selection::View;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::{AgentRef, ask_slot, ask_slot_once, tell_routed};
use crate::runtime::slot::{AnySlot, Router, Slot};
use crate::seam::BoxFuture;

/// How a candidate of the index is reached.
pub(crate) struct Reached {
    pub(crate) slot: Arc<dyn AnySlot>,
    pub(crate) route: Arc<dyn AnyRoute>,
}

/// The way to one offer, whatever its types.
pub(crate) trait AnyRoute: Send + Sync {
    /// For whoever knows the types: a [`Typed`].
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;

    /// Which those are.
    fn types(&self) -> WireTypes;

    /// Asks with JSON, and gives the reply as JSON.
    #[cfg(feature = "json")]
    fn ask_json(
        &self,
        request: serde_json::Value,
        limit: Duration,
    ) -> BoxFuture<'static, Result<serde_json::Value, RequestError>>;
}

/// Makes the way to one offer from the agent's slot.
pub(crate) type Routable<M, R> = Arc<dyn Fn(Arc<Slot<M, R>>) -> Arc<dyn AnyRoute> + Send + Sync>;

/// The same, from a slot whose type it knows by itself. `None` from any other slot.
pub(crate) type AnyRoutable = Arc<dyn Fn(Arc<dyn AnySlot>) -> Option<Arc<dyn AnyRoute>> + Send + Sync>;

/// The way to one offer, with its types.
pub(super) struct Typed<Request, Reply> {
    reach: Box<dyn Reach<Request, Reply>>,
}

/// What the slot of an agent does for one of its offers.
trait Reach<Request, Reply>: Send + Sync {
    fn ask(&self, request: Request, limit: Duration, stays: bool) -> BoxFuture<'static, Result<Reply, RequestError>>;
    fn tell(&self, request: Request, router: Option<Router>) -> Result<(), RequestError>;
    #[cfg(feature = "json")]
    fn malformed(&self, problem: &serde_json::Error) -> RequestError;
}

impl<Request, Reply> Typed<Request, Reply> {
    /// Asks. `stays`: the request waits for the next life when its receiver dies before its turn.
    pub(super) fn ask(
        &self,
        request: Request,
        limit: Duration,
        stays: bool,
    ) -> BoxFuture<'static, Result<Reply, RequestError>> {
        self.reach.ask(request, limit, stays)
    }

    /// Tells. With a router the request does not wait for the next life.
    pub(super) fn tell(&self, request: Request, router: Option<Router>) -> Result<(), RequestError> {
        self.reach.tell(request, router)
    }
}

impl<Request: Wire, Reply: Wire> AnyRoute for Typed<Request, Reply> {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn types(&self) -> WireTypes {
        WireTypes::of::<Request, Reply>()
    }

    #[cfg(feature = "json")]
    fn ask_json(
        &self,
        request: serde_json::Value,
        limit: Duration,
    ) -> BoxFuture<'static, Result<serde_json::Value, RequestError>> {
        let path_and_name = |problem| self.reach.malformed(problem);
        match serde_json::from_value(request) {
            Err(problem) => {
                let error = path_and_name(&problem);
                Box::pin(async move { Err(error) })
            }
            Ok(request) => {
                let reply = self.reach.ask(request, limit, true);
                Box::pin(async move {
                    let reply = reply.await?;
                    serde_json::to_value(reply)
                        .map_err(|problem| RequestError::ReplyNotJson { problem: problem.to_string() })
                })
            }
        }
    }
}

struct OfAgent<A: Agent> {
    slot: Arc<Slot<A::Message, A::Reply>>,
    name: Arc<str>,
}

impl<A, Request, Reply> Reach<Request, Reply> for OfAgent<A>
where
    A: Agent,
    Request: Wire + Into<A::Message>,
    Reply: Wire,
    A::Reply: TryInto<Reply>,
{
    fn ask(&self, request: Request, limit: Duration, stays: bool) -> BoxFuture<'static, Result<Reply, RequestError>> {
        let (slot, name) = (Arc::clone(&self.slot), Arc::clone(&self.name));
        Box::pin(async move {
            let reply = if stays {
                ask_slot(&slot, request.into(), limit).await?
            } else {
                ask_slot_once(&slot, request.into(), limit).await?
            };
            let wrong = || RequestError::WrongReply { capability: name.to_string(), path: slot.core().path.clone() };
            reply.try_into().map_err(|_| wrong())
        })
    }

    fn tell(&self, request: Request, router: Option<Router>) -> Result<(), RequestError> {
        let told = match router {
            None => AgentRef::<A>::new(Arc::clone(&self.slot)).tell(request.into()),
            Some(router) => tell_routed(&self.slot, request.into(), router),
        };
        told.map_err(|refused| match refused {
            TellError::Full { path, bound, .. } => RequestError::Full { path, bound, limit: Duration::ZERO },
            TellError::Gone { path, .. } => RequestError::Gone { path },
            TellError::Draining { path, .. } => RequestError::Draining { path },
            TellError::RateLimited { path, domain, retry_after, .. } => {
                RequestError::RateLimited { path, domain, retry_after }
            }
            TellError::Fenced { path, sender, incarnation, .. } => RequestError::Fenced { path, sender, incarnation },
        })
    }

    #[cfg(feature = "json")]
    fn malformed(&self, problem: &serde_json::Error) -> RequestError {
        let path = self.slot.core().path.clone();
        RequestError::Malformed { capability: self.name.to_string(), path, problem: problem.to_string() }
    }
}

/// The routable of an agent that offers a capability.
pub(crate) fn routable<A, Request, Reply>(capability: &Capability<Request, Reply>) -> Routable<A::Message, A::Reply>
where
    A: Agent,
    Request: Wire + Into<A::Message>,
    Reply: Wire,
    A::Reply: TryInto<Reply>,
{
    let name: Arc<str> = capability.name().into();
    Arc::new(move |slot| {
        let reach: Box<dyn Reach<Request, Reply>> = Box::new(OfAgent::<A> { slot, name: Arc::clone(&name) });
        Arc::new(Typed { reach })
    })
}

/// The same, for a slot that is kept without its types.
pub(crate) fn any_routable<A, Request, Reply>(capability: &Capability<Request, Reply>) -> AnyRoutable
where
    A: Agent,
    Request: Wire + Into<A::Message>,
    Reply: Wire,
    A::Reply: TryInto<Reply>,
{
    let routable = routable::<A, Request, Reply>(capability);
    Arc::new(move |slot| {
        let slot = slot.as_any().downcast::<Slot<A::Message, A::Reply>>().ok()?;
        slot.is_of::<A>().then(|| routable(slot))
    })
}

/// The candidates that a slot puts into the index: what its spec offers and was not withdrawn, and what was added.
pub(crate) fn candidates(slot: &Arc<dyn AnySlot>) -> Vec<Candidate<Reached>> {
    let path: &Path = &slot.core().path;
    let candidate =
        |offer, route| Candidate { path: path.clone(), offer, provider: Reached { slot: Arc::clone(slot), route } };
    let (offers, changes) = slot.core().offers_and_changes();
    let routes = Arc::clone(slot).routes();
    // A later offer of the same name and version takes the place of the former.
    let is_last = |number: usize, offer: &OfferRecord| {
        let same = |later: &OfferRecord| later.capability == offer.capability && later.version == offer.version;
        !offers[number + 1..].iter().any(same)
    };
    let of_spec = offers.iter().zip(routes).enumerate();
    let of_spec = of_spec.filter(|(number, (offer, _))| is_last(*number, offer) && !changes.withdraws(offer));
    let mut all: Vec<_> = of_spec.map(|(_, (offer, route))| candidate(offer.clone(), route)).collect();
    for (offer, routable) in changes.added() {
        all.extend(routable(Arc::clone(slot)).map(|route| candidate(offer.clone(), route)));
    }
    // An update of the spec may have come between the offers and the ways to them; the next life registers both.
    all.retain(|candidate| candidate.offer.types == candidate.provider.route.types());
    all
}

/// How a slot stands now, without its latency: read without a lock.
pub(crate) fn view(slot: &dyn AnySlot) -> View {
    slot.core().gauge().seen()
}
