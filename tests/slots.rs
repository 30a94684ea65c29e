//! Guarantee: messages wait in the slot, not in an incarnation: a crash costs the message that was being handled and no
//! other, a reference stays good over restarts, and nobody waits for an agent that does not come back.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock, settled};
use steadfast::{
    ChildSpec, DropReason, EventKind, ExitReason, Intensity, RequestError, Restart, Shutdown, Strategy, SupervisorSpec,
    System, TellError,
};

const SECOND: Duration = Duration::from_secs(1);

/// A tree with one child `root/a`, whose second and later starts take a second.
async fn slow_to_return(log: &Log, bound: usize) -> System {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(100))
        .child(Probe::scripted("a", Script::new(log).start_takes(SECOND)).mailbox(bound));
    System::start(spec).await.expect("the tree starts")
}

/// Crashes `root/a` and returns between its two lives.
async fn into_the_gap(system: &System) -> Recorder {
    let mut events = Recorder::of(system);
    Probe::at(system, "root/a").tell(Order::Panic("boom")).expect("there is room");
    events.exit("root/a").await;
    events
}

fn got(log: &Log) -> Vec<String> {
    log.take().into_iter().filter(|line| line.starts_with("got")).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_wait_between_two_lives_and_reach_the_next_in_order() {
    let log = Log::default();
    let system = slow_to_return(&log, 10).await;
    let agent = Probe::at(&system, "root/a");
    into_the_gap(&system).await;
    assert_eq!(agent.incarnation(), None);
    agent.tell(Order::Echo(1)).expect("it waits");
    agent.tell(Order::Echo(2)).expect("it waits");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 2);
    assert_eq!(got(&log)[1..], ["got root/a #2 echo 1", "got root/a #2 echo 2", "got root/a #2 which"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_a_life_took_and_did_not_handle_reaches_the_next_and_what_it_handled_does_not() {
    let log = Log::default();
    let system = slow_to_return(&log, 100).await;
    let agent = Probe::at(&system, "root/a");
    // All are in the mailbox before the agent is woken, so that it takes them as one batch.
    agent.tell(Order::Echo(1)).expect("there is room");
    agent.tell(Order::Panic("boom")).expect("there is room");
    agent.tell(Order::Echo(2)).expect("there is room");
    agent.tell(Order::Fail("no disk")).expect("there is room");
    agent.tell(Order::Echo(3)).expect("there is room");
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 3);
    assert_eq!(
        got(&log),
        [
            "got root/a #1 echo 1",
            "got root/a #1 panic",
            "got root/a #2 echo 2",
            "got root/a #2 fail",
            "got root/a #3 echo 3",
            "got root/a #3 which",
        ]
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_for_what_crashed_learns_path_life_and_reason() {
    let log = Log::default();
    let system = slow_to_return(&log, 10).await;
    let agent = Probe::at(&system, "root/a");
    for (order, life, text) in [
        (Order::Panic("boom"), 1, "root/a, incarnation 1, panicked: boom"),
        (Order::Fail("no disk"), 2, "root/a, incarnation 2, failed: no disk"),
    ] {
        let error = agent.ask(order).await.expect_err("it crashed");
        assert_eq!(error.to_string(), text);
        let RequestError::Exited { path, incarnation, .. } = error else { panic!("it exited") };
        assert_eq!((path.as_str(), incarnation.get()), ("root/a", life));
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_the_middle_of_a_handler_answers_the_asker_and_reports_the_message_as_dropped() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .child(Probe::spec("culprit", &log))
        .child(Probe::spec("busy", &log).shutdown(Shutdown::Kill));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let busy = Probe::at(&system, "root/busy");
    let asked = tokio::spawn({
        let busy = busy.clone();
        async move { busy.ask_within(Order::Hang, 60 * SECOND).await }
    });
    settled().await;
    let clock = VirtualClock::new();
    busy.tell(Order::Echo(1)).expect("there is room");
    let _ = log.take();
    Probe::at(&system, "root/culprit").tell(Order::Panic("boom")).expect("there is room");
    let error = asked.await.expect("no panic").expect_err("it was killed");
    assert_eq!(error.to_string(), "root/busy, incarnation 1, was killed");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    events.started("root/busy", 2).await;
    let dropped = |line: &String| line == "dropped root/busy";
    assert_eq!(events.story().iter().filter(|line| dropped(line)).count(), 1);
    assert_eq!(busy.ask(Order::Which).await.expect("a reply"), 2);
    assert!(log.lines().contains(&"got root/busy #2 echo 1".to_owned()), "what waited behind it was handled");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_ask_between_two_lives_fails_at_its_deadline_when_the_next_is_not_there_by_then() {
    let log = Log::default();
    let system = slow_to_return(&log, 10).await;
    let agent = Probe::at(&system, "root/a");
    into_the_gap(&system).await;
    let clock = VirtualClock::new();
    let error = agent.ask_within(Order::Echo(1), SECOND / 4).await.expect_err("it starts for a second");
    assert_eq!(error.to_string(), "`root/a` did not reply within 250ms");
    assert_eq!(clock.elapsed(), SECOND / 4);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_ask_whose_deadline_passed_while_it_waited_is_not_handled() {
    let log = Log::default();
    let system = slow_to_return(&log, 10).await;
    let agent = Probe::at(&system, "root/a");
    let mut events = into_the_gap(&system).await;
    agent.ask_within(Order::Echo(1), SECOND / 4).await.expect_err("it starts for a second");
    agent.ask(Order::Echo(2)).await.expect("a reply");
    assert_eq!(got(&log)[1..], ["got root/a #2 echo 2"]);
    let expired = |why| matches!(why, EventKind::Dropped { why: DropReason::Expired });
    assert_eq!(events.seen().iter().filter(|event| expired(event.kind.clone())).count(), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_agent_that_does_not_come_back() {
    for restart in [Restart::Temporary, Restart::Transient] {
        let log = Log::default();
        let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log).restart(restart));
        let system = System::start(spec).await.expect("the tree starts");
        let mut events = Recorder::of(&system);
        let agent = Probe::at(&system, "root/a");
        agent.tell(Order::Stop(ExitReason::Normal)).expect("there is room");
        // It is behind the stop, so that it is still waiting when the agent is forgotten or put to rest.
        let behind = tokio::spawn({
            let agent = agent.clone();
            async move { agent.ask(Order::Echo(1)).await }
        });
        let clock = VirtualClock::new();
        let waited = behind.await.expect("no panic").expect_err("nobody comes back");
        assert!(matches!(waited, RequestError::Gone { .. }), "{waited}");
        events.exit("root/a").await;
        let error = agent.ask(Order::Echo(1)).await.expect_err("nobody comes back");
        assert_eq!(error.to_string(), "`root/a` is not running and no restart of it is coming");
        let error = agent.tell(Order::Echo(7)).expect_err("nobody comes back");
        assert!(matches!(error, TellError::Gone { message: Order::Echo(7), .. }), "the message comes back");
        assert_eq!(clock.elapsed(), Duration::ZERO);
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tell_at_the_bound_gives_the_message_back_and_names_the_setting() {
    let log = Log::default();
    let system = slow_to_return(&log, 3).await;
    let agent = Probe::at(&system, "root/a");
    into_the_gap(&system).await;
    for number in 0..3 {
        agent.tell(Order::Echo(number)).expect("there is room");
    }
    let error = agent.tell(Order::Echo(9)).expect_err("it is full");
    assert_eq!(
        error.to_string(),
        "the mailbox of `root/a` is full (3 messages); wait with `tell_wait`, or give it a larger bound with `mailbox`"
    );
    assert!(matches!(error.into_message(), Order::Echo(9)));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_holds_ten_thousand_messages_when_its_spec_does_not_say() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(Probe::scripted("a", Script::new(&log).start_takes(SECOND)));
    let system = System::start(spec).await.expect("the tree starts");
    let agent = Probe::at(&system, "root/a");
    into_the_gap(&system).await;
    let told = (0..20_000).take_while(|number| agent.tell(Order::Echo(*number)).is_ok()).count();
    assert_eq!(told, 10_000);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn tell_wait_waits_for_room_and_no_longer_than_its_limit() {
    let log = Log::default();
    let system = slow_to_return(&log, 1).await;
    let agent = Probe::at(&system, "root/a");
    into_the_gap(&system).await;
    agent.tell(Order::Echo(0)).expect("there is room");
    let clock = VirtualClock::new();
    let error = agent.tell_wait(Order::Echo(1), SECOND / 4).await.expect_err("it is full");
    assert!(matches!(error, TellError::Full { message: Order::Echo(1), bound: 1, .. }), "{error}");
    assert_eq!(clock.elapsed(), SECOND / 4);
    agent.tell_wait(Order::Echo(2), 10 * SECOND).await.expect("there is room once the next life takes its messages");
    assert_eq!(clock.elapsed(), SECOND);
    agent.ask(Order::Which).await.expect("a reply");
    assert_eq!(got(&log)[1..], ["got root/a #2 echo 0", "got root/a #2 echo 2", "got root/a #2 which"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_ask_waits_for_room_too_and_says_that_there_was_none() {
    let log = Log::default();
    let system = slow_to_return(&log, 1).await;
    let agent = Probe::at(&system, "root/a");
    into_the_gap(&system).await;
    agent.tell(Order::Echo(0)).expect("there is room");
    let error = agent.ask_within(Order::Echo(1), SECOND / 4).await.expect_err("it is full");
    assert_eq!(error.to_string(), "the mailbox of `root/a` had no room for 250ms (it holds 1 messages)");
    assert_eq!(agent.ask(Order::Echo(5)).await.expect("there is room once the next life is there"), 5);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_when_the_agent_is_forgotten_is_told_at_once() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(Probe::spec("a", &log).mailbox(1).restart(Restart::Temporary));
    let system = System::start(spec).await.expect("the tree starts");
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Wait(SECOND)).expect("there is room");
    settled().await;
    agent.tell(Order::Echo(0)).expect("there is room");
    let waits = tokio::spawn({
        let agent = agent.clone();
        async move { agent.tell_wait(Order::Echo(1), 60 * SECOND).await }
    });
    system.shutdown().await.expect("an orderly end");
    let error = waits.await.expect("no panic").expect_err("it is gone");
    assert!(matches!(error, TellError::Gone { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_reference_stays_good_when_the_supervisor_is_restarted_and_its_numbers_go_on() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(0))
        .child(Probe::spec("a", &log))
        .child(Probe::spec("b", &log));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(inner));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let (a, b) = (Probe::at(&system, "root/inner/a"), Probe::at(&system, "root/inner/b"));
    a.tell(Order::Panic("boom")).expect("there is room");
    b.tell(Order::Echo(1)).expect("there is room");
    events.started("root/inner", 2).await;
    assert_eq!(a.ask(Order::Which).await.expect("a reply"), 2);
    assert_eq!(b.ask(Order::Which).await.expect("a reply"), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_panics_in_its_drop_costs_nobody_else() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .child(Probe::spec("culprit", &log))
        .child(ChildSpec::agent::<Grudge>("grudge", ()).shutdown(Shutdown::Kill));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/culprit").tell(Order::Panic("boom")).expect("there is room");
    events.started("root/grudge", 2).await;
    assert_eq!(system.incarnation("root").map(steadfast::Incarnation::get), Some(1));
    system.shutdown().await.expect("an orderly end");
}

struct Grudge;

impl Drop for Grudge {
    fn drop(&mut self) {
        panic!("in its drop");
    }
}

impl steadfast::Agent for Grudge {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), _: &mut steadfast::Context<Self>) -> Result<Self, steadfast::BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut steadfast::Context<Self>) -> Result<(), steadfast::BoxError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_ask_to_a_child_that_was_stopped_with_the_whole_system_is_refused_at_once() {
    let log = Log::default();
    let slow = Probe::scripted("slow", Script::new(&log).stop_takes(Duration::from_secs(3)));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(slow).child(Probe::spec("quick", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let quick = Probe::at(&system, "root/quick");
    let mut events = Recorder::of(&system);
    let ending = tokio::spawn({
        let system = system.clone();
        async move { system.shutdown().await }
    });
    events.exit("root/quick").await;
    let clock = VirtualClock::new();
    let refused = quick.ask(Order::Which).await.expect_err("it is gone");
    assert!(matches!(refused, RequestError::Gone { .. }), "{refused}");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    ending.await.expect("it does not panic").expect("an orderly end");
}
