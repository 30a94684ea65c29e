//! Guarantee: where whom a route would choose is away, fails or is slow, it waits, fails, tries again, spares a provider or
//! goes along its fallbacks, as it was told.

mod namers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::flow::{BreakerRules, BreakerState, RouteLimits};
use steadfast::registry::selection::{Eligible, Selection};
use steadfast::testing::{Recorder, VirtualClock, settled};
use steadfast::{AgentSpec, Backoff, Capability, ChildSpec, EventKind, RequestError, Restart, Served};

use self::namers::{
    Ask, NAME, Namer, Number, PROBE, SECOND, answers, crash, namer, namers, offering, root, route, slow_starter, start,
};

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_the_next_life_and_with_fail_fast_it_fails_at_once_and_says_why() {
    let system = start(root().child(slow_starter("a"))).await;
    let patient = system.route(&PROBE).build().expect("a route");
    let fast = system.route(&PROBE).fail_fast().build().expect("a route");
    assert_eq!(fast.ask(Number(7)).await.expect("it is live"), 7);
    crash(&system, "root/a").await;
    let clock = VirtualClock::new();
    let error = fast.ask(Number(7)).await.expect_err("it is between two lives");
    let why = "nobody who offers `test.probe` in a version compatible with ^1.0.0 can be asked: 1 candidates: ";
    assert_eq!(error.to_string(), format!("{why}1 between two lives"));
    fast.tell(Number(7)).expect_err("that neither");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    assert_eq!(patient.choose().expect("it will be back").eligible, Eligible::WhenBack);
    assert_eq!(patient.ask(Number(8)).await.expect("a reply"), 8);
    assert_eq!(clock.elapsed(), SECOND);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_coming_back_a_message_fails_at_once_and_says_how_all_stand() {
    let spec = root().child(namer("a").restart(Restart::Transient)).child(namer("b").restart(Restart::Transient));
    let system = start(spec).await;
    let turns = route(&system, Selection::RoundRobin);
    let supervisor = system.supervisor("root").expect("it runs");
    for child in ["a", "b"] {
        supervisor.terminate_child(child).await.expect("it stops");
    }
    let clock = VirtualClock::new();
    let error = turns.ask(Ask::Now).await.expect_err("all are at rest");
    let why = "nobody who offers `test.name` in a version compatible with ^1.0.0 can be asked: 2 candidates: 2 away";
    assert_eq!(error.to_string(), why);
    assert_eq!(turns.choose().expect_err("nobody").to_string(), why);
    assert!(turns.providers().is_empty());
    assert_eq!(clock.elapsed(), Duration::ZERO);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_ask_fails_at_its_deadline_less_what_is_kept_for_the_answer() {
    let system = namers(&["a"]).await;
    let mut limits = RouteLimits::default();
    (limits.ask_within, limits.keep_for_answer) = (Some(3 * SECOND), Some(SECOND));
    let described = [
        (system.route(&NAME).within(3 * SECOND), 3),
        (system.route(&NAME).within(3 * SECOND).keep_for_answer(SECOND), 2),
        (system.route(&NAME).limits(&limits), 2),
    ];
    for (route, seconds) in described {
        let route = route.build().expect("a route");
        let clock = VirtualClock::new();
        let error = route.ask(Ask::After(60 * SECOND)).await.expect_err("it takes too long");
        assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
        assert_eq!(clock.elapsed(), seconds * SECOND);
        system.kill("root/a").expect("it is there");
    }
    system.shutdown().await.expect("an orderly end");
}

/// A provider that fails for as long as it is sick.
fn patient(name: &str, sick: &Arc<AtomicBool>) -> AgentSpec<Served<Ask, String>> {
    let sick = Arc::clone(sick);
    ChildSpec::serve(name, NAME, move |ctx, ask| {
        let fails = sick.load(Ordering::SeqCst);
        async move {
            if let Ask::After(time) = ask {
                tokio::time::sleep(time).await;
            }
            if fails { Err("it is sick".into()) } else { Ok(ctx.path().name().to_owned()) }
        }
    })
}

fn rules() -> BreakerRules {
    BreakerRules::default().minimum_calls(2).probes(1).open_for(Backoff::constant(5 * SECOND))
}

fn is_breaker(event: &steadfast::Event) -> bool {
    matches!(event.kind, EventKind::BreakerChanged(_))
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_before_a_provider_that_fails_and_heals_once_it_answers_again() {
    let sick = Arc::new(AtomicBool::new(true));
    let system = start(root().child(patient("a", &sick)).child(namer("b"))).await;
    let mut events = Recorder::of(&system);
    let route = system.route(&NAME).selection(Selection::InOrder).breaker(rules()).build().expect("a route");
    for _ in 0..2 {
        route.ask(Ask::Now).await.expect_err("a is sick");
    }
    // It is up again, and spared all the same.
    assert_eq!(answers(&route, 3).await, ["b #1"; 3]);
    let decision = route.choose().expect("b").to_string();
    assert!(decision.contains("considered: root/a (breaker open), root/b (load 0"), "{decision}");

    tokio::time::advance(5 * SECOND).await;
    // Half open: one probe goes there, and it fails.
    route.clone().ask(Ask::Now).await.expect_err("a is still sick");
    assert_eq!(answers(&route, 2).await, ["b #1"; 2]);
    sick.store(false, Ordering::SeqCst);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(answers(&route, 3).await, ["a"; 3]);

    events
        .until(|event| matches!(event.kind, EventKind::BreakerChanged(change) if change.to == BreakerState::Closed))
        .await;
    let changes: Vec<_> =
        events.seen().iter().filter(|event| is_breaker(event)).map(|event| event.path.clone()).collect();
    assert_eq!(changes.len(), 5, "opened, half open, opened, half open, closed");
    assert!(changes.iter().all(|path| path.as_str() == "root/a"));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn where_all_breakers_are_open_a_message_fails_at_once_and_another_route_does_not_mind() {
    let sick = Arc::new(AtomicBool::new(true));
    let system = start(root().child(patient("a", &sick))).await;
    let guarded = system.route(&NAME).breaker(rules()).build().expect("a route");
    for _ in 0..2 {
        guarded.ask(Ask::Now).await.expect_err("a is sick");
    }
    sick.store(false, Ordering::SeqCst);
    let error = guarded.ask(Ask::Now).await.expect_err("its breaker is open");
    assert!(error.to_string().ends_with(": 1 candidates: 1 with an open breaker"), "{error}");
    assert!(guarded.tell(Ask::Now).is_err());
    assert_eq!(route(&system, Selection::LeastLoaded).ask(Ask::Now).await.expect("a reply"), "a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_its_caller_gives_up_says_nothing_and_lets_the_next_one_through() {
    let sick = Arc::new(AtomicBool::new(true));
    let system = start(root().child(patient("a", &sick))).await;
    let route = system.route(&NAME).breaker(rules()).build().expect("a route");
    for _ in 0..2 {
        route.ask(Ask::Now).await.expect_err("a is sick");
    }
    sick.store(false, Ordering::SeqCst);
    tokio::time::advance(5 * SECOND).await;
    {
        let probe = route.ask(Ask::After(SECOND / 2));
        tokio::pin!(probe);
        assert!(tokio::time::timeout(SECOND / 4, &mut probe).await.is_err());
        let error = route.ask(Ask::Now).await.expect_err("the only probe is out");
        assert!(error.to_string().ends_with("1 with an open breaker"), "{error}");
    }
    assert_eq!(route.ask(Ask::Now).await.expect("a probe"), "a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_request_whose_handler_crashed_is_sent_again_at_most_so_often() {
    let system = namers(&["a"]).await;
    let once = system.route(&NAME).build().expect("a route");
    let error = once.ask(Ask::CrashBefore(2)).await.expect_err("it crashes");
    assert!(matches!(error, RequestError::Exited { incarnation, .. } if incarnation.get() == 1), "{error}");
    let again = system.route(&NAME).idempotent().build().expect("a route");
    assert_eq!(again.ask(Ask::CrashBefore(4)).await.expect("the third attempt"), "a #4");
    let error = again.ask(Ask::Crash).await.expect_err("it always crashes");
    assert!(matches!(error, RequestError::Exited { incarnation, .. } if incarnation.get() == 6), "{error}");
    let five = system.route(&NAME).idempotent().attempts(5).build().expect("a route");
    assert_eq!(five.ask(Ask::CrashBefore(11)).await.expect("the fifth attempt"), "a #11");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_goes_to_somebody_ready_and_ends_with_the_time_of_the_first() {
    let late = |name: &str| namer(name).backoff(Backoff::constant(10 * SECOND));
    let system = start(root().child(late("a")).child(late("b"))).await;
    let route = system.route(&NAME).selection(Selection::InOrder).idempotent().within(3 * SECOND).build();
    let route = route.expect("a route");
    let clock = VirtualClock::new();
    assert_eq!(route.ask(Ask::CrashAt('a')).await.expect("the other answers"), "b #1");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    // Now both are between two lives, and the third attempt waits for one of them.
    let error = route.ask(Ask::CrashAt('b')).await.expect_err("nobody is back in time");
    assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
    assert_eq!(clock.elapsed(), 3 * SECOND);
    system.shutdown().await.expect("an orderly end");
}

const PLAN_B: Namer = Capability::new("test.plan-b", "1.0.0");
const PLAN_C: Namer = Capability::new("test.plan-c", "1.0.0");

#[tokio::test(start_paused = true)]
async fn where_nobody_is_ready_a_fallback_chooses_along_the_chain_and_else_whoever_is_back_first() {
    let spec = [("a", NAME), ("b", PLAN_B), ("c", PLAN_C)];
    let spec = spec.into_iter().fold(root(), |spec, (name, offer)| spec.child(offering(name, offer)));
    let system = start(spec).await;
    let last = system.route(&PLAN_C).build().expect("a route");
    let next = system.route(&PLAN_B).fallback(&last).build().expect("a route");
    let route = system.route(&NAME).fallback(&next).build().expect("a route");
    let mut decisions = system.decisions();
    for (name, suspended) in [("a", false), ("b", true), ("c", true)] {
        if suspended {
            let before = if name == "b" { "root/a" } else { "root/b" };
            system.suspend(before).await.expect("it is active");
        }
        assert_eq!(route.choose().expect("somebody").chosen.name(), name);
        assert_eq!(route.pick().expect("somebody").path().name(), name);
        assert_eq!(route.ask(Ask::Now).await.expect("a reply"), format!("{name} #1"));
    }
    system.suspend("root/c").await.expect("it is active");
    assert_eq!(route.choose().expect("the first who is back").chosen.name(), "a");
    let asked = tokio::spawn({
        let route = route.clone();
        async move { route.ask(Ask::Now).await }
    });
    settled().await;
    system.resume("root/a").await.expect("it is suspended");
    assert_eq!(asked.await.expect("no panic").expect("a reply"), "a #1");
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.terminate_child("a").await.expect("it is there");
    assert_eq!(route.choose().expect("the first who is back").chosen.name(), "b");
    supervisor.terminate_child("b").await.expect("it is there");
    supervisor.terminate_child("c").await.expect("it is there");
    let error = route.ask(Ask::Now).await.expect_err("nobody is there");
    assert!(matches!(&error, RequestError::NoProvider { capability, .. } if capability == NAME.name()), "{error}");
    assert_eq!(decisions.next().await.expect("a decision").path.as_str(), "root/a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn along_a_chain_only_who_is_chosen_takes_a_turn_and_is_told_of_and_haste_is_that_of_the_first() {
    let spec = [("a", NAME), ("b", PLAN_B), ("c", PLAN_B)];
    let spec = spec.into_iter().fold(root(), |spec, (name, offer)| spec.child(offering(name, offer)));
    let system = start(spec).await;
    let next = system.route(&PLAN_B).selection(Selection::RoundRobin).build().expect("a route");
    let patient = system.route(&NAME).fallback(&next).build().expect("a route");
    let hasty = system.route(&NAME).fallback(&next).fail_fast().build().expect("a route");
    let mut decisions = system.decisions();
    patient.ask(Ask::Now).await.expect("a reply");
    system.suspend("root/a").await.expect("it is active");
    for name in ["b", "c"] {
        assert_eq!(patient.ask(Ask::Now).await.expect("a reply"), format!("{name} #1"), "each takes its turn");
    }
    for name in ["a", "b", "c"] {
        assert_eq!(decisions.next().await.expect("a decision").path.name(), name);
    }
    for path in ["root/b", "root/c"] {
        system.suspend(path).await.expect("it is active");
    }
    let error = hasty.ask(Ask::Now).await.expect_err("nobody is ready");
    assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    assert!(hasty.choose().is_err() && patient.choose().is_ok());
    assert!(decisions.try_next().expect("nothing was missed").is_none(), "nobody was chosen");
    // Of a hasty route behind a patient one it is the patience that counts.
    let behind = system.route(&PLAN_B).fail_fast().build().expect("a route");
    let first = system.route(&PLAN_C).fallback(&behind).build().expect("a route");
    assert_eq!(first.choose().expect("somebody who comes back").chosen.name(), "b");
    system.shutdown().await.expect("an orderly end");
}
