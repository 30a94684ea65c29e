//! A reference to an agent that stays good over its restarts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::{RequestError, TellError};
use crate::event::{EventKind, RefuseReason};
use crate::id::{Incarnation, Path};
use crate::runtime::agent::Agent;
use crate::runtime::current::FencedLife;
use crate::runtime::guard::after;
use crate::runtime::slot::{AnySlot, Envelope, Refused, ReplyTo, Slot};

/// How long an ask waits for its reply when it does not say.
pub const DEFAULT_ASK: Duration = Duration::from_secs(5);

/// A reference to an agent. It points to the agent's slot, so restarts do not invalidate it. Cheap to clone.
///
/// While the agent is between two incarnations, messages wait in its slot, an ask at most to its deadline. They fail
/// at once when no restart is coming.
pub struct AgentRef<A: Agent> {
    slot: Arc<Slot<A::Message, A::Reply>>,
}

impl<A: Agent> Clone for AgentRef<A> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot) }
    }
}

impl<A: Agent> fmt::Debug for AgentRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentRef({})", self.slot.core().path)
    }
}

impl<A: Agent> AgentRef<A> {
    pub(crate) fn new(slot: Arc<Slot<A::Message, A::Reply>>) -> Self {
        Self { slot }
    }

    pub(crate) fn slot(&self) -> Arc<dyn AnySlot> {
        Arc::clone(&self.slot) as Arc<dyn AnySlot>
    }

    /// Where the agent stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.slot.core().path
    }

    /// The life that is running now, or `None` between two lives.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.slot.core().incarnation()
    }

    /// Tells the agent something and never waits. At most once: a message that is being handled when the agent ends
    /// is not delivered again.
    ///
    /// # Errors
    ///
    /// [`TellError::Full`] when the mailbox holds as many messages as it may, [`TellError::Gone`] when no incarnation
    /// will come, [`TellError::Fenced`] when the sender is a life that was given up; all give the message back.
    pub fn tell(&self, message: A::Message) -> Result<(), TellError<A::Message>> {
        self.slot.push(Envelope { message, reply: None }).map_err(|refused| refused_tell(&self.slot, refused))
    }

    /// As [`tell`](Self::tell), but waits for room, at most for `limit`.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell); `Full` when there was no room within `limit`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message was not told.
    pub async fn tell_wait(&self, message: A::Message, limit: Duration) -> Result<(), TellError<A::Message>> {
        let by = after(limit);
        push_wait(&self.slot, Envelope { message, reply: None }, Some(by))
            .await
            .map_err(|refused| refused_tell(&self.slot, refused))
    }

    /// Tells without a limit of time; for an agent's own timers, which end with it.
    pub(crate) async fn tell_patiently(&self, message: A::Message) {
        let _ = push_wait(&self.slot, Envelope { message, reply: None }, None).await;
    }

    /// Asks the agent something and waits for the reply, at most for [`DEFAULT_ASK`].
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message may or may not be handled.
    pub async fn ask(&self, message: A::Message) -> Result<A::Reply, RequestError> {
        self.ask_within(message, DEFAULT_ASK).await
    }

    /// As [`ask`](Self::ask), with a deadline of its own. Waiting for room in the mailbox, for the next incarnation
    /// and for the reply all count towards it.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn ask_within(&self, message: A::Message, limit: Duration) -> Result<A::Reply, RequestError> {
        ask_slot(&self.slot, message, limit).await
    }
}

fn report<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, refused: &Refused<M, R>) {
    let why = match refused {
        Refused::Full(..) => RefuseReason::Full,
        Refused::Gone(_) => RefuseReason::Gone,
        Refused::Fenced(..) => RefuseReason::Fenced,
    };
    slot.core().bus.publish(&slot.core().path, EventKind::Refused { why });
}

fn refused_tell<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, refused: Refused<M, R>) -> TellError<M> {
    report(slot, &refused);
    let path = slot.core().path.clone();
    match refused {
        Refused::Full(envelope, bound) => TellError::Full { message: envelope.message, path, bound },
        Refused::Gone(envelope) => TellError::Gone { message: envelope.message, path },
        Refused::Fenced(envelope, FencedLife { path: sender, incarnation }) => {
            TellError::Fenced { message: envelope.message, path, sender, incarnation }
        }
    }
}

async fn push_wait<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    mut envelope: Envelope<M, R>,
    by: Option<Instant>,
) -> Result<(), Refused<M, R>> {
    // Most mailboxes have room.
    match slot.push(envelope) {
        Err(Refused::Full(returned, _)) => envelope = returned,
        done => return done,
    }
    loop {
        // Made before the push, so that room that comes between the two is not missed.
        let room = slot.room();
        let (returned, bound) = match slot.push(envelope) {
            Ok(()) => return Ok(()),
            Err(Refused::Full(returned, bound)) => (returned, bound),
            Err(other) => return Err(other),
        };
        envelope = returned;
        match by {
            None => room.await,
            Some(by) => {
                if timeout_at(by, room).await.is_err() {
                    return Err(Refused::Full(envelope, bound));
                }
            }
        }
    }
}

/// Asks through a slot; also used by routes.
pub(crate) async fn ask_slot<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    message: M,
    limit: Duration,
) -> Result<R, RequestError> {
    let by = after(limit);
    let (sender, receiver) = oneshot::channel();
    let envelope = Envelope { message, reply: Some(ReplyTo::new(sender)) };
    let path = || slot.core().path.clone();
    push_wait(slot, envelope, Some(by)).await.map_err(|refused| {
        report(slot, &refused);
        match refused {
            Refused::Full(_, bound) => RequestError::Full { path: path(), bound, limit },
            Refused::Gone(_) => RequestError::Gone { path: path() },
            Refused::Fenced(_, FencedLife { path: sender, incarnation }) => {
                RequestError::Fenced { path: path(), sender, incarnation }
            }
        }
    })?;
    match slot.timers().until(by, receiver).await {
        Some(Ok(reply)) => reply,
        Some(Err(_)) => Err(RequestError::Gone { path: path() }),
        None => Err(RequestError::Timeout { path: path(), limit }),
    }
}
