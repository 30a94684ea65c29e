//! Lazy agents at rest: how many bytes each keeps, and how long it takes until one has handled its first message.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{ActorProcessingErr, ActorRef};
use steadfast::{
    Agent, AgentSpec, BoxError, Capability, ChildSpec, Context, Intensity, Strategy, SupervisorSpec, System,
};
use tokio::sync::Notify;

use crate::allocator;
use crate::harness::{Flavor, Unit};

/// Longer than any measurement takes.
const NEVER: Duration = Duration::from_hours(1);

/// After so long without a message those that are to be put to rest are.
const SOON: Duration = Duration::from_millis(500);

/// How long what is needed only to start takes to be gone.
const SETTLED: Duration = Duration::from_secs(1);

const OFFER: Capability<(), ()> = Capability::new("bench.lazy", "1.0.0");

/// Says when it has handled a message.
struct Woken(Arc<Notify>);

impl Agent for Woken {
    type Args = Arc<Notify>;
    type Message = ();
    type Reply = ();

    async fn start(handled: Arc<Notify>, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(handled))
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        self.0.notify_one();
        Ok(())
    }
}

/// What the children of a tree are.
type Describe = fn(AgentSpec<Woken>) -> AgentSpec<Woken>;

async fn tree(n: usize, handled: &Arc<Notify>, describe: Describe) -> System {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(u32::MAX));
    let child = |at| describe(ChildSpec::agent::<Woken>(format!("c{at}"), Arc::clone(handled)));
    System::start((0..n).fold(root, |root, at| root.child(child(at)))).await.expect("the tree starts")
}

/// The bytes that each of `n` keeps, its share of everything included, in a process that has measured nothing before: what
/// slots have in common blocks stays when they are gone, and is used again.
fn bytes(what: &str, n: usize) -> Vec<f64> {
    let mut myself = Command::new(std::env::current_exe().expect("a program has a place"));
    let output = myself.args(["--alone", what, "--of", &n.to_string()]).output().expect("it starts again");
    let figure = String::from_utf8_lossy(&output.stdout);
    vec![figure.trim().parse().expect("it prints a number")]
}

pub(crate) fn plain(_: Flavor, n: usize) -> Vec<f64> {
    bytes("plain", n)
}

pub(crate) fn fresh(_: Flavor, n: usize) -> Vec<f64> {
    bytes("fresh", n)
}

pub(crate) fn offering(_: Flavor, n: usize) -> Vec<f64> {
    bytes("offering", n)
}

pub(crate) fn put_to_rest(_: Flavor, n: usize) -> Vec<f64> {
    bytes("put-to-rest", n)
}

/// What [`bytes`] has another process measure.
pub(crate) fn alone(what: &str, n: usize) -> f64 {
    let what = what.to_owned();
    Flavor::CurrentThread.run(async move {
        allocator::begin();
        let (system, actors) = match what.as_str() {
            "plain" => (None, spawned(n).await),
            "fresh" => (Some(tree(n, &Arc::default(), |child| child.lazy(NEVER)).await), Vec::new()),
            "offering" => (Some(tree(n, &Arc::default(), |child| child.lazy(NEVER).offers(&OFFER)).await), Vec::new()),
            "put-to-rest" => (Some(rested(n).await), Vec::new()),
            other => panic!("there is no `{other}`"),
        };
        tokio::time::sleep(SETTLED).await;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = allocator::end() as f64 / n as f64;
        drop((system, actors));
        each
    })
}

/// Actors of plain ractor, which have handled nothing.
async fn spawned(n: usize) -> Vec<ActorRef<()>> {
    let handled: Arc<Notify> = Arc::default();
    let mut actors = Vec::with_capacity(n);
    for _ in 0..n {
        actors.push(ractor::Actor::spawn(None, Plain, Arc::clone(&handled)).await.expect("it starts").0);
    }
    actors
}

/// Each has handled a message, and has been put to rest again.
async fn rested(n: usize) -> System {
    let handled: Arc<Notify> = Arc::default();
    let system = tree(n, &handled, |child| child.lazy(SOON)).await;
    let path = |at: usize| format!("root/c{at}");
    for at in 0..n {
        system.agent::<Woken>(path(at)).expect("it is there").tell(()).expect("there is room");
        handled.notified().await;
    }
    while (0..n).any(|at| system.incarnation(path(at)).is_some()) {
        tokio::time::sleep(SOON).await;
    }
    system
}

/// The same of plain ractor.
struct Plain;

impl ractor::Actor for Plain {
    type Msg = ();
    type State = Arc<Notify>;
    type Arguments = Arc<Notify>;

    async fn pre_start(&self, _: ActorRef<()>, handled: Arc<Notify>) -> Result<Arc<Notify>, ActorProcessingErr> {
        Ok(handled)
    }

    async fn handle(&self, _: ActorRef<()>, (): (), handled: &mut Arc<Notify>) -> Result<(), ActorProcessingErr> {
        handled.notify_one();
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn each(took: Duration, n: usize) -> Vec<f64> {
    vec![Unit::Microseconds.of_seconds(took.as_secs_f64()) / n as f64]
}

/// An actor of plain ractor is spawned for each message.
pub(crate) fn spawned_for_it(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let handled: Arc<Notify> = Arc::default();
        let mut actors = Vec::with_capacity(n);
        let began = Instant::now();
        for _ in 0..n {
            let (actor, _) = ractor::Actor::spawn(None, Plain, Arc::clone(&handled)).await.expect("it starts");
            actor.cast(()).expect("it is alive");
            handled.notified().await;
            actors.push(actor);
        }
        let took = began.elapsed();
        for actor in &actors {
            actor.stop(None);
        }
        each(took, n)
    })
}

async fn told(n: usize, describe: Describe) -> Duration {
    let handled: Arc<Notify> = Arc::default();
    let system = tree(n, &handled, describe).await;
    let agents: Vec<_> = (0..n).map(|at| system.agent::<Woken>(format!("root/c{at}")).expect("it is there")).collect();
    let began = Instant::now();
    for agent in &agents {
        agent.tell(()).expect("there is room");
        handled.notified().await;
    }
    began.elapsed()
}

/// Each message is for an agent at rest.
pub(crate) fn woken(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move { each(told(n, |child| child.lazy(NEVER)).await, n) })
}

/// Each message is for an agent that runs.
pub(crate) fn running(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move { each(told(n, |child| child).await, n) })
}
