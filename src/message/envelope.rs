//! What a message carries besides itself.
//!
//! In process the payload moves as a value and is never serialised. What every message has is in the envelope itself;
//! what few have is in a box that is made when it is first needed, as are id, time of day and trace: those are needed
//! where a message leaves the process, or where somebody asks.
//!
//! # Invariants
//!
//! * An id, a time of day or a trace that was once given stays.
//! * The deadline of a message is never later than that of the message that caused it, unless it is set anew.
//! * A reply goes to whom the request came from, names the request as its cause, and shares its correlation.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::id::{AgentId, MessageId};
use crate::message::headers::{HeaderError, Headers};
use crate::message::kind::{Kind, Priority};
use crate::message::trace::TraceContext;

/// A message on its way, with what is said about it.
///
/// ```
/// use std::time::Duration;
/// use steadfast::MessageId;
/// use steadfast::message::{Envelope, Kind};
/// # use steadfast::seam::Clock;
/// # let now = steadfast::TokioClock.now();
///
/// let mut request = Envelope::new(1, "2 + 2").with_kind(Kind::TaskRequest).with_deadline(now + Duration::from_secs(5));
///
/// // Whoever handles it keeps where it came from, and may give the payload away.
/// let origin = request.origin(|| MessageId::new(uuid::Uuid::from_u128(7)));
/// let reply = Envelope::reply_to(&origin, 2, 4);
///
/// assert_eq!(reply.kind(), Kind::TaskResponse);
/// assert_eq!(reply.causation(), request.id());
/// assert_eq!(reply.remaining(now), Some(Duration::from_secs(5)));
/// assert_eq!(reply.into_payload(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct Envelope<M> {
    sequence: u64,
    deadline: Option<Instant>,
    details: Option<Box<Details>>,
    kind: Kind,
    priority: Priority,
    payload: M,
}

/// What only some messages have.
#[derive(Clone, Debug, Default)]
struct Details {
    id: Option<MessageId>,
    sent: Option<SystemTime>,
    trace: Option<TraceContext>,
    sender: Option<Arc<AgentId>>,
    receiver: Option<Arc<AgentId>>,
    correlation: Option<MessageId>,
    causation: Option<MessageId>,
    expires: Option<Instant>,
    headers: Headers,
}

/// What of a message is needed to answer it, or to send another because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Its id.
    pub id: MessageId,
    /// The id of the message that began the conversation: its own, where it began one.
    pub correlation: MessageId,
    /// Its kind.
    pub kind: Kind,
    /// Its priority.
    pub priority: Priority,
    /// Its deadline.
    pub deadline: Option<Instant>,
    /// Its trace.
    pub trace: Option<TraceContext>,
    /// Who sent it.
    pub sender: Option<Arc<AgentId>>,
    /// Who received it.
    pub receiver: Option<Arc<AgentId>>,
}

impl<M> Envelope<M> {
    /// A plain message of medium priority, without a deadline. Allocates nothing.
    #[must_use]
    pub const fn new(sequence: u64, payload: M) -> Self {
        Self { sequence, deadline: None, details: None, kind: Kind::Plain, priority: Priority::MEDIUM, payload }
    }

    /// The answer to a message.
    ///
    /// | part | is |
    /// |---|---|
    /// | sender, receiver | the receiver and the sender of the request |
    /// | kind | the answer to its kind; plain where that has none |
    /// | causation | the request |
    /// | correlation | that of the request, or the request where it has none |
    /// | deadline, priority, trace | those of the request |
    #[must_use]
    pub fn reply_to(request: &Origin, sequence: u64, payload: M) -> Self {
        let mut reply = Self::caused_by(request, sequence, payload);
        reply.kind = request.kind.answer().unwrap_or_default();
        reply.details_mut().receiver.clone_from(&request.sender);
        reply
    }

    /// A message that is sent because of another, by whom that one was for.
    ///
    /// As [`reply_to`](Self::reply_to), but plain, and to nobody yet.
    #[must_use]
    pub fn caused_by(cause: &Origin, sequence: u64, payload: M) -> Self {
        let details = Details {
            trace: cause.trace,
            sender: cause.receiver.clone(),
            correlation: Some(cause.correlation),
            causation: Some(cause.id),
            ..Details::default()
        };
        Self {
            sequence,
            deadline: cause.deadline,
            details: Some(Box::new(details)),
            kind: Kind::Plain,
            priority: cause.priority,
            payload,
        }
    }

