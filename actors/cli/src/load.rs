//! From a goal file and parameters to a plan, before anything runs.
//!
//! # Invariants
//!
//! * Nothing is run, written or created here.
//! * A literal of the goal or a parameter that the [`Redactor`] would change is refused, and not shown.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use steadfast_orchestration::goal::{GoalError, GoalErrors, Literal, Loaded, Place, literals, read};
use steadfast_orchestration::host::secrets;
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::preset;
use steadfast_orchestration::redact::{Kind, Redactor};
use steadfast_orchestration::seam::commands::OsCommands;

use crate::args::Param;
use crate::outcome::Problem;

/// How many bytes of a goal file are read at most.
const LARGEST: u64 = 16 << 20;

/// A goal that can be carried out.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    /// Knows the values of the environment variables that the goal names.
    pub(crate) redactor: Redactor,
}

/// Reads and checks a goal file.
pub(crate) fn load(file: &Path, params: &[Param]) -> Result<Prepared, Vec<Problem>> {
    let name = file.display().to_string();
    let text = text_of(file).map_err(|problem| vec![problem])?;
    let inside = |path: &str| {
        let why = |problem: Problem| problem.what.trim_start_matches("the goal file cannot be read: ").to_owned();
        text_of(Path::new(path)).map_err(why)
    };
    let loaded = read(&name, &text).and_then(|loaded| loaded.embed(inside)).map_err(|errors| problems(&errors))?;
    let redactor = Redactor::new().with_words(secrets(&loaded.goal, &OsCommands::new()));
    refuse_secrets(&loaded, params, &redactor).map_err(|errors| hidden(&errors))?;
    let given = params.iter().map(|param| (param.name.as_str(), param.value.as_str()));
    let values = loaded.params(given).map_err(|errors| problems(&errors))?;
    let plan = loaded.plan(values, &preset::offered()).map_err(|errors| problems(&errors))?;
    Ok(Prepared { plan, redactor })
}

