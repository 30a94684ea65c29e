//! Strings that refer to parameters, inputs and results of other tasks.
//!
//! A reference is written `${root}` or `${root.path}`, where the root is one of
//!
//! | root | stands for |
//! |---|---|
//! | `params.NAME` | a parameter of the goal |
//! | `tasks.ID.result` | the result of a task |
//! | `inputs.NAME` | an input of this task |
//! | `item` | the item of this task's `for_each` |
//! | `index` | the number of that item, from 0 |
//! | `result` | in an `undo`, the result that was recorded for the task |
//!
//! and the path leads into the value: `.key`, `['any key']` or `["any key"]`, and `[0]` in a list. `$${` stands for the
//! two characters `${` themselves.
//!
//! A string that is exactly one reference becomes the value it refers to, with its type. Inside a longer text a
//! reference is rendered: a text as it is, anything else as compact JSON.
//!
//! This module is pure. It decides nothing about whether a task exists; [`Plan`](crate::plan::Plan) checks that.
//!
//! # Invariants
//!
//! * A path into null yields null: a skipped task has the result null, and whoever refers to it sees null.
//! * A path that does not exist in any other value is an error that names what was there.

mod parse;

use std::collections::BTreeMap;

use serde_json::Value;

use parse::{Part, parts};
pub use parse::{Reference, Root, Segment, references};

/// What the references of a task may see.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    params: &'a BTreeMap<String, Value>,
    results: &'a BTreeMap<String, Value>,
    inputs: Option<&'a BTreeMap<String, Value>>,
    item: Option<(usize, &'a Value)>,
    result: Option<&'a Value>,
}

impl<'a> Scope<'a> {
    /// A scope with the parameters of the goal and the results of tasks, by id; a skipped task's result is null.
    #[must_use]
    pub fn new(params: &'a BTreeMap<String, Value>, results: &'a BTreeMap<String, Value>) -> Self {
        Self { params, results, inputs: None, item: None, result: None }
    }

    /// Adds the task's inputs, already resolved.
    #[must_use]
    pub fn inputs(mut self, inputs: &'a BTreeMap<String, Value>) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Adds the item of a `for_each` and its number, from 0.
    #[must_use]
    pub fn item(mut self, index: usize, item: &'a Value) -> Self {
        self.item = Some((index, item));
        self
    }

    /// Adds the result that was recorded for the task itself, for its undo.
    #[must_use]
    pub fn result(mut self, result: &'a Value) -> Self {
        self.result = Some(result);
        self
    }
}

/// A template could not be read or resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The text is no template.
    #[error("`{reference}` is no reference: {problem}")]
    Syntax {
        /// The text from `${` on.
        reference: String,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// The reference's root is not there: no such parameter, input, result or item.
    #[error("`{reference}` refers to nothing: there is no {missing}")]
    Unknown {
        /// The reference as written.
        reference: String,
        /// What is not there.
        missing: String,
    },
    /// The value has no such key.
    #[error("`{reference}` does not exist: {at} has no key `{key}`, only {}", crate::goal::error::list(.present))]
    NoKey {
        /// The reference as written.
        reference: String,
        /// The part of the reference that does exist.
        at: String,
        /// The key that was asked for.
        key: String,
        /// The keys that are there.
        present: Vec<String>,
    },
    /// The list has no such item.
    #[error("`{reference}` does not exist: {at} has {len} items, so no item {index}")]
    NoItem {
        /// The reference as written.
        reference: String,
        /// The part of the reference that does exist.
        at: String,
        /// The number that was asked for, from 0.
        index: usize,
        /// How many items there are.
        len: usize,
    },
    /// The path goes into a value that has no such parts.
    #[error("`{reference}` does not exist: {at} is {found}, expected {expected}")]
    WrongKind {
        /// The reference as written.
        reference: String,
        /// The part of the reference that does exist.
        at: String,
        /// The kind of value that is there.
        found: &'static str,
        /// The kind of value that the path needs.
        expected: &'static str,
    },
}

/// Resolves every template in a value, at any depth; keys of objects are taken as they stand.
pub fn resolve(value: &Value, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => resolve_text(text, scope)?,
        Value::Array(items) => Value::Array(items.iter().map(|item| resolve(item, scope)).collect::<Result<_, _>>()?),
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, value)| Ok((key.clone(), resolve(value, scope)?))).collect::<Result<_, _>>()?,
        ),
        other => other.clone(),
    })
}

/// Resolves one template: to the typed value where it is exactly one reference, to a text otherwise.
pub fn resolve_text(text: &str, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    let parts = parts(text)?;
    if let [Part::Reference(reference)] = parts.as_slice() {
        return look_up(reference, scope);
    }
    let mut rendered = String::with_capacity(text.len());
    for part in parts {
        match part {
            Part::Text(text) => rendered.push_str(&text),
            Part::Reference(reference) => rendered.push_str(&render(&look_up(&reference, scope)?)),
        }
    }
    Ok(Value::String(rendered))
}

/// Resolves one template to a text, whatever the type of what it refers to.
pub fn render_text(text: &str, scope: &Scope<'_>) -> Result<String, TemplateError> {
    resolve_text(text, scope).map(|value| render(&value))
}

