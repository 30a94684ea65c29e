//! Clocks and sources of randomness that are wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use steadfast::TokioClock;
use steadfast::seam::{Clock, Entropy, Rng, seed_of};
use steadfast::testing::conformance;
use uuid::{Builder, Uuid};

use crate::breach::is_noticed;

#[derive(Clone, Copy)]
enum WrongClock {
    GoesBack,
    StandsStill(Instant),
    Is1970,
}

impl Clock for WrongClock {
    fn now(&self) -> Instant {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        match self {
            Self::GoesBack => {
                let back = Duration::from_millis(ASKED.fetch_add(1, Ordering::Relaxed));
                TokioClock.now().checked_sub(back).expect("the machine runs for longer than a second")
            }
            Self::StandsStill(moment) => *moment,
            Self::Is1970 => TokioClock.now(),
        }
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH
    }
}

#[test]
fn a_clock_that_is_wrong_is_noticed() {
    for (clock, promise) in [
        (WrongClock::GoesBack, "never goes back"),
        (WrongClock::StandsStill(TokioClock.now()), "moves on as tokio's timers do"),
        (WrongClock::Is1970, "one that people would read"),
    ] {
        let suite = conformance::clock(move || async move { Arc::new(clock) as Arc<dyn Clock> });
        is_noticed("a clock", promise, suite);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    StreamGoesOn,
    OneStream,
    SameId,
    IdsGoBack,
    AnotherVersion,
    TwoAtOnceGetTheSame,
    IgnoresItsSeed,
    NotSeeded,
}

struct WrongEntropy {
    bug: Bug,
    seed: u64,
    asked: AtomicU64,
}

impl WrongEntropy {
    fn new(bug: Bug, seed: u64) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(1000);
        let seed = match bug {
            Bug::IgnoresItsSeed => 7,
            Bug::NotSeeded => MADE.fetch_add(1, Ordering::Relaxed),
            _ => seed,
        };
        Self { bug, seed, asked: AtomicU64::new(0) }
    }
}

impl Entropy for WrongEntropy {
    fn stream(&self, label: &str) -> Rng {
        let asked = self.asked.load(Ordering::Relaxed);
        match self.bug {
            Bug::StreamGoesOn => Rng::new(self.seed + asked),
            Bug::OneStream => Rng::new(self.seed),
            _ => Rng::new(seed_of(self.seed, label)),
        }
    }

    fn id(&self) -> Uuid {
        let number = match self.bug {
            Bug::TwoAtOnceGetTheSame => {
                let number = self.asked.load(Ordering::Relaxed);
                std::thread::yield_now();
                self.asked.store(number + 1, Ordering::Relaxed);
                number
            }
            Bug::SameId => 0,
            Bug::IdsGoBack => 100_000 - self.asked.fetch_add(1, Ordering::Relaxed),
            _ => self.asked.fetch_add(1, Ordering::Relaxed),
        };
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.seed.to_be_bytes());
        match self.bug {
            Bug::AnotherVersion => Uuid::from_u128(number.into()),
            _ => Builder::from_unix_timestamp_millis(number, &random).into_uuid(),
        }
    }
}

#[test]
fn a_source_of_randomness_that_is_wrong_is_noticed() {
    for (bug, promise) in [
        (Bug::StreamGoesOn, "the same label gives the same stream again"),
        (Bug::OneStream, "every label has a stream of its own"),
        (Bug::SameId, "unique"),
        (Bug::IdsGoBack, "later ones sort after earlier ones"),
        (Bug::AnotherVersion, "of version 7"),
        (Bug::TwoAtOnceGetTheSame, "whoever asks at the same time"),
    ] {
        is_noticed(&format!("{bug:?}"), promise, async move {
            conformance::entropy(|| Arc::new(WrongEntropy::new(bug, 7)));
        });
    }
    for (bug, promise) in [
        (Bug::NotSeeded, "everything follows from the seed"),
        (Bug::IgnoresItsSeed, "another seed gives other numbers and ids"),
    ] {
        is_noticed(&format!("{bug:?}"), promise, async move {
            conformance::seeded_entropy(|seed| Arc::new(WrongEntropy::new(bug, seed)));
        });
    }
}
