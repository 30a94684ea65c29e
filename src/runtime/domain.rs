//! Domains at run time: a supervisor, a namespace and limits, added to a running system.
//!
//! # Invariants
//!
//! * What was provisioned comes back with its domain: every change is written into the spec from which the supervisor
//!   starts again, and that of the supervisor above it.
//! * The number of agents is checked and raised in one step, whoever starts them, so that two who ask at once do not
//!   pass together, and a start that takes long holds up nobody else's. A restart is not a new agent.

mod change;
mod coming;
mod conditions;
mod gate;
mod health;
mod spec;

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;

use crate::error::DomainError;
use crate::flow::{DomainLimits, Occupancy};
use crate::id::{ChildId, Path};
use crate::runtime::guard::lock;
use crate::runtime::spec::ChildSpec;
use crate::runtime::supervisor::handle::Supervisor;
use crate::runtime::system::System;
use conditions::Condition;
use spec::Template;

pub(crate) use change::{carry_out, end_child, rewrite};
pub(crate) use coming::{Comer, Coming, Reserved};
pub(crate) use gate::{Gate, Saturated, Token};
pub use health::Health;
pub(crate) use health::check_all;
pub use spec::DomainSpec;

/// A domain of a running system: its supervisor, its namespace and its limits. Cheap to clone; outlives restarts.
///
/// Made by [`System::add_domain`], found by [`System::domain`].
///
/// | limit ([`DomainLimits`]) | where it holds | at the bound |
/// |---|---|---|
/// | `agents` | whoever is started in it, at any depth: through the domain, by a condition or a pool, or by a supervisor that is asked for it; not restarts, [`Supervisor::restart_child`] included | [`SpawnLimit`](crate::flow::SpawnLimit) with the numbers; nothing is started |
/// | `start_within` | agents that come through the domain and say nothing themselves | a failed start |
/// | `messages` | every message to an agent of the domain | `tell` gives it back with the time after which to try again; `tell_wait` and asks wait in line |
/// | `bulkhead` | every request from outside the domain | waits in line, up to its deadline |
///
/// Changes are carried out one after the other, and also when whoever asked for one stops waiting. What was provisioned
/// is part of the domain from then on: it comes back when the supervisor is itself restarted, unless it is temporary.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::DomainLimits;
/// use steadfast::{BoxError, Capability, ChildSpec, DomainSpec, Strategy, SupervisorSpec, System};
///
/// const SUM: Capability<Vec<u64>, u64> = Capability::new("math.sum", "1.0.0");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne)).await?;
/// let mut limits = DomainLimits::default();
/// limits.agents = Some(2);
/// let adder = |_| ChildSpec::serve("adder", SUM, |_, xs: Vec<u64>| async move { Ok::<u64, BoxError>(xs.iter().sum()) });
/// let math = system.add_domain(DomainSpec::new("math").limits(limits).template("adder", adder)).await?;
///
/// math.scale(2).await?;
/// assert_eq!(math.agents().iter().map(ToString::to_string).collect::<Vec<_>>(), ["root/math/adder-1", "root/math/adder-2"]);
/// assert_eq!(system.ask(&SUM, vec![1, 2]).await?, 3);
/// assert_eq!(
///     math.scale(3).await.unwrap_err().to_string(),
///     "`math` has 2 agents, and `domain.agents` allows 2; end one, or raise the limit"
/// );
/// math.terminate("adder-2", Duration::from_secs(1)).await?;
/// # system.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Domain {
    system: System,
    core: Arc<DomainCore>,
}

pub(crate) struct DomainCore {
    name: ChildId,
    path: Path,
    gate: Arc<Gate>,
    limits: Mutex<DomainLimits>,
    runtime: Option<Handle>,
    template: Option<Template>,
    conditions: Mutex<Vec<Condition>>,
    /// One change after the other.
    changes: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.core.path)
    }
}

impl DomainCore {
    /// What the domain is told to be, at this path. Its limits were checked.
    pub(crate) fn new(system: &System, name: ChildId, path: Path, spec: &DomainSpec) -> Arc<Self> {
        let limits = spec.limits.clone().unwrap_or_else(|| system.limits().domain.clone());
        let gate = Gate::new(path.clone(), Arc::clone(system.clock()), &limits);
        Arc::new(Self {
            name,
            path,
            gate,
            limits: Mutex::new(limits),
            runtime: spec.runtime.clone(),
            template: spec.template.clone(),
            conditions: Mutex::default(),
            changes: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// A child with what the domain says where it says nothing itself.
    pub(crate) fn fitted(&self, child: impl Into<ChildSpec>) -> ChildSpec {
        let mut child = child.into();
        if let Some(limit) = lock(&self.limits).start_within {
            child.start_within_unless_said(limit);
        }
        if let Some(runtime) = &self.runtime {
            child.run_on_unless_said(runtime);
        }
        child
    }
}

impl Domain {
    pub(crate) fn new(system: System, core: Arc<DomainCore>) -> Self {
        Self { system, core }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name.as_str()
    }

    /// Where its supervisor stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.core.path
    }

    /// Its supervisor. What is started there directly counts as any other agent of the domain, and is not part of the
    /// domain's spec.
    #[must_use]
    pub fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.system.clone(), self.core.path.clone())
    }

    /// Its agents at any depth, those that are being restarted included, those that are stopped or in quarantine not; in
    /// the order of the lists of their supervisors. Answered at once.
    #[must_use]
    pub fn agents(&self) -> Vec<Path> {
        self.system.agents_below(&self.core.path)
    }

    /// Its limits as they are now.
    #[must_use]
    pub fn limits(&self) -> DomainLimits {
        lock(&self.core.limits).clone()
    }

    /// Other limits from now on. Nobody is ended for them: agents over the new number stay, requests that are inside
    /// stay inside. A rate that is another one than before begins with a full burst.
    ///
    /// # Errors
    ///
    /// [`DomainError::Limit`] when one makes no sense: then nothing has changed. [`DomainError::Child`] for the code of a
    /// life that was given up.
    pub fn set_limits(&self, limits: DomainLimits) -> Result<(), DomainError> {
        change::unfenced(&self.core.path)?;
        limits.check()?;
        // The gate too under the lock: of two that are set at once, one holds and is shown, as a whole.
        let mut present = lock(&self.core.limits);
        self.core.gate.set(&limits);
        *present = limits;
        Ok(())
    }

    /// How its bulkhead stands, where it has one.
    #[must_use]
    pub fn occupancy(&self) -> Option<Occupancy> {
        self.core.gate.occupancy()
    }
}
