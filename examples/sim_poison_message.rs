//! A test of a poison message: whoever handles it crashes, and its sender tries again. Its agent ends in quarantine, its
//! siblings go on, and somebody who has removed the cause brings it back.
//!
//! Run with `cargo run --example sim_poison_message`.

use std::time::Duration;

use steadfast::testing::{Sim, World};
use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec};

struct Parser;

impl Agent for Parser {
    type Args = ();
    type Message = &'static str;
    type Reply = usize;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, text: &'static str, _: &mut Context<Self>) -> Result<usize, BoxError> {
        assert!(!text.contains('\0'), "a character that nobody thought of");
        Ok(text.len())
    }
}

fn tree() -> SupervisorSpec {
    // Three crashes of its own in a minute are too many for one of them; the supervisor's own limit is not charged.
    let parser =
        |name: &str| ChildSpec::agent::<Parser>(name, ()).budget(Intensity::at_most(3).within(Duration::from_mins(1)));
    SupervisorSpec::new("root", Strategy::OneForOne).child(parser("left")).child(parser("right"))
}

async fn poison_costs_one_agent_only(world: World) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    let (left, right) = (node.agent::<Parser>("root/left")?, node.agent::<Parser>("root/right")?);
    world.always("nobody gives up", |trace| !trace.has("gave-up"));
    let mut tries = 0;
    while left.ask("a\0b").await.is_err_and(|error| error.to_string().contains("nobody thought of")) {
        tries += 1;
        assert_eq!(right.ask("text").await?, 4, "its sibling goes on");
    }
    assert_eq!(tries, 4);
    assert!(left.ask("text").await.is_err(), "nobody waits for one in quarantine");
    world.look(|trace| trace.expect_order(&["exited root/left #4 panicked", "resting root/left"]));

    node.system().supervisor("root")?.restart_child("left").await?;
    assert_eq!(left.ask("text").await?, 4);
    Ok(())
}

fn check() {
    Sim::new("sim_poison_message::it_costs_one_agent_only").run(poison_costs_one_agent_only);
}

fn main() {
    check();
    println!("the poison cost one agent, for as long as nobody brought it back, and its sibling nothing");
}

#[test]
fn it_costs_one_agent_only() {
    check();
}
