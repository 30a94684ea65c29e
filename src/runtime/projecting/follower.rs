//! The task that reads the stream.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::place::Place;
use super::{Order, Projecting, ProjectionOrder};
use crate::exit::BoxError;
use crate::id::{Incarnation, StreamId};
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::tail::Tail;
use crate::seam::{AtMost, Clock, Journal, JournalError, Part, Seq};
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
        let mut end = 0;
        loop {
            match self.journal.read_some(&self.of, after, AtMost::default()).await {
                Ok(Part { records, more }) => {
                    let (before, read) = (after, after + records.len() as Seq);
                    end = match more {
                        true if end > read => end,
                        true => self.end_beyond(read).await,
                        false => read,
                    };
                    after = self.hand_over(after, records, end).await;
                    if more && before < after && after == read {
                        continue;
                    }
                }
                // It will be back.
                Err(error) if error.passes() => {
                    tracing::warn!(path = %self.myself.path(), stream = %self.of, %error, "looks again later");
                }
                Err(error) => return self.give_up(error).await,
            }
            tail.moved().await;
            self.place.waits_since(self.clock.wall());
        }
    }

    /// Where the stream ends, of which there may be more than was read: how far there is to go is told before it is read.
    async fn end_beyond(&self, read: Seq) -> Seq {
        match self.journal.list(self.of.as_str()).await {
            Ok(found) => found.into_iter().find(|info| info.stream == self.of).map_or(read, |info| info.last.max(read)),
            // Not here.
            Err(_) => read + 1,
        }
    }

    /// Hands records over to the agent, and returns up to where it took them. The stream ends at `end`.
    async fn hand_over(&self, mut after: Seq, records: Vec<Vec<u8>>, end: Seq) -> Seq {
        let mut records = records.into_iter();
        loop {
            let next = records.as_slice().first();
            if next.is_some() || after == end {
                self.place.read(end, next.and_then(|frame| recorded_at(frame)));
                self.tell_lag();
            }
            let frames: Vec<_> = records.by_ref().take(AT_ONCE).collect();
            if frames.is_empty() {
                return after;
            }
            let (count, (done, taken)) = (frames.len() as Seq, oneshot::channel());
            self.myself.tell_patiently(ProjectionOrder(Order::Take { after, frames, done })).await;
            if taken.await.is_err() {
                // It was not taken: refused, or this life ends. It is read again.
                return after;
            }
            after += count;
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
