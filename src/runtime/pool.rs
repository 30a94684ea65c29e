//! Pools: equal agents under a supervisor of their own, lent one at a time.
//!
//! # Invariants
//!
//! * A member is lent to one at a time. It comes back when the guard is dropped, whatever becomes of who held it.
//! * Who asked first gets the first member that comes free.
//! * A pool that shrinks ends a member that nobody holds and for whom nothing waits, or none.

mod desk;
mod scaler;
mod spec;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::RequestError;
use crate::flow::{AcquireError, DEFAULT_ACQUIRE, Occupancy};
use crate::id::Path;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::current;
use crate::runtime::guard::after;
use crate::runtime::permits::{Asked, Permit, Waiter};
use crate::runtime::slot::Presence;
use crate::runtime::system::System;

use desk::Loan;
pub(crate) use desk::PoolDesk;
pub use spec::PoolSpec;
pub(crate) use spec::{PoolPlan, SCALER};

/// For how long who waits trusts what it knows of the members: one may have come back from a rest meanwhile.
const REFRESH: Duration = Duration::from_secs(1);

/// After how long who has a permit and found nobody looks again: the members are changing, so it is not for long.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A pool of a running tree, by its place. Cheap to clone; outlives restarts. Found by [`System::pool`].
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Agent, BoxError, Context, PoolSpec, Strategy, SupervisorSpec, System};
///
/// struct Doubler;
///
/// impl Agent for Doubler {
///     type Args = ();
///     type Message = u64;
///     type Reply = u64;
///
///     async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
///         Ok(Doubler)
///     }
///
///     async fn handle(&mut self, n: u64, _: &mut Context<Self>) -> Result<u64, BoxError> {
///         Ok(n * 2)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let doublers = PoolSpec::<Doubler>::fixed("doublers", 2, ());
/// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(doublers)).await?;
/// let pool = system.pool::<Doubler>("root/doublers")?;
///
/// let one = pool.acquire().await?;
/// let two = pool.acquire().await?;
/// assert_eq!(one.ask(21).await?, 42);
/// let none = pool.acquire_within(Duration::from_millis(10)).await.unwrap_err();
/// assert!(none.to_string().ends_with(": 2 of 2 in use, 1 waiting"), "{none}");
/// drop(one);
/// assert_eq!(pool.acquire().await?.path().to_string(), "root/doublers/1");
/// # drop(two);
/// # system.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct Pool<A: Agent> {
    system: System,
    path: Path,
    agent: PhantomData<fn() -> A>,
}

impl<A: Agent> Clone for Pool<A> {
    fn clone(&self) -> Self {
        Self { system: self.system.clone(), path: self.path.clone(), agent: PhantomData }
    }
}

impl<A: Agent> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.path)
    }
}

/// A member of a pool that is lent. It is the agent's reference; dropped, the member goes back, and to who waits longest.
///
/// A member that crashes while it is held is started again by its supervisor, as any agent; the guard stays good, and
/// what comes back is its next life.
pub struct PoolGuard<A: Agent> {
    agent: AgentRef<A>,
    _loan: Loan,
}

impl<A: Agent> Deref for PoolGuard<A> {
    type Target = AgentRef<A>;

    fn deref(&self) -> &AgentRef<A> {
        &self.agent
    }
}

impl<A: Agent> fmt::Debug for PoolGuard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolGuard({})", self.agent.path())
    }
}

/// What became of who has a permit.
enum Lent<A: Agent> {
    Member(PoolGuard<A>),
    /// None came free in time.
    Late,
    /// The pool has ended, or is another one: the permit is worth nothing.
    Elsewhere,
}

impl<A: Agent> Pool<A> {
    /// Where its supervisor stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its members, those that are being restarted included, those that are leaving not; oldest first.
    #[must_use]
    pub fn members(&self) -> Vec<Path> {
        self.desk().map(|desk| desk.members(&self.system)).unwrap_or_default()
    }

