//! Runs inside others, as the journal has them.

use steadfast::RunId;
use steadfast::seam::Journal;

use crate::host::summary::{HostError, head, records, stand};
use crate::host::{Head, Inside};
use crate::run::{Millis, Parent, RunState, TaskId, is_inside};

/// What the run began with that is around this one, or around that one, and is inside no other that is kept: one around it
/// may have been pruned. A run that is inside no other is itself the one.
///
/// # Errors
///
/// [`HostError`] where there is no such run, or the first record of one around it is damaged.
pub async fn outermost(journal: &dyn Journal, run: RunId) -> Result<Head, HostError> {
    let mut head = head(journal, run).await?;
    while let Some(parent) = &head.parent {
        match self::head(journal, parent.run).await {
            Ok(around) => head = around,
            Err(error) if error.is_missing() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

/// Why nothing more is asked of a run: one around it is gone or over, or has done with it. Nothing where it may be asked.
pub(super) async fn over_around(journal: &dyn Journal, state: &RunState) -> Result<Option<String>, HostError> {
    let (mut run, mut parent) = (state.run(), state.parent().cloned());
    while let (Some(inside), Some(Parent { run: around, task })) = (run, parent) {
        let records = match records(journal, around).await {
            Err(error) if error.is_missing() => {
                return Ok(Some(format!(
                    "the run around it, {around}, is not kept any more, so that nobody carries it"
                )));
            }
            records => records?,
        };
        let (_, state) = stand(&records).map_err(|why| HostError::Unfit { run: around, why })?;
        if let Some(why) = done_with(&state, (around, &task), inside) {
            return Ok(Some(why));
        }
        (run, parent) = (Some(around), state.parent().cloned());
    }
    Ok(None)
}

/// Why the run around another one has nothing more to do with it.
fn done_with(state: &RunState, (around, task): (RunId, &TaskId), inside: RunId) -> Option<String> {
    if let Some((status, _)) = state.ended() {
        return Some(format!("the run around it, {around}, is over: {}", status.as_str()));
    }
    // Where it began, and that is not recorded there, it is begun again.
    let is_done_with = state.child(task).is_some_and(|child| child.run == inside)
        && !state.open_inside().any(|(_, child)| child.run == inside);
    is_done_with.then(|| format!("the run around it, {around}, has done with it; ask that one"))
}

/// Whether a run, or one inside it, stands still until somebody resumes it, or does once what is in flight has ended. One
/// whose records make no sense does not: it is left to whoever takes it up.
///
/// # Errors
///
/// [`HostError::Journal`] where the journal does not answer.
pub async fn stands_still(journal: &dyn Journal, run: RunId) -> Result<bool, HostError> {
    Ok(still_since(journal, vec![run]).await?.is_some())
}

/// The same of what is inside a run.
pub(crate) async fn stands_inside(journal: &dyn Journal, state: &RunState) -> Result<Inside, HostError> {
    let since = still_since(journal, state.open_inside().map(|(_, child)| child.run).collect()).await?;
    Ok(since.map_or(Inside::GoesOn, Inside::StandsStill))
}

/// Since when the last of these runs, and those inside them, stands still that does.
async fn still_since(journal: &dyn Journal, mut open: Vec<RunId>) -> Result<Option<Millis>, HostError> {
    let mut since = None;
    while let Some(run) = open.pop() {
        let records = match records(journal, run).await {
            Ok(records) => records,
            Err(error @ HostError::Journal { .. }) => return Err(error),
            Err(_) => continue,
        };
        let Ok((_, state)) = stand(&records) else { continue };
        if state.ended().is_none() {
            since = since.max(state.pauses().iter().map(|pause| pause.wall).max());
        }
        open.extend(state.open_inside().map(|(_, child)| child.run));
    }
    Ok(since)
}

/// The run that carries this one in the end: the [outermost] one, which is itself where it is inside no other.
///
/// # Errors
///
/// As [`outermost`]; a run that is inside no other is not looked for.
pub async fn carried_by(journal: &dyn Journal, run: RunId) -> Result<RunId, HostError> {
    if is_inside(run) { Ok(outermost(journal, run).await?.run) } else { Ok(run) }
}
