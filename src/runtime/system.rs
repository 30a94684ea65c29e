//! A system: one tree of supervised agents, with its slots, registry, events and history. Nothing is global to the
//! process; two systems do not see each other.

mod control;
#[cfg(any(test, feature = "testing"))]
mod crash;
mod dead_letters;
mod domains;
mod internal;
mod look;
mod patterns;
mod published;
mod registry;
mod slots;
mod watching;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use ractor::{Actor, ActorRef, Message};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::error::{RequestError, ShutdownError, SpecError, StartError, UnknownPath};
use crate::exit::GaveUp;
use crate::fault::FaultPlan;
use crate::flow::Limits;
use crate::id::{ChildId, Incarnation, Path};
use crate::lifecycle::AgentState;
use crate::registry::index::Index;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::builder::SystemBuilder;
use crate::runtime::bus::{Bus, Events};
use crate::runtime::current;
use crate::runtime::faults::Blocks;
use crate::runtime::guardian::{Guardian, GuardianBirth, GuardianMessage};
use crate::runtime::keeper::{Desk, JournalHandle};
use crate::runtime::office::Office;
use crate::runtime::patterns::Patterns;
use crate::runtime::route::Reached;
use crate::runtime::slot::{BareSlot, Slot};
use crate::runtime::spec::SupervisorSpec;
use crate::runtime::supervisor::handle::{DynamicSupervisor, Supervisor};
use crate::runtime::supervisor::kill_life;
use crate::runtime::transport::LocalTransport;
use crate::runtime::watchdog::{WatchRules, Watchdog};
use crate::seam::{Clock, Entropy, Journal, Transport};
use crate::supervision::history::History;
use crate::supervision::policy::ChildKind;

use domains::Domains;
pub(crate) use published::Published;
pub use registry::Found;
use slots::Slots;
pub(crate) use watching::Feed;
pub use watching::{CHANGE_BOUND, RegistryChange, RegistryWatch};

/// A running tree of supervised agents. Cheap to clone; all clones are the same system.
///
/// It runs until [`shutdown`](Self::shutdown), or until its root gives up. Dropping the last clone does not end it.
#[derive(Clone)]
pub struct System {
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    bus: Bus,
    office: Arc<Office>,
    slots: Slots,
    index: Index<Reached>,
    /// Who was given an id, by its instance.
    ids: DashMap<Uuid, Path>,
    feed: Feed,
    /// How many routes were made.
    routes: AtomicU64,
    #[cfg(feature = "json")]
    turns: AtomicU64,
    supervisors: DashMap<Path, Arc<Published>>,
    services: Arc<SupervisorSpec>,
    services_path: Path,
    guardian: OnceLock<ActorRef<GuardianMessage>>,
    readiness: AtomicU8,
    ended: watch::Sender<Option<Result<(), GaveUp>>>,
    watchdog: Watchdog,
    blocks: Blocks,
    root: Path,
    domains: Domains,
    patterns: Arc<Patterns>,
}

/// How far a system is. It goes forward only.
const STARTING: u8 = 0;
const READY: u8 = 1;
const ENDING: u8 = 2;

/// The world as a system reaches it.
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Made when it is first asked for, where none was given.
    pub(crate) transport: OnceLock<Arc<dyn Transport>>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) faults: Option<Arc<dyn FaultPlan>>,
    pub(crate) watch: WatchRules,
    pub(crate) dead_letters: usize,
    pub(crate) limits: Limits,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) ends: Option<crate::testing::OnEnd>,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) tap: Option<Arc<dyn crate::runtime::tap::Tap>>,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) bug: Option<crate::testing::Bug>,
    /// From which seed shells are held back, and by how many turns at most.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) interleaving: Option<(u64, u32)>,
}

