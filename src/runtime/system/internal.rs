//! What the rest of the runtime needs of a system.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ractor::{ActorCell, ActorRef};

use super::{ENDING, Feed, Published, READY, STARTING, System, written};
use crate::error::{RequestError, UnknownPath};
use crate::event::EventKind;
use crate::exit::GaveUp;
use crate::fault::FaultPlan;
use crate::flow::Moment;
use crate::id::{ChildId, Path};
use crate::registry::index::Index;
use crate::registry::selection::Decision;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::bus::Bus;
use crate::runtime::current;
use crate::runtime::faults::Blocks;
use crate::runtime::guardian::GuardianMessage;
use crate::runtime::keeper::{Desk, Keeper};
use crate::runtime::life::Life;
use crate::runtime::office::Office;
use crate::runtime::registrar::Registrar;
use crate::runtime::route::Reached;
use crate::runtime::slot::AnySlot;
use crate::runtime::spec::SupervisorSpec;
use crate::runtime::watchdog::Watch;

impl System {
    pub(super) fn ask_to_end(&self) {
        if current::fenced().is_some() {
            return;
        }
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
        self.inner.office.epoch
    }

    /// The present moment, as the time since the system began.
    pub(crate) fn moment(&self) -> Moment {
        self.clock().now().saturating_duration_since(self.epoch())
    }

    /// The number of the next route.
    pub(crate) fn next_route(&self) -> u64 {
        self.inner.routes.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of the next choice that no route and no name counts.
    #[cfg(feature = "json")]
    pub(crate) fn next_turn(&self) -> u64 {
        self.inner.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// Where changes of the index are told.
    pub(crate) fn feed(&self) -> &Feed {
        &self.inner.feed
    }

    /// Whether the system has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.inner.ended.borrow().is_some()
    }

    /// Publishes a decision. One that nobody reads is not made, nor one of the code of a life that was given up.
    pub(crate) fn announce(&self, decision: impl FnOnce() -> Decision) {
        if self.bus().hears_decisions() && current::fenced().is_none() {
            self.bus().publish_decision(decision());
        }
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(crate) fn office(&self) -> &Arc<Office> {
        &self.inner.office
    }

    pub(crate) fn watch(&self) -> &Arc<Watch> {
        self.inner.watchdog.watch()
    }

    /// Reports a life whose code runs on, and, once all of it is gone, that too. The life must be fenced.
    pub(crate) fn leaked(&self, life: &Arc<Life>, cell: Option<ActorCell>) {
        if !life.mark_leaked() {
            return;
        }
        self.bus().publish(&life.path, EventKind::Leaked { incarnation: life.incarnation });
        let (life, bus) = (Arc::clone(life), self.bus().clone());
        // Outlives the supervisor, and may outlive the system: a thread is blocked for as long as it is.
        self.watch().home().spawn(async move {
            if let Some(cell) = cell {
                let _ = cell.wait(None).await;
            }
            life.tasks.silent().await;
            bus.publish(&life.path, EventKind::LeakEnded { incarnation: life.incarnation });
        });
    }

    pub(crate) fn index(&self) -> &Index<Reached> {
        &self.inner.index
    }

    /// The threads that are blocked on purpose.
    pub(crate) fn blocks(&self) -> &Blocks {
        &self.inner.blocks
    }

    pub(crate) fn faults(&self) -> Option<&Arc<dyn FaultPlan>> {
        self.inner.world.faults.as_ref()
    }

    /// From which seed shells are held back, and by how many turns at most.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn interleaving(&self) -> Option<(u64, u32)> {
        self.inner.world.interleaving
    }

    /// Tells a test that a life is gone, before its supervisor reacts.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn tell_end(&self, path: &Path, life: &crate::runtime::life::Life, reason: &crate::ExitReason) {
        if let Some(tell) = &self.inner.world.ends {
            let started = life.has_started();
            tell(&crate::testing::End { path, incarnation: life.incarnation, reason, started });
        }
    }

