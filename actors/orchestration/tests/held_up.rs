//! A run that lacks something in this process stands still before it gives out anything, and says what it lacks.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{RUN, Running, World};
use steadfast::seam::Journal;
use steadfast::{MemoryJournal, RunId, StreamId};
use steadfast_orchestration::agents::orchestrator::{Orchestrator, OrchestratorMessage, OrchestratorReply};
use steadfast_orchestration::preset::{self, orchestrator_path};
use steadfast_orchestration::run::{Kept, Record, Standing, Status, decode, large};
use steadfast_orchestration::seam::artifacts::{Digest, MemoryArtifacts};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};

const NEEDS: &str = r#"
name = "needs"
[[tasks]]
id = "first"
command = { program = "first", env = { HERE = { from = "HERE" } } }
[[tasks]]
id = "second"
after = ["first"]
command = { program = "second", env = { A = { from = "TOKEN" }, B = { from = "OTHER", optional = true } } }
"#;

/// A run whose records, and large results, outlive the processes that carry it on.
struct Life {
    journal: Arc<MemoryJournal>,
    artifacts: MemoryArtifacts,
    ran: Arc<AtomicU32>,
}

impl Life {
    fn new() -> Self {
        Self { journal: Arc::default(), artifacts: MemoryArtifacts::new(), ran: Arc::default() }
    }

    /// A process in which these variables are set, and in which a command of this name never ends.
    async fn process(&self, goal: &'static str, variables: &[&str], hangs: &'static str) -> Running {
        let (mut world, _) = World::new(goal, MemoryFiles::new());
        world.kept = Kept::Journaled;
        let ran = Arc::clone(&self.ran);
        let commands = ScriptedCommands::later(move |invocation| {
            let ran = Arc::clone(&ran);
            Box::pin(async move {
                ran.fetch_add(1, Ordering::Relaxed);
                if invocation.program == hangs {
                    std::future::pending::<()>().await;
                }
                let size = if invocation.program == "big" { large::LARGE + 100 } else { 10 };
                Ok(Completed::new(Exit::Code(0)).stdout("x".repeat(size)))
            })
        });
        world.commands = Arc::new(variables.iter().fold(commands, |commands, name| commands.variable(name, "a value")));
        let (staff, mut run) = world.parts();
        run.artifacts = Arc::new(self.artifacts.clone());
        let feed = run.feed.clone();
        let builder = preset::builder().journal(Arc::clone(&self.journal) as _);
        let system = builder.start(preset::tree(&staff, run)).await.expect("the tree starts");
        Running { system, feed }
    }

    async fn records(&self) -> Vec<Record> {
        let frames = self.journal.read(&StreamId::from(RunId::new(RUN)), 0).await.expect("it is read");
        frames.iter().map(|frame| decode(frame).expect("a record")).collect()
    }

