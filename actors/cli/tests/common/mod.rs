//! Drives the real program in a folder of its own.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "the real program and the real clock are what is tested")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything outside is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with an input folder and a goal in it.
pub(crate) struct World {
    folder: TempDir,
}

/// A program under way.
pub(crate) struct Running<'w> {
    world: &'w World,
    child: Child,
    /// The files that have what it says.
    said: (String, String),
}

/// A program that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: Option<String>,
    pub(crate) page: Option<String>,
}

impl World {
    /// A world with this goal in TOML, where `@` stands for this world's own mark.
    pub(crate) fn new(goal: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(world.input()).expect("an input folder");
        std::fs::write(world.goal(), goal.replace('@', &world.mark())).expect("a goal");
        world
    }

    pub(crate) fn goal(&self) -> PathBuf {
        self.folder.path().join("goal.toml")
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.folder.path().join("input")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.folder.path().join("report")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Every file below the folder of the runs, with its bytes.
    pub(crate) fn kept(&self) -> Vec<(String, Vec<u8>)> {
        let (mut found, mut folders) = (Vec::new(), vec![self.state()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default())),
                }
            }
        }
        found
    }

    /// What came of another verb with these arguments, on this world's folder of runs.
    pub(crate) fn verb(&self, args: &[&str]) -> Ended {
        self.verb_with(args, &[])
    }

    /// The same, with these variables in the environment.
    pub(crate) fn verb_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = self.on_state(args);
        command.envs(variables.iter().copied());
        Ended::of(&command.output().expect("the program runs"))
    }

    /// Goes on with runs: `resume` with these arguments.
    pub(crate) fn resume(&self, args: &[&str]) -> Ended {
        let mut command = self.on_state(&["resume"]);
        command.args(args).arg("--report").arg(self.report());
        Ended::of(&command.output().expect("the program runs"))
    }

    /// Leaves the goal with whoever serves the folder, and returns what came of that.
    pub(crate) fn detach(&self, more: &[&str]) -> Ended {
        let mut command = self.on_state(&["run", "--detach"]);
        command.arg(self.goal()).arg("--input").arg(self.input()).args(more);
        Ended::of(&command.output().expect("the program runs"))
    }

    /// Leaves the goal with whoever serves the folder, and returns the run that it becomes.
    #[track_caller]
    pub(crate) fn detached(&self, more: &[&str]) -> String {
        let left = self.detach(more);
        let run = left.stdout.trim().strip_prefix("run ").map(str::to_owned);
        assert_eq!(left.code, Some(0), "{left:#?}");
        run.unwrap_or_else(|| panic!("it says no run: {left:#?}"))
    }

    /// Starts another verb with these arguments.
    pub(crate) fn begin(&self, args: &[&str]) -> Running<'_> {
        self.begun(self.on_state(args), args[0])
    }

    /// Writes a file beside the goal.
    pub(crate) fn beside(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).expect("a file");
    }

    fn on_state(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.args(args).arg("--state").arg(self.state()).stdin(Stdio::null());
        command
    }

    /// A text that is in the environment of every command whose goal says `MARK = "@"`, and nowhere else.
    pub(crate) fn mark(&self) -> String {
        format!("mark-{}", self.folder.path().file_name().expect("a name").display())
    }

    /// Writes a file of the input folder.
    pub(crate) fn file(&self, name: &str, content: &str) {
        std::fs::write(self.input().join(name), content).expect("a file");
    }

    /// What a file of the input folder holds.
    pub(crate) fn content(&self, name: &str) -> String {
        std::fs::read_to_string(self.input().join(name)).unwrap_or_default()
    }

    /// Runs the goal to its end, beside one that is under way.
    pub(crate) fn run_beside(&self, more: &[&str]) -> Ended {
        Ended::of(&self.command(more).output().expect("the program runs"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.input().join(name).exists()
    }

    /// The processes that carry the mark, dead ones not counted.
    pub(crate) fn processes(&self) -> Vec<String> {
        let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
        let mark = self.mark();
        let marked = processes.flatten().filter(|process| {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|part| part == mark.as_bytes())
        });
        marked.map(|process| process.file_name().display().to_string()).collect()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = program();
        command.arg("run").arg(self.goal()).arg("--input").arg(self.input()).arg("--report").arg(self.report());
        // Tests run beside each other, and only one process at a time may use such a folder.
        command.arg("--state").arg(self.state());
        command.args(more);
        command
    }

    /// Runs the goal to its end.
    pub(crate) fn run(&self, more: &[&str]) -> Ended {
        self.run_with(more, &[])
    }

    /// Runs the goal to its end, with these variables in the environment.
    pub(crate) fn run_with(&self, more: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = self.command(more);
        command.envs(variables.iter().copied());
        self.begun(command, "run").end()
    }

    /// Starts running the goal.
    pub(crate) fn start(&self, more: &[&str]) -> Running<'_> {
        self.begun(self.command(more), "run")
    }

    fn begun(&self, mut command: Command, name: &str) -> Running<'_> {
        let file = |name: &str| File::create(self.folder.path().join(name)).expect("a file");
        let said = (format!("{name}.stdout"), format!("{name}.stderr"));
        command.stdin(Stdio::null()).stdout(file(&said.0)).stderr(file(&said.1));
        Running { world: self, child: command.spawn().expect("the program starts"), said }
    }

    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = std::fs::read(self.folder.path().join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Running<'_> {
    /// Waits until the command of a task has made this file.
    pub(crate) fn until_file(&self, name: &str) {
        until(&format!("the file {name}"), || self.world.exists(name));
    }

    /// Waits until the program has said this on stderr.
    pub(crate) fn until_said(&self, text: &str) {
        until(text, || self.world.read(&self.said.1).is_some_and(|stderr| stderr.contains(text)));
    }

    /// Waits until the program has printed this on stdout.
    pub(crate) fn until_printed(&self, text: &str) {
        until(text, || self.world.read(&self.said.0).is_some_and(|stdout| stdout.contains(text)));
    }

    pub(crate) fn send(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the program is there");
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let mut status: Option<ExitStatus> = None;
        until("the end of the program", || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        let said = |name: &str| self.world.read(name).unwrap_or_default();
        Ended {
            code: status.and_then(|status| status.code()),
            stdout: said(&self.said.0),
            stderr: said(&self.said.1),
            report: self.world.read("report/report.json"),
            page: self.world.read("report/report.md"),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // A test that failed leaves no program behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { code: output.status.code(), stdout, stderr, report: None, page: None }
    }

    /// Fails unless it ended with this status and said all of this.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in texts {
            assert!(self.stdout.contains(text) || self.stderr.contains(text), "{text}: {self:#?}");
        }
    }

    /// The one object on stdout.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let object: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        for key in ["tasks", "restarts"] {
            assert!(object[key]["total"].is_u64(), "{key}: {self:#?}");
        }
        for key in ["reissued", "lost", "completed_rerun", "agents_used", "elapsed_ms"] {
            assert!(object[key].is_u64(), "{key}: {self:#?}");
        }
        assert!(object["status"].is_string() && object["errors"].is_array(), "{self:#?}");
        assert!(object.get("result_digest").is_some(), "{self:#?}");
        object
    }

    /// The exit status and the word for it.
    #[track_caller]
    pub(crate) fn check(&self, code: i32, status: &str) -> Value {
        let object = self.object();
        assert_eq!((self.code, object["status"].as_str()), (Some(code), Some(status)), "{self:#?}");
        object
    }

    /// Everything that was written.
    pub(crate) fn written(&self) -> [(&'static str, &str); 4] {
        let report = self.report.as_deref().unwrap_or_default();
        let page = self.page.as_deref().unwrap_or_default();
        [("stdout", &self.stdout), ("stderr", &self.stderr), ("report.json", report), ("report.md", page)]
    }
}

/// The program.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_steadfast"))
}

/// What came of the program with these arguments alone.
pub(crate) fn ended(args: &[&str]) -> Ended {
    Ended::of(&program().args(args).output().expect("the program runs"))
}

/// Looks again and again, since nothing tells when the world outside has changed.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A folder of this repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
