//! What a domain costs its messages, and what it does while another one is killed all the time.

use std::sync::Arc;
use std::time::Duration;

use steadfast::flow::{DomainLimits, RateLimit};
use steadfast::{Agent, BoxError, ChildSpec, Context, DomainSpec, Intensity, Strategy, SupervisorSpec, System};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::probe::Countdown;

/// How many agents the other domain has; all are killed at once, ten times a second.
const VICTIMS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(100);

/// Answers with the question.
struct Echo;

impl Agent for Echo {
    type Args = ();
    type Message = u64;
    type Reply = u64;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, question: u64, _: &mut Context<Self>) -> Result<u64, BoxError> {
        Ok(question)
    }
}

async fn both() -> System {
    let root =
        SupervisorSpec::new("root", Strategy::OneForAll).child(SupervisorSpec::new("domains", Strategy::OneForOne));
    let system = System::start(root).await.expect("the system starts");
    let spec = |name: &str, agents: u32| {
        let spec = DomainSpec::new(name).intensity(Intensity::at_most(u32::MAX));
        (0..agents).fold(spec, |spec, number| spec.agent(ChildSpec::agent::<Echo>(format!("echo-{number}"), ())))
    };
    for (name, agents) in [("a", VICTIMS), ("b", 1)] {
        system.add_domain(spec(name, agents)).await.expect("the domain starts");
    }
    system
}

/// Questions to the one domain, while nobody does anything to the other.
pub(crate) fn calm(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move { asked(both().await, n).await })
}

/// The same, while all agents of the other are killed: 100 kills a second.
pub(crate) fn stormy(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let system = both().await;
        let target = system.clone();
        let victims = system.domain("a").expect("it was added").agents();
        let killer = tokio::spawn(async move {
            loop {
                for victim in &victims {
                    target.kill(victim).expect("it is there");
                }
                tokio::time::sleep(BETWEEN).await;
            }
        });
        let seen = asked(system.clone(), n).await;
        killer.abort();
        let restarts = system.restarts();
        assert!(restarts.total >= u64::from(VICTIMS), "nobody was killed: {restarts:?}");
        seen
    })
}

async fn asked(system: System, n: usize) -> Vec<f64> {
    let echo = system.agent::<Echo>("root/domains/b/echo-0").expect("it is there");
    messages::ask(n, |question| {
        let answer = echo.ask_within(question, DEADLINE);
        async move { answer.await.expect("it answers") }
    })
    .await
}

/// Counts what it is told.
struct Sink(Countdown);

impl Agent for Sink {
    type Args = (usize, Arc<tokio::sync::Notify>);
    type Message = u64;
    type Reply = ();

    async fn start((messages, done): Self::Args, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(Countdown::new(messages, done)))
    }

    async fn handle(&mut self, _: u64, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.0.count();
        Ok(())
    }
}

/// Messages to an agent of a domain under these limits.
fn told(flavor: Flavor, n: usize, limits: DomainLimits) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let sink = ChildSpec::agent::<Sink>("sink", (n, Arc::clone(&done))).mailbox(n);
        let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne)).await.expect("the system starts");
        system.add_domain(DomainSpec::new("a").limits(limits).agent(sink)).await.expect("the domain starts");
        let sink = system.agent::<Sink>("root/a/sink").expect("it is there");
        messages::tell(n, done, |message| sink.tell(message).expect("there is room, and a token")).await
    })
}

/// Messages into a domain without limits.
pub(crate) fn unlimited(flavor: Flavor, n: usize) -> Vec<f64> {
    told(flavor, n, DomainLimits::default())
}

/// Messages into a domain with a rate that none of them exceeds.
pub(crate) fn rated(flavor: Flavor, n: usize) -> Vec<f64> {
    let mut limits = DomainLimits::default();
    limits.messages = Some(RateLimit { count: u32::MAX, per: Duration::from_secs(1), burst: Some(u32::MAX) });
    told(flavor, n, limits)
}
