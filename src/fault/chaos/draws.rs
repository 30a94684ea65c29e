//! What a seed draws of chaos.
//!
//! # Invariants
//!
//! * What is drawn at a place depends on the seed, on the line, on the place, and on how often somebody came there.
//! * When something comes every so often depends on the seed and the line; who is hit also on who is there, and one more
//!   or one less there changes that only where it is the one who is hit.
//! * Whole numbers only: the same on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Chance, Chaos, ChaosLine};
use crate::fault::trigger::Coming;
use crate::fault::{Action, NodePattern, PathPattern, Place, Present};
use crate::seam::{Rng, seed_of};

/// What may still be drawn.
#[derive(Clone, Debug, Default)]
pub(in crate::fault) struct Draws {
    sometimes: Vec<Sometimes>,
    rates: Vec<Rate>,
    /// At each place that somebody came to, the lines that are about it, with what they draw there.
    streams: BTreeMap<Place, Vec<(usize, Rng)>>,
}

#[derive(Clone, Debug)]
struct Sometimes {
    line: usize,
    seed: u64,
    action: Action,
    /// Of a thousand millions.
    chance: u64,
    place: Place,
    window: Option<(Duration, Duration)>,
}

/// What comes again and again.
#[derive(Clone, Debug)]
struct Rate {
    line: usize,
    seed: u64,
    action: Action,
    mean: Duration,
    gaps: Rng,
    next: Duration,
    came: u64,
}

/// In which line of a swarm nothing is changed, of a thousand.
const WHOLE: u64 = 1000;

const ALL: u64 = 1_000_000_000;

impl Draws {
    pub(in crate::fault) fn of(chaos: &Chaos, seed: u64) -> Self {
        let is_swarm = chaos.lines.contains(&ChaosLine::Swarm);
        let mut draws = Self::default();
        let mut labels = BTreeSet::new();
        for (number, line) in chaos.lines.iter().enumerate() {
            // By its text and not by its number, so that a line less shifts no other.
            let mut label = line.to_string();
            while !labels.insert(label.clone()) {
                label.push_str(", again");
            }
            let seed = seed_of(seed, &label);
            let share = if is_swarm { share(seed) } else { WHOLE };
            draws.add(number, line, seed, share);
        }
        draws
    }

    fn add(&mut self, line: usize, of: &ChaosLine, seed: u64, share: u64) {
        match of {
            ChaosLine::Sometimes { action, chance: Chance { per_million }, place, window } => {
                let (action, place, window) = (action.clone(), place.clone(), *window);
                let chance = (u64::from(*per_million) * share).min(ALL);
                self.sometimes.push(Sometimes { line, seed, action, chance, place, window });
            }
            ChaosLine::Every { action, mean } if share > 0 => {
                let (action, mean) = (action.clone(), times(*mean, u128::from(WHOLE), u128::from(share)));
                let gaps = Rng::new(seed_of(seed, "gaps"));
                let mut rate = Rate { line, seed, action, mean, gaps, next: Duration::ZERO, came: 0 };
                rate.wait();
                self.rates.push(rate);
            }
            ChaosLine::Every { .. } | ChaosLine::Swarm => {}
        }
    }

    /// Somebody comes to a place. Returns which line has what for it.
    pub(in crate::fault) fn draw(
        &mut self,
        place: &Place,
        coming: Coming<'_>,
        now: Duration,
    ) -> Option<(usize, Action)> {
        if self.sometimes.is_empty() {
            return None;
        }
        let sometimes = &self.sometimes;
        if !self.streams.contains_key(place) {
            let here = sometimes.iter().enumerate().filter(|(_, line)| line.place.is_of(coming));
            let stream =
                |(number, line): (usize, &Sometimes)| (number, Rng::new(seed_of(line.seed, &place.to_string())));
            self.streams.insert(place.clone(), here.map(stream).collect());
        }
        let mut drawn = None;
        for (number, rng) in self.streams.get_mut(place)? {
            let line = &sometimes[*number];
            // Drawn at each coming, whatever it is about: what is drawn next goes by the number of the coming alone.
            let is_hit = below(rng, ALL) < line.chance;
            let is_open = line.window.is_none_or(|(from, to)| (from..to).contains(&now));
            if is_hit && drawn.is_none() && is_open && line.place.is_about(coming) {
                drawn = Some((line.line, line.action.clone()));
            }
        }
        drawn
    }

