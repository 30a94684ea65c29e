//! The runs of a journal, each in short.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use steadfast::seam::{AtMost, Journal, JournalError, StreamInfo};
use steadfast::{RunId, StreamId};

use crate::goal::model::Goal;
use crate::plan::Plan;
use crate::run::explain::Row;
use crate::run::{
    Kept, Millis, Outline, Parent, Phase, Record, RecordError, RunState, Standing, Status, canonical, decode,
};

/// What a run began with: everything that a process needs to go on with it, but the records themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The run.
    pub run: RunId,
    /// What is wanted.
    pub goal: Goal,
    /// The parameters that were given.
    pub params: std::collections::BTreeMap<String, Value>,
    /// The input folder; empty where the run has none that others could name.
    pub input: String,
    /// Whose step the run is.
    pub parent: Option<Parent>,
    /// When it began.
    pub started: Millis,
}

/// One run in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// The name of its goal.
    pub goal: String,
    /// The parameters that were given.
    pub params: Value,
    /// The input folder; empty where the run has none that others could name.
    pub input: String,
    /// The run that this one is a step of.
    pub parent: Option<RunId>,
    /// Where it stands.
    pub phase: Phase,
    /// Whether it goes on by itself; what it waits for, where it does not.
    pub standing: Standing,
    /// How many of its tasks have their outcome, and how many there are.
    pub tasks: (usize, usize),
    /// When it began.
    pub started: Millis,
    /// When something happened last.
    pub last: Millis,
    /// How many records it has.
    pub records: u64,
    /// Who wrote them last.
    pub owner: String,
}

/// A stream of a run, and what its last record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The run.
    pub run: RunId,
    /// What the journal knows of its stream.
    pub info: StreamInfo,
    /// How it ended, if its last record says so.
    pub ended: Option<(Status, Millis)>,
}

/// The records of a run cannot be made sense of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The journal does not have it.
    #[error("there is no run {run}; `steadfast runs` lists those that there are")]
    Unknown {
        /// The run.
        run: RunId,
    },
    /// The journal had it, and its records were pruned.
    #[error("the run {run} was forgotten: its records were pruned")]
    Forgotten {
        /// The run.
        run: RunId,
    },
    /// The journal refused.
    #[error("the records of the run {run} cannot be read")]
    Journal {
        /// The run.
        run: RunId,
        /// What it said.
        source: JournalError,
    },
    /// A record is damaged.
    #[error("record {seq} of the run {run} is damaged; `steadfast verify` lists everything that is")]
    Record {
        /// The run.
        run: RunId,
        /// Which.
        seq: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The records are those of no run.
    #[error("the records of the run {run} make no sense: {why}")]
    Unfit {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
}

impl HostError {
    fn of_journal(run: RunId, source: JournalError) -> Self {
        match source {
            JournalError::Pruned { .. } => Self::Forgotten { run },
            source => Self::Journal { run, source },
        }
    }

    /// Whether the journal keeps no record of the run.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Forgotten { .. })
    }
}

impl Head {
    /// What the first record says.
    ///
    /// # Errors
    ///
    /// Says why the record is no beginning of a run.
    pub fn of(first: &Record) -> Result<Self, String> {
        let Record::RunStarted { run, goal, params, input, parent, wall } = first else {
            return Err("the first record does not begin a run".to_owned());
        };
        let goal = serde_json::from_str(goal).map_err(|error| format!("its goal cannot be read: {error}"))?;
        let params = serde_json::from_str(params).map_err(|error| format!("its parameters cannot be read: {error}"))?;
        Ok(Self { run: *run, goal, params, input: input.clone(), parent: parent.clone(), started: *wall })
    }
}

impl RunSummary {
    /// What these records of a run come to.
    ///
    /// # Errors
    ///
    /// Says why they are not those of one run.
    pub fn of(records: &[Record], owner: &str, now: Millis) -> Result<Self, String> {
        let (head, state) = stand(records)?;
        let params = Value::from_iter(head.params);
        let goal = head.goal.name;
        let all = state.tasks().count();
        Ok(Self {
            run: head.run,
            goal,
            params,
            input: head.input,
            parent: head.parent.map(|parent| parent.run),
            phase: state.phase(),
            standing: Standing::of(&state, now),
            tasks: (all - state.open(), all),
            started: head.started,
            last: records.iter().rev().find_map(Record::wall).unwrap_or(head.started),
            records: records.len() as u64,
            owner: owner.to_owned(),
        })
    }

    /// Whether it may go on.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.standing, Standing::Ended(_))
    }

    /// The parameters in their one form, by which they are compared.
    #[must_use]
    pub fn canonical_params(&self) -> String {
        canonical(&self.params)
    }
}

impl From<&RunSummary> for Row {
    fn from(summary: &RunSummary) -> Self {
        let (done, tasks) = summary.tasks;
        Self {
            run: summary.run,
            goal: summary.goal.clone(),
            params: summary.params.clone(),
            input: summary.input.clone(),
            parent: summary.parent,
            phase: summary.phase,
            standing: summary.standing.clone(),
            done,
            tasks,
            started: summary.started,
            last: summary.last,
        }
    }
}

