//! What a message costs beyond a plain tell: lanes, an envelope with a deadline, a choice by a route.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use steadfast::flow::Order;
use steadfast::message::{Envelope, Priority};
use steadfast::registry::selection::Selection;
use steadfast::{AgentSpec, Capability, ChildSpec, Strategy, SupervisorSpec, System};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::peers::ours::{Echo, Sink, SinkArgs, alone, sink};

const COUNT: Capability<u64, ()> = Capability::new("bench.count", "1.0.0");
const ECHO: Capability<u64, u64> = Capability::new("bench.echo", "1.0.0");

/// Among how many a route chooses.
const PROVIDERS: usize = 100;

fn lanes(sink: AgentSpec<Sink>) -> AgentSpec<Sink> {
    sink.order(Order::Priority)
}

fn plain(sink: AgentSpec<Sink>) -> AgentSpec<Sink> {
    sink
}

/// As tell, to an agent with lanes; all in the same one.
pub(crate) fn in_lanes(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (_system, sink, done) = sink(n, lanes).await;
        messages::tell(n, done, |message| sink.tell(message).expect("there is room")).await
    })
}

fn enveloped(flavor: Flavor, n: usize, with: fn(AgentSpec<Sink>) -> AgentSpec<Sink>) -> Vec<f64> {
    const LANES: [Priority; 3] = [Priority::LOW, Priority::MEDIUM, Priority::HIGH];
    flavor.run(async move {
        let (_system, sink, done) = sink(n, with).await;
        let deadline = Instant::now() + Duration::from_hours(1);
        messages::tell(n, done, |message| {
            let lane = LANES[usize::try_from(message % 3).expect("a small number")];
            let envelope = Envelope::new(message, message).with_priority(lane).with_deadline(deadline);
            sink.send(envelope).expect("there is room");
        })
        .await
    })
}

/// An envelope for each, with a priority and a deadline that does not come, to an agent without lanes.
pub(crate) fn envelopes(flavor: Flavor, n: usize) -> Vec<f64> {
    enveloped(flavor, n, plain)
}

/// The same to an agent with lanes.
pub(crate) fn envelopes_in_lanes(flavor: Flavor, n: usize) -> Vec<f64> {
    enveloped(flavor, n, lanes)
}

/// As tell, through a route to the only provider.
pub(crate) fn to_one(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (system, _sink, done) = sink(n, |sink| sink.offers(&COUNT)).await;
        let route = system.route(&COUNT).build().expect("a route");
        messages::tell(n, done, |message| route.tell(message).expect("there is room")).await
    })
}

/// As tell, through a route to a hundred, which take turns.
pub(crate) fn to_many(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done: Vec<Arc<Notify>> = (0..PROVIDERS).map(|_| Arc::default()).collect();
        let root =
            done.iter().enumerate().fold(SupervisorSpec::new("root", Strategy::OneForOne), |root, (at, done)| {
                let args = SinkArgs { messages: n / PROVIDERS, done: Arc::clone(done) };
                root.child(ChildSpec::agent::<Sink>(format!("c{at}"), args).mailbox(n).offers(&COUNT))
            });
        let system = System::start(root).await.expect("the tree starts");
        let route = system.route(&COUNT).selection(Selection::RoundRobin).build().expect("a route");
        let all = Arc::new(Notify::new());
        let last = Arc::clone(&all);
        tokio::spawn(async move {
            for done in done {
                done.notified().await;
            }
            last.notify_one();
        });
        messages::tell(n, all, |message| route.tell(message).expect("there is room")).await
    })
}

/// As ask, through a route to the only provider.
pub(crate) fn asked(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let system = alone(ChildSpec::agent::<Echo>("echo", ()).offers(&ECHO)).await;
        let route = system.route(&ECHO).within(DEADLINE).build().expect("a route");
        messages::ask(n, |question| {
            let route = &route;
            async move { route.ask(question).await.expect("it answers") }
        })
        .await
    })
}
