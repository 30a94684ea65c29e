//! The patterns of messaging beyond tell and ask: publish and subscribe, queue groups, groups of agents.
//!
//! All of them end as [`AgentRef::tell`](crate::AgentRef::tell) and [`send`](crate::AgentRef::send) do: a mailbox that is full, an agent that is gone and a sender
//! that is fenced are refused as everywhere, and in order.
//!
//! # Invariants
//!
//! * A subscription and a membership belong to the agent's slot: they outlive its lives and end when the slot closes.
//! * No lock is held while code of a user runs: neither while a payload is copied or turned into a message, nor while
//!   what is taken out is dropped.
//! * Publishing never waits, and what one receiver does with a message is nothing to the others.

mod context;
mod group;
mod listener;
mod parcel;
mod published;
mod queue;
mod subscription;
mod topics;

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use self::group::Groups;
pub use self::group::{Group, GroupError};
pub(crate) use self::listener::Listener;
use self::listener::SlotKey;
pub(crate) use self::parcel::{Parcel, Unheard};
pub use self::published::Published;
pub use self::subscription::{MOST_SUBSCRIPTIONS, SubscribeError, Subscription};
pub(crate) use self::topics::Topics;
use crate::runtime::guard::{drop_caught, lock};
use crate::runtime::slot::{AnySlot, Presence, SlotCore};

/// Who listens to what in a system, and what else belongs to slots without being of any one life.
#[derive(Default)]
pub(crate) struct Patterns {
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    belongings: Mutex<HashMap<SlotKey, Belonging>>,
}

/// Something that belongs to a slot, with the slot: whoever has it does not change under its key.
type Belonging = (Arc<dyn AnySlot>, Arc<dyn Any + Send + Sync>);

impl Patterns {
    /// What is there for a slot ends with it from now on. Returns whether the slot is open; where not, nothing is left
    /// there for it.
    fn tie(self: &Arc<Self>, slot: &dyn AnySlot) -> bool {
        let core = slot.core();
        core.seldom().ties.tie(self);
        // Looked at last: what closed before the tie did not end anything here.
        let open = core.presence() != Presence::Closed;
        if !open {
            self.closed(SlotKey::of(core));
        }
        open
    }

    /// What belongs to a slot as long as it is open; made when it is first asked for, by a function that
    /// runs no code of users. `None` where it holds another
    /// type, and where the slot is closed.
    pub(crate) fn belonging<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        slot: &Arc<dyn AnySlot>,
        make: impl FnOnce() -> T,
    ) -> Option<Arc<T>> {
        let thing = {
            let mut belongings = lock(&self.belongings);
            let place = belongings.entry(SlotKey::of(slot.core()));
            let (_, thing) = place.or_insert_with(|| (Arc::clone(slot), Arc::new(make())));
            Arc::clone(thing)
        };
        self.tie(&**slot).then_some(())?;
        thing.downcast().ok()
    }

    fn closed(&self, slot: SlotKey) {
        self.topics.closed(slot);
        self.groups.closed(slot);
        let thing = lock(&self.belongings).remove(&slot);
        drop_caught(thing);
    }
}

/// What ends when a slot closes. Most slots have nothing of the kind.
#[derive(Default)]
pub(crate) struct Ties(OnceLock<Weak<Patterns>>);

impl Ties {
    fn tie(&self, patterns: &Arc<Patterns>) {
        self.0.get_or_init(|| Arc::downgrade(patterns));
    }

    /// The slot has closed.
    pub(crate) fn cut(&self, slot: &SlotCore) {
        if let Some(patterns) = self.0.get().and_then(Weak::upgrade) {
            patterns.closed(SlotKey::of(slot));
        }
    }
}
