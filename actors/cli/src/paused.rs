//! Runs that stand still until somebody resumes them, or of which something inside does. Whoever resumes a run resumes what
//! stands still inside it.

use steadfast::RunId;
use steadfast::seam::{Journal, JournalError};
use steadfast_orchestration::host::{self, Answer, ApplyError, Ask, Asked, Outfit};
use steadfast_orchestration::run::is_inside;

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

/// Whether a run, or one inside it, stands still. One that cannot be read does not.
pub(crate) async fn stands_still(journal: &dyn Journal, run: RunId) -> bool {
    host::stands_still(journal, run).await.unwrap_or(false)
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
