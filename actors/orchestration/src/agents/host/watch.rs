//! How the host hears that a run does nothing more.

use std::collections::BTreeMap;

use steadfast::{ChildState, Context, EventKind, EventsError, Path, RunId, System, Verdict};

use super::{Host, HostOwn, set_going, tell};
use crate::preset::goals_path;
use crate::run::Standing;

impl Host {
    /// Waits until a run does nothing more here.
    pub(super) fn watch(&self, run: RunId, ctx: &mut Context<Self>) {
        let feed = self.args.feeds.of(run);
        set_going(ctx, async move {
            let mut standing = feed.standing();
            let last = standing.wait_for(Standing::is_final).await.ok()?.clone();
            Some(HostOwn::Over { run, standing: last })
        });
    }

    /// Hears of orchestrators that will not come back.
    pub(super) fn watch_orchestrators(&self, ctx: &mut Context<Self>) {
        let (mut events, system) = (ctx.system().events(), ctx.system().clone());
        let (myself, incarnation, feeds) = (ctx.myself(), ctx.incarnation(), self.args.feeds.clone());
        ctx.spawn(async move {
            let goals = goals_path();
            // Why an orchestrator ended or did not start, the last time; of those that have not come to rest since.
            let mut last: BTreeMap<RunId, String> = BTreeMap::new();
            loop {
                let event = match events.next().await {
                    Ok(event) => event,
                    Err(EventsError::Lagged { .. }) => {
                        // What was missed may have been the last that is heard of one.
                        for run in put_aside(&system, &goals) {
                            let why = last.remove(&run).map(|why| format!(", the last time because it {why}"));
                            let why = format!("its orchestrator failed too often{}", why.unwrap_or_default());
                            let standing = Standing::GivenUp { why };
                            feeds.of(run).stand(standing.clone());
                            tell(&myself, incarnation, HostOwn::Over { run, standing }).await;
                        }
                        continue;
                    }
                    Err(_) => return,
                };
                let Some(run) = orchestrator_of(&event.path, &goals) else { continue };
                let why = match &event.kind {
                    EventKind::Exited { reason, verdict: Verdict::Quarantined(tally), .. } => {
                        format!("its orchestrator failed too often ({tally}), the last time because it {reason}")
                    }
                    EventKind::Quarantined { .. } => {
                        let why = last.get(&run).map(|why| format!(": {why}")).unwrap_or_default();
                        format!("its orchestrator does not start any more{why}")
                    }
                    EventKind::Exited { reason, .. } => {
                        last.insert(run, reason.to_string());
                        continue;
                    }
                    EventKind::Closed => {
                        last.remove(&run);
                        continue;
                    }
                    _ => continue,
                };
                last.remove(&run);
                let standing = Standing::GivenUp { why };
                feeds.of(run).stand(standing.clone());
                tell(&myself, incarnation, HostOwn::Over { run, standing }).await;
            }
        });
    }
}

/// The runs whose orchestrators failed too often, and that are kept there without a life.
pub(crate) fn put_aside(system: &System, place: &Path) -> Vec<RunId> {
    let snapshot = system.snapshot();
    let children = snapshot.find(place).and_then(|node| node.supervisor).into_iter().flat_map(|node| &node.children);
    let put_aside = children.filter(|child| child.state == ChildState::Quarantined);
    put_aside.filter_map(|child| child.id.as_str().parse().ok().map(RunId::new)).collect()
}

/// The run whose orchestrator stands here.
fn orchestrator_of(path: &Path, goals: &Path) -> Option<RunId> {
    if path.parent().as_ref() != Some(goals) {
        return None;
    }
    path.as_str().rsplit('/').next()?.parse().ok().map(RunId::new)
}
