//! How many agents the domains have, those included that are being started.
//!
//! # Invariants
//!
//! * Whoever counts sees who is being started either as coming or as a child that is there, and never as both or
//!   neither.
//! * The lock is taken before that of any supervisor's machine, and no code of a user runs under it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::DomainCore;
use crate::event::EventKind;
use crate::flow::SpawnLimit;
use crate::id::Path;
use crate::runtime::guard::lock;
use crate::runtime::system::System;

/// What is being started in the domains of a system.
#[derive(Default)]
pub(crate) struct Coming(Mutex<Table>);

#[derive(Default)]
struct Table {
    comers: BTreeMap<u64, Comer>,
    next: u64,
}

/// Something that is to be started, and how many agents it brings.
pub(crate) struct Comer {
    /// Where it will stand; `None` as long as its supervisor has not given it a name.
    pub(crate) place: Option<Path>,
    /// Whose child it will be.
    pub(crate) supervisor: Path,
    pub(crate) agents: usize,
}

/// Room for agents that are being started. Given back when it is dropped: they are there by then, or did not come.
pub(crate) struct Reserved {
    coming: Arc<Coming>,
    tickets: Vec<u64>,
    is_named: bool,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut table = lock(&self.coming.0);
        for ticket in &self.tickets {
            table.comers.remove(ticket);
        }
    }
}

impl Reserved {
    /// Whether it is known of all where they will stand.
    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }
}

/// Nobody counts as long as this is there.
pub(crate) struct Held<'a>(MutexGuard<'a, Table>);

impl Coming {
    pub(crate) fn hold(&self) -> Held<'_> {
        Held(lock(&self.0))
    }
}

impl Held<'_> {
    /// Says where it stands, from the moment on at which it is there.
    pub(crate) fn name(&mut self, reserved: &mut Reserved, place: &Path) {
        for ticket in &reserved.tickets {
            if let Some(comer) = self.0.comers.get_mut(ticket) {
                comer.place = Some(place.clone());
            }
        }
        reserved.is_named = true;
    }
}

impl System {
    /// Whether these may come into the domains around their supervisor. They count from now on, as long as what is
    /// returned is held. `None` where there is no domain to count them.
    pub(crate) fn reserve(&self, comers: Vec<Comer>) -> Result<Option<Reserved>, SpawnLimit> {
        let Some(first) = comers.first() else { return Ok(None) };
        self.reserve_in(&self.domains_around(&first.supervisor), comers)
    }

    /// As [`reserve`](Self::reserve), in these domains.
    pub(crate) fn reserve_in(
        &self,
        domains: &[Arc<DomainCore>],
        comers: Vec<Comer>,
    ) -> Result<Option<Reserved>, SpawnLimit> {
        if domains.is_empty() {
            return Ok(None);
        }
        let coming = self.coming();
        // Under this lock from the count to the note, so that two who ask at once do not pass together.
        let mut table = lock(&coming.0);
        for domain in domains {
            if let Err(limit) = self.admit(domain, &table, &comers) {
                drop(table);
                self.bus().publish(domain.path(), EventKind::SpawnRefused(limit.clone()));
                return Err(limit);
            }
        }
        let is_named = comers.iter().all(|comer| comer.place.is_some());
        let tickets = comers.into_iter().map(|comer| table.note(comer)).collect();
        drop(table);
        Ok(Some(Reserved { coming: Arc::clone(coming), tickets, is_named }))
    }

    fn admit(&self, domain: &DomainCore, table: &Table, comers: &[Comer]) -> Result<(), SpawnLimit> {
        let limits = lock(&domain.limits).clone();
        if limits.agents.is_none() {
            return Ok(());
        }
        let there = self.agents_below(domain.path());
        let here = table.comers.values().filter(|comer| comer.is_within(domain.path()));
        let present = count(&there, here.clone());
        let more = count(&there, here.chain(comers)).saturating_sub(present);
        limits.admit_all(domain.name.as_str(), counted(present), counted(more))
    }
}

impl Table {
    fn note(&mut self, comer: Comer) -> u64 {
        self.next += 1;
        self.comers.insert(self.next, comer);
        self.next
    }
}

impl Comer {
    fn is_within(&self, domain: &Path) -> bool {
        self.place.as_ref().unwrap_or(&self.supervisor).is_within(domain)
    }
}

/// How many agents there are, with those that are coming. Of what is coming some may be there already, and what stands
/// where another one is to come is in its place.
fn count<'a>(there: &[Path], coming: impl Iterator<Item = &'a Comer>) -> usize {
    let (mut places, mut unnamed) = (BTreeMap::<&Path, usize>::new(), 0);
    for comer in coming {
        match &comer.place {
            Some(place) => {
                let agents = places.entry(place).or_default();
                *agents = comer.agents.max(*agents);
            }
            None => unnamed += comer.agents,
        }
    }
    let elsewhere = there.iter().filter(|agent| !places.keys().any(|place| agent.is_within(place))).count();
    let within = |place: &Path| there.iter().filter(|agent| agent.is_within(place)).count();
    elsewhere + unnamed + places.into_iter().map(|(place, agents)| agents.max(within(place))).sum::<usize>()
}

fn counted(agents: usize) -> u32 {
    u32::try_from(agents).unwrap_or(u32::MAX)
}
