//! Changing the state of an agent from outside.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::System;
use crate::error::ControlError;
use crate::id::Path;
use crate::runtime::current;
use crate::runtime::guard::after;
use crate::runtime::shell::drains;
use crate::runtime::slot::{AnySlot, Command};

impl System {
    /// Suspends an agent: once the running handler has returned, no other begins. Messages are taken into its mailbox and
    /// wait there in order; its tasks and timers go on. Returns when it is so.
    ///
    /// It holds for this life of the agent: the next one, after a crash, is active.
    ///
    /// ```
    /// # use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    /// use std::time::Duration;
    /// # const ECHO: Capability<u8, u8> = Capability::new("echo", "1.0.0");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let echo = ChildSpec::serve("echo", ECHO, |_, n| async move { Ok(n) });
    /// # let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(echo)).await?;
    /// system.suspend("root/echo").await?;
    /// assert!(system.ask_within(&ECHO, 1, Duration::from_millis(1)).await.is_err(), "nobody answers");
    /// system.resume("root/echo").await?;
    /// assert_eq!(system.ask(&ECHO, 2).await?, 2);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ControlError`]: among others when the agent is suspended already, or a hook refused it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it may or may not be done.
    pub async fn suspend(&self, path: impl AsRef<str>) -> Result<(), ControlError> {
        self.control(path.as_ref(), Command::Suspend).await
    }

    /// Lets a suspended agent go on, with the first message that waits. Returns when it is active.
    ///
    /// # Errors
    ///
    /// As [`suspend`](Self::suspend); also when it is not suspended.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn resume(&self, path: impl AsRef<str>) -> Result<(), ControlError> {
        self.control(path.as_ref(), Command::Resume).await
    }

    /// Drains an agent: it takes no new work, finishes what it has in hand, and ends.
    ///
    /// | what | becomes of it |
    /// |---|---|
    /// | the running handler | may return; it is cut off when the time is over, and who asked is told [`Exited`](crate::RequestError::Exited) |
    /// | its tasks | go on until they are done, at the latest until the time is over |
    /// | what waits in the mailbox | goes elsewhere where its route says so; the rest waits for the next life, where one is coming |
    /// | what is sent meanwhile | is refused; what a route sends since nobody else is there waits for the next life, where one follows for certain |
    ///
    /// No new work comes from the call on. Returns when the running handler has returned, or was cut off; the end comes by itself, with the reason `shutdown`. So a permanent agent is started again,
    /// and handles what waited; to end it for good, use
    /// [`terminate`](Self::terminate).
    ///
    /// # Errors
    ///
    /// As [`suspend`](Self::suspend); also when it drains already.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn drain(&self, path: impl AsRef<str>, within: Duration) -> Result<(), ControlError> {
        let by = after(within);
        let (slot, done) = self.command(path.as_ref(), Command::Drain { by, stays: false })?;
        let Some(life) = slot.core().life() else { return done.await.unwrap_or_else(|_| Err(not_running(&*slot))) };
        // Goes on also where nobody waits for it.
        let outcome = tokio::spawn(drains(Arc::clone(&life), by, done)).await.ok().flatten();
        match outcome.unwrap_or_else(|| Err(not_running(&*slot))) {
            // Cut off in its handler, it has ended as it was to.
            Err(ControlError::NotRunning { .. }) if life.has_drained() => Ok(()),
            other => other,
        }
    }

    /// Drains all agents at a path and below it, and returns when they have nothing in hand any more, at the latest after
    /// `within`. They stay then, and are to be stopped.
    pub(crate) async fn drain_and_stay(&self, path: &Path, within: Duration) {
        if within.is_zero() {
            return;
        }
        let by = after(within);
        let slots: Vec<_> = self.paths_within(path, |_| true).iter().filter_map(|path| self.slot(path)).collect();
        let command = Command::Drain { by, stays: true };
        let told: Vec<_> = slots.iter().filter_map(|slot| slot.control(command)).collect();
        for done in told {
            // One that is not running, or refuses, has nothing to finish.
            let _ = timeout_at(by, done).await;
        }
        for life in slots.iter().filter_map(|slot| slot.core().life()) {
            let _ = timeout_at(by, life.tasks.idle()).await;
        }
    }

    async fn control(&self, path: &str, command: Command) -> Result<(), ControlError> {
        let (slot, done) = self.command(path, command)?;
        done.await.unwrap_or_else(|_| Err(not_running(&*slot)))
    }

    /// Tells an agent, which does it between two messages.
    fn command(&self, path: &str, command: Command) -> Result<(Arc<dyn AnySlot>, Done), ControlError> {
        let slot = self.slot(path).ok_or_else(|| ControlError::Unknown { path: path.to_owned() })?;
        let path = || slot.core().path.clone();
        if let Some(by) = current::fenced() {
            return Err(ControlError::Fenced { path: path(), by: by.path, incarnation: by.incarnation });
        }
        let done = slot.control(command).ok_or_else(|| ControlError::NotAnAgent { path: path() })?;
        Ok((slot, done))
    }
}

/// Resolves when it is done.
type Done = oneshot::Receiver<Result<(), ControlError>>;

fn not_running(slot: &dyn AnySlot) -> ControlError {
    ControlError::NotRunning { path: slot.core().path.clone() }
}
