//! Runs and the runs inside them: a task that is a goal of its own is a run of its own.

use std::collections::BTreeMap;

use steadfast::RunId;
use steadfast::seam::Journal;
use steadfast_orchestration::host::{HostError, head};
use steadfast_orchestration::run::is_inside;

/// Which run each run is a step of.
#[derive(Debug)]
pub(crate) struct Family {
    around: BTreeMap<RunId, RunId>,
}

impl<const N: usize> From<[(RunId, RunId); N]> for Family {
    /// Each run, and the one that it is a step of.
    fn from(pairs: [(RunId, RunId); N]) -> Self {
        Self { around: pairs.into() }
    }
}

impl Family {
    /// Of these runs: the first record is read of each that is a step. One that is damaged is nobody's step.
    pub(crate) async fn of(journal: &dyn Journal, runs: impl IntoIterator<Item = RunId>) -> Self {
        let mut around = BTreeMap::new();
        for run in runs.into_iter().filter(|run| is_inside(*run)) {
            if let Ok(Some(parent)) = around_of(journal, run).await {
                around.insert(run, parent);
            }
        }
        Self { around }
    }

    /// The run that it is a step of.
    pub(crate) fn around(&self, run: RunId) -> Option<RunId> {
        self.around.get(&run).copied()
    }

    /// The runs inside it, however deep, by id.
    pub(crate) fn inside(&self, run: RunId) -> Vec<RunId> {
        self.around.keys().copied().filter(|inside| *inside != run && self.is_below(*inside, run)).collect()
    }

    fn is_below(&self, run: RunId, root: RunId) -> bool {
        self.around(run).is_some_and(|around| around == root || self.is_below(around, root))
    }

    /// By which runs are listed: each stands behind the one that it is a step of, and the latest last.
    pub(crate) fn place(&self, run: RunId) -> Vec<RunId> {
        let mut place = self.around(run).map_or_else(Vec::new, |around| self.place(around));
        place.push(run);
        place
    }
}

/// The run that this one is a step of.
async fn around_of(journal: &dyn Journal, run: RunId) -> Result<Option<RunId>, HostError> {
    if !is_inside(run) {
        return Ok(None);
    }
    Ok(head(journal, run).await?.parent.map(|parent| parent.run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> RunId {
        RunId::new(uuid::Uuid::from_u128(u128::from(number)))
    }

    #[test]
    fn runs_stand_behind_those_that_they_are_steps_of() {
        let family = Family::from([(id(1), id(5)), (id(9), id(1)), (id(2), id(4))]);
        assert_eq!((family.inside(id(5)), family.inside(id(9))), (vec![id(1), id(9)], Vec::new()));
        let mut runs = [9, 5, 4, 2, 1].map(id);
        runs.sort_by_key(|run| family.place(*run));
        assert_eq!(runs, [4, 2, 5, 1, 9].map(id));
    }
}
