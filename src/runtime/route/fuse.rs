//! The circuit breaker before one provider of a route: the pure [`Breaker`], shared by all who ask through the route.
//!
//! # Invariants
//!
//! * Whoever was let through reports once how it ended; a call that is dropped in between says nothing of the provider.
//! * Whether it is open is read without its lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::RequestError;
use crate::event::EventKind;
use crate::flow::{Admitted, Breaker, BreakerOpen, BreakerState, Change, Moment, Outcome, Pass};
use crate::id::Path;
use crate::runtime::current;
use crate::runtime::guard::lock;
use crate::runtime::system::System;

/// Nobody is let through, whatever the time, until a probe has ended.
const PROBES_OUT: u64 = u64::MAX;

/// A breaker with the path of its provider.
pub(super) struct Fuse {
    path: Path,
    breaker: Mutex<Breaker>,
    /// Until when nobody is let through, in nanoseconds: 0 while it is closed, [`PROBES_OUT`] while it is half open
    /// with all probes out.
    shut: AtomicU64,
}

/// The right to make one call. Dropped before the call has ended, it says nothing of the provider.
pub(super) struct Call {
    fuse: Arc<Fuse>,
    system: System,
    pass: Option<Pass>,
}

impl Fuse {
    pub(super) fn new(path: Path, breaker: Breaker) -> Self {
        Self { path, breaker: Mutex::new(breaker), shut: AtomicU64::new(0) }
    }

    /// Whether a call would not be let through.
    pub(super) fn is_open(&self, now: Moment) -> bool {
        u128::from(self.shut.load(Ordering::Acquire)) > now.as_nanos()
    }

    /// Lets a call through, or not.
    pub(super) fn admit(self: &Arc<Self>, system: &System) -> Result<Call, BreakerOpen> {
        let now = system.moment();
        let admitted = self.with(now, |breaker| breaker.admit(now));
        let Admitted { pass, change } = admitted?;
        self.tell(system, change);
        Ok(Call { fuse: Arc::clone(self), system: system.clone(), pass: Some(pass) })
    }

    fn with<T>(&self, now: Moment, step: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = lock(&self.breaker);
        let outcome = step(&mut breaker);
        let shut = match breaker.state() {
            BreakerState::Open { until } => u64::try_from(until.as_nanos()).unwrap_or(PROBES_OUT),
            BreakerState::HalfOpen if !breaker.would_admit(now) => PROBES_OUT,
            _ => 0,
        };
        self.shut.store(shut, Ordering::Release);
        outcome
    }

    fn tell(&self, system: &System, change: Option<Change>) {
        if let Some(change) = change {
            system.bus().publish(&self.path, EventKind::BreakerChanged(change));
        }
    }

    fn report(&self, system: &System, pass: Pass, outcome: Outcome) {
        let now = system.moment();
        let change = self.with(now, |breaker| breaker.report(now, pass, outcome));
        self.tell(system, change);
    }
}

impl Call {
    /// The call was answered.
    pub(super) fn succeeded(self) {
        self.report(Outcome::Succeeded);
    }

    /// The call has failed so.
    pub(super) fn failed(self, error: &RequestError) {
        self.report(judge(error));
    }

    fn report(mut self, outcome: Outcome) {
        if let Some(pass) = self.pass.take() {
            // The code of a life that was given up says nothing of anybody.
            let outcome = if current::fenced().is_some() { Outcome::Unknown } else { outcome };
            self.fuse.report(&self.system, pass, outcome);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // On purpose: nobody says anything of the provider, so nothing is said.
        if let Some(pass) = self.pass.take()
            && !bug_on_purpose!(self.system, ProbeIsLost)
        {
            self.fuse.report(&self.system, pass, Outcome::Unknown);
        }
    }
}

/// What an error says of the provider.
const fn judge(error: &RequestError) -> Outcome {
    match error {
        RequestError::Exited { .. }
        | RequestError::Timeout { .. }
        | RequestError::Full { .. }
        | RequestError::WrongReply { .. } => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}
