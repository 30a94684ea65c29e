//! The registry of a system: asking by capability, finding who offers one, following who does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use semver::Version;

use super::watching::RegistryWatch;
use super::{System, written};
use crate::error::{RegisterError, RequestError, UnknownPath};
use crate::id::{AgentId, ChildId, Path};
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::Judged;
use crate::registry::name::CapabilityName;
use crate::registry::record::{InvalidOffer, OfferRecord};
use crate::registry::requirement::Requirement;
use crate::registry::selection::{Eligible, Standing, View};
use crate::registry::suitability::Suitability;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::bus::Events;
use crate::runtime::current;
use crate::runtime::registrar;
use crate::runtime::route::{self, Provider, Reached, RouteBuilder, offered, view};
use crate::runtime::slot::{AnySlot, Presence};

/// Somebody whose offer was found, as it was at that moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Where it stands in the tree.
    pub path: Path,
    /// What it offers.
    pub offer: OfferRecord,
    /// How well that suits, or why not.
    pub suitability: Suitability,
    /// How it stands: whether it lives, its load, its latency.
    pub view: View,
}

impl Found {
    pub(super) fn of(system: &System, path: Path, offer: OfferRecord, requirement: &Requirement) -> Self {
        let view = system.slot(&path).map_or(View::of(Standing::Away), |slot| system.view_of(&*slot));
        let suitability = requirement.matches(&offer);
        Self { path, offer, suitability, view }
    }

    fn judged(system: &System, judged: Judged<Reached>) -> Self {
        let Judged { candidate, suitability } = judged;
        let view = system.view_of(&*candidate.provider.slot);
        Self { path: candidate.path.clone(), offer: OfferRecord::clone(&candidate.offer), suitability, view }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offer, suitability, .. } = self;
        write!(f, "{path} offers {}@{}: {suitability}", offer.capability, offer.version)
    }
}

impl System {
    /// Asks any provider of a capability, and waits for the reply at most for
    /// [`DEFAULT_ASK`](crate::DEFAULT_ASK), or for what the system's limits say.
    ///
    /// The least loaded live provider is chosen. Where the only ones are between two incarnations, the request waits
    /// for the next one, at most to the deadline. [`route`](Self::route) has more to choose from.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request may or may not be handled.
    pub async fn ask<Q: Wire, R: Wire>(&self, capability: &Capability<Q, R>, request: Q) -> Result<R, RequestError> {
        self.ask_within(capability, request, self.office().default_ask).await
    }

    /// As [`ask`](Self::ask), with a deadline of its own.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request may or may not be handled.
    pub async fn ask_within<Q: Wire, R: Wire>(
        &self,
        capability: &Capability<Q, R>,
        request: Q,
        limit: Duration,
    ) -> Result<R, RequestError> {
        route::ask(self, capability, Envelope::new(0, request), Some(limit)).await
    }