/// A value inside a text: a text as it is, anything else as compact JSON.
fn render(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The reference that a text consists of, if it is exactly one.
pub fn only_reference(text: &str) -> Result<Option<Reference>, TemplateError> {
    let mut parts = parts(text)?;
    match (parts.len(), parts.pop()) {
        (1, Some(Part::Reference(reference))) => Ok(Some(reference)),
        _ => Ok(None),
    }
}

/// The value a reference stands for.
fn look_up(reference: &Reference, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    let unknown = |missing: String| TemplateError::Unknown { reference: reference.text.clone(), missing };
    let index;
    let start = match &reference.root {
        Root::Param(name) => scope.params.get(name).ok_or_else(|| unknown(format!("parameter `{name}`")))?,
        Root::Result(id) => scope.results.get(id).ok_or_else(|| unknown(format!("result of a task `{id}`")))?,
        Root::Input(name) => {
            scope.inputs.and_then(|inputs| inputs.get(name)).ok_or_else(|| unknown(format!("input `{name}`")))?
        }
        Root::Item => scope.item.ok_or_else(|| unknown("item outside a `for_each`".to_owned()))?.1,
        Root::Index => {
            index = Value::from(scope.item.ok_or_else(|| unknown("index outside a `for_each`".to_owned()))?.0);
            &index
        }
        Root::Own => scope.result.ok_or_else(|| unknown("result of its own outside an `undo`".to_owned()))?,
    };
    walk(start, reference).cloned()
}

/// Follows a reference's path from the value of its root.
fn walk<'v>(start: &'v Value, reference: &Reference) -> Result<&'v Value, TemplateError> {
    let mut value = start;
    for (depth, segment) in reference.path.iter().enumerate() {
        let text = || reference.text.clone();
        let at = || reference.up_to(depth);
        value = match (segment, value) {
            (_, Value::Null) => return Ok(&Value::Null),
            (Segment::Key(key), Value::Object(map)) => map.get(key).ok_or_else(|| TemplateError::NoKey {
                reference: text(),
                at: at(),
                key: key.clone(),
                present: map.keys().cloned().collect(),
            })?,
            (Segment::Index(index), Value::Array(items)) => items.get(*index).ok_or_else(|| TemplateError::NoItem {
                reference: text(),
                at: at(),
                index: *index,
                len: items.len(),
            })?,
            (segment, other) => {
                let expected = if matches!(segment, Segment::Key(_)) { "an object" } else { "a list" };
                return Err(TemplateError::WrongKind { reference: text(), at: at(), found: kind_of(other), expected });
            }
        };
    }
    Ok(value)
}

/// What kind of value this is, for people.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    fn resolved(template: &Value) -> Result<Value, TemplateError> {
        let params = map(json!({ "name": "steadfast", "count": 3 }));
        let results = map(json!({
            "list": ["a.rs", "b.rs"],
            "meta": { "package": { "name": "x", "odd key": [true, { "deep": 1.5 }] } },
            "skipped": null,
        }));
        let inputs = map(json!({ "flag": false }));
        let item = json!({ "path": "src/lib.rs" });
        resolve(template, &Scope::new(&params, &results).inputs(&inputs).item(7, &item))
    }

    #[track_caller]
    fn check(template: &str, expected: Value) {
        assert_eq!(resolved(&json!(template)), Ok(expected), "{template}");
    }

    #[test]
    fn a_string_that_is_one_reference_yields_the_value_with_its_type() {
        check("${params.count}", json!(3));
        check("${tasks.list.result}", json!(["a.rs", "b.rs"]));
        check("${tasks.list.result[1]}", json!("b.rs"));
        check("${tasks.meta.result.package['odd key'][1].deep}", json!(1.5));
        check("${tasks.meta.result[\"package\"].name}", json!("x"));
        check("${inputs.flag}", json!(false));
        check("${item.path}", json!("src/lib.rs"));
        check("${item}", json!({ "path": "src/lib.rs" }));
        check("${index}", json!(7));
    }

    #[test]
    fn a_reference_inside_a_text_is_rendered() {
        check("of ${params.name}: ${params.count}", json!("of steadfast: 3"));
        check("${params.name}${params.name}", json!("steadfaststeadfast"));
        check("see ${tasks.list.result}", json!(r#"see ["a.rs","b.rs"]"#));
    }

    #[test]
    fn two_dollars_and_a_brace_stand_for_a_dollar_and_a_brace() {
        check("$${params.name}", json!("${params.name}"));
        check("costs $5 and $$", json!("costs $5 and $$"));
        check("$$${params.name}", json!("$${params.name}"));
    }

    #[test]
    fn templates_are_resolved_at_any_depth_of_a_value() {
        let template = json!({ "a": [1, "${params.count}", { "b": "${item.path}" }], "c": null });
        assert_eq!(resolved(&template), Ok(json!({ "a": [1, 3, { "b": "src/lib.rs" }], "c": null })));
    }

    #[test]
    fn a_path_into_the_result_of_a_skipped_task_is_null() {
        check("${tasks.skipped.result}", json!(null));
        check("${tasks.skipped.result.a.b[0]}", json!(null));
    }

    #[test]
    fn a_path_that_does_not_exist_names_the_reference_and_what_was_there() {
        let error = |template: &str| resolved(&json!(template)).expect_err("no such path").to_string();
        assert_eq!(
            error("${tasks.meta.result.package.version}"),
            "`${tasks.meta.result.package.version}` does not exist: `tasks.meta.result.package` has no key `version`, \
             only `name`, `odd key`"
        );
        assert_eq!(
            error("${tasks.list.result[2]}"),
            "`${tasks.list.result[2]}` does not exist: `tasks.list.result` has 2 items, so no item 2"
        );
        assert_eq!(
            error("${params.name.first}"),
            "`${params.name.first}` does not exist: `params.name` is a text, expected an object"
        );
        assert_eq!(error("${params.other}"), "`${params.other}` refers to nothing: there is no parameter `other`");
    }
}
