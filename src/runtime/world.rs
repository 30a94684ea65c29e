//! The real world behind the seams: tokio's clock, randomness of the operating system, a journal in memory.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::id::RunId;
use crate::runtime::guard::lock;
use crate::seam::{AppendAt, BoxFuture, Clock, Entropy, Epoch, Journal, JournalError, Rng, Seq, seed_of};

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
    streams: Mutex<BTreeMap<RunId, Stream>>,
}

#[derive(Default)]
struct Stream {
    epoch: u64,
    owner: String,
    records: Vec<Vec<u8>>,
}

impl Journal for MemoryJournal {
    fn fence(&self, stream: RunId, owner: &str) -> BoxFuture<'_, Result<Epoch, JournalError>> {
        let mut streams = lock(&self.streams);
        let stream = streams.entry(stream).or_default();
        stream.epoch += 1;
        owner.clone_into(&mut stream.owner);
        let epoch = Epoch(stream.epoch);
        Box::pin(async move { Ok(epoch) })
    }

    fn append(&self, stream: RunId, at: AppendAt, records: Vec<Vec<u8>>) -> BoxFuture<'_, Result<Seq, JournalError>> {
        let mut streams = lock(&self.streams);
        let stream = streams.entry(stream).or_default();
        let actual = stream.records.len() as Seq;
        let outcome = if stream.epoch == 0 {
            Err(JournalError::Fenced { owner: "nobody".to_owned() })
        } else if at.epoch != Epoch(stream.epoch) {
            Err(JournalError::Fenced { owner: stream.owner.clone() })
        } else if at.expected != actual {
            Err(JournalError::Moved { expected: at.expected, actual })
        } else {
            stream.records.extend(records);
            Ok(stream.records.len() as Seq)
        };
        Box::pin(async move { outcome })
    }

    fn read(&self, stream: RunId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let streams = lock(&self.streams);
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let records = streams.get(&stream).map(|stream| stream.records.iter().skip(after).cloned().collect());
        Box::pin(async move { Ok(records.unwrap_or_default()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u128) -> RunId {
        RunId::new(Uuid::from_u128(number))
    }

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

    #[tokio::test]
    async fn who_was_fenced_off_appends_nothing_more() {
        let journal = MemoryJournal::default();
        let old = journal.fence(run(1), "old").await.expect("a fence");
        let new = journal.fence(run(1), "new").await.expect("a fence");
        let late = journal.append(run(1), AppendAt { epoch: old, expected: 0 }, vec![vec![1]]).await;
        assert_eq!(late, Err(JournalError::Fenced { owner: "new".to_owned() }));
        assert_eq!(journal.append(run(1), AppendAt { epoch: new, expected: 0 }, vec![vec![2]]).await, Ok(1));
        assert_eq!(journal.read(run(1), 0).await, Ok(vec![vec![2]]));
    }

    #[tokio::test]
    async fn an_append_after_a_place_that_is_not_the_end_is_refused_and_keeps_nothing() {
        let journal = MemoryJournal::default();
        let epoch = journal.fence(run(1), "me").await.expect("a fence");
        journal.append(run(1), AppendAt { epoch, expected: 0 }, vec![vec![1], vec![2]]).await.expect("an append");
        let moved = journal.append(run(1), AppendAt { epoch, expected: 1 }, vec![vec![9]]).await;
        assert_eq!(moved, Err(JournalError::Moved { expected: 1, actual: 2 }));
        assert_eq!(journal.read(run(1), 1).await, Ok(vec![vec![2]]));
        assert_eq!(journal.read(run(2), 0).await, Ok(vec![]));
    }
}
