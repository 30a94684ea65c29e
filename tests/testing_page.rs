//! The tests that docs/testing.md shows, as they stand there.

use std::fs;
use std::time::Duration;

use steadfast::seam::{Interest, Message};
use steadfast::testing::{Order, Probe, Trace, World};
use steadfast::{BoxError, Strategy, SupervisorSpec};

const SECOND: Duration = Duration::from_secs(1);

fn tree() -> SupervisorSpec {
    let log = steadfast::testing::Log::default();
    SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("worker", &log))
}

#[steadfast::sim_test]
async fn a_worker_that_crashes_is_started_again(world: World) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    node.agent::<Probe>("root/worker")?.tell(Order::Panic("boom"))?;
    world.eventually(SECOND, "started root/worker #2").await;
    world.look(|trace| assert_eq!(trace.restarts_of("root/worker"), 1));
    Ok(())
}

#[steadfast::sim_test(seeds = 20, chaos = "panic 10% at before-message of root/worker; swarm")]
async fn nobody_gives_up_whatever_the_seed(world: World) -> Result<(), BoxError> {
    let often = steadfast::Intensity::at_most(100);
    let node = world.start(move || tree().intensity(often)).await?;
    world.never("gave-up");
    for number in 0..50 {
        // Some are lost with their agent, and whoever asked is told.
        let _ = node.agent::<Probe>("root/worker")?.ask(Order::Echo(number)).await;
    }
    world.stays(SECOND, "it is quiet", |trace: &Trace| trace.count("exited") < 50).await;
    Ok(())
}

#[steadfast::sim_test(seeds = 10, faults = "partition at link a with b from 1s to 3s; crash c for 2s at 5s")]
async fn what_a_partition_keeps_back_is_lost_and_the_third_node_hears_it(world: World) -> Result<(), BoxError> {
    for name in ["a", "b", "c"] {
        let node = world.node(name).start(tree).await?;
        let mut inbox = node.system().transport().subscribe(Interest::new("news.>".parse()?)).await?;
        let (own, name) = (world.clone(), name.to_owned());
        world.spawn(async move {
            while let Some(delivery) = inbox.next().await {
                own.note(format_args!("{name} heard {}", delivery.message().subject()));
                delivery.ack().await.expect("in time");
            }
        });
    }
    let a = world.find_node("a").expect("it was started").system();
    for (at, subject) in [(0, "news.before"), (2, "news.during"), (4, "news.after")] {
        world.sleep((at * SECOND).saturating_sub(world.now())).await;
        a.transport().publish(Message::new(subject.parse()?, *b"")).await?;
    }
    world.eventually(10 * SECOND, |trace: &Trace| trace.count("ready c:root") == 2).await;
    world.look(|trace| {
        trace.expect_order(&["note b heard news.before", "note b heard news.after", "crashed c", "booting c"]);
        trace.expect_never("note b heard news.during");
        assert!(trace.has("note c heard news.during"));
    });
    Ok(())
}

#[test]
fn the_page_shows_these_tests_as_they_are() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| fs::read_to_string(format!("{root}/{path}")).expect("a file of ours");
    let (page, tests) = (read("docs/testing.md"), read("tests/testing_page.rs"));
    let mut shown = page.split("```rust\n").skip(1).map(|part| part.split("```").next().unwrap_or_default());
    let blocks: Vec<_> = shown.by_ref().collect();
    assert_eq!(blocks.len(), 3, "the three tests above");
    for block in blocks {
        assert!(tests.contains(block), "not in tests/testing_page.rs:\n{block}");
    }
}
