//! Limits as text, what is refused, and the figures of the sources.

use super::*;
use crate::flow::{Breaker, TokenBucket};

const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn refused(field: &str, change: impl FnOnce(&mut Limits)) {
    let mut limits = Limits::seed_002();
    limits.route.breaker = Some(BreakerLimit::default());
    assert_eq!(limits.check(), Ok(()));
    change(&mut limits);
    let problem = limits.check().expect_err("it makes no sense");
    assert_eq!(problem.field, field);
    assert!(problem.to_string().contains("; expected "), "{problem}");
}

fn breaker(limits: &mut Limits) -> &mut BreakerLimit {
    limits.route.breaker.as_mut().expect("there is one")
}

#[test]
fn only_the_bound_of_the_mailbox_is_on_by_default() {
    let mut agent = AgentLimits::default();
    assert_eq!(agent.mailbox, 10_000);
    agent.mailbox = 0;
    let text = serde_json::to_string(&Limits { agent, ..Limits::default() }).expect("it can be written");
    assert_eq!(
        text,
        r#"{"agent":{"mailbox":0,"at_bound":"reject","order":"arrival"},"domain":{},"route":{},"system":{}}"#
    );
}

#[test]
fn the_figures_of_source_002_are_those_of_the_source() {
    let limits = Limits::seed_002();
    assert_eq!(limits.check(), Ok(()));
    assert_eq!((limits.agent.mailbox, limits.agent.concurrent_tasks), (10_000, Some(100)));
    assert_eq!((limits.agent.memory_bytes, limits.domain.memory_bytes), (Some(512_000_000), Some(4_000_000_000)));
    assert_eq!(limits.domain.agents, Some(10));
    let rate = limits.domain.messages.expect("there is one").rate();
    assert_eq!(rate.to_string(), "100000 per 1s, 10000 at once");
}

#[test]
fn the_figures_of_source_004_are_those_of_the_source() {
    let limits = Limits::seed_004();
    assert_eq!(limits.check(), Ok(()));
    assert_eq!((limits.domain.agents, limits.domain.start_within), (Some(5), Some(MS * 10_000)));
    assert_eq!(limits.route.ask_within, Some(MS * 5_000));
    assert_eq!((limits.system.blackboard_ttl, limits.system.metrics_every), (Some(MS * 3_600_000), Some(MS * 1_000)));
}

#[test]
fn the_agent_that_is_one_too_many_is_refused_with_the_numbers() {
    let domain = Limits::seed_004().domain;
    assert_eq!(domain.admit("exec", 4), Ok(()));
    let refused = domain.admit("exec", 5).expect_err("the sixth");
    let expected = "`exec` has 5 agents, and `domain.agents` allows 5; end one, or raise the limit";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(DomainLimits::default().admit("exec", u32::MAX), Ok(()));
}

#[test]
fn a_plain_mailbox_is_enough_only_for_arrival_and_reject() {
    let plain = |order, at_bound| AgentLimits { at_bound, order, ..AgentLimits::default() }.is_plain();
    assert!(plain(Order::Arrival, AtBound::Reject));
    assert!(!plain(Order::Arrival, AtBound::ShedOldest));
    assert!(!plain(Order::Priority, AtBound::Reject));
}

#[test]
fn limits_are_read_as_they_were_written() {
    let mut limits = Limits::seed_002();
    limits.agent.order = Order::Priority;
    limits.agent.at_bound = AtBound::ShedLowest;
    limits.domain.bulkhead = Some(BulkheadLimit { permits: 4, waiting: 9 });
    limits.route = RouteLimits {
        ask_within: Some(MS * 70),
        keep_for_answer: Some(MS * 5),
        breaker: Some(BreakerLimit { over: Some(MS * 900), slow_after: Some(MS * 30), ..BreakerLimit::default() }),
    };
    for limits in [Limits::default(), limits, Limits::seed_004()] {
        let text = serde_json::to_string(&limits).expect("it can be written");
        assert_eq!(serde_json::from_str::<Limits>(&text).expect("it can be read"), limits);
    }
}

