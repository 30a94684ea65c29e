//! A tree as checked data: supervisors and their children, before anything runs.

use std::any::type_name;
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, SpawnErr};

use crate::error::SpecError;
use crate::exit::BoxError;
use crate::flow::mailbox::DEFAULT_BOUND;
use crate::id::{ChildId, Path};
use crate::registry::capability::{Capability, Wire};
use crate::registry::record::OfferRecord;
use crate::runtime::agent::Agent;
use crate::runtime::life::Life;
use crate::runtime::plain;
use crate::runtime::route::{Routable, routable};
use crate::runtime::serve::{Once, ServeContext, Served, TaskContext};
use crate::runtime::shell::{Birth, Shell};
use crate::runtime::slot::{AnySlot, BareSlot, Slot, SlotCore};
use crate::runtime::supervisor::{Parent, SupervisorBirth, SupervisorShell};
use crate::runtime::system::System;
use crate::seam::BoxFuture;
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::{ChildRules, Restart, Rules, Shutdown, Strategy};

/// What a supervisor is: its strategy, its limits, and its children in start order. Data; nothing runs.
///
/// The defaults are OTP's: one restart within 5 seconds. Checked by [`System::start`].
#[derive(Clone)]
pub struct SupervisorSpec {
    pub(crate) name: String,
    pub(crate) rules: Rules,
    pub(crate) children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// A supervisor without children.
    #[must_use]
    pub fn new(name: impl Into<String>, strategy: Strategy) -> Self {
        Self { name: name.into(), rules: Rules::new(strategy), children: Vec::new() }
    }

    /// How many restarts, within which time, are too many.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.rules = self.rules.intensity(intensity);
        self
    }

    /// Gives up after so many failed starts of one child in a row, even where the intensity would allow more. For
    /// supervisors with a high intensity, whose children may crash a lot under load but must be able to start.
    #[must_use]
    pub fn failed_starts(mut self, in_a_row: u32) -> Self {
        self.rules = self.rules.failed_starts(in_a_row);
        self
    }

    /// Adds a child, to be started after those before it.
    #[must_use]
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Checks this supervisor and all below it.
    pub(crate) fn check(&self, above: Option<&Path>) -> Result<Path, SpecError> {
        let place = above.map_or_else(|| self.name.clone(), |above| format!("{above}/{}", self.name));
        let name = ChildId::new(&self.name).map_err(|source| SpecError::Name {
            supervisor: above.map_or_else(String::new, ToString::to_string),
            source,
        })?;
        let path = above.map_or_else(|| Path::root(&name), |above| above.child(&name));
        self.rules.check().map_err(|source| SpecError::Rules { supervisor: place.clone(), source })?;
        let mut names = BTreeSet::new();
        for child in &self.children {
            if !names.insert(child.name.as_str()) {
                return Err(SpecError::DuplicateChild { supervisor: place, child: child.name.clone() });
            }
            child.check(&path)?;
        }
        Ok(path)
    }

    /// Where the system's own supervisor is mounted in this tree.
    pub(crate) fn system_mounts(&self, above: Option<&str>) -> Vec<String> {
        let place = above.map_or_else(|| self.name.clone(), |above| format!("{above}/{}", self.name));
        let mut mounts = Vec::new();
        for child in &self.children {
            match &child.kind {
                Kind::System => mounts.push(format!("{place}/{}", child.name)),
                Kind::Supervisor(spec) => mounts.extend(spec.system_mounts(Some(&place))),
                Kind::Worker(_) => {}
            }
        }
        mounts
    }
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .field("children", &self.children)
            .finish()
    }
}

