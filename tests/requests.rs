//! Guarantee: a running supervisor can be asked for everything OTP's can, answers as OTP's does, and the answers are types.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock};
use steadfast::{
    Agent, BoxError, ChildError, ChildSpec, ChildState, Context, Incarnation, Intensity, Restart, Strategy,
    SupervisorSpec, System,
};

async fn tree(log: &Log) -> System {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(5))
        .child(Probe::spec("a", log))
        .child(SupervisorSpec::new("inner", Strategy::OneForOne).child(Probe::spec("b", log)));
    System::start(spec).await.expect("the tree starts")
}

async fn states(system: &System, path: &str) -> Vec<String> {
    let children = system.supervisor(path).expect("it is one").which_children().await.expect("it answers");
    children.iter().map(|child| format!("{} {}", child.id, child.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn rule_43_a_child_is_added_at_the_end_and_a_name_that_is_taken_is_refused() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    let added = root.start_child(Probe::spec("z", &log)).await.expect("it starts");
    assert_eq!((added.path.as_str(), added.incarnation.map(Incarnation::get)), ("root/z", Some(1)));
    assert_eq!(states(&system, "root").await, ["a running", "inner running", "z running"]);
    let taken = root.start_child(Probe::spec("a", &log)).await.expect_err("it is there");
    assert!(matches!(taken, ChildError::AlreadyStarted { .. }), "{taken}");
    root.terminate_child("a").await.expect("it is stopped");
    let present = root.start_child(Probe::spec("a", &log)).await.expect_err("it is kept");
    assert!(matches!(present, ChildError::AlreadyPresent { .. }), "{present}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_43_a_child_that_does_not_start_leaves_nothing_and_its_cause_is_told() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    let broken = Probe::scripted("bad", Script::new(&log).start(|_| Err("no disk".into())));
    let inner = SupervisorSpec::new("x", Strategy::OneForOne).child(broken);
    let error = root.start_child(inner).await.expect_err("it does not start");
    assert_eq!(
        error.to_string(),
        "`root/x` did not start, since `bad` did not start: no disk; child `bad` did not start: no disk"
    );
    assert_eq!(states(&system, "root").await, ["a running", "inner running"]);
    assert_eq!(system.snapshot().roots[0].used.count, 0, "it does not count");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rules_44_to_46_terminate_restart_and_delete_answer_as_otp_does() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    let said = |outcome: Result<(), ChildError>| outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    assert_eq!(said(root.delete_child("a").await), "`root/a` is running; terminate it first");
    assert_eq!(said(root.restart_child("a").await.map(|_| ())), "`root/a` is running; terminate it first");
    assert_eq!(said(root.terminate_child("a").await), "ok");
    assert_eq!(said(root.terminate_child("a").await), "ok");
    assert_eq!(said(root.restart_child("a").await.map(|_| ())), "ok");
    assert_eq!(said(root.terminate_child("a").await), "ok");
    assert_eq!(said(root.delete_child("a").await), "ok");
    for unknown in [root.terminate_child("a").await, root.delete_child("a").await] {
        assert_eq!(said(unknown), "there is no child `root/a`");
    }
    assert_eq!(said(root.terminate_child("no name!").await), "there is no child `root/no name!`");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_44_a_temporary_child_that_is_terminated_is_forgotten() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    root.start_child(Probe::spec("t", &log).restart(Restart::Temporary)).await.expect("it starts");
    root.terminate_child("t").await.expect("it is stopped");
    assert_eq!(states(&system, "root").await, ["a running", "inner running"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_47_counts_and_specs_are_as_they_are_now() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    root.terminate_child("a").await.expect("it is stopped");
    let counts = root.count_children().await.expect("it answers");
    assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (2, 1, 1, 1));
    let spec = root.child_spec("inner").await.expect("it is there");
    assert_eq!((spec.restart, spec.kind.to_string().as_str()), (Restart::Permanent, "supervisor"));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_49_a_request_to_a_supervisor_that_is_gone_fails_at_once() {
    let log = Log::default();
    let system = tree(&log).await;
    let inner = system.supervisor("root/inner").expect("it is one");
    system.supervisor("root").expect("it is one").terminate_child("inner").await.expect("it is stopped");
    let gone = inner.count_children().await.expect_err("it is gone");
    assert_eq!(gone.to_string(), "the supervisor `root/inner` is not running");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_32_a_replaced_supervisor_starts_from_its_spec() {
    let log = Log::default();
    let system = tree(&log).await;
    let mut events = Recorder::of(&system);
    let inner = system.supervisor("root/inner").expect("it is one");
    inner.start_child(Probe::spec("added", &log)).await.expect("it starts");
    inner.terminate_child("b").await.expect("it is stopped");
    inner.delete_child("b").await.expect("it is forgotten");
    let added = Probe::at(&system, "root/inner/added");
    system.kill("root/inner").expect("it is there");
    events.started("root/inner", 2).await;
    assert_eq!(states(&system, "root/inner").await, ["b running"]);
    assert!(added.tell(Order::Which).is_err(), "whoever holds it is told that it will not come back");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rules_50_and_51_an_update_starts_and_stops_nothing_and_is_in_force_from_then_on() {
    let log = Log::default();
    let system = tree(&log).await;
    let mut events = Recorder::of(&system);
    let inner = system.supervisor("root/inner").expect("it is one");
    let _ = log.take();
    let spec = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(7))
        .child(Probe::spec("new", &log))
        .child(Probe::spec("b", &log).restart(Restart::Temporary));
    inner.update(spec).await.expect("it makes sense");
    assert_eq!(log.take(), Vec::<String>::new());
    assert_eq!(states(&system, "root/inner").await, ["new stopped", "b running"]);
    Probe::at(&system, "root/inner/b").tell(Order::Panic("boom")).expect("there is room");
    assert_eq!(events.exit("root/inner/b").await.verdict.to_string(), "not restarted, forgotten");
    system.kill("root/inner").expect("it is there");
    events.started("root/inner", 2).await;
    assert_eq!(
        states(&system, "root/inner").await,
        ["new running", "b running"],
        "the next life starts from the update"
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_52_an_update_that_makes_no_sense_changes_nothing_and_says_why() {
    let log = Log::default();
    let system = tree(&log).await;
    let inner = system.supervisor("root/inner").expect("it is one");
    let twice =
        SupervisorSpec::new("inner", Strategy::OneForAll).child(Probe::spec("b", &log)).child(Probe::spec("b", &log));
    let error = inner.update(twice).await.expect_err("two of one name");
    assert_eq!(error.to_string(), "`root/inner` has two children named `b`; give each a name of its own");
    assert_eq!(
        system.snapshot().find("root/inner").and_then(|node| node.supervisor).map(|view| view.strategy),
        Some(Strategy::OneForOne)
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_update_may_put_another_kind_of_agent_in_a_childs_place() {
    struct Other;
    impl Agent for Other {
        type Args = ();
        type Message = &'static str;
        type Reply = usize;
        async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
            Ok(Other)
        }
        async fn handle(&mut self, text: &'static str, _: &mut Context<Self>) -> Result<usize, BoxError> {
            Ok(text.len())
        }
    }
    let log = Log::default();
    let system = tree(&log).await;
    let mut events = Recorder::of(&system);
    let inner = system.supervisor("root/inner").expect("it is one");
    let spec = SupervisorSpec::new("inner", Strategy::OneForOne).child(ChildSpec::agent::<Other>("b", ()));
    inner.update(spec).await.expect("it makes sense");
    Probe::at(&system, "root/inner/b").tell(Order::Panic("boom")).expect("there is room");
    events.exit("root/inner/b").await;
    events.until(|event| matches!(event.kind, steadfast::EventKind::Started { .. })).await;
    let other = system.agent::<Other>("root/inner/b").expect("it is of the new kind");
    assert_eq!(other.ask("four").await.expect("it answers"), 4);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_5_what_a_start_hands_over_reaches_whoever_asked_for_it() {
    struct Server;
    impl Agent for Server {
        type Args = ();
        type Message = ();
        type Reply = ();
        async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
            ctx.start_info(8080_u16);
            Ok(Server)
        }
        async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let log = Log::default();
    let system = tree(&log).await;
    let child = ChildSpec::agent::<Server>("server", ());
    let started = system.supervisor("root").expect("it is one").start_child(child).await.expect("it starts");
    let port = started.info.and_then(|info| info.downcast_ref::<u16>().copied());
    assert_eq!(port, Some(8080));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_3_a_request_waits_until_the_supervisor_has_done_what_came_before() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    let slow = Probe::scripted("slow", Script::new(&log).start_takes(Duration::from_millis(700)));
    let before = VirtualClock::new();
    let (started, counts) = tokio::join!(root.start_child(slow), root.count_children());
    started.expect("it starts");
    assert_eq!(counts.expect("it answers").active, 3, "the new child counts");
    assert_eq!(before.elapsed(), Duration::from_millis(700));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_never_waits_for_a_supervisor_that_is_busy() {
    let log = Log::default();
    let system = tree(&log).await;
    let root = system.supervisor("root").expect("it is one");
    let slow = Probe::scripted("slow", Script::new(&log).start_takes(Duration::from_hours(1)));
    let starting = tokio::spawn(async move { root.start_child(slow).await.map(|_| ()) });
    let mut events = Recorder::of(&system);
    events.until(|event| event.path.as_str() == "root/slow").await;
    let before = VirtualClock::new();
    let snapshot = system.snapshot();
    assert_eq!(before.elapsed(), Duration::ZERO);
    let shown = snapshot.find("root/slow").expect("it is there");
    assert_eq!(shown.state, ChildState::Starting);
    assert!(snapshot.to_string().contains("starting `slow`"), "{snapshot}");
    assert!(snapshot.mermaid().contains("slow"));
    starting.await.expect("no panic").expect("it starts");
    system.shutdown().await.expect("an orderly end");
}
