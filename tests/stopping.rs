//! Guarantee: a tree ends in order, leaf first; a child that does not end in its time is killed, and says so; the end
//! is complete when `shutdown` returns.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock, settled};
use steadfast::{ChildSpec, Shutdown, Strategy, SupervisorSpec, System};

const SECOND: Duration = Duration::from_secs(1);

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne)
}

#[tokio::test(start_paused = true)]
async fn a_tree_stops_leaf_first_in_reverse_and_every_stop_hook_runs() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(Probe::spec("x", &log))
        .child(Probe::scripted("slow", Script::new(&log).stop_takes(2 * SECOND)));
    let spec = root().child(Probe::spec("a", &log)).child(ChildSpec::supervisor(inner)).child(Probe::spec("b", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let _ = log.take();
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(clock.elapsed(), 2 * SECOND);
    assert_eq!(
        log.take(),
        [
            "stop root/b #1",
            "gone root/b #1",
            "stop root/inner/slow #1",
            "gone root/inner/slow #1",
            "stop root/inner/x #1",
            "gone root/inner/x #1",
            "stop root/a #1",
            "gone root/a #1",
        ]
    );
    let exits: Vec<_> = events.story().into_iter().filter(|line| line.starts_with("exited root")).collect();
    assert_eq!(
        exits,
        [
            "exited root/b #1 shutdown",
            "exited root/inner/slow #1 shutdown",
            "exited root/inner/x #1 shutdown",
            "exited root/inner #1 shutdown",
            "exited root/a #1 shutdown",
            "exited root #1 shutdown",
        ]
    );
    assert_eq!(system.alive(), []);
}

/// Shuts down a tree whose only child got this order, and returns how long that took, how the child ended, its log.
async fn stop_after(order: Order, shutdown: Shutdown, stop_takes: Duration) -> (Duration, &'static str, Vec<String>) {
    let log = Log::default();
    let child = Probe::scripted("child", Script::new(&log).stop_takes(stop_takes)).shutdown(shutdown);
    let system = System::start(root().child(child)).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/child").tell(order).expect("there is room");
    settled().await;
    let _ = log.take();
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    let took = clock.elapsed();
    let exit = events.exit("root/child").await;
    assert_eq!(system.alive(), []);
    (took, exit.reason.kind(), log.take())
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_the_stop_is_killed_exactly_at_its_deadline_without_a_stop_hook() {
    let (took, reason, log) = stop_after(Order::Hang, Shutdown::Within(3 * SECOND), Duration::ZERO).await;
    assert_eq!((took, reason), (3 * SECOND, "killed"));
    assert_eq!(log, ["gone root/child #1"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_is_given_five_seconds_when_its_spec_does_not_say() {
    let log = Log::default();
    let system = System::start(root().child(Probe::spec("child", &log))).await.expect("the tree starts");
    Probe::at(&system, "root/child").tell(Order::Hang).expect("there is room");
    settled().await;
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(clock.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_killed_at_once_runs_no_stop_hook() {
    let (took, reason, log) = stop_after(Order::Echo(1), Shutdown::Kill, SECOND).await;
    assert_eq!((took, reason), (Duration::ZERO, "killed"));
    assert_eq!(log, ["gone root/child #1"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_stop_hook_hangs_is_killed_at_its_deadline_and_reads_killed() {
    let (took, reason, log) = stop_after(Order::Echo(1), Shutdown::Within(SECOND), Duration::from_hours(1)).await;
    assert_eq!((took, reason), (SECOND, "killed"));
    assert_eq!(log, ["stop root/child #1", "gone root/child #1"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_waited_for_may_take_as_long_as_it_likes() {
    let hour = Duration::from_hours(1);
    let (took, reason, _) = stop_after(Order::Echo(1), Shutdown::Wait, hour).await;
    assert_eq!((took, reason), (hour, "shutdown"));
}

#[tokio::test(start_paused = true)]
async fn a_running_handler_is_finished_before_the_stop_and_what_waits_behind_it_is_not_begun() {
    let log = Log::default();
    let system = System::start(root().child(Probe::spec("child", &log))).await.expect("the tree starts");
    let child = Probe::at(&system, "root/child");
    let running = tokio::spawn({
        let child = child.clone();
        async move { child.ask(Order::Wait(SECOND)).await }
    });
    settled().await;
    let behind = tokio::spawn(async move { child.ask(Order::Echo(1)).await });
    settled().await;
    let _ = log.take();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(log.take(), ["stop root/child #1", "gone root/child #1"]);
    running.await.expect("no panic").expect("its handler finished");
    let refused = behind.await.expect("no panic").expect_err("nobody handles it any more");
    assert_eq!(refused.to_string(), "`root/child` is not running and no restart of it is coming");
}

#[tokio::test(start_paused = true)]
async fn a_stop_hook_that_panics_is_how_the_life_ended_and_does_not_hold_up_the_end() {
    let log = Log::default();
    let system =
        System::start(root().child(Panicky::spec()).child(Probe::spec("b", &log))).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    system.shutdown().await.expect("an orderly end");
    assert_eq!(events.exit("root/panicky").await.reason.to_string(), "panicked: in its stop hook");
    assert_eq!(system.alive(), []);
}

struct Panicky;

impl Panicky {
    fn spec() -> steadfast::AgentSpec<Self> {
        ChildSpec::agent::<Self>("panicky", ())
    }
}

impl steadfast::Agent for Panicky {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), _: &mut steadfast::Context<Self>) -> Result<Self, steadfast::BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut steadfast::Context<Self>) -> Result<(), steadfast::BoxError> {
        Ok(())
    }

    async fn stop(&mut self, _: &steadfast::ExitReason, _: &mut steadfast::Context<Self>) {
        panic!("in its stop hook");
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_down_twice_or_at_once_from_two_sides_ends_well_for_each() {
    let log = Log::default();
    let slow = Probe::scripted("slow", Script::new(&log).stop_takes(SECOND));
    let system = System::start(root().child(slow)).await.expect("the tree starts");
    let (first, second) = tokio::join!(system.shutdown(), system.shutdown());
    first.and(second).expect("an orderly end");
    system.shutdown().await.expect("it has ended already");
    system.ended().await.expect("it has ended already");
    assert_eq!(log.lines().iter().filter(|line| line.starts_with("stop")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_dropped_ends_the_system_all_the_same() {
    let log = Log::default();
    let slow = Probe::scripted("slow", Script::new(&log).stop_takes(SECOND));
    let system = System::start(root().child(slow)).await.expect("the tree starts");
    tokio::time::timeout(SECOND / 2, system.shutdown()).await.expect_err("it takes longer");
    system.ended().await.expect("an orderly end");
    assert_eq!(system.alive(), []);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_waits_for_any_more_is_stopped_again() {
    let log = Log::default();
    let spec = root()
        .child(Probe::spec("first", &log))
        .child(Probe::scripted("slow", Script::new(&log).start_takes(2 * SECOND)))
        .child(Probe::spec("never", &log));
    tokio::time::timeout(SECOND, System::start(spec)).await.expect_err("it takes longer");
    // Nothing is left to wait for it with; the clock moves only once everybody waits.
    tokio::time::sleep(10 * SECOND).await;
    let story = log.take();
    assert_eq!(story[..2], ["start root/first #1", "start root/slow #1"]);
    assert_eq!(story[story.len() - 2..], ["stop root/first #1", "gone root/first #1"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_a_child_is_being_restarted_waits_for_its_start_and_stops_it() {
    let log = Log::default();
    let system = System::start(root().child(Probe::scripted("slow", Script::new(&log).start_takes(2 * SECOND))))
        .await
        .expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/slow").tell(Order::Panic("boom")).expect("there is room");
    events.exit("root/slow").await;
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(clock.elapsed(), 2 * SECOND);
    assert_eq!(
        events.story()[..5],
        [
            "dropped root/slow",
            "exited root/slow #1 panicked",
            "starting root/slow #2",
            "ending root",
            "started root/slow #2"
        ]
    );
    assert_eq!(system.alive(), []);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_stops_itself_while_it_starts_ends_once_it_has_started() {
    let log = Log::default();
    let spec = root().child(ChildSpec::agent::<Brief>("brief", log.clone()).restart(steadfast::Restart::Temporary));
    let system = System::start(spec).await.expect("the tree starts");
    assert_eq!(log.take(), ["stopped"]);
    assert_eq!(system.state("root/brief").expect("a child").to_string(), "terminated: ended normally");
    system.shutdown().await.expect("an orderly end");
}

struct Brief(Log);

impl steadfast::Agent for Brief {
    type Args = Log;
    type Message = ();
    type Reply = ();

    async fn start(log: Log, ctx: &mut steadfast::Context<Self>) -> Result<Self, steadfast::BoxError> {
        ctx.stop(steadfast::ExitReason::Normal);
        Ok(Self(log))
    }

    async fn handle(&mut self, (): (), _: &mut steadfast::Context<Self>) -> Result<(), steadfast::BoxError> {
        Ok(())
    }

    async fn stop(&mut self, _: &steadfast::ExitReason, _: &mut steadfast::Context<Self>) {
        self.0.write("stopped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_over_its_deadline_kills_its_children_and_reads_killed() {
    let log = Log::default();
    let stuck = Probe::scripted("stuck", Script::new(&log).stop_takes(1000 * SECOND)).shutdown(Shutdown::Wait);
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne).child(Probe::spec("x", &log)).child(stuck);
    let inner = ChildSpec::supervisor(inner).shutdown(Shutdown::Within(3 * SECOND));
    let system = System::start(root().child(inner)).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(clock.elapsed(), 3 * SECOND);
    let exits: Vec<_> = events.story().into_iter().filter(|line| line.starts_with("exited root/")).collect();
    assert_eq!(
        exits,
        ["exited root/inner/stuck #1 killed", "exited root/inner/x #1 killed", "exited root/inner #1 killed"]
    );
}

#[tokio::test(start_paused = true)]
async fn rule_54_a_killed_supervisor_is_replaced_only_once_all_below_it_are_gone() {
    let log = Log::default();
    let slow = Probe::scripted("slow", Script::new(&log).stop_takes(2 * SECOND));
    let deep = SupervisorSpec::new("deep", Strategy::OneForOne).child(slow);
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(Probe::spec("x", &log))
        .child(ChildSpec::supervisor(deep));
    let system = System::start(root().child(ChildSpec::supervisor(inner))).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let _ = log.take();
    let clock = VirtualClock::new();
    system.kill("root/inner").expect("it is there");
    events.started("root/inner", 2).await;
    assert_eq!(clock.elapsed(), 2 * SECOND);
    assert_eq!(
        log.take(),
        [
            "stop root/inner/deep/slow #1",
            "gone root/inner/x #1",
            "gone root/inner/deep/slow #1",
            "start root/inner/x #2",
            "start root/inner/deep/slow #2",
        ],
        "the worker is killed, and what is below the nested supervisor ends in order"
    );
    let exits: Vec<_> = events.story().into_iter().filter(|line| line.starts_with("exited root/")).collect();
    assert_eq!(
        exits,
        [
            "exited root/inner/x #1 killed",
            "exited root/inner/deep/slow #1 shutdown",
            "exited root/inner/deep #1 killed",
            "exited root/inner #1 killed",
        ]
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_time_is_no_deadline() {
    let log = Log::default();
    let child = Probe::spec("child", &log).shutdown(Shutdown::Within(Duration::MAX)).handler_deadline(Duration::MAX);
    let system = System::start(root().child(child)).await.expect("the tree starts");
    let child = Probe::at(&system, "root/child");
    assert_eq!(child.ask_within(Order::Wait(SECOND), Duration::MAX).await.ok(), Some(0));
    system.shutdown().await.expect("an orderly end");
}
