//! `steadfast run`: from the arguments to the outcome.
//!
//! Everything that can be refused is refused before the tree is started, and whatever happens to the tree, the report
//! is written and nothing is left running.

mod conduct;
mod gate;
mod narrate;
mod signals;
mod write;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::{Clock, Entropy, Journal};
use steadfast::{FaultPlan, MemoryJournal, RunId, SeededEntropy, StartError, System, TokioClock};
use steadfast_orchestration::agents::desk::Workshop;
use steadfast_orchestration::agents::orchestrator::{Feed, RunArgs as Orders};
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::preset::{self, Staff};
use steadfast_orchestration::run::{Facts, Kept, Millis, Report, Restarts, RunState, Status as RunStatus};
use steadfast_orchestration::seam::artifacts::{Artifacts, MemoryArtifacts};
use steadfast_orchestration::seam::commands::guard::GuardError;
use steadfast_orchestration::seam::files::DiskFiles;
use tokio::runtime::{Builder, Runtime};

use crate::args::RunArgs;
use crate::load::{Prepared, load};
use crate::outcome::{Outcome, Problem, Status, failed_tasks};
use crate::screen::Screen;
use conduct::{Conductor, End};
use gate::Gate;
use signals::Signals;

/// The folder that gets the report when none is named.
pub(crate) const DEFAULT_REPORT: &str = "steadfast-report";

/// The folder that keeps runs when none is named.
pub(crate) const DEFAULT_STATE: &str = ".steadfast";

/// How long the tree may take to stop in order once the run is over.
const STOP: Duration = Duration::from_secs(5);

/// How long blocked threads are waited for at the end of the process.
const THREADS: Duration = Duration::from_millis(200);

/// What a run needs to begin.
struct Setting {
    prepared: Prepared,
    files: DiskFiles,
    report: PathBuf,
    jobs: usize,
    restarts: u32,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    faults: Option<Arc<dyn FaultPlan>>,
    journal: Arc<dyn Journal>,
    artifacts: Arc<dyn Artifacts>,
    gate: Arc<Gate>,
    screen: Screen,
}

/// How far a run came.
struct Ran {
    end: End,
    state: RunState,
    restarts: Restarts,
    now: Millis,
}

/// Carries a goal to its end.
pub(crate) fn run(args: &RunArgs, screen: &Screen) -> Outcome {
    let setting = match Setting::of(args, screen) {
        Ok(setting) => setting,
        Err(problems) => return Outcome::invalid(problems),
    };
    let runtime = match Builder::new_multi_thread().enable_all().worker_threads(workers()).build() {
        Ok(runtime) => runtime,
        Err(error) => return not_begun(Status::GaveUp, format!("the threads of the runtime cannot start: {error}")),
    };
    let ran = runtime.block_on(carry_out(&setting));
    screen.progress(None);
    let left = setting.leave_nothing(runtime);
    let mut outcome = match ran {
        Ok(ran) => setting.outcome(&ran),
        Err(outcome) => outcome,
    };
    outcome.problems.extend(left);
    outcome
}

/// At least two, so that an agent that blocks its thread does not hold up all others.
fn workers() -> usize {
    processors().max(2)
}

/// How many executors there are where nobody says.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, NonZeroUsize::get)
}

impl Setting {
    /// Checks everything there is to check.
    fn of(args: &RunArgs, screen: &Screen) -> Result<Self, Vec<Problem>> {
        let prepared = load(&args.goal, &args.params)?;
        screen.redact_by(&prepared.redactor);
        let report = std::path::absolute(&args.report).map_err(|error| vec![no_report(&args.report, &error)])?;
        let files = open_input(&args.input).map_err(|error| vec![no_input(&args.input, &error)])?;
        if same(&report, &args.input) {
            return Err(vec![report_in_input(&args.report)]);
        }
        let state = std::path::absolute(&args.state).map_err(|error| vec![no_state(&args.state, &error)])?;
        // Also the usual folders, so that what one run leaves does not change the result of the next.
        let usual = [DEFAULT_REPORT, DEFAULT_STATE].map(Path::new);
        let files = files.excluding([report.as_path(), state.as_path()]).excluding(usual);
        write::prepare(&report).map_err(|error| vec![no_report(&args.report, &error)])?;
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        let seed = args.seed.unwrap_or_else(|| SeededEntropy::from_os(Arc::clone(&clock)).stream("seed").next_u64());
        let faults = args.chaos.map(|rates| {
            screen.line(format!(
                "chaos: {}% crashes, {}% hangs, --seed {seed}",
                100.0 * rates.crash(),
                100.0 * rates.hang()
            ));
            Arc::new(Chaos::new(rates, seed)) as Arc<dyn FaultPlan>
        });
        Ok(Self {
            prepared,
            files,
            report,
            jobs: args.jobs.map_or_else(processors, |jobs| usize::try_from(jobs).unwrap_or(usize::MAX)),
            restarts: args.max_restarts.unwrap_or(preset::RESTARTS),
            entropy: Arc::new(SeededEntropy::new(seed, Arc::clone(&clock))),
            clock,
            faults,
            journal: Arc::new(MemoryJournal::default()),
            artifacts: Arc::new(MemoryArtifacts::new()),
            gate: Arc::new(if args.volatile { Gate::default() } else { Gate::guarded(state.join("guards")) }),
            screen: screen.clone(),
        })
    }

