//! A message on its way: itself, who waits for its answer, and what is said about it.
//!
//! Most messages say nothing about themselves, and have no box for it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::stamp::Stamp;
use crate::error::RequestError;
use crate::event::DropReason;
use crate::id::Path;
use crate::message::Envelope;
use crate::runtime::bus::Bus;
use crate::runtime::current::FencedLife;
use crate::runtime::guard::drop_caught;
use crate::runtime::office::{AnyLetter, Office};
use crate::runtime::route::AtDeath;

/// A message on its way. What few messages have is in a box: letters are moved about.
pub(crate) struct Letter<M, R> {
    pub(crate) message: M,
    pub(crate) ticket: Option<Box<Ticket<R>>>,
}

/// What a letter says of itself, and who is owed something for it.
pub(crate) struct Ticket<R> {
    pub(crate) said: Said,
    pub(crate) reply: Option<ReplyTo<R>>,
    /// What becomes of it when its receiver dies before its turn, where somebody waits for its answer.
    pub(crate) at_death: AtDeath,
    /// A handler of an attempt before this one began: it is no dead letter any more.
    pub(crate) was_begun: bool,
}

/// What is said of a message: no more than fits on a stamp, or all that an envelope says around nothing.
#[derive(Clone)]
pub(crate) enum Said {
    Stamp(Stamp),
    Envelope(Envelope<()>),
}

impl<R> Ticket<R> {
    pub(crate) const fn blank() -> Self {
        Self::stamped(Stamp::BLANK)
    }

    pub(crate) const fn stamped(stamp: Stamp) -> Self {
        Self::saying(Said::Stamp(stamp))
    }

    const fn saying(said: Said) -> Self {
        Self { said, reply: None, at_death: AtDeath::Stay, was_begun: false }
    }

    /// What an envelope says.
    pub(crate) const fn of(envelope: Envelope<()>) -> Self {
        Self::saying(Said::Envelope(envelope))
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

    /// What is said, where that is more than when it ends.
    pub(crate) fn beyond_its_end(self) -> Option<Envelope<()>> {
        match self {
            Self::Stamp(stamp) if (Stamp { deadline: None, ..stamp }) == Stamp::BLANK => None,
            said => Some(said.into_envelope()),
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

    /// Of a message in its envelope, with a ticket.
    pub(crate) fn ticketed(envelope: Envelope<M>) -> Self {
        let (message, envelope) = envelope.into_parts();
        Self::with(message, Ticket::of(envelope))
    }

    /// With its stamp on a ticket, if there is anything on it, and no ticket yet.
    pub(crate) fn stamped(mut self, stamp: Stamp) -> Self {
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

    /// The message, and what its envelope says, where that is more than when it ends.
    pub(crate) fn into_parts(self) -> (M, Option<Envelope<()>>) {
        (self.message, self.ticket.and_then(|ticket| ticket.said.beyond_its_end()))
    }

    /// The envelope, but for its number.
    pub(crate) fn into_envelope(self) -> Envelope<M> {
        let (message, ticket) = (self.message, self.ticket.map_or_else(Ticket::blank, |ticket| *ticket));
        ticket.said.into_envelope().map(|()| message)
    }

    pub(crate) fn reply(&self) -> Option<&ReplyTo<R>> {
        self.ticket.as_ref()?.reply.as_ref()
    }

    /// Until when its sender waits, by its ticket.
    pub(crate) fn deadline(&self) -> Option<Instant> {
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
        let roves =
            |ticket: &Ticket<R>| ticket.at_death != AtDeath::Stay || matches!(ticket.reply, Some(ReplyTo::Router(_)));
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

/// What an asker gets. The refusal is in a box, since every answer is moved about as if it were one.
pub(crate) type Answer<R> = Result<R, Box<Refusal>>;

/// Why there is no answer, and the question itself, where its asker says what becomes of that.
pub(crate) struct Refusal {
    pub(crate) error: RequestError,
    stray: Option<Stray>,
}

impl Refusal {
    pub(crate) fn of(error: RequestError) -> Box<Self> {
        Box::new(Self { error, stray: None })
    }

    /// With the question, which is a dead letter unless somebody says otherwise.
    pub(crate) fn with(error: RequestError, stray: Stray) -> Box<Self> {
        Box::new(Self { error, stray: Some(stray) })
    }

    /// The question is no dead letter: its asker has it, or another like it.
    pub(crate) fn keep(mut self) -> RequestError {
        if let Some(mut stray) = self.stray.take() {
            drop_caught(stray.letter.take());
        }
        self.error
    }

    /// Nobody cares for the question any more.
    pub(crate) fn into_error(self) -> RequestError {
        self.error
    }
}

/// A letter on the way back to whoever sent it. Dropped without a word, also where its sender has gone, it is a dead one.
pub(crate) struct Stray {
    pub(crate) office: Arc<Office>,
    pub(crate) bus: Bus,
    pub(crate) path: Path,
    pub(crate) why: DropReason,
    pub(crate) letter: Option<Box<dyn AnyLetter>>,
}

impl Drop for Stray {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.office.bury(&self.bus, &self.path, letter, self.why);
        }
    }
}

/// Sends a message elsewhere, which has gone so many ways in vain just now. Returns whether it did. Shared by nobody; in a
/// mutex, so that a letter can be looked at by several.
pub(crate) type Router = Box<dyn FnOnce(u32) -> bool + Send>;

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
    /// The mailbox has no room; with its bound.
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
