//! A goal is carried to the same result, whichever agents die or hang on the way.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime};

use common::{RUN, Seen, World};
use serde_json::{Value, json};
use steadfast::fault::Point;
use steadfast::seam::Clock;
use steadfast::seam::Level;
use steadfast::testing::{Disk, VirtualClock};
use steadfast::{Fault, FaultPlan, FaultPoint, RunId, SeededEntropy, TokioClock};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Report, Status};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};

const GOAL: &str = r#"
name = "small"

[[tasks]]
id = "list"
retrieve = { files = ["**"] }

[[tasks]]
id = "digests"
for_each = "${tasks.list.result}"
retrieve = { digest = "${item}" }

[[tasks]]
id = "prints"
for_each = "${tasks.list.result}"
result = "stdout"
command = { program = "print", args = ["${index}", "${item}"] }

[[tasks]]
id = "history"
when = { exists = ".git" }
result = "stdout"
command = { program = "print", args = ["history"] }

[[tasks]]
id = "none"
for_each = "${tasks.history.result}"
command = { program = "print" }

[[tasks]]
id = "report"
collect = { files = "${tasks.digests.result}", prints = "${tasks.prints.result}", history = "${tasks.history.result}" }

[[tasks]]
id = "valid"
check = { value = "${tasks.report.result}", schema = { type = "object", required = ["files", "prints"] } }
"#;

fn files() -> MemoryFiles {
    (0..12).fold(MemoryFiles::new(), |files, number| files.with(&format!("src/{number}.rs"), format!("// {number}")))
}

fn chaos(rates: &str, seed: u64) -> Arc<dyn FaultPlan> {
    Arc::new(Chaos::new(rates.parse().expect("rates"), seed))
}

fn value_of(report: &Report, id: &str) -> Option<Value> {
    report.results.iter().find(|task| task.id == id).and_then(|task| task.value.clone())
}

#[track_caller]
fn check_counts(report: &Report, seed: u64) {
    assert_eq!((report.lost, report.completed_rerun), (0, 0), "seed {seed}");
    let again: u64 = report.results.iter().map(|task| u64::from(task.attempts.saturating_sub(1))).sum();
    assert_eq!(report.reissued, again, "seed {seed}: {report:#?}");
}

