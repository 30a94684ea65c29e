//! A goal stands still, goes on, is cancelled and undone, also when its agents or its process die on the way.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{Running, World};
use steadfast::seam::Journal;
use steadfast::{FaultPlan, MemoryJournal};
use steadfast_orchestration::agents::orchestrator::{OrchestratorMessage, OrchestratorReply, Refusal};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Kept, Report, Standing, Status};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use tokio::sync::Notify;

/// What the programs of a goal did, one line for each start: the program, its arguments, the attempt and the key.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<String>>>);

impl Ledger {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Programs: `wait` waits until it is told to go on, `refuse` fails until `mended` says otherwise; both, and all others,
/// print their arguments.
#[derive(Clone, Default)]
struct Programs {
    ledger: Ledger,
    started: Arc<Notify>,
    go: Arc<Notify>,
    mended: Arc<AtomicBool>,
}

/// Notes that a command was dropped before its end.
struct Dropped(Option<Ledger>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(ledger) = &self.0 {
            ledger.note("dropped".to_owned());
        }
    }
}

impl Programs {
    fn world(&self, goal: &'static str) -> World {
        let programs = self.clone();
        let (mut world, _) = World::new(goal, MemoryFiles::new());
        world.kept = Kept::Journaled;
        world.commands = Arc::new(ScriptedCommands::later(move |invocation| {
            let programs = programs.clone();
            Box::pin(async move {
                let of = |name: &str| invocation.env.get(name).cloned().unwrap_or_default();
                let key = of("STEADFAST_IDEMPOTENCY_KEY");
                let key = key.split_once(':').map_or("", |(_, task)| task);
                let (program, args) = (&invocation.program, invocation.args.join(" "));
                programs.ledger.note(format!("{program} {args} #{} {key}", of("STEADFAST_ATTEMPT")));
                let mut dropped = Dropped(Some(programs.ledger.clone()));
                if program == "wait" {
                    programs.started.notify_one();
                    programs.go.notified().await;
                }
                dropped.0 = None;
                let fails = program == "refuse" && !programs.mended.load(Ordering::Acquire);
                Ok(Completed::new(Exit::Code(i32::from(fails))).stdout(args))
            })
        }));
        world
    }
}

async fn stands_still(running: &Running) -> Standing {
    let still = tokio::time::timeout(Duration::from_secs(30), running.feed.stands_still()).await;
    still.unwrap_or_else(|_| panic!("it goes on: {:?}", running.system.alive()))
}

async fn order(running: &Running, message: impl Fn() -> OrchestratorMessage) -> OrchestratorReply {
    preset::order(&running.system, steadfast::RunId::new(common::RUN), message).await.expect("an answer")
}

fn resume() -> OrchestratorMessage {
    OrchestratorMessage::Resume { who: "ann".to_owned() }
}

fn pause() -> OrchestratorMessage {
    OrchestratorMessage::Pause { who: "ann".to_owned() }
}

fn cancel(undo: bool) -> OrchestratorMessage {
    OrchestratorMessage::Cancel { undo, who: "ann".to_owned(), why: "it rains".to_owned() }
}

fn outcomes(report: &Report) -> Vec<(&str, &str)> {
    report.results.iter().map(|task| (task.id.as_str(), task.status.as_str())).collect()
}

