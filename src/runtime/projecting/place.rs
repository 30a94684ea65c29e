//! How far a projection is, where its lives and those who read it share it.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::watch;

use super::Projecting;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::guard::lock;
use crate::runtime::system::System;
use crate::seam::Seq;
use crate::sourcing::{Lag, Projection, Standing};

/// How far a projection is. It belongs to the slot of its agent.
pub(super) struct Place {
    standing: watch::Sender<Standing>,
    /// Where it is told what was appended; from the first start on.
    told: Mutex<Option<watch::Receiver<Seq>>>,
}

impl Place {
    /// That of an agent; `None` where the agent is forgotten.
    pub(super) fn of<P: Projection>(agent: &AgentRef<Projecting<P>>, system: &System) -> Option<Arc<Self>> {
        let make = || Self { standing: watch::Sender::new(Standing::default()), told: Mutex::new(None) };
        system.patterns().belonging(&agent.slot(), make)
    }

    pub(super) fn follow(&self, told: watch::Receiver<Seq>) {
        *lock(&self.told) = Some(told);
    }

    /// The number of the last record of which it was told; 0 of none.
    pub(super) fn told(&self) -> Seq {
        lock(&self.told).as_ref().map_or(0, |told| *told.borrow())
    }

    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    pub(super) fn lag(&self, now: SystemTime) -> Lag {
        self.standing.borrow().lag(self.told(), now)
    }

    /// A life begins here.
    pub(super) fn begin(&self, applied: Seq) {
        self.standing.send_replace(Standing { applied, ..Standing::default() });
    }

    /// It took in everything up to this number.
    pub(super) fn took(&self, applied: Seq) {
        self.standing.send_modify(|standing| {
            standing.applied = applied;
            if standing.read.is_some_and(|read| read <= applied) {
                standing.oldest = None;
            }
        });
    }

    /// Something is there that it has not, since then where nothing older is known.
    pub(super) fn waits_since(&self, at: SystemTime) {
        let told = self.told();
        self.standing.send_modify(|standing| {
            if told > standing.applied {
                standing.oldest.get_or_insert(at);
            }
        });
    }

    /// Everything up to this number was read; the oldest that it does not have is from then.
    pub(super) fn read(&self, end: Seq, oldest: Option<SystemTime>) {
        self.standing.send_modify(|standing| {
            standing.read = Some(end);
            standing.oldest = oldest;
        });
    }
}
