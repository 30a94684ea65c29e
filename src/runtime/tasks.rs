//! What belongs to one incarnation: its tasks and timers, aborted with it, and its state. It is not gone before they are.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::runtime::current::{self, Part};
use crate::runtime::guard::drop_caught;
use crate::runtime::life::Life;
use crate::runtime::permits::{Asked, Permit, Permits};
use crate::runtime::slot::Seat;
use crate::runtime::tap::Watched;

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
    /// The tasks in the table and in those of the slot's other lives, for who reads it without a lock.
    running: Seat,
    /// How many run at once, where there is a limit.
    permits: OnceLock<Arc<Permits>>,
    /// Who hears whether anything of it is there, in a simulated world.
    #[cfg(any(test, feature = "testing"))]
    watched: OnceLock<Watched>,
}

#[derive(Default)]
struct Table {
    next: u64,
    closed: bool,
    /// How many states of the incarnation are still held somewhere: that of the agent, or of its start.
    states: usize,
    /// `None` between the number being given and the handle being known.
    live: BTreeMap<TaskId, Option<AbortHandle>>,
    /// How many closures are on the blocking pool. They cannot be aborted, and nobody waits for them.
    closures: usize,
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
        self.shared.running.task_ends();
        if table.live.is_empty() {
            self.shared.emptied.notify_waiters();
        }
        self.shared.tell_if(table.is_empty(), false);
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.states == 0
    }
}

/// Work that is in the table. Dropped at any point, also before it ever ran, the work goes before it leaves the table.
struct Listed<W> {
    work: W,
    _leaves: Leaves,
}

impl<W: Future<Output = ()> + Unpin> Future for Listed<W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.work).poll(cx)
    }
}

/// The state of an incarnation. The incarnation is not gone before this is dropped, whoever holds it last: ractor hands
/// the state of a killed actor on, or drops it after it has reported the end.
pub(crate) struct Resident<T> {
    state: Option<T>,
    life: Arc<Life>,
}

impl<T> Resident<T> {
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.state.as_mut()
    }
}

impl<T> Drop for Resident<T> {
    fn drop(&mut self) {
        // Code of a user: a panic in it must not end whoever happens to drop the state, who may be the supervisor.
        let state = self.state.take();
        current::run(&self.life, Part::Shell, || drop_caught(state));
        let shared = &self.life.tasks.shared;
        let mut table = shared.lock();
        table.states -= 1;
        if table.is_empty() {
            shared.emptied.notify_waiters();
        }
        shared.tell_if(table.is_empty(), false);
    }
}

/// A closure on the blocking pool; over when this is dropped.
pub(crate) struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lock().closures -= 1;
        self.0.emptied.notify_waiters();
    }
}

/// A place among the tasks of an incarnation that run at once.
pub(crate) struct InLine(Option<Asked>);

impl InLine {
    /// Resolves when its turn has come. What is returned is held for as long as the task runs.
    pub(crate) async fn turn(self) -> Option<Permit> {
        match self.0? {
            Asked::Entered(permit) => Some(permit),
            Asked::Waits(mut waiter) => Some(waiter.handed().await),
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Nothing under this lock panics; a poisoned table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Tells a simulated world whether anything of the life is there, where that changes.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(clippy::unused_self, reason = "there are such worlds in tests only")
    )]
    fn tell_if(&self, changes: bool, is_there: bool) {
        #[cfg(any(test, feature = "testing"))]
        if let Some(watched) = self.watched.get().filter(|_| changes) {
            watched.is_there(is_there);
        }
        let _ = (changes, is_there);
    }
}

