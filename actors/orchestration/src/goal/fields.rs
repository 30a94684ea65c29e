//! Which fields of a task are templates, and a task with all of them resolved.
//!
//! One function, `visit`, knows the fields. Checks and execution both go through it, so a field is either checked and
//! resolved or neither. Descriptions, messages, schemas and regular expressions are no templates.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::goal::model::{Check, Command, Condition, EnvValue, ResultKind, Retrieve, Scan, Task, Undo};
use crate::goal::source::escaped;
use crate::goal::template::{Scope, TemplateError, kind_of, render_text, resolve, resolve_text};

/// A part of a task, by what its references may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `when` and `for_each`: parameters and results, since there is no item yet.
    Start,
    /// `inputs`: also the item and its number.
    Inputs,
    /// The work itself: also the inputs.
    Work,
    /// The undo: also the task's own result.
    Undo,
}

/// A template of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Where it stands below the task, as a JSON pointer.
    pub pointer: String,
    /// The text.
    pub text: String,
    /// What its references may see.
    pub stage: Stage,
}

/// A field that is a template.
enum Slot<'t> {
    /// A text, and stays one.
    Text(&'t mut String),
    /// Any value, with templates at any depth.
    Value(&'t mut Value),
}

/// What is done with each field.
type Visitor<'v, E> = dyn FnMut(&str, Stage, Slot<'_>) -> Result<(), E> + 'v;

/// Every template of a task, in the order in which the fields are declared.
#[must_use]
pub fn templates(task: &Task) -> Vec<Template> {
    let mut found = Vec::new();
    let result: Result<(), std::convert::Infallible> = visit(&mut task.clone(), &mut |pointer, stage, slot| {
        match slot {
            Slot::Text(text) => found.push(Template { pointer: pointer.to_owned(), text: text.clone(), stage }),
            Slot::Value(value) => texts(value, pointer, &mut |pointer, text| {
                found.push(Template { pointer: pointer.to_owned(), text: text.to_owned(), stage });
            }),
        }
        Ok(())
    });
    match result {
        Ok(()) => found,
    }
}

/// Calls `each` for every text in a value, with its pointer.
fn texts(value: &Value, pointer: &str, each: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => each(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, &format!("{pointer}/{index}"), each);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                texts(value, &format!("{pointer}/{}", escaped(key)), each);
            }
        }
        _ => {}
    }
}

impl Task {
    /// The task with its inputs and its work resolved, ready to be carried out.
    ///
    /// The scope needs the parameters, the results of all dependencies, and for an item of a `for_each` the item; the
    /// inputs are resolved first and added here. `when` and `for_each` stay as they are: they were answered before.
    /// Paths and globs may have come from results, so whoever opens files checks them again with
    /// [`paths`](crate::goal::paths).
    pub fn resolved(&self, scope: &Scope<'_>) -> Result<Self, TemplateError> {
        let mut task = self.clone();
        let mut inputs = BTreeMap::new();
        for (name, value) in &self.inputs {
            inputs.insert(name.clone(), resolve(value, scope)?);
        }
        let whole = scope.inputs(&inputs);
        visit(&mut task, &mut |_, stage, slot| {
            let scope = match stage {
                // An undo is resolved as a task of its own.
                Stage::Start | Stage::Undo => return Ok(()),
                Stage::Inputs => scope,
                Stage::Work => &whole,
            };
            fill(slot, scope)
        })?;
        Ok(task)
    }

    /// The task's condition with its references resolved, if it has one.
    pub fn resolved_when(&self, scope: &Scope<'_>) -> Result<Option<Condition>, TemplateError> {
        let Some(mut when) = self.when.clone() else { return Ok(None) };
        visit_when(&mut when, &mut |_, _, slot| fill(slot, scope))?;
        Ok(Some(when))
    }

    /// The items of the task's `for_each`, if it has one. Null, the result of a skipped task, has no items.
    pub fn items(&self, scope: &Scope<'_>) -> Result<Option<Vec<Value>>, ItemsError> {
        let Some(reference) = &self.for_each else { return Ok(None) };
        match resolve_text(reference, scope)? {
            Value::Null => Ok(Some(Vec::new())),
            Value::Array(items) if items.len() <= self.max_items as usize => Ok(Some(items)),
            Value::Array(items) => {
                Err(ItemsError::TooMany { reference: reference.clone(), len: items.len(), max: self.max_items })
            }
            other => Err(ItemsError::NoList { reference: reference.clone(), found: kind_of(&other) }),
        }
    }
}

/// The items of a `for_each` could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemsError {
    /// The reference could not be resolved.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The reference leads to something else than a list.
    #[error("`for_each` needs a list, but {reference} is {found}; refer to a list")]
    NoList {
        /// The reference as written.
        reference: String,
        /// The kind of value that is there.
        found: &'static str,
    },
    /// The list is longer than the task allows.
    #[error("{reference} has {len} items, and `max_items` allows {max}; narrow the list or raise `max_items`")]
    TooMany {
        /// The reference as written.
        reference: String,
        /// How many items there are.
        len: usize,
        /// How many the task allows.
        max: u32,
    },
}

