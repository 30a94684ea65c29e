//! How long it takes that others find somebody, and do not find it any more.

use std::time::{Duration, Instant};

use kameo::actor::Spawn;
use ractor::{ActorProcessingErr, ActorRef, pg};
use steadfast::{
    Agent, AgentSpec, BoxError, Capability, ChildSpec, Context, Intensity, Strategy, SupervisorSpec, System,
};

use crate::harness::{Flavor, Unit};

/// Of the same name, while one more comes and goes.
const OTHERS: usize = 100;

const OFFER: Capability<(), ()> = Capability::new("bench.offer", "1.0.0");

/// Per step, of `n`.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn each(took: Duration, n: usize) -> Vec<f64> {
    vec![Unit::Nanoseconds.of_seconds(took.as_secs_f64()) / n as f64]
}

/// An agent that does nothing.
struct Idle;

impl Agent for Idle {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        Ok(())
    }
}

fn idle(name: String) -> AgentSpec<Idle> {
    ChildSpec::agent::<Idle>(name, ())
}

async fn system() -> System {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(u32::MAX));
    let root = (0..OTHERS).fold(root, |root, at| root.child(idle(format!("c{at}")).offers(&OFFER)));
    System::start(root.child(idle("coming".to_owned()))).await.expect("the tree starts")
}

/// Registers and deregisters, each when the step before is known to all.
pub(crate) fn ours(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let system = system().await;
        let agent = system.agent::<Idle>("root/coming").expect("it is there");
        let began = Instant::now();
        for _ in 0..n / 2 {
            system.register(&agent, &OFFER).await.expect("it is there");
            system.deregister(agent.path(), &OFFER).await.expect("it was registered");
        }
        each(began.elapsed(), n)
    })
}

/// Starts an agent that offers something, stops it and forgets it.
pub(crate) fn ours_starting(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let system = system().await;
        let supervisor = system.supervisor("root").expect("it is there");
        let children: Vec<_> = (0..n).map(|at| (format!("new{at}"), idle(format!("new{at}")).offers(&OFFER))).collect();
        let began = Instant::now();
        for (name, child) in children {
            supervisor.start_child(child).await.expect("it starts");
            supervisor.terminate_child(&name).await.expect("it is there");
            supervisor.delete_child(&name).await.expect("it is stopped");
        }
        each(began.elapsed(), n)
    })
}

/// A plain ractor actor that does nothing.
struct Plain;

impl ractor::Actor for Plain {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Groups belong to the process: they are left when the round is over.
async fn group() -> Vec<ActorRef<()>> {
    let mut others = Vec::with_capacity(OTHERS);
    for _ in 0..OTHERS {
        others.push(ractor::Actor::spawn(None, Plain, ()).await.expect("it starts").0);
    }
    pg::join(OFFER.name().to_owned(), others.iter().map(ActorRef::get_cell).collect());
    others
}

async fn stop(others: Vec<ActorRef<()>>) {
    for other in others {
        other.stop_and_wait(None, None).await.expect("it stops");
    }
}

/// ractor's process groups.
pub(crate) fn joining(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let others = group().await;
        let (coming, _) = ractor::Actor::spawn(None, Plain, ()).await.expect("it starts");
        let began = Instant::now();
        for _ in 0..n / 2 {
            pg::join(OFFER.name().to_owned(), vec![coming.get_cell()]);
            pg::leave(OFFER.name().to_owned(), vec![coming.get_cell()]);
        }
        let seen = each(began.elapsed(), n);
        stop(others).await;
        seen
    })
}

/// The same with an actor that is started, and leaves by its end. Nobody supervises it.
pub(crate) fn joining_starting(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let others = group().await;
        let began = Instant::now();
        for _ in 0..n {
            let (actor, _) = ractor::Actor::spawn(None, Plain, ()).await.expect("it starts");
            pg::join(OFFER.name().to_owned(), vec![actor.get_cell()]);
            actor.stop_and_wait(None, None).await.expect("it stops");
        }
        let seen = each(began.elapsed(), n);
        stop(others).await;
        seen
    })
}

/// An actor of kameo that does nothing.
struct Peer;

impl kameo::Actor for Peer {
    type Args = ();
    type Error = kameo::error::Infallible;

    async fn on_start((): (), _: kameo::actor::ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Self)
    }
}

fn forget(name: &str) {
    kameo::registry::ACTOR_REGISTRY.lock().expect("nobody panics").remove(name);
}

/// kameo's registry: one actor for a name.
pub(crate) fn naming(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let peer = Peer::spawn(());
        peer.wait_for_startup().await;
        let began = Instant::now();
        for _ in 0..n / 2 {
            peer.register("bench").expect("the name is free");
            forget("bench");
        }
        each(began.elapsed(), n)
    })
}

/// The same with an actor that is started and stopped. Nobody supervises it.
pub(crate) fn naming_starting(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let names: Vec<_> = (0..n).map(|at| format!("new{at}")).collect();
        let began = Instant::now();
        for name in names {
            let peer = Peer::spawn(());
            peer.wait_for_startup().await;
            peer.register(name.clone()).expect("the name is new");
            peer.stop_gracefully().await.expect("it is alive");
            peer.wait_for_shutdown().await;
            forget(&name);
        }
        each(began.elapsed(), n)
    })
}
