//! Guarantee: a child with an intensity of its own is quarantined when it runs out; its siblings and its supervisor's
//! own intensity are not touched, and somebody who asks brings it back.

use steadfast::testing::{Log, Order, Probe, Recorder};
use steadfast::{ChildState, Incarnation, Intensity, RequestError, Strategy, SupervisorSpec, System, Verdict};

async fn tree(strategy: Strategy, log: &Log) -> (System, Recorder) {
    let spec = SupervisorSpec::new("root", strategy)
        .intensity(Intensity::at_most(1))
        .child(Probe::spec("a", log))
        .child(Probe::spec("b", log).budget(Intensity::at_most(3)));
    let system = System::start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

async fn crash(system: &System, events: &mut Recorder, path: &str) -> Verdict {
    Probe::at(system, path).tell(Order::Panic("boom")).expect("there is room");
    events.exit(path).await.verdict
}

async fn use_up(system: &System, events: &mut Recorder) {
    for number in 2..=4 {
        assert!(matches!(crash(system, events, "root/b").await, Verdict::Restarting(_)));
        events.started("root/b", number).await;
    }
    assert!(matches!(crash(system, events, "root/b").await, Verdict::Quarantined(_)));
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_budget_runs_out_is_quarantined_and_its_siblings_carry_on() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    use_up(&system, &mut events).await;
    assert!(system.is_ready());
    assert_eq!(Probe::at(&system, "root/a").ask(Order::Which).await.expect("it carries on"), 1);
    let children = system.supervisor("root").expect("it is one").which_children().await.expect("it answers");
    assert_eq!(children[1].state, ChildState::Quarantined);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_child_in_quarantine() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    use_up(&system, &mut events).await;
    let refused = Probe::at(&system, "root/b").ask(Order::Which).await;
    assert!(matches!(refused, Err(RequestError::Gone { .. })), "{refused:?}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_supervisors_own_intensity_is_not_charged() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    use_up(&system, &mut events).await;
    let used = system.snapshot().roots[0].used;
    assert_eq!((used.count, used.limit.max), (0, 1));
    assert!(matches!(crash(&system, &mut events, "root/a").await, Verdict::Restarting(_)));
    assert_eq!(crash(&system, &mut events, "root/a").await, Verdict::GaveUp);
    system.ended().await.expect_err("it gave up");
}

#[tokio::test(start_paused = true)]
async fn whoever_restarts_a_child_in_quarantine_gives_it_a_new_budget() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    use_up(&system, &mut events).await;
    let back = system.supervisor("root").expect("it is one").restart_child("b").await.expect("it starts");
    assert_eq!(back.incarnation.map(Incarnation::get), Some(5));
    assert!(matches!(crash(&system, &mut events, "root/b").await, Verdict::Restarting(tally) if tally.count == 1));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_child_in_quarantine_is_not_started_with_its_group() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForAll, &log).await;
    use_up(&system, &mut events).await;
    let _ = log.take();
    crash(&system, &mut events, "root/a").await;
    events.started("root/a", 5).await;
    assert_eq!(log.take(), ["got root/a #4 panic", "gone root/a #4", "start root/a #5"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_names_the_setting_the_number_and_the_remedy_wherever_it_is_read() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    use_up(&system, &mut events).await;
    let told = "quarantined: its `budget` allows 3 restarts in 5s, and this would be number 4; mend what ends it, or allow \
                more, and bring it back with `restart_child`";
    let history = system.history("root/b").expect("it is there").to_string();
    assert!(history.ends_with(&format!("panicked: boom; {told}")), "{history}");
    let snapshot = system.snapshot().to_string();
    assert!(snapshot.contains("4 with 3 in 5s allowed (budget)"), "{snapshot}");
    system.shutdown().await.expect("an orderly end");
}
