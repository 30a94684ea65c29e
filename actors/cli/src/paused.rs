//! Runs that stand still until somebody resumes them, or of which something inside does. Whoever resumes a run resumes what
//! stands still inside it.

use std::collections::BTreeSet;

use steadfast::RunId;
use steadfast::seam::{Journal, JournalError};
use steadfast_orchestration::host::{self, Answer, ApplyError, Ask, Asked, Outfit, RunSummary};
use steadfast_orchestration::run::{Phase, Record, Standing, is_inside};

use crate::asks::{id, who};
use crate::kept::now;

/// All that are no steps of others, by id.
pub(crate) async fn all(journal: &dyn Journal) -> Result<Vec<RunId>, JournalError> {
    let mut all = Vec::new();
    for found in host::found(journal).await? {
        if found.ended.is_none() && !is_inside(found.run) && stands_still(journal, found.run).await {
            all.push(found.run);
        }
    }
    Ok(all)
}

/// Whether a run, or one inside it, stands still, or does once what is in flight has ended. One that is damaged does not: it
/// is left to whoever takes it up.
pub(crate) async fn stands_still(journal: &dyn Journal, run: RunId) -> bool {
    let mut open = vec![run];
    while let Some(run) = open.pop() {
        let Ok(records) = host::records(journal, run).await else { continue };
        let summary = RunSummary::of(&records, "", now());
        if summary.is_ok_and(|run| run.phase == Phase::Paused || matches!(run.standing, Standing::Paused(_))) {
            return true;
        }
        open.extend(inside(&records));
    }
    false
}

/// The runs inside one that have not ended.
fn inside(records: &[Record]) -> BTreeSet<RunId> {
    let mut inside = BTreeSet::new();
    for record in records {
        match record {
            Record::ChildStarted { run, .. } => inside.insert(*run),
            Record::ChildEnded { run, .. } => inside.remove(run),
            _ => false,
        };
    }
    inside
}

/// Has a run that nobody carries go on when it is carried again, with what stands still inside it.
///
/// # Errors
///
/// [`ApplyError`] where that cannot be recorded.
pub(crate) async fn lift(place: (&dyn Journal, &dyn Outfit), run: RunId, by: &str) -> Result<Answer, ApplyError> {
    let asked = Asked { id: id(), who: who(), wall: now(), what: Ask::Resume { run } };
    host::apply(place, &asked, by, now()).await
}
