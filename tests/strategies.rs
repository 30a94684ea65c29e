//! Guarantee: a strategy restarts the children it names, stops them in reverse and starts them in order, and leaves the
//! others alone.

use steadfast::testing::{Log, Order, Probe, Recorder};
use steadfast::{ChildSpec, Incarnation, Intensity, Restart, Strategy, SupervisorSpec, System};

async fn tree(strategy: Strategy, log: &Log) -> (System, Recorder) {
    let spec = ["a", "b", "c"]
        .into_iter()
        .fold(SupervisorSpec::new("root", strategy).intensity(Intensity::at_most(10)), |spec, name| {
            spec.child(Probe::spec(name, log))
        });
    let system = System::start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

fn crash(system: &System, path: &str) {
    Probe::at(system, path).tell(Order::Panic("boom")).expect("there is room");
}

fn incarnations(system: &System) -> [Option<u64>; 3] {
    ["a", "b", "c"].map(|name| Probe::at(system, &format!("root/{name}")).incarnation().map(Incarnation::get))
}

#[tokio::test(start_paused = true)]
async fn children_start_in_the_order_of_the_spec_and_stop_in_reverse() {
    let log = Log::default();
    let (system, _) = tree(Strategy::OneForOne, &log).await;
    assert_eq!(log.take(), ["start root/a #1", "start root/b #1", "start root/c #1"]);
    system.shutdown().await.expect("an orderly end");
    assert_eq!(
        log.take(),
        ["stop root/c #1", "gone root/c #1", "stop root/b #1", "gone root/b #1", "stop root/a #1", "gone root/a #1"]
    );
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_the_child_that_ended_and_no_other() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForOne, &log).await;
    let _ = log.take();
    crash(&system, "root/b");
    events.started("root/b", 2).await;
    assert_eq!(
        events.story(),
        ["dropped root/b", "exited root/b #1 panicked", "starting root/b #2", "started root/b #2"]
    );
    assert_eq!(log.take(), ["got root/b #1 panic", "gone root/b #1", "start root/b #2"]);
    assert_eq!(incarnations(&system), [Some(1), Some(2), Some(1)]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_the_others_last_first_and_starts_all_first_first() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::OneForAll, &log).await;
    let _ = log.take();
    crash(&system, "root/b");
    events.started("root/c", 2).await;
    assert_eq!(
        events.story(),
        [
            "dropped root/b",
            "exited root/b #1 panicked",
            "exited root/c #1 shutdown",
            "exited root/a #1 shutdown",
            "starting root/a #2",
            "started root/a #2",
            "starting root/b #2",
            "started root/b #2",
            "starting root/c #2",
            "started root/c #2",
        ]
    );
    assert_eq!(
        log.take(),
        [
            "got root/b #1 panic",
            "gone root/b #1",
            "stop root/c #1",
            "gone root/c #1",
            "stop root/a #1",
            "gone root/a #1",
            "start root/a #2",
            "start root/b #2",
            "start root/c #2",
        ]
    );
    assert_eq!(system.restarts().total, 3);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_child_and_those_after_it_and_leaves_those_before_it() {
    let log = Log::default();
    let (system, mut events) = tree(Strategy::RestForOne, &log).await;
    crash(&system, "root/b");
    events.started("root/c", 2).await;
    assert_eq!(
        events.story(),
        [
            "dropped root/b",
            "exited root/b #1 panicked",
            "exited root/c #1 shutdown",
            "starting root/b #2",
            "started root/b #2",
            "starting root/c #2",
            "started root/c #2",
        ]
    );
    assert_eq!(incarnations(&system), [Some(1), Some(2), Some(2)]);

    events.forget();
    crash(&system, "root/c");
    events.started("root/c", 3).await;
    assert_eq!(
        events.story(),
        ["dropped root/c", "exited root/c #2 panicked", "starting root/c #3", "started root/c #3"]
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_that_is_stopped_with_its_group_does_not_come_back() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .child(Probe::spec("passing", &log).restart(Restart::Temporary))
        .child(Probe::spec("staying", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    crash(&system, "root/staying");
    events.started("root/staying", 2).await;
    assert_eq!(
        events.story(),
        [
            "dropped root/staying",
            "exited root/staying #1 panicked",
            "exited root/passing #1 shutdown",
            "closed root/passing",
            "starting root/staying #2",
            "started root/staying #2",
        ]
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_is_restarted_with_its_whole_group_in_order() {
    let log = Log::default();
    let inner =
        SupervisorSpec::new("inner", Strategy::OneForOne).child(Probe::spec("x", &log)).child(Probe::spec("y", &log));
    let spec = SupervisorSpec::new("root", Strategy::RestForOne)
        .child(Probe::spec("first", &log))
        .child(ChildSpec::supervisor(inner));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let _ = log.take();
    crash(&system, "root/first");
    events.started("root/inner", 2).await;
    assert_eq!(
        log.take(),
        [
            "got root/first #1 panic",
            "gone root/first #1",
            "stop root/inner/y #1",
            "gone root/inner/y #1",
            "stop root/inner/x #1",
            "gone root/inner/x #1",
            "start root/first #2",
            "start root/inner/x #2",
            "start root/inner/y #2",
        ]
    );
    system.shutdown().await.expect("an orderly end");
}