/// What a child is: its name, its rules and what runs. Data; nothing runs.
///
/// The defaults are OTP's: permanent, 5 seconds to stop, and without limit for a supervisor.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) name: String,
    pub(crate) rules: ChildRules,
    pub(crate) kind: Kind,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Worker(Arc<dyn Worker>),
    Supervisor(Arc<SupervisorSpec>),
    /// The system's own supervisor, mounted here.
    System,
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// An agent. Every incarnation is started from a clone of `args`.
    #[must_use]
    pub fn agent<A: Agent>(name: impl Into<String>, args: A::Args) -> AgentSpec<A> {
        AgentSpec {
            name: name.into(),
            rules: ChildRules::worker(),
            args,
            offers: Vec::new(),
            bound: DEFAULT_BOUND,
            handler_deadline: None,
        }
    }

    /// A function that serves a capability: each request is one call of it, one at a time.
    ///
    /// An error or a panic in the function ends the incarnation, as in any agent.
    #[must_use]
    pub fn serve<Q, R, F, Fut>(
        name: impl Into<String>,
        capability: impl Borrow<Capability<Q, R>>,
        function: F,
    ) -> AgentSpec<Served<Q, R>>
    where
        Q: Wire,
        R: Wire,
        F: Fn(ServeContext, Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, BoxError>> + Send + 'static,
    {
        Self::agent(name, Served::args(function)).offers(capability.borrow())
    }

    /// A future that is run, and run again by each restart. Ends normally with `Ok`, failed with an error. Asked to
    /// stop, it is dropped at its next await point.
    #[must_use]
    pub fn task<F, Fut>(name: impl Into<String>, function: F) -> AgentSpec<Once>
    where
        F: Fn(TaskContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self::agent(name, Once::args(function))
    }

    /// A plain ractor actor. `make` gives the actor and its arguments for every incarnation.
    ///
    /// It keeps ractor's own mailbox: supervised, but without a bound, and what waits in it is lost with a crash. It is
    /// reached by [`System::actor`].
    #[must_use]
    pub fn actor<T, F>(name: impl Into<String>, make: F) -> Self
    where
        T: Actor,
        F: Fn() -> (T, T::Arguments) + Send + Sync + 'static,
    {
        Self {
            name: name.into(),
            rules: ChildRules::worker(),
            kind: Kind::Worker(Arc::new(plain::PlainWorker::new(make))),
        }
    }

    /// A supervisor with its own children.
    #[must_use]
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        Self { name: spec.name.clone(), rules: ChildRules::supervisor(), kind: Kind::Supervisor(Arc::new(spec)) }
    }

    /// The system's own supervisor (registrar, event bus, journal), mounted in the tree as the child `system`. Without
    /// it the system keeps it beside the tree. It must be started before every agent that offers a capability.
    #[must_use]
    pub fn system() -> Self {
        Self { name: "system".to_owned(), rules: ChildRules::supervisor(), kind: Kind::System }
    }

    /// Whether the child comes back.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules = self.rules.restart(restart);
        self
    }

    /// How the child is ended.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.rules = self.rules.shutdown(shutdown);
        self
    }

    fn check(&self, supervisor: &Path) -> Result<(), SpecError> {
        let name = ChildId::new(&self.name)
            .map_err(|source| SpecError::Name { supervisor: supervisor.to_string(), source })?;
        match &self.kind {
            Kind::Worker(worker) => worker.check(&supervisor.child(&name)),
            Kind::Supervisor(spec) => spec.check(Some(supervisor)).map(|_| ()),
            Kind::System => Ok(()),
        }
    }
}

/// The spec of an agent as a child: as [`ChildSpec`], with what only agents have.
pub struct AgentSpec<A: Agent> {
    name: String,
    rules: ChildRules,
    args: A::Args,
    offers: Vec<Offered<A>>,
    bound: usize,
    handler_deadline: Option<Duration>,
}

/// An offer, and how it is reached; or what is wrong with its version.
type Offered<A> = (Result<OfferRecord, SpecErrorParts>, Routable<<A as Agent>::Message, <A as Agent>::Reply>);

#[derive(Clone)]
struct SpecErrorParts {
    capability: String,
    version: String,
}

impl<A: Agent> AgentSpec<A> {
    /// The agent offers this capability. May be called several times, for several capabilities.
    #[must_use]
    pub fn offers<Q, R>(mut self, capability: &Capability<Q, R>) -> Self
    where
        Q: Wire + Into<A::Message>,
        R: Wire,
        A::Reply: TryInto<R>,
    {
        let record = OfferRecord::of(capability).map_err(|_| SpecErrorParts {
            capability: capability.name().to_owned(),
            version: capability.version().to_owned(),
        });
        self.offers.push((record, routable::<A, Q, R>(capability)));
        self
    }

    /// A handler that runs longer than this, without returning or calling [`Context::progress`](crate::Context::progress),
    /// counts as hung: the incarnation ends as unresponsive. Without it, none does.
    ///
    /// Found out at the handler's await points; a handler that blocks its thread is beyond it.
    #[must_use]
    pub fn handler_deadline(mut self, limit: Duration) -> Self {
        self.handler_deadline = Some(limit);
        self
    }