/// What the witness saw agrees with the report: every key ended, and none began after its outcome was recorded.
#[track_caller]
fn check_witness(witnessed: &[Seen], report: &Report, seed: u64) {
    let tasks: BTreeMap<_, _> = report.results.iter().filter_map(|task| Some((task.key.clone()?, task))).collect();
    let keys: BTreeSet<_> = witnessed.iter().map(|seen| seen.key.clone()).collect();
    for key in keys {
        let task = tasks.get(&key).unwrap_or_else(|| panic!("seed {seed}: no task has the key {key}"));
        let of_key = || witnessed.iter().filter(|seen| seen.key == key);
        assert!(of_key().any(|seen| seen.what == "end"), "seed {seed}: {key} never ended");
        let recorded = u128::from(task.recorded_unix_ms.expect("it was recorded"));
        assert!(of_key().all(|seen| seen.what == "end" || seen.wall <= recorded), "seed {seed}: {key} ran again");
        let attempts: BTreeSet<_> = of_key().map(|seen| (seen.attempt, seen.what)).collect();
        assert_eq!(attempts.len(), of_key().count(), "seed {seed}: an attempt at {key} was carried out twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calm_run_reaches_its_goal_and_reports_every_item_as_a_task() {
    let (world, witness) = World::new(GOAL, files());
    let report = world.run(None).await;
    assert_eq!(report.status, Status::Reached, "{report:#?}");
    // list, 12 digests, 12 prints, history, report, valid; the list of `none` is empty.
    assert_eq!((report.tasks.total, report.tasks.succeeded, report.tasks.skipped), (28, 27, 1));
    assert_eq!((report.restarts.total, report.reissued, report.refused), (0, 0, 0));
    assert_eq!(value_of(&report, "prints[3]"), Some(json!("3 src/11.rs")));
    assert_eq!(value_of(&report, "report").expect("a value")["history"], Value::Null);
    check_counts(&report, 0);
    check_witness(&witness.seen(), &report, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_crash_change_nothing_about_the_result() {
    let calm = World::new(GOAL, files()).0.run(None).await;
    for seed in 0..10 {
        let (world, witness) = World::new(GOAL, files());
        let report = world.run(Some(chaos("crash=20%", seed))).await;
        assert_eq!(report.status, Status::Reached, "seed {seed}: {report:#?}");
        assert_eq!(report.result_digest, calm.result_digest, "seed {seed}");
        assert!(report.restarts.total > 0, "seed {seed}: nothing crashed");
        check_counts(&report, seed);
        check_witness(&witness.seen(), &report, seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_hang_change_nothing_about_the_result() {
    let calm = World::new(GOAL, files()).0.run(None).await;
    for seed in 0..4 {
        let (world, witness) = World::new(GOAL, files());
        let report = world.run(Some(chaos("crash=20%,hang=5%", seed))).await;
        assert_eq!((report.status, &report.result_digest), (Status::Reached, &calm.result_digest), "seed {seed}");
        check_counts(&report, seed);
        check_witness(&witness.seen(), &report, seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_changed_byte_changes_the_digest() {
    let one = World::new(GOAL, files()).0.run(None).await;
    let other = World::new(GOAL, files().with("src/3.rs", "// 4")).0.run(None).await;
    assert_ne!(one.result_digest, other.result_digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fails_fails_the_goal_and_says_what_to_do() {
    let goal = r#"
name = "failing"
[[tasks]]
id = "bad"
retries = { attempts = 3, backoff = "10ms" }
command = { program = "false" }
[[tasks]]
id = "after"
after = ["bad"]
collect = 1
[[tasks]]
id = "beside"
collect = 2
"#;
    let (world, _) = World::new(goal, MemoryFiles::new());
    let report = world.run(None).await;
    assert_eq!((report.status, report.tasks.failed, report.tasks.skipped), (Status::Failed, 1, 1));
    let task = |id: &str| report.results.iter().find(|task| task.id == id).expect("a task");
    assert_eq!((task("bad").attempts, task("beside").outcome.as_str()), (3, "succeeded"));
    let note = task("bad").failure.as_ref().expect("why it failed");
    assert!(note.class == "exit" && note.message.contains("it is false") && note.remedy.is_some(), "{note:?}");
    assert_eq!(task("after").failure.as_ref().expect("why").message, "it needs `bad`, which did not succeed");
    assert_eq!(report.reissued, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_its_schema_refuses_fails_its_task() {
    let goal = r#"
name = "refused"
[[tasks]]
id = "wrong"
collect = "text"
schema = { type = "number" }
"#;
    let report = World::new(goal, MemoryFiles::new()).0.run(None).await;
    let note = report.results[0].failure.clone().expect("why it failed");
    assert!(note.class == "invalid" && note.message.starts_with("schema: "), "{note:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_what_is_still_running() {
    let goal = r#"
name = "late"
limits = { deadline = "300ms" }
[[tasks]]
id = "forever"
command = { program = "forever" }
[[tasks]]
id = "quick"
collect = 1
"#;
    let (mut world, _) = World::new(goal, MemoryFiles::new());
    let gone = Arc::new(tokio::sync::Notify::new());
    let signal = Arc::clone(&gone);
    world.commands = Arc::new(ScriptedCommands::later(move |invocation| {
        let end = CallOnDrop(Arc::clone(&signal));
        Box::pin(async move {
            let _end = end;
            let beat = invocation.heartbeat.expect("a lease has a heartbeat");
            loop {
                beat();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    }));
    let running = world.start(None).await;
    let report = running.feed.report().await;
    assert_eq!((report.status, report.tasks.failed, report.tasks.succeeded), (Status::Failed, 1, 1));
    gone.notified().await;
    running.system.shutdown().await.expect("the tree ends in order");
}

struct CallOnDrop(Arc<tokio::sync::Notify>);

impl Drop for CallOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_run_ends_what_is_in_flight_and_starts_nothing_more() {
    let goal = r#"
name = "drained"
[[tasks]]
id = "first"
result = "stdout"
command = { program = "print", args = ["1"] }
[[tasks]]
id = "second"
after = ["first"]
command = { program = "print" }
"#;
    let (mut world, _) = World::new(goal, MemoryFiles::new());
    let held = world.hold_commands();
    let running = world.start(None).await;
    held.started.notified().await;
    preset::drain(&running.system, RunId::new(RUN)).await.expect("the orchestrator hears it");
    held.go.notify_one();
    let report = running.finish().await;
    assert_eq!((report.status, report.lost), (Status::Drained, 0));
    assert_eq!((report.tasks.succeeded, report.tasks.unfinished), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_a_task_prints_or_reads_is_in_no_record_and_no_report() {
    const GOAL: &str = r#"
name = "leaky"
[[tasks]]
id = "prints"
result = "stdout"
command = { program = "print", args = ["${tasks.reads.result.Password}", "Authorization: Bearer abcdefghijklmnop0123456789"] }
[[tasks]]
id = "reads"
retrieve = { value = { file = "settings.json" } }
[[tasks]]
id = "fails"
command = { program = "password=hunter2hunter2" }
[[tasks]]
id = "all"
collect = ["${tasks.prints.result}", "${tasks.reads.result}"]
"#;
    let files = MemoryFiles::new().with("settings.json", r#"{ "Password": "hunter2hunter2", "port": 80 }"#);
    let (mut world, _) = World::new(GOAL, files);
    world.commands = Arc::new(ScriptedCommands::new(|invocation| {
        let exit = Exit::Code(i32::from(invocation.program != "print"));
        Ok(Completed::new(exit).stdout(invocation.args.join(" ")).stderr(invocation.program))
    }));
    let running = world.start(None).await;
    let report = running.feed.report().await;
    let records = running.system.journal().read(&RunId::new(RUN).into(), 0).await.expect("the journal can be read");
    running.finish().await;
    assert_eq!((report.tasks.succeeded, report.tasks.failed), (3, 1));
    let written = [
        serde_json::to_string(&*report).expect("JSON"),
        report.to_markdown(&BTreeSet::from(["all".to_owned()])),
        records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect::<String>(),
    ];
    for text in written {
        assert!(text.contains("REDACTED"), "{text}");
        // The goal file itself is refused by the command line when it holds a secret, and is journaled redacted.
        assert!(!text.contains("hunter2") && !text.contains("abcdefghijklmnop"), "{text}");
    }
}

/// Whoever has this name dies with every question it is asked.
struct AlwaysDies(&'static str);

impl FaultPlan for AlwaysDies {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let dies = *point.point == Point::BeforeMessage && point.subject.is_some() && point.path.name() == self.0;
        dies.then_some(Fault::Panic)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_everybody_dies_of_ends_its_task_as_poison_and_the_run() {
    // What the first one refers to is at hand; the list of the second is looked for.
    for (agent, task) in [("router", "list"), ("retriever", "digests"), ("validator", "list")] {
        let report = World::new(GOAL, files()).0.run(Some(Arc::new(AlwaysDies(agent)))).await;
        assert_eq!(report.status, Status::Failed, "{agent}");
        let of = report.results.iter().find(|of| of.id == task).expect("it has an outcome");
        let message = of.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
        assert!(message.starts_with("poison: 16 agents died or hung when asked for"), "{agent}: {of:?}");
        assert_eq!((report.lost, report.completed_rerun), (0, 0), "{agent}");
    }
    let report = World::new(GOAL, files()).0.run(Some(Arc::new(AlwaysDies("planner")))).await;
    assert_eq!(report.status, Status::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_is_too_large_to_be_recorded_fails_its_task_and_ends_the_run() {
    const GOAL: &str = r#"
name = "large"

[[tasks]]
id = "prints"
result = "stdout"
command = { program = "print", output_limit = 20000000 }
"#;
    let (mut world, _) = World::new(GOAL, MemoryFiles::new());
    world.commands =
        Arc::new(ScriptedCommands::new(|_| Ok(Completed::new(Exit::Code(0)).stdout("x".repeat(17_000_000)))));
    let report = world.run(None).await;
    let failure = report.results[0].failure.as_ref().expect("it failed");
    assert_eq!((report.status, failure.class.as_str()), (Status::Failed, "output"));
    assert!(failure.message.contains("17000002 bytes, at most 8 MiB; declare `files`"), "{}", failure.message);
    assert_eq!(report.lost, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_collects_that_nest_too_deep_fails_where_it_cannot_be_read_back_any_more() {
    let first = "name = \"deep\"\n[[tasks]]\nid = \"t0\"\ncollect = [1]\n".to_owned();
    let goal = (1..=105).fold(first, |goal, number| {
        let before = number - 1;
        goal + &format!("[[tasks]]\nid = \"t{number}\"\ncollect = [\"${{tasks.t{before}.result}}\"]\n")
    });
    let report = World::new(goal.leak(), MemoryFiles::new()).0.run(None).await;
    assert_eq!((report.status, report.tasks.succeeded, report.tasks.failed), (Status::Failed, 100, 1));
    let failure = report.results.iter().find_map(|task| task.failure.as_ref()).expect("one failed");
    assert_eq!(failure.class, "output");
}

/// A clock by which whoever looks at the time of day has computed for longer than a handler may be silent. Of all agents only
/// the orchestrator looks at it: whenever it has something to record.
struct Busy {
    clock: VirtualClock,
    looks: AtomicU32,
}

impl Busy {
    const EACH: Duration = Duration::from_millis(300);
}

impl Clock for Busy {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let mut advance = pin!(tokio::time::advance(Self::EACH));
        // It has moved the time when it first waits, which whoever computes does not.
        let _ = advance.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.clock.wall()
    }
}

/// The time that it takes to compute is scripted: how fast the machine is does not matter.
#[tokio::test(start_paused = true)]
async fn an_orchestrator_that_has_much_to_compute_is_not_ended_as_hung() {
    const GOAL: &str = r#"
name = "long"

[[tasks]]
id = "list"
result = "stdout"
command = { program = "print", args = ["a long list"] }

[[tasks]]
id = "all"
collect = ["${tasks.list.result}", "${tasks.list.result}"]
"#;
    assert!(Busy::EACH > preset::HANDLER_DEADLINE);
    let clock = Arc::new(Busy { clock: VirtualClock::new(), looks: AtomicU32::new(0) });
    // A handler is looked at when it waits, so the journal takes its time.
    let journal = Disk::new(1).journal(Level::Durable);
    // Whoever makes an id looks at a clock too.
    let ids = SeededEntropy::new(1, Arc::new(TokioClock));
    let builder = preset::builder().clock(Arc::clone(&clock) as _).entropy(Arc::new(ids)).journal(Arc::new(journal));
    let report = World::new(GOAL, MemoryFiles::new()).0.start_in(builder).await.finish().await;
    assert_eq!((report.status, report.restarts.total), (Status::Reached, 0), "{:?}", report.restarts);
    // Its beginning and its end, its plan, and of both tasks the lease and the outcome: at least so often.
    assert!(clock.looks.load(Ordering::SeqCst) > 7, "{:?}", clock.looks);
}
