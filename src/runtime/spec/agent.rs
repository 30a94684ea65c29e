//! The spec of an agent as a child, and how an agent is spawned.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, SpawnErr};
use tokio::runtime::Handle;

use super::{ChildSpec, Kind, StartOf, Worker, spawn_at_once};
use crate::error::SpecError;
use crate::flow::{Bulkhead, Limits};
use crate::id::{ChildId, Path};
use crate::registry::capability::{Capability, Wire};
use crate::registry::record::{InvalidOffer, OfferRecord};
use crate::runtime::agent::Agent;
use crate::runtime::life::Overseer;
use crate::runtime::permits::Permits;
use crate::runtime::route::{Routable, routable};
use crate::runtime::shell::{Birth, Shell};
use crate::runtime::slot::{AnySlot, Slot, SlotCore};
use crate::runtime::system::System;
use crate::supervision::backoff::Backoff;
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::{ChildRules, Restart, Shutdown};

/// The spec of an agent as a child: as [`ChildSpec`], with what only agents have.
pub struct AgentSpec<A: Agent> {
    name: ChildId,
    rules: Arc<ChildRules>,
    args: A::Args,
    offers: Vec<Offered<A>>,
    bound: Option<usize>,
    tasks: Option<u32>,
    handler_deadline: Option<Duration>,
    runtime: Option<Handle>,
    hands_over: bool,
}

/// An offer, and how it is reached; or what is wrong with it.
type Offered<A> = (Result<OfferRecord, SpecErrorParts>, Routable<<A as Agent>::Message, <A as Agent>::Reply>);

#[derive(Clone)]
struct SpecErrorParts {
    capability: String,
    version: String,
    problem: Arc<InvalidOffer>,
}

impl<A: Agent> AgentSpec<A> {
    pub(super) fn new(name: String, args: A::Args) -> Self {
        Self {
            name: ChildId::unchecked(name),
            rules: Arc::new(ChildRules::worker()),
            args,
            offers: Vec::new(),
            bound: None,
            tasks: None,
            handler_deadline: None,
            runtime: None,
            hands_over: false,
        }
    }

    /// The agent offers this capability. May be called several times, for several capabilities.
    #[must_use]
    pub fn offers<Q, R>(mut self, capability: &Capability<Q, R>) -> Self
    where
        Q: Wire + Into<A::Message>,
        R: Wire,
        A::Reply: TryInto<R>,
    {
        let record = OfferRecord::of(capability).map_err(|problem| SpecErrorParts {
            capability: capability.name().to_owned(),
            version: capability.version().to_owned(),
            problem: Arc::new(problem),
        });
        self.offers.push((record, routable::<A, Q, R>(capability)));
        self
    }

    /// A handler that runs longer than this, without returning or calling [`Context::progress`](crate::Context::progress),
    /// counts as hung: the incarnation ends as unresponsive. Without it, none does.
    ///
    /// The same holds for its start, and for code that blocks its thread, tasks of
    /// [`Context::spawn`](crate::Context::spawn) included: that is found by the system's watchdog, at most three of its
    /// looks after the deadline, and cannot be ended. Such a life is given up: it is fenced, so that nothing it does
    /// through steadfast has an effect any more, reported as leaked, and replaced.
    #[must_use]
    pub fn handler_deadline(mut self, limit: Duration) -> Self {
        self.handler_deadline = Some(limit);
        self
    }

    /// The runtime on which the agent and its tasks run; that of the system when not set. Its supervisor runs on the
    /// system's in any case, and goes on when this one is blocked.
    ///
    /// The owner of the runtime enables its timers, and keeps it up for as long as the system runs. Give it a name
    /// (`tokio::runtime::Builder::name`), by which events call it.
    #[must_use]
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.runtime = Some(handle);
        self
    }

    /// A life of the agent may hand its state over to the next: what it keeps by
    /// [`Context::checkpoint`](crate::Context::checkpoint), the next one gets by
    /// [`Context::handed_over`](crate::Context::handed_over). Without this every life starts from its arguments alone.
    #[must_use]
    pub fn hand_over(mut self) -> Self {
        self.hands_over = true;
        self
    }

    /// How many messages may wait; when not set, what the system's limits say
    /// ([`SystemBuilder::limits`](crate::SystemBuilder::limits)), [`DEFAULT_BOUND`](crate::DEFAULT_BOUND) unless told
    /// otherwise.
    #[must_use]
    pub fn mailbox(mut self, bound: usize) -> Self {
        self.bound = Some(bound);
        self
    }

    /// How many tasks of [`Context::spawn`](crate::Context::spawn) and
    /// [`spawn_watched`](crate::Context::spawn_watched) run at once, in each life; when not set, what the system's limits
    /// say, or any number.
    ///
    /// Those over it are spawned and wait, in order, until one before them has ended; they are not polled before, and
    /// what watches them begins when they do. Timers and closures of [`Context::blocking`](crate::Context::blocking) do
    /// not count.
    #[must_use]
    pub fn concurrent_tasks(mut self, most: u32) -> Self {
        self.tasks = Some(most);
        self
    }

    child_rules_methods!();
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
            records: records.into_iter().collect::<Result<Vec<_>, _>>().map(shared).map_err(Box::new),
            routables: shared(routables),
            bound: spec.bound,
            tasks: spec.tasks,
            handler_deadline: spec.handler_deadline,
            runtime: spec.runtime,
            hands_over: spec.hands_over,
            agent: PhantomData,
        };
        Self { name: spec.name, rules: spec.rules, kind: Kind::Worker(Arc::new(worker)) }
    }
}

