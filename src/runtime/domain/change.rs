//! Agents of a domain come and go.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use super::spec::Template;
use super::{Comer, Domain, Reserved};
use crate::error::{ChildError, DomainError};
use crate::flow::SpawnLimit;
use crate::id::{ChildId, Path};
use crate::runtime::current::{self, FencedLife};
use crate::runtime::guard::{call_caught, lock, run_caught};
use crate::runtime::spec::{ChildSpec, Kind, SupervisorSpec};
use crate::runtime::supervisor::handle::{StartedChild, Supervisor};
use crate::runtime::system::System;
use crate::supervision::machine::ChildState;
use crate::supervision::policy::Restart;

impl Domain {
    /// Starts an agent, a supervisor or a pool in the domain, and returns once it has started. It is part of the domain
    /// from then on, and comes back when the domain's supervisor is restarted, unless it is temporary, or forgotten when
    /// it is done ([`forget_when_done`](crate::AgentSpec::forget_when_done)).
    ///
    /// An agent of the domain must not wait for this in its own start or stop, as with
    /// [`Context::supervisor`](crate::Context::supervisor): the supervisor does one thing at a time, so each would wait for
    /// the other. The same is so for [`terminate`](Self::terminate), [`scale`](Self::scale) and
    /// [`observe`](Self::observe), and for an agent that would have itself ended at any time.
    ///
    /// # Errors
    ///
    /// [`DomainError::Full`] with the numbers when the domain has as many agents as it may: then nothing was started.
    /// [`DomainError::Child`] when it did not start, within the domain's `start_within` where it says nothing itself, or
    /// when its name is taken.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn provision(&self, agent: impl Into<ChildSpec>) -> Result<StartedChild, DomainError> {
        let domain = self.clone();
        let child = self.core.fitted(agent);
        self.carry_out(async move {
            let _change = domain.core.changes.lock().await;
            let _coming = domain.reserve([&child])?;
            let started = domain.supervisor().start_reserved(child.clone(), None).await?;
            domain.keep(vec![child]).await?;
            Ok(started)
        })
        .await
    }

    /// Ends a child of the domain, given by name or path: it drains, for at most `drain` (see
    /// [`System::drain`](crate::System::drain)), and is then stopped by its shutdown rule and forgotten.
    ///
    /// What its tasks have in hand they may finish in that time. What waits in its mailbox goes elsewhere where its route
    /// says so; the rest is a dead letter, and whoever asked is told.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotFound`] when the domain has no such child.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn terminate(&self, name: impl AsRef<str>, drain: Duration) -> Result<(), DomainError> {
        let name = name.as_ref();
        let name = name.strip_prefix('/').unwrap_or(name);
        let below = name.strip_prefix(self.core.path.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let name = ChildId::unchecked(below.unwrap_or(name));
        let domain = self.clone();
        self.carry_out(async move {
            let _change = domain.core.changes.lock().await;
            if !domain.children().iter().any(|(child, _)| *child == name) {
                return Err(ChildError::NotFound { path: domain.core.path.child(&name) }.into());
            }
            domain.retire(vec![name], drain).await
        })
        .await
    }

    /// Makes it exactly so many agents of the domain's template: the first free numbers are started, the highest numbers
    /// are ended first. Agents that are stopped or in quarantine do not count, and make room for new ones. Other agents
    /// of the domain are left alone. Returns how many it was before.
    ///
    /// # Errors
    ///
    /// [`DomainError::Full`] when the domain would have more agents than it may, and nothing was started;
    /// [`DomainError::NoTemplate`]; [`DomainError::Child`] for the first that did not start: those before it run. A panic
    /// of the template is one of these, and then nothing was started or ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn scale(&self, agents: usize) -> Result<usize, DomainError> {
        let domain = self.clone();
        self.carry_out(async move { domain.scale_now(agents).await }).await
    }

    async fn scale_now(&self, agents: usize) -> Result<usize, DomainError> {
        let no_template = || DomainError::NoTemplate { domain: self.name().to_owned() };
        let template = self.core.template.as_ref().ok_or_else(no_template)?;
        let _change = self.core.changes.lock().await;
        let (mut running, mut over) = (BTreeSet::new(), Vec::new());
        for (child, state) in self.children() {
            match (template.number(&child), state) {
                (None, _) => {}
                (Some(_), ChildState::Stopped | ChildState::Quarantined) => over.push(child),
                (Some(number), _) => {
                    running.insert(number);
                }
            }
        }
        let before = running.len();
        let free = (1..).filter(|number| !running.contains(number)).take(agents.saturating_sub(before));
        let missing: Vec<_> = free.map(|number| self.made(template, number)).collect::<Result<_, _>>()?;
        let _coming = self.reserve(&missing)?;
        over.extend(running.iter().rev().take(before.saturating_sub(agents)).map(|number| template.id(*number)));
        if !over.is_empty() {
            self.retire(over, Duration::ZERO).await?;
        }
        let mut started = Vec::with_capacity(missing.len());
        let mut outcome = Ok(before);
        for child in missing {
            if let Err(error) = self.supervisor().start_reserved(child.clone(), None).await {
                outcome = Err(error.into());
                break;
            }
            started.push(child);
        }
        self.keep(started).await?;
        outcome
    }

    fn reserve<'a>(&self, children: impl IntoIterator<Item = &'a ChildSpec>) -> Result<Option<Reserved>, SpawnLimit> {
        let supervisor = &self.core.path;
        let comers = children.into_iter().map(|child| Comer {
            place: Some(supervisor.child(&child.name)),
            supervisor: supervisor.clone(),
            agents: child.agents(),
        });
        self.system.reserve(comers.collect())
    }

    /// The child of a number. The template is code of a user.
    fn made(&self, template: &Template, number: u64) -> Result<ChildSpec, ChildError> {
        let failed = |reason| ChildError::FailedToStart { path: self.core.path.child(&template.id(number)), reason };
        call_caught(|| template.child(number)).map(|child| self.core.fitted(child)).map_err(failed)
    }

    /// Makes what was started part of the domain. A temporary child is not: it never comes back. Nor is one that is
    /// forgotten when it is done: the spec does not learn of that, so it would come back, and there would be ever more.
    async fn keep(&self, mut started: Vec<ChildSpec>) -> Result<(), DomainError> {
        started.retain(|child| child.rules.restart != Restart::Temporary && !child.rules.forget_when_done);
        if !started.is_empty() {
            rewrite(&self.system, &self.supervisor(), |children| {
                // One of this name was ended past the domain: otherwise the new one would not have started.
                let names: BTreeSet<_> = started.iter().map(|child| child.name.clone()).collect();
                children.retain(|child| !names.contains(&child.name));
                children.extend(started);
            })
            .await?;
        }
        Ok(())
    }

    /// Ends children of the domain, one after the other.
    async fn retire(&self, names: Vec<ChildId>, drain: Duration) -> Result<(), DomainError> {
        let supervisor = self.supervisor();
        // First of all: a restart of the domain meanwhile must not bring them back.
        let leaves: BTreeSet<_> = names.iter().cloned().collect();
        rewrite(&self.system, &supervisor, |children| children.retain(|child| !leaves.contains(&child.name))).await?;
        for name in names {
            end_child(&self.system, &supervisor, &name, drain).await?;
        }
        Ok(())
    }

    /// The children of its supervisor, as they are now.
    fn children(&self) -> Vec<(ChildId, ChildState)> {
        self.system.children_of(&self.core.path)
    }

    /// Carries a change out, also when nobody waits for it any more.
    pub(super) async fn carry_out<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, DomainError>> + Send + 'static,
    ) -> Result<T, DomainError> {
        carry_out(&self.system, &self.core.path, change).await
    }
}

