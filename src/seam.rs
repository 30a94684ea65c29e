//! The traits through which the world is reached: time, randomness, the journal.
//!
//! Each is dyn-compatible, so that [`System`](crate::System) has no type parameters, and each is a value given to the
//! system: nothing is global to the process. Sleeping is tokio's, which a test may pause.

use std::future::Future;
use std::pin::Pin;
use std::time::{Instant, SystemTime};

use uuid::Uuid;

use crate::id::RunId;

/// A future behind a pointer, as dyn-compatible traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns the present moment of a clock that never goes back.
    fn now(&self) -> Instant;

    /// Returns the time of day, for records that people read.
    fn wall(&self) -> SystemTime;
}

/// Gives randomness.
pub trait Entropy: Send + Sync {
    /// Returns the random stream of a label. The same label gives the same stream again where the source is seeded.
    fn stream(&self, label: &str) -> Rng;

    /// Returns a fresh id: unique, and later ones sort after earlier ones (UUID version 7).
    fn id(&self) -> Uuid;
}

/// A stream of random numbers (`SplitMix64`, Steele, Lea and Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next random number in `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Folds a label into a seed (FNV-1a), so that every label has a stream of its own.
#[must_use]
pub fn seed_of(seed: u64, label: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ Rng::new(seed).next_u64();
    label.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The number of a record in its stream, from 1 on; 0 stands before the first.
pub type Seq = u64;

/// The right to append to a stream, given by [`Journal::fence`]. A later epoch outranks an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Keeps records, in order, one stream per run.
///
/// Whoever wants to append fences the stream first. From then on what an earlier owner appends is refused, so that an
/// old incarnation can change nothing once the new one has read.
pub trait Journal: Send + Sync {
    /// Makes `owner` the only one who may append to the stream. Comes before any read for recovery.
    fn fence(&self, stream: RunId, owner: &str) -> BoxFuture<'_, Result<Epoch, JournalError>>;

    /// Appends records after `expected`, all or none, and returns the number of the last one.
    ///
    /// `Ok` means as durable as the journal's level says.
    fn append(&self, stream: RunId, at: AppendAt, records: Vec<Vec<u8>>) -> BoxFuture<'_, Result<Seq, JournalError>>;

    /// Returns the records after `after`, in order.
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
