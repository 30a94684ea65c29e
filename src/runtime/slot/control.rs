//! What an agent's shell is told to do about its state: to pause, to go on, to take no new work.
//!
//! The shell does it between two messages: what is being handled is not disturbed.

use std::mem;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Door, Slot, wake};
use crate::error::ControlError;
use crate::id::Incarnation;
use crate::runtime::guard::lock;

/// What a shell is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Suspend,
    Resume,
    /// To take no new work, and to finish what it has in hand within this time. Then it ends, unless it stays until it is
    /// stopped.
    Drain {
        within: Duration,
        stays: bool,
    },
    /// To end until the next message comes, if it has nothing to do.
    Doze,
}

/// A command, and who waits until it is done.
pub(crate) struct Control {
    pub(crate) command: Command,
    pub(crate) done: oneshot::Sender<Result<(), ControlError>>,
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    /// Tells the shell of the life that is open; of this one alone, where one is named.
    pub(crate) fn control(
        &self,
        command: Command,
        of: Option<Incarnation>,
    ) -> oneshot::Receiver<Result<(), ControlError>> {
        let (done, outcome) = oneshot::channel();
        let control = Control { command, done };
        let mut desk = lock(&self.desk);
        let is_meant = of.is_none_or(|of| self.is_open_for(of));
        let Some(shell) = desk.shell.as_deref_mut().filter(|_| is_meant) else {
            drop(desk);
            let _ = control.done.send(Err(ControlError::NotRunning { path: self.core.path.clone() }));
            return outcome;
        };
        shell.controls.push(control);
        self.core.gauge().set_called(true);
        wake(desk);
        outcome
    }

    /// Whether the shell is to look at what it is told.
    pub(crate) fn is_called(&self) -> bool {
        self.core.gauge().is_called()
    }

    /// Looked at under the desk's lock, under which the end of a life is noted last: what a life that was given up does
    /// late is not done to the next one.
    fn is_open_for(&self, of: Incarnation) -> bool {
        self.core.incarnation() == Some(of)
    }

    /// What the shell of a life is told, in order.
    pub(crate) fn take_controls(&self, of: Incarnation) -> Vec<Control> {
        let mut desk = lock(&self.desk);
        if !self.is_open_for(of) {
            return Vec::new();
        }
        self.core.gauge().set_called(false);
        desk.shell.as_mut().map(|shell| mem::take(&mut shell.controls)).unwrap_or_default()
    }

    /// Keeps what waits, or hands it out again.
    pub(crate) fn set_paused(&self, of: Incarnation, paused: bool) {
        let mut desk = lock(&self.desk);
        if !self.is_open_for(of) {
            return;
        }
        desk.door = if paused { Door::Paused } else { Door::Open };
        wake(desk);
    }

    /// Takes no new message from now on, until the next life; what waits is handed over.
    pub(crate) fn close_for_new(&self, of: Incarnation) {
        {
            let mut desk = lock(&self.desk);
            if !self.is_open_for(of) {
                return;
            }
            desk.door = Door::Draining;
        }
        // Whoever waits for room is told.
        self.core.tell_of_room();
        self.send_home(of);
    }
}
