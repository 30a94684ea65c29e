//! Guarantee: the nodes of a world reach each other by a network that can fail, keep what their disks keep, and go down and
//! come back as a plan says.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use steadfast::message::Subject;
use steadfast::seam::Level;
use steadfast::seam::{AppendAt, Interest, Message};
use steadfast::testing::{Log, Node, Order, Probe, Sim, World};
use steadfast::{Backoff, BoxError, MemoryJournal, RunId, Strategy, StreamId, SupervisorSpec};

const SECOND: Duration = Duration::from_secs(1);

fn tree() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("w", &Log::default()))
}

fn run_id() -> StreamId {
    RunId::new(uuid::Uuid::from_u128(1)).into()
}

async fn publish(node: &Node, text: &str) {
    let subject: Subject = "news.today".parse().expect("a subject");
    let message = Message::new(subject, text.as_bytes());
    node.system().transport().publish(message).await.expect("the node is up");
}

/// What a node has heard so far, of what is published from now on.
async fn listen(node: &Node, world: &World) {
    let pattern = "news.>".parse().expect("a pattern");
    let mut inbox = node.system().transport().subscribe(Interest::new(pattern)).await.expect("the node is up");
    let (world, name) = (world.clone(), node.name().to_owned());
    world.clone().spawn(async move {
        while let Some(delivery) = inbox.next().await {
            world.note(format_args!("{name} heard {}", String::from_utf8_lossy(delivery.message().payload())));
            delivery.ack().await.expect("in time");
        }
    });
}

async fn three(world: &World) -> Result<[Node; 3], BoxError> {
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let node = world.node(name).start(tree).await?;
        listen(&node, world).await;
        nodes.push(node);
    }
    Ok(nodes.try_into().expect("three"))
}

#[test]
fn a_partition_of_two_ways_keeps_messages_from_both_sides_and_from_nobody_else_and_ends() {
    Sim::new("nodes").seeds(5).twice().faults("partition at link a with b from 1s to 2s").run(
        |world: World| async move {
            let [a, b, c] = three(&world).await?;
            for (at, text) in [(500, "before"), (1500, "during"), (2500, "after")] {
                world.sleep(Duration::from_millis(at).saturating_sub(world.now())).await;
                for node in [&a, &b, &c] {
                    publish(node, &format!("{text}-of-{}", node.name())).await;
                }
            }
            world.sleep(SECOND).await;
            world.look(|trace| {
                let heard = |who: &str, what: &str| trace.count(&format!("note {who} heard {what}"));
                for (text, through) in [("before", 1), ("during", 0), ("after", 1)] {
                    assert_eq!(heard("a", &format!("{text}-of-b")), through, "{text}");
                    assert_eq!(heard("b", &format!("{text}-of-a")), through, "{text}");
                    for (who, of) in [("c", "a"), ("c", "b"), ("a", "c"), ("b", "c"), ("a", "a")] {
                        assert_eq!(heard(who, &format!("{text}-of-{of}")), 1, "{who} of {of}, {text}");
                    }
                }
            });
            Ok::<_, BoxError>(())
        },
    );
}

#[test]
fn messages_between_nodes_are_dropped_doubled_and_late_as_the_plan_says() {
    let plan = "drop at link a to b #2; duplicate at link a to b #3; delay 5s at link a to b #4";
    Sim::new("nodes").seeds(5).faults(plan).run(|world: World| async move {
        let [a, ..] = three(&world).await?;
        for number in 1..=5 {
            publish(&a, &number.to_string()).await;
            world.sleep(SECOND).await;
        }
        world.sleep(10 * SECOND).await;
        world.look(|trace| {
            let heard = |number: u32| trace.count(&format!("note b heard {number}"));
            assert_eq!((1..=5).map(heard).collect::<Vec<_>>(), [1, 0, 2, 1, 1]);
            trace.expect_order(&["note b heard 5", "note b heard 4"]);
            trace.expect_at_most(5, "note c heard");
        });
        Ok::<_, BoxError>(())
    });
}

