//! What the rest of the runtime needs of a system.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ractor::ActorRef;

use super::{ENDING, Published, READY, STARTING, System, written};
use crate::error::{RequestError, UnknownPath};
use crate::exit::GaveUp;
use crate::fault::FaultPlan;
use crate::id::{ChildId, Path};
use crate::registry::index::Index;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::bus::Bus;
use crate::runtime::deadline::Timers;
use crate::runtime::guard::lock;
use crate::runtime::guardian::GuardianMessage;
use crate::runtime::keeper::Keeper;
use crate::runtime::registrar::Registrar;
use crate::runtime::route::Reached;
use crate::runtime::slot::AnySlot;
use crate::runtime::spec::SupervisorSpec;
use crate::supervision::history::{Entry, History};

impl System {
    pub(super) fn ask_to_end(&self) {
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

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.inner.timers
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
        self.agent(self.inner.services_path.child(&name))
    }

    pub(crate) fn slot(&self, path: impl AsRef<str>) -> Option<Arc<dyn AnySlot>> {
        self.inner.slots.get(written(path.as_ref())).map(|slot| Arc::clone(&slot))
    }

    pub(super) fn known(&self, path: &str) -> Result<Arc<dyn AnySlot>, UnknownPath> {
        self.slot(path).ok_or_else(|| UnknownPath { path: path.to_owned() })
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
