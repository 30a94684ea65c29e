//! Commands below a guard end when their process does, however it does, and before anybody else may begin.
#![allow(clippy::disallowed_methods, reason = "real processes and the real clock are what is tested")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use steadfast_orchestration::seam::commands::guard::{self, GuardError, GuardSpec, Remains};
use steadfast_orchestration::seam::commands::{CommandError, Commands, Completed, Exit, Invocation, OsCommands};
use steadfast_orchestration::seam::testing::conformance;
use tempfile::TempDir;
use tokio::time::timeout;

/// How long a test waits for what should happen at once.
const SOON: Duration = Duration::from_secs(20);

/// The variable that tells this program to be an owner of commands, in this folder.
const OWNER: &str = "GUARDED_TEST_OWNER";

/// A folder, and a mark that is in the environment of every command of its owner.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// This very program is the guard: it finds [`guard_process`] by its arguments.
    fn spec(&self) -> GuardSpec {
        let spec = GuardSpec::new(std::env::current_exe().expect("this program"), self.path("guards"));
        ["guard_process", "--exact", "--nocapture", "-q"].into_iter().fold(spec, GuardSpec::arg).patience(SOON)
    }

    fn commands(&self) -> OsCommands {
        OsCommands::guarded(self.spec())
    }

    fn shell(&self, script: &str) -> Invocation {
        shell(script, self.0.path())
    }

    /// A process that runs this script below a guard, over and over.
    fn owner(&self, script: &str) -> Owner {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["owner_process", "--exact", "--nocapture"]).env(OWNER, self.0.path()).env("SCRIPT", script);
        Owner(command.stdout(Stdio::null()).spawn().expect("it starts"))
    }

    /// The processes that carry the mark, dead ones not counted.
    fn processes(&self) -> Vec<i32> {
        let mark = format!("MARK={}", self.0.path().display());
        let processes = std::fs::read_dir("/proc").expect("a table of processes").flatten();
        let marked = processes.filter(|process| {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        });
        marked.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What stands behind a word in the only file of a lock.
    fn locked(&self, word: &str) -> Option<i32> {
        let file = std::fs::read_dir(self.path("guards")).ok()?.flatten().next()?;
        let text = std::fs::read_to_string(file.path()).ok()?;
        text.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
    }
}

fn shell(script: &str, folder: &Path) -> Invocation {
    let mut invocation = Invocation::new("/bin/sh", folder);
    invocation.args = vec!["-c".into(), script.into()];
    invocation.env = BTreeMap::from([
        ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
        ("MARK".to_owned(), folder.display().to_string()),
    ]);
    invocation
}

/// A process that owns commands.
struct Owner(Child);

impl Owner {
    fn kill(mut self) {
        self.0.kill().expect("it is there");
        self.0.wait().expect("it has ended");
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("not zero"), signal).expect("it is there");
}

/// Looks again and again, since nothing tells when the world outside has changed.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

async fn nothing_left(commands: &OsCommands) {
    timeout(SOON, commands.none_left()).await.expect("a process is left");
}

async fn run(commands: &OsCommands, invocation: Invocation) -> Completed {
    timeout(SOON, commands.run(invocation)).await.expect("it ends").expect("it runs")
}

/// Is the guard where this program was started as one, and no test otherwise.
#[test]
fn guard_process() {
    let last = std::env::args().next_back().unwrap_or_default();
    if last == "seat" || Path::new(&last).is_absolute() && std::env::args().len() > 4 {
        let _ = guard::main();
    }
}

/// Owns commands where this program was started to, and is no test otherwise.
#[tokio::test]
async fn owner_process() {
    let Some(folder) = std::env::var_os(OWNER) else { return };
    let script = std::env::var("SCRIPT").expect("it is told what to run");
    let spec = GuardSpec::new(std::env::current_exe().expect("this program"), Path::new(&folder).join("guards"));
    let spec = ["guard_process", "--exact", "--nocapture", "-q"].into_iter().fold(spec, GuardSpec::arg);
    let commands = OsCommands::guarded(spec);
    loop {
        let both = || commands.run(shell(&script, Path::new(&folder)));
        let _ = tokio::join!(both(), both(), both());
    }
}

#[tokio::test]
async fn programs_below_a_guard_keep_the_contract_of_commands() {
    let world = World::new();
    let commands = world.commands();
    conformance::commands(&commands).await;
    nothing_left(&commands).await;
}

