//! Guarantee: nothing is silent: every start and every exit is an event with its cause; a reader that falls behind is
//! told how much it missed, and reads on.

use std::collections::BTreeMap;

use steadfast::testing::{Log, Order, Probe, Recorder, settled};
use steadfast::{
    ChildSpec, EVENT_BOUND, EventKind, EventsError, ExitReason, Intensity, Restart, Shutdown, StartCause, StateName,
    Strategy, SupervisorSpec, System, Verdict,
};

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_behind_is_told_how_many_it_missed_and_reads_on() {
    let log = Log::default();
    let spec = root().child(Probe::spec("flooded", &log).restart(Restart::Temporary).shutdown(Shutdown::Kill));
    let system = System::start(spec).await.expect("the tree starts");
    let mut reader = system.events();
    let flooded = Probe::at(&system, "root/flooded");
    flooded.tell(Order::Stop(ExitReason::Normal)).expect("there is room");
    // Each of them is reported as dropped when the agent is forgotten.
    let waiting = EVENT_BOUND as u64 + 500;
    for number in 0..waiting {
        flooded.tell(Order::Echo(number)).expect("there is room");
    }
    settled().await;
    let Err(EventsError::Lagged { missed }) = reader.next().await else { panic!("it fell behind") };
    assert!(missed >= 500, "{missed}");
    let mut read = Vec::new();
    while let Some(event) = reader.try_next().expect("it reads on") {
        read.push(event);
    }
    let dropped = read.iter().filter(|event| matches!(event.kind, EventKind::Dropped { .. })).count() as u64;
    assert!(read.len() <= EVENT_BOUND && dropped < waiting);
    assert!(matches!(read.last().map(|event| &event.kind), Some(EventKind::Closed)));
    system.shutdown().await.expect("an orderly end");
    assert!(matches!(reader.next().await.expect("it still reads").kind, EventKind::Ending { culprit: None }));
}

#[tokio::test(start_paused = true)]
async fn every_start_and_every_exit_of_a_child_is_one_event_with_its_cause() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForAll)
        .intensity(Intensity::at_most(2))
        .child(Probe::spec("a", &log))
        .child(Probe::spec("b", &log));
    let system = System::start(root().child(ChildSpec::supervisor(inner))).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    for life in 2..8 {
        Probe::at(&system, "root/inner/a").tell(Order::Panic("boom")).expect("there is room");
        events.started("root/inner/b", life).await;
    }
    system.shutdown().await.expect("an orderly end");
    // Starting, started, exited: once for each life, but for the start of the first, which came before the recorder.
    let mut lives: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for event in events.seen() {
        let (incarnation, what) = match &event.kind {
            EventKind::Starting { incarnation, .. } => (incarnation, 0),
            EventKind::Started { incarnation } => (incarnation, 1),
            EventKind::Exited { incarnation, .. } => (incarnation, 2),
            _ => continue,
        };
        if event.path.as_str().starts_with("root") {
            lives.entry(format!("{} #{incarnation}", event.path)).or_default()[what] += 1;
        }
    }
    let expected = |life| if life == 1 { [0, 0, 1] } else { [1, 1, 1] };
    let mut all = BTreeMap::new();
    for (path, count) in [("root", 1), ("root/inner", 3), ("root/inner/a", 7), ("root/inner/b", 7)] {
        all.extend((1..=count).map(|life| (format!("{path} #{life}"), expected(life))));
    }
    assert_eq!(lives, all);
}

