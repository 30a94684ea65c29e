//! Goals that are kept: many at once, one long chain, a short one, and what is unfinished after a restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use steadfast::seam::{AppendAt, Clock, Level};
use steadfast::{RunId, System, TokioClock};
use steadfast_orchestration::agents::desk::Workshop;
use steadfast_orchestration::agents::host::HostArgs;
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::goal;
use steadfast_orchestration::host::{Gear, Head, Outfit, Start, Unfit};
use steadfast_orchestration::preset::{self, Staff};
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::{Millis, Record, Standing, Status, decode, encode};
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::commands::{CommandError, Commands, Completed, Exit, Invocation};
use steadfast_orchestration::seam::testing::MemoryFiles;
use steadfast_storage::Store;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::harness::Flavor;
use crate::journal::{bytes_of, folder};

/// How many steps each of many goals has.
pub(crate) const STEPS: usize = 20;

/// How many records a step is: it is given out, and its result is there.
pub(crate) const RECORDS: usize = 2;

/// How many steps the goals have that are unfinished at a restart.
const UNFINISHED_STEPS: usize = 3;

/// Commands that are over at once: what is measured is what keeps them.
#[derive(Default)]
struct Instantly {
    begun: AtomicUsize,
    first: Notify,
}

impl Commands for Instantly {
    fn run(&self, _: Invocation) -> BoxFuture<'_, Result<Completed, CommandError>> {
        if self.begun.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        Box::pin(async { Ok(Completed::new(Exit::Code(0))) })
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// No run has any files.
struct NoFiles;

impl Outfit for NoFiles {
    fn gear<'a>(&'a self, _: &'a Head) -> BoxFuture<'a, Result<Gear, Unfit>> {
        Box::pin(async { Ok(Gear::new(Arc::new(MemoryFiles::new()), Redactor::new())) })
    }
}

fn run(number: usize) -> RunId {
    RunId::new(Uuid::from_u128(1 + number as u128))
}

/// A goal of so many steps, each after the one before.
fn chain(number: usize, steps: usize) -> Start {
    let mut text = String::from("name = 'chain'\n");
    for step in 0..steps {
        let after = step.checked_sub(1).map_or_else(String::new, |before| format!("after = ['s{before}']\n"));
        writeln!(text, "[[tasks]]\nid = 's{step}'\n{after}command = {{ program = 'x' }}").expect("a text takes it");
    }
    let loaded = goal::read("chain.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    Start::of(run(number), &loaded.goal, &BTreeMap::new(), "").expect("it is JSON")
}

/// A process that owns the store of a folder and carries its runs.
struct Process {
    store: Store,
    system: System,
    commands: Arc<Instantly>,
    host: HostArgs,
}

impl Process {
    async fn start(folder: &Path, level: Level, jobs: usize) -> Self {
        let store = Store::open(folder, level, "a bench").await.expect("it opens");
        let commands = Arc::new(Instantly::default());
        let cache = Cache::new(Bounds::default(), Arc::new(|| TokioClock.now()));
        let shop = Workshop::new(Arc::clone(&commands) as _, Arc::new(cache));
        let mut host = HostArgs::new("a bench", Arc::new(NoFiles));
        host.artifacts = store.artifacts();
        host.requests = store.requests().expect("it is ours");
        let spec = preset::serving(&Staff::new(jobs, shop), host.clone());
        let system = preset::builder().journal(store.journal()).start(spec).await.expect("the tree starts");
        Self { store, system, commands, host }
    }

    /// Carries a goal to its end.
    async fn carry(&self, start: &Start) {
        let feed = self.host.feeds.of(start.run);
        preset::start_run(&self.system, "a bench", start, Millis(1)).await.expect("it begins");
        assert_eq!(feed.stands_still().await, Standing::Ended(Status::Reached));
    }

    async fn end(self) {
        self.system.shutdown().await.expect("it ends");
        self.store.close().await.expect("it closes");
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn each(begun: Instant, count: usize, unit: f64) -> Vec<f64> {
    vec![begun.elapsed().as_secs_f64() * unit / count as f64]
}

/// Goals of [`STEPS`] steps, so many at once; nanoseconds per record of a step.
pub(crate) fn at_once(flavor: Flavor, goals: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let process = Arc::new(Process::start(folder.path(), Level::Durable, goals).await);
        let starts: Vec<_> = (0..goals).map(|number| chain(number, STEPS)).collect();
        let begun = Instant::now();
        let carried: Vec<_> = starts
            .into_iter()
            .map(|start| {
                let process = Arc::clone(&process);
                tokio::spawn(async move { process.carry(&start).await })
            })
            .collect();
        for one in carried {
            one.await.expect("it does not panic");
        }
        let seen = each(begun, goals * STEPS * RECORDS, 1e9);
        Arc::into_inner(process).expect("nobody else has it").end().await;
        seen
    })
}

/// One goal of so many steps, each after the one before; microseconds per step.
pub(crate) fn one_chain(flavor: Flavor, steps: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let process = Process::start(folder.path(), Level::ProcessCrashSafe, 1).await;
        let start = chain(0, steps);
        let begun = Instant::now();
        process.carry(&start).await;
        let seen = each(begun, steps, 1e6);
        process.end().await;
        seen
    })
}

