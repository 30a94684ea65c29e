//! Agents that are started when what is measured reaches a threshold.

use std::sync::Arc;

use super::Domain;
use super::change::unfenced;
use crate::error::{ChildError, DomainError};
use crate::exit::ExitReason;
use crate::flow::SpawnCondition;
use crate::id::ChildId;
use crate::runtime::guard::{call_caught, lock};
use crate::runtime::spec::ChildSpec;
use crate::runtime::supervisor::handle::StartedChild;

pub(super) struct Condition {
    number: usize,
    rule: SpawnCondition,
    fired: u64,
    make: Arc<Make>,
}

type Make = dyn Fn(u64) -> ChildSpec + Send + Sync;

/// An agent that is to be started, by the number of its condition.
struct Firing {
    number: usize,
    name: ChildId,
    fired: u64,
    make: Arc<Make>,
}

impl Domain {
    /// Starts an agent each time a value of the condition's trigger reaches its threshold; see [`observe`](Self::observe).
    /// The function makes the agent of the first, second, ... start; it is named after the condition's agent and this
    /// number, as `GAMMA-1`.
    ///
    /// ```
    /// use steadfast::flow::SpawnCondition;
    /// use steadfast::{BoxError, ChildSpec, DomainSpec, Strategy, SupervisorSpec, System};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne)).await?;
    /// let checks = system.add_domain(DomainSpec::new("checks")).await?;
    /// let condition = SpawnCondition::new("VALIDATION_NEEDED", 0.8, "GAMMA").rearm_below(0.6);
    /// let gamma = |_| ChildSpec::task("gamma", |_| async { Ok::<(), BoxError>(std::future::pending().await) });
    /// checks.spawn_when(condition, gamma)?;
    ///
    /// assert!(checks.observe("VALIDATION_NEEDED", 0.7).await?.is_empty());
    /// assert_eq!(checks.observe("VALIDATION_NEEDED", 0.9).await?[0].path.to_string(), "root/checks/GAMMA-1");
    /// assert!(checks.observe("VALIDATION_NEEDED", 0.9).await?.is_empty(), "once per crossing");
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DomainError::Condition`] when the condition makes no sense.
    pub fn spawn_when<S: Into<ChildSpec>>(
        &self,
        condition: SpawnCondition,
        make: impl Fn(u64) -> S + Send + Sync + 'static,
    ) -> Result<(), DomainError> {
        unfenced(&self.core.path)?;
        condition.check()?;
        let mut conditions = lock(&self.core.conditions);
        let number = conditions.len();
        let make = Arc::new(move |fired| make(fired).into());
        conditions.push(Condition { number, rule: condition, fired: 0, make });
        Ok(())
    }

    /// Learns a value, and starts the agents of the conditions that it fires, in the order in which the conditions were
    /// registered. Returns what was started.
    ///
    /// # Errors
    ///
    /// As [`provision`](Self::provision), for the first that did not start; a condition whose function panics is one of
    /// these. The firing of one that did not start is taken back, so that the next value that is high fires again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is carried out all the same.
    pub async fn observe(&self, trigger: &str, value: f64) -> Result<Vec<StartedChild>, DomainError> {
        unfenced(&self.core.path)?;
        // All of them learn the value, whatever becomes of the first.
        let due: Vec<_> = {
            let mut conditions = lock(&self.core.conditions);
            let fires = conditions.iter_mut().filter(|condition| condition.rule.trigger() == trigger);
            fires.filter_map(|condition| condition.fires(value)).collect()
        };
        if due.is_empty() {
            return Ok(Vec::new());
        }
        // Without the lock, and here: it is code of a user, and of whoever observes.
        let made: Vec<_> = due.iter().map(Firing::child).collect();
        let domain = self.clone();
        self.carry_out(async move {
            let (mut started, mut wrong) = (Vec::new(), None);
            for (firing, made) in due.into_iter().zip(made) {
                let path = || domain.core.path.child(&firing.name);
                let outcome = match made {
                    Ok(child) => domain.provision(child).await,
                    Err(reason) => Err(ChildError::FailedToStart { path: path(), reason }.into()),
                };
                match outcome {
                    Ok(child) => started.push(child),
                    Err(error) => {
                        if let Some(condition) = lock(&domain.core.conditions).get_mut(firing.number) {
                            condition.rule.take_back();
                        }
                        wrong.get_or_insert(error);
                    }
                }
            }
            wrong.map_or(Ok(started), Err)
        })
        .await
    }
}

impl Condition {
    /// What is to be started for this value.
    fn fires(&mut self, value: f64) -> Option<Firing> {
        if !self.rule.observe(value) {
            return None;
        }
        self.fired += 1;
        let name = ChildId::unchecked(format!("{}-{}", self.rule.agent(), self.fired));
        Some(Firing { number: self.number, name, fired: self.fired, make: Arc::clone(&self.make) })
    }
}

impl Firing {
    fn child(&self) -> Result<ChildSpec, ExitReason> {
        let mut child = call_caught(|| (self.make)(self.fired))?;
        child.name = self.name.clone();
        Ok(child)
    }
}
