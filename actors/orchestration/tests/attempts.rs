//! What one attempt of a task gives, and what it says when it fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use steadfast_orchestration::cache::{Bounds, Cache};
use steadfast_orchestration::goal::model::{Command, Condition, EnvValue, FailureClass, ResultKind, Retrieve};
use steadfast_orchestration::redact::{REDACTED, Redactor};
use steadfast_orchestration::seam::commands::{CommandError, Commands, Completed, Exit, Invocation, OsCommands};
use steadfast_orchestration::seam::files::{DiskFiles, Files};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use steadfast_orchestration::work::{Failure, Outcome, Tools, Work, WorkSpec, perform};

fn command(more: &Value) -> Command {
    let mut whole = json!({ "program": "tool" });
    whole.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    serde_json::from_value(whole).expect("it is a command")
}

fn work(command: Command, result: ResultKind) -> Work {
    Work { result, ..Work::new("build", WorkSpec::Command(command)) }
}

fn retrieve(request: Value) -> Work {
    let request: Retrieve = serde_json::from_value(request).expect("it is a request");
    Work::new("read", WorkSpec::Retrieve(request))
}

fn answers(completed: Completed) -> ScriptedCommands {
    ScriptedCommands::new(move |_| Ok(completed.clone()))
}

async fn attempt(work: &Work, files: &dyn Files, commands: &dyn Commands) -> Result<Outcome, Failure> {
    perform(work, Tools::new(files, commands, &Redactor::new())).await
}

async fn done(work: &Work, files: &dyn Files, commands: &dyn Commands) -> Value {
    match attempt(work, files, commands).await.expect("it is done") {
        Outcome::Done { value } => value,
        Outcome::Skipped { reason } => panic!("skipped: {reason}"),
    }
}

async fn failed(work: &Work, files: &dyn Files, commands: &dyn Commands) -> (FailureClass, String) {
    let failure = attempt(work, files, commands).await.expect_err("it fails");
    (failure.class, failure.message)
}

fn ok() -> Completed {
    Completed::new(Exit::Code(0))
}

