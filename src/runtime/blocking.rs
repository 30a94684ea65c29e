//! Work that blocks its thread, where it may: on tokio's blocking pool.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

use crate::runtime::current::{self, Part};
use crate::runtime::guard;
use crate::runtime::life::Life;
use crate::seam::Clock;

/// What a closure on the blocking pool has at hand; see [`Context::blocking`](crate::Context::blocking).
#[derive(Clone)]
pub struct BlockingContext {
    life: Arc<Life>,
    clock: Arc<dyn Clock>,
    /// Whether a handler waits for it, whose deadline its progress concerns.
    for_handler: bool,
    wanted: Arc<AtomicBool>,
}

impl BlockingContext {
    /// Says that the work goes on: the deadline of the handler that waits for it begins anew.
    pub fn progress(&self) {
        if self.for_handler {
            self.life.note_progress(self.clock.now());
        }
    }

    /// Whether anybody still waits for the result. A closure cannot be aborted, so one that takes long asks this from
    /// time to time and returns early when the answer is no.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire) && !self.life.is_fenced()
    }
}

/// Runs a closure on the blocking pool as code of a life; in a simulated world where it is, and at once.
pub(crate) async fn blocking<T, F>(life: Arc<Life>, clock: Arc<dyn Clock>, work: F) -> T
where
    T: Send + 'static,
    F: FnOnce(BlockingContext) -> T + Send + 'static,
{
    if life.is_fenced() {
        // The code of a life that was given up goes no further than its next await point.
        return pending().await;
    }
    let wanted = Arc::new(AtomicBool::new(true));
    let for_handler = current::part() == Some(Part::Shell);
    let ctx = BlockingContext { life: Arc::clone(&life), clock, for_handler, wanted: Arc::clone(&wanted) };
    let counted = life.tasks.count_closure();
    if life.tasks.is_simulated() {
        // On a thread of its own it would be over sooner or later as real time goes.
        tokio::task::yield_now().await;
        let outcome = current::run(&life, Part::Task, move || guard::call_caught(move || work(ctx)));
        drop(counted);
        return outcome.unwrap_or_else(|reason| guard::panic_again(reason));
    }
    let running = tokio::task::spawn_blocking(move || {
        // Dropped last: what the closure holds goes before it.
        let _counted = counted;
        current::run(&life, Part::Task, move || guard::call_caught(move || work(ctx)))
    });
    let _unwanted = Unwanted { wanted, handle: running.abort_handle() };
    match running.await {
        Ok(Ok(value)) => value,
        Ok(Err(reason)) => guard::panic_again(reason),
        // The runtime is being shut down, and this task with it.
        Err(_) => pending().await,
    }
}

/// Nobody waits any more. What has not begun never does.
struct Unwanted {
    wanted: Arc<AtomicBool>,
    handle: AbortHandle,
}

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
        self.handle.abort();
    }
}
