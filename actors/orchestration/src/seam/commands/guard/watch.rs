//! What the process does that is the guard.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio, id};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::lock::Lock;
use crate::seam::commands::os::groups::{kill, living};

/// Asks for one more seat.
pub(super) const ASK: &[u8] = b"+";

/// Says that the lock is held.
pub(super) const READY: &str = "guard ready";

/// Says the number of a seat.
pub(super) const SEAT: &str = "guard seat ";

/// Says what does not work.
pub(super) const UNABLE: &str = "guard unable ";

/// The last argument of a process that only leads a group.
const LEADER: &str = "seat";

/// What the process is called in lists of processes, where the system allows it.
const NAME: &str = "goal-guard";

/// How often it is looked whether somebody is left, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Is the guard of the process that started this one: call it first in `main`, where the arguments are those of the
/// [`GuardSpec`](super::GuardSpec), and return what it returns. It takes its folder from the last argument of the process.
#[must_use = "it is what the process ends with"]
pub fn main() -> ExitCode {
    let Some(last) = std::env::args_os().next_back() else { return ExitCode::from(2) };
    if last == LEADER {
        return ExitCode::SUCCESS;
    }
    let folder = PathBuf::from(last);
    if !folder.is_absolute() {
        // Nobody reads it where the process was started as it should be.
        let _ = writeln!(io::stderr(), "error: the guard of commands is started by the program itself, not by hand");
        return ExitCode::from(2);
    }
    match watch(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{UNABLE}{error}"));
            ExitCode::FAILURE
        }
    }
}

/// Guards until the pipe closes, and ends what is left then.
fn watch(folder: &Path) -> io::Result<()> {
    // So that whoever kills all processes of our name leaves this one to end their commands. It need not succeed.
    let _ = std::fs::write("/proc/self/comm", NAME);
    let _deaf = deaf()?;
    let lock = Lock::new(folder, id(), std::os::unix::process::parent_id())
        .map_err(|error| io::Error::new(error.kind(), format!("no lock in `{}`: {error}", folder.display())))?;
    let mut seats = Seats { lock, leaders: Vec::new() };
    say(READY);
    let mut asked = [0; 1];
    while io::stdin().read(&mut asked).is_ok_and(|length| length > 0) {
        match seats.add() {
            Ok(group) => say(&format!("{SEAT}{group}")),
            Err(error) => say(&format!("{UNABLE}{error}")),
        }
    }
    seats.end()
}

/// Says a line to the owner. One that is gone is noticed by the other pipe.
fn say(line: &str) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Ignores what asks a process to end: it ends when its owner has, and not before.
fn deaf() -> io::Result<(Runtime, [Signal; 3])> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hang_up] = kinds.map(signal);
    let signals = [interrupt?, terminate?, hang_up?];
    drop(entered);
    Ok((runtime, signals))
}

/// The groups that are watched.
struct Seats {
    lock: Lock,
    /// Who leads each. They have ended; that nobody asks for their exit keeps their numbers taken.
    leaders: Vec<Child>,
}

impl Seats {
    /// Makes one more group.
    fn add(&mut self) -> io::Result<i32> {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let leading = arguments.len().saturating_sub(1);
        #[expect(clippy::disallowed_methods, reason = "it is a part of this seam")]
        let leader = Command::new(this_program())
            .args(&arguments[..leading])
            .arg(LEADER)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = i32::try_from(leader.id()).map_err(io::Error::other)?;
        self.leaders.push(leader);
        // Before the owner hears of it: who comes after us finds in the file whatever may have been started.
        self.lock.watches(group)?;
        Ok(group)
    }

    /// Kills every group, waits until nobody is left of any, and lets the lock go.
    fn end(mut self) -> io::Result<()> {
        let groups: Vec<i32> = self.leaders.iter().filter_map(|leader| i32::try_from(leader.id()).ok()).collect();
        // Once: the kernel kills all of a group in one step, a process that is just being forked included.
        groups.iter().copied().for_each(kill);
        for leader in &mut self.leaders {
            let _ = leader.wait();
        }
        let (mut pause, most) = LOOK;
        let mut left: BTreeSet<i32> = groups.into_iter().collect();
        loop {
            // From here on a number may be given to others once its group is gone: it is not looked at again.
            left = living(&left).into_keys().collect();
            if left.is_empty() {
                return self.lock.remove();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(most);
        }
    }
}

/// The program that runs, also where its file was replaced meanwhile.
pub(super) fn this_program() -> PathBuf {
    let running = Path::new("/proc/self/exe");
    if running.exists() { running.to_owned() } else { std::env::current_exe().unwrap_or_default() }
}
