//! The traits through which the world is reached: time, randomness, the journal, the transport.
//!
//! Each is dyn-compatible, so that [`System`](crate::System) has no type parameters, and each is a value given to the
//! system: nothing is global to the process. Sleeping is tokio's, which a test may pause.
//!
//! What each promises is a suite of tests that every implementation passes: `testing::conformance`.

mod journal;
mod transport;

use std::future::Future;
use std::pin::Pin;
use std::time::{Instant, SystemTime};

use uuid::Uuid;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::journal::Change;
pub(crate) use self::journal::Streams;
pub use self::journal::{
    AppendAt, AtMost, Epoch, Head, InvalidLevel, Journal, JournalError, Level, Part, Place, Seq, Snapshot, StreamInfo,
    Upto, Write, Written,
};
pub use self::transport::{
    DEFAULT_ACK_WITHIN, DEFAULT_INBOX, Delivery, Durability, Inbox, Interest, Message, Settle, Transport,
    TransportError,
};

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