    /// Starts the tree of agents.
    async fn start(&self, orders: Orders) -> Result<System, StartError> {
        let mut builder = preset::builder()
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::clone(&self.entropy))
            .journal(Arc::clone(&self.journal));
        if let Some(faults) = &self.faults {
            builder = builder.faults(Arc::clone(faults));
        }
        let staff = Staff { restarts: self.restarts, ..Staff::new(self.jobs, orders.shop.clone()) };
        builder.start(preset::tree(&staff, orders)).await
    }

    fn orders(&self) -> Orders {
        let clock = Arc::clone(&self.clock);
        let cache = Cache::new(Bounds::default(), Arc::new(move || clock.now()));
        Orders {
            run: RunId::new(self.entropy.id()),
            goal: self.prepared.plan.goal().clone(),
            params: self.prepared.plan.params().clone(),
            input: String::new(),
            parent: None,
            kept: Kept::Volatile,
            jobs: self.jobs,
            by: String::new(),
            files: Arc::new(self.files.clone()),
            shop: Workshop::new(Arc::clone(&self.gate) as _, Arc::new(cache)),
            redactor: self.prepared.redactor.clone(),
            artifacts: Arc::clone(&self.artifacts),
            feed: Feed::new(),
            around: None,
        }
    }

    /// Ends the threads, and whatever process is left.
    fn leave_nothing(&self, runtime: Runtime) -> Option<Problem> {
        self.gate.close();
        runtime.shutdown_timeout(THREADS);
        let left = self.gate.end_all();
        (left > 0).then(|| {
            let problem = format!("the processes of {left} commands could not be ended");
            Problem::new("commands", problem, "look for processes that wait for a broken disk or network folder")
        })
    }

    /// Writes the report and says what came of the run.
    fn outcome(&self, ran: &Ran) -> Outcome {
        let goal = self.prepared.plan.goal();
        let facts = Facts {
            goal: goal.name.clone(),
            description: goal.description.clone(),
            restarts: ran.restarts.clone(),
            estimate: None,
        };
        let report = Report::of(&ran.state, facts, ran.now).redacted(&self.prepared.redactor);
        let (status, mut problems) = ran.end.told(ran.state.ended().map(|(status, _)| status));
        problems.extend(failed_tasks(&report));
        // The runtime of the run is gone by now, so that whoever blocked a thread of it cannot hold this up.
        let written = Builder::new_current_thread()
            .build()
            .and_then(|runtime| runtime.block_on(write::report(&self.report, &report, (status, &self.prepared.plan))));
        let mut outcome = Outcome { status, report: Some(report), folder: Some(self.report.clone()), problems };
        if let Err(error) = written {
            outcome.folder = None;
            outcome.problems.push(no_report(&self.report, &error));
            if status == Status::Reached {
                outcome.status = Status::Failed;
            }
        }
        outcome
    }
}

