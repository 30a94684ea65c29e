//! Finds keys that a goal file may not have.
//!
//! Serde stops at the first unknown key. This module walks the file beside the JSON Schema that is made from the same
//! types, so it names all of them, and no list of keys is kept by hand.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::goal::error::{GoalError, closest, list};
use crate::goal::schema::json_schema;
use crate::goal::source::escaped;

/// An error for every unknown key of the file.
pub(crate) fn unknown_keys(file: &Value) -> Vec<GoalError> {
    // Made once: it costs more than all else that reading a goal does.
    static SCHEMA: LazyLock<Value> = LazyLock::new(json_schema);
    let mut found = Vec::new();
    walk(&Walk { root: &SCHEMA, schema: &SCHEMA }, file, &mut String::new(), &mut found);
    found
}

#[derive(Clone, Copy)]
struct Walk<'s> {
    root: &'s Value,
    schema: &'s Value,
}

impl<'s> Walk<'s> {
    fn with(self, schema: &'s Value) -> Self {
        Self { schema, ..self }.followed()
    }

    /// The same place with its reference followed.
    fn followed(self) -> Self {
        let target =
            self.schema["$ref"].as_str().and_then(|pointer| self.root.pointer(pointer.trim_start_matches('#')));
        target.map_or(self, |schema| Self { schema, ..self })
    }

    /// The one alternative that is about objects, where the schema offers several.
    fn for_object(self) -> Self {
        let branches = ["anyOf", "oneOf"].iter().filter_map(|key| self.schema[key].as_array()).flatten();
        let mut objects = branches.map(|branch| self.with(branch)).filter(|branch| {
            branch.schema["properties"].is_object() || branch.schema["additionalProperties"].is_object()
        });
        objects.next().unwrap_or(self)
    }
}

fn walk(at: &Walk<'_>, value: &Value, pointer: &mut String, found: &mut Vec<GoalError>) {
    let length = pointer.len();
    match value {
        Value::Object(map) => {
            let at = at.for_object();
            let known = at.schema["properties"].as_object();
            for (key, value) in map {
                pointer.push('/');
                pointer.push_str(&escaped(key));
                if let Some(schema) = known.and_then(|known| known.get(key)) {
                    walk(&at.with(schema), value, pointer, found);
                } else if at.schema["additionalProperties"] == Value::Bool(false) {
                    found.push(unknown(key, pointer, known));
                } else {
                    walk(&at.with(&at.schema["additionalProperties"]), value, pointer, found);
                }
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                walk(&at.with(&at.schema["items"]), item, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

fn unknown(key: &str, pointer: &str, known: Option<&Map<String, Value>>) -> GoalError {
    let names: Vec<&String> = known.into_iter().flat_map(Map::keys).collect();
    let around = &pointer[..pointer.rfind('/').unwrap_or_default()];
    let problem = format!("unknown key `{key}` in {}; expected one of {}", spoken(around), list(names.iter().copied()));
    let remedy = match closest(key, names.iter().map(|name| name.as_str())) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("remove `{key}`, or see `steadfast schema` for the format"),
    };
    GoalError::at(pointer, problem, remedy).on_key()
}

/// A JSON pointer as people say it: `tasks[3].retries`.
pub(crate) fn spoken(pointer: &str) -> String {
    let mut spoken = String::new();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if segment.bytes().all(|byte| byte.is_ascii_digit()) {
            spoken.push('[');
            spoken.push_str(&segment);
            spoken.push(']');
        } else {
            if !spoken.is_empty() {
                spoken.push('.');
            }
            spoken.push_str(&segment);
        }
    }
    if spoken.is_empty() { "the goal".to_owned() } else { format!("`{spoken}`") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(file: &Value, expected: &[(&str, &str)]) {
        let found = unknown_keys(file);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|error| match error.place() {
                crate::goal::Place::Pointer(pointer) => (pointer.as_str(), error.remedy()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn unknown_keys_are_found_at_every_depth_with_the_closest_known_one() {
        let file = json!({
            "nmae": "x",
            "params": { "free": { "defualt": 1 } },
            "limits": { "deadlin": "5s" },
            "tasks": [
                { "id": "a", "comand": {} },
                { "id": "b", "retries": { "atempts": 2 }, "command": { "env": { "FREE": { "form": "X" } } } },
                { "id": "c", "result": { "file": [] }, "check": { "secrets": { "globs": [] } } },
                { "id": "d", "when": { "exist": "x" }, "inputs": { "free": { "free": 1 } }, "collect": { "free": {} } },
            ],
        });
        check(
            &file,
            &[
                ("/limits/deadlin", "did you mean `deadline`?"),
                ("/nmae", "did you mean `name`?"),
                ("/params/free/defualt", "did you mean `default`?"),
                ("/tasks/0/comand", "did you mean `command`?"),
                ("/tasks/1/command/env/FREE/form", "did you mean `from`?"),
                ("/tasks/1/retries/atempts", "did you mean `attempts`?"),
                ("/tasks/2/check/secrets/globs", "remove `globs`, or see `steadfast schema` for the format"),
                ("/tasks/2/result/file", "did you mean `files`?"),
                ("/tasks/3/when/exist", "did you mean `exists`?"),
            ],
        );
    }

    #[test]
    fn a_pointer_is_spoken_as_a_path() {
        assert_eq!(spoken("/tasks/3/retries"), "`tasks[3].retries`");
        assert_eq!(spoken(""), "the goal");
    }
}
