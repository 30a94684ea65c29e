//! The guard as the process sees it whose commands it watches.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::process::Child;

use super::watch::{ASK, READY, SEAT, UNABLE};
use super::{GuardError, GuardSpec, earlier};

/// The guard of all commands of this process, once there is one.
pub(in crate::seam::commands) struct Guard {
    spec: GuardSpec,
    live: Mutex<Option<Arc<Live>>>,
}

/// A guard that was started.
struct Live {
    child: Mutex<Child>,
    /// The pipes to it; whoever asks it something holds them until the answer has come.
    pipes: Mutex<Pipes>,
    /// The seats in which nobody is.
    free: Mutex<Vec<i32>>,
    /// It was found to have closed its pipes, which it does a moment before it has ended.
    gone: AtomicBool,
}

/// While the first of them is open, our process lives. Both are closed in whatever program we start.
struct Pipes {
    to: PipeWriter,
    from: BufReader<PipeReader>,
}

/// A process group that the guard knows, for one command at a time.
pub(in crate::seam::commands) struct Seat {
    group: i32,
    live: Arc<Live>,
}

impl Guard {
    pub(in crate::seam::commands) fn new(spec: GuardSpec) -> Self {
        Self { spec, live: Mutex::default() }
    }

    /// Starts the guard, unless it lives, once nothing is left of earlier ones.
    pub(in crate::seam::commands) async fn start(this: &Arc<Self>) -> Result<(), GuardError> {
        let this = Arc::clone(this);
        blocking(move || this.live().map(|_| ())).await
    }

    /// A seat in which nobody is.
    pub(in crate::seam::commands) async fn seat(this: &Arc<Self>) -> Result<Seat, GuardError> {
        if let Some(seat) = this.free() {
            return Ok(seat);
        }
        let this = Arc::clone(this);
        blocking(move || match this.live()?.seat() {
            // It ended just now, and nothing was begun below it.
            Err(GuardError::Ended) => this.live()?.seat(),
            seat => seat,
        })
        .await
    }

    fn free(&self) -> Option<Seat> {
        // A guard is being started where the lock is taken.
        let live = Arc::clone(self.live.try_lock().ok()?.as_ref()?);
        if live.lives() { live.free() } else { None }
    }

    /// The guard that lives. Whoever comes while it is started waits for it.
    fn live(&self) -> Result<Arc<Live>, GuardError> {
        let mut live = lock(&self.live);
        if let Some(live) = live.as_ref().filter(|live| live.lives()) {
            return Ok(Arc::clone(live));
        }
        *live = None;
        let folder = std::path::absolute(&self.spec.folder).map_err(|source| self.no_folder(source))?;
        earlier::wait(&folder, self.spec.patience)?;
        let started = Arc::new(Live::start(&self.spec, &folder)?);
        *live = Some(Arc::clone(&started));
        Ok(started)
    }

    fn no_folder(&self, source: io::Error) -> GuardError {
        GuardError::Folder { folder: self.spec.folder.display().to_string(), source }
    }
}

/// What waits for another process, beside what runs here.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GuardError> + Send + 'static,
) -> Result<T, GuardError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(GuardError::Unable { why: "our own process is about to end".to_owned() }))
}

impl Live {
    fn start(spec: &GuardSpec, folder: &Path) -> Result<Self, GuardError> {
        let failed = |source| GuardError::Start { program: spec.program.display().to_string(), source };
        let (its_end, to) = io::pipe().map_err(failed)?;
        let (from, its_answers) = io::pipe().map_err(failed)?;
        #[expect(clippy::disallowed_methods, reason = "it is a part of this seam")]
        let mut command = tokio::process::Command::new(&spec.program);
        command
            .args(&spec.args)
            .arg(folder)
            .current_dir("/")
            .stdin(its_end)
            .stdout(its_answers)
            // It lives on for a moment after us, and whoever reads what we write to stderr does not wait for it.
            .stderr(Stdio::null())
            // As we are called, where the program is named by what runs.
            .arg0(spec.program.file_name().filter(|name| *name != "exe").map_or_else(own_name, OsString::from))
            // What is sent to our group, such as Ctrl-C, is not for it.
            .process_group(0);
        let child = command.spawn().map_err(failed)?;
        // It holds our ends of its pipes.
        drop(command);
        let pipes = Pipes { to, from: BufReader::new(from) };
        let live = Self {
            child: Mutex::new(child),
            pipes: Mutex::new(pipes),
            free: Mutex::default(),
            gone: AtomicBool::default(),
        };
        match live.answer(&mut lock(&live.pipes), READY) {
            Ok(_) => {}
            Err(GuardError::Ended) => {
                let program = spec.program.display();
                let why = format!("`{program}` ended; with the arguments {:?} it must call `guard::main`", spec.args);
                return Err(GuardError::Unable { why });
            }
            Err(error) => return Err(error),
        }
        Ok(live)
    }

    /// Reads on until an answer that begins with this; a program may say other things before.
    fn answer(&self, pipes: &mut Pipes, begin: &str) -> Result<String, GuardError> {
        loop {
            let mut line = String::new();
            if !pipes.from.read_line(&mut line).is_ok_and(|length| length > 0) {
                return Err(self.ended());
            }
            if let Some(answer) = line.strip_prefix(begin) {
                return Ok(answer.trim().to_owned());
            }
            if let Some(why) = line.strip_prefix(UNABLE) {
                return Err(GuardError::Unable { why: why.trim().to_owned() });
            }
        }
    }

    fn ended(&self) -> GuardError {
        self.gone.store(true, Ordering::Release);
        GuardError::Ended
    }

    /// Whether the guard lives.
    fn lives(&self) -> bool {
        !self.gone.load(Ordering::Acquire) && matches!(lock(&self.child).try_wait(), Ok(None))
    }

    fn free(self: Arc<Self>) -> Option<Seat> {
        let group = lock(&self.free).pop()?;
        Some(Seat { group, live: self })
    }

    /// A seat that is free, or one more.
    fn seat(self: Arc<Self>) -> Result<Seat, GuardError> {
        let mut pipes = lock(&self.pipes);
        // Somebody may have left while others asked.
        if let Some(seat) = Arc::clone(&self).free() {
            return Ok(seat);
        }
        pipes.to.write_all(ASK).map_err(|_| self.ended())?;
        let group = self.answer(&mut pipes, SEAT)?;
        drop(pipes);
        let unable = |_| GuardError::Unable { why: format!("it calls `{group}` a process group") };
        let group = group.parse().map_err(unable)?;
        Ok(Seat { group, live: self })
    }
}

impl Seat {
    /// The number of the group.
    pub(in crate::seam::commands) fn group(&self) -> i32 {
        self.group
    }

    /// Whether the guard lives.
    pub(in crate::seam::commands) fn is_guarded(&self) -> bool {
        self.live.lives()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.live.free).push(self.group);
    }
}

/// What our process is called.
fn own_name() -> OsString {
    std::env::args_os().next().unwrap_or_else(|| "guard".into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What they hold is changed in one step each, so a panic elsewhere cannot have left half of one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("spec", &self.spec).finish_non_exhaustive()
    }
}
