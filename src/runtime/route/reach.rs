//! How a candidate of the index is reached: from its slot, with or without the types of request and reply.

use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::RequestError;
use crate::id::Path;
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::Candidate;
use crate::registry::record::{InvalidOffer, OfferRecord};
use crate::registry::selection::View;
use crate::runtime::agent::Agent;
use crate::runtime::office::AnyLetter;
use crate::runtime::posting::{Asking, ask_by, tell_by};
use crate::runtime::slot::{Answer, AnySlot, Letter, Patience, Refusal, ReplyTo, Router, Slot, Stamp};
use crate::runtime::system::System;
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
        request: &serde_json::Value,
        asking: Asking,
    ) -> Result<BoxFuture<'static, Result<serde_json::Value, RequestError>>, RequestError>;

    /// Tells with JSON.
    #[cfg(feature = "json")]
    fn tell_json(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: &serde_json::Value,
        patience: Patience,
    ) -> Result<(), Box<JsonNotTaken>>;
}

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
    fn leads_to(&self, slot: &Arc<dyn AnySlot>) -> bool;
    fn ask(
        &self,
        slot: &Arc<dyn AnySlot>,
        envelope: Envelope<Request>,
        asking: Asking,
    ) -> BoxFuture<'static, Answer<Reply>>;
    fn tell(
        &self,
        slot: &Arc<dyn AnySlot>,
        envelope: Envelope<Request>,
        router: Option<Router>,
        patience: Patience,
    ) -> Result<(), Box<NotTaken>>;
    #[cfg(feature = "json")]
    fn malformed(&self, slot: &dyn AnySlot, problem: &serde_json::Error) -> RequestError;
}

impl<Request, Reply> Typed<Request, Reply> {
    /// Asks.
    pub(super) fn ask(
        &self,
        slot: &Arc<dyn AnySlot>,
        envelope: Envelope<Request>,
        asking: Asking,
    ) -> BoxFuture<'static, Answer<Reply>> {
        self.reach.ask(slot, envelope, asking)
    }

    /// Tells. With a router the message does not wait for the next life, unless the router finds nobody else.
    pub(super) fn tell(
        &self,
        slot: &Arc<dyn AnySlot>,
        envelope: Envelope<Request>,
        router: Option<Router>,
        patience: Patience,
    ) -> Result<(), Box<NotTaken>> {
        self.reach.tell(slot, envelope, router, patience)
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
        request: &serde_json::Value,
        asking: Asking,
    ) -> Result<BoxFuture<'static, Result<serde_json::Value, RequestError>>, RequestError> {
        let request = Request::deserialize(request).map_err(|problem| self.reach.malformed(&**slot, &problem))?;
        let reply = self.reach.ask(slot, Envelope::new(0, request), asking);
        Ok(Box::pin(async move {
            let reply = reply.await.map_err(|refusal| refusal.into_error())?;
            serde_json::to_value(reply).map_err(|problem| RequestError::ReplyNotJson { problem: problem.to_string() })
        }))
    }

    #[cfg(feature = "json")]
    fn tell_json(
        &self,
        slot: &Arc<dyn AnySlot>,
        request: &serde_json::Value,
        patience: Patience,
    ) -> Result<(), Box<JsonNotTaken>> {
        let malformed = |problem| Box::new(JsonNotTaken::Malformed(self.reach.malformed(&**slot, &problem)));
        let request = Request::deserialize(request).map_err(malformed)?;
        let told = self.reach.tell(slot, Envelope::new(0, request), None, patience);
        told.map_err(|refused| Box::new(JsonNotTaken::Refused(*refused)))
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
        envelope: Envelope<Request>,
        asking: Asking,
    ) -> BoxFuture<'static, Answer<Reply>> {
        let Some(slot) = Self::of(slot) else {
            let error = self.stranger(&**slot);
            return Box::pin(async move { Err(Refusal::of(error)) });
        };
        let name = Arc::clone(&self.name);
        Box::pin(async move {
            let letter = Letter::ticketed(envelope.map(Into::into));
            let reply = ask_by(&slot, letter, asking).await?;
            let wrong = || RequestError::WrongReply { capability: name.to_string(), path: slot.core().path.clone() };
            reply.try_into().map_err(|_| Refusal::of(wrong()))
        })
    }

    fn tell(
        &self,
        slot: &Arc<dyn AnySlot>,
        envelope: Envelope<Request>,
        router: Option<Router>,
        patience: Patience,
    ) -> Result<(), Box<NotTaken>> {
        let Some(slot) = Self::of(slot) else {
            let letter =
                Box::new(Strange { payload: envelope.into_payload(), problem: self.stranger(&**slot).to_string() });
            return Err(Box::new(NotTaken { error: self.stranger(&**slot), letter, router }));
        };
        let (mut letter, mut stamp) = Letter::enveloped(envelope.map(Into::into));
        if let Some(router) = router {
            letter = letter.stamped(mem::replace(&mut stamp, Stamp::BLANK));
            letter.ticket_mut().reply = Some(ReplyTo::Router(Mutex::new(router)));
        }
        let told = tell_by(&slot, (letter, stamp), patience);
        told.map_err(|(error, mut letter)| {
            let reply = letter.ticket.as_mut().and_then(|ticket| ticket.reply.take());
            let router = match reply {
                Some(ReplyTo::Router(router)) => Some(router.into_inner().unwrap_or_else(PoisonError::into_inner)),
                _ => None,
            };
            Box::new(NotTaken { error, letter: slot.dead(letter), router })
        })
    }

    #[cfg(feature = "json")]
    fn malformed(&self, slot: &dyn AnySlot, problem: &serde_json::Error) -> RequestError {
        let path = slot.core().path.clone();
        RequestError::Malformed { capability: self.name.to_string(), path, problem: problem.to_string() }
    }
}

/// A message on a way that does not lead to its slot.
struct Strange<T> {
    payload: T,
    problem: String,
}

impl<T: Send + 'static> AnyLetter for Strange<T> {
    fn payload_type(&self) -> &'static str {
        type_name::<T>()
    }

    fn send_again(self: Box<Self>, _: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        let problem = self.problem.clone();
        Err((self, problem))
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.payload)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<T>()
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
