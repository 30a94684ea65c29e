//! Replaying on real trees: each scenario on a current-thread runtime with paused time, or all side by side on one
//! multi-thread runtime, in real time.

use std::time::Duration;

use steadfast::supervision::Mutation;
use tokio::runtime::Builder;

use super::format::{Expect, Recorded, Scenario};
use super::real;

/// How many replays run side by side in real time.
const SIDE_BY_SIDE: usize = 64;

/// Replays a scenario on a runtime of its own whose time stands still while anybody can run.
pub(crate) fn current_thread(scenario: &Scenario, mutation: Option<Mutation>) -> Expect {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(real::run(scenario.clone(), mutation))
}

/// Replays scenarios on two threads.
pub(crate) fn multi_thread(recorded: &[Recorded]) -> Vec<Expect> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut seen = Vec::with_capacity(recorded.len());
    for some in recorded.chunks(SIDE_BY_SIDE) {
        let running: Vec<_> = some.iter().map(|one| runtime.spawn(real::run(one.scenario.clone(), None))).collect();
        seen.extend(running.into_iter().map(|one| runtime.block_on(one).expect("a replay does not panic")));
    }
    runtime.shutdown_timeout(Duration::from_secs(10));
    seen
}
