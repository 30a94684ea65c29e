//! A system: one tree of supervised agents, with its slots, registry, events and history. Nothing is global to the
//! process; two systems do not see each other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use ractor::{Actor, ActorRef, Message};
use tokio::sync::{oneshot, watch};

use crate::error::{RequestError, ShutdownError, SpecError, StartError, UnknownPath};
use crate::exit::GaveUp;
use crate::fault::FaultPlan;
use crate::id::{ChildId, Incarnation, Path};
use crate::lifecycle::AgentState;
use crate::registry::capability::{Capability, Wire};
use crate::registry::index::Index;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::{AgentRef, DEFAULT_ASK};
use crate::runtime::builder::SystemBuilder;
use crate::runtime::bus::{Bus, Events};
use crate::runtime::guard::lock;
use crate::runtime::guardian::{Guardian, GuardianBirth, GuardianMessage};
use crate::runtime::keeper::{JournalHandle, Keeper};
use crate::runtime::registrar::Registrar;
use crate::runtime::route::{self, Provider, Reached};
use crate::runtime::slot::{AnySlot, BareSlot, Slot};
use crate::runtime::spec::SupervisorSpec;
use crate::seam::{Clock, Entropy, Journal};
use crate::supervision::history::{Entry, History};

/// A running tree of supervised agents. Cheap to clone; all clones are the same system.
///
/// It runs until [`shutdown`](Self::shutdown), or until its root gives up. Dropping the last clone does not end it.
#[derive(Clone)]
pub struct System {
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    epoch: Instant,
    bus: Bus,
    slots: DashMap<Path, Arc<dyn AnySlot>>,
    index: Index<Reached>,
    supervisors: DashMap<Path, Arc<Published>>,
    services: Arc<SupervisorSpec>,
    services_path: Path,
    guardian: OnceLock<ActorRef<GuardianMessage>>,
    readiness: AtomicU8,
    ended: watch::Sender<Option<Result<(), GaveUp>>>,
}

/// How far a system is. It goes forward only.
const STARTING: u8 = 0;
const READY: u8 = 1;
const ENDING: u8 = 2;

/// The world as a system reaches it.
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) faults: Option<Arc<dyn FaultPlan>>,
}

/// What a supervisor shows of itself without being asked; outlives its incarnations.
struct Published {
    history: Mutex<History>,
    restarts: AtomicU64,
}

/// How often supervisors started a child again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// All of them together.
    pub total: u64,
    /// Each supervisor that restarted something.
    pub by_supervisor: BTreeMap<Path, u64>,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("slots", &self.inner.slots.len()).finish_non_exhaustive()
    }
}

impl System {
    /// Starts a tree and returns once all its children have started. The given supervisor is the root and keeps
    /// exactly the children, strategy and limits it was given; the system's own services run beside it.
    ///
    /// # Errors
    ///
    /// [`StartError::Spec`] when the description is wrong: then nothing was started. [`StartError::Child`] when a
    /// child did not start: then all that had started was stopped again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the tree is stopped again, once the child that is starting has started or failed.
    pub async fn start(root: SupervisorSpec) -> Result<Self, StartError> {
        Self::builder().start(root).await
    }

    /// A system with another clock, other randomness, another journal, or faults.
    #[must_use]
    pub fn builder() -> SystemBuilder {
        SystemBuilder::default()
    }

