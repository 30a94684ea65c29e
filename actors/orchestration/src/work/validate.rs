//! Judges a result before it is recorded: three verdicts, all of which must pass.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema;
use crate::redact::{REDACTED, Redactor, is_secret_key};

/// What a judge says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[must_use]
pub enum Verdict {
    /// Nothing is wrong.
    Pass,
    /// These things are wrong.
    Fail(Vec<String>),
}

impl Verdict {
    /// Passes when nothing is wrong.
    pub fn from_reasons(reasons: Vec<String>) -> Self {
        if reasons.is_empty() { Self::Pass } else { Self::Fail(reasons) }
    }

    /// What is wrong.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Pass => &[],
            Self::Fail(reasons) => reasons,
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        *self == Self::Pass
    }
}

/// The verdicts on one result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Verdicts {
    /// It is what the task's schema says.
    pub schema: Verdict,
    /// The policy allows it.
    pub policy: Verdict,
    /// It holds no secret.
    pub security: Verdict,
}

impl Verdicts {
    /// Whether all three passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.schema.passed() && self.policy.passed() && self.security.passed()
    }

    /// Everything that is wrong, each with the name of its judge in front.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let judges = [("schema", &self.schema), ("policy", &self.policy), ("security", &self.security)];
        judges
            .into_iter()
            .flat_map(|(name, verdict)| verdict.reasons().iter().map(move |why| format!("{name}: {why}")))
            .collect()
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The goal it belongs to.
    pub goal: &'s str,
    /// The task whose result it is.
    pub task: &'s str,
    /// The result.
    pub value: &'s Value,
    /// The schema of the task, if it has one.
    pub schema: Option<&'s Value>,
}

/// Decides what a goal may do with its results.
pub trait Policy: Send + Sync {
    /// Judges one result.
    fn judge(&self, subject: Subject<'_>) -> Verdict;
}

/// The policy that allows everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn judge(&self, _: Subject<'_>) -> Verdict {
        Verdict::Pass
    }
}

/// Judges a result by its schema, by the policy, and by whether the redactor leaves it as it is.
pub fn validate(subject: Subject<'_>, policy: &dyn Policy, redactor: &Redactor) -> Verdicts {
    let mut secrets = Vec::new();
    look_for_secrets(subject.value, &mut String::new(), &mut Found { redactor, reasons: &mut secrets });
    Verdicts {
        schema: subject.schema.map_or(Verdict::Pass, |schema| by_schema(schema, subject.value)),
        policy: policy.judge(subject),
        security: Verdict::from_reasons(secrets),
    }
}

fn by_schema(schema: &Value, value: &Value) -> Verdict {
    match schema::violations(schema, value) {
        Ok(found) => Verdict::from_reasons(found.iter().map(ToString::to_string).collect()),
        Err(error) => Verdict::Fail(vec![error.to_string()]),
    }
}

struct Found<'f> {
    redactor: &'f Redactor,
    reasons: &'f mut Vec<String>,
}

impl Found<'_> {
    fn add(&mut self, pointer: &str, what: impl std::fmt::Display) {
        let place = if pointer.is_empty() { "the value".to_owned() } else { self.redactor.text(pointer).into_owned() };
        self.reasons.push(format!("{place} holds {what}"));
    }
}

/// Names each place that the redactor would change. The text itself is never told.
fn look_for_secrets(value: &Value, pointer: &mut String, found: &mut Found<'_>) {
    match value {
        Value::Object(entries) => {
            for (key, item) in entries {
                if let Some(kind) = found.redactor.would_change_text(key) {
                    found.add(pointer, format_args!("a key with {kind}"));
                }
                let hidden = is_secret_key(key) && item.as_str() != Some(REDACTED);
                let descend = !is_secret_key(key);
                below(key, pointer, |pointer| {
                    if hidden {
                        found.add(pointer, crate::redact::Kind::Key);
                    } else if descend {
                        look_for_secrets(item, pointer, found);
                    }
                });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                below(&index.to_string(), pointer, |pointer| look_for_secrets(item, pointer, found));
            }
        }
        _ => {
            if let Some(kind) = found.redactor.would_change(value) {
                found.add(pointer, kind);
            }
        }
    }
}

fn below(part: &str, pointer: &mut String, look: impl FnOnce(&mut String)) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
    look(pointer);
    pointer.truncate(length);
}
