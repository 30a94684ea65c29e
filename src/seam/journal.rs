//! Records that outlive whoever wrote them.

use super::BoxFuture;
use crate::id::RunId;

/// The number of a record in its stream, from 1 on; 0 stands before the first.
pub type Seq = u64;

/// The right to append to a stream, given by [`Journal::fence`]. A later epoch outranks an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Keeps records, in order, one stream per run.
///
/// Whoever wants to append fences the stream first. From then on what an earlier owner appends is refused, so that an
/// old incarnation can change nothing once the new one has read.
///
/// | promise | |
/// |---|---|
/// | numbers | from 1 on, without a gap, for each stream by itself |
/// | an append | keeps all of its records or none; of two at one place one is kept |
/// | without the right | with an epoch that is not the stream's last, and where nobody fenced yet, nothing is appended |
/// | what was read | stays: a later read begins with the same records |
/// | epochs | grow, also over a restart of whatever keeps them |
///
/// `testing::conformance::journal` holds an implementation to it.
///
/// # Cancel safety
///
/// An append or a fence whose future was dropped has happened as a whole or not at all; which, a later read tells.
pub trait Journal: Send + Sync {
    /// Makes `owner` the only one who may append to the stream. Comes before any read for recovery.
    fn fence(&self, stream: RunId, owner: &str) -> BoxFuture<'_, Result<Epoch, JournalError>>;

    /// Appends records after `expected`, all or none, and returns the number of the last one.
    ///
    /// `Ok` means as durable as the journal's level says. Without records it returns where the stream ends.
    ///
    /// # Errors
    ///
    /// | error | what was appended |
    /// |---|---|
    /// | [`Fenced`](JournalError::Fenced), [`Moved`](JournalError::Moved), [`Unavailable`](JournalError::Unavailable) | nothing; where the first two would do, it is the first |
    /// | [`InDoubt`](JournalError::InDoubt) | all or nothing: fence the stream and read it to know |
    fn append(&self, stream: RunId, at: AppendAt, records: Vec<Vec<u8>>) -> BoxFuture<'_, Result<Seq, JournalError>>;

    /// Returns the records after `after`, in order; none where the stream ends before that, or was never written.
    fn read(&self, stream: RunId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>>;
}

/// Where an append belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAt {
    /// The right under which is written.
    pub epoch: Epoch,
    /// The number of the record that must be the last one before.
    pub expected: Seq,
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
    /// Whether the records were kept is not known: read the stream anew.
    #[error("it is not known whether the records were kept: {0}")]
    InDoubt(String),
    /// The journal cannot be reached.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
}
