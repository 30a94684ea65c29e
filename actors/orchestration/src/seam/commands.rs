//! Programs that run beside us, and the variables of our environment.
//!
//! A program gets exactly the environment of its [`Invocation`], and runs in a process group of its own. Dropping the
//! future of a run ends the whole group at once; so does the end of the program itself, so that what it left running in
//! its group does not outlive the task. Below a [`guard`] the end of our own process, however it comes, does so too.

pub mod guard;
mod os;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use os::OsCommands;

use super::BoxFuture;

/// How much of a program's stderr is kept: its end.
pub const STDERR_TAIL: usize = 8 * 1024;

/// The variables every command gets from our own environment, where they are set.
pub const BASE_VARIABLES: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"];

/// Called at least every 100 milliseconds while a program lives: a running program is progress.
pub type Heartbeat = Arc<dyn Fn() + Send + Sync>;

/// A program to run.
#[derive(Clone)]
pub struct Invocation {
    /// A name that is looked up in the `PATH` of `env`, or a path.
    pub program: String,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// The folder it runs in, as an absolute path.
    pub dir: PathBuf,
    /// All of its environment; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// What it reads from stdin; nothing when absent.
    pub stdin: Option<Vec<u8>>,
    /// How many bytes of stdout are kept. The rest is read and counted, so that the program is not held up.
    pub stdout_limit: u64,
    /// Told that the program lives.
    pub heartbeat: Option<Heartbeat>,
}

// Arguments, stdin and the values of the environment may be secret, so they are not shown.
impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("dir", &self.dir)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}

impl Invocation {
    /// Runs `program` in `dir` with an empty environment, no arguments and nothing on stdin; 1 MiB of stdout is kept.
    #[must_use]
    pub fn new(program: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            dir: dir.into(),
            env: BTreeMap::new(),
            stdin: None,
            stdout_limit: crate::goal::model::DEFAULT_OUTPUT_LIMIT,
            heartbeat: None,
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What a program left behind. All of it may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Completed {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to stdout, up to the limit.
    pub stdout: Vec<u8>,
    /// How many bytes of stdout were dropped at the limit.
    pub stdout_dropped: u64,
    /// The end of what it wrote to stderr, at most [`STDERR_TAIL`] bytes.
    pub stderr_tail: Vec<u8>,
    /// How many bytes of stderr came before the tail.
    pub stderr_dropped: u64,
}

impl fmt::Debug for Completed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completed")
            .field("exit", &self.exit)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr_bytes", &self.stderr_tail.len())
            .finish_non_exhaustive()
    }
}

impl Completed {
    /// Ended like this, with nothing written.
    #[must_use]
    pub fn new(exit: Exit) -> Self {
        Self { exit, stdout: Vec::new(), stdout_dropped: 0, stderr_tail: Vec::new(), stderr_dropped: 0 }
    }

    /// Wrote this to stdout.
    #[must_use]
    pub fn stdout(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdout = bytes.into();
        self
    }

    /// Wrote this to stderr.
    #[must_use]
    pub fn stderr(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stderr_tail = bytes.into();
        self
    }
}

/// A program did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The program is nowhere in `PATH`, or not at its path.
    #[error("the program `{program}` was not found in `PATH`; install it, or put its folder into `PATH`")]
    NoProgram {
        /// The program as given.
        program: String,
        /// The `PATH` it was looked for in. The message leaves it out: it may name private folders, and is recorded.
        path: String,
    },
    /// The program may not be executed.
    #[error("the program `{program}` may not be executed; `chmod +x` it, or name its interpreter as the program")]
    NotExecutable {
        /// The program as given.
        program: String,
    },
    /// The folder to run in is not there.
    #[error("the folder `{dir}` to run `{program}` in does not exist")]
    NoDirectory {
        /// The program as given.
        program: String,
        /// The folder as given.
        dir: String,
    },
    /// There is no guard to run it below.
    #[error("the program `{program}` could not be run below a guard")]
    Guard {
        /// The program as given.
        program: String,
        /// What is wrong with the guard.
        source: guard::GuardError,
    },
    /// The system refused.
    #[error("the program `{program}` could not be run")]
    System {
        /// The program as given.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs programs.
pub trait Commands: Send + Sync {
    /// Runs a program to its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the program and all of its process group at once.
    fn run(&self, invocation: Invocation) -> BoxFuture<'_, Result<Completed, CommandError>>;

    /// A variable of our own environment; nothing when it is not set or not text.
    fn variable(&self, name: &str) -> Option<String>;

    /// The [`BASE_VARIABLES`] that are set.
    fn base_environment(&self) -> BTreeMap<String, String> {
        BASE_VARIABLES.into_iter().filter_map(|name| Some((name.to_owned(), self.variable(name)?))).collect()
    }
}