    /// How many messages may wait; [`DEFAULT_BOUND`] when not set.
    #[must_use]
    pub fn mailbox(mut self, bound: usize) -> Self {
        self.bound = bound;
        self
    }

    /// Whether the child comes back.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules = self.rules.restart(restart);
        self
    }

    /// How the child is ended.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.rules = self.rules.shutdown(shutdown);
        self
    }
}

impl<A: Agent> fmt::Debug for AgentSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentSpec<{}>({})", type_name::<A>(), self.name)
    }
}

impl<A: Agent> From<AgentSpec<A>> for ChildSpec {
    fn from(spec: AgentSpec<A>) -> Self {
        let (records, routables): (Vec<_>, Vec<_>) = spec.offers.into_iter().unzip();
        let worker = AgentWorker::<A> {
            args: spec.args,
            records,
            routables: routables.into(),
            bound: spec.bound,
            handler_deadline: spec.handler_deadline,
            agent: PhantomData,
        };
        Self { name: spec.name, rules: spec.rules, kind: Kind::Worker(Arc::new(worker)) }
    }
}

/// What a supervisor needs to know of a child that is not a supervisor.
pub(crate) trait Worker: Send + Sync {
    fn check(&self, path: &Path) -> Result<(), SpecError>;
    fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot>;
    fn spawn(&self, start: StartOf) -> BoxFuture<'static, Result<ActorCell, SpawnErr>>;
}

/// One start of a child.
pub(crate) struct StartOf {
    pub(crate) system: System,
    pub(crate) slot: Arc<dyn AnySlot>,
    pub(crate) life: Arc<Life>,
    pub(crate) supervisor: ActorCell,
}

struct AgentWorker<A: Agent> {
    args: A::Args,
    records: Vec<Result<OfferRecord, SpecErrorParts>>,
    routables: Arc<[Routable<A::Message, A::Reply>]>,
    bound: usize,
    handler_deadline: Option<Duration>,
    agent: PhantomData<fn() -> A>,
}

impl<A: Agent> Worker for AgentWorker<A> {
    fn check(&self, path: &Path) -> Result<(), SpecError> {
        let zero = |limit| SpecError::ZeroLimit { child: path.to_string(), limit };
        if self.bound == 0 {
            return Err(zero("mailbox"));
        }
        if self.handler_deadline.is_some_and(|limit| limit.is_zero()) {
            return Err(zero("handler deadline"));
        }
        match self.records.iter().find_map(|record| record.as_ref().err()) {
            None => Ok(()),
            Some(SpecErrorParts { capability, version }) => Err(SpecError::Version {
                child: path.to_string(),
                capability: capability.clone(),
                version: version.clone(),
            }),
        }
    }

    fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot> {
        let offers = self.records.iter().filter_map(|record| record.as_ref().ok()).cloned().collect();
        let core = SlotCore::new(path, offers, system.bus().clone());
        let timers = Arc::clone(system.timers());
        Arc::new(Slot::<A::Message, A::Reply>::new::<A>(core, timers, Arc::clone(&self.routables), self.bound))
    }

    fn spawn(&self, start: StartOf) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> {
        let slot = start.slot.as_any().downcast::<Slot<A::Message, A::Reply>>();
        let birth = slot.map(|slot| Birth::<A> {
            system: start.system,
            slot,
            life: start.life,
            args: self.args.clone(),
            handler_deadline: self.handler_deadline,
        });
        let supervisor = start.supervisor;
        Box::pin(async move {
            let birth = birth.map_err(|_| SpawnErr::StartupFailed("the slot is of another agent".into()))?;
            let (actor, _) = Actor::spawn_linked(None, Shell::<A>::new(), birth, supervisor).await?;
            Ok(actor.get_cell())
        })
    }
}

/// Starts a supervisor as a child of another.
pub(crate) async fn spawn_supervisor(
    spec: Arc<SupervisorSpec>,
    start: StartOf,
    parent: Parent,
) -> Result<ActorCell, SpawnErr> {
    let birth = SupervisorBirth { spec, system: start.system, slot: start.slot, life: start.life, parent };
    let (actor, _) = Actor::spawn_linked(None, SupervisorShell, birth, start.supervisor).await?;
    Ok(actor.get_cell())
}

/// The slot of a supervisor.
pub(crate) fn supervisor_slot(system: &System, path: Path) -> Arc<dyn AnySlot> {
    Arc::new(BareSlot(SlotCore::new(path, Vec::new(), system.bus().clone())))
}
