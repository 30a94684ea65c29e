//! The process that ends our commands when we cannot.
//!
//! A process that is killed with SIGKILL ends nothing of what it started. So commands can be run below a guard: our own
//! program, started once more, which does nothing but wait on a pipe whose other end only our process holds. When the
//! pipe closes, our process has ended, however it did; then the guard kills every process group of our commands, waits
//! until nobody of them is left, and ends. As long as it lives it holds a lock in the folder of its [`GuardSpec`], and
//! whoever begins with the same folder later waits for that lock before anything runs: [`OsCommands::start_guard`].
//!
//! There is one guard for all commands of a process, and a command costs it nothing. The guard makes process groups in
//! advance, *seats*: it starts itself once more for each, as the leader of a group; that process ends at once and is
//! never asked for its exit, so that the number of the group stays taken while the guard lives. Our process starts a
//! command into a seat that is free; there are as many seats as commands ran at once. What the guard has to kill it
//! therefore knows before the command exists, and the number cannot be that of somebody else.
//!
//! No command slips through: a process that was forked and is not yet the command still holds the writing end of the
//! pipe, which closes when it becomes the command, after it has joined its seat. So the guard sees the pipe close only
//! once every command is in its group.
//!
//! # What is not promised
//!
//! * A process that leaves its group (`setsid`, a daemon, a shell with job control) is not ended with it.
//! * A program of another user (`sudo`) cannot be killed; the guard waits for its end, and whoever comes later waits for
//!   the guard, within a limit, and is told what still lives.
//! * The guard ignores SIGINT, SIGTERM and SIGHUP, and is not named as our program is, so that `killall` does not find
//!   it. Where it is killed all the same, its commands are killed by our process within a tenth of a second, their runs
//!   fail with [`GuardError::Ended`], and the next command starts another guard. If both are killed, commands go on; who
//!   comes later finds the file of a guard that did not finish, and waits for what it names.
//! * A command is in a group of its own, but does not lead it: in a shell script `kill -- -$$` finds nobody, and `kill 0`
//!   is what ends the group.
//!
//! # In your own program
//!
//! Before `main` does anything else:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use steadfast_orchestration::seam::commands::OsCommands;
//! use steadfast_orchestration::seam::commands::guard::{self, GuardSpec};
//!
//! fn main() -> ExitCode {
//!     if std::env::args_os().nth(1).is_some_and(|arg| arg == "guard") {
//!         return guard::main();
//!     }
//!     let commands = OsCommands::guarded(GuardSpec::this_program("state/guards"));
//!     // ...
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! [`OsCommands`]: super::OsCommands
//! [`OsCommands::start_guard`]: super::OsCommands::start_guard

mod earlier;
mod lock;
mod owner;
mod watch;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use owner::{Guard, Seat};
pub use watch::main;

/// How long what an earlier process left is waited for, where nothing is said.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// The program that is the guard, and where its lock is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuardSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; the folder is added as the last one. With them the program calls [`main`].
    pub args: Vec<OsString>,
    /// The folder of the locks, one for each store; made where it is missing. Only one [`OsCommands`] at a time may use
    /// it, since each waits for all others.
    ///
    /// [`OsCommands`]: super::OsCommands
    pub folder: PathBuf,
    /// How long what an earlier process left is waited for.
    pub patience: Duration,
}

impl GuardSpec {
    /// This program is the guard, with no arguments.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), folder: folder.into(), patience: DEFAULT_PATIENCE }
    }

    /// The program that runs is the guard when its first argument is `guard`.
    #[must_use]
    pub fn this_program(folder: impl Into<PathBuf>) -> Self {
        Self::new(watch::this_program(), folder).arg("guard")
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Waits for so long.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// There is no guard to run commands below.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The folder of the locks cannot be used.
    #[error("the folder `{folder}` for the locks of guards cannot be used; name one that can be made and written to")]
    Folder {
        /// The folder.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// The guard was not started.
    #[error("the guard `{program}` did not start; it is our own program, which must still be there and be executable")]
    Start {
        /// The program of the [`GuardSpec`].
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The guard could not do what it is for.
    #[error("the guard cannot watch over commands: {why}")]
    Unable {
        /// What it said.
        why: String,
    },
    /// What an earlier process left has not ended.
    #[error("{what} after {limit:?}; {remedy}", remedy = .what.remedy())]
    StillLives {
        /// What lives.
        what: Remains,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The guard ended before our process did.
    #[error("the guard of the commands was killed, and they with it; start it again, and nobody should end the guard")]
    Ended,
}

/// What an earlier process left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remains {
    /// The file of the guard that watches it, or did.
    pub file: PathBuf,
    /// The number of that guard's process.
    pub guard: Option<i32>,
    /// The number of the process whose commands they are.
    pub owner: Option<i32>,
    /// Whether the guard still lives.
    pub guarded: bool,
    /// The processes that live, by number and name, where the system tells.
    pub processes: Vec<(i32, String)>,
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.processes.is_empty() {
            f.write_str("the guard")?;
        } else {
            f.write_str("commands of an earlier process still live, ")?;
            for (number, (pid, name)) in self.processes.iter().enumerate() {
                write!(f, "{}`{name}` (process {pid})", if number > 0 { ", " } else { "" })?;
            }
            f.write_str(if self.guarded { ", and their guard" } else { ", and their guard was killed" })?;
        }
        if let Some(guard) = self.guard {
            write!(f, " (process {guard})")?;
        }
        if let Some(owner) = self.owner.filter(|_| self.guarded) {
            write!(f, " of process {owner}")?;
        }
        write!(f, " holds `{}`", self.file.display())
    }
}

impl Remains {
    fn remedy(&self) -> String {
        let pids: Vec<String> = self.processes.iter().map(|(pid, _)| pid.to_string()).collect();
        if pids.is_empty() {
            return "see whether that process still runs, and end it or wait for it".to_owned();
        }
        format!("look what they are, end them with `kill -KILL {}`, or wait for them", pids.join(" "))
    }
}
