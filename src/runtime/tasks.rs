//! What belongs to one incarnation: its tasks and timers, aborted with it, and its state. It is not gone before they are.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::runtime::guard::drop_caught;

use crate::seam::BoxFuture;

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
    /// Whether the state of the incarnation is still held somewhere.
    has_state: bool,
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
        if table.is_empty() {
            self.shared.emptied.notify_waiters();
        }
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.live.is_empty() && !self.has_state
    }
}

/// Work that is in the table. Dropped at any point, also before it ever ran, the work goes before it leaves the table.
struct Listed {
    work: BoxFuture<'static, ()>,
    _leaves: Leaves,
}

impl Future for Listed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(cx)
    }
}

/// The state of an incarnation. The incarnation is not gone before this is dropped, whoever holds it last: ractor hands
/// the state of a killed actor on, or drops it after it has reported the end.
pub(crate) struct Resident<T> {
    state: Option<T>,
    shared: Arc<Shared>,
}

impl<T> Resident<T> {
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.state.as_mut()
    }
}

impl<T> Drop for Resident<T> {
    fn drop(&mut self) {
        // Code of a user: a panic in it must not end whoever happens to drop the state, who may be the supervisor.
        drop_caught(self.state.take());
        let mut table = self.shared.lock();
        table.has_state = false;
        if table.is_empty() {
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
    /// Takes the state of the incarnation in. It has one at most.
    pub(crate) fn house<T>(&self, state: T) -> Resident<T> {
        self.shared.lock().has_state = true;
        Resident { state: Some(state), shared: Arc::clone(&self.shared) }
    }

    /// Starts a task that belongs to the incarnation. After `abort_all` nothing starts any more.
    pub(crate) fn spawn(&self, make: impl FnOnce(TaskId) -> BoxFuture<'static, ()>) -> TaskId {
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
        let handle = tokio::spawn(Listed { work, _leaves: leaves });
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

    /// Whether neither a task nor the state is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.lock().is_empty()
    }

    /// Resolves when neither a task nor the state is left. Cancel safe.
    pub(crate) fn emptied(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                let notified = shared.emptied.notified();
                if shared.lock().is_empty() {
                    return;
                }
                notified.await;
            }
        }
    }
}
