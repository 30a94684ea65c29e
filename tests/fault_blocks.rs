//! Guarantee: a thread that is blocked on purpose does to its life what one that is really blocked does, in paused time.

use std::sync::Arc;
use std::time::Duration;

use steadfast::fault::Point;
use steadfast::testing::{Attended, FaultRun, Log, Order, Probe, Recorder, VirtualClock, settled};
use steadfast::{
    AgentSpec, Backoff, ChildSpec, EventKind, Intensity, RequestError, Strategy, SupervisorSpec, System, TellError,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

struct Ground {
    log: Log,
    run: Arc<FaultRun>,
    system: System,
    events: Recorder,
    clock: VirtualClock,
    _attended: Attended,
}

/// An agent whose handlers may take two seconds, and what is not gone a second after a kill is given up.
async fn with(plan: &str) -> Ground {
    with_agent(plan, |agent| agent.handler_deadline(2 * SECOND)).await
}

async fn with_agent(plan: &str, make: impl Fn(AgentSpec<Probe>) -> AgentSpec<Probe>) -> Ground {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND)
        .intensity(Intensity::at_most(100))
        .child(Probe::spec("peer", &log))
        .child(make(Probe::spec("a", &log).backoff(Backoff::constant(SECOND))));
    let run = FaultRun::of(plan.parse().expect("a plan"));
    let system = System::builder().faults(Arc::clone(&run) as _).start(spec).await.expect("the tree starts");
    let (attended, events) = (run.attend(&system), Recorder::of(&system));
    Ground { log, run, system, events, clock: VirtualClock::new(), _attended: attended }
}

impl Ground {
    fn agent(&self) -> steadfast::AgentRef<Probe> {
        Probe::at(&self.system, "root/a")
    }

    /// Waits until this is told, and says when.
    async fn told(&mut self, line: &str) -> Duration {
        while !self.events.story().iter().any(|told| told == line) {
            self.events.until(|_| true).await;
        }
        self.clock.elapsed()
    }

    /// Whether this was told by this moment.
    fn is_told(&mut self, line: &str) -> bool {
        self.events.story().iter().any(|told| told == line)
    }

