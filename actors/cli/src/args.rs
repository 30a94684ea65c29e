//! What may stand on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use steadfast_orchestration::chaos::ChaosRates;

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
    /// Carry a goal to its result, on a folder
    ///
    /// Exit status: 0 the goal was reached; 1 it failed; 2 the command line or the goal file is wrong, and nothing ran;
    /// 3 the tree of agents gave up; 4 it was interrupted before it was finished; 6 a budget of the goal is used up; 130 it was
    /// stopped at once.
    Run(RunArgs),
    /// Check a goal file and print its plan; nothing is run
    Check(CheckArgs),
    /// Print the JSON Schema of goal files
    Schema,
}

/// The arguments of `steadfast run`.
// A negative number is taken for the value of its option, so that it is refused with what was expected of it.
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
    /// The folder that gets report.json and report.md
    #[arg(long, value_name = "DIR", default_value = crate::run::DEFAULT_REPORT)]
    pub(crate) report: PathBuf,
    /// The folder in which runs are kept; one process at a time may use it
    #[arg(long, value_name = "DIR", default_value = crate::run::DEFAULT_STATE)]
    pub(crate) state: PathBuf,
    /// Keep nothing: what is killed begins anew, and commands outlive a SIGKILL
    #[arg(long)]
    pub(crate) volatile: bool,
    /// Print one JSON object on stdout, whatever happens
    #[arg(long)]
    pub(crate) json: bool,
    /// How many executors there are; one for each processor when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=MOST_JOBS))]
    pub(crate) jobs: Option<u32>,
    /// How many restarts each supervisor of agents may do within 10 seconds before it gives up; 10000 when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_restarts: Option<u32>,
    /// From what all random choices follow; chosen by chance when not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Make agents fail on purpose, such as crash=10%,hang=2%
    #[arg(long, value_name = "RATES")]
    pub(crate) chaos: Option<ChaosRates>,
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
