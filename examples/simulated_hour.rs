//! An hour of eleven workers of which one crashes every second, in a simulated world: it takes a moment.
//!
//! Run with `cargo run --example simulated_hour`.

use std::time::Duration;

use steadfast::seam::Rng;
use steadfast::testing::{Sim, World};
use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec};

const WORKERS: u64 = 11;

/// Does a job every second, and fails at those that it is told to fail at.
struct Worker;

impl Agent for Worker {
    type Args = ();
    type Message = bool;
    type Reply = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, fails: bool, _: &mut Context<Self>) -> Result<(), BoxError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if fails { Err("on purpose".into()) } else { Ok(()) }
    }
}

fn tree() -> SupervisorSpec {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(10));
    (0..WORKERS).fold(root, |root, number| root.child(ChildSpec::agent::<Worker>(format!("worker-{number}"), ())))
}

async fn for_so_long(world: World, time: Duration) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    let mut random: Rng = world.rng("who fails");
    while world.now() < time {
        let unlucky = random.next_u64() % WORKERS;
        for number in 0..WORKERS {
            node.agent::<Worker>(&format!("root/worker-{number}"))?.tell(number == unlucky)?;
        }
        world.sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn main() {
    let sim = Sim::new("simulated_hour");
    let clock = steadfast::seam::Clock::now;
    let began = clock(&steadfast::TokioClock);
    let ran = sim.try_seed(7, |world| for_so_long(world, Duration::from_hours(1)));
    assert_eq!(ran.failure, None);
    let (restarts, entries) = (ran.trace.restarts_of("root/*"), ran.trace.entries().len());
    println!(
        "an hour: {restarts} restarts, {entries} entries of the trace, in {:?}",
        clock(&steadfast::TokioClock) - began
    );
    assert_eq!(restarts, 3600);

    let began = clock(&steadfast::TokioClock);
    sim.seeds(20).run(|world| for_so_long(world, Duration::from_mins(2)));
    println!("20 seeds of two minutes: {:?}", clock(&steadfast::TokioClock) - began);
}
