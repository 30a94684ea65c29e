//! Streams in memory: what a journal's writes make of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AtMost, Epoch, Head, JournalError, Part, Place, Seq, Snapshot, StreamInfo, Upto, Write, Written};
use crate::id::StreamId;

/// All streams of a journal that keeps them in memory, whatever else it keeps.
#[derive(Debug, Default)]
pub(crate) struct Streams(BTreeMap<StreamId, Stream>);

#[derive(Debug, Default)]
struct Stream {
    head: Head,
    /// Those that are kept, each with the epoch that wrote it.
    records: Vec<(Epoch, Vec<u8>)>,
    snapshot: Option<Snapshot>,
}

/// What a write that is allowed does to its stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Fence(String),
    Append(Vec<Vec<u8>>),
    Snapshot(Snapshot),
    Prune(Upto),
}

impl Streams {
    /// Carries out writes, each by itself.
    pub(crate) fn write(&mut self, batch: Vec<Write>) -> Vec<Result<Written, JournalError>> {
        let write = |write: Write| {
            let stream = write.stream().clone();
            let (written, change) = self.decide(write)?;
            if let Some(change) = change {
                self.apply(&stream, change);
            }
            Ok(written)
        };
        batch.into_iter().map(write).collect()
    }

    /// Says what comes of a write, and what it changes; nothing where it only says again what was done.
    pub(crate) fn decide(&self, write: Write) -> Result<(Written, Option<Change>), JournalError> {
        let nothing = Stream::default();
        let stream = self.0.get(write.stream()).unwrap_or(&nothing);
        let head = &stream.head;
        match write {
            Write::Fence { owner, .. } => {
                let epoch = head.clone().fence(&owner);
                Ok((Written::Epoch(epoch), Some(Change::Fence(owner))))
            }
            Write::Append { at, records, .. } => match head.place(at, records.len())? {
                Place::End => {
                    let last = head.clone().appended(records.len());
                    Ok((Written::Seq(last), Some(Change::Append(records))))
                }
                Place::Before if stream.holds((at.epoch, at.expected), &records) => {
                    Ok((Written::Seq(at.expected + records.len() as Seq), None))
                }
                Place::Before => Err(head.moved(at)),
            },
            Write::Snapshot { epoch, snapshot, .. } => {
                let saves = head.saves(epoch, snapshot.seq)?;
                Ok((Written::Done, saves.then_some(Change::Snapshot(snapshot))))
            }
            Write::Prune { epoch, upto, .. } => {
                head.right(epoch)?;
                Ok((Written::Done, Some(Change::Prune(upto))))
            }
        }
    }

    /// Does what was decided.
    pub(crate) fn apply(&mut self, stream: &StreamId, change: Change) {
        let stream = self.0.entry(stream.clone()).or_default();
        let head = &mut stream.head;
        match change {
            Change::Fence(owner) => {
                head.fence(&owner);
            }
            Change::Append(records) => {
                head.appended(records.len());
                let epoch = head.epoch();
                stream.records.extend(records.into_iter().map(|record| (epoch, record)));
            }
            Change::Snapshot(snapshot) => {
                head.saved(snapshot.seq);
                stream.snapshot = Some(snapshot);
            }
            Change::Prune(Upto::Snapshot) => {
                let before = head.first();
                let gone = (head.prune_to_snapshot() + 1).saturating_sub(before);
                stream.records.drain(..usize::try_from(gone).unwrap_or(usize::MAX).min(stream.records.len()));
            }
            Change::Prune(Upto::All) => {
                head.prune_all();
                stream.records.clear();
                stream.snapshot = None;
            }
        }
    }

    pub(crate) fn read(&self, stream: &StreamId, after: Seq) -> Result<Vec<Vec<u8>>, JournalError> {
        let Some(stream) = self.0.get(stream) else { return Ok(Vec::new()) };
        stream.head.can_read(after)?;
        Ok(stream.after(after).map(|(_, record)| record.clone()).collect())
    }

    pub(crate) fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> Result<Part, JournalError> {
        let Some(stream) = self.0.get(stream) else { return Ok(Part::default()) };
        stream.head.can_read(after)?;
        let fit = most.fits(stream.after(after).map(|(_, record)| record.len()));
        let mut rest = stream.after(after);
        let records = rest.by_ref().take(fit).map(|(_, record)| record.clone()).collect();
        Ok(Part { records, more: rest.next().is_some() })
    }

    pub(crate) fn snapshot(&self, stream: &StreamId) -> Option<Snapshot> {
        self.0.get(stream)?.snapshot.clone()
    }

    pub(crate) fn list(&self, prefix: &str) -> Vec<StreamInfo> {
        let found =
            self.0.iter().filter(|(id, stream)| id.as_str().starts_with(prefix) && stream.head.holds_something());
        found.map(|(id, stream)| stream.head.info(id)).collect()
    }
}

impl Stream {
    /// The records after this number that are kept.
    fn after(&self, after: Seq) -> impl Iterator<Item = &(Epoch, Vec<u8>)> {
        let skip = after.saturating_sub(self.head.first() - 1);
        self.records.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    /// Whether exactly these records stand after this number, written by this epoch.
    fn holds(&self, (epoch, after): (Epoch, Seq), records: &[Vec<u8>]) -> bool {
        let mut there = self.after(after);
        records.iter().all(|record| there.next().is_some_and(|(by, kept)| *by == epoch && kept == record))
    }
}

impl Head {
    /// What is known of a stream with this head.
    #[must_use]
    pub fn info(&self, stream: &StreamId) -> StreamInfo {
        StreamInfo {
            stream: stream.clone(),
            first: self.first(),
            last: self.last(),
            epoch: self.epoch(),
            owner: self.owner().to_owned(),
        }
    }
}
