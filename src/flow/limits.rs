//! Limits as data: what a configuration may say, for an agent, a domain and a route.
//!
//! Only the bound of a mailbox is on by default; every other limit is declared. Times are whole milliseconds and named so
//! (`ask_within_ms`), sizes are bytes.
//!
//! # Invariants
//!
//! * A setting that is not known is refused, and not ignored.
//! * Limits that pass [`Limits::check`] make machines: none of the conversions here fails on them.

mod millis;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::{BreakerRules, Span};
use super::bulkhead::Bulkhead;
use super::lanes::AtBound;
use super::mailbox::DEFAULT_BOUND;
use super::rate::Rate;
use crate::supervision::backoff::Backoff;

/// All limits.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::Limits;
///
/// let text = r#"{
///     "agent": { "mailbox": 500, "order": "priority", "at_bound": "shed_lowest" },
///     "domain": { "agents": 10, "messages": { "count": 1000, "per_ms": 1000 } },
///     "route": { "ask_within_ms": 250, "breaker": { "failure_percent": 20 } }
/// }"#;
/// let limits: Limits = serde_json::from_str(text)?;
/// limits.check()?;
/// assert_eq!(limits.route.ask_within, Some(Duration::from_millis(250)));
///
/// let mut limits = Limits::default();
/// limits.agent.mailbox = 0;
/// let problem = limits.check().unwrap_err();
/// assert_eq!(problem.to_string(), "`agent.mailbox` is 0; expected at least 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Of each agent.
    pub agent: AgentLimits,
    /// Of each domain.
    pub domain: DomainLimits,
    /// Of each route to a capability.
    pub route: RouteLimits,
    /// Of the system's own services.
    pub system: SystemLimits,
}

/// Limits of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AgentLimits {
    /// How many messages wait in front of it.
    pub mailbox: usize,
    /// What happens when there are as many.
    pub at_bound: AtBound,
    /// Whether the urgent goes first, or what came first.
    pub order: Order,
    /// How many tasks it runs at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_tasks: Option<u32>,
    /// How much memory it may use, in bytes. Only an agent that is a process of its own can be held to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// In which order messages are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// As they came. The quickest: a plain queue.
    #[default]
    Arrival,
    /// The urgent first, in lanes.
    Priority,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self {
            mailbox: DEFAULT_BOUND,
            at_bound: AtBound::Reject,
            order: Order::Arrival,
            concurrent_tasks: None,
            memory_bytes: None,
        }
    }
}

impl AgentLimits {
    /// Whether a plain [`Mailbox`](super::Mailbox) does what these say: first come, first served, and refusing at the bound.
    /// Anything else takes [`Lanes`](super::Lanes); in the order of arrival, with every message in the same lane.
    ///
    /// ```
    /// use steadfast::flow::{AtBound, Limits};
    ///
    /// let mut agent = Limits::default().agent;
    /// assert!(agent.is_plain());
    /// agent.at_bound = AtBound::ShedOldest;
    /// assert!(!agent.is_plain());
    /// ```
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        matches!((self.order, self.at_bound), (Order::Arrival, AtBound::Reject))
    }
}

/// Limits of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DomainLimits {
    /// How many agents it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<u32>,
    /// How many messages may be sent to its agents within a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<RateLimit>,
    /// How many requests may be inside at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<BulkheadLimit>,
    /// How long the start of an agent may take.
    #[serde(rename = "start_within_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub start_within: Option<Duration>,
    /// How much memory its agents may use together, in bytes. Counted over those that are processes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// How many messages within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// Within which time. A second, if not said.
    #[serde(rename = "per_ms", with = "millis", default = "second")]
    pub per: Duration,
    /// How many at once after a pause. A tenth of `count`, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

const fn second() -> Duration {
    Duration::from_secs(1)
}

impl RateLimit {
    /// As a token bucket takes it.
    #[must_use]
    pub fn rate(&self) -> Rate {
        let rate = Rate::new(self.count, self.per);
        self.burst.map_or(rate, |burst| rate.burst(burst))
    }
}

/// How many requests at once, and how many wait for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkheadLimit {
    /// How many may be inside.
    pub permits: u32,
    /// How many may wait outside. Nobody, if not said.
    #[serde(default)]
    pub waiting: u32,
}

impl BulkheadLimit {
    /// An empty bulkhead.
    #[must_use]
    pub const fn bulkhead(&self) -> Bulkhead {
        Bulkhead::new(self.permits as usize, self.waiting as usize)
    }
}

/// Limits of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RouteLimits {
    /// How long an ask may take: the budget with which a request begins.
    #[serde(rename = "ask_within_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub ask_within: Option<Duration>,
    /// How much of a request's budget is kept for the answer at each hop.
    #[serde(rename = "keep_for_answer_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub keep_for_answer: Option<Duration>,
    /// When calls to a provider are not worth making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerLimit>,
}

