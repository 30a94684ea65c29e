//! Journals that are wrong, each in one thing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use steadfast::fault::Crash;
use steadfast::seam::{
    AppendAt, BoxFuture, Epoch, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written,
};
use steadfast::testing::{Disk, conformance};
use steadfast::{RunId, StreamId};
use tokio::time::sleep;
use uuid::Uuid;

use crate::breach::is_noticed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    LosesEmptyRecords,
    ReadsOneTooMany,
    ReadsTheLastForEver,
    NumbersFromZero,
    OneStreamForAll,
    AnyPlace,
    MovedAndKept,
    NeedsNoFence,
    SameEpoch,
    OldOwnersMayAppend,
    PlaceBeforeRight,
    SaysTheWrongOwner,
    FenceForgets,
    FencesEveryStream,
    SameOwnerKeepsItsRight,
    ChecksBeforeItWaits,
    ChecksThePlaceBeforeItWaits,
    WritesInTwoSteps,
    EpochsBeginAnew,
}

#[derive(Clone, Default)]
struct Stream {
    epoch: u64,
    owner: String,
    records: Vec<Vec<u8>>,
}

struct WrongJournal {
    bug: Bug,
    streams: Mutex<BTreeMap<StreamId, Stream>>,
}

impl WrongJournal {
    fn new(bug: Bug) -> Self {
        Self { bug, streams: Mutex::default() }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<StreamId, Stream>> {
        self.streams.lock().expect("nobody panics")
    }

    fn key(&self, run: &StreamId) -> StreamId {
        if self.is(Bug::OneStreamForAll) { RunId::new(Uuid::nil()).into() } else { run.clone() }
    }

    fn check_right(&self, stream: &Stream, at: AppendAt) -> Result<(), JournalError> {
        let owner = if self.is(Bug::SaysTheWrongOwner) { String::new() } else { stream.owner.clone() };
        let allowed = match self.bug {
            Bug::OldOwnersMayAppend => at.epoch.0 > 0 && at.epoch.0 <= stream.epoch,
            Bug::NeedsNoFence => at.epoch.0 == stream.epoch,
            _ => stream.epoch > 0 && at.epoch.0 == stream.epoch,
        };
        if allowed { Ok(()) } else { Err(JournalError::Fenced { owner }) }
    }

    fn check_place(&self, stream: &mut Stream, at: AppendAt, records: &[Vec<u8>]) -> Result<(), JournalError> {
        let actual = stream.records.len() as Seq;
        if at.expected == actual || self.is(Bug::AnyPlace) {
            return Ok(());
        }
        if self.is(Bug::MovedAndKept) {
            stream.records.extend(records.first().cloned());
        }
        Err(JournalError::Moved { expected: at.expected, actual })
    }

    fn check(&self, run: &StreamId, at: AppendAt, records: &[Vec<u8>]) -> Result<(), JournalError> {
        let mut streams = self.streams();
        let stream = streams.entry(self.key(run)).or_default();
        if self.is(Bug::PlaceBeforeRight) {
            self.check_place(stream, at, records)?;
        }
        self.check_right(stream, at)?;
        self.check_place(stream, at, records)
    }

    fn keep(&self, run: &StreamId, records: Vec<Vec<u8>>) -> Seq {
        let mut streams = self.streams();
        let stream = streams.entry(self.key(run)).or_default();
        stream.records.extend(records);
        let last = stream.records.len() as Seq;
        if self.is(Bug::NumbersFromZero) { last.saturating_sub(1) } else { last }
    }
}

impl WrongJournal {
    fn let_in(&self, run: &StreamId, owner: &str) -> Epoch {
        let mut streams = self.streams();
        let stream = streams.entry(self.key(run)).or_default();
        let keeps = self.is(Bug::SameEpoch) || (self.is(Bug::SameOwnerKeepsItsRight) && stream.owner == owner);
        if stream.epoch == 0 || !keeps {
            stream.epoch += 1;
        }
        owner.clone_into(&mut stream.owner);
        if self.is(Bug::FenceForgets) {
            stream.records.clear();
        }
        let epoch = Epoch(stream.epoch);
        if self.is(Bug::FencesEveryStream) {
            streams.values_mut().filter(|stream| stream.owner != owner).for_each(|stream| stream.epoch += 1);
        }
        epoch
    }

