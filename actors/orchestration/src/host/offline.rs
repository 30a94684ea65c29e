//! What is asked of a run that nobody carries.

use steadfast::seam::{AppendAt, Journal, JournalError};
use steadfast::{RunId, StreamId};

use crate::agents::orchestrator::{NotWhole, make_whole};
use crate::host::answer::{Answer, answered};
use crate::host::begin::{BeginError, append, begin, fork_run};
use crate::host::summary::{HostError, records, stand};
use crate::host::{Ask, Asked};
use crate::run::{Millis, Record, RecordError, RunState, Step, encode, next, taken_up};
use crate::seam::artifacts::Artifacts;

/// What was asked could not be done, nor refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] HostError),
    /// A result of the run is not to be had.
    #[error(transparent)]
    Whole(#[from] NotWhole),
    /// A new run was not begun.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// It cannot be written.
    #[error("what was asked of the run {run} cannot be recorded")]
    Record {
        /// The run.
        run: RunId,
        /// What is wrong with a record.
        source: RecordError,
    },
    /// The journal refused.
    #[error("what was asked of the run {run} cannot be recorded")]
    Journal {
        /// The run.
        run: RunId,
        /// What it said.
        source: JournalError,
    },
}

/// Does what is asked where nobody carries the run: it is recorded, and whoever carries the run on finds it. A run that is
/// cancelled ends with that, unless something has to be undone.
///
/// The caller owns the store: the run of whoever else carried it would be lost to this.
///
/// # Errors
///
/// [`ApplyError`] where it was neither done nor refused.
///
/// # Cancel safety
///
/// All or nothing is recorded; to do it again is safe.
pub async fn apply(
    (journal, artifacts): (&dyn Journal, &dyn Artifacts),
    asked: &Asked,
    by: &str,
    now: Millis,
) -> Result<Answer, ApplyError> {
    let id = Some(asked.id);
    let refused = |error: BeginError| match error {
        BeginError::Journal { .. } | BeginError::From(HostError::Journal { .. }) => Err(ApplyError::Begin(error)),
        other => Ok(Answer::Refused { why: other.to_string() }),
    };
    match &asked.what {
        Ask::Start(start) => begin(journal, start, (id, by), now).await.map(|()| Answer::Taken).or_else(refused),
        Ask::Fork { from, task, run } => {
            let forked = fork_run(journal, (*from, task, *run), (id, by), now).await;
            forked.map(|()| Answer::Taken).or_else(refused)
        }
        what => to_run(journal, (artifacts, what.run()), asked, (by, now)).await,
    }
}

async fn to_run(
    journal: &dyn Journal,
    (artifacts, run): (&dyn Artifacts, RunId),
    asked: &Asked,
    (by, now): (&str, Millis),
) -> Result<Answer, ApplyError> {
    let stream = StreamId::from(run);
    // Whoever has it is not outranked for nothing.
    let before = records(journal, run).await?;
    if let Some(answer) = settled_before(&before, asked, now) {
        return Ok(answer);
    }
    let in_journal = |source| ApplyError::Journal { run, source };
    let epoch = journal.fence(&stream, by).await.map_err(in_journal)?;
    let mut records = records(journal, run).await?;
    let expected = records.len() as u64;
    for record in &mut records {
        make_whole(record, artifacts).await?;
    }
    let (_, mut state) = stand(&records).map_err(|why| HostError::Unfit { run, why })?;
    let mut new = Vec::new();
    if matches!(asked.what, Ask::Cancel { .. }) && state.ended().is_none() {
        // Nobody holds a lease any more.
        let taken = taken_up(&state, by, now);
        add(&mut new, &mut state, taken, run)?;
    }
    let (answers, answer) = answered(&state, asked, now);
    add(&mut new, &mut state, answers, run)?;
    if matches!(asked.what, Ask::Cancel { .. }) {
        end(&mut new, &mut state, run, now)?;
    }
    let frames = new.iter().map(encode).collect::<Result<Vec<_>, _>>();
    let frames = frames.map_err(|source| ApplyError::Record { run, source })?;
    append(journal, &stream, AppendAt { epoch, expected }, frames).await.map_err(in_journal)?;
    Ok(answer)
}

/// The answer, where nothing has to be written for it.
fn settled_before(records: &[Record], asked: &Asked, now: Millis) -> Option<Answer> {
    let (_, state) = stand(records).ok()?;
    if state.ended().is_none() && state.request(asked.id).is_none() {
        return None;
    }
    Some(answered(&state, asked, now).1)
}

/// Everything that follows without anybody's work.
fn end(new: &mut Vec<Record>, state: &mut RunState, run: RunId, now: Millis) -> Result<(), ApplyError> {
    loop {
        let steps = next(state, now).into_iter();
        let records: Vec<_> = steps
            .filter_map(|step| match step {
                Step::Append(record) => Some(record),
                _ => None,
            })
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        add(new, state, records, run)?;
    }
}

fn add(new: &mut Vec<Record>, state: &mut RunState, records: Vec<Record>, run: RunId) -> Result<(), ApplyError> {
    for record in records {
        state.apply(&record).map_err(|error| HostError::Unfit { run, why: error.to_string() })?;
        new.push(record);
    }
    Ok(())
}
