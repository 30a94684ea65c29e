//! `steadfast run` and `steadfast resume`: from the arguments to the outcome of one run.
//!
//! Everything that can be refused is refused before the tree is started, and whatever happens to the tree, the report
//! is written and nothing is left running.

pub(crate) mod choose;
pub(crate) mod conduct;
mod end;
pub(crate) mod gate;
mod history;
pub(crate) mod narrate;
pub(crate) mod setting;
pub(crate) mod signals;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast::System;
use steadfast::seam::Level;
use steadfast_orchestration::agents::host::{Feeds, Takes};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Estimate, Facts, Kept, Millis, Report, Restarts, RunState};
use steadfast_orchestration::seam::commands::guard::GuardError;
use steadfast_orchestration::work::chain;
use tokio::runtime::Builder;

use crate::args::{ResumeArgs, RunArgs};
use crate::asks;
use crate::load::load;
use crate::outcome::{Outcome, Problem, Status, failed_tasks};
use crate::screen::Screen;
use choose::{Chosen, GoalOrder, choose};
use conduct::Conductor;
pub(crate) use end::End;
pub(crate) use setting::processors;
use setting::{Keep, Setting};
use signals::Signals;

/// The folder that gets the report when none is named.
pub(crate) const DEFAULT_REPORT: &str = "steadfast-report";

/// The folder that keeps runs when none is named.
pub(crate) const DEFAULT_STATE: &str = ".steadfast";

/// How long the tree may take to stop in order once the run is over.
pub(crate) const STOP: Duration = Duration::from_secs(5);

/// What is to be carried.
pub(crate) enum Order {
    /// A goal.
    Goal(Box<GoalOrder>),
    /// The run that is called so.
    Resume(String),
}

/// A run that is to be carried to its end, or to where it stands still.
pub(crate) struct Errand {
    pub(crate) setting: Setting,
    order: Order,
    report: PathBuf,
    wait: Duration,
}

/// How far a run came.
struct Ran {
    chosen: Chosen,
    /// How long it was expected to take, by runs of the goal that are over.
    estimate: Option<Estimate>,
    end: End,
    state: RunState,
    restarts: Restarts,
    now: Millis,
}

/// Carries a goal to its end.
pub(crate) fn run(args: &RunArgs, screen: &Screen) -> Outcome {
    if args.detach {
        return detach(args, screen);
    }
    match Errand::of_goal(args, screen) {
        Ok(errand) => errand.carried(),
        Err(problems) => Outcome::invalid(problems),
    }
}

/// Carries a run that is kept to its end.
pub(crate) fn resume(args: &ResumeArgs, run: &str, screen: &Screen) -> Outcome {
    let of_owner =
        crate::kept::runtime().and_then(|runtime| runtime.block_on(asks::resume(&args.state.dir, run, screen)));
    match of_owner {
        Ok(Some(outcome)) => return outcome,
        Ok(None) => {}
        Err(problem) => return Outcome::invalid(vec![problem]),
    }
    match Errand::of_run(args, run, screen) {
        Ok(errand) => errand.carried(),
        Err(problem) => Outcome::invalid(vec![problem]),
    }
}

impl Errand {
    /// Checks everything there is to check.
    fn of_goal(args: &RunArgs, screen: &Screen) -> Result<Self, Vec<Problem>> {
        let prepared = load(&args.goal, &args.params)?;
        screen.redact_by(&prepared.redactor);
        let one = |problem| vec![problem];
        let input = input(&args.input).map_err(|error| one(no_input(&args.input, &error)))?;
        let report = absolute_report(&args.telling.report).map_err(one)?;
        if same(&report, &args.input) {
            return Err(one(report_in_input(&args.telling.report)));
        }
        let keeping = &args.keeping;
        let level = if keeping.volatile { Level::Volatile } else { keeping.level };
        let setting = Setting::of(&args.working, (&keeping.state.dir, level), Some(&report), screen).map_err(one)?;
        write::prepare(&report).map_err(|error| one(no_report(&args.telling.report, &error)))?;
        let goal = GoalOrder { prepared, input, new: args.new || keeping.volatile, run_id: args.run_id };
        Ok(Self { setting, order: Order::Goal(Box::new(goal)), report, wait: args.telling.wait.duration() })
    }