    /// What is needed to answer this message, or to send another because of it. Gives it an id where it has none.
    pub fn origin(&mut self, fresh: impl FnOnce() -> MessageId) -> Origin {
        let id = self.id_or(fresh);
        Origin {
            id,
            correlation: self.correlation().unwrap_or(id),
            kind: self.kind,
            priority: self.priority,
            deadline: self.deadline,
            trace: self.trace(),
            sender: self.sender().cloned(),
            receiver: self.receiver().cloned(),
        }
    }

    fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    fn of_details<T>(&self, part: impl FnOnce(&Details) -> Option<T>) -> Option<T> {
        self.details.as_deref().and_then(part)
    }
}

/// What can be set.
impl<M> Envelope<M> {
    /// Says of which kind it is.
    #[must_use]
    pub const fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Says how much it matters.
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Gives it another number: that of the mailbox which it entered.
    #[must_use]
    pub const fn with_sequence(mut self, sequence: u64) -> Self {
        self.sequence = sequence;
        self
    }

    /// Says until when its sender waits.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Says that nobody waits for it, whatever it was caused by.
    #[must_use]
    pub const fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Says that it has neither a deadline nor a time to live.
    pub(crate) fn without_end(mut self) -> Self {
        self.deadline = None;
        if let Some(details) = &mut self.details {
            details.expires = None;
        }
        self
    }

    /// Says for how long it is worth delivering. What is longer than time goes is for ever.
    #[must_use]
    pub fn with_time_to_live(mut self, now: Instant, time_to_live: Duration) -> Self {
        self.details_mut().expires = now.checked_add(time_to_live);
        self
    }

    /// Says who sends it.
    #[must_use]
    pub fn with_sender(mut self, sender: Arc<AgentId>) -> Self {
        self.details_mut().sender = Some(sender);
        self
    }

    /// Says for whom it is.
    #[must_use]
    pub fn with_receiver(mut self, receiver: Arc<AgentId>) -> Self {
        self.details_mut().receiver = Some(receiver);
        self
    }

    /// Says to which conversation it belongs.
    #[must_use]
    pub fn with_correlation(mut self, first: MessageId) -> Self {
        self.details_mut().correlation = Some(first);
        self
    }

    /// Says which message it was caused by.
    #[must_use]
    pub fn with_causation(mut self, cause: MessageId) -> Self {
        self.details_mut().causation = Some(cause);
        self
    }

    /// Sets a header.
    ///
    /// # Errors
    ///
    /// As [`Headers::set`]; nothing changed then.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        self.details_mut().headers.set(name, value)
    }

    /// Gives it these headers, in place of all that it had.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        // None where none are needed: what is not there needs no box.
        if self.details.is_some() || !headers.is_empty() {
            self.details_mut().headers = headers;
        }
        self
    }

    /// Leaves no more time than this from now on. Never gives more than there was.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::message::Envelope;
    /// # use steadfast::seam::Clock;
    /// # let now = steadfast::TokioClock.now();
    ///
    /// let secs = Duration::from_secs;
    /// let message = Envelope::new(1, ()).within(now, secs(5)).within(now, secs(9));
    /// assert_eq!(message.remaining(now), Some(secs(5)));
    /// ```
    #[must_use]
    pub fn within(mut self, now: Instant, limit: Duration) -> Self {
        self.deadline = match (self.deadline, now.checked_add(limit)) {
            (Some(deadline), Some(limit)) => Some(deadline.min(limit)),
            (deadline, limit) => deadline.or(limit),
        };
        self
    }

    /// Passes it on and keeps some of the remaining time for the way back. The budget shrinks with every hop; it is
    /// never less than nothing.
    #[must_use]
    pub fn hop(mut self, now: Instant, kept: Duration) -> Self {
        if let Some(deadline) = self.deadline {
            // What is over already stays over since when it is.
            let left = deadline.saturating_duration_since(now).saturating_sub(kept);
            self.deadline = Some(deadline.min(now + left));
        }
        self
    }
}

