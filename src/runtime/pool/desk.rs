//! Where the members of a pool are lent: who is free, who is held, who leaves.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::futures::Notified;
use tokio::sync::{MutexGuard, Notify};

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
    /// A member was given back.
    back: Notify,
    /// Those who have a permit and found nobody, in the order in which they looked.
    seeking: tokio::sync::Mutex<()>,
    /// A clone of this is held by each of them.
    seekers: Arc<()>,
}

/// Who has a permit and found nobody: it is ahead of whoever comes with a permit later.
pub(super) struct Seeker<'a> {
    _counted: Arc<()>,
    _first: MutexGuard<'a, ()>,
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

impl State {
    /// One for each member, and one for each that is held and is none any more: it takes a permit from no other.
    fn permits(&self) -> usize {
        self.members.len() + self.held.difference(&self.members).count()
    }
}

/// A member that is lent; back when this is dropped.
pub(crate) struct Loan {
    desk: Arc<PoolDesk>,
    number: u64,
    permit: Option<Permit>,
}

impl PoolDesk {
    pub(crate) fn new(path: Path, plan: &PoolPlan, clock: Arc<dyn Clock>) -> Arc<Self> {
        let permits = Permits::new(clock, Bulkhead::new(0, plan.waiting));
        Arc::new(Self {
            path,
            permits,
            state: Mutex::default(),
            asked: Notify::new(),
            back: Notify::new(),
            seeking: tokio::sync::Mutex::default(),
            seekers: Arc::default(),
        })
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
        self.permits.set_permits(state.permits());
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

    /// Resolves when a member is given back after this was enabled.
    pub(super) fn back(&self) -> Notified<'_> {
        self.back.notified()
    }

    /// Whether somebody has a permit, and found nobody.
    pub(super) fn is_sought(&self) -> bool {
        Arc::strong_count(&self.seekers) > 1
    }

    /// Resolves when those who sought before have found somebody, or left.
    pub(super) async fn seek(&self) -> Seeker<'_> {
        let counted = Arc::clone(&self.seekers);
        Seeker { _counted: counted, _first: self.seeking.lock().await }
    }

    /// Lends a free member that can be reached, and takes the permit for it: one that runs before one at rest, which
    /// runs with the first message, and that before one that is being restarted. `None` when all that were free have
    /// gone; then the permit stays where it is.
    pub(super) fn lend<T>(
        self: &Arc<Self>,
        system: &System,
        permit: &mut Option<Permit>,
        reach: impl Fn(&Path) -> Option<T>,
    ) -> Option<(T, Loan)> {
        let mut state = lock(&self.state);
        let of_presence = |wanted| {
            state.free.iter().enumerate().find_map(|(place, number)| {
                let path = self.member(*number);
                let is_so = system.slot(&path).is_some_and(|slot| slot.core().presence() == wanted);
                // A child that is none of the pool's agents may have the name of one.
                let reached = if is_so { reach(&path) } else { None };
                reached.map(|reached| (place, reached))
            })
        };
        let wanted = [Presence::Live, Presence::Dozing, Presence::Awaited];
        let (place, reached) = wanted.into_iter().find_map(of_presence)?;
        let number = state.free.remove(place)?;
        if bug_on_purpose!(system, LentTwice) {
            // On purpose: it is held and free.
            state.free.insert(place, number);
        }
        state.held.insert(number);
        drop(state);
        Some((reached, Loan { desk: Arc::clone(self), number, permit: permit.take() }))
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
        self.permits.set_permits(state.permits());
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

impl Drop for Loan {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.desk.state);
            state.held.remove(&self.number);
            if state.members.contains(&self.number) {
                state.free.push_back(self.number);
            } else {
                self.desk.permits.set_permits(state.permits());
            }
        }
        // Only now: who is handed it finds the member free.
        self.permit = None;
        self.desk.back.notify_waiters();
    }
}
