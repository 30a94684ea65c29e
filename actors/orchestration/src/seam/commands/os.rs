//! Programs of the operating system.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};

use super::{BoxFuture, CommandError, Commands, Completed, Exit, Heartbeat, Invocation, STDERR_TAIL};

/// How often a running program is reported as progress.
const BEAT: Duration = Duration::from_millis(50);

/// How long the pipes are read after the program ended and nothing more comes. Only a process that left the group can
/// still hold them open.
const GRACE: Duration = Duration::from_millis(200);

/// How often such a wait is repeated while something still comes.
const GRACES: u32 = 10;

/// How often it is looked whether the processes of a group are gone.
const LOOK: Duration = Duration::from_millis(2);

/// Runs programs of the operating system. A clone shares the table of what runs.
///
/// A process that makes a process group or session of its own leaves the group it was started in; it is not ended with
/// it. Everything else a program starts is.
#[derive(Clone, Debug, Default)]
pub struct OsCommands {
    groups: Arc<Groups>,
}

/// The process groups that were started and are not known to be gone.
#[derive(Debug, Default)]
struct Groups(Mutex<BTreeMap<i32, Stage>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The run is under way: the number of the group is ours.
    Running,
    /// The group was killed. Its number is only watched: killing it once more could hit another that got it since.
    Killed,
}

impl Groups {
    fn table(&self) -> MutexGuard<'_, BTreeMap<i32, Stage>> {
        // Every change of the table is one call, so a panic elsewhere cannot have left half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_gone(&self) {
        self.table().retain(|group, stage| *stage == Stage::Running || lives(*group));
    }
}

/// A process group; dropping it kills what is left of it.
struct Group {
    number: i32,
    groups: Arc<Groups>,
}

impl Group {
    fn of(child: &Child, groups: &Arc<Groups>) -> Option<Self> {
        let number = i32::try_from(child.id()?).ok()?;
        groups.table().insert(number, Stage::Running);
        Some(Self { number, groups: Arc::clone(groups) })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut table = self.groups.table();
        if table.get(&self.number) == Some(&Stage::Running) {
            kill(self.number);
            table.insert(self.number, Stage::Killed);
        }
    }
}