/// Starts the tree, conducts the run, and stops the tree.
async fn carry_out(setting: &Setting) -> Result<Ran, Outcome> {
    let gave_up = |problem: String| not_begun(Status::GaveUp, problem);
    let listening = Signals::listen();
    let mut signals = listening.map_err(|error| gave_up(format!("signals cannot be listened to: {error}")))?;
    let orders = setting.orders();
    let started = async {
        // Nothing is given out before what an earlier process had running is gone.
        setting.gate.start_guard().await.map_err(|error| Outcome::invalid(vec![no_guard(&error)]))?;
        setting.start(orders.clone()).await.map_err(|error| gave_up(error.to_string()))
    };
    let system = tokio::select! {
        biased;
        () = signals.next() => {
            return Err(not_begun(Status::Drained, "it was interrupted before the agents had started".to_owned()));
        }
        started = started => started?,
    };
    let mut conductor = Conductor::new(setting, &system, &orders);
    let end = conductor.conduct(&mut signals).await;
    setting.gate.close();
    let end = if matches!(end, End::Stopped) { end } else { stop(&system, &mut signals, end).await };
    let counted = system.restarts();
    let by_supervisor = counted.by_supervisor.iter().map(|(path, restarts)| (path.to_string(), *restarts)).collect();
    Ok(Ran {
        end,
        state: conductor.into_state(),
        restarts: Restarts { total: counted.total, by_supervisor },
        now: Millis::of(setting.clock.wall()),
    })
}

/// Stops the tree in order, in a limited time, and at once when a signal says so for the second time.
async fn stop(system: &System, signals: &mut Signals, end: End) -> End {
    tokio::select! {
        biased;
        () = signals.second() => End::Stopped,
        // What a tree makes of its end after the run has ended changes nothing about the run.
        _ = tokio::time::timeout(STOP, system.shutdown()) => end,
    }
}

impl End {
    /// The status, and what there is to say about it.
    fn told(&self, ended: Option<RunStatus>) -> (Status, Vec<Problem>) {
        let told = |status, problem: &str, remedy: &str| (status, vec![Problem::new("run", problem, remedy)]);
        match (self, ended) {
            (Self::Stopped, _) => told(Status::Stopped, "it was stopped at once", "run it again"),
            (_, Some(RunStatus::Reached)) => (Status::Reached, Vec::new()),
            (_, Some(RunStatus::Failed)) => (Status::Failed, Vec::new()),
            (_, Some(RunStatus::BudgetSpent)) => (Status::BudgetSpent, Vec::new()),
            (Self::GaveUp(why), _) => {
                told(Status::GaveUp, why, "see the first cause in the reason, and the lines above for what led to it")
            }
            (Self::TimeUp, _) => told(
                Status::Drained,
                "it was interrupted, and tasks that did not end in time were killed",
                "run it again to finish it",
            ),
            (Self::Over, _) => told(Status::Drained, "it was interrupted before it was finished", "run it again"),
        }
    }
}

/// The tree did not start.
fn not_begun(status: Status, problem: String) -> Outcome {
    let problems = vec![Problem::new("run", problem, "see the reason, and run it again")];
    Outcome { status, problems, ..Outcome::invalid(Vec::new()) }
}

fn open_input(folder: &Path) -> std::io::Result<DiskFiles> {
    // Its own message for a missing folder speaks of files in the input folder.
    if !std::fs::metadata(folder)?.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    DiskFiles::open(folder).map_err(std::io::Error::other)
}

fn no_input(folder: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        format!("--input {}", folder.display()),
        format!("the input folder cannot be used: {error}"),
        "name a folder that exists and may be read",
    )
}

/// Whether both are one folder, however they are written.
fn same(one: &Path, other: &Path) -> bool {
    matches!((std::fs::canonicalize(one), std::fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

fn report_in_input(folder: &Path) -> Problem {
    Problem::new(
        format!("--report {}", folder.display()),
        "the report folder is the input folder, so that the report would become part of the input; expected another one",
        "name a folder of its own, such as one below the input folder",
    )
}

fn no_state(folder: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        format!("--state {}", folder.display()),
        format!("the folder of the runs cannot be used: {error}"),
        "name a folder that exists or can be created, and may be written to",
    )
}

/// Commands cannot be watched over, or those of an earlier process have not ended.
fn no_guard(error: &GuardError) -> Problem {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Problem::new(
        "commands",
        format!("{error}{cause}"),
        "run it again once that is so; `--volatile` runs without a guard",
    )
}

fn no_report(folder: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        format!("--report {}", folder.display()),
        format!("the report cannot be written: {error}"),
        "name a folder that exists or can be created, and may be written to",
    )
}

#[cfg(test)]
mod tests;
