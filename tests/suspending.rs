//! Guarantee: a suspended agent keeps its mailbox and handles nothing, and goes on in order; a draining one takes no new
//! work, lets its tasks finish until its time is over, and ends; a hook that fails does what is written and no more.

use std::time::Duration;

use steadfast::lifecycle::hook::On;
use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock, settled};
use steadfast::{
    AgentSpec, ControlError, EventKind, RequestError, Restart, StateName, Strategy, SupervisorSpec, System, TellError,
};

const SECOND: Duration = Duration::from_secs(1);

async fn with(child: AgentSpec<Probe>) -> System {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child);
    System::start(spec).await.expect("the tree starts")
}

fn state(system: &System) -> StateName {
    system.state("root/a").expect("it is in the tree").name()
}

fn got(log: &Log) -> Vec<String> {
    log.take().into_iter().filter(|line| line.starts_with("got")).collect()
}

/// A task that takes so long.
fn task(takes: Duration) -> Order {
    Order::run(move |ctx| {
        ctx.spawn(async move { tokio::time::sleep(takes).await });
        Box::pin(async { Ok(0) })
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_suspended_agent_waits_and_is_handled_in_order_once_it_is_resumed() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(Order::Echo(0)).await.expect("a reply");
    // Some wait already when the word to suspend comes.
    agent.tell(Order::Echo(1)).expect("there is room");
    system.suspend("root/a").await.expect("it is active");
    assert_eq!(state(&system), StateName::Suspended);
    for number in 2..=3 {
        agent.tell(Order::Echo(number)).expect("there is room");
    }
    tokio::time::sleep(60 * SECOND).await;
    let before = got(&log);
    assert!(!before.iter().any(|line| line.ends_with("echo 2") || line.ends_with("echo 3")), "{before:?}");

    system.resume("root/a").await.expect("it is suspended");
    assert_eq!((state(&system), agent.ask(Order::Which).await.expect("a reply")), (StateName::Active, 1));
    let all: Vec<_> = before.into_iter().chain(got(&log)).collect();
    let expected = ["got root/a #1 echo 0", "got root/a #1 echo 1", "got root/a #1 echo 2", "got root/a #1 echo 3"];
    assert_eq!(all[..4], expected);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_agent_can_be_stopped_and_its_next_life_is_active() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    system.suspend("root/a").await.expect("it is active");
    agent.tell(Order::Echo(1)).expect("it waits");
    system.kill("root/a").expect("it is there");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 2);
    assert_eq!(got(&log), ["got root/a #2 echo 1", "got root/a #2 which"]);
    system.suspend("root/a").await.expect("it is active");
    let clock = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(clock.elapsed(), Duration::ZERO, "nobody waits for it to be resumed");
    assert!(log.lines().contains(&"stop root/a #2".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_suspension_does_not_disturb_the_running_handler_and_waits_for_it() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Wait(3 * SECOND)).expect("there is room");
    agent.tell(Order::Echo(1)).expect("there is room");
    let clock = VirtualClock::new();
    settled().await;
    system.suspend("root/a").await.expect("it is active");
    assert_eq!((clock.elapsed(), got(&log)), (3 * SECOND, vec!["got root/a #1 wait".to_owned()]));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_the_lifecycle_does_not_allow_is_refused_with_both_states() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let error = system.resume("root/a").await.expect_err("it is active");
    assert_eq!(
        error.to_string(),
        "`root/a`: an agent that is active may not become active; suspended, draining, terminated may follow"
    );
    system.suspend("root/a").await.expect("it is active");
    let again = system.suspend("root/a").await.expect_err("it is suspended");
    assert!(matches!(again, ControlError::Change { .. }), "{again}");
    let nowhere = system.suspend("root/b").await.expect_err("there is none");
    assert!(matches!(nowhere, ControlError::Unknown { .. }), "{nowhere}");
    let supervisor = system.suspend("root").await.expect_err("it has no mailbox");
    assert!(matches!(supervisor, ControlError::NotAnAgent { .. }), "{supervisor}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_draining_agent_refuses_new_work_and_ends_once_its_tasks_are_done() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log).restart(Restart::Transient)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(task(2 * SECOND)).await.expect("a reply");
    let mut events = Recorder::of(&system);
    let clock = VirtualClock::new();
    system.drain("root/a", 10 * SECOND).await.expect("it is active");
    assert_eq!(state(&system), StateName::Draining);
    let told = agent.tell(Order::Echo(1)).expect_err("no new work");
    assert!(matches!(told, TellError::Draining { message: Order::Echo(1), .. }), "{told}");
    let asked = agent.ask(Order::Echo(2)).await.expect_err("no new work");
    assert!(matches!(asked, RequestError::Draining { .. }), "{asked}");
    let exit = events.exit("root/a").await;
    assert_eq!((clock.elapsed(), exit.reason.to_string()), (2 * SECOND, "was stopped: it has drained".to_owned()));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_goes_on_after_the_time_to_drain_is_aborted_and_the_agent_ends() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log).restart(Restart::Transient)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(task(100 * SECOND)).await.expect("a reply");
    let mut events = Recorder::of(&system);
    let clock = VirtualClock::new();
    system.drain("root/a", 10 * SECOND).await.expect("it is active");
    let exit = events.exit("root/a").await;
    assert_eq!(clock.elapsed(), 10 * SECOND);
    assert_eq!(exit.reason.to_string(), "was stopped: its time to drain was over");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_may_drain_for_as_long_as_it_takes() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log).restart(Restart::Transient)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(task(100 * SECOND)).await.expect("a reply");
    let mut events = Recorder::of(&system);
    system.drain("root/a", Duration::MAX).await.expect("it is active");
    let exit = events.exit("root/a").await;
    assert_eq!(exit.reason.to_string(), "was stopped: it has drained");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_waited_when_a_permanent_agent_drained_is_handled_by_its_next_life() {
    let log = Log::default();
    let system = with(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(task(SECOND)).await.expect("a reply");
    system.suspend("root/a").await.expect("it is active");
    agent.tell(Order::Echo(1)).expect("it waits");
    let _ = log.take();
    system.drain("root/a", 5 * SECOND).await.expect("it is suspended");
    assert!(agent.tell(Order::Echo(2)).is_err(), "no new work");
    let mut events = Recorder::of(&system);
    events.started("root/a", 2).await;
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 2);
    assert_eq!(got(&log), ["got root/a #2 echo 1", "got root/a #2 which"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_permanent_agent_may_be_drained_as_often_as_anybody_likes_and_its_siblings_do_not_notice() {
    let log = Log::default();
    let spec =
        SupervisorSpec::new("root", Strategy::OneForAll).child(Probe::spec("a", &log)).child(Probe::spec("b", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    for life in 2..=10 {
        system.drain("root/a", SECOND).await.expect("it is active");
        events.started("root/a", life).await;
    }
    assert_eq!((system.restarts().total, system.incarnation("root/b").map(steadfast::Incarnation::get)), (0, Some(1)));
    assert_eq!(Probe::at(&system, "root/a").ask(Order::Which).await.expect("a reply"), 10);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_stop_hook_that_hangs_after_a_drain_is_noticed_although_no_supervisor_waits_for_it() {
    let log = Log::default();
    let script = Script::new(&log).stop_takes(100_000 * SECOND);
    let system = with(Probe::scripted("a", script)).await;
    let mut events = Recorder::of(&system);
    let clock = VirtualClock::new();
    system.drain("root/a", SECOND).await.expect("it is active");
    let exit = events.exit("root/a").await;
    assert_eq!((exit.reason.kind(), clock.elapsed()), ("unresponsive", 5 * SECOND));
    assert_eq!(Probe::at(&system, "root/a").ask(Order::Which).await.expect("a reply"), 2);
    system.shutdown().await.expect("an orderly end");
}

/// Notes each change, and fails at one of them.
fn hooked(log: &Log, moment: &'static str, fails: Option<StateName>) -> AgentSpec<Probe> {
    let notes = log.clone();
    let hook = move |_, change: steadfast::lifecycle::hook::Change| {
        let notes = notes.clone();
        async move {
            notes.write(format!("{moment} {change}"));
            if fails == Some(change.to) { Err("not now".into()) } else { Ok(()) }
        }
    };
    match moment {
        "before" => Probe::spec("a", log).hook_before("noting", On::Any, hook),
        _ => Probe::spec("a", log).hook_after("noting", On::Any, hook),
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_run_in_order_around_every_change_of_a_life() {
    let log = Log::default();
    let (first, second) = (log.clone(), log.clone());
    let spec = Probe::spec("a", &log)
        .hook_after("last", On::Entering(StateName::Active), move |_, _| {
            first.write("last");
            async { Ok(()) }
        })
        .hook_before("first", On::Entering(StateName::Active), move |ctx, change| {
            second.write(format!("first {} {change}", ctx.path()));
            async { Ok(()) }
        });
    let system = with(spec).await;
    assert_eq!(log.take(), ["start root/a #1", "first root/a registered to active", "last"]);
    system.suspend("root/a").await.expect("it is active");
    system.resume("root/a").await.expect("it is suspended");
    assert_eq!(log.take(), ["first root/a suspended to active", "last"]);
    system.shutdown().await.expect("an orderly end");

    let system = with(hooked(&log, "before", None)).await;
    system.shutdown().await.expect("an orderly end");
    let changes: Vec<_> = log.take().into_iter().filter(|line| line.starts_with("before")).collect();
    assert_eq!(
        changes,
        [
            "before unregistered to registering",
            "before registering to registered",
            "before registered to active",
            "before active to draining",
            "before draining to terminated",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_before_a_change_refuses_it_and_before_an_end_does_not() {
    let log = Log::default();
    let system = with(hooked(&log, "before", Some(StateName::Suspended))).await;
    let mut events = Recorder::of(&system);
    let refused = system.suspend("root/a").await.expect_err("the hook fails");
    assert_eq!(refused.to_string(), "`root/a`: the hook `noting` refused active to suspended: not now");
    assert_eq!(state(&system), StateName::Active);
    assert_eq!(Probe::at(&system, "root/a").ask(Order::Echo(7)).await.expect("a reply"), 7);
    let failed = |kind: &EventKind| matches!(kind, EventKind::HookFailed { refused: true, .. });
    assert_eq!(events.seen().iter().filter(|event| failed(&event.kind)).count(), 1);
    system.shutdown().await.expect("an orderly end");

    let start = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(hooked(
        &log,
        "before",
        Some(StateName::Active),
    )));
    let error = start.await.expect_err("no life becomes active");
    assert!(error.to_string().contains("the hook `noting` refused registered to active: not now"), "{error}");

    for fails in [StateName::Draining, StateName::Terminated] {
        let system = with(hooked(&log, "before", Some(fails))).await;
        let clock = VirtualClock::new();
        let _ = log.take();
        system.shutdown().await.expect("an orderly end");
        assert_eq!(clock.elapsed(), Duration::ZERO);
        assert!(log.take().contains(&"stop root/a #1".to_owned()), "its stop hook runs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_after_a_change_is_reported_and_the_change_stands() {
    let log = Log::default();
    let system = with(hooked(&log, "after", Some(StateName::Suspended))).await;
    let mut events = Recorder::of(&system);
    system.suspend("root/a").await.expect("it is active");
    assert_eq!(state(&system), StateName::Suspended);
    let failed = |kind: &EventKind| matches!(kind, EventKind::HookFailed { refused: false, .. });
    assert_eq!(events.seen().iter().filter(|event| failed(&event.kind)).count(), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_or_does_not_return_has_failed() {
    let log = Log::default();
    let spec = Probe::spec("a", &log)
        .hook_before("panics", On::Entering(StateName::Suspended), |_, _| async { panic!("boom") })
        .hook_before("hangs", On::Entering(StateName::Draining), |_, _| std::future::pending());
    let system = with(spec).await;
    let error = system.suspend("root/a").await.expect_err("the hook panics");
    assert!(error.to_string().ends_with("the hook `panics` refused active to suspended: panicked: boom"), "{error}");
    let clock = VirtualClock::new();
    let error = system.drain("root/a", SECOND).await.expect_err("the hook hangs");
    assert!(error.to_string().ends_with("it did not return within 5s"), "{error}");
    assert_eq!((clock.elapsed(), state(&system)), (5 * SECOND, StateName::Active));
    system.kill("root/a").expect("it is there");
    system.shutdown().await.expect("an orderly end");
}
