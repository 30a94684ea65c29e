//! What becomes of letters that are not handled here: they go back to who wants them back, or are dead letters.

use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;
use std::mem;
use std::sync::PoisonError;

use super::inbox::Lost;
use super::{Letter, ReplyTo, Slot, Ticket};
use crate::error::RequestError;
use crate::event::DropReason;
use crate::flow::ShedReason;
use crate::id::{Incarnation, Path};
use crate::runtime::guard::{call_caught, drop_caught, lock};
use crate::runtime::office::AnyLetter;
use crate::runtime::system::System;

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    pub(super) fn refuse_all(&self, waiting: impl IntoIterator<Item = Letter<M, R>>) {
        for letter in waiting {
            let error = RequestError::Gone { path: self.core.path.clone() };
            self.give_up(letter, error, DropReason::Closed);
        }
    }

    /// A letter will not be handled here: it goes back to whoever wants it back, or is a dead letter.
    pub(super) fn give_up(&self, letter: Letter<M, R>, error: RequestError, why: DropReason) {
        let Letter { message, ticket } = letter;
        let Ticket { reply, returns, .. } = ticket.map_or_else(Ticket::blank, |ticket| *ticket);
        match reply {
            // Only at a death: what is shed here would make others go there, and they again, without an end.
            Some(ReplyTo::Router(router)) if why == DropReason::Closed => {
                // Code of whoever routed it.
                let is_placed =
                    call_caught(router.into_inner().unwrap_or_else(PoisonError::into_inner)).unwrap_or(false);
                if is_placed {
                    return drop_caught(message);
                }
            }
            Some(router @ ReplyTo::Router(_)) => drop_caught(router),
            Some(asker) => {
                let is_told = asker.send(Err(Box::new(error)));
                if is_told && returns {
                    // It is its asker's, who knows that nobody handled it.
                    return drop_caught(message);
                }
            }
            None => {}
        }
        self.bury(message, why);
    }

    /// A message is a dead letter from now on.
    pub(crate) fn bury(&self, message: M, why: DropReason) {
        self.office().bury(self.core.bus(), &self.core.path, Box::new(Undelivered::<M, R>::new(self, message)), why);
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
            if !mem::take(&mut desk.roving) {
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

/// A message that its agent did not handle.
struct Undelivered<M, R> {
    path: Path,
    message: M,
    reply: PhantomData<fn() -> R>,
}

impl<M: Send + 'static, R: Send + 'static> Undelivered<M, R> {
    fn new(slot: &Slot<M, R>, message: M) -> Self {
        Self { path: slot.core.path.clone(), message, reply: PhantomData }
    }
}

impl<M: Send + 'static, R: Send + 'static> AnyLetter for Undelivered<M, R> {
    fn payload_type(&self) -> &'static str {
        type_name::<M>()
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        let slot = system.slot(&self.path).map(|slot| slot.as_any().downcast::<Slot<M, R>>());
        let Some(Ok(slot)) = slot else {
            let problem = format!("no agent at `{}` takes it", self.path);
            return Err((self, problem));
        };
        let Self { path, message, .. } = *self;
        slot.push(Letter::told(message)).map_err(|refused| {
            let (letter, problem) = refused.because(&path);
            let again: Box<dyn AnyLetter> = Box::new(Self { path, message: letter.message, reply: PhantomData });
            (again, problem)
        })
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.message)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<M>()
    }
}
