//! Messages that a route could not send: they are dead letters, which can be sent again.

use std::any::{Any, TypeId, type_name};
use std::sync::Weak;

use crate::error::RequestError;
use crate::event::{DropReason, EventKind};
use crate::id::Path;
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::registry::requirement::Requirement;
use crate::runtime::current;
use crate::runtime::guard::drop_caught;
use crate::runtime::office::AnyLetter;
use crate::runtime::posting::why_dropped;
use crate::runtime::route::builder::RouteBuilder;
use crate::runtime::route::handle::{Inner, Route};
use crate::runtime::system::System;

/// A message that was not sent, and that nobody was told of yet.
pub(super) struct Unsent {
    pub(super) error: RequestError,
    why: DropReason,
    letter: Box<dyn AnyLetter>,
    /// Who refused it; `None` where nobody was chosen.
    receiver: Option<Path>,
}

impl Unsent {
    pub(super) fn new(error: RequestError, letter: Box<dyn AnyLetter>, receiver: Option<Path>) -> Box<Self> {
        Box::new(Self { why: why_dropped(&error), error, letter, receiver })
    }

    /// It is dropped for another reason than what its sender is told.
    pub(super) fn because(mut self: Box<Self>, why: DropReason) -> Box<Self> {
        self.why = why;
        self
    }

    /// It is a dead letter from now on. Returns what its sender is told.
    pub(super) fn bury(self, system: &System) -> RequestError {
        let Self { error, why, letter, receiver } = self;
        match receiver {
            // The code of a life that was given up leaves nothing behind.
            _ if current::fenced().is_some() => drop_caught(letter),
            Some(path) => {
                system.office().bury(system.bus(), &path, letter, why);
                if bug_on_purpose!(system, DropToldTwice) {
                    // On purpose: by whoever buries it, and by whoever has it buried.
                    system.bus().publish(&path, EventKind::Dropped { why });
                }
            }
            None => system.office().bury_for_nobody(system.bus(), system.root(), letter, why),
        }
        error
    }

    /// The letter, and why it was not sent.
    pub(super) fn into_letter(self) -> (Box<dyn AnyLetter>, String) {
        (self.letter, self.error.to_string())
    }
}

/// A message for which nobody could be chosen. Sent again it goes the way of its route, and where that is gone, to the
/// least loaded of those who fit.
pub(super) struct Unrouted<Request, Reply> {
    /// Not held: the route has the system, and the system has this.
    pub(super) route: Weak<Inner<Request, Reply>>,
    pub(super) capability: Capability<Request, Reply>,
    pub(super) requirement: Option<Requirement>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) envelope: Envelope<Request>,
}

impl<Request: Wire, Reply: Wire> Unrouted<Request, Reply> {
    fn route(&self, system: &System) -> Result<Route<Request, Reply>, String> {
        if let Some(inner) = self.route.upgrade() {
            return Ok(Route { inner });
        }
        let route = RouteBuilder::new(system.clone(), self.capability.clone());
        let route = self.requirement.iter().fold(route, |route, wanted| route.requiring(wanted.clone()));
        route.build().map_err(|problem| problem.to_string())
    }
}

impl<Request: Wire, Reply: Wire> AnyLetter for Unrouted<Request, Reply> {
    fn payload_type(&self) -> &'static str {
        type_name::<Request>()
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        match self.route(system) {
            Err(problem) => Err((self, problem)),
            Ok(route) => {
                let sent = route.tell_once(self.key.as_deref(), self.envelope.without_end(), 0);
                sent.map_err(|unsent| unsent.into_letter())
            }
        }
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.envelope.into_payload())
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<Request>()
    }
}
