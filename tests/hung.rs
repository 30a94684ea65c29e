//! Guarantee: a hung agent is noticed, not only a dead one; a busy one is not mistaken for it.

use std::sync::Arc;
use std::time::Duration;

use steadfast::fault::Point;
use steadfast::testing::{Faults, Log, Order, Probe, Recorder, Script, VirtualClock};
use steadfast::{Fault, Intensity, RequestError, Strategy, Subject, SupervisorSpec, System};

const SECOND: Duration = Duration::from_secs(1);

async fn with_deadline(log: &Log) -> (System, Recorder) {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10))
        .child(Probe::spec("a", log).handler_deadline(3 * SECOND).mailbox(20_000));
    let system = System::start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

#[tokio::test(start_paused = true)]
async fn a_handler_past_its_deadline_ends_the_life_as_unresponsive_and_the_agent_comes_back() {
    let log = Log::default();
    let (system, mut events) = with_deadline(&log).await;
    let agent = Probe::at(&system, "root/a");
    let clock = VirtualClock::new();
    let error = agent.ask_within(Order::Hang, 60 * SECOND).await.expect_err("it hangs");
    assert_eq!(clock.elapsed(), 3 * SECOND);
    assert_eq!(error.to_string(), "root/a, incarnation 1, was unresponsive: its handler made no progress for 3s");
    events.started("root/a", 2).await;
    assert_eq!(
        events.story(),
        ["dropped root/a", "exited root/a #1 unresponsive", "starting root/a #2", "started root/a #2"]
    );
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_every_handler_of_a_life_from_its_own_beginning() {
    let log = Log::default();
    let (system, _) = with_deadline(&log).await;
    let agent = Probe::at(&system, "root/a");
    for _ in 0..5 {
        agent.ask_within(Order::Wait(2 * SECOND), 60 * SECOND).await.expect("2 s are within 3 s");
    }
    let clock = VirtualClock::new();
    let error = agent.ask_within(Order::Wait(4 * SECOND), 60 * SECOND).await.expect_err("4 s are not");
    assert!(matches!(error, RequestError::Exited { incarnation, .. } if incarnation.get() == 1), "{error}");
    assert_eq!(clock.elapsed(), 3 * SECOND);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_shows_progress_may_take_longer_than_its_deadline_until_it_stops_showing_it() {
    let log = Log::default();
    let (system, _) = with_deadline(&log).await;
    let agent = Probe::at(&system, "root/a");
    let beats = |count| {
        Order::run(move |ctx| {
            Box::pin(async move {
                for _ in 0..count {
                    tokio::time::sleep(2 * SECOND).await;
                    ctx.progress();
                }
                Ok(count)
            })
        })
    };
    assert_eq!(agent.ask_within(beats(10), 60 * SECOND).await.expect("it shows progress"), 10);
    let silent = Order::run(|ctx| {
        Box::pin(async move {
            tokio::time::sleep(2 * SECOND).await;
            ctx.progress();
            std::future::pending().await
        })
    });
    let clock = VirtualClock::new();
    agent.ask_within(silent, 60 * SECOND).await.expect_err("it falls silent");
    assert_eq!(clock.elapsed(), 5 * SECOND);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_busy_agent_with_ten_thousand_messages_in_front_of_it_is_never_called_hung() {
    let log = Log::default();
    let (system, mut events) = with_deadline(&log).await;
    let agent = Probe::at(&system, "root/a");
    for _ in 0..10_000 {
        agent.tell(Order::Wait(2 * SECOND)).expect("there is room");
    }
    let day = Duration::from_hours(24);
    assert_eq!(agent.ask_within(Order::Which, day).await.expect("a reply, after five and a half hours"), 1);
    assert_eq!(events.story(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_a_deadline_may_take_for_ever() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let day = Duration::from_hours(24);
    Probe::at(&system, "root/a").ask_within(Order::Wait(day), 2 * day).await.expect("it is waited for");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_watched_task_that_falls_silent_ends_the_life_and_one_that_beats_does_not() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let agent = Probe::at(&system, "root/a");
    let watched = |beats: u32| {
        Order::run(move |ctx| {
            Box::pin(async move {
                ctx.spawn_watched(3 * SECOND, move |progress| async move {
                    for _ in 0..beats {
                        tokio::time::sleep(2 * SECOND).await;
                        progress.beat();
                    }
                    std::future::pending::<()>().await;
                });
                Ok(0)
            })
        })
    };
    let clock = VirtualClock::new();
    agent.ask(watched(10)).await.expect("a reply");
    let exit = events.exit("root/a").await;
    assert_eq!(clock.elapsed(), 23 * SECOND, "3 s after the last of 10 beats");
    assert_eq!(exit.reason.to_string(), "was unresponsive: a task of it made no progress for 3s");
    events.started("root/a", 2).await;
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_watched_task_that_ends_in_time_is_only_done() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let agent = Probe::at(&system, "root/a");
    let brief = Order::run(|ctx| {
        Box::pin(async move {
            ctx.spawn_watched(3 * SECOND, |_| tokio::time::sleep(2 * SECOND));
            Ok(0)
        })
    });
    agent.ask(brief).await.expect("a reply");
    agent.ask_within(Order::Wait(60 * SECOND), 120 * SECOND).await.expect("it lives");
    assert_eq!(events.story(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn faults_on_purpose_come_once_at_the_subject_that_a_plan_names() {
    let log = Log::default();
    let build = Subject::new("build", 1);
    let faults = Arc::new(
        Faults::default()
            .at("root/a", Point::BeforeMessage, build.clone(), Fault::Panic)
            .at("root/a", Point::AfterMessage, Subject::new("build", 2), Fault::Panic)
            .at("root/a", Point::BeforeMessage, Subject::new("test", 1), Fault::Hang)
            .at("root/other", Point::BeforeMessage, build.clone(), Fault::Hang),
    );
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10))
        .child(Probe::spec("a", &log).handler_deadline(3 * SECOND));
    let system = System::builder().faults(faults.clone()).start(spec).await.expect("the tree starts");
    let agent = Probe::at(&system, "root/a");
    let mut outcomes = Vec::new();
    for subject in [build.clone(), build, Subject::new("build", 2), Subject::new("test", 1), Subject::new("test", 1)] {
        outcomes.push(match agent.ask(Order::About(subject)).await {
            Ok(_) => "replied".to_owned(),
            Err(error) => error.to_string(),
        });
    }
    assert_eq!(
        outcomes,
        [
            "root/a, incarnation 1, panicked: a fault on purpose: before-message",
            "replied",
            "root/a, incarnation 2, panicked: a fault on purpose: after-message",
            "root/a, incarnation 3, was unresponsive: its handler made no progress for 3s",
            "replied",
        ]
    );
    let handled = log.lines().into_iter().filter(|line| line.starts_with("got")).collect::<Vec<_>>();
    assert_eq!(
        handled,
        ["got root/a #2 about build", "got root/a #2 about build", "got root/a #4 about test"],
        "a crash before and a hang come before the agent sees the message"
    );
    assert_eq!((faults.drawn().len(), faults.waiting()), (3, 1));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_start_past_the_handler_deadline_ends_as_unresponsive_and_counts_as_a_failed_start() {
    let log = Log::default();
    let stuck = Probe::scripted("a", Script::new(&log).start_takes(1000 * SECOND)).handler_deadline(3 * SECOND);
    let clock = VirtualClock::new();
    let error =
        System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(stuck)).await.expect_err("it hangs");
    assert_eq!(clock.elapsed(), 3 * SECOND);
    assert_eq!(error.to_string(), "`root/a` was unresponsive: its start made no progress for 3s");
}
