//! The registrar: the one writer of the registry's index.
//!
//! It keeps nothing of its own: after a restart, or when it missed events, it makes the index anew from the slots.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::error::RequestError;
use crate::event::EventKind;
use crate::exit::BoxError;
use crate::fault::Subject;
use crate::id::{Incarnation, Path};
use crate::registry::index::Candidate;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::bus::EventsError;
use crate::runtime::route::{Reached, candidates};
use crate::runtime::slot::{AnySlot, Presence};
use crate::runtime::system::System;

/// How long an agent's start waits for the registrar in all. It has an end because the registrar may be waiting for the
/// supervisor of this very agent to be stopped.
const REGISTER_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Registrar;

#[derive(Clone)]
pub(crate) enum RegistrarMessage {
    Register { path: Path, incarnation: Incarnation },
    Closed { path: Path },
    Anew,
}

pub(crate) enum RegistrarReply {
    Registered(Uuid),
    Done,
}

impl Agent for Registrar {
    type Args = ();
    type Message = RegistrarMessage;
    type Reply = RegistrarReply;

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        // Subscribed before the slots are read, so that what closes in between is heard.
        let mut events = ctx.system().bus().listen();
        make_anew(ctx.system());
        let myself = ctx.myself();
        ctx.spawn(async move {
            loop {
                let message = match events.next().await {
                    Ok(event) if matches!(event.kind, EventKind::Closed) => {
                        RegistrarMessage::Closed { path: event.path.clone() }
                    }
                    Ok(_) => continue,
                    Err(EventsError::Lagged { .. }) => RegistrarMessage::Anew,
                    Err(EventsError::Closed) => return,
                };
                myself.tell_patiently(message).await;
            }
        });
        Ok(Self)
    }

    async fn handle(&mut self, message: RegistrarMessage, ctx: &mut Context<Self>) -> Result<RegistrarReply, BoxError> {
        let system = ctx.system();
        match message {
            RegistrarMessage::Register { path, .. } => {
                if let Some(slot) = system.slot(&path) {
                    slot.core().set_registered();
                    reconcile(system, &slot);
                }
                Ok(RegistrarReply::Registered(system.entropy().id()))
            }
            RegistrarMessage::Closed { path } => {
                // The word may be late: the child may have been started anew with its supervisor, and registered. Or it
                // is of a slot whose place was taken by that of another kind of child.
                match system.slot(&path) {
                    Some(slot) => reconcile(system, &slot),
                    // On purpose: where nothing is, there is nothing to do.
                    None if bug_on_purpose!(system, ForgottenIsFound) => {}
                    None => leave(system, &path),
                }
                Ok(RegistrarReply::Done)
            }
            RegistrarMessage::Anew => {
                make_anew(system);
                Ok(RegistrarReply::Done)
            }
        }
    }

    fn subject(message: &RegistrarMessage) -> Option<Subject> {
        match message {
            RegistrarMessage::Register { path, incarnation } => {
                Some(Subject::new(path.as_str(), u32::try_from(incarnation.get()).unwrap_or(u32::MAX)))
            }
            RegistrarMessage::Closed { .. } | RegistrarMessage::Anew => None,
        }
    }
}

/// Makes the index what the slots say. What is right already is not touched, so that nobody is missed meanwhile.
fn make_anew(system: &System) {
    // Those whose end was among what was missed.
    for path in system.index().paths() {
        if system.slot(&path).is_none() {
            leave(system, &path);
        }
    }
    for slot in system.slots() {
        reconcile(system, &slot);
    }
}