    fn of_run(args: &ResumeArgs, run: &str, screen: &Screen) -> Result<Self, Problem> {
        let report = absolute_report(&args.telling.report)?;
        let state = (args.state.dir.as_path(), args.level);
        let setting = Setting::of(&args.working, state, Some(&report), screen)?;
        write::prepare(&report).map_err(|error| no_report(&args.telling.report, &error))?;
        Ok(Self { setting, order: Order::Resume(run.to_owned()), report, wait: args.telling.wait.duration() })
    }

    /// Carries it, and leaves nothing behind.
    fn carried(self) -> Outcome {
        let runtime = match setting::runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                return not_begun(Status::GaveUp, format!("the threads of the runtime cannot start: {error}"));
            }
        };
        let ran = runtime.block_on(self.carry_out());
        self.setting.screen.progress(None);
        let left = self.setting.leave_nothing(runtime);
        let mut outcome = match ran {
            Ok(ran) => self.outcome(&ran),
            Err(outcome) => outcome,
        };
        outcome.problems.extend(left);
        outcome
    }

    /// Opens the store, chooses the run, carries it, and closes the store.
    async fn carry_out(&self) -> Result<Ran, Outcome> {
        let gave_up = |problem: String| not_begun(Status::GaveUp, problem);
        let listening = Signals::listen();
        let mut signals = listening.map_err(|error| gave_up(format!("signals cannot be listened to: {error}")))?;
        if let Order::Resume(_) = &self.order {
            // Nobody makes a folder by asking what is in it.
            crate::kept::look(&self.setting.state).await.map_err(|problem| Outcome::invalid(vec![problem]))?;
        }
        let owner = self.owner();
        let keep = self.setting.open(&owner).await.map_err(|problem| Outcome::invalid(vec![problem]))?;
        let ran = match choose(&self.setting, &keep, &self.order).await {
            Ok(chosen) => self.carry(&keep, chosen, &mut signals).await,
            Err(problems) => Err(Outcome::invalid(problems)),
        };
        keep.close().await;
        ran
    }

    fn owner(&self) -> String {
        match &self.order {
            Order::Goal(goal) => format!("steadfast run {}", goal.prepared.plan.goal().name),
            Order::Resume(run) => format!("steadfast resume {run}"),
        }
    }

    async fn carry(&self, keep: &Keep, chosen: Chosen, signals: &mut Signals) -> Result<Ran, Outcome> {
        let gave_up = |problem: String| not_begun(Status::GaveUp, problem);
        let (setting, feeds) = (&self.setting, Feeds::new());
        let feed = feeds.of(chosen.run);
        let started = async {
            // Nothing is given out before what an earlier process had running is gone.
            setting.gate.start_guard().await.map_err(|error| Outcome::invalid(vec![no_guard(&error)]))?;
            setting.start(keep, Takes::Named, &feeds).await.map_err(|error| gave_up(error.to_string()))
        };
        let system = tokio::select! {
            biased;
            () = signals.next() => {
                return Err(not_begun(Status::Drained, "it was interrupted before the agents had started".to_owned()));
            }
            started = started => started?,
        };
        let mut conductor = Conductor::new(setting, (&system, keep), &chosen, (feed, self.wait));
        let (end, estimate) = match self.begin(&system, &chosen).await {
            Ok(()) => {
                let known = (chosen.run, &chosen.plan);
                history::beside(conductor.conduct(signals), &*keep.journal, known).await
            }
            Err(why) => (End::GaveUp(why), None),
        };
        setting.gate.close();
        let end = if matches!(end, End::Stopped) { end } else { stop(&system, signals, end).await };
        let counted = system.restarts();
        let by_supervisor = counted.by_supervisor.iter().map(|(path, count)| (path.to_string(), *count)).collect();
        Ok(Ran {
            end,
            state: conductor.into_state(),
            restarts: Restarts { total: counted.total, by_supervisor },
            now: Millis::of(setting.clock.wall()),
            estimate,
            chosen,
        })
    }

    async fn begin(&self, system: &System, chosen: &Chosen) -> Result<(), String> {
        let now = Millis::of(self.setting.clock.wall());
        match &chosen.start {
            Some(start) => {
                let begun = preset::start_run(system, &self.setting.by, start, now).await;
                begun.map_err(|error| chain(&error))
            }
            None => preset::take_up(system, chosen.run).await.map_err(|error| error.to_string()),
        }
    }

    /// Writes the report and says what came of the run.
    fn outcome(&self, ran: &Ran) -> Outcome {
        let (plan, view) = (&ran.chosen.plan, choose::view(&self.setting));
        let goal = plan.goal();
        let facts = Facts {
            goal: goal.name.clone(),
            description: goal.description.clone(),
            restarts: ran.restarts.clone(),
            estimate: ran.estimate.clone(),
        };
        let report = Report::of(&ran.state, facts, ran.now).redacted(&ran.chosen.redactor);
        let kept = Kept::from(self.setting.level);
        let (status, mut problems) =
            ran.end.told(ran.state.ended().map(|(status, _)| status), (&view, ran.chosen.run, kept));
        problems.extend(failed_tasks(&report));
        // The runtime of the run is gone by now, so that whoever blocked a thread of it cannot hold this up.
        let written = Builder::new_current_thread()
            .build()
            .and_then(|runtime| runtime.block_on(write::report(&self.report, &report, (status, plan))));
        let (report, folder) = (Some(report), Some(self.report.clone()));
        let mut outcome = Outcome { status, report, folder, ..Outcome::invalid(problems) };
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

/// Leaves a goal with whoever serves the folder.
fn detach(args: &RunArgs, screen: &Screen) -> Outcome {
    let detached = || {
        let invalid = |problems| (Status::Invalid, problems);
        let prepared = load(&args.goal, &args.params).map_err(invalid)?;
        screen.redact_by(&prepared.redactor);
        let input = input(&args.input).map_err(|error| invalid(vec![no_input(&args.input, &error)]))?;
        let runtime = crate::kept::runtime().map_err(|problem| invalid(vec![problem]))?;
        let run = runtime.block_on(asks::detach(&args.keeping.state.dir, &prepared.plan, &input));
        run.map_err(|(status, problem)| (status, vec![problem]))
    };
    match detached() {
        Ok(run) => Outcome::done(Some(run), vec![format!("run {run}")]),
        Err((status, problems)) => Outcome { status, ..Outcome::invalid(problems) },
    }
}

/// Stops the tree in order, in a limited time, and at once when a signal says so for the second time.
pub(crate) async fn stop(system: &System, signals: &mut Signals, end: End) -> End {
    tokio::select! {
        biased;
        () = signals.second() => End::Stopped,
        // What a tree makes of its end after the run has ended changes nothing about the run.
        _ = tokio::time::timeout(STOP, system.shutdown()) => end,
    }
}

/// The tree did not start.
pub(crate) fn not_begun(status: Status, problem: String) -> Outcome {
    let problems = vec![Problem::new("run", problem, "see the reason, and run it again")];
    Outcome { status, problems, ..Outcome::invalid(Vec::new()) }
}

/// The one path that leads to the input folder.
pub(crate) fn input(folder: &Path) -> std::io::Result<String> {
    // Its own message for a missing folder speaks of files in the input folder.
    if !std::fs::metadata(folder)?.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    std::fs::read_dir(folder)?;
    let path = std::fs::canonicalize(folder)?;
    let text = path.into_os_string().into_string();
    text.map_err(|_| std::io::Error::other("its path is not UTF-8, and cannot be recorded"))
}

fn absolute_report(folder: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(folder).map_err(|error| no_report(folder, &error))
}

pub(crate) fn no_input(folder: &Path, error: &std::io::Error) -> Problem {
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
pub(crate) fn no_guard(error: &GuardError) -> Problem {
    Problem::new("commands", chain(error), "run it again once that is so; `--volatile` runs without a guard")
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
