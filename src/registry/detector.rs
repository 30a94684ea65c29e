//! Whether somebody who is silent is dead: the phi-accrual failure detector (Hayashibara, Défago, Yared and Katayama
//! 2004).
//!
//! It learns how far apart heartbeats come, and says how surprising the silence since the last one is. `phi` is the
//! negative decimal logarithm of the probability that a heartbeat still comes after such a silence: at 1 one silence in
//! ten that long is only late, at 3 one in a thousand. Intervals are taken to be normally distributed, by an
//! approximation that is within 0.05 up to 3, and above that grows faster than the distribution: 8 is reached after 5.2
//! standard deviations, and not after 5.6.
//!
//! | state | when | what follows |
//! |---|---|---|
//! | alive | phi below `suspect` | |
//! | suspect | phi from `suspect` on | others are preferred |
//! | dead | phi from `dead` on | it counts as gone |
//!
//! Moments are given as the time since a start that the caller chooses, and keeps. A moment before an earlier one counts
//! as that earlier one. With no heartbeat in between, states only get worse; with a heartbeat the state is alive.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The settings of a [`Detector`].
///
/// | setting | default | more of it |
/// |---|---|---|
/// | `interval` | 1 s | how far apart heartbeats are believed to come until the first ones came |
/// | `window` | 200 | heartbeats remembered: slower to learn, harder to mislead |
/// | `min_deviation` | 100 ms | later alarms where heartbeats come very regularly |
/// | `acceptable_pause` | 3 s | later alarms, always by this much |
/// | `suspect` | 3 | fewer wrong suspicions, later ones |
/// | `dead` | 8 | fewer wrong deaths, later ones |
///
/// ```
/// use std::time::Duration;
/// use steadfast::registry::detector::DetectorRules;
///
/// let rules = DetectorRules { interval: Duration::from_millis(200), ..DetectorRules::default() };
/// assert_eq!(rules.check(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectorRules {
    /// How far apart heartbeats are believed to come before the first intervals were seen.
    pub interval: Duration,
    /// How many intervals between heartbeats are remembered.
    pub window: usize,
    /// The least standard deviation of the intervals that is believed.
    pub min_deviation: Duration,
    /// How much longer than usual a silence may be before it counts as one.
    pub acceptable_pause: Duration,
    /// The phi from which on somebody is suspected.
    pub suspect: f64,
    /// The phi from which on somebody counts as dead.
    pub dead: f64,
}

impl Default for DetectorRules {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            window: 200,
            min_deviation: Duration::from_millis(100),
            acceptable_pause: Duration::from_secs(3),
            suspect: 3.0,
            dead: 8.0,
        }
    }
}

impl DetectorRules {
    /// The most intervals that may be remembered.
    pub const MAX_WINDOW: usize = 10_000;

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// [`DetectorProblem`], the first one that does not.
    pub fn check(&self) -> Result<(), DetectorProblem> {
        if self.interval.is_zero() || self.interval > LONGEST {
            return Err(DetectorProblem::Interval);
        }
        if self.window == 0 || self.window > Self::MAX_WINDOW {
            return Err(DetectorProblem::Window);
        }
        if self.min_deviation.is_zero() || self.min_deviation > LONGEST {
            return Err(DetectorProblem::Deviation);
        }
        if self.acceptable_pause > LONGEST {
            return Err(DetectorProblem::Pause);
        }
        // Not the opposite comparison, which would let NaN pass.
        let in_order = 0.0 < self.suspect && self.suspect <= self.dead && self.dead <= 100.0;
        if in_order { Ok(()) } else { Err(DetectorProblem::Thresholds) }
    }
}

/// A setting of a detector makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorProblem {
    /// The interval is out of bounds.
    #[error("the interval of heartbeats is not above zero and at most a day")]
    Interval,
    /// The window is out of bounds.
    #[error("the window is not from 1 to {}", DetectorRules::MAX_WINDOW)]
    Window,
    /// The deviation is out of bounds.
    #[error("the least deviation is not above zero and at most a day")]
    Deviation,
    /// The pause is out of bounds.
    #[error("the acceptable pause is above a day")]
    Pause,
    /// The thresholds are out of bounds or out of order.
    #[error("the thresholds are not in the order 0 < suspect <= dead <= 100")]
    Thresholds,
}

