//! What several are to get: a payload that they share, and what is said of it.
//!
//! Also what is left of it where nobody got it: a dead letter, which can be published again, or given again to the one
//! for whom it could not be turned into a message.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::listener::{Listener, Otherwise};
use super::published::Delivery;
use crate::event::DropReason;
use crate::message::Envelope;
use crate::message::subject::Subject;
use crate::runtime::current;
use crate::runtime::office::AnyLetter;
use crate::runtime::slot::{Letter, Stamp};
use crate::runtime::system::System;

/// A payload, and what its envelope says of it, where there is one.
pub(crate) struct Parcel<T> {
    pub(super) payload: Arc<T>,
    said: Option<Envelope<()>>,
}

impl<T> Clone for Parcel<T> {
    fn clone(&self) -> Self {
        Self { payload: Arc::clone(&self.payload), said: self.said.clone() }
    }
}

impl<T> Parcel<T> {
    /// A payload of which nothing is said.
    pub(crate) fn plain(payload: T) -> Self {
        Self { payload: Arc::new(payload), said: None }
    }

    pub(crate) fn enveloped(envelope: Envelope<T>) -> Self {
        let (payload, said) = envelope.into_parts();
        Self { payload: Arc::new(payload), said: Some(said) }
    }

    /// The letter to one receiver, with the message that was made of the payload.
    pub(super) fn letter<M, R>(&self, message: M) -> (Letter<M, R>, Stamp) {
        match &self.said {
            None => (Letter::told(message), Stamp::BLANK),
            Some(said) => Letter::enveloped(said.with_payload(message)),
        }
    }

    /// To be sent again: when it was to end has passed.
    fn anew(&self) -> Self {
        Self { payload: Arc::clone(&self.payload), said: self.said.clone().map(Envelope::without_end) }
    }
}

/// What was published and nobody listened to.
pub(crate) struct Unheard<T> {
    pub(crate) subject: Subject,
    pub(crate) parcel: Parcel<T>,
}

impl<T: Send + Sync + 'static> AnyLetter for Unheard<T> {
    fn payload_type(&self) -> &'static str {
        type_name::<T>()
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        if system.patterns().topics.publish(&self.subject, &self.parcel.anew()).had_no_receiver() {
            let problem = format!("nobody listens to `{}`", self.subject);
            return Err((self, problem));
        }
        Ok(())
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.parcel.payload)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<Arc<T>>()
    }
}

/// Finds the listener that stands in the place of one: another conversion may have come since.
pub(super) type Place = Box<dyn Fn(&System) -> Option<Arc<Listener>> + Send>;

/// What could not be turned into a message to a listener.
struct Unconverted<T> {
    parcel: Parcel<T>,
    place: Place,
}

/// What a listener could not make a message of is a dead letter of it from now on.
pub(super) fn bury_unconverted<T: Send + Sync + 'static>(listener: &Listener, parcel: &Parcel<T>, place: Place) {
    // The code of a life that was given up leaves nothing behind.
    if current::fenced().is_none() {
        let letter = Unconverted { parcel: parcel.clone(), place };
        listener.bury(Box::new(letter), DropReason::Unconverted);
    }
}

impl<T: Send + Sync + 'static> AnyLetter for Unconverted<T> {
    fn payload_type(&self) -> &'static str {
        type_name::<T>()
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        let Some(listener) = (self.place)(system) else {
            return Err((self, "whoever it was for does not listen any more".to_owned()));
        };
        let problem = match listener.give(&self.parcel.anew(), Otherwise::Next) {
            Delivery::Taken => return Ok(()),
            Delivery::Failed => format!("`{}` cannot make a message of it", listener.path()),
            _ => format!("`{}` refuses it", listener.path()),
        };
        Err((self, problem))
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.parcel.payload)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<Arc<T>>()
    }
}
