//! The embedded store keeps the contracts of the journal, of artifacts and of requests, at every level.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use steadfast::MemoryJournal;
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, AtMost, Epoch, Journal, JournalError, Level, Snapshot, Upto, Write};
use steadfast::testing::conformance::{journal, journal_over_restarts};
use steadfast_orchestration::seam::testing::conformance::{artifacts, requests};
use steadfast_storage::Store;
use tempfile::TempDir;
use tokio::sync::Mutex;

const LEVELS: [Level; 3] = Level::ALL;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

async fn open(folder: &TempDir, level: Level) -> Store {
    Store::open(&folder.path().join("store"), level, "a test").await.expect("the store opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_its_contract_at_every_level() {
    for level in LEVELS {
        // Every journal lives until the end, and with it its folder.
        let folders = Mutex::new(Vec::new());
        journal(|| async {
            let folder = folder();
            let journal = open(&folder, level).await.journal();
            assert_eq!(journal.level(), level);
            folders.lock().await.push(folder);
            journal
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_its_contract_over_restarts() {
    for level in [Level::ProcessCrashSafe, Level::Durable] {
        let folder = folder();
        let last: Mutex<Option<Store>> = Mutex::new(None);
        journal_over_restarts(|| async {
            let mut last = last.lock().await;
            if let Some(store) = last.take() {
                store.close().await.expect("it closes");
            }
            let store = open(&folder, level).await;
            let journal = store.journal();
            *last = Some(store);
            journal
        })
        .await;
    }
}

#[tokio::test]
async fn artifacts_and_requests_keep_their_contracts_at_every_level() {
    for level in LEVELS {
        let folder = folder();
        let store = open(&folder, level).await;
        artifacts(&*store.artifacts()).await;
        requests(&*store.requests().expect("it is the owner's")).await;
    }
}

/// A write of a property test, with the epoch and the place as distances from what is right.
#[derive(Clone, Debug)]
enum Step {
    Fence,
    Append { epoch: i64, place: i64, records: Vec<Vec<u8>> },
    Again,
    Snapshot { epoch: i64, back: u64 },
    Prune { epoch: i64, upto: Upto },
    Restart,
}

fn step() -> impl Strategy<Value = (u8, Step)> {
    let mostly = |right: i64| prop_oneof![9 => Just(right), 1 => -2..3_i64];
    let records = vec(vec(any::<u8>(), 0..40), 0..4);
    let upto = prop_oneof![3 => Just(Upto::Snapshot), 1 => Just(Upto::All)];
    let kind = prop_oneof![
        3 => Just(Step::Fence),
        12 => (mostly(0), mostly(0), records)
            .prop_map(|(epoch, place, records)| Step::Append { epoch, place, records }),
        2 => Just(Step::Again),
        2 => (mostly(0), 0..4_u64).prop_map(|(epoch, back)| Step::Snapshot { epoch, back }),
        2 => (mostly(0), upto).prop_map(|(epoch, upto)| Step::Prune { epoch, upto }),
        1 => Just(Step::Restart),
    ];
    (0..3_u8, kind)
}

fn stream(number: u8) -> StreamId {
    format!("s/{number}").parse().expect("a stream id")
}

/// The journals that are compared, and what was appended last, so that it can be appended again.
struct Pair {
    folder: TempDir,
    store: Option<Store>,
    memory: MemoryJournal,
    last: Option<Write>,
}

/// All records after a number, read part by part.
async fn by_parts(
    journal: &dyn Journal,
    stream: &StreamId,
    after: u64,
    most: AtMost,
) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut all = Vec::new();
    loop {
        let part = journal.read_some(stream, after + all.len() as u64, most).await?;
        assert_eq!(most.fits(part.records.iter().map(Vec::len)), part.records.len());
        all.extend(part.records);
        if !part.more {
            return Ok(all);
        }
    }
}

impl Pair {
    async fn new() -> Self {
        let folder = folder();
        let store = Some(open(&folder, Level::ProcessCrashSafe).await);
        Self { folder, store, memory: MemoryJournal::default(), last: None }
    }

    fn journal(&self) -> Arc<dyn Journal> {
        self.store.as_ref().expect("it is open").journal()
    }

    async fn restart(&mut self) {
        self.store.take().expect("it is open").close().await.expect("it closes");
        self.store = Some(open(&self.folder, Level::ProcessCrashSafe).await);
    }

    /// The write that a step is, as the stream stands in memory.
    async fn write(&self, number: u8, step: &Step) -> Option<Write> {
        let stream = stream(number);
        let known = self.memory.list(stream.as_str()).await.expect("memory answers");
        let (epoch, last) = known.first().map_or((1, 0), |info| (info.epoch.0, info.last));
        let moved = |number: u64, by: i64| number.saturating_add_signed(by);
        Some(match step {
            Step::Fence => Write::Fence { stream, owner: format!("owner of {number}") },
            Step::Append { epoch: by, place, records } => {
                let at = AppendAt { epoch: Epoch(moved(epoch, *by)), expected: moved(last, *place) };
                Write::Append { stream, at, records: records.clone() }
            }
            Step::Again => self.last.clone()?,
            Step::Snapshot { epoch: by, back } => {
                let snapshot = Snapshot { seq: (last + 1).saturating_sub(*back), bytes: vec![number; 3] };
                Write::Snapshot { stream, epoch: Epoch(moved(epoch, *by)), snapshot }
            }
            Step::Prune { epoch: by, upto } => Write::Prune { stream, epoch: Epoch(moved(epoch, *by)), upto: *upto },
            Step::Restart => return None,
        })
    }

    async fn agree(&self) {
        let journal = self.journal();
        let known = self.memory.list("").await.expect("memory answers");
        assert_eq!(journal.list("").await.as_ref(), Ok(&known));
        for number in 0..3 {
            let stream = stream(number);
            assert_eq!(journal.snapshot(&stream).await, self.memory.snapshot(&stream).await);
            let begins = known.iter().find(|info| info.stream == stream).map(|info| info.first - 1);
            for after in (0..8).chain(begins) {
                let expected = self.memory.read(&stream, after).await;
                assert_eq!(journal.read(&stream, after).await, expected, "after {after}");
                let most = AtMost { records: 700, bytes: 60_000 };
                assert_eq!(by_parts(&*journal, &stream, after, most).await, expected, "after {after}");
            }
        }
    }
}

/// Does the same with both, several writes at a time, and compares the answers and what is kept.
async fn compare(batches: Vec<Vec<(u8, Step)>>) {
    let mut pair = Pair::new().await;
    for batch in batches {
        let mut writes = Vec::new();
        for (number, step) in &batch {
            if matches!(step, Step::Restart) {
                pair.restart().await;
            }
            if let Some(write) = pair.write(*number, step).await {
                if matches!(write, Write::Append { .. }) {
                    pair.last = Some(write.clone());
                }
                writes.push(write);
            }
        }
        let expected = pair.memory.write(writes.clone()).await;
        assert_eq!(pair.journal().write(writes.clone()).await, expected, "of {writes:?}");
        pair.agree().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_the_store_answers_as_a_journal_in_memory(batches in vec(vec(step(), 1..6), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(compare(batches));
    }
}

/// Enough records that they are moved into blocks several times, of streams that are pruned meanwhile.
#[tokio::test]
async fn records_are_the_same_before_and_after_they_are_moved_into_blocks() {
    let mut pair = Pair::new().await;
    let fence = |number| Write::Fence { stream: stream(number), owner: "me".to_owned() };
    let fences: Vec<_> = (0..3).map(fence).collect();
    assert_eq!(pair.journal().write(fences.clone()).await, pair.memory.write(fences).await);
    for round in 0..300_usize {
        let mut writes = Vec::new();
        for number in 0..3_u8 {
            let records = (0..=usize::from(number) * 8).map(|record| vec![number; (round + record) % 300]);
            let Some(append) =
                pair.write(number, &Step::Append { epoch: 0, place: 0, records: records.collect() }).await
            else {
                unreachable!("an append is a write");
            };
            writes.push(append);
            if round % 97 == 96 {
                writes.extend(pair.write(number, &Step::Snapshot { epoch: 0, back: 40 }).await);
                writes.extend(pair.write(number, &Step::Prune { epoch: 0, upto: Upto::Snapshot }).await);
            }
        }
        assert_eq!(pair.journal().write(writes.clone()).await, pair.memory.write(writes.clone()).await);
        // The same appends once more, wherever their records are by now.
        let appends: Vec<_> = writes.into_iter().filter(|write| write.records() > 0).collect();
        if round % 97 != 96 {
            assert_eq!(pair.journal().write(appends.clone()).await, pair.memory.write(appends).await);
        }
        if round % 50 == 49 {
            pair.agree().await;
        }
        if round == 200 {
            pair.restart().await;
            pair.agree().await;
        }
    }
}

#[tokio::test]
async fn an_append_of_long_ago_is_known_again_in_blocks_and_with_another_byte_it_has_moved() {
    let folder = folder();
    let store = open(&folder, Level::ProcessCrashSafe).await;
    let (journal, stream) = (store.journal(), stream(1));
    let epoch = journal.fence(&stream, "me").await.expect("a fence");
    let record = |seq: u64| seq.to_be_bytes().repeat(20);
    for seq in 0..6000 {
        journal.append(&stream, AppendAt { epoch, expected: seq }, vec![record(seq)]).await.expect("an append");
    }
    for expected in [0, 17, 4000, 4094, 4095, 4096, 5998] {
        let at = AppendAt { epoch, expected };
        let records = vec![record(expected), record(expected + 1)];
        assert_eq!(journal.append(&stream, at, records.clone()).await, Ok(expected + 2));
        let moved = Err(JournalError::Moved { expected, actual: 6000 });
        assert_eq!(journal.append(&stream, at, vec![record(expected), record(expected)]).await, moved);
    }
    assert_eq!(journal.read(&stream, 0).await.map(|records| records.len()), Ok(6000));
    let found = journal.read(&stream, 4090).await.expect("a read");
    assert_eq!(found, (4090..6000).map(record).collect::<Vec<_>>());
    // Many blocks, and what is in the tail behind them.
    for (after, most) in [(0, AtMost { records: 700, bytes: 60_000 }), (11, AtMost { records: 5000, bytes: 300_000 })] {
        let found = by_parts(&*journal, &stream, after, most).await;
        assert!(found == Ok((after..6000).map(record).collect()), "after {after}");
    }
}

#[tokio::test]
async fn the_log_begins_anew_while_the_store_is_written_to_and_readers_read() {
    let folder = folder();
    let store = open(&folder, Level::ProcessCrashSafe).await;
    let (journal, stream) = (store.journal(), stream(1));
    let epoch = journal.fence(&stream, "me").await.expect("a fence");
    let log = || std::fs::metadata(folder.path().join("store/journal.db-wal")).expect("there is a log").len();
    let mut most = 0;
    for seq in 0..1500_u64 {
        journal.append(&stream, AppendAt { epoch, expected: seq }, vec![vec![7; 20_000]]).await.expect("an append");
        if seq % 10 == 0 {
            let last = journal.read(&stream, seq).await.expect("a read");
            assert_eq!(last.len(), 1);
            most = most.max(log());
        }
    }
    // 30 MB of records, each written to the log twice: first by itself, then in a block.
    assert!(most < 24 << 20, "the log has {most} bytes");
    store.close().await.expect("it closes");
    assert!(!folder.path().join("store/journal.db-wal").exists());
}
