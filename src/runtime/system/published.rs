//! What a supervisor shows of itself without being asked. Outlives its incarnations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use crate::id::Path;
use crate::runtime::guard::lock;
use crate::runtime::pool::PoolDesk;
use crate::runtime::spec::SupervisorSpec;
use crate::supervision::history::{Entry, History};
use crate::supervision::machine::Machine;

/// What a supervisor shows of itself without being asked; outlives its incarnations.
pub(crate) struct Published {
    history: Mutex<History>,
    restarts: AtomicU64,
    seat: Mutex<Seat>,
    /// Where its members are lent, where it is a pool.
    pool: OnceLock<Arc<PoolDesk>>,
}

/// The present incarnation.
#[derive(Default)]
struct Seat {
    /// Its machine, and since when that counts its moments. Locked only while it takes a step.
    machine: Option<(Arc<Mutex<Machine>>, Instant)>,
    spec: Option<Arc<SupervisorSpec>>,
    /// Whether an update brought the spec: then the next incarnation starts from it.
    updated: bool,
}

impl Published {
    pub(super) fn new(path: Path) -> Self {
        Self {
            history: Mutex::new(History::new(path)),
            restarts: AtomicU64::new(0),
            seat: Mutex::default(),
            pool: OnceLock::new(),
        }
    }

    /// Where its members are lent; made when first asked for.
    pub(crate) fn pool(&self, make: impl FnOnce() -> Arc<PoolDesk>) -> Arc<PoolDesk> {
        Arc::clone(self.pool.get_or_init(make))
    }

    /// A new incarnation takes its seat.
    pub(crate) fn seat(&self, machine: Arc<Mutex<Machine>>, began: Instant, spec: Arc<SupervisorSpec>) {
        let mut seat = lock(&self.seat);
        seat.machine = Some((machine, began));
        seat.spec = Some(spec);
    }

    pub(crate) fn machine(&self) -> Option<(Arc<Mutex<Machine>>, Instant)> {
        lock(&self.seat).machine.clone()
    }

    pub(crate) fn spec(&self) -> Option<Arc<SupervisorSpec>> {
        lock(&self.seat).spec.clone()
    }

    /// The spec from which the next incarnation starts, where an update brought one.
    pub(crate) fn updated(&self) -> Option<Arc<SupervisorSpec>> {
        let seat = lock(&self.seat);
        seat.spec.clone().filter(|_| seat.updated)
    }

    pub(crate) fn update(&self, spec: &Arc<SupervisorSpec>) {
        let mut seat = lock(&self.seat);
        seat.spec = Some(Arc::clone(spec));
        seat.updated = true;
    }

    /// The next incarnation starts from the spec that is in force.
    pub(crate) fn keep_update(&self) {
        let mut seat = lock(&self.seat);
        seat.updated = seat.spec.is_some();
    }

    pub(super) fn forget_update(&self) {
        lock(&self.seat).updated = false;
    }

    pub(crate) fn remember(&self, entry: Entry) {
        lock(&self.history).push(entry);
    }

    pub(super) fn history(&self) -> History {
        lock(&self.history).clone()
    }

    pub(crate) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Acquire)
    }
}
