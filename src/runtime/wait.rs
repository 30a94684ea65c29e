//! Waiting, for the helpers of tests: tokio's clock, virtual when paused.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

/// Waits for a future, at most for `limit`; `None` when that passed.
pub(crate) async fn at_most<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Waits.
pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits for two futures; the first counts where both are there at once.
pub(crate) async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        output = one => output,
        output = other => output,
    }
}

/// Lets one through at a time, in the order in which they came.
#[derive(Default)]
pub(crate) struct Turnstile(Mutex<()>);

impl Turnstile {
    /// Waits for its turn, which lasts until what is returned is dropped. Cancel safe.
    pub(crate) async fn enter(&self) -> impl Sized + '_ {
        self.0.lock().await
    }
}

/// Tells whoever waits that something has changed.
#[derive(Default)]
pub(crate) struct Signal(Notify);

impl Signal {
    pub(crate) fn tell(&self) {
        self.0.notify_waiters();
    }

    /// Resolves at the first change after this call. Cancel safe.
    pub(crate) fn next(&self) -> impl Future<Output = ()> {
        let mut notified = Box::pin(self.0.notified());
        // From now on, and not from the first poll on.
        let _ = Pin::as_mut(&mut notified).enable();
        notified
    }
}

/// Waits for both.
pub(crate) async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    tokio::join!(one, other)
}
