//! A world of one or several simulated nodes, with its own time, its own chance and its own faults.

mod faults;
mod node;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::faults::WorldFaults;
pub use self::node::{Node, NodeBuilder};
use crate::error::StartError;
use crate::runtime::faults::run::FaultRun;
use crate::runtime::guard::lock;
use crate::runtime::simulated::{self, Aborted};
use crate::runtime::spec::SupervisorSpec;
use crate::runtime::wait::{self, Signal};
use crate::seam::{Rng, seed_of};
use crate::testing::VirtualClock;
use crate::testing::net::Network;
use crate::testing::oracle;
use crate::testing::trace::{Recording, Trace, What};

/// How long, of virtual time, nodes get to end in order. Longer than all the time limits of a tree together.
const TO_END: Duration = Duration::from_hours(1);

/// One or several simulated nodes, each a [`System`](crate::System), and everything that happens on them.
///
/// A world belongs to one test and to one thread; two worlds do not see each other. Time is virtual: it stands still while
/// anybody has something to do, and then goes on to the next timer. All chance comes from the world's seed. What happens is
/// written to its [`trace`](Self::trace). Clones are the same world.
///
/// It is made by [`sim_test`](crate::sim_test), or by [`Sim`](super::Sim) without the macro:
///
/// ```
/// use std::time::Duration;
/// use steadfast::testing::{Log, Order, Probe, Sim, World};
/// use steadfast::{Strategy, SupervisorSpec};
///
/// let spec = || SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("worker", &Log::default()));
/// Sim::new("a worker comes back").seeds(10).run(move |world: World| async move {
///     let node = world.start(spec).await?;
///     node.agent::<Probe>("root/worker")?.tell(Order::Panic("boom"))?;
///     world.eventually(Duration::from_secs(1), "started root/worker #2").await;
///     world.look(|trace| trace.expect_order(&["exited root/worker #1 panicked", "started root/worker #2"]));
///     Ok::<(), steadfast::BoxError>(())
/// });
/// ```
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    hold_back: u32,
    clock: VirtualClock,
    faults: Arc<WorldFaults>,
    recording: Arc<Recording>,
    place: Arc<str>,
    nodes: Mutex<Nodes>,
    /// Until the end.
    network: Mutex<Option<Network>>,
    /// Tasks of the test itself. Gone with the test.
    tasks: Mutex<Vec<Aborted>>,
}

/// A part of a test that runs beside it.
#[derive(Clone, Default)]
pub struct Part {
    over: Arc<(AtomicBool, Signal)>,
}

impl Part {
    /// Waits until it has run to its end. Cancel safe.
    pub async fn over(&self) {
        let (over, told) = &*self.over;
        loop {
            let next = told.next();
            if over.load(Ordering::Acquire) {
                return;
            }
            next.await;
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("over", &self.over.0.load(Ordering::Acquire)).finish()
    }
}

/// In the order in which they began.
#[derive(Default)]
struct Nodes {
    order: Vec<Node>,
    by_name: BTreeMap<String, Node>,
}

/// What a test waits for: a [pattern](Trace) of an entry, or a function of the whole trace.
pub trait Condition {
    /// Whether it is so.
    fn is_so(&self, trace: &Trace) -> bool;
    /// Whether it is so, where it was not before so many entries came. Whoever need not look at those again says so here.
    fn has_become_so(&self, trace: &Trace, before: usize) -> bool {
        let _ = before;
        self.is_so(trace)
    }
    /// What it is, for whoever waited for it in vain.
    fn told(&self) -> String;
}

impl Condition for &str {
    fn is_so(&self, trace: &Trace) -> bool {
        trace.has(self)
    }

    fn has_become_so(&self, trace: &Trace, before: usize) -> bool {
        trace.has_after(before, self)
    }

    fn told(&self) -> String {
        format!("`{self}`")
    }
}

impl<F: Fn(&Trace) -> bool> Condition for F {
    fn is_so(&self, trace: &Trace) -> bool {
        self(trace)
    }

