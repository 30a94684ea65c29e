//! What an agent's shell is told to do about its state: to pause, to go on, to take no new work.
//!
//! The shell does it between two messages: what is being handled is not disturbed. Only the door closes at once, before
//! a drain: no new work comes while the running handler takes its time.

use std::mem;
use std::sync::MutexGuard;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Desk, Door, Slot, wake};
use crate::error::ControlError;
use crate::id::Incarnation;
use crate::runtime::guard::lock;

/// What a shell is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Suspend,
    Resume,
    /// To take no new work, and to finish what it has in hand by this moment. Then it ends, unless it stays until it is
    /// stopped.
    Drain {
        by: Instant,
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
        let life = self.core.life();
        // Before the desk, as always.
        let mut hand = matches!(command, Command::Drain { .. }).then(|| lock(&self.hand));
        let mut desk = lock(&self.desk);
        let open = life.filter(|life| self.is_open_for(life.incarnation) && of.is_none_or(|of| of == life.incarnation));
        let Some((life, shell)) = open.zip(desk.shell.as_deref_mut()) else {
            drop((desk, hand));
            let _ = control.done.send(Err(ControlError::NotRunning { path: self.core.path.clone() }));
            return outcome;
        };
        shell.controls.push(control);
        self.core.gauge().set_called(true);
        if let Command::Drain { stays, .. } = command {
            // One that was told before goes by what it was told then.
            if !matches!(desk.door, Door::Draining { .. }) {
                self.set_door(&mut desk, Door::Draining { followed: !stays && life.is_followed() });
            }
            if let Some(hand) = &mut hand {
                self.recall(hand, &mut desk, life.incarnation);
            }
            drop(hand);
            wake(desk);
            self.hand_over_what_waits(life.incarnation);
        } else {
            wake(desk);
        }
        outcome
    }

    /// Whether the pause of a life is left to the next one: only by a mistake on purpose.
    pub(super) fn stays_paused(&self, desk: &Desk<M, R>) -> bool {
        desk.door == Door::Paused && bug_on_purpose!(self.office(), PauseOutlivesLife)
    }

    fn set_door(&self, desk: &mut Desk<M, R>, door: Door) {
        desk.door = door;
        self.core.gauge().set_closed(match door {
            Door::Draining { followed } => Some(followed),
            _ => None,
        });
    }

    fn hand_over_what_waits(&self, of: Incarnation) {
        // Whoever waits for room is told.
        self.core.tell_of_room();
        self.send_home(of);
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

    /// Keeps what waits, or hands it out again. Not where it was told to drain meanwhile.
    pub(crate) fn set_paused(&self, of: Incarnation, paused: bool) {
        let desk = lock(&self.desk);
        if !matches!(desk.door, Door::Draining { .. }) {
            self.open_door(desk, of, paused);
        }
    }

    /// It does not drain after all.
    pub(crate) fn reopen(&self, of: Incarnation, paused: bool) {
        self.open_door(lock(&self.desk), of, paused);
    }

    fn open_door(&self, mut desk: MutexGuard<'_, Desk<M, R>>, of: Incarnation, paused: bool) {
        if self.is_open_for(of) {
            self.set_door(&mut desk, if paused { Door::Paused } else { Door::Open });
            wake(desk);
        }
    }

    /// It drains: takes no new message until the next life; what came back meanwhile is handed over. Where it is `followed`
    /// by another life for certain, messages that say so may wait for that.
    pub(crate) fn close_for_new(&self, of: Incarnation, followed: bool) {
        {
            let mut desk = lock(&self.desk);
            if !self.is_open_for(of) {
                return;
            }
            self.set_door(&mut desk, Door::Draining { followed });
        }
        self.hand_over_what_waits(of);
    }
}
