//! Waiting for the journal in a handler.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::runtime::agent::{Agent, Context};
use crate::seam::JournalError;
use crate::sourcing::again_after;

/// How often an agent says that it waits for the disk and has not hung; well within the deadline of any handler.
pub(crate) const BEAT: Duration = Duration::from_millis(50);

/// How long one thing may take that is asked of the journal. Longer than the system's journal takes to give up a write.
const LIMIT: Duration = Duration::from_mins(1);

/// Waits, and says all the while that this is no hang; `None` when the limit has passed.
pub(crate) async fn showing_progress<A: Agent, T>(
    ctx: &mut Context<A>,
    limit: Duration,
    work: impl Future<Output = T> + Send,
) -> Option<T> {
    let mut work = pin!(tokio::time::timeout(limit, work));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done.ok(),
            () = tokio::time::sleep(BEAT) => ctx.progress(),
        }
    }
}

/// Asks the journal, and asks the same again where it is in doubt or cannot be reached, a bounded number of times.
pub(crate) async fn persistently<A, T, F>(
    ctx: &mut Context<A>,
    ask: impl Fn() -> F + Send + Sync,
) -> Result<T, JournalError>
where
    A: Agent,
    F: Future<Output = Result<T, JournalError>> + Send,
{
    for times in 0.. {
        let answer = showing_progress(ctx, LIMIT, ask()).await;
        let late = || JournalError::InDoubt(format!("the journal did not answer within {LIMIT:?}"));
        let error = match answer.unwrap_or_else(|| Err(late())) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(pause) = again_after(&error, times) else { return Err(error) };
        tracing::debug!(path = %ctx.path(), %error, "asks the journal again");
        tokio::time::sleep(pause).await;
        ctx.progress();
    }
    unreachable!("the loop ends with an answer")
}
