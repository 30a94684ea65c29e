//! kameo, with its own supervision.

use std::sync::Arc;
use std::time::Duration;

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible};
use kameo::mailbox;
use kameo::message::{Context, Message};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::probe::{Countdown, Probe, Word};
use crate::trees::{Supervised, Tree};

struct Sink(Countdown);

impl Actor for Sink {
    type Args = Countdown;
    type Error = Infallible;

    async fn on_start(countdown: Countdown, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self(countdown))
    }
}

impl Message<u64> for Sink {
    type Reply = ();

    async fn handle(&mut self, _: u64, _: &mut Context<Self, ()>) {
        self.0.count();
    }
}

struct Echo;

impl Actor for Echo {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl Message<u64> for Echo {
    type Reply = u64;

    async fn handle(&mut self, question: u64, _: &mut Context<Self, u64>) -> u64 {
        question
    }
}

pub(crate) fn tell(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n, Arc::clone(&done));
        let sink = Sink::spawn_with_mailbox(countdown, mailbox::bounded(n + 1));
        sink.wait_for_startup().await;
        messages::tell(n, done, |message| sink.tell(message).try_send().expect("there is room")).await
    })
}

pub(crate) fn ask(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let echo = Echo::spawn(());
        echo.wait_for_startup().await;
        messages::ask(n, |question| {
            let echo = &echo;
            async move { echo.ask(question).reply_timeout(DEADLINE).send().await.expect("it answers") }
        })
        .await
    })
}

pub(crate) fn tell_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n, Arc::clone(&done));
        let sink = Sink::spawn_with_mailbox(countdown, mailbox::bounded(n + 1));
        sink.wait_for_startup().await;
        let send = move |message| sink.tell(message).try_send().expect("there is room");
        messages::tell_by_several(n, done, send).await
    })
}

pub(crate) fn ask_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let echo = Echo::spawn(());
        echo.wait_for_startup().await;
        messages::ask_by_several(n, move |question| {
            let echo = echo.clone();
            async move { echo.ask(question).reply_timeout(DEADLINE).send().await.expect("it answers") }
        })
        .await
    })
}

struct Small {
    at: usize,
    probe: Arc<Probe>,
}

impl Actor for Small {
    type Args = (usize, Arc<Probe>);
    type Error = Infallible;

    async fn on_start((at, probe): Self::Args, myself: ActorRef<Self>) -> Result<Self, Infallible> {
        if probe.greets() {
            myself.tell(Word::Hello).try_send().expect("there is room");
        }
        Ok(Self { at, probe })
    }

    async fn on_stop(&mut self, _: WeakActorRef<Self>, _: ActorStopReason) -> Result<(), Infallible> {
        self.probe.stopped(self.at);
        Ok(())
    }
}

impl Message<Word> for Small {
    type Reply = Result<(), String>;

    async fn handle(&mut self, word: Word, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        match word {
            Word::Hello => self.probe.serves(),
            Word::Panic => panic!("told to"),
            Word::Fail => return Err("told to".to_owned()),
        }
        Ok(())
    }
}

struct Supervisor;

impl Actor for Supervisor {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

pub(crate) struct Kameo {
    supervisor: ActorRef<Supervisor>,
    children: Vec<ActorRef<Small>>,
}

impl Tree for Kameo {
    type Plan = (usize, Arc<Probe>);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (children, probe)
    }

    async fn start((n, probe): Self::Plan) -> Self {
        let supervisor = Supervisor::spawn(());
        let mut children = Vec::with_capacity(n);
        for at in 0..n {
            let child = Small::supervise(&supervisor, (at, Arc::clone(&probe)));
            children.push(child.restart_limit(u32::MAX, Duration::from_secs(5)).spawn().await);
        }
        for child in &children {
            child.wait_for_startup().await;
        }
        Self { supervisor, children }
    }
}

impl Supervised for Kameo {
    const ORDERED: bool = false;

    fn crash(&self, at: usize, how: Word) {
        self.children[at].tell(how).try_send().expect("there is room");
    }

    async fn stop(self) {
        self.supervisor.stop_gracefully().await.expect("it is alive");
        self.supervisor.wait_for_shutdown().await;
    }
}
