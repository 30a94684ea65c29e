//! Plain ractor actors, without supervision or merely linked: the floor of everything but restarts.

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::probe::{Countdown, Probe, Word};
use crate::trees::Tree;

/// Counts what it is sent.
pub(crate) struct Sink;

impl Actor for Sink {
    type Msg = u64;
    type State = Countdown;
    type Arguments = Countdown;

    async fn pre_start(&self, _: ActorRef<u64>, countdown: Countdown) -> Result<Countdown, ActorProcessingErr> {
        Ok(countdown)
    }

    async fn handle(&self, _: ActorRef<u64>, _: u64, countdown: &mut Countdown) -> Result<(), ActorProcessingErr> {
        countdown.count();
        Ok(())
    }
}

/// A question, and where its answer goes.
struct Question(u64, RpcReplyPort<u64>);

/// Answers with the question.
struct Echo;

impl Actor for Echo {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        Question(question, answer): Question,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let _ = answer.send(question);
        Ok(())
    }
}

pub(crate) fn tell(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n, Arc::clone(&done));
        let (sink, _) = Actor::spawn(None, Sink, countdown).await.expect("it starts");
        messages::tell(n, done, |message| sink.cast(message).expect("it is alive")).await
    })
}

pub(crate) fn ask(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (echo, _) = Actor::spawn(None, Echo, ()).await.expect("it starts");
        messages::ask(n, |question| {
            let echo = &echo;
            async move {
                let answer = echo.call(|port| Question(question, port), Some(DEADLINE)).await;
                answer.expect("it is alive").expect("it answers")
            }
        })
        .await
    })
}

pub(crate) fn tell_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n, Arc::clone(&done));
        let (sink, _) = Actor::spawn(None, Sink, countdown).await.expect("it starts");
        messages::tell_by_several(n, done, move |message| sink.cast(message).expect("it is alive")).await
    })
}

pub(crate) fn ask_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (echo, _) = Actor::spawn(None, Echo, ()).await.expect("it starts");
        messages::ask_by_several(n, move |question| {
            let echo = echo.clone();
            async move {
                let answer = echo.call(|port| Question(question, port), Some(DEADLINE)).await;
                answer.expect("it is alive").expect("it answers")
            }
        })
        .await
    })
}

/// A small child of a tree.
pub(crate) struct Small;

impl Actor for Small {
    type Msg = Word;
    type State = (usize, Arc<Probe>);
    type Arguments = (usize, Arc<Probe>);

    async fn pre_start(
        &self,
        myself: ActorRef<Word>,
        (at, probe): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        if probe.greets() {
            myself.cast(Word::Hello)?;
        }
        Ok((at, probe))
    }

    async fn handle(
        &self,
        _: ActorRef<Word>,
        word: Word,
        (_, probe): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match word {
            Word::Hello => probe.serves(),
            Word::Panic => panic!("told to"),
            Word::Fail => return Err("told to".into()),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Word>, (at, probe): &mut Self::State) -> Result<(), ActorProcessingErr> {
        probe.stopped(*at);
        Ok(())
    }
}

/// An actor that others are linked to, and that does nothing.
struct Root;

impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// An actor that others are linked to, and that says when so many have begun to run.
struct Counts;

impl Actor for Counts {
    type Msg = ();
    type State = Countdown;
    type Arguments = Countdown;

    async fn pre_start(&self, _: ActorRef<()>, countdown: Countdown) -> Result<Countdown, ActorProcessingErr> {
        Ok(countdown)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        countdown: &mut Countdown,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorStarted(_) = event {
            countdown.count();
        }
        Ok(())
    }
}

/// Links so many small actors to a root, in a plain loop.
async fn link(children: usize, probe: &Arc<Probe>, root: &ActorCell) {
    for at in 0..children {
        let child = Actor::spawn_linked(None, Small, (at, Arc::clone(probe)), root.clone()).await;
        child.expect("it starts");
    }
}

/// As [`Linked`], until the root has heard of every child that it runs: what a loop over `spawn_linked` leaves to do.
pub(crate) struct Running(#[expect(dead_code, reason = "what is kept is measured")] ActorCell);

impl Tree for Running {
    type Plan = (usize, Arc<Probe>);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (children, probe)
    }

    async fn start((children, probe): Self::Plan) -> Self {
        let done = Arc::<tokio::sync::Notify>::default();
        let countdown = Countdown::new(children, Arc::clone(&done));
        let (root, _) = Actor::spawn(None, Counts, countdown).await.expect("it starts");
        link(children, &probe, &root.get_cell()).await;
        done.notified().await;
        Self(root.get_cell())
    }
}

/// Small actors that are linked to a root, in a plain loop. Nobody restarts them.
pub(crate) struct Linked(#[expect(dead_code, reason = "what is kept is measured")] ActorCell);

impl Tree for Linked {
    type Plan = (usize, Arc<Probe>);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (children, probe)
    }

    async fn start((children, probe): Self::Plan) -> Self {
        let (root, _) = Actor::spawn(None, Root, ()).await.expect("it starts");
        link(children, &probe, &root.get_cell()).await;
        Self(root.get_cell())
    }
}