/// From the start of a goal of so many steps to its end, many times; in milliseconds.
pub(crate) fn short(flavor: Flavor, steps: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let process = Process::start(folder.path(), Level::Durable, 4).await;
        let mut seen = Vec::new();
        for number in 0..50 {
            let start = chain(number, steps);
            let begun = Instant::now();
            process.carry(&start).await;
            seen.extend(each(begun, 1, 1e3));
        }
        process.end().await;
        seen
    })
}

/// Leaves so many runs behind, of each of which the first step is done and the second was given out.
async fn leave_behind(folder: &Path, runs: usize) {
    let pattern = {
        let process = Process::start(folder, Level::Durable, 1).await;
        let start = chain(usize::MAX - 1, UNFINISHED_STEPS);
        process.carry(&start).await;
        let records = process.store.journal().read(&start.run.into(), 0).await.expect("they are there");
        process.end().await;
        records
    };
    let records: Vec<_> = pattern.iter().map(|bytes| decode(bytes).expect("a record")).collect();
    let mut given_out = records.iter().enumerate().filter(|(_, record)| matches!(record, Record::Leased { .. }));
    let (second, _) = given_out.nth(1).expect("it has two steps");
    let store = Store::open(folder, Level::ProcessCrashSafe, "a bench").await.expect("it opens");
    let journal = store.journal();
    for number in 0..runs {
        let Start { run, goal, params, input } = chain(number, UNFINISHED_STEPS);
        let begun = Record::RunStarted { run, goal, params, input, parent: None, wall: Millis(1) };
        let stream = run.into();
        let epoch = journal.fence(&stream, "a process that is gone").await.expect("a fence");
        let mut left = vec![encode(&begun).expect("bytes")];
        left.extend(pattern[1..=second].iter().cloned());
        journal.append(&stream, AppendAt { epoch, expected: 0 }, left).await.expect("it is kept");
    }
    store.close().await.expect("it closes");
}

/// From the opening of a store with so many unfinished runs until the first of their steps begins; in milliseconds.
pub(crate) fn resumed(flavor: Flavor, runs: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        leave_behind(folder.path(), runs).await;
        let begun = Instant::now();
        let process = Process::start(folder.path(), Level::Durable, 4).await;
        process.commands.first.notified().await;
        let seen = each(begun, 1, 1e3);
        process.end().await;
        seen
    })
}

/// Bytes of the store for each step of a goal of so many, once it has ended and the store is closed.
pub(crate) fn bytes(flavor: Flavor, steps: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let process = Process::start(folder.path(), Level::ProcessCrashSafe, 1).await;
        process.carry(&chain(0, steps)).await;
        process.end().await;
        vec![bytes_of(&folder.path().join("journal.db"), steps)]
    })
}
