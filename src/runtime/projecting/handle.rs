//! A projection as those see it who read it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::place::Place;
use super::{Order, Projecting, ProjectionOrder};
use crate::error::RequestError;
use crate::id::Path;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::guard::{call_caught, panic_again};
use crate::runtime::system::System;
use crate::seam::{Clock, Seq};
use crate::sourcing::{Lag, Projection};

/// A reference to a projection, which stays good over restarts. Cheap to clone.
pub struct ProjectionRef<P: Projection> {
    agent: AgentRef<Projecting<P>>,
    place: Arc<Place>,
    clock: Arc<dyn Clock>,
    limit: Duration,
}

impl<P: Projection> Clone for ProjectionRef<P> {
    fn clone(&self) -> Self {
        let Self { agent, place, clock, limit } = self;
        Self { agent: agent.clone(), place: Arc::clone(place), clock: Arc::clone(clock), limit: *limit }
    }
}

impl<P: Projection> fmt::Debug for ProjectionRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectionRef({})", self.agent.path())
    }
}

/// A projection did not get as far in time as somebody waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the projection {path} had event {applied} after {within:?}, and was asked for {}", wanted_as_text(*wanted))]
#[non_exhaustive]
pub struct Behind {
    /// The projection.
    pub path: Path,
    /// The number of the event that was waited for; `None` for all that were known.
    pub wanted: Option<Seq>,
    /// The number of the last event that it had taken in.
    pub applied: Seq,
    /// How long was waited.
    pub within: Duration,
}

fn wanted_as_text(wanted: Option<Seq>) -> String {
    wanted.map_or_else(|| "all of the stream".to_owned(), |seq| format!("event {seq}"))
}

/// A projection was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// It did not get as far in time.
    #[error(transparent)]
    Behind(#[from] Behind),
    /// Its agent did not answer.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl System {
    /// The projection at a path.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is none, [`RequestError::WrongAgent`] when it is of another type,
    /// [`RequestError::Gone`] when it was forgotten just now.
    pub fn projection<P: Projection>(&self, path: impl AsRef<str>) -> Result<ProjectionRef<P>, RequestError> {
        let agent = self.agent::<Projecting<P>>(path)?;
        let place = Place::of(&agent, self);
        let place = place.ok_or_else(|| RequestError::Gone { path: agent.path().clone() })?;
        let (clock, limit) = (Arc::clone(self.clock()), self.office().default_ask);
        Ok(ProjectionRef { agent, place, clock, limit })
    }
}

impl<P: Projection> ProjectionRef<P> {
    /// The same projection, read with another deadline than [`DEFAULT_ASK`](crate::DEFAULT_ASK), or than what the
    /// system's limits say.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where the projection stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.agent.path()
    }

    /// How far it is behind, as this process knows. What another process appended counts once it was read.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.place.lag(self.clock.wall())
    }

    /// Reads it as it is. After a crash that can be less than an earlier read gave, for a while.
    ///
    /// The function runs where the projection is, which does nothing else meanwhile.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Panics
    ///
    /// Where the function does; the projection is not touched by that.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&P) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        // From the first event on, which is everywhere.
        match self.look(0, read).await? {
            Ok(value) => Ok(value),
            Err(_) => Err(self.gone()),
        }
    }

    /// Reads it once it has all that was acknowledged through this system before the call: whoever wrote finds what it
    /// wrote.
    ///
    /// # Errors
    ///
    /// [`ProjectionError::Behind`] where it was not so far in time.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn read_latest<T: Send + 'static>(
        &self,
        read: impl FnOnce(&P) -> T + Send + 'static,
    ) -> Result<T, ProjectionError> {
        let (mut read, told) = (read, self.place.told());
        let reading = async {
            loop {
                let seq = self.up_to(None, told).await;
                match self.look(seq, read).await? {
                    Ok(value) => return Ok(value),
                    // Another life began in between, and is not there yet.
                    Err(unused) => read = unused,
                }
            }
        };
        let late = || self.behind(None, self.limit);
        tokio::time::timeout(self.limit, reading).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Waits until it has the event with this number.
    ///
    /// # Errors
    ///
    /// [`Behind`] where it had not in time.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn caught_up(&self, seq: Seq, within: Duration) -> Result<(), Behind> {
        let late = |_| self.behind(Some(seq), within);
        tokio::time::timeout(within, self.up_to(Some(seq), 0)).await.map(|_| ()).map_err(late)
    }

    /// Waits until it has what is wanted, and returns how far that is.
    async fn up_to(&self, wanted: Option<Seq>, told: Seq) -> Seq {
        let mut standing = self.place.standing();
        // A guard must not be held over an await.
        let there = standing.wait_for(|standing| standing.has(wanted, told)).await.map(|there| there.end(told));
        match there {
            Ok(end) => wanted.unwrap_or(end),
            // The place outlives this, so nobody ends the wait but whoever set a limit.
            Err(_) => std::future::pending().await,
        }
    }

    /// Has it read by its agent, where that has this event; gives the function back where it has not.
    async fn look<T, F>(&self, seq: Seq, read: F) -> Result<Result<T, F>, RequestError>
    where
        T: Send + 'static,
        F: FnOnce(&P) -> T + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let look = move |state: &P, applied: Seq| {
            let looked = if applied < seq { Err(read) } else { Ok(call_caught(|| read(state))) };
            // Nobody waits for it any more when this fails.
            let _ = tell.send(looked);
        };
        self.agent.ask_within(ProjectionOrder(Order::Look(Box::new(look))), self.limit).await?;
        match told.await {
            Ok(Ok(Ok(value))) => Ok(Ok(value)),
            Ok(Ok(Err(panic))) => panic_again(panic),
            Ok(Err(unused)) => Ok(Err(unused)),
            Err(_) => Err(self.gone()),
        }
    }

    fn behind(&self, wanted: Option<Seq>, within: Duration) -> Behind {
        let applied = self.place.standing().borrow().applied;
        Behind { path: self.path().clone(), wanted, applied, within }
    }

    fn gone(&self) -> RequestError {
        RequestError::Gone { path: self.path().clone() }
    }
}
