//! Dead letters, routes, breakers, pools.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task;

use steadfast::flow::{BreakerRules, PoolRules};
use steadfast::message::Filter;
use steadfast::registry::selection::Selection;
use steadfast::testing::{Bug, Log, Order, Probe, Recorder};
use steadfast::{
    AtDeath, Backoff, BoxError, ChildSpec, EventKind, ExitReason, RequestError, Restart, SupervisorSpec, System,
};

use crate::{FUSE, SECOND, WORK, root, seen, start, worker};

seen! {
    RefusedAgainIsLost by kept_when_sent_again: "1", or "0";
    PlacedIsBuried by dead_when_another_took_it: "0", or "1";
    BuriedTwice by dead_when_nobody_else_is_there: "1", or "2";
    DropToldTwice by drops_of_a_message_that_was_refused: "1", or "2";
    ProbeIsLost by who_answers_after_a_probe_was_given_up: "7", or "nobody";
    LentTwice by lent: "1 2", or "1 1";
}

async fn kept_when_sent_again(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root().child(Probe::spec("a", &log).restart(Restart::Transient))).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Stop(ExitReason::Normal)).and(agent.tell(Order::Echo(1))).expect("there is room");
    tokio::time::sleep(SECOND).await;
    let letter = system.dead_letters(&Filter::all()).pop().expect("it waited behind the end");
    system.send_again(letter.id).expect_err("nobody is there");
    let kept = system.dead_letters(&Filter::all()).len();
    system.shutdown().await.expect("an orderly end");
    kept.to_string()
}

/// How many dead letters there are when the life of `a` has crashed at which a message waited.
async fn dead_behind_the_fuse(bug: Option<Bug>, spec: SupervisorSpec) -> String {
    let system = start(bug, spec).await;
    let route = system.route(&WORK).selection(Selection::InOrder).at_death(AtDeath::Elsewhere).build();
    let route = route.expect("a route");
    route.tell(FUSE).and(route.tell(7)).expect("there is room");
    tokio::time::sleep(10 * SECOND).await;
    let dead = system.dead_letter_counts().total();
    system.shutdown().await.expect("an orderly end");
    dead.to_string()
}

async fn dead_when_another_took_it(bug: Option<Bug>) -> String {
    dead_behind_the_fuse(bug, root().child(worker("a")).child(worker("b"))).await
}

async fn dead_when_nobody_else_is_there(bug: Option<Bug>) -> String {
    dead_behind_the_fuse(bug, root().child(worker("a").restart(Restart::Temporary))).await
}

async fn drops_of_a_message_that_was_refused(bug: Option<Bug>) -> String {
    let system = start(bug, root().child(worker("a").mailbox(1))).await;
    let mut events = Recorder::of(&system);
    system.suspend("root/a").await.expect("it is active");
    let route = system.route(&WORK).build().expect("a route");
    route.tell(1).expect("there is room");
    let error = route.tell(2).expect_err("there is none");
    assert!(matches!(error, RequestError::Full { .. }), "{error}");
    let told = events.seen().iter().filter(|event| matches!(event.kind, EventKind::Dropped { .. })).count();
    system.shutdown().await.expect("an orderly end");
    told.to_string()
}

async fn who_answers_after_a_probe_was_given_up(bug: Option<Bug>) -> String {
    let mood = Arc::new(AtomicU64::new(FUSE));
    let shared = Arc::clone(&mood);
    let moody = ChildSpec::serve("a", WORK, move |_, number: u64| {
        let is_sick = shared.load(Ordering::SeqCst) == FUSE;
        async move { if is_sick { Err(BoxError::from("it is sick")) } else { Ok(number) } }
    });
    let system = start(bug, root().child(moody)).await;
    let rules = BreakerRules::default().minimum_calls(2).probes(1).open_for(Backoff::constant(5 * SECOND));
    let route = system.route(&WORK).breaker(rules).build().expect("a route");
    for _ in 0..2 {
        route.ask(7).await.expect_err("it is sick");
    }
    mood.store(7, Ordering::SeqCst);
    tokio::time::sleep(6 * SECOND).await;
    {
        let mut probe = pin!(route.ask(7));
        assert!(probe.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())).is_pending());
    }
    tokio::time::sleep(60 * SECOND).await;
    let answer = route.ask(7).await.map_or_else(|_| "nobody".to_owned(), |number| number.to_string());
    system.shutdown().await.expect("an orderly end");
    answer
}

async fn lent(bug: Option<Bug>) -> String {
    let log = Log::default();
    let pool = ChildSpec::pool("pool", PoolRules::fixed(2), move |_| Probe::spec("any", &log));
    let system: System = start(bug, root().child(pool)).await;
    let pool = system.pool::<Probe>("root/pool").expect("it is one");
    let (one, two) = (pool.acquire().await.expect("it is free"), pool.acquire().await.expect("it is free"));
    let names = format!("{} {}", one.path().name(), two.path().name());
    drop((one, two));
    system.shutdown().await.expect("an orderly end");
    names
}
