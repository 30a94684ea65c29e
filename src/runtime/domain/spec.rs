//! A domain as data.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::error::DomainError;
use crate::flow::DomainLimits;
use crate::id::{ChildId, Path};
use crate::runtime::spec::{ChildSpec, SupervisorSpec};
use crate::runtime::system::System;
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::Strategy;

/// A domain to be added to a running system: its supervisor, its first agents, its limits. Data; nothing runs.
///
/// The supervisor restarts one for one, once within 5 seconds, as [`SupervisorSpec`] does. Limits that are not said are
/// those of the system ([`SystemBuilder::limits`](crate::SystemBuilder::limits)).
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::Limits;
/// use steadfast::{BoxError, ChildSpec, DomainSpec, Intensity, Strategy};
///
/// let billing = DomainSpec::new("billing")
///     .strategy(Strategy::RestForOne)
///     .intensity(Intensity::at_most(5).within(Duration::from_secs(10)))
///     .limits(Limits::seed_002().domain)
///     .agent(ChildSpec::task("ledger", |_| async { Ok::<(), BoxError>(std::future::pending().await) }));
/// # let _ = billing;
/// ```
pub struct DomainSpec {
    pub(super) supervisor: SupervisorSpec,
    pub(super) limits: Option<DomainLimits>,
    pub(super) runtime: Option<Handle>,
    pub(super) template: Option<Template>,
    pub(super) under: Option<String>,
}

/// What a domain scales: the name in front of the number, and how one is made.
#[derive(Clone)]
pub(super) struct Template {
    pub(super) name: String,
    pub(super) make: Arc<dyn Fn(u64) -> ChildSpec + Send + Sync>,
}

impl Template {
    /// The child of this number, under its name.
    pub(super) fn child(&self, number: u64) -> ChildSpec {
        let mut child = (self.make)(number);
        child.name = self.id(number);
        child
    }

    pub(super) fn id(&self, number: u64) -> ChildId {
        ChildId::unchecked(format!("{}-{number}", self.name))
    }

    /// The number of a child that is one of these.
    pub(super) fn number(&self, child: &ChildId) -> Option<u64> {
        let number = child.as_str().strip_prefix(self.name.as_str())?.strip_prefix('-')?.parse().ok()?;
        (number > 0).then_some(number)
    }
}

impl fmt::Debug for DomainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainSpec")
            .field("supervisor", &self.supervisor)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl DomainSpec {
    /// A domain without agents.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let supervisor = SupervisorSpec::new(name, Strategy::OneForOne);
        Self { supervisor, limits: None, runtime: None, template: None, under: None }
    }

    /// Who is restarted with whom.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.supervisor.rules.strategy = strategy;
        self
    }

    /// How many restarts, within which time, are too many.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.supervisor = self.supervisor.intensity(intensity);
        self
    }

    /// Its limits.
    #[must_use]
    pub fn limits(mut self, limits: DomainLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The runtime of agents that come through the domain and name none themselves; see
    /// [`AgentSpec::runtime`](crate::AgentSpec::runtime). What blocks the threads of this one holds up nobody outside.
    #[must_use]
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.runtime = Some(handle);
        self
    }

    /// An agent, a supervisor or a pool that is there from the beginning, after those before it.
    #[must_use]
    pub fn agent(mut self, child: impl Into<ChildSpec>) -> Self {
        self.supervisor = self.supervisor.child(child);
        self
    }

    /// What [`Domain::scale`](super::Domain::scale) starts and ends. The function makes the agent of a number, from 1
    /// on; it is named `name-1` and so on, whatever the function calls it.
    #[must_use]
    pub fn template<S: Into<ChildSpec>>(
        mut self,
        name: impl Into<String>,
        make: impl Fn(u64) -> S + Send + Sync + 'static,
    ) -> Self {
        self.template = Some(Template { name: name.into(), make: Arc::new(move |number| make(number).into()) });
        self
    }

    /// The supervisor to which it is added. When not said, `domains` below the root where there is one, or else the
    /// root.
    #[must_use]
    pub fn under(mut self, path: impl Into<String>) -> Self {
        self.under = Some(path.into());
        self
    }

    /// Its name, checked.
    pub(crate) fn name(&self, above: &Path) -> Result<ChildId, DomainError> {
        let name = |problem| crate::error::SpecError::Name { supervisor: above.to_string(), problem };
        Ok(ChildId::new(&self.supervisor.name).map_err(name)?)
    }

    /// Where it is to be.
    pub(crate) fn place(&self, system: &System) -> Result<Path, DomainError> {
        let known = |path: &str| system.supervisor(path).map(|supervisor| supervisor.path().clone());
        if let Some(path) = &self.under {
            return known(path).map_err(|_| DomainError::NoPlace { path: path.clone() });
        }
        let root = system.root();
        Ok(known(root.child(&ChildId::unchecked("domains")).as_str()).unwrap_or_else(|_| root.clone()))
    }

    /// Its limits, where it says some.
    pub(crate) fn said_limits(&self) -> Option<&DomainLimits> {
        self.limits.as_ref()
    }

    /// Its supervisor, with the children fitted.
    pub(crate) fn supervisor(mut self, fit: impl Fn(ChildSpec) -> ChildSpec) -> SupervisorSpec {
        self.supervisor.children = self.supervisor.children.into_iter().map(fit).collect();
        self.supervisor
    }

    /// How many agents it has from the beginning.
    pub(crate) fn first_agents(&self) -> usize {
        self.supervisor.agents()
    }
}
