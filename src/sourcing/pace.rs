//! When something is written again, and when a snapshot is due.

use std::time::Duration;

use crate::seam::{JournalError, Seq};

/// How often the same is written again before whoever writes gives up.
const MOST_AGAIN: u32 = 6;

/// How long the first pause takes. Each next one takes twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// After which pause the same is to be done again, where it was again for so many times already; `None` where it is not.
///
/// An append that is in doubt may be done again as it is: a journal keeps it once. One that could not be reached has written
/// nothing. All else says that this writer does not know the stream any more.
pub(crate) fn again_after(error: &JournalError, times: u32) -> Option<Duration> {
    (error.passes() && times < MOST_AGAIN).then(|| FIRST_PAUSE * 2_u32.pow(times))
}

/// How often a state is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    every: u64,
    /// The number of the last event in what was written down last.
    kept: Seq,
}

impl Keeping {
    /// After every so many events, from this one on. `None` for no event at all.
    pub(crate) fn every(events: u64, kept: Seq) -> Option<Self> {
        (events > 0).then_some(Self { every: events, kept })
    }

    /// Whether the state at this event is to be written down.
    pub(crate) fn is_due(&self, seq: Seq) -> bool {
        seq.saturating_sub(self.kept) >= self.every
    }

    /// The state at this event is written down.
    pub(crate) fn kept(&mut self, seq: Seq) {
        self.kept = self.kept.max(seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_is_done_again_a_bounded_number_of_times_and_what_is_refused_is_not() {
        for error in [JournalError::InDoubt(String::new()), JournalError::Unavailable(String::new())] {
            let pauses: Vec<_> = (0..10).map_while(|times| again_after(&error, times)).collect();
            assert_eq!(pauses.len(), 6, "{error}");
            assert!(pauses.windows(2).all(|pair| pair[1] == pair[0] * 2));
        }
        for error in [
            JournalError::Fenced { owner: String::new() },
            JournalError::Moved { expected: 1, actual: 2 },
            JournalError::Pruned { first: 2 },
        ] {
            assert_eq!(again_after(&error, 0), None, "{error}");
        }
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_events_since_the_last_one() {
        assert_eq!(Keeping::every(0, 0), None);
        let mut keeping = Keeping::every(3, 5).expect("it is some");
        assert_eq!([5, 7, 8, 20].map(|seq| keeping.is_due(seq)), [false, false, true, true]);
        keeping.kept(8);
        keeping.kept(2);
        assert_eq!([9, 10, 11].map(|seq| keeping.is_due(seq)), [false, false, true]);
    }
}
