//! The journal of a store.

mod draft;
mod heads;
mod read;
pub(crate) mod sql;
mod tail;
#[cfg(test)]
mod troubles;
pub(crate) mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use steadfast::id::StreamId;
use steadfast::seam::{
    AtMost, BoxFuture, Journal, JournalError, Level, Part, Seq, Snapshot, StreamInfo, Write, Written,
};
use tokio::sync::Mutex;

use crate::error::unavailable;
use crate::readers::Readers;
use writer::Writer;

use read::find;
pub(crate) use read::{Found, Look, streams};

/// A journal in an SQLite file.
pub(crate) struct SqliteJournal {
    pub(crate) dir: PathBuf,
    pub(crate) level: Level,
    /// None where the store was opened for reading alone.
    pub(crate) writer: Option<Arc<Mutex<Writer>>>,
    pub(crate) readers: Arc<Readers>,
}

impl SqliteJournal {
    fn read_only(&self) -> JournalError {
        JournalError::Unavailable(format!("the store `{}` was opened for reading alone", self.dir.display()))
    }
}

impl Journal for SqliteJournal {
    fn level(&self) -> Level {
        self.level
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            match &self.writer {
                Some(writer) => writer.lock().await.write(&batch).await,
                None => vec![Err(self.read_only()); batch.len()],
            }
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let found = self.readers.read(async |conn| find(conn, &stream, after).await).await;
            found.map_err(|error| read::failed(&error, &stream, after))?.records(&stream, after)
        })
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let from = (after, most.bytes);
            let found = self.readers.read(async |conn| read::find_some(conn, &stream, from).await).await;
            let found = found.map_err(|error| read::failed(&error, &stream, after))?;
            // Behind a block there is another one, or the tail.
            let of_blocks = found.block.is_some();
            let part = Part::cut(found.records(&stream, after)?, most);
            Ok(Part { more: part.more || of_blocks, ..part })
        })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let found = self.readers.read(async |conn| read::snapshot(conn, &stream).await).await;
            found.map_err(|error| read::failed(&error, &stream, 0))
        })
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        let prefix = prefix.to_owned();
        Box::pin(async move {
            let found = self.readers.read(async |conn| streams(conn, &prefix).await).await;
            let found = found.map_err(|error| unavailable(&error))?;
            Ok(found.into_iter().filter(|(_, head)| head.holds_something()).map(|(id, head)| head.info(&id)).collect())
        })
    }
}
