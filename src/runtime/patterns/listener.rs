//! An agent that takes payloads of one type, whatever its own types are.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::parcel::Parcel;
use super::published::Delivery;
use crate::event::DropReason;
use crate::id::Path;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::guard::{call_caught, drop_caught};
use crate::runtime::office::{AnyLetter, Office};
use crate::runtime::slot::{AnySlot, Presence, SlotCore};

/// Names a slot for as long as somebody holds it: who listens holds its slot, so no two listeners of different slots
/// have the same key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey(usize);

impl SlotKey {
    pub(crate) fn of(core: &SlotCore) -> Self {
        Self(std::ptr::from_ref(core).addr())
    }
}

/// An agent that takes payloads of one type.
pub(crate) struct Listener {
    slot: Arc<dyn AnySlot>,
    office: Arc<Office>,
    payload: TypeId,
    payload_name: &'static str,
    /// Takes a [`Parcel`] of that type. There until it is dropped.
    give: Option<Box<Give>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Each by itself: they are dropped in lists, and where two panic in the drop of one list, the process ends.
        drop_caught(self.give.take());
    }
}

type Give = dyn Fn(&(dyn Any + Send + Sync), Otherwise) -> Delivery + Send + Sync;

/// What becomes of a message that its receiver refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// It is a dead letter.
    Dead,
    /// Nothing: another one is asked.
    Next,
}

impl Listener {
    /// An agent, and how a payload becomes a message to it.
    pub(crate) fn new<A, T>(
        agent: &AgentRef<A>,
        convert: impl Fn(&Arc<T>) -> A::Message + Send + Sync + 'static,
    ) -> Self
    where
        A: Agent,
        T: Send + Sync + 'static,
    {
        let (slot, office, agent) = (agent.slot(), agent.office(), agent.clone());
        let give = move |parcel: &(dyn Any + Send + Sync), otherwise: Otherwise| {
            let Some(parcel) = parcel.downcast_ref::<Parcel<T>>() else { return Delivery::Stranger };
            // The copy and the conversion are code of users.
            let tell = || {
                let letter = parcel.letter(convert(&parcel.payload));
                match otherwise {
                    Otherwise::Dead => agent.post_or_bury(letter),
                    Otherwise::Next => agent.post(letter).map_err(drop_caught).is_ok(),
                }
            };
            match call_caught(tell) {
                Ok(true) => Delivery::Taken,
                Ok(false) => Delivery::Refused,
                Err(reason) => {
                    tracing::warn!(path = %agent.path(), %reason, "a payload could not be turned into a message");
                    Delivery::Failed
                }
            }
        };
        Self { slot, office, payload: TypeId::of::<T>(), payload_name: type_name::<T>(), give: Some(Box::new(give)) }
    }

    /// Gives it a payload as a message.
    pub(crate) fn give<T: Send + Sync + 'static>(&self, parcel: &Parcel<T>, otherwise: Otherwise) -> Delivery {
        self.give.as_ref().map_or(Delivery::Failed, |give| give(parcel, otherwise))
    }

    /// A letter to it is a dead one from now on.
    pub(super) fn bury(&self, letter: Box<dyn AnyLetter>, why: DropReason) {
        let core = self.slot.core();
        self.office.bury(core.bus(), &core.path, letter, why);
    }

    pub(crate) fn takes<T: 'static>(&self) -> bool {
        self.payload == TypeId::of::<T>()
    }

    pub(crate) fn payload(&self) -> TypeId {
        self.payload
    }

    pub(crate) fn payload_name(&self) -> &'static str {
        self.payload_name
    }

    pub(crate) fn shared_slot(&self) -> Arc<dyn AnySlot> {
        Arc::clone(&self.slot)
    }

    pub(crate) fn key(&self) -> SlotKey {
        SlotKey::of(self.slot.core())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.slot.core().path
    }

    pub(crate) fn presence(&self) -> Presence {
        self.slot.core().presence()
    }
}