    pub(crate) async fn start_in(
        world: World,
        services: SupervisorSpec,
        root: SupervisorSpec,
    ) -> Result<Self, StartError> {
        let root_path = root.check(None)?;
        let mounts = root.system_mounts(None);
        if let [first, second, ..] = &mounts[..] {
            return Err(SpecError::TwoSystems { first: first.clone(), second: second.clone() }.into());
        }
        let mut services = services;
        if mounts.is_empty() && services.name == root_path.as_str() {
            services.name.push_str(":services");
        }
        let services_path = match mounts.first() {
            Some(mount) => mount.parse().map_err(|source| SpecError::Name { supervisor: mount.clone(), source })?,
            None => services.check(None)?,
        };
        let services = Arc::new(services);
        let bus = Bus::new(Arc::clone(&world.clock));
        let inner = Inner {
            epoch: world.clock.now(),
            world,
            bus,
            slots: DashMap::new(),
            index: Index::default(),
            supervisors: DashMap::new(),
            services: Arc::clone(&services),
            services_path,
            guardian: OnceLock::new(),
            readiness: AtomicU8::new(STARTING),
            ended: watch::Sender::new(None),
        };
        let system = Self { inner: Arc::new(inner) };
        // Dropped before the tree is up, this ends it: nobody else could.
        let mut abandoned = Abandoned(Some(system.clone()));
        let (started, outcome) = oneshot::channel();
        let birth = GuardianBirth {
            system: system.clone(),
            root: Arc::new(root),
            services: mounts.is_empty().then_some(services),
            started,
        };
        Actor::spawn(None, Guardian, birth).await.map_err(|error| StartError::Runtime(error.to_string()))?;
        let outcome = outcome.await.map_err(|_| StartError::Runtime("the guardian ended".to_owned()));
        abandoned.0 = None;
        outcome??;
        Ok(system)
    }

