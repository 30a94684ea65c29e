//! When a lazy agent has nothing to do any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Body;
use super::obey::Running;
use crate::exit::ExitReason;
use crate::runtime::agent::Agent;
use crate::runtime::slot::{AnySlot, Command};

/// Since when a lazy agent did nothing, and who looks.
pub(super) struct Idle {
    limit: Duration,
    /// When it did something last, in microseconds since the system began.
    last: Arc<AtomicU64>,
    watcher: Option<AbortHandle>,
}

impl Idle {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, last: Arc::default(), watcher: None }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
    }
}

impl<A: Agent> Body<A> {
    /// Something was done.
    pub(super) fn note_activity(&self) {
        if let Some(idle) = &self.idle {
            let micros = self.ctx.system.moment().as_micros();
            idle.last.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// From here on somebody looks whether there is nothing to do.
    pub(super) fn watch_idleness(&mut self) {
        self.note_activity();
        let Some(idle) = &mut self.idle else { return };
        let (slot, last, limit) = (Arc::clone(&self.ctx.slot), Arc::clone(&idle.last), idle.limit);
        let system = self.ctx.system.clone();
        // Not a task of the life, which has none when it is put to rest.
        let watcher = tokio::spawn(async move {
            loop {
                let due = Duration::from_micros(last.load(Ordering::Relaxed)).saturating_add(limit);
                match due.saturating_sub(system.moment()) {
                    // The shell looks itself, between two messages. That is something done, where it does not end by it.
                    Duration::ZERO => drop(slot.control(Command::Doze).await),
                    wait => tokio::time::sleep(wait).await,
                }
            }
        });
        idle.watcher = Some(watcher.abort_handle());
    }

    /// Ends the life, if there is nothing that it does or has to do.
    pub(super) fn doze_if_idle(&mut self) {
        let slot = &self.ctx.slot;
        let is_active = matches!(self.running, Running::Active(_));
        if is_active && slot.queued() == 0 && slot.core().gauge().tasks() == 0 && !self.ctx.life.is_ending() {
            self.ctx.life.mark_dozing();
            self.ctx.stop(ExitReason::Normal);
        }
    }
}
