//! A reference to an agent that stays good over its restarts.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::{RequestError, TellError};
use crate::event::{DropReason, EventKind, RefuseReason};
use crate::id::{Incarnation, Path};
use crate::message::Envelope;
use crate::runtime::agent::Agent;
use crate::runtime::current::FencedLife;
use crate::runtime::domain::Saturated;
use crate::runtime::guard::after;
use crate::runtime::slot::{Answer, AnySlot, Letter, Refused, ReplyTo, Router, Slot, Ticket};

/// How long an ask waits for its reply when neither it nor the system's limits say
/// ([`SystemBuilder::limits`](crate::SystemBuilder::limits)).
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
    /// [`TellError::Full`] when the mailbox holds as many messages as it may, [`TellError::RateLimited`] when its domain
    /// got as many as it may within a time, [`TellError::Gone`] when no incarnation will come, [`TellError::Fenced`] when
    /// the sender is a life that was given up; all give the message back.
    pub fn tell(&self, message: A::Message) -> Result<(), TellError<A::Message>> {
        self.slot
            .push(Letter::told(message))
            .map_err(|refused| refused_tell(&self.slot, refused).map(Letter::into_message))
    }

    /// As [`tell`](Self::tell), with what an envelope says: kind, priority, deadline, time to live, headers and the rest.
    ///
    /// Priorities matter to an agent whose mailbox has [lanes](crate::AgentSpec::order); a message whose deadline or time
    /// to live is over before its turn is not handled, and becomes a dead letter. The number of the envelope is given by
    /// the mailbox.
    ///
    /// ```
    /// # use steadfast::{ChildSpec, Strategy, SupervisorSpec, System, Served, Capability, BoxError};
    /// use std::time::Duration;
    /// use steadfast::message::{Envelope, Kind, Priority};
    /// # const LOG: Capability<String, ()> = Capability::new("log", "1.0.0");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let log = ChildSpec::serve("log", LOG, |_, _| async { Ok::<_, BoxError>(()) });
    /// # let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(log)).await?;
    /// # let log = system.agent::<Served<String, ()>>("root/log")?;
    /// let alarm = Envelope::new(0, "disk full".to_owned()).with_kind(Kind::ErrorNotification).with_priority(Priority::CRITICAL);
    /// let now = system.clock().now();
    /// log.send(alarm.with_deadline(now + Duration::from_secs(1)))?;
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell); all give the envelope back.
    pub fn send(&self, envelope: Envelope<A::Message>) -> Result<(), TellError<Envelope<A::Message>>> {
        let sequence = envelope.sequence();
        let returned = |letter: Letter<_, _>| letter.into_envelope().with_sequence(sequence);
        self.slot
            .push_stamped(Letter::enveloped(envelope))
            .map_err(|refused| refused_tell(&self.slot, refused).map(returned))
    }

    /// As [`tell`](Self::tell), but waits for room, and for the rate of its domain, at most for `limit`.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell); `Full` when there was no room within `limit`, `RateLimited` as soon as it is clear that
    /// its turn does not come within `limit`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message was not told.
    pub async fn tell_wait(&self, message: A::Message, limit: Duration) -> Result<(), TellError<A::Message>> {
        let by = after(limit);
        push_wait(&self.slot, Letter::told(message), Some(by))
            .await
            .map_err(|refused| refused_tell(&self.slot, refused).map(Letter::into_message))
    }

    /// Tells, and makes a dead letter of what is refused. Returns whether it was taken.
    pub(crate) fn tell_or_bury(&self, message: A::Message) -> bool {
        self.tell(message).map_err(|refused| self.bury_refused(refused)).is_ok()
    }

    fn bury_refused(&self, refused: TellError<A::Message>) {
        let why = match &refused {
            // The code of a life that was given up leaves nothing behind.
            TellError::Fenced { .. } => return,
            TellError::Gone { .. } => DropReason::Closed,
            _ => DropReason::Refused,
        };
        self.slot.bury(refused.into_message(), why);
    }

    /// Tells without a limit of time; for an agent's own timers, which end with it.
    pub(crate) async fn tell_patiently(&self, message: A::Message) {
        if let Err(refused) = push_wait(&self.slot, Letter::told(message), None).await {
            self.bury_refused(refused_tell(&self.slot, refused).map(Letter::into_message));
        }
    }

    /// Asks the agent something and waits for the reply, at most for [`DEFAULT_ASK`], or for what the system's limits
    /// say.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message may or may not be handled.
    pub async fn ask(&self, message: A::Message) -> Result<A::Reply, RequestError> {
        self.ask_within(message, self.slot.office().default_ask).await
    }

    /// As [`ask`](Self::ask), with a deadline of its own. Waiting for a permit and the rate of its domain, for room in
    /// the mailbox, for the next incarnation and for the reply all count towards it.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_within(&self, message: A::Message, limit: Duration) -> Result<A::Reply, RequestError> {
        ask_slot(&self.slot, message, limit).await
    }

    /// As [`ask`](Self::ask), with what an envelope says. Its deadline is that of the question; without one,
    /// what [`ask`](Self::ask) waits from now on.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn request(&self, envelope: Envelope<A::Message>) -> Result<A::Reply, RequestError> {
        let now = self.slot.office().clock.now();
        let limit = envelope.remaining(now).unwrap_or_else(|| self.slot.office().default_ask);
        let (message, envelope) = envelope.into_parts();
        let letter = Letter::with(message, Ticket::of(envelope));
        ask_letter(&self.slot, letter, limit).await.map_err(|error| *error)
    }
}

