//! Guarantee: `sim_test` makes a test of an async function of a world, with the seeds and the faults that it names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, World};
use steadfast::{BoxError, Strategy, SupervisorSpec};

fn tree() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("w", &Log::default()))
}

/// Which seeds a test saw, as bits.
static SEEN: AtomicU64 = AtomicU64::new(0);

#[steadfast::sim_test(seeds = 8, from_seed = 2)]
async fn each_seed_runs_once_in_its_turn(world: World) {
    let before = SEEN.fetch_or(1 << world.seed(), Ordering::SeqCst);
    assert_eq!(before, (0..world.seed()).filter(|seed| *seed >= 2).map(|seed| 1 << seed).sum::<u64>());
    assert!((2..10).contains(&world.seed()));
}

#[steadfast::sim_test(seeds = 3, twice, faults = "panic at before-message of root/w #2")]
async fn a_worker_that_crashes_comes_back(world: World) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    let worker = node.agent::<Probe>("root/w")?;
    assert_eq!(worker.ask(Order::Echo(1)).await?, 1);
    worker.tell(Order::Echo(2))?;
    world.eventually(Duration::from_secs(1), "started root/w #2").await;
    Ok(())
}

#[steadfast::sim_test(faults = "panic at before-start of root/x", may_not_fire)]
#[should_panic(expected = "an error of the test")]
async fn an_error_fails_the_test(world: World) -> Result<(), BoxError> {
    world.start(tree).await?;
    Err("an error of the test".into())
}
