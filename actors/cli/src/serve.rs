//! `steadfast serve` and `steadfast resume --all`: many runs in one tree.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::{RunId, System};
use steadfast_orchestration::agents::host::{Feeds, HostEvent, Takes};
use steadfast_orchestration::host::Answer;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Standing, Status as RunStatus};
use steadfast_orchestration::work::chain;
use steadfast_storage::Owner;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::{ResumeArgs, ServeArgs};
use crate::outcome::{Outcome, Problem, Status};
use crate::run::End;
use crate::run::setting::{self, Keep, Setting};
use crate::run::signals::Signals;
use crate::run::{no_guard, not_begun, stop};
use crate::screen::Screen;
use crate::{asks, kept, paused};

/// How long running tasks may take to end by themselves once the process is to end.
const DRAIN: Duration = Duration::from_secs(10);

/// How often it is looked how the runs stand.
const LOOK: Duration = Duration::from_millis(200);

/// What whoever owns a folder and carries all runs of it calls itself.
const SERVE: &str = "steadfast serve";
const RESUME_ALL: &str = "steadfast resume --all";

/// Whether the owner of a folder carries one run and no others.
pub(crate) fn carries_one(owner: &Owner) -> bool {
    let carries = ["steadfast run ", "steadfast resume "].iter().any(|verb| owner.owner.starts_with(verb));
    carries && owner.owner != RESUME_ALL
}

/// Until when runs are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// A signal comes.
    Signal,
    /// None goes on by itself any more; where some wait, for so long.
    AllStandStill(Duration),
}

/// Owns the folder until a signal comes.
pub(crate) fn serve(args: &ServeArgs, screen: &Screen) -> Outcome {
    let setting = Setting::of(&args.working, (&args.state.dir, args.level), None, screen);
    many(setting, SERVE, Until::Signal)
}

/// Goes on with all runs that are unfinished, or asks the owner of the folder to.
pub(crate) fn resume_all(args: &ResumeArgs, screen: &Screen) -> Outcome {
    let of_owner = kept::runtime().and_then(|runtime| runtime.block_on(asks::resume_all(&args.state.dir)));
    match of_owner {
        Ok(Some(outcome)) => return outcome,
        Ok(None) => {}
        Err(problem) => return Outcome::invalid(vec![problem]),
    }
    let setting = Setting::of(&args.working, (&args.state.dir, args.level), None, screen);
    many(setting, RESUME_ALL, Until::AllStandStill(args.telling.wait.duration()))
}

fn many(setting: Result<Setting, Problem>, owner: &str, until: Until) -> Outcome {
    let setting = match setting {
        Ok(setting) => setting,
        Err(problem) => return Outcome::invalid(vec![problem]),
    };
    let runtime = match setting::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return not_begun(Status::GaveUp, format!("the threads of the runtime cannot start: {error}")),
    };
    let mut outcome = runtime.block_on(carry(&setting, owner, until)).unwrap_or_else(|outcome| outcome);
    outcome.problems.extend(setting.leave_nothing(runtime));
    outcome
}

async fn carry(setting: &Setting, owner: &str, until: Until) -> Result<Outcome, Outcome> {
    let gave_up = |problem: String| not_begun(Status::GaveUp, problem);
    let listening = Signals::listen();
    let mut signals = listening.map_err(|error| gave_up(format!("signals cannot be listened to: {error}")))?;
    let keep = setting.open(owner).await.map_err(|problem| Outcome::invalid(vec![problem]))?;
    let outcome = within(setting, &keep, until, &mut signals).await;
    keep.close().await;
    outcome
}

async fn within(setting: &Setting, keep: &Keep, until: Until, signals: &mut Signals) -> Result<Outcome, Outcome> {
    setting.gate.start_guard().await.map_err(|error| Outcome::invalid(vec![no_guard(&error)]))?;
    if until != Until::Signal {
        resume_paused(setting, keep).await.map_err(|problem| Outcome::invalid(vec![problem]))?;
    }
    let feeds = Feeds::new();
    let mut watch = Watch {
        screen: setting.screen.clone(),
        events: feeds.events(),
        feeds: feeds.clone(),
        over: BTreeMap::new(),
        scanned: false,
    };
    let started = setting.start(keep, Takes::All, &feeds).await;
    let system = started.map_err(|error| not_begun(Status::GaveUp, error.to_string()))?;
    let how = if until == Until::Signal { "serves" } else { "carries what is unfinished in" };
    setting.screen.line(format!("{how} {}; Ctrl-C ends it", setting.state.display()));
    let end = watch.watch(&system, until, signals).await;
    setting.gate.close();
    let standing = watch.standing();
    let end = if matches!(end, End::Stopped) { end } else { stop(&system, signals, end).await };
    Ok(outcome(&end, until, &standing))
}

/// Has all that is paused go on, since that is what was asked for. What cannot is said, and keeps no other back.
async fn resume_paused(setting: &Setting, keep: &Keep) -> Result<(), Problem> {
    let paused = paused::all(&*keep.journal).await;
    let place = || format!("--state {}", setting.state.display());
    for run in paused.map_err(|error| Problem::new(place(), chain(&error), "see the cause"))? {
        let said = match paused::lift((&*keep.journal, &setting.outfit()), run, &setting.by).await {
            Ok(Answer::Refused { why }) => format!("not resumed: {why}"),
            Ok(_) => "resumed".to_owned(),
            Err(error) => format!("not resumed: {}", chain(&error)),
        };
        setting.screen.line(format!("run {run}: {said}"));
    }
    Ok(())
}

impl Until {
    /// For how long it is waited while nothing but waiting is done.
    fn wait(self) -> Duration {
        if let Self::AllStandStill(wait) = self { wait } else { Duration::MAX }
    }
}

