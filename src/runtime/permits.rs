//! Permits that are waited for: the pure [`Bulkhead`] with a way to wake whoever is handed one.
//!
//! # Invariants
//!
//! * A permit is given back when it is dropped, whatever becomes of its holder: done, cancelled, crashed, killed.
//! * Who asked first is first in line from the moment of the call, and not of the first poll.
//! * Nothing is sent or dropped under the lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::flow::{Bulkhead, Entry, Handed, LineFull, Occupancy, Place, Ticket};
use crate::runtime::guard::lock;
use crate::seam::Clock;

pub(crate) struct Permits {
    clock: Arc<dyn Clock>,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    bulkhead: Bulkhead,
    line: BTreeMap<Place, oneshot::Sender<Permit>>,
}

/// The right to be inside. Given back when dropped.
pub(crate) struct Permit {
    of: Arc<Permits>,
    ticket: Option<Ticket>,
}

/// What became of who asked to enter.
pub(crate) enum Asked {
    Entered(Permit),
    Waits(Waiter),
}

/// A place in line; left when dropped.
pub(crate) struct Waiter {
    of: Arc<Permits>,
    place: Place,
    handed: oneshot::Receiver<Permit>,
}

impl Permits {
    pub(crate) fn new(clock: Arc<dyn Clock>, bulkhead: Bulkhead) -> Arc<Self> {
        let began = clock.now();
        Arc::new(Self { clock, began, state: Mutex::new(State { bulkhead, line: BTreeMap::new() }) })
    }

    fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.began)
    }

    /// Enters, or stands in line.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Asked, LineFull> {
        let now = self.now();
        let mut state = lock(&self.state);
        Ok(match state.bulkhead.acquire(now)? {
            Entry::Entered(ticket) => Asked::Entered(self.permit(ticket)),
            Entry::Waits { place, .. } => {
                let (sender, handed) = oneshot::channel();
                state.line.insert(place, sender);
                Asked::Waits(Waiter { of: Arc::clone(self), place, handed })
            }
        })
    }

    /// Enters where that can be done at once.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        match self.enter() {
            Ok(Asked::Entered(permit)) => Some(permit),
            // Dropped, it leaves the line again.
            Ok(Asked::Waits(_)) | Err(_) => None,
        }
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        lock(&self.state).bulkhead.occupancy()
    }

    /// Changes how many may be inside. Whoever is inside stays.
    pub(crate) fn set_permits(self: &Arc<Self>, permits: usize) {
        let now = self.now();
        let due: Vec<_> = {
            let mut state = lock(&self.state);
            let handed = state.bulkhead.set_permits(now, permits);
            handed.into_iter().map(|handed| self.address(&mut state, handed)).collect()
        };
        for (sender, permit) in due {
            deliver(sender, permit);
        }
    }

    /// Changes how many may wait. Whoever waits stays.
    pub(crate) fn set_line(&self, bound: usize) {
        lock(&self.state).bulkhead.set_line(bound);
    }

    fn permit(self: &Arc<Self>, ticket: Ticket) -> Permit {
        Permit { of: Arc::clone(self), ticket: Some(ticket) }
    }

    fn address(self: &Arc<Self>, state: &mut State, handed: Handed) -> (Option<oneshot::Sender<Permit>>, Permit) {
        (state.line.remove(&handed.place), self.permit(handed.ticket))
    }

    fn give_back(self: &Arc<Self>, ticket: Ticket) {
        let now = self.now();
        let due = {
            let mut state = lock(&self.state);
            state.bulkhead.release(now, ticket).map(|handed| self.address(&mut state, handed))
        };
        if let Some((sender, permit)) = due {
            deliver(sender, permit);
        }
    }
}

/// One that nobody takes any more drops, and goes to the next in line.
fn deliver(sender: Option<oneshot::Sender<Permit>>, permit: Permit) {
    if let Some(sender) = sender {
        let _ = sender.send(permit);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.of.give_back(ticket);
        }
    }
}

impl Waiter {
    /// Resolves with the permit. Cancel safe: the place is kept until the waiter is dropped.
    pub(crate) async fn handed(&mut self) -> Permit {
        match (&mut self.handed).await {
            Ok(permit) => permit,
            // The sender goes only by sending, and by the drop of this waiter.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let now = self.of.now();
        let sender = {
            let mut state = lock(&self.of.state);
            // `None`: it was handed a permit, which is dropped with the channel where nobody took it.
            state.bulkhead.cancel(now, self.place);
            state.line.remove(&self.place)
        };
        drop(sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::world::TokioClock;

    fn permits(count: usize) -> Arc<Permits> {
        Permits::new(Arc::new(TokioClock), Bulkhead::new(count, usize::MAX))
    }

    fn waits(permits: &Arc<Permits>) -> Waiter {
        match permits.enter() {
            Ok(Asked::Waits(waiter)) => waiter,
            _ => panic!("all permits are out"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_was_handed_to_somebody_who_left_goes_to_the_next() {
        let permits = permits(1);
        let first = permits.try_enter().expect("it is free");
        let (left, mut next) = (waits(&permits), waits(&permits));
        drop(first);
        drop(left);
        drop(next.handed().await);
        assert_eq!(permits.occupancy(), Occupancy { permits: 1, inside: 0, waiting: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn who_asked_first_is_first_although_it_waits_later() {
        let permits = permits(1);
        let held = permits.try_enter().expect("it is free");
        let (mut first, mut second) = (waits(&permits), waits(&permits));
        let second = tokio::spawn(async move { second.handed().await });
        tokio::task::yield_now().await;
        drop(held);
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "the first has it");
        drop(first.handed().await);
        drop(second.await.expect("it has it"));
    }
}
