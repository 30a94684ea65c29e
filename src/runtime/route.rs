//! Routes: from a capability to an agent that offers it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::RequestError;
use crate::id::{Incarnation, Path};
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::{Candidate, Candidates, Index};
use crate::registry::record::{WireTypes, serves};
use crate::registry::selection::{Standing, choose};
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::ask_slot;
use crate::runtime::slot::{AnySlot, Presence, Slot};
use crate::seam::BoxFuture;

/// How a candidate of the index is reached.
pub(crate) struct Reached {
    pub(crate) slot: Arc<dyn AnySlot>,
    route: Arc<dyn Any + Send + Sync>,
}

/// Makes the route of one offer, without its types, from the agent's slot.
pub(crate) type Routable<M, R> = Arc<dyn Fn(Arc<Slot<M, R>>) -> Arc<dyn Any + Send + Sync> + Send + Sync>;

/// A route with its types.
struct Route<Request, Reply> {
    #[expect(clippy::type_complexity, reason = "a function from request and deadline to the reply's future")]
    ask: Box<dyn Fn(Request, Duration) -> BoxFuture<'static, Result<Reply, RequestError>> + Send + Sync>,
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
    Arc::new(move |slot: Arc<Slot<A::Message, A::Reply>>| {
        let name = Arc::clone(&name);
        let ask = move |request: Request, limit| -> BoxFuture<'static, Result<Reply, RequestError>> {
            let slot = Arc::clone(&slot);
            let name = Arc::clone(&name);
            Box::pin(async move {
                let reply = ask_slot(&slot, request.into(), limit).await?;
                let wrong =
                    || RequestError::WrongReply { capability: name.to_string(), path: slot.core().path.clone() };
                reply.try_into().map_err(|_| wrong())
            })
        };
        Arc::new(Route { ask: Box::new(ask) })
    })
}

/// The candidates that a slot puts into the index.
pub(crate) fn candidates(slot: &Arc<dyn AnySlot>) -> Vec<Candidate<Reached>> {
    let core = slot.core();
    let routes = Arc::clone(slot).routes();
    core.offers()
        .iter()
        .zip(routes)
        .map(|(offer, route)| Candidate {
            path: core.path.clone(),
            offer: offer.clone(),
            provider: Reached { slot: Arc::clone(slot), route },
        })
        .collect()
}

fn standing(slot: &dyn AnySlot) -> Standing {
    let core = slot.core();
    match core.presence() {
        Presence::Live => Standing::Live(slot.queued() + core.tasks()),
        Presence::Awaited => Standing::Awaited(slot.queued()),
        Presence::Resting | Presence::Closed => Standing::Away,
    }
}

/// Somebody who offers a capability, with the types of its request and reply.
pub struct Provider<Request, Reply> {
    slot: Arc<dyn AnySlot>,
    route: Arc<Route<Request, Reply>>,
}

impl<Request, Reply> Clone for Provider<Request, Reply> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), route: Arc::clone(&self.route) }
    }
}

impl<Request, Reply> fmt::Debug for Provider<Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.path())
    }
}

impl<Request: Wire, Reply: Wire> Provider<Request, Reply> {
    /// Asks this provider, whichever life of it is open when the request's turn comes.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn ask(&self, request: Request, limit: Duration) -> Result<Reply, RequestError> {
        (self.route.ask)(request, limit).await
    }
}

impl<Request, Reply> Provider<Request, Reply> {
    /// Where it stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.slot.core().path
    }

    /// The life that is open, or `None` between two lives.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.slot.core().incarnation()
    }

    /// How much it has to do: messages that wait or are being handled, and tasks that run.
    #[must_use]
    pub fn load(&self) -> usize {
        self.slot.queued() + self.slot.core().tasks()
    }
}

/// All providers of a capability that are running or will be, by path.
pub(crate) fn providers<Request: Wire, Reply: Wire>(
    index: &Index<Reached>,
    capability: &Capability<Request, Reply>,
) -> Vec<Provider<Request, Reply>> {
    let Ok(wanted) = capability.version().parse() else { return Vec::new() };
    let types = WireTypes::of::<Request, Reply>();
    index
        .candidates(capability.name())
        .iter()
        .filter(|candidate| candidate.offer.types == types && serves(&candidate.offer.version, &wanted))
        .filter(|candidate| standing(&*candidate.provider.slot) != Standing::Away)
        .filter_map(|candidate| typed(candidate))
        .collect()
}

fn typed<Request: Wire, Reply: Wire>(candidate: &Candidate<Reached>) -> Option<Provider<Request, Reply>> {
    let route = Arc::clone(&candidate.provider.route).downcast().ok()?;
    Some(Provider { slot: Arc::clone(&candidate.provider.slot), route })
}

/// Chooses one provider of a capability.
pub(crate) fn pick<Request: Wire, Reply: Wire>(
    index: &Index<Reached>,
    capability: &Capability<Request, Reply>,
) -> Result<Provider<Request, Reply>, RequestError> {
    let (list, turn) = index.next(capability.name());
    let types = WireTypes::of::<Request, Reply>();
    let none = || no_provider(&list, types, capability);
    let wanted = capability.version().parse().map_err(|_| none())?;
    let standings: Vec<_> = list
        .iter()
        .map(|candidate| {
            let fits = candidate.offer.types == types && serves(&candidate.offer.version, &wanted);
            if fits { standing(&*candidate.provider.slot) } else { Standing::Away }
        })
        .collect();
    let position = choose(&standings, turn).ok_or_else(none)?;
    typed(&list[position]).ok_or_else(none)
}

/// Why there is none: only strangers to these types, or nobody who is there, in a version that fits.
fn no_provider<Request, Reply>(
    list: &Candidates<Reached>,
    types: WireTypes,
    capability: &Capability<Request, Reply>,
) -> RequestError {
    let here = |candidate: &&Arc<Candidate<Reached>>| standing(&*candidate.provider.slot) != Standing::Away;
    let (same, strangers): (Vec<_>, Vec<_>) =
        list.iter().filter(here).partition(|candidate| candidate.offer.types == types);
    let name = capability.name().to_owned();
    if let ([], [stranger, ..]) = (&same[..], &strangers[..]) {
        return RequestError::WrongType { capability: name, path: stranger.path.clone() };
    }
    let mut versions: Vec<_> = same.iter().map(|candidate| &candidate.offer.version).collect();
    versions.sort_unstable();
    versions.dedup();
    let offered = versions.into_iter().map(ToString::to_string).collect();
    RequestError::NoProvider { capability: name, version: capability.version().to_owned(), offered }
}
