//! A message on its way: itself, who waits for its answer, and what is said about it.
//!
//! Most messages say nothing about themselves, and have no box for it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::stamp::Stamp;
use crate::error::RequestError;
use crate::id::Path;
use crate::message::Envelope;
use crate::runtime::current::FencedLife;

/// A message on its way. What few messages have is in a box: letters are moved about.
pub(crate) struct Letter<M, R> {
    pub(crate) message: M,
    pub(crate) ticket: Option<Box<Ticket<R>>>,
}

/// What a letter says of itself, and who is owed something for it.
pub(crate) struct Ticket<R> {
    pub(crate) said: Said,
    pub(crate) reply: Option<ReplyTo<R>>,
    /// Whether it goes back to whoever asked when its receiver dies before its turn.
    pub(crate) returns: bool,
}

/// What is said of a message: no more than fits on a stamp, or all that an envelope says around nothing.
pub(crate) enum Said {
    Stamp(Stamp),
    Envelope(Envelope<()>),
}

impl<R> Ticket<R> {
    pub(crate) const fn blank() -> Self {
        Self::stamped(Stamp::BLANK)
    }

    pub(crate) const fn stamped(stamp: Stamp) -> Self {
        Self { said: Said::Stamp(stamp), reply: None, returns: false }
    }

    /// What an envelope says.
    pub(crate) const fn of(envelope: Envelope<()>) -> Self {
        Self { said: Said::Envelope(envelope), reply: None, returns: false }
    }
}

impl Said {
    pub(crate) fn stamp(&self) -> Stamp {
        match self {
            Self::Stamp(stamp) => *stamp,
            Self::Envelope(envelope) => Stamp::of(envelope),
        }
    }

    pub(crate) const fn envelope(&self) -> Option<&Envelope<()>> {
        match self {
            Self::Stamp(_) => None,
            Self::Envelope(envelope) => Some(envelope),
        }
    }

    /// The same as an envelope, of which more can be said.
    pub(crate) fn envelope_mut(&mut self) -> &mut Envelope<()> {
        loop {
            match self {
                Self::Envelope(envelope) => return envelope,
                Self::Stamp(stamp) => *self = Self::Envelope(stamp.envelope()),
            }
        }
    }

    /// Its sender waits until then, if it says nothing else.
    pub(crate) fn until(&mut self, deadline: Option<Instant>) {
        match self {
            Self::Stamp(stamp) => stamp.deadline = stamp.deadline.or(deadline),
            Self::Envelope(envelope) => envelope.set_deadline(envelope.deadline().or(deadline)),
        }
    }

    pub(crate) fn into_envelope(self) -> Envelope<()> {
        match self {
            Self::Stamp(stamp) => stamp.envelope(),
            Self::Envelope(envelope) => envelope,
        }
    }
}

impl<M, R> Letter<M, R> {
    /// Of a message that says nothing about itself, and that nobody waits for.
    pub(crate) const fn told(message: M) -> Self {
        Self { message, ticket: None }
    }

    /// Of a message with a ticket.
    pub(crate) fn with(message: M, ticket: Ticket<R>) -> Self {
        Self { message, ticket: Some(Box::new(ticket)) }
    }

    /// Of a message in its envelope; its stamp where that says all. One that has a ticket has its stamp there.
    pub(crate) fn enveloped(envelope: Envelope<M>) -> (Self, Stamp) {
        let (message, envelope) = envelope.into_parts();
        if envelope.has_details() {
            return (Self::with(message, Ticket::of(envelope)), Stamp::BLANK);
        }
        (Self::told(message), Stamp::of(&envelope))
    }

    /// With its stamp on a ticket, if there is anything on it, and no ticket yet.
    pub(super) fn stamped(mut self, stamp: Stamp) -> Self {
        if stamp != Stamp::BLANK && self.ticket.is_none() {
            self.ticket = Some(Box::new(Ticket::stamped(stamp)));
        }
        self
    }

