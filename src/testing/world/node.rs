//! A simulated node: one system, which may crash and begin again.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::{Inner, World};
use crate::error::{RequestError, StartError};
use crate::fault::{Crash, Skew};
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::builder::SystemBuilder;
use crate::runtime::guard::lock;
use crate::runtime::spec::SupervisorSpec;
use crate::runtime::system::System;
use crate::runtime::tap::Tap;
use crate::runtime::wait::Turnstile;
use crate::runtime::world::SeededEntropy;
use crate::seam::Level;
use crate::seam::{Clock, seed_of};
use crate::testing::VirtualClock;
use crate::testing::disk::Disk;
use crate::testing::trace::{NodeChange, NodeTap, What};

type Configure = Box<dyn Fn(SystemBuilder) -> SystemBuilder + Send + Sync>;

/// A node that is to begin. See [`World::node`].
#[must_use = "a node begins with `start`"]
pub struct NodeBuilder {
    world: World,
    name: Arc<str>,
    configure: Configure,
    level: Level,
}

impl NodeBuilder {
    pub(super) fn new(world: &World, name: &str) -> Self {
        Self { world: world.clone(), name: name.into(), configure: Box::new(|builder| builder), level: Level::Durable }
    }

    /// Sets the system up, at each start of the node: its limits, a journal of your own, a fault plan of its own beside that
    /// of the world. It begins with the journal on the simulated disk and the simulated network. Clock and chance are the
    /// world's, and there is no watchdog, whose thread would go by real time.
    pub fn configure(mut self, configure: impl Fn(SystemBuilder) -> SystemBuilder + Send + Sync + 'static) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// How durable the journal on the node's simulated disk is; [`Level::Durable`] when not set. The disk outlives crashes.
    pub fn journal(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Begins the node. `spec` describes its tree, at each start of it anew.
    ///
    /// # Errors
    ///
    /// As [`System::start`](crate::System::start). The node is there, and is down.
    ///
    /// # Cancel safety
    ///
    /// As [`System::start`](crate::System::start).
    pub async fn start(self, spec: impl Fn() -> SupervisorSpec + Send + Sync + 'static) -> Result<Node, StartError> {
        let Self { world, name, configure, level } = self;
        let disk = Disk::new(seed_of(world.inner.seed, &format!("disk:{name}")));
        let node = Node {
            inner: Arc::new(NodeInner {
                world: Arc::downgrade(&world.inner),
                name: Arc::clone(&name),
                configure,
                spec: Box::new(spec),
                disk,
                level,
                skew: Arc::default(),
                state: Mutex::default(),
                crashing: Turnstile::default(),
            }),
        };
        {
            let mut nodes = lock(&world.inner.nodes);
            nodes.order.push(node.clone());
            nodes.by_name.insert(name.to_string(), node.clone());
        }
        node.boot().await?;
        Ok(node)
    }
}

/// A simulated node. Clones are the same node.
#[derive(Clone)]
pub struct Node {
    inner: Arc<NodeInner>,
}

struct NodeInner {
    world: Weak<Inner>,
    name: Arc<str>,
    configure: Configure,
    spec: Box<dyn Fn() -> SupervisorSpec + Send + Sync>,
    disk: Disk,
    level: Level,
    /// By how many microseconds its time of day is off.
    skew: Arc<AtomicI64>,
    state: Mutex<State>,
    /// Held while a crash is under way.
    crashing: Turnstile,
}

#[derive(Default)]
struct State {
    boots: u32,
    /// Of the last start, unless it crashed.
    tap: Option<Arc<NodeTap>>,
}

impl Node {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The system of its present start.
    ///
    /// # Panics
    ///
    /// While the node is down.
    #[must_use]
    #[track_caller]
    pub fn system(&self) -> System {
        self.try_system().unwrap_or_else(|| panic!("node `{}` is down", self.name()))
    }

    /// The system of its present start; `None` while the node is down.
    #[must_use]
    pub fn try_system(&self) -> Option<System> {
        lock(&self.inner.state).tap.as_ref()?.system()
    }

    /// Whether it is up: it did not crash, did not give up, and was not ended.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.try_system().is_some_and(|system| !system.is_over())
    }

    /// The agent at a path of its present system. The reference does not outlive a crash of the node.
    ///
    /// # Errors
    ///
    /// As [`System::agent`](crate::System::agent).
    ///
    /// # Panics
    ///
    /// While the node is down.
    #[track_caller]
    pub fn agent<A: Agent>(&self, path: &str) -> Result<AgentRef<A>, RequestError> {
        self.system().agent(path)
    }

    /// Its disk, which outlives crashes.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// The node is gone from one moment to the next, as if its process was killed: no stop hook and no handler runs any more, and nobody is told. Returns
    /// when nothing of it is left. Nothing happens to a node that is down.
    pub async fn crash(&self) {
        self.crash_as(Crash::Process).await;
    }

    /// As [`crash`](Self::crash): of its process, or of the machine with what its disk had not synced.
    pub async fn crash_as(&self, how: Crash) {
        // Of two the second waits for the first.
        let _turn = self.inner.crashing.enter().await;
        let Some(tap) = lock(&self.inner.state).tap.take() else { return };
        tap.write(What::Node(NodeChange::Crashed));
        let system = tap.system();
        tap.cut();
        let crash = system.as_ref().map(System::crash);
        // At the same moment: whoever starts it again finds what the crash left.
        if let Some(world) = self.inner.world.upgrade() {
            world.with_network(|network| network.disconnect(&self.inner.name));
        }
        self.inner.disk.crash(how);
        if let Some(crash) = crash {
            crash.await;
        }
    }

    /// Begins a node again that is down.
    ///
    /// # Errors
    ///
    /// As [`System::start`](crate::System::start).
    ///
    /// # Panics
    ///
    /// When it is up, or its world is gone.
    pub async fn restart(&self) -> Result<(), StartError> {
        self.crashed().await;
        assert!(!self.is_up(), "node `{}` is up; crash it, or shut its system down, first", self.name());
        self.boot().await
    }

    /// Whether it is down: it crashed, or its system has ended.
    pub(super) fn is_down(&self) -> bool {
        let state = lock(&self.inner.state);
        state.tap.as_ref().is_none_or(|tap| tap.system().is_some_and(|system| system.is_over()))
    }

    /// Waits for the end of a crash that is under way.
    pub(super) async fn crashed(&self) {
        drop(self.inner.crashing.enter().await);
    }

    /// Its time of day is wrong by so much from now on. The clock by which it measures times goes right.
    pub fn skew(&self, by: Skew) {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let by = match by {
            Skew::Ahead(by) => micros(by),
            Skew::Behind(by) => -micros(by),
        };
        self.inner.skew.store(by, Ordering::Release);
    }

    async fn boot(&self) -> Result<(), StartError> {
        let NodeInner { world, name, configure, spec, skew, state, disk, level, .. } = &*self.inner;
        let world = world.upgrade().expect("a node begins within its world");
        let (tap, boot) = {
            let mut state = lock(state);
            state.boots += 1;
            let tap = NodeTap::new(&world.recording, name, state.boots);
            if let Some(before) = state.tap.replace(Arc::clone(&tap)) {
                before.let_go();
            }
            (tap, state.boots)
        };
        tap.write(What::Node(NodeChange::Booting));
        let clock = Arc::new(NodeClock { clock: world.clock, skew: Arc::clone(skew) });
        let entropy = SeededEntropy::new(seed_of(world.seed, &format!("node:{name}:{boot}")), Arc::clone(&clock) as _);
        // A thread of the watchdog would go by real time.
        let builder = System::builder().journal(Arc::new(disk.journal(*level)));
        let builder = match world.with_network(|network| network.node(name)) {
            Some(transport) => builder.transport(transport),
            None => builder,
        };
        let builder = match world.hold_back {
            0 => builder,
            most => builder.interleave(seed_of(world.seed, &format!("interleave:{name}:{boot}")), most),
        };
        let builder = configure(builder).watchdog(None);
        let faults = world.faults.of_node(&tap, builder.faults_set());
        let builder =
            builder.clock(clock).entropy(Arc::new(entropy)).faults(faults).tap(Arc::clone(&tap) as Arc<dyn Tap>);
        match builder.start(spec()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tap.write(What::Node(NodeChange::BootFailed));
                Err(error)
            }
        }
    }

    /// Ends it in order, if it is up.
    pub(super) async fn end(&self) {
        let Some(tap) = lock(&self.inner.state).tap.clone() else { return };
        if let Some(system) = tap.system() {
            // How it ended is in the trace.
            let _ = system.shutdown().await;
            // What was given up may be blocked for ever.
            system.blocks().end();
        }
    }
}

impl Drop for NodeInner {
    fn drop(&mut self) {
        if let Some(tap) = lock(&self.state).tap.take() {
            tap.let_go();
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

/// The clock of a node.
struct NodeClock {
    clock: VirtualClock,
    skew: Arc<AtomicI64>,
}

impl Clock for NodeClock {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        let skew = self.skew.load(Ordering::Acquire);
        let by = Duration::from_micros(skew.unsigned_abs());
        if skew < 0 { self.clock.wall() - by } else { self.clock.wall() + by }
    }
}
