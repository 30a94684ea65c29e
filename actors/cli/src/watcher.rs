//! `--chaos kill9=every:3s`: carries a run out in a process of its own, kills that with SIGKILL at random moments, and
//! starts it again until it ends by itself.
//!
//! What the process prints on stdout is passed on once it has ended by itself; what one that was killed had printed is
//! forgotten.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use steadfast::seam::{Entropy, Rng};
use steadfast::{RunId, SeededEntropy, TokioClock};
use steadfast_orchestration::work::chain;
use steadfast_storage::{Store, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::args::RunArgs;
use crate::kept::refused;
use crate::load::load;
use crate::outcome::{Outcome, Problem, Status};
use crate::run::choose::unfinished_of;
use crate::run::signals::Signals;
use crate::run::{input, no_input, not_begun};
use crate::screen::Screen;

/// What came of it: the exit status of the process that ended by itself, or what kept it from beginning.
pub(crate) type Watched = Result<u8, Box<Outcome>>;

/// Watches over a run.
pub(crate) fn watch(args: &RunArgs, every: Duration, screen: &Screen) -> Watched {
    let gave_up = |error: std::io::Error| {
        let problem = format!("the run cannot be started in a process of its own: {error}");
        Box::new(not_begun(Status::GaveUp, problem))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(gave_up)?;
    let clock = std::sync::Arc::new(TokioClock);
    let os = SeededEntropy::from_os(std::sync::Arc::clone(&clock) as _);
    let seed = args.working.seed.unwrap_or_else(|| os.stream("seed").next_u64());
    screen.line(format!("chaos: the process is killed every {every:?} on average, --seed {seed}"));
    let entropy = SeededEntropy::new(seed, clock);
    let run = runtime.block_on(run_of(args, screen));
    let run = run.map_err(|problems| Box::new(Outcome::invalid(problems)))?.unwrap_or_else(|| RunId::new(os.id()));
    let words = words(args, std::env::args_os().skip(1), seed, run);
    let mut watcher = Watcher { words, every, times: entropy.stream("kill9"), killed: 0 };
    let code = runtime.block_on(watcher.watch()).map_err(gave_up)?;
    screen.line(format!("chaos: it was killed {} times", watcher.killed));
    Ok(code)
}

/// The run that is unfinished, where one is to be gone on with.
///
/// Every process is told which run it carries: one that is killed after its run has ended would be followed by one that
/// begins another.
async fn run_of(args: &RunArgs, screen: &Screen) -> Result<Option<RunId>, Vec<Problem>> {
    let prepared = load(&args.goal, &args.params)?;
    screen.redact_by(&prepared.redactor);
    let input = input(&args.input).map_err(|error| vec![no_input(&args.input, &error)])?;
    let dir = &args.keeping.state.dir;
    let store = match Store::read_only(dir).await {
        Ok(store) if !args.new => store,
        Ok(_) | Err(StoreError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(vec![refused(dir, &error)]),
    };
    let found = unfinished_of(&*store.journal(), &prepared.plan, &input, screen).await;
    let place = || format!("--state {}", dir.display());
    let found = found.map_err(|error| vec![Problem::new(place(), chain(&error), "see the cause")])?;
    Ok(found.map(|run| run.run))
}

struct Watcher {
    words: Vec<OsString>,
    every: Duration,
    times: Rng,
    killed: u32,
}

/// The command line of the process: the same, but for what only concerns its watcher.
fn words(args: &RunArgs, given: impl Iterator<Item = OsString>, seed: u64, run: RunId) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut given = given.peekable();
    while let Some(word) = given.next() {
        let text = word.to_string_lossy();
        // Each process is told its run.
        if text == "--new" {
            continue;
        }
        if text == "--chaos" || text == "--seed" {
            given.next();
            continue;
        }
        if text.starts_with("--chaos=") || text.starts_with("--seed=") {
            continue;
        }
        words.push(word);
    }
    words.extend(["--seed".into(), seed.to_string().into()]);
    if let Some(rates) = args.working.chaos.and_then(|chaos| chaos.rates) {
        let rates = format!("crash={},hang={}", rates.crash(), rates.hang());
        words.extend(["--chaos".into(), rates.into()]);
    }
    words.extend(["--run-id".into(), run.to_string().into()]);
    words
}

impl Watcher {
    async fn watch(&mut self) -> std::io::Result<u8> {
        let mut signals = Signals::listen()?;
        let mut is_over = false;
        loop {
            let mut child = self.start()?;
            let moment = self.every.mul_f64(2.0 * self.times.next_unit());
            let mut said = Vec::new();
            let mut stdout = child.stdout.take();
            let mut ended = std::pin::pin!(async {
                if let Some(stdout) = &mut stdout {
                    stdout.read_to_end(&mut said).await?;
                }
                Ok::<(), std::io::Error>(())
            });
            let mut moment = std::pin::pin!(tokio::time::sleep(moment));
            let status = loop {
                tokio::select! {
                    biased;
                    () = signals.next() => {
                        // It has heard of it too where it was sent to the whole group; twice would stop it at once.
                        is_over = true;
                        tell(&child, rustix::process::Signal::TERM);
                    }
                    read = &mut ended => {
                        read?;
                        break Some(child.wait().await?);
                    }
                    () = &mut moment, if !is_over => {
                        child.start_kill()?;
                        child.wait().await?;
                        break None;
                    }
                }
            };
            match status {
                Some(status) => return self.pass_on(status, &said).await,
                None => self.killed += 1,
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the process is this program, and no command of a goal")]
    fn start(&self) -> std::io::Result<Child> {
        Command::new(std::env::current_exe()?)
            .args(&self.words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // So that a signal to our group does not reach it twice.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn pass_on(&self, status: ExitStatus, said: &[u8]) -> std::io::Result<u8> {
        let mut stdout = tokio::io::stdout();
        stdout.write_all(said).await?;
        stdout.flush().await?;
        // One that was ended by somebody else's signal was stopped.
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Status::Stopped.code()))
    }
}

fn tell(child: &Child, signal: rustix::process::Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It has ended where this fails.
        let _ = rustix::process::kill_process(pid, signal);
    }
}
