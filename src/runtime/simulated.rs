//! What a simulated world needs of tokio: a runtime whose time stands still, tasks, and who of them is left.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

/// Runs a future on a runtime of its own in this thread. Time stands still while anybody has something to do, and then
/// goes to the next timer.
///
/// # Errors
///
/// When the operating system does not give what a runtime needs.
pub(crate) fn run_alone<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(future))
}

/// How many tasks there are on this runtime, that of whoever asks not counted where it is no task.
pub(crate) fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// A task that is aborted when this is dropped.
pub(crate) struct Aborted(AbortHandle);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a task.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Aborted {
    Aborted(tokio::spawn(work).abort_handle())
}

/// What came of a future: its output, or what it panicked with.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        // Whoever looks at what is left after a panic is the test, which ends with it.
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// The text of a panic.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked with a value that is no text").to_owned()
}