/// What is believed of somebody who sends heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// It is there.
    Alive,
    /// It is silent for longer than it should be.
    Suspect,
    /// It counts as gone.
    Dead,
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
        })
    }
}

/// What is believed has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was believed.
    pub from: Liveness,
    /// What is believed now.
    pub to: Liveness,
}

/// An interval that is longer counts as this long, so that sums stay within their numbers.
const LONGEST: Duration = Duration::from_hours(24);

/// Watches one sender of heartbeats. It remembers at most `window` intervals.
///
/// ```
/// use std::time::Duration;
/// use steadfast::registry::detector::{Change, Detector, DetectorRules, Liveness};
///
/// let second = Duration::from_secs;
/// let mut detector = Detector::new(DetectorRules::default(), second(0))?;
/// for beat in 1..60 {
///     assert_eq!(detector.heartbeat(second(beat)), None);
/// }
/// assert_eq!(detector.look(second(61)), None);
/// assert_eq!(detector.look(second(70)), Some(Change { from: Liveness::Alive, to: Liveness::Dead }));
/// assert_eq!(detector.heartbeat(second(71)), Some(Change { from: Liveness::Dead, to: Liveness::Alive }));
/// # Ok::<(), steadfast::registry::detector::DetectorProblem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    rules: DetectorRules,
    intervals: Intervals,
    /// When the last heartbeat came, or the watch began.
    last: Duration,
    /// The latest moment that was given.
    now: Duration,
    state: Liveness,
}

impl Detector {
    /// Begins to watch. That counts as a heartbeat, so that who never sends one is found too.
    ///
    /// # Errors
    ///
    /// [`DetectorProblem`], when the settings make no sense.
    pub fn new(rules: DetectorRules, now: Duration) -> Result<Self, DetectorProblem> {
        rules.check()?;
        let intervals = Intervals::new(rules.window);
        Ok(Self { rules, intervals, last: now, now, state: Liveness::Alive })
    }

    /// A heartbeat came. What is believed is then that the sender is alive.
    ///
    /// Of a silence after which it was taken for dead only what it took for that is learned from. So one long failure
    /// does not make the detector patient for good, and a sender that has become slower is known after some heartbeats.
    pub fn heartbeat(&mut self, now: Duration) -> Option<Change> {
        self.now = self.now.max(now);
        let dead = self.becomes(Liveness::Dead);
        self.intervals.push(self.now.min(dead).saturating_sub(self.last));
        self.last = self.now;
        self.become_(Liveness::Alive)
    }

    /// Time has passed. Says what is believed now, if that is something else than before.
    pub fn look(&mut self, now: Duration) -> Option<Change> {
        self.now = self.now.max(now);
        self.become_(self.liveness(self.now))
    }

    fn become_(&mut self, to: Liveness) -> Option<Change> {
        let from = std::mem::replace(&mut self.state, to);
        (from != to).then_some(Change { from, to })
    }

    /// What was believed at the last look or heartbeat.
    #[must_use]
    pub fn state(&self) -> Liveness {
        self.state
    }

    /// How surprising the silence is at this moment: 0 is not at all.
    #[must_use]
    pub fn phi(&self, now: Duration) -> f64 {
        let silence = now.max(self.now).saturating_sub(self.last).as_secs_f64();
        let (mean, deviation) = self.expected();
        phi_of((silence - mean) / deviation)
    }

    /// When, without a heartbeat until then, the sender will be believed to be this: the moment of the next look that is
    /// of use. The watch of one that is dead already ends with a heartbeat alone.
    #[must_use]
    pub fn becomes(&self, what: Liveness) -> Duration {
        let phi = match what {
            Liveness::Alive => return self.last,
            Liveness::Suspect => self.rules.suspect,
            Liveness::Dead => self.rules.dead,
        };
        let (mean, deviation) = self.expected();
        let silence = Duration::try_from_secs_f64(mean + deviation * deviations_of(phi)).unwrap_or_default();
        // Rounded to the nanosecond, the moment may be just before the one at which phi is reached.
        self.last.saturating_add(silence).saturating_add(Duration::from_micros(1))
    }

