//! Mailboxes, drains, suspension, and how long a question may take.

use steadfast::flow::{AtBound, BulkheadLimit, DomainLimits};
use steadfast::message::DeadReason;
use steadfast::testing::{Bug, Log, Order, Probe, Recorder, VirtualClock, settled};
use steadfast::{AgentSpec, DomainSpec, System};

use crate::{SECOND, echoes, root, seen, start};

seen! {
    HandIsLost by crash_with_a_batch_in_hand: "2 echo 1, 2 echo 2", or "2 echo 2";
    HandGoesBehind by crash_with_a_batch_in_hand: "2 echo 1, 2 echo 2", or "2 echo 2, 2 echo 1";
    RestNotWoken by more_than_a_batch: "70", or "64";
    ShedIsLost by shed: "2", or "0";
    ExpiredIsHandled by late: "", or "1 echo 1";
    DrainLosesHand by drained_with_a_batch_in_hand: "2 echo 1", or "";
    PauseOutlivesLife by killed_while_suspended: "active, 2 echo 1", or "active, ";
    AskWaitsForRoom by ask_of_one_that_is_full: "1", or "59";
    PermitIsKept by inside_after_a_question_found_no_room: "0", or "1";
}

async fn with(bug: Option<Bug>, adapt: impl FnOnce(AgentSpec<Probe>) -> AgentSpec<Probe>) -> (System, Log) {
    let log = Log::default();
    (start(bug, root().child(adapt(Probe::spec("a", &log)))).await, log)
}

/// The first message crashes its life after a second; one waits behind it in hand, and one has come since.
async fn crash_with_a_batch_in_hand(bug: Option<Bug>) -> String {
    let (system, log) = with(bug, |a| a).await;
    let agent = Probe::at(&system, "root/a");
    let crashes = Order::run(|_| {
        Box::pin(async {
            tokio::time::sleep(SECOND).await;
            Err("boom".into())
        })
    });
    agent.tell(crashes).and(agent.tell(Order::Echo(1))).expect("there is room");
    settled().await;
    agent.tell(Order::Echo(2)).expect("there is room");
    tokio::time::sleep(5 * SECOND).await;
    let seen = echoes(&log);
    system.shutdown().await.expect("an orderly end");
    seen
}

async fn more_than_a_batch(bug: Option<Bug>) -> String {
    let (system, log) = with(bug, |a| a).await;
    let agent = Probe::at(&system, "root/a");
    for number in 0..70 {
        agent.tell(Order::Echo(number)).expect("there is room");
    }
    tokio::time::sleep(SECOND).await;
    let handled = log.take().iter().filter(|line| line.contains("echo")).count();
    system.shutdown().await.expect("an orderly end");
    handled.to_string()
}

/// How many dead letters there are of two that made room.
async fn shed(bug: Option<Bug>) -> String {
    let (system, _) = with(bug, |a| a.mailbox(1).at_bound(AtBound::ShedOldest)).await;
    system.suspend("root/a").await.expect("it is active");
    for number in 1..=3 {
        Probe::at(&system, "root/a").tell(Order::Echo(number)).expect("the oldest goes");
    }
    let dead = system.dead_letter_counts().because(DeadReason::Shed);
    system.shutdown().await.expect("an orderly end");
    dead.to_string()
}

async fn late(bug: Option<Bug>) -> String {
    let (system, log) = with(bug, |a| a).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Wait(5 * SECOND)).expect("there is room");
    agent.ask_within(Order::Echo(1), SECOND).await.expect_err("it is busy");
    tokio::time::sleep(10 * SECOND).await;
    let seen = echoes(&log);
    system.shutdown().await.expect("an orderly end");
    seen
}

async fn drained_with_a_batch_in_hand(bug: Option<Bug>) -> String {
    let (system, log) = with(bug, |a| a).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Wait(SECOND)).and(agent.tell(Order::Echo(1))).expect("there is room");
    settled().await;
    system.drain("root/a", 10 * SECOND).await.expect("it drains");
    tokio::time::sleep(5 * SECOND).await;
    let seen = echoes(&log);
    system.shutdown().await.expect("an orderly end");
    seen
}

async fn killed_while_suspended(bug: Option<Bug>) -> String {
    let (system, log) = with(bug, |a| a).await;
    let mut events = Recorder::of(&system);
    system.suspend("root/a").await.expect("it is active");
    system.kill("root/a").expect("it is there");
    events.started("root/a", 2).await;
    Probe::at(&system, "root/a").tell(Order::Echo(1)).expect("there is room");
    tokio::time::sleep(SECOND).await;
    let seen = format!("{}, {}", system.state("root/a").expect("it is there").name(), echoes(&log));
    system.shutdown().await.expect("an orderly end");
    seen
}

/// After how many seconds a question ends that has one.
async fn ask_of_one_that_is_full(bug: Option<Bug>) -> String {
    let (system, _) = with(bug, |a| a.mailbox(1)).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Wait(60 * SECOND)).expect("there is room");
    settled().await;
    agent.tell(Order::Echo(1)).expect("there is room");
    let clock = VirtualClock::new();
    agent.ask_within(Order::Echo(2), SECOND).await.expect_err("there is no room");
    let took = clock.elapsed();
    system.shutdown().await.expect("an orderly end");
    took.as_secs().to_string()
}

async fn inside_after_a_question_found_no_room(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root()).await;
    let mut limits = DomainLimits::default();
    limits.bulkhead = Some(BulkheadLimit { permits: 4, waiting: 4 });
    let spec = DomainSpec::new("b").limits(limits).agent(Probe::spec("a", &log).mailbox(1));
    let domain = system.add_domain(spec).await.expect("it starts");
    let agent = Probe::at(&system, "root/b/a");
    agent.tell(Order::Wait(60 * SECOND)).expect("there is room");
    settled().await;
    agent.tell(Order::Echo(1)).expect("there is room");
    agent.ask_within(Order::Echo(2), SECOND).await.expect_err("there is no room");
    let inside = domain.occupancy().expect("it has a bulkhead").inside;
    system.shutdown().await.expect("an orderly end");
    inside.to_string()
}
