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
    let child = of_parent.child(&parent.task).filter(|child| child.run == run);
    Ok(match (of_parent.ended(), child.and_then(|child| child.ended)) {
        (Some((status, _)), _) => Some(format!("the run around it, {around}, is over: {}", status.as_str())),
        (None, Some(_)) => Some(format!("the run around it, {around}, has done with it; ask that one")),
        (None, None) => None,
    })
}

/// Whether anything inside a run stands still until somebody resumes it. What cannot be read does not.
pub(super) async fn is_held_up_inside(journal: &dyn Journal, state: &RunState) -> Result<bool, HostError> {
    let running = |state: &RunState| -> Vec<RunId> {
        state.children().filter(|(_, child)| child.ended.is_none()).map(|(_, child)| child.run).collect()
    };
    let mut open = running(state);
    while let Some(run) = open.pop() {
        let records = match records(journal, run).await {
            Ok(records) => records,
            Err(error @ HostError::Journal { .. }) => return Err(error),
            Err(_) => continue,
        };
        let Ok((_, state)) = stand(&records) else { continue };
        if state.is_paused() {
            return Ok(true);
        }
        open.extend(running(&state));
    }
    Ok(false)
}

/// The run that carries this one in the end, where that is another one.
pub(crate) async fn carried_by(journal: &dyn Journal, run: RunId) -> Result<RunId, HostError> {
    if is_inside(run) { Ok(outermost(journal, run).await?.run) } else { Ok(run) }
}
