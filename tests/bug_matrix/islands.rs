//! Three nodes that tell each other everything over a network on which everything goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::flow::DomainLimits;
use steadfast::lifecycle::hook::On;
use steadfast::seam::{Interest, Message};
use steadfast::testing::{Log, Node, Passage, Probe, Ran, Sim, Trace, What, World};
use steadfast::{BoxError, DomainSpec, StateName, Strategy, SupervisorSpec};

const NODES: [&str; 3] = ["a", "b", "c"];

/// Links fail, and one node goes down now and then: it may be down when the plan has a crash for it.
const CHAOS: &str = "drop 5% at link * to *; duplicate 5% at link * to *; delay 20ms 5% at link * to *; \
    reorder 5% at link * to *; crash b for 300ms every 3s; swarm";
const PLAN: &str = "partition at link a with c from 2s to 3s; drop at link a to b; duplicate at link b to a; \
    delay 30ms at link b to c; reorder at link c to b; crash b for 300ms at 1500ms";

/// Runs a seed.
pub(crate) fn try_seed(seed: u64) -> Ran {
    Sim::new("islands").faults(PLAN).may_not_fire().chaos(CHAOS).try_seed(seed, tell_each_other)
}

/// Somebody whose rest a hook does not allow.
fn tree() -> SupervisorSpec {
    let restless = Probe::spec("restless", &Log::default());
    let no_rest = |_, _| async { Err("it is needed day and night".into()) };
    let restless = restless.hook_before("no rest", On::Entering(StateName::Suspended), no_rest);
    SupervisorSpec::new("root", Strategy::OneForOne).child(restless)
}

/// A domain that has room for one agent; the next is refused.
async fn fill_a_domain(node: &Node) -> Result<(), BoxError> {
    let mut limits = DomainLimits::default();
    limits.agents = Some(1);
    let spec = DomainSpec::new("full").limits(limits).agent(Probe::spec("only", &Log::default()));
    node.system().add_domain(spec).await?;
    let more = node.system().supervisor("root/full")?.start_child(Probe::spec("more", &Log::default())).await;
    if more.is_ok() { Err("room: a domain with room for one has two".into()) } else { Ok(()) }
}

async fn tell_each_other(world: World) -> Result<(), BoxError> {
    let mut nodes = Vec::new();
    for name in NODES {
        let node = world.node(name).start(tree).await?;
        listen(&world, &node);
        nodes.push(node);
    }
    fill_a_domain(&nodes[0]).await?;
    if nodes[0].system().suspend("root/restless").await.is_ok() {
        return Err("hooks: what a hook refuses has come".into());
    }
    for number in 0..2000_u64 {
        let node = &nodes[usize::try_from(number % 3)?];
        // One that is down tells nobody anything.
        if let Some(system) = node.try_system() {
            let subject = format!("news.{}", node.name()).parse()?;
            let _ = system.transport().publish(Message::new(subject, number.to_be_bytes())).await;
        }
        world.sleep(Duration::from_millis(2)).await;
    }
    world.sleep(Duration::from_secs(2)).await;
    world.look(unaccounted).map_or(Ok(()), |problem| Err(problem.into()))
}

/// Each start of a node hears all, and acknowledges it.
fn listen(world: &World, node: &Node) {
    let (world, node) = (world.clone(), node.clone());
    world.clone().spawn(async move {
        loop {
            if let Some(system) = node.try_system() {
                let interest = Interest::new("news.>".parse().expect("a pattern"));
                if let Ok(mut inbox) = system.transport().subscribe(interest).await {
                    while let Some(delivery) = inbox.next().await {
                        let _ = delivery.ack().await;
                    }
                }
            }
            world.sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Each crossing, and each double of one, arrives, is dropped, finds no room or nobody; once.
fn unaccounted(trace: &Trace) -> Option<String> {
    let mut balance: BTreeMap<_, i64> = BTreeMap::new();
    for entry in trace.entries() {
        let What::Message(passed) = &entry.what else { continue };
        *balance.entry((passed.number, passed.to.clone())).or_default() += match passed.what {
            Passage::Sent | Passage::Duplicated => 1,
            Passage::Dropped | Passage::Arrived | Passage::Missed | Passage::Lost => -1,
            _ => 0,
        };
    }
    let open = balance.iter().find(|(_, balance)| **balance != 0);
    open.map(|((number, to), balance)| format!("crossings: of message {number} to {to} {balance} are unaccounted for"))
}
