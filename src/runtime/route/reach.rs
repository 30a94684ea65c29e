//! How a candidate of the index is reached: from its slot, with or without the types of request and reply.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{RequestError, TellError};
use crate::id::Path;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::Candidate;
use crate::registry::record::{InvalidOffer, OfferRecord};
use crate::registry::selection::View;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::{AgentRef, ask_slot, ask_slot_once, tell_routed};
use crate::runtime::slot::{AnySlot, Router, Slot};
use crate::seam::BoxFuture;

/// How a candidate of the index is reached.
pub(crate) struct Reached {
    pub(crate) slot: Arc<dyn AnySlot>,
    /// Leads to the slot.
    pub(crate) way: Arc<dyn Way>,
}

/// An offer, and the way to it.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) record: Arc<OfferRecord>,
    pub(crate) way: Arc<dyn Way>,
}

/// What a spec offers. One word, and nothing where it offers nothing: there may be a million slots that have it.
#[derive(Clone, Default)]
pub(crate) struct Offers(Option<Arc<Vec<Offered>>>);

impl From<Vec<Offered>> for Offers {
    fn from(offers: Vec<Offered>) -> Self {
        Self((!offers.is_empty()).then(|| Arc::new(offers)))
    }
}

impl Deref for Offers {
    type Target = [Offered];

    fn deref(&self) -> &[Offered] {
        self.0.as_ref().map_or(&[], |offers| offers.as_slice())
    }
}

/// Whether the others are the same, by what they say. Of the same type of agent they are reached in the same way then.
impl PartialEq for Offers {
    fn eq(&self, others: &Self) -> bool {
        self.iter().map(|offer| &offer.record).eq(others.iter().map(|offer| &offer.record))
    }
}

/// The way to one offer of one type of agent, whatever the offer's types. It is no slot's own: all agents of the type may
/// share it.
pub(crate) trait Way: Send + Sync {
    /// For whoever knows the types: a [`Typed`].
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;

    /// Whether it leads to this slot: it is of an agent of that type.
    fn leads_to(&self, slot: &Arc<dyn AnySlot>) -> bool;

    /// Asks with JSON, and gives the reply as JSON.
    #[cfg(feature = "json")]
    fn ask_json(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: serde_json::Value,
        limit: Duration,
    ) -> BoxFuture<'static, Result<serde_json::Value, RequestError>>;
}

/// The way to one offer, with its types.
pub(super) struct Typed<Request, Reply> {
    reach: Box<dyn Reach<Request, Reply>>,
}

/// What the slot of an agent does for one of its offers.
trait Reach<Request, Reply>: Send + Sync {
    fn leads_to(&self, slot: &Arc<dyn AnySlot>) -> bool;
    fn ask(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: Request,
        limit: Duration,
        stays: bool,
    ) -> BoxFuture<'static, Result<Reply, RequestError>>;
    fn tell(&self, slot: &Arc<dyn AnySlot>, request: Request, router: Option<Router>) -> Result<(), RequestError>;
    #[cfg(feature = "json")]
    fn malformed(&self, slot: &dyn AnySlot, problem: &serde_json::Error) -> RequestError;
}

impl<Request, Reply> Typed<Request, Reply> {
    /// Asks. `stays`: the request waits for the next life when its receiver dies before its turn.
    pub(super) fn ask(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: Request,
        limit: Duration,
        stays: bool,
    ) -> BoxFuture<'static, Result<Reply, RequestError>> {
        self.reach.ask(slot, request, limit, stays)
    }

    /// Tells. With a router the request does not wait for the next life.
    pub(super) fn tell(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: Request,
        router: Option<Router>,
    ) -> Result<(), RequestError> {
        self.reach.tell(slot, request, router)
    }
}

impl<Request: Wire, Reply: Wire> Way for Typed<Request, Reply> {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn leads_to(&self, slot: &Arc<dyn AnySlot>) -> bool {
        self.reach.leads_to(slot)
    }

    #[cfg(feature = "json")]
    fn ask_json(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: serde_json::Value,
        limit: Duration,
    ) -> BoxFuture<'static, Result<serde_json::Value, RequestError>> {
        let path_and_name = |problem| self.reach.malformed(&**slot, problem);
        match serde_json::from_value(request) {
            Err(problem) => {
                let error = path_and_name(&problem);
                Box::pin(async move { Err(error) })
            }
            Ok(request) => {
                let reply = self.reach.ask(slot, request, limit, true);
                Box::pin(async move {
                    let reply = reply.await?;
                    serde_json::to_value(reply)
                        .map_err(|problem| RequestError::ReplyNotJson { problem: problem.to_string() })
                })
            }
        }
    }
}

