//! Runs inside others, as the journal has them.

use steadfast::RunId;
use steadfast::seam::Journal;

use crate::host::Head;
use crate::host::summary::{HostError, head, records, stand};
use crate::run::{RunState, is_inside};

/// What the run began with that is around this one, or around that one, and is inside no other. A run that is inside no
/// other is itself the one.
pub(crate) async fn outermost(journal: &dyn Journal, run: RunId) -> Result<Head, HostError> {
    let mut head = head(journal, run).await?;
    while let Some(parent) = head.parent {
        head = self::head(journal, parent.run).await?;
    }
    Ok(head)
}

/// Why nothing more is asked of a run: the run around it is over, or has done with it. Nothing where it may be asked.
pub(super) async fn over_around(journal: &dyn Journal, state: &RunState) -> Result<Option<String>, HostError> {
    let (Some(parent), Some(run)) = (state.parent(), state.run()) else { return Ok(None) };
    let around = parent.run;
    let (_, of_parent) =
        stand(&records(journal, around).await?).map_err(|why| HostError::Unfit { run: around, why })?;
    if let Some((status, _)) = of_parent.ended() {
        return Ok(Some(format!("the run around it, {around}, is over: {}", status.as_str())));
    }
    // Where it began, and that is not recorded there, it is begun again.
    let is_done_with = of_parent.child(&parent.task).is_some_and(|child| child.run == run)
        && !of_parent.open_inside().any(|(_, child)| child.run == run);
    Ok(is_done_with.then(|| format!("the run around it, {around}, has done with it; ask that one")))
}

/// Whether a run, or one inside it, stands still until somebody resumes it, or does once what is in flight has ended. One
/// whose records make no sense does not: it is left to whoever takes it up.
///
/// # Errors
///
/// [`HostError::Journal`] where the journal does not answer.
pub async fn stands_still(journal: &dyn Journal, run: RunId) -> Result<bool, HostError> {
    any_stands_still(journal, vec![run]).await
}

/// The same of what is inside a run.
pub(super) async fn is_held_up_inside(journal: &dyn Journal, state: &RunState) -> Result<bool, HostError> {
    any_stands_still(journal, state.open_inside().map(|(_, child)| child.run).collect()).await
}

async fn any_stands_still(journal: &dyn Journal, mut open: Vec<RunId>) -> Result<bool, HostError> {
    while let Some(run) = open.pop() {
        let records = match records(journal, run).await {
            Ok(records) => records,
            Err(error @ HostError::Journal { .. }) => return Err(error),
            Err(_) => continue,
        };
        let Ok((_, state)) = stand(&records) else { continue };
        if state.is_paused() && state.ended().is_none() {
            return Ok(true);
        }
        open.extend(state.open_inside().map(|(_, child)| child.run));
    }
    Ok(false)
}

/// The run that carries this one in the end, where that is another one.
pub(crate) async fn carried_by(journal: &dyn Journal, run: RunId) -> Result<RunId, HostError> {
    if is_inside(run) { Ok(outermost(journal, run).await?.run) } else { Ok(run) }
}
