//! What becomes of letters that are not handled here: they go back to who wants them back, or are dead letters.

use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;
use std::mem;
use std::sync::{Arc, PoisonError};

use super::inbox::Lost;
use super::{Letter, Patience, Refusal, ReplyTo, Slot, Stamp, Stray, Ticket};
use crate::error::RequestError;
use crate::event::{DropReason, EventKind};
use crate::flow::ShedReason;
use crate::id::{Incarnation, Path};
use crate::message::Envelope;
use crate::runtime::guard::{call_caught, drop_caught, lock};
use crate::runtime::office::AnyLetter;
use crate::runtime::route::AtDeath;
use crate::runtime::system::System;
use crate::runtime::tap::MailStep;

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    pub(super) fn refuse_all(&self, waiting: impl IntoIterator<Item = Letter<M, R>>) {
        for letter in waiting {
            let error = RequestError::Gone { path: self.core.path.clone() };
            self.give_up(letter, error, DropReason::Closed);
        }
    }

    /// A letter will not be handled here: it goes back to whoever wants it back, or is a dead letter.
    pub(super) fn give_up(&self, letter: Letter<M, R>, error: RequestError, why: DropReason) {
        self.note(MailStep::Left(why));
        let Letter { message, ticket } = letter;
        let mut ticket = ticket.map_or_else(Ticket::blank, |ticket| *ticket);
        let (reply, at_death, was_begun) = (ticket.reply.take(), ticket.at_death, ticket.was_begun);
        let envelope = ticket.said.beyond_its_end();
        match reply {
            // Only at a death: what is shed here would make others go there, and they again, without an end.
            Some(ReplyTo::Router(router)) if why == DropReason::Closed => {
                // Code of whoever routed it.
                let is_placed =
                    call_caught(|| router.into_inner().unwrap_or_else(PoisonError::into_inner)(0)).unwrap_or(false);
                // On purpose: what becomes of it here is the same for all.
                if is_placed && !bug_on_purpose!(self.office(), PlacedIsBuried) {
                    return drop_caught(message);
                }
            }
            Some(router @ ReplyTo::Router(_)) => drop_caught(router),
            Some(asker) if was_begun => {
                asker.send(Err(Refusal::of(error)));
                drop_caught(message);
                return self.core.bus().publish(&self.core.path, EventKind::Dropped { why });
            }
            Some(asker) if at_death.is_its_askers(why) => {
                let stray = self.stray(message, envelope, why);
                asker.send(Err(Refusal::with(error, stray)));
                return;
            }
            Some(asker) => {
                asker.send(Err(Refusal::of(error)));
            }
            None => {}
        }
        self.lay_down(message, envelope, why);
    }

    /// A letter is a dead one from now on, and nobody is told.
    pub(crate) fn bury(&self, letter: Letter<M, R>, why: DropReason) {
        let (message, envelope) = letter.into_parts();
        self.lay_down(message, envelope, why);
    }

    fn lay_down(&self, message: M, envelope: Option<Envelope<()>>, why: DropReason) {
        self.office().bury(self.core.bus(), &self.core.path, self.undelivered(message, envelope), why);
    }

    /// The letter as a dead one, which is not laid down yet.
    pub(crate) fn dead(&self, letter: Letter<M, R>) -> Box<dyn AnyLetter> {
        let (message, envelope) = letter.into_parts();
        self.undelivered(message, envelope)
    }

    /// The letter on its way back.
    pub(crate) fn returned(&self, letter: Letter<M, R>, why: DropReason) -> Stray {
        let (message, envelope) = letter.into_parts();
        self.stray(message, envelope, why)
    }

    fn stray(&self, message: M, envelope: Option<Envelope<()>>, why: DropReason) -> Stray {
        let letter = Some(self.undelivered(message, envelope));
        Stray {
            office: Arc::clone(self.core.office()),
            bus: self.core.bus().clone(),
            path: self.core.path.clone(),
            why,
            letter,
        }
    }

    fn undelivered(&self, message: M, envelope: Option<Envelope<()>>) -> Box<dyn AnyLetter> {
        let path = self.core.path.clone();
        Box::new(Undelivered::<M, R> { path, message, envelope: envelope.map(Box::new), reply: PhantomData })
    }

    pub(super) fn lose(&self, (letter, why): Lost<M, R>) {
        let path = self.core.path.clone();
        let (error, why) = match why {
            ShedReason::Expired(_) => (RequestError::Expired { path }, DropReason::Expired),
            ShedReason::Oldest | ShedReason::Lowest => (RequestError::Shed { path }, DropReason::Shed),
        };
        self.give_up(letter, error, why);
    }

    /// Its end came before its turn.
    pub(super) fn expire(&self, letter: Letter<M, R>) {
        self.give_up(letter, RequestError::Expired { path: self.core.path.clone() }, DropReason::Expired);
    }

    /// What waits and does not wait for the next life goes where it wants to.
    pub(super) fn send_home(&self, of: Incarnation) {
        let home = {
            let mut desk = lock(&self.desk);
            // Of the code of a life that was given up: what waits came for the next one.
            let is_of = self.core.life().is_some_and(|life| life.incarnation == of);
            if !is_of || !mem::take(&mut desk.roving) {
                return;
            }
            let home = desk.inbox.take_out(Letter::roves);
            self.core.gauge().set_waiting(desk.inbox.len());
            home
        };
        if !home.is_empty() {
            self.core.tell_of_room();
        }
        for letter in home {
            let error = RequestError::Returned { path: self.core.path.clone(), incarnation: of };
            self.give_up(letter, error, DropReason::Closed);
        }
    }
}

impl AtDeath {
    /// Whether a question that is dropped for this reason goes back to its asker.
    fn is_its_askers(self, why: DropReason) -> bool {
        match self {
            Self::Stay => false,
            Self::Elsewhere => true,
            // That it comes back is said of deaths alone.
            Self::Return => why == DropReason::Closed,
        }
    }
}

/// A message that its agent did not handle.
struct Undelivered<M, R> {
    path: Path,
    message: M,
    envelope: Option<Box<Envelope<()>>>,
    reply: PhantomData<fn() -> R>,
}

impl<M: Send + 'static, R: Send + 'static> AnyLetter for Undelivered<M, R> {
    fn payload_type(&self) -> &'static str {
        type_name::<M>()
    }

    fn receiver(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        let slot = system.slot(&self.path).map(|slot| slot.as_any().downcast::<Slot<M, R>>());
        let Some(Ok(slot)) = slot else {
            let problem = format!("no agent at `{}` takes it", self.path);
            return Err((self, problem));
        };
        let Self { path, message, envelope, .. } = *self;
        let letter = match envelope {
            None => (Letter::told(message), Stamp::BLANK),
            // When it was to end has passed, or was meant for whoever waited.
            Some(envelope) => Letter::enveloped(envelope.map(|()| message).without_end()),
        };
        slot.push_stamped(letter, Patience::ThisLife).map_err(|refused| {
            let (letter, problem) = refused.because(&path);
            (slot.dead(letter), problem)
        })
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.message)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<M>()
    }
}
