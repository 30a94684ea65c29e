//! How a candidate of the index is reached: from its slot, with or without the types of request and reply.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::RequestError;
use crate::id::Path;
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::Candidate;
use crate::registry::record::{OfferRecord, WireTypes};
use crate::registry::selection::View;
use crate::runtime::agent::Agent;
use crate::runtime::office::AnyLetter;
use crate::runtime::posting::{Asking, ask_by, tell_by};
use crate::runtime::slot::{Answer, AnySlot, Letter, Patience, Refusal, ReplyTo, Router, Slot};
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
        request: &serde_json::Value,
        asking: Asking,
    ) -> Result<BoxFuture<'static, Result<serde_json::Value, RequestError>>, RequestError>;

    /// Tells with JSON.
    #[cfg(feature = "json")]
    fn tell_json(&self, request: &serde_json::Value, patience: Patience) -> Result<(), Box<JsonNotTaken>>;
}

/// Makes the way to one offer from the agent's slot.
pub(crate) type Routable<M, R> = Arc<dyn Fn(Arc<Slot<M, R>>) -> Arc<dyn AnyRoute> + Send + Sync>;

/// The same, from a slot whose type it knows by itself. `None` from any other slot.
pub(crate) type AnyRoutable = Arc<dyn Fn(Arc<dyn AnySlot>) -> Option<Arc<dyn AnyRoute>> + Send + Sync>;

/// The way to one offer, with its types.
pub(super) struct Typed<Request, Reply> {
    reach: Box<dyn Reach<Request, Reply>>,
}

/// A message that was not taken.
pub(crate) struct NotTaken {
    pub(crate) error: RequestError,
    /// The letter, which is not laid down yet.
    pub(crate) letter: Box<dyn AnyLetter>,
    /// Who may send it elsewhere.
    pub(crate) router: Option<Router>,
}

/// JSON that was not taken.
#[cfg(feature = "json")]
pub(crate) enum JsonNotTaken {
    /// It is no such message.
    Malformed(RequestError),
    /// It is a letter by now.
    Refused(NotTaken),
}

/// What the slot of an agent does for one of its offers.
trait Reach<Request, Reply>: Send + Sync {
    fn ask(&self, envelope: Envelope<Request>, asking: Asking) -> BoxFuture<'static, Answer<Reply>>;
    fn tell(
        &self,
        envelope: Envelope<Request>,
        router: Option<Router>,
        patience: Patience,
    ) -> Result<(), Box<NotTaken>>;
    #[cfg(feature = "json")]
    fn malformed(&self, problem: &serde_json::Error) -> RequestError;
}

impl<Request, Reply> Typed<Request, Reply> {
    /// Asks.
    pub(super) fn ask(&self, envelope: Envelope<Request>, asking: Asking) -> BoxFuture<'static, Answer<Reply>> {
        self.reach.ask(envelope, asking)
    }

    /// Tells. With a router the message does not wait for the next life, unless the router finds nobody else.
    pub(super) fn tell(
        &self,
        envelope: Envelope<Request>,
        router: Option<Router>,
        patience: Patience,
    ) -> Result<(), Box<NotTaken>> {
        self.reach.tell(envelope, router, patience)
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
        request: &serde_json::Value,
        asking: Asking,
    ) -> Result<BoxFuture<'static, Result<serde_json::Value, RequestError>>, RequestError> {
        let request = Request::deserialize(request).map_err(|problem| self.reach.malformed(&problem))?;
        let reply = self.reach.ask(Envelope::new(0, request), asking);
        Ok(Box::pin(async move {
            let reply = reply.await.map_err(|refusal| refusal.into_error())?;
            serde_json::to_value(reply).map_err(|problem| RequestError::ReplyNotJson { problem: problem.to_string() })
        }))
    }

    #[cfg(feature = "json")]
    fn tell_json(&self, request: &serde_json::Value, patience: Patience) -> Result<(), Box<JsonNotTaken>> {
        let malformed = |problem| Box::new(JsonNotTaken::Malformed(self.reach.malformed(&problem)));
        let request = Request::deserialize(request).map_err(malformed)?;
        let told = self.reach.tell(Envelope::new(0, request), None, patience);
        told.map_err(|refused| Box::new(JsonNotTaken::Refused(*refused)))
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
    fn ask(&self, envelope: Envelope<Request>, asking: Asking) -> BoxFuture<'static, Answer<Reply>> {
        let (slot, name) = (Arc::clone(&self.slot), Arc::clone(&self.name));
        Box::pin(async move {
            let letter = Letter::enveloped(envelope.map(Into::into));
            let reply = ask_by(&slot, letter, asking).await?;
            let wrong = || RequestError::WrongReply { capability: name.to_string(), path: slot.core().path.clone() };
            reply.try_into().map_err(|_| Refusal::of(wrong()))
        })
    }

    fn tell(
        &self,
        envelope: Envelope<Request>,
        router: Option<Router>,
        patience: Patience,
    ) -> Result<(), Box<NotTaken>> {
        let mut letter = Letter::enveloped(envelope.map(Into::into));
        if let Some(router) = router {
            letter.ticket_mut().reply = Some(ReplyTo::Router(Mutex::new(router)));
        }
        let told = tell_by(&self.slot, letter, patience);
        told.map_err(|(error, mut letter)| {
            let reply = letter.ticket.as_mut().and_then(|ticket| ticket.reply.take());
            let router = match reply {
                Some(ReplyTo::Router(router)) => Some(router.into_inner().unwrap_or_else(PoisonError::into_inner)),
                _ => None,
            };
            Box::new(NotTaken { error, letter: self.slot.dead(letter), router })
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
