//! The journal of one run, as its present owner writes it.

use std::sync::Arc;

use steadfast::seam::{AppendAt, Journal};
use steadfast::{BoxError, Context, StreamId};

use super::artifacts::{keep, make_whole};
use super::feed::Heard;
use super::{Orchestrator, RunArgs};
use crate::agents::ask::wait_for;
use crate::redact::Redactor;
use crate::run::{Record, after, decode, encode};
use crate::seam::artifacts::Artifacts;

/// The stream of one run, which this incarnation alone may append to until the next one fences it.
pub(super) struct Log {
    journal: Arc<dyn Journal>,
    stream: StreamId,
    at: AppendAt,
    artifacts: Arc<dyn Artifacts>,
    redactor: Redactor,
    /// What the next append begins with, without secrets.
    put_off: Vec<Record>,
    /// When the run around this one was resumed last.
    heard: Heard,
}

impl Log {
    /// Makes `owner` the only one who may append, and returns the records so far.
    pub(super) async fn open(
        args: &RunArgs,
        owner: &str,
        ctx: &Context<Orchestrator>,
    ) -> Result<(Self, Vec<Record>), BoxError> {
        let (journal, stream) = (ctx.system().journal(), StreamId::from(args.run));
        let epoch = wait_for(ctx, journal.fence(&stream, owner)).await?;
        let (artifacts, redactor) = (Arc::clone(&args.artifacts), args.redactor.clone());
        let mut log = Self {
            journal,
            stream,
            at: AppendAt { epoch, expected: 0 },
            artifacts,
            redactor,
            put_off: Vec::new(),
            heard: args.feed.heard(),
        };
        let records = log.read(ctx).await?;
        // An earlier process heard of what it went on with.
        for record in &records {
            if let Record::Resumed { wall, .. } = record {
                log.heard.hear(*wall);
            }
        }
        log.at.expected = records.len() as u64;
        Ok((log, records))
    }

    /// All records, with the results that are kept beside the journal. One that is not to be had is missing in its
    /// record.
    pub(super) async fn read(&self, ctx: &Context<Orchestrator>) -> Result<Vec<Record>, BoxError> {
        let frames = wait_for(ctx, self.journal.read(&self.stream, 0)).await?;
        let mut records = frames.iter().map(|frame| decode(frame)).collect::<Result<Vec<_>, _>>()?;
        for record in &mut records {
            if let Err(error) = wait_for(ctx, make_whole(record, &*self.artifacts)).await {
                tracing::error!(stream = %self.stream, %error, cause = %error.source, "a run is not whole");
            }
        }
        Ok(records)
    }

    /// Keeps records for the next append, and returns those, without secrets. Whoever dies before has not said them.
    pub(super) fn put_off(&mut self, records: Vec<Record>) -> &[Record] {
        let before = self.put_off.len();
        let heard = self.heard.last();
        self.put_off.extend(records.into_iter().map(|record| after(heard, record.redacted(&self.redactor))));
        &self.put_off[before..]
    }

    /// How many records were put off and are not appended.
    pub(super) fn behind(&self) -> usize {
        self.put_off.len()
    }

    /// Appends what was put off and these records, all or none, and returns them without secrets. A large result is kept
    /// before its record is.
    ///
    /// After an error it is not known where the stream ends; the incarnation ends with it and the next one reads anew.
    pub(super) async fn append(
        &mut self,
        records: Vec<Record>,
        ctx: &Context<Orchestrator>,
    ) -> Result<Vec<Record>, BoxError> {
        self.put_off(records);
        let records = std::mem::take(&mut self.put_off);
        let mut frames = Vec::with_capacity(records.len());
        for record in &records {
            frames.push(encode(wait_for(ctx, keep(record, &*self.artifacts)).await?.as_ref())?);
        }
        self.at.expected = wait_for(ctx, self.journal.append(&self.stream, self.at, frames)).await?;
        Ok(records)
    }
}
