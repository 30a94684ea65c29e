//! Guarantee: a fault plan that is a value does what its text says, at each point, once, and tells what never came.

use std::sync::Arc;
use std::time::Duration;

use steadfast::fault::{Plan, Point};
use steadfast::seam::{AppendAt, JournalError};
use steadfast::testing::{Attended, FaultRun, Log, Order, Probe, Recorder, Script, VirtualClock, settled};
use steadfast::{AgentRef, Backoff, Intensity, RequestError, RunId, Strategy, StreamId, SupervisorSpec, System};
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

struct Ground {
    run: Arc<FaultRun>,
    system: System,
    _attended: Attended,
}

/// Two probes whose handlers may take two seconds, and a plan.
async fn with(plan: &str) -> Ground {
    let log = Log::default();
    let probe = |name| Probe::spec(name, &log).handler_deadline(2 * SECOND).backoff(Backoff::constant(SECOND));
    let plan: Plan = plan.parse().expect("a plan");
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100));
    let run = FaultRun::of(plan);
    let system = System::builder().faults(Arc::clone(&run) as _).start(spec).await.expect("the tree starts");
    let attended = run.attend(&system);
    let root = system.supervisor("root").expect("it runs");
    for name in ["a", "b"] {
        // A fault may keep it from starting at first.
        drop(root.start_child(probe(name)).await);
    }
    Ground { run, system, _attended: attended }
}

impl Ground {
    fn agent(&self) -> AgentRef<Probe> {
        Probe::at(&self.system, "root/a")
    }

    async fn end(self) {
        assert!(self.run.unfired().is_empty(), "{:?}", self.run.unfired());
        self.system.shutdown().await.expect("an orderly end");
    }
}

/// What became of the first message to `root/a` under a plan, and when.
async fn first_message(plan: &str) -> (String, Duration) {
    let ground = with(plan).await;
    let clock = VirtualClock::new();
    let outcome = match ground.agent().ask_within(Order::Wait(SECOND), MINUTE).await {
        Ok(_) => "a reply".to_owned(),
        Err(RequestError::Exited { reason, .. }) => reason.to_string(),
        Err(error) => error.to_string(),
    };
    let elapsed = clock.elapsed();
    ground.end().await;
    (outcome, elapsed)
}

#[tokio::test(start_paused = true)]
async fn each_fault_comes_at_each_point_of_a_message_and_its_asker_is_told() {
    // What is late: in the middle of a handler, whose timer goes on meanwhile, nothing.
    let points = [(Point::BeforeMessage, 0, 250), (Point::DuringMessage, 0, 0), (Point::AfterMessage, 1, 250)];
    for (point, begun, late) in points {
        let at = |fault: &str| format!("{fault} at {point} of root/a");
        let after = begun * SECOND;
        assert_eq!(first_message(&at("panic")).await, (format!("panicked: a fault on purpose: {point}"), after));
        assert_eq!(first_message(&at("error")).await, (format!("failed: a fault on purpose: {point}"), after));
        assert_eq!(first_message(&at("kill")).await, ("was killed".to_owned(), after));
        let silent = "was unresponsive: its handler made no progress for 2s".to_owned();
        assert_eq!(first_message(&at("hang")).await, (silent, 2 * SECOND));
        for fault in ["slow 250ms", "block 250ms"] {
            let reply = ("a reply".to_owned(), SECOND + Duration::from_millis(late));
            assert_eq!(first_message(&at(fault)).await, reply, "{fault} at {point}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_and_a_stop_meet_faults_as_any_code_of_the_agent_does() {
    for point in ["before-start", "after-start"] {
        for (fault, reason) in [("panic", "panicked"), ("error", "did not start"), ("kill", "was killed")] {
            let ground = with(&format!("kill at after-message of root/a; {fault} at {point} of root/a #2")).await;
            let mut events = Recorder::of(&ground.system);
            ground.agent().ask(Order::Which).await.expect_err("it is killed");
            events.exit("root/a").await;
            let failed = events.exit("root/a").await;
            assert!(failed.reason.to_string().starts_with(reason), "{fault} at {point}: {}", failed.reason);
            events.started("root/a", 3).await;
            ground.end().await;
        }
    }
    let ground = with("hang at in-stop of root/a").await;
    let (clock, root) = (VirtualClock::new(), ground.system.supervisor("root").expect("it runs"));
    root.terminate_child("a").await.expect("it ends");
    assert_eq!(clock.elapsed(), 5 * SECOND, "it ignores the stop, and is killed");
    ground.end().await;
}

#[tokio::test(start_paused = true)]
async fn others_are_killed_at_a_time_at_a_point_and_while_somebody_waits_for_its_next_life() {
    let ground =
        with("kill root/b at 10s; kill root/b at after-message of root/a; kill root/b at back-off of root/a").await;
    let mut events = Recorder::of(&ground.system);
    let clock = VirtualClock::new();
    ground.agent().ask(Order::Which).await.expect("a reply");
    events.started("root/b", 2).await;
    assert_eq!(clock.elapsed(), SECOND, "at once, and then its back-off");
    ground.agent().tell(Order::Panic("boom")).expect("there is room");
    events.started("root/b", 3).await;
    assert_eq!(clock.elapsed(), 2 * SECOND);
    events.started("root/b", 4).await;
    assert_eq!(clock.elapsed(), 11 * SECOND);
    ground.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_journal_and_places_in_the_code_of_users_have_points_too() {
    let ground = with("panic at before-append of system/journal; error at after-append of system/journal; error at point:half-way of root/a").await;
    let (journal, stream) = (ground.system.journal(), StreamId::from(RunId::new(Uuid::from_u128(1))));
    let epoch = journal.fence(&stream, "the test").await.expect("a fence");
    let append = || journal.append(&stream, AppendAt { epoch, expected: 0 }, vec![vec![7]]);
    for kept in [0, 1] {
        assert!(matches!(append().await, Err(JournalError::InDoubt(_))), "whether it is kept is not known");
        settled().await;
        assert_eq!(
            journal.read(&stream, 0).await.expect("it is back").len(),
            kept,
            "before it is not kept, after it is"
        );
    }
    let half_way = Order::run(|ctx| {
        Box::pin(async move {
            ctx.fault_point("half-way").await?;
            Ok(1)
        })
    });
    let error = ground.agent().ask(half_way).await.expect_err("it fails half-way");
    assert!(error.to_string().ends_with("failed: a fault on purpose: point:half-way"), "{error}");
    ground.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_plan_no_point_costs_or_does_anything_and_what_never_came_is_told() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::scripted("a", Script::new(&log)));
    let run = FaultRun::of("panic at before-message of root/b; kill root/a at 1s".parse().expect("a plan"));
    let system = System::start(spec).await.expect("the tree starts");
    let _attended = run.attend(&system);
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a").ask(Order::Which).await.expect("a reply");
    events.started("root/a", 2).await;
    let told: Vec<_> = run.unfired().iter().map(ToString::to_string).collect();
    let nobody = "nobody came to `before-message`, and nobody at `root/b` to any point";
    assert_eq!(told, [format!("`panic at before-message of root/b` never came: {nobody}")]);
    system.shutdown().await.expect("an orderly end");
}
