//! Records that outlive whoever wrote them.

mod head;
mod level;
mod part;
mod streams;

use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::id::StreamId;

pub use head::{Head, Place};
pub use level::{InvalidLevel, Level};
pub use part::{AtMost, Part};
#[cfg(any(test, feature = "testing"))]
pub(crate) use streams::Change;
pub(crate) use streams::Streams;

/// The number of a record in its stream, from 1 on; 0 stands before the first.
pub type Seq = u64;

/// The right to write to a stream, given by a fence. A later epoch outranks an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Keeps records, in order, in streams: one for each run, and for each event-sourced agent.
///
/// Whoever wants to append fences the stream first. From then on what an earlier owner appends is refused, so that an
/// old incarnation can change nothing once the new one has read.
///
/// | promise | |
/// |---|---|
/// | numbers | from 1 on, without a gap, for each stream by itself |
/// | a write | happens as a whole or not at all; of two appends at one place one is kept |
/// | without the right | with an epoch that is not the stream's last, and where nobody fenced yet, nothing is written |
/// | an append once more | at the same place, with the same records, by the same epoch: is `Ok` and keeps nothing twice |
/// | what was read | stays: a later read begins with the same records, until somebody prunes them |
/// | epochs | grow, also over a restart of whatever keeps them, and when the stream was pruned |
///
/// `testing::conformance::journal` holds an implementation to it. An implementation provides [`write`](Self::write),
/// which takes several writes at once so that one sync can serve them all; the single ones are made of it. The rules
/// themselves are values of the core: [`Head`].
///
/// # Cancel safety
///
/// A write whose future was dropped has happened as a whole or not at all; which, a later read tells.
pub trait Journal: Send + Sync {
    /// What outlives what, once a write is `Ok`.
    fn level(&self) -> Level;

    /// Carries out writes, in their order, and answers each. One that is refused keeps none of the others from being
    /// carried out; each sees what those before it did. Returns once all that are `Ok` are as durable as the level says.
    ///
    /// # Errors
    ///
    /// | error of a write | what was written |
    /// |---|---|
    /// | [`Fenced`](JournalError::Fenced), [`Moved`](JournalError::Moved), [`Unavailable`](JournalError::Unavailable) | nothing; where the first two would do, it is the first |
    /// | [`InDoubt`](JournalError::InDoubt) | all or nothing: do the same again, or fence the stream and read it to know |
    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>>;

    /// Returns the records after `after`, in order; none where the stream ends before that, or was never written.
    ///
    /// # Errors
    ///
    /// [`Pruned`](JournalError::Pruned) where the first of them is not kept any more: begin with the snapshot.
    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>>;

    /// Returns the first records after `after`, and no more than that: a stream may be longer than there is memory. Whoever
    /// wants on reads on after the last of them, as long as there may be [more](Part::more).
    ///
    /// When not given it reads all, and returns the first.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), of these records.
    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        let reading = self.read(stream, after);
        Box::pin(async move { Ok(Part::cut(reading.await?, most)) })
    }

    /// Returns the snapshot that was saved last.
    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>>;

    /// Returns the streams whose names begin like this and which hold a record or a snapshot, sorted by name.
    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>>;

    /// Makes `owner` the only one who may write to the stream. Comes before any read for recovery.
    fn fence(&self, stream: &StreamId, owner: &str) -> BoxFuture<'_, Result<Epoch, JournalError>> {
        let write = Write::Fence { stream: stream.clone(), owner: owner.to_owned() };
        Box::pin(async move {
            match self.write_one(write).await? {
                Written::Epoch(epoch) => Ok(epoch),
                other => Err(other.unexpected()),
            }
        })
    }

    /// Appends records after the expected place, all or none, and returns the number of the last one. Without records it
    /// returns where the stream ends.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write) says. After [`InDoubt`](JournalError::InDoubt) the same append may be done again.
    fn append(
        &self,
        stream: &StreamId,
        at: AppendAt,
        records: Vec<Vec<u8>>,
    ) -> BoxFuture<'_, Result<Seq, JournalError>> {
        let write = Write::Append { stream: stream.clone(), at, records };
        Box::pin(async move {
            match self.write_one(write).await? {
                Written::Seq(last) => Ok(last),
                other => Err(other.unexpected()),
            }
        })
    }

    /// Saves what the records up to the snapshot's number add up to, in place of an earlier one.
    fn save_snapshot(
        &self,
        stream: &StreamId,
        epoch: Epoch,
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), JournalError>> {
        let write = Write::Snapshot { stream: stream.clone(), epoch, snapshot };
        Box::pin(async move { self.write_one(write).await.map(|_| ()) })
    }

    /// Forgets records.
    fn prune(&self, stream: &StreamId, epoch: Epoch, upto: Upto) -> BoxFuture<'_, Result<(), JournalError>> {
        let write = Write::Prune { stream: stream.clone(), epoch, upto };
        Box::pin(async move { self.write_one(write).await.map(|_| ()) })
    }

    /// Carries out one write.
    fn write_one(&self, write: Write) -> BoxFuture<'_, Result<Written, JournalError>> {
        Box::pin(async move {
            let answers = self.write(vec![write]).await;
            let none = || JournalError::InDoubt("the journal gave no answer".to_owned());
            answers.into_iter().next().unwrap_or_else(|| Err(none()))
        })
    }
}

