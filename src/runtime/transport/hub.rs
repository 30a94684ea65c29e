//! What transports at most once share: the exchange with its rules, a way between the nodes, and one task that keeps the
//! time of both.
//!
//! No lock is held while the way is asked, since it asks code of users.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::MOST_SUBSCRIPTIONS;
use super::inbox::HubInbox;
use crate::message::codec::LIMIT;
use crate::message::exchange::{Again, Arrival, Back, Exchange, Letter, Taken, Target, Ticket};
use crate::message::subject_map::SubscriptionId;
use crate::runtime::guard::lock;
use crate::runtime::world::TokioClock;
use crate::seam::{Clock, Inbox, Interest, Message, TransportError};

/// A letter on its way to a node, for these subscriptions there.
pub(crate) struct Parcel {
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "only simulated ways ask for it"))]
    pub(crate) to: Arc<str>,
    pub(crate) letter: Letter,
    targets: Vec<Target>,
}

#[cfg(any(test, feature = "testing"))]
impl Parcel {
    /// The same once more.
    pub(crate) fn copy(&self) -> Self {
        Self { to: Arc::clone(&self.to), letter: self.letter.clone(), targets: self.targets.clone() }
    }
}

/// What became of a parcel at its end, for each subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    Waits,
    Full,
    Nobody,
}

/// How parcels get from one node to another.
pub(crate) trait Way: Send + Sync {
    /// Takes parcels that leave now; gives back those that are there at once.
    fn send(&self, parcels: Vec<Parcel>, now: Instant) -> Vec<Parcel>;

    /// Gives those that are there by now.
    fn arrived(&self, now: Instant) -> Vec<Parcel>;

    /// When the next will be there.
    fn next(&self) -> Option<Instant>;

    /// Hears what became of one.
    fn note(&self, parcel: &Parcel, arrived: Arrived);
}

/// A place from which the transport is used, in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    life: u64,
}

/// Whose a subscription is, and how it is called.
struct Ear {
    node: Arc<str>,
    bell: Arc<Notify>,
}

struct State {
    exchange: Exchange<Ear>,
    /// How often each node was cut off.
    lives: BTreeMap<Arc<str>, u64>,
    /// How many were published.
    published: u64,
    /// Until when the task sleeps; `None` where nothing but a call ends its sleep.
    asleep: Option<Instant>,
    closed: bool,
}

pub(crate) struct Hub {
    state: Mutex<State>,
    way: Box<dyn Way>,
    call: Notify,
    task: Mutex<Option<AbortHandle>>,
}

/// A hub that is open: when this is dropped, it is closed, and its task ends.
pub(crate) struct Open(Arc<Hub>);

impl Open {
    pub(crate) fn new(way: Box<dyn Way>) -> Self {
        let state = State {
            exchange: Exchange::new(MOST_SUBSCRIPTIONS),
            lives: BTreeMap::new(),
            published: 0,
            asleep: None,
            closed: false,
        };
        Self(Arc::new(Hub { state: Mutex::new(state), way, call: Notify::new(), task: Mutex::new(None) }))
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Hub {
    /// Starts the task, once, on the present runtime; outside of any it starts nothing.
    pub(crate) fn run(self: &Arc<Self>) {
        let mut task = lock(&self.task);
        if task.is_none()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            *task = Some(runtime.spawn(Arc::clone(self).keep_time()).abort_handle());
        }
    }

    async fn keep_time(self: Arc<Self>) {
        loop {
            self.tick();
            let next = {
                let mut state = lock(&self.state);
                state.asleep = earlier(self.way.next(), state.exchange.earliest());
                state.asleep
            };
            let called = self.call.notified();
            match next {
                None => called.await,
                Some(next) => tokio::select! {
                    biased;
                    () = called => {}
                    () = tokio::time::sleep_until(next.into()) => {}
                },
            }
        }
    }

    /// Does all whose time has come.
    fn tick(self: &Arc<Self>) {
        let now = TokioClock.now();
        self.deliver(self.way.arrived(now), now);
        let back = lock(&self.state).exchange.expire(now);
        for back in back {
            self.give_back(back, now);
        }
    }

    /// Calls the task where it would sleep for too long.
    fn wake_for(&self, due: Option<Instant>, asleep: Option<Instant>) {
        if due.is_some_and(|due| asleep.is_none_or(|until| due < until)) {
            self.call.notify_one();
        }
    }

    fn close(&self) {
        let bells: Vec<_> = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.exchange.all().map(|(_, ear)| Arc::clone(&ear.bell)).collect()
        };
        for bell in bells {
            bell.notify_one();
        }
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    /// A node in its present life.
    pub(crate) fn node(&self, name: &str) -> Node {
        let life = lock(&self.state).lives.get(name).copied().unwrap_or_default();
        Node { name: name.into(), life }
    }

    pub(crate) fn publish(self: &Arc<Self>, node: &Node, message: Message) -> Result<(), TransportError> {
        let length = message.payload().len();
        if length > LIMIT {
            return Err(TransportError::TooLong { length, limit: LIMIT });
        }
        let parcels = {
            let mut state = lock(&self.state);
            state.admit(node)?;
            let targets = state.exchange.route(message.subject());
            let letter = Letter::new(message, Arc::clone(&node.name), state.published);
            state.published += 1;
            state.parcels(&letter, targets)
        };
        self.send(parcels, TokioClock.now());
        Ok(())
    }

    pub(crate) fn subscribe(
        self: &Arc<Self>,
        node: &Node,
        interest: Interest,
    ) -> Result<Box<dyn Inbox>, TransportError> {
        self.run();
        let bell = Arc::new(Notify::new());
        let mut state = lock(&self.state);
        state.admit(node)?;
        let ear = Ear { node: Arc::clone(&node.name), bell: Arc::clone(&bell) };
        let id = state.exchange.subscribe(interest, ear)?;
        Ok(Box::new(HubInbox::new(Arc::clone(self), id, bell)))
    }

    /// Cuts a node off as a crash does: its subscriptions end, and what was published for groups and is not
    /// acknowledged goes to their other members.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn disconnect(self: &Arc<Self>, name: &str) {
        let (again, bells) = {
            let mut state = lock(&self.state);
            *state.lives.entry(name.into()).or_default() += 1;
            let of_node = |(id, ear): (SubscriptionId, &Ear)| (&*ear.node == name).then(|| (id, Arc::clone(&ear.bell)));
            let (ids, bells): (Vec<_>, Vec<_>) = state.exchange.all().filter_map(of_node).unzip();
            // All leave before anything goes elsewhere: not to another subscription of the same node.
            (state.exchange.vanish(&ids), bells)
        };
        for bell in bells {
            bell.notify_one();
        }
        self.send_again(again, TokioClock.now());
    }

