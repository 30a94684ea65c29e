//! What may stand on the command line.

mod chaos;
mod of_run;
mod of_runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use chaos::ChaosArg;
pub(crate) use of_run::{ResumeArgs, RunArgs, ServeArgs, Working};
pub(crate) use of_runs::{
    ApproveArgs, CancelArgs, ForkArgs, LogArgs, OneRun, PruneArgs, RunsArgs, ShowArgs, SignalArgs, StateArg,
    VerifyArgs, WhyArgs,
};

/// The most executors that may be asked for.
pub(crate) const MOST_JOBS: i64 = 1024;

/// What a parameter looks like.
pub(crate) const PARAM_EXPECTED: &str = "expected NAME=VALUE, such as environment=staging";

/// Runs goals by supervised agents that stay up.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Carry a goal to its result, on a folder; typed again it goes on where it was
    ///
    /// Exit status: 0 the goal was reached; 1 it failed, or is paused; 2 the command line or the goal file is wrong, and
    /// nothing ran; 3 the tree of agents gave up; 4 it was interrupted before it was finished, or waits; 5 it was
    /// cancelled; 6 its budget is spent; 130 it was stopped at once.
    Run(RunArgs),
    /// Go on with a run that was interrupted or paused, or with all of them
    Resume(ResumeArgs),
    /// Own a folder of runs: go on with all that are unfinished, and take new ones (`run --detach`)
    Serve(ServeArgs),
    /// List runs
    Runs(RunsArgs),
    /// Show a run: its plan with the state of each task
    Show(ShowArgs),
    /// Say why a run, or one task of it, stands where it does, and what to do
    Why(WhyArgs),
    /// Print what happened in a run
    Log(LogArgs),
    /// Pause a run: what is under way ends, and nothing further begins
    Pause(OneRun),
    /// Cancel a run
    Cancel(CancelArgs),
    /// Approve a task that waits for a person, or reject it
    Approve(ApproveArgs),
    /// Tell a run of an event that a task waits for
    Signal(SignalArgs),
    /// Begin a new run that takes over what another one recorded, up to a task
    Fork(ForkArgs),
    /// Forget runs that are over
    Prune(PruneArgs),
    /// Look at everything that is kept, and say what is damaged
    Verify(VerifyArgs),
    /// Check a goal file and print its plan; nothing is run
    Check(CheckArgs),
    /// Print the JSON Schema of goal files
    Schema,
}

/// The arguments of `steadfast check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The goal file, TOML or JSON
    pub(crate) goal: PathBuf,
    /// How the plan is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Set a parameter of the goal; may be given for each one
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<Param>,
    #[command(flatten)]
    pub(crate) state: StateArg,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people
    Text,
    /// A flow chart for Mermaid
    Mermaid,
    /// A graph for Graphviz
    Dot,
    /// JSON for programs
    Json,
}

/// A parameter as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) value: String,
}

fn param(text: &str) -> Result<Param, String> {
    let (name, value) = text.split_once('=').ok_or(PARAM_EXPECTED)?;
    if name.is_empty() {
        Err(PARAM_EXPECTED.to_owned())
    } else {
        Ok(Param { name: name.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_parameter_is_cut_at_the_first_equals_sign() {
        assert_eq!(param("a=b=c"), Ok(Param { name: "a".to_owned(), value: "b=c".to_owned() }));
        assert_eq!(param("a="), Ok(Param { name: "a".to_owned(), value: String::new() }));
        assert!(param("a").is_err());
        assert!(param("=b").is_err());
    }
}
