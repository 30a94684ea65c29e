//! Guarantee: a message that waits when its agent dies, or begins to drain, stays for the next life, goes elsewhere or comes
//! back, as its route says; what was being handled is never sent again by that.

use std::pin::pin;
use std::task;
use std::time::Duration;

use steadfast::flow::AtBound;
use steadfast::message::{DeadReason, Filter};
use steadfast::registry::selection::Selection;
use steadfast::testing::{Log, settled};
use steadfast::{
    AgentSpec, AtDeath, Backoff, BoxError, Capability, ChildSpec, Intensity, RequestError, Restart, Route, Served,
    Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);
/// So long takes the first message; it ends by a crash.
const FUSE: Duration = Duration::from_secs(5);

const WORK: Capability<u64, String> = Capability::new("test.work", "1.0.0");

/// A fuse at whose end it is a second later before anybody else has a turn.
const SLOW_FUSE: u64 = 9;

/// Replies with its name, life and the number it was asked; 0 is the fuse.
fn worker(name: &str, log: &Log) -> AgentSpec<Served<u64, String>> {
    let log = log.clone();
    ChildSpec::serve(name, WORK, move |ctx, number| {
        let log = log.clone();
        async move {
            let line = format!("{} #{} {number}", ctx.path().name(), ctx.incarnation());
            log.write(line.clone());
            if number == 0 {
                tokio::time::sleep(FUSE).await;
                return Err::<_, BoxError>("the fuse has burnt down".into());
            }
            if number == SLOW_FUSE {
                tokio::time::sleep(FUSE).await;
                let mut later = pin!(tokio::time::advance(SECOND));
                let _ = later.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop()));
                return Err("the fuse has burnt down".into());
            }
            Ok(line)
        }
    })
}

async fn start(children: impl IntoIterator<Item = AgentSpec<Served<u64, String>>>) -> System {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100));
    let spec = children.into_iter().fold(root, SupervisorSpec::child);
    System::start(spec).await.expect("the tree starts")
}

fn route(system: &System, fate: AtDeath) -> Route<u64, String> {
    system.route(&WORK).selection(Selection::InOrder).within(60 * SECOND).at_death(fate).build().expect("a route")
}

