//! Reads the text of a goal file.
//!
//! It goes in three steps, and the errors of a step are reported before the next one begins: syntax, unknown keys,
//! types. What the values mean together is checked by [`Plan`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::goal::error::{GoalError, GoalErrors, Place};
use crate::goal::keys::unknown_keys;
use crate::goal::model::Goal;
use crate::goal::source::{Source, Spot, escaped};
use crate::goal::unique::Unique;
use crate::plan::Plan;

/// A goal with the text it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The goal, not yet checked.
    pub goal: Goal,
    /// The text, for the places of later errors.
    pub source: Source,
}

impl Loaded {
    /// Checks the goal with these parameters, against the capabilities that are offered, and plans it.
    pub fn plan(&self, params: BTreeMap<String, Value>, offered: &BTreeSet<String>) -> Result<Plan, GoalErrors> {
        Plan::new(self.goal.clone(), params, offered).map_err(|errors| self.source.locate(errors))
    }

    /// The values of parameters that were given as text, `name=value`, on the command line.
    ///
    /// A parameter whose default is a text, and one without a default, takes the text as it is; any other one takes
    /// JSON.
    pub fn params<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<BTreeMap<String, Value>, GoalErrors> {
        let mut values = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, text) in given {
            let default = self.goal.params.get(name).and_then(|param| param.default.as_ref());
            match param_value(text, default) {
                Ok(value) => {
                    if values.insert(name.to_owned(), value).is_some() {
                        errors.push(GoalError::param(name, format!("`{name}` is given twice"), "give it once"));
                    }
                }
                Err(error) => {
                    let example = default.unwrap_or(&Value::Null);
                    let problem =
                        format!("`{text}` is no JSON value: {error}; expected one like the default, {example}");
                    errors.push(GoalError::param(name, problem, format!("write --param '{name}={example}'")));
                }
            }
        }
        GoalErrors::none_of(errors).map_err(|errors| self.source.locate(errors))?;
        Ok(values)
    }
}

fn param_value(text: &str, default: Option<&Value>) -> Result<Value, serde_json::Error> {
    match default {
        None | Some(Value::String(_)) => Ok(Value::from(text)),
        Some(_) => serde_json::from_str(text),
    }
}

/// Reads a goal from the text of a file; the ending of its name, `.toml` or `.json`, says how.
///
/// ```
/// let text = "name = 'hello'\n[[tasks]]\nid = 'greet'\ncomand = { program = 'echo' }\n";
/// let errors = steadfast_orchestration::goal::read("hello.toml", text).unwrap_err();
/// assert!(errors.to_string().starts_with("hello.toml:4:1: unknown key `comand` in `tasks[0]`"));
/// assert_eq!(errors.as_slice()[0].remedy(), "did you mean `command`?");
/// ```
pub fn read(file: &str, text: &str) -> Result<Loaded, GoalErrors> {
    let source = Source::new(file, text);
    match file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("toml") => read_toml(source),
        Some("json") => read_json(source),
        _ => {
            let error =
                GoalError::at("", "the ending of the file is unknown; expected .toml or .json", "rename the file");
            Err(source.locate(error.into()))
        }
    }
}

fn read_json(source: Source) -> Result<Loaded, GoalErrors> {
    let located = |error: &serde_json::Error| {
        let place = Place::Line { line: error.line().max(1), column: error.column().max(1) };
        let text = error.to_string();
        let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
        GoalErrors::from(source.place_on(typed(problem), place, 1))
    };
    let Unique = serde_json::from_str(source.text()).map_err(|error| located(&error))?;
    let value: Value = serde_json::from_str(source.text()).map_err(|error| located(&error))?;
    GoalErrors::none_of(unknown_keys(&value)).map_err(|errors| source.locate(errors))?;
    let goal = serde_json::from_str(source.text()).map_err(|error| located(&error))?;
    Ok(Loaded { goal, source })
}

fn read_toml(mut source: Source) -> Result<Loaded, GoalErrors> {
    let located = |source: &Source, error: &toml::de::Error| {
        source.place_at(typed(error.message()), error.span().unwrap_or(0..0))
    };
    let text = source.text().to_owned();
    let (table, errors) = DeTable::parse_recoverable(&text);
    GoalErrors::none_of(errors.iter().map(|error| located(&source, error)).collect())?;
    let mut errors = Vec::new();
    let value = Walk { source: &mut source, errors: &mut errors }.table(table.get_ref(), "");
    source.add(String::new(), Spot { key: None, value: 0..0 });
    if errors.is_empty() {
        errors = unknown_keys(&value);
    }
    GoalErrors::none_of(errors).map_err(|errors| source.locate(errors))?;
    let goal = toml::from_str(&text).map_err(|error| located(&source, &error))?;
    Ok(Loaded { goal, source })
}

/// Turns a TOML table into a JSON value and notes where each value stands.
struct Walk<'s> {
    source: &'s mut Source,
    errors: &'s mut Vec<GoalError>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, pointer: &str) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let pointer = format!("{pointer}/{}", escaped(key.get_ref()));
            let json = self.value(value, &pointer);
            self.source.add(pointer, Spot { key: Some(key.span()), value: value.span() });
            map.insert(key.get_ref().to_string(), json);
        }
        Value::Object(map)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, pointer: &str) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(value) => Value::from(*value),
            DeValue::Integer(number) => integer(number).unwrap_or_else(|| {
                self.refuse(
                    pointer,
                    "the number is too large; expected a whole number of 64 bits",
                    "write it as a text",
                )
            }),
            DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64).map_or_else(
                || self.refuse(pointer, "the number is not finite, which JSON cannot hold", "write it as a text"),
                Value::Number,
            ),
            DeValue::Datetime(_) => {
                self.refuse(pointer, "a goal has no dates, since JSON has none", "put it in quotes, as a text")
            }
            DeValue::Array(items) => Value::Array(
                (0..)
                    .zip(items)
                    .map(|(index, item): (usize, _)| {
                        let pointer = format!("{pointer}/{index}");
                        let json = self.value(item, &pointer);
                        self.source.add(pointer, Spot { key: None, value: item.span() });
                        json
                    })
                    .collect(),
            ),
            DeValue::Table(table) => self.table(table, pointer),
        }
    }

    fn refuse(&mut self, pointer: &str, problem: &str, remedy: &str) -> Value {
        self.errors.push(GoalError::at(pointer, problem, remedy));
        Value::Null
    }
}

