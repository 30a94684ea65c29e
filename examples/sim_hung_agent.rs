//! A test of an agent that hangs: it is noticed by its handler deadline, not by its silence; a busy one is left alone.
//!
//! Run with `cargo run --example sim_hung_agent`.

use std::time::Duration;

use steadfast::testing::{Sim, World};
use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec};

const LIMIT: Duration = Duration::from_secs(2);

/// Works through so many parts, each for a second.
struct Worker;

impl Agent for Worker {
    type Args = ();
    type Message = u32;
    type Reply = u32;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, parts: u32, ctx: &mut Context<Self>) -> Result<u32, BoxError> {
        for _ in 0..parts {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ctx.progress();
        }
        Ok(parts)
    }
}

fn tree() -> SupervisorSpec {
    let worker = ChildSpec::agent::<Worker>("worker", ()).handler_deadline(LIMIT);
    SupervisorSpec::new("root", Strategy::OneForOne).child(worker)
}

async fn the_hung_one_is_replaced(world: World) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    let worker = node.agent::<Worker>("root/worker")?;
    let minute = Duration::from_mins(1);
    assert_eq!(worker.ask_within(30, minute).await?, 30, "busy for half a minute, and not taken for hung");

    let asked_at = world.now();
    let error = worker.ask_within(1, minute).await.expect_err("the plan lets it hang");
    assert_eq!(world.now().saturating_sub(asked_at), LIMIT, "{error}");
    assert_eq!(worker.ask_within(1, minute).await?, 1);
    world.look(|trace| {
        trace.expect_order(&["fault root/worker", "exited root/worker #1 unresponsive", "started root/worker #2"]);
        trace.expect_within(LIMIT, "fault root/worker", "exited root/worker");
    });
    Ok(())
}

fn check() {
    let plan = "hang at during-message of root/worker #2";
    Sim::new("sim_hung_agent::it_is_noticed").faults(plan).run(the_hung_one_is_replaced);
}

fn main() {
    check();
    println!("the agent that hung was replaced after {LIMIT:?}; the busy one was left alone");
}

#[test]
fn it_is_noticed() {
    check();
}
