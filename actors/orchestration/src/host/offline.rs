//! What is asked of a run that nobody carries.

use steadfast::seam::{AppendAt, Journal, JournalError};
use steadfast::{RunId, StreamId};
use uuid::Uuid;

use crate::host::answer::{Answer, answered};
use crate::host::begin::{BeginError, append, begin, fork_run};
use crate::host::inside::{around, outermost, still_inside};
use crate::host::summary::{HostError, records, stand};
use crate::host::{Ask, Asked, Outfit};
use crate::redact::Redactor;
use crate::run::{Millis, Record, RecordError, RunState, Step, after, encode, next, taken_up};

/// What was asked could not be done, nor refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] HostError),
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
/// cancelled ends with that, unless something has to be undone, or goes on inside it.
///
/// Nothing that the run works with has to be there. The outfit says what may be told: nothing is written but that.
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
    (journal, outfit): (&dyn Journal, &dyn Outfit),
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
        _ => to_run((journal, outfit), asked, (by, now)).await,
    }
}

/// Records in a run that nobody carries why a request is not done that is not about it alone, unless it is answered there.
pub(crate) async fn refuse(
    (journal, outfit): (&dyn Journal, &dyn Outfit),
    (run, id, why): (RunId, Uuid, &str),
    (by, now): (&str, Millis),
) -> Result<(), ApplyError> {
    // Whoever has it is not outranked for nothing.
    if is_answered(&records(journal, run).await?, id) {
        return Ok(());
    }
    let redactor = redactor((journal, outfit), run).await?;
    let epoch = journal.fence(&run.into(), by).await.map_err(|source| ApplyError::Journal { run, source })?;
    let records = records(journal, run).await?;
    if is_answered(&records, id) {
        return Ok(());
    }
    let refused = Record::RequestRefused { id, why: why.to_owned(), wall: now };
    let at = AppendAt { epoch, expected: records.len() as u64 };
    write(journal, (run, at), vec![refused], &redactor).await
}

fn is_answered(records: &[Record], asked: Uuid) -> bool {
    records.iter().any(|record| match record {
        Record::RequestTaken { id, .. } | Record::RequestRefused { id, .. } => *id == asked,
        _ => false,
    })
}

/// Why nobody will ever carry a run inside another one, whether it has ended or not: one around it is gone or over, or has
/// done with it. Nothing where somebody may.
///
/// # Errors
///
/// [`HostError`] where there is no such run, or the records of it or of one around it make no sense.
pub async fn left_behind(journal: &dyn Journal, run: RunId) -> Result<Option<String>, HostError> {
    let records = records(journal, run).await?;
    let (_, state) = stand(&records).map_err(|why| HostError::Unfit { run, why })?;
    Ok(around(journal, &state).await?.over)
}

async fn redactor((journal, outfit): (&dyn Journal, &dyn Outfit), run: RunId) -> Result<Redactor, HostError> {
    // The outermost goal has those inside it, and names their secrets.
    Ok(outfit.redactor(&outermost(journal, run).await?))
}

async fn to_run(
    (journal, outfit): (&dyn Journal, &dyn Outfit),
    asked: &Asked,
    (by, now): (&str, Millis),
) -> Result<Answer, ApplyError> {
    let run = asked.what.run();
    // Whoever has it is not outranked for nothing.
    if let Some(answer) = answered_before(journal, asked, now).await? {
        return Ok(answer);
    }
    let redactor = redactor((journal, outfit), run).await?;
    let asked = &asked.clone().redacted(&redactor);
    let in_journal = |source| ApplyError::Journal { run, source };
    let epoch = journal.fence(&StreamId::from(run), by).await.map_err(in_journal)?;
    let records = records(journal, run).await?;
    let at = AppendAt { epoch, expected: records.len() as u64 };
    let (_, mut state) = stand(&records).map_err(|why| HostError::Unfit { run, why })?;
    let around = around(journal, &state).await?;
    if let Some(why) = around.over.filter(|_| state.request(asked.id).is_none()) {
        let refused = Record::RequestRefused { id: asked.id, why: why.clone(), wall: now };
        write(journal, (run, at), vec![refused], &redactor).await?;
        return Ok(Answer::Refused { why });
    }
    let mut new = Vec::new();
    if matches!(asked.what, Ask::Cancel { .. }) && state.ended().is_none() {
        // Nobody holds a lease any more.
        let taken = taken_up(&state, by, now);
        add(&mut new, &mut state, taken, run)?;
    }
    let concerns = asked.what.concerns_inside();
    let inside = if concerns { still_inside(journal, &state).await? } else { None };
    let (answers, answer) = answered(&state, asked, inside, now);
    // Whoever carries the run would have heard of that.
    let heard = around.resumed.max(state.resumption().map(|resumption| resumption.wall));
    let answers = answers.into_iter().map(|record| after(heard, record)).collect();
    add(&mut new, &mut state, answers, run)?;
    if matches!(asked.what, Ask::Cancel { .. }) {
        end(&mut new, &mut state, run, now)?;
    }
    write(journal, (run, at), new, &redactor).await?;
    Ok(answer)
}

/// Appends what may be told of these records.
async fn write(
    journal: &dyn Journal,
    (run, at): (RunId, AppendAt),
    records: Vec<Record>,
    redactor: &Redactor,
) -> Result<(), ApplyError> {
    let frames = records.into_iter().map(|record| encode(&record.redacted(redactor))).collect::<Result<Vec<_>, _>>();
    let frames = frames.map_err(|source| ApplyError::Record { run, source })?;
    append(journal, &run.into(), at, frames).await.map_err(|source| ApplyError::Journal { run, source })
}

/// The answer, where nothing has to be written for it: the run is over, or the request came before.
pub(crate) async fn answered_before(
    journal: &dyn Journal,
    asked: &Asked,
    now: Millis,
) -> Result<Option<Answer>, HostError> {
    let records = records(journal, asked.what.run()).await?;
    let Ok((_, state)) = stand(&records) else { return Ok(None) };
    if state.ended().is_none() && state.request(asked.id).is_none() {
        return Ok(None);
    }
    Ok(Some(answered(&state, asked, None, now).1))
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
