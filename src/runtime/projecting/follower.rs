//! The task that reads the stream.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::place::Place;
use super::{Order, Projecting, ProjectionOrder};
use crate::exit::BoxError;
use crate::id::{Incarnation, StreamId};
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::tail::Tail;
use crate::seam::{Clock, Journal, JournalError, Seq};
use crate::sourcing::{Projection, recorded_at};

/// How many records are taken in before who reads has a turn.
const AT_ONCE: usize = 256;

pub(super) struct Follower<P: Projection> {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) of: StreamId,
    pub(super) place: Arc<Place>,
    pub(super) myself: AgentRef<Projecting<P>>,
    pub(super) incarnation: Incarnation,
    pub(super) clock: Arc<dyn Clock>,
}

impl<P: Projection> Follower<P> {
    /// Follows the stream for as long as the life lasts.
    pub(super) async fn run(self, mut after: Seq, mut tail: Tail) {
        loop {
            match self.journal.read(&self.of, after).await {
                Ok(frames) => after = self.hand_over(after, frames).await,
                // It will be back.
                Err(error @ (JournalError::Unavailable(_) | JournalError::InDoubt(_))) => {
                    tracing::warn!(path = %self.myself.path(), stream = %self.of, %error, "looks again later");
                }
                Err(error) => return self.give_up(error).await,
            }
            tail.moved().await;
            self.place.waits_since(self.clock.wall());
        }
    }

    /// Hands records over to the agent, and returns up to where it took them.
    async fn hand_over(&self, mut after: Seq, mut frames: Vec<Vec<u8>>) -> Seq {
        let end = after + frames.len() as Seq;
        loop {
            self.place.read(end, frames.first().and_then(|frame| recorded_at(frame)));
            self.tell_lag();
            if frames.is_empty() {
                return after;
            }
            let rest = frames.split_off(frames.len().min(AT_ONCE));
            let (count, (done, taken)) = (frames.len() as Seq, oneshot::channel());
            self.myself.tell_patiently(ProjectionOrder(Order::Take { after, frames, done })).await;
            if taken.await.is_err() {
                // It was not taken: refused, or this life ends. It is read again.
                return after;
            }
            (after, frames) = (after + count, rest);
        }
    }

    /// The metric.
    fn tell_lag(&self) {
        let lag = self.place.lag(self.clock.wall());
        let (path, stream, age) = (self.myself.path(), &self.of, lag.age.as_secs_f64());
        tracing::debug!(%path, %stream, lag_records = lag.records, lag_seconds = age, "projection");
    }

    async fn give_up(&self, error: JournalError) {
        let why: BoxError = match error {
            JournalError::Pruned { first } => format!(
                "the records of `{}` before {first} were pruned before the projection had them: keep it \
                 (`keep_every`), or let the agent keep its events (`snapshot_every`)",
                self.of
            )
            .into(),
            error => error.into(),
        };
        self.myself.tell_patiently(ProjectionOrder(Order::Broken { of: self.incarnation, why })).await;
    }
}
