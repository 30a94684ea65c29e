//! Guarantee: what happens in a simulated world follows from its seed alone, down to the last event, in this process and in
//! another; and whatever crashes, is killed, drained or full in it, what must hold in every run holds.
//!
//! The tree, those who send and those who disturb are those of `tests/chaos.rs`, which has the rest of the counts.

#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/run.rs"]
mod run;
#[path = "chaos/worker.rs"]
mod worker;

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use run::{Report, Size, bare, run_in, set_up};
use steadfast::testing::{Ran, Sim, World};

const SIZE: Size = Size { domains: 4, agents: 8, deliveries: 600, rest: Duration::from_secs(30), time_stands: true };

/// How many seeds, where `DETERMINISM_SEEDS` does not say.
const FEW: u64 = 6;

async fn chaos(world: World) -> Result<(), String> {
    let node = world.node("a").configure(|builder| set_up(builder, SIZE)).start(bare).await;
    let system = node.map_err(|error| error.to_string())?.system();
    let Report { outcomes, wrong, sent, restarts } = run_in(system, world.seed(), SIZE).await;
    if let Some(first) = wrong.first() {
        return Err(format!("ledger: {first}"));
    }
    // Otherwise too little was looked at.
    let is_enough = restarts > 10 && outcomes.total() == sent;
    if is_enough { Ok(()) } else { Err(format!("ledger: {outcomes} of {sent} sent, over {restarts} restarts")) }
}

fn sim() -> Sim {
    Sim::new("world_chaos")
}

fn seeds() -> u64 {
    env::var("DETERMINISM_SEEDS").map_or(FEW, |text| text.parse().expect("a number of seeds"))
}

/// What a seed did, in a number.
fn digest(seed: u64) -> u64 {
    let Ran { failure, trace, .. } = sim().try_seed(seed, chaos);
    assert_eq!(failure, None, "seed {seed}");
    let mut hasher = DefaultHasher::new();
    trace.text().hash(&mut hasher);
    hasher.finish()
}

#[test]
fn the_same_seed_does_the_same_to_the_last_event_also_where_supervisors_are_killed() {
    sim().seeds(seeds()).twice().run(chaos);
    sim().seeds(seeds().div_ceil(2)).interleave(3).twice().run(chaos);
}

#[test]
fn the_same_seed_does_the_same_in_another_process() {
    const SEED: &str = "DETERMINISM_OF";
    const WORD: &str = "digest of the trace: ";
    if let Ok(seed) = env::var(SEED) {
        // This is the other process.
        println!("{WORD}{}", digest(seed.parse().expect("a seed")));
        return;
    }
    for seed in 0..seeds().div_ceil(2) {
        #[expect(clippy::disallowed_methods, reason = "the other process is this program again")]
        let mut other = std::process::Command::new(env::current_exe().expect("this program"));
        let name = "the_same_seed_does_the_same_in_another_process";
        let output =
            other.args([name, "--exact", "--nocapture"]).env(SEED, seed.to_string()).output().expect("it runs");
        let output = String::from_utf8_lossy(&output.stdout);
        let theirs = output.lines().find_map(|line| line.split_once(WORD)).map(|(_, number)| number.parse::<u64>());
        assert_eq!(theirs, Some(Ok(digest(seed))), "seed {seed}: {output}");
    }
}
