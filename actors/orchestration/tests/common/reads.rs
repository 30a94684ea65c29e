//! A journal in which something happens with each read of one stream.

use std::sync::Arc;

use steadfast::StreamId;
use steadfast::seam::{Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast_orchestration::seam::BoxFuture;

/// What happens with a read, before it is done; an error is its answer.
type Happens = dyn Fn() -> BoxFuture<'static, Result<(), JournalError>> + Send + Sync;

/// A journal in which something happens with each read of one stream.
pub(crate) struct Reads {
    journal: Arc<dyn Journal>,
    of: StreamId,
    happens: Box<Happens>,
}

impl Reads {
    pub(crate) fn of(
        (journal, of): (&Arc<dyn Journal>, impl Into<StreamId>),
        happens: impl Fn() -> BoxFuture<'static, Result<(), JournalError>> + Send + Sync + 'static,
    ) -> Arc<dyn Journal> {
        Arc::new(Self { journal: Arc::clone(journal), of: of.into(), happens: Box::new(happens) })
    }
}

impl Journal for Reads {
    fn level(&self) -> Level {
        self.journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        self.journal.write(batch)
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        if *stream != self.of {
            return self.journal.read(stream, after);
        }
        let (stream, happens) = (stream.clone(), (self.happens)());
        Box::pin(async move {
            happens.await?;
            self.journal.read(&stream, after).await
        })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.journal.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.journal.list(prefix)
    }
}