    async fn until(&self, holds: impl Fn(&Record) -> bool) {
        for _ in 0..10_000 {
            if self.records().await.iter().any(&holds) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("it does not come: {:#?}", self.records().await);
    }
}

/// The cause and the message of each pause; nothing where the run stands otherwise.
async fn pauses(running: &Running) -> Vec<(String, String)> {
    let still = tokio::time::timeout(std::time::Duration::from_secs(60), running.feed.stands_still()).await;
    match still.expect("it stands still") {
        Standing::Paused(notes) => notes.into_iter().map(|note| (note.cause, note.message)).collect(),
        other => panic!("it stands {other:?}"),
    }
}

async fn resume(running: &Running) {
    let orchestrator = running.system.agent::<Orchestrator>(&orchestrator_path(RunId::new(RUN))).expect("it is there");
    orchestrator.ask(OrchestratorMessage::Resume { who: "a person".to_owned() }).await.expect("it hears it");
}

async fn end(running: Running) {
    running.system.shutdown().await.expect("the tree ends in order");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_process_lacks_a_variable_is_paused_before_anything_runs_and_goes_on_where_it_is_set() {
    let kept = Life::new();
    let lacking = kept.process(NEEDS, &["HERE"], "").await;
    let expected = "the environment variable `TOKEN`, which `second` needs, is not set for this process";
    assert_eq!(pauses(&lacking).await, [("missing variable".to_owned(), expected.to_owned())]);
    // To say that it is so is not to make it so.
    resume(&lacking).await;
    assert_eq!(pauses(&lacking).await.len(), 1);
    let resumed = kept.records().await.iter().filter(|record| matches!(record, Record::Resumed { .. })).count();
    assert_eq!((resumed, kept.ran.load(Ordering::Relaxed)), (1, 0));
    end(lacking).await;
    let equipped = kept.process(NEEDS, &["HERE", "TOKEN"], "").await;
    assert_eq!(pauses(&equipped).await.len(), 1, "it stands still until somebody resumes it");
    resume(&equipped).await;
    assert_eq!(equipped.finish().await.status, Status::Reached);
}

#[tokio::test(start_paused = true)]
async fn a_variable_that_only_tasks_need_that_are_done_is_not_lacking() {
    let kept = Life::new();
    let first = kept.process(NEEDS, &["HERE", "TOKEN"], "second").await;
    kept.until(|record| matches!(record, Record::Leased(lease) if lease.task.task() == "second")).await;
    end(first).await;
    let second = kept.process(NEEDS, &["TOKEN"], "").await;
    assert_eq!(second.finish().await.status, Status::Reached);
    let paused = kept.records().await.iter().any(|record| matches!(record, Record::Paused { .. }));
    assert!(!paused);
}

const LARGE: &str = r#"
name = "large"
[[tasks]]
id = "big"
result = "stdout"
command = { program = "big" }
[[tasks]]
id = "then"
result = "stdout"
command = { program = "then", args = ["${tasks.big.result}"] }
"#;

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_to_be_had_when_a_run_is_taken_up_pauses_it_until_it_is_put_back() {
    let calm = Life::new().process(LARGE, &[], "").await.finish().await;
    for damage in [None, Some(b"something else".to_vec())] {
        let kept = Life::new();
        let first = kept.process(LARGE, &[], "then").await;
        kept.until(|record| matches!(record, Record::Leased(lease) if lease.task.task() == "then")).await;
        end(first).await;
        let [digest] = &kept.artifacts.digests()[..] else { panic!("one result is large") };
        let value = format!("\"{}\"", "x".repeat(large::LARGE + 100)).into_bytes();
        assert_eq!(digest, &Digest::of(&value));
        kept.artifacts.damage(digest, damage);
        let second = kept.process(LARGE, &[], "").await;
        let expected = format!("the result of `big`, artifact {digest}, is missing or damaged");
        assert_eq!(pauses(&second).await, [("missing artifact".to_owned(), expected)]);
        resume(&second).await;
        assert_eq!(pauses(&second).await.len(), 1);
        let ran = kept.ran.load(Ordering::Relaxed);
        kept.artifacts.damage(digest, Some(value));
        resume(&second).await;
        let report = second.finish().await;
        assert_eq!((report.status, &report.result_digest), (Status::Reached, &calm.result_digest));
        assert_eq!(kept.ran.load(Ordering::Relaxed), ran + 1, "only what was not recorded ran");
    }
}

/// A goal with an undo that asks for a large result.
const TAKES_BACK: &str = r#"
name = "takes-back"
[[tasks]]
id = "big"
result = "stdout"
command = { program = "big" }
undo = { command = { program = "undo", args = ["${result}"] } }
[[tasks]]
id = "small"
after = ["big"]
command = { program = "small" }
undo = { command = { program = "undo", args = ["small"] } }
[[tasks]]
id = "child"
after = ["small"]
[tasks.goal.inline]
name = "inner"
[[tasks.goal.inline.tasks]]
id = "ask"
approve = { prompt = "?" }
[[tasks]]
id = "then"
after = ["small"]
command = { program = "then", env = { A = { from = "TOKEN" } } }
"#;

async fn say(running: &Running, message: OrchestratorMessage) -> OrchestratorReply {
    let orchestrator = running.system.agent::<Orchestrator>(&orchestrator_path(RunId::new(RUN))).expect("it is there");
    orchestrator.ask(message).await.expect("it answers")
}

fn cancel(undo: bool) -> OrchestratorMessage {
    OrchestratorMessage::Cancel { undo, who: "ann".to_owned(), why: "enough".to_owned() }
}

/// A run that was put down with something under way in it, whose large result is gone, in a process that lacks a variable.
async fn put_down(kept: &Life) -> Running {
    let first = kept.process(TAKES_BACK, &["TOKEN"], "then").await;
    kept.until(|record| matches!(record, Record::ChildStarted { .. })).await;
    kept.until(|record| matches!(record, Record::Leased(lease) if lease.task.task() == "then")).await;
    end(first).await;
    let [digest] = &kept.artifacts.digests()[..] else { panic!("one result is large") };
    kept.artifacts.damage(digest, None);
    let second = kept.process(TAKES_BACK, &[], "").await;
    let causes: Vec<_> = pauses(&second).await.into_iter().map(|(cause, _)| cause).collect();
    assert_eq!(causes, ["missing artifact", "missing variable"]);
    second
}

async fn finished(running: Running) -> steadfast_orchestration::run::Report {
    let report = tokio::time::timeout(std::time::Duration::from_secs(60), running.feed.report()).await;
    let report = report.expect("it ends");
    end(running).await;
    steadfast_orchestration::run::Report::clone(&report)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lacks_a_result_and_a_variable_can_be_cancelled_and_ends_with_what_is_inside_it() {
    let kept = Life::new();
    let running = put_down(&kept).await;
    assert_eq!(say(&running, cancel(false)).await, OrchestratorReply::Done);
    let report = finished(running).await;
    assert_eq!((report.status, report.undone.undone), (Status::Cancelled, 0), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_asks_for_a_result_that_is_gone_lets_the_run_stand_still_until_it_is_there_or_left_to_a_person() {
    for is_put_back in [true, false] {
        let kept = Life::new();
        let running = put_down(&kept).await;
        assert_eq!(say(&running, cancel(true)).await, OrchestratorReply::Done);
        kept.until(|record| matches!(record, Record::Undoing { .. })).await;
        let causes: Vec<_> = pauses(&running).await.into_iter().map(|(cause, _)| cause).collect();
        assert_eq!(causes, ["missing artifact"]);
        if is_put_back {
            let value = format!("\"{}\"", "x".repeat(large::LARGE + 100)).into_bytes();
            kept.artifacts.damage(&Digest::of(&value), Some(value));
            resume(&running).await;
        } else {
            assert_eq!(say(&running, cancel(false)).await, OrchestratorReply::Done);
        }
        let report = finished(running).await;
        let undone = if is_put_back { (2, 0) } else { (0, 2) };
        assert_eq!((report.undone.undone, report.undone.failed), undone, "{report:#?}");
        assert_eq!(report.status, Status::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_carries_and_that_lacks_a_result_is_cancelled_by_whoever_owns_the_store() {
    use steadfast_orchestration::host::{Answer, Ask, Asked, apply};
    use steadfast_orchestration::run::Millis;
    let kept = Life::new();
    let first = kept.process(LARGE, &[], "then").await;
    kept.until(|record| matches!(record, Record::Leased(lease) if lease.task.task() == "then")).await;
    end(first).await;
    kept.artifacts.damage(&kept.artifacts.digests()[0], None);
    let what = Ask::Cancel { run: RunId::new(RUN), undo: false, why: "enough".to_owned() };
    let asked = Asked { id: uuid::Uuid::from_u128(1), who: "ann".to_owned(), wall: Millis(1), what };
    let outfit = common::hosting::Store::new().outfit();
    let answer = apply((&*kept.journal, &outfit), &asked, "cli", Millis(2)).await.expect("done");
    assert_eq!(answer, Answer::Taken);
    assert!(matches!(kept.records().await.last(), Some(Record::Ended { status: Status::Cancelled, .. })));
}
