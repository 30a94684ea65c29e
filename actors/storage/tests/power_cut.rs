//! A loss of power at any moment: what was acknowledged at `durable` is there, and no stream has a gap.
//!
//! The disk is modelled from the two files as they are. What SQLite has synced is there: the log up to the last commit
//! that returned, and the database as it was when the log began anew. Of everything else any part may be there: each page
//! of the database that was copied into it since, and of the log any length behind that commit, with garbage behind it.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, Epoch, Level, Rng, Write, seed_of};
use steadfast_storage::Store;

const ROUNDS: usize = 100;
/// After so many a new store is begun, so that none grows too large to be looked at again and again.
const OF_ONE_STORE: usize = 20;
const STREAMS: usize = 6;
const PAGE: usize = 4096;

/// The header of the log, and that of each page in it.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// A seed in the environment does that round alone again.
const SEED: &str = "STEADFAST_POWER_CUT";

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % bound.max(1) as u64).expect("it is below a size")
}

fn stream(number: usize) -> StreamId {
    format!("s/{number}").parse().expect("a stream id")
}

/// What SQLite knows of the log, in the file that its connections share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    /// Another one whenever the log begins anew.
    salt: u32,
    /// Up to which page it is committed, and so synced.
    committed: u32,
    /// Up to which page it is being copied, or was.
    copied: u32,
}

impl Log {
    fn of(dir: &Path) -> Self {
        let shared = fs::read(dir.join("journal.db-shm")).expect("it is open");
        let at = |place: usize| u32::from_ne_bytes(shared[place..place + 4].try_into().expect("four bytes"));
        Self { salt: at(32), committed: at(16), copied: at(128) }
    }

    fn length(self) -> usize {
        LOG_HEADER + self.committed as usize * (FRAME_HEADER + PAGE)
    }
}

/// The database and the log, as they were found at one moment.
struct Image {
    database: Vec<u8>,
    log: Vec<u8>,
}

/// Copies both, unless SQLite began to copy pages meanwhile: what was read then would be of two moments.
fn image(dir: &Path, before: Log) -> Option<Image> {
    let log = fs::read(dir.join("journal.db-wal")).expect("there is a log");
    let database = fs::read(dir.join("journal.db")).expect("there is a database");
    let after = Log::of(dir);
    ((before.salt, before.copied) == (after.salt, after.copied)).then_some(Image { database, log })
}

impl Image {
    /// What a disk may have of it after its power was lost.
    fn cut(&self, synced: Log, certain: &[u8], rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
        let mut database = self.database.clone();
        for (page, old) in database.chunks_mut(PAGE).zip(certain.chunks(PAGE)) {
            if page.len() == old.len() && rng.next_u64() & 1 == 0 {
                page.copy_from_slice(old);
            }
        }
        let least = synced.length().min(self.log.len());
        let kept = least + below(rng, self.log.len() - least + 1);
        let mut log = self.log[..kept].to_vec();
        match rng.next_u64() % 3 {
            // Cut off.
            0 => {}
            // A part that was begun, and never written.
            1 => log.extend((0..below(rng, 3 * PAGE)).map(|_| 0)),
            // Garbage.
            _ => log.extend((0..below(rng, 3 * PAGE)).map(|_| rng.next_u64().to_le_bytes()[0])),
        }
        (database, log)
    }
}

/// A store that is written to, and what was acknowledged.
struct Desk {
    store: Store,
    epochs: Vec<Epoch>,
    acknowledged: Vec<Vec<Vec<u8>>>,
}

impl Desk {
    async fn new(dir: &Path) -> Self {
        let store = Store::open(dir, Level::Durable, "a test").await.expect("it opens");
        let mut epochs = Vec::new();
        for number in 0..STREAMS {
            epochs.push(store.journal().fence(&stream(number), "me").await.expect("a fence"));
        }
        Self { store, epochs, acknowledged: vec![Vec::new(); STREAMS] }
    }

    /// A batch of appends.
    fn batch(&self, rng: &mut Rng) -> Vec<Write> {
        let mut ends: Vec<_> = self.acknowledged.iter().map(Vec::len).collect();
        let append = |_| {
            let number = below(rng, STREAMS);
            let mut record = || {
                let length = if rng.next_u64().is_multiple_of(8) { 6000 } else { 200 };
                vec![rng.next_u64().to_le_bytes()[0]; below(rng, length)]
            };
            let first = record();
            let mut records = vec![first];
            records.extend((0..9).map(|_| record()));
            let at = AppendAt { epoch: self.epochs[number], expected: ends[number] as u64 };
            ends[number] += records.len();
            Write::Append { stream: stream(number), at, records }
        };
        (0..6).map(append).collect()
    }

