//! The framework.

use std::sync::Arc;

use steadfast::{
    Agent, AgentRef, AgentSpec, BoxError, Capability, ChildSpec, Context, ExitReason, Intensity, Strategy,
    SupervisorSpec, System,
};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::peers::plain;
use crate::probe::{Countdown, Probe, Word};
use crate::trees::{Supervised, Tree};

/// Counts what it is told.
pub(crate) struct Sink(Countdown);

/// The arguments of an agent are cloned for every start, so the countdown is made from its parts.
#[derive(Clone)]
pub(crate) struct SinkArgs {
    pub(crate) messages: usize,
    pub(crate) done: Arc<tokio::sync::Notify>,
}

impl Agent for Sink {
    type Args = SinkArgs;
    type Message = u64;
    type Reply = ();

    async fn start(args: SinkArgs, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(Countdown::new(args.messages, args.done)))
    }

    async fn handle(&mut self, _: u64, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.0.count();
        Ok(())
    }
}

/// Answers with the question.
pub(crate) struct Echo;

impl Agent for Echo {
    type Args = ();
    type Message = u64;
    type Reply = u64;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, question: u64, _: &mut Context<Self>) -> Result<u64, BoxError> {
        Ok(question)
    }
}

pub(crate) async fn alone(child: impl Into<ChildSpec>) -> System {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).child(child);
    System::start(root).await.expect("the system starts")
}

pub(crate) fn tell(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (_system, sink, done) = sink(n, |sink| sink).await;
        messages::tell(n, done, |message| sink.tell(message).expect("there is room")).await
    })
}

pub(crate) fn ask(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let system = alone(ChildSpec::agent::<Echo>("echo", ())).await;
        let echo = system.agent::<Echo>("root/echo").expect("it is there");
        messages::ask(n, |question| {
            let answer = echo.ask_within(question, DEADLINE);
            async move { answer.await.expect("it answers") }
        })
        .await
    })
}

pub(crate) fn tell_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (_system, sink, done) = sink(n, |sink| sink).await;
        messages::tell_by_several(n, done, move |message| sink.tell(message).expect("there is room")).await
    })
}

pub(crate) fn ask_by_several(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let system = alone(ChildSpec::agent::<Echo>("echo", ())).await;
        let echo = system.agent::<Echo>("root/echo").expect("it is there");
        messages::ask_by_several(n, move |question| {
            let echo = echo.clone();
            async move { echo.ask_within(question, DEADLINE).await.expect("it answers") }
        })
        .await
    })
}

/// An agent that counts, with what is said of its mailbox.
pub(crate) async fn sink(
    n: usize,
    with: impl FnOnce(AgentSpec<Sink>) -> AgentSpec<Sink>,
) -> (System, AgentRef<Sink>, Arc<tokio::sync::Notify>) {
    let done = Arc::default();
    let args = SinkArgs { messages: n, done: Arc::clone(&done) };
    let system = alone(with(ChildSpec::agent::<Sink>("sink", args).mailbox(n))).await;
    let sink = system.agent::<Sink>("root/sink").expect("it is there");
    (system, sink, done)
}

/// Casts to a plain ractor actor that runs under the framework's supervisor.
pub(crate) fn cast(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let done = Arc::new(tokio::sync::Notify::new());
        let heard = Arc::clone(&done);
        let child = ChildSpec::actor("sink", move || (plain::Sink, Countdown::new(n, Arc::clone(&heard))));
        let system = alone(child).await;
        let sink = system.actor::<u64>("root/sink").expect("it is there");
        messages::tell(n, done, |message| sink.cast(message).expect("it is alive")).await
    })
}

/// A small child of a tree.
pub(crate) struct Small {
    at: usize,
    probe: Arc<Probe>,
}

impl Agent for Small {
    type Args = (usize, Arc<Probe>);
    type Message = Word;
    type Reply = ();

    async fn start((at, probe): Self::Args, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        if probe.greets() {
            ctx.myself().tell(Word::Hello)?;
        }
        Ok(Self { at, probe })
    }

    async fn handle(&mut self, word: Word, _: &mut Context<Self>) -> Result<(), BoxError> {
        match word {
            Word::Hello => self.probe.serves(),
            Word::Panic => panic!("told to"),
            Word::Fail => return Err("told to".into()),
        }
        Ok(())
    }

    async fn stop(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        self.probe.stopped(self.at);
    }
}

/// A supervisor with small agents.
pub(crate) struct Ours {
    system: System,
    children: Vec<AgentRef<Small>>,
    n: usize,
}

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(u32::MAX))
}

fn small(at: usize, probe: &Arc<Probe>) -> AgentSpec<Small> {
    ChildSpec::agent::<Small>(format!("c{at}"), (at, Arc::clone(probe)))
}

impl Tree for Ours {
    type Plan = (SupervisorSpec, usize);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        ((0..children).fold(root(), |root, at| root.child(small(at, &probe))), children)
    }

    async fn start((root, n): Self::Plan) -> Self {
        Self { system: System::start(root).await.expect("the tree starts"), children: Vec::new(), n }
    }
}

impl Supervised for Ours {
    const ORDERED: bool = true;

    fn learn(&mut self) {
        let child = |at| self.system.agent::<Small>(format!("root/c{at}")).expect("it is there");
        self.children = (0..self.n).map(child).collect();
    }

    fn crash(&self, at: usize, how: Word) {
        self.children[at].tell(how).expect("there is room");
    }

    async fn stop(self) {
        self.system.shutdown().await.expect("it did not give up");
    }
}

/// The same children, each started on request when the one before is up.
pub(crate) struct OneByOne(#[expect(dead_code, reason = "what is kept is measured")] System);

impl Tree for OneByOne {
    type Plan = Vec<AgentSpec<Small>>;

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (0..children).map(|at| small(at, &probe)).collect()
    }

    async fn start(children: Self::Plan) -> Self {
        let system = System::start(root()).await.expect("the tree starts");
        let supervisor = system.supervisor("root").expect("it is there");
        for child in children {
            supervisor.start_child(child).await.expect("it starts");
        }
        Self(system)
    }
}

/// As [`Ours`], and every child offers a capability, which a hundred others offer too.
pub(crate) struct Registered(#[expect(dead_code, reason = "what is kept is measured")] System);

/// How many children offer the same capability.
const PROVIDERS: usize = 100;

impl From<()> for Word {
    fn from((): ()) -> Self {
        Self::Hello
    }
}

impl Tree for Registered {
    type Plan = SupervisorSpec;

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (0..children).fold(root(), |root, at| {
            let capability = Capability::<(), ()>::named(format!("bench.c{}", at / PROVIDERS), "1.0.0".to_owned());
            root.child(small(at, &probe).offers(&capability))
        })
    }

    async fn start(root: Self::Plan) -> Self {
        Self(System::start(root).await.expect("the tree starts"))
    }
}
