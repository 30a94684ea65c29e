//! Journals that are right but for one thing, which they twist on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use steadfast::seam::{
    AppendAt, AtMost, BoxFuture, Journal, JournalError, Level, Part, Seq, Snapshot, StreamInfo, Upto, Write, Written,
};
use steadfast::testing::conformance;
use steadfast::{MemoryJournal, StreamId};

use crate::breach::is_noticed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    KeepsTwice,
    RefusesOnceMore,
    TakesAnythingOnceMore,
    AnswersBackwards,
    StopsAtARefusal,
    KeepsTheOlderSnapshot,
    SavesAhead,
    PrunesWithoutASnapshot,
    ReadsPrunedAsEmpty,
    KeepsWhatWasPruned,
    ForgetsTheSnapshotOfNothing,
    ListsBackwards,
    ListsEverything,
    EmptyPartsOfNothing,
    PartsWithoutALimit,
    PartsThatOverlap,
    PartsThatEndEarly,
    PartsOfWhatWasPruned,
}

struct Twisted {
    inner: MemoryJournal,
    twist: Twist,
    snapshots: Mutex<BTreeMap<StreamId, Snapshot>>,
}

impl Twisted {
    fn is(&self, twist: Twist) -> bool {
        self.twist == twist
    }

    async fn twisted(&self, write: Write) -> Result<Written, JournalError> {
        match (self.twist, &write) {
            (Twist::KeepsTheOlderSnapshot, Write::Snapshot { stream, snapshot, .. }) => {
                self.snapshots.lock().expect("nobody panics").insert(stream.clone(), snapshot.clone());
            }
            (Twist::SavesAhead, Write::Snapshot { .. }) => {
                return Ok(self.inner.write_one(write).await.unwrap_or(Written::Done));
            }
            (Twist::PrunesWithoutASnapshot, Write::Prune { stream, epoch, upto: Upto::Snapshot })
                if self.inner.snapshot(stream).await == Ok(None) =>
            {
                let write = Write::Prune { stream: stream.clone(), epoch: *epoch, upto: Upto::All };
                return self.inner.write_one(write).await;
            }
            (Twist::KeepsWhatWasPruned, Write::Prune { stream, epoch, .. }) => {
                let nowhere = AppendAt { epoch: *epoch, expected: Seq::MAX };
                return match self.inner.append(stream, nowhere, Vec::new()).await {
                    Err(error @ JournalError::Fenced { .. }) => Err(error),
                    _ => Ok(Written::Done),
                };
            }
            (Twist::KeepsTwice | Twist::TakesAnythingOnceMore | Twist::RefusesOnceMore, Write::Append { .. }) => {
                return self.append(write).await;
            }
            _ => {}
        }
        self.inner.write_one(write).await
    }

    async fn append(&self, write: Write) -> Result<Written, JournalError> {
        let Write::Append { stream, at, records } = &write else { unreachable!("it is an append") };
        let end = self.inner.append(stream, AppendAt { expected: Seq::MAX, ..*at }, Vec::new()).await;
        let Err(JournalError::Moved { actual, .. }) = end else { return self.inner.write_one(write).await };
        let stands_there = at.expected < actual && at.expected + records.len() as Seq <= actual && !records.is_empty();
        match self.twist {
            _ if !stands_there => self.inner.write_one(write).await,
            Twist::RefusesOnceMore => Err(JournalError::Moved { expected: at.expected, actual }),
            Twist::TakesAnythingOnceMore => match self.inner.write_one(write.clone()).await {
                // Only where it is not noticed before.
                Err(JournalError::Moved { .. }) if actual == 3 && records.len() > 1 => {
                    Ok(Written::Seq(at.expected + records.len() as Seq))
                }
                other => other,
            },
            _ => {
                let answer = self.inner.write_one(write.clone()).await;
                if answer.is_ok() {
                    let at = AppendAt { expected: actual, ..*at };
                    self.inner.append(stream, at, records.clone()).await?;
                }
                answer
            }
        }
    }
}

