//! Runs a test over seeds, each in a world of its own, and makes of a failure something that can be run again.

mod outcome;
mod quiet;
mod told;

use std::env;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub use self::outcome::Outcome;
use self::quiet::be_quiet;
use self::told::Told;
use crate::fault::{Chaos, Plan, shrink};
use crate::runtime::faults::run::FaultRun;
use crate::runtime::{simulated, wait};
use crate::testing::World;
use crate::testing::trace::Trace;

/// For how much virtual time a test may go on when it does not say. Whoever waits for what never comes gets there at once, where
/// nothing else goes on meanwhile.
const LIMIT: Duration = Duration::from_hours(48);

/// How many runs the search for a smaller plan may take.
const SHRINKING: usize = 100;

/// A test that runs in a simulated [`World`], once for each of some seeds.
///
/// Each seed runs in a thread of its own, on a runtime whose time is paused. A test fails by a panic, by an error that it
/// returns, by a rule that it set with [`World::always`], or by what must hold at the end of every test (the
/// [oracles](super::oracle::ALL)). Then the seed is told, with the smallest plan of faults that still fails, and one line
/// that runs exactly that again.
///
/// | in the environment | |
/// |---|---|
/// | `SIM_SEED=17` | only this seed |
/// | `SIM_SEEDS=1000` | so many seeds, from the first on |
/// | `SIM_PLAN='panic at ..'` | this plan instead of the test's, and no chaos |
/// | `SIM_TWICE=1` | each seed twice, and the traces must be the same |
/// | `SIM_TRACE=1` | a failure tells the whole trace |
#[derive(Clone)]
pub struct Sim {
    name: String,
    first: u64,
    seeds: u64,
    plan: Plan,
    chaos: Chaos,
    hold_back: u32,
    limit: Duration,
    may_not_fire: bool,
    twice: bool,
    output: Output,
}

/// What runs print.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    /// Panics, and of a failure the end of the trace.
    Short,
    /// Of a failure the whole trace.
    Whole,
    /// Nothing: it is a search.
    Quiet,
}

/// What one run of a seed came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ran {
    /// The seed.
    pub seed: u64,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// The faults that came, as a plan that brings the same again.
    pub plan: Plan,
    /// Everything that happened.
    pub trace: Trace,
    by: Again,
}

/// What brings a failure again, beside the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// The faults that came, as a plan.
    Plan,
    /// What the test itself says of faults.
    Test,
    /// A second run of it.
    Twice,
}

