//! Checks values and files. Everything that is wrong is told at once.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Failure, Tools, licences, schema, show};
use crate::goal::model::{Assertion, Check, OnFindings, Scan};
use crate::redact::Redactor;
use crate::seam::files::{Globs, Part};
use crate::secrets::{self, Finding};

/// How much of a file is scanned at once.
const WINDOW: usize = 1 << 20;

/// By how much windows overlap, so that a secret on the border is found: no pattern needs more.
const OVERLAP: usize = 16 * 1024;

/// How many findings a result lists.
const LISTED: usize = 1_000;

/// How many findings a message names.
const NAMED: usize = 20;

/// Checks what is asked for; the result says what was looked at.
pub(super) async fn check(check: &Check, tools: Tools<'_>) -> Result<Value, Failure> {
    let mut wrong = Vec::new();
    let mut result = Map::from_iter([("passed".to_owned(), Value::Bool(true))]);
    if let Some(schema) = &check.schema {
        wrong.extend(against_schema(schema, check.value.as_ref())?);
        result.insert("schema".to_owned(), Value::Bool(true));
    }
    if !check.assert.is_empty() {
        for (index, assertion) in check.assert.iter().enumerate() {
            wrong.extend(does_not_hold(assertion, tools.redactor)?.map(|why| told(index, assertion, &why)));
        }
        result.insert("assertions".to_owned(), check.assert.len().into());
    }
    if let Some(scan) = &check.secrets {
        let (report, found) = scan_secrets(scan, tools).await?;
        wrong.extend(found);
        result.insert("secrets".to_owned(), report);
    }
    if let Some(scan) = &check.licences {
        let (report, found) = scan_licences(scan, tools).await?;
        wrong.extend(found);
        result.insert("licences".to_owned(), report);
    }
    if result.len() == 1 {
        return Err(Failure::invalid("nothing says what to check; set `schema`, `assert`, `secrets` or `licences`"));
    }
    if wrong.is_empty() { Ok(Value::Object(result)) } else { Err(Failure::invalid(wrong.join("\n"))) }
}

fn against_schema(schema: &Value, value: Option<&Value>) -> Result<Option<String>, Failure> {
    let Some(value) = value else {
        return Err(Failure::invalid(
            "`schema` needs a `value` to be about, such as `value = \"${tasks.NAME.result}\"`",
        ));
    };
    let found = schema::violations(schema, value).map_err(|error| Failure::invalid(error.to_string()))?;
    let lines: Vec<String> = found.iter().map(|violation| format!("  {violation}")).collect();
    let message = || format!("the value is not what the schema says:\n{}", lines.join("\n"));
    Ok((!lines.is_empty()).then(message))
}

fn told(index: usize, assertion: &Assertion, why: &str) -> String {
    let number = index + 1;
    match &assertion.message {
        Some(message) => format!("{message} (assertion {number}: {why})"),
        None => format!("assertion {number} does not hold: {why}"),
    }
}

/// Why the statement does not hold, if it does not.
pub(super) fn does_not_hold(assertion: &Assertion, redactor: &Redactor) -> Result<Option<String>, Failure> {
    let value = &assertion.value;
    let shown = |value: &Value| show::value(redactor, value);
    let mut said = false;
    let mut why = Vec::new();
    let mut claim = |holds: bool, text: &dyn Fn() -> String| {
        said = true;
        if !holds {
            why.push(text());
        }
    };
    if let Some(wanted) = &assertion.equals {
        claim(same(value, wanted), &|| format!("{} is not {}", shown(value), shown(wanted)));
    }
    if let Some(unwanted) = &assertion.not_equals {
        claim(!same(value, unwanted), &|| format!("{} is what it must not be", shown(value)));
    }
    if let Some(least) = assertion.at_least {
        let (size, what) = measure(value, redactor)?;
        claim(size >= least, &|| format!("{what} is less than {least}"));
    }
    if let Some(most) = assertion.at_most {
        let (size, what) = measure(value, redactor)?;
        claim(size <= most, &|| format!("{what} is more than {most}"));
    }
    if let Some(pattern) = &assertion.matches {
        let regex = Regex::new(pattern)
            .map_err(|error| Failure::invalid(format!("`{pattern}` is not a regular expression: {error}")))?;
        claim(value.as_str().is_some_and(|text| regex.is_match(text)), &|| {
            format!("{} does not match `{pattern}`", shown(value))
        });
    }
    if let Some(part) = &assertion.contains {
        claim(holds(value, part), &|| format!("{} does not contain {}", shown(value), shown(part)));
    }
    if !said {
        return Err(Failure::invalid(
            "an assertion says nothing about its value; set `equals`, `not_equals`, `at_least`, `at_most`, `matches` or `contains`",
        ));
    }
    Ok((!why.is_empty()).then(|| why.join("; ")))
}

