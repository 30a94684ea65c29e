//! Where the orchestrators of runs inside others are started and ended.

use std::time::Duration;

use steadfast::{ChildError, Path, RunId, Supervisor, System};

use super::{Feed, Orchestrator, OrchestratorMessage, RunArgs};
use crate::agents::ask::TRY;
use crate::preset::{RESTARTS, orchestrator};
use crate::run::Standing;

/// The name of the supervisor of these orchestrators.
pub(crate) const CHILDREN: &str = "children";

/// How many starts of one orchestrator may fail in a row, as of every agent in the tree.
const STARTS: u32 = 16;

/// Where the orchestrators of runs inside others stand: beside the supervisor of the outermost ones.
pub(super) fn nursery(orchestrator: &Path) -> Option<Path> {
    format!("{}/{CHILDREN}", orchestrator.parent()?.parent()?).parse().ok()
}

/// Starts the orchestrator of a run, if it is not there; says why it cannot be.
pub(super) async fn start(system: &System, place: &Path, args: RunArgs) -> Option<String> {
    let name = args.run.to_string();
    let mut failed = 0;
    loop {
        let Ok(supervisor) = system.supervisor(place) else {
            return Some(format!("there is no `{place}`"));
        };
        match supervisor.start_child(orchestrator(args.clone(), RESTARTS)).await {
            Ok(_) | Err(ChildError::AlreadyStarted { .. } | ChildError::Gone { .. }) => return None,
            Err(ChildError::AlreadyPresent { .. }) => return present(&supervisor, &name).await,
            Err(error) => {
                failed += 1;
                if failed == STARTS {
                    return Some(error.to_string());
                }
                tracing::debug!(%error, run = name, "starting it again");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// The orchestrator is stopped, or between two incarnations.
async fn present(supervisor: &Supervisor, name: &str) -> Option<String> {
    match supervisor.restart_child(name).await {
        Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting { .. } | ChildError::Gone { .. }) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Ends the orchestrator of a run that is over.
pub(super) async fn forget(system: &System, place: &Path, run: RunId) {
    let Ok(supervisor) = system.supervisor(place) else { return };
    let name = run.to_string();
    let ended = supervisor.terminate_child(&name).await;
    let forgotten = supervisor.delete_child(&name).await;
    if let Some(error) = ended.and(forgotten).err() {
        // It is not there any more, which is what was wanted; or the tree ends.
        tracing::debug!(%error, %run, "it was ended already");
    }
}

/// Ends the orchestrators of the runs inside one that is not carried here any more: what they gave out is dropped first.
pub(crate) async fn end_inside(system: &System, place: &Path, (feed, standing): (&Feed, Standing)) {
    for (run, feed) in feed.family() {
        if let Ok(child) = system.agent::<Orchestrator>(format!("{place}/{run}").as_str())
            && child.ask_within(OrchestratorMessage::Abandon(standing.clone()), TRY).await.is_ok()
        {
            // Whoever does not come to an end by itself is ended all the same.
            let mut stands = feed.standing();
            let _ = tokio::time::timeout(TRY, stands.wait_for(Standing::is_final)).await;
        }
        forget(system, place, run).await;
    }
}
