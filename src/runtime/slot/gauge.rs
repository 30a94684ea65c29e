//! What is read of a slot when somebody is chosen: without a lock, and as it was a moment ago.
//!
//! # Invariants
//!
//! * Each number is written where what it says is changed, so it is late by no more than that step.
//! * Two numbers that are read one after the other need not be of the same moment: who is chosen is somebody who was
//!   eligible when looked at.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Presence;
use crate::lifecycle::StateName;
use crate::registry::ewma::PeakEwma;
use crate::registry::selection::{Standing, View};

/// The open life was found to hang, and has not been replaced yet.
const HUNG: u8 = 1;
/// The shell is to look at what it is told.
const CALLED: u8 = 2;
/// It takes no new work any more, and another life follows.
const FOLLOWED: u8 = 4;
/// It takes no new work any more, for good.
const CLOSED: u8 = 8;
/// The inbox keeps stamps, as far as was known a moment ago.
const LANES: u8 = 16;

/// The numbers of one slot: what is read of it at a choice is in one cache line, which it shares with no other slot, so
/// that agents on two threads do not take it from each other at every message.
#[repr(align(64))]
pub(crate) struct Gauge {
    presence: AtomicU8,
    /// The state of the life, by its number.
    state: AtomicU8,
    /// Which of the marks above are set.
    marks: AtomicU8,
    /// How many seats there are on it.
    pub(super) holders: AtomicU32,
    /// Messages in the mailbox.
    waiting: AtomicUsize,
    /// Messages that were taken out of it and not finished, the one that is being handled included.
    in_hand: AtomicUsize,
    /// Tasks that run. The last one of a life may end after it.
    tasks: AtomicUsize,
    latency: Latency,
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            presence: AtomicU8::new(Presence::Awaited as u8),
            state: AtomicU8::new(StateName::Unregistered.as_u8()),
            marks: AtomicU8::new(0),
            holders: AtomicU32::new(0),
            waiting: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
            latency: Latency::default(),
        }
    }
}

impl Gauge {
    /// As of a new slot.
    pub(super) fn reset(&self) {
        self.set_presence(Presence::Awaited);
        self.set_state(StateName::Unregistered);
        self.set_hung(false);
        self.set_closed(None);
        self.set_called(false);
        self.set_lanes(false);
        self.set_waiting(0);
        self.set_in_hand(0);
        self.tasks.store(0, Ordering::Relaxed);
        self.latency.average.store(0, Ordering::Release);
    }

    pub(super) fn set_called(&self, called: bool) {
        self.mark(CALLED, called);
    }

    #[inline]
    pub(super) fn is_called(&self) -> bool {
        self.is_marked(CALLED)
    }

    pub(super) fn set_presence(&self, presence: Presence) {
        self.presence.store(presence as u8, Ordering::Release);
    }

    #[inline]
    pub(crate) fn presence(&self) -> Presence {
        match self.presence.load(Ordering::Acquire) {
            0 => Presence::Awaited,
            1 => Presence::Live,
            2 => Presence::Dozing,
            3 => Presence::Resting,
            _ => Presence::Closed,
        }
    }

    /// The life is in this state.
    pub(super) fn set_state(&self, state: StateName) {
        self.state.store(state.as_u8(), Ordering::Release);
    }

    #[inline]
    fn is_in(&self, state: StateName) -> bool {
        self.state.load(Ordering::Acquire) == state.as_u8()
    }

    /// The mailbox holds so many; said by who holds its lock.
    pub(super) fn set_waiting(&self, count: usize) {
        self.waiting.store(count, Ordering::Relaxed);
    }

    /// So many messages are taken and not finished; said by the life that holds them.
    pub(super) fn set_in_hand(&self, count: usize) {
        self.in_hand.store(count, Ordering::Relaxed);
    }

    /// Messages that wait or are being handled.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) + self.in_hand.load(Ordering::Relaxed)
    }

    /// A task of a life begins.
    pub(crate) fn task_begins(&self) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
    }

    /// A task of a life is over.
    pub(crate) fn task_ends(&self) {
        self.tasks.fetch_sub(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }

    pub(crate) fn set_hung(&self, hung: bool) {
        self.mark(HUNG, hung);
    }

    /// It takes no new work any more: whether another life follows, for which what is sent now can wait. `None` where it
    /// takes new work.
    pub(super) fn set_closed(&self, followed: Option<bool>) {
        self.mark(FOLLOWED, followed == Some(true));
        self.mark(CLOSED, followed == Some(false));
    }

    /// Whether the inbox has lanes, which keep stamps.
    pub(super) fn set_lanes(&self, has_lanes: bool) {
        self.mark(LANES, has_lanes);
    }

    #[inline]
    pub(super) fn has_lanes(&self) -> bool {
        self.is_marked(LANES)
    }

    /// It ends, and no other life follows by itself: routes do not choose it any more. Who names it may send until then.
    pub(crate) fn set_ends_for_good(&self) {
        self.mark(CLOSED, true);
    }

    fn mark(&self, mark: u8, set: bool) {
        if set {
            self.marks.fetch_or(mark, Ordering::AcqRel);
        } else {
            self.marks.fetch_and(!mark, Ordering::AcqRel);
        }
    }

    #[inline]
    fn is_marked(&self, mark: u8) -> bool {
        self.marks.load(Ordering::Acquire) & mark != 0
    }

    /// Somebody who asked was answered after so long. Moments are given as the time since the system began.
    pub(crate) fn answered(&self, now: Duration, latency: Duration) {
        self.latency.observe(now, latency);
    }

    /// How the slot stands, without its latency.
    #[inline]
    pub(crate) fn seen(&self) -> View {
        let queued = self.queued();
        let standing = match self.presence() {
            // It takes no new work, or does none until it is resumed.
            Presence::Live if self.is_marked(FOLLOWED) => Standing::Awaited(queued),
            Presence::Live if self.is_marked(CLOSED) => Standing::Away,
            // It ends, and the door is open: what comes waits for the next life, as between two.
            Presence::Live if self.is_in(StateName::Draining) => Standing::Awaited(queued),
            Presence::Live if self.is_in(StateName::Suspended) => Standing::Awaited(queued),
            Presence::Live => Standing::Live(queued + self.tasks()),
            Presence::Dozing => Standing::AtRest,
            Presence::Awaited => Standing::Awaited(queued),
            Presence::Resting | Presence::Closed => Standing::Away,
        };
        let view = View::of(standing);
        if self.is_marked(HUNG) { view.hung() } else { view }
    }

    /// How long it took lately to answer; `None` before the first answer. Asks for the moment only where it needs it.
    #[inline]
    pub(crate) fn latency(&self, now: impl FnOnce() -> Duration) -> Option<Duration> {
        self.latency.at(now)
    }
}

