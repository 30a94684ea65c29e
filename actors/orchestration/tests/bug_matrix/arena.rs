//! Carries the goal of a seed out in a world, under chaos.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use steadfast::fault::Crash;
use steadfast::seam::{Level, Rng, seed_of};
use steadfast::testing::{Bug, Disk, DiskFault, Node, Ran, Sim, World};
use steadfast::{Incarnation, RunId, SupervisorSpec, TokioClock};
use steadfast_orchestration::agents::desk::Workshop;
use steadfast_orchestration::agents::orchestrator::{Feed, RunArgs};
use steadfast_orchestration::agents::protocol::{Attempt, LeaseId, Part, REPORT, ReportRequest};
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::goal::read;
use steadfast_orchestration::preset::{self, Staff, orchestrator_path};
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::{Kept, Leased, Record};
use steadfast_orchestration::seam::artifacts::MemoryArtifacts;
use steadfast_orchestration::seam::testing::ScriptedCommands;
use steadfast_orchestration::work::Outcome;

use super::goals::{self, Goal};
use super::oracles::{self, Run};
use super::witness::{Watched, What, Witness};

/// The run of every seed.
const RUN: RunId = RunId::new(uuid::Uuid::from_u128(1));

/// For how long things go wrong.
const TROUBLE: Duration = Duration::from_secs(4);

/// How long a run may take: what goes wrong is over long before.
const BOUND: Duration = Duration::from_mins(2);

const MS: Duration = Duration::from_millis(1);

