//! Are paths, globs, regular expressions and schemas well formed?
//!
//! A path with references to parameters alone is checked with their values; one that needs results is checked when it
//! is used.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Findings, Subject};
use crate::goal::model::{ResultKind, Task};
use crate::goal::paths;
use crate::goal::template::{Scope, render_text};

/// Checks what can be checked without running anything.
pub(super) fn check(subject: Subject<'_>, findings: &mut Findings) {
    for (field, path) in path_fields(subject.task) {
        if let Some(Err(error)) = known(subject, path).map(|path| paths::inside(&path)) {
            findings.add(subject.at(field), error.to_string(), "name a path below the input folder");
        }
    }
    for (field, globs) in glob_fields(subject.task) {
        check_globs(subject, (field, globs), findings);
    }
    check_patterns(subject, findings);
    let schemas = [("/schema", &subject.task.schema)];
    let of_check = subject.task.check.as_ref().map(|check| ("/check/schema", &check.schema));
    for (field, schema) in schemas.into_iter().chain(of_check) {
        if let Some(schema) = schema {
            check_schema(subject, (field, schema), findings);
        }
    }
}

/// The text with its references to parameters resolved; nothing where it needs more than parameters.
pub(super) fn known(subject: Subject<'_>, text: &str) -> Option<String> {
    render_text(text, &Scope::new(subject.params, &BTreeMap::new())).ok()
}

fn path_fields(task: &Task) -> Vec<(&'static str, &str)> {
    let retrieve = task.retrieve.as_ref();
    let when = task.when.as_ref();
    let fields = [
        ("/when/exists", when.and_then(|when| when.exists.as_deref())),
        ("/when/missing", when.and_then(|when| when.missing.as_deref())),
        ("/command/dir", task.command.as_ref().and_then(|command| command.dir.as_deref())),
        ("/retrieve/content", retrieve.and_then(|retrieve| retrieve.content.as_deref())),
        ("/retrieve/digest", retrieve.and_then(|retrieve| retrieve.digest.as_deref())),
        ("/retrieve/value/file", retrieve.and_then(|retrieve| retrieve.value.as_ref()).map(|at| at.file.as_str())),
    ];
    fields.into_iter().filter_map(|(field, path)| Some((field, path?))).collect()
}

fn glob_fields(task: &Task) -> Vec<(&'static str, &[String])> {
    let check = task.check.as_ref();
    let result = match &task.result {
        ResultKind::Files(globs) => Some(globs.as_slice()),
        _ => None,
    };
    let fields = [
        ("/result/files", result),
        ("/retrieve/files", task.retrieve.as_ref().and_then(|retrieve| retrieve.files.as_deref())),
        ("/check/secrets/files", check.and_then(|check| check.secrets.as_ref()).map(|scan| scan.files.as_slice())),
        ("/check/licences/files", check.and_then(|check| check.licences.as_ref()).map(|scan| scan.files.as_slice())),
    ];
    fields.into_iter().filter_map(|(field, globs)| Some((field, globs?))).collect()
}

fn check_globs(subject: Subject<'_>, (field, globs): (&str, &[String]), findings: &mut Findings) {
    if globs.iter().all(|glob| glob.starts_with('!')) {
        let problem = if globs.is_empty() {
            "there are no globs, so no file would match; expected at least one"
        } else {
            "every glob begins with `!`, so no file would match; expected at least one that does not"
        };
        findings.add(subject.at(field), problem, "write [\"**\"] for all files");
    }
    for (index, glob) in globs.iter().enumerate() {
        if let Some(Err(error)) = known(subject, glob).map(|glob| paths::pattern(&glob)) {
            findings.add(subject.at(&format!("{field}/{index}")), error.to_string(), "correct the glob");
        }
    }
}

fn check_patterns(subject: Subject<'_>, findings: &mut Findings) {
    let assertions = subject.task.check.iter().flat_map(|check| &check.assert).enumerate();
    let of_check = assertions.map(|(index, assertion)| (format!("/check/assert/{index}/matches"), &assertion.matches));
    let of_when = subject.task.when.iter().map(|when| ("/when/matches".to_owned(), &when.matches));
    for (field, pattern) in of_when.chain(of_check) {
        let Some(Err(error)) = pattern.as_deref().map(regex::Regex::new) else { continue };
        // The last line is the reason; those before it draw the pattern.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let problem = format!("the pattern is no regular expression: {reason}; expected the syntax of the crate regex");
        let remedy = "correct the pattern; a special character is taken literally after a backslash";
        findings.add(subject.at(&field), problem, remedy);
    }
}

fn check_schema(subject: Subject<'_>, (field, schema): (&str, &Value), findings: &mut Findings) {
    if let Err(error) = compiled(schema) {
        let pointer = subject.at(&format!("{field}{}", error.instance_path()));
        let problem = format!(
            "the schema is no JSON Schema (2020-12): {error}; expected one that refers to nothing outside itself"
        );
        findings.add(pointer, problem, "correct the schema, or put what it refers to under `$defs`");
    }
}

/// Compiles a JSON Schema of draft 2020-12. Nothing is fetched: a reference out of the schema is an error.
pub(crate) fn compiled(schema: &Value) -> Result<jsonschema::Validator, jsonschema::ValidationError<'static>> {
    jsonschema::draft202012::new(schema)
}
