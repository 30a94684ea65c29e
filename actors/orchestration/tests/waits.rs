//! A goal waits for people, times, events, tasks and goals inside it, for days, whoever dies meanwhile.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{RUN, World};
use serde_json::{Value, json};
use steadfast::testing::VirtualClock;
use steadfast::{FaultPlan, RunId, SeededEntropy, System, TokioClock};
use steadfast_orchestration::agents::orchestrator::{Feed, Orchestrator, OrchestratorMessage, OrchestratorReply};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Record, Report, Status, TaskId, Tell, WaitFor, child_run};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use tokio::sync::broadcast;
use uuid::Uuid;

/// A run in time that stands still while everybody waits.
struct Waiting {
    system: System,
    feed: Feed,
    records: broadcast::Receiver<Arc<Record>>,
    clock: VirtualClock,
}

impl Waiting {
    async fn start(world: &World, faults: Option<Arc<dyn FaultPlan>>) -> Self {
        let (staff, run) = world.parts();
        let feed = run.feed.clone();
        let (records, clock) = (feed.records(), VirtualClock::new());
        let ids = SeededEntropy::new(1, Arc::new(TokioClock));
        let builder = preset::builder().clock(Arc::new(clock)).entropy(Arc::new(ids));
        let builder = if let Some(faults) = faults { builder.faults(faults) } else { builder };
        let system = builder.start(preset::tree(&staff, run)).await.expect("the tree starts");
        Self { system, feed, records, clock }
    }

    /// Waits until something was recorded.
    async fn until(&mut self, what: impl Fn(&Record) -> bool) -> Arc<Record> {
        loop {
            let record = self.records.recv().await.expect("the feed is open and not too far ahead");
            if what(&record) {
                return record;
            }
        }
    }

    /// Waits until a task waits.
    async fn until_waits(&mut self, id: &str) {
        self.until(|record| matches!(record, Record::Waiting { task, .. } if task.to_string() == id)).await;
    }

    async fn tell(&self, goal: &str, id: Option<Uuid>, tell: Tell) -> OrchestratorReply {
        let orchestrator = self.system.agent::<Orchestrator>(preset::orchestrator_path(goal));
        let orchestrator = orchestrator.expect("the orchestrator is there");
        loop {
            let message = OrchestratorMessage::Tell { id, tell: tell.clone() };
            if let Ok(reply) = orchestrator.ask(message).await {
                return reply;
            }
        }
    }

    async fn finish(self) -> Report {
        let report = self.feed.report().await;
        self.system.shutdown().await.expect("the tree ends in order");
        Report::clone(&report)
    }
}

fn world(goal: &'static str) -> World {
    World::new(goal, MemoryFiles::new().with("a.rs", "// a").with("b.rs", "// b")).0
}

fn approve(task: &str) -> Tell {
    Tell::Approve { task: task.parse().expect("a task"), who: "ann".to_owned(), why: "it is time".to_owned() }
}

fn signal(name: &str, data: Value) -> Tell {
    Tell::Signal { name: name.to_owned(), data, who: "shop".to_owned() }
}

#[track_caller]
fn value(report: &Report, id: &str) -> Value {
    let task = report.results.iter().find(|task| task.id == id);
    task.and_then(|task| task.value.clone()).unwrap_or_else(|| panic!("`{id}` has no value: {report:#?}"))
}

#[track_caller]
fn note(report: &Report, id: &str) -> (String, String) {
    let task = report.results.iter().find(|task| task.id == id);
    let note = task.and_then(|task| task.failure.clone()).unwrap_or_else(|| panic!("`{id}`: {report:#?}"));
    (note.class, note.message)
}

const ASKS: &str = r#"
name = "asks"
[[tasks]]
id = "build"
result = "stdout"
command = { program = "print", args = ["4.2"] }
[[tasks]]
id = "ask"
approve = { prompt = "Ship ${tasks.build.result}?", timeout = "3d" }
[[tasks]]
id = "ship"
result = "stdout"
command = { program = "print", args = ["for ${tasks.ask.result.who}"] }
"#;

