//! A run in time that stands still while everybody waits, and what is told to it.

use std::sync::Arc;

use serde_json::Value;
use steadfast::testing::VirtualClock;
use steadfast::{FaultPlan, SeededEntropy, System, TokioClock};
use steadfast_orchestration::agents::orchestrator::{Feed, Orchestrator, OrchestratorMessage, OrchestratorReply};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Record, Report, Standing, Tell, Wait};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::World;

/// A run in time that stands still while everybody waits.
pub(crate) struct Waiting {
    pub(crate) system: System,
    pub(crate) feed: Feed,
    pub(crate) records: broadcast::Receiver<Arc<Record>>,
    pub(crate) clock: VirtualClock,
}

impl Waiting {
    pub(crate) async fn start(world: &World, faults: Option<Arc<dyn FaultPlan>>) -> Self {
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
    pub(crate) async fn until(&mut self, what: impl Fn(&Record) -> bool) -> Arc<Record> {
        loop {
            let record = self.records.recv().await.expect("the feed is open and not too far ahead");
            if what(&record) {
                return record;
            }
        }
    }

    /// Waits until a task waits.
    pub(crate) async fn until_waits(&mut self, id: &str) {
        self.until(|record| matches!(record, Record::Waiting { task, .. } if task.to_string() == id)).await;
    }

    pub(crate) async fn tell(&self, id: Option<Uuid>, tell: Tell) -> OrchestratorReply {
        let orchestrator =
            self.system.agent::<Orchestrator>(preset::orchestrator_path(steadfast::RunId::new(super::RUN)));
        let orchestrator = orchestrator.expect("the orchestrator is there");
        loop {
            let message = OrchestratorMessage::Tell { id, tell: tell.clone() };
            if let Ok(reply) = orchestrator.ask(message).await {
                return reply;
            }
        }
    }

    pub(crate) async fn finish(self) -> Report {
        let report = self.feed.report().await;
        self.system.shutdown().await.expect("the tree ends in order");
        Report::clone(&report)
    }

    /// Waits until the run, with those inside it, stands like this.
    pub(crate) async fn stands(&self, like: impl Fn(&Standing) -> bool) -> Standing {
        let mut standing = self.feed.standing();
        standing.wait_for(like).await.expect("the feed is open").clone()
    }

    /// Waits until the run does nothing but wait, and for this.
    pub(crate) async fn waits(&self, what: impl Fn(&[Wait]) -> bool) {
        self.stands(|standing| matches!(standing, Standing::Waiting(waits) if what(waits))).await;
    }

    /// Asks the orchestrator of a path until it answers.
    pub(crate) async fn say(&self, path: &str, message: impl Fn() -> OrchestratorMessage) -> OrchestratorReply {
        let orchestrator = self.system.agent::<Orchestrator>(path).expect("the orchestrator is there");
        loop {
            if let Ok(reply) = orchestrator.ask(message()).await {
                return reply;
            }
        }
    }
}

#[track_caller]
pub(crate) fn value(report: &Report, id: &str) -> Value {
    let task = report.results.iter().find(|task| task.id == id);
    task.and_then(|task| task.value.clone()).unwrap_or_else(|| panic!("`{id}` has no value: {report:#?}"))
}

#[track_caller]
pub(crate) fn note(report: &Report, id: &str) -> (String, String) {
    let task = report.results.iter().find(|task| task.id == id);
    let note = task.and_then(|task| task.failure.clone()).unwrap_or_else(|| panic!("`{id}`: {report:#?}"));
    (note.class, note.message)
}