    async fn end(self) {
        assert!(self.run.unfired().is_empty(), "{:?}", self.run.unfired());
        self.system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_blocked_beyond_its_deadline_is_killed_in_vain_given_up_replaced_and_reported_until_its_thread_is_free()
{
    for point in [Point::BeforeMessage, Point::DuringMessage, Point::AfterMessage] {
        let mut ground = with(&format!("block 60s at {point} of root/a")).await;
        // In the middle of a handler the timers of the agent go on, but it does not.
        let begun = if point == Point::AfterMessage { SECOND } else { Duration::ZERO };
        let agent = ground.agent();
        let asked = tokio::spawn(async move { agent.ask_within(Order::Wait(SECOND), MINUTE).await });
        settled().await;
        for number in 1..=3 {
            ground.agent().tell(Order::Echo(number)).expect("there is room");
        }
        ground.told("killing root/a #1").await;
        assert_eq!(ground.told("killing root/a #1").await, begun + 2 * SECOND, "{point}: as the watchdog would");
        assert!(!ground.is_told("leaked root/a #1"));
        assert_eq!(ground.told("leaked root/a #1").await, begun + 3 * SECOND);
        assert_eq!(ground.told("exited root/a #1 unresponsive").await, begun + 3 * SECOND);
        let error = asked.await.expect("no panic").expect_err("it is blocked");
        let RequestError::Exited { incarnation, reason, .. } = &error else { panic!("{error}") };
        let why = "was unresponsive: its code, which blocks its thread, made no progress for 2s";
        assert_eq!((incarnation.get(), reason.to_string()), (1, why.to_owned()));
        assert!(!ground.log.lines().contains(&"gone root/a #1".to_owned()), "its state is still there");
        assert_eq!(ground.told("started root/a #2").await, begun + 4 * SECOND);
        assert_eq!(ground.agent().ask(Order::Which).await.expect("a reply"), 2);
        let got: Vec<_> = ground.log.lines().into_iter().filter(|line| line.contains("echo")).collect();
        assert_eq!(got, ["got root/a #2 echo 1", "got root/a #2 echo 2", "got root/a #2 echo 3"]);
        assert_eq!(ground.told("leak ended root/a #1").await, begun + MINUTE, "{point}");
        assert!(ground.log.lines().contains(&"gone root/a #1".to_owned()));
        ground.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_takes_effect_when_the_block_is_over_and_a_short_block_only_takes_time() {
    let mut ground = with_agent("block 5s at before-message of root/a", |agent| agent).await;
    let agent = ground.agent();
    let asked = tokio::spawn(async move { agent.ask_within(Order::Which, MINUTE).await });
    settled().await;
    ground.system.kill("root/a").expect("it is there");
    ground.system.kill("root/a").expect("it is there");
    assert_eq!(ground.told("exited root/a #1 killed").await, 5 * SECOND);
    let error = asked.await.expect("no panic").expect_err("it was killed").to_string();
    assert!(error.ends_with("was killed"), "{error}");
    assert!(!ground.log.lines().iter().any(|line| line.starts_with("got root/a")), "it did not go on");
    ground.end().await;

    let ground = with("block 1s at before-message of root/a").await;
    assert_eq!(ground.agent().ask(Order::Which).await.expect("a reply"), 1);
    assert_eq!(ground.clock.elapsed(), SECOND);
    ground.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_nobody_notices_a_block_and_without_a_watchdog_neither() {
    let ground = with_agent("block 500s at before-message of root/a", |agent| agent).await;
    assert_eq!(ground.agent().ask_within(Order::Which, 10 * MINUTE).await.expect("a reply"), 1);
    assert_eq!(ground.clock.elapsed(), 500 * SECOND);
    ground.end().await;

    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(Probe::spec("a", &Log::default()).handler_deadline(2 * SECOND));
    let run = FaultRun::of("block 500s at after-message of root/a".parse().expect("a plan"));
    let builder = System::builder().watchdog(None).faults(Arc::clone(&run) as _);
    let system = builder.start(spec).await.expect("the tree starts");
    let asked = Probe::at(&system, "root/a").ask_within(Order::Which, 10 * MINUTE).await;
    assert_eq!(asked.expect("its handler had returned, and nobody looked meanwhile"), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_blocked_is_given_up_and_does_not_take_the_slot_when_it_goes_on() {
    for point in [Point::BeforeStart, Point::AfterStart] {
        let mut ground = with(&format!("panic at before-message of root/a; block 60s at {point} of root/a #2")).await;
        ground.agent().ask(Order::Which).await.expect_err("it panics");
        // A second of back-off, then two of deadline, and one for the kill.
        assert_eq!(ground.told("leaked root/a #2").await, 4 * SECOND, "{point}");
        ground.told("started root/a #3").await;
        assert_eq!(ground.agent().ask(Order::Which).await.expect("a reply"), 3);
        assert_eq!(ground.told("leak ended root/a #2").await, 61 * SECOND, "{point}");
        assert_eq!(ground.system.incarnation("root/a").map(steadfast::Incarnation::get), Some(3));
        ground.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_blocks_in_its_stop_hook_is_given_up_after_the_deadline_of_the_stop() {
    let mut ground = with_agent("block 60s at in-stop of root/a", |agent| agent).await;
    let root = ground.system.supervisor("root").expect("it runs");
    root.terminate_child("a").await.expect("it ends, one way or the other");
    assert_eq!(ground.clock.elapsed(), 6 * SECOND, "five for the stop, one for the kill");
    assert!(ground.is_told("leaked root/a #1"));
    assert_eq!(ground.told("leak ended root/a #1").await, MINUTE);
    ground.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_was_not_asked_to_end_by_its_supervisor_and_blocks_in_its_stop_hook_is_given_up_after_its_own_deadline() {
    let mut ground = with("block 60s at in-stop of root/a").await;
    ground.system.drain("root/a", SECOND).await.expect("it has nothing in hand");
    assert_eq!(ground.told("killing root/a #1").await, 2 * SECOND, "its own limit does not end it");
    assert!(!ground.log.lines().contains(&"gone root/a #1".to_owned()), "nor drops its state");
    let reason = ground.events.exit("root/a").await.reason.to_string();
    assert_eq!(reason, "was unresponsive: its code, which blocks its thread, made no progress for 2s");
    assert_eq!(ground.clock.elapsed(), 3 * SECOND);
    assert!(ground.is_told("leaked root/a #1"));
    assert_eq!(ground.told("leak ended root/a #1").await, MINUTE);
    ground.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_leak_of_a_life_ends_with_its_block_also_where_its_supervisor_is_gone() {
    let log = Log::default();
    let sub = SupervisorSpec::new("sub", Strategy::OneForOne).abandon_after(SECOND).child(Probe::spec("a", &log));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(sub));
    let run = FaultRun::of("block 60s at before-message of root/sub/a".parse().expect("a plan"));
    let system = System::builder().faults(Arc::clone(&run) as _).start(spec).await.expect("the tree starts");
    let (mut events, clock) = (Recorder::of(&system), VirtualClock::new());
    Probe::at(&system, "root/sub/a").tell(Order::Which).expect("there is room");
    settled().await;
    let root = system.supervisor("root").expect("it runs");
    root.terminate_child("sub").await.expect("it ends");
    assert!(events.story().contains(&"leaked root/sub/a #1".to_owned()), "{:#?}", events.story());
    events.until(|event| matches!(event.kind, EventKind::LeakEnded { .. })).await;
    assert_eq!(clock.elapsed(), MINUTE);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_life_does_after_its_block_has_an_effect_once_it_was_given_up_and_one_for_ever_is_never_over() {
    let mut ground = with("block 60s at point:late of root/a; block at before-message of root/a #3").await;
    let (report, told) = tokio::sync::oneshot::channel();
    let order = Order::run(|ctx| {
        Box::pin(async move {
            ctx.fault_point("late").await?;
            let _ = report.send(ctx.sibling::<Probe>("peer")?.tell(Order::Echo(1)));
            Ok(1)
        })
    });
    let agent = ground.agent();
    drop(tokio::spawn(async move { agent.ask_within(order, 2 * MINUTE).await }));
    ground.told("started root/a #2").await;
    ground.agent().ask(Order::Which).await.expect("the next life is free");
    ground.told("leak ended root/a #1").await;
    // Killed at the end of its block, it may not even come to tell anybody.
    assert!(matches!(told.await, Err(_) | Ok(Err(TellError::Fenced { .. }))));
    assert!(!ground.log.lines().iter().any(|line| line.contains("peer #1 echo")));
    ground.agent().tell(Order::Which).expect("there is room");
    ground.told("leaked root/a #2").await;
    tokio::time::sleep(60 * MINUTE).await;
    assert!(!ground.is_told("leak ended root/a #2"));
    ground.end().await;
}