/// Tells what becomes of the runs.
struct Watch {
    screen: Screen,
    events: tokio::sync::broadcast::Receiver<HostEvent>,
    feeds: Feeds,
    over: BTreeMap<RunId, Standing>,
    scanned: bool,
}

impl Watch {
    async fn watch(&mut self, system: &System, until: Until, signals: &mut Signals) -> End {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0;
        loop {
            tokio::select! {
                biased;
                () = signals.next() => return self.drained(system, signals).await,
                ended = system.ended() => {
                    return End::GaveUp(ended.map_or_else(|why| why.to_string(), |()| "the tree ended".to_owned()));
                }
                event = self.events.recv() => self.heard(event),
                _ = tick.tick() => {
                    // What waits may go on by itself, or because somebody tells it something.
                    looks = if self.scanned && self.all_stand_still() { looks + 1 } else { 0 };
                    let wait = if self.any_waits() { until.wait() } else { Duration::ZERO };
                    if until != Until::Signal && looks > 0 && LOOK * (looks - 1) >= wait {
                        return End::Over;
                    }
                }
            }
        }
    }

    /// Gives out nothing more, and waits for what is under way.
    async fn drained(&mut self, system: &System, signals: &mut Signals) -> End {
        self.screen.line(format!(
            "interrupted: no further tasks are started, running ones have {} s to end; once more stops at once",
            DRAIN.as_secs()
        ));
        let all_quiet = async {
            // Where there is no host any more the tree is about to end, and with it the runs.
            let _ = preset::drain_all(system).await;
            let mut tick = interval(LOOK);
            while !self.all_stand_still() {
                tick.tick().await;
            }
        };
        tokio::select! {
            biased;
            () = signals.second() => End::Stopped,
            quiet = tokio::time::timeout(DRAIN, all_quiet) => if quiet.is_ok() { End::Over } else { End::TimeUp },
        }
    }

    fn heard(&mut self, event: Result<HostEvent, RecvError>) {
        match event {
            Ok(HostEvent::TakenUp { run }) => self.screen.line(format!("run {run}: taken up")),
            Ok(HostEvent::Over { run, standing }) => {
                self.screen.line(format!("run {run}: {}", word(&standing)));
                self.over.insert(run, standing);
            }
            Ok(HostEvent::Scanned { unfinished }) => {
                self.scanned = true;
                self.screen.line(format!("{unfinished} runs were unfinished"));
            }
            Ok(HostEvent::Ignored { why }) => self.screen.line(format!("a request is not done: {why}")),
            Ok(_) | Err(RecvError::Closed) => {}
            Err(RecvError::Lagged(missed)) => self.screen.line(format!("... {missed} events of runs were missed")),
        }
    }

    /// How the runs stand that are carried here, and those that were.
    fn standing(&self) -> BTreeMap<RunId, Standing> {
        let stands = |run| (run, self.feeds.of(run).standing().borrow().clone());
        let carried = self.feeds.carried().into_iter().map(stands);
        self.over.clone().into_iter().chain(carried).collect()
    }

    fn all_stand_still(&self) -> bool {
        self.standing().values().all(|standing| *standing != Standing::Working)
    }

    fn any_waits(&self) -> bool {
        self.standing().values().any(|standing| matches!(standing, Standing::Waiting(_)))
    }
}

fn word(standing: &Standing) -> String {
    match standing {
        Standing::Working => "goes on".to_owned(),
        Standing::Paused(_) => "paused".to_owned(),
        Standing::Waiting(_) => "waits".to_owned(),
        Standing::Drained => "drained".to_owned(),
        Standing::Ended(status) => status.as_str().replace('_', " "),
        Standing::TakenOver { owner } => format!("taken over by {owner}"),
        Standing::GivenUp { why } => format!("given up: {why}"),
        _ => "unknown".to_owned(),
    }
}

/// What came of it: the worst of all runs, where the command was to carry them to their ends.
fn outcome(end: &End, until: Until, standing: &BTreeMap<RunId, Standing>) -> Outcome {
    let told = |status, what: &str, remedy: &str| Outcome {
        status,
        ..Outcome::invalid(vec![Problem::new("runs", what, remedy)])
    };
    match end {
        End::GaveUp(why) => return told(Status::GaveUp, why, "see the reason, and begin again"),
        End::Stopped => return told(Status::Stopped, "it was stopped at once", "begin again: nothing is lost"),
        End::TimeUp => {
            return told(Status::Drained, "tasks that did not end in time were killed", "begin again: nothing is lost");
        }
        _ => {}
    }
    if until == Until::Signal {
        return Outcome { status: Status::Reached, ..Outcome::invalid(Vec::new()) };
    }
    let worst = standing.values().map(status).max_by_key(|status| status.code()).unwrap_or(Status::Reached);
    let problems =
        standing.iter().filter(|(_, standing)| status(standing) != Status::Reached).map(|(run, standing)| {
            Problem::new(format!("run {run}"), word(standing), format!("`steadfast why {run}` says more"))
        });
    Outcome { status: worst, ..Outcome::invalid(problems.collect()) }
}

fn status(standing: &Standing) -> Status {
    match standing {
        Standing::Ended(RunStatus::Reached) => Status::Reached,
        Standing::Ended(RunStatus::Failed) => Status::Failed,
        Standing::Ended(RunStatus::Cancelled) => Status::Cancelled,
        Standing::Ended(RunStatus::BudgetSpent) => Status::BudgetSpent,
        Standing::Paused(_) => Status::Paused,
        Standing::Waiting(_) => Status::Waiting,
        Standing::TakenOver { .. } | Standing::GivenUp { .. } => Status::GaveUp,
        _ => Status::Drained,
    }
}
