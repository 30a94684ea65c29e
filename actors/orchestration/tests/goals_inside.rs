//! A goal inside a goal is a run of its own, which follows the run around it, whoever dies meanwhile.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::waiting::{Waiting, note, value};
use common::{RUN, World};
use serde_json::json;
use steadfast::{EventKind, FaultPlan, RunId};
use steadfast_orchestration::agents::orchestrator::{OrchestratorMessage, OrchestratorReply};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::goal::Goal;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Kept, On, Record, Standing, Status, TaskId, Tell, child_run, decode};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};

fn world(goal: &'static str) -> World {
    World::new(goal, MemoryFiles::new().with("a.rs", "// a").with("b.rs", "// b")).0
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
    let mut events = run.system.events();
    let report = run.feed.report().await;
    assert_eq!(report.status, Status::Reached, "{report:#?}");
    assert_eq!(value(&report, "end"), json!("so: b.rs 2"));
    let first = value(&report, "each[0]");
    assert_eq!((&first["print"], &first["digest"]["path"]), (&json!("a.rs 2"), &json!("a.rs")));
    let child = child_run(RunId::new(RUN), &TaskId::item("each", 0));
    let records = run.system.journal().read(&child.into(), 0).await.expect("it has a journal of its own");
    assert!(!records.is_empty());
    // Two runs, each with one inside: their orchestrators end with them.
    let mut ended = 0;
    while ended < 4 {
        let event = events.next().await.expect("none is missed");
        let exited = matches!(event.kind, EventKind::Exited { .. });
        ended += u32::from(exited && event.path.as_str().contains("/children/"));
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
    let report = run.feed.report().await;
    let records = run.system.journal().read(&child().into(), 0).await.expect("it can be read");
    let Ok(Record::RunStarted { goal, .. }) = decode(&records[0]) else { panic!("it has no beginning") };
    let goal: Goal = serde_json::from_str(&goal).expect("a goal");
    let left = goal.limits.deadline.expect("it has no time of its own").duration();
    assert!(left <= Duration::from_mins(30) && left > Duration::from_mins(29), "{left:?}");
    run.finish().await;
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
        let victim = if hour % 2 == 0 { child.clone() } else { preset::orchestrator_path(RunId::new(RUN)) };
        run.system.kill(victim.as_str()).expect("it is there");
    }
    let clock = run.clock;
    let report = run.finish().await;
    assert_eq!((report.status, report.restarts.total), (Status::Reached, 6), "{report:#?}");
    assert_eq!(value(&report, "child"), json!({ "rest": null }));
    assert!(clock.elapsed() >= Duration::from_hours(24) && clock.elapsed() < Duration::from_hours(25));
}

const FOLLOWS: &str = r#"
name = "leads"
[[tasks]]
id = "child"
[tasks.goal.inline]
name = "follows"
[[tasks.goal.inline.tasks]]
id = "book"
result = "stdout"
command = { program = "print", args = ["booked"] }
undo = { command = { program = "print", args = ["undo ${result}"] } }
[[tasks.goal.inline.tasks]]
id = "rest"
after = ["book"]
wait = { for = "1h" }
[[tasks.goal.inline.tasks]]
id = "ask"
after = ["rest"]
approve = { prompt = "Go on?" }
"#;

fn leads() -> String {
    preset::orchestrator_path(RunId::new(RUN)).to_string()
}

fn child() -> RunId {
    child_run(RunId::new(RUN), &TaskId::single("child"))
}

/// A run that is kept, with one inside it whose first command is done.
async fn led() -> (Waiting, Arc<std::sync::Mutex<Vec<String>>>) {
    let mut world = world(FOLLOWS);
    world.kept = Kept::Journaled;
    let said = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    world.commands = Arc::new(ScriptedCommands::new(move |invocation| {
        let text = invocation.args.join(" ");
        log.lock().expect("nobody panics with it").push(text.clone());
        Ok(Completed::new(Exit::Code(0)).stdout(text))
    }));
    let run = Waiting::start(&world, None).await;
    run.waits(|waits| waits.iter().any(|wait| wait.run == Some(child()) && matches!(wait.on, On::Until(_)))).await;
    (run, said)
}

