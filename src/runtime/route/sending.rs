//! How a route sends: to whoever is chosen, again where it may, and what becomes of what cannot be sent.
//!
//! # Invariants
//!
//! * A message that was not handled, and that no slot has, is a dead letter once its sender is told; one whose handler
//!   began is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use crate::error::RequestError;
use crate::event::DropReason;
use crate::flow::{Budget, Hop, Moment};
use crate::id::Path;
use crate::message::Envelope;
use crate::registry::capability::Wire;
use crate::registry::selection::{Decision, Eligible};
use crate::runtime::current;
use crate::runtime::guard::drop_caught;
use crate::runtime::posting::Asking;
use crate::runtime::route::builder::AtDeath;
use crate::runtime::route::fuse::Call;
use crate::runtime::route::handle::{Route, Settings};
use crate::runtime::route::pick::Chosen;
use crate::runtime::route::provider::Provider;
use crate::runtime::route::reach::NotTaken;
use crate::runtime::route::unsent::{Unrouted, Unsent};
use crate::runtime::slot::{Answer, Patience, Router};
use crate::runtime::system::System;

/// How many providers in a row may have gone when a message comes, each since it was chosen, before the message is refused.
const MOST_IN_VAIN: u32 = 16;

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
            let left = budget.for_hop(self.now(), Hop::Minus(*keep)).and_then(|hop| hop.left(self.now()));
            let Ok(left) = left else { return Err(self.expired(before, key, envelope)) };
            let Chosen { provider, call, eligible } = match self.chosen(key) {
                Ok(chosen) => chosen,
                Err(error) => return Err(not_sent(before.crashed, self.unsent(key, envelope, error, None), self)),
            };
            if envelope.deadline().is_some() {
                envelope = envelope.within(self.instant(), left);
            }
            let again = again.filter(|_| attempt < *attempts);
            let spare = again.or(*copy).map(|copy| envelope.with_payload(copy(envelope.payload())));
            let (was_begun, patience) = (before.crashed.is_some(), self.patience(eligible));
            let asking = Asking { limit: Some(left), at_death: *at_death, was_begun, patience };
            let refusal = match send_by(&self.inner.system, &provider, envelope, asking).await {
                Ok(reply) => {
                    call.into_iter().for_each(Call::succeeded);
                    return Ok(reply);
                }
                Err(refusal) => refusal,
            };
            if let Some(call) = call {
                call.failed(&refusal.error);
            }
            match (&refusal.error, spare) {
                (RequestError::Exited { .. }, Some(spare)) if again.is_some() => {
                    (envelope, before.crashed) = (spare, Some(refusal.into_error()));
                    attempt += 1;
                }
                // No handler of it began, so this is not one more attempt.
                (error, Some(spare)) if *at_death == AtDeath::Elsewhere && may_go_elsewhere(error) => {
                    if !matches!(error, RequestError::Returned { .. }) {
                        // It was refused at once: whoever is on the way to open the door may come first.
                        yield_now().await;
                    }
                    (envelope, before.returned) = (spare, Some(refusal.keep()));
                }
                // This attempt was not handled, but one before it was begun.
                (error, _) if was_not_begun(error) => {
                    let error = refusal.into_error();
                    return Err(before.crashed.unwrap_or(error));
                }
                _ => return Err(refusal.into_error()),
            }
        }
    }

    /// A request for which no time is left. It is not sent, so nobody needs to wonder whether it was handled.
    fn expired(&self, before: Before, key: Option<&[u8]>, envelope: Envelope<Request>) -> RequestError {
        // Who would be chosen: no turn is used up.
        let (error, path) = match self.decide(key) {
            Ok(Decision { chosen: path, .. }) => (RequestError::Expired { path: path.clone() }, Some(path)),
            Err(error) => (error, None),
        };
        let unsent = self.unsent(key, envelope, before.returned.unwrap_or(error), path.as_ref());
        not_sent(before.crashed, unsent.because(DropReason::Expired), self)
    }

    /// How long a message may wait at somebody who was chosen so, and drains by now.
    fn patience(&self, eligible: Eligible) -> Patience {
        let Settings { at_death, fail_fast, .. } = &self.inner.settings;
        let waits = match at_death {
            AtDeath::Stay => !fail_fast,
            AtDeath::Elsewhere => eligible == Eligible::WhenBack,
            // It would be sent back at the end of that life.
            AtDeath::Return => false,
        };
        if waits { Patience::NextLife } else { Patience::ThisLife }
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
        self.tell_once(key, envelope, 0).map_err(|unsent| unsent.bury(&self.inner.system))
    }

    /// Tells; what is refused comes back. It has gone so many ways in vain just now.
    pub(super) fn tell_once(
        &self,
        key: Option<&[u8]>,
        envelope: Envelope<Request>,
        in_vain: u32,
    ) -> Result<(), Box<Unsent>> {
        let Chosen { provider, call, eligible } = match self.chosen(key) {
            Ok(chosen) => chosen,
            Err(error) => return Err(self.unsent(key, envelope, error, None)),
        };
        let router = self.router(key, &envelope);
        let Err(refused) = provider.way.tell(&provider.slot, envelope, router, self.patience(eligible)) else {
            return Ok(());
        };
        let NotTaken { error, letter, router } = *refused;
        if let Some(call) = call {
            call.failed(&error);
        }
        // It has gone since it was chosen.
        if may_go_elsewhere(&error) && in_vain < MOST_IN_VAIN && router.is_some_and(|router| router(in_vain + 1)) {
            drop_caught(letter);
            return Ok(());
        }
        Err(Unsent::new(error, letter, Some(provider.path().clone())))
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
                Some(Box::new(move |in_vain| {
                    let sent = route.tell_once(key.as_deref(), envelope, in_vain);
                    let system = &route.inner.system;
                    if bug_on_purpose!(system, BuriedTwice) {
                        // On purpose: the copy too.
                        return sent.map_err(|unsent| unsent.bury(system)).is_ok();
                    }
                    sent.is_ok()
                }))
            }
            // Nobody waits for it to come back.
            _ => Some(Box::new(|_| false)),
        }
    }

    fn now(&self) -> Moment {
        self.inner.system.moment()
    }

    fn instant(&self) -> Instant {
        self.inner.system.clock().now()
    }
}

/// A request that is not sent any more. One whose handler began was handled in part.
fn not_sent<Request, Reply>(
    crashed: Option<RequestError>,
    unsent: Box<Unsent>,
    route: &Route<Request, Reply>,
) -> RequestError {
    crashed.unwrap_or_else(|| unsent.bury(&route.inner.system))
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
) -> Answer<Reply> {
    let began = system.moment();
    let outcome = provider.way.ask(&provider.slot, envelope, asking).await;
    if outcome.is_ok() && current::fenced().is_none() {
        let now = system.moment();
        provider.slot.core().gauge().answered(now, now.saturating_sub(began));
    }
    outcome
}
