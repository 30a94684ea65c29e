//! A goal waits for people, times, events, tasks and goals inside it, for days, whoever dies meanwhile.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::World;
use common::waiting::{Waiting, note, value};
use serde_json::{Value, json};
use steadfast_orchestration::agents::orchestrator::OrchestratorReply;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Record, Report, Status, TaskId, Tell, WaitFor};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use uuid::Uuid;

fn world(goal: &'static str) -> World {
    World::new(goal, MemoryFiles::new().with("a.rs", "// a").with("b.rs", "// b")).0
}

fn approve(task: &str) -> Tell {
    Tell::Approve { task: task.parse().expect("a task"), who: "ann".to_owned(), why: "it is time".to_owned() }
}

fn signal(name: &str, data: Value) -> Tell {
    Tell::Signal { name: name.to_owned(), data, who: "shop".to_owned() }
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
    assert_eq!(run.tell(None, approve("ask")).await, OrchestratorReply::Done);
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
    assert_eq!(run.tell(None, no).await, OrchestratorReply::Done);
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
        run.system.kill(preset::orchestrator_path(steadfast::RunId::new(common::RUN)).as_str()).expect("it is there");
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
        assert_eq!(run.tell(id, paid.clone()).await, OrchestratorReply::Done);
    }
    run.until_waits("again").await;
    let clock = run.clock;
    assert!(clock.elapsed() >= Duration::from_mins(10), "{:?}", clock.elapsed());
    let strange = signal("pa id", json!(1));
    assert!(matches!(run.tell(Some(Uuid::from_u128(10)), strange.clone()).await, OrchestratorReply::Untold(_)));
    assert!(matches!(run.tell(Some(Uuid::from_u128(10)), strange).await, OrchestratorReply::Untold(_)));
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