fn integer(number: &DeInteger<'_>) -> Option<Value> {
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from)
}

/// An error of syntax or type, from the words of the parser.
fn typed(message: &str) -> GoalError {
    // The names of our types mean nothing to the author of a goal.
    let words = [
        ("internally tagged enum", "a table"),
        ("struct ", "a table for "),
        ("a sequence", "a list"),
        ("sequence", "a list"),
        ("a map", "a table"),
        ("map", "a table"),
        (" u32", " a whole number from 0"),
        (" u64", " a whole number from 0"),
        (" i32", " a whole number"),
        (" f64", " a number"),
    ];
    let mut problem = without_value(&message.trim().replace('\n', "; "));
    if problem.contains("expected ") && problem.starts_with("invalid ") {
        for (word, plain) in words {
            if problem.contains(word) {
                problem = problem.replace(word, plain);
            }
        }
    }
    let remedy = match (problem.split_once("expected "), problem.strip_prefix("missing field ")) {
        (_, Some(field)) => format!("add the key {field}"),
        (Some((_, expected)), None) => format!("write {expected} here"),
        _ => "correct the syntax here".to_owned(),
    };
    GoalError::at("", problem, remedy)
}

/// The words of the parser without the value that it quotes, which may be a secret. Its kind is kept.
fn without_value(message: &str) -> String {
    let kinds = [
        ("integer `", "an integer"),
        ("floating point `", "a number"),
        ("boolean `", "true or false"),
        ("character `", "a character"),
        ("string \"", "a text"),
    ];
    let prefixes = ["invalid type: ", "invalid value: "];
    let found = prefixes.iter().find_map(|prefix| Some((prefix, message.strip_prefix(prefix)?)));
    if let Some((prefix, rest)) = found
        && let Some((_, kind)) = kinds.iter().find(|(quoted, _)| rest.starts_with(quoted))
        && let Some((_, expected)) = rest.rsplit_once(", expected ")
    {
        return format!("{prefix}{kind}, expected {expected}");
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HELLO: &str = r#"
        name = "hello"
        [params.who]
        default = "world"
        [params.times]
        default = 3
        [[tasks]]
        id = "greet"
        command = { program = "echo", env = { A = "b", C = { from = "HOME", optional = true } } }
    "#;

    #[test]
    fn toml_and_json_give_the_same_goal() {
        let toml = read("hello.toml", HELLO).expect("a goal").goal;
        let json = json!({
            "name": "hello",
            "params": { "who": { "default": "world" }, "times": { "default": 3 } },
            "tasks": [{ "id": "greet", "command": {
                "program": "echo", "env": { "A": "b", "C": { "from": "HOME", "optional": true } }
            } }],
        });
        assert_eq!(read("hello.JSON", &json.to_string()).expect("a goal").goal, toml);
    }

    #[test]
    fn a_parameter_given_as_text_takes_the_type_of_its_default() {
        let loaded = read("hello.toml", HELLO).expect("a goal");
        let values = loaded.params([("who", "7"), ("times", "5"), ("other", "x")]).expect("values");
        assert_eq!(json!(values), json!({ "who": "7", "times": 5, "other": "x" }));
        let errors = loaded.params([("times", "many"), ("who", "a"), ("who", "b")]).expect_err("wrong").to_string();
        assert!(errors.contains("--param times: `many` is no JSON value"), "{errors}");
        assert!(errors.contains("--param who: `who` is given twice"), "{errors}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_told() {
        let start = "{\"name\":\"g\",\"tasks\":[{\"id\":\"a\",\"description\":\"";
        let end = "\",\"command\":{\"program\":\"x\",\"env\":{\"N\":48151623}}}]}";
        let text = format!("{start}{}hidden{}{end}", "x".repeat(40), "y".repeat(300));
        let errors = read("g.json", &text).expect_err("a number is no text");
        assert!(errors.as_slice()[0].problem().starts_with("invalid type: an integer, expected a text"), "{errors}");
        let told = errors.to_string();
        assert!(!told.contains("hidden") && told.lines().all(|line| line.chars().count() < 160), "{told}");
        let mark = told.lines().nth(2).map(|line| line.chars().count()).unwrap_or_default();
        assert!(told.lines().nth(1).is_some_and(|line| line.chars().count() >= mark), "{told}");
    }

    #[test]
    fn a_key_that_is_given_twice_is_refused() {
        let text = "{\"name\": \"g\", \"params\": {\"a\": {},\n\"a\": {}}, \"tasks\": []}";
        let errors = read("g.json", text).expect_err("it is there twice").to_string();
        assert!(errors.starts_with("g.json:2:3: the key `a` is given twice"), "{errors}");
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let errors = read("goal.yaml", "name: x").expect_err("unknown ending").to_string();
        assert_eq!(
            errors,
            "goal.yaml: the ending of the file is unknown; expected .toml or .json\n  help: rename the file"
        );
    }
}
