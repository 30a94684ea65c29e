//! Guarantee: each bug on purpose of leases and of the orchestrator has an effect that can be seen, and nobody has it who
//! did not ask for it. These tests know the bugs by name; that they are found by who does not is shown elsewhere.

mod common;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{RUN, Running, World};
use serde_json::json;
use steadfast::seam::{BoxFuture, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::testing::{Bug, Recorder};
use steadfast::{Incarnation, MemoryJournal, Path, RunId, StreamId, System, SystemBuilder};
use steadfast_orchestration::agents::orchestrator::{Orchestrator, OrchestratorMessage, Own};
use steadfast_orchestration::agents::protocol::{Attempt, Lease, LeaseId, LeaseRequest, Part, REPORT, ReportRequest};
use steadfast_orchestration::agents::task_capability;
use steadfast_orchestration::goal::model::Command;
use steadfast_orchestration::preset::{self, orchestrator_path};
use steadfast_orchestration::run::{Leased, Record, TaskId, decode};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use steadfast_orchestration::work::{Outcome, Work, WorkSpec};

const MS: Duration = Duration::from_millis(1);

const ONE: &str = r#"
name = "one"
[[tasks]]
id = "only"
result = "stdout"
command = { program = "print", args = ["the answer"] }
"#;

fn builder(bug: Option<Bug>) -> SystemBuilder {
    preset::builder().bug(bug)
}

/// What is seen of a system that makes no mistake, and of one that makes this one.
async fn is_seen<T, F>(bug: Bug, look: fn(Option<Bug>) -> F, without: T, with: T)
where
    T: PartialEq + std::fmt::Debug,
    F: Future<Output = T>,
{
    assert_eq!(look(None).await, without, "without a bug");
    assert_eq!(look(Some(bug)).await, with, "{bug}");
}

#[tokio::test(start_paused = true)]
async fn each_bug_of_leases_is_seen_where_it_was_asked_for_and_only_there() {
    is_seen(Bug::LeaseNotTakenBack, leases_given_out_when_a_holder_died, 2, 1).await;
    is_seen(Bug::AnyReportCounts, answer_to_a_stranger, "refused", "received").await;
    is_seen(Bug::LeaseTakenTwice, starts_of_a_lease_delivered_twice, 1, 2).await;
}

#[tokio::test(start_paused = true)]
async fn each_bug_of_the_orchestrator_is_seen_where_it_was_asked_for_and_only_there() {
    is_seen(Bug::ResultRecordedTwice, outcomes_recorded, 1, 2).await;
    is_seen(Bug::SentBeforeJournal, starts_before_their_lease_is_recorded, 0, 1).await;
    is_seen(Bug::ToldBeforeJournal, told_before_it_is_recorded, false, true).await;
    is_seen(Bug::LastRecordOverlooked, ends_recorded_over_a_crash, 1, 2).await;
    is_seen(Bug::StaleAnswerCounts, leases_lost_by_a_word_of_another_incarnation, 0, 1).await;
}

#[test]
fn each_bug_of_leases_and_of_the_orchestrator_is_seen_here() {
    let of = |area| Bug::ALL.iter().filter(|bug| bug.area() == area).count();
    assert_eq!((of("leases"), of("orchestrator")), (3, 5));
}

/// Has a run in memory, with commands that end well.
async fn ended(bug: Option<Bug>) -> Running {
    let running = World::new(ONE, MemoryFiles::new()).0.start_in(builder(bug)).await;
    running.feed.report().await;
    running
}

/// Has a run whose one command runs.
async fn held(bug: Option<Bug>) -> Running {
    let (mut world, _) = World::new(ONE, MemoryFiles::new());
    let held = world.hold_commands();
    let running = world.start_in(builder(bug)).await;
    held.started.notified().await;
    running
}

async fn records_of(journal: &dyn Journal) -> Vec<Record> {
    let frames = journal.read(&RunId::new(RUN).into(), 0).await.expect("they are there");
    frames.iter().map(|frame| decode(frame).expect("a record")).collect()
}

/// How many records there are of a kind.
async fn count(system: &System, is_it: impl Fn(&Record) -> bool) -> usize {
    records_of(&*system.journal()).await.iter().filter(|record| is_it(record)).count()
}

async fn lease_of(system: &System) -> LeaseId {
    let records = records_of(&*system.journal()).await;
    let leased =
        records.into_iter().find_map(|record| if let Record::Leased(leased) = record { Some(leased) } else { None });
    let Leased { task, attempt, agent, incarnation, .. } = leased.expect("it is out");
    let attempt = Attempt { run: RunId::new(RUN), task, number: attempt, part: Part::Task };
    LeaseId { attempt, agent, incarnation: Incarnation::new(incarnation).expect("not 0") }
}

async fn leases_given_out_when_a_holder_died(bug: Option<Bug>) -> usize {
    let running = held(bug).await;
    let system = &running.system;
    system.kill(lease_of(system).await.agent.as_str()).expect("it is there");
    tokio::time::sleep(500 * MS).await;
    let leases = count(system, |record| matches!(record, Record::Leased(_))).await;
    system.shutdown().await.expect("an orderly end");
    leases
}

async fn answer_to_a_stranger(bug: Option<Bug>) -> &'static str {
    let running = held(bug).await;
    let system = &running.system;
    let orchestrator = system.provider(&REPORT, orchestrator_path(RunId::new(RUN))).expect("it takes reports");
    let lease = LeaseId { incarnation: Incarnation::new(99).expect("not 0"), ..lease_of(system).await };
    let report = ReportRequest { lease, end: Ok(Outcome::Done { value: json!("a lie") }) };
    let reply = format!("{:?}", orchestrator.ask(report, 1000 * MS).await.expect("an answer"));
    system.shutdown().await.expect("an orderly end");
    if reply == "Refused" { "refused" } else { "received" }
}

