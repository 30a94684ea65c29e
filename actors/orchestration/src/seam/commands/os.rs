//! Programs of the operating system.

pub(super) mod groups;

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};

use self::groups::{Group, Groups};
use super::guard::{Guard, GuardError, GuardSpec};
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
    guard: Option<Arc<Guard>>,
}

impl OsCommands {
    /// Commands with an empty table. They outlive our process when it is killed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Commands that end when our process does, however it does: see [`guard`](super::guard).
    ///
    /// The guard is started with the first command, or by [`start_guard`](Self::start_guard).
    #[must_use]
    pub fn guarded(spec: GuardSpec) -> Self {
        Self { guard: Some(Arc::new(Guard::new(spec))), ..Self::default() }
    }

    /// Waits until nothing is left that the guard of an earlier process watches, and starts the guard of this one.
    ///
    /// Every command does so first where it has not been done. Called before, an error is told before any attempt of a
    /// task is begun, and no command waits. Without a guard, or with one that lives, it does nothing.
    ///
    /// # Cancel safety
    ///
    /// When it is dropped the guard may have been started all the same; the next call finds it.
    pub async fn start_guard(&self) -> Result<(), GuardError> {
        match &self.guard {
            Some(guard) => Guard::start(guard).await,
            None => Ok(()),
        }
    }

    /// How many process groups have been started here and still have a process.
    #[must_use]
    pub fn live(&self) -> usize {
        self.groups.forget_gone();
        self.groups.count()
    }

    /// Kills every process group that runs. Their runs end as killed by a signal.
    pub fn kill_all(&self) {
        self.groups.kill_all();
    }

    /// Waits until no process is left of any group that was started here.
    ///
    /// It never ends while a run goes on. Give it a limit: a process that waits for a broken disk cannot be killed.
    pub async fn none_left(&self) {
        while self.live() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn start(&self, invocation: &Invocation) -> Result<(Child, Option<Group>), CommandError> {
        let program = || invocation.program.clone();
        if !tokio::fs::metadata(&invocation.dir).await.is_ok_and(|kind| kind.is_dir()) {
            let dir = invocation.dir.display().to_string();
            return Err(CommandError::NoDirectory { program: program(), dir });
        }
        let Some(guard) = &self.guard else {
            self.groups.forget_gone();
            let child = spawn(invocation, 0)?;
            let group = Group::of(&child, &self.groups);
            return Ok((child, group));
        };
        let seat = Guard::seat(guard).await.map_err(|source| CommandError::Guard { program: program(), source })?;
        let group = Group::at(seat, &self.groups);
        Ok((spawn(invocation, group.to_join())?, Some(group)))
    }

    async fn run_to_end(&self, mut invocation: Invocation) -> Result<Completed, CommandError> {
        let (mut child, group) = self.start(&invocation).await?;
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
                    _ = beat.tick() => {
                        if group.as_ref().is_some_and(Group::is_unguarded) {
                            return Err(CommandError::Guard { program: invocation.program, source: GuardError::Ended });
                        }
                        tell(invocation.heartbeat.as_ref());
                    }
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

/// Starts the program, in a group of its own or in this one of a guard.
fn spawn(invocation: &Invocation, group: i32) -> Result<Child, CommandError> {
    let program = invocation.program.clone();
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
        .process_group(group)
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