    /// Asks by name, with JSON: the least loaded of those who suit the requirement, whatever types it takes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use serde_json::json;
    /// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// const SUM: Capability<Vec<i64>, i64> = Capability::new("math.sum", "1.0.0");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let adder = ChildSpec::serve("adder", SUM, |_, xs: Vec<i64>| async move { Ok(xs.iter().sum()) });
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(adder)).await?;
    ///
    /// let wanted = "math.sum@^1.0".parse()?;
    /// let second = Duration::from_secs(1);
    /// assert_eq!(system.ask_json(&wanted, json!([1, 2, 3]), second).await?, json!(6));
    /// let error = system.ask_json(&wanted, json!("three"), second).await.unwrap_err();
    /// assert!(error.to_string().starts_with("`root/adder` does not take this as a request for `math.sum`"));
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`RequestError`]. [`RequestError::Malformed`] where whoever was chosen takes no such request.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request may or may not be handled.
    #[cfg(feature = "json")]
    pub async fn ask_json(
        &self,
        requirement: &Requirement,
        request: serde_json::Value,
        limit: Duration,
    ) -> Result<serde_json::Value, RequestError> {
        route::ask_json(self, requirement, request, limit).await
    }

    /// A route to whoever offers a capability, to be described further and then made by
    /// [`build`](RouteBuilder::build).
    pub fn route<Q: Wire, R: Wire>(&self, capability: &Capability<Q, R>) -> RouteBuilder<Q, R> {
        RouteBuilder::new(self.clone(), capability.clone())
    }

    /// Every choice of a provider from now on, as [`EventKind::Routed`](crate::EventKind::Routed): those of routes and
    /// of [`ask`](Self::ask). A stream of its own, since there is one for each message; without a reader no decision is
    /// written out.
    #[must_use]
    pub fn decisions(&self) -> Events {
        self.bus().decisions()
    }

    /// All providers of a capability that run or are about to, by path.
    #[must_use]
    pub fn providers<Q: Wire, R: Wire>(&self, capability: &Capability<Q, R>) -> Vec<Provider<Q, R>> {
        route::providers(self.index(), capability)
    }

    /// The provider of a capability at a path, if it offers it and runs or is about to.
    #[must_use]
    pub fn provider<Q: Wire, R: Wire>(
        &self,
        capability: &Capability<Q, R>,
        path: impl AsRef<str>,
    ) -> Option<Provider<Q, R>> {
        route::provider_at(self.index(), capability, written(path.as_ref()))
    }

    /// The names of the capabilities that somebody offers, sorted.
    #[must_use]
    pub fn capabilities(&self) -> Vec<String> {
        self.index().names()
    }

    /// All whose offers suit a requirement, the most suitable first, with the reason; also those that are not running
    /// now and are still registered.
    ///
    /// ```
    /// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let writer = |name: &str, lang: &str| {
    ///     let offer = Capability::<String, String>::new("text.write", "1.2.0").attribute("lang", lang);
    ///     ChildSpec::serve(name, offer, |_, text| async move { Ok(text) })
    /// };
    /// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(writer("a", "de")).child(writer("b", "en"));
    /// let system = System::start(spec).await?;
    /// let found = system.discover(&"text.*@^1 ~lang=en".parse()?);
    /// let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    /// assert_eq!(lines, [
    ///     "root/b offers text.write@1.2.0: fits with version 1.2.0, meets all of 1 preferences",
    ///     "root/a offers text.write@1.2.0: fits with version 1.2.0, meets none of 1 preferences",
    /// ]);
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    #[must_use]
    pub fn discover(&self, requirement: &Requirement) -> Vec<Found> {
        self.found(self.index().discover(requirement))
    }

    /// As [`discover`](Self::discover), followed by those who offer a name that is meant and do not suit; the nearest
    /// miss first, with the reason.
    #[must_use]
    pub fn judge(&self, requirement: &Requirement) -> Vec<Found> {
        self.found(self.index().judge(requirement))
    }

    /// Of those that [`discover`](Self::discover) finds, who would take a message at once: alive and not known to hang.
    #[must_use]
    pub fn find_healthy(&self, requirement: &Requirement) -> Vec<Found> {
        let mut found = self.discover(requirement);
        found.retain(|found| found.view.eligible() == Ok(Eligible::Now));
        found
    }

    fn found(&self, judged: Vec<Judged<Reached>>) -> Vec<Found> {
        judged.into_iter().map(|judged| Found::judged(self, judged)).collect()
    }

    fn view_of(&self, slot: &dyn AnySlot) -> View {
        let seen = view(slot);
        slot.core().gauge().latency(|| self.moment()).map_or(seen, |latency| seen.latency(latency))
    }

    /// Follows who suits a requirement: first a snapshot, then what changes.
    #[must_use]
    pub fn watch_registry(&self, requirement: &Requirement) -> RegistryWatch {
        RegistryWatch::new(self.clone(), requirement.clone())
    }

    /// Who the agent at a path is: the same over its restarts, those of its supervisor, and where a child of the same
    /// kind was added again after it was deleted. Another kind of child in its place has another. Drawn when it is first
    /// asked for; see [`AgentId::by_default`]. An agent of a domain that was added at run time has that domain's name in it,
    /// wherever that stands. The version is that which the agent has by now: an update changes it, and nothing else.
    ///
    /// # Errors
    ///
    /// When there is no such path in the tree.
    pub fn id(&self, path: impl AsRef<str>) -> Result<Arc<AgentId>, UnknownPath> {
        let slot = self.known(path.as_ref())?;
        let core = slot.core();
        let (offers, _) = core.offers_and_changes();
        let version = offers.first().map_or_else(|| Version::new(0, 0, 0), |offer| offer.record.version.clone());
        Ok(core.id_or(&version, || {
            let instance = self.entropy().id();
            self.inner.ids.insert(instance, core.path.clone());
            let id = AgentId::by_default(&core.path, [&version], instance);
            match core.gate() {
                Some(gate) => AgentId { domain: ChildId::unchecked(gate.domain.name()), ..id },
                None => id,
            }
        }))
    }

    /// Where the agent of an id stands in the tree, if it is still a child, whatever version it has by now.
    #[must_use]
    pub fn resolve(&self, id: &AgentId) -> Option<Path> {
        let path = self.inner.ids.get(&id.instance).map(|path| path.clone())?;
        let slot = self.slot(&path)?;
        let core = slot.core();
        let is_it = core.known_id().is_some_and(|known| known.instance == id.instance);
        (is_it && core.presence() != Presence::Closed).then_some(path)
    }

    /// The agent offers one more capability, from now on: in this life, in those to come, and over restarts of the
    /// registrar. One of the same name and version, its spec's included, is replaced. Between two lives it is offered
    /// with the next one.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is offered at the latest with the next life.
    pub async fn register<A, Q, R>(
        &self,
        agent: &AgentRef<A>,
        capability: &Capability<Q, R>,
    ) -> Result<(), RegisterError>
    where
        A: Agent,
        Q: Wire + Into<A::Message>,
        R: Wire,
        A::Reply: TryInto<R>,
    {
        let offer = offered::<A, Q, R>(capability)?;
        let slot = self.running(agent.path())?;
        slot.core().offer(offer);
        self.make_known(&*slot).await
    }

    /// The agent at a path does not offer a capability any more, in this version, in whatever life: neither what its spec
    /// offers nor what was [registered](Self::register). Messages that it was sent before are handled.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is withdrawn at the latest with the next life.
    pub async fn deregister<Q: Wire, R: Wire>(
        &self,
        path: impl AsRef<str>,
        capability: &Capability<Q, R>,
    ) -> Result<(), RegisterError> {
        let name = CapabilityName::new(capability.name()).map_err(InvalidOffer::Name)?;
        let version = capability.version().parse().map_err(InvalidOffer::Version)?;
        let slot = self.running(path.as_ref())?;
        if !slot.core().withdraw(&name, &version) {
            let path = slot.core().path.clone();
            return Err(RegisterError::NotOffered { path, capability: capability.to_string() });
        }
        self.make_known(&*slot).await
    }

    /// The slot of an agent that runs or will, for whoever may change what it offers.
    fn running(&self, path: impl AsRef<str>) -> Result<Arc<dyn AnySlot>, RequestError> {
        let path = path.as_ref();
        let slot = self.slot(path).ok_or_else(|| RequestError::Unknown { path: path.to_owned() })?;
        let place = slot.core().path.clone();
        if let Some(current::FencedLife { path: sender, incarnation }) = current::fenced() {
            return Err(RequestError::Fenced { path: place, sender, incarnation });
        }
        match slot.core().presence() {
            Presence::Live | Presence::Dozing | Presence::Awaited => Ok(slot),
            Presence::Resting | Presence::Closed => Err(RequestError::Gone { path: place }),
        }
    }

    /// Has the registrar look at a slot whose offers were changed, where a life of it is known or running.
    async fn make_known(&self, slot: &dyn AnySlot) -> Result<(), RegisterError> {
        let core = slot.core();
        // One that is about to run registers by itself; one at rest may have never run.
        if core.is_registered() || matches!(core.presence(), Presence::Live | Presence::Dozing) {
            let last = core.life().map_or(crate::id::Incarnation::FIRST, |life| life.incarnation);
            registrar::register(self, slot, last).await?;
        }
        Ok(())
    }
}
