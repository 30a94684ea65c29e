//! tokio-actors, with its own supervision.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_actors::actor::context::ActorContext;
use tokio_actors::actor::{Actor, ActorExt};
use tokio_actors::{
    ActorConfig, ActorError, ActorHandle, ActorResult, ActorSystem, RestartType, StopReason, SupervisionConfig,
};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::probe::{Countdown, Probe, Word};
use crate::trees::{Supervised, Tree};

struct Sink(Countdown);

impl Actor for Sink {
    type Message = u64;
    type Response = ();

    async fn handle(&mut self, _: u64, _: &mut ActorContext<Self>) -> ActorResult<()> {
        self.0.count();
        Ok(())
    }
}

struct Echo;

impl Actor for Echo {
    type Message = u64;
    type Response = u64;

    async fn handle(&mut self, question: u64, _: &mut ActorContext<Self>) -> ActorResult<u64> {
        Ok(question)
    }
}

/// Its systems are entries of a table of the process, so each measurement has a name of its own.
fn system() -> Arc<ActorSystem> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    ActorSystem::create(format!("bench-{}", MADE.fetch_add(1, Ordering::Relaxed))).expect("the name is new")
}

pub(crate) fn tell(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n, Arc::clone(&done));
        let config = ActorConfig::default().with_mailbox_capacity(n + 1);
        let sink = Sink(countdown).spawn().on_system(&system()).with_config(config).await.expect("it starts");
        messages::tell(n, done, |message| sink.try_notify(message).expect("there is room")).await
    })
}

pub(crate) fn ask(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let echo = Echo.spawn().on_system(&system()).await.expect("it starts");
        messages::ask(n, |question| {
            let echo = &echo;
            async move { echo.send_timeout(question, DEADLINE).await.expect("it answers") }
        })
        .await
    })
}

pub(crate) fn tell_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n, Arc::clone(&done));
        let config = ActorConfig::default().with_mailbox_capacity(n + 1);
        let sink = Sink(countdown).spawn().on_system(&system()).with_config(config).await.expect("it starts");
        messages::tell_by_several(n, done, move |message| sink.try_notify(message).expect("there is room")).await
    })
}

pub(crate) fn ask_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let echo = Echo.spawn().on_system(&system()).await.expect("it starts");
        messages::ask_by_several(n, move |question| {
            let echo = echo.clone();
            async move { echo.send_timeout(question, DEADLINE).await.expect("it answers") }
        })
        .await
    })
}

struct Small {
    at: usize,
    probe: Arc<Probe>,
}

impl Actor for Small {
    type Message = Word;
    type Response = ();

    async fn on_started(&mut self, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        self.probe.started();
        if self.probe.greets() {
            ctx.self_handle().try_notify(Word::Hello).expect("there is room");
        }
        Ok(())
    }

    async fn handle(&mut self, word: Word, _: &mut ActorContext<Self>) -> ActorResult<()> {
        match word {
            Word::Hello => self.probe.serves(),
            Word::Panic => panic!("told to"),
            Word::Fail => return Err(ActorError::user("told to")),
        }
        Ok(())
    }

    async fn on_stopped(&mut self, reason: &StopReason, _: &mut ActorContext<Self>) -> ActorResult<()> {
        // It runs after a failure too; the other contenders' hooks do not.
        if !matches!(reason, StopReason::Failure(_)) {
            self.probe.stopped(self.at);
        }
        Ok(())
    }
}

struct Supervisor {
    n: usize,
    probe: Arc<Probe>,
}

impl Actor for Supervisor {
    type Message = ();
    type Response = ();

    async fn on_started(&mut self, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        for at in 0..self.n {
            let probe = Arc::clone(&self.probe);
            let child = ctx.spawn_child(move || Small { at, probe: Arc::clone(&probe) });
            let spawned = child.named(format!("c{at}")).restart_type(RestartType::Permanent).await;
            spawned.map_err(|error| ActorError::user(error.to_string()))?;
        }
        Ok(())
    }

    async fn handle(&mut self, (): (), _: &mut ActorContext<Self>) -> ActorResult<()> {
        Ok(())
    }
}

pub(crate) struct TokioActors {
    system: Arc<ActorSystem>,
    supervisor: ActorHandle<Supervisor>,
}

impl Tree for TokioActors {
    type Plan = (usize, Arc<Probe>);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (children, probe)
    }

    async fn start((n, probe): Self::Plan) -> Self {
        let system = system();
        let rules = SupervisionConfig::one_for_one().max_restarts(u32::MAX, Duration::from_secs(5));
        let supervisor = Supervisor { n, probe: Arc::clone(&probe) };
        let supervisor = supervisor.spawn().on_system(&system).with_supervision(rules).await.expect("it starts");
        probe.all_started().await;
        Self { system, supervisor }
    }
}

impl Supervised for TokioActors {
    const ORDERED: bool = true;

    async fn reachable(&self, at: usize) {
        while self.system.get::<Small>(&format!("c{at}")).is_none() {
            tokio::task::yield_now().await;
        }
    }

    fn crash(&self, at: usize, how: Word) {
        let child = self.system.get::<Small>(&format!("c{at}")).expect("it is alive");
        child.try_notify(how).expect("there is room");
    }

    async fn stop(self) {
        self.supervisor.stop(StopReason::Graceful).await.expect("it is alive");
        self.supervisor.wait_stopped().await;
    }
}
