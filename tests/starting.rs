//! Guarantee: a start that takes too long has failed and is gone before the next attempt; children that do not need each
//! other start at the same time, and stop in the reverse order of need; a start may say that there is nothing to run. The
//! start of many children holds up nobody else.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock};
use steadfast::{
    Agent, BoxError, ChildSpec, Context, ExitReason, Ignore, Intensity, Restart, StartError, Strategy, SupervisorSpec,
    System,
};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_start_past_its_deadline_fails_the_start_of_the_tree() {
    let log = Log::default();
    let slow = Probe::scripted("slow", Script::new(&log).start_takes(MS * 2_000)).start_deadline(MS * 1_000);
    let error =
        System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(slow)).await.expect_err("too slow");
    let StartError::Child { path, reason } = &error else { panic!("{error}") };
    assert_eq!(path.as_str(), "root/slow");
    assert!(matches!(reason, ExitReason::StartFailed(_)), "{reason}");
    assert!(error.to_string().contains("start_deadline"), "the message names the setting: {error}");
}

#[tokio::test(start_paused = true)]
async fn a_half_started_agent_is_gone_before_the_next_attempt_begins() {
    /// Hangs in every start but the first and the third; says when what it had made is dropped.
    struct Half;
    struct Made(Log, u64);
    impl Drop for Made {
        fn drop(&mut self) {
            self.0.write(format!("dropped #{}", self.1));
        }
    }
    impl Agent for Half {
        type Args = Log;
        type Message = ();
        type Reply = ();
        async fn start(log: Log, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
            let life = ctx.incarnation().get();
            log.write(format!("start #{life}"));
            let _made = Made(log, life);
            if life == 2 {
                std::future::pending::<()>().await;
            }
            Ok(Half)
        }
        async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
            Err("it ends".into())
        }
    }
    let log = Log::default();
    let half = ChildSpec::agent::<Half>("half", log.clone()).start_deadline(MS * 300);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(3)).child(half);
    let system = System::start(spec).await.expect("the first start is quick");
    let mut events = Recorder::of(&system);
    let before = system.clock().now();
    system.agent::<Half>("root/half").expect("it is one").tell(()).expect("there is room");
    events.started("root/half", 3).await;
    assert_eq!(system.clock().now().duration_since(before), MS * 300);
    assert_eq!(log.take(), ["start #1", "dropped #1", "start #2", "dropped #2", "start #3", "dropped #3"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_waits_is_gone_before_its_supervisor_that_is_killed_meanwhile() {
    /// Waits in its start for good; says when what it holds is dropped.
    struct Waits;
    struct Held(Log);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.write("dropped".to_owned());
        }
    }
    impl Agent for Waits {
        type Args = Log;
        type Message = ();
        type Reply = ();
        async fn start(log: Log, _: &mut Context<Self>) -> Result<Self, BoxError> {
            let _held = Held(log);
            std::future::pending().await
        }
        async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(Probe::spec("first", &log))
        .child(ChildSpec::agent::<Waits>("waits", log.clone()));
    let root =
        SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(inner).start_deadline(MS * 1_000));
    let error = System::start(root).await.expect_err("it never starts");
    assert!(error.to_string().contains("start_deadline"), "{error}");
    let lines = log.take();
    assert!(lines.iter().any(|line| line == "dropped"), "what it held is gone: {lines:?}");
}

#[tokio::test]
async fn while_very_many_children_start_others_on_the_same_thread_have_their_turn() {
    const MANY: usize = 6_400;
    let log = Log::default();
    let many = |root: SupervisorSpec, at: usize| root.child(Probe::spec(&format!("c{at}"), &log));
    let root = (0..MANY).fold(SupervisorSpec::new("root", Strategy::OneForOne), many);
    let start = tokio::spawn(System::start(root));
    let mut turns = 0;
    while !start.is_finished() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    let system = start.await.expect("no panic").expect("it starts");
    assert!(turns >= MANY / 64, "only {turns} turns");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn children_that_do_not_need_each_other_start_at_the_same_time_and_stop_in_the_reverse_order_of_need() {
    let log = Log::default();
    let child = |name: &str| Probe::scripted(name, Script::new(&log).start_takes(MS * 100).stop_takes(MS * 100));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(child("store"))
        .child(child("left").after(["store"]))
        .child(child("right").after(["store"]))
        .child(child("free").after([]))
        .child(child("last"));
    let before = VirtualClock::new();
    let system = System::start(spec).await.expect("the tree starts");
    assert_eq!(before.elapsed(), MS * 300, "store and free, then left and right, then last");
    let started = log.take();
    assert_eq!(started[..2], ["start root/store #1", "start root/free #1"]);
    assert_eq!(started[2..4], ["start root/left #1", "start root/right #1"]);
    assert_eq!(started[4..], ["start root/last #1"]);
    let before = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(before.elapsed(), MS * 300);
    let stops: Vec<_> = log.take().into_iter().filter(|line| line.starts_with("stop")).collect();
    assert_eq!(stops[0], "stop root/last #1");
    assert_eq!(stops[4], "stop root/store #1", "nobody that needs it is left");
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_start_stops_also_those_that_were_starting_beside_it() {
    let log = Log::default();
    let slow = Probe::scripted("slow", Script::new(&log).start_takes(MS * 500)).after([]);
    let bad = Probe::scripted("bad", Script::new(&log).start_takes(MS * 100).start(|_| Err("no".into()))).after([]);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(slow).child(bad);
    let error = System::start(spec).await.expect_err("one of them fails");
    assert_eq!(error.to_string(), "`root/bad` did not start: no");
    let lines = log.take();
    let begun = lines.iter().filter(|line| line.starts_with("start root/slow")).count();
    let gone = lines.iter().filter(|line| line.starts_with("gone root/slow")).count();
    assert_eq!((begun, gone), (1, 1), "{lines:?}");
}

#[test]
fn a_child_that_starts_after_one_that_does_not_stand_before_it_is_refused() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(Probe::spec("a", &log).after(["b"]))
        .child(Probe::spec("b", &log));
    let error = spec.lint().expect_err("it is refused").to_string();
    assert_eq!(
        error,
        "`root`: `a` starts after `b`, which does not stand before it in the list; move it up, or mend the name"
    );
}

struct Nothing;

impl Agent for Nothing {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Err(Ignore.into())
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_says_there_is_nothing_to_run_is_a_success_and_the_child_is_kept_stopped() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::agent::<Nothing>("kept", ()))
        .child(ChildSpec::agent::<Nothing>("forgotten", ()).restart(Restart::Temporary))
        .child(Probe::spec("b", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let children = system.supervisor("root").expect("it is one").which_children().await.expect("it answers");
    let shown: Vec<_> = children.iter().map(|child| format!("{} {}", child.id, child.state)).collect();
    assert_eq!(shown, ["kept stopped", "b running"]);
    assert!(Probe::at(&system, "root/b").ask(Order::Which).await.is_ok());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_root_that_says_there_is_nothing_to_run_is_told_as_that() {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).init(|_| async { Err(Ignore.into()) });
    let error = System::start(spec).await.expect_err("there is nothing to run");
    assert!(matches!(error, StartError::Ignored), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_starts_no_child_and_its_cause_is_told() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .init(|_| async { Err("no config".into()) })
        .child(Probe::spec("a", &log));
    let error = System::start(spec).await.expect_err("its init fails");
    assert_eq!(error.to_string(), "`root` did not start: no config");
    assert_eq!(log.take(), Vec::<String>::new());
}