/// Burns the fuse of `a`, with a message of the route behind it; returns what becomes of both.
async fn behind_the_fuse(
    system: &System,
    fate: AtDeath,
) -> (Result<String, RequestError>, Result<String, RequestError>) {
    let route = route(system, fate);
    let ask = |number| {
        let route = route.clone();
        tokio::spawn(async move { route.ask(number).await })
    };
    let first = ask(0);
    settled().await;
    let second = ask(7);
    settled().await;
    (first.await.expect("no panic"), second.await.expect("no panic"))
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_handled_by_the_next_life_of_the_same_agent() {
    let log = Log::default();
    let system = start([worker("a", &log), worker("b", &log)]).await;
    let (crashed, waited) = behind_the_fuse(&system, AtDeath::Stay).await;
    assert!(matches!(crashed, Err(RequestError::Exited { .. })), "{crashed:?}");
    assert_eq!(waited.expect("a reply"), "a #2 7");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_goes_elsewhere_is_handled_by_another_provider_or_else_by_the_next_life_and_once() {
    let log = Log::default();
    // Its next life takes long to come: whoever stays waits for it.
    let system = start([worker("a", &log), worker("b", &log)]).await;
    let (crashed, waited) = behind_the_fuse(&system, AtDeath::Elsewhere).await;
    assert!(
        matches!(crashed, Err(RequestError::Exited { .. })),
        "what was being handled is not sent again: {crashed:?}"
    );
    assert_eq!(waited.expect("a reply"), "b #1 7");
    assert_eq!(log.take(), ["a #1 0", "b #1 7"]);
    system.shutdown().await.expect("an orderly end");

    let system = start([worker("a", &log)]).await;
    let (_, waited) = behind_the_fuse(&system, AtDeath::Elsewhere).await;
    assert_eq!((waited.expect("a reply"), log.take()), ("a #2 7".into(), vec!["a #1 0".into(), "a #2 7".into()]));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_returns_fails_with_the_life_that_ended_and_nobody_handles_it() {
    let log = Log::default();
    let system = start([worker("a", &log), worker("b", &log)]).await;
    let (_, returned) = behind_the_fuse(&system, AtDeath::Return).await;
    let error = returned.expect_err("it comes back");
    assert_eq!(error.to_string(), "`root/a`, incarnation 1, ended before it handled the request");
    settled().await;
    assert_eq!(log.take(), ["a #1 0"]);
    assert_eq!(system.dead_letter_counts().total(), 0, "its asker has it");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_was_told_goes_elsewhere_too_and_is_a_dead_letter_where_it_would_return() {
    for (fate, expected) in [(AtDeath::Stay, "a #2 7"), (AtDeath::Elsewhere, "b #1 7"), (AtDeath::Return, "")] {
        let log = Log::default();
        let system = start([worker("a", &log), worker("b", &log)]).await;
        let route = route(&system, fate);
        route.tell(0).and(route.tell(7)).expect("there is room");
        tokio::time::sleep(2 * FUSE).await;
        let handled: Vec<_> = log.take().into_iter().skip(1).collect();
        assert_eq!(handled.concat(), expected, "{fate}");
        let dead = system.dead_letters(&Filter::all().because(DeadReason::Gone)).len();
        assert_eq!(dead, usize::from(fate == AtDeath::Return), "{fate}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_agent_hands_over_what_waits_and_gets_nothing_new() {
    let log = Log::default();
    let system = start([worker("a", &log).restart(Restart::Transient), worker("b", &log)]).await;
    let route = route(&system, AtDeath::Elsewhere);
    system.suspend("root/a").await.expect("it is active");
    // Nobody else is ready, so these wait at `a`.
    system.suspend("root/b").await.expect("it is active");
    let asks: Vec<_> = [1, 2]
        .map(|number| {
            tokio::spawn({
                let route = route.clone();
                async move { route.ask(number).await }
            })
        })
        .into();
    settled().await;
    system.resume("root/b").await.expect("it is suspended");
    assert_eq!(log.take(), [""; 0]);
    system.drain("root/a", SECOND).await.expect("it is suspended");
    for (ask, number) in asks.into_iter().zip(1..) {
        assert_eq!(ask.await.expect("no panic").expect("a reply"), format!("b #1 {number}"));
    }
    assert_eq!(route.ask(3).await.expect("a reply"), "b #1 3");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_when_no_time_is_left_says_that_nobody_handled_it() {
    for fate in [AtDeath::Elsewhere, AtDeath::Return] {
        let log = Log::default();
        let system = start([worker("a", &log)]).await;
        let route = route(&system, fate);
        route.tell(SLOW_FUSE).expect("there is room");
        let error = route.ask_within(7, FUSE + SECOND / 2).await.expect_err("its receiver died");
        assert!(matches!(error, RequestError::Returned { .. }), "{fate}: {error}");
        settled().await;
        assert_eq!(log.take(), ["a #1 9"], "{fate}");
        // What was to return has returned; for what was to go elsewhere there was no time.
        let (dead, expired) = (system.dead_letter_counts(), u64::from(fate == AtDeath::Elsewhere));
        assert_eq!((dead.total(), dead.because(DeadReason::Expired)), (expired, expired), "{fate}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_nobody_handled_does_not_hide_that_one_before_it_was_begun() {
    let log = Log::default();
    let shedding = worker("a", &log).mailbox(1).at_bound(AtBound::ShedOldest);
    let system = start([shedding.backoff(Backoff::constant(SECOND))]).await;
    let route = system.route(&WORK).within(60 * SECOND).idempotent().build().expect("a route");
    let asked = tokio::spawn({
        let route = route.clone();
        async move { route.ask(0).await }
    });
    tokio::time::sleep(FUSE + SECOND / 2).await;
    // The second attempt waits for the next life, and makes room for this.
    route.tell(7).expect("the oldest goes");
    let error = asked.await.expect("no panic").expect_err("its handler crashed");
    assert!(matches!(error, RequestError::Exited { .. }), "{error}");
    // What was begun is no dead letter.
    assert_eq!((log.take(), system.dead_letter_counts().total()), (vec!["a #1 0".to_owned()], 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_makes_room_for_another_is_a_dead_letter_and_does_not_go_elsewhere() {
    let log = Log::default();
    let small = |name| worker(name, &log).mailbox(1).at_bound(AtBound::ShedOldest);
    let system = start([small("a"), small("b")]).await;
    for path in ["root/a", "root/b"] {
        system.suspend(path).await.expect("it is active");
    }
    let route = system.route(&WORK).selection(Selection::RoundRobin).at_death(AtDeath::Elsewhere).build();
    let route = route.expect("a route");
    for number in 1..=5 {
        route.tell(number).expect("the oldest goes");
    }
    assert_eq!(system.dead_letter_counts().because(DeadReason::Shed), 3);
    for path in ["root/a", "root/b"] {
        system.resume(path).await.expect("it is suspended");
    }
    settled().await;
    assert_eq!(log.take().len(), 2, "the last two are handled");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_question_for_which_there_is_no_time_is_not_sent_and_its_asker_is_told_so() {
    let log = Log::default();
    let system = start([worker("a", &log)]).await;
    for fate in [AtDeath::Stay, AtDeath::Elsewhere] {
        let error = route(&system, fate).ask_within(7, Duration::ZERO).await.expect_err("there is no time");
        assert!(matches!(error, RequestError::Expired { .. }), "{fate}: {error}");
    }
    settled().await;
    let dead = system.dead_letter_counts();
    assert_eq!((log.take().len(), dead.total(), dead.because(DeadReason::Expired)), (0, 2, 2));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_gets_it_when_messages_leave_a_mailbox_at_a_death() {
    let log = Log::default();
    let system = start([worker("a", &log).mailbox(2)]).await;
    let route = route(&system, AtDeath::Return);
    let agent = system.agent::<Served<u64, String>>("root/a").expect("it is there");
    // In hand, it leaves room for two.
    route.tell(0).expect("there is room");
    settled().await;
    route.tell(1).and(route.tell(2)).expect("there is room");
    let waits = tokio::spawn(async move { agent.tell_wait(3, 60 * SECOND).await });
    tokio::time::sleep(FUSE + SECOND).await;
    assert!(waits.is_finished(), "there is room since the crash");
    waits.await.expect("no panic").expect("it is taken");
    settled().await;
    assert_eq!(log.take(), ["a #1 0", "a #2 3"]);
    system.shutdown().await.expect("an orderly end");
}
