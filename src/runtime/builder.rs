//! A system with other seams than the default ones.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::StartError;
use crate::fault::FaultPlan;
use crate::flow::Limits;
use crate::message::DEFAULT_DEAD_LETTERS;
use crate::runtime::agent::Agent;
use crate::runtime::keeper::{Desk, Keeper};
use crate::runtime::registrar::Registrar;
use crate::runtime::spec::{AgentSpec, ChildSpec, SupervisorSpec};
use crate::runtime::system::{System, World};
use crate::runtime::watchdog::WatchRules;
use crate::runtime::world::{MemoryJournal, SeededEntropy, TokioClock};
use crate::seam::{Clock, Entropy, Journal, Transport};
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::Strategy;
use crate::telemetry;

/// How often one of the services may fail within 5 seconds before the system gives up. They have no state to lose and
/// everything depends on them, so this is more than OTP's default.
const SERVICE_RESTARTS: u32 = 10;

/// How many starts of one service may fail in a row: one that cannot start will not by trying on.
const SERVICE_FAILED_STARTS: u32 = 5;

/// Makes a [`System`] with a clock, randomness, a journal or faults of one's own.
#[derive(Default)]
pub struct SystemBuilder {
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
    journal: Option<Arc<dyn Journal>>,
    transport: Option<Arc<dyn Transport>>,
    faults: Option<Arc<dyn FaultPlan>>,
    service_deadline: Option<Duration>,
    service_intensity: Option<Intensity>,
    #[cfg(any(test, feature = "testing"))]
    ends: Option<crate::testing::OnEnd>,
    #[cfg(any(test, feature = "testing"))]
    tap: Option<Arc<dyn crate::runtime::tap::Tap>>,
    #[cfg(any(test, feature = "testing"))]
    bug: Option<crate::testing::Bug>,
    #[cfg(any(test, feature = "testing"))]
    interleaving: Option<(u64, u32)>,
    watch: WatchRules,
    dead_letters: Option<usize>,
    limits: Limits,
}

impl SystemBuilder {
    /// The clock; tokio's when not set. Its `now` must agree with tokio's, by whose timers deadlines end; its time of day need not.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The randomness; seeded by the operating system when not set.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// The journal; in memory when not set.
    #[must_use]
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// What carries messages to other systems; a [`LocalTransport`](crate::LocalTransport) of its own when not set.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The faults on purpose; none when not set.
    #[must_use]
    pub fn faults(mut self, faults: Arc<dyn FaultPlan>) -> Self {
        self.faults = Some(faults);
        self
    }

    /// The handler deadline of the system's own services; none when not set.
    #[must_use]
    pub fn service_deadline(mut self, limit: Duration) -> Self {
        self.service_deadline = Some(limit);
        self
    }

    /// How often the system's own services may fail; 10 times within 5 seconds when not set.
    #[must_use]
    pub fn service_intensity(mut self, intensity: Intensity) -> Self {
        self.service_intensity = Some(intensity);
        self
    }

