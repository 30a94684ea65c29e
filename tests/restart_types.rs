//! Guarantee: whether a child comes back depends on its restart type and on how it ended, as in OTP's table.

use steadfast::testing::{Exit, Log, Order, Probe, Recorder};
use steadfast::{
    ChildSpec, ExitReason, Intensity, Restart, Shutdown, ShutdownCause, Strategy, SupervisorSpec, System, Verdict,
};

/// How a child is made to end, and the kind of reason that is expected.
#[derive(Clone, Copy)]
enum End {
    Normal,
    Shutdown,
    Panic,
    Error,
    Killed,
}

impl End {
    const ALL: [Self; 5] = [Self::Normal, Self::Shutdown, Self::Panic, Self::Error, Self::Killed];

    fn kind(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::Panic => "panicked",
            Self::Error => "failed",
            Self::Killed => "killed",
        }
    }
}

/// Ends a child of this restart type in this way and returns what its supervisor made of it: `R`estarted, `K`ept,
/// `F`orgotten.
async fn outcome(restart: Restart, end: End) -> char {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10))
        .child(ChildSpec::actor::<Plain, _>("plain", || (Plain, ())).restart(restart))
        .child(Probe::spec("agent", &log).restart(restart));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let agent = Probe::at(&system, "root/agent");
    let order = match end {
        End::Normal => Order::Stop(ExitReason::Normal),
        End::Shutdown => Order::Stop(ExitReason::Shutdown(ShutdownCause::Because("done".to_owned()))),
        End::Panic => Order::Panic("boom"),
        End::Error => Order::Fail("no disk"),
        End::Killed => {
            system.actor::<()>(&"root/plain".parse().expect("a path")).expect("an actor").kill();
            Order::Echo(0)
        }
    };
    agent.tell(order).expect("there is room");
    let path = if matches!(end, End::Killed) { "root/plain" } else { "root/agent" };
    let Exit { reason, verdict, .. } = events.exit(path).await;
    assert_eq!(reason.kind(), end.kind());
    let outcome = match verdict {
        Verdict::Restarting(_) => {
            events.started(path, 2).await;
            'R'
        }
        Verdict::Kept => 'K',
        Verdict::Forgotten => 'F',
        other => panic!("an unexpected verdict: {other}"),
    };
    system.shutdown().await.expect("an orderly end");
    // What does not come back did not come back, whoever asked for what in between.
    assert_eq!(events.story().contains(&format!("starting {path} #2")), outcome == 'R');
    outcome
}

struct Plain;

impl ractor::Actor for Plain {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ractor::ActorRef<()>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
        Ok(())
    }
}

async fn row(restart: Restart) -> String {
    let mut row = String::new();
    for end in End::ALL {
        row.push(outcome(restart, end).await);
    }
    row
}

//                                      normal, shutdown, panicked, failed, killed
#[tokio::test(start_paused = true)]
async fn a_permanent_child_always_comes_back() {
    assert_eq!(row(Restart::Permanent).await, "RRRRR");
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_comes_back_after_an_abnormal_end_only_and_is_kept_otherwise() {
    assert_eq!(row(Restart::Transient).await, "KKRRR");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_never_comes_back_and_is_forgotten() {
    assert_eq!(row(Restart::Temporary).await, "FFFFF");
}

#[tokio::test(start_paused = true)]
async fn a_transient_and_a_temporary_child_serve_again_when_their_supervisor_is_restarted() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(0))
        .child(Probe::spec("transient", &log).restart(Restart::Transient))
        .child(Probe::spec("temporary", &log).restart(Restart::Temporary))
        .child(Probe::spec("culprit", &log));
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(inner).shutdown(Shutdown::Wait));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let probe = |name: &str| Probe::at(&system, &format!("root/inner/{name}"));
    for name in ["transient", "temporary"] {
        probe(name).tell(Order::Stop(ExitReason::Normal)).expect("there is room");
        events.exit(&format!("root/inner/{name}")).await;
    }
    probe("culprit").tell(Order::Panic("boom")).expect("there is room");
    events.started("root/inner", 2).await;
    for name in ["transient", "temporary"] {
        assert_eq!(probe(name).ask(Order::Which).await.expect("a reply"), 2, "{name}");
    }
    system.shutdown().await.expect("an orderly end");
}
