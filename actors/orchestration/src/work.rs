//! Performs one attempt of a task whose references are all resolved.
//!
//! Plain functions over the seams: no agent, no mailbox, no retry. [`perform`] takes a [`Work`] and gives an
//! [`Outcome`] or a [`Failure`]; who leases the task and what follows from the answer is decided elsewhere.
//!
//! # Invariants
//!
//! * What leaves, values and messages alike, is redacted, also of the environment variables this attempt read.
//! * A result can be recorded and read back: it is at most 8 MiB of JSON, nested at most 100 levels deep.
//! * When the future is dropped, or the time is up, nothing the attempt started is left running.

pub(crate) mod bound;
mod check;
mod command;
mod licences;
mod retrieve;
pub mod schema;
mod show;
pub mod validate;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::Cache;
use crate::goal::model::{Check, Command, Condition, DEFAULT_TIMEOUT, FailureClass, ResultKind, Retrieve};
use crate::redact::Redactor;
use crate::seam::commands::{Commands, Heartbeat};
use crate::seam::files::{Files, FilesError};

/// One attempt of a task. No string in it holds a reference any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The run it belongs to.
    pub run: String,
    /// The task, with its item if it was fanned out.
    pub task: String,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// The idempotency key, the same for every attempt of this task in this run.
    pub key: String,
    /// What is to be done.
    pub spec: WorkSpec,
    /// What of a command's output is the result.
    pub result: ResultKind,
    /// When it is to be done at all.
    pub when: Option<Condition>,
    /// How long the attempt may take.
    pub timeout: Duration,
}

impl Work {
    /// The first attempt of a task, in a run of no name, with [`DEFAULT_TIMEOUT`].
    #[must_use]
    pub fn new(task: impl Into<String>, spec: WorkSpec) -> Self {
        let task = task.into();
        Self {
            run: String::new(),
            key: task.clone(),
            task,
            attempt: 1,
            spec,
            result: ResultKind::Exit,
            when: None,
            timeout: DEFAULT_TIMEOUT.duration(),
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkSpec {
    /// Runs a program.
    Command(Command),
    /// Reads from the input folder.
    Retrieve(Retrieve),
    /// Checks values or files.
    Check(Check),
    /// Gives this value.
    Collect(Value),
}

/// How an attempt went well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The task is done.
    Done {
        /// Its result, redacted.
        value: Value,
    },
    /// The task was not to be done here.
    Skipped {
        /// Why, for people.
        reason: String,
    },
}

/// How an attempt went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is, which decides whether it is tried again.
    pub class: FailureClass,
    /// Why, and what to do; redacted.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

impl Failure {
    /// A failure of this class.
    #[must_use]
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Invalid, message)
    }

    fn output(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Output, message)
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        let class = match error {
            FilesError::TooLarge { .. } => FailureClass::Output,
            FilesError::Escapes { .. } | FilesError::Glob { .. } | FilesError::NoGlob => FailureClass::Invalid,
            _ => FailureClass::Start,
        };
        Self::new(class, chain(&error))
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// What an attempt works with.
#[derive(Clone, Copy)]
pub struct Tools<'t> {
    /// The input folder.
    pub files: &'t dyn Files,
    /// The programs.
    pub commands: &'t dyn Commands,
    /// What secrets look like, and those already known.
    pub redactor: &'t Redactor,
    /// Where `retrieve` with `cache` looks first; without it, it always reads.
    pub cache: Option<&'t Cache>,
    /// Told, at least every 100 milliseconds or at each file, that the attempt gets on.
    pub heartbeat: Option<&'t Heartbeat>,
}

impl fmt::Debug for Tools<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("root", &self.files.root()).finish_non_exhaustive()
    }
}

impl<'t> Tools<'t> {
    /// These files and commands, with no cache and no heartbeat.
    #[must_use]
    pub fn new(files: &'t dyn Files, commands: &'t dyn Commands, redactor: &'t Redactor) -> Self {
        Self { files, commands, redactor, cache: None, heartbeat: None }
    }

    /// Looks into this cache first.
    #[must_use]
    pub fn cache(self, cache: &'t Cache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Tells that the attempt gets on.
    #[must_use]
    pub fn heartbeat(self, heartbeat: &'t Heartbeat) -> Self {
        Self { heartbeat: Some(heartbeat), ..self }
    }

    fn beat(&self) {
        if let Some(heartbeat) = self.heartbeat {
            heartbeat();
        }
    }
}

/// Performs one attempt.
///
/// # Errors
///
/// Returns the [`Failure`] of this attempt; whether there is another one is not decided here.
///
/// # Cancel safety
///
/// Dropping the future ends the attempt: its program and everything in its process group is killed at once.
pub async fn perform(work: &Work, tools: Tools<'_>) -> Result<Outcome, Failure> {
    let redactor = secrets_of(work, tools);
    let told = Tools { redactor: &redactor, ..tools };
    let ended = tokio::time::timeout(work.timeout, attempt(work, told)).await;
    match ended.unwrap_or_else(|_| Err(too_slow(work))) {
        Ok(Outcome::Done { value }) => done(&value, &redactor),
        Ok(Outcome::Skipped { reason }) => Ok(Outcome::Skipped { reason: redactor.text(&reason).into_owned() }),
        Err(Failure { class, message }) => Err(Failure { class, message: redactor.text(&message).into_owned() }),
    }
}

/// The result without secrets, if it can be recorded.
fn done(value: &Value, redactor: &Redactor) -> Result<Outcome, Failure> {
    // What is far too large is not even searched for secrets; what they are replaced by may be longer than they are.
    bound::bounded(value)?;
    let value = redactor.value(value);
    bound::bounded(&value)?;
    Ok(Outcome::Done { value })
}

/// The redactor that also knows the variables which this attempt reads.
fn secrets_of(work: &Work, tools: Tools<'_>) -> Redactor {
    match &work.spec {
        WorkSpec::Command(command) => tools.redactor.with_literals(command::variables(command, tools.commands)),
        _ => tools.redactor.clone(),
    }
}

fn too_slow(work: &Work) -> Failure {
    let message = format!(
        "the attempt took longer than its timeout of {:?} and was ended; raise `timeout`, or look for what it waits for",
        work.timeout
    );
    Failure::new(FailureClass::Timeout, message)
}

async fn attempt(work: &Work, tools: Tools<'_>) -> Result<Outcome, Failure> {
    if let Some(reason) = reason_to_skip(work.when.as_ref(), tools).await? {
        return Ok(Outcome::Skipped { reason });
    }
    let value = match &work.spec {
        WorkSpec::Command(command) => command::run(work, command, tools).await?,
        WorkSpec::Retrieve(request) => retrieve::retrieve(request, tools).await?,
        WorkSpec::Check(check) => check::check(check, tools).await?,
        WorkSpec::Collect(value) => value.clone(),
    };
    Ok(Outcome::Done { value })
}

async fn reason_to_skip(condition: Option<&Condition>, tools: Tools<'_>) -> Result<Option<String>, Failure> {
    let Some(condition) = condition else { return Ok(None) };
    if let Some(path) = &condition.exists
        && !tools.files.exists(path).await?
    {
        return Ok(Some(format!("`{path}` does not exist in the input folder")));
    }
    if let Some(path) = &condition.missing
        && tools.files.exists(path).await?
    {
        return Ok(Some(format!("`{path}` exists in the input folder")));
    }
    match condition.assertion() {
        Some(assertion) => check::does_not_hold(&assertion, tools.redactor),
        None => Ok(None),
    }
}
