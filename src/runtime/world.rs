//! The real world behind the seams: tokio's clock, randomness of the operating system, a journal in memory.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::id::StreamId;
use crate::runtime::guard::lock;
use crate::seam::{
    AtMost, BoxFuture, Clock, Entropy, Journal, JournalError, Level, Part, Rng, Seq, Snapshot, StreamInfo, Streams,
    Write, Written, seed_of,
};

/// Tokio's clock, which a test may pause, and the time of day of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everyone else asks")]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that everyone else asks")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Randomness from one seed: of the operating system, or given.
pub struct SeededEntropy {
    seed: u64,
    clock: Arc<dyn Clock>,
    ids: Mutex<Ids>,
}

struct Ids {
    rng: Rng,
    millis: u64,
    counter: u16,
}

impl SeededEntropy {
    /// Every stream and every id's random bits follow from `seed`; the time in an id is the clock's.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let ids = Ids { rng: Rng::new(seed_of(seed, "ids")), millis: 0, counter: 0 };
        Self { seed, clock, ids: Mutex::new(ids) }
    }

    /// A seed that nobody can know beforehand.
    #[must_use]
    pub fn from_os(clock: Arc<dyn Clock>) -> Self {
        // The keys of std's hasher come from the operating system.
        Self::new(RandomState::new().hash_one(0_u8), clock)
    }
}

impl Entropy for SeededEntropy {
    fn stream(&self, label: &str) -> Rng {
        Rng::new(seed_of(self.seed, label))
    }

    fn id(&self) -> Uuid {
        let wall = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let mut ids = lock(&self.ids);
        // RFC 9562, method 1: a counter keeps ids of one millisecond in order, and runs on when the clock goes back.
        if wall > ids.millis {
            ids.millis = wall;
            ids.counter = 0;
        } else {
            ids.counter += 1;
            if ids.counter == 1 << 12 {
                ids.millis += 1;
                ids.counter = 0;
            }
        }
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&ids.counter.to_be_bytes());
        bytes[2..].copy_from_slice(&ids.rng.next_u64().to_be_bytes());
        Builder::from_unix_timestamp_millis(ids.millis, &bytes).into_uuid()
    }
}

/// A journal that lasts as long as the process: volatile.
#[derive(Default)]
pub struct MemoryJournal {
    streams: Mutex<Streams>,
}

impl Journal for MemoryJournal {
    fn level(&self) -> Level {
        Level::Volatile
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        let answers = lock(&self.streams).write(batch);
        Box::pin(async move { answers })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let records = lock(&self.streams).read(stream, after);
        Box::pin(async move { records })
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        let part = lock(&self.streams).read_some(stream, after, most);
        Box::pin(async move { part })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        let snapshot = lock(&self.streams).snapshot(stream);
        Box::pin(async move { Ok(snapshot) })
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        let streams = lock(&self.streams).list(prefix);
        Box::pin(async move { Ok(streams) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_in_which_they_were_made() {
        let entropy = SeededEntropy::new(7, Arc::new(TokioClock));
        let ids: Vec<_> = (0..10_000).map(|_| entropy.id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn a_label_has_one_stream_and_another_label_another() {
        let entropy = SeededEntropy::new(7, Arc::new(TokioClock));
        assert_eq!(entropy.stream("a").next_u64(), entropy.stream("a").next_u64());
        assert_ne!(entropy.stream("a").next_u64(), entropy.stream("b").next_u64());
    }
}