/// Makes of what a path offers in the index what its slot says.
fn reconcile(system: &System, slot: &Arc<dyn AnySlot>) {
    let (core, index) = (slot.core(), system.index());
    if core.presence() == Presence::Closed {
        return leave(system, &core.path);
    }
    let known = index.resolve(&core.path);
    if known.is_empty() && !core.is_registered() {
        return;
    }
    let offered = candidates(slot);
    let is_right = |old: &Candidate<Reached>, new: &Candidate<Reached>| {
        // The same slot and the same types are reached in the same way.
        old.offer == new.offer && Arc::ptr_eq(&old.provider.slot, slot)
    };
    if core.is_registered() {
        for candidate in &offered {
            if !known.iter().any(|old| is_right(old, candidate)) {
                let (path, offer) = (candidate.path.clone(), Arc::clone(&candidate.offer));
                let provider = Reached { slot: Arc::clone(slot), way: Arc::clone(&candidate.provider.way) };
                index.insert(Candidate { path, offer, provider });
                system.feed().tell(&candidate.path, &candidate.offer);
            }
        }
    }
    if bug_on_purpose!(system, WithdrawnIsFound) {
        // On purpose: what is offered is known, and that is what was asked for.
        return;
    }
    for old in index.retain(&core.path, |offer| offered.iter().any(|candidate| *candidate.offer == *offer)) {
        system.feed().tell(&old.path, &old.offer);
    }
}

/// Takes out all that a path offers.
fn leave(system: &System, path: &Path) {
    for old in system.index().remove(path) {
        system.feed().tell(&old.path, &old.offer);
    }
}

/// Registers a life of an agent that offers something; called by its shell.
///
/// The registrar may itself be between two lives: then this waits, and a try that was lost with one is repeated.
pub(crate) async fn register(
    system: &System,
    slot: &dyn AnySlot,
    incarnation: Incarnation,
) -> Result<Uuid, RequestError> {
    let core = slot.core();
    let registrar = system.registrar()?;
    let began = system.clock().now();
    loop {
        let message = RegistrarMessage::Register { path: core.path.clone(), incarnation };
        let left = REGISTER_LIMIT.saturating_sub(system.clock().now().saturating_duration_since(began));
        match registrar.ask_within(message, left).await {
            Ok(RegistrarReply::Registered(id)) => return Ok(id),
            // On purpose: it was sent, and the next registrar reads the slots anyway.
            Err(RequestError::Exited { .. }) if bug_on_purpose!(system, RegistrationNotRepeated) => {
                return Ok(system.entropy().id());
            }
            // Lost with a life of the registrar; the next one is asked.
            Ok(RegistrarReply::Done) | Err(RequestError::Exited { .. }) if !left.is_zero() => {}
            Ok(RegistrarReply::Done) => {
                return Err(RequestError::Timeout { path: registrar.path().clone(), limit: REGISTER_LIMIT });
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::capability::Capability;
    use crate::runtime::spec::{ChildSpec, SupervisorSpec};
    use crate::supervision::policy::Strategy;
    use crate::testing::Recorder;

    const SUM: Capability<u8, u8> = Capability::new("math.sum", "1.0.0");

    #[tokio::test(start_paused = true)]
    async fn the_next_registrar_and_a_next_life_touch_nothing_in_the_index_that_is_right() {
        let adder = |name| ChildSpec::serve(name, SUM, |_, n: u8| async move { Ok(n) });
        let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(adder("a")).child(adder("b"));
        let system = System::start(spec).await.expect("the tree starts");
        let before = system.index().candidates("math.sum");
        let mut events = Recorder::of(&system);
        for path in ["system/registrar", "root/a"] {
            system.kill(path).expect("it is there");
            events.started(path, 2).await;
            assert!(system.index().candidates("math.sum").is_same(&before), "{path}");
        }
        // What is wrong is put right: a path that nobody has, and an offer that is missing.
        let stranger = Candidate {
            path: "root/stranger".parse().expect("a path"),
            offer: Arc::clone(&before[0].offer),
            provider: Reached { slot: Arc::clone(&before[0].provider.slot), way: Arc::clone(&before[0].provider.way) },
        };
        system.index().insert(stranger);
        system.index().remove(&before[1].path);
        system.kill("system/registrar").expect("it is there");
        events.started("system/registrar", 3).await;
        let after = system.index().candidates("math.sum");
        assert_eq!(after.iter().map(|candidate| candidate.path.as_str()).collect::<Vec<_>>(), ["root/a", "root/b"]);
        system.shutdown().await.expect("an orderly end");
    }
}