    fn told(&self) -> String {
        "what the test waits for".to_owned()
    }
}

impl World {
    /// A world in which this plan is carried out. Within a runtime whose time is paused.
    ///
    /// `hold_back`: by how many turns an agent is held back at most before it takes its next message.
    pub(super) fn new(seed: u64, run: Arc<FaultRun>, hold_back: u32) -> Self {
        let clock = VirtualClock::new();
        let recording = Recording::new(clock);
        let place: Arc<str> = "world".into();
        let faults = WorldFaults::new(run, &recording, &place);
        let network = Network::new(seed_of(seed, "network"), Some(Arc::clone(&faults) as _));
        let (told, from) = (Arc::clone(&recording), Arc::clone(&place));
        network.on_message(move |passed| told.write(&from, 0, What::Message(passed.clone())));
        let (nodes, tasks, network) = (Mutex::default(), Mutex::default(), Mutex::new(Some(network)));
        let inner = Inner { seed, hold_back, clock, faults, recording, place, nodes, network, tasks };
        let world = Self { inner: Arc::new(inner) };
        world.inner.faults.attend(&world);
        world
    }

    /// The seed from which all chance comes.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// A stream of chance for the test itself. One label is one stream, whatever else draws.
    #[must_use]
    pub fn rng(&self, label: &str) -> Rng {
        Rng::new(seed_of(self.inner.seed, &format!("test:{label}")))
    }

    /// How long ago the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.inner.clock.elapsed()
    }

    /// Lets so much virtual time pass.
    pub async fn sleep(&self, time: Duration) {
        wait::sleep(time).await;
    }

    /// A node to be, with this name.
    ///
    /// # Panics
    ///
    /// When the name is taken, or is no name: letters, digits, `-` and `_`.
    #[track_caller]
    pub fn node(&self, name: &str) -> NodeBuilder {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(!name.is_empty() && name.chars().all(fits), "`{name}` is no name of a node: letters, digits, - and _");
        assert!(!lock(&self.inner.nodes).by_name.contains_key(name), "there is a node `{name}` already");
        NodeBuilder::new(self, name)
    }

    /// Starts the only node of a world that needs no more, with the name `node`.
    ///
    /// # Errors
    ///
    /// As [`NodeBuilder::start`].
    ///
    /// # Panics
    ///
    /// When there is one already.
    #[track_caller]
    pub fn start(
        &self,
        spec: impl Fn() -> SupervisorSpec + Send + Sync + 'static,
    ) -> impl Future<Output = Result<Node, StartError>> {
        self.node("node").start(spec)
    }

    /// The node of this name, if there is one, up or not.
    #[must_use]
    pub fn find_node(&self, name: &str) -> Option<Node> {
        lock(&self.inner.nodes).by_name.get(name).cloned()
    }