/// What may go wrong inside a node, within [`TROUBLE`].
const CHAOS: &str = "
    panic 1% at before-message of root/domains/** from 0s to 4s;
    panic 1% at after-message of root/domains/** from 0s to 4s;
    panic 2% at after-message of root/domains/orchestration/goals/* from 0s to 4s;
    error 1% at during-message of root/domains/** from 0s to 4s;
    hang 0.5% at before-message of root/domains/** from 0s to 4s;
    hang 0.5% at during-message of root/domains/** from 0s to 4s;
    block 700ms 0.5% at before-message of root/domains/** from 0s to 4s;
    kill 1% at before-message of root/domains/orchestration/*/* from 0s to 4s;
    kill 1% at after-message of root/domains/orchestration/executors/* from 0s to 4s;
    kill root/domains/orchestration/goals/* 2% at after-append of system/journal from 0s to 4s;
    kill root/domains/orchestration/executors/* 2% at after-append of system/journal from 0s to 4s;
    slow 40ms 5% at before-message of root/domains/orchestration/goals/* from 0s to 4s;
    slow 200ms 5% at before-message of root/domains/orchestration/agents/* from 0s to 4s;
    slow 1200ms 2% at before-message of root/domains/orchestration/executors/* from 0s to 4s;
    slow 100ms 5% at before-start of root/domains/** from 0s to 4s;
    skew * 2s behind 0.1% at after-message of root/domains/** from 0s to 4s;
    skew * 2s ahead 0.1% at after-message of root/domains/** from 0s to 4s;
    panic 0.3% at before-append of system/journal from 0s to 4s;
    panic 0.3% at after-append of system/journal from 0s to 4s;
    swarm";

/// One run of a seed: first the calm one, then under chaos, in a system that makes this mistake.
pub(crate) fn ran(seed: u64, bug: Option<Bug>) -> Ran {
    let digest = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&digest);
    let calm = Sim::new("bug_matrix").try_seed(seed, move |world| {
        let told = Arc::clone(&told);
        async move { carry_out(world, None, None).await.map(|digest| *lock(&told) = digest) }
    });
    if calm.failure.is_some() {
        return calm;
    }
    let calm = lock(&digest).clone();
    let most = if seed.is_multiple_of(2) { 0 } else { 3 };
    let sim = Sim::new("bug_matrix").faults(&kills(seed)).chaos(CHAOS).interleave(most).may_not_fire();
    sim.try_seed(seed, move |world| {
        let calm = calm.clone();
        async move { carry_out(world, Some(&calm), bug).await.map(drop) }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who is killed at which time: agents, and now and then a whole pool.
fn kills(seed: u64) -> String {
    let mut rng = Rng::new(seed_of(seed, "kills"));
    let below = "root/domains/orchestration";
    let whom = [
        format!("{below}/goals/{RUN}"),
        format!("{below}/executors/1"),
        format!("{below}/executors/2"),
        format!("{below}/agents/validator"),
        format!("{below}/agents/retriever"),
        format!("{below}/executors"),
        format!("{below}/agents"),
    ];
    let mut draw = |most: u64| rng.next_u64() % most;
    let kills = (0..draw(5)).map(|_| {
        let whom = &whom[usize::try_from(draw(whom.len() as u64)).expect("a small number")];
        format!("kill {whom} at {}ms", draw(2000))
    });
    kills.collect::<Vec<_>>().join("; ")
}

/// Carries a goal out to its end, and returns the digest of its result; or what does not hold. Where there is the digest of
/// a calm run, this one is none.
async fn carry_out(world: World, calm: Option<&str>, bug: Option<Bug>) -> Result<String, String> {
    let (goal, witness) = (goals::of_seed(world.seed()), Witness::new());
    let disk = Disk::new(seed_of(world.seed(), "disk of the arena"));
    let feed = Feed::new();
    if calm.is_some() {
        fail_appends(&world, &disk, &witness);
    }
    let node = start(&world, &goal, (&witness, &disk, &feed), bug).await;
    follow(&world, &feed, &witness, &node);
    if calm.is_some() {
        host(&world, node.clone(), disk.clone());
    }
    if let Ok(report) = tokio::time::timeout(BOUND, feed.report()).await {
        witness.note(What::Reported(report));
        if calm.is_some() && world.rng("the end").next_u64().is_multiple_of(4) {
            // Whoever comes after the end finds it.
            let _ = node.try_system().map(|system| system.kill(orchestrator_path(RUN).as_str()));
        }
        // What comes too late comes by then.
        world.sleep(1000 * MS).await;
    }
    let seen = witness.seen();
    let run = Run { seen: &seen, room: goal.room, calm };
    judge(&run)?;
    for seen in &seen {
        // What was seen is told with what happened inside.
        world.note(seen);
    }
    Ok(run.report().map(|report| report.result_digest.clone()).unwrap_or_default())
}

/// What does not hold, with the last of what was seen.
fn judge(run: &Run<'_>) -> Result<(), String> {
    let problem = |oracle: &oracles::Oracle| Some(format!("{}: {}", oracle.name, (oracle.look)(run)?));
    let problems: Vec<_> = oracles::ALL.iter().filter_map(problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let seen: Vec<_> = run.seen.iter().map(ToString::to_string).collect();
    Err(format!("{}\nseen was\n{}", problems.join("\n"), seen.join("\n")))
}

/// Begins the node. One that does not start is begun again by whoever keeps it up.
async fn start(world: &World, goal: &Goal, seen: (&Witness, &Disk, &Feed), bug: Option<Bug>) -> Node {
    let (witness, disk, feed) = seen;
    let tree = tree(goal, witness, feed);
    let (witness, disk) = (witness.clone(), disk.clone());
    let level = level(world.seed());
    let boots = Mutex::new(0);
    let builder = world.node("a").configure(move |builder| {
        let mut boots = lock(&boots);
        *boots += 1;
        witness.note(What::Booted(*boots));
        preset::set_up(builder).journal(Arc::new(Watched::new(disk.journal(level), &witness))).bug(bug)
    });
    let _ = builder.start(tree).await;
    world.find_node("a").expect("it was begun")
}

/// How durable the journal is; where it is only safe from a crash of the process, no other comes.
fn level(seed: u64) -> Level {
    if seed.is_multiple_of(3) { Level::ProcessCrashSafe } else { Level::Durable }
}

/// The tree that carries a goal out.
fn tree(goal: &Goal, witness: &Witness, feed: &Feed) -> impl Fn() -> SupervisorSpec + use<> {
    let loaded = read("goal.toml", &goal.text).unwrap_or_else(|error| panic!("{error}\n{}", goal.text));
    let witness = witness.clone();
    let commands = ScriptedCommands::later(move |invocation| {
        let witness = witness.clone();
        Box::pin(async move { Ok(witness.work(invocation).await) })
    });
    let clock = TokioClock;
    let cache = Cache::new(Bounds::default(), Arc::new(move || steadfast::seam::Clock::now(&clock)));
    let shop = Workshop::new(Arc::new(commands), Arc::new(cache));
    let run = RunArgs {
        run: RUN,
        goal: loaded.goal,
        params: BTreeMap::new(),
        input: String::new(),
        parent: None,
        kept: Kept::Volatile,
        jobs: goal.jobs,
        by: String::new(),
        files: Arc::new(goal.files.clone()),
        shop: shop.clone(),
        redactor: Redactor::new(),
        artifacts: Arc::new(MemoryArtifacts::new()),
        feed: feed.clone(),
        around: None,
    };
    let staff = Staff::new(goal.jobs, shop);
    move || preset::tree(&staff, run.clone())
}

/// Lets a few appends fail, or leaves those who append in doubt.
fn fail_appends(world: &World, disk: &Disk, witness: &Witness) {
    let rng = Mutex::new(world.rng("appends"));
    let witness = witness.clone();
    disk.fail_when(move |_| {
        let draw = lock(&rng).next_u64() % 200;
        let is_over = witness.now() >= TROUBLE;
        [DiskFault::Unavailable, DiskFault::InDoubtKept, DiskFault::InDoubtLost]
            .into_iter()
            .nth(usize::try_from(draw).unwrap_or(usize::MAX))
            .filter(|_| !is_over)
    });
}

/// Crashes the node now and then, and begins it again whenever it is down.
fn host(world: &World, node: Node, disk: Disk) {
    let mut rng = world.rng("host");
    let (clock, level) = (world.clone(), level(world.seed()));
    world.spawn(async move {
        let mut crashes: Vec<_> = (0..(rng.next_u64() % 5).saturating_sub(2)).map(|_| rng.next_u64() % 3000).collect();
        crashes.sort_unstable();
        crashes.reverse();
        loop {
            let now = clock.now();
            if crashes.pop_if(|millis| MS * u32::try_from(*millis).unwrap_or(0) <= now).is_some() && node.is_up() {
                let kind = [Crash::Process, Crash::Power, Crash::Torn];
                let kind = kind[usize::try_from(rng.next_u64() % 3).unwrap_or(0)];
                node.crash().await;
                disk.crash(if level == Level::Durable { kind } else { Crash::Process });
            }
            tokio::time::sleep(20 * MS).await;
            if !node.is_up() {
                // A start that fails is tried again.
                let _ = node.restart().await;
            }
        }
    });
}

/// Hears what is told of the run, and reports on leases that were lost as if their holder lived on.
fn follow(world: &World, feed: &Feed, witness: &Witness, node: &Node) {
    let mut told = feed.records();
    let (mut rng, witness, node) = (world.rng("strangers"), witness.clone(), node.clone());
    let spawner = world.clone();
    world.spawn(async move {
        let mut out = BTreeMap::new();
        while let Ok(record) = told.recv().await {
            witness.note(What::Told(Arc::clone(&record)));
            match &*record {
                Record::Leased(leased) => {
                    out.insert(leased.task.clone(), leased.clone());
                }
                Record::Lost { task, attempt, .. } => {
                    let delay = MS * u32::try_from(rng.next_u64() % 300).unwrap_or(0);
                    // Of the lease itself nobody is told whose orchestrator died then.
                    if let Some(leased) = out.remove(task).filter(|leased| leased.attempt == *attempt) {
                        let (witness, node) = (witness.clone(), node.clone());
                        spawner.spawn(async move {
                            tokio::time::sleep(delay).await;
                            report_as(&leased, &node, &witness).await;
                        });
                    }
                }
                _ => {}
            }
        }
    });
}

/// Reports a lie on a lease that was lost.
async fn report_as(leased: &Leased, node: &Node, witness: &Witness) {
    let Some(system) = node.try_system() else { return };
    let Some(orchestrator) = system.provider(&REPORT, orchestrator_path(RUN)) else { return };
    let attempt = Attempt { run: RUN, task: leased.task.clone(), number: leased.attempt, part: Part::Task };
    let incarnation = Incarnation::new(leased.incarnation).expect("not 0");
    let lease = LeaseId { attempt, agent: leased.agent.clone(), incarnation };
    let told = format!("{} by {}#{}", lease.attempt.subject(), lease.agent, lease.incarnation);
    let report = ReportRequest { lease, end: Ok(Outcome::Done { value: json!("a lie") }) };
    if let Ok(reply) = orchestrator.ask(report, 1000 * MS).await {
        witness.note(What::Stranger { lease: told, reply });
    }
}
