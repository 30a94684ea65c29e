//! What every message to an agent of a domain passes: how many within a time, and how many requests at once.
//!
//! # Invariants
//!
//! * A message that is not put into a mailbox costs no token.
//! * Who waits for a token stands in line, and who does not wait takes none while somebody does.
//! * A request of the domain's own agents is inside already: it needs no further permit, or agents that ask each other
//!   would wait for one another until their deadlines.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{Instant as TokioInstant, sleep, timeout_at};

use crate::flow::{BulkheadLimit, DomainLimits, Occupancy, RateLimit, TokenBucket, Wait};
use crate::id::Path;
use crate::runtime::current;
use crate::runtime::guard::{after, lock};
use crate::runtime::permits::{Asked, Permit, Permits};
use crate::seam::Clock;

pub(crate) struct Gate {
    /// The supervisor of the domain.
    pub(crate) domain: Path,
    clock: Arc<dyn Clock>,
    began: Instant,
    /// Whether there is a rate: without one no message looks further.
    is_limited: AtomicBool,
    bucket: Mutex<Option<TokenBucket>>,
    line: tokio::sync::Mutex<()>,
    /// The rate is another one: who is first in line looks again.
    changed: Notify,
    waiting: AtomicUsize,
    permits: Mutex<Option<Arc<Permits>>>,
}

/// A token that was taken for a message that is not on its way yet. Goes back unless it is spent.
pub(crate) struct Token {
    gate: Arc<Gate>,
    is_spent: bool,
}

/// No permit came in time.
pub(crate) struct Saturated {
    pub(crate) waited: Duration,
    pub(crate) occupancy: Occupancy,
}

impl Gate {
    pub(crate) fn new(domain: Path, clock: Arc<dyn Clock>, limits: &DomainLimits) -> Arc<Self> {
        let gate = Arc::new(Self {
            domain,
            began: clock.now(),
            clock,
            is_limited: AtomicBool::new(false),
            bucket: Mutex::new(None),
            line: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
            waiting: AtomicUsize::new(0),
            permits: Mutex::new(None),
        });
        gate.set(limits);
        gate
    }

    /// These limits from now on. A rate that is another one begins with a full bucket; who is inside stays inside.
    pub(crate) fn set(&self, limits: &DomainLimits) {
        self.set_rate(limits.messages);
        self.set_bulkhead(limits.bulkhead);
    }

    fn set_rate(&self, limit: Option<RateLimit>) {
        let mut bucket = lock(&self.bucket);
        let rate = limit.map(|limit| limit.rate());
        if bucket.as_ref().map(TokenBucket::rate) != rate {
            // Checked before, so that there is one.
            *bucket = rate.and_then(|rate| TokenBucket::new(rate).ok());
            // Kept where nobody waits: the next who does looks once more than it has to.
            self.changed.notify_one();
        }
        self.is_limited.store(bucket.is_some(), Ordering::Relaxed);
    }

    fn set_bulkhead(&self, limit: Option<BulkheadLimit>) {
        let mut permits = lock(&self.permits);
        match (limit, &*permits) {
            (Some(limit), Some(permits)) => {
                permits.set_line(limit.waiting as usize);
                permits.set_permits(limit.permits as usize);
            }
            (Some(limit), None) => *permits = Some(Permits::new(Arc::clone(&self.clock), limit.bulkhead())),
            (None, Some(old)) => {
                // Whoever waits at the old one gets in.
                old.set_permits(usize::MAX);
                *permits = None;
            }
            (None, None) => {}
        }
    }

    /// Takes a token for a message whose sender does not wait, or says in how long there may be one.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        if !self.is_limited.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Those in line go first: each of them has one coming.
        let ahead = self.waiting.load(Ordering::Acquire);
        let now = self.now();
        let mut bucket = lock(&self.bucket);
        let Some(bucket) = bucket.as_mut() else { return Ok(()) };
        if ahead == 0 {
            return bucket.try_take(now, 1).map_err(|wait| in_how_long(wait, now));
        }
        let rate = bucket.rate();
        let each = rate.period / rate.count;
        Err(each.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX)).max(Duration::from_nanos(1)))
    }

    /// Waits for a token, in line, at most to `by`. An error says in how long there may be one: it is returned as soon
    /// as it is clear that none comes in time.
    pub(crate) async fn token(self: &Arc<Self>, by: Option<TokioInstant>) -> Result<Token, Duration> {
        let _counted = Counted::new(&self.waiting);
        let _first = match by {
            None => self.line.lock().await,
            Some(by) => match timeout_at(by, self.line.lock()).await {
                Ok(first) => first,
                Err(_) => return Err(self.soonest()),
            },
        };
        loop {
            let wait = match self.take() {
                Ok(()) => return Ok(Token { gate: Arc::clone(self), is_spent: false }),
                Err(wait) => wait,
            };
            if by.is_some_and(|by| after(wait) > by) {
                return Err(wait);
            }
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn take(&self) -> Result<(), Duration> {
        let now = self.now();
        match lock(&self.bucket).as_mut() {
            Some(bucket) => bucket.try_take(now, 1).map_err(|wait| in_how_long(wait, now)),
            None => Ok(()),
        }
    }

    /// In how long there may be a token. Asked of a copy: one that is taken for a moment only is missed by whoever comes
    /// in that moment.
    fn soonest(&self) -> Duration {
        let (now, bucket) = (self.now(), lock(&self.bucket).clone());
        match bucket.map(|mut copy| copy.try_take(now, 1)) {
            Some(Err(wait)) => in_how_long(wait, now),
            Some(Ok(())) | None => Duration::from_nanos(1),
        }
    }

    /// Puts a token back that was taken for a message that was then not put into a mailbox.
    pub(crate) fn put_back(&self) {
        if !self.is_limited.load(Ordering::Relaxed) {
            return;
        }
        if let Some(bucket) = lock(&self.bucket).as_mut() {
            bucket.put_back(1);
        }
    }

    /// Enters the bulkhead, waiting in line, at most to `by`. `None` where there is no need.
    pub(crate) async fn enter(&self, by: TokioInstant) -> Result<Option<Permit>, Saturated> {
        let Some(permits) = lock(&self.permits).clone() else { return Ok(None) };
        // The request of a life that was given up goes no further than the mailbox, where it is refused.
        if current::is_within(&self.domain) || current::fenced().is_some() {
            return Ok(None);
        }
        let began = self.now();
        let saturated = || Saturated { waited: self.now().saturating_sub(began), occupancy: permits.occupancy() };
        match permits.enter() {
            Ok(Asked::Entered(permit)) => Ok(Some(permit)),
            Ok(Asked::Waits(mut waiter)) => {
                let handed = timeout_at(by, waiter.handed()).await;
                // Counted while it still stands in line.
                handed.map(Some).map_err(|_| saturated())
            }
            Err(_) => Err(saturated()),
        }
    }

    /// How the bulkhead stands, where there is one.
    pub(crate) fn occupancy(&self) -> Option<Occupancy> {
        lock(&self.permits).as_ref().map(|permits| permits.occupancy())
    }

    fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.began)
    }
}

fn in_how_long(wait: Wait, now: Duration) -> Duration {
    match wait {
        Wait::Until(moment) => moment.saturating_sub(now),
        // Of one token at a time there never are too few.
        Wait::Never { .. } => Duration::MAX,
    }
}

impl Token {
    pub(crate) fn spend(mut self) {
        self.is_spent = true;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.is_spent {
            self.gate.put_back();
        }
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