    /// Asks any provider of a capability, and waits for the reply at most for [`DEFAULT_ASK`].
    ///
    /// The least loaded live provider is chosen. Where the only ones are between two incarnations, the request waits
    /// for the next one, at most to the deadline.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn ask<Q: Wire, R: Wire>(&self, capability: &Capability<Q, R>, request: Q) -> Result<R, RequestError> {
        self.ask_within(capability, request, DEFAULT_ASK).await
    }

    /// As [`ask`](Self::ask), with a deadline of its own.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn ask_within<Q: Wire, R: Wire>(
        &self,
        capability: &Capability<Q, R>,
        request: Q,
        limit: Duration,
    ) -> Result<R, RequestError> {
        route::pick(&self.inner.index, capability)?.ask(request, limit).await
    }

    /// All providers of a capability that run or are about to, by path.
    #[must_use]
    pub fn providers<Q: Wire, R: Wire>(&self, capability: &Capability<Q, R>) -> Vec<Provider<Q, R>> {
        route::providers(&self.inner.index, capability)
    }

    /// The provider of a capability at a path, if it offers it and runs or is about to.
    #[must_use]
    pub fn provider<Q: Wire, R: Wire>(&self, capability: &Capability<Q, R>, path: &Path) -> Option<Provider<Q, R>> {
        self.providers(capability).into_iter().find(|provider| provider.path() == path)
    }

    /// The names of the capabilities that somebody offers, sorted.
    #[must_use]
    pub fn capabilities(&self) -> Vec<String> {
        self.inner.index.names()
    }

    /// The agent at a path.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is none, [`RequestError::WrongType`] when it is of another type.
    pub fn agent<A: Agent>(&self, path: &Path) -> Result<AgentRef<A>, RequestError> {
        let slot = self.slot(path).ok_or_else(|| RequestError::Unknown { path: path.to_string() })?;
        let slot = slot.as_any().downcast::<Slot<A::Message, A::Reply>>().map_err(|_| RequestError::WrongType {
            capability: std::any::type_name::<A>().to_owned(),
            path: path.clone(),
        })?;
        Ok(AgentRef::new(slot))
    }

    /// The plain ractor actor at a path, as it is now: the reference is good for its present incarnation only.
    ///
    /// `None` between two incarnations, and where the path is not a plain actor with this type of message.
    #[must_use]
    pub fn actor<M: Message>(&self, path: &Path) -> Option<ActorRef<M>> {
        let slot = self.slot(path)?;
        let cell = slot.core().cell()?;
        slot.as_any().downcast::<BareSlot>().ok()?;
        (cell.is_message_type_of::<M>() == Some(true)).then(|| cell.into())
    }

    /// The incarnation that is alive at a path, or `None` between two, and where there is none.
    #[must_use]
    pub fn incarnation(&self, path: &Path) -> Option<Incarnation> {
        self.slot(path)?.core().incarnation()
    }

    /// The state of the lifecycle at a path.
    ///
    /// # Errors
    ///
    /// When there is no such path in the tree.
    pub fn state(&self, path: &str) -> Result<AgentState, UnknownPath> {
        let unknown = || UnknownPath { path: path.to_owned() };
        Ok(self.slot(&path.parse().map_err(|_| unknown())?).ok_or_else(unknown)?.core().state())
    }

    /// How the lives at a path ended, as far as its supervisor remembers. For a supervisor: those of its children.
    /// Answered at once, also while the supervisor is busy.
    ///
    /// # Errors
    ///
    /// When there is no such path in the tree.
    pub fn history(&self, path: &str) -> Result<History, UnknownPath> {
        let unknown = || UnknownPath { path: path.to_owned() };
        let path: Path = path.parse().map_err(|_| unknown())?;
        self.slot(&path).ok_or_else(unknown)?;
        let of = |supervisor: &Path| self.inner.supervisors.get(supervisor).map(|entry| lock(&entry.history).clone());
        if let Some(children) = of(&path) {
            return Ok(children);
        }
        let name = ChildId::new(path.name()).map_err(|_| unknown())?;
        let siblings = path.parent().and_then(|parent| of(&parent).map(|history| (parent, history)));
        Ok(siblings.map_or_else(|| History::new(path), |(_, history)| history.of(&name)))
    }

    /// How often supervisors started a child again, since the system began. Children that were restarted with a
    /// sibling count, each for itself.
    #[must_use]
    pub fn restarts(&self) -> Restarts {
        let by_supervisor: BTreeMap<_, _> = self
            .inner
            .supervisors
            .iter()
            .map(|entry| (entry.key().clone(), entry.restarts.load(Ordering::Acquire)))
            .filter(|(_, restarts)| *restarts > 0)
            .collect();
        Restarts { total: by_supervisor.values().sum(), by_supervisor }
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.inner.bus.subscribe()
    }

    /// The journal, through the agent that keeps it.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(JournalHandle(self.clone()))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.world.clock
    }

    /// The source of randomness.
    #[must_use]
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.inner.world.entropy
    }

    /// Whether the whole tree is up and nothing has begun to end it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.inner.readiness.load(Ordering::Acquire) == READY
    }

    /// The agents and actors that are alive, by path.
    #[must_use]
    pub fn alive(&self) -> Vec<Path> {
        let slots = self.slots();
        slots.iter().filter(|slot| slot.core().incarnation().is_some()).map(|slot| slot.core().path.clone()).collect()
    }

    /// Stops the tree in order, leaf first, and returns when nothing of it is left. May be called again, and by
    /// several at once; each returns then.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::GaveUp`] when the system had given up by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the system ends all the same.
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        self.ask_to_end();
        Ok(self.ended().await?)
    }

    /// Waits until the system has ended, for whatever reason.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when its root or its services gave up.
    ///
    /// # Cancel safety
    ///
    /// Can be dropped and called again.
    pub async fn ended(&self) -> Result<(), GaveUp> {
        let mut ended = self.inner.ended.subscribe();
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }

    /// Waits for a signal to end (Ctrl-C, or SIGTERM), then shuts down in order; or for the system to give up.
    ///
    /// Never ends the process: what to make of the outcome is the application's to decide.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the system gave up.
    pub async fn run_until_signal(&self) -> Result<(), GaveUp> {
        tokio::select! {
            biased;
            outcome = self.ended() => outcome,
            () = crate::runtime::signal::asked_to_end() => match self.shutdown().await {
                Ok(()) => Ok(()),
                Err(ShutdownError::GaveUp(gave_up)) => Err(gave_up),
            },
        }
    }
}