    /// All nodes, in the order in which they began.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        lock(&self.inner.nodes).order.clone()
    }

    /// Runs a part of the test beside it. Ends with the test; a panic of it fails the test at that moment. A test that needs all
    /// of it waits until it [is over](Part::over).
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Part {
        let part = Part::default();
        let over = Arc::clone(&part.over);
        let recording = Arc::clone(&self.inner.recording);
        let task = simulated::spawn(async move {
            if let Err(panic) = simulated::caught(work).await {
                recording.break_off(format!("a part of the test beside it panicked: {}", simulated::text_of(&*panic)));
            }
            over.0.store(true, Ordering::Release);
            over.1.tell();
        });
        lock(&self.inner.tasks).push(task);
        part
    }

    /// Writes a line into the trace.
    pub fn note(&self, text: impl fmt::Display) {
        self.inner.recording.write(&self.inner.place, 0, What::Note(text.to_string()));
    }

    /// Everything that has happened so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.look(Clone::clone)
    }

    /// Looks at what has happened so far, without a copy of it. The function must not ask the world for anything.
    pub fn look<T>(&self, look: impl FnOnce(&Trace) -> T) -> T {
        self.inner.recording.look(look)
    }

    /// The faults, as far as they have come.
    #[must_use]
    pub fn faults(&self) -> &FaultRun {
        self.inner.faults.run()
    }

    /// Waits until it is so, at most for a time. Cancel safe.
    ///
    /// # Panics
    ///
    /// When it did not become so; with what happened last.
    #[track_caller]
    pub fn eventually(&self, limit: Duration, condition: impl Condition) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let seen = AtomicUsize::new(0);
            let is_so =
                |trace: &Trace| condition.has_become_so(trace, seen.swap(trace.entries().len(), Ordering::Relaxed));
            let so = self.inner.recording.until_so(limit, is_so).await;
            assert!(
                so,
                "{place}: {} did not come within {limit:?}; at last there was\n{}",
                condition.told(),
                self.tail(20)
            );
        }
    }

    /// From now on until the test returns it must be so, after everything that happens; or the test fails at that moment.
    ///
    /// The function must not ask the world for anything.
    pub fn always(&self, name: &str, holds: impl FnMut(&Trace) -> bool + Send + 'static) {
        self.inner.recording.watch(name, holds);
    }

    /// From now on until the test returns nothing may happen that a [pattern](Trace) means; or the test fails at that moment.
    ///
    /// # Panics
    ///
    /// When no entry begins so.
    pub fn never(&self, pattern: &str) {
        let (name, pattern) = (format!("never {pattern}"), pattern.to_owned());
        let mut seen = self.look(|trace| trace.entries().len());
        self.always(&name, move |trace| {
            !trace.has_after(std::mem::replace(&mut seen, trace.entries().len()), &pattern)
        });
    }

    /// Waits for a time during which it must be so, after everything that happens.
    ///
    /// The function must not ask the world for anything.
    pub async fn stays(&self, time: Duration, name: &str, holds: impl FnMut(&Trace) -> bool + Send + 'static) {
        let rule = self.inner.recording.watch(name, holds);
        self.sleep(time).await;
        self.inner.recording.forget(rule);
    }

    /// The last lines of the trace.
    pub(super) fn tail(&self, most: usize) -> String {
        self.look(|trace| {
            let entries = trace.entries();
            let last = &entries[entries.len().saturating_sub(most)..];
            last.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })
    }

    /// Resolves when a rule is broken.
    pub(super) async fn until_broken(&self) -> String {
        self.inner.recording.until_broken().await
    }

    /// Ends everything in order, and looks at what must hold at the end of every test.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub(super) async fn end(&self) -> Result<(), String> {
        for node in self.nodes() {
            // Half a crash would leave the other half.
            node.crashed().await;
        }
        // The end is none of the test's any more.
        self.inner.recording.forget_all();
        lock(&self.inner.tasks).clear();
        self.inner.faults.end();
        let mut problems = Vec::new();
        for node in self.nodes().iter().rev() {
            if wait::at_most(TO_END, node.end()).await.is_none() {
                problems.push(format!("node `{}` did not end within {TO_END:?} of being asked to", node.name()));
            }
        }
        drop(lock(&self.inner.network).take());
        // Aborted tasks go when they are polled next.
        wait::sleep(Duration::from_millis(1)).await;
        let alive = simulated::alive_tasks();
        self.look(|trace| {
            if alive > 0 {
                problems.push(oracle::told_alive(alive, trace));
            }
            problems.extend(oracle::ALL.iter().filter_map(|oracle| oracle.problem(trace)));
        });
        problems.extend(self.inner.recording.broken());
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }
}

impl Inner {
    /// Asks the network, until the end of the world.
    fn with_network<T>(&self, ask: impl FnOnce(&Network) -> T) -> Option<T> {
        lock(&self.network).as_ref().map(ask)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.inner.seed).finish_non_exhaustive()
    }
}
