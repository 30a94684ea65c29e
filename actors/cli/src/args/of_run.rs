//! The arguments of the verbs that carry runs: `run`, `resume`, `serve`.

use std::path::PathBuf;

use clap::Args;
use steadfast::seam::Level;
use steadfast_orchestration::goal::Span;
use uuid::Uuid;

use super::of_runs::span;
use super::{ChaosArg, MOST_JOBS, Param, StateArg, param};

/// For how long a run may wait for people, times or events before the command ends, when nothing else was said.
const DEFAULT_WAIT: &str = "1m";

/// The arguments of `steadfast run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The goal file, TOML or JSON
    pub(crate) goal: PathBuf,
    /// The folder that the goal is about; commands run in it
    #[arg(long, value_name = "DIR")]
    pub(crate) input: PathBuf,
    /// Set a parameter of the goal; may be given for each one
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<Param>,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    /// Begin another run, also where one of the same goal, input folder and parameters is unfinished
    #[arg(long, conflicts_with = "volatile")]
    pub(crate) new: bool,
    /// Leave the goal to whoever serves the folder of the runs, and do not wait for it
    #[arg(long, conflicts_with_all = ["volatile", "chaos", "report"])]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) telling: Telling,
    #[command(flatten)]
    pub(crate) working: Working,
    /// The id of a new run, which is gone on with where it exists; for whoever starts this command again and again
    #[arg(long, hide = true, value_name = "RUN")]
    pub(crate) run_id: Option<Uuid>,
}

/// The arguments of `steadfast resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run: its id, the beginning or the end of it, or `last`
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) run: Option<String>,
    /// All runs that are unfinished
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) state: StateArg,
    /// How much survives: durable (a power cut) or process-crash-safe (kill -9)
    #[arg(long, value_name = "LEVEL", default_value_t = Level::Durable, value_parser = level)]
    pub(crate) level: Level,
    #[command(flatten)]
    pub(crate) telling: Telling,
    #[command(flatten)]
    pub(crate) working: Working,
}

/// The arguments of `steadfast serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) state: StateArg,
    /// How much survives: durable (a power cut) or process-crash-safe (kill -9)
    #[arg(long, value_name = "LEVEL", default_value_t = Level::Durable, value_parser = level)]
    pub(crate) level: Level,
    #[command(flatten)]
    pub(crate) working: Working,
}

/// Where a run is kept, and how.
#[derive(Debug, Args)]
pub(crate) struct Keeping {
    #[command(flatten)]
    pub(crate) state: StateArg,
    /// How much survives: durable (a power cut) or process-crash-safe (kill -9)
    #[arg(long, value_name = "LEVEL", default_value_t = Level::Durable, value_parser = level)]
    pub(crate) level: Level,
    /// Keep nothing: what is killed begins anew, and commands outlive a SIGKILL
    #[arg(long)]
    pub(crate) volatile: bool,
}

/// What is told of a run, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Telling {
    /// The folder that gets report.json and report.md
    #[arg(long, value_name = "DIR", default_value = crate::run::DEFAULT_REPORT)]
    pub(crate) report: PathBuf,
    /// Print one JSON object on stdout, whatever happens
    #[arg(long)]
    pub(crate) json: bool,
    /// For how long to wait while a run waits for a person, a time or an event; then the command ends with status 4
    #[arg(long, value_name = "TIME", default_value = DEFAULT_WAIT, value_parser = span)]
    pub(crate) wait: Span,
}

/// What a tree of agents works with.
// A negative number is taken for the value of its option, so that it is refused with what was expected of it.
#[derive(Debug, Args)]
pub(crate) struct Working {
    /// How many executors there are; one for each processor when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=MOST_JOBS))]
    pub(crate) jobs: Option<u32>,
    /// How many restarts each supervisor of agents may do within 10 seconds before it gives up; 10000 when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_restarts: Option<u32>,
    /// From what all random choices follow; chosen by chance when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Make agents fail on purpose, such as crash=10%,hang=2%; kill9=every:3s kills the whole process now and then
    #[arg(long, value_name = "RATES")]
    pub(crate) chaos: Option<ChaosArg>,
}

fn level(text: &str) -> Result<Level, String> {
    match text.parse() {
        Ok(Level::Volatile) => Err("`volatile` keeps nothing; say `--volatile`".to_owned()),
        Ok(level) => Ok(level),
        Err(error) => Err(format!("{error}")),
    }
}