/// Carries a change out, also when nobody waits for it any more.
pub(crate) async fn carry_out<T: Send + 'static>(
    system: &System,
    supervisor: &Path,
    change: impl Future<Output = Result<T, DomainError>> + Send + 'static,
) -> Result<T, DomainError> {
    // Asked here, since the change is carried out in a task of nobody's.
    unfenced(supervisor)?;
    let task = system.watch().home().spawn(run_caught(change));
    match task.await {
        Ok(Ok(outcome)) => outcome,
        // Said as what it is: the supervisor is still there.
        Ok(Err(reason)) => Err(ChildError::FailedToStart { path: supervisor.clone(), reason }.into()),
        Err(_) => Err(ChildError::Gone { supervisor: supervisor.clone() }.into()),
    }
}

/// Whether the code that runs here may change anything.
pub(super) fn unfenced(supervisor: &Path) -> Result<(), ChildError> {
    match current::fenced() {
        None => Ok(()),
        Some(FencedLife { path: sender, incarnation }) => {
            Err(ChildError::Fenced { supervisor: supervisor.clone(), sender, incarnation })
        }
    }
}

/// Ends a child and forgets it, once it has drained, or its time to drain is over.
pub(crate) async fn end_child(
    system: &System,
    supervisor: &Supervisor,
    name: &ChildId,
    drain: Duration,
) -> Result<(), ChildError> {
    system.drain_and_stay(&supervisor.path().child(name), drain).await;
    // One that is gone already is what was wanted.
    let well = |outcome| match outcome {
        Err(ChildError::NotFound { .. }) => Ok(()),
        other => other,
    };
    well(supervisor.terminate_child(name.as_str()).await)?;
    well(supervisor.delete_child(name.as_str()).await)
}