/// A start that nobody waits for any more.
struct Abandoned(Option<System>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(system) = &self.0 {
            system.ask_to_end();
        }
    }
}

/// What the rest of the runtime needs of a system.
impl System {
    fn ask_to_end(&self) {
        if let Some(guardian) = self.inner.guardian.get() {
            // Refused only by a guardian that has ended, and then the outcome is there.
            let _ = guardian.cast(GuardianMessage::Stop);
        }
    }

    /// The guardian says who it is, before anything of the tree could ask.
    pub(crate) fn set_guardian(&self, guardian: ActorRef<GuardianMessage>) {
        let _ = self.inner.guardian.set(guardian);
    }

    pub(crate) fn epoch(&self) -> Instant {
        self.inner.epoch
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(crate) fn index(&self) -> &Index<Reached> {
        &self.inner.index
    }

    pub(crate) fn faults(&self) -> Option<&Arc<dyn FaultPlan>> {
        self.inner.world.faults.as_ref()
    }

    pub(crate) fn services(&self) -> Arc<SupervisorSpec> {
        Arc::clone(&self.inner.services)
    }

    pub(crate) fn registrar(&self) -> Result<AgentRef<Registrar>, RequestError> {
        self.service("registrar")
    }

    pub(crate) fn keeper(&self) -> Result<AgentRef<Keeper>, RequestError> {
        self.service("journal")
    }

    fn service<A: Agent>(&self, name: &str) -> Result<AgentRef<A>, RequestError> {
        let name = ChildId::new(name).expect("the names of the services are names");
        self.agent(&self.inner.services_path.child(&name))
    }

    pub(crate) fn slot(&self, path: &Path) -> Option<Arc<dyn AnySlot>> {
        self.inner.slots.get(path).map(|slot| Arc::clone(&slot))
    }

    /// All slots, by path.
    pub(crate) fn slots(&self) -> Vec<Arc<dyn AnySlot>> {
        let mut slots: Vec<_> = self.inner.slots.iter().map(|entry| Arc::clone(entry.value())).collect();
        slots.sort_unstable_by(|a, b| a.core().path.cmp(&b.core().path));
        slots
    }

    pub(crate) fn slot_or_make(&self, path: &Path, make: impl FnOnce() -> Arc<dyn AnySlot>) -> Arc<dyn AnySlot> {
        Arc::clone(&self.inner.slots.entry(path.clone()).or_insert_with(make))
    }

    pub(crate) fn each_within(&self, path: &Path, act: impl Fn(&dyn AnySlot)) {
        for slot in self.slots() {
            if slot.core().path.is_within(path) {
                act(&*slot);
            }
        }
    }

    pub(crate) fn close_all(&self) {
        for slot in self.slots() {
            slot.close();
        }
    }

    fn published(&self, supervisor: &Path) -> Arc<Published> {
        Arc::clone(&self.inner.supervisors.entry(supervisor.clone()).or_insert_with(|| {
            Arc::new(Published { history: Mutex::new(History::new(supervisor.clone())), restarts: AtomicU64::new(0) })
        }))
    }

    pub(crate) fn remember(&self, supervisor: &Path, entry: Entry) {
        lock(&self.published(supervisor).history).push(entry);
    }

    pub(crate) fn count_restart(&self, supervisor: &Path) {
        self.published(supervisor).restarts.fetch_add(1, Ordering::AcqRel);
    }

    /// The tree is up. Returns whether that is still worth saying: a root that gave up right after may have said so
    /// before, on another way.
    pub(crate) fn set_ready(&self) -> bool {
        let readiness = &self.inner.readiness;
        readiness.compare_exchange(STARTING, READY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The end has begun. It is never ready again.
    pub(crate) fn set_ending(&self) {
        self.inner.readiness.store(ENDING, Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.inner.readiness.load(Ordering::Acquire) == ENDING
    }

    pub(crate) fn set_ended(&self, outcome: Result<(), GaveUp>) {
        self.inner.ended.send_replace(Some(outcome));
    }
}
