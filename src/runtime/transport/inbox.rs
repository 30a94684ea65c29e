//! The inbox of a subscription to a hub, and what settles its deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::hub::Hub;
use crate::message::exchange::Ticket;
use crate::message::subject_map::SubscriptionId;
use crate::seam::{BoxFuture, Delivery, Inbox, Settle, TransportError};

pub(super) struct HubInbox {
    hub: Arc<Hub>,
    id: SubscriptionId,
    bell: Arc<Notify>,
    /// As far as was asked: it is told also after the end.
    missed: AtomicU64,
}

impl HubInbox {
    pub(super) fn new(hub: Arc<Hub>, id: SubscriptionId, bell: Arc<Notify>) -> Self {
        Self { hub, id, bell, missed: AtomicU64::new(0) }
    }
}

impl Inbox for HubInbox {
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(async move {
            // Whoever takes from a full inbox in a loop lets others have their turn.
            tokio::task::coop::consume_budget().await;
            loop {
                match self.hub.take(self.id) {
                    Ok(Some(taken)) => {
                        let settle = OfHub { hub: Arc::clone(&self.hub), ticket: taken.ticket };
                        return Some(Delivery::new(taken.message, taken.deliveries, Box::new(settle)));
                    }
                    // A bell that rang before is heard: it keeps one ring.
                    Ok(None) => self.bell.notified().await,
                    Err(_) => return None,
                }
            }
        })
    }

    fn missed(&self) -> u64 {
        if let Some(missed) = self.hub.missed(self.id) {
            self.missed.store(missed, Ordering::Relaxed);
        }
        self.missed.load(Ordering::Relaxed)
    }
}

impl Drop for HubInbox {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

struct OfHub {
    hub: Arc<Hub>,
    ticket: Ticket,
}

impl Settle for OfHub {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>> {
        Box::pin(async move { self.hub.ack(self.ticket) })
    }

    fn nak(self: Box<Self>) {
        self.hub.nak(self.ticket);
    }
}
