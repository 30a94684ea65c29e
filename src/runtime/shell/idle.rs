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
    /// Whether it had tasks when somebody looked last.
    had_tasks: bool,
    watcher: Option<AbortHandle>,
}

impl Idle {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, last: Arc::default(), had_tasks: false, watcher: None }
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
        let (system, life) = (self.ctx.system.clone(), Arc::clone(&self.ctx.life));
        // Not a task of the life, which has none when it is put to rest.
        let watcher = tokio::spawn(async move {
            // The shell may be stuck in code that blocks its thread while the next life runs.
            while !life.is_ending() {
                let due = Duration::from_micros(last.load(Ordering::Relaxed)).saturating_add(limit);
                match due.saturating_sub(system.moment()) {
                    // The shell looks itself, between two messages. That is something done, where it does not end by it.
                    Duration::ZERO => {
                        if !matches!(slot.control(Command::Doze, Some(life.incarnation)).await, Ok(Ok(()))) {
                            return;
                        }
                    }
                    wait => tokio::time::sleep(wait).await,
                }
            }
        });
        idle.watcher = Some(watcher.abort_handle());
    }

    /// Ends the life, if there was nothing that it did or had to do for its time.
    pub(super) fn doze_if_idle(&mut self) {
        let now = self.ctx.system.moment();
        let Some(idle) = &mut self.idle else { return };
        let slot = &self.ctx.slot;
        // When a task ended is not known: who had one has its time from the first look on that finds none.
        let has_tasks = slot.core().gauge().tasks() > 0;
        let had_tasks_before = std::mem::replace(&mut idle.had_tasks, has_tasks);
        let due = Duration::from_micros(idle.last.load(Ordering::Relaxed)).saturating_add(idle.limit);
        let is_active = matches!(self.running, Running::Active(_));
        let is_idle = !has_tasks && !had_tasks_before && due <= now && slot.queued() == 0;
        if is_active && is_idle && !self.ctx.life.is_ending() {
            self.ctx.life.mark_dozing();
            self.ctx.stop(ExitReason::Normal);
        }
    }
}
