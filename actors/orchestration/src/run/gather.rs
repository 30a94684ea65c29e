//! Which tasks are gathered by which, and whose failure does not matter because of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::goal::model::Take;
use crate::run::outline::{Carried, Outline};

/// What a task gathers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathering {
    /// The ids of the tasks.
    pub of: Vec<String>,
    /// How many of them must succeed.
    pub take: Take,
}

impl Gathering {
    /// How many must succeed, where so many can.
    #[must_use]
    pub fn needed(&self, can: usize) -> usize {
        match self.take {
            Take::All => can,
            Take::First => 1,
            Take::Quorum(count) => count as usize,
        }
    }
}

impl Outline {
    /// What a task gathers, where that is what it does.
    #[must_use]
    pub fn gathering(&self, id: &str) -> Option<&Gathering> {
        match &self.entry(id)?.carried {
            Carried::Gathers(gathering) => Some(gathering),
            _ => None,
        }
    }

    /// Whether the goal can be reached although this task failed: everything that needs it goes on without it.
    #[must_use]
    pub fn is_spare(&self, id: &str) -> bool {
        self.is_spare_in(id, &mut BTreeMap::new())
    }

    fn is_spare_in<'o>(&'o self, id: &'o str, known: &mut BTreeMap<&'o str, bool>) -> bool {
        if let Some(spare) = known.get(id) {
            return *spare;
        }
        let goes_on = |gather: &str| self.gathering(gather).is_some_and(|gathering| gathering.take != Take::All);
        let mut gatherers = self.gatherers(id).peekable();
        let mut dependents = self.dependents(id).peekable();
        let needed = gatherers.peek().is_some() || dependents.peek().is_some();
        let spare = needed
            && gatherers.all(|gather| goes_on(gather) || self.is_spare_in(gather, known))
            && dependents.all(|dependent| self.is_spare_in(dependent, known));
        known.insert(id, spare);
        spare
    }
}
