//! Runs that stand still until somebody resumes them.

use steadfast::RunId;
use steadfast::seam::{Journal, JournalError};
use steadfast_orchestration::host::{self, Answer, ApplyError, Ask, Asked, RunSummary};
use steadfast_orchestration::run::{Phase, Standing};
use steadfast_orchestration::seam::artifacts::Artifacts;

use crate::asks::{id, who};
use crate::family::Family;
use crate::kept::now;

/// All that are paused, by id. One that is damaged is left to whoever takes it up.
pub(crate) async fn all(journal: &dyn Journal) -> Result<Vec<RunSummary>, JournalError> {
    let unfinished = host::unfinished(journal, now()).await?;
    Ok(unfinished.into_iter().flatten().filter(is_paused).collect())
}

/// Those that keep a run from going on: itself, the runs around it, and the runs inside the outermost of these.
pub(crate) async fn with(journal: &dyn Journal, run: RunId) -> Result<Vec<RunSummary>, JournalError> {
    let unfinished: Vec<_> = host::found(journal).await?.into_iter().filter(|found| found.ended.is_none()).collect();
    let family = Family::of(journal, unfinished.iter().map(|found| found.run)).await;
    let root = family.root(run);
    let mut paused = Vec::new();
    for run in std::iter::once(root).chain(family.inside(root)) {
        let summary = host::summary(journal, run, now()).await;
        paused.extend(summary.ok().filter(is_paused));
    }
    Ok(paused)
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
