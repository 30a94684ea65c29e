//! What the last calls came to, over the last calls or over the last while.
//!
//! # Invariants
//!
//! * Over calls: exactly the last so many count.
//! * Over a time: the time is divided into [`SLICES`] slices, which begin at multiples of their length. A call counts for at
//!   most the time, and for at least nine tenths of it. So the memory that it takes does not depend on how many calls
//!   there are.

use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;

/// Into how many slices a window of time is divided.
pub const SLICES: u32 = 10;

/// Over what failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Span {
    /// Over the last so many calls.
    Calls(u32),
    /// Over the calls of the last while.
    Time(Duration),
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tally {
    /// How many there were.
    pub calls: u32,
    /// How many of them failed.
    pub failed: u32,
    /// How many of them took too long, whether or not they failed.
    pub slow: u32,
}

impl Tally {
    pub(super) const fn of(failed: bool, slow: bool) -> Self {
        Self { calls: 1, failed: failed as u32, slow: slow as u32 }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            failed: self.failed.saturating_sub(other.failed),
            slow: self.slow.saturating_sub(other.slow),
        }
    }
}

/// The calls of the recent past, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Window {
    span: Span,
    /// One call each, or the calls of one slice each, with its number.
    parts: VecDeque<(u128, Tally)>,
    sum: Tally,
}

impl Window {
    pub(super) const fn new(span: Span) -> Self {
        Self { span, parts: VecDeque::new(), sum: Tally { calls: 0, failed: 0, slow: 0 } }
    }

    /// Adds a call, and returns what the window holds with it.
    pub(super) fn add(&mut self, now: Moment, call: Tally) -> Tally {
        match self.span {
            Span::Calls(most) => {
                self.parts.push_back((0, call));
                self.sum = self.sum.plus(call);
                while self.sum.calls > most {
                    self.drop_first();
                }
            }
            Span::Time(length) => {
                let slice = slice_of(now, length);
                while self.parts.front().is_some_and(|(first, _)| first + u128::from(SLICES) <= slice) {
                    self.drop_first();
                }
                match self.parts.back_mut() {
                    // Also where the clock went back: a slice never comes after a later one.
                    Some((last, tally)) if *last >= slice => *tally = tally.plus(call),
                    _ => self.parts.push_back((slice, call)),
                }
                self.sum = self.sum.plus(call);
            }
        }
        self.sum
    }

    fn drop_first(&mut self) {
        if let Some((_, tally)) = self.parts.pop_front() {
            self.sum = self.sum.minus(tally);
        }
    }

    /// How many entries it keeps.
    #[cfg(test)]
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }
}

fn slice_of(now: Moment, length: Duration) -> u128 {
    now.as_nanos() * u128::from(SLICES) / length.as_nanos().max(1)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn exactly_the_last_calls_count() {
        let mut window = Window::new(Span::Calls(2));
        let failed = [true, true, false, false].map(|failed| window.add(MS, Tally::of(failed, false)).failed);
        assert_eq!((failed, window.sum.calls), ([1, 2, 1, 0], 2));
    }

    #[test]
    fn a_call_counts_for_at_most_the_time() {
        let mut window = Window::new(Span::Time(MS * 100));
        let calls = [0, 99, 100, 250].map(|at| window.add(MS * at, Tally::of(true, true)).calls);
        assert_eq!(calls, [1, 2, 2, 1]);
    }

    proptest! {
        #[test]
        fn over_a_time_a_call_counts_at_most_that_long_and_at_least_nine_tenths_of_it(pauses in vec(0..70_u32, 1..200)) {
            let mut window = Window::new(Span::Time(MS * 100));
            let (mut now, mut calls) = (Moment::ZERO, Vec::new());
            for pause in pauses {
                now += MS * pause;
                calls.push(now);
                let counted = window.add(now, Tally::of(false, true));
                let within = |time: Duration| calls.iter().filter(|then| now.saturating_sub(**then) < time).count();
                let (least, most) = (within(MS * 90), within(MS * 100));
                let count = usize::try_from(counted.calls).expect("few");
                prop_assert!(least <= count && count <= most, "{least} {count} {most}");
                prop_assert_eq!((counted.failed, counted.slow), (0, counted.calls));
                prop_assert!(window.parts() <= 10);
            }
        }
    }
}
