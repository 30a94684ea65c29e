//! A pool as data.

use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::scaler;
use crate::flow::{DEFAULT_BOUND, PoolRules};
use crate::id::ChildId;
use crate::runtime::agent::Agent;
use crate::runtime::spec::{AgentSpec, ChildSpec, SupervisorSpec};
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::Strategy;

/// The name of the task that scales an elastic pool. No member's: those are numbers.
pub(crate) const SCALER: &str = "scaler";

/// How often an elastic pool looks how much work waits, unless told otherwise.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A pool: a supervisor over equal agents, which are lent by [`Pool::acquire`](crate::Pool::acquire). Data; nothing runs.
///
/// Its members are named `1`, `2` and so on; each is restarted by itself. The fewest of its rules are there when it has
/// started, and again when it is itself restarted; the others come and go with the work, as
/// [`PoolRules`] say, and their numbers are not used again. What counts as work that waits: those who wait for a member,
/// and the messages in the members' mailboxes.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::PoolRules;
/// use steadfast::{Agent, AgentSpec, BoxError, ChildSpec, Context, Intensity, PoolSpec};
///
/// # struct Resizer;
/// # impl Agent for Resizer {
/// #     type Args = u64;
/// #     type Message = Vec<u8>;
/// #     type Reply = Vec<u8>;
/// #     async fn start(_: u64, _: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self) }
/// #     async fn handle(&mut self, image: Vec<u8>, _: &mut Context<Self>) -> Result<Vec<u8>, BoxError> { Ok(image) }
/// # }
/// let rules = PoolRules::elastic(2, 16).thresholds(4, 1).shrink_after(Duration::from_secs(60));
/// let resizers = PoolSpec::new("resizers", rules, |number| ChildSpec::agent::<Resizer>("resizer", number).mailbox(100))
///     .intensity(Intensity::at_most(20))
///     .waiting(500);
/// # let _ = resizers;
/// ```
pub struct PoolSpec<A: Agent> {
    name: String,
    rules: PoolRules,
    intensity: Intensity,
    waiting: usize,
    look_every: Duration,
    make: Arc<dyn Fn(u64) -> AgentSpec<A> + Send + Sync>,
}

/// A pool without the type of its agents.
pub(crate) struct PoolPlan {
    pub(crate) rules: PoolRules,
    pub(super) waiting: usize,
    pub(super) look_every: Duration,
    agent: TypeId,
    make: Arc<dyn Fn(u64) -> ChildSpec + Send + Sync>,
}

impl PoolPlan {
    pub(super) fn is_of<A: Agent>(&self) -> bool {
        self.agent == TypeId::of::<A>()
    }

    /// The member of this number.
    pub(super) fn member(&self, number: u64) -> ChildSpec {
        let mut child = (self.make)(number);
        child.name = ChildId::numbered(number);
        child
    }
}

impl<A: Agent> PoolSpec<A> {
    /// A pool under these rules. The function makes the member of a number, from 1 on; what it calls it is not looked at.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        rules: PoolRules,
        make: impl Fn(u64) -> AgentSpec<A> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            rules,
            intensity: Intensity::default(),
            waiting: DEFAULT_BOUND,
            look_every: LOOK_EVERY,
            make: Arc::new(make),
        }
    }

    /// A pool of always so many members, all with these arguments.
    #[must_use]
    pub fn fixed(name: impl Into<String>, members: u32, args: A::Args) -> Self {
        Self::of(name, PoolRules::fixed(members), args)
    }

    /// A pool of `minimum` to `maximum` members, all with these arguments; see [`PoolRules::elastic`].
    #[must_use]
    pub fn elastic(name: impl Into<String>, minimum: u32, maximum: u32, args: A::Args) -> Self {
        Self::of(name, PoolRules::elastic(minimum, maximum), args)
    }

    fn of(name: impl Into<String>, rules: PoolRules, args: A::Args) -> Self {
        Self::new(name, rules, move |_| ChildSpec::agent::<A>("member", args.clone()))
    }

    /// How many restarts of members, within which time, are too many.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// How many may wait for a member; 10,000 when not set.
    #[must_use]
    pub fn waiting(mut self, most: usize) -> Self {
        self.waiting = most;
        self
    }

    /// How often it looks how much work waits, besides whenever somebody comes to wait; 250 ms when not set. A pool of
    /// always so many members does not look.
    #[must_use]
    pub fn look_every(mut self, period: Duration) -> Self {
        // Work that waits is not found quicker by a task that never rests.
        self.look_every = period.max(Duration::from_millis(1));
        self
    }
}

impl<A: Agent> fmt::Debug for PoolSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolSpec<{}>({}, {:?})", type_name::<A>(), self.name, self.rules)
    }
}

impl<A: Agent> From<PoolSpec<A>> for SupervisorSpec {
    fn from(pool: PoolSpec<A>) -> Self {
        let PoolSpec { name, rules, intensity, waiting, look_every, make } = pool;
        let make = Arc::new(move |number| make(number).into());
        let plan = Arc::new(PoolPlan { rules, waiting, look_every, agent: TypeId::of::<A>(), make });
        // Rules that make no sense are refused before any of these starts.
        let first = if rules.check().is_ok() { rules.minimum } else { 0 };
        let spec = Self::new(name, Strategy::OneForOne).intensity(intensity);
        let mut spec = (1..=u64::from(first)).fold(spec, |spec, number| spec.child(plan.member(number)));
        if rules.maximum > rules.minimum {
            spec = spec.child(ChildSpec::task(SCALER, scaler::scale));
        }
        spec.pool = Some(plan);
        spec
    }
}

impl<A: Agent> From<PoolSpec<A>> for ChildSpec {
    fn from(pool: PoolSpec<A>) -> Self {
        Self::supervisor(pool)
    }
}
