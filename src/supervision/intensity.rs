//! How many restarts are too many.
//!
//! # Invariants
//!
//! * The window slides: a restart counts for exactly the period, to the length of a `Duration`, and at its very end it
//!   still counts. OTP keeps whole seconds, which makes its window up to a second longer (rule 23).
//! * A window never holds more than one entry above the limit in force, since the supervisor then gives up.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// A moment, as the time since a supervisor's machine was made.
pub type Moment = Duration;

/// The most restarts that a supervisor does within a sliding window (rules 21 to 23).
///
/// ```
/// use std::time::Duration;
/// use steadfast::supervision::Intensity;
///
/// let intensity = Intensity::at_most(3).within(Duration::from_secs(30));
/// assert_eq!(intensity.to_string(), "3 in 30s");
/// assert_eq!(Intensity::default().to_string(), "1 in 5s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Intensity {
    /// The most restarts.
    pub max: u32,
    /// The length of the window.
    pub period: Duration,
}

impl Intensity {
    /// The period of OTP, used unless [`within`](Self::within) says otherwise.
    pub const DEFAULT_PERIOD: Duration = Duration::from_secs(5);

    /// Allows `max` restarts in 5 s. With 0 the first restart is one too many.
    #[must_use]
    pub const fn at_most(max: u32) -> Self {
        Self { max, period: Self::DEFAULT_PERIOD }
    }

    /// Sets the length of the window.
    #[must_use]
    pub const fn within(self, period: Duration) -> Self {
        Self { max: self.max, period }
    }
}

impl Default for Intensity {
    /// OTP's: 1 restart in 5 s.
    fn default() -> Self {
        Self::at_most(1)
    }
}

impl fmt::Display for Intensity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.max, self.period)
    }
}

/// Where a supervisor stands between no restart and too many.
///
/// Prints as `1 of 3 in 5s`, and once it is too many as `4 with 3 in 5s allowed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tally {
    /// The restarts in the window, the present one included.
    pub count: usize,
    /// What is allowed.
    pub limit: Intensity,
}

impl Tally {
    /// Whether the present restart is one too many (rule 22).
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.count > usize::try_from(self.limit.max).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `4 of 3` would read as a mistake of whoever counted.
        if self.is_over() {
            write!(f, "{} with {} allowed", self.count, self.limit)
        } else {
            write!(f, "{} of {}", self.count, self.limit)
        }
    }
}

/// The restarts of the recent past, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Window(VecDeque<Moment>);

impl Window {
    /// Adds a restart, drops what is older than the period, and returns what remains (rule 22).
    pub fn add(&mut self, now: Moment, limit: Intensity) -> Tally {
        self.0.push_back(now);
        while self.0.front().is_some_and(|then| is_past(*then, now, limit)) {
            self.0.pop_front();
        }
        Tally { count: self.0.len(), limit }
    }

    /// Whether the oldest restart is older than the period.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn has_expired(&self, now: Moment, limit: Intensity) -> bool {
        self.0.front().is_some_and(|then| is_past(*then, now, limit))
    }

    /// Counts the restarts that the window holds at a moment.
    #[must_use]
    pub fn count(&self, now: Moment, limit: Intensity) -> usize {
        self.0.len() - self.0.partition_point(|then| is_past(*then, now, limit))
    }
}

fn is_past(then: Moment, now: Moment, limit: Intensity) -> bool {
    now.saturating_sub(then) > limit.period
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[track_caller]
    fn check(limit: Intensity, restarts_at_ms: &[u32], counts: &[usize]) {
        let mut window = Window::default();
        let seen: Vec<usize> = restarts_at_ms.iter().map(|at| window.add(MS * *at, limit).count).collect();
        assert_eq!(seen, counts);
    }

    #[test]
    fn a_restart_counts_up_to_the_very_end_of_the_period() {
        let limit = Intensity::at_most(1).within(MS * 100);
        check(limit, &[0, 100], &[1, 2]);
        check(limit, &[0, 101], &[1, 1]);
    }

    #[test]
    fn the_window_slides_and_does_not_tumble() {
        let limit = Intensity::at_most(3).within(MS * 100);
        check(limit, &[0, 90, 110, 150, 191, 260], &[1, 2, 2, 3, 3, 2]);
    }

    #[test]
    fn looking_at_the_window_counts_as_adding_would_and_changes_nothing() {
        let limit = Intensity::at_most(9).within(MS * 100);
        let mut window = Window::default();
        for at in [0, 10, 20] {
            window.add(MS * at, limit);
        }
        assert_eq!(window.count(MS * 100, limit), 3);
        assert_eq!(window.count(MS * 111, limit), 1);
        assert_eq!(window.count(MS * 20, limit), 3);
    }

    #[test]
    fn the_restart_after_the_last_allowed_one_is_over() {
        let tally = |count| Tally { count, limit: Intensity::at_most(2) };
        assert!(!tally(2).is_over());
        assert!(tally(3).is_over());
        assert!(Tally { count: 1, limit: Intensity::at_most(0) }.is_over());
    }

    #[test]
    fn one_restart_too_many_never_prints_as_more_of_less() {
        let printed = |count| Tally { count, limit: Intensity::at_most(3) }.to_string();
        assert_eq!([printed(3), printed(4)], ["3 of 3 in 5s", "4 with 3 in 5s allowed"]);
    }
}
