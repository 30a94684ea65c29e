//! The crate `ractor-supervisor`, without its default feature, which would switch on `ractor/async-trait` for all.
//!
//! Its children need names in ractor's table of the process. Its stop runs no stop hooks, so stopping is not compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorRef};
use ractor_supervisor::core::{ChildSpec, Restart, SpawnFn};
use ractor_supervisor::supervisor::{
    Supervisor, SupervisorArguments, SupervisorMsg, SupervisorOptions, SupervisorStrategy,
};

use crate::peers::plain::Small;
use crate::probe::{Probe, Word};
use crate::trees::{Supervised, Tree};

pub(crate) struct RactorSupervisor {
    supervisor: ActorRef<SupervisorMsg>,
    prefix: String,
}

impl Tree for RactorSupervisor {
    type Plan = (SupervisorArguments, String);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("bench-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let child = |at: usize| {
            let probe = Arc::clone(&probe);
            let spawn = move |supervisor, id| {
                let probe = Arc::clone(&probe);
                async move {
                    let (child, _) = Supervisor::spawn_linked(id, Small, (at, probe), supervisor).await?;
                    Ok(child.get_cell())
                }
            };
            ChildSpec {
                id: format!("{prefix}-{at}"),
                restart: Restart::Permanent,
                spawn_fn: SpawnFn::new(spawn),
                backoff_fn: None,
                reset_after: None,
            }
        };
        let options = SupervisorOptions {
            strategy: SupervisorStrategy::OneForOne,
            max_restarts: usize::MAX,
            max_window: Duration::from_secs(5),
            reset_after: None,
        };
        (SupervisorArguments { child_specs: (0..children).map(child).collect(), options }, prefix)
    }

    async fn start((arguments, prefix): Self::Plan) -> Self {
        let started = Actor::spawn(Some(prefix.clone()), Supervisor, arguments).await;
        let supervisor = started.expect("it starts").0;
        // Its children are started after that; a message is handled once they are.
        supervisor.call(SupervisorMsg::InspectState, None).await.expect("it is alive");
        Self { supervisor, prefix }
    }
}

impl Supervised for RactorSupervisor {
    const ORDERED: bool = false;

    async fn reachable(&self, at: usize) {
        while ractor::registry::where_is(format!("{}-{at}", self.prefix)).is_none() {
            tokio::task::yield_now().await;
        }
    }

    fn crash(&self, at: usize, how: Word) {
        let child = ractor::registry::where_is(format!("{}-{at}", self.prefix)).expect("it is alive");
        ActorRef::<Word>::from(child).cast(how).expect("it is alive");
    }

    async fn stop(self) {
        let _ = self.supervisor.stop_and_wait(None, None).await;
    }
}
