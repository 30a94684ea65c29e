//! Transports that are wrong, each in one thing.

use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use std::sync::Arc;

use steadfast::LocalTransport;
use steadfast::message::Headers;
use steadfast::seam::{BoxFuture, Delivery, Durability, Inbox, Interest, Message, Settle, Transport, TransportError};
use steadfast::testing::conformance::{self, Places};

use crate::breach::is_noticed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    LosesEveryThird,
    SendsTwice,
    Swaps,
    CutsLongPayloads,
    LosesHeaders,
    RefusesWhereNobodyListens,
    IgnoresPatterns,
    EverybodyShares,
    NobodyShares,
    KeepsForThoseToCome,
    AcceptsAnything,
    IsNotBounded,
    CountsNothing,
    OneFullStopsAll,
    FullMembersMiss,
    ForgetsWhatIsGivenBack,
    CountsNoDeliveries,
    NeverAgain,
    AgainTooEarly,
    ForgetsThatItIsAcknowledged,
    LosesInAWait,
    LosesWithAMember,
}

struct WrongTransport {
    bug: Bug,
    inner: LocalTransport,
    published: AtomicU64,
    subscribed: AtomicU64,
    held: Mutex<Option<Message>>,
    /// The least room of an inbox.
    least: AtomicU64,
}

impl WrongTransport {
    fn new(bug: Bug) -> Self {
        Self {
            bug,
            inner: LocalTransport::new(),
            published: AtomicU64::new(0),
            subscribed: AtomicU64::new(0),
            held: Mutex::default(),
            least: AtomicU64::new(u64::MAX),
        }
    }

    /// What is sent in the place of a message.
    fn in_place_of(&self, message: Message) -> Vec<Message> {
        let number = self.published.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held.lock().expect("nobody panics");
        match self.bug {
            Bug::LosesEveryThird if number % 3 == 2 => Vec::new(),
            Bug::SendsTwice => vec![message.clone(), message],
            Bug::Swaps if message.payload() == [50] => {
                *held = Some(message);
                Vec::new()
            }
            Bug::Swaps => [Some(message), held.take()].into_iter().flatten().collect(),
            Bug::CutsLongPayloads => {
                let payload = &message.payload()[..message.payload().len().min(1000)];
                vec![Message::new(message.subject().clone(), payload).with_headers(message.headers().clone())]
            }
            Bug::LosesHeaders => vec![message.with_headers(Headers::new())],
            Bug::OneFullStopsAll if number >= self.least.load(Ordering::Relaxed) => Vec::new(),
            _ => vec![message],
        }
    }

    fn in_place_of_interest(&self, interest: Interest) -> Interest {
        let number = self.subscribed.fetch_add(1, Ordering::Relaxed);
        let within = interest.ack_within;
        let everything = || ">".parse().expect("a pattern");
        match self.bug {
            Bug::IgnoresPatterns => {
                let mut interest = interest;
                interest.pattern = everything();
                interest
            }
            Bug::EverybodyShares if interest.group.is_none() => interest.in_group("all"),
            Bug::NobodyShares => {
                let mut interest = interest;
                interest.group = None;
                interest
            }
            Bug::AcceptsAnything if interest.check().is_err() => Interest::new(everything()),
            Bug::IsNotBounded if interest.bound > 0 => interest.bound(usize::MAX),
            // Nobody else of its group has what it has no room for.
            Bug::FullMembersMiss if interest.bound == 20 => interest.bound(5).in_group(format!("g{number}")),
            Bug::NeverAgain => interest.ack_within(within * 1000),
            Bug::AgainTooEarly => interest.ack_within(within / 10),
            _ => interest,
        }
    }
}

impl Transport for WrongTransport {
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            if self.bug == Bug::RefusesWhereNobodyListens && self.subscribed.load(Ordering::Relaxed) == 0 {
                return Err(TransportError::Unavailable("nobody listens".to_owned()));
            }
            for message in self.in_place_of(message) {
                if self.bug == Bug::KeepsForThoseToCome {
                    *self.held.lock().expect("nobody panics") = Some(message.clone());
                }
                self.inner.publish(message).await?;
            }
            Ok(())
        })
    }

    fn subscribe(&self, interest: Interest) -> BoxFuture<'_, Result<Box<dyn Inbox>, TransportError>> {
        Box::pin(async move {
            if interest.bound == 1 && interest.group.is_none() {
                self.least.store(1, Ordering::Relaxed);
            }
            let inner = self.inner.subscribe(self.in_place_of_interest(interest)).await?;
            let held = self.held.lock().expect("nobody panics").take();
            if let Some(held) = held {
                self.inner.publish(held).await?;
            }
            Ok(Box::new(WrongInbox { bug: self.bug, inner }) as Box<dyn Inbox>)
        })
    }

    fn durability(&self) -> Durability {
        Durability::AtMostOnce
    }
}

