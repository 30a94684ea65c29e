//! A candidate for users, and the choice that a system makes where nobody made a route.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use semver::VersionReq;

use crate::error::RequestError;
use crate::id::{Incarnation, Path};
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::{Candidate, Candidates, Index};
use crate::registry::record::{WireTypes, compatible_with};
use crate::registry::selection::{Decision, Draw, Pool, Select, Selection, Standing, Tally, View};
use crate::runtime::current;
use crate::runtime::posting::Asking;
use crate::runtime::route::handle::Inner;
use crate::runtime::route::reach::{Reached, Typed, view};
use crate::runtime::route::sending::send_by;
use crate::runtime::route::unsent::{Unrouted, Unsent};
use crate::runtime::slot::{AnySlot, Patience};
use crate::runtime::system::System;

/// Somebody who offers a capability, with the types of its request and reply.
pub struct Provider<Request, Reply> {
    pub(super) slot: Arc<dyn AnySlot>,
    pub(super) way: Arc<Typed<Request, Reply>>,
}

impl<Request, Reply> Clone for Provider<Request, Reply> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), way: Arc::clone(&self.way) }
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
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request may or may not be handled.
    pub async fn ask(&self, request: Request, limit: Duration) -> Result<Reply, RequestError> {
        self.asked(Envelope::new(0, request), Some(limit)).await
    }

    /// As [`ask`](Self::ask), with what an envelope says. Its deadline is that of the request; without one, what an ask
    /// waits that does not say.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::Expired`] where no time is left, and nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn request(&self, envelope: Envelope<Request>) -> Result<Reply, RequestError> {
        self.asked(envelope, None).await
    }

    async fn asked(&self, envelope: Envelope<Request>, limit: Option<Duration>) -> Result<Reply, RequestError> {
        let asking = Asking { limit, patience: Patience::NextLife, ..Asking::plainly() };
        self.way.ask(&self.slot, envelope, asking).await.map_err(|refusal| refusal.into_error())
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
        self.slot.queued() + self.slot.core().gauge().tasks()
    }

    pub(super) fn is_away(&self) -> bool {
        view(&*self.slot).standing == Standing::Away
    }
}

/// The candidate with these types, if it has them.
pub(super) fn typed<Request: Wire, Reply: Wire>(candidate: &Candidate<Reached>) -> Option<Provider<Request, Reply>> {
    let way = Arc::clone(&candidate.provider.way).into_any().downcast().ok()?;
    Some(Provider { slot: Arc::clone(&candidate.provider.slot), way })
}

/// All providers of a capability that are running or will be, by path.
pub(crate) fn providers<Request: Wire, Reply: Wire>(
    index: &Index<Reached>,
    capability: &Capability<Request, Reply>,
) -> Vec<Provider<Request, Reply>> {
    let Ok(wanted) = capability.version().parse() else { return Vec::new() };
    let (types, range) = (WireTypes::of::<Request, Reply>(), compatible_with(&wanted));
    index
        .candidates(capability.name())
        .iter()
        .filter(|candidate| candidate.offer.types == types && range.matches(&candidate.offer.version))
        .filter_map(|candidate| typed(candidate))
        .filter(|provider| !provider.is_away())
        .collect()
}

/// The provider of a capability at this path, where it is running or will be.
pub(crate) fn provider_at<Request: Wire, Reply: Wire>(
    index: &Index<Reached>,
    capability: &Capability<Request, Reply>,
    path: &str,
) -> Option<Provider<Request, Reply>> {
    let range = compatible_with(&capability.version().parse().ok()?);
    let list = index.candidates(capability.name());
    let candidate = list.iter().filter(|candidate| candidate.path.as_str() == path);
    let mut candidate = candidate.filter(|candidate| range.matches(&candidate.offer.version));
    candidate.find_map(|candidate| typed(candidate)).filter(|provider| !provider.is_away())
}

/// Asks the least loaded provider of a capability.
pub(crate) async fn ask<Request: Wire, Reply: Wire>(
    system: &System,
    capability: &Capability<Request, Reply>,
    envelope: Envelope<Request>,
    limit: Option<Duration>,
) -> Result<Reply, RequestError> {
    match pick(system, capability) {
        Ok(provider) => {
            let asking = Asking { limit, patience: Patience::NextLife, ..Asking::plainly() };
            send_by(system, &provider, envelope, asking).await.map_err(|refusal| refusal.into_error())
        }
        Err(error) => {
            let (route, capability) = (Weak::<Inner<Request, Reply>>::new(), capability.clone());
            let letter = Unrouted { route, capability, requirement: None, key: None, envelope };
            Err(Unsent::new(error, Box::new(letter), None).bury(system))
        }
    }
}

/// Chooses the least loaded provider of a capability.
fn pick<Request: Wire, Reply: Wire>(
    system: &System,
    capability: &Capability<Request, Reply>,
) -> Result<Provider<Request, Reply>, RequestError> {
    // Of the code of a life that was given up: it takes nobody's turn.
    let (list, turn) = match current::fenced() {
        None => system.index().next(capability.name()),
        Some(_) => (system.index().candidates(capability.name()), 0),
    };
    let types = WireTypes::of::<Request, Reply>();
    let none = || no_provider(&list, types, capability);
    let wanted = capability.version().parse().map_err(|_| none())?;
    let pool = Listed { list: &list, types, range: compatible_with(&wanted) };
    let choice = Selection::LeastLoaded.select(&pool, &Draw::new(0, turn as u64)).map_err(|_| none())?;
    system.announce(|| Decision::of(&pool, &choice));
    typed(&list[choice.position()]).ok_or_else(none)
}

/// A list of the index as it is: who does not fit is away.
struct Listed<'a> {
    list: &'a Candidates<Reached>,
    types: WireTypes,
    range: VersionReq,
}

impl Pool for Listed<'_> {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn path(&self, position: usize) -> &Path {
        &self.list[position].path
    }

    fn view(&self, position: usize) -> View {
        let candidate = &self.list[position];
        let fits = candidate.offer.types == self.types && self.range.matches(&candidate.offer.version);
        if fits { view(&*candidate.provider.slot) } else { View::of(Standing::Away) }
    }
}

/// Why there is none: only strangers to these types, or nobody who is there, in a version that fits.
fn no_provider<Request, Reply>(
    list: &Candidates<Reached>,
    types: WireTypes,
    capability: &Capability<Request, Reply>,
) -> RequestError {
    let name = capability.name().to_owned();
    if let Some(path) = only_strangers(list, types) {
        return RequestError::WrongType { capability: name, path };
    }
    let here = |candidate: &&Arc<Candidate<Reached>>| is_here(candidate) && candidate.offer.types == types;
    let mut versions: Vec<_> = list.iter().filter(here).map(|candidate| &candidate.offer.version).collect();
    versions.sort_unstable();
    versions.dedup();
    let offered = versions.into_iter().map(ToString::to_string).collect();
    let version = capability.version().to_owned();
    RequestError::NoProvider { capability: name, version, offered, tally: Tally::default() }
}

fn is_here(candidate: &Candidate<Reached>) -> bool {
    view(&*candidate.provider.slot).standing != Standing::Away
}

/// The first who offers the name with other types, where all who are there do.
pub(super) fn only_strangers(list: &Candidates<Reached>, types: WireTypes) -> Option<Path> {
    let mut here = list.iter().filter(|candidate| is_here(candidate)).peekable();
    let first = here.peek().map(|candidate| candidate.path.clone())?;
    here.all(|candidate| candidate.offer.types != types).then_some(first)
}
