//! A lazy agent at rest: no actor, no life; the next message has its supervisor start one.
//!
//! # Invariants
//!
//! * A slot that dozes has nothing waiting: what comes first rouses it, once.
//! * What is needed only by a life, and by messages, is not there meanwhile: neither the last life, which holds its actor,
//!   nor a hand, nor room for messages.

use std::sync::Arc;

use super::{Presence, Slot, wake};
use crate::runtime::guard::lock;
use crate::runtime::life::Life;
use crate::runtime::supervisor::SupervisorMessage;
use crate::supervision::machine::{ChildKey, Start};

/// Who is told that a message came.
#[derive(Clone)]
pub(crate) struct Rouse {
    pub(crate) supervisor: Arc<Life>,
    pub(crate) child: ChildKey,
    pub(crate) start: Start,
}

impl Rouse {
    pub(super) fn tell(self) {
        let Self { supervisor, child, start } = self;
        // Refused only by a supervisor that has ended; the next one looks what waits.
        supervisor.tell_supervisor(SupervisorMessage::Rouse { child, start });
    }
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    /// Nobody is here until a message comes. One that is here already rouses at once.
    pub(super) fn doze_until_roused(&self, rouse: Rouse) {
        self.core.set_presence(Presence::Dozing);
        self.core.let_go();
        let mut desk = lock(&self.desk);
        desk.inbox.rest();
        desk.rouse = Some(rouse);
        // On purpose: nothing can have come while it had nothing to do.
        if !bug_on_purpose!(self.office(), DozeMissesMessage) {
            wake(desk);
        }
    }
}
