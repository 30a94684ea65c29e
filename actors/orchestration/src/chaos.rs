//! Failures on purpose: agents that panic, and agents that stop answering.
//!
//! # Invariants
//!
//! * There is one draw for each agent, subject and attempt. It follows from the seed and these three alone, so the same
//!   seed draws the same, in whatever order messages come.
//! * A message that is delivered again meets no second fault.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use steadfast::fault::Point;
use steadfast::seam::{Rng, seed_of};
use steadfast::{Fault, FaultPlan, FaultPoint};

/// How likely which fault is, as the command line writes it: `crash=20%,hang=5%`, or `crash=0.2`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChaosRates {
    crash: f64,
    hang: f64,
}

impl ChaosRates {
    /// The probability that an agent panics.
    #[must_use]
    pub fn crash(self) -> f64 {
        self.crash
    }

    /// The probability that an agent stops answering.
    #[must_use]
    pub fn hang(self) -> f64 {
        self.hang
    }
}

impl FromStr for ChaosRates {
    type Err = InvalidRates;

    fn from_str(text: &str) -> Result<Self, InvalidRates> {
        let invalid = |problem: String| InvalidRates { text: text.to_owned(), problem };
        let mut rates = Self::default();
        for part in text.split(',') {
            let (name, rate) = part.split_once('=').ok_or_else(|| invalid(format!("`{}` has no `=`", part.trim())))?;
            let rate = probability(rate.trim())
                .ok_or_else(|| invalid(format!("`{}` is no probability from 0% to 100%", rate.trim())))?;
            match name.trim() {
                "crash" => rates.crash = rate,
                "hang" => rates.hang = rate,
                other => return Err(invalid(format!("`{other}` is neither `crash` nor `hang`"))),
            }
        }
        if rates.crash + rates.hang > 1.0 {
            return Err(invalid("the probabilities add up to more than 100%".to_owned()));
        }
        Ok(rates)
    }
}

fn probability(text: &str) -> Option<f64> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&value).then_some(value)
}

/// A text that says no rates of chaos.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` says no faults: {problem}; write for example `crash=10%,hang=2%`")]
pub struct InvalidRates {
    /// The refused text.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What was injected so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Panics.
    pub crashes: u64,
    /// Agents that stopped answering.
    pub hangs: u64,
}

/// A fault plan that draws by seed.
pub struct Chaos {
    rates: ChaosRates,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The draws that were a fault. One that was none is none again, so it needs no memory.
    struck: BTreeSet<String>,
    injected: Injected,
}

impl Chaos {
    /// Chaos with these rates, drawn by this seed.
    #[must_use]
    pub fn new(rates: ChaosRates, seed: u64) -> Self {
        Self { rates, seed, state: Mutex::default() }
    }

    /// What was injected so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.state().injected
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing that can panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong, and at which point.
    fn draw(&self, key: &str) -> Option<(Point, Fault)> {
        let mut rng = Rng::new(seed_of(self.seed, key));
        let (which, half) = (rng.next_unit(), rng.next_u64());
        if which < self.rates.crash {
            return Some((if half & 1 == 0 { Point::BeforeMessage } else { Point::AfterMessage }, Fault::Panic));
        }
        (which < self.rates.crash + self.rates.hang).then_some((Point::BeforeMessage, Fault::Hang))
    }
}

impl FaultPlan for Chaos {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let subject = point.subject?;
        let key = format!("{} {} {}", point.path, subject.about, subject.attempt);
        let (at, fault) = self.draw(&key)?;
        if at != *point.point {
            return None;
        }
        let mut state = self.state();
        if !state.struck.insert(key) {
            return None;
        }
        match fault {
            Fault::Hang => state.injected.hangs += 1,
            _ => state.injected.crashes += 1,
        }
        Some(fault)
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos").field("rates", &self.rates).field("seed", &self.seed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use steadfast::{Incarnation, Subject};

    use super::*;

    fn rates(text: &str) -> ChaosRates {
        text.parse().expect("rates")
    }

    fn fault(chaos: &Chaos, agent: &str, task: u32) -> Option<(Point, Fault)> {
        let path = agent.parse().expect("a path");
        let subject = Subject::new(format!("task[{task}]"), 1);
        let at = |point: Point| {
            let fault = chaos.at(&FaultPoint::new(&path, Incarnation::FIRST, &point, Some(&subject)))?;
            Some((point, fault))
        };
        at(Point::BeforeMessage).or_else(|| at(Point::DuringMessage)).or_else(|| at(Point::AfterMessage))
    }

    #[test]
    fn rates_are_read_as_percent_or_as_a_fraction() {
        assert_eq!(rates("crash=20%,hang=5%"), ChaosRates { crash: 0.2, hang: 0.05 });
        assert_eq!(rates(" hang = 2.5 % , crash=0.1"), ChaosRates { crash: 0.1, hang: 0.025 });
        assert_eq!(rates("crash=100%"), ChaosRates { crash: 1.0, hang: 0.0 });
    }

    #[test]
    fn rates_that_say_nothing_are_refused_with_an_example() {
        for text in ["", "crash", "crash=", "crash=x%", "crash=101%", "crash=-1%", "burn=1%", "crash=60%,hang=60%"] {
            let error = text.parse::<ChaosRates>().expect_err(text).to_string();
            assert!(error.ends_with("write for example `crash=10%,hang=2%`"), "{error}");
        }
    }

    #[test]
    fn a_message_that_is_delivered_again_meets_no_second_fault() {
        let chaos = Chaos::new(rates("crash=100%"), 1);
        assert!(fault(&chaos, "root/a", 1).is_some());
        assert_eq!(fault(&chaos, "root/a", 1), None);
        assert!(fault(&chaos, "root/b", 1).is_some());
        assert_eq!(chaos.injected(), Injected { crashes: 2, hangs: 0 });
    }

    #[test]
    fn the_same_seed_draws_the_same_in_any_order() {
        let draws = |seed, order: &mut dyn Iterator<Item = u32>| {
            let chaos = Chaos::new(rates("crash=30%,hang=10%"), seed);
            order.map(|task| (task, fault(&chaos, "root/a", task))).collect::<std::collections::BTreeMap<_, _>>()
        };
        assert_eq!(draws(7, &mut (0..200)), draws(7, &mut (0..200).rev()));
        assert_ne!(draws(7, &mut (0..200)), draws(8, &mut (0..200)));
    }

    #[test]
    fn faults_come_about_as_often_as_the_rates_say_and_half_of_the_crashes_after_the_handler() {
        let chaos = Chaos::new(rates("crash=20%,hang=5%"), 3);
        let faults: Vec<_> = (0..10_000).filter_map(|task| fault(&chaos, "root/a", task)).collect();
        let count =
            |point: Point, fault: Fault| faults.iter().filter(|(at, what)| (at, what) == (&point, &fault)).count();
        let before = count(Point::BeforeMessage, Fault::Panic);
        let after = count(Point::AfterMessage, Fault::Panic);
        let hangs = count(Point::BeforeMessage, Fault::Hang);
        assert!((900..1100).contains(&before), "{before}");
        assert!((900..1100).contains(&after), "{after}");
        assert!((420..580).contains(&hangs), "{hangs}");
    }
}