#[test]
fn a_node_that_a_plan_takes_down_is_back_after_its_time_and_the_others_go_on() {
    let plan = "crash a for 3s at 1s; kill b:root/w at 1s; skew b 1s ahead at 2s";
    Sim::new("nodes").seeds(5).twice().faults(plan).run(|world: World| async move {
        let [a, b, c] = three(&world).await?;
        world.eventually(2 * SECOND, "crashed a").await;
        assert!(!a.is_up() && b.is_up() && c.is_up());
        world.stays(2 * SECOND, "a is down", |trace| trace.count("booting a") == 1).await;
        world.eventually(2 * SECOND, |trace: &steadfast::testing::Trace| trace.count("ready a:root") == 2).await;
        world.look(|trace| {
            trace.expect_within(3 * SECOND, "crashed a", "booting a");
            assert_eq!((trace.restarts_of("b:root/w"), trace.restarts_of("a:root/w")), (1, 0));
        });
        let wall = |node: &Node| node.system().clock().wall().duration_since(UNIX_EPOCH).expect("after 1970");
        assert_eq!(wall(&b).checked_sub(wall(&c)), Some(SECOND));
        Ok::<_, BoxError>(())
    });
}

#[test]
fn of_a_node_that_goes_down_while_its_supervisor_waits_for_something_nothing_is_left() {
    let backoff = Backoff::exponential(Duration::from_hours(1)).maximum(Duration::from_hours(1));
    let waiting = move || {
        let worker = Probe::spec("w", &Log::default()).backoff(backoff);
        SupervisorSpec::new("root", Strategy::OneForOne).child(worker)
    };
    // That nothing is left is looked at in the end.
    Sim::new("nodes").run(move |world: World| async move {
        let node = world.start(waiting).await?;
        node.agent::<Probe>("root/w")?.tell(Order::Panic("boom"))?;
        world.eventually(SECOND, "exited root/w #1 panicked").await;
        node.crash().await;
        Ok::<_, BoxError>(())
    });
}

#[test]
fn of_a_world_that_is_over_nothing_is_kept() {
    let journal = Arc::new(MemoryJournal::default());
    let kept = Arc::clone(&journal);
    let ran = Sim::new("nodes").try_seed(0, move |world: World| {
        let kept = Arc::clone(&kept);
        let node = world.node("a").configure(move |builder| builder.journal(Arc::clone(&kept) as _));
        async move { node.start(tree).await.map(drop) }
    });
    assert_eq!((ran.failure, Arc::strong_count(&journal)), (None, 1));
}

#[test]
fn what_a_disk_had_synced_outlives_a_power_cut_and_what_it_had_not_does_not() {
    for (level, plan, kept) in [
        (Level::Durable, "power-cut a at 10s", 1),
        (Level::Durable, "tear a at 10s", 1),
        (Level::ProcessCrashSafe, "crash a at 10s", 1),
        (Level::ProcessCrashSafe, "power-cut a at 10s", 0),
        (Level::ProcessCrashSafe, "tear a at 10s", 0),
    ] {
        Sim::new("nodes").seeds(3).faults(plan).run(move |world: World| async move {
            let node = world.node("a").journal(level).start(tree).await?;
            let journal = node.system().journal();
            let epoch = journal.fence(&run_id(), "me").await?;
            journal.append(&run_id(), AppendAt { epoch, expected: 0 }, vec![vec![1]]).await?;
            world.eventually(20 * SECOND, |trace: &steadfast::testing::Trace| trace.count("ready a:root") == 2).await;
            assert_eq!(node.system().journal().read(&run_id(), 0).await?.len(), kept, "{plan}");
            Ok::<_, BoxError>(())
        });
    }
}

#[test]
fn a_fault_of_a_node_that_there_is_not_is_told_with_those_that_there_are() {
    let sim = Sim::new("nodes").faults("crash d at 1s");
    let ran = sim.try_seed(0, |world: World| async move {
        three(&world).await?;
        world.sleep(2 * SECOND).await;
        Ok::<_, BoxError>(())
    });
    let failure = ran.failure.expect("it never came");
    assert!(failure.contains("there is no node `d`; there are: a, b, c"), "{failure}");
}

#[test]
fn who_is_blocked_for_ever_keeps_neither_a_node_from_crashing_nor_the_world_from_ending() {
    let plan = "block at before-message of a:root/w; block at before-message of b:root/w; crash a for 1s at 1s";
    Sim::new("nodes").faults(plan).run(|world: World| async move {
        for name in ["a", "b"] {
            let node = world.node(name).start(tree).await?;
            node.agent::<Probe>("root/w")?.tell(Order::Echo(1))?;
        }
        world.eventually(5 * SECOND, |trace: &steadfast::testing::Trace| trace.count("ready a:root") == 2).await;
        let again = world.find_node("a").expect("it is back").agent::<Probe>("root/w")?;
        assert_eq!(again.ask(Order::Echo(2)).await?, 2);
        Ok::<_, BoxError>(())
    });
}
