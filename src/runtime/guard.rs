//! Running code of users: its panics are caught, and its silence is noticed.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::exit::ExitReason;
use crate::runtime::life::Life;
use crate::runtime::panic_hook;
use crate::runtime::turn::Turn;
use crate::seam::Clock;

/// Polls a future once and turns a panic into a reason.
pub(crate) fn poll_caught<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<F::Output, ExitReason>> {
    // The state behind a panic is dropped with its incarnation, so nobody sees it half-changed.
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(payload) => Poll::Ready(Err(panicked(payload.as_ref()))),
    }
}

/// What a future gives that is ready at once; `None` of one that would have to be waited for, which is dropped.
pub(crate) fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Runs a future; a panic in it becomes the reason.
pub(crate) async fn run_caught<F: Future>(future: F) -> Result<F::Output, ExitReason> {
    let mut future = pin!(future);
    poll_fn(|cx| poll_caught(future.as_mut(), cx)).await
}

/// Calls a function; a panic in it becomes the reason.
pub(crate) fn call_caught<T>(function: impl FnOnce() -> T) -> Result<T, ExitReason> {
    catch_unwind(AssertUnwindSafe(function)).map_err(|payload| panicked(payload.as_ref()))
}

/// Goes on with a panic that was caught in another thread. The hook is not called again.
pub(crate) fn panic_again(reason: ExitReason) -> ! {
    let message = match reason {
        ExitReason::Panicked { message, location } => {
            panic_hook::put_location(location);
            message
        }
        other => other.to_string(),
    };
    resume_unwind(Box::new(message))
}

/// Runs code of a life's shell that has no deadline; a panic in it becomes the reason. The watchdog may look at it.
pub(crate) async fn run_noted<F: Future>(life: &Life, code: F) -> Result<F::Output, ExitReason> {
    let mut code = pin!(code);
    poll_fn(|cx| {
        let _noted = life.turn().map(Turn::enter);
        poll_caught(code.as_mut(), cx)
    })
    .await
}

/// Runs a handler; its panic, or its silence, becomes the reason.
pub(crate) async fn guarded<F: Future + Unpin>(
    handler: F,
    life: &Life,
    watched: Option<(Duration, Arc<dyn Clock>)>,
    timer: &mut HandlerTimer,
) -> Result<F::Output, ExitReason> {
    match watched {
        None => run_caught(handler).await,
        Some((limit, clock)) => {
            let watch = HandlerWatch { life, clock: &*clock, limit, what: "its handler" };
            run_handler(handler, watch, timer).await
        }
    }
}

/// Waits for a life's code, at most for so long; `None` when that passed. While the thread of the life is blocked on purpose
/// nobody looks at the time.
pub(crate) async fn within<F: Future>(life: &Life, limit: Duration, code: F) -> Option<F::Output> {
    let (mut code, mut timer) = (pin!(code), pin!(tokio::time::sleep(limit)));
    poll_fn(|cx| {
        if let Poll::Ready(output) = code.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if life.is_blocked() {
            return Poll::Pending;
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

fn panicked(payload: &(dyn Any + Send)) -> ExitReason {
    let message = payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    ExitReason::Panicked { message, location: panic_hook::take_location() }
}

/// The one timer with which a shell notices that its handler hangs. Made when a handler first waits, and set anew only
/// when it fires, so that a handler that never waits costs nothing.
#[derive(Default)]
pub(crate) struct HandlerTimer(Option<Pin<Box<Sleep>>>);

/// What is watched, and for how long it may be silent.
pub(crate) struct HandlerWatch<'a> {
    pub(crate) life: &'a Life,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) limit: Duration,
    pub(crate) what: &'static str,
}

/// Runs a handler, or a start; a panic in it, or its silence for longer than `limit`, becomes the reason.
pub(crate) async fn run_handler<F: Future>(
    handler: F,
    watch: HandlerWatch<'_>,
    timer: &mut HandlerTimer,
) -> Result<F::Output, ExitReason> {
    let HandlerWatch { life, clock, limit, what } = watch;
    let mut handler = pin!(handler);
    life.note_handler(clock.now());
    let outcome = poll_fn(|cx| {
        let noted = life.turn().map(Turn::enter);
        if let Poll::Ready(outcome) = poll_caught(handler.as_mut(), cx) {
            return Poll::Ready(outcome);
        }
        drop(noted);
        if life.is_blocked() {
            // A thread that is blocked looks at no timer. Whoever frees it wakes the handler.
            return Poll::Pending;
        }
        let left = || {
            let since =
                life.handler_since().map_or(Duration::ZERO, |since| clock.now().saturating_duration_since(since));
            limit.saturating_sub(since)
        };
        let sleep = timer.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(left())));
        while sleep.as_mut().poll(cx).is_ready() {
            let left = left();
            if left.is_zero() {
                return Poll::Ready(Err(ExitReason::Unresponsive { what: what.to_owned(), limit }));
            }
            sleep.set(tokio::time::sleep(left));
        }
        Poll::Pending
    })
    .await;
    life.note_idle();
    outcome
}

/// When a watched task last showed progress.
#[derive(Clone)]
pub(crate) struct Watched {
    turn: Arc<Turn>,
    clock: Arc<dyn Clock>,
    began: Instant,
    last: Arc<AtomicU64>,
}

impl Watched {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let began = clock.now();
        Self { turn: Arc::default(), clock, began, last: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn beat(&self) {
        let micros = self.clock.now().saturating_duration_since(self.began).as_micros();
        self.last.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Release);
        self.turn.sign();
    }

    /// Whether the task is inside a poll, for the watchdog.
    pub(crate) fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }

    /// For how long there was no progress.
    fn silence(&self) -> Duration {
        let last = Duration::from_micros(self.last.load(Ordering::Acquire));
        self.clock.now().saturating_duration_since(self.began).saturating_sub(last)
    }
}

/// Runs a task that must show progress.
pub(crate) async fn watch(
    progress: Watched,
    limit: Duration,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ExitReason> {
    let mut work = pin!(run_caught(work));
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => return outcome,
            () = tokio::time::sleep(limit.saturating_sub(progress.silence())) => {
                if progress.silence() >= limit {
                    return Err(ExitReason::Unresponsive { what: "a task of it".to_owned(), limit });
                }
            }
        }
    }
}

/// Drops a value of a user. A panic in its drop is reported and goes no further.
pub(crate) fn drop_caught<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(move || drop(value))).is_err() {
        tracing::warn!(r#type = std::any::type_name::<T>(), "a value panicked while it was dropped");
    }
}

/// Drops values of users, one by one: where two panic in the drop of one list, the process ends.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(drop_caught);
}

/// The moment after so long from now, by tokio's clock, by which its timers are set. A wait that is too long for the
/// clock ends in 30 years.
pub(crate) fn after(wait: Duration) -> tokio::time::Instant {
    const FAR: Duration = Duration::from_hours(30 * 365 * 24);
    #[expect(clippy::disallowed_methods, reason = "tokio's timers are set by tokio's clock, virtual when paused")]
    let now = tokio::time::Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + FAR)
}

/// Locks a mutex whose holders never panic while they hold it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