/// Whether two values are the same; numbers by what they are, not by how they are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| {
                    (a.is_finite() && a.total_cmp(&b) == Ordering::Equal) && (one.is_f64() || other.is_f64())
                })
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

/// The number, or the length of the text or list, and how to call it.
fn measure(value: &Value, redactor: &Redactor) -> Result<(f64, String), Failure> {
    let length = match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            return Ok((number, show::value(redactor, value)));
        }
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        _ => {
            let shown = show::value(redactor, value);
            return Err(Failure::invalid(format!(
                "{shown} has no size; `at_least` and `at_most` need a number, a text or a list"
            )));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "no text or list in memory is that long")]
    Ok((length as f64, format!("the length {length}")))
}

fn holds(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), part) => items.iter().any(|item| same(item, part)),
        _ => false,
    }
}

async fn scan_secrets(scan: &Scan, tools: Tools<'_>) -> Result<(Value, Option<String>), Failure> {
    let paths = tools.files.list(&Globs::parse(&scan.files)?).await?;
    let mut findings = Vec::new();
    for path in &paths {
        tools.beat();
        findings.extend(scan_file(path, tools).await?);
    }
    let listed: Vec<Value> = findings
        .iter()
        .take(LISTED)
        .map(|Finding { path, line, kind }| json!({ "path": path, "line": line, "kind": kind }))
        .collect();
    let names: Vec<String> =
        findings.iter().map(|Finding { path, line, kind }| format!("{path}:{line}: {kind}")).collect();
    let remedy = "take them out and make new ones, or narrow `files`";
    Ok((report(paths.len(), findings.len(), listed), complaint(scan, &names, ("secrets were found", remedy))))
}

/// Scans a file in windows that overlap, so that its size does not matter.
async fn scan_file(path: &str, tools: Tools<'_>) -> Result<Vec<Finding>, Failure> {
    let (mut findings, mut offset, mut lines) = (Vec::new(), 0, 0);
    loop {
        let bytes = tools.files.read_part(path, Part { offset, length: WINDOW }).await?;
        let found = secrets::scan(path, &bytes).into_iter();
        findings.extend(found.map(|finding| Finding { line: finding.line + lines, ..finding }));
        if bytes.len() < WINDOW {
            break;
        }
        let step = WINDOW - OVERLAP;
        lines += secrets::newlines(&bytes[..step]);
        offset += step as u64;
        tools.beat();
        tokio::task::yield_now().await;
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

async fn scan_licences(scan: &Scan, tools: Tools<'_>) -> Result<(Value, Option<String>), Failure> {
    let paths = tools.files.list(&Globs::parse(&scan.files)?).await?;
    let found = licences::uncovered(&paths, tools).await?;
    let listed = found.iter().take(LISTED).map(|path| json!({ "path": path })).collect();
    let remedy = "add an SPDX line to each, or a LICENSE file above them";
    Ok((report(paths.len(), found.len(), listed), complaint(scan, &found, ("files have no licence", remedy))))
}

fn report(files: usize, findings: usize, listed: Vec<Value>) -> Value {
    let mut report = json!({ "files": files });
    report["findings"] = Value::Array(listed);
    if findings > LISTED {
        report["more"] = (findings - LISTED).into();
    }
    report
}

/// What to say about the findings, if they fail the task.
fn complaint(scan: &Scan, names: &[String], (what, remedy): (&str, &str)) -> Option<String> {
    if names.is_empty() || scan.on_findings == OnFindings::Report {
        return None;
    }
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let first: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    Some(format!("{} {what}; {remedy}:\n  {}{more}", names.len(), first.join("\n  ")))
}
