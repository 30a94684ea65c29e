//! What a simulated world hears of a system, at once and without a bound: its events, what becomes of each message, and
//! whose code is there. Nobody listens without the feature `testing`, which the compiler knows.

#![cfg_attr(
    not(any(test, feature = "testing")),
    expect(dead_code, unreachable_pub, reason = "only simulated worlds listen")
)]

use std::sync::Arc;
use std::time::Instant;

use crate::event::{DropReason, Event};
use crate::id::{Incarnation, Path};
use crate::runtime::system::System;

/// A step of a message at its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MailStep {
    /// It was let into the mailbox.
    Accepted,
    /// It was handed to this life.
    Begun(Incarnation),
    /// This life has handled it.
    Handled(Incarnation),
    /// This life ended, or was given up, while it handled it.
    BrokenOff(Incarnation),
    /// It left the mailbox and was not handled: as a dead letter, back to its sender, or elsewhere.
    Left(DropReason),
}

/// Who hears it. Called where it happens: it must not ask the system for anything.
pub(crate) trait Tap: Send + Sync {
    /// The system is there; nothing of it runs yet.
    fn made(&self, system: &System);
    fn event(&self, event: &Arc<Event>);
    /// `due`: by when its handler must have begun, where one begins that has such a moment.
    fn mail(&self, path: &Path, step: MailStep, due: Option<Instant>);
    /// A supervisor asks a life to end in order. Its child has this place among its children, the first being 0, where those
    /// go one after the other.
    fn asked(&self, path: &Path, incarnation: Incarnation, place: Option<usize>);
    /// Code, or the state, of a life is there from now on, or is not any more.
    fn code(&self, path: &Path, incarnation: Incarnation, is_there: bool);
}

/// A life whose code is being watched.
pub(crate) struct Watched {
    pub(crate) tap: Arc<dyn Tap>,
    pub(crate) path: Path,
    pub(crate) incarnation: Incarnation,
}

impl Watched {
    pub(crate) fn is_there(&self, is_there: bool) {
        self.tap.code(&self.path, self.incarnation, is_there);
    }
}
