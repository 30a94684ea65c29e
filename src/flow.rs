//! Limits on what flows between agents, as state machines: no task, no lock, no clock.
//!
//! Time comes in as a [`Moment`], randomness as a seed, and what must happen comes out as a value: a message that was shed,
//! a breaker that changed, a permit that was handed on. Whoever calls carries it out.
//!
//! | module | answers |
//! |---|---|
//! | [`mailbox`] | is there room, and what comes next: in the order of arrival |
//! | [`lanes`] | the same, with priorities, ends and a choice of what goes when it is full |
//! | [`rate`] | may so many pass now, and if not, when |
//! | [`breaker`] | is a call worth making |
//! | [`bulkhead`] | who may be inside, and who is next |
//! | [`budget`] | how much time has a request left |
//! | [`pool`] | how many members should there be |
//! | [`condition`] | is an agent to be started for this value |
//! | [`limits`] | what a configuration may say of all these |

pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod condition;
pub mod lanes;
pub mod limits;
pub mod mailbox;
pub mod pool;
pub mod queued;
pub mod rate;

pub use breaker::{
    Admitted, Breaker, BreakerOpen, BreakerProblem, BreakerRules, BreakerState, Cause, Change, Outcome, Pass, Span,
};
pub use budget::{Budget, BudgetSpent, Hop};
pub use bulkhead::{Bulkhead, Entry, Handed, LineFull, Occupancy, Place, Ticket};
pub use condition::{ConditionProblem, SpawnCondition};
pub use lanes::{AGE_STEP, AtBound, Lanes, NoRoom, Shed, ShedReason};
pub use limits::{
    AgentLimits, BreakerLimit, BulkheadLimit, DomainLimits, LimitProblem, Limits, Order, RateLimit, RouteLimits,
    SpawnLimit, SystemLimits,
};
pub use mailbox::{DEFAULT_BOUND, Full, Mailbox};
pub use pool::{AcquireError, DEFAULT_ACQUIRE, PoolProblem, PoolRules, PoolView, Scale, Scaler};
pub(crate) use queued::{End, Nanos};
pub use queued::{Expiry, Queued};
pub use rate::{Rate, RateProblem, TokenBucket, Wait};

pub use crate::message::{InvalidPriority, Priority};
pub use crate::supervision::intensity::Moment;
