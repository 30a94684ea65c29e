//! A shell that has emptied its mailbox stays with it for a while, so that the next message need not go through
//! ractor's port: boxed, queued and taken out past three other ports, that costs more than everything else on its way.
//!
//! # Invariants
//!
//! * A shell that is with its mailbox is woken by the next message, by the end of its life being asked for, and by the
//!   slot being closed; a kill drops it as it drops a handler.
//! * Whatever is in the mailbox when it leaves has a wake-up under way on ractor's port.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::{Desk, Slot, wake};
use crate::id::Incarnation;
use crate::runtime::guard::lock;
use crate::runtime::life::Life;

/// Whether a shell is with its mailbox, and the shell of which life.
#[derive(Default)]
pub(super) enum Lingers {
    #[default]
    Nobody,
    Waits(Incarnation, Waker),
    /// It was woken by a message, and has not looked yet.
    Roused(Incarnation),
}

impl Lingers {
    /// Whoever waits is to be woken for a message.
    pub(super) fn rouse(&mut self) -> Option<Waker> {
        match std::mem::take(self) {
            Self::Waits(life, waker) => {
                *self = Self::Roused(life);
                Some(waker)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// Whoever waits is to be woken, and sent away.
    pub(super) fn dismiss(&mut self) -> Option<Waker> {
        match std::mem::take(self) {
            Self::Waits(_, waker) => Some(waker),
            Self::Nobody | Self::Roused(_) => None,
        }
    }

    fn life(&self) -> Option<Incarnation> {
        match self {
            Self::Nobody => None,
            Self::Waits(life, _) | Self::Roused(life) => Some(*life),
        }
    }
}

impl<M, R> Desk<M, R> {
    /// Where it is said whether the shell of this life is here, if it is.
    fn lingers_of(&mut self, life: Incarnation) -> Option<&mut Lingers> {
        let shell = self.shell.as_mut()?;
        (shell.lingers.life() == Some(life)).then_some(&mut shell.lingers)
    }
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    /// Waits until there is a message for the shell of this life. Returns whether there is; where not, ractor's ports
    /// are to be looked at.
    pub(crate) async fn linger(&self, life: &Life) -> bool {
        let mut stay = Stay { slot: self, of: life.incarnation, waits: false };
        poll_fn(|cx| {
            if !stay.waits {
                life.nudge(cx.waker());
            }
            if life.is_ending() || self.core.incarnation() != Some(life.incarnation) {
                return Poll::Ready(());
            }
            let mut desk = lock(&self.desk);
            if desk.has_work() || desk.woken {
                return Poll::Ready(());
            }
            let Some(shell) = &mut desk.shell else { return Poll::Ready(()) };
            stay.waits = true;
            shell.lingers = Lingers::Waits(life.incarnation, cx.waker().clone());
            Poll::Pending
        })
        .await;
        stay.was_roused(life)
    }
}

/// The stay of a shell with its mailbox. However it ends, nothing in the mailbox is forgotten.
struct Stay<'a, M: Send + 'static, R: Send + 'static> {
    slot: &'a Slot<M, R>,
    of: Incarnation,
    waits: bool,
}

impl<M: Send + 'static, R: Send + 'static> Stay<'_, M, R> {
    /// Whether it ended by a message, which the caller takes.
    fn was_roused(mut self, life: &Life) -> bool {
        if !self.waits || life.is_ending() {
            return false;
        }
        let mut desk = lock(&self.slot.desk);
        let has_work = desk.has_work();
        let Some(lingers) = desk.lingers_of(self.of).filter(|_| has_work) else { return false };
        *lingers = Lingers::Nobody;
        self.waits = false;
        true
    }
}

impl<M: Send + 'static, R: Send + 'static> Drop for Stay<'_, M, R> {
    fn drop(&mut self) {
        if !self.waits {
            return;
        }
        let mut desk = lock(&self.slot.desk);
        // By then the slot may have a new life, whose own stay this is not.
        let Some(lingers) = desk.lingers_of(self.of) else { return };
        *lingers = Lingers::Nobody;
        desk.woken = false;
        wake(desk);
    }
}