impl Tasks {
    /// Lets a simulated world hear whether anything of the life is there; before it runs.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(clippy::unused_self, reason = "there are such worlds in tests only")
    )]
    pub(crate) fn watch(&self, watched: Watched) {
        #[cfg(any(test, feature = "testing"))]
        let _ = self.shared.watched.set(watched);
        #[cfg(not(any(test, feature = "testing")))]
        drop(watched);
    }

    /// Whether the life is in a simulated world.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is_simulated(&self) -> bool {
        self.shared.watched.get().is_some()
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "there are such worlds in tests only")]
    pub(crate) const fn is_simulated(&self) -> bool {
        false
    }

    /// Tasks that are counted here too.
    pub(crate) fn counted_in(running: &Seat) -> Self {
        Self {
            shared: Arc::new(Shared {
                table: Mutex::default(),
                emptied: Notify::new(),
                running: running.clone(),
                permits: OnceLock::new(),
                #[cfg(any(test, feature = "testing"))]
                watched: OnceLock::new(),
            }),
        }
    }

    /// Takes a state of a life in.
    pub(crate) fn house<T>(life: &Arc<Life>, state: T) -> Resident<T> {
        {
            let shared = &life.tasks.shared;
            let mut table = shared.lock();
            shared.tell_if(table.is_empty(), true);
            table.states += 1;
        }
        Resident { state: Some(state), life: Arc::clone(life) }
    }

    /// Counts a closure on the blocking pool.
    pub(crate) fn count_closure(&self) -> Counted {
        self.shared.lock().closures += 1;
        Counted(Arc::clone(&self.shared))
    }

    /// Whether a closure is on the blocking pool.
    pub(crate) fn has_closures(&self) -> bool {
        self.shared.lock().closures > 0
    }

    /// So many run at once. The first word stays.
    pub(crate) fn limit(&self, permits: Arc<Permits>) {
        let _ = self.shared.permits.set(permits);
    }

    /// A place among those that run, or in the line of those that wait for one: that of now, and not of the first poll.
    pub(crate) fn queue_up(&self) -> InLine {
        InLine(self.shared.permits.get().and_then(|permits| permits.enter().ok()))
    }

    /// How many wait until one before them has ended.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.permits.get().map_or(0, |permits| permits.occupancy().waiting)
    }

    /// Starts a task that belongs to the incarnation. After `abort_all` nothing starts any more.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + Unpin + 'static) -> TaskId {
        let id = {
            let mut table = self.shared.lock();
            table.next += 1;
            let id = TaskId(table.next);
            if table.closed {
                return id;
            }
            self.shared.tell_if(table.is_empty(), true);
            table.live.insert(id, None);
            self.shared.running.task_begins();
            id
        };
        let leaves = Leaves { shared: Arc::clone(&self.shared), id };
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

    /// Whether neither a task nor the state is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.lock().is_empty()
    }

    /// Resolves when neither a task nor the state is left. Cancel safe.
    pub(crate) fn emptied(&self) -> impl Future<Output = ()> + Send + 'static {
        self.once(Table::is_empty)
    }

    /// Resolves when no task is left. Cancel safe.
    pub(crate) fn idle(&self) -> impl Future<Output = ()> + Send + 'static {
        self.once(|table| table.live.is_empty())
    }

    /// Resolves when no closure is left either. Cancel safe.
    pub(crate) fn silent(&self) -> impl Future<Output = ()> + Send + 'static {
        self.once(|table| table.is_empty() && table.closures == 0)
    }

    fn once(&self, is_it: impl Fn(&Table) -> bool + Send + 'static) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                let notified = shared.emptied.notified();
                if is_it(&shared.lock()) {
                    return;
                }
                notified.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::id::{ChildId, Incarnation, Path};
    use crate::runtime::world::TokioClock;
    use crate::seam::Clock;

    struct Marks(Arc<AtomicBool>);

    impl Drop for Marks {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_empty_before_the_state_is_dropped_whoever_holds_it() {
        let path = Path::root(&ChildId::new("a").expect("a name"));
        let life = Arc::new(Life::new(path, Incarnation::FIRST, TokioClock.now(), Tasks::default()));
        let tasks = &life.tasks;
        let gone = Arc::new(AtomicBool::new(false));
        let resident = Tasks::house(&life, Marks(Arc::clone(&gone)));
        let emptied = tokio::spawn(tasks.emptied());
        tokio::task::yield_now().await;
        assert!(!tasks.is_empty() && !emptied.is_finished());
        let held: Box<dyn std::any::Any + Send> = Box::new(resident);
        drop(held);
        emptied.await.expect("it resolves");
        assert!(tasks.is_empty() && gone.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_starts_after_all_was_aborted() {
        let running = Seat::default();
        let tasks = Tasks::counted_in(&running);
        tasks.spawn(Box::pin(std::future::pending()));
        assert_eq!(running.tasks(), 1);
        tasks.abort_all();
        let ran = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&ran);
        tasks.spawn(Box::pin(async move { mark.store(true, Ordering::SeqCst) }));
        tasks.emptied().await;
        tokio::task::yield_now().await;
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(running.tasks(), 0);
    }
}
