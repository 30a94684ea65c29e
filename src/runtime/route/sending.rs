//! How a route sends: to whoever is chosen, again where it may, and what becomes of what cannot be sent.
//!
//! # Invariants
//!
//! * A message that was not handled, and that no slot has, is a dead letter once its sender is told; one whose handler
//!   began is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::RequestError;
use crate::event::DropReason;
use crate::flow::{Budget, Hop, Moment};
use crate::id::Path;
use crate::message::Envelope;
use crate::registry::capability::Wire;
use crate::runtime::current;
use crate::runtime::posting::Asking;
use crate::runtime::route::builder::AtDeath;
use crate::runtime::route::handle::{Route, Settings};
use crate::runtime::route::pick::Chosen;
use crate::runtime::route::provider::Provider;
use crate::runtime::route::reach::NotTaken;
use crate::runtime::route::unsent::{Unrouted, Unsent};
use crate::runtime::slot::Router;
use crate::runtime::system::System;

/// What became of a request before the attempt that is made now.
#[derive(Default)]
struct Before {
    /// A handler of it crashed.
    crashed: Option<RequestError>,
    /// It came back.
    returned: Option<RequestError>,
}

impl<Request: Wire, Reply: Wire> Route<Request, Reply> {
    /// Asks. The time that an envelope leaves is that of the request; where it leaves any, the limit is not asked for.
    pub(super) async fn ask_for(
        &self,
        key: Option<&[u8]>,
        envelope: Envelope<Request>,
        limit: Option<Duration>,
    ) -> Result<Reply, RequestError> {
        let Settings { again, copy, attempts, keep, at_death, within, .. } = &self.inner.settings;
        let left = envelope.deadline().map(|_| envelope.remaining(self.instant()).unwrap_or_default());
        let budget = Budget::new(self.now(), limit.or(left).unwrap_or(*within));
        let (mut envelope, mut attempt) = (envelope, 1);
        let mut before = Before::default();
        loop {
            let Chosen { provider, call, patience } = match self.chosen(key) {
                Ok(chosen) => chosen,
                Err(error) => return Err(self.not_sent(before.crashed, self.unsent(key, envelope, error, None))),
            };
            let left = budget.for_hop(self.now(), Hop::Minus(*keep)).and_then(|hop| hop.left(self.now()));
            let Ok(left) = left else {
                // It is not sent, so nobody needs to wonder whether it was handled.
                let path = provider.path();
                let error = before.returned.unwrap_or_else(|| RequestError::Expired { path: path.clone() });
                let unsent = self.unsent(key, envelope, error, Some(path)).because(DropReason::Expired);
                return Err(self.not_sent(before.crashed, unsent));
            };
            if envelope.deadline().is_some() {
                envelope = envelope.within(self.instant(), left);
            }
            let again = again.filter(|_| attempt < *attempts);
            let spare = again.or(*copy).map(|copy| envelope.with_payload(copy(envelope.payload())));
            let asking = Asking { limit: Some(left), at_death: *at_death, patience };
            let outcome = send_by(&self.inner.system, &provider, envelope, asking).await;
            if let Some(call) = call {
                call.ended(&outcome);
            }
            match (outcome, spare) {
                (Err(error @ RequestError::Exited { .. }), Some(spare)) if again.is_some() => {
                    (envelope, before.crashed) = (spare, Some(error));
                    attempt += 1;
                }
                (Err(error), Some(spare)) if *at_death == AtDeath::Elsewhere && was_not_begun(&error) => {
                    if !may_go_elsewhere(&error) {
                        let unsent = self.unsent(key, spare, error, Some(provider.path()));
                        return Err(self.not_sent(before.crashed, unsent));
                    }
                    // No handler of it began, so this is not one more attempt.
                    (envelope, before.returned) = (spare, Some(error));
                }
                // This attempt was not handled, but one before it was begun.
                (Err(error), _) if was_not_begun(&error) => return Err(before.crashed.unwrap_or(error)),
                (outcome, _) => return outcome,
            }
        }
    }

