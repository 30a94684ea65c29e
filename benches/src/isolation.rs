//! What a domain does while another one is killed all the time.

use std::time::Duration;

use steadfast::{Agent, BoxError, ChildSpec, Context, DomainSpec, Intensity, Strategy, SupervisorSpec, System};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};

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
        let killed = system.clone();
        let victims = system.domain("a").expect("it was added").agents();
        let killer = tokio::spawn(async move {
            loop {
                for victim in &victims {
                    killed.kill(victim).expect("it is there");
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