/// One write to a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Makes somebody the only one who may write to a stream; the answer is [`Written::Epoch`].
    Fence {
        /// The stream.
        stream: StreamId,
        /// The new owner, as others are told of it.
        owner: String,
    },
    /// Appends records; the answer is [`Written::Seq`].
    Append {
        /// The stream.
        stream: StreamId,
        /// Where they belong, and by what right.
        at: AppendAt,
        /// The records.
        records: Vec<Vec<u8>>,
    },
    /// Saves a snapshot, unless there is a later one; the answer is [`Written::Done`].
    Snapshot {
        /// The stream.
        stream: StreamId,
        /// By what right.
        epoch: Epoch,
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// Forgets records; the answer is [`Written::Done`].
    Prune {
        /// The stream.
        stream: StreamId,
        /// By what right.
        epoch: Epoch,
        /// Which ones.
        upto: Upto,
    },
}

impl Write {
    /// The stream that it is about.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        let (Self::Fence { stream, .. }
        | Self::Append { stream, .. }
        | Self::Snapshot { stream, .. }
        | Self::Prune { stream, .. }) = self;
        stream
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> usize {
        if let Self::Append { records, .. } = self { records.len() } else { 0 }
    }
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The right that a fence gave.
    Epoch(Epoch),
    /// Where the stream ends after an append.
    Seq(Seq),
    /// It was done.
    Done,
}

impl Written {
    fn unexpected(self) -> JournalError {
        JournalError::InDoubt(format!("the journal answered another question: {self:?}"))
    }
}

/// Where an append belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAt {
    /// The right under which is written.
    pub epoch: Epoch,
    /// The number of the record that must be the last one before.
    pub expected: Seq,
}

/// What the records of a stream add up to at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The number of the last record that it holds.
    pub seq: Seq,
    /// The state, as its owner writes it.
    pub bytes: Vec<u8>,
}

/// Which records are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upto {
    /// Those that the snapshot holds; none where there is no snapshot.
    Snapshot,
    /// All of them, and the snapshot: the stream is not listed any more. Its numbers and epochs are never given again.
    All,
}

/// What a journal knows of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream.
    pub stream: StreamId,
    /// The number of the first record that is kept; one more than `last` where none is.
    pub first: Seq,
    /// The number of the last record.
    pub last: Seq,
    /// The epoch of the last fence.
    pub epoch: Epoch,
    /// Whose it is.
    pub owner: String,
}

/// A journal refused, or does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Somebody fenced the stream after this writer.
    #[error("the stream belongs to `{owner}` now; read it anew")]
    Fenced {
        /// The owner that outranks this writer.
        owner: String,
    },
    /// The stream does not end where the writer thought.
    #[error("the stream ends at record {actual}, not at {expected}; read it anew")]
    Moved {
        /// Where the writer thought that the stream ends.
        expected: Seq,
        /// Where it ends.
        actual: Seq,
    },
    /// The records were pruned.
    #[error("the records before {first} were pruned; begin with the snapshot")]
    Pruned {
        /// The number of the first record that is kept.
        first: Seq,
    },
    /// Whether the records were kept is not known: do the same again, or read the stream anew.
    #[error("it is not known whether the records were kept: {0}")]
    InDoubt(String),
    /// The journal cannot be reached.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// What is kept is damaged.
    #[error("record {seq} of the stream `{stream}` is damaged: {what}; `steadfast verify` lists everything that is")]
    Corrupt {
        /// The stream.
        stream: StreamId,
        /// The number of the record.
        seq: Seq,
        /// What is wrong with it.
        what: String,
    },
}

impl JournalError {
    /// Whether it may pass by itself, so that the same can be asked again: the journal was not reached, or its answer is
    /// not known. Every other one says how things stand.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::InDoubt(_) | Self::Unavailable(_))
    }
}