/// What can be asked.
impl<M> Envelope<M> {
    /// Its number, in the order of arrival: among the messages to the agent that handles it, from 1 on; 0 before it arrived
    /// anywhere.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How much it matters.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Until when its sender waits.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// When it is no longer worth delivering.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.of_details(|details| details.expires)
    }

    /// How much time is left until its sender waits no longer. `None` where nobody waits, or for ever.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Whether its deadline or its time to live is over.
    #[must_use]
    pub fn is_expired(&self, now: Instant) -> bool {
        let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        over(self.deadline) || over(self.expires())
    }

    /// Its id, if it has one yet.
    #[must_use]
    pub fn id(&self) -> Option<MessageId> {
        self.of_details(|details| details.id)
    }

    /// Its id; a fresh one where it has none yet.
    pub fn id_or(&mut self, fresh: impl FnOnce() -> MessageId) -> MessageId {
        *self.details_mut().id.get_or_insert_with(fresh)
    }

    /// The time of day at which it was sent, as far as anybody asked.
    #[must_use]
    pub fn sent(&self) -> Option<SystemTime> {
        self.of_details(|details| details.sent)
    }

    /// The time of day at which it was sent; this one where nobody asked yet.
    pub fn sent_or(&mut self, wall: SystemTime) -> SystemTime {
        *self.details_mut().sent.get_or_insert(wall)
    }

    /// Its trace, if it has one yet.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.of_details(|details| details.trace)
    }

    /// Its trace; a fresh one where it has none yet.
    pub fn trace_or(&mut self, fresh: impl FnOnce() -> TraceContext) -> TraceContext {
        *self.details_mut().trace.get_or_insert_with(fresh)
    }

    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> Option<&Arc<AgentId>> {
        self.details.as_deref().and_then(|details| details.sender.as_ref())
    }

    /// For whom it is.
    #[must_use]
    pub fn receiver(&self) -> Option<&Arc<AgentId>> {
        self.details.as_deref().and_then(|details| details.receiver.as_ref())
    }

    /// The first message of its conversation.
    #[must_use]
    pub fn correlation(&self) -> Option<MessageId> {
        self.of_details(|details| details.correlation)
    }

    /// The message that caused it. A reply names its request here: this is what an answer is matched by.
    #[must_use]
    pub fn causation(&self) -> Option<MessageId> {
        self.of_details(|details| details.causation)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)
    }

    /// Whether it says anything that few messages do: an id, who sent it, headers and the like.
    pub(crate) const fn has_details(&self) -> bool {
        self.details.is_some()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        self.details.as_deref().map_or(const { &Headers::new() }, |details| &details.headers)
    }

    /// What it says.
    #[must_use]
    pub const fn payload(&self) -> &M {
        &self.payload
    }

    /// What it says, to be changed.
    pub const fn payload_mut(&mut self) -> &mut M {
        &mut self.payload
    }

    /// What it says, and nothing else.
    #[must_use]
    pub fn into_payload(self) -> M {
        self.payload
    }

    pub(crate) const fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// What it says, and what is said about that.
    pub(crate) fn into_parts(self) -> (M, Envelope<()>) {
        let Self { sequence, deadline, details, kind, priority, payload } = self;
        (payload, Envelope { sequence, deadline, details, kind, priority, payload: () })
    }

    /// Another message of which all the same is said.
    pub(crate) fn with_payload<N>(&self, payload: N) -> Envelope<N> {
        let Self { sequence, deadline, details, kind, priority, .. } = self;
        let (sequence, deadline, kind, priority) = (*sequence, *deadline, *kind, *priority);
        Envelope { sequence, deadline, details: details.clone(), kind, priority, payload }
    }

    /// The same message with another payload.
    #[must_use]
    pub fn map<N>(self, change: impl FnOnce(M) -> N) -> Envelope<N> {
        let Self { sequence, deadline, details, kind, priority, payload } = self;
        Envelope { sequence, deadline, details, kind, priority, payload: change(payload) }
    }

    /// As [`map`](Self::map), with a change that may fail, such as the decoding of the payload.
    ///
    /// # Errors
    ///
    /// The error of the change.
    pub fn try_map<N, E>(self, change: impl FnOnce(M) -> Result<N, E>) -> Result<Envelope<N>, E> {
        let Self { sequence, deadline, details, kind, priority, payload } = self;
        Ok(Envelope { sequence, deadline, details, kind, priority, payload: change(payload)? })
    }
}

#[cfg(test)]
mod tests;