/// Changes the list of children from which a supervisor starts again. It starts and ends nobody.
pub(crate) async fn rewrite(
    system: &System,
    supervisor: &Supervisor,
    change: impl FnOnce(&mut Vec<ChildSpec>),
) -> Result<(), ChildError> {
    let path = supervisor.path();
    let gone = || ChildError::Gone { supervisor: path.clone() };
    let mut spec = present_spec(system, path).ok_or_else(gone)?;
    change(&mut spec.children);
    supervisor.update(spec).await?;
    // An update is newer than those of the supervisors below: it held what they said when it was made, but they may
    // have been told something since.
    for below in system.paths_within(path, |_| true) {
        if let Some(published) = system.known_supervisor(&below) {
            published.keep_update();
        }
    }
    Ok(())
}

/// The spec of a supervisor as it is now, those below it included.
fn present_spec(system: &System, path: &Path) -> Option<SupervisorSpec> {
    let mut spec = (*system.known_supervisor(path)?.spec()?).clone();
    for child in &mut spec.children {
        let Kind::Supervisor(nested) = &mut child.kind else { continue };
        if let Some(present) = present_spec(system, &path.child(&child.name)) {
            *nested = std::sync::Arc::new(present);
        }
    }
    Some(spec)
}

impl System {
    /// The children of a supervisor, as they are now; in the order of its list.
    pub(crate) fn children_of(&self, supervisor: &Path) -> Vec<(ChildId, ChildState)> {
        let machine = self.known_supervisor(supervisor).and_then(|published| published.machine());
        let Some((machine, _)) = machine else { return Vec::new() };
        let machine = lock(&machine);
        machine.children().map(|(_, child)| (child.id.clone(), child.state)).collect()
    }

    /// The agents and actors below a supervisor that run or are about to.
    pub(crate) fn agents_below(&self, supervisor: &Path) -> Vec<Path> {
        let here = |state| !matches!(state, ChildState::Stopped | ChildState::Quarantined);
        let mut paths = self.paths_within(supervisor, here);
        paths.retain(|path| self.known_supervisor(path).is_none() && !self.is_keeper_of_pool(path));
        paths
    }
}
