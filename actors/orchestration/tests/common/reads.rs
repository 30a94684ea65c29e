//! Journals in which something happens with a read of one stream, or with what is written.

use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::{Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::{MemoryJournal, StreamId};
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

/// A journal that takes its time for a write, and tells then what was written.
pub(crate) struct Writes<T, N> {
    journal: MemoryJournal,
    takes: Duration,
    told: T,
    note: N,
}

impl<T, N> Writes<T, N>
where
    T: Fn(&Write) -> Option<String> + Send + Sync + 'static,
    N: Fn(String) + Send + Sync + 'static,
{
    /// A write takes so long; what is told of it is noted once it is acknowledged.
    pub(crate) fn in_memory(takes: Duration, told: T, note: N) -> Arc<dyn Journal> {
        Arc::new(Self { journal: MemoryJournal::default(), takes, told, note })
    }
}

impl<T, N> Journal for Writes<T, N>
where
    T: Fn(&Write) -> Option<String> + Send + Sync,
    N: Fn(String) + Send + Sync,
{
    fn level(&self) -> Level {
        self.journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            let told: Vec<_> = batch.iter().filter_map(&self.told).collect();
            let answers = self.journal.write(batch).await;
            told.into_iter().for_each(&self.note);
            answers
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.journal.read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.journal.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.journal.list(prefix)
    }
}
