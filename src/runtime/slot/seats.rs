//! Where the gauges of all slots lie: in blocks, side by side, so that whoever chooses among many slots finds them in
//! few pages of memory, and not one in each of the pages that the slots themselves are spread over.
//!
//! The blocks are the process's and not a system's, as its heap is, and stay: there are as many as there were slots at
//! once. So a gauge is reached without counting who reaches it.
//!
//! # Invariants
//!
//! * A gauge is of one slot as long as its seat is held, and then of another.

use std::ops::Deref;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::gauge::Gauge;
use crate::runtime::guard::lock;

/// How many gauges a block holds: a page of them.
const BLOCK: usize = 64;

/// Those that are of no slot.
static FREE: Mutex<Vec<&'static Gauge>> = Mutex::new(Vec::new());

/// The gauge of one slot. Once the last copy is dropped, it is free for another. The count is in the gauge, so that a slot
/// has no allocation for it.
pub(crate) struct Seat(&'static Gauge);

impl Seat {
    /// Where it is; of this slot as long as the seat is held.
    pub(crate) const fn gauge(&self) -> &'static Gauge {
        self.0
    }
}

impl Default for Seat {
    fn default() -> Self {
        let free = lock(&FREE).pop();
        let gauge = free.unwrap_or_else(|| {
            let block: Box<[Gauge]> = (0..BLOCK).map(|_| Gauge::default()).collect();
            let (first, others) = Box::leak(block).split_first().expect("a block is not empty");
            // The next one is taken from the end.
            lock(&FREE).extend(others.iter().rev());
            first
        });
        gauge.reset();
        gauge.holders.store(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Clone for Seat {
    fn clone(&self) -> Self {
        self.0.holders.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            lock(&FREE).push(self.0);
        }
    }
}

impl Deref for Seat {
    type Target = Gauge;

    fn deref(&self) -> &Gauge {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seats_that_are_held_are_different_ones_and_a_seat_that_is_taken_again_knows_nothing_of_before() {
        let place = |seat: &Seat| std::ptr::from_ref(seat.gauge()) as usize;
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
    fn a_gauge_is_free_for_another_slot_once_the_last_copy_of_its_seat_is_gone() {
        let (first, place) = (Seat::default(), |seat: &Seat| std::ptr::from_ref(seat.gauge()));
        let copy = first.clone();
        let at = place(&first);
        drop(first);
        let others: Vec<Seat> = (0..1000).map(|_| Seat::default()).collect();
        assert!(others.iter().all(|seat| place(seat) != at));
        copy.set_waiting(3);
        assert_eq!((place(&copy), copy.queued()), (at, 3));
    }

    #[test]
    fn a_gauge_has_its_cache_line_to_itself() {
        assert_eq!((size_of::<Gauge>(), align_of::<Gauge>()), (64, 64));
    }
}