#[tokio::test]
async fn a_command_gives_what_its_task_declares() {
    let files = MemoryFiles::new().with("out/a", "hello").with("out/b", "").with("in", "");
    let tool = command(&json!({}));
    let commands = answers(ok().stdout("{\"n\": 1}\n").stderr("noise"));
    assert_eq!(done(&work(tool.clone(), ResultKind::Exit), &files, &commands).await, json!({ "exit": 0 }));
    assert_eq!(done(&work(tool.clone(), ResultKind::Stdout), &files, &commands).await, json!("{\"n\": 1}\n"));
    assert_eq!(done(&work(tool.clone(), ResultKind::Json), &files, &commands).await, json!({ "n": 1 }));
    let written = ResultKind::Files(vec!["out/*".into()]);
    assert_eq!(
        done(&work(tool, written), &files, &commands).await,
        json!([
            { "path": "out/a", "bytes": 5, "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
            { "path": "out/b", "bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        ])
    );
}

#[tokio::test]
async fn a_command_gets_our_base_its_own_and_the_variables_of_the_attempt() {
    let tool = command(&json!({
        "args": ["--all"], "dir": "sub", "stdin": "text", "output_limit": 9,
        "env": { "LEVEL": "3", "KEY": { "from": "OURS" }, "NONE": { "from": "UNSET", "optional": true } },
    }));
    let commands = ScriptedCommands::new(|invocation| {
        assert_eq!((invocation.program.as_str(), invocation.args.as_slice()), ("tool", &["--all".to_owned()][..]));
        assert_eq!(invocation.dir.to_str(), Some("/sub"));
        assert_eq!((invocation.stdin.as_deref(), invocation.stdout_limit), (Some(&b"text"[..]), 9));
        let expected = [
            ("HOME", "/home/ann"),
            ("KEY", "hunter22"),
            ("LEVEL", "3"),
            ("PATH", "/bin"),
            ("STEADFAST_ATTEMPT", "2"),
            ("STEADFAST_IDEMPOTENCY_KEY", "r1/build"),
            ("STEADFAST_RUN", "r1"),
            ("STEADFAST_TASK", "build"),
        ];
        assert_eq!(invocation.env, BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
        Ok(ok())
    })
    .variable("PATH", "/bin")
    .variable("HOME", "/home/ann")
    .variable("OTHER", "x")
    .variable("OURS", "hunter22");
    let work = Work { run: "r1".into(), key: "r1/build".into(), attempt: 2, ..work(tool, ResultKind::Exit) };
    done(&work, &MemoryFiles::new().with("sub/x", ""), &commands).await;
}

#[tokio::test]
async fn the_value_of_a_variable_is_in_nothing_that_leaves() {
    let tool = command(&json!({ "env": { "KEY": { "from": "OURS" } } }));
    let telling = |exit: Exit| {
        answers(Completed::new(exit).stdout("{\"a\": \"it is corr3ct horse\"}").stderr("no: corr3ct horse"))
            .variable("OURS", "corr3ct horse")
    };
    for result in [ResultKind::Stdout, ResultKind::Json] {
        let value = done(&work(tool.clone(), result), &MemoryFiles::new(), &telling(Exit::Code(0))).await;
        assert!(value.to_string().contains(REDACTED) && !value.to_string().contains("corr3ct"), "{value}");
    }
    let (_, message) = failed(&work(tool, ResultKind::Exit), &MemoryFiles::new(), &telling(Exit::Code(1))).await;
    assert!(message.ends_with("no: ***REDACTED***"), "{message}");
}

#[tokio::test]
async fn the_value_of_a_variable_that_is_no_secret_stays_as_it_is() {
    let tool = command(&json!({ "env": { "HOME_OF_IT": { "from": "OURS", "secret": false } } }));
    let commands = answers(Completed::new(Exit::Code(0)).stdout("in /opt/tools")).variable("OURS", "/opt/tools");
    let value = done(&work(tool, ResultKind::Stdout), &MemoryFiles::new(), &commands).await;
    assert_eq!(value, "in /opt/tools");
}

#[tokio::test]
async fn a_variable_that_is_not_set_fails_before_anything_runs() {
    let tool = command(&json!({ "env": { "KEY": { "from": "UNSET" } } }));
    let commands = ScriptedCommands::new(|_| panic!("nothing runs"));
    let (class, message) = failed(&work(tool, ResultKind::Exit), &MemoryFiles::new(), &commands).await;
    assert_eq!(class, FailureClass::Start);
    assert_eq!(
        message,
        "the environment variable `UNSET`, which `KEY` is taken from, is not set; set it for steadfast itself, or mark \
         it `optional = true`"
    );
}

#[tokio::test]
async fn an_exit_that_was_not_expected_fails_with_the_end_of_stderr() {
    let lines: Vec<String> = (0..1000).map(|number| format!("line {number} token=abc123\n")).collect();
    let commands = answers(Completed::new(Exit::Code(2)).stderr(lines.concat()));
    let tool = command(&json!({ "expect_exit": [0, 1] }));
    let (class, message) = failed(&work(tool, ResultKind::Exit), &MemoryFiles::new(), &commands).await;
    assert_eq!(class, FailureClass::Exit);
    assert!(message.starts_with("`tool` ended with exit code 2, expected exit code 0 or 1; "), "{message}");
    assert!(message.contains("stderr ends with:\nline 980 token=***REDACTED***\n"), "{message}");
    assert!(message.ends_with("line 999 token=***REDACTED***") && message.len() < 3000, "{message}");
    let expected = command(&json!({ "expect_exit": [2] }));
    assert_eq!(done(&work(expected, ResultKind::Exit), &MemoryFiles::new(), &commands).await, json!({ "exit": 2 }));
    let killed = answers(Completed::new(Exit::Signal(9)));
    let (class, message) = failed(&work(command(&json!({})), ResultKind::Exit), &MemoryFiles::new(), &killed).await;
    assert_eq!(class, FailureClass::Exit);
    assert!(message.starts_with("`tool` ended with signal 9") && message.ends_with("it wrote nothing to stderr"));
}

#[tokio::test]
async fn half_a_secret_at_the_cut_of_stderr_is_not_told() {
    let mut completed = Completed::new(Exit::Code(1)).stderr("EXAMPLEKEY1234\nthe end");
    completed.stderr_dropped = 10;
    let (_, message) =
        failed(&work(command(&json!({})), ResultKind::Exit), &MemoryFiles::new(), &answers(completed)).await;
    assert!(message.ends_with("stderr ends with:\nthe end"), "{message}");
}

#[tokio::test]
async fn output_that_is_not_what_was_declared_fails() {
    let files = MemoryFiles::new();
    let mut cut = ok().stdout("abc");
    cut.stdout_dropped = 10;
    let cases = [
        (ok().stdout(b"a\xff".to_vec()), ResultKind::Stdout, "is not UTF-8 at byte 1"),
        (ok().stdout("{}\n{}"), ResultKind::Json, "is not JSON: trailing characters at line 2 column 1"),
        (cut.clone(), ResultKind::Stdout, "wrote 13 bytes to stdout, more than its `output_limit`"),
    ];
    for (completed, result, expected) in cases {
        let (class, message) = failed(&work(command(&json!({})), result), &files, &answers(completed)).await;
        assert_eq!(class, FailureClass::Output);
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(done(&work(command(&json!({})), ResultKind::Exit), &files, &answers(cut)).await, json!({ "exit": 0 }));
}

#[tokio::test]
async fn a_program_that_does_not_start_is_a_failure_to_start() {
    let commands = ScriptedCommands::new(|Invocation { program, .. }| {
        Err(CommandError::NoProgram { program, path: "/bin".into() })
    });
    let (class, message) = failed(&work(command(&json!({})), ResultKind::Exit), &MemoryFiles::new(), &commands).await;
    assert_eq!(class, FailureClass::Start);
    assert!(message.contains("install it"), "{message}");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_ends_with_everything_it_started() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = DiskFiles::open(folder.path()).expect("it is there");
    let commands = OsCommands::new();
    let shell = command(&json!({ "program": "/bin/sh", "args": ["-c", "sleep 1000 & sleep 1000"] }));
    let work = Work { timeout: Duration::from_millis(50), ..work(shell, ResultKind::Exit) };
    let (class, message) = failed(&work, &files, &commands).await;
    assert_eq!(class, FailureClass::Timeout);
    assert!(message.contains("longer than its timeout of 50ms"), "{message}");
    tokio::time::timeout(Duration::from_secs(20), commands.none_left()).await.expect("a process is left");
}

#[tokio::test]
async fn a_real_program_runs_in_its_folder_with_the_key_of_its_attempt() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("sub")).expect("it is made");
    let files = DiskFiles::open(folder.path()).expect("it is there");
    let script = "printf '\"%s %s\"' \"$(basename \"$PWD\")\" \"$STEADFAST_IDEMPOTENCY_KEY\"; echo x > made";
    let shell = command(&json!({ "program": "sh", "args": ["-c", script], "dir": "sub" }));
    let commands = OsCommands::new();
    assert_eq!(done(&work(shell.clone(), ResultKind::Json), &files, &commands).await, json!("sub build"));
    let value = done(&work(shell, ResultKind::Files(vec!["**".into()])), &files, &commands).await;
    assert_eq!(value[0]["path"], json!("sub/made"));
    let outside = command(&json!({ "dir": "../" }));
    assert_eq!(failed(&work(outside, ResultKind::Exit), &files, &commands).await.0, FailureClass::Invalid);
}

#[tokio::test]
async fn a_task_whose_condition_does_not_hold_is_skipped_with_the_reason() {
    let files = MemoryFiles::new().with("Cargo.toml", "");
    let condition = |exists: Option<&str>, missing: Option<&str>| {
        Some(Condition {
            exists: exists.map(str::to_owned),
            missing: missing.map(str::to_owned),
            ..Condition::default()
        })
    };
    let cases = [
        (condition(Some("Cargo.toml"), None), None),
        (condition(None, Some(".git")), None),
        (condition(Some(".git"), None), Some("`.git` does not exist in the input folder")),
        (condition(None, Some("Cargo.toml")), Some("`Cargo.toml` exists in the input folder")),
    ];
    for (when, reason) in cases {
        let work = Work { when, ..Work::new("t", WorkSpec::Collect(json!({ "token": "x", "n": 1 }))) };
        let expected = match reason {
            Some(reason) => Outcome::Skipped { reason: reason.into() },
            None => Outcome::Done { value: json!({ "token": REDACTED, "n": 1 }) },
        };
        assert_eq!(attempt(&work, &files, &answers(ok())).await.expect("it ends well"), expected);
    }
}

#[tokio::test]
async fn retrieve_gives_files_content_digests_and_values() {
    let files = MemoryFiles::new()
        .with("Cargo.toml", "[package]\nname = \"x\"\nday = 2026-01-02\n")
        .with("a.json", "{ \"list\": [{ \"a/b\": 7 }], \"password\": \"x\" }")
        .with("src/a.rs", "hello");
    let commands = answers(ok());
    let cases = [
        (json!({ "files": ["**", "!*.json"] }), json!(["Cargo.toml", "src/a.rs"])),
        (json!({ "content": "src/a.rs" }), json!("hello")),
        (json!({ "value": { "file": "Cargo.toml", "pointer": "/package/name" } }), json!("x")),
        (json!({ "value": { "file": "Cargo.toml" } }), json!({ "package": { "name": "x", "day": "2026-01-02" } })),
        (json!({ "value": { "file": "a.json", "pointer": "/list/0/a~1b" } }), json!(7)),
        (json!({ "value": { "file": "a.json" } }), json!({ "list": [{ "a/b": 7 }], "password": REDACTED })),
    ];
    for (request, expected) in cases {
        assert_eq!(done(&retrieve(request), &files, &commands).await, expected);
    }
    let digest = done(&retrieve(json!({ "digest": "src" })), &files, &commands).await;
    assert_eq!((&digest["path"], &digest["bytes"], &digest["files"]), (&json!("src"), &json!(5), &json!(1)));
}

#[tokio::test]
async fn a_request_that_cannot_be_met_says_why_and_what_is_there() {
    let files = MemoryFiles::new()
        .with("a.json", "{ \"b\": { \"x\": 1, \"c\": [1, 2] } }")
        .with("bad.json", "{ \"password\": \"hunter2\" ")
        .with("bad.toml", "a = 1\npassword = \"hunter2\nb = 2\n")
        .with("image.png", vec![b'P', 0xff])
        .with("a.yaml", "");
    let cases = [
        (
            json!({ "value": { "file": "a.json", "pointer": "/b/d/e" } }),
            FailureClass::Output,
            "`/b/d/e` is not in `a.json`; `/b` has the keys c, x",
        ),
        (
            json!({ "value": { "file": "a.json", "pointer": "/b/c/2" } }),
            FailureClass::Output,
            "`/b/c` is a list of 2 items",
        ),
        (
            json!({ "value": { "file": "a.json", "pointer": "/y" } }),
            FailureClass::Output,
            "the whole of it has the keys b",
        ),
        (json!({ "value": { "file": "a.json", "pointer": "y" } }), FailureClass::Invalid, "it begins with `/`"),
        (json!({ "value": { "file": "a.yaml" } }), FailureClass::Invalid, "neither `.json` nor `.toml`"),
        (json!({ "value": { "file": "bad.json" } }), FailureClass::Output, "`bad.json` is not JSON: EOF"),
        (json!({ "value": { "file": "bad.toml" } }), FailureClass::Output, "`bad.toml` is not TOML"),
        (json!({ "content": "image.png" }), FailureClass::Output, "is not UTF-8 at byte 1"),
        (json!({ "content": "none" }), FailureClass::Start, "`none` does not exist"),
        (json!({ "files": ["!x"] }), FailureClass::Invalid, "add `**` for all"),
        (json!({}), FailureClass::Invalid, "nothing says what to retrieve"),
    ];
    for (request, class, expected) in cases {
        let (found, message) = failed(&retrieve(request), &files, &answers(ok())).await;
        assert_eq!(found, class, "{message}");
        assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn retrieve_looks_into_the_cache_where_the_task_allows_it() {
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let cache = Cache::new(Bounds::default(), Arc::new(|| *BEGIN));
    let (redactor, commands) = (Redactor::new(), answers(ok()));
    let read = async |request: Value, files: &MemoryFiles| {
        let tools = Tools::new(files, &commands, &redactor).cache(&cache);
        perform(&retrieve(request), tools).await.expect("it is done")
    };
    let (old, new) = (MemoryFiles::new().with("a", "old"), MemoryFiles::new().with("a", "new"));
    let told = |text: &str| Outcome::Done { value: json!(text) };
    assert_eq!(read(json!({ "content": "a", "cache": cached() }), &old).await, told("old"));
    assert_eq!(read(json!({ "content": "a", "cache": cached() }), &new).await, told("old"));
    assert_eq!(read(json!({ "content": "a" }), &new).await, told("new"));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (1, 1));
}

/// A minute, as the goal file writes it.
fn cached() -> Value {
    serde_json::to_value(steadfast_orchestration::goal::span::Span::from_secs(60)).expect("a span is a value")
}

#[tokio::test]
async fn an_attempt_that_reads_many_files_tells_that_it_gets_on() {
    let files = (0..5).fold(MemoryFiles::new(), |files, number| files.with(&format!("{number}"), ""));
    let beats = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&beats);
    let heartbeat: steadfast_orchestration::seam::commands::Heartbeat = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let (redactor, commands) = (Redactor::new(), answers(ok()));
    let tools = Tools::new(&files, &commands, &redactor).heartbeat(&heartbeat);
    perform(&work(command(&json!({})), ResultKind::Files(vec!["*".into()])), tools).await.expect("it is done");
    assert_eq!(beats.load(Ordering::Relaxed), 5);
}

#[test]
fn a_literal_is_no_variable() {
    let tool = command(&json!({ "env": { "A": "x" } }));
    assert_eq!(tool.env["A"], EnvValue::Literal("x".into()));
}