fn report<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, refused: &Refused<M, R>) {
    let why = match refused {
        Refused::Full(..) => RefuseReason::Full,
        Refused::Gone(_) => RefuseReason::Gone,
        Refused::Draining(_) => RefuseReason::Draining,
        Refused::RateLimited(..) => RefuseReason::RateLimited,
        Refused::Fenced(..) => RefuseReason::Fenced,
    };
    slot.core().bus.publish(&slot.core().path, EventKind::Refused { why });
}

fn refused_tell<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    refused: Refused<M, R>,
) -> TellError<Letter<M, R>> {
    report(slot, &refused);
    let path = slot.core().path.clone();
    match refused {
        Refused::Full(message, bound) => TellError::Full { message, path, bound },
        Refused::Gone(message) => TellError::Gone { message, path },
        Refused::Draining(message) => TellError::Draining { message, path },
        Refused::RateLimited(message, retry_after) => {
            TellError::RateLimited { message, path, domain: domain_of(slot), retry_after }
        }
        Refused::Fenced(message, FencedLife { path: sender, incarnation }) => {
            TellError::Fenced { message, path, sender, incarnation }
        }
    }
}

/// The domain of an agent, by its supervisor.
fn domain_of<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>) -> Path {
    slot.core().gate().map_or_else(|| slot.core().path.clone(), |gate| gate.domain.clone())
}

async fn push_wait<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: Letter<M, R>,
    by: Option<Instant>,
) -> Result<(), Refused<M, R>> {
    // Most mailboxes have room.
    match slot.push(letter) {
        Err(Refused::Full(returned, _) | Refused::RateLimited(returned, _)) => {
            // In a box: whoever asks moves its own future about, and few wait here.
            Box::pin(push_when_there_is_room(slot, returned, by)).await
        }
        done => done,
    }
}

async fn push_when_there_is_room<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    mut letter: Letter<M, R>,
    by: Option<Instant>,
) -> Result<(), Refused<M, R>> {
    let mut token = None;
    loop {
        // Made before the push, so that room that comes between the two is not missed.
        let room = slot.room();
        let (returned, bound) = match slot.push_by(letter, token.as_ref()) {
            Ok(()) => {
                if let Some(token) = token {
                    token.spend();
                }
                return Ok(());
            }
            Err(Refused::Full(returned, bound)) => (returned, bound),
            Err(Refused::RateLimited(returned, wait)) => {
                let Some(gate) = slot.core().gate() else { return Err(Refused::RateLimited(returned, wait)) };
                match gate.token(by).await {
                    Ok(paid) => (token, letter) = (Some(paid), returned),
                    Err(wait) => return Err(Refused::RateLimited(returned, wait)),
                }
                continue;
            }
            Err(other) => return Err(other),
        };
        letter = returned;
        match by {
            None => room.await,
            Some(by) => {
                if timeout_at(by, room).await.is_err() {
                    return Err(Refused::Full(letter, bound));
                }
            }
        }
    }
}