fn who() -> String {
    "ann".to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_paused_holds_up_those_inside_it_and_they_go_on_together() {
    for killed in [false, true] {
        let (run, _) = led().await;
        let clock = run.clock;
        let inside = preset::child_path(child()).to_string();
        assert_eq!(run.say(&leads(), || OrchestratorMessage::Pause { who: who() }).await, OrchestratorReply::Done);
        run.stands(|standing| matches!(standing, Standing::Paused(_))).await;
        let told = run.feed.inside(child());
        told.standing().wait_for(|standing| matches!(standing, Standing::Paused(_))).await.expect("it is told");
        tokio::time::sleep(Duration::from_hours(5)).await;
        if killed {
            run.system.kill(inside.as_str()).expect("it is there");
            run.system.kill(leads().as_str()).expect("it is there");
        }
        assert_eq!(run.say(&leads(), || OrchestratorMessage::Resume { who: who() }).await, OrchestratorReply::Done);
        if killed {
            run.system.kill(leads().as_str()).expect("it is there");
        }
        run.waits(|waits| waits.iter().any(|wait| matches!(wait.on, On::Approval { .. }))).await;
        assert!(clock.elapsed() >= Duration::from_hours(5), "the time inside was over while it stood still");
        let approve = Tell::Approve { task: TaskId::single("ask"), who: who(), why: String::new() };
        let tell = || OrchestratorMessage::Tell { id: None, tell: approve.clone() };
        assert_eq!(run.say(&inside, tell).await, OrchestratorReply::Done);
        let report = run.finish().await;
        assert_eq!(report.status, Status::Reached, "{report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_ends_those_inside_it_first_and_undoes_what_they_did() {
    let (run, said) = led().await;
    let cancel = || OrchestratorMessage::Cancel { undo: true, who: who(), why: "it rains".to_owned() };
    assert_eq!(run.say(&leads(), cancel).await, OrchestratorReply::Done);
    let report = run.feed.report().await;
    assert_eq!(report.status, Status::Cancelled, "{report:#?}");
    let records = run.system.journal().read(&RunId::new(RUN).into(), 0).await.expect("it can be read");
    let records: Vec<_> = records.iter().map(|frame| decode(frame).expect("a record")).collect();
    let at = |what: fn(&Record) -> bool| records.iter().position(what).expect("it is recorded");
    let over = at(|record| matches!(record, Record::ChildEnded { status: Status::Cancelled, .. }));
    assert!(over < at(|record| matches!(record, Record::Ended { .. })), "{records:#?}");
    assert_eq!(*said.lock().expect("nobody panics with it"), ["booked", "undo booked"]);
    run.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_inside_that_stands_still_is_what_its_run_waits_for_and_goes_on_with_it() {
    const GOAL: &str = r#"
name = "leads"
[[tasks]]
id = "child"
[tasks.goal.inline]
name = "follows"
[[tasks.goal.inline.tasks]]
id = "flaky"
command = { program = "flaky" }
"#;
    let mut world = world(GOAL);
    world.kept = Kept::Journaled;
    let tries = Arc::new(std::sync::atomic::AtomicU32::new(0));
    world.commands = Arc::new(ScriptedCommands::new(move |_| {
        let first = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        Ok(Completed::new(Exit::Code(i32::from(first))))
    }));
    let run = Waiting::start(&world, None).await;
    let standing = run.stands(|standing| matches!(standing, Standing::Waiting(_))).await;
    let Standing::Waiting(waits) = standing else { panic!("{standing:?}") };
    let paused = waits.iter().find(|wait| wait.run == Some(child())).expect("the one inside stands still");
    assert!(matches!(&paused.on, On::Paused(note) if note.cause == "exhausted"), "{paused:?}");
    assert_eq!(run.say(&leads(), || OrchestratorMessage::Resume { who: who() }).await, OrchestratorReply::Done);
    assert_eq!(run.finish().await.status, Status::Reached);
}

#[tokio::test(start_paused = true)]
async fn runs_that_nobody_keeps_are_drained_together() {
    let run = Waiting::start(&world(FOLLOWS), None).await;
    run.waits(|waits| waits.iter().any(|wait| matches!(wait.on, On::Until(_)))).await;
    assert_eq!(run.say(&leads(), || OrchestratorMessage::Drain).await, OrchestratorReply::Done);
    let report = run.finish().await;
    assert_eq!((report.status, report.tasks.unfinished), (Status::Drained, 1), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_goal_inside_that_is_not_needed_any_more_is_cancelled_and_ends() {
    const GOAL: &str = r#"
name = "leads"
[[tasks]]
id = "child"
[tasks.goal.inline]
name = "follows"
[[tasks.goal.inline.tasks]]
id = "ask"
approve = { prompt = "?" }
[[tasks]]
id = "rest"
wait = { for = "1m" }
[[tasks]]
id = "one"
gather = { of = ["child", "rest"], take = "first" }
"#;
    let run = Waiting::start(&world(GOAL), None).await;
    let inside = run.feed.inside(child());
    let report = run.finish().await;
    assert_eq!((report.status, report.tasks.skipped), (Status::Reached, 1), "{report:#?}");
    assert_eq!(inside.report().await.status, Status::Cancelled);
}