/// A list that several may hold. One of nothing costs nothing.
fn shared<T>(list: Vec<T>) -> Arc<[T]> {
    if list.is_empty() { Arc::default() } else { list.into() }
}

struct AgentWorker<A: Agent> {
    args: A::Args,
    records: Result<Arc<[OfferRecord]>, Box<SpecErrorParts>>,
    routables: Arc<[Routable<A::Message, A::Reply>]>,
    bound: Option<usize>,
    tasks: Option<u32>,
    handler_deadline: Option<Duration>,
    runtime: Option<Handle>,
    hands_over: bool,
    agent: PhantomData<fn() -> A>,
}

impl<A: Agent> AgentWorker<A> {
    fn offers(&self) -> Arc<[OfferRecord]> {
        self.records.as_ref().map(Arc::clone).unwrap_or_default()
    }

    fn bound(&self, limits: &Limits) -> usize {
        self.bound.unwrap_or(limits.agent.mailbox)
    }
}

impl<A: Agent> Worker for AgentWorker<A> {
    fn check(&self, path: &dyn Fn() -> Path) -> Result<(), SpecError> {
        let zero = |limit| SpecError::ZeroLimit { child: path().to_string(), limit };
        if self.bound == Some(0) {
            return Err(zero("mailbox"));
        }
        if self.tasks == Some(0) {
            return Err(zero("number of concurrent tasks"));
        }
        if self.handler_deadline.is_some_and(|limit| limit.is_zero()) {
            return Err(zero("handler deadline"));
        }
        self.records.as_ref().map(|_| ()).map_err(|wrong| {
            let SpecErrorParts { capability, version, problem } = (**wrong).clone();
            let child = path().to_string();
            match *problem {
                InvalidOffer::Version(_) => SpecError::Version { child, capability, version },
                _ => SpecError::Offer { child, capability, problem },
            }
        })
    }

    fn fits(&self, slot: &Arc<dyn AnySlot>) -> bool {
        let slot = Arc::clone(slot).as_any().downcast::<Slot<A::Message, A::Reply>>();
        slot.is_ok_and(|slot| slot.is_of::<A>())
    }

    fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot> {
        let core = SlotCore::new(path, self.offers(), system.bus().clone());
        let timers = Arc::clone(system.timers());
        let slot = Slot::<A::Message, A::Reply>::new::<A>(
            core,
            timers,
            Arc::clone(&self.routables),
            self.bound(system.limits()),
        );
        slot.hand_over(self.hands_over);
        Arc::new(slot)
    }

    fn renew(&self, system: &System, slot: &Arc<dyn AnySlot>) {
        if let Ok(slot) = Arc::clone(slot).as_any().downcast::<Slot<A::Message, A::Reply>>() {
            slot.renew(self.offers(), Arc::clone(&self.routables), self.bound(system.limits()));
            slot.hand_over(self.hands_over);
        }
    }

    fn may_start_in_place(&self) -> bool {
        // Code that may block its thread, as far as anybody looks, blocks one of its own and not its supervisor's.
        self.handler_deadline.is_none() && self.runtime.is_none()
    }

    fn on_runtime(&self, runtime: &Handle) -> Option<Arc<dyn Worker>> {
        if self.runtime.is_some() {
            return None;
        }
        Some(Arc::new(Self {
            args: self.args.clone(),
            records: self.records.clone(),
            routables: Arc::clone(&self.routables),
            runtime: Some(runtime.clone()),
            agent: PhantomData,
            ..*self
        }))
    }

    fn spawn(&self, start: StartOf) -> Result<ActorCell, SpawnErr> {
        let watch = start.system.watch();
        if let Some(above) = start.above {
            let limit = self.handler_deadline.map(|limit| Box::new((limit, Arc::default())));
            start.life.oversee(Overseer { above, limit });
        }
        if let Some(most) = self.tasks.or(start.system.limits().agent.concurrent_tasks) {
            let bulkhead = Bulkhead::new(most as usize, usize::MAX);
            start.life.tasks.limit(Permits::new(Arc::clone(start.system.clock()), bulkhead));
        }
        let slot = start.slot.as_any().downcast::<Slot<A::Message, A::Reply>>();
        let slot = slot.map_err(|_| SpawnErr::StartupFailed("the slot is of another agent".into()))?;
        let birth = Birth::<A> {
            slot,
            life: start.life,
            args: self.args.clone(),
            handler_deadline: self.handler_deadline,
            runtime: self.runtime.as_ref().map(|handle| watch.on(handle)),
            right_here: start.right_here,
            system: start.system,
        };
        // What is spawned now, ractor's task of the actor above all, runs there.
        let _entered = self.runtime.as_ref().map(Handle::enter);
        let (actor, _) = spawn_at_once(Shell::<A>::new(), birth, start.supervisor, start.right_here)?;
        Ok(actor.get_cell())
    }
}
