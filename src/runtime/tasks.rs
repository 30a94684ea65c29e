//! The tasks and timers of one incarnation: aborted with it, and it is not gone before they are.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The number of a task in its incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

#[derive(Clone, Default)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    emptied: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    closed: bool,
    /// `None` between the number being given and the handle being known.
    live: BTreeMap<TaskId, Option<AbortHandle>>,
}

/// Takes the task out of the table however it ends: done, panicked or aborted.
struct Leaves {
    shared: Arc<Shared>,
    id: TaskId,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        let mut table = self.shared.lock();
        table.live.remove(&self.id);
        if table.live.is_empty() {
            self.shared.emptied.notify_waiters();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Nothing under this lock panics; a poisoned table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks {
    /// Starts a task that belongs to the incarnation. After `abort_all` nothing starts any more.
    pub(crate) fn spawn(&self, make: impl FnOnce(TaskId) -> crate::seam::BoxFuture<'static, ()>) -> TaskId {
        let id = {
            let mut table = self.shared.lock();
            table.next += 1;
            let id = TaskId(table.next);
            if table.closed {
                return id;
            }
            table.live.insert(id, None);
            id
        };
        let leaves = Leaves { shared: Arc::clone(&self.shared), id };
        let work = make(id);
        let handle = tokio::spawn(async move {
            let _leaves = leaves;
            work.await;
        });
        let mut table = self.shared.lock();
        let closed = table.closed;
        if let Some(entry) = table.live.get_mut(&id) {
            *entry = Some(handle.abort_handle());
        }
        drop(table);
        if closed {
            handle.abort();
        }
        id
    }

    pub(crate) fn abort(&self, id: TaskId) {
        let handle = self.shared.lock().live.get(&id).cloned().flatten();
        if let Some(handle) = handle {
            handle.abort();
        }
    }

    pub(crate) fn abort_all(&self) {
        let handles: Vec<_> = {
            let mut table = self.shared.lock();
            table.closed = true;
            table.live.values().flatten().cloned().collect()
        };
        for handle in handles {
            handle.abort();
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.lock().live.len()
    }

    /// Resolves when no task is left. Cancel safe.
    pub(crate) fn emptied(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                let notified = shared.emptied.notified();
                if shared.lock().live.is_empty() {
                    return;
                }
                notified.await;
            }
        }
    }
}
