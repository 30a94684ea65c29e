//! No process of a command outlives its run, however the run ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast_orchestration::seam::commands::{
    CommandError, Commands, Completed, Exit, Invocation, OsCommands, STDERR_TAIL,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// How long a test waits for what should happen at once.
const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Invocation {
    let mut invocation = Invocation::new("/bin/sh", "/");
    invocation.args = vec!["-c".into(), script.into()];
    invocation.env = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())]);
    invocation
}

async fn run(script: &str) -> Completed {
    let commands = OsCommands::new();
    let completed = commands.run(shell(script)).await.expect("the shell runs");
    nothing_left(&commands).await;
    completed
}

async fn nothing_left(commands: &OsCommands) {
    timeout(SOON, commands.none_left()).await.expect("a process is left");
}

/// A named pipe whose reader is told when every process that holds it has ended.
struct Witness {
    folder: TempDir,
}

impl Witness {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let this = Self { folder };
        #[expect(clippy::disallowed_methods, reason = "the test makes a pipe for itself")]
        let made = std::process::Command::new("mkfifo").arg(this.path()).status().expect("mkfifo runs");
        assert!(made.success());
        this
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("pipe")
    }

    /// The reading end, once a writer has opened the other.
    async fn open(&self) -> tokio::fs::File {
        tokio::fs::File::open(self.path()).await.expect("the pipe is there")
    }
}

/// What comes through the pipe until its last writer has ended.
async fn rest(mut pipe: tokio::fs::File) -> String {
    let mut text = String::new();
    timeout(SOON, pipe.read_to_string(&mut text)).await.expect("a process still holds the pipe").expect("it is read");
    text
}

#[tokio::test]
async fn a_program_gives_its_exit_and_what_it_wrote() {
    let completed = run("printf out; printf err >&2; exit 3").await;
    assert_eq!(completed.exit, Exit::Code(3));
    assert_eq!(completed.stdout, b"out");
    assert_eq!(completed.stderr_tail, b"err");
    assert_eq!(run("kill -9 $$").await.exit, Exit::Signal(9));
}

#[tokio::test]
async fn a_program_gets_its_environment_and_nothing_else() {
    let commands = OsCommands::new();
    let mut invocation = Invocation::new("env", "/");
    invocation.env = BTreeMap::from([("A".into(), "1".into()), ("PATH".into(), "/usr/bin:/bin".into())]);
    let completed = commands.run(invocation).await.expect("env runs");
    let text = String::from_utf8(completed.stdout).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=1", "PATH=/usr/bin:/bin"]);
}

#[tokio::test]
async fn stdin_is_what_is_given_and_empty_otherwise() {
    let commands = OsCommands::new();
    let mut given = shell("cat");
    given.stdin = Some(b"hello".repeat(100_000));
    given.stdout_limit = 1 << 20;
    assert_eq!(commands.run(given).await.expect("cat runs").stdout.len(), 500_000);
    assert_eq!(run("cat; echo end").await.stdout, b"end\n");
    let mut unread = shell("exit 0");
    unread.stdin = Some(vec![0; 1 << 20]);
    assert_eq!(commands.run(unread).await.expect("it need not be read").exit, Exit::Code(0));
}

#[tokio::test]
async fn output_past_the_limit_is_counted_and_does_not_hold_the_program_up() {
    let commands = OsCommands::new();
    let mut invocation = shell("head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2; printf end >&2");
    invocation.stdout_limit = 1000;
    let completed = commands.run(invocation).await.expect("it runs");
    assert_eq!((completed.stdout.len(), completed.stdout_dropped), (1000, 2_999_000));
    assert_eq!(completed.stderr_tail.len(), STDERR_TAIL);
    assert_eq!(completed.stderr_dropped, 1_000_003 - STDERR_TAIL as u64);
    assert!(completed.stderr_tail.ends_with(b"end"));
}

#[tokio::test]
async fn a_program_that_closes_its_pipes_is_still_waited_for() {
    let witness = Witness::new();
    let script = format!("exec >&- 2>&-; echo lived > '{}'; exit 7", witness.path().display());
    let commands = OsCommands::new();
    let (completed, text) = tokio::join!(commands.run(shell(&script)), async { rest(witness.open().await).await });
    assert_eq!(completed.expect("it runs").exit, Exit::Code(7));
    assert_eq!(text, "lived\n");
}

#[tokio::test]
async fn dropping_a_run_ends_the_program_and_what_it_started() {
    let commands = OsCommands::new();
    let witness = Witness::new();
    let script = format!("exec 3>'{}'; sleep 1000 & sleep 1000 & echo started >&3; wait", witness.path().display());
    let pipe = {
        let run = commands.run(shell(&script));
        let started = async {
            let mut pipe = witness.open().await;
            pipe.read_exact(&mut [0; 8]).await.expect("it started");
            assert_eq!(commands.live(), 1);
            pipe
        };
        tokio::select! {
            biased;
            _ = run => panic!("it waits for long"),
            pipe = started => pipe,
        }
    };
    assert_eq!(rest(pipe).await, "");
    nothing_left(&commands).await;
    assert_eq!(commands.live(), 0);
}