/// The text of a goal file.
fn text_of(file: &Path) -> Result<String, Problem> {
    let name = file.display().to_string();
    let goal =
        file.extension().is_some_and(|ending| ["toml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known)));
    if !goal {
        let problem = "the ending of the file is unknown; expected .toml or .json";
        return Err(Problem::new(name, problem, "rename the file"));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells that there is more.
    let read = File::open(file).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let remedy = "name a goal file, TOML or JSON, that exists and may be read";
        return Err(Problem::new(name, format!("the goal file cannot be read: {error}"), remedy));
    }
    if bytes.len() as u64 > LARGEST {
        let problem = format!("the goal file is too large; expected at most {} MiB", LARGEST >> 20);
        return Err(Problem::new(name, problem, "read data from files of the input folder by `retrieve` tasks"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = valid.matches('\n').count() + 1;
        let column = valid.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Problem::new(format!("{name}:{line}:{column}"), "the goal file is not UTF-8 here", "save it as UTF-8")
    })
}

fn refuse_secrets(loaded: &Loaded, params: &[Param], redactor: &Redactor) -> Result<(), GoalErrors> {
    let of_params = params.iter().filter_map(|param| {
        let kind = redactor.would_change_entry(&param.name, &Value::from(param.value.as_str()))?;
        Some(GoalError::param(&param.name, refused("the value", kind), remedy("NAME")))
    });
    // The variables of the environment are left out here: `USER=cargo` makes no secret of the program `cargo`.
    let shapes = Redactor::new();
    let found = literals(&loaded.goal);
    let of_goal = found.iter().filter_map(|literal| {
        let kind = secret(literal, &shapes)?;
        let name = if literal.pointer.contains("/command/env/") { literal.key() } else { "NAME" };
        Some(GoalError::at(&literal.pointer, refused("the literal", kind), remedy(name)))
    });
    let errors = of_goal.chain(of_params).collect();
    GoalErrors::none_of(errors).map_err(|errors| loaded.source.locate(errors))
}

/// What makes a secret of a literal.
fn secret(literal: &Literal, redactor: &Redactor) -> Option<Kind> {
    let text = Value::from(literal.text.as_str());
    let of_keys = || literal.keys.iter().find_map(|key| redactor.would_change_text(key));
    let own = redactor.would_change(&text).or_else(of_keys);
    if own.is_some() || names_no_value(literal) {
        return own;
    }
    literal.keys.iter().find_map(|key| redactor.would_change_entry(key, &text))
}

/// The keys around this literal say nothing about it: it is the name of a variable, or part of a schema.
fn names_no_value(literal: &Literal) -> bool {
    let variable = literal.pointer.contains("/command/env/") && matches!(literal.key(), "from" | "optional" | "secret");
    variable || literal.keys.iter().any(|key| key == "schema")
}

fn refused(what: &str, kind: Kind) -> String {
    format!("{what} is, or holds, {kind}, and would be recorded; expected nothing secret here")
}

fn remedy(name: &str) -> String {
    format!("put it into an environment variable, and in the `env` of the command use {{ from = \"{name}\" }}")
}

fn problems(errors: &GoalErrors) -> Vec<Problem> {
    let shown = |error: &GoalError| Problem { shown: Some(error.to_string()), ..hidden_problem(error) };
    errors.as_slice().iter().map(shown).collect()
}

/// The same without the line of the file, which holds the secret.
fn hidden(errors: &GoalErrors) -> Vec<Problem> {
    errors.as_slice().iter().map(hidden_problem).collect()
}

fn hidden_problem(error: &GoalError) -> Problem {
    let file = error.file();
    let place = match error.place() {
        Place::Line { line, column } => format!("{file}:{line}:{column}"),
        Place::Pointer(pointer) if pointer.is_empty() => file.to_owned(),
        Place::Pointer(pointer) => format!("{file}, at {pointer}"),
        Place::Param(name) => format!("--param {name}"),
    };
    Problem::new(place, error.problem(), error.remedy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(task: &str, params: &[(&str, &str)]) -> Vec<String> {
        let text = format!("name = 'g'\n[params.who]\ndefault = 'x'\n[[tasks]]\nid = 'a'\n{task}\n");
        let loaded = read("g.toml", &text).expect("a goal");
        let params: Vec<_> =
            params.iter().map(|(name, value)| Param { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
        let found =
            refuse_secrets(&loaded, &params, &Redactor::new()).map_or_else(|errors| hidden(&errors), |()| Vec::new());
        found
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.remedy.clone().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_secret_in_the_goal_is_refused_with_its_place_and_the_remedy() {
        let told = check("command = { program = 'x', env = { TOKEN = 'abc' } }", &[]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("g.toml:6:") && told[0].contains("{ from = \"TOKEN\" }"), "{told:?}");
        let told = check("command = { program = 'x', args = ['AKIAIOSFODNN7EXAMPLE'] }", &[]);
        assert!(told.len() == 1 && told[0].contains("{ from = \"NAME\" }"), "{told:?}");
        let told = check("collect = { deep = { Password = 'abc' } }", &[]);
        assert_eq!(told.len(), 1, "{told:?}");
        let told = check("command = { program = 'x', env = { DB_PASSWORD = 'abc' } }", &[]);
        assert!(told.len() == 1 && told[0].contains("{ from = \"DB_PASSWORD\" }"), "{told:?}");
    }

    #[test]
    fn a_secret_given_as_a_parameter_is_refused() {
        let told = check("collect = 1", &[("who", "Bearer abcdefghijklmnopqrstuvwxyz012345")]);
        assert!(told.len() == 1 && told[0].starts_with("--param who: "), "{told:?}");
        assert_eq!(check("collect = 1", &[("who", "world")]), [""; 0]);
        assert_eq!(check("collect = 1", &[("password", "x")]).len(), 1);
        assert_eq!(check("collect = 1", &[("DB_PASSWORD", "x")]).len(), 1);
    }

    #[test]
    fn names_of_variables_and_schemas_are_no_secrets() {
        let env = "command = { program = 'x', env = { TOKEN = { from = 'TOKEN', optional = true } } }";
        assert_eq!(check(env, &[]), [""; 0]);
        let key = "command = { program = 'x', env = { AKIAIOSFODNN7EXAMPLE = { from = 'TOKEN' } } }";
        assert_eq!(check(key, &[]).len(), 1);
        let schema = "collect = 1\nschema = { properties = { token = { type = 'string' } } }";
        assert_eq!(check(schema, &[]), [""; 0]);
        assert_eq!(check("collect = { token = '${params.who}' }", &[]), [""; 0]);
    }
}
