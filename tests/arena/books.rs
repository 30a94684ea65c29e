//! Books: writers who fence each other off and append to the same streams, while the journal's agent dies, and its node too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::seam::{AppendAt, Epoch, JournalError, Seq};
use steadfast::testing::{Node, World};
use steadfast::{RunId, StreamId};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::town::BUSY;
use crate::worker::Draw;

const STREAMS: usize = 2;
const WRITERS: usize = 3;

/// What the test knows of all streams. All clones are the same.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    next: u64,
    /// By stream: the highest epoch that was given out, and what was read last.
    fenced: BTreeMap<usize, Epoch>,
    read: BTreeMap<usize, Vec<Vec<u8>>>,
    /// What was acknowledged, by stream and number.
    kept: BTreeMap<(usize, Seq), Vec<u8>>,
    /// What was refused, or came from a writer that was fenced off before it began.
    refused: BTreeSet<Vec<u8>>,
    wrong: Vec<String>,
}

impl Books {
    fn with<T>(&self, look: impl FnOnce(&mut Pages) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that there never were.
    fn records(&self, most: usize) -> Vec<Vec<u8>> {
        self.with(|pages| {
            let first = pages.next;
            pages.next += most as u64;
            (first..pages.next).map(|number| number.to_le_bytes().to_vec()).collect()
        })
    }
}

impl Pages {
    /// What a read gives begins with what every read before it gave.
    fn read(&mut self, stream: usize, records: Vec<Vec<u8>>) {
        let before = self.read.entry(stream).or_default();
        if !records.starts_with(before) && !before.starts_with(&records) {
            self.wrong.push(format!("journal: a read of stream {stream} gave other records than one before it"));
        }
        if records.len() > before.len() {
            *before = records;
        }
    }

    fn appended(
        &mut self,
        stream: usize,
        at: AppendAt,
        (records, was_late): (Vec<Vec<u8>>, bool),
        outcome: &Result<Seq, JournalError>,
    ) {
        match outcome {
            Ok(end) => {
                if was_late {
                    self.wrong.push(format!(
                        "journal: stream {stream} took an append of {:?}, which was fenced off before",
                        at.epoch
                    ));
                }
                let first = at.expected + 1;
                if *end != at.expected + records.len() as Seq {
                    self.wrong.push(format!(
                        "journal: {} records after {} of stream {stream} end at {end}",
                        records.len(),
                        at.expected
                    ));
                }
                self.kept.extend((first..).zip(records).map(|(number, record)| ((stream, number), record)));
            }
            Err(JournalError::InDoubt(_)) if !was_late => {}
            Err(_) => self.refused.extend(records),
        }
    }

    /// What does not hold of what is there at the end.
    fn problem(&self, stream: usize, records: &[Vec<u8>]) -> Option<String> {
        if let Some(twice) = records.iter().enumerate().find(|(at, record)| records[..*at].contains(record)) {
            return Some(format!("journal: record {twice:?} of stream {stream} is there twice"));
        }
        if let Some(refused) = records.iter().find(|record| self.refused.contains(*record)) {
            return Some(format!(
                "journal: {refused:?} of stream {stream} was refused, or its writer fenced off, and is there"
            ));
        }
        let missing = self.kept.iter().find(|((of, number), record)| {
            let there = usize::try_from(*number).ok().and_then(|number| records.get(number - 1));
            *of == stream && there != Some(*record)
        });
        missing.map(|((_, number), _)| {
            format!("journal: record {number} of stream {stream} was acknowledged, and is not there")
        })
    }
}

fn run(stream: usize) -> StreamId {
    RunId::new(Uuid::from_u128(stream as u128 + 1)).into()
}

/// Takes a stream over, and appends to it until it is refused.
async fn write(node: Node, world: World, books: Books, writer: usize) {
    let mut random = Draw::new(world.seed(), &format!("writer {writer}"));
    while world.now() < BUSY {
        sleep(random.time(300)).await;
        let stream = random.below(STREAMS);
        let Some(system) = node.try_system() else { continue };
        let journal = system.journal();
        let Ok(epoch) = journal.fence(&run(stream), &format!("writer {writer}")).await else { continue };
        books.with(|pages| {
            let last = pages.fenced.entry(stream).or_insert(epoch);
            *last = epoch.max(*last);
        });
        let Ok(records) = journal.read(&run(stream), 0).await else { continue };
        let mut expected = records.len() as Seq;
        books.with(|pages| pages.read(stream, records));
        for _ in 0..=random.below(30) {
            sleep(random.time(30)).await;
            let records = books.records(1 + random.below(3));
            let was_late = books.with(|pages| pages.fenced.get(&stream).is_some_and(|last| *last > epoch));
            let at = AppendAt { epoch, expected };
            let outcome = journal.append(&run(stream), at, records.clone()).await;
            books.with(|pages| pages.appended(stream, at, (records, was_late), &outcome));
            match outcome {
                Ok(end) => expected = end,
                // It goes on now and then, as one does that does not look.
                Err(JournalError::Fenced { .. }) if random.one_in(2) => {}
                Err(_) => break,
            }
        }
    }
}

/// Reads a stream; what is in the way now and then is not for long.
async fn read_at_last(node: &Node, stream: usize) -> Option<Vec<Vec<u8>>> {
    for _ in 0..100 {
        if let Some(system) = node.try_system()
            && let Ok(records) = system.journal().read(&run(stream), 0).await
        {
            return Some(records);
        }
        sleep(Duration::from_secs(1)).await;
    }
    None
}

/// Runs on a node, and returns what does not hold.
pub(super) async fn run_on(node: Node, world: &World) -> Option<String> {
    let (books, mut writers) = (Books::default(), JoinSet::new());
    for writer in 0..WRITERS {
        writers.spawn(write(node.clone(), world.clone(), books.clone(), writer));
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("no panic");
    }
    sleep(Duration::from_mins(2)).await;
    for stream in 0..STREAMS {
        let Some(records) = read_at_last(&node, stream).await else {
            return Some(format!("journal: nothing is wrong for long any more, and stream {stream} cannot be read"));
        };
        let problem = books.with(|pages| {
            pages.read(stream, records.clone());
            pages.wrong.first().cloned().or_else(|| pages.problem(stream, &records))
        });
        if problem.is_some() {
            return problem;
        }
    }
    None
}
