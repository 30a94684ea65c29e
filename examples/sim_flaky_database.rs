//! A test of an agent whose database is not there at times: it backs off, it comes back, and nobody's question is lost.
//!
//! Run with `cargo run --example sim_flaky_database`.

use std::time::Duration;

use steadfast::testing::{Sim, World};
use steadfast::{Agent, Backoff, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec};

/// Keeps a connection to a database, and asks it.
struct Store;

impl Agent for Store {
    type Args = ();
    type Message = u64;
    type Reply = u64;

    /// Connects.
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, question: u64, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        // Where a plan may let the connection break.
        steadfast::faultpoint!(ctx, "query");
        Ok(question * 2)
    }
}

fn tree() -> SupervisorSpec {
    let store = ChildSpec::agent::<Store>("store", ()).backoff(Backoff::exponential(Duration::from_millis(100)));
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(20)).failed_starts(10).child(store)
}

/// The connection breaks at the second question, and three times there is no new one.
const PLAN: &str = "error at point:query of root/store #2; error at before-start of root/store #2; \
                    error at before-start of root/store #3; error at before-start of root/store #4";

async fn questions_wait_until_it_is_back(world: World) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    let store = node.agent::<Store>("root/store")?;
    assert_eq!(store.ask(1).await?, 2);
    assert!(store.ask(2).await.is_err(), "whoever asked when it broke is told");
    assert_eq!(store.ask(3).await?, 6, "whoever asked while it was away has waited");
    world.look(|trace| {
        trace.expect_order(&["exited root/store #1 failed", "backing-off root/store", "started root/store #5"]);
        trace.expect_at_most(4, "exited root/store");
        trace.expect_never("gave-up");
    });
    Ok(())
}

fn check() {
    Sim::new("sim_flaky_database::it_comes_back").faults(PLAN).run(questions_wait_until_it_is_back);
}

fn main() {
    check();
    println!("the database was away three times, and each question has its answer or its error");
}

#[test]
fn it_comes_back() {
    check();
}