/// Asks through a slot.
pub(crate) async fn ask_slot<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    message: M,
    limit: Duration,
) -> Result<R, RequestError> {
    ask_letter(slot, Letter::told(message), limit).await.map_err(|error| *error)
}

/// As [`ask_slot`], but the question does not wait for the next life when its receiver dies:
/// [`Returned`](RequestError::Returned).
pub(crate) async fn ask_slot_once<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    message: M,
    limit: Duration,
) -> Result<R, RequestError> {
    let letter = Letter::with(message, Ticket { returns: true, ..Ticket::blank() });
    ask_letter(slot, letter, limit).await.map_err(|error| *error)
}

/// Tells through a slot. When its receiver dies before the message's turn the router may send it elsewhere; where it does
/// not, the message is a dead letter.
pub(crate) fn tell_routed<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    message: M,
    router: Router,
) -> Result<(), TellError<M>> {
    let reply = Some(ReplyTo::Router(Mutex::new(router)));
    let letter = Letter::with(message, Ticket { reply, ..Ticket::blank() });
    slot.push(letter).map_err(|refused| refused_tell(slot, refused).map(Letter::into_message))
}

async fn ask_letter<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    mut letter: Letter<M, R>,
    limit: Duration,
) -> Answer<R> {
    let by = after(limit);
    let (sender, mut receiver) = oneshot::channel();
    let ticket = letter.ticket_mut();
    ticket.reply = Some(ReplyTo::Asker(sender));
    ticket.said.until(slot.office().moment_of(by));
    let path = || slot.core().path.clone();
    // Held until the request is over, however that comes.
    let _permit = match slot.core().gate() {
        None => None,
        Some(gate) => match Box::pin(gate.enter(by)).await {
            Ok(permit) => permit,
            Err(Saturated { waited, occupancy }) => {
                slot.core().bus.publish(&slot.core().path, EventKind::Refused { why: RefuseReason::Saturated });
                let error = RequestError::Saturated { path: path(), domain: gate.domain.clone(), waited, occupancy };
                return Err(Box::new(never_sent(slot, letter, error, DropReason::Refused)));
            }
        },
    };
    push_wait(slot, letter, Some(by)).await.map_err(|refused| Box::new(not_sent(slot, refused, limit)))?;
    if let Some(answer) = slot.office().timers.until(by, &mut receiver).await {
        return answer.unwrap_or_else(|_| Err(Box::new(RequestError::Gone { path: path() })));
    }
    // Whoever sent an answer, or the question back, takes it for received: it counts although time is up.
    receiver.close();
    receiver.try_recv().unwrap_or_else(|_| Err(Box::new(RequestError::Timeout { path: path(), limit })))
}

fn not_sent<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    refused: Refused<M, R>,
    limit: Duration,
) -> RequestError {
    report(slot, &refused);
    let path = slot.core().path.clone();
    let (error, letter, why) = match refused {
        Refused::Full(letter, bound) => (RequestError::Full { path, bound, limit }, letter, DropReason::Refused),
        Refused::Gone(letter) => (RequestError::Gone { path }, letter, DropReason::Closed),
        Refused::Draining(letter) => (RequestError::Draining { path }, letter, DropReason::Refused),
        Refused::RateLimited(letter, retry_after) => {
            (RequestError::RateLimited { path, domain: domain_of(slot), retry_after }, letter, DropReason::Refused)
        }
        Refused::Fenced(_, FencedLife { path: sender, incarnation }) => {
            // The code of a life that was given up leaves nothing behind.
            return RequestError::Fenced { path, sender, incarnation };
        }
    };
    never_sent(slot, letter, error, why)
}

/// A question that was not sent: a dead letter, unless its asker keeps it.
fn never_sent<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: Letter<M, R>,
    error: RequestError,
    why: DropReason,
) -> RequestError {
    let returns = letter.ticket.as_ref().is_some_and(|ticket| ticket.returns);
    if !returns {
        slot.bury(letter.message, why);
    }
    error
}
