//! Guarantee: a lazy agent has no life until a message comes, is put to rest when it had nothing to do for its time, and
//! nothing is lost in between; to its supervisor it is a running child all along.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock, settled};
use steadfast::{
    AgentSpec, AgentState, Capability, ChildError, ChildSpec, ControlError, Intensity, RequestError, Restart,
    StateName, Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(10);

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(3))
}

async fn with(child: AgentSpec<Probe>) -> System {
    System::start(root().child(child.lazy(IDLE))).await.expect("the tree starts")
}

#[tokio::test(start_paused = true)]
async fn nobody_is_there_until_the_first_message_which_is_handled() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    tokio::time::sleep(100 * IDLE).await;
    assert_eq!((system.incarnation("root/a"), log.take()), (None, vec![]));
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Echo(1)).expect("it is taken");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 1);
    assert_eq!(log.take(), ["start root/a #1", "got root/a #1 echo 1", "got root/a #1 which"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn it_is_put_to_rest_exactly_when_it_had_nothing_to_do_for_its_time_and_that_is_no_restart() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    let mut events = Recorder::of(&system);
    for life in 1..=20 {
        assert_eq!(agent.ask(Order::Which).await.expect("a reply"), life);
        tokio::time::sleep(6 * SECOND).await;
        assert_eq!(agent.ask(Order::Which).await.expect("a reply"), life, "it was not idle for its time");
        let clock = VirtualClock::new();
        let rests = |line: &str| line.starts_with("dozing");
        events.until(|event| matches!(event.kind, steadfast::EventKind::Dozing { .. })).await;
        assert_eq!(clock.elapsed(), IDLE);
        assert_eq!(system.incarnation("root/a"), None);
        assert_eq!(events.story().iter().filter(|line| rests(line)).count(), 1);
        events.forget();
    }
    assert_eq!(system.restarts().total, 0);
    assert!(log.lines().contains(&"stop root/a #20".to_owned()), "its stop hook runs");
    assert!(system.history("root/a").expect("it is known").entries().next().is_none(), "being put to rest is no exit");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_has_a_task_or_a_long_handler_is_not_put_to_rest() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    let task = Order::run(|ctx| {
        ctx.spawn(async { tokio::time::sleep(5 * IDLE).await });
        Box::pin(async { Ok(0) })
    });
    agent.ask(task).await.expect("a reply");
    agent.ask_within(Order::Wait(2 * IDLE), 10 * IDLE).await.expect("a reply");
    tokio::time::sleep(2 * IDLE).await;
    assert_eq!(system.incarnation("root/a").map(steadfast::Incarnation::get), Some(1));
    tokio::time::sleep(4 * IDLE).await;
    assert_eq!(system.incarnation("root/a"), None, "its task is over");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_it_is_put_to_rest_are_handled_by_the_next_life() {
    let log = Log::default();
    let system = with(Probe::scripted("a", Script::new(&log).stop_takes(3 * SECOND).start_takes(SECOND))).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(Order::Which).await.expect("a reply");
    // In the middle of its stop hook.
    tokio::time::sleep(IDLE + SECOND).await;
    assert!(log.lines().contains(&"stop root/a #1".to_owned()));
    for number in 1..=3 {
        agent.tell(Order::Echo(number)).expect("it waits");
    }
    assert_eq!(agent.ask_within(Order::Which, 60 * SECOND).await.expect("a reply"), 2);
    let got: Vec<_> = log.take().into_iter().filter(|line| line.starts_with("got root/a #2")).collect();
    assert_eq!(got[..3], ["got root/a #2 echo 1", "got root/a #2 echo 2", "got root/a #2 echo 3"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_a_restart_as_of_any_child_and_nobody_is_started_where_nothing_waits() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(Order::Panic("boom")).await.expect_err("it crashes");
    settled().await;
    assert_eq!((system.restarts().total, system.incarnation("root/a")), (1, None));
    // What waits behind the crash has the next life started at once.
    agent.tell(Order::Panic("boom")).and(agent.tell(Order::Echo(7))).expect("there is room");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 3);
    for _ in 0..2 {
        agent.tell(Order::Panic("boom")).expect("there is room");
    }
    system.ended().await.expect_err("one crash too many");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_when_a_message_comes_is_a_failure_of_the_child() {
    let log = Log::default();
    let script = Script::new(&log).start(|life| if life.get() < 3 { Err("not yet".into()) } else { Ok(()) });
    let system = with(Probe::scripted("a", script)).await;
    let agent = Probe::at(&system, "root/a");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 3, "the message waits for a life that starts");
    assert_eq!(system.restarts().total, 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn at_rest_it_is_stopped_at_once_and_can_be_started_and_forgotten_as_any_child() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let supervisor = system.supervisor("root").expect("it is there");
    let agent = Probe::at(&system, "root/a");
    let clock = VirtualClock::new();
    supervisor.terminate_child("a").await.expect("it ends");
    assert_eq!((clock.elapsed(), log.take()), (Duration::ZERO, vec![]));
    let gone = agent.ask(Order::Which).await.expect_err("it was stopped");
    assert!(matches!(gone, RequestError::Gone { .. }), "{gone}");
    supervisor.restart_child("a").await.expect("it starts");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 1);
    supervisor.terminate_child("a").await.expect("it ends");
    supervisor.delete_child("a").await.expect("it is forgotten");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_group_restart_and_a_new_supervisor_leave_it_at_rest_and_reachable() {
    let log = Log::default();
    let below = SupervisorSpec::new("group", Strategy::OneForAll)
        .child(Probe::spec("a", &log).lazy(IDLE))
        .child(Probe::spec("b", &log));
    let system = System::start(root().child(ChildSpec::supervisor(below))).await.expect("the tree starts");
    let (lazy, other) = (Probe::at(&system, "root/group/a"), Probe::at(&system, "root/group/b"));
    other.ask(Order::Panic("boom")).await.expect_err("it crashes");
    assert_eq!(other.ask(Order::Which).await.expect("a reply"), 2);
    // Its supervisor gives up, and the next one knows the slot.
    system.kill("root/group").expect("it is there");
    assert_eq!(other.ask(Order::Which).await.expect("a reply"), 3);
    assert_eq!(system.incarnation("root/group/a"), None);
    assert_eq!(lazy.ask(Order::Which).await.expect("a reply"), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn it_can_be_found_and_chosen_before_it_ever_ran_and_keeps_what_it_hands_over() {
    const COUNT: Capability<u64, u64> = Capability::new("test.count", "1.0.0");
    let system =
        System::start(root().child(ChildSpec::serve("counter", COUNT, |_, n| async move { Ok(n + 1) }).lazy(IDLE)))
            .await
            .expect("the tree starts");
    assert_eq!(system.providers(&COUNT).len(), 1);
    let decision = system.route(&COUNT).build().expect("a route").choose().expect("somebody");
    assert_eq!(decision.chosen.as_str(), "root/counter");
    assert_eq!(system.incarnation("root/counter"), None, "choosing starts nobody");
    for n in 1..=3 {
        assert_eq!(system.ask(&COUNT, n).await.expect("a reply"), n + 1);
        tokio::time::sleep(IDLE + SECOND).await;
        assert_eq!(system.incarnation("root/counter"), None);
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_by_itself_ends_as_any_child() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log).restart(Restart::Transient)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(Order::Stop(steadfast::ExitReason::Normal)).await.expect("a reply");
    settled().await;
    let gone = agent.ask(Order::Which).await.expect_err("it is done");
    assert!(matches!(gone, RequestError::Gone { .. }), "{gone}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_one_is_not_put_to_rest_and_one_at_rest_cannot_be_suspended() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let error = system.suspend("root/a").await.expect_err("nobody is there");
    assert!(matches!(error, ControlError::NotRunning { .. }), "{error}");
    Probe::at(&system, "root/a").ask(Order::Which).await.expect("a reply");
    system.suspend("root/a").await.expect("it is active");
    tokio::time::sleep(10 * IDLE).await;
    assert!(matches!(system.state("root/a"), Ok(AgentState::Suspended { .. })));
    system.resume("root/a").await.expect("it is suspended");
    tokio::time::sleep(2 * IDLE).await;
    assert_eq!(system.state("root/a").expect("it is known").name(), StateName::Terminated);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn it_has_its_whole_time_after_a_long_handler_and_after_a_task() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    let mut events = Recorder::of(&system);
    agent.ask_within(Order::Wait(2 * IDLE), 10 * IDLE).await.expect("a reply");
    let clock = VirtualClock::new();
    events.until(|event| matches!(event.kind, steadfast::EventKind::Dozing { .. })).await;
    assert_eq!(clock.elapsed(), IDLE, "a handler");
    let task = Order::run(|ctx| {
        ctx.spawn(async { tokio::time::sleep(IDLE + 5 * SECOND).await });
        Box::pin(async { Ok(0) })
    });
    agent.ask(task).await.expect("a reply");
    let clock = VirtualClock::new();
    events.until(|event| matches!(event.kind, steadfast::EventKind::Dozing { .. })).await;
    assert!((2 * IDLE + 5 * SECOND..4 * IDLE).contains(&clock.elapsed()), "{:?}", clock.elapsed());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_says_that_there_is_nothing_to_run_leaves_it_stopped_and_who_asked_is_told() {
    let log = Log::default();
    let system = with(Probe::scripted("a", Script::new(&log).start(|_| Err(steadfast::Ignore.into())))).await;
    let agent = Probe::at(&system, "root/a");
    let error = agent.ask(Order::Which).await.expect_err("there is nothing to run");
    assert!(matches!(error, RequestError::Gone { .. }), "{error}");
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_when_a_message_comes_fails_at_its_deadline() {
    let log = Log::default();
    let script = Script::new(&log).start_takes(1000 * SECOND);
    let system = with(Probe::scripted("a", script).start_deadline(SECOND)).await;
    let mut events = Recorder::of(&system);
    let clock = VirtualClock::new();
    Probe::at(&system, "root/a").tell(Order::Which).expect("it waits");
    events.exit("root/a").await;
    assert_eq!(clock.elapsed(), SECOND);
    system.ended().await.expect_err("no start ever succeeds");
}

#[tokio::test(start_paused = true)]
async fn what_it_offers_can_be_changed_while_it_is_at_rest() {
    const COUNT: Capability<u64, u64> = Capability::new("test.count", "1.0.0");
    const MORE: Capability<u64, u64> = Capability::new("test.more", "1.0.0");
    let system =
        System::start(root().child(ChildSpec::serve("counter", COUNT, |_, n| async move { Ok(n + 1) }).lazy(IDLE)))
            .await
            .expect("the tree starts");
    system.deregister("root/counter", &COUNT).await.expect("it offers that");
    assert_eq!(system.providers(&COUNT).len(), 0);
    let agent = system.agent::<steadfast::Served<u64, u64>>("root/counter").expect("it is there");
    system.register(&agent, &MORE).await.expect("it may");
    assert_eq!(system.incarnation("root/counter"), None, "nobody was started for it");
    assert_eq!(system.ask(&MORE, 1).await.expect("a reply"), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_would_return_when_its_agent_dies_waits_where_the_agent_is_put_to_rest() {
    const SLOW: Capability<u64, u64> = Capability::new("test.slow", "1.0.0");
    let hook = |_, _| async {
        tokio::time::sleep(2 * SECOND).await;
        Ok(())
    };
    let leaving = steadfast::lifecycle::hook::On::Entering(StateName::Draining);
    let counter = ChildSpec::serve("counter", SLOW, |_, n| async move { Ok(n + 1) });
    let system = System::start(root().child(counter.lazy(IDLE).hook_before("slow", leaving, hook))).await;
    let system = system.expect("the tree starts");
    let route = system.route(&SLOW).at_death(steadfast::AtDeath::Return).build().expect("a route");
    assert_eq!(route.ask(1).await.expect("a reply"), 2);
    tokio::time::sleep(IDLE + SECOND).await;
    assert_eq!(
        system.state("root/counter").expect("it is known").name(),
        StateName::Active,
        "it is on its way to rest"
    );
    assert_eq!(route.ask(2).await.expect("a reply"), 3);
    assert_eq!(system.incarnation("root/counter").map(steadfast::Incarnation::get), Some(2));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_lazy_task_is_refused_before_anything_starts() {
    let task = ChildSpec::task("once", |_| async { Ok(()) }).lazy(IDLE);
    let error = System::start(root().child(task)).await.expect_err("nobody could start it");
    assert!(error.to_string().contains("`root/once` is a task and lazy"), "{error}");
}

/// What is told of a child that offers something, and is started where nobody can register it.
async fn story_without_a_registrar(is_lazy: bool) -> Vec<String> {
    const COUNT: Capability<u64, u64> = Capability::new("test.count", "1.0.0");
    let system = System::start(root().child(ChildSpec::system())).await.expect("the tree starts");
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.terminate_child("system").await.expect("it ends");
    let mut events = Recorder::of(&system);
    let child = ChildSpec::serve("a", COUNT, |_, n| async move { Ok(n + 1) });
    let error = supervisor.start_child(if is_lazy { child.lazy(IDLE) } else { child }).await;
    let error = error.expect_err("nobody registers it");
    assert!(matches!(error, ChildError::FailedToStart { .. }), "{error}");
    let story = events.story().into_iter().filter(|line| line.contains("root/a")).collect();
    system.shutdown().await.expect("an orderly end");
    story
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_registered_is_told_of_as_any_child_whose_start_fails() {
    let story = story_without_a_registrar(true).await;
    assert_eq!(story, story_without_a_registrar(false).await);
    assert_eq!(story[..2], ["starting root/a #1", "exited root/a #1 start_failed"]);
}