/// What the records of a run begin with, and what they add up to. The number of executors is that of whoever carries the
/// run, and makes no difference here.
pub(crate) fn stand(records: &[Record]) -> Result<(Head, RunState), String> {
    let head = Head::of(records.first().ok_or("it has no records")?)?;
    let planned = records.iter().any(|record| matches!(record, Record::Planned { .. }));
    let outline = if planned {
        let plan = Plan::rebuild(head.goal.clone(), head.params.clone()).map_err(|errors| errors.to_string())?;
        Outline::of(&plan, 1)
    } else {
        Outline::unplanned(&head.goal, 1)
    };
    let outline = Arc::new(outline.kept(Kept::Journaled));
    let state = RunState::fold(outline, records).map_err(|error| error.to_string())?;
    Ok((head, state))
}

/// Says of every run whether its last record is its end. Reads one record of each.
///
/// # Errors
///
/// Where the journal cannot be read. A run whose last record is damaged counts as unfinished: whoever takes it up sees.
pub async fn found(journal: &dyn Journal) -> Result<Vec<Found>, JournalError> {
    let mut all = Vec::new();
    for info in journal.list(StreamId::RUNS).await? {
        if let Some(run) = info.stream.run() {
            let ended = end_of(journal, &info).await?;
            all.push(Found { run, info, ended });
        }
    }
    Ok(all)
}

/// How the run of a stream ended, if it did. Reads one record.
///
/// # Errors
///
/// Where the journal does not answer. A run whose last record is damaged counts as unfinished.
pub async fn end_of(journal: &dyn Journal, info: &StreamInfo) -> Result<Option<(Status, Millis)>, JournalError> {
    let last = match journal.read(&info.stream, info.last.saturating_sub(1)).await {
        Ok(frames) => frames.last().and_then(|frame| decode(frame).ok()),
        // It is damaged, and that is for whoever takes the run up.
        Err(JournalError::Corrupt { .. } | JournalError::Pruned { .. }) => None,
        Err(error) => return Err(error),
    };
    match last {
        Some(Record::Ended { status, wall, .. }) => Ok(Some((status, wall))),
        // Somebody asked for something after its end.
        Some(Record::RequestRefused { .. }) => Ok(ended_before(journal, info).await),
        _ => Ok(None),
    }
}

async fn ended_before(journal: &dyn Journal, info: &StreamInfo) -> Option<(Status, Millis)> {
    let frames = journal.read(&info.stream, info.first.saturating_sub(1)).await.ok()?;
    frames.iter().rev().find_map(|frame| match decode(frame) {
        Ok(Record::Ended { status, wall, .. }) => Some((status, wall)),
        _ => None,
    })
}

/// All records of a run, as the journal has them: a large result is only named.
///
/// # Errors
///
/// [`HostError`] where there is no such run, it was forgotten, or one of its records is damaged.
pub async fn records(journal: &dyn Journal, run: RunId) -> Result<Vec<Record>, HostError> {
    let frames = journal.read(&run.into(), 0).await.map_err(|source| HostError::of_journal(run, source))?;
    if frames.is_empty() {
        return Err(HostError::Unknown { run });
    }
    let decoded =
        (1..).zip(&frames).map(|(seq, frame)| decode(frame).map_err(|source| HostError::Record { run, seq, source }));
    decoded.collect()
}

/// What a run began with.
///
/// # Errors
///
/// [`HostError`] where there is no such run, it was forgotten, or its first record is damaged.
pub async fn head(journal: &dyn Journal, run: RunId) -> Result<Head, HostError> {
    let one = AtMost { records: 1, bytes: 0 };
    let part = journal.read_some(&run.into(), 0, one).await.map_err(|source| HostError::of_journal(run, source))?;
    let first = part.records.first().ok_or(HostError::Unknown { run })?;
    let first = decode(first).map_err(|source| HostError::Record { run, seq: 1, source })?;
    Head::of(&first).map_err(|why| HostError::Unfit { run, why })
}

/// One run in short.
///
/// # Errors
///
/// [`HostError`] where there is no such run, or its records make no sense.
pub async fn summary(journal: &dyn Journal, run: RunId, now: Millis) -> Result<RunSummary, HostError> {
    let stream = StreamId::from(run);
    let infos = journal.list(stream.as_str()).await.map_err(|source| HostError::Journal { run, source })?;
    let owner = infos.into_iter().find(|info| info.stream == stream).map(|info| info.owner).unwrap_or_default();
    let records = records(journal, run).await?;
    RunSummary::of(&records, &owner, now).map_err(|why| HostError::Unfit { run, why })
}

/// All runs in short, by id: the later ones after the earlier ones. One that is damaged is an error of its own.
///
/// # Errors
///
/// Where the journal cannot be listed.
pub async fn summaries(journal: &dyn Journal, now: Millis) -> Result<Vec<Result<RunSummary, HostError>>, JournalError> {
    let mut all = Vec::new();
    for info in journal.list(StreamId::RUNS).await? {
        if let Some(run) = info.stream.run() {
            all.push(in_short(journal, run, &info.owner, now).await);
        }
    }
    Ok(all)
}

/// The runs that have not ended, in short, by id. Of those that have, one record is read.
///
/// # Errors
///
/// Where the journal cannot be listed.
pub async fn unfinished(
    journal: &dyn Journal,
    now: Millis,
) -> Result<Vec<Result<RunSummary, HostError>>, JournalError> {
    let mut all = Vec::new();
    for found in found(journal).await?.into_iter().filter(|found| found.ended.is_none()) {
        all.push(in_short(journal, found.run, &found.info.owner, now).await);
    }
    Ok(all)
}

async fn in_short(journal: &dyn Journal, run: RunId, owner: &str, now: Millis) -> Result<RunSummary, HostError> {
    let records = records(journal, run).await?;
    RunSummary::of(&records, owner, now).map_err(|why| HostError::Unfit { run, why })
}
