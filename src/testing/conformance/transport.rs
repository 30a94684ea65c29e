//! What a transport promises.

mod bounds;
mod delivery;
mod routing;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Clause;
use crate::message::Pattern;
use crate::runtime::wait;
use crate::seam::{Delivery, Inbox, Interest, Message, Transport};

/// Within which time what is to come comes.
const SOON: Duration = Duration::from_secs(10);
/// After which time what has not come does not come.
const QUIET: Duration = Duration::from_millis(100);
/// Within which time what was published is at its inbox, where nobody may look.
const SETTLED: Duration = Duration::from_millis(300);

/// One transport as it is seen from one place or several: nodes, connections.
pub struct Places {
    at: Vec<Arc<dyn Transport>>,
    keep: Option<Box<dyn Any + Send + Sync>>,
}

impl Places {
    /// These places, at least one. Messages are published at the first, and subscribed to at the last and the first.
    #[must_use]
    pub fn new(at: Vec<Arc<dyn Transport>>) -> Self {
        Self { at, keep: None }
    }

    /// Keeps what the transport lives by until the clause that it is for is done: a network, a server.
    #[must_use]
    pub fn keeping(mut self, value: impl Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(value));
        self
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("at", &self.at.len()).finish_non_exhaustive()
    }
}

/// Where a clause publishes and where it subscribes.
struct Bench {
    publisher: Arc<dyn Transport>,
    subscriber: Arc<dyn Transport>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

/// Holds a transport to what [`Transport`] promises. `make` gives a fresh one each time, to which nobody has subscribed.
///
/// # Panics
///
/// With the promise that is broken, and where `make` gives no place.
pub async fn transport<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Places>,
{
    // Seen from one place, near is far.
    let several = make().await.at.len() > 1;
    for near in if several { &[false, true][..] } else { &[true] } {
        let fresh = async || {
            let Places { at, keep } = make().await;
            let (Some(first), Some(last)) = (at.first(), at.last()) else { panic!("a transport has a place at least") };
            let subscriber = Arc::clone(if *near { first } else { last });
            Bench { publisher: Arc::clone(first), subscriber, _keep: keep }
        };
        routing::who_gets_it(&fresh().await).await;
        routing::what_arrives(&fresh().await).await;
        routing::groups(&fresh().await).await;
        routing::nobody(&fresh().await).await;
        routing::refusals(&fresh().await).await;
        delivery::given_back(&fresh().await).await;
        delivery::not_acknowledged(&fresh().await).await;
        delivery::acknowledged(&fresh().await).await;
        delivery::dropped_waits(&fresh().await).await;
        delivery::members_that_leave(&fresh().await).await;
        bounds::a_full_inbox(&fresh().await).await;
        bounds::a_full_inbox_and_others(&fresh().await).await;
        bounds::a_full_member(&fresh().await).await;
    }
}

const fn promise(promise: &'static str) -> Clause {
    Clause::new("transport", promise)
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|error| panic!("the suite is wrong: {error}"))
}

fn message(subject: &str, number: u8) -> Message {
    let subject = subject.parse().unwrap_or_else(|error| panic!("the suite is wrong: {error}"));
    Message::new(subject, [number])
}

fn number(delivery: &Delivery) -> u8 {
    delivery.message().payload().first().copied().unwrap_or_default()
}

impl Bench {
    async fn subscribe(&self, interest: Interest) -> Box<dyn Inbox> {
        match self.subscriber.subscribe(interest).await {
            Ok(inbox) => inbox,
            Err(error) => promise("a subscription that is none of those refused succeeds").broken(&error.to_string()),
        }
    }

    async fn to(&self, text: &str) -> Box<dyn Inbox> {
        self.subscribe(Interest::new(pattern(text))).await
    }

    async fn publish(&self, message: Message) {
        if let Err(error) = self.publisher.publish(message).await {
            promise("a message is taken while the transport is open").broken(&error.to_string());
        }
    }

    /// Publishes so many, numbered from 0 on.
    async fn publish_all(&self, subject: &str, count: u8) {
        for number in 0..count {
            self.publish(message(subject, number)).await;
        }
    }
}

/// What is to come.
async fn get(inbox: &mut dyn Inbox, clause: Clause) -> Delivery {
    match wait::at_most(SOON, inbox.next()).await {
        Some(Some(delivery)) => delivery,
        Some(None) => clause.broken("the inbox ended"),
        None => clause.broken(&format!("nothing came within {SOON:?}")),
    }
}

async fn ack(delivery: Delivery, clause: Clause) {
    if let Err(error) = delivery.ack().await {
        clause.broken(&format!("it cannot be acknowledged: {error}"));
    }
}

/// The numbers of what comes: so many, and whatever more comes until it is quiet; in order. Each is acknowledged.
async fn all(inbox: &mut dyn Inbox, count: usize, clause: Clause) -> Vec<u8> {
    let mut came = Vec::new();
    loop {
        let patience = if came.len() < count { SOON } else { QUIET };
        let Some(Some(delivery)) = wait::at_most(patience, inbox.next()).await else { return came };
        came.push(number(&delivery));
        ack(delivery, clause).await;
    }
}

/// The numbers of what comes to several who share it, for each: so many together, and whatever more comes.
async fn shared(inboxes: &mut [Box<dyn Inbox>], count: usize, clause: Clause) -> Vec<Vec<u8>> {
    let mut came = vec![Vec::new(); inboxes.len()];
    // Those that had something are asked once more than the others.
    for _ in 0..SOON.as_millis() / QUIET.as_millis() {
        let before: usize = came.iter().map(Vec::len).sum();
        for (inbox, came) in inboxes.iter_mut().zip(&mut came) {
            came.extend(all(&mut **inbox, 0, clause).await);
        }
        let now: usize = came.iter().map(Vec::len).sum();
        if now >= count && now == before {
            break;
        }
    }
    came
}

/// All numbers below this.
fn below(count: u8) -> Vec<u8> {
    (0..count).collect()
}

fn sorted(mut numbers: Vec<u8>) -> Vec<u8> {
    numbers.sort_unstable();
    numbers
}