    /// Whether it makes this mistake on purpose.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn has_bug(&self, bug: crate::testing::Bug) -> bool {
        self.inner.world.bug == Some(bug)
    }

    /// The supervisor of the system's own services.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn services_root(&self) -> Path {
        self.inner.services_path.clone()
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

    /// The journal, and what waits to be written to it.
    pub(crate) fn desk(&self) -> &Desk {
        &self.inner.world.desk
    }

    fn service<A: Agent>(&self, name: &str) -> Result<AgentRef<A>, RequestError> {
        let name = ChildId::new(name).expect("the names of the services are names");
        self.agent(self.inner.services_path.child(&name))
    }

    pub(crate) fn slot(&self, path: impl AsRef<str>) -> Option<Arc<dyn AnySlot>> {
        self.inner.slots.get(written(path.as_ref()))
    }

    pub(super) fn known(&self, path: &str) -> Result<Arc<dyn AnySlot>, UnknownPath> {
        self.slot(path).ok_or_else(|| UnknownPath { path: path.to_owned() })
    }

    /// All slots, by path.
    pub(crate) fn slots(&self) -> Vec<Arc<dyn AnySlot>> {
        let mut slots = self.inner.slots.all();
        slots.sort_unstable_by(|a, b| a.core().path.cmp(&b.core().path));
        slots
    }

    /// The slot at the path of this one: this, where there is none yet.
    pub(crate) fn slot_or(&self, slot: Arc<dyn AnySlot>) -> Arc<dyn AnySlot> {
        self.inner.slots.get_or_put(slot)
    }

    pub(crate) fn close_all(&self) {
        for slot in self.slots() {
            slot.close();
        }
    }

    /// What the supervisor at this path shows of itself; made when first asked for.
    pub(crate) fn published(&self, supervisor: &Path) -> Arc<Published> {
        if let Some(published) = self.inner.supervisors.get(supervisor) {
            return Arc::clone(&published);
        }
        let make = || Arc::new(Published::new(supervisor.clone()));
        Arc::clone(&self.inner.supervisors.entry(supervisor.clone()).or_insert_with(make))
    }

    /// The places of all supervisors that ever were.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn supervisors(&self) -> Vec<Path> {
        self.inner.supervisors.iter().map(|entry| entry.key().clone()).collect()
    }

    /// Whether the system has ended.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended()
    }

    /// What the supervisor at this path shows of itself, if there ever was one.
    pub(crate) fn known_supervisor(&self, path: &Path) -> Option<Arc<Published>> {
        self.inner.supervisors.get(path).map(|published| Arc::clone(&published))
    }

    /// Whatever an update said of the supervisor at this path, and of those below it, does not count any more.
    pub(crate) fn forget_update(&self, supervisor: &Path) {
        for path in self.paths_within(supervisor, |_| true) {
            if let Some(published) = self.known_supervisor(&path) {
                published.forget_update();
            }
        }
    }

    /// Puts the slot of another kind of child into the place of one, which is closed with all below it. References to
    /// the old one are refused from now on; the numbers of the incarnations go on.
    pub(crate) fn replace_slot(&self, old: &dyn AnySlot, new: Arc<dyn AnySlot>) -> Arc<dyn AnySlot> {
        let path = &old.core().path;
        new.core().go_on_after(old.core());
        // In one step: nobody is to find no slot there.
        let mut within = self.paths_within(path, |_| true).into_iter();
        self.inner.slots.put(Arc::clone(&new));
        old.close();
        self.forget_id(old);
        within.next().map(|path| self.inner.supervisors.remove(&path));
        self.drop_each(within);
        new
    }

    /// Closes the slots of a child that will not come back, and of those below it, and leaves nothing behind of them.
    pub(crate) fn drop_slots(&self, path: &Path) {
        self.drop_each(self.paths_within(path, |_| true).into_iter());
    }

    fn drop_each(&self, paths: impl Iterator<Item = Path>) {
        for path in paths {
            if let Some(slot) = self.inner.slots.remove(path.as_str()) {
                slot.close();
                self.forget_id(&*slot);
            }
            self.inner.supervisors.remove(&path);
        }
    }

    fn forget_id(&self, slot: &dyn AnySlot) {
        if let Some(id) = slot.core().known_id() {
            self.inner.ids.remove(&id.instance);
        }
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
        self.inner.watchdog.end();
        self.inner.ended.send_replace(Some(outcome));
        self.inner.feed.end();
    }
}
