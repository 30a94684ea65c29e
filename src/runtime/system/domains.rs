//! The domains of a running system.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::System;
use crate::error::DomainError;
use crate::flow::Limits;
use crate::id::{ChildId, Path};
use crate::runtime::domain::{
    Comer, Coming, Domain, DomainCore, DomainSpec, Gate, Health, carry_out, check_all, end_child, rewrite,
};
use crate::runtime::guard::lock;
use crate::runtime::route::Offers;
use crate::runtime::slot::SlotCore;
use crate::runtime::spec::ChildSpec;
use crate::runtime::supervisor::handle::{StartedChild, Supervisor};

/// The domains of a system, by name.
#[derive(Default)]
pub(super) struct Domains {
    by_name: Mutex<BTreeMap<ChildId, Arc<DomainCore>>>,
    /// What is being started in any of them.
    coming: Arc<Coming>,
    /// One is added or removed after the other: each changes the list of a supervisor above.
    changes: tokio::sync::Mutex<()>,
}

impl System {
    /// Adds a domain to the running system and returns once its first agents have started.
    ///
    /// Its supervisor becomes a child of the one that the spec names; when it names none, of `domains` below the root,
    /// or of the root where there is no such supervisor. It is part of that one's spec from then on, so that it comes
    /// back when that one is restarted.
    ///
    /// # Errors
    ///
    /// [`DomainError::AlreadyThere`] when the name is taken, [`DomainError::NoPlace`], [`DomainError::Limit`] when a limit
    /// makes no sense, [`DomainError::Full`] when its first agents are more than it, or a domain around it, may have, [`DomainError::Child`] when
    /// one did not start. In all cases nothing is left of it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn add_domain(&self, spec: DomainSpec) -> Result<Domain, DomainError> {
        let above = spec.place(self)?;
        let system = self.clone();
        carry_out(self, &above.clone(), async move { system.add_domain_below(above, spec).await }).await
    }

    async fn add_domain_below(&self, above: Path, spec: DomainSpec) -> Result<Domain, DomainError> {
        let _change = self.inner.domains.changes.lock().await;
        let name = spec.name(&above)?;
        if let Some(limits) = spec.said_limits() {
            limits.check()?;
        }
        if let Some(other) = lock(&self.inner.domains.by_name).get(&name) {
            return Err(DomainError::AlreadyThere { domain: name.to_string(), path: other.path().clone() });
        }
        let core = DomainCore::new(self, name.clone(), above.child(&name), &spec);
        let mut domains = self.domains_around(&above);
        domains.push(Arc::clone(&core));
        let (place, supervisor) = (Some(core.path().clone()), above.clone());
        let comer = Comer { place, supervisor, agents: spec.first_agents() };
        let _coming = self.reserve_in(&domains, vec![comer])?;
        // Before any slot is made, so that each has its gate.
        lock(&self.inner.domains.by_name).insert(name.clone(), Arc::clone(&core));
        let child = ChildSpec::supervisor(spec.supervisor(|child| core.fitted(child)));
        let supervisor = Supervisor::new(self.clone(), above);
        let mut outcome = supervisor.start_reserved(child.clone(), None).await.map(|_| ());
        if outcome.is_ok() {
            outcome = rewrite(self, &supervisor, |children| children.push(child)).await;
        }
        if let Err(error) = outcome {
            lock(&self.inner.domains.by_name).remove(&name);
            return Err(error.into());
        }
        Ok(Domain::new(self.clone(), core))
    }

    /// Ends a domain: its agents drain, all at once and for at most `drain` ([`System::drain`]), and are then stopped in
    /// order. Nothing is left of it.
    ///
    /// # Errors
    ///
    /// [`DomainError::Unknown`], [`DomainError::Child`] when the supervisor above it is not running.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn remove_domain(&self, domain: &str, drain: Duration) -> Result<(), DomainError> {
        let path = self.domain(domain)?.path().clone();
        let (system, name) = (self.clone(), ChildId::unchecked(domain));
        carry_out(self, &path.clone(), async move {
            let _change = system.inner.domains.changes.lock().await;
            let Some(above) = path.parent() else { return Ok(()) };
            let supervisor = Supervisor::new(system.clone(), above);
            rewrite(&system, &supervisor, |children| children.retain(|child| child.name != name)).await?;
            end_child(&system, &supervisor, &name, drain).await?;
            lock(&system.inner.domains.by_name).remove(&name);
            Ok(())
        })
        .await
    }

    /// The domain of this name.
    ///
    /// # Errors
    ///
    /// [`DomainError::Unknown`] when none was added under it.
    pub fn domain(&self, name: &str) -> Result<Domain, DomainError> {
        let core = lock(&self.inner.domains.by_name).get(&ChildId::unchecked(name)).cloned();
        let unknown = || DomainError::Unknown { domain: name.to_owned() };
        Ok(Domain::new(self.clone(), core.ok_or_else(unknown)?))
    }

    /// All domains that were added, by name.
    #[must_use]
    pub fn domains(&self) -> Vec<Domain> {
        let domains = lock(&self.inner.domains.by_name);
        domains.values().map(|core| Domain::new(self.clone(), Arc::clone(core))).collect()
    }

    /// As [`Domain::provision`].
    ///
    /// # Errors
    ///
    /// As [`Domain::provision`], and [`DomainError::Unknown`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn provision(&self, domain: &str, agent: impl Into<ChildSpec>) -> Result<StartedChild, DomainError> {
        self.domain(domain)?.provision(agent).await
    }

    /// As [`Domain::terminate`].
    ///
    /// # Errors
    ///
    /// As [`Domain::terminate`], and [`DomainError::Unknown`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn terminate(&self, domain: &str, name: &str, drain: Duration) -> Result<(), DomainError> {
        self.domain(domain)?.terminate(name, drain).await
    }

    /// As [`Domain::scale`].
    ///
    /// # Errors
    ///
    /// As [`Domain::scale`], and [`DomainError::Unknown`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn scale(&self, domain: &str, agents: usize) -> Result<usize, DomainError> {
        self.domain(domain)?.scale(agents).await
    }

    /// How all agents of the tree are, by path; those of the system's own services left out.
    ///
    /// No agent is asked, so that none that hangs holds the answer up: all are looked at, at once. Where every answer is
    /// clear it is there at once; an agent without a handler deadline that has something to do is looked at again after
    /// `limit`, once for all, and counts as hung when it did not get on. So this takes `limit` at most, however many
    /// agents hang.
    ///
    /// | the agent | is |
    /// |---|---|
    /// | runs, and nothing waits for it | [`Health::Idle`] |
    /// | is in a handler, within its deadline | [`Health::Busy`] |
    /// | is in a handler, over its deadline | [`Health::Hung`] |
    /// | has something to do, has no deadline, and got on within `limit` | [`Health::Busy`] |
    /// | has something to do, has no deadline, and did not get on within `limit` | [`Health::Hung`] |
    /// | was suspended | [`Health::Suspended`] |
    /// | drains | [`Health::Draining`] |
    /// | is between two lives, or starts | [`Health::Starting`] |
    /// | is stopped, in quarantine or forgotten | [`Health::Down`] |
    ///
    /// Where agents have no deadline, the limit is to be longer than their handlers take. A handler gets on by returning, or by [`Context::progress`](crate::Context::progress) where it has a deadline.
    ///
    /// # Cancel safety
    ///
    /// It only looks; dropped before it returns, nothing has changed.
    pub async fn health_check_all(&self, limit: Duration) -> Vec<(Path, Health)> {
        let is_agent = |path: &Path| {
            let is_own = path.is_within(&self.inner.services_path) || self.is_keeper_of_pool(path);
            !is_own && self.known_supervisor(path).is_none()
        };
        let paths = self.slots().into_iter().map(|slot| slot.core().path.clone()).filter(is_agent).collect();
        check_all(self, paths, limit).await
    }

    /// The limits of the system.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.world.limits
    }

    pub(crate) fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The domain in which something stands: the innermost.
    pub(crate) fn domain_of(&self, path: &Path) -> Option<Arc<DomainCore>> {
        let domains = lock(&self.inner.domains.by_name);
        let around = domains.values().filter(|core| path.is_within(core.path()));
        around.max_by_key(|core| core.path().as_str().len()).cloned()
    }

    /// All domains in which something stands.
    pub(crate) fn domains_around(&self, path: &Path) -> Vec<Arc<DomainCore>> {
        let domains = lock(&self.inner.domains.by_name);
        domains.values().filter(|core| path.is_within(core.path())).cloned().collect()
    }

    /// What is being started in the domains.
    pub(crate) fn coming(&self) -> &Arc<Coming> {
        &self.inner.domains.coming
    }

    /// What a slot is made of that is new, with the gate of its domain before it.
    pub(crate) fn slot_core(&self, path: Path, offers: Offers) -> SlotCore {
        let gate = self.domain_of(&path).map(|core| Arc::clone(core.gate()) as Arc<Gate>);
        SlotCore::new(path, offers, Arc::clone(self.office()), gate)
    }
}
