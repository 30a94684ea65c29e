//! The youngest records, in memory as in the table `tail`: what is to be moved into blocks, and can be compared with.

use std::collections::BTreeMap;

use steadfast::seam::Seq;

use crate::block::{Kept, encode};

/// How many records the tail holds before it is moved into blocks.
const MOST_RECORDS: usize = 4096;

/// How many bytes it holds before that.
const MOST_BYTES: usize = 1 << 20;

/// How many bytes a block has about, so that reading the end of a stream does not read all of it.
const BLOCK: usize = 64 << 10;

/// What the table `tail` holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    /// More than one part only where records are missing in between: what is damaged is kept as it is.
    streams: BTreeMap<i64, Vec<Part>>,
    records: usize,
    bytes: usize,
}

/// The records of one stream that stand in the tail, one right after the other.
#[derive(Clone, Debug)]
struct Part {
    first: Seq,
    kept: Vec<Kept>,
}

impl Part {
    const fn last(&self) -> Seq {
        self.first + self.kept.len() as Seq - 1
    }
}

/// Records in a row that belong into one row of the table `blocks`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) stream: i64,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) body: Vec<u8>,
}

impl Tail {
    /// Whether it is to be moved into blocks once it also holds so many more.
    pub(crate) const fn is_full_with(&self, records: usize, bytes: usize) -> bool {
        self.records + records >= MOST_RECORDS || self.bytes + bytes >= MOST_BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The number of the last record of a stream.
    pub(crate) fn last(&self, stream: i64) -> Option<Seq> {
        self.streams.get(&stream)?.last().map(Part::last)
    }

    pub(crate) fn get(&self, stream: i64, seq: Seq) -> Option<&Kept> {
        let in_part = |part: &'_ Part| usize::try_from(seq.checked_sub(part.first)?).ok();
        self.streams.get(&stream)?.iter().find_map(|part| part.kept.get(in_part(part)?))
    }

    /// Takes in a record. A stream's records come in their order.
    pub(crate) fn push(&mut self, stream: i64, seq: Seq, kept: Kept) {
        self.records += 1;
        self.bytes += kept.body.len();
        let parts = self.streams.entry(stream).or_default();
        match parts.last_mut() {
            Some(part) if part.last() + 1 == seq => part.kept.push(kept),
            _ => parts.push(Part { first: seq, kept: vec![kept] }),
        }
    }

    /// Forgets the records of a stream up to this number.
    pub(crate) fn prune(&mut self, stream: i64, upto: Seq) {
        let Some(parts) = self.streams.get_mut(&stream) else { return };
        for part in &mut *parts {
            let gone = usize::try_from((upto + 1).saturating_sub(part.first)).unwrap_or(usize::MAX);
            let gone = gone.min(part.kept.len());
            self.records -= gone;
            self.bytes -= part.kept.drain(..gone).map(|kept| kept.body.len()).sum::<usize>();
            part.first += gone as Seq;
        }
        parts.retain(|part| !part.kept.is_empty());
        if parts.is_empty() {
            self.streams.remove(&stream);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What it holds, as blocks.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let parts = self.streams.iter().flat_map(|(stream, parts)| parts.iter().map(|part| (*stream, part)));
        for (stream, Part { first, kept }) in parts {
            let mut first = *first;
            let mut rest = kept.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(fitting(rest));
                let last = first + now.len() as Seq - 1;
                blocks.push(Block { stream, first, last, body: encode(now) });
                (first, rest) = (last + 1, later);
            }
        }
        blocks
    }
}

/// How many of these records fit into a block: one at least.
fn fitting(records: &[Kept]) -> usize {
    let mut bytes = 0;
    let fit = records.iter().take_while(|kept| {
        bytes += kept.body.len();
        bytes <= BLOCK
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::decode;

    fn kept(length: usize) -> Kept {
        Kept { epoch: 1, body: vec![1; length] }
    }

    #[test]
    fn blocks_hold_every_record_once_in_order_and_are_not_much_too_long() {
        let mut tail = Tail::default();
        let lengths = [0, 100, 40_000, 40_000, 200_000, 5, 5];
        for (seq, length) in (7..).zip(lengths) {
            tail.push(2, seq, kept(length));
        }
        tail.push(1, 1, kept(3));
        let blocks = tail.blocks();
        let places: Vec<_> = blocks.iter().map(|block| (block.stream, block.first, block.last)).collect();
        assert_eq!(places, [(1, 1, 1), (2, 7, 9), (2, 10, 10), (2, 11, 11), (2, 12, 13)]);
        let all: Vec<_> = blocks[1..].iter().flat_map(|block| decode(&block.body).0).collect();
        assert_eq!(all, lengths.map(kept));
    }

    #[test]
    fn records_that_are_missing_are_missing_in_the_blocks_too() {
        let mut tail = Tail::default();
        for seq in [3, 4, 6, 7, 7, 8] {
            tail.push(1, seq, kept(1));
        }
        let places: Vec<_> = tail.blocks().iter().map(|block| (block.first, block.last)).collect();
        assert_eq!(places, [(3, 4), (6, 7), (7, 8)]);
        assert_eq!((tail.last(1), tail.get(1, 5), tail.get(1, 8)), (Some(8), None, Some(&kept(1))));
        tail.prune(1, 6);
        assert_eq!(tail.blocks().iter().map(|block| (block.first, block.last)).collect::<Vec<_>>(), [(7, 7), (7, 8)]);
    }

    #[test]
    fn what_was_pruned_is_gone_and_the_rest_keeps_its_numbers() {
        let mut tail = Tail::default();
        for seq in 5..10 {
            tail.push(1, seq, kept(usize::try_from(seq).expect("a small number")));
        }
        tail.prune(1, 3);
        tail.prune(2, 3);
        assert_eq!((tail.records, tail.last(1)), (5, Some(9)));
        tail.prune(1, 7);
        assert_eq!((tail.records, tail.bytes, tail.last(1)), (2, 17, Some(9)));
        assert_eq!((tail.get(1, 7), tail.get(1, 8), tail.get(1, 10)), (None, Some(&kept(8)), None));
        tail.prune(1, 20);
        assert!(tail.is_empty() && tail.streams.is_empty() && tail.bytes == 0);
    }

    #[test]
    fn a_tail_is_full_by_records_or_by_bytes() {
        let tail = Tail::default();
        assert!(!tail.is_full_with(MOST_RECORDS - 1, MOST_BYTES - 1));
        assert!(tail.is_full_with(MOST_RECORDS, 0) && tail.is_full_with(1, MOST_BYTES));
    }
}