/// Puts what a template stands for in its place.
fn fill(slot: Slot<'_>, scope: &Scope<'_>) -> Result<(), TemplateError> {
    match slot {
        Slot::Text(text) => *text = render_text(text, scope)?,
        Slot::Value(value) => *value = resolve(value, scope)?,
    }
    Ok(())
}

/// Visits every field of a task that is a template, in the order of their declaration.
fn visit<E>(task: &mut Task, each: &mut Visitor<'_, E>) -> Result<(), E> {
    if let Some(when) = &mut task.when {
        visit_when(when, each)?;
    }
    for (name, value) in &mut task.inputs {
        each(&format!("/inputs/{}", escaped(name)), Stage::Inputs, Slot::Value(value))?;
    }
    optional(&mut task.for_each, ("/for_each", Stage::Start), each)?;
    if let ResultKind::Files(globs) = &mut task.result {
        all(globs, "/result/files", each)?;
    }
    if let Some(command) = &mut task.command {
        visit_command(command, ("/command", Stage::Work), each)?;
    }
    if let Some(retrieve) = &mut task.retrieve {
        visit_retrieve(retrieve, each)?;
    }
    if let Some(check) = &mut task.check {
        visit_check(check, each)?;
    }
    if let Some(collect) = &mut task.collect {
        each("/collect", Stage::Work, Slot::Value(collect))?;
    }
    visit_waits(task, each)?;
    task.undo.as_mut().map_or(Ok(()), |undo| visit_undo(undo, each))
}

fn visit_when<E>(when: &mut Condition, each: &mut Visitor<'_, E>) -> Result<(), E> {
    optional(&mut when.exists, ("/when/exists", Stage::Start), each)?;
    optional(&mut when.missing, ("/when/missing", Stage::Start), each)?;
    let values = [
        ("/when/value", &mut when.value),
        ("/when/equals", &mut when.equals),
        ("/when/not_equals", &mut when.not_equals),
        ("/when/contains", &mut when.contains),
    ];
    for (pointer, value) in values {
        if let Some(value) = value {
            each(pointer, Stage::Start, Slot::Value(value))?;
        }
    }
    Ok(())
}

/// What a goal inside this one refers to is its own business.
fn visit_waits<E>(task: &mut Task, each: &mut Visitor<'_, E>) -> Result<(), E> {
    if let Some(approve) = &mut task.approve {
        each("/approve/prompt", Stage::Work, Slot::Text(&mut approve.prompt))?;
    }
    if let Some(wait) = &mut task.wait {
        optional(&mut wait.until, ("/wait/until", Stage::Work), each)?;
    }
    if let Some(signal) = &mut task.signal {
        each("/signal/name", Stage::Work, Slot::Text(&mut signal.name))?;
    }
    for (name, value) in task.goal.iter_mut().flat_map(|goal| &mut goal.params) {
        each(&format!("/goal/params/{}", escaped(name)), Stage::Work, Slot::Value(value))?;
    }
    Ok(())
}

fn visit_undo<E>(undo: &mut Undo, each: &mut Visitor<'_, E>) -> Result<(), E> {
    if let Some(command) = &mut undo.command {
        visit_command(command, ("/undo/command", Stage::Undo), each)?;
    }
    undo.collect.as_mut().map_or(Ok(()), |collect| each("/undo/collect", Stage::Undo, Slot::Value(collect)))
}

fn visit_command<E>(command: &mut Command, at: (&str, Stage), each: &mut Visitor<'_, E>) -> Result<(), E> {
    let (at, stage) = at;
    each(&format!("{at}/program"), stage, Slot::Text(&mut command.program))?;
    for (index, text) in command.args.iter_mut().enumerate() {
        each(&format!("{at}/args/{index}"), stage, Slot::Text(text))?;
    }
    optional(&mut command.dir, (&format!("{at}/dir"), stage), each)?;
    for (name, value) in &mut command.env {
        if let EnvValue::Literal(text) = value {
            each(&format!("{at}/env/{}", escaped(name)), stage, Slot::Text(text))?;
        }
    }
    optional(&mut command.stdin, (&format!("{at}/stdin"), stage), each)
}

fn visit_retrieve<E>(retrieve: &mut Retrieve, each: &mut Visitor<'_, E>) -> Result<(), E> {
    if let Some(globs) = &mut retrieve.files {
        all(globs, "/retrieve/files", each)?;
    }
    optional(&mut retrieve.content, ("/retrieve/content", Stage::Work), each)?;
    optional(&mut retrieve.digest, ("/retrieve/digest", Stage::Work), each)?;
    if let Some(value) = &mut retrieve.value {
        each("/retrieve/value/file", Stage::Work, Slot::Text(&mut value.file))?;
        each("/retrieve/value/pointer", Stage::Work, Slot::Text(&mut value.pointer))?;
    }
    Ok(())
}