    fn send(self: &Arc<Self>, parcels: Vec<Parcel>, now: Instant) {
        if parcels.is_empty() || lock(&self.state).closed {
            return;
        }
        let there = self.way.send(parcels, now);
        self.deliver(there, now);
        let asleep = lock(&self.state).asleep;
        self.wake_for(self.way.next(), asleep);
    }

    fn send_again(self: &Arc<Self>, again: Vec<Again>, now: Instant) {
        let parcels = {
            let state = lock(&self.state);
            again.into_iter().flat_map(|Again { target, letter }| state.parcels(&letter, vec![target])).collect()
        };
        self.send(parcels, now);
    }

    /// Puts parcels that are there into their inboxes.
    fn deliver(self: &Arc<Self>, parcels: Vec<Parcel>, now: Instant) {
        let mut elsewhere = Vec::new();
        for parcel in parcels {
            for target in &parcel.targets {
                let (arrival, bell) = {
                    let mut state = lock(&self.state);
                    let arrival = state.exchange.arrive(target, parcel.letter.clone());
                    (arrival, state.exchange.data(target.id).map(|ear| Arc::clone(&ear.bell)))
                };
                let arrived = match arrival {
                    Arrival::Waits => Arrived::Waits,
                    Arrival::Full => Arrived::Full,
                    Arrival::Nobody => Arrived::Nobody,
                    Arrival::Elsewhere(again) => {
                        elsewhere.push(again);
                        if bell.is_some() { Arrived::Full } else { Arrived::Nobody }
                    }
                };
                self.way.note(&parcel, arrived);
                if let Some(bell) = bell {
                    bell.notify_one();
                }
            }
        }
        if !elsewhere.is_empty() {
            self.send_again(elsewhere, now);
        }
    }

    fn give_back(self: &Arc<Self>, back: Back, now: Instant) {
        match back {
            Back::Here(id) => {
                if let Some(ear) = lock(&self.state).exchange.data(id) {
                    ear.bell.notify_one();
                }
            }
            Back::Elsewhere(again) => self.send_again(vec![again], now),
            Back::Nobody => {}
        }
    }
}

/// What inboxes and deliveries ask.
impl Hub {
    /// The next letter of an inbox. `Err` where nothing will come any more.
    pub(super) fn take(&self, id: SubscriptionId) -> Result<Option<Taken>, TransportError> {
        let mut state = lock(&self.state);
        if state.closed || state.exchange.data(id).is_none() {
            return Err(TransportError::Closed);
        }
        let taken = state.exchange.take(id, TokioClock.now());
        let asleep = state.asleep;
        drop(state);
        self.wake_for(taken.as_ref().and_then(|taken| taken.due), asleep);
        Ok(taken)
    }

    pub(super) fn ack(&self, ticket: Ticket) -> Result<(), TransportError> {
        lock(&self.state).exchange.ack(ticket)
    }

    pub(super) fn nak(self: &Arc<Self>, ticket: Ticket) {
        let back = lock(&self.state).exchange.nak(ticket);
        self.give_back(back, TokioClock.now());
    }

    pub(super) fn leave(self: &Arc<Self>, id: SubscriptionId) {
        let again = lock(&self.state).exchange.leave(id);
        self.send_again(again, TokioClock.now());
    }

    pub(super) fn missed(&self, id: SubscriptionId) -> Option<u64> {
        lock(&self.state).exchange.missed(id)
    }
}

impl State {
    fn admit(&self, node: &Node) -> Result<(), TransportError> {
        let life = self.lives.get(&node.name).copied().unwrap_or_default();
        if self.closed || life != node.life { Err(TransportError::Closed) } else { Ok(()) }
    }

    /// One parcel for each node, by name.
    fn parcels(&self, letter: &Letter, targets: Vec<Target>) -> Vec<Parcel> {
        let mut by_node = BTreeMap::<Arc<str>, Vec<Target>>::new();
        for target in targets {
            if let Some(ear) = self.exchange.data(target.id) {
                by_node.entry(Arc::clone(&ear.node)).or_default().push(target);
            }
        }
        by_node.into_iter().map(|(to, targets)| Parcel { to, letter: letter.clone(), targets }).collect()
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