impl Journal for Twisted {
    fn level(&self) -> Level {
        Level::Volatile
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            let mut refused = false;
            for write in batch {
                if refused && self.is(Twist::StopsAtARefusal) {
                    answers.push(Err(JournalError::Unavailable("one before it was refused".to_owned())));
                    continue;
                }
                let answer = self.twisted(write).await;
                refused |= answer.is_err();
                answers.push(answer);
            }
            if self.is(Twist::AnswersBackwards) {
                answers.reverse();
            }
            answers
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move {
            match self.inner.read(&stream, after).await {
                Err(JournalError::Pruned { .. }) if self.is(Twist::ReadsPrunedAsEmpty) => Ok(Vec::new()),
                other => other,
            }
        })
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        let (stream, mut after, mut most) = (stream.clone(), after, most);
        Box::pin(async move {
            match self.twist {
                Twist::PartsWithoutALimit => most = AtMost { records: usize::MAX, bytes: usize::MAX },
                Twist::PartsThatOverlap => after = after.saturating_sub(after / 3),
                _ => {}
            }
            let part = self.inner.read_some(&stream, after, most).await;
            if part.is_err() && self.is(Twist::PartsOfWhatWasPruned) {
                return Ok(Part::default());
            }
            let mut part = part?;
            match self.twist {
                Twist::EmptyPartsOfNothing => part.more |= part.records.is_empty(),
                Twist::PartsThatEndEarly => part.more &= after == 0,
                _ => {}
            }
            Ok(part)
        })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let held = self.snapshots.lock().expect("nobody panics").get(&stream).cloned();
            let kept = self.inner.snapshot(&stream).await?;
            let records = self.inner.list(stream.as_str()).await?.first().is_some_and(|info| info.first <= info.last);
            match self.twist {
                Twist::KeepsTheOlderSnapshot => Ok(held.or(kept)),
                Twist::ForgetsTheSnapshotOfNothing if !records => Ok(None),
                _ => Ok(kept),
            }
        })
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        let prefix = if self.is(Twist::ListsEverything) { String::new() } else { prefix.to_owned() };
        Box::pin(async move {
            let mut list = self.inner.list(&prefix).await?;
            if self.is(Twist::ListsBackwards) {
                list.reverse();
            }
            Ok(list)
        })
    }
}

#[test]
fn a_journal_that_is_right_but_for_one_thing_is_noticed() {
    for (twist, promise) in [
        (Twist::KeepsTwice, "keeps nothing twice"),
        (Twist::RefusesOnceMore, "an append once more, at its place and by its epoch, is `Ok`"),
        (Twist::TakesAnythingOnceMore, "where other records stand is refused as moved"),
        (Twist::AnswersBackwards, "answered in their order"),
        (Twist::StopsAtARefusal, "answered in their order, each by itself"),
        (Twist::KeepsTheOlderSnapshot, "one that is older than it is not"),
        (Twist::SavesAhead, "a snapshot behind the last record"),
        (Twist::PrunesWithoutASnapshot, "it does as it is told"),
        (Twist::ReadsPrunedAsEmpty, "a read of what was pruned is refused"),
        (Twist::KeepsWhatWasPruned, "a read of what was pruned is refused"),
        (Twist::ForgetsTheSnapshotOfNothing, "streams that hold a record or a snapshot"),
        (Twist::ListsBackwards, "are listed by name"),
        (Twist::ListsEverything, "are listed by name"),
        (Twist::EmptyPartsOfNothing, "never written has one part"),
        (Twist::PartsWithoutALimit, "no more than was asked for"),
        (Twist::PartsThatOverlap, "each record once, in order"),
        (Twist::PartsThatEndEarly, "each record once, in order"),
        (Twist::PartsOfWhatWasPruned, "a read of what was pruned is refused"),
    ] {
        let suite = conformance::journal(move || async move {
            Arc::new(Twisted { inner: MemoryJournal::default(), twist, snapshots: Mutex::default() })
                as Arc<dyn Journal>
        });
        is_noticed(&format!("{twist:?}"), promise, suite);
    }
}
