//! Whether calls to a provider are worth making: a circuit breaker.
//!
//! While it is closed all calls pass, and it counts how they end. Where too many of them fail or are too slow it opens, and
//! no call passes. After a while it is half open: a few calls pass, as probes. If they succeed it closes; if one fails it is
//! open again, for longer. (Nygard, *Release It!*, 2007.)
//!
//! | state | a call | it ends well | it fails, or is slow | time |
//! |---|---|---|---|---|
//! | closed | passes | counted | counted; opens where the window holds too many | - |
//! | open | is refused | of an earlier period: not counted | of an earlier period: not counted | half open after the back-off |
//! | half open | passes while fewer than `probes` are out | closes after `probes` of them | opens, with the next step of the back-off | - |
//!
//! It is one value without a clock: whoever asks says when. What changed is returned, so that it can be reported.
//!
//! # Invariants
//!
//! * No call passes while it is open.
//! * While it is half open, at most `probes` calls are out at once.
//! * How a call ended counts only in the period in which it was let through. A period is the time between two changes.
//! * It never opens on fewer calls than `minimum_calls`.

mod window;

use std::fmt;
use std::time::Duration;

use self::window::Window;
pub use self::window::{SLICES, Span, Tally};
use super::Moment;
use crate::supervision::backoff::{Backoff, BackoffProblem, Jitter};

/// When a breaker opens, for how long, and what closes it.
///
/// Out of the box: half of the last 100 calls, at least 10 of them, failed; open for 1 s, doubling up to 30 s; 3 probes;
/// no call is too slow.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{BreakerRules, Span};
///
/// let rules = BreakerRules::default()
///     .over(Span::Time(Duration::from_secs(10)))
///     .slow_calls(Duration::from_secs(2), 80);
/// assert_eq!(rules.check(), Ok(()));
/// let problem = rules.failure_percent(0).check().unwrap_err();
/// assert_eq!(problem.to_string(), "`failure_percent` of the breaker is 0; expected from 1 to 100");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BreakerRules {
    /// Over what failures are counted.
    pub span: Span,
    /// How many calls the window must hold before their share means anything.
    pub minimum_calls: u32,
    /// The share of failed calls at which it opens, in percent.
    pub failure_percent: u32,
    /// From which duration on a call is slow. No call is, when `None`.
    pub slow_after: Option<Duration>,
    /// The share of slow calls at which it opens, in percent.
    pub slow_percent: u32,
    /// How long it stays open: the first time with step 0, each time that it did not recover with a step more.
    pub open_for: Backoff,
    /// How many probes may be out at once while it is half open, and how many must succeed for it to close.
    pub probes: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            span: Span::Calls(100),
            minimum_calls: 10,
            failure_percent: 50,
            slow_after: None,
            slow_percent: 100,
            open_for: Backoff::exponential(Duration::from_secs(1)),
            probes: 3,
        }
    }
}

impl BreakerRules {
    /// Sets over what failures are counted.
    #[must_use]
    pub const fn over(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Sets how many calls the window must hold before their share means anything.
    #[must_use]
    pub const fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = calls;
        self
    }

    /// Sets the share of failed calls at which it opens, in percent.
    #[must_use]
    pub const fn failure_percent(mut self, percent: u32) -> Self {
        self.failure_percent = percent;
        self
    }

    /// Sets from which duration on a call is slow, and the share of slow calls at which it opens, in percent.
    #[must_use]
    pub const fn slow_calls(mut self, after: Duration, percent: u32) -> Self {
        self.slow_after = Some(after);
        self.slow_percent = percent;
        self
    }

    /// Sets how long it stays open.
    #[must_use]
    pub const fn open_for(mut self, backoff: Backoff) -> Self {
        self.open_for = backoff;
        self
    }

    /// Sets how many probes may be out at once, and how many must succeed.
    #[must_use]
    pub const fn probes(mut self, probes: u32) -> Self {
        self.probes = probes;
        self
    }

    /// Looks for settings that make no sense.
    ///
    /// # Errors
    ///
    /// [`BreakerProblem`], which names the setting and what was expected.
    pub fn check(&self) -> Result<(), BreakerProblem> {
        let number = |field, found, most| {
            let fits = (1..=most).contains(&found);
            if fits { Ok(()) } else { Err(BreakerProblem::Range { field, found, most }) }
        };
        match self.span {
            Span::Calls(calls) => {
                number("span", calls, u32::MAX)?;
                // With more it would never open.
                number("minimum_calls", self.minimum_calls, calls)?;
            }
            Span::Time(length) => {
                if length < Duration::from_nanos(u64::from(SLICES)) {
                    return Err(BreakerProblem::NoTime { field: "span" });
                }
                number("minimum_calls", self.minimum_calls, u32::MAX)?;
            }
        }
        number("failure_percent", self.failure_percent, 100)?;
        number("slow_percent", self.slow_percent, 100)?;
        number("probes", self.probes, u32::MAX)?;
        if self.slow_after.is_some_and(|after| after.is_zero()) {
            return Err(BreakerProblem::NoTime { field: "slow_after" });
        }
        Ok(self.open_for.check()?)
    }