    /// When the next comes of what comes again and again.
    pub(in crate::fault) fn next(&self) -> Option<Duration> {
        self.rates.iter().map(|rate| rate.next).min()
    }

    /// What comes by this moment, of which line, and when; the lines one after the other.
    pub(in crate::fault) fn by(&mut self, now: Duration, present: &Present) -> Vec<(Duration, usize, Action)> {
        let mut all = Vec::new();
        for rate in &mut self.rates {
            while rate.next <= now {
                let at = rate.next;
                rate.came += 1;
                rate.wait();
                all.extend(rate.hits(present).map(|action| (at, rate.line, action)));
            }
        }
        all
    }
}

impl Rate {
    /// Draws when it comes next. In whole milliseconds, as timers go.
    fn wait(&mut self) {
        let nanos = (self.mean.as_nanos() * u128::from(exponential(&mut self.gaps))) >> 32;
        let millis = u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        self.next = self.next.saturating_add(Duration::from_millis(millis));
    }

    /// What it does to whom; `None` where nobody is there.
    fn hits(&self, present: &Present) -> Option<Action> {
        match &self.action {
            Action::KillOther(pattern) => {
                let there = present.lives.iter().filter(|(node, path)| pattern.matches_on(node.as_deref(), path));
                let there = there.map(|(node, path)| PathPattern::at(node.as_deref(), path));
                self.choose(there, PathPattern::as_str).map(Action::KillOther)
            }
            other => {
                let wanted = other.node()?;
                let there = present.nodes.iter().filter(|node| wanted.matches(node)).map(|node| NodePattern::of(node));
                self.choose(there, NodePattern::as_str).map(|node| other.clone().on(node.as_str()))
            }
        }
    }

    /// The one with the highest lot: another one that is not there changes nothing.
    fn choose<T>(&self, there: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Option<T> {
        let seed = seed_of(self.seed, &self.came.to_string());
        there.max_by_key(|one| Rng::new(seed_of(seed, name(one))).next_u64())
    }
}

/// How much of a line is in a swarm, of a thousand: with one half nothing, else up to twice as much.
fn share(seed: u64) -> u64 {
    let mut rng = Rng::new(seed_of(seed, "swarm"));
    let is_in = below(&mut rng, 2) == 1;
    if is_in { below(&mut rng, 2 * WHOLE + 1) } else { 0 }
}

/// A whole number from 0 on that is less than this one.
fn below(rng: &mut Rng, end: u64) -> u64 {
    ((rng.next_u64() >> 32) * end) >> 32
}

fn times(time: Duration, by: u128, of: u128) -> Duration {
    Duration::from_nanos(u64::try_from(time.as_nanos() * by / of).unwrap_or(u64::MAX))
}

/// A waiting time whose mean is one, in 2^-32: by von Neumann's way, which only compares. A logarithm would not be the same on
/// every machine.
fn exponential(rng: &mut Rng) -> u64 {
    let mut whole = 0;
    loop {
        let first = rng.next_u64() >> 32;
        let (mut last, mut falling) = (first, 1_u32);
        loop {
            let next = rng.next_u64() >> 32;
            if next >= last {
                break;
            }
            last = next;
            falling += 1;
        }
        if falling % 2 == 1 {
            return (whole << 32) | first;
        }
        whole += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_have_the_mean_and_the_spread_that_they_are_said_to_have() {
        let mut rng = Rng::new(7);
        let count = 100_000;
        let drawn: Vec<_> = (0..count).map(|_| exponential(&mut rng)).collect();
        let one = 1_u64 << 32;
        let mean = drawn.iter().sum::<u64>() / count;
        assert!(mean.abs_diff(one) < one / 100, "{mean}");
        // Of an exponential distribution, 1/e of all are longer than the mean, and 1/e^3 than three times that.
        let longer = |than: u64| drawn.iter().filter(|time| **time > than * one).count();
        assert!(longer(1).abs_diff(36_788) < 500 && longer(3).abs_diff(4_979) < 300, "{} {}", longer(1), longer(3));
    }

    #[test]
    fn of_a_swarm_a_half_of_the_lines_is_in_with_up_to_twice_as_much() {
        let shares: Vec<_> = (0..10_000).map(|seed| share(seed_of(seed, "a line"))).collect();
        let out = shares.iter().filter(|share| **share == 0).count();
        assert!(out.abs_diff(5000) < 200, "{out}");
        let most = shares.iter().max().copied().unwrap_or_default();
        assert!((2 * WHOLE - 10..=2 * WHOLE).contains(&most), "{most}");
    }
}
