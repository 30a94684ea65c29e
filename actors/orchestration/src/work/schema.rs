//! JSON Schema (2020-12): whether a value is what a schema says, and where it is not.
//!
//! A schema cannot refer to anything outside of itself: nothing is read from the network or from disk.

use std::fmt;

use serde_json::Value;

use super::show;
use crate::redact::Redactor;

/// How many violations are told; the first ones name the cause.
const MOST: usize = 50;

/// A place where a value is not what the schema says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The place in the value, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong there, redacted.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the value" } else { &self.pointer };
        write!(f, "{place}: {}", self.message)
    }
}

/// The schema itself cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the schema is not a JSON Schema of 2020-12 that can be used here: {message}")]
pub struct SchemaError {
    /// What is wrong with it.
    pub message: String,
}

/// Says what is wrong with a schema, before it is used.
pub fn check(schema: &Value) -> Result<(), SchemaError> {
    build(schema).map(|_| ())
}

/// Every place where `value` is not what `schema` says, in the order of the value, up to 50.
pub fn violations(schema: &Value, value: &Value) -> Result<Vec<Violation>, SchemaError> {
    let redactor = Redactor::new();
    let validator = build(schema)?;
    let mut found: Vec<Violation> =
        validator.iter_errors(value).take(MOST).map(|error| told(&error, &redactor)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn build(schema: &Value) -> Result<jsonschema::Validator, SchemaError> {
    jsonschema::draft202012::new(schema).map_err(|error| SchemaError { message: show::short(&error.to_string()) })
}

fn told(error: &jsonschema::ValidationError<'_>, redactor: &Redactor) -> Violation {
    // A large value would be quoted whole; its place says enough.
    let small = !matches!(error.instance().as_ref(), Value::Object(_) | Value::Array(_));
    let message = if small { error.to_string() } else { error.masked_with("the value").to_string() };
    Violation {
        pointer: redactor.text(error.instance_path().as_str()).into_owned(),
        message: show::short(&redactor.text(&message)),
    }
}