fn kill(group: i32) {
    if let Some(pid) = Pid::from_raw(group) {
        // It fails when nobody is left in the group, which is what we want.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Whether a process of this group still runs.
fn lives(group: i32) -> bool {
    let Some(pid) = Pid::from_raw(group) else { return false };
    if test_kill_process_group(pid).is_err() {
        return false;
    }
    // Who was killed stays in the table of processes until its parent asks, which an init process may never do.
    !only_dead_ones(group)
}

/// Every process of this group has ended and only waits for its parent to ask. Where the system does not tell, none.
fn only_dead_ones(group: i32) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let lines = processes.flatten().filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    // `pid (name) state parent group …`, where the name may hold anything.
    let mut members = lines.filter_map(|line| {
        let mut fields = line.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        (fields.nth(1)?.parse() == Ok(group)).then_some(state)
    });
    let mut some = false;
    let all_dead = members.all(|state| {
        some = true;
        state == "Z" || state == "X"
    });
    some && all_dead
}

impl OsCommands {
    /// Commands with an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many process groups have been started here and still have a process.
    #[must_use]
    pub fn live(&self) -> usize {
        self.groups.forget_gone();
        self.groups.table().len()
    }

    /// Kills every process group that runs. Their runs end as killed by a signal.
    pub fn kill_all(&self) {
        for (group, _) in self.groups.table().iter().filter(|(_, stage)| **stage == Stage::Running) {
            kill(*group);
        }
    }

    /// Waits until no process is left of any group that was started here.
    ///
    /// It never ends while a run goes on. Give it a limit: a process that waits for a broken disk cannot be killed.
    pub async fn none_left(&self) {
        while self.live() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn run_to_end(&self, mut invocation: Invocation) -> Result<Completed, CommandError> {
        self.groups.forget_gone();
        let mut child = start(&invocation).await?;
        let group = Group::of(&child, &self.groups);
        let mut kept = Kept::default();
        let stdin = child.stdin.take().zip(invocation.stdin.take());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let Kept { stdout: out, stderr: err } = &mut kept;
        let seen = AtomicU64::new(0);
        let ended = {
            let mut pipes = pin!(async {
                tokio::join!(
                    feed(stdin),
                    drain(stdout, &seen, |bytes| out.head(bytes, invocation.stdout_limit)),
                    drain(stderr, &seen, |bytes| err.tail(bytes, STDERR_TAIL)),
                )
            });
            let mut open = true;
            let mut beat = tokio::time::interval(BEAT);
            let ended = loop {
                tokio::select! {
                    biased;
                    ended = child.wait() => break ended,
                    _ = &mut pipes, if open => open = false,
                    _ = beat.tick() => tell(invocation.heartbeat.as_ref()),
                }
            };
            // Whoever is left in the group ends now, and with them the pipes.
            drop(group);
            let mut graces = if open { GRACES } else { 0 };
            while graces > 0 {
                let before = seen.load(Ordering::Relaxed);
                let closed = tokio::time::timeout(GRACE, &mut pipes).await.is_ok();
                graces = if closed || seen.load(Ordering::Relaxed) == before { 0 } else { graces - 1 };
            }
            ended
        };
        let status = ended.map_err(|source| CommandError::System { program: invocation.program, source })?;
        Ok(kept.completed(exit(status)))
    }
}

impl Commands for OsCommands {
    fn run(&self, invocation: Invocation) -> BoxFuture<'_, Result<Completed, CommandError>> {
        Box::pin(self.run_to_end(invocation))
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

async fn start(invocation: &Invocation) -> Result<Child, CommandError> {
    let program = invocation.program.clone();
    if !tokio::fs::metadata(&invocation.dir).await.is_ok_and(|kind| kind.is_dir()) {
        return Err(CommandError::NoDirectory { program, dir: invocation.dir.display().to_string() });
    }
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    let mut command = tokio::process::Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .current_dir(&invocation.dir)
        .env_clear()
        .envs(&invocation.env)
        .stdin(if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        // The group is killed by us; this makes tokio collect the program's exit when the run was dropped.
        .kill_on_drop(true);
    command.spawn().map_err(|source| match source.kind() {
        ErrorKind::NotFound => {
            CommandError::NoProgram { program, path: invocation.env.get("PATH").cloned().unwrap_or_default() }
        }
        ErrorKind::PermissionDenied => CommandError::NotExecutable { program },
        _ => CommandError::System { program, source },
    })
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(-1),
    }
}

fn tell(heartbeat: Option<&Heartbeat>) {
    if let Some(heartbeat) = heartbeat {
        heartbeat();
    }
}

async fn feed(stdin: Option<(ChildStdin, Vec<u8>)>) {
    if let Some((mut pipe, bytes)) = stdin {
        // A program need not read what it is given.
        let _ = pipe.write_all(&bytes).await;
    }
}

/// Reads a pipe to its end. An error ends it too: what came until then is what there is.
async fn drain<P: AsyncRead + Unpin>(pipe: Option<P>, seen: &AtomicU64, mut keep: impl FnMut(&[u8])) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        keep(&chunk[..length]);
        seen.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// What is kept of the pipes.
#[derive(Default)]
struct Kept {
    stdout: Buffer,
    stderr: Buffer,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Buffer {
    /// Keeps the first `limit` bytes.
    fn head(&mut self, bytes: &[u8], limit: u64) {
        let room = limit.saturating_sub(self.bytes.len() as u64);
        let kept = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.dropped += (bytes.len() - kept) as u64;
    }

    /// Keeps the last `limit` bytes, and for a while up to twice as many, so that bytes are not moved each time.
    fn tail(&mut self, bytes: &[u8], limit: usize) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * limit {
            self.shorten(limit);
        }
    }

    fn shorten(&mut self, limit: usize) {
        let surplus = self.bytes.len().saturating_sub(limit);
        self.bytes.drain(..surplus);
        self.dropped += surplus as u64;
    }
}

impl Kept {
    fn completed(mut self, exit: Exit) -> Completed {
        self.stderr.shorten(STDERR_TAIL);
        Completed {
            exit,
            stdout: self.stdout.bytes,
            stdout_dropped: self.stdout.dropped,
            stderr_tail: self.stderr.bytes,
            stderr_dropped: self.stderr.dropped,
        }
    }
}