#[tokio::test(start_paused = true)]
async fn a_person_may_take_two_days_to_approve() {
    let mut run = Waiting::start(&world(ASKS), None).await;
    let waiting = run.until(|record| matches!(record, Record::Waiting { .. })).await;
    let Record::Waiting { on: WaitFor::Approval { prompt, .. }, .. } = &*waiting else { panic!("{waiting:?}") };
    assert_eq!(prompt, "Ship 4.2?");
    tokio::time::sleep(Duration::from_hours(48)).await;
    assert_eq!(run.tell("asks", None, approve("ask")).await, OrchestratorReply::Done);
    let report = run.finish().await;
    assert_eq!(report.status, Status::Reached, "{report:#?}");
    assert_eq!(value(&report, "ask"), json!({ "who": "ann", "why": "it is time" }));
    assert_eq!(value(&report, "ship"), json!("for ann"));
    assert_eq!(report.agents_used, 1, "nobody held a lease for the one that waited");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_and_a_time_that_is_over_end_the_goal() {
    let mut run = Waiting::start(&world(ASKS), None).await;
    run.until_waits("ask").await;
    let no = Tell::Reject { task: TaskId::single("ask"), who: "bob".to_owned(), why: "it is Friday".to_owned() };
    assert_eq!(run.tell("asks", None, no).await, OrchestratorReply::Done);
    let report = run.finish().await;
    assert_eq!((report.status, report.tasks.skipped), (Status::Failed, 1));
    assert_eq!(note(&report, "ask"), ("rejected".to_owned(), "bob rejected it: it is Friday".to_owned()));

    let run = Waiting::start(&world(ASKS), None).await;
    let clock = run.clock;
    let report = run.finish().await;
    assert_eq!(note(&report, "ask").0, "timeout");
    assert!(clock.elapsed() >= Duration::from_hours(72) && clock.elapsed() < Duration::from_hours(73));
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_while_it_waits_changes_nothing_about_when_it_ends() {
    let mut run = Waiting::start(&world(ASKS), None).await;
    run.until_waits("ask").await;
    let clock = run.clock;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_hours(20)).await;
        run.system.kill(preset::orchestrator_path("asks").as_str()).expect("it is there");
    }
    let report = run.finish().await;
    assert_eq!((note(&report, "ask").0.as_str(), report.restarts.total), ("timeout", 3));
    assert!(clock.elapsed() >= Duration::from_hours(72) && clock.elapsed() < Duration::from_hours(73));
}