struct WrongInbox {
    bug: Bug,
    inner: Box<dyn Inbox>,
}

/// What was taken, and is lost where its taker does not wait for it.
struct Taken(Option<Delivery>);

impl Drop for Taken {
    fn drop(&mut self) {
        mem::forget(self.0.take());
    }
}

impl Inbox for WrongInbox {
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(async move {
            let delivery = self.inner.next().await?;
            if self.bug == Bug::LosesInAWait {
                let mut taken = Taken(Some(delivery));
                tokio::task::yield_now().await;
                return taken.0.take();
            }
            let count = if self.bug == Bug::CountsNoDeliveries { 1 } else { delivery.deliveries() };
            let message = delivery.message().clone();
            Some(Delivery::new(message, count, Box::new(WrongSettle { bug: self.bug, delivery })))
        })
    }

    fn missed(&self) -> u64 {
        if self.bug == Bug::CountsNothing { 0 } else { self.inner.missed() }
    }
}

impl Drop for WrongInbox {
    fn drop(&mut self) {
        if self.bug == Bug::LosesWithAMember {
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(delivery)) = pin!(self.inner.next()).poll(&mut context) {
                mem::forget(delivery);
            }
        }
    }
}

struct WrongSettle {
    bug: Bug,
    delivery: Delivery,
}

impl Settle for WrongSettle {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>> {
        Box::pin(async move {
            if self.bug == Bug::ForgetsThatItIsAcknowledged {
                mem::forget(self.delivery);
                return Ok(());
            }
            self.delivery.ack().await
        })
    }

    fn nak(self: Box<Self>) {
        if self.bug == Bug::ForgetsWhatIsGivenBack {
            mem::forget(self.delivery);
        }
    }
}

#[test]
fn a_transport_that_is_wrong_is_noticed() {
    for (bug, promise) in [
        (Bug::LosesEveryThird, "gets every message whose subject its pattern matches"),
        (Bug::SendsTwice, "gets every message whose subject its pattern matches"),
        (Bug::IgnoresPatterns, "and no other"),
        (Bug::EverybodyShares, "gets every message whose subject its pattern matches"),
        (Bug::Swaps, "arrives in that order"),
        (Bug::CutsLongPayloads, "what arrives is what was published"),
        (Bug::LosesHeaders, "what arrives is what was published"),
        (Bug::NobodyShares, "of each group one member gets a message"),
        (Bug::RefusesWhereNobodyListens, "a message is taken while the transport is open"),
        (Bug::KeepsForThoseToCome, "from then on until its inbox is dropped"),
        (Bug::AcceptsAnything, "an interest that cannot be is refused"),
        (Bug::ForgetsWhatIsGivenBack, "what is given back is delivered again"),
        (Bug::CountsNoDeliveries, "with the count of deliveries"),
        (Bug::NeverAgain, "not acknowledged within its time is delivered again"),
        (Bug::AgainTooEarly, "and not before"),
        (Bug::ForgetsThatItIsAcknowledged, "what is acknowledged in time, at whichever delivery, does not come again"),
        (Bug::LosesInAWait, "nothing is lost by dropping a wait"),
        (Bug::LosesWithAMember, "what a member of a group that is gone did not acknowledge goes to another"),
        (Bug::IsNotBounded, "an inbox holds as many as its bound"),
        (Bug::CountsNothing, "more are missed and counted"),
        (Bug::OneFullStopsAll, "a full inbox costs the others nothing"),
        (Bug::FullMembersMiss, "a member of a group that is full is passed over"),
    ] {
        let suite =
            conformance::transport(move || async move { Places::new(vec![Arc::new(WrongTransport::new(bug))]) });
        is_noticed(&format!("{bug:?}"), promise, suite);
    }
}