const TIRED: &str = r#"
name = "goal"
[[tasks]]
id = "first"
command = { program = "print", args = ["1"] }
[[tasks]]
id = "tired"
after = ["first"]
command = { program = "refuse" }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_has_used_up_its_attempts_pauses_the_run_and_has_them_again_once_it_is_resumed() {
    let programs = Programs::default();
    let running = programs.world(TIRED).start(None).await;
    let Standing::Paused(notes) = stands_still(&running).await else { panic!("it is not paused") };
    assert_eq!((notes.len(), notes[0].cause.as_str(), notes[0].task.as_deref()), (1, "exhausted", Some("tired")));
    programs.mended.store(true, Ordering::Release);
    assert_eq!(order(&running, resume).await, OrchestratorReply::Done);
    let report = running.finish().await;
    assert_eq!(report.status, Status::Reached);
    assert_eq!(programs.ledger.lines(), ["print 1 #1 first", "refuse  #1 tired", "refuse  #2 tired"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_nobody_keeps_fails_where_another_is_paused() {
    let mut world = Programs::default().world(TIRED);
    world.kept = Kept::Volatile;
    assert_eq!(world.run(None).await.status, Status::Failed);
}

const CHAIN: &str = r#"
name = "goal"
[[tasks]]
id = "held"
command = { program = "wait" }
[[tasks]]
id = "next"
after = ["held"]
command = { program = "print", args = ["2"] }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_paused_ends_what_is_in_flight_and_begins_nothing() {
    let programs = Programs::default();
    let running = programs.world(CHAIN).start(None).await;
    programs.started.notified().await;
    assert_eq!(order(&running, resume).await, OrchestratorReply::Refused(Refusal::NotPaused));
    assert_eq!(order(&running, pause).await, OrchestratorReply::Done);
    assert_eq!(order(&running, pause).await, OrchestratorReply::Done, "asking twice is asking once");
    programs.go.notify_one();
    let Standing::Paused(notes) = stands_still(&running).await else { panic!("it is not paused") };
    assert_eq!((notes.len(), notes[0].cause.as_str(), notes[0].who.as_str()), (1, "asked", "ann"));
    assert_eq!(programs.ledger.lines(), ["wait  #1 held"]);
    assert_eq!(order(&running, resume).await, OrchestratorReply::Done);
    assert_eq!(running.finish().await.status, Status::Reached);
    assert_eq!(programs.ledger.lines(), ["wait  #1 held", "print 2 #1 next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_drops_what_is_in_flight() {
    let programs = Programs::default();
    let running = programs.world(CHAIN).start(None).await;
    programs.started.notified().await;
    assert_eq!(order(&running, || cancel(false)).await, OrchestratorReply::Done);
    let report = tokio::time::timeout(Duration::from_secs(30), running.feed.report()).await.expect("it is over");
    assert_eq!(order(&running, || cancel(false)).await, OrchestratorReply::Refused(Refusal::Over));
    running.finish().await;
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(outcomes(&report), [("held", "skipped"), ("next", "skipped")]);
    assert_eq!(programs.ledger.lines(), ["wait  #1 held", "dropped"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_stopped_at_once_drops_what_is_in_flight_and_goes_on_when_it_is_resumed() {
    let programs = Programs::default();
    let running = programs.world(CHAIN).start(None).await;
    programs.started.notified().await;
    let stop = || OrchestratorMessage::Stop { who: "ann".to_owned() };
    assert_eq!(order(&running, stop).await, OrchestratorReply::Done);
    assert!(matches!(stands_still(&running).await, Standing::Paused(_)));
    order(&running, resume).await;
    programs.started.notified().await;
    programs.go.notify_one();
    assert_eq!(running.finish().await.status, Status::Reached);
    let lines: Vec<_> = programs.ledger.lines().into_iter().filter(|line| line != "dropped").collect();
    assert_eq!(lines, ["wait  #1 held", "wait  #2 held", "print 2 #1 next"]);
    assert!(programs.ledger.lines().contains(&"dropped".to_owned()));
}

const SAGA: &str = r#"
name = "goal"
params.rooms = { default = ["sea", "park"] }

[[tasks]]
id = "flight"
result = "stdout"
command = { program = "print", args = ["flight 7"] }
[tasks.undo]
command = { program = "undo", args = ["${result}"] }

[[tasks]]
id = "room"
for_each = "${params.rooms}"
inputs = { room = "room ${index}" }
result = "stdout"
command = { program = "print", args = ["${inputs.room}"] }
[tasks.undo]
retries = { attempts = 3, backoff = "1ms" }
command = { program = "undo", args = ["${result} of ${item}, after ${tasks.flight.result}"] }

[[tasks]]
id = "car"
after = ["room"]
command = { program = "print", args = ["car"] }
undo = { command = { program = "refuse" } }

[[tasks]]
id = "pay"
after = ["car"]
check = { assert = [{ value = 1, equals = 2 }] }
"#;

/// Each key of an undo, in the order in which its last attempt began.
fn undone(ledger: &Ledger) -> Vec<String> {
    let of_undo = |line: &String| Some(line.rsplit_once(' ')?.1.to_owned()).filter(|key| key.ends_with("/undo"));
    let mut keys: Vec<String> = Vec::new();
    for key in ledger.lines().iter().filter_map(of_undo) {
        keys.retain(|before| *before != key);
        keys.push(key);
    }
    keys
}

fn check_saga(report: &Report, programs: &Programs) {
    assert_eq!(report.status, Status::Failed);
    let expected = [("car", "undo failed"), ("flight", "undone"), ("pay", "failed"), ("room[0]", "undone")];
    assert_eq!(outcomes(report)[..4], expected);
    assert_eq!((report.undone.undone, report.undone.failed), (3, 1));
    let lines = programs.ledger.lines();
    let is_undo = |line: &&String| line.starts_with("undo") || line.starts_with("refuse");
    let begun: BTreeSet<_> = lines.iter().filter(is_undo).filter_map(|line| line.split_once(" #")).collect();
    let begun: BTreeSet<_> = begun.into_iter().map(|(what, _)| what.trim()).collect();
    let rooms = ["undo room 0 of sea, after flight 7", "undo room 1 of park, after flight 7"];
    assert_eq!(begun, BTreeSet::from(["refuse", "undo flight 7", rooms[0], rooms[1]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goal_that_fails_undoes_what_it_did_in_reverse_order_with_the_results_that_are_recorded() {
    let programs = Programs::default();
    let mut world = programs.world(SAGA);
    world.jobs = 1;
    let report = world.run(None).await;
    check_saga(&report, &programs);
    assert_eq!(undone(&programs.ledger), ["car/undo", "room[1]/undo", "room[0]/undo", "flight/undo"]);
    let car = report.results.iter().find(|task| task.id == "car").expect("a task");
    let note = car.undo.as_ref().and_then(|undo| undo.failure.as_ref()).expect("why it could not be undone");
    assert!(note.remedy.as_deref().is_some_and(|remedy| remedy.contains("by hand")), "{note:?}");
    let page = report.to_markdown(&BTreeSet::new());
    assert!(page.contains("could not be undone") && page.contains("| `flight` | undone |"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goal_is_undone_in_the_same_order_whichever_agents_die_on_the_way() {
    for seed in 0..6 {
        let programs = Programs::default();
        let mut world = programs.world(SAGA);
        world.jobs = 2;
        let chaos: Arc<dyn FaultPlan> = Arc::new(Chaos::new("crash=20%".parse().expect("rates"), seed));
        let report = world.run(Some(chaos)).await;
        check_saga(&report, &programs);
        let keys = undone(&programs.ledger);
        assert_eq!((keys[0].as_str(), keys[3].as_str()), ("car/undo", "flight/undo"), "seed {seed}");
        let attempts: Vec<_> = programs.ledger.lines().into_iter().filter(|line| line != "dropped").collect();
        let distinct: BTreeSet<_> = attempts.iter().collect();
        assert_eq!(distinct.len(), attempts.len(), "seed {seed}: an attempt was carried out twice: {attempts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goal_that_is_cancelled_with_everything_undone_ends_as_cancelled() {
    const GOAL: &str = r#"
name = "goal"
[[tasks]]
id = "done"
command = { program = "print", args = ["1"] }
undo = { command = { program = "undo" } }
[[tasks]]
id = "held"
after = ["done"]
command = { program = "wait" }
undo = { command = { program = "undo" } }
"#;
    let programs = Programs::default();
    let running = programs.world(GOAL).start(None).await;
    programs.started.notified().await;
    order(&running, || cancel(true)).await;
    let report = running.finish().await;
    assert_eq!((report.status, report.undone.undone), (Status::Cancelled, 1));
    assert_eq!(outcomes(&report), [("done", "undone"), ("held", "skipped")]);
    assert_eq!(undone(&programs.ledger), ["done/undo"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_drops_what_is_in_flight_and_undoes_what_was_done() {
    const GOAL: &str = r#"
name = "goal"
limits.deadline = "300ms"
[[tasks]]
id = "done"
command = { program = "print", args = ["1"] }
undo = { command = { program = "undo" } }
[[tasks]]
id = "held"
after = ["done"]
command = { program = "wait" }
"#;
    let programs = Programs::default();
    let report = programs.world(GOAL).run(None).await;
    assert_eq!((report.status, report.undone.undone), (Status::Failed, 1));
    assert_eq!(outcomes(&report), [("done", "undone"), ("held", "failed")]);
    assert!(programs.ledger.lines().contains(&"dropped".to_owned()), "{:?}", programs.ledger.lines());
}

/// Starts the run over a journal that others had before, or will have.
async fn start_over(world: &World, journal: &Arc<dyn Journal>) -> Running {
    world.start_in(preset::builder().journal(Arc::clone(journal))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_kept_and_drained_is_finished_by_another_process() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let programs = Programs::default();
    let world = programs.world(CHAIN);
    let running = start_over(&world, &journal).await;
    programs.started.notified().await;
    order(&running, || OrchestratorMessage::Drain).await;
    programs.go.notify_one();
    assert_eq!(stands_still(&running).await, Standing::Drained);
    running.system.shutdown().await.expect("the tree ends in order");
    let report = start_over(&world, &journal).await.finish().await;
    assert_eq!((report.status, report.lost), (Status::Reached, 0));
    assert_eq!(programs.ledger.lines(), ["wait  #1 held", "print 2 #1 next"], "what is recorded does not run again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_flight_when_its_process_ended_runs_again_as_the_next_attempt_under_the_same_key() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let programs = Programs::default();
    let world = programs.world(CHAIN);
    let running = start_over(&world, &journal).await;
    programs.started.notified().await;
    // The executors of the next process have the same paths and incarnations as those of this one.
    running.system.shutdown().await.expect("the tree ends in order");
    let running = start_over(&world, &journal).await;
    programs.started.notified().await;
    programs.go.notify_one();
    assert_eq!(running.finish().await.status, Status::Reached);
    let lines: Vec<_> = programs.ledger.lines().into_iter().filter(|line| line != "dropped").collect();
    assert_eq!(lines, ["wait  #1 held", "wait  #2 held", "print 2 #1 next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_was_in_flight_when_its_process_ended_runs_again_and_no_other() {
    const GOAL: &str = r#"
name = "goal"
[[tasks]]
id = "a"
command = { program = "print", args = ["1"] }
undo = { command = { program = "wait", args = ["${tasks.z.result}"] } }
[[tasks]]
id = "z"
collect = "z"
[[tasks]]
id = "b"
after = ["a"]
command = { program = "print", args = ["2"] }
undo = { command = { program = "undo" } }
[[tasks]]
id = "bad"
after = ["b"]
check = { assert = [{ value = 1, equals = 2 }] }
"#;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let programs = Programs::default();
    let world = programs.world(GOAL);
    let running = start_over(&world, &journal).await;
    programs.started.notified().await;
    running.system.shutdown().await.expect("the tree ends in order");
    let running = start_over(&world, &journal).await;
    programs.started.notified().await;
    programs.go.notify_one();
    let report = running.finish().await;
    assert_eq!((report.status, report.undone.undone), (Status::Failed, 2));
    let lines: Vec<_> = programs.ledger.lines().into_iter().filter(|line| line.contains("/undo")).collect();
    assert_eq!(lines, ["undo  #1 b/undo", "wait z #1 a/undo", "wait z #2 a/undo"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_run_stands_still_in_another_process_too() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let programs = Programs::default();
    let world = programs.world(TIRED);
    let running = start_over(&world, &journal).await;
    assert!(matches!(stands_still(&running).await, Standing::Paused(_)));
    running.system.shutdown().await.expect("the tree ends in order");
    let running = start_over(&world, &journal).await;
    assert!(matches!(stands_still(&running).await, Standing::Paused(_)));
    programs.mended.store(true, Ordering::Release);
    order(&running, resume).await;
    assert_eq!(running.finish().await.status, Status::Reached);
    assert_eq!(programs.ledger.lines(), ["print 1 #1 first", "refuse  #1 tired", "refuse  #2 tired"]);
}
