//! The command `steadfast`.
//!
//! It reads the command line, composes the tree of agents, runs it, and tells what came of it. What runs, and how, is
//! in `steadfast-orchestration`; how it stays up is in `steadfast`.
//!
//! # Invariants
//!
//! * The process ends by returning from `main`, with the exit status of [`Status`].
//! * Everything that is printed passes the redactor.
//! * With `guard` as its first word the program is the guard of the commands of another one of its kind.

mod args;
mod asks;
mod family;
mod kept;
mod load;
mod looks;
mod names;
mod outcome;
mod panics;
mod paused;
mod prune;
mod run;
mod screen;
mod serve;
mod watcher;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use steadfast_orchestration::goal::json_schema;
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::plan::notes::notes;
use steadfast_orchestration::plan::render::{self, Outlook};
use steadfast_orchestration::preset;
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::Estimate;
use steadfast_orchestration::seam::commands::guard;

use crate::args::{CheckArgs, Cli, Format, RunArgs, StateArg, Verb};
use crate::outcome::{Outcome, Problem, Status};
use crate::screen::{Screen, print};

fn main() -> ExitCode {
    // Not a word of the command line: it is how the program starts itself, as cheaply as it can.
    if std::env::args_os().nth(1).is_some_and(|word| word == "guard") {
        return guard::main();
    }
    let screen = Screen::open();
    panics::install(&screen);
    let code = match Cli::try_parse() {
        Ok(Cli { verb }) => done(verb, &screen),
        Err(error) => usage(&error, &screen).code(),
    };
    screen.flush();
    ExitCode::from(code)
}

/// Does what is to be done, and says how it ended.
fn done(verb: Verb, screen: &Screen) -> u8 {
    let looked = |looked: Result<Status, Vec<Problem>>| looked.unwrap_or_else(|problems| refuse(&problems, screen));
    let status = match verb {
        Verb::Run(args) => match args.working.chaos.and_then(|chaos| chaos.kill) {
            Some(every) => return watch(&args, every, screen),
            None => told(&run::run(&args, screen), args.telling.json, screen),
        },
        Verb::Resume(args) => match &args.run {
            Some(run) => told(&run::resume(&args, run, screen), args.telling.json, screen),
            None => told(&serve::resume_all(&args, screen), args.telling.json, screen),
        },
        Verb::Serve(args) => told(&serve::serve(&args, screen), false, screen),
        Verb::Runs(args) => looked(looks::runs(&args, screen)),
        Verb::Show(args) => looked(looks::show(&args)),
        Verb::Why(args) => looked(looks::reasons(&args)),
        Verb::Log(args) => looked(looks::log(&args)),
        Verb::Verify(args) => looked(looks::verify(&args)),
        Verb::Prune(args) => looked(prune::prune(&args)),
        Verb::Pause(args) => looked(asks::pause(&args, screen)),
        Verb::Cancel(args) => looked(asks::cancel(&args, screen)),
        Verb::Approve(args) => looked(asks::approve(&args, screen)),
        Verb::Signal(args) => looked(asks::signal(&args, screen)),
        Verb::Fork(args) => looked(asks::fork(&args, screen)),
        Verb::Check(args) => check_goal(&args, screen),
        Verb::Schema => {
            print(&format!("{:#}", json_schema()));
            Status::Reached
        }
    };
    status.code()
}

/// Nothing was done, because of these.
fn refuse(problems: &[Problem], screen: &Screen) -> Status {
    tell(problems, screen);
    Status::Invalid
}

fn watch(args: &RunArgs, every: std::time::Duration, screen: &Screen) -> u8 {
    let outcome = if args.keeping.volatile || args.detach {
        let what = "a process that is killed and keeps nothing would begin anew for ever";
        let problem = Problem::new("--chaos kill9", what, "leave out `--volatile` and `--detach`");
        Err(Box::new(Outcome::invalid(vec![problem])))
    } else {
        watcher::watch(args, every, screen)
    };
    outcome.unwrap_or_else(|outcome| told(&outcome, args.telling.json, screen).code())
}

/// Tells what came of a command, on stderr and stdout.
fn told(outcome: &Outcome, json: bool, screen: &Screen) -> Status {
    tell(&outcome.problems, screen);
    // What is told on stderr stands before the summary when both go to one terminal.
    screen.flush();
    let redactor = screen.redactor();
    if json {
        print(&outcome.json(&redactor));
    } else if let Some(text) = outcome.text() {
        print(&redactor.text(&text));
    }
    outcome.status
}

fn check_goal(args: &CheckArgs, screen: &Screen) -> Status {
    match load::load(&args.goal, &args.params) {
        Ok(prepared) => {
            let plan = &prepared.plan;
            print(&match args.format {
                Format::Text => render::text_with(plan, &outlook(plan, &args.state)),
                Format::Mermaid => render::mermaid(plan),
                Format::Dot => render::dot(plan),
                Format::Json => format!("{:#}", render::json_with(plan, &outlook(plan, &args.state))),
            });
            Status::Reached
        }
        Err(problems) => {
            tell(&problems, screen);
            if args.format == Format::Json {
                print(&Outcome::invalid(problems).json(&Redactor::new()));
            }
            Status::Invalid
        }
    }
}

/// What is known of a plan beyond itself, for the tree that `steadfast run` starts.
fn outlook(plan: &Plan, state: &StateArg) -> Outlook {
    let estimate = Estimate::of(plan, &looks::past_runs(state, &plan.goal().name));
    let notes = notes(plan, &preset::offers(run::processors()), Some(&estimate));
    Outlook { estimate, notes }
}

fn tell(problems: &[Problem], screen: &Screen) {
    for problem in problems {
        screen.line(format!("error: {problem}"));
    }
}

/// The command line is wrong, or asks for help.
fn usage(error: &clap::Error, screen: &Screen) -> Status {
    let text = invalid_value(error).unwrap_or_else(|| error.to_string());
    let text = Redactor::new().text(&text).into_owned();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print(&text);
        return Status::Reached;
    }
    screen.line(&text);
    if std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json") {
        let told: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let problem = told.join(" ").trim_start_matches("error: ").to_owned();
        let problem = Problem::new("command line", problem, "see `steadfast --help`");
        print(&Outcome::invalid(vec![problem]).json(&Redactor::new()));
    }
    Status::Invalid
}

/// What was expected of an option whose value may be a secret in the wrong place, without the value.
fn invalid_value(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let expected = match option.split_whitespace().next()? {
        "--param" => args::PARAM_EXPECTED.to_owned(),
        "--seed" => format!("expected a whole number from 0 to {}, such as 7", u64::MAX),
        "--jobs" => format!("expected a whole number from 1 to {}, such as 4", args::MOST_JOBS),
        "--max-restarts" => format!("expected a whole number from 0 to {}, such as 5", u32::MAX),
        _ => return None,
    };
    Some(format!("error: invalid value for '{option}': {expected}\n\nFor more information, try '--help'.\n"))
}