    async fn append_wrongly(&self, run: &StreamId, at: AppendAt, records: Vec<Vec<u8>>) -> Result<Seq, JournalError> {
        self.check(run, at, &records)?;
        match self.bug {
            Bug::ChecksBeforeItWaits => sleep(Duration::from_millis(2)).await,
            Bug::ChecksThePlaceBeforeItWaits => {
                sleep(Duration::from_millis(2)).await;
                let streams = self.streams();
                self.check_right(&streams[&self.key(run)], at)?;
            }
            _ => {}
        }
        if self.is(Bug::WritesInTwoSteps) && records.len() > 1 {
            self.keep(run, records[..1].to_vec());
            sleep(Duration::from_millis(2)).await;
            return Ok(self.keep(run, records[1..].to_vec()));
        }
        Ok(self.keep(run, records))
    }
}

impl Journal for WrongJournal {
    fn level(&self) -> Level {
        Level::Volatile
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for write in batch {
                answers.push(match write {
                    Write::Fence { stream, owner } => Ok(Written::Epoch(self.let_in(&stream, &owner))),
                    Write::Append { stream, at, records } => {
                        self.append_wrongly(&stream, at, records).await.map(Written::Seq)
                    }
                    _ => Ok(Written::Done),
                });
            }
            answers
        })
    }

    fn snapshot(&self, _: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        Box::pin(async { Ok(None) })
    }

    fn list(&self, _: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn read(&self, run: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let mut records = self.streams().get(&self.key(run)).cloned().unwrap_or_default().records;
        let mut after = usize::try_from(after).unwrap_or(usize::MAX);
        match self.bug {
            Bug::LosesEmptyRecords => records.retain(|record| !record.is_empty()),
            Bug::ReadsOneTooMany => after = after.saturating_sub(1),
            Bug::ReadsTheLastForEver => after = after.min(records.len().saturating_sub(1)),
            _ => {}
        }
        let records = records.split_off(after.min(records.len()));
        Box::pin(async move { Ok(records) })
    }
}

#[test]
fn a_journal_that_is_wrong_is_noticed() {
    for (bug, promise) in [
        (Bug::LosesEmptyRecords, "what was appended is read, in order, byte for byte"),
        (Bug::ReadsOneTooMany, "a read gives the records after a number"),
        (Bug::ReadsTheLastForEver, "none behind the end"),
        (Bug::NumbersFromZero, "from 1 on"),
        (Bug::AnyPlace, "refused as moved"),
        (Bug::MovedAndKept, "nothing of it is kept"),
        (Bug::NeedsNoFence, "where nobody fenced, nothing is appended"),
        (Bug::SameEpoch, "a later fence has a later epoch"),
        (Bug::OldOwnersMayAppend, "who was fenced off is told by whom and appends nothing"),
        (Bug::PlaceBeforeRight, "who was fenced off is told by whom"),
        (Bug::SaysTheWrongOwner, "who was fenced off is told by whom"),
        (Bug::FenceForgets, "appends nothing, wherever"),
        (Bug::SameOwnerKeepsItsRight, "the same owner fences anew"),
        (Bug::ChecksBeforeItWaits, "an old incarnation can change nothing"),
        (Bug::ChecksThePlaceBeforeItWaits, "of two appends at one place one is kept"),
        (Bug::WritesInTwoSteps, "there as a whole or not at all"),
    ] {
        let suite = conformance::journal(move || async move { Arc::new(WrongJournal::new(bug)) as Arc<dyn Journal> });
        is_noticed(&format!("{bug:?}"), promise, suite);
    }
    // An owner that is refused where it is the owner.
    for bug in [Bug::OneStreamForAll, Bug::FencesEveryStream] {
        let suite = conformance::journal(move || async move { Arc::new(WrongJournal::new(bug)) as Arc<dyn Journal> });
        is_noticed(&format!("{bug:?}"), "it does as it is told", suite);
    }
}

#[test]
fn a_journal_that_does_not_outlive_what_it_should_is_noticed() {
    let disk = Disk::new(7);
    let suite = conformance::journal_over_restarts(move || {
        disk.crash(Crash::Power);
        let journal: Arc<dyn Journal> = Arc::new(disk.journal(Level::ProcessCrashSafe));
        async { journal }
    });
    is_noticed("a journal that is not durable", "what was said to be kept is there after a restart", suite);

    let journal = Arc::new(WrongJournal::new(Bug::EpochsBeginAnew));
    let suite = conformance::journal_over_restarts(move || {
        journal.streams().values_mut().for_each(|stream| stream.epoch = 0);
        let journal: Arc<dyn Journal> = Arc::<WrongJournal>::clone(&journal);
        async { journal }
    });
    is_noticed("a journal that forgets its epochs", "epochs grow over restarts", suite);
}
