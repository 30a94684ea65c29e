//! A world in memory in which a goal is carried out by the real tree.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod hosting;
pub(crate) mod reads;
pub(crate) mod stops;
pub(crate) mod waiting;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::{FaultPlan, RunId, System, SystemBuilder};
use steadfast_orchestration::agents::desk::Workshop;
use steadfast_orchestration::agents::orchestrator::{Feed, RunArgs};
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::goal;
use steadfast_orchestration::preset::{self, Staff};
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::{Kept, Report};
use steadfast_orchestration::seam::artifacts::MemoryArtifacts;
use steadfast_orchestration::seam::commands::{Commands, Completed, Exit, Invocation};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use tokio::sync::Notify;

/// The run of every test.
pub(crate) const RUN: uuid::Uuid = uuid::Uuid::from_u128(1);

/// One start or end of a command, as a witness outside the tree saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The idempotency key.
    pub(crate) key: String,
    /// The attempt.
    pub(crate) attempt: u32,
    /// `start` or `end`.
    pub(crate) what: &'static str,
    /// When, in milliseconds since 1970.
    pub(crate) wall: u128,
}

/// What the commands of a run did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<Vec<Seen>>>);

impl Witness {
    /// Everything seen so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, invocation: &Invocation, what: &'static str) {
        #[expect(clippy::disallowed_methods, reason = "a witness has a clock of its own")]
        let now = std::time::SystemTime::now();
        let wall = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let of = |name: &str| invocation.env.get(name).cloned().unwrap_or_default();
        let attempt = of("STEADFAST_ATTEMPT").parse().unwrap_or(0);
        let seen = Seen { key: of("STEADFAST_IDEMPOTENCY_KEY"), attempt, what, wall };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}

/// A goal, the folder it is about, and what its programs answer.
pub(crate) struct World {
    pub(crate) goal: &'static str,
    pub(crate) files: MemoryFiles,
    pub(crate) commands: Arc<dyn Commands>,
    pub(crate) redactor: Redactor,
    pub(crate) jobs: usize,
    /// Whether anybody keeps what happens.
    pub(crate) kept: Kept,
}

impl World {
    /// Carries `goal` out with commands that print their arguments, which the witness sees.
    pub(crate) fn new(goal: &'static str, files: MemoryFiles) -> (Self, Witness) {
        let witness = Witness::default();
        let seen = witness.clone();
        let commands = ScriptedCommands::later(move |invocation| {
            let seen = seen.clone();
            Box::pin(async move {
                seen.note(&invocation, "start");
                tokio::time::sleep(Duration::from_millis(2)).await;
                seen.note(&invocation, "end");
                Ok(answer(&invocation))
            })
        });
        let redactor = Redactor::new();
        (Self { goal, files, commands: Arc::new(commands), redactor, jobs: 4, kept: Kept::Volatile }, witness)
    }

    /// Lets no command end before it is told to; then each ends well.
    pub(crate) fn hold_commands(&mut self) -> Held {
        let held = Held::default();
        let (started, go) = (Arc::clone(&held.started), Arc::clone(&held.go));
        self.commands = Arc::new(ScriptedCommands::later(move |_| {
            let (started, go) = (Arc::clone(&started), Arc::clone(&go));
            Box::pin(async move {
                started.notify_one();
                go.notified().await;
                Ok(Completed::new(Exit::Code(0)))
            })
        }));
        held
    }

    /// What the tree of the run is made of.
    pub(crate) fn parts(&self) -> (Staff, RunArgs) {
        let loaded = goal::read("goal.toml", self.goal).expect("the goal file is valid");
        loaded.plan(BTreeMap::new(), &preset::offered()).expect("the goal can be planned");
        let clock = steadfast::TokioClock;
        let cache = Arc::new(Cache::new(Bounds::default(), Arc::new(move || steadfast::seam::Clock::now(&clock))));
        let shop = Workshop::new(Arc::clone(&self.commands), cache);
        let run = RunArgs {
            run: RunId::new(RUN),
            goal: loaded.goal.clone(),
            params: BTreeMap::new(),
            input: String::new(),
            parent: None,
            kept: self.kept,
            jobs: self.jobs,
            by: String::new(),
            files: Arc::new(self.files.clone()),
            shop: shop.clone(),
            redactor: self.redactor.clone(),
            artifacts: Arc::new(MemoryArtifacts::new()),
            feed: Feed::new(),
            around: None,
        };
        (Staff::new(self.jobs, shop), run)
    }

    /// Starts the run.
    pub(crate) async fn start(&self, faults: Option<Arc<dyn FaultPlan>>) -> Running {
        let builder = preset::builder();
        self.start_in(if let Some(faults) = faults { builder.faults(faults) } else { builder }).await
    }

    /// Starts the run in a system with other seams.
    pub(crate) async fn start_in(&self, builder: SystemBuilder) -> Running {
        let (staff, run) = self.parts();
        let feed = run.feed.clone();
        let system = builder.start(preset::tree(&staff, run)).await.expect("the tree starts");
        Running { system, feed }
    }

    /// Carries the run to its end.
    pub(crate) async fn run(&self, faults: Option<Arc<dyn FaultPlan>>) -> Report {
        self.start(faults).await.finish().await
    }
}

/// Commands that wait.
#[derive(Default)]
pub(crate) struct Held {
    /// A command began.
    pub(crate) started: Arc<Notify>,
    /// One command may end.
    pub(crate) go: Arc<Notify>,
}

/// A run under way.
pub(crate) struct Running {
    pub(crate) system: System,
    pub(crate) feed: Feed,
}

impl Running {
    /// Waits for the report, and ends the tree.
    pub(crate) async fn finish(self) -> Report {
        let report = tokio::time::timeout(Duration::from_mins(1), self.feed.report()).await;
        let report = report.unwrap_or_else(|_| panic!("no report: {:?}", self.system.alive()));
        self.system.shutdown().await.expect("the tree ends in order");
        Report::clone(&report)
    }
}

fn answer(invocation: &Invocation) -> Completed {
    match invocation.program.as_str() {
        "false" => Completed::new(Exit::Code(1)).stderr("it is false\n"),
        "print" => Completed::new(Exit::Code(0)).stdout(invocation.args.join(" ")),
        _ => Completed::new(Exit::Code(0)),
    }
}
