//! A lease belongs to one incarnation: it dies with it, is carried out once by it, and only its report counts.

mod common;

use std::sync::Arc;

use common::{RUN, World};
use serde_json::json;
use steadfast::fault::Point;
use steadfast::{Fault, FaultPlan, FaultPoint, Incarnation, Path, RunId};
use steadfast_orchestration::agents::protocol::{Attempt, Lease, LeaseId, LeaseReply, LeaseRequest, ReportReply};
use steadfast_orchestration::agents::protocol::{Part, REPORT, ReportRequest};
use steadfast_orchestration::agents::task_capability;
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::goal::model::Command;
use steadfast_orchestration::preset::orchestrator_path;
use steadfast_orchestration::run::{Status, TaskId};
use steadfast_orchestration::seam::testing::MemoryFiles;
use steadfast_orchestration::work::{Outcome, Work, WorkSpec};

const ONE: &str = r#"
name = "one"
[[tasks]]
id = "only"
result = "stdout"
command = { program = "print", args = ["the answer"] }
"#;

fn lease_id(task: &str, agent: &str, incarnation: u64) -> LeaseId {
    LeaseId {
        attempt: Attempt { run: RunId::new(RUN), task: TaskId::single(task), number: 1, part: Part::Task },
        agent: agent.parse().expect("a path"),
        incarnation: Incarnation::new(incarnation).expect("not 0"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_an_incarnation_that_holds_no_lease_is_refused_and_counted() {
    let (mut world, _) = World::new(ONE, MemoryFiles::new());
    let held = world.hold_commands();
    let running = world.start(None).await;
    held.started.notified().await;
    let orchestrator =
        running.system.provider(&REPORT, orchestrator_path(RunId::new(RUN))).expect("it offers to take reports");
    let lease = lease_id("only", "root/domains/orchestration/executors/1", 99);
    let report = ReportRequest { lease, end: Ok(Outcome::Done { value: json!("a lie") }) };
    let reply = orchestrator.ask(report, std::time::Duration::from_secs(5)).await;
    assert_eq!(reply.expect("an answer"), ReportReply::Refused);
    held.go.notify_one();
    let report = running.finish().await;
    assert_eq!((report.status, report.refused), (Status::Reached, 1));
    assert_ne!(report.results[0].value, Some(json!("a lie")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_delivered_twice_is_carried_out_once_and_a_stale_one_not_at_all() {
    let (world, witness) = World::new(ONE, MemoryFiles::new());
    let running = world.start(None).await;
    let _ = running.feed.report().await;
    let path: Path = "root/domains/orchestration/executors/2".parse().expect("a path");
    let executor = running.system.provider(&task_capability("task.command"), &path).expect("an executor");
    let live = running.system.incarnation(&path).expect("it is alive").get();
    let take = |incarnation| {
        let command: Command = serde_json::from_value(json!({ "program": "print" })).expect("a command");
        let work = Work { key: "again".to_owned(), ..Work::new("extra", WorkSpec::Command(command)) };
        let id = lease_id("extra", path.as_str(), incarnation);
        let lease = Lease { id, orchestrator: orchestrator_path(RunId::new(RUN)), work };
        executor.ask(LeaseRequest::Take(Box::new(lease)), std::time::Duration::from_secs(5))
    };
    assert_eq!(take(live + 1).await.expect("an answer"), LeaseReply::Stale);
    assert_eq!(take(live).await.expect("an answer"), LeaseReply::Accepted);
    assert_eq!(take(live).await.expect("an answer"), LeaseReply::Accepted);
    running.finish().await;
    let starts = witness.seen().iter().filter(|seen| seen.key == "again" && seen.what == "start").count();
    assert!(starts <= 1, "{starts} starts");
}

/// Faults wherever a function says so.
struct At(fn(&FaultPoint<'_>) -> Option<Fault>);

impl FaultPlan for At {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        (self.0)(point)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_kills_every_executor_ends_as_poison() {
    let (mut world, _) = World::new(ONE, MemoryFiles::new());
    // No attempt ends before its executor dies, however long the panic takes.
    let _held = world.hold_commands();
    let kills = |at: &FaultPoint<'_>| {
        let dies = *at.point == Point::AfterMessage && at.subject.is_some() && at.path.as_str().contains("/executors/");
        dies.then_some(Fault::Panic)
    };
    let report = world.run(Some(Arc::new(At(kills)))).await;
    let task = &report.results[0];
    assert_eq!((report.status, task.attempts, report.reissued), (Status::Failed, 16, 15));
    let note = task.failure.as_ref().expect("why it failed");
    assert!(note.class == "poison" && note.message.contains("panicked"), "{note:?}");
}

/// Chaos for orchestrators alone.
struct InGoals(Chaos);

impl FaultPlan for InGoals {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        if point.path.as_str().contains("/goals/") { self.0.at(point) } else { None }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orchestrator_that_dies_at_every_report_reaches_the_same_result() {
    const MANY: &str = r#"
name = "many"
params.numbers = { default = [1, 2, 3, 4, 5, 6, 7, 8] }
[[tasks]]
id = "each"
for_each = "${params.numbers}"
result = "stdout"
command = { program = "print", args = ["${item}"] }
[[tasks]]
id = "all"
collect = "${tasks.each.result}"
"#;
    let calm = World::new(MANY, MemoryFiles::new()).0.run(None).await;
    let dies = InGoals(Chaos::new("crash=100%".parse().expect("rates"), 5));
    let (world, witness) = World::new(MANY, MemoryFiles::new());
    let report = world.run(Some(Arc::new(dies))).await;
    assert_eq!((report.status, &report.result_digest), (Status::Reached, &calm.result_digest));
    assert_eq!((report.reissued, report.refused, report.lost, report.completed_rerun), (0, 0, 0, 0));
    // Once for the plan, and once for each of the nine tasks; the report may be told before the last restart.
    assert!(report.restarts.total >= 9, "{:?}", report.restarts);
    assert_eq!(witness.seen().iter().filter(|seen| seen.what == "start").count(), 8);
}