    /// A request that is not sent any more. One whose handler began was handled in part.
    fn not_sent(&self, crashed: Option<RequestError>, unsent: Box<Unsent>) -> RequestError {
        crashed.unwrap_or_else(|| unsent.bury(&self.inner.system))
    }

    fn unsent(
        &self,
        key: Option<&[u8]>,
        envelope: Envelope<Request>,
        error: RequestError,
        receiver: Option<&Path>,
    ) -> Box<Unsent> {
        let letter = Unrouted {
            route: Arc::downgrade(&self.inner),
            capability: self.inner.capability.clone(),
            requirement: Some(self.inner.requirement.clone()),
            key: key.map(<[u8]>::to_vec),
            envelope,
        };
        Unsent::new(error, Box::new(letter), receiver.cloned())
    }

    /// Tells; what is refused is a dead letter.
    pub(super) fn tell_for(&self, key: Option<&[u8]>, envelope: Envelope<Request>) -> Result<(), RequestError> {
        self.tell_once(key, envelope).map_err(|unsent| unsent.bury(&self.inner.system))
    }

    /// Tells; what is refused comes back.
    pub(super) fn tell_once(&self, key: Option<&[u8]>, envelope: Envelope<Request>) -> Result<(), Box<Unsent>> {
        let Chosen { provider, call, patience } = match self.chosen(key) {
            Ok(chosen) => chosen,
            Err(error) => return Err(self.unsent(key, envelope, error, None)),
        };
        let router = self.router(key, &envelope);
        let told = provider.way.tell(envelope, router, patience);
        told.map_err(|refused| {
            let NotTaken { error, letter } = *refused;
            if let Some(call) = call {
                call.failed(&error);
            }
            Unsent::new(error, letter, Some(provider.path().clone()))
        })
    }

    /// What becomes of a message that was told, when its receiver dies before its turn.
    fn router(&self, key: Option<&[u8]>, envelope: &Envelope<Request>) -> Option<Router> {
        let Settings { copy, at_death, .. } = &self.inner.settings;
        match (at_death, copy) {
            (AtDeath::Stay, _) => None,
            (AtDeath::Elsewhere, Some(copy)) => {
                let (route, key) = (self.clone(), key.map(<[u8]>::to_vec));
                let envelope = envelope.with_payload(copy(envelope.payload()));
                // Where nobody takes it, the letter that it is a copy of is the dead one.
                Some(Box::new(move || route.tell_once(key.as_deref(), envelope).is_ok()))
            }
            // Nobody waits for it to come back.
            _ => Some(Box::new(|| false)),
        }
    }

    fn now(&self) -> Moment {
        self.inner.system.moment()
    }

    fn instant(&self) -> Instant {
        self.inner.system.clock().now()
    }
}

/// Whether a request came to somebody who is not there to handle it.
fn may_go_elsewhere(error: &RequestError) -> bool {
    matches!(error, RequestError::Returned { .. } | RequestError::Gone { .. } | RequestError::Draining { .. })
}

/// Whether no handler of a request began, nor will.
fn was_not_begun(error: &RequestError) -> bool {
    may_go_elsewhere(error)
        || matches!(
            error,
            RequestError::Full { .. }
                | RequestError::Expired { .. }
                | RequestError::Shed { .. }
                | RequestError::RateLimited { .. }
                | RequestError::Saturated { .. }
                | RequestError::Fenced { .. }
        )
}

/// The one place where an ask goes to the slot that was chosen.
pub(super) async fn send_by<Request: Wire, Reply: Wire>(
    system: &System,
    provider: &Provider<Request, Reply>,
    envelope: Envelope<Request>,
    asking: Asking,
) -> Result<Reply, RequestError> {
    let began = system.moment();
    let outcome = provider.way.ask(envelope, asking).await;
    if outcome.is_ok() && current::fenced().is_none() {
        let now = system.moment();
        provider.slot.core().gauge().answered(now, now.saturating_sub(began));
    }
    outcome
}
