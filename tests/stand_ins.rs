//! Guarantee: what stands in for an agent in a test is found in its place, and what is asked of it waits for the test's answer.

use std::time::Duration;

use steadfast::testing::{Order, Probe, Sim, StandIn, World};
use steadfast::{AgentRef, BoxError, ChildSpec, RequestError, Strategy, SupervisorSpec};

const SECOND: Duration = Duration::from_secs(1);

#[steadfast::sim_test]
async fn a_stand_in_is_found_by_the_type_it_stands_in_for_and_by_no_other(world: World) -> Result<(), BoxError> {
    let db = StandIn::<Probe>::new();
    let own = db.clone();
    let node = world.start(move || SupervisorSpec::new("root", Strategy::OneForOne).child(own.spec("db"))).await?;
    let asked: AgentRef<Probe> = node.agent("root/db")?;
    world.spawn(async move {
        assert_eq!(asked.ask(Order::Echo(1)).await.expect("an answer"), 7);
    });
    let call = db.expect(SECOND).await;
    assert!(matches!(call.message(), Order::Echo(1)), "{call:?}");
    call.reply(7);
    db.expect_none(SECOND).await;
    Ok(())
}

#[steadfast::sim_test]
async fn who_asks_a_stand_in_that_fails_or_is_not_answered_learns_that_it_ended(world: World) -> Result<(), BoxError> {
    let db = StandIn::<Probe>::new();
    let own = db.clone();
    let often = steadfast::Intensity::at_most(10);
    let spec = move || SupervisorSpec::new("root", Strategy::OneForOne).intensity(often).child(own.spec("db"));
    let node = world.start(spec).await?;
    for (fails, told) in [(true, "no disk"), (false, "the test did not answer")] {
        let asked: AgentRef<Probe> = node.agent("root/db")?;
        let (sender, answer) = tokio::sync::oneshot::channel();
        world.spawn(async move {
            let _ = sender.send(asked.ask(Order::Which).await);
        });
        let call = db.expect(SECOND).await;
        if fails {
            call.fail("no disk");
        } else {
            drop(call);
        }
        let error = answer.await?.expect_err("it failed");
        assert!(matches!(error, RequestError::Exited { .. }) && error.to_string().contains(told), "{error}");
    }
    world.eventually(SECOND, "started root/db #3").await;
    Ok(())
}

#[test]
fn a_message_that_does_not_come_or_was_not_to_come_fails_the_test() {
    let sim = Sim::new("stand_ins");
    let failure = |comes: bool| {
        let ran = sim.try_seed(0, move |world: World| async move {
            let db = StandIn::<Probe>::new();
            let own = db.clone();
            let spec = move || SupervisorSpec::new("root", Strategy::OneForOne).child(own.spec("db"));
            let node = world.start(spec).await?;
            if comes {
                node.agent::<Probe>("root/db")?.tell(Order::Which)?;
                db.expect_none(SECOND).await;
            } else {
                let _ = db.expect(SECOND).await;
            }
            Ok::<_, BoxError>(())
        });
        ran.failure.expect("it fails")
    };
    assert!(failure(false).contains("no message came to the stand-in within 1s"));
    assert!(failure(true).contains("a message came to the stand-in, and none was to come for 1s"));
}

/// A plain ractor actor, which knows nothing of us.
struct Plain;

impl ractor::Actor for Plain {
    type Msg = u64;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ractor::ActorRef<u64>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ractor::ActorRef<u64>, _: u64, (): &mut ()) -> Result<(), ractor::ActorProcessingErr> {
        tokio::time::sleep(SECOND).await;
        Ok(())
    }
}

#[test]
fn a_plain_ractor_actor_comes_to_all_points_of_its_shell() {
    for (plan, exit) in [
        ("error at before-start of root/plain #2; kill root/plain at 1s", "exited root/plain #2 start_failed"),
        ("error at after-start of root/plain #2; kill root/plain at 1s", "exited root/plain #2 start_failed"),
        ("panic at before-message of root/plain", "exited root/plain #1 panicked"),
        ("kill at during-message of root/plain", "exited root/plain #1 killed"),
        ("error at after-message of root/plain #2", "exited root/plain #1 failed"),
        ("panic at in-stop of root/plain", "exited root/plain #1 panicked"),
    ] {
        Sim::new("stand_ins").faults(plan).run(move |world: World| async move {
            let spec = || {
                let often = steadfast::Intensity::at_most(10);
                let plain = ChildSpec::actor::<Plain, _>("plain", || (Plain, ()));
                SupervisorSpec::new("root", Strategy::OneForOne).intensity(often).child(plain)
            };
            let node = world.start(spec).await?;
            world.always("only this one", move |trace| trace.count("exited root/plain") <= 2);
            let stop = plan.contains("in-stop");
            for _ in 0..2 {
                if let Some(actor) = node.system().actor::<u64>("root/plain") {
                    actor.cast(1)?;
                }
                world.sleep(3 * SECOND).await;
            }
            if stop {
                node.system().supervisor("root")?.terminate_child("plain").await?;
            }
            world.look(|trace| assert!(trace.has(exit), "no `{exit}`"));
            Ok::<_, BoxError>(())
        });
    }
}