    /// How many members there are, how many are lent, and how many wait for one.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let nobody = Occupancy { permits: 0, inside: 0, waiting: 0 };
        self.desk().map_or(nobody, |desk| desk.occupancy(&self.system))
    }

    /// Lends a member, and waits for one at most for [`DEFAULT_ACQUIRE`].
    ///
    /// # Errors
    ///
    /// As [`acquire_within`](Self::acquire_within).
    pub async fn acquire(&self) -> Result<PoolGuard<A>, AcquireError> {
        self.acquire_within(DEFAULT_ACQUIRE).await
    }

    /// Lends a member, the one that was free longest; one that runs before one at rest, which is
    /// [lazy](crate::AgentSpec::lazy), and that before one that is being restarted. Where none is free it waits in line,
    /// at most for `limit`.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Timeout`], with how long was waited and how the pool stood; [`AcquireError::LineFull`] when as
    /// many wait as may; [`AcquireError::Gone`] when the pool is not running.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it leaves the line, and takes nothing with it.
    pub async fn acquire_within(&self, limit: Duration) -> Result<PoolGuard<A>, AcquireError> {
        if current::fenced().is_some() {
            return Err(AcquireError::Fenced);
        }
        let by = after(limit);
        let began = self.system.clock().now();
        loop {
            let desk = self.desk().ok_or(AcquireError::Gone)?;
            // Looking at the members costs something for each, and is needed only where none can be had.
            let asked = desk.enter().or_else(|_| {
                desk.refresh(&self.system);
                desk.enter()
            });
            let permit = match asked? {
                Asked::Entered(permit) => Some(permit),
                Asked::Waits(waiter) => {
                    desk.refresh(&self.system);
                    self.wait(&desk, waiter, by).await
                }
            };
            let lent = match permit {
                Some(permit) => self.member(&desk, permit, by).await,
                None => Lent::Late,
            };
            match lent {
                Lent::Member(guard) => return Ok(guard),
                Lent::Elsewhere => {}
                Lent::Late => {
                    let waited = self.system.clock().now().saturating_duration_since(began);
                    // As it stood while this one waited.
                    let mut pool = desk.occupancy(&self.system);
                    pool.waiting += 1;
                    return Err(AcquireError::Timeout { waited, pool });
                }
            }
        }
    }

    /// Waits in line, and looks after the members now and then.
    async fn wait(&self, desk: &PoolDesk, mut waiter: Waiter, by: Instant) -> Option<Permit> {
        loop {
            let look = after(REFRESH).min(by);
            if let Ok(permit) = timeout_at(look, waiter.handed()).await {
                return Some(permit);
            }
            if look >= by {
                return None;
            }
            desk.refresh(&self.system);
        }
    }

    /// Lends a member to who has a permit. Where those that were free are gone or stopped, it keeps the permit, and with
    /// it its turn, until there is one.
    async fn member(&self, desk: &Arc<PoolDesk>, permit: Permit, by: Instant) -> Lent<A> {
        let mut permit = Some(permit);
        let mut lend = || {
            let lent = desk.lend(&self.system, &mut permit, |path| self.system.agent::<A>(path).ok());
            lent.map(|(agent, loan)| Lent::Member(PoolGuard { agent, _loan: loan }))
        };
        if !desk.is_sought()
            && let Some(lent) = lend()
        {
            return lent;
        }
        let Ok(_first) = timeout_at(by, desk.seek()).await else { return Lent::Late };
        loop {
            let mut back = pin!(desk.back());
            // Before it looks, so that one that is given back in between is not missed.
            back.as_mut().enable();
            desk.refresh(&self.system);
            if let Some(lent) = lend() {
                return lent;
            }
            let look = after(LOOK_AGAIN).min(by);
            if timeout_at(look, back).await.is_err() && look >= by {
                return Lent::Late;
            }
            if self.desk().is_none_or(|present| !Arc::ptr_eq(&present, desk)) {
                return Lent::Elsewhere;
            }
        }
    }

    fn desk(&self) -> Option<Arc<PoolDesk>> {
        self.system.pool_desk(&self.path)
    }
}

impl System {
    /// The pool at a path, of agents of this type.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is nothing, [`RequestError::WrongAgent`] when it is no pool, or one of other
    /// agents.
    pub fn pool<A: Agent>(&self, path: impl AsRef<str>) -> Result<Pool<A>, RequestError> {
        let path = self.supervisor(path)?.path().clone();
        let plan = self.pool_plan(&path);
        if plan.is_none_or(|plan| !plan.is_of::<A>()) {
            return Err(RequestError::WrongAgent { path, expected: std::any::type_name::<Pool<A>>() });
        }
        Ok(Pool { system: self.clone(), path, agent: PhantomData })
    }

    pub(crate) fn pool_plan(&self, path: &Path) -> Option<Arc<PoolPlan>> {
        self.known_supervisor(path)?.spec()?.pool.clone()
    }

    /// Who lends the members of the pool at this path, while it runs or is about to.
    pub(crate) fn pool_desk(&self, path: &Path) -> Option<Arc<PoolDesk>> {
        let plan = self.pool_plan(path)?;
        let published = self.known_supervisor(path)?;
        let slot = self.slot(path)?;
        let is_there = !matches!(slot.core().presence(), Presence::Resting | Presence::Closed);
        is_there.then(|| published.pool(|| PoolDesk::new(path.clone(), &plan, Arc::clone(self.clock()))))
    }

    /// Whether what stands at this path is the pool's own and no member.
    pub(crate) fn is_keeper_of_pool(&self, path: &Path) -> bool {
        path.name() == SCALER && path.parent().is_some_and(|parent| self.pool_plan(&parent).is_some())
    }
}