#[tokio::test]
async fn what_a_killed_process_had_running_is_gone_before_the_next_one_may_begin() {
    let world = World::new();
    // Beats come from a child of the command, too, and nobody of them listens to anything but SIGKILL.
    let owner = world.owner(
        "trap '' TERM HUP INT PIPE; exec >&- 2>&-; (while :; do echo x >> beats; done) & while :; do echo y >> beats; done",
    );
    until("commands that run", || world.read("beats").contains('x') && world.read("beats").contains('y'));
    until("all of them", || world.processes().len() >= 6);
    owner.kill();
    let commands = world.commands();
    commands.start_guard().await.expect("what the other had is gone");
    assert_eq!(world.processes(), [0; 0]);
    let beats = world.read("beats").len();
    assert_eq!(run(&commands, world.shell("echo done")).await.stdout, b"done\n");
    assert_eq!(world.read("beats").len(), beats);
}

#[tokio::test]
async fn at_whatever_moment_a_process_is_killed_no_command_slips_through() {
    for round in 0..12 {
        let world = World::new();
        let owner = world.owner("echo x >> begun; exec sleep 0.01");
        until("commands that run", || world.read("begun").len() > 6);
        std::thread::sleep(Duration::from_micros(1_700 * round));
        owner.kill();
        world.commands().start_guard().await.expect("what the other had is gone");
        assert_eq!(world.processes(), [0; 0], "round {round}");
        let begun = world.read("begun").len();
        // A process that was being forked would need longer than this to begin.
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!((world.processes(), world.read("begun").len()), (Vec::new(), begun), "round {round}");
    }
}

#[tokio::test]
async fn when_the_guard_is_killed_its_commands_are_too_and_the_next_one_has_another() {
    let world = World::new();
    let commands = world.commands();
    let killed = async {
        tokio::task::spawn_blocking({
            let (path, file) = (world.path("begun"), world.path("guards"));
            move || until("a command", || path.exists() && file.exists())
        })
        .await
        .expect("it begins");
        let guard = world.locked("guard").expect("the number of the guard");
        send(guard, Signal::KILL);
        guard
    };
    let sleeps = commands.run(world.shell("touch begun; sleep 1000 & wait"));
    let (ended, guard) = timeout(SOON, async { tokio::join!(sleeps, killed) }).await.expect("it ends");
    assert!(matches!(&ended, Err(CommandError::Guard { source: GuardError::Ended, .. })), "{ended:?}");
    assert_eq!(run(&commands, world.shell("echo on")).await.stdout, b"on\n");
    assert_ne!(world.locked("guard"), Some(guard), "the file of the first one is gone");
    nothing_left(&commands).await;
    assert_eq!(world.processes(), [0; 0]);
}

#[tokio::test]
async fn the_guard_does_not_end_before_its_process_when_it_is_asked_to() {
    let world = World::new();
    let commands = world.commands();
    run(&commands, world.shell("true")).await;
    let guard = world.locked("guard").expect("the number of the guard");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        send(guard, signal);
    }
    let both = || commands.run(world.shell("true"));
    let (one, two) = tokio::join!(both(), both());
    assert_eq!((one.expect("it runs").exit, two.expect("it runs").exit), (Exit::Code(0), Exit::Code(0)));
    assert_eq!(world.locked("guard"), Some(guard));
    drop(commands);
    until("the end of the guard", || world.locked("guard").is_none());
}

#[tokio::test]
async fn commands_that_follow_each_other_need_one_group_and_those_at_once_one_each() {
    const GROUP: &str = "read pid name state parent group rest < /proc/self/stat; echo $group";
    let world = World::new();
    let commands = world.commands();
    let group = async |more: &str| run(&commands, world.shell(&format!("{more}; {GROUP}"))).await.stdout;
    let first = group(":").await;
    assert_eq!(group(":").await, first);
    let meet = |own: &str, other: &str| format!("touch {own}; while ! test -e {other}; do sleep 0.01; done");
    let (here, there) = (meet("here", "there"), meet("there", "here"));
    let (one, two) = tokio::join!(group(&here), group(&there));
    assert!(one != two && [&one, &two].contains(&&first));
    assert_eq!(format!("{}\n", world.locked("group").expect("a group")).into_bytes(), first);
}

#[tokio::test]
async fn a_command_inherits_nothing_of_its_guard() {
    let world = World::new();
    // What whoever runs this test lets it inherit comes to both.
    let open = async |commands: OsCommands| {
        let mut ls = Invocation::new("/bin/ls", "/");
        ls.args = vec!["-l".to_owned(), "/proc/self/fd".to_owned()];
        String::from_utf8(run(&commands, ls).await.stdout).expect("text")
    };
    let (guarded, alone) = (open(world.commands()).await, open(OsCommands::new()).await);
    assert_eq!(guarded.lines().count(), alone.lines().count(), "{guarded}{alone}");
    assert!(!guarded.contains("guards"), "{guarded}");
}