fn visit_check<E>(check: &mut Check, each: &mut Visitor<'_, E>) -> Result<(), E> {
    if let Some(value) = &mut check.value {
        each("/check/value", Stage::Work, Slot::Value(value))?;
    }
    for (index, assertion) in check.assert.iter_mut().enumerate() {
        let at = |field: &str| format!("/check/assert/{index}/{field}");
        each(&at("value"), Stage::Work, Slot::Value(&mut assertion.value))?;
        let others = [
            ("equals", &mut assertion.equals),
            ("not_equals", &mut assertion.not_equals),
            ("contains", &mut assertion.contains),
        ];
        for (field, value) in others {
            if let Some(value) = value {
                each(&at(field), Stage::Work, Slot::Value(value))?;
            }
        }
    }
    for (field, scan) in [("secrets", &mut check.secrets), ("licences", &mut check.licences)] {
        if let Some(Scan { files, .. }) = scan {
            all(files, &format!("/check/{field}/files"), each)?;
        }
    }
    Ok(())
}

fn optional<E>(text: &mut Option<String>, at: (&str, Stage), each: &mut Visitor<'_, E>) -> Result<(), E> {
    text.as_mut().map_or(Ok(()), |text| each(at.0, at.1, Slot::Text(text)))
}

fn all<E>(texts: &mut [String], pointer: &str, each: &mut Visitor<'_, E>) -> Result<(), E> {
    texts
        .iter_mut()
        .enumerate()
        .try_for_each(|(index, text)| each(&format!("{pointer}/{index}"), Stage::Work, Slot::Text(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(value: Value) -> Task {
        serde_json::from_value(value).expect("a task")
    }

    #[test]
    fn a_resolved_task_has_its_inputs_and_its_work_in_place_of_references() {
        let task = task(json!({
            "id": "a",
            "when": { "exists": "${params.dir}" },
            "for_each": "${tasks.list.result}",
            "inputs": { "dir": "${params.dir}/${item}", "n": "${index}" },
            "command": {
                "program": "echo", "args": ["${inputs.n}", "in ${inputs.dir}"], "env": { "A": "${item}" },
                "stdin": "${params.port}",
            },
        }));
        let params = BTreeMap::from([("dir".to_owned(), json!("src")), ("port".to_owned(), json!(80))]);
        let results = BTreeMap::from([("list".to_owned(), json!(["x", "y"]))]);
        let scope = Scope::new(&params, &results);
        let items = task.items(&scope).expect("items").expect("for each");
        assert_eq!(items, [json!("x"), json!("y")]);
        assert_eq!(task.resolved_when(&scope).expect("when").expect("set").exists.as_deref(), Some("src"));

        let ready = task.resolved(&scope.item(1, &items[1])).expect("resolved");
        let command = ready.command.expect("a command");
        assert_eq!(command.args, ["1", "in src/y"]);
        assert_eq!(command.env["A"], EnvValue::Literal("y".to_owned()));
        assert_eq!(command.stdin.as_deref(), Some("80"));
        assert_eq!(ready.inputs["n"], json!(1));
    }

    #[test]
    fn a_list_that_is_none_or_too_long_is_refused_and_null_has_no_items() {
        let task = task(json!({ "id": "a", "for_each": "${params.x}", "max_items": 2, "collect": 1 }));
        let results = BTreeMap::new();
        let items = |value: Value| {
            let params = BTreeMap::from([("x".to_owned(), value)]);
            task.items(&Scope::new(&params, &results)).map_err(|error| error.to_string())
        };
        assert_eq!(items(json!([1, 2])), Ok(Some(vec![json!(1), json!(2)])));
        assert_eq!(items(json!(null)), Ok(Some(Vec::new())));
        assert!(items(json!([1, 2, 3])).expect_err("too long").contains("has 3 items, and `max_items` allows 2"));
        assert!(items(json!({})).expect_err("no list").contains("is an object"));
    }

    #[test]
    fn every_template_is_listed_with_its_place_and_stage() {
        let task = task(json!({
            "id": "a",
            "inputs": { "x": { "deep": ["t"] } },
            "check": { "value": "v", "assert": [{ "value": "w", "contains": "c", "matches": "no template" }],
                       "secrets": { "files": ["**"] } },
        }));
        let found: Vec<(String, Stage)> = templates(&task).into_iter().map(|t| (t.pointer, t.stage)).collect();
        let expected = [
            ("/inputs/x/deep/0", Stage::Inputs),
            ("/check/value", Stage::Work),
            ("/check/assert/0/value", Stage::Work),
            ("/check/assert/0/contains", Stage::Work),
            ("/check/secrets/files/0", Stage::Work),
        ];
        assert_eq!(found, expected.map(|(pointer, stage)| (pointer.to_owned(), stage)));
    }
}