    fn liveness(&self, now: Duration) -> Liveness {
        let phi = self.phi(now);
        if phi >= self.rules.dead {
            Liveness::Dead
        } else if phi >= self.rules.suspect {
            Liveness::Suspect
        } else {
            Liveness::Alive
        }
    }

    /// The mean of the silences that are expected, with the pause, and their standard deviation, in seconds.
    fn expected(&self) -> (f64, f64) {
        let least = self.rules.min_deviation.as_secs_f64();
        let (mean, deviation) = self.intervals.mean_and_deviation().unwrap_or_else(|| {
            // Before anything was learned the interval is a guess, which may be a quarter off.
            let interval = self.rules.interval.as_secs_f64();
            (interval, interval / 4.0)
        });
        (mean + self.rules.acceptable_pause.as_secs_f64(), deviation.max(least))
    }
}

/// The phi of a silence that is so many standard deviations above the mean, by the logistic approximation of the normal
/// distribution: `-log10(1 - F(y))` with `1 - F(y) = 1 / (1 + e^z)`.
fn phi_of(y: f64) -> f64 {
    let z = y * (CUBIC * y * y + LINEAR);
    // Of `log10(1 + e^z)` the two forms are the same; each is used where it loses nothing.
    let natural = if z > 0.0 { z + (-z).exp().ln_1p() } else { z.exp().ln_1p() };
    natural / std::f64::consts::LN_10
}

/// How many standard deviations above the mean a silence is whose phi is this: the inverse of [`phi_of`].
fn deviations_of(phi: f64) -> f64 {
    let natural = phi * std::f64::consts::LN_10;
    // z = ln(e^natural - 1), of a form that does not overflow.
    let z = natural + (-(-natural).exp()).ln_1p();
    // The one real root of CUBIC y^3 + LINEAR y = z.
    let (p, q) = (LINEAR / CUBIC, z / CUBIC);
    let root = (p / 3.0).sqrt();
    2.0 * root * ((q / (2.0 * root * root * root)).asinh() / 3.0).sinh()
}

const CUBIC: f64 = 0.070_566;
const LINEAR: f64 = 1.597_6;

/// The last intervals between heartbeats, in microseconds, with their sums. Sums of whole numbers, so that nothing
/// gathers that rounding left over.
#[derive(Clone, Debug)]
struct Intervals {
    window: usize,
    last: VecDeque<u64>,
    sum: u128,
    squares: u128,
}

impl Intervals {
    fn new(window: usize) -> Self {
        Self { window, last: VecDeque::new(), sum: 0, squares: 0 }
    }

    fn push(&mut self, interval: Duration) {
        if self.last.len() == self.window
            && let Some(oldest) = self.last.pop_front().map(u128::from)
        {
            self.sum -= oldest;
            self.squares -= oldest * oldest;
        }
        let micros = u64::try_from(interval.min(LONGEST).as_micros()).expect("a day has fewer than 2^64 microseconds");
        self.last.push_back(micros);
        let micros = u128::from(micros);
        self.sum += micros;
        self.squares += micros * micros;
    }

    /// In seconds; `None` before the first interval.
    #[expect(clippy::cast_precision_loss, reason = "15 digits are enough for a mean and a deviation")]
    fn mean_and_deviation(&self) -> Option<(f64, f64)> {
        let count = self.last.len() as u128;
        if count == 0 {
            return None;
        }
        // Never below zero, as the mean of squares is never below the square of the mean.
        let spread = count * self.squares - self.sum * self.sum;
        let count = count as f64;
        Some((self.sum as f64 / count / 1e6, (spread as f64).sqrt() / count / 1e6))
    }
}

#[cfg(test)]
mod tests;
