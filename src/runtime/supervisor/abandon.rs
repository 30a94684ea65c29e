//! Giving up a life that cannot be ended, since it blocks its thread.

use std::sync::Arc;

use ractor::{ActorCell, ActorProcessingErr, ActorRef};

use super::{SupervisorMessage, SupervisorState};
use crate::exit::ExitReason;
use crate::lifecycle::AgentState;
use crate::runtime::life::Life;
use crate::runtime::system::System;
use crate::runtime::watchdog::Hung;
use crate::supervision::machine::{ChildKey, Event, Start};

/// How the watchdog tells a supervisor that a life of a child is hung.
pub(crate) fn hung(supervisor: ActorCell, (child, start): (ChildKey, Start)) -> Hung {
    let supervisor = ActorRef::<SupervisorMessage>::from(supervisor);
    Arc::new(move |reason| {
        // Refused only by a supervisor that has ended.
        let _ = supervisor.cast(SupervisorMessage::Hung { child, start, reason });
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
    /// A life blocks its thread. It is given up at once, and gone as far as the machine knows.
    pub(super) async fn hung(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        (child, start): (ChildKey, Start),
        reason: ExitReason,
    ) -> Result<(), ActorProcessingErr> {
        let open = self.children.get(&child).and_then(|child| child.open.as_ref());
        let Some(open) = open.filter(|open| open.start == start) else { return Ok(()) };
        // How it ended is what is noted first: a life that had failed before reads as failed.
        open.life.end(reason.clone());
        let reason = open.life.reason().cloned().unwrap_or(reason);
        self.abandon(child, start);
        self.feed(myself, Event::Exited { child, start, reason }).await;
        Ok(())
    }

    /// Gives up a life that is still running: it is fenced, what it has in hand is its slot's again, whoever asked it is
    /// told, and it is reported as leaked until its thread is free. Its end must be noted before, and fed after.
    pub(super) fn abandon(&mut self, child: ChildKey, start: Start) {
        let Some(entry) = self.children.get(&child) else { return };
        let Some(open) = entry.open.as_ref().filter(|open| open.start == start) else { return };
        open.life.fence();
        entry.slot.ended(open.life.incarnation);
        if let Some(cell) = &open.cell {
            // Its late end is of nobody's concern here; it ends at its next await point, if it reaches one.
            self.by_actor.remove(&cell.get_id());
            cell.kill();
        }
        let word = open.life.reason().map_or_else(|| ExitReason::Killed.to_string(), ToString::to_string);
        entry.slot.core().set_state(&open.life, AgentState::Terminated { reason: word });
        self.system.leaked(&open.life, open.cell.clone());
    }
}
