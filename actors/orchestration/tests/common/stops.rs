//! A journal that stops its process at one append, and what must hold of what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::fault::Crash;
use steadfast::seam::{BoxFuture, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::testing::{Disk, SimJournal, World};
use steadfast::{RunId, StreamId};
use steadfast_orchestration::run::{Record, decode};
use tokio::sync::Notify;

/// What is seen from outside, in order: what the journal acknowledged, and which commands began.
#[derive(Debug)]
pub(crate) enum Seen {
    Acknowledged(StreamId, Vec<u8>),
    Began { key: String, attempt: String },
}

#[derive(Default)]
pub(crate) struct Witness {
    pub(crate) seen: Vec<Seen>,
    pub(crate) appends: u64,
}

impl Witness {
    /// A command begins; the how manieth attempt with its key that is.
    pub(crate) fn begin(&mut self, key: String, attempt: String) -> usize {
        let before = self.seen.iter().filter(|seen| matches!(seen, Seen::Began { key: of, .. } if *of == key));
        let number = before.count() + 1;
        self.seen.push(Seen::Began { key, attempt });
        number
    }
}

/// A journal that stops its process at one append.
pub(crate) struct Stops {
    pub(crate) journal: SimJournal,
    pub(crate) witness: Arc<Mutex<Witness>>,
    /// At which append, from 0 on, and whether that is still made.
    pub(crate) at: (u64, bool),
    pub(crate) stop: Arc<Notify>,
}

/// The journal that a process of the node `a` has on this disk. The process is stopped at the append that the seed chooses, with a
/// power cut, and begins anew. Also whether that has happened.
pub(crate) fn one_stop(
    world: &World,
    disk: &Disk,
    witness: &Arc<Mutex<Witness>>,
) -> (impl Fn() -> Stops + Send + Sync + use<>, Arc<Mutex<bool>>) {
    let (stop, is_stopped) = (Arc::new(Notify::new()), Arc::new(Mutex::new(false)));
    let (own, noted, power, stopped) = (world.clone(), Arc::clone(&is_stopped), disk.clone(), Arc::clone(&stop));
    world.spawn(async move {
        stopped.notified().await;
        *lock(&noted) = true;
        let node = own.find_node("a").expect("it was begun");
        node.crash().await;
        power.crash(Crash::Power);
        while node.restart().await.is_err() {}
    });
    let (disk, witness, at) = (disk.clone(), Arc::clone(witness), (world.seed() / 2, world.seed() % 2 == 1));
    let journal = move || {
        let (journal, witness, stop) = (disk.journal(Level::Durable), Arc::clone(&witness), Arc::clone(&stop));
        Stops { journal, witness, at, stop }
    };
    (journal, is_stopped)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stops {
    async fn write_and_see(&self, batch: Vec<Write>) -> Vec<Result<Written, JournalError>> {
        let answers = self.journal.write(batch.clone()).await;
        for (write, answer) in batch.into_iter().zip(&answers) {
            if let (Write::Append { stream, records, .. }, Ok(_)) = (write, answer) {
                let acknowledged = records.into_iter().map(|record| Seen::Acknowledged(stream.clone(), record));
                lock(&self.witness).seen.extend(acknowledged);
            }
        }
        answers
    }
}

impl Journal for Stops {
    fn level(&self) -> Level {
        self.journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            let appends = batch.iter().any(|write| matches!(write, Write::Append { .. }));
            let number = appends.then(|| {
                let mut witness = lock(&self.witness);
                witness.appends += 1;
                witness.appends - 1
            });
            let (at, is_made) = self.at;
            if number == Some(at) {
                if is_made {
                    // Nobody is told of it, and it stays all the same.
                    self.write_and_see(batch).await;
                }
                self.stop.notify_one();
                return std::future::pending().await;
            }
            self.write_and_see(batch).await
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

/// Nothing that is recorded begins again, no attempt begins twice, and nothing that was acknowledged is lost.
pub(crate) async fn check(seen: &[Seen], disk: &Disk) {
    let mut runs: BTreeMap<&StreamId, RunId> = BTreeMap::new();
    let mut acknowledged: BTreeMap<&StreamId, Vec<&Vec<u8>>> = BTreeMap::new();
    let (mut recorded, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for seen in seen {
        match seen {
            Seen::Acknowledged(stream, bytes) => {
                acknowledged.entry(stream).or_default().push(bytes);
                let record = decode(bytes).expect("a record of a run");
                if let Record::RunStarted { run, .. } = &record {
                    runs.insert(stream, *run);
                }
                let run = runs.get(stream).expect("a run begins with its start");
                match record {
                    Record::Recorded { task, .. } => recorded.insert(format!("{run}:{task}")),
                    Record::UndoRecorded { task, .. } => recorded.insert(format!("{run}:{task}/undo")),
                    _ => false,
                };
            }
            Seen::Began { key, attempt } => {
                assert!(!recorded.contains(key), "{key} is recorded, and attempt {attempt} began");
                assert!(begun.insert((key, attempt)), "attempt {attempt} of {key} began twice");
            }
        }
    }
    for (stream, acknowledged) in acknowledged {
        let kept = disk.journal(Level::Durable).read(stream, 0).await.expect("the disk is there");
        let mut rest = kept.iter();
        for bytes in acknowledged {
            assert!(rest.any(|kept| kept == bytes), "{:?} was acknowledged and is lost", decode(bytes));
        }
    }
}
