//! What a batch of writes makes of the streams, before any of it is written: values only.
//!
//! Every write is decided by the [`Head`] of its stream, which sees what those before it did. What is left in the end is
//! for each stream how it differs from what the database has, so that the order in which that is written does not
//! matter.

use std::collections::BTreeMap;

use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, Head, JournalError, Place, Seq, Snapshot, Upto, Write, Written};

use super::heads::Known;
use super::tail::{Block, Tail};
use crate::block::Kept;

/// The streams that a batch is about.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The row of the next stream that has none.
    next_row: i64,
    streams: BTreeMap<StreamId, Touched>,
}

/// A stream, and what the batch does to it.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub(crate) known: Known,
    /// Its row is to be written: it was fenced or pruned.
    pub(crate) row_changed: bool,
    /// Its records up to this number are to go.
    pub(crate) pruned: Option<Seq>,
    /// The number of the first new record.
    pub(crate) first_new: Seq,
    pub(crate) new: Vec<Kept>,
    pub(crate) snapshot: Option<Change>,
}

/// What happens to the snapshot of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Save(Snapshot),
    Forget,
}

/// What came of a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// This is the answer, once the batch is kept.
    Answer(Result<Written, JournalError>),
    /// It is an append once more if its records stand there already, and [`moved`](Draft::moved) otherwise.
    IfThere(AppendAt),
}

impl Draft {
    /// Nothing yet, for streams that are known so far.
    pub(crate) fn new(next_row: i64, known: impl IntoIterator<Item = (StreamId, Known)>) -> Self {
        let touched = |(stream, known)| (stream, Touched { known, ..Touched::default() });
        Self { next_row, streams: known.into_iter().map(touched).collect() }
    }

    /// The row that the next new stream gets.
    pub(crate) const fn next_row(&self) -> i64 {
        self.next_row
    }

    /// What the batch does, by stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&StreamId, &Touched)> {
        self.streams.iter()
    }

    pub(crate) fn into_streams(self) -> impl Iterator<Item = (StreamId, Touched)> {
        self.streams.into_iter()
    }

    pub(crate) fn get(&self, stream: &StreamId) -> Option<&Touched> {
        self.streams.get(stream)
    }

    /// Whether there is nothing to be written.
    pub(crate) fn changes_nothing(&self) -> bool {
        self.streams.values().all(Touched::is_as_it_was)
    }

    /// Decides a write.
    pub(crate) fn decide(&mut self, write: &Write) -> Decided {
        let touched = self.streams.entry(write.stream().clone()).or_default();
        let outcome = match write {
            Write::Fence { owner, .. } => {
                if touched.known.row == 0 {
                    touched.known.row = self.next_row;
                    self.next_row += 1;
                }
                touched.row_changed = true;
                Ok(Written::Epoch(touched.known.head.fence(owner)))
            }
            Write::Append { at, records, .. } => match touched.known.head.place(*at, records.len()) {
                Ok(Place::End) => Ok(Written::Seq(touched.append(records))),
                Ok(Place::Before) => return Decided::IfThere(*at),
                Err(error) => Err(error),
            },
            Write::Snapshot { epoch, snapshot, .. } => touched.known.head.saves(*epoch, snapshot.seq).map(|saves| {
                if saves {
                    touched.known.head.saved(snapshot.seq);
                    touched.snapshot = Some(Change::Save(snapshot.clone()));
                }
                Written::Done
            }),
            Write::Prune { epoch, upto, .. } => touched.known.head.right(*epoch).map(|()| {
                touched.prune(*upto);
                Written::Done
            }),
        };
        Decided::Answer(outcome)
    }

    /// The new records, each with the row of its stream and its number.
    pub(crate) fn records(&self) -> impl Iterator<Item = (i64, Seq, &Kept)> {
        let of = |touched: &'_ Touched| touched.known.row;
        self.streams.values().flat_map(move |touched| {
            (touched.first_new..).zip(&touched.new).map(move |(seq, kept)| (of(touched), seq, kept))
        })
    }

    /// Whether it holds records for the tail, and nothing else.
    pub(crate) fn only_appends(&self, tail: &Tail) -> bool {
        self.streams.values().all(Touched::only_grew) && self.records().next().is_some() && !self.seals(tail)
    }

    /// How many bytes the new records have.
    pub(crate) fn bytes(&self) -> usize {
        self.records().map(|(_, _, kept)| kept.body.len()).sum()
    }

    /// Whether the tail is full with the new records.
    pub(crate) fn seals(&self, tail: &Tail) -> bool {
        tail.is_full_with(self.records().count(), self.bytes())
    }

    /// The blocks into which the tail is moved, together with the new records.
    pub(crate) fn blocks(&self, tail: &Tail) -> Vec<Block> {
        let mut whole = tail.clone();
        for touched in self.streams.values() {
            if let Some(pruned) = touched.pruned {
                whole.prune(touched.known.row, pruned);
            }
        }
        for (row, seq, kept) in self.records() {
            whole.push(row, seq, kept.clone());
        }
        whole.blocks()
    }

    /// The refusal of an append whose records do not stand there.
    pub(crate) fn moved(&self, stream: &StreamId, at: AppendAt) -> JournalError {
        self.get(stream).map_or_else(|| Head::default().moved(at), |touched| touched.known.head.moved(at))
    }
}

