//! Guarantee: a plain ractor actor is supervised like an agent, and the reason of its end is told apart where ractor's
//! own words collide.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use steadfast::testing::{Exit, Recorder};
use steadfast::{
    ChildSpec, ExitReason, Failure, Incarnation, Intensity, Path, Shutdown, ShutdownCause, Strategy, SupervisorSpec,
    System,
};

#[derive(Debug)]
enum Tell {
    Panic,
    Fail,
    StopItself(Option<&'static str>),
    Which(ractor::RpcReplyPort<u64>),
    Nothing,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no disk")]
struct NoDisk;

struct Plain;

impl Actor for Plain {
    type Msg = Tell;
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Tell>, number: u64) -> Result<u64, ActorProcessingErr> {
        Ok(number)
    }

    async fn handle(&self, myself: ActorRef<Tell>, tell: Tell, number: &mut u64) -> Result<(), ActorProcessingErr> {
        match tell {
            Tell::Panic => panic!("boom"),
            Tell::Fail => return Err(NoDisk.into()),
            Tell::StopItself(reason) => myself.stop(reason.map(str::to_owned)),
            Tell::Which(reply) => reply.send(*number)?,
            Tell::Nothing => {}
        }
        Ok(())
    }
}

fn path() -> Path {
    "root/plain".parse().expect("a path")
}

async fn tree() -> (System, Recorder) {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10))
        .child(ChildSpec::actor::<Plain, _>("plain", || (Plain, 7)));
    let system = System::start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

/// Ends a plain actor and returns the reason.
async fn reason(end: impl FnOnce(&ActorRef<Tell>)) -> ExitReason {
    let (system, mut events) = tree().await;
    let actor = system.actor::<Tell>(&path()).expect("it is alive");
    end(&actor);
    let Exit { reason, .. } = events.exit("root/plain").await;
    events.started("root/plain", 2).await;
    system.shutdown().await.expect("an orderly end");
    reason
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_from_an_error_and_both_keep_their_cause() {
    let panicked = reason(|actor| actor.cast(Tell::Panic).expect("it is alive")).await;
    assert!(matches!(panicked, ExitReason::Panicked { message, .. } if message == "boom"));
    let failed = reason(|actor| actor.cast(Tell::Fail).expect("it is alive")).await;
    let ExitReason::Failed(failure) = failed else { panic!("it failed: {failed}") };
    assert_eq!(Failure::error(&failure).downcast_ref::<NoDisk>(), Some(&NoDisk));
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_a_reason_and_a_drain_are_normal() {
    assert!(matches!(reason(|actor| actor.stop(None)).await, ExitReason::Normal));
    let itself = reason(|actor| actor.cast(Tell::StopItself(None)).expect("it is alive")).await;
    assert!(matches!(itself, ExitReason::Normal));
    let drained = reason(|actor| {
        actor.cast(Tell::Nothing).expect("it is alive");
        actor.drain().expect("it is alive");
    });
    assert!(matches!(drained.await, ExitReason::Normal));
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_the_word_killed_is_told_from_a_kill() {
    let stopped = reason(|actor| actor.stop(Some("killed".to_owned()))).await;
    assert!(matches!(stopped, ExitReason::Shutdown(ShutdownCause::Because(word)) if word == "killed"));
    assert!(matches!(reason(|actor| actor.kill()).await, ExitReason::Killed));
    let itself = reason(|actor| actor.cast(Tell::StopItself(Some("done"))).expect("it is alive")).await;
    assert!(matches!(itself, ExitReason::Shutdown(ShutdownCause::Because(word)) if word == "done"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_by_the_supervisor_is_a_requested_shutdown() {
    let (system, mut events) = tree().await;
    system.shutdown().await.expect("an orderly end");
    let Exit { reason, .. } = events.exit("root/plain").await;
    assert!(matches!(reason, ExitReason::Shutdown(ShutdownCause::Requested)));
}

#[tokio::test(start_paused = true)]
async fn the_reference_is_that_of_the_present_life_and_of_the_right_type_only() {
    let (system, mut events) = tree().await;
    let first = system.actor::<Tell>(&path()).expect("it is alive");
    assert!(system.actor::<String>(&path()).is_none(), "another type of message");
    assert!(system.actor::<Tell>(&"root/none".parse().expect("a path")).is_none());
    first.cast(Tell::Panic).expect("it is alive");
    events.exit("root/plain").await;
    events.started("root/plain", 2).await;
    let second = system.actor::<Tell>(&path()).expect("it is alive again");
    assert_ne!(first.get_id(), second.get_id());
    assert!(first.cast(Tell::Nothing).is_err(), "a reference of ractor dies with its incarnation");
    let number = ractor::call!(second, Tell::Which).expect("a reply");
    assert_eq!((number, system.incarnation(&path())), (7, Incarnation::new(2)));
    system.shutdown().await.expect("an orderly end");
    assert!(system.actor::<Tell>(&path()).is_none());
}

/// Fails in one of ractor's own steps.
struct Broken(&'static str);

impl Actor for Broken {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        assert!(self.0 != "panics in pre_start", "boom");
        if self.0 == "fails in pre_start" { Err("no disk".into()) } else { Ok(()) }
    }

    async fn post_start(&self, _: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        if self.0 == "fails in post_start" { Err("no disk".into()) } else { Ok(()) }
    }

    async fn post_stop(&self, _: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match self.0 {
            "hangs in post_stop" => std::future::pending().await,
            "panics in post_stop" => panic!("boom"),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_pre_start_or_post_start_is_a_failed_start() {
    for (what, text) in [
        ("panics in pre_start", "`root/plain` panicked: boom"),
        ("fails in pre_start", "`root/plain` did not start: no disk"),
        ("fails in post_start", "`root/plain` did not start: no disk"),
    ] {
        let spec = SupervisorSpec::new("root", Strategy::OneForOne)
            .child(ChildSpec::actor::<Broken, _>("plain", move || (Broken(what), ())));
        let error = System::start(spec).await.expect_err("it does not start");
        assert_eq!(error.to_string(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_post_stop_is_how_the_life_ended_and_one_that_hangs_there_reads_killed() {
    for (what, text) in [("panics in post_stop", "panicked: boom"), ("hangs in post_stop", "was killed")] {
        let child = ChildSpec::actor::<Broken, _>("plain", move || (Broken(what), ()));
        let spec = SupervisorSpec::new("root", Strategy::OneForOne)
            .child(child.shutdown(Shutdown::Within(std::time::Duration::from_secs(1))));
        let system = System::start(spec).await.expect("the tree starts");
        let mut events = Recorder::of(&system);
        system.shutdown().await.expect("an orderly end");
        assert_eq!(events.exit("root/plain").await.reason.to_string(), text);
        assert_eq!(system.alive(), []);
    }
}
