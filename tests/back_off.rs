//! Guarantee: a restart waits for its back-off, its supervisor goes on meanwhile, and a stop or a request ends the wait.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, settled};
use steadfast::{Backoff, ChildState, Intensity, Strategy, SupervisorSpec, System};

const MS: Duration = Duration::from_millis(1);

fn backoff() -> Backoff {
    Backoff::exponential(MS * 100).maximum(MS * 400).stable_after(MS * 1_000)
}

async fn tree(strategy: Strategy, log: &Log) -> (System, Recorder) {
    let spec = SupervisorSpec::new("root", strategy)
        .intensity(Intensity::at_most(100))
        .child(Probe::spec("a", log))
        .child(Probe::spec("b", log).backoff(backoff()))
        .child(Probe::spec("c", log));
    let system = System::start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

fn crash(system: &System, path: &str) {
    Probe::at(system, path).tell(Order::Panic("boom")).expect("there is room");
}

async fn state(system: &System, name: &str) -> ChildState {
    let children = system.supervisor("root").expect("it is one").which_children().await.expect("it answers");
    children.iter().find(|child| child.id.as_str() == name).expect("it is listed").state
}

#[tokio::test(start_paused = true)]
async fn each_restart_waits_longer_up_to_the_maximum_and_a_stable_life_begins_anew() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    let mut waits = Vec::new();
    for (number, lived) in [(2, 0), (3, 0), (4, 0), (5, 0), (6, 1_000)] {
        tokio::time::advance(MS * lived).await;
        crash(&system, "root/b");
        let ended = events.exit("root/b").await;
        assert_eq!(ended.incarnation.get(), number - 1);
        let before = system.clock().now();
        events.started("root/b", number).await;
        waits.push(system.clock().now().duration_since(before).as_millis());
    }
    assert_eq!(waits, [100, 200, 400, 400, 100]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn while_a_restart_waits_the_supervisor_serves_requests_and_other_exits() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    crash(&system, "root/b");
    events.exit("root/b").await;
    assert_eq!(state(&system, "b").await, ChildState::Restarting);
    crash(&system, "root/a");
    events.started("root/a", 2).await;
    assert_eq!(system.incarnation("root/b"), None, "it still waits");
    events.started("root/b", 2).await;
    assert_eq!(state(&system, "b").await, ChildState::Running);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn messages_wait_as_long_as_the_restart() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    crash(&system, "root/b");
    events.exit("root/b").await;
    let answer = Probe::at(&system, "root/b").ask(Order::Which).await;
    assert_eq!(answer.expect("the next life answers"), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_terminate_ends_the_wait_and_nothing_is_started() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    crash(&system, "root/b");
    events.exit("root/b").await;
    system.supervisor("root").expect("it is one").terminate_child("b").await.expect("it is well stopped");
    let _ = log.take();
    tokio::time::advance(MS * 10_000).await;
    settled().await;
    assert_eq!(log.take(), Vec::<String>::new());
    assert_eq!(state(&system, "b").await, ChildState::Stopped);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_supervisor_does_not_wait_for_a_back_off() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    crash(&system, "root/b");
    events.exit("root/b").await;
    let before = system.clock().now();
    system.shutdown().await.expect("an orderly end");
    assert!(system.clock().now().duration_since(before) < MS * 100);
}

#[tokio::test(start_paused = true)]
async fn a_group_waits_as_one() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForAll, &log).await;
    let _ = log.take();
    crash(&system, "root/b");
    events.exit("root/a").await;
    settled().await;
    let stopped = [
        "got root/b #1 panic",
        "gone root/b #1",
        "stop root/c #1",
        "gone root/c #1",
        "stop root/a #1",
        "gone root/a #1",
    ];
    assert_eq!(log.take(), stopped, "all are stopped at once, and nobody is started yet");
    events.started("root/c", 2).await;
    assert_eq!(log.take(), ["start root/a #2", "start root/b #2", "start root/c #2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_culprit_is_terminated_while_it_waits_carries_on_without_it() {
    for (strategy, started) in [
        (Strategy::OneForOne, vec![]),
        (Strategy::RestForOne, vec!["start root/c #2"]),
        (Strategy::OneForAll, vec!["start root/a #2", "start root/c #2"]),
    ] {
        let log = Log::default();
        let (system, mut events) = tree(strategy, &log).await;
        crash(&system, "root/b");
        events.exit("root/b").await;
        settled().await;
        let _ = log.take();
        let root = system.supervisor("root").expect("it is one");
        root.terminate_child("b").await.expect("it is well stopped");
        settled().await;
        assert_eq!(log.take(), started, "{strategy:?}");
        assert_eq!(state(&system, "b").await, ChildState::Stopped);
        assert_eq!(state(&system, "c").await, ChildState::Running);
        tokio::time::advance(MS * 10_000).await;
        settled().await;
        assert_eq!(log.take(), Vec::<String>::new(), "the wait is over");
        root.restart_child("b").await.expect("it starts");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn with_jitter_the_same_seed_draws_the_same_waits() {
    let waits = |seed: u64| async move {
        let log = Log::default();
        let backoff = backoff().jitter(0.5);
        let spec = SupervisorSpec::new("root", Strategy::OneForOne)
            .intensity(Intensity::at_most(100))
            .child(Probe::spec("b", &log).backoff(backoff));
        let clock = std::sync::Arc::new(steadfast::TokioClock);
        let entropy = std::sync::Arc::new(steadfast::SeededEntropy::new(seed, clock));
        let system = System::builder().entropy(entropy).start(spec).await.expect("the tree starts");
        let mut events = Recorder::of(&system);
        let mut waits = Vec::new();
        for number in 2..6 {
            crash(&system, "root/b");
            events.exit("root/b").await;
            let before = system.clock().now();
            events.started("root/b", number).await;
            waits.push(system.clock().now().duration_since(before).as_millis());
        }
        system.shutdown().await.expect("an orderly end");
        waits
    };
    let (one, again, other) = (waits(1).await, waits(1).await, waits(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert!(one.iter().zip([100, 200, 400, 400]).all(|(wait, most)| (most / 2..=most + 1).contains(wait)), "{one:?}");
}
