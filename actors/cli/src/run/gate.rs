//! The way to the programs of the operating system, which can be closed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::commands::guard::{GuardError, GuardSpec};
use steadfast_orchestration::seam::commands::{CommandError, Commands, Completed, Invocation, OsCommands};

/// How long processes that were killed are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether they are gone.
const LOOK: Duration = Duration::from_millis(5);

/// Runs programs until it is closed. A run that is asked for afterwards never begins and never returns, so that no
/// failure is recorded that is only our own end.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    commands: OsCommands,
    closed: AtomicBool,
}

impl Gate {
    /// Lets programs run below a guard, whose lock is in this folder.
    pub(crate) fn guarded(locks: PathBuf) -> Self {
        Self { commands: OsCommands::guarded(GuardSpec::this_program(locks)), ..Self::default() }
    }

    /// Waits until no command of an earlier process lives, and starts the guard.
    pub(crate) async fn start_guard(&self) -> Result<(), GuardError> {
        self.commands.start_guard().await
    }

    /// Lets no program start any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Ends every process that was started here; returns how many process groups are left after a while.
    pub(crate) fn end_all(&self) -> usize {
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            // Again and again: a program that was being started when the gate closed is known only now.
            self.commands.kill_all();
            if self.commands.live() == 0 {
                return 0;
            }
            std::thread::sleep(LOOK);
        }
        self.commands.live()
    }
}

impl Commands for Gate {
    fn run(&self, invocation: Invocation) -> BoxFuture<'_, Result<Completed, CommandError>> {
        if self.closed.load(Ordering::Acquire) {
            return Box::pin(std::future::pending());
        }
        self.commands.run(invocation)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.commands.variable(name)
    }
}