/// How often supervisors started a child again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    pub async fn start(root: impl Into<SupervisorSpec>) -> Result<Self, StartError> {
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
        world.limits.check()?;
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
            Some(mount) => mount.parse().map_err(|problem| SpecError::Name { supervisor: mount.clone(), problem })?,
            None => services.check(None)?,
        };
        let services = Arc::new(services);
        let bus = Bus::new(Arc::clone(&world.clock));
        #[cfg(any(test, feature = "testing"))]
        if let Some(tap) = &world.tap {
            bus.set_tap(Arc::clone(tap));
        }
        let watchdog = Watchdog::start(world.watch, root_path.clone(), bus.clone());
        let (clock, ask_within) = (Arc::clone(&world.clock), world.limits.route.ask_within);
        let office = Office::new(bus.clone(), clock, world.dead_letters, ask_within);
        #[cfg(any(test, feature = "testing"))]
        let office = office.with_bug(world.bug);
        let inner = Inner {
            watchdog,
            blocks: Blocks::default(),
            root: root_path,
            domains: Domains::default(),
            office: Arc::new(office),
            world,
            bus,
            slots: Slots::default(),
            index: Index::default(),
            ids: DashMap::new(),
            feed: Feed::default(),
            routes: AtomicU64::new(0),
            #[cfg(feature = "json")]
            turns: AtomicU64::new(0),
            supervisors: DashMap::new(),
            services: Arc::clone(&services),
            services_path,
            guardian: OnceLock::new(),
            readiness: AtomicU8::new(STARTING),
            ended: watch::Sender::new(None),
            patterns: Arc::default(),
        };
        let system = Self { inner: Arc::new(inner) };
        if let Some(tap) = system.bus().tap() {
            tap.made(&system);
        }
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

    /// The agent at a path.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is none, [`RequestError::WrongAgent`] when it is of another type.
    pub fn agent<A: Agent>(&self, path: impl AsRef<str>) -> Result<AgentRef<A>, RequestError> {
        let path = path.as_ref();
        let slot = self.slot(path).ok_or_else(|| RequestError::Unknown { path: path.to_owned() })?;
        let place = slot.core().path.clone();
        let wrong = || RequestError::WrongAgent { path: place, expected: std::any::type_name::<A>() };
        match slot.as_any().downcast::<Slot<A::Message, A::Reply>>() {
            Ok(slot) if slot.is_of::<A>() => Ok(AgentRef::new(slot)),
            _ => Err(wrong()),
        }
    }

    /// The supervisor at a path, to ask it for changes of its children.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is nothing, [`RequestError::WrongAgent`] when it is not a supervisor.
    pub fn supervisor(&self, path: impl AsRef<str>) -> Result<Supervisor, RequestError> {
        let path = path.as_ref();
        let slot = self.slot(path).ok_or_else(|| RequestError::Unknown { path: path.to_owned() })?;
        let path = slot.core().path.clone();
        if !self.inner.supervisors.contains_key(&path) {
            return Err(RequestError::WrongAgent { path, expected: "supervisor" });
        }
        Ok(Supervisor::new(self.clone(), path))
    }

    /// The dynamic supervisor at a path, whose template takes these arguments.
    ///
    /// # Errors
    ///
    /// As [`supervisor`](Self::supervisor), and [`RequestError::WrongAgent`] when it is not dynamic or its template takes
    /// other arguments.
    pub fn dynamic_supervisor<Args: Send + 'static>(
        &self,
        path: impl AsRef<str>,
    ) -> Result<DynamicSupervisor<Args>, RequestError> {
        let supervisor = self.supervisor(path)?;
        let expected = std::any::type_name::<Args>();
        let spec = self.published(supervisor.path()).spec();
        let takes = spec.as_ref().and_then(|spec| spec.template.as_ref()).map(|template| template.args);
        if takes != Some(expected) {
            let expected = std::any::type_name::<DynamicSupervisor<Args>>();
            return Err(RequestError::WrongAgent { path: supervisor.path().clone(), expected });
        }
        Ok(DynamicSupervisor::new(supervisor))
    }

    /// Kills what runs at a path, as a failure from outside: its supervisor sees it exit as killed.
    ///
    /// An agent is dropped at its next await point; its stop hook does not run. A supervisor kills its workers, lets
    /// nested supervisors end theirs in order, and ends once all are gone (decision 12; OTP's rule 54 promises less); while code of a
    /// user blocks its thread it hears nothing. Nothing happens between two incarnations.
    ///
    /// # Errors
    ///
    /// When there is no such path in the tree.
    pub fn kill(&self, path: impl AsRef<str>) -> Result<(), UnknownPath> {
        let slot = self.known(path.as_ref())?;
        // The code of a life that was given up ends nobody.
        if current::fenced().is_some() {
            return Ok(());
        }
        let is_supervisor = self.inner.supervisors.contains_key(&slot.core().path);
        let kind = if is_supervisor { ChildKind::Supervisor } else { ChildKind::Worker };
        if let Some(life) = slot.core().life().filter(|life| life.reason().is_none()) {
            kill_life(&life, kind);
        }
        Ok(())
    }

    /// The plain ractor actor at a path, as it is now: the reference is good for its present incarnation only.
    ///
    /// `None` between two incarnations, where the path is not a plain actor with this type of message, and for the code
    /// of a life that was given up. What is sent through the reference is ractor's, and no fence is in its way.
    #[must_use]
    pub fn actor<M: Message>(&self, path: impl AsRef<str>) -> Option<ActorRef<M>> {
        if current::fenced().is_some() {
            return None;
        }
        let slot = self.slot(path.as_ref())?;
        let cell = slot.core().cell()?;
        slot.as_any().downcast::<BareSlot>().ok()?;
        (cell.is_message_type_of::<M>() == Some(true)).then(|| cell.into())
    }

    /// The incarnation that is alive at a path, or `None` between two, and where there is none.
    #[must_use]
    pub fn incarnation(&self, path: impl AsRef<str>) -> Option<Incarnation> {
        self.slot(path.as_ref())?.core().incarnation()
    }

    /// The state of the lifecycle at a path.
    ///
    /// # Errors
    ///
    /// When there is no such path in the tree.
    pub fn state(&self, path: impl AsRef<str>) -> Result<AgentState, UnknownPath> {
        Ok(self.known(path.as_ref())?.core().state())
    }

    /// How the lives at a path ended, as far as its supervisor remembers. For a supervisor: those of its children.
    /// Answered at once, also while the supervisor is busy.
    ///
    /// # Errors
    ///
    /// When there is no such path in the tree.
    pub fn history(&self, path: impl AsRef<str>) -> Result<History, UnknownPath> {
        let slot = self.known(path.as_ref())?;
        let path = slot.core().path.clone();
        let of = |supervisor: &Path| self.inner.supervisors.get(supervisor).map(|entry| entry.history());
        if let Some(children) = of(&path) {
            return Ok(children);
        }
        let name = ChildId::new(path.name()).map_err(|_| UnknownPath { path: path.to_string() })?;
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
            .map(|entry| (entry.key().clone(), entry.restarts()))
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

    /// What carries messages to other systems. It does not end with this one.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        self.inner.world.transport.get_or_init(|| Arc::new(LocalTransport::new()))
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

    /// Whether the whole tree is up, nothing has begun to end it, and every runtime that it runs on turns.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.inner.readiness.load(Ordering::Acquire) == READY && self.inner.watchdog.watch().blocked() == 0
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
    /// Never ends the process: what to make of the outcome is the application's to decide. A second signal while it shuts
    /// down changes nothing; who wants it to end at once listens to signals itself and calls [`shutdown`](Self::shutdown).
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

/// A path as it is written in the tables: without the leading slash that people may give it.
fn written(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}