/// A [`PeakEwma`] in two words. Of two answers at the same instant one may be forgotten, and a reader may see the
/// average of one with the moment of the other: it is a measure, not a count.
#[derive(Default)]
struct Latency {
    /// The average in nanoseconds, plus one; 0 before the first answer.
    average: AtomicU64,
    /// The moment of it, in nanoseconds.
    at: AtomicU64,
}

impl Latency {
    fn get(&self) -> PeakEwma {
        let average = self.average.load(Ordering::Acquire).checked_sub(1).map(Duration::from_nanos);
        let at = Duration::from_nanos(self.at.load(Ordering::Relaxed));
        PeakEwma::restore(PeakEwma::DEFAULT_DECAY, average.map(|average| (average, at)))
    }

    /// As [`PeakEwma::at`], in nanoseconds all the way: it is read twice for each choice of two.
    #[expect(clippy::cast_precision_loss, reason = "a measure, and far below 2^52 where that matters")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not above what it was made of")]
    #[inline]
    fn at(&self, now: impl FnOnce() -> Duration) -> Option<Duration> {
        const DECAY: f64 = PeakEwma::DEFAULT_DECAY.as_nanos() as f64;
        let average = self.average.load(Ordering::Acquire).checked_sub(1)?;
        let silence = nanos(now()).saturating_sub(self.at.load(Ordering::Relaxed));
        let sunk = average as f64 * (-(silence as f64) / DECAY).exp();
        Some(Duration::from_nanos(sunk as u64))
    }

    fn observe(&self, now: Duration, latency: Duration) {
        let mut ewma = self.get();
        ewma.observe(now, latency);
        if let Some((average, at)) = ewma.last() {
            self.at.store(nanos(at), Ordering::Relaxed);
            self.average.store(nanos(average) + 1, Ordering::Release);
        }
    }
}

#[inline]
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::selection::{Eligible, Ineligible};

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_gauge_says_what_was_told_of_presence_load_and_hanging() {
        let gauge = Gauge::default();
        gauge.set_waiting(1);
        gauge.set_in_hand(1);
        assert_eq!(gauge.seen().standing, Standing::Awaited(2));
        gauge.set_presence(Presence::Live);
        gauge.task_begins();
        assert_eq!(gauge.seen().standing, Standing::Live(3));
        assert_eq!(gauge.seen().eligible(), Ok(Eligible::Now));
        gauge.set_state(StateName::Suspended);
        assert_eq!(gauge.seen().standing, Standing::Awaited(2));
        gauge.set_state(StateName::Draining);
        assert_eq!(gauge.seen().standing, Standing::Awaited(2));
        gauge.set_state(StateName::Active);
        for (closed, standing) in
            [(Some(true), Standing::Awaited(2)), (Some(false), Standing::Away), (None, Standing::Live(3))]
        {
            gauge.set_closed(closed);
            assert_eq!(gauge.seen().standing, standing);
        }
        gauge.set_hung(true);
        assert_eq!(gauge.seen().eligible(), Err(Ineligible::Hung));
        for presence in [Presence::Resting, Presence::Closed] {
            gauge.set_presence(presence);
            assert_eq!((gauge.presence(), gauge.seen().standing), (presence, Standing::Away));
        }
    }

    #[test]
    fn a_latency_in_a_gauge_is_the_one_of_the_average_that_it_stands_for() {
        let gauge = Gauge::default();
        assert_eq!(gauge.latency(|| MILLI), None);
        let mut average = PeakEwma::new(PeakEwma::DEFAULT_DECAY);
        for (at, latency) in [(1, 0), (5, 40), (3000, 2), (9000, 90), (60_000, 1)] {
            gauge.answered(at * MILLI, latency * MILLI);
            average.observe(at * MILLI, latency * MILLI);
            let (told, true_one) = (gauge.latency(|| at * MILLI), average.at(at * MILLI));
            let gap = told.expect("it was seen").abs_diff(true_one.expect("it was seen"));
            assert!(gap < Duration::from_nanos(10), "{told:?} for {true_one:?}");
        }
    }
}
