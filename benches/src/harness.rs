//! Runs contenders in turns, so that whatever else the machine does hits all of them alike.

use std::future::Future;

use tokio::runtime::Builder;

/// On which of tokio's runtimes something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// One thread.
    CurrentThread,
    /// Two workers.
    MultiThread,
}

impl Flavor {
    pub(crate) const ALL: &'static [Self] = &[Self::CurrentThread, Self::MultiThread];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current_thread",
            Self::MultiThread => "multi_thread",
        }
    }

    /// Runs a measurement as a task of a fresh runtime.
    pub(crate) fn run<T: Send + 'static>(self, work: impl Future<Output = T> + Send + 'static) -> T {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(2).enable_time().build().expect("a runtime starts");
        runtime.block_on(async { tokio::spawn(work).await.expect("a measurement does not panic") })
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Bytes,
}

impl Unit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
        }
    }

    /// How many of it a time in seconds is.
    pub(crate) fn of_seconds(self, seconds: f64) -> f64 {
        match self {
            Self::Nanoseconds => seconds * 1e9,
            Self::Microseconds => seconds * 1e6,
            Self::Milliseconds => seconds * 1e3,
            Self::Bytes => f64::NAN,
        }
    }
}

/// Measures once, with so many messages or children: one figure, or many of one kind.
pub(crate) type Run = fn(Flavor, usize) -> Vec<f64>;

/// One of those that are compared.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    /// Left out where there are more than so many.
    pub(crate) up_to: usize,
    pub(crate) only: Option<Flavor>,
}

impl Contender {
    pub(crate) const fn new(name: &'static str, run: Run) -> Self {
        Self { name, run, up_to: usize::MAX, only: None }
    }

    pub(crate) const fn up_to(mut self, n: usize) -> Self {
        self.up_to = n;
        self
    }

    pub(crate) const fn only(mut self, flavor: Flavor) -> Self {
        self.only = Some(flavor);
        self
    }
}

/// Something that is measured. The first contender is the floor that ratios refer to.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) unit: Unit,
    pub(crate) sizes: &'static [usize],
    pub(crate) quick: &'static [usize],
    pub(crate) rounds: usize,
    pub(crate) flavors: &'static [Flavor],
    pub(crate) contenders: &'static [Contender],
}

/// What was seen of one contender.
pub(crate) struct Seen {
    pub(crate) contender: &'static str,
    /// One list for each round.
    pub(crate) rounds: Vec<Vec<f64>>,
}

/// Lets the contenders of a bench take turns, for so many rounds, after one that warms up and is not counted.
pub(crate) fn measure(bench: &Bench, flavor: Flavor, n: usize, rounds: usize, peers: &[String]) -> Vec<Seen> {
    let takes_part = |contender: &&Contender| n <= contender.up_to && contender.only.is_none_or(|only| only == flavor);
    let wanted = |name: &str| peers.is_empty() || peers.iter().any(|peer| peer == name);
    let contenders: Vec<_> = bench
        .contenders
        .iter()
        .filter(takes_part)
        .enumerate()
        .filter(|(place, contender)| *place == 0 || wanted(contender.name))
        .map(|(_, contender)| contender)
        .collect();
    let mut seen: Vec<_> =
        contenders.iter().map(|contender| Seen { contender: contender.name, rounds: Vec::new() }).collect();
    for round in 0..=rounds {
        for (contender, seen) in contenders.iter().zip(&mut seen) {
            let figures = (contender.run)(flavor, n);
            if round > 0 {
                seen.rounds.push(figures);
            }
        }
    }
    seen
}
