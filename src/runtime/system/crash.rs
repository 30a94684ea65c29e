//! The end of a system as that of its process: from one moment to the next.

use std::sync::Arc;

use ractor::{ActorCell, ActorRef};

use super::System;
use crate::exit::{ExitReason, GaveUp};
use crate::runtime::life::Life;

impl System {
    /// The process ends from one moment to the next: no code of it runs any more, no stop hook and no handler, and nobody
    /// is told. What is returned resolves once nothing of it is left.
    ///
    /// Only within a simulated world, where all of it is on one thread: between here and the first await nobody else runs.
    pub(crate) fn crash(&self) -> impl Future<Output = ()> + Send + 'static {
        self.set_ending();
        let lives: Vec<Arc<Life>> = self.slots().iter().filter_map(|slot| slot.core().life()).collect();
        for life in &lives {
            life.fence();
        }
        let guardian = self.inner.guardian.get().map(ActorRef::get_cell);
        let cells: Vec<ActorCell> =
            guardian.into_iter().chain(lives.iter().filter_map(|life| life.cell().cloned())).collect();
        for cell in &cells {
            cell.kill();
        }
        self.blocks().end();
        let system = self.clone();
        async move {
            for cell in cells {
                let _ = cell.wait(None).await;
            }
            for life in &lives {
                life.tasks.emptied().await;
            }
            // Whoever outside of it still waits for one of its agents is told, as by a connection that breaks.
            system.close_all();
            system.set_ended(Err(GaveUp { path: system.root().clone(), reason: ExitReason::Killed }));
        }
    }
}
