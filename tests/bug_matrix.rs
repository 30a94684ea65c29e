//! Guarantee: what looks at every simulated run finds the bugs that are there, without knowing of any.

#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/run.rs"]
mod run;
#[path = "chaos/worker.rs"]
mod worker;

use std::time::Duration;

use run::{Report, Size, bare, run_in, set_up};
use steadfast::testing::{Bug, Sim, World};

const SIZE: Size = Size { domains: 4, agents: 8, deliveries: 600, rest: Duration::from_secs(30), time_stands: true };

async fn chaos(world: World, bug: Option<Bug>) -> Result<(), String> {
    let node = world.node("a").configure(move |builder| set_up(builder, SIZE).bug(bug)).start(bare).await;
    let system = node.map_err(|error| error.to_string())?.system();
    let Report { outcomes, wrong, sent, restarts } = run_in(system, world.seed(), SIZE).await;
    if let Some(first) = wrong.first() {
        return Err(format!("ledger: {first}"));
    }
    let is_enough = restarts > 10 && outcomes.total() == sent;
    if is_enough { Ok(()) } else { Err(format!("ledger: {outcomes} of {sent} sent, over {restarts} restarts")) }
}

#[test]
fn matrix() {
    let most: u64 = std::env::var("MATRIX_SEEDS").map_or(1, |text| text.parse().expect("a number"));
    for bug in Bug::ALL {
        let mut caught = None;
        for seed in 0..most {
            let ran = Sim::new("matrix").try_seed(seed, move |world| chaos(world, Some(*bug)));
            if let Some(failure) = ran.failure {
                caught = Some((seed, failure));
                break;
            }
        }
        match caught {
            Some((seed, failure)) => println!("{bug}: seed {seed}: {}", failure.lines().next().unwrap_or_default()),
            None => println!("{bug}: NOT CAUGHT"),
        }
    }
}
