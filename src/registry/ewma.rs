//! How long somebody took lately to answer: a moving average that believes bad news at once.

use std::time::Duration;

/// The peak EWMA of latencies: an average in which a latency weighs less the longer ago it was seen, and which a latency
/// above it raises to that latency at once.
///
/// So one slow answer is noticed with the next choice, and forgotten over the time that it is given. With silence it
/// sinks, so that who was slow once is tried again.
///
/// Moments are given as the time since a start that the caller chooses, and keeps. A moment before an earlier one
/// counts as that earlier one.
///
/// ```
/// use std::time::Duration;
/// use steadfast::registry::ewma::PeakEwma;
///
/// let (at, ms) = (Duration::from_secs, Duration::from_millis);
/// let mut latency = PeakEwma::new(PeakEwma::DEFAULT_DECAY);
/// assert_eq!(latency.at(at(0)), None);
/// latency.observe(at(0), ms(10));
/// latency.observe(at(1), ms(80));
/// assert_eq!(latency.at(at(1)), Some(ms(80)));
/// latency.observe(at(11), ms(10));
/// let now = latency.at(at(11)).expect("it was seen");
/// assert!(ms(30) < now && now < ms(40), "{now:?}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    decay: Duration,
    last: Option<Seen>,
}

/// The average in seconds as it was at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    average: f64,
    at: Duration,
}

impl PeakEwma {
    /// Over this time a latency that was seen sinks to about a third (1/e) of its weight.
    pub const DEFAULT_DECAY: Duration = Duration::from_secs(10);

    /// Nothing seen yet. Over `decay` a latency sinks to about a third of its weight; with zero only the last one counts, until the next.
    #[must_use]
    pub const fn new(decay: Duration) -> Self {
        Self { decay, last: None }
    }

    /// The average as [`last`](Self::last) gave it, for whoever keeps it somewhere else meanwhile.
    #[must_use]
    pub fn restore(decay: Duration, last: Option<(Duration, Duration)>) -> Self {
        Self { decay, last: last.map(|(average, at)| Seen { average: average.as_secs_f64(), at }) }
    }

    /// The average as it was with the last latency, and the moment of that; `None` before the first one.
    #[must_use]
    pub fn last(&self) -> Option<(Duration, Duration)> {
        let Seen { average, at } = self.last?;
        Some((Duration::try_from_secs_f64(average).unwrap_or(Duration::MAX), at))
    }

    /// A latency was seen.
    pub fn observe(&mut self, now: Duration, latency: Duration) {
        let latency = latency.as_secs_f64();
        let seen = match self.last {
            None => Seen { average: latency, at: now },
            Some(last) => {
                let weight = self.weight(last.at, now);
                // Not sunk before the comparison: what is above the sunk average only is no peak.
                let average = if latency >= last.average || self.decay.is_zero() {
                    latency
                } else {
                    last.average * weight + latency * (1.0 - weight)
                };
                Seen { average, at: now.max(last.at) }
            }
        };
        self.last = Some(seen);
    }

    /// The average at this moment; `None` before the first latency.
    #[must_use]
    pub fn at(&self, now: Duration) -> Option<Duration> {
        let last = self.last?;
        let average = if self.decay.is_zero() { last.average } else { last.average * self.weight(last.at, now) };
        Some(Duration::try_from_secs_f64(average).unwrap_or(Duration::MAX))
    }

    /// How much of its weight a latency of then still has.
    fn weight(&self, then: Duration, now: Duration) -> f64 {
        let silence = now.saturating_sub(then);
        // Where both are zero the quotient would be no number.
        if silence.is_zero() { 1.0 } else { (-silence.as_secs_f64() / self.decay.as_secs_f64()).exp() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    fn seen(latencies: &[(u32, u32)]) -> PeakEwma {
        let mut ewma = PeakEwma::new(PeakEwma::DEFAULT_DECAY);
        for (at, latency) in latencies {
            ewma.observe(*at * MILLI, *latency * MILLI);
        }
        ewma
    }

    #[test]
    fn nothing_is_known_before_the_first_latency_and_then_it_is_that() {
        assert_eq!(seen(&[]).at(SECOND), None);
        assert_eq!(seen(&[(500, 7)]).at(SECOND / 2), Some(Duration::from_millis(7)));
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_a_quick_one_by_and_by() {
        assert_eq!(seen(&[(0, 1), (1, 500)]).at(Duration::from_millis(1)), Some(Duration::from_millis(500)));
        let mut ewma = seen(&[(0, 500)]);
        let mut before = Duration::from_millis(500);
        for second in 1..60 {
            ewma.observe(second * SECOND, Duration::from_millis(1));
            let now = ewma.at(second * SECOND).expect("it was seen");
            assert!(now < before);
            before = now;
        }
        assert!(before < Duration::from_millis(3), "{before:?}");
    }

    #[test]
    fn with_silence_it_sinks_to_a_third_over_the_decay() {
        let now = seen(&[(0, 1000)]).at(PeakEwma::DEFAULT_DECAY).expect("it was seen");
        assert!((now.as_secs_f64() - (-1_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn without_decay_only_the_last_latency_counts() {
        let mut ewma = PeakEwma::new(Duration::ZERO);
        ewma.observe(SECOND, 9 * SECOND);
        ewma.observe(SECOND, SECOND);
        assert_eq!((ewma.at(SECOND), ewma.at(9 * SECOND)), (Some(SECOND), Some(SECOND)));
    }

    #[test]
    fn extreme_times_neither_panic_nor_overflow() {
        let mut ewma = PeakEwma::new(Duration::MAX);
        ewma.observe(Duration::MAX, Duration::MAX);
        ewma.observe(Duration::ZERO, Duration::MAX);
        assert!(ewma.at(Duration::MAX).is_some());
        assert!(ewma.at(Duration::ZERO).is_some());
    }

    proptest! {
        #[test]
        fn it_is_never_above_the_slowest_nor_below_what_the_quickest_sank_to(
            latencies in vec((0_u32..5000, 0_u32..1000), 1..30),
            silence in 0_u32..20_000,
        ) {
            let ewma = seen(&latencies);
            let last = latencies.iter().map(|(at, _)| *at).max().unwrap_or_default();
            let millis = |silence| ewma.at((last + silence) * MILLI).expect("it was seen").as_secs_f64() * 1e3;
            let slowest = latencies.iter().map(|(_, latency)| latency).max().map_or(0.0, |most| f64::from(*most));
            let quickest = latencies.iter().map(|(_, latency)| latency).min().map_or(0.0, |least| f64::from(*least));
            prop_assert!(millis(0) <= slowest + 1e-6 && millis(0) >= quickest - 1e-6, "{}", millis(0));
            prop_assert!(millis(silence) <= millis(0) + 1e-6);
        }
    }
}
