//! What may stand on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The most executors that may be asked for.
const MOST_JOBS: i64 = 1024;

/// Runs goals by supervised agents that stay up.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version, about)]
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
    /// 3 the tree of agents gave up; 4 it was interrupted before it was finished; 130 it was stopped at once.
    Run(RunArgs),
    /// Check a goal file and print its plan; nothing is run
    Check(CheckArgs),
    /// Print the JSON Schema of goal files
    Schema,
}

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
    /// The folder that gets report.json and report.md
    #[arg(long, value_name = "DIR", default_value = crate::run::DEFAULT_REPORT)]
    pub(crate) report: PathBuf,
    /// Print one JSON object on stdout, whatever happens
    #[arg(long)]
    pub(crate) json: bool,
    /// How many executors there are; one for each processor when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_JOBS))]
    pub(crate) jobs: Option<u32>,
    /// From what all random choices follow; chosen by chance when not given
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Make agents fail on purpose, such as crash=10%,hang=2%
    #[arg(long, value_name = "RATES", value_parser = rates)]
    pub(crate) chaos: Option<Rates>,
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

/// How often agents are made to fail: parts of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) crash: f64,
    pub(crate) hang: f64,
}

fn param(text: &str) -> Result<Param, String> {
    let expected = "expected NAME=VALUE, such as environment=staging";
    let (name, value) = text.split_once('=').ok_or(expected)?;
    if name.is_empty() { Err(expected.to_owned()) } else { Ok(Param { name: name.to_owned(), value: value.to_owned() }) }
}

fn rates(text: &str) -> Result<Rates, String> {
    let expected = "expected rates such as crash=10%,hang=2%";
    let mut rates = Rates::default();
    let mut seen = Vec::new();
    for part in text.split(',') {
        let (name, value) = part.trim().split_once('=').ok_or(expected)?;
        if seen.contains(&name) {
            return Err(format!("`{name}` is given twice; {expected}"));
        }
        seen.push(name);
        match name {
            "crash" => rates.crash = percent(value)?,
            "hang" => rates.hang = percent(value)?,
            _ => return Err(format!("there is no fault `{name}`; {expected}")),
        }
    }
    if rates.crash + rates.hang > 1.0 {
        return Err("the rates add up to more than 100%".to_owned());
    }
    Ok(rates)
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let number = number.filter(|number| (0.0..=100.0).contains(number));
    number.map(|number| number / 100.0).ok_or_else(|| format!("`{text}` is no rate from 0% to 100%"))
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

    #[test]
    fn rates_are_percentages_that_leave_room_for_what_goes_well() {
        let check = |text: &str, crash: f64, hang: f64| {
            let rates = rates(text).expect("rates");
            assert!((rates.crash - crash).abs() < 1e-9 && (rates.hang - hang).abs() < 1e-9, "{text}: {rates:?}");
        };
        check("crash=10%,hang=2%", 0.10, 0.02);
        check("hang=0.5%", 0.0, 0.005);
        check("crash=100%", 1.0, 0.0);
        for wrong in ["", "crash", "crash=10", "crash=-1%", "crash=101%", "slow=1%", "crash=1%,crash=2%", "crash=60%,hang=50%"]
        {
            assert!(rates(wrong).is_err(), "{wrong}");
        }
    }
}
