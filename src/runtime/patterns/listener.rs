//! An agent that takes payloads of one type, whatever its own types are.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::published::Delivery;
use crate::id::Path;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::guard::{call_caught, drop_caught};
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
    payload: TypeId,
    payload_name: &'static str,
    /// Takes an `Arc` of that type. There until it is dropped.
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
        let (slot, agent) = (agent.slot(), agent.clone());
        let give = move |payload: &(dyn Any + Send + Sync), otherwise: Otherwise| {
            let Some(payload) = payload.downcast_ref::<Arc<T>>() else { return Delivery::Stranger };
            // The copy, the conversion, and the drop of a message that was refused are code of users.
            let tell = || match otherwise {
                Otherwise::Dead => agent.tell_or_bury(convert(payload)),
                Otherwise::Next => agent.tell(convert(payload)).is_ok(),
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
        Self { slot, payload: TypeId::of::<T>(), payload_name: type_name::<T>(), give: Some(Box::new(give)) }
    }

    /// Gives it a payload as a message.
    pub(crate) fn give<T: Send + Sync + 'static>(&self, payload: &Arc<T>, otherwise: Otherwise) -> Delivery {
        self.give.as_ref().map_or(Delivery::Failed, |give| give(payload, otherwise))
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