/// When a breaker opens, and for how long. What each setting means is said at [`BreakerRules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerLimit {
    /// Over how many of the last calls failures are counted, unless `over_ms` is said.
    pub calls: u32,
    /// Over which time they are counted.
    #[serde(rename = "over_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub over: Option<Duration>,
    /// How many calls there must be.
    pub minimum_calls: u32,
    /// The share of failures at which it opens.
    pub failure_percent: u32,
    /// From which duration on a call is slow.
    #[serde(rename = "slow_after_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub slow_after: Option<Duration>,
    /// The share of slow calls at which it opens.
    pub slow_percent: u32,
    /// How long it is open the first time; each further time twice as long.
    #[serde(rename = "open_for_ms", with = "millis")]
    pub open_for: Duration,
    /// How long it is open at most.
    #[serde(rename = "open_at_most_ms", with = "millis")]
    pub open_at_most: Duration,
    /// How many calls pass while it is half open.
    pub probes: u32,
}

impl Default for BreakerLimit {
    fn default() -> Self {
        let rules = BreakerRules::default();
        Self {
            calls: 100,
            over: None,
            minimum_calls: rules.minimum_calls,
            failure_percent: rules.failure_percent,
            slow_after: rules.slow_after,
            slow_percent: rules.slow_percent,
            open_for: rules.open_for.initial,
            open_at_most: rules.open_for.maximum,
            probes: rules.probes,
        }
    }
}

impl BreakerLimit {
    /// As a breaker takes it.
    #[must_use]
    pub fn rules(&self) -> BreakerRules {
        let open_for = Backoff::exponential(self.open_for).maximum(self.open_at_most);
        let rules = BreakerRules::default()
            .over(self.over.map_or(Span::Calls(self.calls), Span::Time))
            .minimum_calls(self.minimum_calls)
            .failure_percent(self.failure_percent)
            .open_for(open_for)
            .probes(self.probes);
        match self.slow_after {
            Some(after) => rules.slow_calls(after, self.slow_percent),
            None => rules,
        }
    }
}

/// Limits of the system's own services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SystemLimits {
    /// How long an entry of the blackboard is kept unless told otherwise.
    #[serde(rename = "blackboard_ttl_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub blackboard_ttl: Option<Duration>,
    /// How often metrics are collected.
    #[serde(rename = "metrics_every_ms", with = "millis::optional", skip_serializing_if = "Option::is_none")]
    pub metrics_every: Option<Duration>,
}

impl Limits {
    /// The figures of source 002: 10,000 messages in a mailbox, 100 tasks at once, 512 MB for each agent; 10 agents, 4 GB and
    /// 100,000 messages a second for each domain. (1 MB is 1,000,000 bytes.)
    ///
    /// Its `max_cpu_shares: 200  # 2 cores` is left out: the unit contradicts itself, and an agent is no process.
    #[must_use]
    pub fn seed_002() -> Self {
        let mut limits = Self::default();
        limits.agent.mailbox = 10_000;
        limits.agent.concurrent_tasks = Some(100);
        limits.agent.memory_bytes = Some(512_000_000);
        limits.domain.agents = Some(10);
        limits.domain.memory_bytes = Some(4_000_000_000);
        limits.domain.messages = Some(RateLimit { count: 100_000, per: second(), burst: None });
        limits
    }

    /// The figures of source 004: 5 agents, 10 s for a start, 5 s for a message, 3,600 s for an entry of the blackboard,
    /// metrics each second.
    #[must_use]
    pub fn seed_004() -> Self {
        let mut limits = Self::default();
        limits.domain.agents = Some(5);
        limits.domain.start_within = Some(Duration::from_secs(10));
        limits.route.ask_within = Some(Duration::from_secs(5));
        limits.system.blackboard_ttl = Some(Duration::from_hours(1));
        limits.system.metrics_every = Some(Duration::from_secs(1));
        limits
    }

    /// Looks for limits that make no sense, in the order in which they are documented.
    ///
    /// # Errors
    ///
    /// [`LimitProblem`] for the first one: it names the setting, what it is and what was expected.
    pub fn check(&self) -> Result<(), LimitProblem> {
        let Self { agent, domain, route, system } = self;
        at_least_one("agent.mailbox", Some(agent.mailbox))?;
        at_least_one("agent.concurrent_tasks", agent.concurrent_tasks)?;
        at_least_one("agent.memory_bytes", agent.memory_bytes)?;
        if agent.order == Order::Arrival && agent.at_bound == AtBound::ShedLowest {
            let expected = "`reject` or `shed_oldest` where `agent.order` is `arrival`";
            return Err(LimitProblem::new("agent.at_bound", "shed_lowest", expected));
        }
        domain.check()?;
        some_time("route.ask_within_ms", route.ask_within)?;
        if let (Some(kept), Some(within)) = (route.keep_for_answer, route.ask_within)
            && kept >= within
        {
            let expected = format!("less than `route.ask_within_ms`, which is {}", within.as_millis());
            return Err(LimitProblem::new("route.keep_for_answer_ms", kept.as_millis(), expected));
        }
        if let Some(breaker) = &route.breaker {
            breaker.check()?;
        }
        some_time("system.blackboard_ttl_ms", system.blackboard_ttl)?;
        some_time("system.metrics_every_ms", system.metrics_every)
    }
}

