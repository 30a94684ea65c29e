//! Guarantee: an agent that is killed ends, or goes on; it never lives on without handling anything.

use std::sync::{Arc, Mutex};

use steadfast::{Agent, AgentRef, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec, System};

/// Its arguments kill it when they are made for its second life: that has no actor yet.
struct Killer(Arc<Mutex<Option<System>>>);

impl Clone for Killer {
    fn clone(&self) -> Self {
        let system = self.0.lock().expect("nobody panics with it").clone();
        if let Some(system) = system {
            system.kill("root/a").expect("it is in the tree");
        }
        Self(Arc::clone(&self.0))
    }
}

struct Counter(u64);

impl Agent for Counter {
    type Args = Killer;
    type Message = bool;
    type Reply = u64;

    async fn start(_: Killer, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(0))
    }

    async fn handle(&mut self, crash: bool, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        self.0 += 1;
        if crash { Err("on purpose".into()) } else { Ok(ctx.incarnation().get()) }
    }
}

async fn start(killer: Killer) -> (System, AgentRef<Counter>) {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(1_000_000))
        .child(ChildSpec::agent::<Counter>("a", killer));
    let system = System::start(spec).await.expect("the tree starts");
    let agent = system.agent::<Counter>("root/a").expect("it is an agent");
    (system, agent)
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_killed_before_it_has_an_actor_answers_all_the_same() {
    let killer = Killer(Arc::default());
    let (system, agent) = start(killer.clone()).await;
    *killer.0.lock().expect("nobody panics with it") = Some(system.clone());
    agent.ask(true).await.expect_err("it crashes");
    let life = agent.ask(false).await.expect("its next life answers");
    assert!(life >= 2, "{life}");
    *killer.0.lock().expect("nobody panics with it") = None;
    system.shutdown().await.expect("an orderly end");
}
