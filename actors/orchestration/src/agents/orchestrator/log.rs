//! The journal of one run, as its present owner writes it.

use std::sync::Arc;

use steadfast::seam::{AppendAt, Journal};
use steadfast::{BoxError, Context, RunId, StreamId};

use super::Orchestrator;
use crate::agents::ask::wait_for;
use crate::redact::Redactor;
use crate::run::{Record, decode, encode};

/// The stream of one run, which this incarnation alone may append to until the next one fences it.
pub(super) struct Log {
    journal: Arc<dyn Journal>,
    stream: StreamId,
    at: AppendAt,
    redactor: Redactor,
}

impl Log {
    /// Makes `owner` the only one who may append, and returns the records so far.
    pub(super) async fn open(
        run: RunId,
        owner: (&str, Redactor),
        ctx: &Context<Orchestrator>,
    ) -> Result<(Self, Vec<Record>), BoxError> {
        let (name, redactor) = owner;
        let (journal, stream) = (ctx.system().journal(), StreamId::from(run));
        let epoch = wait_for(ctx, journal.fence(&stream, name)).await?;
        let mut log = Self { journal, stream, at: AppendAt { epoch, expected: 0 }, redactor };
        let records = log.read(ctx).await?;
        log.at.expected = records.len() as u64;
        Ok((log, records))
    }

    /// All records.
    pub(super) async fn read(&self, ctx: &Context<Orchestrator>) -> Result<Vec<Record>, BoxError> {
        let frames = wait_for(ctx, self.journal.read(&self.stream, 0)).await?;
        Ok(frames.iter().map(|frame| decode(frame)).collect::<Result<_, _>>()?)
    }

    /// Appends records, all or none, and returns them as they stand in the journal.
    ///
    /// After an error it is not known where the stream ends; the incarnation ends with it and the next one reads anew.
    pub(super) async fn append(
        &mut self,
        records: Vec<Record>,
        ctx: &Context<Orchestrator>,
    ) -> Result<Vec<Record>, BoxError> {
        let records: Vec<_> = records.into_iter().map(|record| self.redacted(record)).collect();
        let frames = records.iter().map(encode).collect::<Result<_, _>>()?;
        self.at.expected = wait_for(ctx, self.journal.append(&self.stream, self.at, frames)).await?;
        Ok(records)
    }

    /// The record without secrets in its texts. Results were redacted before they were digested.
    fn redacted(&self, mut record: Record) -> Record {
        for text in record.texts_mut() {
            *text = self.redactor.text(text).into_owned();
        }
        record
    }
}