impl BreakerLimit {
    fn check(&self) -> Result<(), LimitProblem> {
        some_time("route.breaker.over_ms", self.over)?;
        some_time("route.breaker.slow_after_ms", self.slow_after)?;
        some_time("route.breaker.open_for_ms", Some(self.open_for))?;
        if self.open_at_most < self.open_for {
            let expected = format!("at least `route.breaker.open_for_ms`, which is {}", self.open_for.as_millis());
            return Err(LimitProblem::new("route.breaker.open_at_most_ms", self.open_at_most.as_millis(), expected));
        }
        let most_calls = if self.over.is_some() { u32::MAX } else { self.calls };
        within("route.breaker.calls", self.calls, u32::MAX)?;
        within("route.breaker.minimum_calls", self.minimum_calls, most_calls)?;
        within("route.breaker.failure_percent", self.failure_percent, 100)?;
        within("route.breaker.slow_percent", self.slow_percent, 100)?;
        within("route.breaker.probes", self.probes, u32::MAX)
    }
}

impl DomainLimits {
    /// Looks for limits that make no sense, in the order in which they are documented.
    ///
    /// # Errors
    ///
    /// [`LimitProblem`] for the first one, named from the outermost group on.
    pub fn check(&self) -> Result<(), LimitProblem> {
        at_least_one("domain.agents", self.agents)?;
        if let Some(messages) = &self.messages {
            at_least_one("domain.messages.count", Some(messages.count))?;
            some_time("domain.messages.per_ms", Some(messages.per))?;
            at_least_one("domain.messages.burst", messages.burst)?;
        }
        at_least_one("domain.bulkhead.permits", self.bulkhead.map(|bulkhead| bulkhead.permits))?;
        some_time("domain.start_within_ms", self.start_within)?;
        at_least_one("domain.memory_bytes", self.memory_bytes)
    }

    /// Whether one more agent may start where so many are.
    ///
    /// ```
    /// use steadfast::flow::Limits;
    ///
    /// let domain = Limits::seed_004().domain;
    /// assert_eq!(domain.admit("exec", 4), Ok(()));
    /// assert_eq!(
    ///     domain.admit("exec", 5).unwrap_err().to_string(),
    ///     "`exec` has 5 agents, and `domain.agents` allows 5; end one, or raise the limit"
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpawnLimit`], with the numbers, when there are as many as may be.
    pub fn admit(&self, domain: &str, present: u32) -> Result<(), SpawnLimit> {
        self.admit_all(domain, present, 1)
    }

    /// Whether so many more may be started: all of them or none.
    ///
    /// # Errors
    ///
    /// [`SpawnLimit`], with the numbers.
    pub fn admit_all(&self, domain: &str, present: u32, more: u32) -> Result<(), SpawnLimit> {
        match self.agents {
            Some(most) if more > most.saturating_sub(present) => {
                Err(SpawnLimit { domain: domain.to_owned(), present, most })
            }
            _ => Ok(()),
        }
    }
}

fn at_least_one<N: Copy + PartialEq + From<u8>>(field: &'static str, number: Option<N>) -> Result<(), LimitProblem> {
    if number == Some(N::from(0)) { Err(LimitProblem::new(field, 0, "at least 1")) } else { Ok(()) }
}

fn some_time(field: &'static str, time: Option<Duration>) -> Result<(), LimitProblem> {
    if time.is_some_and(|time| time.is_zero()) {
        return Err(LimitProblem::new(field, 0, "at least 1 (milliseconds), or leave the setting out"));
    }
    Ok(())
}

fn within(field: &'static str, number: u32, most: u32) -> Result<(), LimitProblem> {
    let expected = if most == u32::MAX { "at least 1".to_owned() } else { format!("from 1 to {most}") };
    if (1..=most).contains(&number) { Ok(()) } else { Err(LimitProblem::new(field, number, expected)) }
}

/// A limit that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}; expected {expected}")]
#[non_exhaustive]
pub struct LimitProblem {
    /// The setting, from the outermost group on.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl LimitProblem {
    fn new(field: &'static str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self { field, found: found.to_string(), expected: expected.into() }
    }
}

/// A domain has as many agents as it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{domain}` has {present} agents, and `domain.agents` allows {most}; end one, or raise the limit")]
#[non_exhaustive]
pub struct SpawnLimit {
    /// The domain.
    pub domain: String,
    /// How many agents it has.
    pub present: u32,
    /// How many it may have.
    pub most: u32,
}

#[cfg(test)]
mod tests;
