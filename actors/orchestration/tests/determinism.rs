//! Guarantee: the agents that carry out a goal do the same for the same seed, down to the last event, whichever of them die
//! or hang on the way.

mod common;

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

#[test]
fn the_same_seed_carries_a_goal_out_in_the_same_steps_whoever_dies_on_the_way() {
    let seeds = std::env::var("DETERMINISM_SEEDS").map_or(FEW, |text| text.parse().expect("a number of seeds"));
    testing::Sim::new("determinism").seeds(seeds).twice().run(|world: testing::World| async move {
        let files = (0..6).fold(MemoryFiles::new(), |files, number| files.with(&format!("src/{number}.rs"), "//"));
        let (parts, _witness) = World::new(GOAL, files);
        let (staff, run) = parts.parts();
        let feed = run.feed.clone();
        let faults: Arc<dyn FaultPlan> =
            Arc::new(Chaos::new("crash=20%,hang=5%".parse().expect("rates"), world.seed()));
        let node = world.node("a").configure(move |builder| preset::set_up(builder).faults(Arc::clone(&faults)));
        node.start(move || preset::tree(&staff, run.clone())).await?;
        let report = tokio::time::timeout(Duration::from_hours(1), feed.report()).await?;
        assert_eq!(report.status, Status::Reached, "{report:#?}");
        world.look(|trace| assert!(trace.has("fault"), "somebody dies"));
        Ok::<_, BoxError>(())
    });
}
