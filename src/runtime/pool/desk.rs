//! Where the members of a pool are lent: who is free, who is held, who leaves.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::PoolPlan;
use crate::flow::{Bulkhead, LineFull, Occupancy, PoolView};
use crate::id::{ChildId, Path};
use crate::runtime::guard::lock;
use crate::runtime::permits::{Asked, Permit, Permits};
use crate::runtime::slot::Presence;
use crate::runtime::system::System;
use crate::seam::Clock;
use crate::supervision::machine::ChildState;

/// A permit for each member; whoever has one finds a member that is free.
pub(crate) struct PoolDesk {
    path: Path,
    permits: Arc<Permits>,
    state: Mutex<State>,
    /// Somebody stands in line.
    asked: Notify,
}

/// Members are known by their numbers, which are their names.
#[derive(Default)]
struct State {
    members: BTreeSet<u64>,
    /// The one that was free longest comes first.
    free: VecDeque<u64>,
    held: BTreeSet<u64>,
    leaving: BTreeSet<u64>,
    /// The highest number that was ever given.
    last: u64,
}

/// A member that is lent; back when this is dropped.
pub(crate) struct Loan {
    desk: Arc<PoolDesk>,
    number: u64,
    path: Path,
    permit: Option<Permit>,
}

impl PoolDesk {
    pub(crate) fn new(path: Path, plan: &PoolPlan, clock: Arc<dyn Clock>) -> Arc<Self> {
        let permits = Permits::new(clock, Bulkhead::new(0, plan.waiting));
        Arc::new(Self { path, permits, state: Mutex::default(), asked: Notify::new() })
    }

    fn member(&self, number: u64) -> Path {
        self.path.child(&ChildId::numbered(number))
    }

    /// Looks at who the members are: some may have come, gone, or come back from a rest.
    pub(crate) fn refresh(&self, system: &System) {
        let children = system.children_of(&self.path);
        let present = |(name, state): &(ChildId, ChildState)| {
            let number: u64 = name.as_str().parse().ok()?;
            (!matches!(state, ChildState::Stopped | ChildState::Quarantined)).then_some(number)
        };
        let mut present: BTreeSet<u64> = children.iter().filter_map(present).collect();
        let mut state = lock(&self.state);
        present.retain(|number| !state.leaving.contains(number));
        if present == state.members {
            return;
        }
        state.free.retain(|number| present.contains(number));
        let new: Vec<u64> =
            present.difference(&state.members).filter(|number| !state.held.contains(number)).copied().collect();
        state.free.extend(new);
        state.last = state.last.max(present.last().copied().unwrap_or(0));
        state.members = present;
        // Under the lock: of two that look at once the later one counts.
        self.permits.set_permits(state.members.len());
    }

    pub(crate) fn enter(&self) -> Result<Asked, LineFull> {
        let asked = self.permits.enter();
        if !matches!(asked, Ok(Asked::Entered(_))) {
            self.asked.notify_one();
        }
        asked
    }

    /// Resolves when somebody has come to stand in line.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Lends a free member to the holder of a permit. `None` when all that were free have gone.
    pub(crate) fn lend(self: &Arc<Self>, system: &System, permit: Permit) -> Option<Loan> {
        let presence = |number| system.slot(self.member(number)).map(|slot| slot.core().presence());
        let number = {
            let mut state = lock(&self.state);
            let running = state.free.iter().position(|number| presence(*number) == Some(Presence::Live));
            let coming = || state.free.iter().position(|number| presence(*number) == Some(Presence::Awaited));
            let place = running.or_else(coming)?;
            let number = state.free.remove(place)?;
            state.held.insert(number);
            number
        };
        Some(Loan { desk: Arc::clone(self), number, path: self.member(number), permit: Some(permit) })
    }

    pub(crate) fn members(&self, system: &System) -> Vec<Path> {
        self.refresh(system);
        lock(&self.state).members.iter().map(|number| self.member(*number)).collect()
    }

    pub(crate) fn occupancy(&self, system: &System) -> Occupancy {
        self.refresh(system);
        self.permits.occupancy()
    }

    /// How the pool stands, for whoever decides how many members there should be.
    pub(super) fn view(&self, system: &System) -> PoolView {
        let members = self.members(system);
        let queued = |path: &Path| system.slot(path).map_or(0, |slot| slot.queued());
        let waiting: usize = members.iter().map(queued).sum::<usize>() + self.permits.occupancy().waiting;
        let counted = |number| u32::try_from(number).unwrap_or(u32::MAX);
        PoolView { members: counted(members.len()), waiting: waiting as u64 }
    }

    /// A number that no member ever had.
    pub(super) fn next_number(&self) -> u64 {
        let mut state = lock(&self.state);
        state.last += 1;
        state.last
    }

    /// Takes a member out that is free and for whom nothing waits, the youngest; nobody gets it any more. `None` when
    /// there is none, or somebody waits for one.
    pub(super) fn dismiss(&self, system: &System) -> Option<u64> {
        // With a permit in hand there is one that nobody else can be lent.
        let _permit = self.permits.try_enter()?;
        let mut state = lock(&self.state);
        let is_idle = |number: &u64| system.slot(self.member(*number)).is_none_or(|slot| slot.queued() == 0);
        let number = state.free.iter().copied().filter(is_idle).max()?;
        state.free.retain(|other| *other != number);
        state.members.remove(&number);
        state.leaving.insert(number);
        self.permits.set_permits(state.members.len());
        Some(number)
    }

    /// A member that was dismissed is gone.
    pub(super) fn left(&self, number: u64) {
        lock(&self.state).leaving.remove(&number);
    }

    /// Whoever was leaving when the one that ended it was itself ended stays.
    pub(super) fn nobody_leaves(&self) {
        lock(&self.state).leaving.clear();
    }
}

impl Loan {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.desk.state);
            state.held.remove(&self.number);
            if state.members.contains(&self.number) {
                state.free.push_back(self.number);
            }
        }
        // Only now: who is handed it finds the member free.
        self.permit = None;
    }
}
