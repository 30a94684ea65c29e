//! A goal file as typed data.
//!
//! These types are what a goal file says, in TOML or in JSON, and nothing more: they are not checked against each
//! other. [`Plan`](crate::plan::Plan) is the checked form. Unknown keys are refused everywhere.
//!
//! Strings may hold references, `${…}`; see [`template`](crate::goal::template).

mod budget;
mod undo;
mod waits;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::goal::span::Span;
pub use budget::{Budget, DEFAULT_REPEATS};
pub use undo::{OnExhausted, Undo};

pub use waits::{Approve, ChildGoal, Condition, Gather, Signal, Take, Wait};

/// What is wanted, and the tasks that lead there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The name of the goal: letters, digits, `-` and `_`.
    pub name: String,
    /// What the goal is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The parameters that `--param name=value` sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Param>,
    /// What the whole run may use.
    #[serde(default)]
    pub limits: Limits,
    /// What the whole run may use before it ends with that.
    #[serde(default, skip_serializing_if = "Budget::is_empty")]
    pub budget: Budget,
    /// What becomes of the run when a task has used up its attempts: `pause` (when absent) or `fail`.
    #[serde(default, skip_serializing_if = "OnExhausted::is_default")]
    pub on_exhausted: OnExhausted,
    /// The tasks; the order does not matter, only what each waits for.
    pub tasks: Vec<Task>,
}

impl Goal {
    /// This goal and all that are inside it, at any depth.
    pub fn goals(&self) -> impl Iterator<Item = &Self> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            let goal = left.pop()?;
            let children = goal.tasks.iter().rev().filter_map(|task| task.goal.as_ref()?.inline.as_deref());
            left.extend(children);
            Some(goal)
        })
    }
}

/// A parameter of a goal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// What the parameter is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The value when none is given, taken as it stands; without it the parameter is required.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What a whole run may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How many tasks run at the same time; the number of executors (`--jobs`) when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How long the whole run may take, such as `"10m"`; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
}

/// One step of a goal. Exactly one of `command`, `retrieve`, `check`, `collect`, `approve`, `wait`, `signal`, `gather`
/// and `goal` says what it does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The name of the task, unique in the goal: letters, digits, `-` and `_`.
    pub id: String,
    /// What the task is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The capability an agent needs to do this task; by its kind when absent (`task.command`, `task.retrieve`,
    /// `task.check`, `task.collect`). The kinds that wait need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Ids of tasks that end before this one starts. A reference to a task's result implies it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The task is skipped, with this as the reason, unless the condition holds. It is asked once, before `for_each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Named values, available to this task as `${inputs.name}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// A reference to a list: the task runs once for each item, as `${item}` with its number `${index}`. Its result is
    /// the list of the items' results. The result of a skipped task, null, counts as an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// How many items `for_each` may yield; a longer list fails the task.
    #[serde(default = "default_max_items")]
    pub max_items: u32,
    /// How long one attempt may take; 10 minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What happens after a failed attempt.
    #[serde(default)]
    pub retries: Retries,
    /// How long the task takes at the very least; the critical path of the plan is the largest sum of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Span>,
    /// What of the task's output is its result. Only for `command`; the other kinds have a JSON value of their own.
    #[serde(default)]
    pub result: ResultKind,
    /// A JSON Schema (2020-12) which the result must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Runs a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Reads from the input folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieve: Option<Retrieve>,
    /// Checks values or files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Puts results together into one value, which is this task's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<Value>,
    /// Takes back what the task did, when the goal fails or is cancelled with everything undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// Waits for a person, who approves or rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// Waits for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Waits for an event that somebody tells the run of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Waits for tasks, not necessarily for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gather: Option<Gather>,
    /// Carries another goal out, in a run of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<ChildGoal>,
}

/// What happens after a failed attempt. Attempts that were lost because an agent died or hung are not failures of
/// the task and are not counted here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// How many attempts may fail in all, the first included: 1 means no second attempt.
    pub attempts: u32,
    /// How long to wait before the second attempt.
    pub backoff: Span,
    /// By what the wait grows with each further attempt, at least 1.
    pub factor: f64,
    /// The longest wait between two attempts.
    pub max_backoff: Span,
    /// Which failures are tried again.
    pub on: Vec<FailureClass>,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Span::from_millis(200),
            factor: 2.0,
            max_backoff: Span::from_secs(30),
            on: vec![FailureClass::Exit, FailureClass::Timeout, FailureClass::Start, FailureClass::Output],
        }
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// The program ended with an exit code that was not expected, or by a signal.
    Exit,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The program could not be started, or a file could not be read.
    Start,
    /// The output is not what the task declares: not JSON, not text, or larger than its bound.
    Output,
    /// A check or a validation said no. Trying again would give the same answer unless the world changed.
    Invalid,
}

/// What of a command's output is its result. stderr, times and anything undeclared are never part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultKind {
    /// The exit code: `{ "exit": 0 }`.
    #[default]
    Exit,
    /// What the program wrote to stdout, as text.
    Stdout,
    /// What the program wrote to stdout, parsed as JSON.
    Json,
    /// The files that match these globs below the input folder: `[{ "path", "sha256", "bytes" }]`, by path.
    Files(Vec<String>),
}

/// Runs a program, without a shell, in a process group of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program: a name looked up in `PATH`, or a path.
    pub program: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The directory to run in, relative to the input folder; the input folder itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Environment variables. Besides these the program gets `PATH`, `HOME`, `USER`, `LANG`, `TZ`, `TMPDIR` and the
    /// `STEADFAST_*` variables, and nothing else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// What the program reads from stdin; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The exit codes that count as success; `[0]` when absent.
    #[serde(default = "default_expect_exit")]
    pub expect_exit: Vec<i32>,
    /// How many bytes of stdout are kept, 1 MiB when absent; more fails a task whose result is `stdout` or `json`.
    #[serde(default = "default_output_limit")]
    pub output_limit: u64,
}

