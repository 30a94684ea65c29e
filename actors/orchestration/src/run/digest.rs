//! Digests of results.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::run::record::Outcome;
use crate::run::state::RunState;

/// The SHA-256 of some bytes, in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of a value: the same for equal values, however they were written.
#[must_use]
pub fn value_digest(value: &Value) -> String {
    sha256_hex(canonical(value).as_bytes())
}

/// A value as JSON in one form: no spaces, keys sorted.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => write_list(text, ['[', ']'], items, write_canonical),
        Value::Object(map) => {
            // Whether a map of serde_json is sorted depends on a feature that any crate may switch on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            write_list(text, ['{', '}'], entries, |(key, value), text| {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
            });
        }
        other => text.push_str(&other.to_string()),
    }
}

fn write_list<I: IntoIterator>(
    text: &mut String,
    [open, close]: [char; 2],
    items: I,
    write: impl Fn(I::Item, &mut String),
) {
    text.push(open);
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(close);
}

/// The digest of a whole run: of every task's id, the kind of its outcome, and its declared result.
///
/// Order, times, attempts, agents and the texts of failures are no part of it. A list that was expanded is part of it
/// by its length, so that an empty one counts.
#[must_use]
pub fn result_digest(state: &RunState) -> String {
    let mut hasher = Sha256::new();
    for (group, items) in state.groups() {
        line(&mut hasher, [group, "expanded", &items.to_string()]);
    }
    for (task, state) in state.tasks() {
        let task = task.to_string();
        match state.settled.as_ref().map(|settled| &settled.outcome) {
            Some(Outcome::Succeeded { digest, .. } | Outcome::Stored { digest, .. }) => {
                line(&mut hasher, [&task, "succeeded", digest]);
            }
            Some(Outcome::Failed { .. }) => line(&mut hasher, [&task, "failed", ""]),
            Some(Outcome::Skipped { .. }) => line(&mut hasher, [&task, "skipped", ""]),
            None => line(&mut hasher, [&task, "open", ""]),
        }
    }
    hex(&hasher.finalize())
}

/// Ids and digests hold neither tabs nor line ends, so that no two lists of lines look the same.
fn line(hasher: &mut Sha256, words: [&str; 3]) {
    hasher.update(words.join("\t").as_bytes());
    hasher.update(b"\n");
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_canonical_value_has_sorted_keys_and_no_spaces() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [1, 2.5, null], "a": { "d": "x\"y", "c": true } }"#).expect("valid JSON");
        assert_eq!(canonical(&value), r#"{"a":{"c":true,"d":"x\"y"},"b":[1,2.5,null]}"#);
    }

    #[test]
    fn equal_values_have_equal_digests_and_others_have_not() {
        assert_eq!(value_digest(&json!({ "a": 1, "b": 2 })), value_digest(&json!({ "b": 2, "a": 1 })));
        assert_ne!(value_digest(&json!([1, 2])), value_digest(&json!([2, 1])));
        assert_ne!(value_digest(&json!("1")), value_digest(&json!(1)));
    }
}
