//! What a tree of agents is started with, whatever it is to carry.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::{Clock, Entropy, Journal, Level};
use steadfast::{FaultPlan, SeededEntropy, StartError, System, TokioClock};
use steadfast_orchestration::agents::desk::Workshop;
use steadfast_orchestration::agents::host::{Feeds, HostArgs, Takes};
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::host::DiskOutfit;
use steadfast_orchestration::preset::{self, Staff};
use steadfast_orchestration::seam::artifacts::{Artifacts, MemoryArtifacts};
use steadfast_orchestration::seam::requests::{MemoryRequests, Requests};
use steadfast_storage::Store;
use tokio::runtime::{Builder, Runtime};

use super::gate::Gate;
use super::{DEFAULT_REPORT, DEFAULT_STATE, no_state};
use crate::args::Working;
use crate::kept::refused;
use crate::outcome::Problem;
use crate::screen::Screen;

/// How long blocked threads are waited for at the end of the process.
const THREADS: Duration = Duration::from_millis(200);

/// What a tree is started with.
pub(crate) struct Setting {
    pub(crate) jobs: usize,
    pub(crate) restarts: u32,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) faults: Option<Arc<dyn FaultPlan>>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) screen: Screen,
    /// The folder of the runs as it was named, and what survives there.
    pub(crate) state: PathBuf,
    pub(crate) level: Level,
    /// Folders that are no part of any input.
    excluded: Vec<PathBuf>,
    /// The name of this process, which no other one has.
    pub(crate) by: String,
    /// In place of the folder's.
    pub(crate) journal: Option<Arc<dyn Journal>>,
}

/// What runs are kept in.
pub(crate) struct Keep {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) artifacts: Arc<dyn Artifacts>,
    pub(crate) requests: Arc<dyn Requests>,
    store: Option<Store>,
}

impl Setting {
    /// Checks everything there is to check. `reports` is the folder that reports go to, if they go anywhere.
    pub(crate) fn of(
        working: &Working,
        (state, level): (&Path, Level),
        reports: Option<&Path>,
        screen: &Screen,
    ) -> Result<Self, Problem> {
        let folder = std::path::absolute(state).map_err(|error| no_state(state, &error))?;
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        let seed = working.seed.unwrap_or_else(|| SeededEntropy::from_os(Arc::clone(&clock)).stream("seed").next_u64());
        let rates = working.chaos.and_then(|chaos| chaos.rates);
        let faults = rates.map(|rates| {
            let (crash, hang) = (100.0 * rates.crash(), 100.0 * rates.hang());
            screen.line(format!("chaos: {crash}% crashes, {hang}% hangs, --seed {seed}"));
            Arc::new(Chaos::new(rates, seed)) as Arc<dyn FaultPlan>
        });
        // The ids are never drawn from the seed alone: another process may have the same.
        let ids = SeededEntropy::from_os(Arc::clone(&clock)).id();
        let gate = if level == Level::Volatile { Gate::default() } else { Gate::guarded(folder.join("guards")) };
        // Also the usual folders, so that what one run leaves does not change the result of the next.
        let usual = [DEFAULT_REPORT, DEFAULT_STATE].map(PathBuf::from);
        Ok(Self {
            jobs: working.jobs.map_or_else(processors, |jobs| usize::try_from(jobs).unwrap_or(usize::MAX)),
            restarts: working.max_restarts.unwrap_or(preset::RESTARTS),
            entropy: Arc::new(SeededEntropy::new(seed, Arc::clone(&clock))),
            clock,
            faults,
            gate: Arc::new(gate),
            screen: screen.clone(),
            excluded: reports.map(Path::to_owned).into_iter().chain([folder]).chain(usual).collect(),
            state: state.to_owned(),
            level,
            by: format!("process {} ({ids})", std::process::id()),
            journal: None,
        })
    }

    /// Opens the folder of the runs, as its only owner.
    pub(crate) async fn open(&self, owner: &str) -> Result<Keep, Problem> {
        if let Some(journal) = &self.journal {
            return Ok(Keep {
                journal: Arc::clone(journal),
                artifacts: Arc::new(MemoryArtifacts::new()),
                requests: Arc::new(MemoryRequests::new()),
                store: None,
            });
        }
        let refused = |error| refused(&self.state, &error);
        let store = Store::open(&self.state, self.level, owner).await.map_err(refused)?;
        let requests = store.requests().map_err(refused)?;
        Ok(Keep { journal: store.journal(), artifacts: store.artifacts(), requests, store: Some(store) })
    }

    /// Finds what runs work with.
    pub(crate) fn outfit(&self) -> DiskOutfit {
        DiskOutfit::new(Arc::clone(&self.gate) as _).excluding(self.excluded.clone())
    }

    /// Starts the tree of agents.
    pub(crate) async fn start(&self, keep: &Keep, takes: Takes, feeds: &Feeds) -> Result<System, StartError> {
        let clock = Arc::clone(&self.clock);
        let cache = Cache::new(Bounds::default(), Arc::new(move || clock.now()));
        let shop = Workshop::new(Arc::clone(&self.gate) as _, Arc::new(cache));
        let host = HostArgs {
            takes,
            artifacts: Arc::clone(&keep.artifacts),
            requests: Arc::clone(&keep.requests),
            feeds: feeds.clone(),
            ..HostArgs::new(self.by.clone(), Arc::new(self.outfit()))
        };
        let mut builder = preset::builder()
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::clone(&self.entropy))
            .journal(Arc::clone(&keep.journal));
        if let Some(faults) = &self.faults {
            builder = builder.faults(Arc::clone(faults));
        }
        let staff = Staff { restarts: self.restarts, ..Staff::new(self.jobs, shop) };
        builder.start(preset::serving(&staff, host)).await
    }

    /// Ends the threads, and whatever process is left.
    pub(crate) fn leave_nothing(&self, runtime: Runtime) -> Option<Problem> {
        self.gate.close();
        runtime.shutdown_timeout(THREADS);
        let left = self.gate.end_all();
        (left > 0).then(|| {
            let problem = format!("the processes of {left} commands could not be ended");
            Problem::new("commands", problem, "look for processes that wait for a broken disk or network folder")
        })
    }
}

impl Keep {
    /// Closes the folder: it belongs to nobody from now on.
    pub(crate) async fn close(self) {
        if let Some(store) = self.store {
            // What cannot be moved into place now is found the next time; the lock is free either way.
            let _ = store.close().await;
        }
    }
}

/// A runtime for a tree.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().worker_threads(processors().max(2)).build()
}

/// How many executors there are where nobody says.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, NonZeroUsize::get)
}
