//! Waiting for what is appended to a stream, and the events of one as they come.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::id::StreamId;
use crate::message::record::Record;
use crate::runtime::system::System;
use crate::seam::{AtMost, Journal, Seq};
use crate::sourcing::{Recorded, StreamError};

/// How often whoever follows a stream looks for what other processes append, when nothing else was said.
pub const DEFAULT_POLL: Duration = Duration::from_secs(1);

/// The end of a stream, at which somebody waits.
pub(crate) struct Tail {
    told: watch::Receiver<Seq>,
    poll: Duration,
}

impl Tail {
    /// What was told before is for the first read.
    pub(crate) fn new(mut told: watch::Receiver<Seq>, poll: Duration) -> Self {
        told.mark_unchanged();
        Self { told, poll }
    }

    /// Waits until something may be there. Cancel safe.
    pub(crate) async fn moved(&mut self) {
        tokio::select! {
            biased;
            Ok(()) = self.told.changed() => {}
            () = tokio::time::sleep(self.poll) => {}
        }
    }
}

/// The events of a stream, from a place on, as they come; see [`System::follow`].
pub struct Follow<E> {
    journal: Arc<dyn Journal>,
    stream: StreamId,
    /// The number of the last event that was read.
    after: Seq,
    /// The records after it, as far as they were read.
    read: VecDeque<Vec<u8>>,
    tail: Tail,
    events: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for Follow<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("stream", &self.stream).field("after", &self.after).finish_non_exhaustive()
    }
}

impl System {
    /// Follows the events of an event-sourced agent, from the one after this number on: those that are there, and then each
    /// that is appended. What is appended through this system comes at once; what other processes append within
    /// [`DEFAULT_POLL`].
    ///
    /// Whoever keeps the number of the last event that it was given goes on from there after a crash. For something to be
    /// read that is made of the events there is [`ChildSpec::projection`](crate::ChildSpec::projection).
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::message::codec::Schema;
    /// # use steadfast::message::record::Record;
    /// # use std::convert::Infallible;
    /// # use steadfast::sourcing::Decision;
    /// # use steadfast::{ChildSpec, EventSourced, Strategy, SupervisorSpec, System};
    /// # struct Counter(u64);
    /// #
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Added(u64);
    /// #
    /// # impl Record for Added {
    /// #     const LAYOUT: Schema = Schema(1);
    /// # }
    /// #
    /// # impl EventSourced for Counter {
    /// #     type Args = ();
    /// #     type Command = u64;
    /// #     type Event = Added;
    /// #     type Reply = u64;
    /// #     type Rejection = Infallible;
    /// #     fn initial((): &()) -> Self { Self(0) }
    /// #     fn decide(&self, add: u64) -> Result<Decision<Added, u64>, Infallible> {
    /// #         Ok(Decision::event(Added(add), self.0 + add))
    /// #     }
    /// #     fn apply(&mut self, added: &Added) { self.0 += added.0; }
    /// # }
    /// #
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::sourced::<Counter>("counter", ()));
    /// # let system = System::start(spec).await?;
    /// let counter = system.agent::<steadfast::Sourced<Counter>>("root/counter")?;
    /// counter.ask(3).await?;
    /// counter.ask(4).await?;
    /// let mut added = system.follow::<Added>(&"agent/root/counter".parse()?, 1);
    /// let next = added.next().await?;
    /// assert_eq!((next.seq, next.event.0), (2, 4));
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn follow<E: Record>(&self, stream: &StreamId, after: Seq) -> Follow<E> {
        let tail = Tail::new(self.desk().feeds().follow(stream), DEFAULT_POLL);
        let (journal, stream, read) = (self.journal(), stream.clone(), VecDeque::new());
        Follow { journal, stream, after, read, tail, events: PhantomData }
    }
}

impl<E: Record> Follow<E> {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// See [`StreamError`]. Called again, it tries again with the event after the last one that it gave.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, no event is lost.
    pub async fn next(&mut self) -> Result<Recorded<E>, StreamError> {
        loop {
            if let Some(frame) = self.read.front() {
                let seq = self.after + 1;
                let recorded = Recorded::read(seq, frame)?;
                (self.after, _) = (seq, self.read.pop_front());
                return Ok(recorded);
            }
            self.read = self.journal.read_some(&self.stream, self.after, AtMost::default()).await?.records.into();
            if self.read.is_empty() {
                self.tail.moved().await;
            }
        }
    }
}