#[tokio::test]
async fn a_timeout_ends_the_program_and_what_it_started() {
    let commands = OsCommands::new();
    let script = "trap '' TERM INT HUP; sleep 1000 & sleep 1000";
    assert!(timeout(Duration::from_millis(50), commands.run(shell(script))).await.is_err());
    nothing_left(&commands).await;
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_it() {
    let commands = OsCommands::new();
    let witness = Witness::new();
    // The straggler holds stdout, stderr and the witness.
    let script = format!("exec 3>'{}'; (trap '' TERM HUP; sleep 1000) & echo done", witness.path().display());
    let run = timeout(SOON, commands.run(shell(&script)));
    let (completed, held) = tokio::join!(run, async { rest(witness.open().await).await });
    let completed = completed.expect("the straggler is not waited for").expect("it runs");
    assert_eq!((completed.exit, completed.stdout.as_slice()), (Exit::Code(0), &b"done\n"[..]));
    assert_eq!(held, "");
    nothing_left(&commands).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_hold_the_run_up() {
    let commands = OsCommands::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let number = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > \"{0}.new\"; mv \"{0}.new\" \"{0}\"; exec sleep 1000' & \
                          while ! test -e '{0}'; do :; done; echo done",
        number.display()
    );
    let completed = timeout(SOON, commands.run(shell(&script))).await.expect("it is not waited for").expect("it runs");
    assert_eq!(completed.stdout, b"done\n");
    nothing_left(&commands).await;
    end_by_number(&number);
}

/// Ends the process that wrote its number into this file.
fn end_by_number(file: &Path) {
    let text = std::fs::read_to_string(file).expect("it wrote its number");
    let pid = rustix::process::Pid::from_raw(text.trim().parse().expect("a number")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lived on, outside of its group");
}

#[tokio::test]
async fn kill_all_ends_every_run() {
    let commands = OsCommands::new();
    let one = commands.run(shell("sleep 1000 & wait"));
    let two = commands.run(shell("sleep 1000"));
    let end = async {
        while commands.live() < 2 {
            tokio::task::yield_now().await;
        }
        commands.kill_all();
    };
    let (one, two, ()) = timeout(SOON, async { tokio::join!(one, two, end) }).await.expect("they end");
    assert_eq!(one.expect("it ran").exit, Exit::Signal(9));
    assert_eq!(two.expect("it ran").exit, Exit::Signal(9));
    nothing_left(&commands).await;
}

#[tokio::test]
async fn a_running_program_is_told_to_be_alive() {
    let commands = OsCommands::new();
    let beats = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&beats);
    let mut invocation = shell("sleep 1000");
    invocation.heartbeat = Some(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    let enough = async {
        while beats.load(Ordering::Relaxed) < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = commands.run(invocation) => panic!("it waits for long"),
        told = timeout(SOON, enough) => told.expect("it is told at least every 100 ms"),
    }
    nothing_left(&commands).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_with_the_remedy() {
    let commands = OsCommands::new();
    let mut invocation = Invocation::new("no-such-program", "/");
    invocation.env = BTreeMap::from([("PATH".into(), "/bin".into())]);
    let error = commands.run(invocation).await.expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "the program `no-such-program` was not found in `PATH`; install it, or put its folder into `PATH`"
    );
    let elsewhere = Invocation::new("/bin/sh", "/no/such/folder");
    let error = commands.run(elsewhere).await.expect_err("there is none");
    assert!(matches!(&error, CommandError::NoDirectory { dir, .. } if dir == "/no/such/folder"), "{error}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("tool"), "text").expect("it is written");
    let error = commands.run(Invocation::new("./tool", folder.path())).await.expect_err("it may not be executed");
    assert!(matches!(error, CommandError::NotExecutable { .. }), "{error}");
    assert_eq!(commands.live(), 0);
}

#[tokio::test]
async fn many_runs_at_once_leave_nothing() {
    let commands = OsCommands::new();
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..40 {
        let commands = commands.clone();
        runs.spawn(async move {
            let script = format!("sleep 1000 & echo {number}");
            let run = commands.run(shell(&script));
            // A third is dropped early, at no certain point.
            if number % 3 == 0 { timeout(Duration::from_millis(number), run).await.ok() } else { Some(run.await) }
        });
    }
    while let Some(ended) = runs.join_next().await {
        if let Some(completed) = ended.expect("no run panics") {
            assert_eq!(completed.expect("it runs").exit, Exit::Code(0));
        }
    }
    nothing_left(&commands).await;
}

#[test]
fn what_is_secret_about_a_run_is_not_shown() {
    let mut invocation = shell("hunter2");
    invocation.env.insert("KEY".into(), "hunter2".into());
    invocation.stdin = Some(b"hunter2".to_vec());
    let completed = Completed::new(Exit::Code(0)).stdout("hunter2").stderr("hunter2");
    assert!(!format!("{invocation:?} {completed:?}").contains("hunter2"));
}