    /// Calls this for every life that is gone, before its supervisor reacts, in the supervisor's task.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn on_end(mut self, tell: impl Fn(&crate::testing::End<'_>) + Send + Sync + 'static) -> Self {
        self.ends = Some(Arc::new(tell));
        self
    }

    /// The faults that were set, for a simulated world that has some of its own.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn faults_set(&self) -> Option<Arc<dyn FaultPlan>> {
        self.faults.clone()
    }

    /// Lets a simulated world hear everything.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn tap(mut self, tap: Arc<dyn crate::runtime::tap::Tap>) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Makes this mistake on purpose, for tests that must find it. Of several the last one counts.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn bug(mut self, bug: impl Into<Option<crate::testing::Bug>>) -> Self {
        self.bug = bug.into();
        self
    }

    /// Before it takes its next message each agent lets between none and `most` turns of the others pass, as this seed draws
    /// it for the agent: so different seeds show different orders of what different agents do. What one sender sends to one
    /// receiver keeps its order.
    ///
    /// On a runtime with one thread the same seed shows the same order again.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn interleave(mut self, seed: u64, most: u32) -> Self {
        self.interleaving = Some((seed, most));
        self
    }

    /// The limits of agents, domains and routes that say none of their own; [`Limits::default`] when not set.
    ///
    /// | of | used for |
    /// |---|---|
    /// | `agent`, without `memory_bytes` | each agent whose spec does not say |
    /// | `domain` | each domain whose spec does not say |
    /// | `route` | each route whose description does not say; `ask_within` also for each request without a deadline of its own |
    ///
    /// What is not in this table is for whoever calls the machines of [`flow`](crate::flow), and changes nothing here.
    ///
    /// They are checked at the start: [`SpecError::Limit`](crate::SpecError::Limit) names the setting.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How often the watchdog looks for code that blocks its thread and for runtimes that do not turn; 250 ms when not
    /// set. `None`: there is no watchdog, and neither is noticed.
    #[must_use]
    pub fn watchdog(mut self, every: impl Into<Option<Duration>>) -> Self {
        // A thread that never rests would be worse than what it looks for.
        self.watch.every = every.into().map(|every| every.max(Duration::from_millis(1)));
        self
    }

    /// For how long a runtime may not run anything before it counts as blocked; 2 seconds when not set.
    #[must_use]
    pub fn runtime_limit(mut self, limit: Duration) -> Self {
        self.watch.runtime_limit = limit;
        self
    }

    /// How many dead letters are kept; [`DEFAULT_DEAD_LETTERS`](crate::message::DEFAULT_DEAD_LETTERS) when not set. All are counted, also with a bound of 0.
    #[must_use]
    pub fn dead_letters(mut self, bound: usize) -> Self {
        self.dead_letters = Some(bound);
        self
    }

    /// Starts the system; see [`System::start`].
    ///
    /// # Errors
    ///
    /// As [`System::start`].
    pub async fn start(self, root: impl Into<SupervisorSpec>) -> Result<System, StartError> {
        let root = root.into();
        let desk = Arc::new(Desk::new(self.journal.clone().unwrap_or_else(|| Arc::new(MemoryJournal::default()))));
        let services = self.services(&desk);
        let clock = self.clock.unwrap_or_else(|| Arc::new(TokioClock));
        let entropy = self.entropy.unwrap_or_else(|| Arc::new(SeededEntropy::from_os(Arc::clone(&clock))));
        let world = World {
            clock,
            entropy,
            transport: self.transport.map_or_else(OnceLock::new, OnceLock::from),
            desk,
            faults: self.faults,
            watch: self.watch,
            dead_letters: self.dead_letters.unwrap_or(DEFAULT_DEAD_LETTERS),
            limits: self.limits,
            #[cfg(any(test, feature = "testing"))]
            ends: self.ends,
            #[cfg(any(test, feature = "testing"))]
            tap: self.tap,
            #[cfg(any(test, feature = "testing"))]
            bug: self.bug,
            #[cfg(any(test, feature = "testing"))]
            interleaving: self.interleaving,
        };
        System::start_in(world, services, root).await
    }

    fn services(&self, desk: &Arc<Desk>) -> SupervisorSpec {
        SupervisorSpec::new("system", Strategy::OneForOne)
            .intensity(self.service_intensity.unwrap_or(Intensity::at_most(SERVICE_RESTARTS)))
            .failed_starts(SERVICE_FAILED_STARTS)
            .child(self.limited(ChildSpec::agent::<Registrar>("registrar", ())))
            .child(self.limited(ChildSpec::task("bus", telemetry::report)))
            .child(self.limited(ChildSpec::agent::<Keeper>("journal", Arc::clone(desk))))
    }

    fn limited<A: Agent>(&self, spec: AgentSpec<A>) -> AgentSpec<A> {
        match self.service_deadline {
            Some(limit) => spec.handler_deadline(limit),
            None => spec,
        }
    }
}