#[tokio::test]
async fn a_run_below_a_guard_that_is_dropped_or_killed_ends_all_of_its_group() {
    let world = World::new();
    let commands = world.commands();
    let stubborn = "trap '' TERM INT HUP; sleep 1000 & sleep 1000";
    assert!(timeout(Duration::from_millis(50), commands.run(world.shell(stubborn))).await.is_err());
    nothing_left(&commands).await;
    let left = "(trap '' TERM HUP; exec sleep 1000 >&- 2>&-) & echo done";
    assert_eq!(run(&commands, world.shell(left)).await.stdout, b"done\n");
    nothing_left(&commands).await;
    let end = async {
        while commands.live() == 0 || world.processes().is_empty() {
            tokio::task::yield_now().await;
        }
        commands.kill_all();
    };
    let (ended, ()) = tokio::join!(run(&commands, world.shell("sleep 1000 & wait")), end);
    assert_eq!(ended.exit, Exit::Signal(9));
    nothing_left(&commands).await;
    assert_eq!(world.processes(), [0; 0]);
}

#[tokio::test]
async fn many_runs_at_once_below_a_guard_leave_nothing() {
    let world = World::new();
    let commands = world.commands();
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..30 {
        let (commands, invocation) = (commands.clone(), world.shell(&format!("sleep 1000 & echo {number}")));
        runs.spawn(async move {
            let run = commands.run(invocation);
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
    assert_eq!(world.processes(), [0; 0]);
}

/// What the start of a guard says that waits for no more than a moment.
async fn remains(world: &World) -> (Remains, String) {
    let commands = OsCommands::guarded(world.spec().patience(Duration::from_millis(50)));
    let error = commands.start_guard().await.expect_err("somebody is left");
    let text = error.to_string();
    let GuardError::StillLives { what, .. } = error else { panic!("{error:?}") };
    (what, text)
}

#[tokio::test]
async fn what_goes_on_after_its_process_and_its_guard_were_killed_is_named_and_waited_for() {
    let world = World::new();
    let owner = world.owner("touch begun; exec sleep 1000");
    until("commands that run", || world.path("begun").exists() && world.processes().len() == 3);
    let guard = world.locked("guard").expect("the number of the guard");
    // Whoever survives the other ends the commands.
    let number = owner.0.id();
    send(i32::try_from(number).expect("a number"), Signal::STOP);
    until("an owner that is stopped", || {
        std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|line| line.contains(") T "))
    });
    send(guard, Signal::KILL);
    owner.kill();
    let (what, text) = remains(&world).await;
    let mut pids: Vec<i32> = what.processes.iter().map(|(pid, _)| *pid).collect();
    pids.sort_unstable();
    assert_eq!((what.guarded, what.guard, &pids), (false, Some(guard), &world.processes()));
    assert!(text.contains("`sleep` (process ") && text.contains("end them with `kill -KILL "), "{text}");
    for pid in pids {
        send(pid, Signal::KILL);
    }
    world.commands().start_guard().await.expect("nobody is left");
}

#[tokio::test]
async fn whoever_comes_while_another_process_has_the_folder_is_told_so() {
    let world = World::new();
    let owner = world.owner("touch begun; exec sleep 1000");
    until("commands that run", || world.path("begun").exists());
    let (what, text) = remains(&world).await;
    assert_eq!((what.guarded, what.owner), (true, i32::try_from(owner.0.id()).ok()), "{text}");
    assert!(text.contains(&format!("of process {}", owner.0.id())), "{text}");
    assert!(!world.processes().is_empty(), "nothing of the other was touched");
    owner.kill();
    world.commands().start_guard().await.expect("it is gone");
}

#[tokio::test]
async fn a_program_that_is_no_guard_is_told_what_it_must_do() {
    let world = World::new();
    let commands = OsCommands::guarded(GuardSpec::new("/bin/true", world.path("guards")).arg("guard"));
    let error = commands.start_guard().await.expect_err("it is none");
    assert!(error.to_string().contains("with the arguments [\"guard\"] it must call `guard::main`"), "{error}");
    let commands = OsCommands::guarded(GuardSpec::new("/no/such/program", world.path("guards")));
    let error = commands.run(world.shell("true")).await.expect_err("there is none");
    assert!(matches!(&error, CommandError::Guard { source: GuardError::Start { .. }, .. }), "{error:?}");
    std::fs::write(world.path("file"), "").expect("a file");
    let mut spec = world.spec();
    spec.folder = world.path("file/guards");
    let commands = OsCommands::guarded(spec);
    let error = commands.start_guard().await.expect_err("there is no such folder");
    assert!(matches!(&error, GuardError::Folder { .. } | GuardError::Unable { .. }), "{error:?}");
}
