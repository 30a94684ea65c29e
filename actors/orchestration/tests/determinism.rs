//! Guarantee: the agents that carry out a goal do the same for the same seed, down to the last event, in this process and
//! in another, whichever of them die or hang on the way, supervisors that are killed with all below them included.

mod common;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use common::World;
use steadfast::testing;
use steadfast::{BoxError, FaultPlan};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::Status;
use steadfast_orchestration::seam::testing::MemoryFiles;

const GOAL: &str = r#"
name = "small"

[[tasks]]
id = "list"
retrieve = { files = ["**"] }

[[tasks]]
id = "digests"
for_each = "${tasks.list.result}"
retrieve = { digest = "${item}" }

[[tasks]]
id = "prints"
for_each = "${tasks.list.result}"
result = "stdout"
command = { program = "print", args = ["${index}", "${item}"] }

[[tasks]]
id = "report"
collect = { files = "${tasks.digests.result}", prints = "${tasks.prints.result}" }
"#;

/// How many seeds, where `DETERMINISM_SEEDS` does not say.
const FEW: u64 = 5;

/// Supervisors that are killed, with all below them.
const BRANCHES: [&str; 3] = ["retrievers", "executors", "goals"];

fn seeds() -> u64 {
    std::env::var("DETERMINISM_SEEDS").map_or(FEW, |text| text.parse().expect("a number of seeds"))
}

async fn carried_out(world: testing::World) -> Result<(), BoxError> {
    let files = (0..6).fold(MemoryFiles::new(), |files, number| files.with(&format!("src/{number}.rs"), "//"));
    let (parts, _witness) = World::new(GOAL, files);
    let (staff, run) = parts.parts();
    let feed = run.feed.clone();
    let faults: Arc<dyn FaultPlan> = Arc::new(Chaos::new("crash=20%,hang=5%".parse()?, world.seed()));
    let node = world.node("a").configure(move |builder| preset::set_up(builder).faults(Arc::clone(&faults)));
    let node = node.start(move || preset::tree(&staff, run.clone())).await?;
    let (own, mut random) = (world.clone(), world.rng("who is killed"));
    world.spawn(async move {
        for branch in BRANCHES {
            own.sleep(Duration::from_millis(random.next_u64() % 20)).await;
            // The run may have ended by then.
            let _ = node.system().kill(format!("root/domains/orchestration/{branch}"));
        }
    });
    let report = tokio::time::timeout(Duration::from_hours(1), feed.report()).await?;
    assert_eq!(report.status, Status::Reached, "{report:#?}");
    world.look(|trace| {
        assert!(trace.has("fault"), "somebody dies");
        assert!(trace.has("exited root/domains/orchestration/* * killed"), "and a supervisor");
    });
    Ok(())
}

fn sim() -> testing::Sim {
    testing::Sim::new("determinism")
}

/// What a seed did, in a number.
fn digest(seed: u64) -> u64 {
    let testing::Ran { failure, trace, .. } = sim().try_seed(seed, carried_out);
    assert_eq!(failure, None, "seed {seed}");
    let mut hasher = DefaultHasher::new();
    trace.text().hash(&mut hasher);
    hasher.finish()
}

#[test]
fn the_same_seed_carries_a_goal_out_in_the_same_steps_whoever_dies_on_the_way() {
    sim().seeds(seeds()).twice().run(carried_out);
}

#[test]
fn the_same_seed_carries_a_goal_out_in_the_same_steps_in_another_process() {
    const SEED: &str = "DETERMINISM_OF";
    const WORD: &str = "digest of the trace: ";
    if let Ok(seed) = std::env::var(SEED) {
        // This is the other process.
        println!("{WORD}{}", digest(seed.parse().expect("a seed")));
        return;
    }
    for seed in 0..seeds().div_ceil(2) {
        #[expect(clippy::disallowed_methods, reason = "the other process is this program again")]
        let mut other = std::process::Command::new(std::env::current_exe().expect("this program"));
        let name = "the_same_seed_carries_a_goal_out_in_the_same_steps_in_another_process";
        let output =
            other.args([name, "--exact", "--nocapture"]).env(SEED, seed.to_string()).output().expect("it runs");
        let output = String::from_utf8_lossy(&output.stdout);
        let theirs = output.lines().find_map(|line| line.split_once(WORD)).map(|(_, number)| number.parse::<u64>());
        assert_eq!(theirs, Some(Ok(digest(seed))), "seed {seed}: {output}");
    }
}
