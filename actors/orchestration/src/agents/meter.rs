//! What an agent charges itself under a lease, in two lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use steadfast::{Path, Progress, RequestError, System};

use crate::agents::ask::{PAUSE, TRY, again};
use crate::agents::protocol::{CHARGE, Charge, ChargeRefusal, ChargeReply, ChargeRequest, Lease, LeaseId};
use crate::goal::model::FailureClass;
use crate::run::value_digest;
use crate::work::Failure;

/// Charges what an attempt uses, and tells of the calls that it makes, before it does.
///
/// Each answer is kept in the journal of the run first, so that no budget is exceeded, whatever dies. After an error the
/// attempt is over: the orchestrator has recorded its end, and what it reports changes nothing.
///
/// ```no_run
/// # use steadfast::System;
/// # use steadfast_orchestration::agents::meter::{Meter, MeterError};
/// # use steadfast_orchestration::agents::protocol::Lease;
/// # async fn answer(lease: &Lease, system: &System) -> Result<(), MeterError> {
/// let meter = Meter::of(lease, system);
/// let tokens = meter.charge("tokens", 2_000).await?;
/// // … a call that uses at most 2,000 tokens …
/// tokens.settle(1_234).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Meter(Arc<Inner>);

struct Inner {
    system: System,
    lease: LeaseId,
    orchestrator: Path,
    progress: Option<Progress>,
    names: Arc<Names>,
}

/// The names of charges. Those of two meters of one lease begin differently, and whatever is made of one meter shares them,
/// so that none takes the other's.
struct Names {
    prefix: String,
    next: AtomicU64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("lease", &self.lease).field("prefix", &self.names.prefix).finish_non_exhaustive()
    }
}

/// Why something is not charged. The attempt is over with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// It is more than is left of a budget: the run ends.
    #[error("the budget of {limit} {counter} is spent: {used} are used or set aside")]
    Spent {
        /// The counter.
        counter: String,
        /// How much there is in all.
        limit: u64,
        /// How much of it is used or set aside.
        used: u64,
    },
    /// The same call was made again and again: the step is stopped.
    #[error("`{tool}` was called {times} times in a row with the same arguments")]
    Repeated {
        /// The tool.
        tool: String,
        /// How often.
        times: u32,
    },
    /// Nothing was charged.
    #[error("{0}")]
    Refused(ChargeRefusal),
    /// The orchestrator is no more, and the run with it.
    #[error("the orchestrator is no more")]
    Gone(#[source] RequestError),
}

impl From<MeterError> for Failure {
    /// What an attempt may report that ends with it. The end that counts is recorded already, but where the charge itself
    /// was wrong.
    fn from(error: MeterError) -> Self {
        Self::new(FailureClass::Invalid, error.to_string())
    }
}

impl Meter {
    /// A meter for what is done under this lease.
    #[must_use]
    pub fn of(lease: &Lease, system: &System) -> Self {
        Self(Arc::new(Inner {
            system: system.clone(),
            lease: lease.id.clone(),
            orchestrator: lease.orchestrator.clone(),
            progress: None,
            names: Arc::new(Names { prefix: system.entropy().id().simple().to_string(), next: AtomicU64::new(0) }),
        }))
    }

    /// The same, and it beats while it waits for an answer: for work that is [watched](steadfast::Context::spawn_watched).
    #[must_use]
    pub fn beating(self, progress: Progress) -> Self {
        let Inner { system, lease, orchestrator, names, .. } = &*self.0;
        Self(Arc::new(Inner {
            system: system.clone(),
            lease: lease.clone(),
            orchestrator: orchestrator.clone(),
            progress: Some(progress),
            names: Arc::clone(names),
        }))
    }

    /// Sets so much of a counter aside, before it is used. Waits while others have set aside what is left, and may give
    /// some of it back.
    ///
    /// What is not [settled](Charged::settle) counts as used in full.
    ///
    /// # Errors
    ///
    /// [`MeterError`] when it is not to be used.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the amount may have been set aside; it counts as used.
    pub async fn charge(&self, counter: &str, amount: u64) -> Result<Charged, MeterError> {
        let name = self.name();
        let what = Charge::Reserve { counter: counter.to_owned(), amount };
        self.ask(&name, what, counter).await?;
        Ok(Charged { meter: self.clone(), name, counter: counter.to_owned() })
    }

    /// Tells of a call of a tool, before it is made. Only the digest of the arguments leaves this agent.
    ///
    /// # Errors
    ///
    /// [`MeterError`] when it is not to be made: it was made too often in a row.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the call may have been counted.
    pub async fn call(&self, tool: &str, arguments: &Value) -> Result<(), MeterError> {
        let what = Charge::Call { tool: tool.to_owned(), arguments_digest: value_digest(arguments) };
        self.ask(&self.name(), what, tool).await
    }

    fn name(&self) -> String {
        let Names { prefix, next } = &*self.0.names;
        format!("{prefix}.{}", next.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks until there is an answer other than to ask again.
    async fn ask(&self, name: &str, what: Charge, about: &str) -> Result<(), MeterError> {
        let inner = &*self.0;
        let request = ChargeRequest { lease: inner.lease.clone(), name: name.to_owned(), what };
        let mut pause = PAUSE;
        loop {
            if let Some(progress) = &inner.progress {
                progress.beat();
            }
            let path = &inner.orchestrator;
            let answer = match inner.system.provider(&CHARGE, path) {
                Some(orchestrator) => orchestrator.ask(request.clone(), TRY).await,
                None => Err(RequestError::Unknown { path: path.to_string() }),
            };
            match answer {
                Ok(ChargeReply::Granted) => return Ok(()),
                Ok(ChargeReply::Later) => {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(20 * PAUSE);
                }
                Ok(ChargeReply::Spent { limit, used }) => {
                    return Err(MeterError::Spent { counter: about.to_owned(), limit, used });
                }
                Ok(ChargeReply::Repeated { times }) => {
                    return Err(MeterError::Repeated { tool: about.to_owned(), times });
                }
                Ok(ChargeReply::Refused(why)) => return Err(MeterError::Refused(why)),
                Err(error @ RequestError::Gone { .. }) => return Err(MeterError::Gone(error)),
                Err(error) => again("charge", &error).await,
            }
        }
    }
}

/// What was set aside. Dropped without being settled, it counts as used in full.
#[derive(Debug)]
#[must_use = "what is not settled counts as used in full"]
pub struct Charged {
    meter: Meter,
    name: String,
    counter: String,
}

impl Charged {
    /// Says how much was used; the rest may be used by others.
    ///
    /// # Errors
    ///
    /// [`MeterError`] when it was more than was set aside, or the lease is somebody else's by now.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the rest may not have been given back.
    pub async fn settle(self, amount: u64) -> Result<(), MeterError> {
        self.meter.ask(&self.name, Charge::Settle { amount }, &self.counter).await
    }
}