    /// Whether a window is a reason to open, and which.
    fn judge(&self, seen: Tally) -> Option<Cause> {
        let reached = |count: u32, percent: u32| u64::from(count) * 100 >= u64::from(percent) * u64::from(seen.calls);
        if seen.calls < self.minimum_calls {
            None
        } else if reached(seen.failed, self.failure_percent) {
            Some(Cause::Failures(seen))
        } else if self.slow_after.is_some() && reached(seen.slow, self.slow_percent) {
            Some(Cause::Slowness(seen))
        } else {
            None
        }
    }
}

/// A breaker that cannot be meant. The message names the setting and what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerProblem {
    /// A number is out of its range.
    #[error("`{field}` of the breaker is {found}; expected {}", range(*most))]
    Range {
        /// The setting.
        field: &'static str,
        /// What it is.
        found: u32,
        /// The most that it may be. The least is 1.
        most: u32,
    },
    /// A time is no time.
    #[error("`{field}` of the breaker is no time; expected a length such as 10s")]
    NoTime {
        /// The setting.
        field: &'static str,
    },
    /// The time for which it is open makes no sense.
    #[error("`open_for` of the breaker: {0}")]
    OpenFor(#[from] BackoffProblem),
}

fn range(most: u32) -> String {
    if most == u32::MAX { "at least 1".to_owned() } else { format!("from 1 to {most}") }
}

/// How a breaker stands, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes before this moment.
    Open {
        /// When it will be half open.
        until: Moment,
    },
    /// A few calls pass.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Open { until } => write!(f, "open until {until:?}"),
            Self::HalfOpen => f.write_str("half open"),
        }
    }
}

/// Why a breaker changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Too many calls failed.
    Failures(Tally),
    /// Too many calls were slow.
    Slowness(Tally),
    /// A probe failed or was slow.
    ProbeFailed,
    /// All probes succeeded.
    ProbesSucceeded,
    /// It was open as long as it should be.
    Waited,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures(seen) => write!(f, "{} of {} calls failed", seen.failed, seen.calls),
            Self::Slowness(seen) => write!(f, "{} of {} calls were slow", seen.slow, seen.calls),
            Self::ProbeFailed => f.write_str("a probe failed or was slow"),
            Self::ProbesSucceeded => f.write_str("all probes succeeded"),
            Self::Waited => f.write_str("it was open long enough"),
        }
    }
}

/// A change of a breaker, for an event.
///
/// Prints as `closed -> open until 3s: 5 of 10 calls failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a change is to be reported"]
pub struct Change {
    /// When.
    pub at: Moment,
    /// What it was.
    pub from: BreakerState,
    /// What it is.
    pub to: BreakerState,
    /// Why.
    pub why: Cause,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.to, self.why)
    }
}

/// The right to make one call. Whoever holds it owes the breaker a [`report`](Breaker::report).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "how the call ended is to be reported"]
pub struct Pass {
    period: u64,
    at: Moment,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered.
    Succeeded,
    /// It was not, or with an error that is the provider's.
    Failed,
    /// It says nothing of the provider: never made, given up by the caller, refused as wrong.
    Unknown,
}

/// A call that may be made.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The right to make it.
    pub pass: Pass,
    /// What changed through the asking, if anything did.
    pub change: Option<Change>,
}

/// A call that is not to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerOpen {
    /// It is open.
    #[error("the circuit breaker is open until {until:?}")]
    Open {
        /// From when on probes pass.
        until: Moment,
    },
    /// It is half open, and all its probes are out.
    #[error("the circuit breaker is half open, and its {probes} probes are out")]
    ProbesOut {
        /// How many may be out at once.
        probes: u32,
    },
}

/// A circuit breaker.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{Breaker, BreakerRules, Outcome};
///
/// let second = Duration::from_secs(1);
/// let mut breaker = Breaker::new(BreakerRules::default().minimum_calls(2).probes(1), 7)?;
/// let calls = [0, 1].map(|_| breaker.admit(second).expect("it is closed").pass);
/// let changes = calls.map(|pass| breaker.report(second, pass, Outcome::Failed));
/// assert_eq!(changes[0], None);
/// let opened = changes[1].expect("all calls failed");
/// assert_eq!(opened.to_string(), "closed -> open until 2s: 2 of 2 calls failed");
/// assert!(breaker.admit(second).is_err());
///
/// let probe = breaker.admit(second * 2).expect("it was open long enough").pass;
/// let closed = breaker.report(second * 2, probe, Outcome::Succeeded).expect("the only probe succeeded");
/// assert_eq!(closed.to_string(), "half open -> closed: all probes succeeded");
/// # Ok::<(), steadfast::flow::BreakerProblem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    rules: BreakerRules,
    jitter: Jitter,
    state: State,
    /// Raised by every change, so that what was let through before it is recognised.
    period: u64,
    /// With which step of the back-off it opens next.
    step: u32,
    /// Since when it has been closed.
    closed_since: Moment,
}