    pub(crate) fn ticket_mut(&mut self) -> &mut Ticket<R> {
        self.ticket.get_or_insert_with(|| Box::new(Ticket::blank()))
    }

    pub(crate) fn into_message(self) -> M {
        self.message
    }

    /// The envelope, but for its number.
    pub(crate) fn into_envelope(self) -> Envelope<M> {
        let (message, ticket) = (self.message, self.ticket.map_or_else(Ticket::blank, |ticket| *ticket));
        ticket.said.into_envelope().map(|()| message)
    }

    pub(crate) fn reply(&self) -> Option<&ReplyTo<R>> {
        self.ticket.as_ref()?.reply.as_ref()
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.ticket.as_ref()?.said {
            Said::Stamp(stamp) => stamp.deadline,
            Said::Envelope(envelope) => envelope.deadline(),
        }
    }

    /// When it is not worth handling any more, whatever its sender waits for.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.ticket.as_ref()?.said.envelope()?.expires()
    }

    /// Whether it says when it ends, by its ticket.
    pub(super) fn has_end(&self) -> bool {
        self.deadline().is_some() || self.expires().is_some()
    }

    /// Whether nobody wants it any more, by its ticket.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        over(self.deadline()) || over(self.expires())
    }

    /// Whether it does not wait for the next life.
    pub(crate) fn roves(&self) -> bool {
        let roves = |ticket: &Ticket<R>| ticket.returns || matches!(ticket.reply, Some(ReplyTo::Router(_)));
        self.ticket.as_deref().is_some_and(roves)
    }
}

/// To whom something is owed for a letter. An answer, to an asker: dropped without one, it learns that the incarnation
/// ended.
pub(crate) enum ReplyTo<R> {
    Asker(oneshot::Sender<Answer<R>>),
    /// Nobody waits; but whoever routed it is told when its receiver dies before its turn.
    Router(Mutex<Router>),
}

/// What an asker gets. The error is in a box, since every answer is moved about as if it were one.
pub(crate) type Answer<R> = Result<R, Box<RequestError>>;

/// Sends a message elsewhere. Returns whether it did. Shared by nobody; in a mutex, so that a letter can be looked at by
/// several.
pub(crate) type Router = Box<dyn FnOnce() -> bool + Send>;

impl<R> ReplyTo<R> {
    /// Returns whether somebody was still there to get it.
    pub(crate) fn send(self, answer: Answer<R>) -> bool {
        match self {
            Self::Asker(sender) => sender.send(answer).is_ok(),
            Self::Router(_) => true,
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self, Self::Asker(sender) if sender.is_closed())
    }
}

/// Why a push was refused; the message comes back.
pub(crate) enum Refused<M, R> {
    Full(Letter<M, R>, usize),
    Gone(Letter<M, R>),
    /// The agent takes no new message any more.
    Draining(Letter<M, R>),
    /// Too many came into the domain within a time; there may be room again in so long.
    RateLimited(Letter<M, R>, Duration),
    /// The sender is a life that is fenced.
    Fenced(Letter<M, R>, FencedLife),
}

impl<M, R> Refused<M, R> {
    /// The letter, and why it was refused by whom stands at this path.
    pub(crate) fn because(self, path: &Path) -> (Letter<M, R>, String) {
        match self {
            Self::Full(letter, bound) => (letter, format!("the mailbox of `{path}` is full ({bound} messages)")),
            Self::Gone(letter) => (letter, format!("`{path}` is not running and no restart of it is coming")),
            Self::Draining(letter) => (letter, format!("`{path}` is draining")),
            Self::RateLimited(letter, wait) => {
                (letter, format!("the domain of `{path}` got as many messages as it may; try again in {wait:?}"))
            }
            Self::Fenced(letter, by) => {
                (letter, format!("its sender `{}`, incarnation {}, was given up", by.path, by.incarnation))
            }
        }
    }
}
