//! Whether a system has come to rest, read from what is under way and never from a wait; and holding a supervisor still.

use std::sync::Arc;

use crate::error::RequestError;
use crate::exit::ExitReason;
use crate::id::{Incarnation, Path};
use crate::runtime::guard::lock;
use crate::runtime::slot::AnySlot;
use crate::runtime::supervisor::SupervisorMessage;
use crate::runtime::system::System;
use crate::supervision::machine::ChildState;
use crate::supervision::policy::ChildKind;

/// The end of a life, told before its supervisor reacts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct End<'a> {
    /// Whose.
    pub path: &'a Path,
    /// Which life.
    pub incarnation: Incarnation,
    /// How it ended.
    pub reason: &'a ExitReason,
    /// Whether it had started.
    pub started: bool,
}

/// Who is told of every end; see [`SystemBuilder::on_end`](crate::SystemBuilder::on_end).
pub type OnEnd = Arc<dyn Fn(&End<'_>) + Send + Sync>;

/// Whether nothing more happens by itself, but for timers of agents: every supervisor is idle, or waits for a start
/// that `is_held` says is held by the test; no message to a supervisor and none to an agent is under way.
pub fn is_settled(system: &System, is_held: impl Fn(&Path) -> bool) -> bool {
    if system.is_over() {
        return true;
    }
    let mut supervisors = system.supervisors();
    // Those below come first: an end travels upwards, and so it is seen above, if it was not seen below.
    supervisors.sort_by(|a, b| b.cmp(a));
    supervisors.iter().all(|path| supervisor_is_settled(system, path, &is_held))
}

fn supervisor_is_settled(system: &System, path: &Path, is_held: &dyn Fn(&Path) -> bool) -> bool {
    if is_held(path) {
        return true;
    }
    let Some(life) = system.slot(path).and_then(|slot| slot.core().life()) else { return true };
    if life.pending() > 0 {
        return false;
    }
    let Some((machine, _)) = system.published(path).machine() else { return false };
    let machine = lock(&machine);
    if machine.is_done() || life.reason().is_some() {
        // Its parent looks at it too; the root has none.
        return path.parent().is_some();
    }
    let busy = !machine.is_idle();
    if busy && machine.next_alarm().is_some() {
        // It does not wait for ever: time will move it on.
        return false;
    }
    let mut held = false;
    for (_, child) in machine.children() {
        let below = path.child(child.id);
        match child.state {
            ChildState::Running if system.slot(&below).is_some_and(|slot| is_quiet(&*slot)) => {}
            // Nobody stops here but a supervisor that waits for a start below it.
            ChildState::Stopping if child.rules.kind == ChildKind::Worker => return false,
            ChildState::Starting | ChildState::Stopping => {
                let waits = match child.rules.kind {
                    ChildKind::Worker => is_held(&below),
                    ChildKind::Supervisor => system.published(&below).machine().is_some_and(|(below, _)| {
                        let below = lock(&below);
                        !below.is_idle() && !below.is_done()
                    }),
                };
                if !waits {
                    return false;
                }
                held = true;
            }
            ChildState::Running => return false,
            _ => {}
        }
    }
    !busy || held
}

/// Whether a child that runs has nothing to do and has not begun to end.
fn is_quiet(slot: &dyn AnySlot) -> bool {
    slot.queued() == 0 && slot.core().life().is_some_and(|life| !life.is_ending() && life.reason().is_none())
}

/// Ends a supervisor as if by itself: it stops its children in order and exits with this reason. OTP's `exit/2` from
/// its parent's point of view.
///
/// # Errors
///
/// When there is no supervisor at this path.
pub fn exit_supervisor(system: &System, path: &str, reason: ExitReason) -> Result<(), RequestError> {
    tell(system, path, SupervisorMessage::Stop(reason))
}

/// Lets a supervisor begin nothing until [`resume`]: what happens meanwhile waits in its own line.
///
/// # Errors
///
/// When there is no supervisor at this path.
pub fn suspend(system: &System, path: &str) -> Result<(), RequestError> {
    tell(system, path, SupervisorMessage::Suspend)
}

/// Lets a suspended supervisor go on.
///
/// # Errors
///
/// When there is no supervisor at this path.
pub fn resume(system: &System, path: &str) -> Result<(), RequestError> {
    tell(system, path, SupervisorMessage::Resume)
}

fn tell(system: &System, path: &str, message: SupervisorMessage) -> Result<(), RequestError> {
    let supervisor = system.supervisor(path)?;
    supervisor.tell(message).map_err(|_| RequestError::Gone { path: supervisor.path().clone() })
}
