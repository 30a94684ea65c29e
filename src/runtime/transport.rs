//! The transport of one process: messages go from hand to hand in memory.

mod hub;
mod inbox;

pub(crate) use hub::{Arrived, Open, Parcel, Way};
use hub::{Hub, Node};

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::seam::{BoxFuture, Durability, Inbox, Interest, Message, Transport, TransportError};

/// The most subscriptions of one transport.
pub(crate) const MOST_SUBSCRIPTIONS: usize = 100_000;

/// A transport for one process: everything is in memory, and gone with it.
///
/// At most once: a message that finds an inbox full is missed by it. Until it is acknowledged, it is delivered again for
/// as long as the transport and a subscription that it could be for are there. When the transport is dropped, its
/// inboxes end.
///
/// Deliveries that were not acknowledged in time are noticed by a task: on the runtime in which the transport was made;
/// where that was outside of any, on that of who first subscribes. It ends with the transport.
pub struct LocalTransport {
    at: At,
    _open: Open,
}

impl LocalTransport {
    /// A transport without subscriptions.
    #[must_use]
    pub fn new() -> Self {
        let open = Open::new(Box::new(HandToHand));
        open.hub().run();
        Self { at: At::new(open.hub(), ""), _open: open }
    }
}

impl Default for LocalTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTransport").finish_non_exhaustive()
    }
}

impl Transport for LocalTransport {
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), TransportError>> {
        self.at.publish(message)
    }

    fn subscribe(&self, interest: Interest) -> BoxFuture<'_, Result<Box<dyn Inbox>, TransportError>> {
        self.at.subscribe(interest)
    }

    fn durability(&self) -> Durability {
        self.at.durability()
    }
}

/// A transport as it is seen from a node, until that is cut off.
pub(crate) struct At {
    hub: Arc<Hub>,
    node: Node,
}

impl At {
    pub(crate) fn new(hub: &Arc<Hub>, node: &str) -> Self {
        Self { node: hub.node(node), hub: Arc::clone(hub) }
    }
}

impl Transport for At {
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move { self.hub.publish(&self.node, message) })
    }

    fn subscribe(&self, interest: Interest) -> BoxFuture<'_, Result<Box<dyn Inbox>, TransportError>> {
        Box::pin(async move { self.hub.subscribe(&self.node, interest) })
    }

    fn durability(&self) -> Durability {
        Durability::AtMostOnce
    }
}

/// No way at all.
struct HandToHand;

impl Way for HandToHand {
    fn send(&self, parcels: Vec<Parcel>, _: Instant) -> Vec<Parcel> {
        parcels
    }

    fn arrived(&self, _: Instant) -> Vec<Parcel> {
        Vec::new()
    }

    fn next(&self) -> Option<Instant> {
        None
    }

    fn note(&self, _: &Parcel, _: Arrived) {}
}

#[cfg(test)]
mod tests;
