//! One payload for many receivers: how long each of them costs, whoever passes it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use kameo::actor::Spawn;
use ractor::{ActorProcessingErr, pg};
use steadfast::message::{Pattern, Subject};
use steadfast::{Agent, AgentRef, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};

use crate::harness::{Flavor, Unit};

/// How many payloads go to all receivers in one round, one right after the other.
const PAYLOADS: u64 = 20;

/// What all receivers count down together.
struct All {
    left: AtomicUsize,
    done: Notify,
}

impl All {
    fn of(receivers: usize) -> Arc<Self> {
        let left = AtomicUsize::new(receivers * usize::try_from(PAYLOADS).expect("a small number"));
        Arc::new(Self { left, done: Notify::new() })
    }

    fn count(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.done.notify_one();
        }
    }
}

/// From the first payload until all receivers have handled all of them, per message.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
async fn each(n: usize, all: &All, send: impl Fn(u64)) -> Vec<f64> {
    let began = Instant::now();
    (0..PAYLOADS).for_each(send);
    all.done.notified().await;
    vec![Unit::Nanoseconds.of_seconds(began.elapsed().as_secs_f64()) / (n as f64 * PAYLOADS as f64)]
}

/// An agent of the framework.
struct Ear(Arc<All>);

impl Agent for Ear {
    type Args = Arc<All>;
    type Message = u64;
    type Reply = ();

    async fn start(all: Arc<All>, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(all))
    }

    async fn handle(&mut self, _: u64, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.0.count();
        Ok(())
    }
}

async fn ears(n: usize) -> (System, Vec<AgentRef<Ear>>, Arc<All>) {
    let all = All::of(n);
    let root = (0..n).fold(SupervisorSpec::new("root", Strategy::OneForOne), |root, at| {
        root.child(ChildSpec::agent::<Ear>(format!("c{at}"), Arc::clone(&all)))
    });
    let system = System::start(root).await.expect("the tree starts");
    let ears = (0..n).map(|at| system.agent(format!("root/c{at}")).expect("it is there")).collect();
    (system, ears, all)
}

/// A loop over references: the floor.
pub(crate) fn tells(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (_system, ears, all) = ears(n).await;
        let tell = |payload| ears.iter().for_each(|ear| ear.tell(payload).expect("there is room"));
        each(n, &all, tell).await
    })
}

pub(crate) fn publish(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (system, ears, all) = ears(n).await;
        let pattern: Pattern = "agents.*.cache.evicted".parse().expect("a pattern");
        for ear in &ears {
            system.subscribe(ear, &pattern, |payload: u64| payload).expect("it is there");
        }
        let subject: Subject = "agents.data.cache.evicted".parse().expect("a subject");
        each(n, &all, |payload| assert_eq!(system.publish(&subject, payload).delivered, n)).await
    })
}

pub(crate) fn broadcast(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (system, ears, all) = ears(n).await;
        let group = system.group::<u64>("ears").expect("a group");
        for ear in &ears {
            group.join(ear).expect("it is there");
        }
        each(n, &all, |payload| assert_eq!(group.broadcast(payload).delivered, n)).await
    })
}

/// A plain ractor actor.
struct Plain;

impl ractor::Actor for Plain {
    type Msg = u64;
    type State = Arc<All>;
    type Arguments = Arc<All>;

    async fn pre_start(&self, _: ractor::ActorRef<u64>, all: Arc<All>) -> Result<Arc<All>, ActorProcessingErr> {
        Ok(all)
    }

    async fn handle(&self, _: ractor::ActorRef<u64>, _: u64, all: &mut Arc<All>) -> Result<(), ActorProcessingErr> {
        all.count();
        Ok(())
    }
}

/// ractor's process groups: the members are looked up for each payload.
pub(crate) fn process_group(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let all = All::of(n);
        let group = "bench".to_owned();
        let mut cells = Vec::with_capacity(n);
        for _ in 0..n {
            let (actor, _) = ractor::Actor::spawn(None, Plain, Arc::clone(&all)).await.expect("it starts");
            cells.push(actor.get_cell());
        }
        // Groups belong to the process: the next round begins with an empty one.
        pg::join(group.clone(), cells.clone());
        let send = |payload: u64| {
            for member in pg::get_members(&group) {
                member.send_message(payload).expect("it is alive");
            }
        };
        let seen = each(n, &all, send).await;
        pg::leave(group, cells);
        seen
    })
}

/// An actor of kameo.
struct Peer(Arc<All>);

impl kameo::Actor for Peer {
    type Args = Arc<All>;
    type Error = kameo::error::Infallible;

    async fn on_start(all: Arc<All>, _: kameo::actor::ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Self(all))
    }
}

impl kameo::message::Message<u64> for Peer {
    type Reply = ();

    async fn handle(&mut self, _: u64, _: &mut kameo::message::Context<Self, ()>) {
        self.0.count();
    }
}

/// kameo, by a loop over references: its publish and subscribe is a package of its own, an actor with such a loop.
pub(crate) fn kameo_tells(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let all = All::of(n);
        let mut peers = Vec::with_capacity(n);
        for _ in 0..n {
            let peer = Peer::spawn(Arc::clone(&all));
            peer.wait_for_startup().await;
            peers.push(peer);
        }
        let tell = |payload| peers.iter().for_each(|peer| peer.tell(payload).try_send().expect("there is room"));
        each(n, &all, tell).await
    })
}
