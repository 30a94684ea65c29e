//! At every append, and every message: the process ends, the power is cut, a write is torn, the journal or the agent dies.

use std::time::Duration;

use steadfast::sourcing::{Lag, events_since};
use steadfast::testing::{Node, Sim, World};
use steadfast::{AgentSpec, BoxError, ChildSpec, Sourced};

use crate::ledger::{AGAIN, Booked, Ledger, List, Order, PAUSE, ledger, order, root, stream};

const NUMBERS: u64 = 8;

type Shape = fn(AgentSpec<Sourced<Ledger>>) -> AgentSpec<Sourced<Ledger>>;

const SHAPES: [Shape; 3] = [|plain| plain, |spec| spec.snapshot_every(3), |spec| spec.snapshot_and_prune_every(2)];

/// Books all numbers, one after the other, and returns what is there at the end.
async fn book_all(world: &World, node: &Node) -> Vec<u64> {
    for number in 1..=NUMBERS {
        if let Some(all) = order(world, node, Order::Book(number)).await {
            assert_eq!(all, (1..=number).collect::<Vec<_>>(), "what was acknowledged is there, once");
        }
    }
    // Whatever is still on its way has come.
    world.sleep(Duration::from_secs(10)).await;
    order(world, node, Order::Show).await.expect("it is a question")
}

async fn ledger_keeps(world: World, shape: Shape, pruned: bool) -> Result<(), BoxError> {
    let node = world.start(move || root(shape(ledger()))).await?;
    let all: Vec<_> = (1..=NUMBERS).collect();
    assert_eq!(book_all(&world, &node).await, all);
    // The same once more from what is on the disk.
    node.crash().await;
    node.restart().await?;
    assert_eq!(order(&world, &node, Order::Show).await, Some(all.clone()));
    if !pruned {
        let events = events_since::<Booked>(&*node.system().journal(), &stream(), 0).await?;
        assert_eq!(events.iter().map(|recorded| recorded.event.0).collect::<Vec<_>>(), all);
        assert!(events.iter().all(|recorded| recorded.event_type == "booked"));
        assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq && pair[0].at <= pair[1].at));
    }
    Ok(())
}

/// Runs a test with this fault at the first, the second, … time, until there is no such time. Returns how many there were.
fn at_every<F>(fault: &str, test: impl Fn(World) -> F + Clone + Send + Sync + 'static) -> u64
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    for time in 1.. {
        let plan = format!("{fault} #{time}");
        let ran = Sim::new("sourced").faults(&plan).may_not_fire().try_seed(time, test.clone());
        assert!(ran.failure.is_none(), "{plan}: {}", ran.failure.unwrap_or_default());
        if ran.plan.faults.is_empty() {
            return time - 1;
        }
    }
    unreachable!("it ends")
}

#[test]
fn whatever_crashes_at_any_append_nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    for (number, shape) in SHAPES.into_iter().enumerate() {
        for crash in ["crash", "power-cut", "tear"] {
            for point in ["before-append", "after-append"] {
                let fault = format!("{crash} node for 1s at {point} of system/journal");
                let times = at_every(&fault, move |world| ledger_keeps(world, shape, number == 2));
                assert!(times >= NUMBERS, "{fault} came {times} times");
            }
        }
    }
}

#[test]
fn whoever_dies_at_any_append_or_message_nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    for fault in [
        "panic at before-append of system/journal",
        "panic at after-append of system/journal",
        "kill root/ledger at before-append of system/journal",
        "kill root/ledger at after-append of system/journal",
        "panic at before-message of root/ledger",
        "kill at during-message of root/ledger",
        "error at after-message of root/ledger",
    ] {
        let times = at_every(fault, |world| ledger_keeps(world, SHAPES[1], false));
        assert!(times >= 1, "{fault} never came");
    }
}

/// Reads the list, again where a fault came to the question.
async fn read(world: &World, node: &Node) -> Vec<(u64, u64)> {
    for _ in 0..AGAIN {
        if let Some(system) = node.try_system()
            && let Ok(list) = system.projection::<List>("root/list")
            && let Ok(lines) = list.read_latest(|list| list.0.clone()).await
        {
            assert_eq!(list.lag(), Lag::default());
            return lines;
        }
        world.sleep(PAUSE).await;
    }
    panic!("the list cannot be read, however often it is tried");
}

/// A list is kept beside the ledger, and both are there at the end.
async fn list_follows(world: World) -> Result<(), BoxError> {
    let tree = || {
        let list = ChildSpec::projection::<List>("list", stream(), ()).keep_every(3);
        root(ledger()).child(list)
    };
    let node = world.start(tree).await?;
    assert_eq!(book_all(&world, &node).await.len() as u64, NUMBERS);
    let all: Vec<_> = (1..=NUMBERS).map(|number| (number, number)).collect();
    for _ in 0..2 {
        assert_eq!(read(&world, &node).await, all, "each event once, in order");
        node.crash().await;
        node.restart().await?;
    }
    let kept = node.system().journal().snapshot(&"projection/root/list".parse()?).await?;
    assert!(kept.is_some(), "it goes on from what was kept");
    Ok(())
}

#[test]
fn whatever_crashes_a_projection_has_each_event_once_and_in_order() {
    for fault in [
        "crash node for 1s at before-append of system/journal",
        "power-cut node for 1s at after-append of system/journal",
        "tear node for 1s at after-append of system/journal",
        "panic at after-append of system/journal",
        "panic at before-message of root/list",
        "error at after-message of root/list",
        "kill root/list at after-append of system/journal",
        "power-cut node for 1s at before-message of root/list",
        "power-cut node for 1s at after-message of root/list",
    ] {
        let times = at_every(fault, list_follows);
        assert!(times >= NUMBERS, "{fault} came {times} times");
    }
}
