//! Runs that stand still until somebody resumes them.

use std::collections::BTreeSet;

use steadfast::RunId;
use steadfast::seam::{Journal, JournalError};
use steadfast_orchestration::host::{self, Answer, ApplyError, Ask, Asked, RunSummary};
use steadfast_orchestration::run::{Phase, Record, Standing};
use steadfast_orchestration::seam::artifacts::Artifacts;

use crate::asks::{id, who};
use crate::family::is_inside;
use crate::kept::now;

/// All that are paused, each run before those inside it.
pub(crate) async fn all(journal: &dyn Journal) -> Result<Vec<RunSummary>, JournalError> {
    let mut paused = Vec::new();
    for found in host::found(journal).await? {
        if found.ended.is_none() && !is_inside(found.run) {
            paused.extend(of(journal, found.run).await);
        }
    }
    Ok(paused)
}

/// Those that keep a run from going on: itself, and the runs inside it. One that is damaged is left to whoever takes the run
/// up.
pub(crate) async fn of(journal: &dyn Journal, run: RunId) -> Vec<RunSummary> {
    let (mut paused, mut open) = (Vec::new(), vec![run]);
    while let Some(run) = open.pop() {
        let Ok(records) = host::records(journal, run).await else { continue };
        paused.extend(RunSummary::of(&records, "", now()).ok().filter(is_paused));
        open.extend(inside(&records));
    }
    paused
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

/// Whether a run stands still, or does once what is in flight has ended.
fn is_paused(run: &RunSummary) -> bool {
    run.phase == Phase::Paused || matches!(run.standing, Standing::Paused(_))
}

/// Has a run that nobody carries go on when it is carried again.
///
/// # Errors
///
/// [`ApplyError`] where that cannot be recorded.
pub(crate) async fn lift(
    (journal, artifacts): (&dyn Journal, &dyn Artifacts),
    run: RunId,
    by: &str,
) -> Result<Answer, ApplyError> {
    let asked = Asked { id: id(), who: who(), wall: now(), what: Ask::Resume { run } };
    host::apply((journal, artifacts), &asked, by, now()).await
}
