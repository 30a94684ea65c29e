//! Runs the program of a task.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Failure, Tools, Work, chain, show};
use crate::goal::model::{Command, EnvValue, FailureClass, FromEnv, ResultKind};
use crate::redact::Redactor;
use crate::seam::commands::{Commands, Completed, Exit, Invocation};
use crate::seam::files::Globs;

/// How many lines of stderr a message shows.
const STDERR_LINES: usize = 20;

/// How many bytes of stderr a message shows.
const STDERR_BYTES: usize = 2 * 1024;

/// The values of the variables that the command takes from our environment, but for those that are marked as no secrets.
pub(super) fn variables(command: &Command, commands: &dyn Commands) -> Vec<String> {
    command.env.values().filter_map(|value| variable(value, commands)).collect()
}

fn variable(value: &EnvValue, commands: &dyn Commands) -> Option<String> {
    match value {
        EnvValue::From(ours) if ours.from.secret => commands.variable(&ours.from),
        EnvValue::From(_) | EnvValue::Literal(_) => None,
    }
}

/// Runs the program, and gives what the task declares as its result.
pub(super) async fn run(work: &Work, command: &Command, tools: Tools<'_>) -> Result<Value, Failure> {
    // Read before anything runs: a glob that cannot be read is no reason to run a program.
    let globs = match &work.result {
        ResultKind::Files(globs) => Some(Globs::parse(globs)?),
        _ => None,
    };
    let mut invocation =
        Invocation::new(&command.program, tools.files.folder(command.dir.as_deref().unwrap_or("")).await?);
    invocation.args.clone_from(&command.args);
    invocation.env = environment(work, command, tools.commands)?;
    invocation.stdin = command.stdin.as_ref().map(|text| text.clone().into_bytes());
    invocation.stdout_limit = command.output_limit;
    invocation.heartbeat = tools.heartbeat.cloned();
    let run = tools.commands.run(invocation).await;
    let completed = run.map_err(|error| Failure::new(FailureClass::Start, chain(&error)))?;
    let code = expected(command, &completed, tools.redactor)?;
    match (&work.result, globs) {
        (ResultKind::Files(_), Some(globs)) => digests(&globs, tools).await,
        (ResultKind::Stdout, _) => text(command, completed).map(Value::String),
        (ResultKind::Json, _) => parsed(command, completed),
        (ResultKind::Exit | ResultKind::Files(_), _) => Ok(json!({ "exit": code })),
    }
}

fn environment(work: &Work, command: &Command, commands: &dyn Commands) -> Result<BTreeMap<String, String>, Failure> {
    let mut environment = commands.base_environment();
    for (name, value) in &command.env {
        let value = match value {
            EnvValue::Literal(text) => text.clone(),
            EnvValue::From(FromEnv { from, optional }) => match commands.variable(from) {
                Some(text) => text,
                None if *optional => continue,
                None => {
                    let message = format!(
                        "the environment variable `{from}`, which `{name}` is taken from, is not set; set it for \
                         steadfast itself, or mark it `optional = true`"
                    );
                    return Err(Failure::new(FailureClass::Start, message));
                }
            },
        };
        environment.insert(name.clone(), value);
    }
    let ours = [
        ("STEADFAST_RUN", work.run.clone()),
        ("STEADFAST_TASK", work.task.clone()),
        ("STEADFAST_ATTEMPT", work.attempt.to_string()),
        ("STEADFAST_IDEMPOTENCY_KEY", work.key.clone()),
    ];
    environment.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    Ok(environment)
}

/// The exit code, if it is one that counts as success.
fn expected(command: &Command, completed: &Completed, redactor: &Redactor) -> Result<i32, Failure> {
    if let Exit::Code(code) = completed.exit
        && command.expect_exit.contains(&code)
    {
        return Ok(code);
    }
    let codes: Vec<String> = command.expect_exit.iter().map(i32::to_string).collect();
    let stderr = stderr(completed, redactor);
    let told = if stderr.is_empty() {
        "it wrote nothing to stderr".to_owned()
    } else {
        format!("stderr ends with:\n{stderr}")
    };
    let message = format!(
        "`{}` ended with {}, expected exit code {}; repair what it complains about, or add the code to `expect_exit`; {told}",
        command.program,
        completed.exit,
        codes.join(" or ")
    );
    Err(Failure::new(FailureClass::Exit, message))
}

/// The end of stderr, redacted while it is still whole lines.
fn stderr(completed: &Completed, redactor: &Redactor) -> String {
    let mut bytes = completed.stderr_tail.as_slice();
    if completed.stderr_dropped > 0 {
        // The first line has lost its beginning, and half of a secret is not recognised any more.
        let whole = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| newline + 1);
        bytes = &bytes[whole..];
    }
    let text = String::from_utf8_lossy(bytes);
    show::tail(&redactor.text(&text), STDERR_LINES, STDERR_BYTES).to_owned()
}

fn text(command: &Command, completed: Completed) -> Result<String, Failure> {
    if completed.stdout_dropped > 0 {
        let written = completed.stdout.len() as u64 + completed.stdout_dropped;
        return Err(Failure::output(format!(
            "`{}` wrote {written} bytes to stdout, more than its `output_limit` of {}; raise the limit, or write a file \
             and declare `result = {{ files = [..] }}`",
            command.program, command.output_limit
        )));
    }
    String::from_utf8(completed.stdout).map_err(|error| {
        Failure::output(format!(
            "what `{}` wrote to stdout is not UTF-8 at byte {}; write a file and declare `result = {{ files = [..] }}`",
            command.program,
            error.utf8_error().valid_up_to()
        ))
    })
}

fn parsed(command: &Command, completed: Completed) -> Result<Value, Failure> {
    let text = text(command, completed)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::output(format!(
            "what `{}` wrote to stdout is not JSON: {error}; write one JSON value and nothing else, or declare \
             `result = \"stdout\"`",
            command.program
        ))
    })
}

async fn digests(globs: &Globs, tools: Tools<'_>) -> Result<Value, Failure> {
    let mut found = Vec::new();
    for path in tools.files.list(globs).await? {
        tools.beat();
        let digest = tools.files.digest(&path).await?;
        found.push(json!({ "path": path, "sha256": digest.sha256, "bytes": digest.bytes }));
    }
    Ok(Value::Array(found))
}
