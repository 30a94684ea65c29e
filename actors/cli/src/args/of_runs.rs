//! The arguments of the verbs about runs that are kept.

use std::path::PathBuf;

use clap::Args;
use steadfast_orchestration::goal::Span;

/// Where runs are kept.
#[derive(Debug, Args)]
pub(crate) struct StateArg {
    /// The folder in which runs are kept; one process at a time may carry them on
    #[arg(long = "state", value_name = "DIR", default_value = crate::run::DEFAULT_STATE)]
    pub(crate) dir: PathBuf,
}

/// One run.
#[derive(Debug, Args)]
pub(crate) struct OneRun {
    /// The run: its id, the beginning or the end of it, or `last`
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) state: StateArg,
}

/// The arguments of `steadfast runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    pub(crate) state: StateArg,
    /// Only runs with this status, such as paused, waiting, failed, reached, unfinished
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only runs of this goal
    #[arg(long, value_name = "NAME")]
    pub(crate) goal: Option<String>,
    /// Only runs that began within this time, such as 2h
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) since: Option<Span>,
    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// The arguments of `steadfast show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The arguments of `steadfast why`.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The run: its id, the beginning or the end of it, or `last`
    pub(crate) run: String,
    /// A task of it
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateArg,
}

/// The arguments of `steadfast log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// Go on until the run ends
    #[arg(long)]
    pub(crate) follow: bool,
    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// The arguments of `steadfast cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// Undo what was done, the last first
    #[arg(long)]
    pub(crate) undo: bool,
    /// Why, for those who read of it later
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
}

/// The arguments of `steadfast approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The run: its id, the beginning or the end of it, or `last`
    pub(crate) run: String,
    /// The task that waits
    pub(crate) task: String,
    /// Reject it instead
    #[arg(long)]
    pub(crate) reject: bool,
    /// Why, for those who read of it later
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
    #[command(flatten)]
    pub(crate) state: StateArg,
}

/// The arguments of `steadfast signal`.
#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// The run: its id, the beginning or the end of it, or `last`
    pub(crate) run: String,
    /// The name of the event, as the goal file has it
    pub(crate) name: String,
    /// What it says, as JSON, in at most 64 KiB
    #[arg(long, value_name = "JSON", default_value = "null")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) state: StateArg,
}

/// The arguments of `steadfast fork`.
#[derive(Debug, Args)]
pub(crate) struct ForkArgs {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// The first task that runs anew, with all that need it
    #[arg(long, value_name = "TASK")]
    pub(crate) from: String,
}

/// The arguments of `steadfast prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// These runs; they must be over
    #[arg(required_unless_present = "older_than")]
    pub(crate) runs: Vec<String>,
    /// All runs that ended longer ago than this, such as 30d
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "runs")]
    pub(crate) older_than: Option<Span>,
    #[command(flatten)]
    pub(crate) state: StateArg,
}

/// The arguments of `steadfast verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) state: StateArg,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) fn span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error| format!("{error}"))
}