impl Touched {
    fn append(&mut self, records: &[Vec<u8>]) -> Seq {
        let head = &mut self.known.head;
        if self.new.is_empty() {
            self.first_new = head.last() + 1;
        }
        let epoch = head.epoch().0;
        head.appended(records.len());
        self.new.extend(records.iter().map(|body| Kept { epoch, body: body.clone() }));
        head.last()
    }

    fn prune(&mut self, upto: Upto) {
        let head = &mut self.known.head;
        match upto {
            Upto::Snapshot => {
                head.prune_to_snapshot();
            }
            Upto::All => {
                head.prune_all();
                self.snapshot = Some(Change::Forget);
            }
        }
        let pruned = head.first() - 1;
        self.row_changed = true;
        self.pruned = Some(pruned);
        let gone = usize::try_from((pruned + 1).saturating_sub(self.first_new)).unwrap_or(usize::MAX);
        let gone = gone.min(self.new.len());
        self.new.drain(..gone);
        self.first_new += gone as Seq;
    }

    /// The new record with this number.
    pub(crate) fn new_record(&self, seq: Seq) -> Option<&Kept> {
        self.new.get(usize::try_from(seq.checked_sub(self.first_new)?).ok()?)
    }

    fn is_as_it_was(&self) -> bool {
        self.only_grew() && self.new.is_empty()
    }

    /// Nothing but records is new.
    fn only_grew(&self) -> bool {
        !self.row_changed && self.pruned.is_none() && self.snapshot.is_none()
    }
}

#[cfg(test)]
mod tests {
    use steadfast::seam::Epoch;

    use super::*;

    fn stream() -> StreamId {
        "s/1".parse().expect("a stream id")
    }

    fn append(expected: Seq, records: usize) -> Write {
        let at = AppendAt { epoch: Epoch(1), expected };
        Write::Append { stream: stream(), at, records: vec![vec![7; 10]; records] }
    }

    fn of(writes: &[Write]) -> Draft {
        let mut draft = Draft::new(5, []);
        for write in writes {
            let decided = draft.decide(write);
            assert!(matches!(decided, Decided::Answer(Ok(_))), "{decided:?}");
        }
        draft
    }

    fn snapshot(seq: Seq) -> Write {
        Write::Snapshot { stream: stream(), epoch: Epoch(1), snapshot: Snapshot { seq, bytes: vec![1] } }
    }

    #[test]
    fn of_what_a_batch_appends_and_prunes_only_the_rest_is_written() {
        let fence = Write::Fence { stream: stream(), owner: "me".to_owned() };
        let prune = |upto| Write::Prune { stream: stream(), epoch: Epoch(1), upto };
        let numbers = |draft: &Draft| draft.records().map(|(row, seq, _)| (row, seq)).collect::<Vec<_>>();

        let draft = of(&[fence.clone(), append(0, 3), snapshot(2), prune(Upto::Snapshot), append(3, 1)]);
        assert_eq!(numbers(&draft), [(5, 3), (5, 4)]);
        assert_eq!(draft.next_row(), 6);

        let draft = of(&[fence, append(0, 3), snapshot(2), prune(Upto::All), append(3, 2)]);
        assert_eq!(numbers(&draft), [(5, 4), (5, 5)]);
        assert_eq!(draft.get(&stream()).and_then(|touched| touched.snapshot.as_ref()), Some(&Change::Forget));
        assert_eq!(draft.bytes(), 20);
    }

    #[test]
    fn what_is_refused_or_said_again_changes_nothing() {
        let mut draft = Draft::new(1, []);
        assert!(matches!(draft.decide(&append(0, 1)), Decided::Answer(Err(JournalError::Fenced { .. }))));
        assert!(draft.changes_nothing() && draft.next_row() == 1);
        let known = Known { row: 1, head: Head::found((Epoch(1), "me".to_owned()), (0, 3), Some(2)) };
        let mut draft = Draft::new(2, [(stream(), known)]);
        let at = AppendAt { epoch: Epoch(1), expected: 1 };
        assert_eq!(draft.decide(&append(1, 2)), Decided::IfThere(at));
        let moved = JournalError::Moved { expected: 9, actual: 3 };
        assert_eq!(draft.decide(&append(9, 2)), Decided::Answer(Err(moved)));
        assert_eq!(draft.decide(&append(3, 0)), Decided::Answer(Ok(Written::Seq(3))));
        assert_eq!(draft.decide(&snapshot(1)), Decided::Answer(Ok(Written::Done)), "there is a later one");
        assert!(draft.changes_nothing());
    }
}