struct OfAgent<A> {
    name: Arc<str>,
    agent: PhantomData<fn() -> A>,
}

impl<A: Agent> OfAgent<A> {
    /// The slot with its types.
    fn of(slot: &Arc<dyn AnySlot>) -> Option<Arc<Slot<A::Message, A::Reply>>> {
        let slot = Arc::clone(slot).as_any().downcast::<Slot<A::Message, A::Reply>>().ok()?;
        slot.is_of::<A>().then_some(slot)
    }

    /// The slot is another agent's. The candidates of the index have none that is.
    fn stranger(&self, slot: &dyn AnySlot) -> RequestError {
        RequestError::WrongType { capability: self.name.to_string(), path: slot.core().path.clone() }
    }
}

impl<A, Request, Reply> Reach<Request, Reply> for OfAgent<A>
where
    A: Agent,
    Request: Wire + Into<A::Message>,
    Reply: Wire,
    A::Reply: TryInto<Reply>,
{
    fn leads_to(&self, slot: &Arc<dyn AnySlot>) -> bool {
        Self::of(slot).is_some()
    }

    fn ask(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: Request,
        limit: Duration,
        stays: bool,
    ) -> BoxFuture<'static, Result<Reply, RequestError>> {
        let Some(slot) = Self::of(slot) else {
            let error = self.stranger(&**slot);
            return Box::pin(async move { Err(error) });
        };
        let name = Arc::clone(&self.name);
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

    fn tell(&self, slot: &Arc<dyn AnySlot>, request: Request, router: Option<Router>) -> Result<(), RequestError> {
        let slot = Self::of(slot).ok_or_else(|| self.stranger(&**slot))?;
        let told = match router {
            None => AgentRef::<A>::new(slot).tell(request.into()),
            Some(router) => tell_routed(&slot, request.into(), router),
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
    fn malformed(&self, slot: &dyn AnySlot, problem: &serde_json::Error) -> RequestError {
        let path = slot.core().path.clone();
        RequestError::Malformed { capability: self.name.to_string(), path, problem: problem.to_string() }
    }
}

/// What an agent of a type offers, and the way to it.
pub(crate) fn offered<A, Request, Reply>(capability: &Capability<Request, Reply>) -> Result<Offered, InvalidOffer>
where
    A: Agent,
    Request: Wire + Into<A::Message>,
    Reply: Wire,
    A::Reply: TryInto<Reply>,
{
    let record = Arc::new(OfferRecord::of(capability)?);
    let reach: Box<dyn Reach<Request, Reply>> =
        Box::new(OfAgent::<A> { name: capability.name().into(), agent: PhantomData });
    Ok(Offered { record, way: Arc::new(Typed { reach }) })
}

/// The candidates that a slot puts into the index: what its spec offers and was not withdrawn, and what was added.
pub(crate) fn candidates(slot: &Arc<dyn AnySlot>) -> Vec<Candidate<Reached>> {
    let path: &Path = &slot.core().path;
    let (offers, changes) = slot.core().offers_and_changes();
    // A later offer of the same name and version takes the place of the former.
    let is_last = |number: usize, offer: &OfferRecord| {
        let same = |later: &OfferRecord| later.capability == offer.capability && later.version == offer.version;
        !offers[number + 1..].iter().any(|later| same(&later.record))
    };
    let counts = |number, offer| is_last(number, offer) && !changes.withdraws(offer);
    let of_spec = offers.iter().enumerate().filter(|(number, offer)| counts(*number, &offer.record));
    let all = of_spec.map(|(_, offer)| offer).chain(changes.added());
    // What was added may have been meant for an agent of another type, which was at this path before.
    let all = all.filter(|offer| offer.way.leads_to(slot));
    all.map(|Offered { record, way }| Candidate {
        path: path.clone(),
        offer: Arc::clone(record),
        provider: Reached { slot: Arc::clone(slot), way: Arc::clone(way) },
    })
    .collect()
}

/// How a slot stands now, without its latency: read without a lock.
pub(crate) fn view(slot: &dyn AnySlot) -> View {
    slot.core().gauge().seen()
}