#[tokio::test(start_paused = true)]
async fn a_goal_rests_until_a_time_and_takes_events_early_and_late_each_once() {
    const GOAL: &str = r#"
name = "events"
params = { order = { default = "7" } }
[[tasks]]
id = "rest"
wait = { for = "10m" }
[[tasks]]
id = "past"
wait = { until = "2020-01-01T00:00:00Z" }
[[tasks]]
id = "paid"
after = ["rest"]
schema = { type = "object", required = ["amount"] }
signal = { name = "paid.${params.order}", timeout = "2d" }
[[tasks]]
id = "again"
after = ["paid"]
signal = { name = "paid.${params.order}", timeout = "1h" }
"#;
    let mut run = Waiting::start(&world(GOAL), None).await;
    let paid = signal("paid.7", json!({ "amount": 5, "password": "hunter2hunter2" }));
    let id = Some(Uuid::from_u128(9));
    for _ in 0..3 {
        assert_eq!(run.tell("events", id, paid.clone()).await, OrchestratorReply::Done);
    }
    run.until_waits("again").await;
    let clock = run.clock;
    assert!(clock.elapsed() >= Duration::from_mins(10), "{:?}", clock.elapsed());
    let strange = signal("pa id", json!(1));
    assert!(matches!(
        run.tell("events", Some(Uuid::from_u128(10)), strange.clone()).await,
        OrchestratorReply::Untold(_)
    ));
    assert!(matches!(run.tell("events", Some(Uuid::from_u128(10)), strange).await, OrchestratorReply::Untold(_)));
    let report = run.finish().await;
    assert_eq!(value(&report, "paid"), json!({ "amount": 5, "password": "***REDACTED***" }));
    assert_eq!(note(&report, "again").0, "timeout", "one signal is taken once");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_needed_any_more_is_dropped_while_it_runs() {
    const GOAL: &str = r#"
name = "first"
[[tasks]]
id = "slow"
command = { program = "slow" }
[[tasks]]
id = "fast"
result = "stdout"
command = { program = "fast" }
[[tasks]]
id = "wrong"
command = { program = "wrong" }
[[tasks]]
id = "one"
gather = { of = ["slow", "wrong", "fast"], take = "first" }
[[tasks]]
id = "end"
collect = "${tasks.one.result[0].task}"
"#;
    let mut world = world(GOAL);
    let dropped = Arc::new(tokio::sync::Notify::new());
    let ended = Arc::clone(&dropped);
    world.commands = Arc::new(ScriptedCommands::later(move |invocation| {
        let end = CallOnDrop(Arc::clone(&ended));
        Box::pin(async move {
            if invocation.program == "slow" {
                let _end = end;
                let beat = invocation.heartbeat.expect("a lease has a heartbeat");
                loop {
                    beat();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            std::mem::forget(end);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Completed::new(Exit::Code(i32::from(invocation.program == "wrong"))).stdout("quick"))
        })
    }));
    let run = Waiting::start(&world, None).await;
    let report = Report::clone(&*run.feed.report().await);
    dropped.notified().await;
    run.finish().await;
    assert_eq!((report.status, report.tasks.failed), (Status::Reached, 1), "{report:#?}");
    assert_eq!(value(&report, "one"), json!([{ "task": "fast", "result": "quick" }]));
    assert_eq!(value(&report, "end"), json!("fast"));
    assert_eq!(note(&report, "slow").1, "not needed: enough others ended first");
}

struct CallOnDrop(Arc<tokio::sync::Notify>);

impl Drop for CallOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_may_be_about_a_value() {
    const GOAL: &str = r#"
name = "values"
[[tasks]]
id = "list"
retrieve = { files = ["**"] }
[[tasks]]
id = "many"
when = { value = "${tasks.list.result}", at_least = 3 }
collect = "many"
[[tasks]]
id = "few"
when = { value = "${tasks.list.result[0]}", matches = "[.]rs$" }
collect = "few"
[[tasks]]
id = "ask"
when = { value = "${tasks.list.result}", contains = "c.rs" }
approve = { prompt = "?" }
[[tasks]]
id = "each"
for_each = "${tasks.list.result}"
when = { value = "${tasks.many.result}", equals = "many" }
wait = { for = "1d" }
[[tasks]]
id = "all"
collect = ["${tasks.many.result}", "${tasks.few.result}", "${tasks.ask.result}", "${tasks.each.result}"]
"#;
    let report = Waiting::start(&world(GOAL), None).await.finish().await;
    assert_eq!((report.status, report.tasks.skipped), (Status::Reached, 3), "{report:#?}");
    assert_eq!(value(&report, "all"), json!([null, "few", null, null]));
    assert!(note(&report, "many").1.contains("the length 2"), "{:?}", note(&report, "many"));
}

const NESTED: &str = r#"
name = "nested"
[[tasks]]
id = "list"
retrieve = { files = ["**"] }

[[tasks]]
id = "each"
for_each = "${tasks.list.result}"
[tasks.goal]
params = { file = "${item}" }
[tasks.goal.inline]
name = "inner"
params = { file = {}, again = { default = 2 } }
[[tasks.goal.inline.tasks]]
id = "digest"
retrieve = { digest = "${params.file}" }
[[tasks.goal.inline.tasks]]
id = "print"
result = "stdout"
command = { program = "print", args = ["${params.file}", "${params.again}"] }
[[tasks.goal.inline.tasks]]
id = "deep"
[tasks.goal.inline.tasks.goal]
params = { text = "${tasks.print.result}" }
[tasks.goal.inline.tasks.goal.inline]
name = "deepest"
params = { text = {} }
[[tasks.goal.inline.tasks.goal.inline.tasks]]
id = "say"
collect = "so: ${params.text}"

[[tasks]]
id = "end"
collect = "${tasks.each.result[1].deep.say}"
"#;

#[tokio::test(start_paused = true)]
async fn a_goal_inside_a_goal_is_a_run_whose_results_are_those_of_its_task() {
    let run = Waiting::start(&world(NESTED), None).await;
    let report = run.feed.report().await;
    assert_eq!(report.status, Status::Reached, "{report:#?}");
    assert_eq!(value(&report, "end"), json!("so: b.rs 2"));
    let first = value(&report, "each[0]");
    assert_eq!((&first["print"], &first["digest"]["path"]), (&json!("a.rs 2"), &json!("a.rs")));
    let child = child_run(RunId::new(RUN), &TaskId::item("each", 0));
    let records = run.system.journal().read(&child.into(), 0).await.expect("it has a journal of its own");
    assert!(!records.is_empty());
    let left = |path: &str| path.contains("/children/");
    while run.system.alive().iter().any(|agent| left(&format!("{agent:?}"))) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run.finish().await;
}

#[tokio::test(start_paused = true)]
async fn goals_inside_a_goal_come_to_the_same_whoever_crashes_and_hangs() {
    let calm = Waiting::start(&world(NESTED), None).await.finish().await;
    for seed in 0..8 {
        let chaos: Arc<dyn FaultPlan> = Arc::new(Chaos::new("crash=20%,hang=5%".parse().expect("rates"), seed));
        let report = Waiting::start(&world(NESTED), Some(chaos)).await.finish().await;
        assert_eq!((report.status, &report.result_digest), (Status::Reached, &calm.result_digest), "seed {seed}");
        assert_eq!((report.lost, report.completed_rerun), (0, 0), "seed {seed}");
        assert!(report.restarts.total > 0, "seed {seed}: nothing crashed");
    }
}

const FAILS: &str = r#"
name = "outer"
limits = { deadline = "1h" }
[[tasks]]
id = "child"
[tasks.goal.inline]
name = "inner"
[[tasks.goal.inline.tasks]]
id = "wrong"
command = { program = "false" }
[[tasks.goal.inline.tasks]]
id = "after"
wait = { for = "WAIT" }
"#;

#[tokio::test(start_paused = true)]
async fn a_goal_that_fails_inside_fails_its_task_and_says_what_failed_there() {
    let goal = FAILS.replace("WAIT", "1m").leak();
    let report = Waiting::start(&world(goal), None).await.finish().await;
    let (class, message) = note(&report, "child");
    assert_eq!((report.status, class.as_str()), (Status::Failed, "child"));
    assert!(message.contains("`wrong` (exit): ") && message.contains("it is false"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_goal_is_that_of_the_goals_inside_it() {
    const GOAL: &str = r#"
name = "late"
limits = { deadline = "1h" }
[[tasks]]
id = "rest"
wait = { for = "30m" }
[[tasks]]
id = "child"
after = ["rest"]
[tasks.goal.inline]
name = "inner"
[[tasks.goal.inline.tasks]]
id = "ask"
approve = { prompt = "?" }
"#;
    let run = Waiting::start(&world(GOAL), None).await;
    let clock = run.clock;
    let report = run.finish().await;
    assert_eq!(report.status, Status::Failed);
    assert!(clock.elapsed() < Duration::from_mins(61), "{:?}", clock.elapsed());
    let child = report.results.iter().find(|task| task.id == "child").expect("there");
    assert!(child.failure.is_some(), "{child:?}");
}

#[tokio::test(start_paused = true)]
async fn orchestrators_that_are_killed_on_either_side_go_on_with_the_same_run_inside() {
    const GOAL: &str = r#"
name = "around"
[[tasks]]
id = "child"
[tasks.goal.inline]
name = "inner"
[[tasks.goal.inline.tasks]]
id = "rest"
wait = { for = "1d" }
"#;
    let mut run = Waiting::start(&world(GOAL), None).await;
    run.until(|record| matches!(record, Record::ChildStarted { .. })).await;
    let child = preset::child_path(child_run(RunId::new(RUN), &TaskId::single("child")));
    for hour in 0..6 {
        tokio::time::sleep(Duration::from_hours(3)).await;
        let victim = if hour % 2 == 0 { child.clone() } else { preset::orchestrator_path("around") };
        run.system.kill(victim.as_str()).expect("it is there");
    }
    let clock = run.clock;
    let report = run.finish().await;
    assert_eq!((report.status, report.restarts.total), (Status::Reached, 6), "{report:#?}");
    assert_eq!(value(&report, "child"), json!({ "rest": null }));
    assert!(clock.elapsed() >= Duration::from_hours(24) && clock.elapsed() < Duration::from_hours(25));
}
