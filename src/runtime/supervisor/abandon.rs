//! Giving up a life that cannot be ended, since it blocks its thread, or since something below it does.

use std::sync::Arc;

use super::{SupervisorMessage, SupervisorState};
use crate::exit::ExitReason;
use crate::id::Path;
use crate::lifecycle::AgentState;
use crate::runtime::guard::lock;
use crate::runtime::life::{Above, Hung, Left, Life};
use crate::runtime::slot::AnySlot;
use crate::runtime::system::System;
use crate::supervision::machine::{ChildKey, ChildState, Progress, Start};
use crate::supervision::policy::ChildKind;

/// How the watchdog tells the supervisor of a life that it is hung.
pub(crate) fn hung(above: &Above) -> Hung {
    let above = above.clone();
    Arc::new(move |reason| {
        let Above { child, start, incarnation, .. } = above;
        // Refused only by a supervisor that has ended.
        above.supervisor.tell_supervisor(SupervisorMessage::Hung { child, start, incarnation, reason });
    })
}

/// How a supervisor, whose life this is, is told that an actor is gone.
pub(crate) fn left(supervisor: &Arc<Life>) -> Left {
    let supervisor = Arc::clone(supervisor);
    Box::new(move |cell| {
        // Refused only by a supervisor that has ended.
        supervisor.tell_supervisor(SupervisorMessage::Left(cell));
    })
}

/// A life has ended. What still runs of it are closures that nobody can abort: they are fenced, and reported.
pub(super) fn part_with(system: &System, life: &Arc<Life>) {
    // On purpose: it has ended, so what should it still do?
    if !bug_on_purpose!(system, EndedIsNotFenced) {
        life.fence();
    }
    if life.tasks.has_closures() {
        system.leaked(life, None);
    }
}

/// Gives up a life that is still running: it is fenced, what it has in hand is its slot's again, whoever asked it is
/// told, and it is reported as leaked until its thread is free.
fn give_up(system: &System, slot: &dyn AnySlot, life: &Arc<Life>, reason: ExitReason) {
    // How it ended is what is noted first: a life that had failed before reads as failed.
    life.end(reason);
    life.fence();
    slot.ended(life.incarnation);
    let word = life.reason().map_or_else(|| ExitReason::Killed.to_string(), ToString::to_string);
    slot.core().set_state(life, AgentState::Terminated { reason: word });
    system.leaked(life, life.cell().cloned());
}

/// Gives up whoever lives below a supervisor that is given up: nobody is left who would end or fence them.
fn give_up_below(system: &System, supervisor: &Path) {
    system.each_within(supervisor, |slot| {
        if slot.core().path == *supervisor {
            return;
        }
        // A life that ended is fenced; one that was given up is too.
        if let Some(life) = slot.core().life().filter(|life| !life.is_fenced()) {
            give_up(system, slot, &life, ExitReason::Killed);
            if let Some(cell) = life.cell() {
                life.kill_actor(cell);
            }
        }
        if system.is_ending() {
            slot.rest();
        }
    });
}

impl SupervisorState {
    /// What a supervisor below this one waits for, by the clock of this one.
    pub(super) fn progress_of(&self, child: ChildKey) -> Progress {
        let Some(child) = self.children.get(&child) else { return Progress::Unknown };
        let leaving = |state| state == ChildState::Stopping;
        let paths = self.system.paths_within(&child.slot.core().path, leaving);
        let progress = paths.iter().filter_map(|path| self.system.known_supervisor(path)?.machine());
        let progress = progress.map(|(machine, began)| match lock(&machine).progress() {
            Progress::WaitsUntil(at) => Progress::WaitsUntil((began + at).saturating_duration_since(self.began)),
            other => other,
        });
        progress.max().unwrap_or(Progress::Unknown)
    }

    /// Gives up a child, and if it is a supervisor all that live below it.
    pub(super) fn abandon(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Some((child, open)) = self.open(key, start) else { return };
        give_up(&self.system, &*child.slot, &open.life, reason);
        if child.kind == ChildKind::Supervisor {
            give_up_below(&self.system, &child.slot.core().path);
        }
        let (Some(cell), life) = (open.cell.clone(), Arc::clone(&open.life)) else { return };
        // Its late end is of nobody's concern here; it ends at its next await point, if it reaches one. The last rung
        // also for a supervisor whose children do not go: ractor ends them, in no order.
        self.by_actor.remove(&cell.get_id());
        life.kill_actor(&cell);
    }
}