#[test]
fn a_setting_that_is_not_known_is_refused_by_its_name() {
    let told = |text| serde_json::from_str::<Limits>(text).expect_err("unknown").to_string();
    let error = told(r#"{"domain": {"agent": 5}}"#);
    assert!(error.starts_with("unknown field `agent`, expected one of `agents`, `messages`, "), "{error}");
    let error = told(r#"{"agent": {"at_bound": "drop"}}"#);
    assert!(error.starts_with("unknown variant `drop`, expected one of `reject`, `shed_oldest`"), "{error}");
    let error = told(r#"{"route": {"ask_within": 5}}"#);
    assert!(error.contains("`ask_within_ms`"), "{error}");
}

#[test]
fn limits_that_make_no_sense_are_refused_by_their_name() {
    refused("agent.mailbox", |limits| limits.agent.mailbox = 0);
    refused("agent.at_bound", |limits| limits.agent.at_bound = AtBound::ShedLowest);
    refused("agent.concurrent_tasks", |limits| limits.agent.concurrent_tasks = Some(0));
    refused("agent.memory_bytes", |limits| limits.agent.memory_bytes = Some(0));
    refused("domain.agents", |limits| limits.domain.agents = Some(0));
    refused("domain.memory_bytes", |limits| limits.domain.memory_bytes = Some(0));
    refused("domain.start_within_ms", |limits| limits.domain.start_within = Some(Duration::ZERO));
    let rate =
        |count, per, burst| move |limits: &mut Limits| limits.domain.messages = Some(RateLimit { count, per, burst });
    refused("domain.messages.count", rate(0, MS, None));
    refused("domain.messages.per_ms", rate(1, Duration::ZERO, None));
    refused("domain.messages.burst", rate(1, MS, Some(0)));
    let none = BulkheadLimit { permits: 0, waiting: 1 };
    refused("domain.bulkhead.permits", |limits| limits.domain.bulkhead = Some(none));
    refused("route.ask_within_ms", |limits| limits.route.ask_within = Some(Duration::ZERO));
    refused("route.keep_for_answer_ms", |limits| {
        limits.route.ask_within = Some(MS * 5);
        limits.route.keep_for_answer = Some(MS * 5);
    });
    refused("system.blackboard_ttl_ms", |limits| limits.system.blackboard_ttl = Some(Duration::ZERO));
    refused("system.metrics_every_ms", |limits| limits.system.metrics_every = Some(Duration::ZERO));
}

#[test]
fn a_breaker_that_makes_no_sense_is_refused_by_the_name_of_its_setting() {
    refused("route.breaker.calls", |limits| breaker(limits).calls = 0);
    refused("route.breaker.over_ms", |limits| breaker(limits).over = Some(Duration::ZERO));
    refused("route.breaker.minimum_calls", |limits| breaker(limits).minimum_calls = 101);
    refused("route.breaker.failure_percent", |limits| breaker(limits).failure_percent = 0);
    refused("route.breaker.slow_after_ms", |limits| breaker(limits).slow_after = Some(Duration::ZERO));
    refused("route.breaker.slow_percent", |limits| breaker(limits).slow_percent = 101);
    refused("route.breaker.open_for_ms", |limits| breaker(limits).open_for = Duration::ZERO);
    refused("route.breaker.open_at_most_ms", |limits| breaker(limits).open_at_most = MS);
    refused("route.breaker.probes", |limits| breaker(limits).probes = 0);
}

#[test]
fn limits_that_pass_the_check_make_machines() {
    let text = r#"{
        "domain": { "messages": { "count": 7 }, "bulkhead": { "permits": 2 } },
        "route": { "breaker": { "over_ms": 10, "minimum_calls": 900, "open_for_ms": 60000, "open_at_most_ms": 60000 } }
    }"#;
    let limits: Limits = serde_json::from_str(text).expect("it can be read");
    assert_eq!(limits.check(), Ok(()));
    let rate = limits.domain.messages.expect("there is one").rate();
    assert_eq!((rate.period, rate.burst), (Duration::from_secs(1), 1));
    assert!(TokenBucket::new(rate).is_ok());
    assert_eq!(limits.domain.bulkhead.expect("there is one").bulkhead().occupancy().permits, 2);
    assert!(Breaker::new(limits.route.breaker.expect("there is one").rules(), 0).is_ok());
}