async fn starts_of_a_lease_delivered_twice(bug: Option<Bug>) -> usize {
    let (world, witness) = World::new(ONE, MemoryFiles::new());
    let running = world.start_in(builder(bug)).await;
    running.feed.report().await;
    let path: Path = "root/domains/orchestration/executors/2".parse().expect("a path");
    let executor = running.system.provider(&task_capability("task.command"), &path).expect("an executor");
    let incarnation = running.system.incarnation(&path).expect("it is alive");
    let command: Command = serde_json::from_value(json!({ "program": "print" })).expect("a command");
    let work = Work { key: "again".to_owned(), ..Work::new("extra", WorkSpec::Command(command)) };
    let attempt = Attempt { run: RunId::new(RUN), task: TaskId::single("extra"), number: 1, part: Part::Task };
    let id = LeaseId { attempt, agent: path.clone(), incarnation };
    let lease = Lease { id, orchestrator: orchestrator_path(RunId::new(RUN)), work };
    for _ in 0..2 {
        executor.ask(LeaseRequest::Take(Box::new(lease.clone())), 1000 * MS).await.expect("an answer");
    }
    tokio::time::sleep(100 * MS).await;
    running.system.shutdown().await.expect("an orderly end");
    witness.seen().iter().filter(|seen| seen.key == "again" && seen.what == "start").count()
}

async fn outcomes_recorded(bug: Option<Bug>) -> usize {
    let running = ended(bug).await;
    // The answer to the report got lost, and it comes again.
    let orchestrator = running.system.provider(&REPORT, orchestrator_path(RunId::new(RUN))).expect("it takes reports");
    let report = ReportRequest { lease: lease_of(&running.system).await, end: Ok(Outcome::Done { value: json!(0) }) };
    orchestrator.ask(report, 1000 * MS).await.expect("an answer");
    let outcomes = count(&running.system, |record| matches!(record, Record::Recorded { .. })).await;
    running.system.shutdown().await.expect("an orderly end");
    outcomes
}

/// A journal in memory that takes its time to append.
#[derive(Default)]
struct Slow(MemoryJournal);

impl Journal for Slow {
    fn level(&self) -> Level {
        self.0.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            if batch.iter().any(|write| write.records() > 0) {
                tokio::time::sleep(100 * MS).await;
            }
            self.0.write(batch).await
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.0.read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.0.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.0.list(prefix)
    }
}

async fn starts_before_their_lease_is_recorded(bug: Option<Bug>) -> usize {
    let (journal, early) = (Arc::new(Slow::default()), Arc::new(AtomicUsize::new(0)));
    let (mut world, _) = World::new(ONE, MemoryFiles::new());
    let (kept, counted) = (Arc::clone(&journal), Arc::clone(&early));
    world.commands = Arc::new(ScriptedCommands::later(move |_| {
        let (kept, counted) = (Arc::clone(&kept), Arc::clone(&counted));
        Box::pin(async move {
            let records = records_of(&*kept).await;
            let is_leased = records.iter().any(|record| matches!(record, Record::Leased(_)));
            counted.fetch_add(usize::from(!is_leased), Ordering::SeqCst);
            Ok(Completed::new(Exit::Code(0)))
        })
    }));
    let running = world.start_in(builder(bug).journal(journal)).await;
    running.finish().await;
    early.load(Ordering::SeqCst)
}

/// Whether a record was told of that the journal did not have.
async fn told_before_it_is_recorded(bug: Option<Bug>) -> bool {
    let journal = Arc::new(Slow::default());
    let world = World::new(ONE, MemoryFiles::new()).0;
    let running = world.start_in(builder(bug).journal(Arc::clone(&journal) as _)).await;
    let mut told = running.feed.records();
    let mut early = false;
    while let Ok(record) = told.recv().await {
        early |= !records_of(&*journal).await.contains(&record);
        if matches!(*record, Record::Ended { .. }) {
            break;
        }
    }
    running.finish().await;
    early
}

async fn ends_recorded_over_a_crash(bug: Option<Bug>) -> usize {
    let running = ended(bug).await;
    let (system, path) = (&running.system, orchestrator_path(RunId::new(RUN)));
    let mut events = Recorder::of(system);
    system.kill(path.as_str()).expect("it is there");
    events.started(path.as_str(), 2).await;
    tokio::time::sleep(100 * MS).await;
    let ends = count(system, |record| matches!(record, Record::Ended { .. })).await;
    system.shutdown().await.expect("an orderly end");
    ends
}

async fn leases_lost_by_a_word_of_another_incarnation(bug: Option<Bug>) -> usize {
    let running = held(bug).await;
    let system = &running.system;
    let lost = Own::Undelivered { lease: lease_of(system).await, why: "it was long ago".to_owned() };
    let orchestrator = system.agent::<Orchestrator>(orchestrator_path(RunId::new(RUN))).expect("it is there");
    let of = Incarnation::new(99).expect("not 0");
    orchestrator.ask(OrchestratorMessage::Own(of, lost)).await.expect("an answer");
    let lost = count(system, |record| matches!(record, Record::Lost { .. })).await;
    system.shutdown().await.expect("an orderly end");
    lost
}
