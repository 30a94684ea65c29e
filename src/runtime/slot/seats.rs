//! Where the gauges of all slots lie: in blocks, side by side, so that whoever chooses among many slots finds them in
//! few pages of memory, and not one in each of the pages that the slots themselves are spread over.
//!
//! The blocks are the process's and not a system's, as its heap is.
//!
//! # Invariants
//!
//! * A gauge never moves, and is of one slot as long as anybody holds its seat.
//! * A block of which no seat is held is freed, but for one.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::gauge::Gauge;
use crate::runtime::guard::lock;

/// How many gauges a block holds: a page of them, and as many as a word has bits. A block that one slot keeps alive is
/// not much of a loss.
const SEATS: usize = 64;

static ROOMY: Mutex<Roomy> = Mutex::new(Roomy { next: 0, blocks: BTreeMap::new() });

/// The blocks with free seats, the oldest first, so that the younger ones may become empty.
struct Roomy {
    next: u64,
    blocks: BTreeMap<u64, Arc<Block>>,
}

/// Gauges side by side.
pub(crate) struct Block {
    number: u64,
    /// A bit for each seat that is free. Changed under the lock of the blocks.
    free: AtomicU64,
    gauges: [Gauge; SEATS],
}

impl Block {
    pub(crate) fn gauge(&self, place: u32) -> &Gauge {
        &self.gauges[place as usize % SEATS]
    }
}

/// The gauge of one slot. Dropped, it is free for another.
pub(crate) struct Seat {
    block: Arc<Block>,
    place: u32,
}

impl Seat {
    /// The block, and the place in it. Good as long as the seat is held.
    pub(crate) fn address(&self) -> (&Arc<Block>, u32) {
        (&self.block, self.place)
    }
}

impl Default for Seat {
    fn default() -> Self {
        let mut roomy = lock(&ROOMY);
        if roomy.blocks.is_empty() {
            let number = roomy.next;
            roomy.next += 1;
            let gauges = std::array::from_fn(|_| Gauge::default());
            roomy.blocks.insert(number, Arc::new(Block { number, free: AtomicU64::new(u64::MAX), gauges }));
        }
        let (_, block) = roomy.blocks.first_key_value().expect("one was made where there was none");
        let block = Arc::clone(block);
        let free = block.free.load(Ordering::Relaxed);
        let place = free.trailing_zeros();
        let left = free & !(1 << place);
        block.free.store(left, Ordering::Relaxed);
        if left == 0 {
            roomy.blocks.remove(&block.number);
        }
        drop(roomy);
        block.gauge(place).reset();
        Self { block, place }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut roomy = lock(&ROOMY);
        let free = self.block.free.load(Ordering::Relaxed) | 1 << self.place;
        self.block.free.store(free, Ordering::Relaxed);
        if free != u64::MAX {
            let block = || Arc::clone(&self.block);
            roomy.blocks.entry(self.block.number).or_insert_with(block);
        } else if roomy.blocks.len() > 1 {
            roomy.blocks.remove(&self.block.number);
        }
    }
}

impl Deref for Seat {
    type Target = Gauge;

    fn deref(&self) -> &Gauge {
        self.block.gauge(self.place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seats_that_are_held_are_different_ones_and_a_seat_that_is_taken_again_knows_nothing_of_before() {
        let place = |seat: &Seat| std::ptr::from_ref::<Gauge>(seat) as usize;
        let seats: Vec<Seat> = (0..1000).map(|_| Seat::default()).collect();
        assert_eq!(seats.iter().map(place).collect::<BTreeSet<_>>().len(), seats.len());
        for seat in &seats {
            seat.set_waiting(3);
            seat.set_hung(true);
        }
        let kept: Vec<Seat> = seats.into_iter().step_by(7).collect();
        let others: Vec<Seat> = (0..1000).map(|_| Seat::default()).collect();
        let all: BTreeSet<_> = kept.iter().chain(&others).map(place).collect();
        assert_eq!(all.len(), kept.len() + others.len());
        assert!(others.iter().all(|seat| seat.queued() == 0 && !seat.seen().hung));
        assert!(kept.iter().all(|seat| seat.queued() == 3 && seat.seen().hung));
    }

    #[test]
    fn a_gauge_has_its_cache_line_to_itself() {
        assert_eq!((size_of::<Gauge>(), align_of::<Gauge>()), (64, 64));
    }
}