#[tokio::test(start_paused = true)]
async fn a_start_names_its_cause_and_an_exit_its_verdict() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .intensity(Intensity::at_most(3))
        .child(Probe::spec("a", &log))
        .child(Probe::spec("b", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/b").tell(Order::Fail("no disk")).expect("there is room");
    events.started("root/b", 2).await;
    let causes: Vec<_> = events
        .seen()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Starting { cause, .. } => Some(format!("{} by {cause}", event.path)),
            EventKind::Exited { reason, verdict, .. } => Some(format!("{} {reason}; {verdict}", event.path)),
            _ => None,
        })
        .collect();
    assert_eq!(
        causes,
        [
            "root/b failed: no disk; restarted (1 of 3 in 5s)",
            "root/a was stopped; stopped with its group",
            "root/a by the exit of `b` (1 of 3 in 5s)",
            "root/b by its own exit (1 of 3 in 5s)",
        ]
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_life_goes_through_legal_states_only_and_the_next_begins_anew() {
    use StateName::{Active, Draining, Registered, Registering, Terminated, Unregistered};
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .intensity(Intensity::at_most(10))
        .child(Probe::spec("a", &log))
        .child(Probe::spec("killed", &log).shutdown(Shutdown::Kill));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a").tell(Order::Panic("boom")).expect("there is room");
    events.started("root/killed", 2).await;
    system.shutdown().await.expect("an orderly end");
    let mut lives: BTreeMap<String, Vec<StateName>> = BTreeMap::new();
    for event in events.seen() {
        if let EventKind::Lifecycle { incarnation, from, to } = event.kind {
            assert!(from.may_become(to), "{}: {from} to {to}", event.path);
            let states = lives.entry(format!("{} #{incarnation}", event.path)).or_insert_with(|| vec![from]);
            assert_eq!(states.last(), Some(&from), "{}: no step is left out", event.path);
            states.push(to);
        }
    }
    let from_birth = |end: &[StateName]| [&[Unregistered, Registering, Registered, Active][..], end].concat();
    assert_eq!(lives["root/a #1"], [Active, Terminated]);
    assert_eq!(lives["root/killed #1"], [Active, Terminated]);
    assert_eq!(lives["root/a #2"], from_birth(&[Draining, Terminated]));
    assert_eq!(lives["root/killed #2"], from_birth(&[Terminated]));
}

#[tokio::test(start_paused = true)]
async fn the_history_tells_what_the_events_told() {
    let log = Log::default();
    let system = System::start(root().child(Probe::spec("a", &log))).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a").tell(Order::Panic("boom")).expect("there is room");
    events.started("root/a", 2).await;
    let history = system.history("root/a").expect("a path");
    let entry = history.last().expect("one life ended");
    assert_eq!((entry.incarnation.get(), entry.cause.clone()), (1, StartCause::Init));
    assert!(matches!(entry.verdict, Verdict::Restarting(_)));
    assert_eq!(
        history.to_string(),
        "root/a: 1 exit\n  incarnation 1, started by init at 0.000 s, lived 0.000 s, panicked: boom; restarted (1 of \
         100 in 5s)"
    );
    assert_eq!(
        system.history("root/nobody").expect_err("no path").to_string(),
        "there is no `root/nobody` in the tree"
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_end_is_the_last_event_and_then_the_stream_is_closed_also_for_who_comes_later() {
    let log = Log::default();
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log)))
        .await
        .expect("the tree starts");
    let mut events = system.events();
    system.shutdown().await.expect("an orderly end");
    let mut last = None;
    while let Ok(event) = events.next().await {
        last = Some(event);
    }
    assert!(matches!(last.expect("there were events").kind, EventKind::Ended));
    assert_eq!(events.next().await.err(), Some(EventsError::Closed));
    assert_eq!(system.events().next().await.err(), Some(EventsError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_an_event_with_its_cause() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log).mailbox(1));
    let system = System::start(spec).await.expect("the tree starts");
    let agent = Probe::at(&system, "root/a");
    let mut events = Recorder::of(&system);
    agent.tell(Order::Echo(1)).expect("there is room for one");
    assert!(agent.tell(Order::Echo(2)).is_err());
    assert_eq!(events.story(), ["refused root/a Full"]);
    system.shutdown().await.expect("an orderly end");
    events.forget();
    assert!(agent.tell(Order::Echo(3)).is_err());
    system.shutdown().await.expect("it has ended");
}
