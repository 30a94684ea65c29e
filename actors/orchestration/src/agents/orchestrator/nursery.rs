//! Where the orchestrators of runs inside others are started and ended.

use std::time::Duration;

use steadfast::{ChildError, Path, RunId, Supervisor, System};

use super::{Feed, RunArgs};
use crate::agents::desk::Workshop;
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

/// Ends the orchestrators of the runs inside one whose own is gone, and drops what they gave out.
///
/// # Cancel safety
///
/// What was ended stays in the feed until all is, so that whoever does it again finds the rest.
pub(crate) async fn end_inside(
    (system, shop): (&System, &Workshop),
    place: &Path,
    (feed, standing): (&Feed, Standing),
) {
    // It is looked inside each once its orchestrator is gone: nobody starts any more there.
    let (mut around, mut gone) = (vec![feed.clone()], Vec::new());
    while let Some(outer) = around.pop() {
        for (run, feed) in outer.all_inside() {
            forget(system, place, run).await;
            shop.drop_leases(run, system).await;
            if !feed.standing().borrow().is_final() {
                feed.stand(standing.clone());
            }
            shop.close(run);
            around.push(feed);
            gone.push((outer.clone(), run));
        }
    }
    for (outer, run) in gone.into_iter().rev() {
        outer.forget(run);
    }
}
