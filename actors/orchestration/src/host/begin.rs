//! How a run comes to be: its first records are appended, and whoever carries it goes on from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::RunId;
use steadfast::seam::{AppendAt, Journal, JournalError};
use uuid::Uuid;

use crate::goal::model::Goal;
use crate::host::fork::{ForkError, fork};
use crate::host::summary::{HostError, records};
use crate::run::{Millis, Record, RecordError, decode, encode};

/// How often an append is done again while it is not known whether it was kept.
const TRIES: usize = 5;

/// A run that is to be carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its id.
    pub run: RunId,
    /// What is wanted, as JSON.
    pub goal: String,
    /// The parameters, as a JSON object.
    pub params: String,
    /// The input folder, as [`Outfit`](crate::host::Outfit) finds it again; empty where the run has none.
    pub input: String,
}

impl Start {
    /// A run of this goal.
    ///
    /// # Errors
    ///
    /// Never for a goal that was read from a file.
    pub fn of(
        run: RunId,
        goal: &Goal,
        params: &BTreeMap<String, Value>,
        input: &str,
    ) -> Result<Self, serde_json::Error> {
        let (goal, params) = (serde_json::to_string(goal)?, serde_json::to_string(params)?);
        Ok(Self { run, goal, params, input: input.to_owned() })
    }

    fn record(&self, wall: Millis) -> Record {
        let Self { run, goal, params, input } = self.clone();
        Record::RunStarted { run, goal, params, input, parent: None, wall }
    }
}

/// A run was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// Its goal or parameters make no sense.
    #[error("the run {run} cannot be begun: {why}")]
    Unfit {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// There is another run of this id.
    #[error("there is another run {run}; expected an id of its own")]
    Taken {
        /// The run.
        run: RunId,
    },
    /// The run that it comes from cannot be read.
    #[error(transparent)]
    From(#[from] HostError),
    /// The run that it comes from cannot be forked there.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// It cannot be written.
    #[error("the run {run} cannot be recorded")]
    Record {
        /// The run.
        run: RunId,
        /// What is wrong with a record.
        source: RecordError,
    },
    /// The journal refused.
    #[error("the run {run} cannot be recorded")]
    Journal {
        /// The run.
        run: RunId,
        /// What it said.
        source: JournalError,
    },
}

/// Records that a run begins, with the request that asked for it, if any. What is begun already is well begun.
///
/// The goal and its parameters are recorded as they are, since the run goes on from them: whoever hands them in has seen
/// to it that they hold no secrets.
///
/// # Errors
///
/// [`BeginError`] says why nothing was recorded.
///
/// # Cancel safety
///
/// All or nothing is recorded; to do it again is safe.
pub async fn begin(
    journal: &dyn Journal,
    start: &Start,
    (asked, by): (Option<Uuid>, &str),
    now: Millis,
) -> Result<(), BeginError> {
    let run = start.run;
    let first = start.record(now);
    super::Head::of(&first).map_err(|why| BeginError::Unfit { run, why })?;
    let same = |there: &Record| match (there, &first) {
        (
            Record::RunStarted { run, goal, params, input, .. },
            Record::RunStarted { run: r, goal: g, params: p, input: i, .. },
        ) => (run, goal, params, input) == (r, g, p, i),
        _ => false,
    };
    if is_begun(journal, run, |records| records.first().is_some_and(same)).await? {
        return Ok(());
    }
    let taken = asked.map(|id| Record::RequestTaken { id, wall: now });
    append_first(journal, run, std::iter::once(first.clone()).chain(taken).collect(), by).await
}

/// Records that a run begins with the results of another one; see [`fork`]. What is begun already is well begun.
///
/// # Errors
///
/// [`BeginError`] says why nothing was recorded.
///
/// # Cancel safety
///
/// All or nothing is recorded; to do it again is safe.
pub async fn fork_run(
    journal: &dyn Journal,
    (from, task, run): (RunId, &str, RunId),
    (asked, by): (Option<Uuid>, &str),
    now: Millis,
) -> Result<(), BeginError> {
    let of_it = |record: &Record| matches!(record, Record::Forked { from: f, .. } if *f == from);
    if is_begun(journal, run, |records| records.get(1).is_some_and(of_it)).await? {
        return Ok(());
    }
    let mut forked = fork(&records(journal, from).await?, task, run, now)?;
    forked.extend(asked.map(|id| Record::RequestTaken { id, wall: now }));
    append_first(journal, run, forked, by).await
}

/// Whether the stream has records, which are those that are meant.
async fn is_begun(journal: &dyn Journal, run: RunId, meant: impl Fn(&[Record]) -> bool) -> Result<bool, BeginError> {
    let frames = journal.read(&run.into(), 0).await.map_err(|source| match source {
        // There was one, whose numbers are not given again.
        JournalError::Pruned { .. } => BeginError::Taken { run },
        source => BeginError::Journal { run, source },
    })?;
    let Some(head) = frames.get(..frames.len().min(2)).filter(|head| !head.is_empty()) else { return Ok(false) };
    let head = head.iter().map(|frame| decode(frame)).collect::<Result<Vec<_>, _>>();
    let head = head.map_err(|source| BeginError::Record { run, source })?;
    if meant(&head) { Ok(true) } else { Err(BeginError::Taken { run }) }
}

async fn append_first(journal: &dyn Journal, run: RunId, records: Vec<Record>, by: &str) -> Result<(), BeginError> {
    let stream = run.into();
    let frames = records.iter().map(encode).collect::<Result<Vec<_>, _>>();
    let frames = frames.map_err(|source| BeginError::Record { run, source })?;
    let epoch = journal.fence(&stream, by).await.map_err(|source| BeginError::Journal { run, source })?;
    append(journal, &stream, AppendAt { epoch, expected: 0 }, frames)
        .await
        .map_err(|source| BeginError::Journal { run, source })
}

/// Appends, and does it again while it is not known whether it was kept.
pub(crate) async fn append(
    journal: &dyn Journal,
    stream: &steadfast::StreamId,
    at: AppendAt,
    frames: Vec<Vec<u8>>,
) -> Result<(), JournalError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match journal.append(stream, at, frames.clone()).await {
            Ok(_) => return Ok(()),
            Err(JournalError::InDoubt(_)) if tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}