impl Sim {
    /// A test of this name: the path of its function, as the test harness knows it, for the line that runs it again.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let (plan, chaos, name) = (Plan::default(), Chaos::default(), name.into());
        let (may_not_fire, twice, output) = (false, false, Output::Short);
        Self { name, first: 0, seeds: 1, plan, chaos, hold_back: 0, limit: LIMIT, may_not_fire, twice, output }
    }

    /// How many seeds; 1 when not set.
    #[must_use]
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// The first seed; 0 when not set.
    #[must_use]
    pub fn from_seed(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// The faults. Each must come, or the test fails and tells what came nearest to it.
    #[must_use]
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    /// As [`plan`](Self::plan), of its text.
    ///
    /// # Panics
    ///
    /// When it is no plan; with what was expected.
    #[must_use]
    #[track_caller]
    pub fn faults(self, plan: &str) -> Self {
        let plan = plan.parse().unwrap_or_else(|error| panic!("{error}"));
        self.plan(plan)
    }

    /// Faults by chance, beside those of the plan, as each seed draws them.
    ///
    /// # Panics
    ///
    /// When it is no chaos; with what was expected.
    #[must_use]
    #[track_caller]
    pub fn chaos(mut self, chaos: &str) -> Self {
        self.chaos = chaos.parse().unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Before it takes its next message each agent lets up to so many turns of others pass, as each seed draws it: so seeds
    /// show orders that a plain executor never shows. What one sender sends to one receiver keeps its order.
    #[must_use]
    pub fn interleave(mut self, most: u32) -> Self {
        self.hold_back = most;
        self
    }

    /// For how much virtual time it may go on; two days when not set. One that waits for what never comes fails then.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Faults of the plan need not come.
    #[must_use]
    pub fn may_not_fire(mut self) -> Self {
        self.may_not_fire = true;
        self
    }

    /// Runs each seed twice: the traces must be the same, or the test fails and tells where they part.
    #[must_use]
    pub fn twice(mut self) -> Self {
        self.twice = true;
        self
    }

    /// Runs the test over its seeds, or over what the environment says.
    ///
    /// # Panics
    ///
    /// When a seed fails, with everything that is needed to run it again; when the environment says what cannot be read.
    #[track_caller]
    pub fn run<F, Fut>(self, test: F)
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome>,
    {
        let sim = self.by_environment();
        assert!(sim.seeds > 0, "{}: with no seed at all nothing is tested", sim.name);
        let test = Arc::new(test);
        for seed in sim.first..sim.first.saturating_add(sim.seeds) {
            let ran = sim.once(seed, (&sim.plan, &sim.chaos), &test);
            let ran = if ran.failure.is_none() && sim.twice { sim.again(ran, &test) } else { ran };
            if ran.failure.is_some() {
                let (ran, smaller) = sim.shrunk(ran, &test);
                let told = Told { sim: &sim, ran: &ran, smaller: smaller.as_ref() }.to_string();
                panic!("{told}");
            }
        }
    }

    /// Runs one seed under a plan, and tells what came of it. For checks over many runs; [`run`](Self::run) is for tests.
    pub fn try_seed<F, Fut>(&self, seed: u64, test: F) -> Ran
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome>,
    {
        self.once(seed, (&self.plan, &self.chaos), &Arc::new(test))
    }

    fn by_environment(mut self) -> Self {
        if let Some(seeds) = number("SIM_SEEDS") {
            self.seeds = seeds;
        }
        if let Some(seed) = number("SIM_SEED") {
            (self.first, self.seeds) = (seed, 1);
        }
        if let Ok(plan) = env::var("SIM_PLAN") {
            self.plan = plan.parse().unwrap_or_else(|error| panic!("SIM_PLAN: {error}"));
            self.chaos = Chaos::default();
            // It may be one for another version of the test.
            self.may_not_fire = true;
        }
        self.twice |= is_on("SIM_TWICE");
        if is_on("SIM_TRACE") {
            self.output = Output::Whole;
        }
        self
    }

    /// One run, in a thread of its own: nothing of it is left in this one.
    fn once<F, Fut>(&self, seed: u64, (plan, chaos): (&Plan, &Chaos), test: &Arc<F>) -> Ran
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome>,
    {
        let (plan, chaos, test) = (plan.clone(), chaos.clone(), Arc::clone(test));
        let (may_not_fire, hold_back) = (self.may_not_fire, self.hold_back);
        let (limit, output) = (self.limit, self.output);
        let thread = thread::Builder::new().name(format!("{} seed {seed}", self.name));
        let running = thread.spawn(move || {
            if output == Output::Quiet {
                be_quiet();
            }
            simulated::run_alone(async move {
                let world = World::new(seed, FaultRun::with_chaos(plan, &chaos, seed), hold_back);
                let failure = live(&world, &*test, limit, may_not_fire).await.err();
                let (failure, by) = failure.map_or((None, Again::Plan), |(failure, by)| (Some(failure), by));
                Ran { seed, failure, plan: world.faults().fired_plan(), trace: world.trace(), by }
            })
        });
        let ran = running.and_then(|running| {
            running.join().unwrap_or_else(|panic| Err(std::io::Error::other(simulated::text_of(&*panic))))
        });
        ran.unwrap_or_else(|error| {
            let failure = Some(format!("the run itself failed: {error}"));
            Ran { seed, failure, plan: Plan::default(), trace: Trace::default(), by: Again::Test }
        })
    }

    fn again<F, Fut>(&self, ran: Ran, test: &Arc<F>) -> Ran
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome>,
    {
        let again = self.once(ran.seed, (&self.plan, &self.chaos), test);
        let parting = ran.trace.parting(&again.trace).map(|parting| {
            format!("the same seed did not do the same twice: see what leaks in docs/testing.md\n{parting}")
        });
        let second = again.failure.map(|failure| format!("the second run of the same seed fails: {failure}"));
        Ran { failure: parting.or(second), by: Again::Twice, ..ran }
    }

    /// The run, with what brings it again; and one under a smaller plan that fails too, if there is one.
    fn shrunk<F, Fut>(&self, ran: Ran, test: &Arc<F>) -> (Ran, Option<Ran>)
    where
        F: Fn(World) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Outcome>,
    {
        if ran.by != Again::Plan {
            return (ran, None);
        }
        // A plan that is a part of another need not come whole.
        let (none, lenient) = (Chaos::default(), Self { may_not_fire: true, output: Output::Quiet, ..self.clone() });
        // Another failure may need less, and is another matter.
        let is_it = |again: &Ran| again.failure.as_deref().map(kind) == ran.failure.as_deref().map(kind);
        if !is_it(&lenient.once(ran.seed, (&ran.plan, &none), test)) {
            return (Ran { by: Again::Test, ..ran }, None);
        }
        let mut smaller = None;
        let fails = |plan: &Plan| {
            let again = lenient.once(ran.seed, (plan, &none), test);
            let fails = is_it(&again);
            if fails {
                smaller = Some(again);
            }
            fails
        };
        let plan = shrink(&ran.plan, fails, SHRINKING - 1);
        let smaller = smaller.map(|ran| Ran { plan, ..ran });
        (ran, smaller)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("name", &self.name).field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{name} is `{text}`, and no whole number from 0 on")))
}

/// Whether something is switched on in the environment.
fn is_on(name: &str) -> bool {
    env::var(name).is_ok_and(|text| !matches!(text.trim(), "" | "0"))
}

/// Runs the test in its world, and looks at what must hold at the end.
async fn live<F, Fut>(world: &World, test: &F, limit: Duration, may_not_fire: bool) -> Result<(), (String, Again)>
where
    F: Fn(World) -> Fut,
    Fut: Future<Output: Outcome>,
{
    let run = async {
        match simulated::caught(test(world.clone())).await {
            Ok(outcome) => outcome.failure().map_or(Ok(()), Err),
            Err(panic) => Err(simulated::text_of(&*panic)),
        }
    };
    let broken = async { Err(world.until_broken().await) };
    let ended = wait::at_most(limit, wait::first(broken, run)).await;
    let ended = ended.unwrap_or_else(|| Err(format!("the test did not end within {limit:?} of virtual time")));
    ended.map_err(|problem| (problem, Again::Plan))?;
    world.end().await.map_err(|problem| (problem, Again::Plan))?;
    let unfired = world.faults().unfired();
    if unfired.is_empty() || may_not_fire {
        return Ok(());
    }
    // A plan of those that came would not show it.
    Err((unfired.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), Again::Test))
}

/// What two failures of one kind have in common: the first line without its numbers.
fn kind(failure: &str) -> String {
    failure.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect()
}