/// The value of an environment variable: a literal, or the name of a variable of our own environment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvValue {
    /// This text. Secrets do not belong here; such a literal is refused.
    Literal(String),
    /// What a variable of our own environment holds when the attempt starts.
    From(FromEnv),
}

/// A variable of our own environment. Only its name is ever recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenFromEnv", into = "WrittenFromEnv")]
pub struct FromEnv {
    /// The variable.
    pub from: Variable,
    /// Whether the program simply does not get the variable where ours is not set; otherwise the attempt fails.
    pub optional: bool,
}

/// The name of a variable of our own environment, and whether its value is a secret. It reads as its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name of the variable.
    pub name: String,
    /// Whether its value is taken out of everything that the run writes.
    pub secret: bool,
}

impl From<String> for Variable {
    /// A variable whose value is a secret, as all are unless the goal says otherwise.
    fn from(name: String) -> Self {
        Self { name, secret: true }
    }
}

impl std::ops::Deref for Variable {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

/// A variable of our own environment. Only its name is ever recorded.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "FromEnv")]
struct WrittenFromEnv {
    /// The name of the variable.
    from: String,
    /// Whether the program simply does not get the variable where ours is not set; otherwise the attempt fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    /// Whether the value is a secret, which it is when absent: it is then taken out of everything that the run writes,
    /// where it has at least 8 characters and stands as a whole word. `false` is for paths and the like.
    #[serde(default = "is_secret", skip_serializing_if = "Clone::clone")]
    secret: bool,
}

fn is_secret() -> bool {
    true
}

impl From<WrittenFromEnv> for FromEnv {
    fn from(written: WrittenFromEnv) -> Self {
        Self { from: Variable { name: written.from, secret: written.secret }, optional: written.optional }
    }
}

impl From<FromEnv> for WrittenFromEnv {
    fn from(FromEnv { from, optional }: FromEnv) -> Self {
        Self { from: from.name, optional, secret: from.secret }
    }
}

impl JsonSchema for FromEnv {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenFromEnv::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenFromEnv::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvValueVisitor)
    }
}

/// Written by hand because a derived untagged enum only says that no variant matched.
struct EnvValueVisitor;

impl<'de> serde::de::Visitor<'de> for EnvValueVisitor {
    type Value = EnvValue;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, or { from = \"NAME\" } for a variable of the environment")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EnvValue, E> {
        Ok(EnvValue::Literal(text.to_owned()))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<EnvValue, A::Error> {
        FromEnv::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(EnvValue::From)
    }
}

/// Reads from the input folder. Exactly one of the first four fields is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retrieve {
    /// The paths of the files that match these globs, sorted. `.gitignore` is honoured; `.git`, the state folder and
    /// the report folder are left out. A glob that begins with `!` leaves out what it matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// The content of this file, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The digest of this file, or of this folder with all that is in it: `{ "path", "sha256", "bytes", "files" }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// A value in a JSON or TOML file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueAt>,
    /// How long the answer may come from the retriever's cache; not cached when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Span>,
}

/// A value in a JSON or TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueAt {
    /// The file, relative to the input folder; its ending (`.json`, `.toml`) says how it is read.
    pub file: String,
    /// Where in the file, as a JSON pointer such as `/package/name`; the whole file when absent.
    #[serde(default)]
    pub pointer: String,
}

/// Checks values or files. At least one of `assert`, `schema`, `secrets` and `licences` is set; all must pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The value that `schema` is about; usually a reference to a task's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// A JSON Schema (2020-12) which `value` must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Assertions, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assert: Vec<Assertion>,
    /// Looks for secrets in files. The result names only the place and the kind of each finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Scan>,
    /// Looks for files that no licence covers: no SPDX line or licence text in their first 30 lines, and no
    /// `LICENSE*`, `LICENCE*` or `COPYING*` file in their folder or one above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licences: Option<Scan>,
}

/// A statement about values. `value` and exactly one of the other fields but `message` are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// What the statement is about; usually a reference.
    pub value: Value,
    /// The value is this one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// The value is any but this one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Value>,
    /// The value (a number, or the length of a text or list) is this or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The value (a number, or the length of a text or list) is this or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The text matches this regular expression, anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// The text holds this text, or the list this item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Value>,
    /// What to tell people when the statement does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Which files a scan reads, and what a finding means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// Globs, as in `retrieve.files`.
    pub files: Vec<String>,
    /// What a finding means for the task.
    #[serde(default)]
    pub on_findings: OnFindings,
}

/// What a finding of a scan means for the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFindings {
    /// The task fails.
    #[default]
    Fail,
    /// The task succeeds, and its result lists the findings.
    Report,
}

/// The number of items `for_each` may yield when the task does not say.
pub const DEFAULT_MAX_ITEMS: u32 = 10_000;

/// How many bytes of a command's stdout are kept when the task does not say.
pub const DEFAULT_OUTPUT_LIMIT: u64 = 1 << 20;

/// How long an attempt may take when the task does not say.
pub const DEFAULT_TIMEOUT: Span = Span::from_secs(600);

/// A null that is written (in JSON) is a value, not an absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn default_max_items() -> u32 {
    DEFAULT_MAX_ITEMS
}

fn default_output_limit() -> u64 {
    DEFAULT_OUTPUT_LIMIT
}

fn default_expect_exit() -> Vec<i32> {
    vec![0]
}
