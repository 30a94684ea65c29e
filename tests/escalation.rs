//! Guarantee: a supervisor that restarts too often gives up and fails upwards; when the root gives up, readiness turns
//! false first, the outcome names the setting and the first cause, and nothing is left alive.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script};
use steadfast::{
    ChildSpec, EventKind, Intensity, Restart, ShutdownError, StartError, Strategy, SupervisorSpec, System, Verdict,
};

/// root > outer > inner > worker; each supervisor with a sibling of its own, so that something is stopped.
fn three_levels(log: &Log, intensities: [u32; 3]) -> SupervisorSpec {
    let [root, outer, inner] = intensities.map(Intensity::at_most);
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(inner)
        .child(Probe::spec("worker", log))
        .child(Probe::spec("beside", log));
    let outer = SupervisorSpec::new("outer", Strategy::OneForOne)
        .intensity(outer)
        .child(Probe::spec("beside", log))
        .child(ChildSpec::supervisor(inner));
    SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(root)
        .child(Probe::spec("beside", log))
        .child(ChildSpec::supervisor(outer))
}

fn crash_worker(system: &System) {
    Probe::at(system, "root/outer/inner/worker").tell(Order::Panic("boom")).expect("there is room");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_is_restarted_by_its_parent_with_all_its_children() {
    let log = Log::default();
    let system = System::start(three_levels(&log, [1, 1, 0])).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    crash_worker(&system);
    events.started("root/outer/inner", 2).await;
    assert_eq!(
        events.story(),
        [
            "dropped root/outer/inner/worker",
            "exited root/outer/inner/worker #1 panicked",
            "gave up root/outer/inner",
            "exited root/outer/inner/beside #1 shutdown",
            "exited root/outer/inner #1 shutdown",
            "starting root/outer/inner #2",
            "starting root/outer/inner/worker #2",
            "started root/outer/inner/worker #2",
            "starting root/outer/inner/beside #2",
            "started root/outer/inner/beside #2",
            "started root/outer/inner #2",
        ]
    );
    assert!(system.is_ready());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn when_the_root_gives_up_readiness_turns_false_before_anything_is_stopped() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(0))
        .child(Probe::scripted("slow", Script::new(&log).stop_takes(Duration::from_secs(3))))
        .child(Probe::spec("worker", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    assert!(system.is_ready());
    Probe::at(&system, "root/worker").tell(Order::Panic("boom")).expect("there is room");
    events.until(|event| matches!(event.kind, EventKind::GaveUp(_))).await;
    assert!(!system.is_ready());
    assert!(!system.alive().is_empty(), "it is still stopping its children");
    system.ended().await.expect_err("it gave up");
    assert!(!system.is_ready());
    assert_eq!(system.alive(), []);
}

#[tokio::test(start_paused = true)]
async fn the_outcome_names_the_setting_and_the_chain_down_to_the_first_cause() {
    let log = Log::default();
    let system = System::start(three_levels(&log, [0, 0, 0])).await.expect("the tree starts");
    let waiting = tokio::spawn({
        let system = system.clone();
        async move { system.run_until_signal().await }
    });
    crash_worker(&system);
    let gave_up = waiting.await.expect("no panic").expect_err("it gave up");
    assert_eq!(
        gave_up.to_string(),
        "`root` gave up: more than 0 restarts in 5s (intensity); child `outer` gave up: more than 0 restarts in 5s \
         (intensity); child `inner` gave up: more than 0 restarts in 5s (intensity); child `worker` panicked: boom. To \
         keep it up: mend what ends `worker`; or allow more with `intensity`, let its restarts wait with `backoff`, or \
         give it a `budget` of its own, so that its siblings carry on"
    );
    assert_eq!(system.ended().await.expect_err("it gave up").to_string(), gave_up.to_string());
    let ShutdownError::GaveUp(again) = system.shutdown().await.expect_err("it gave up") else { panic!("it gave up") };
    assert_eq!(again.to_string(), gave_up.to_string());
    assert_eq!(ShutdownError::from(again).to_string(), gave_up.to_string(), "whoever only prints it learns it too");
    assert_eq!(system.alive(), []);
}

#[tokio::test(start_paused = true)]
async fn restarts_count_within_the_window_and_not_beyond_it() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(2).within(Duration::from_secs(10)))
        .child(Probe::spec("worker", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    for life in 2..12 {
        Probe::at(&system, "root/worker").tell(Order::Panic("boom")).expect("there is room");
        events.started("root/worker", life).await;
        // Not to wait for an effect: time must pass for the window to slide.
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    assert!(system.is_ready());
    for _ in 0..3 {
        Probe::at(&system, "root/worker").tell(Order::Panic("boom")).expect("there is room");
    }
    let gave_up = system.ended().await.expect_err("it gave up");
    assert!(gave_up.to_string().contains("more than 2 restarts in 10s (intensity)"), "{gave_up}");
}

#[tokio::test(start_paused = true)]
async fn a_transient_supervisor_that_gives_up_is_not_restarted_and_its_whole_subtree_refuses() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(0))
        .child(Probe::spec("worker", &log))
        .child(Probe::spec("beside", &log));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::supervisor(inner).restart(Restart::Transient));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let beside = Probe::at(&system, "root/inner/beside");
    Probe::at(&system, "root/inner/worker").tell(Order::Panic("boom")).expect("there is room");
    let exit = events.exit("root/inner").await;
    assert_eq!((exit.reason.kind(), exit.verdict), ("shutdown", Verdict::Kept));
    events.until(|event| event.path.as_str() == "root/inner" && matches!(event.kind, EventKind::Resting)).await;
    let refused = beside.ask(Order::Which).await.expect_err("nobody comes back there");
    assert_eq!(refused.to_string(), "`root/inner/beside` is not running and no restart of it is coming");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_nested_child_that_does_not_start_is_named_by_its_path_and_nothing_stays_up() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(Probe::spec("fine", &log))
        .child(Probe::scripted("broken", Script::new(&log).start(|_| Err("no licence".into()))));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(Probe::spec("first", &log))
        .child(ChildSpec::supervisor(inner))
        .child(Probe::spec("never", &log));
    let error = System::start(spec).await.expect_err("a child does not start");
    assert!(matches!(error, StartError::Child { .. }));
    assert_eq!(error.to_string(), "`root/inner/broken` did not start: no licence");
    assert_eq!(
        log.take(),
        [
            "start root/first #1",
            "start root/inner/fine #1",
            "start root/inner/broken #1",
            "stop root/inner/fine #1",
            "gone root/inner/fine #1",
            "stop root/first #1",
            "gone root/first #1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_start_is_a_failed_start() {
    let log = Log::default();
    let broken = Script::new(&log).start(|_| panic!("no licence"));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::scripted("broken", broken));
    let error = System::start(spec).await.expect_err("a child does not start");
    assert_eq!(error.to_string(), "`root/broken` panicked: no licence");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_in_a_restart_is_tried_again_and_counts() {
    let log = Log::default();
    let flaky = Script::new(&log).start(|life| if life.get() == 2 { Err("not yet".into()) } else { Ok(()) });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(2))
        .child(Probe::scripted("flaky", flaky));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/flaky").tell(Order::Panic("boom")).expect("there is room");
    events.started("root/flaky", 3).await;
    assert_eq!(
        events.story(),
        [
            "dropped root/flaky",
            "exited root/flaky #1 panicked",
            "starting root/flaky #2",
            "exited root/flaky #2 start_failed",
            "starting root/flaky #3",
            "started root/flaky #3",
        ]
    );
    Probe::at(&system, "root/flaky").tell(Order::Panic("boom")).expect("there is room");
    let gave_up = system.ended().await.expect_err("the failed start was the second restart");
    assert!(gave_up.to_string().contains("more than 2 restarts in 5s (intensity)"), "{gave_up}");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_with_a_limit_of_failed_starts_gives_up_at_it_however_high_its_intensity() {
    let log = Log::default();
    let broken = Script::new(&log).start(|life| if life.get() > 1 { Err("no disk".into()) } else { Ok(()) });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(1_000))
        .failed_starts(3)
        .child(Probe::scripted("broken", broken));
    let system = System::start(spec).await.expect("the tree starts");
    Probe::at(&system, "root/broken").tell(Order::Panic("boom")).expect("there is room");
    let gave_up = system.ended().await.expect_err("it cannot start");
    assert_eq!(
        gave_up.to_string(),
        "`root` gave up: 3 failed starts in a row (failed_starts); child `broken` did not start: no disk. To keep it up: \
         mend what ends `broken`; or allow more with `failed_starts`, let its restarts wait with `backoff`, or give it a \
         `budget` of its own that runs out before, so that its siblings carry on"
    );
    assert_eq!(system.alive(), []);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_factory_of_a_child_costs_the_child_and_not_its_supervisor() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static MADE: AtomicUsize = AtomicUsize::new(0);
    struct Plain;
    impl ractor::Actor for Plain {
        type Msg = ();
        type State = ();
        type Arguments = ();
        async fn pre_start(&self, _: ractor::ActorRef<()>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
            Ok(())
        }
    }
    let make = || {
        assert!(MADE.fetch_add(1, Ordering::SeqCst) != 1, "the second one is broken");
        (Plain, ())
    };
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(2))
        .child(ChildSpec::actor::<Plain, _>("plain", make));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    system.actor::<()>("root/plain").expect("an actor").kill();
    events.started("root/plain", 3).await;
    assert_eq!(
        events.story(),
        [
            "exited root/plain #1 killed",
            "starting root/plain #2",
            "exited root/plain #2 panicked",
            "starting root/plain #3",
            "started root/plain #3",
        ]
    );
    system.shutdown().await.expect("an orderly end");
}
