//! The deadlines of questions, by timers that are lent and given back.
//!
//! Nearly every question is answered long before its deadline, and setting a timer of tokio's and taking it back costs
//! as much as carrying the message. So a timer that was set stays set when its question was answered, and the next
//! question borrows it: it is only set anew when it fires before that question's deadline.
//!
//! # Invariants
//!
//! * A question fails at its deadline and not before, on virtual time too: a timer that is lent is never set later than
//!   the deadline that it is lent for.
//! * A timer is lent only within the runtime whose clock drives it.
//! * What a timer that nobody has borrowed wakes is a task that has gone on since; it looks, and finds nothing new.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::runtime::agent_ref::DEFAULT_ASK;
use crate::runtime::guard::lock;

/// How many timers are kept when nobody needs them: as many as questions wait at once in a busy process, not in a
/// flood.
const KEPT: usize = 64;

/// The timers of a system that nobody uses at the moment.
#[derive(Default)]
pub(crate) struct Timers {
    idle: Mutex<Vec<Timer>>,
    /// How long a question that does not say may take.
    default_ask: Option<Duration>,
}

struct Timer {
    sleep: Pin<Box<Sleep>>,
    runtime: runtime::Id,
}

impl Timers {
    pub(crate) fn new(default_ask: Option<Duration>) -> Self {
        Self { idle: Mutex::default(), default_ask }
    }

    /// How long a question that does not say may take.
    pub(crate) fn default_ask(&self) -> Duration {
        self.default_ask.unwrap_or(DEFAULT_ASK)
    }

    /// Waits for a future, at most to a deadline. `None` when that passed. Cancel safe if the future is.
    pub(crate) async fn until<F: Future>(&self, by: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut lent = Lent { timers: self, timer: None };
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let sleep = &mut lent.timer.get_or_insert_with(|| self.lend(by)).sleep;
            while sleep.as_mut().poll(cx).is_ready() {
                if sleep.deadline() >= by {
                    return Poll::Ready(None);
                }
                sleep.as_mut().reset(by);
            }
            Poll::Pending
        })
        .await
    }

    fn lend(&self, by: Instant) -> Timer {
        let runtime = Handle::current().id();
        let found = {
            let mut idle = lock(&self.idle);
            idle.iter().rposition(|timer| timer.runtime == runtime).map(|place| idle.swap_remove(place))
        };
        match found {
            Some(mut timer) => {
                if timer.sleep.deadline() > by {
                    timer.sleep.as_mut().reset(by);
                }
                timer
            }
            None => Timer { sleep: Box::pin(sleep_until(by)), runtime },
        }
    }

    fn give_back(&self, timer: Timer) {
        let mut idle = lock(&self.idle);
        if idle.len() < KEPT {
            idle.push(timer);
        }
    }
}

/// A timer on loan: given back however the wait ends.
struct Lent<'a> {
    timers: &'a Timers,
    timer: Option<Timer>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.timers.give_back(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::runtime::guard::after;

    /// Waits for something that takes so long, and returns whether it came and how long the wait was.
    async fn wait(timers: &Timers, takes: Duration, limit: Duration) -> (bool, Duration) {
        let (began, by) = (after(Duration::ZERO), after(limit));
        let came = timers.until(by, tokio::time::sleep(takes)).await.is_some();
        (came, after(Duration::ZERO) - began)
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_exactly_at_its_deadline_whatever_timer_it_borrowed() {
        let timers = Timers::default();
        // Answered in time: leaves a timer behind that is set to 5 s.
        assert_eq!(wait(&timers, secs(1), secs(5)).await, (true, secs(1)));
        // Later than that one's time, and earlier than that one's time.
        assert_eq!(wait(&timers, secs(60), secs(30)).await, (false, secs(30)));
        assert_eq!(wait(&timers, secs(1), secs(20)).await, (true, secs(1)));
        assert_eq!(wait(&timers, secs(60), secs(2)).await, (false, secs(2)));
        // One that has fired while nobody had it.
        assert_eq!(wait(&timers, secs(1), secs(5)).await, (true, secs(1)));
        tokio::time::sleep(secs(60)).await;
        assert_eq!(wait(&timers, secs(60), secs(7)).await, (false, secs(7)));
        assert_eq!(lock(&timers.idle).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_at_once_have_a_timer_each_and_a_wait_that_is_dropped_gives_its_own_back() {
        let timers = Arc::new(Timers::default());
        let by = |limit| (Arc::clone(&timers), after(limit));
        let waits: Vec<_> = (1..=100)
            .map(|limit| {
                let (timers, by) = by(secs(limit));
                tokio::spawn(async move { timers.until(by, pending::<()>()).await })
            })
            .collect();
        let (own, never) = by(secs(1_000));
        assert!(tokio::time::timeout(secs(1), own.until(never, pending::<()>())).await.is_err());
        for wait in waits {
            assert_eq!(wait.await.expect("it does not panic"), None);
        }
        assert_eq!(after(Duration::ZERO), by(Duration::ZERO).1);
        assert_eq!(lock(&timers.idle).len(), KEPT);
    }

    #[test]
    fn a_timer_of_a_runtime_that_is_gone_is_not_lent_in_another() {
        let timers = Arc::new(Timers::default());
        for _ in 0..2 {
            let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let timers = Arc::clone(&timers);
            runtime.expect("a runtime starts").block_on(async move {
                let (sender, receiver) = oneshot::channel();
                tokio::spawn(async move { sender.send(7) });
                assert_eq!(timers.until(after(secs(5)), receiver).await, Some(Ok(7)));
            });
        }
        assert_eq!(lock(&timers.idle).len(), 2);
    }
}
