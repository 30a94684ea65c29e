//! Runs inside others, as the journal has them.

use steadfast::RunId;
use steadfast::seam::Journal;

use crate::host::Head;
use crate::host::summary::{HostError, head, records, stand};
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

/// What the runs around another one mean for it.
#[derive(Default)]
pub(super) struct Around {
    /// Why nothing more is asked of it: one of them is gone or over, or has done with it.
    pub(super) over: Option<String>,
    /// When one of them was resumed last.
    pub(super) resumed: Option<Millis>,
}

/// What the runs around this one mean for it.
pub(super) async fn around(journal: &dyn Journal, state: &RunState) -> Result<Around, HostError> {
    let (mut run, mut parent, mut resumed) = (state.run(), state.parent().cloned(), None);
    while let (Some(inside), Some(Parent { run: around, task })) = (run, parent) {
        let records = match records(journal, around).await {
            Err(error) if error.is_missing() => {
                let over = format!("the run around it, {around}, is not kept any more, so that nobody carries it");
                return Ok(Around { over: Some(over), resumed });
            }
            records => records?,
        };
        let (_, state) = stand(&records).map_err(|why| HostError::Unfit { run: around, why })?;
        resumed = resumed.max(state.resumption().map(|resumption| resumption.wall));
        let over = done_with(&state, (around, &task), inside);
        if over.is_some() {
            return Ok(Around { over, resumed });
        }
        (run, parent) = (Some(around), state.parent().cloned());
    }
    Ok(Around { over: None, resumed })
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

/// Since when the last inside a run stands still that does, as the records say.
pub(crate) async fn still_inside(journal: &dyn Journal, state: &RunState) -> Result<Option<Millis>, HostError> {
    still_since(journal, state.open_inside().map(|(_, child)| child.run).collect()).await
}

/// Since when the last of these runs, and those inside them, stands still that does.
async fn still_since(journal: &dyn Journal, mut open: Vec<RunId>) -> Result<Option<Millis>, HostError> {
    let mut since = None;
    while let Some(run) = open.pop() {
        let records = match records(journal, run).await {
            Ok(records) => records,
            Err(HostError::Journal { run, source }) if source.passes() => {
                return Err(HostError::Journal { run, source });
            }
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
