//! Giving up a life that cannot be ended, since it blocks its thread, or since something below it does.

use std::sync::Arc;

use super::{SupervisorMessage, SupervisorState};
use crate::exit::ExitReason;
use crate::lifecycle::AgentState;
use crate::runtime::life::{Hung, Left, Life};
use crate::runtime::system::System;
use crate::supervision::machine::{ChildKey, Start};

/// How the watchdog tells a supervisor, whose life this is, that a life of a child is hung.
pub(crate) fn hung(supervisor: &Arc<Life>, child: ChildKey, start: Start) -> Hung {
    let supervisor = Arc::clone(supervisor);
    Arc::new(move |reason| {
        // Refused only by a supervisor that has ended.
        supervisor.tell_supervisor(SupervisorMessage::Hung { child, start, reason });
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
    life.fence();
    if life.tasks.has_closures() {
        system.leaked(life, None);
    }
}

impl SupervisorState {
    /// Gives up a life that is still running: it is fenced, what it has in hand is its slot's again, whoever asked it is
    /// told, and it is reported as leaked until its thread is free.
    pub(super) fn abandon(&mut self, child: ChildKey, start: Start, reason: ExitReason) {
        let Some((entry, open)) = self.open(child, start) else { return };
        // How it ended is what is noted first: a life that had failed before reads as failed.
        open.life.end(reason);
        open.life.fence();
        entry.slot.ended(open.life.incarnation);
        let word = open.life.reason().map_or_else(|| ExitReason::Killed.to_string(), ToString::to_string);
        entry.slot.core().set_state(&open.life, AgentState::Terminated { reason: word });
        let cell = open.cell.clone();
        self.system.leaked(&open.life, cell.clone());
        if let Some(cell) = cell {
            // Its late end is of nobody's concern here; it ends at its next await point, if it reaches one. The last rung
            // also for a supervisor whose children do not go: ractor ends them, in no order.
            self.by_actor.remove(&cell.get_id());
            cell.kill();
        }
    }
}
