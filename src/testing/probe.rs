//! An agent that does as it is told, and keeps a log of its lives.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::exit::{BoxError, ExitReason};
use crate::fault::Subject;
use crate::id::{Incarnation, Path};
use crate::runtime::agent::{Agent, Context};
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::guard::lock;
use crate::runtime::spec::{AgentSpec, ChildSpec};
use crate::runtime::system::System;
use crate::runtime::wait;
use crate::seam::BoxFuture;

/// Lines that agents of a test write, in the order in which they did. All clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Writes a line.
    pub fn write(&self, line: impl Into<String>) {
        lock(&self.0).push(line.into());
    }

    /// Takes all lines out.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0))
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// What every life of a [`Probe`] is made from.
#[derive(Clone)]
pub struct Script {
    log: Log,
    start_takes: Duration,
    stop_takes: Duration,
    start: Arc<dyn Fn(Incarnation) -> Result<(), BoxError> + Send + Sync>,
}

impl Script {
    /// Starts and stops at once, and writes to this log.
    #[must_use]
    pub fn new(log: &Log) -> Self {
        Self { log: log.clone(), start_takes: Duration::ZERO, stop_takes: Duration::ZERO, start: Arc::new(|_| Ok(())) }
    }

    /// How long a start takes.
    #[must_use]
    pub fn start_takes(mut self, time: Duration) -> Self {
        self.start_takes = time;
        self
    }

    /// How long the stop hook takes.
    #[must_use]
    pub fn stop_takes(mut self, time: Duration) -> Self {
        self.stop_takes = time;
        self
    }

    /// Whether the start of a life succeeds; called at its end, and may panic.
    #[must_use]
    pub fn start(mut self, outcome: impl Fn(Incarnation) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        self.start = Arc::new(outcome);
        self
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

/// An agent that does what its [`Order`]s say. Its log has a line for each start, each message, each run of the stop
/// hook, and for the moment at which the state of a life is gone:
///
/// ```text
/// start root/a #1
/// got root/a #1 echo 7
/// stop root/a #1
/// gone root/a #1
/// ```
pub struct Probe {
    script: Script,
    name: String,
}

/// What a [`Probe`] is told to do. The reply is a number.
#[non_exhaustive]
pub enum Order {
    /// Reply with this number.
    Echo(u64),
    /// Reply with the number of the incarnation.
    Which,
    /// Panic with this text.
    Panic(&'static str),
    /// Return an error with this text.
    Fail(&'static str),
    /// End with this reason, once this message is handled.
    Stop(ExitReason),
    /// Wait so long before replying.
    Wait(Duration),
    /// Never return.
    Hang,
    /// Reply, and let fault plans draw for this subject.
    About(Subject),
    /// Do this. See [`Order::run`].
    Run(Work),
}

/// In a mutex, so that an error with an order in it can be handed on by `?`.
type Work = Mutex<Box<dyn for<'a> FnOnce(&'a mut Context<Probe>) -> BoxFuture<'a, Result<u64, BoxError>> + Send>>;

impl Order {
    /// Does what a test says, with the context at hand.
    #[must_use]
    pub fn run<F>(work: F) -> Self
    where
        F: for<'a> FnOnce(&'a mut Context<Probe>) -> BoxFuture<'a, Result<u64, BoxError>> + Send + 'static,
    {
        Self::Run(Mutex::new(Box::new(work)))
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo(number) => write!(f, "echo {number}"),
            Self::Which => f.write_str("which"),
            Self::Panic(_) => f.write_str("panic"),
            Self::Fail(_) => f.write_str("fail"),
            Self::Stop(_) => f.write_str("stop"),
            Self::Wait(_) => f.write_str("wait"),
            Self::Hang => f.write_str("hang"),
            Self::About(subject) => write!(f, "about {}", subject.about),
            Self::Run(_) => f.write_str("run"),
        }
    }
}

impl Probe {
    /// A probe as a child that starts and stops at once.
    #[must_use]
    pub fn spec(name: &str, log: &Log) -> AgentSpec<Self> {
        Self::scripted(name, Script::new(log))
    }

    /// The probe at a path of a running tree.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn at(system: &System, path: &str) -> AgentRef<Self> {
        system.agent(path).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A probe as a child.
    #[must_use]
    pub fn scripted(name: &str, script: Script) -> AgentSpec<Self> {
        ChildSpec::agent::<Self>(name, script)
    }
}

fn life(path: &Path, incarnation: Incarnation) -> String {
    format!("{path} #{incarnation}")
}

impl Agent for Probe {
    type Args = Script;
    type Message = Order;
    type Reply = u64;

    async fn start(script: Script, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let name = life(ctx.path(), ctx.incarnation());
        script.log.write(format!("start {name}"));
        if !script.start_takes.is_zero() {
            wait::sleep(script.start_takes).await;
        }
        (script.start)(ctx.incarnation())?;
        Ok(Self { script, name })
    }

    async fn handle(&mut self, order: Order, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        self.script.log.write(format!("got {} {order:?}", self.name));
        match order {
            Order::Echo(number) => return Ok(number),
            Order::Which => return Ok(ctx.incarnation().get()),
            Order::Panic(text) => panic!("{text}"),
            Order::Fail(text) => return Err(text.into()),
            Order::Stop(reason) => ctx.stop(reason),
            Order::Wait(time) => wait::sleep(time).await,
            Order::Hang => std::future::pending().await,
            Order::About(_) => {}
            Order::Run(work) => return work.into_inner().unwrap_or_else(PoisonError::into_inner)(ctx).await,
        }
        Ok(0)
    }

    async fn stop(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        self.script.log.write(format!("stop {}", self.name));
        if !self.script.stop_takes.is_zero() {
            wait::sleep(self.script.stop_takes).await;
        }
    }

    fn subject(order: &Order) -> Option<Subject> {
        match order {
            Order::About(subject) => Some(subject.clone()),
            _ => None,
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.script.log.write(format!("gone {}", self.name));
    }
}