#[derive(Clone, Debug)]
enum State {
    Closed(Window),
    Open { until: Moment },
    HalfOpen { out: u32, succeeded: u32 },
}

impl Breaker {
    /// A closed breaker. Its jitter, if the back-off has any, is drawn from the seed.
    ///
    /// # Errors
    ///
    /// [`BreakerProblem`] when the rules make no sense.
    pub fn new(rules: BreakerRules, seed: u64) -> Result<Self, BreakerProblem> {
        rules.check()?;
        let state = State::Closed(Window::new(rules.span));
        Ok(Self { rules, jitter: Jitter::new(seed), state, period: 0, step: 0, closed_since: Moment::ZERO })
    }

    /// Lets a call through, or not.
    ///
    /// # Errors
    ///
    /// [`BreakerOpen`] when it is open, or half open with all probes out.
    pub fn admit(&mut self, now: Moment) -> Result<Admitted, BreakerOpen> {
        let mut change = None;
        if let State::Open { until } = self.state {
            if now < until {
                return Err(BreakerOpen::Open { until });
            }
            change = Some(self.change_to(now, State::HalfOpen { out: 0, succeeded: 0 }, Cause::Waited));
        }
        if let State::HalfOpen { out, .. } = &mut self.state {
            if *out >= self.rules.probes {
                return Err(BreakerOpen::ProbesOut { probes: self.rules.probes });
            }
            *out += 1;
        }
        Ok(Admitted { pass: Pass { period: self.period, at: now }, change })
    }

    /// Whether a call would be let through. For those who choose among several providers: it changes nothing.
    #[must_use]
    pub fn would_admit(&self, now: Moment) -> bool {
        match self.state {
            State::Closed(_) => true,
            State::Open { until } => now >= until,
            State::HalfOpen { out, .. } => out < self.rules.probes,
        }
    }

    /// Learns how a call ended. Returns what changed through it, if anything did.
    #[expect(clippy::needless_pass_by_value, reason = "a pass is used up, so that a call is reported once")]
    pub fn report(&mut self, now: Moment, pass: Pass, outcome: Outcome) -> Option<Change> {
        if pass.period != self.period {
            return None;
        }
        let slow = self.rules.slow_after.is_some_and(|after| now.saturating_sub(pass.at) >= after);
        let failed = outcome == Outcome::Failed;
        match &mut self.state {
            State::Closed(window) => {
                if outcome == Outcome::Unknown {
                    return None;
                }
                let seen = window.add(now, Tally::of(failed, slow));
                let why = self.rules.judge(seen)?;
                Some(self.open(now, why))
            }
            State::HalfOpen { out, succeeded } => {
                *out = out.saturating_sub(1);
                if outcome == Outcome::Unknown {
                    return None;
                }
                if failed || slow {
                    return Some(self.open(now, Cause::ProbeFailed));
                }
                *succeeded += 1;
                if *succeeded < self.rules.probes {
                    return None;
                }
                self.closed_since = now;
                Some(self.change_to(now, State::Closed(Window::new(self.rules.span)), Cause::ProbesSucceeded))
            }
            // Its period began when it opened, and no call was let through since.
            State::Open { .. } => None,
        }
    }

    fn open(&mut self, now: Moment, why: Cause) -> Change {
        // One that was closed for long begins with the first delay again; one that flaps does not.
        let stable = matches!(self.state, State::Closed(_))
            && self.rules.open_for.resets_after(now.saturating_sub(self.closed_since));
        if stable {
            self.step = 0;
        }
        let delay = self.jitter.delay(&self.rules.open_for, self.step);
        self.step = self.step.saturating_add(1);
        self.change_to(now, State::Open { until: now.saturating_add(delay) }, why)
    }

    fn change_to(&mut self, at: Moment, state: State, why: Cause) -> Change {
        let from = self.state();
        self.state = state;
        self.period += 1;
        Change { at, from, to: self.state(), why }
    }

    /// How it stands. One that was open long enough is open until somebody asks.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What it goes by.
    #[must_use]
    pub const fn rules(&self) -> &BreakerRules {
        &self.rules
    }
}

#[cfg(test)]
mod tests;
