//! The faults of a world: as each of its nodes meets them, and those that are for others than who is at a point.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::{Inner, Node, World};
use crate::fault::{Crash, Fault, FaultPlan, FaultPoint, Fired, Hop, MessageFault, PathPattern, Present, Skew, Who};
use crate::runtime::faults::run::{Attended, FaultRun, Injector, NotInjected, kill_all, living, nobody};
use crate::runtime::guard::lock;
use crate::runtime::wait;
use crate::testing::trace::{NodeTap, Recording, What};

/// How long a node that was to come back and did not start waits before the next try.
const RETRY: Duration = Duration::from_secs(1);

/// A plan that is carried out in a world. What comes of it is in the trace.
pub(super) struct WorldFaults {
    run: Arc<FaultRun>,
    recording: Arc<Recording>,
    place: Arc<str>,
    /// How many of those that came are in the trace.
    told: Mutex<usize>,
    attended: Mutex<Option<Attended>>,
}

impl WorldFaults {
    pub(super) fn new(run: Arc<FaultRun>, recording: &Arc<Recording>, place: &Arc<str>) -> Arc<Self> {
        let (recording, place) = (Arc::clone(recording), Arc::clone(place));
        Arc::new(Self { run, recording, place, told: Mutex::default(), attended: Mutex::default() })
    }

    pub(super) fn run(&self) -> &FaultRun {
        &self.run
    }

    /// The faults as a node meets them; and another plan, that a test gave to this node alone.
    pub(super) fn of_node(self: &Arc<Self>, tap: &Arc<NodeTap>, own: Option<Arc<dyn FaultPlan>>) -> Arc<dyn FaultPlan> {
        Arc::new(NodeFaults { all: Arc::clone(self), tap: Arc::clone(tap), plan: self.run.on_node(&tap.node), own })
    }

    /// From now on what is for others is done too.
    pub(super) fn attend(&self, world: &World) {
        let injector = WorldInjector { world: Arc::downgrade(&world.inner) };
        *lock(&self.attended) = Some(self.run.attend_with(Arc::new(injector)));
    }

    /// Nothing more goes wrong at a time, or for others.
    pub(super) fn end(&self) {
        *lock(&self.attended) = None;
    }

    /// Writes into the trace what has come since.
    fn tell(&self) {
        let mut told = lock(&self.told);
        for Fired { fault, who, .. } in self.run.came_after(*told) {
            *told += 1;
            let (node, who) = match who {
                Some(Who { node: Some(node), path, incarnation }) => (node.into(), Some((path, incarnation))),
                _ => (Arc::clone(&self.place), None),
            };
            self.recording.write(&node, 0, What::Fault { who, fault: fault.to_string() });
        }
    }
}

impl FaultPlan for WorldFaults {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let fault = self.run.at(point);
        self.tell();
        fault
    }

    fn on_hop(&self, hop: &Hop<'_>) -> Option<MessageFault> {
        let fault = self.run.on_hop(hop);
        self.tell();
        fault
    }
}

struct NodeFaults {
    all: Arc<WorldFaults>,
    tap: Arc<NodeTap>,
    plan: Arc<dyn FaultPlan>,
    own: Option<Arc<dyn FaultPlan>>,
}

impl FaultPlan for NodeFaults {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let fault = self.plan.at(point);
        self.all.tell();
        fault.or_else(|| {
            let fault = self.own.as_ref()?.at(point)?;
            let who = Some((point.path.clone(), point.incarnation));
            let about = point.subject.map(|subject| format!(" about {subject}")).unwrap_or_default();
            self.tap.write(What::Fault { who, fault: format!("{fault:?} at {}{about}", point.point) });
            Some(fault)
        })
    }
}

/// Does what is for others than who is at a point.
struct WorldInjector {
    world: Weak<Inner>,
}

impl WorldInjector {
    /// `None` when the world is at its end.
    fn world(&self) -> Option<World> {
        let world = World { inner: self.world.upgrade()? };
        world.inner.faults.tell();
        Some(world)
    }

    fn node(&self, name: &str) -> Result<(World, Node), NotInjected> {
        let world = self.world().ok_or_else(|| NotInjected::because("the world is at its end"))?;
        let node = world.find_node(name);
        let known = || world.nodes().iter().map(|node| node.name().to_owned()).collect::<Vec<_>>().join(", ");
        let node =
            node.ok_or_else(|| NotInjected::because(format!("there is no node `{name}`; there are: {}", known())))?;
        Ok((world, node))
    }
}

impl Injector for WorldInjector {
    fn present(&self) -> Present {
        let Some(world) = self.world() else { return Present::default() };
        let up = world.nodes().into_iter().filter(Node::is_up);
        let up: Vec<_> = up.filter_map(|node| Some((node.try_system()?, node))).collect();
        let lives = up.iter().flat_map(|(system, node)| {
            living(system).into_iter().map(|path| (Some(node.name().to_owned()), path)).collect::<Vec<_>>()
        });
        Present::new(up.iter().map(|(_, node)| node.name().to_owned()).collect(), lives.collect())
    }

    fn kill(&self, pattern: &PathPattern) -> Result<(), NotInjected> {
        let Some(world) = self.world() else { return Ok(()) };
        let up: Vec<_> = world.nodes().into_iter().filter_map(|node| Some((node.try_system()?, node))).collect();
        let are_there = up.iter().map(|(system, node)| kill_all(system, Some(node.name()), pattern));
        if are_there.fold(false, |any, is_there| any | is_there) {
            return Ok(());
        }
        let systems: Vec<_> = up.into_iter().map(|(system, _)| system).collect();
        Err(nobody(pattern, &systems))
    }

    fn crash(&self, node: &str, how: Crash, down_for: Option<Duration>) -> Result<(), NotInjected> {
        let (world, node) = self.node(node)?;
        if node.is_down() {
            return Err(NotInjected::because(format!("node `{}` is down already", node.name())));
        }
        // Not the world: its own task must not keep it.
        world.spawn(async move {
            node.crash_as(how).await;
            let Some(down) = down_for else { return };
            wait::sleep(down).await;
            while !node.is_up() && node.restart().await.is_err() {
                wait::sleep(RETRY).await;
            }
        });
        Ok(())
    }

    fn skew(&self, node: &str, by: Skew) -> Result<(), NotInjected> {
        self.node(node)?.1.skew(by);
        Ok(())
    }
}
