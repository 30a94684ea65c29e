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

#[cfg(test)]
mod tests {
    use steadfast::{Agent, BoxError, ChildSpec, Intensity, Strategy, SupervisorSpec};
    use uuid::Uuid;

    use super::*;

    /// It ends with each message.
    struct Frail;

    impl Agent for Frail {
        type Args = ();
        type Message = ();
        type Reply = ();

        async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
            Ok(Self)
        }

        async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
            Err("it is frail".into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_missed_that_an_orchestrator_was_put_aside_finds_it_in_the_tree() {
        let run = |number| RunId::new(Uuid::from_u128(number));
        let child = |number| {
            ChildSpec::from(ChildSpec::agent::<Frail>(run(number).to_string(), ())).budget(Intensity::at_most(0))
        };
        let goals = SupervisorSpec::new("goals", Strategy::OneForOne).child(child(1)).child(child(2));
        let root = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(goals));
        let system = System::start(root).await.expect("it starts");
        let place: Path = "root/goals".parse().expect("a path");
        assert_eq!(put_aside(&system, &place), []);
        let frail = system.agent::<Frail>(format!("root/goals/{}", run(2)).as_str()).expect("it is there");
        frail.ask(()).await.expect_err("it is frail");
        for _ in 0..1000 {
            if !put_aside(&system, &place).is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(put_aside(&system, &place), [run(2)]);
        assert_eq!(put_aside(&system, &"root/none".parse().expect("a path")), []);
        system.shutdown().await.expect("in order");
    }
}
