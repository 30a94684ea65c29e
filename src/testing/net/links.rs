//! The ways between nodes: what is under way, when it arrives, and what a plan does to it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{DEFAULT_LATENCY, Passage, Passed};
use crate::fault::{FaultPlan, Hop, MessageFault};
use crate::runtime::guard::lock;
use crate::runtime::transport::{Arrived, Parcel, Way};
use crate::seam::{Rng, seed_of};

/// For how many of the longest latencies a message waits for another to overtake it.
const PATIENCE: u32 = 4;

type Observer = Arc<dyn Fn(&Passed) + Send + Sync>;

/// Its place in the queue: when it arrives, and after which others of that moment.
type Place = (Instant, u64);

pub(super) struct Links {
    seed: u64,
    faults: Option<Arc<dyn FaultPlan>>,
    queue: Mutex<Queue>,
    observers: Mutex<Vec<Observer>>,
}

struct Queue {
    latency: RangeInclusive<Duration>,
    links: BTreeMap<(Arc<str>, Arc<str>), Link>,
    under_way: BTreeMap<Place, Parcel>,
    next: u64,
}

/// One direction between two nodes.
struct Link {
    /// One number is drawn for each message, whatever happens to it.
    times: Rng,
    /// Those of second copies are their own, so that a fault moves nothing else.
    copies: Rng,
    /// When the last one arrives that none may overtake.
    last: Option<Instant>,
    /// Those that wait to be overtaken.
    held: Vec<Place>,
}

impl Links {
    pub(super) fn new(seed: u64, faults: Option<Arc<dyn FaultPlan>>) -> Self {
        let queue = Queue { latency: DEFAULT_LATENCY, links: BTreeMap::new(), under_way: BTreeMap::new(), next: 0 };
        Self { seed, faults, queue: Mutex::new(queue), observers: Mutex::default() }
    }

    pub(super) fn set_latency(&self, range: RangeInclusive<Duration>) {
        lock(&self.queue).latency = range;
    }

    pub(super) fn observe(&self, observer: Observer) {
        lock(&self.observers).push(observer);
    }

    pub(super) fn in_flight(&self) -> usize {
        lock(&self.queue).under_way.len()
    }

    /// Tells the observers, without a lock: they are code of users.
    fn tell(&self, about: &Passed) {
        let observers = lock(&self.observers).clone();
        for observer in observers {
            observer(about);
        }
    }

    fn send_one(&self, parcel: Parcel, now: Instant) {
        let (from, to) = (Arc::clone(&parcel.letter.from), Arc::clone(&parcel.to));
        let mut passed = passed(&parcel, Passage::Sent);
        let subject = passed.subject.clone();
        let fault = self.faults.as_ref().and_then(|faults| faults.on_hop(&Hop::new(&from, &to, subject.as_str())));
        lock(&self.queue).put(self.seed, parcel, fault, now);
        self.tell(&passed);
        if let Some(fault) = fault {
            passed.what = match fault {
                MessageFault::Drop => Passage::Dropped,
                MessageFault::Duplicate => Passage::Duplicated,
                MessageFault::Delay(time) => Passage::Delayed(time),
                MessageFault::Reorder => Passage::Reordered,
            };
            self.tell(&passed);
        }
    }
}

fn passed(parcel: &Parcel, what: Passage) -> Passed {
    let letter = &parcel.letter;
    Passed {
        number: letter.number,
        from: Arc::clone(&letter.from),
        to: Arc::clone(&parcel.to),
        subject: letter.message.subject().clone(),
        what,
    }
}

impl Way for Arc<Links> {
    fn send(&self, parcels: Vec<Parcel>, now: Instant) -> Vec<Parcel> {
        let (there, leave): (Vec<_>, Vec<_>) = parcels.into_iter().partition(|parcel| parcel.letter.from == parcel.to);
        for parcel in leave {
            self.send_one(parcel, now);
        }
        there
    }

    fn arrived(&self, now: Instant) -> Vec<Parcel> {
        let mut queue = lock(&self.queue);
        let later = queue.under_way.split_off(&(now, u64::MAX));
        std::mem::replace(&mut queue.under_way, later).into_values().collect()
    }

    fn next(&self) -> Option<Instant> {
        lock(&self.queue).under_way.first_key_value().map(|((at, _), _)| *at)
    }

    fn note(&self, parcel: &Parcel, arrived: Arrived) {
        if parcel.letter.from != parcel.to {
            let what = match arrived {
                Arrived::Waits => Passage::Arrived,
                Arrived::Full => Passage::Missed,
                Arrived::Nobody => Passage::Lost,
            };
            self.tell(&passed(parcel, what));
        }
    }
}

impl Queue {
    fn put(&mut self, seed: u64, parcel: Parcel, fault: Option<MessageFault>, now: Instant) {
        let way = (Arc::clone(&parcel.letter.from), Arc::clone(&parcel.to));
        let patience = self.latency.end().max(self.latency.start()).saturating_mul(PATIENCE);
        let link = self.links.entry(way).or_insert_with_key(|(from, to)| Link::new(seed, from, to));
        let arrives = after(now, draw(&mut link.times, &self.latency));
        match fault {
            None => self.in_order(parcel, arrives),
            Some(MessageFault::Drop) => {}
            Some(MessageFault::Duplicate) => {
                let again = after(now, draw(&mut link.copies, &self.latency));
                let copy = parcel.copy();
                self.in_order(parcel, arrives);
                self.in_order(copy, again);
            }
            Some(MessageFault::Delay(time)) => {
                self.insert(after(arrives, time), parcel);
            }
            Some(MessageFault::Reorder) => {
                let way = (Arc::clone(&parcel.letter.from), Arc::clone(&parcel.to));
                let place = self.insert(after(arrives, patience), parcel);
                self.links.entry(way).and_modify(|link| link.held.push(place));
            }
        }
    }

    fn insert(&mut self, at: Instant, parcel: Parcel) -> Place {
        let place = (at, self.next);
        self.next += 1;
        self.under_way.insert(place, parcel);
        place
    }

    /// Puts it behind all that it may not overtake, and behind it those that waited for that.
    fn in_order(&mut self, parcel: Parcel, arrives: Instant) {
        let way = (Arc::clone(&parcel.letter.from), Arc::clone(&parcel.to));
        let Some(link) = self.links.get_mut(&way) else { return };
        let at = link.last.map_or(arrives, |last| last.max(arrives));
        link.last = Some(at);
        let held = std::mem::take(&mut link.held);
        self.insert(at, parcel);
        for place in held {
            // Not there any more where nobody overtook it in time.
            if let Some(overtaken) = self.under_way.remove(&place) {
                self.insert(at, overtaken);
            }
        }
    }
}

impl Link {
    fn new(seed: u64, from: &str, to: &str) -> Self {
        let rng = |of: &str| Rng::new(seed_of(seed, &format!("{of} {from:?} {to:?}")));
        Self { times: rng("latency"), copies: rng("latency of copies"), last: None, held: Vec::new() }
    }
}

/// A time of a range.
fn draw(rng: &mut Rng, range: &RangeInclusive<Duration>) -> Duration {
    let width = range.end().saturating_sub(*range.start());
    *range.start() + width.mul_f64(rng.next_unit())
}

/// A moment so much later; in 30 years where that is longer than time goes.
fn after(moment: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(30 * 365 * 24);
    moment.checked_add(time).unwrap_or_else(|| moment + FAR)
}
