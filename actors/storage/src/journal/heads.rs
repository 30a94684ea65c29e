//! Where the streams stand that were lately written to, so that a write need not ask the database.

use std::collections::HashMap;

use steadfast::id::StreamId;
use steadfast::seam::Head;

/// A stream as the database has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its row; 0 where it has none.
    pub(crate) row: i64,
    pub(crate) head: Head,
}

/// At least the last `bound` streams that were used, and at most twice as many.
#[derive(Debug)]
pub(crate) struct Heads {
    bound: usize,
    young: HashMap<StreamId, Known>,
    old: HashMap<StreamId, Known>,
}

impl Heads {
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn get(&mut self, stream: &StreamId) -> Option<&Known> {
        if !self.young.contains_key(stream) {
            let (stream, known) = self.old.remove_entry(stream)?;
            self.put(stream, known);
        }
        self.young.get(stream)
    }

    pub(crate) fn put(&mut self, stream: StreamId, known: Known) {
        if self.young.len() >= self.bound && !self.young.contains_key(&stream) {
            // Whoever was not used since the last time that this happened is forgotten.
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(stream, known);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: i64) -> StreamId {
        format!("s/{number}").parse().expect("a stream id")
    }

    #[test]
    fn the_last_ones_that_were_used_are_known_and_never_more_than_twice_as_many() {
        let mut heads = Heads::new(3);
        for number in 0..100 {
            heads.put(stream(number), Known { row: number, head: Head::default() });
            assert!(heads.young.len() + heads.old.len() <= 6);
            assert_eq!(heads.get(&stream(0)).map(|known| known.row), Some(0), "it was used each time, at {number}");
            for used in (number - 1).max(0)..=number {
                assert_eq!(heads.get(&stream(used)).map(|known| known.row), Some(used), "at {number}");
            }
        }
        assert_eq!(heads.get(&stream(50)), None);
        heads.clear();
        assert_eq!(heads.get(&stream(99)), None);
    }
}