    /// Takes a batch for acknowledged.
    fn acknowledge(&mut self, batch: Vec<Write>) {
        for write in batch {
            let Write::Append { stream, records, .. } = write else { unreachable!("there are only appends") };
            let number = (0..STREAMS).find(|number| stream == self::stream(*number)).expect("it is one of ours");
            self.acknowledged[number].extend(records);
        }
    }

    async fn write(&mut self, rng: &mut Rng) {
        let batch = self.batch(rng);
        let answers = self.store.journal().write(batch.clone()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        self.acknowledge(batch);
    }
}

/// Opens what is left, and holds it to what was acknowledged; `ends` is where the batch in flight would have ended.
async fn check(dir: &Path, acknowledged: &[&[Vec<u8>]], ends: &[usize], seed: u64) {
    let store = Store::open(dir, Level::Durable, "after the power came back").await.expect("it opens");
    let journal = store.journal();
    let mut found = Vec::new();
    for (number, expected) in acknowledged.iter().enumerate() {
        let records = journal.read(&stream(number), 0).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(records.starts_with(expected), "seed {seed}: {} of {} records", records.len(), expected.len());
        found.push(records.len());
    }
    let lengths: Vec<_> = acknowledged.iter().map(|records| records.len()).collect();
    assert!(found == lengths || found == ends, "seed {seed}: {found:?}, acknowledged {lengths:?}, in flight {ends:?}");
    let verified = store.verify(&|_, _| Ok(())).await.expect("it can be read");
    assert_eq!(verified.findings, Vec::new(), "seed {seed}");
    let epoch = journal.fence(&stream(0), "the next one").await.expect("a fence");
    assert_eq!(epoch, Epoch(2), "seed {seed}");
    let at = AppendAt { epoch, expected: found[0] as u64 };
    assert_eq!(journal.append(&stream(0), at, vec![b"on".to_vec()]).await, Ok(at.expected + 1), "seed {seed}");
    store.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_loss_of_power_at_any_moment_and_no_stream_has_a_gap() {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse::<u64>().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0_u8));
    println!("{SEED}={seed} does the same again, as far as the machine does");
    let mut anew = 0;
    for store in 0..ROUNDS / OF_ONE_STORE {
        anew += cuts_of_one_store(seed, Rng::new(seed_of(seed, &store.to_string()))).await;
    }
    assert!(anew > 2, "the log began anew {anew} times, too few to see what that does");
}

/// Says how often the log began anew.
async fn cuts_of_one_store(seed: u64, mut rng: Rng) -> usize {
    // In memory where that is offered: what the disk has is modelled, and the real one would only be waited for.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder");
    let dir = folder.path().join("store");
    let mut desk = Desk::new(&dir).await;
    let mut certain = (Log::of(&dir).salt, fs::read(dir.join("journal.db")).expect("a database"));
    let (mut cuts, mut anew) = (0, 0);
    while cuts < OF_ONE_STORE {
        for _ in 0..below(&mut rng, 12) {
            desk.write(&mut rng).await;
        }
        let synced = Log::of(&dir);
        if synced.salt != certain.0 {
            // The log has begun anew: before that all of the database was synced.
            certain = (synced.salt, fs::read(dir.join("journal.db")).expect("a database"));
            anew += 1;
        }
        let batch = desk.batch(&mut rng);
        let (journal, writes) = (desk.store.journal(), batch.clone());
        let writing = tokio::spawn(async move { journal.write(writes).await });
        for _ in 0..below(&mut rng, 200) {
            tokio::task::yield_now().await;
        }
        let found = image(&dir, synced);
        let answers = writing.await.expect("it does not panic");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let lengths: Vec<_> = desk.acknowledged.iter().map(Vec::len).collect();
        desk.acknowledge(batch);
        let ends: Vec<_> = desk.acknowledged.iter().map(Vec::len).collect();
        if let Some(image) = found {
            let (database, log) = image.cut(synced, &certain.1, &mut rng);
            let cut = folder.path().join("cut");
            fs::create_dir(&cut).expect("it is new");
            fs::write(cut.join("journal.db"), database).expect("it is written");
            fs::write(cut.join("journal.db-wal"), log).expect("it is written");
            let before: Vec<_> = desk.acknowledged.iter().zip(&lengths).map(|(all, length)| &all[..*length]).collect();
            check(&cut, &before, &ends, seed).await;
            fs::remove_dir_all(&cut).expect("it is there");
            cuts += 1;
        }
    }
    anew
}
