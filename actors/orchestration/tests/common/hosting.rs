//! A store in memory, and processes that carry its runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::seam::Journal;
use steadfast::{RunId, SupervisorSpec};
use steadfast_orchestration::agents::desk::Workshop;
use steadfast_orchestration::agents::host::{Feeds, HostArgs, Takes};
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::goal::model::Goal;
use steadfast_orchestration::goal::read;
use steadfast_orchestration::host::{Ask, Asked, Gear, Head, Outfit, Start, Unfit};
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::preset::{self, Staff};
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::{Millis, Outline, Record, RunState, Status, decode, result_digest};
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::artifacts::MemoryArtifacts;
use steadfast_orchestration::seam::commands::{Commands, Completed, Exit};
use steadfast_orchestration::seam::requests::{MemoryRequests, Requests};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use uuid::Uuid;

/// What outlives a process, but for the journal.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) requests: Arc<dyn Requests>,
    pub(crate) artifacts: MemoryArtifacts,
    pub(crate) commands: Arc<dyn Commands>,
    pub(crate) jobs: usize,
    pub(crate) takes: Takes,
    boots: Arc<AtomicU64>,
    begun: Arc<Mutex<Vec<(Feeds, Workshop)>>>,
}

/// Every run has the same folder.
struct OneFolder;

impl Outfit for OneFolder {
    fn gear<'a>(&'a self, _: &'a Head) -> BoxFuture<'a, Result<Gear, Unfit>> {
        let files = MemoryFiles::new().with("a.txt", "a");
        Box::pin(async move { Ok(Gear::new(Arc::new(files), Redactor::new())) })
    }
}

impl Store {
    pub(crate) fn new() -> Self {
        let commands = ScriptedCommands::later(|invocation| {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(Completed::new(Exit::Code(0)).stdout(invocation.args.join(" ")))
            })
        });
        Self {
            requests: Arc::new(MemoryRequests::new()),
            artifacts: MemoryArtifacts::new(),
            commands: Arc::new(commands),
            jobs: 3,
            takes: Takes::All,
            boots: Arc::default(),
            begun: Arc::default(),
        }
    }

    /// A process that carries the runs of the store: everything of it is new with each start.
    pub(crate) fn process(&self) -> impl Fn() -> SupervisorSpec + Send + Sync + use<> {
        let store = self.clone();
        move || {
            let boot = store.boots.fetch_add(1, Ordering::Relaxed);
            let clock = steadfast::TokioClock;
            let cache = Cache::new(Bounds::default(), Arc::new(move || steadfast::seam::Clock::now(&clock)));
            let shop = Workshop::new(Arc::clone(&store.commands), Arc::new(cache));
            let mut host = HostArgs::new(format!("process-{boot}"), Arc::new(OneFolder));
            host.takes = store.takes;
            host.requests = Arc::clone(&store.requests);
            host.artifacts = Arc::new(store.artifacts.clone());
            store.begun.lock().unwrap_or_else(PoisonError::into_inner).push((host.feeds.clone(), shop.clone()));
            preset::serving(&Staff::new(store.jobs, shop), host)
        }
    }

    /// What its runs work with.
    pub(crate) fn outfit() -> impl Outfit {
        OneFolder
    }

    /// What is told by the process that began last.
    pub(crate) fn feeds(&self) -> Feeds {
        self.last().0
    }

    /// What the agents of the process that began last work with.
    pub(crate) fn shop(&self) -> Workshop {
        self.last().1
    }

    fn last(&self) -> (Feeds, Workshop) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).last().expect("a process began").clone()
    }

    /// Asks for something, as another process does.
    pub(crate) async fn ask(&self, id: u128, what: Ask) -> Uuid {
        let id = Uuid::from_u128(id);
        let asked = Asked { id, who: "ann".to_owned(), wall: Millis(1), what };
        self.requests.put(asked.to_request().expect("it has bytes")).await.expect("it is left");
        id
    }
}

pub(crate) fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

pub(crate) fn goal(text: &str) -> Goal {
    read("goal.toml", text).unwrap_or_else(|error| panic!("{error}")).goal
}

pub(crate) fn start(run: RunId, text: &str, number: Option<u64>) -> Start {
    let params = number.map(|number| ("number".to_owned(), json!(number)));
    let params: BTreeMap<String, Value> = params.into_iter().collect();
    Start::of(run, &goal(text), &params, "/in").expect("it is JSON")
}

/// The records of a run.
pub(crate) async fn records(journal: &dyn Journal, run: RunId) -> Vec<Record> {
    // Those of a process that crashed cannot be read from there; whoever waits looks again.
    let frames = journal.read(&run.into(), 0).await.unwrap_or_default();
    frames.iter().map(|frame| decode(frame).expect("a record")).collect()
}

/// Waits until something is recorded in a run.
pub(crate) async fn until_recorded(journal: &dyn Journal, of: RunId, what: impl Fn(&Record) -> bool) {
    for _ in 0..10_000 {
        if records(journal, of).await.iter().any(&what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not come: {:#?}", records(journal, of).await)
}

/// How a run ended, and the digest of its results.
pub(crate) async fn end(journal: &dyn Journal, run: RunId) -> Option<(Status, String)> {
    let records = records(journal, run).await;
    let head = Head::of(records.first()?).expect("a beginning");
    let plan = Plan::rebuild(head.goal, head.params).unwrap_or_else(|errors| panic!("{errors}"));
    let state = RunState::fold(Arc::new(Outline::of(&plan, 1)), &records).expect("records of one run");
    Some((state.ended()?.0, result_digest(&state)))
}

async fn is_over(journal: &dyn Journal, run: RunId) -> bool {
    let frames = journal.read(&run.into(), 0).await.unwrap_or_default();
    frames.last().is_some_and(|frame| matches!(decode(frame), Ok(Record::Ended { .. })))
}

/// Waits, in the time of a simulated world, until every one of these runs has ended.
pub(crate) async fn all_ended(journal: impl Fn() -> Option<Arc<dyn Journal>>, runs: &[RunId]) {
    for run in runs {
        loop {
            let ended = match journal() {
                Some(journal) => is_over(&*journal, *run).await,
                None => false,
            };
            if ended {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
