//! The two small kinds of agent: a function that serves a capability, and a future that is run.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::error::RequestError;
use crate::exit::{BoxError, ExitReason};
use crate::id::{AgentId, Incarnation, MessageId, Path};
use crate::message::{Envelope, Kind, Priority};
use crate::registry::capability::Wire;
use crate::runtime::addressee::Addressee;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::handling::{because, origin_of};
use crate::runtime::life::Life;
use crate::runtime::slot::{Said, Stamp};
use crate::runtime::system::System;
use crate::seam::BoxFuture;

/// What a served function is handed besides the request.
#[derive(Clone)]
pub struct ServeContext {
    system: System,
    path: Path,
    life: Arc<Life>,
    /// What is said of the request; `None` where there is none.
    said: Option<Said>,
    /// Its id, once somebody asked, where it came without one.
    id: Arc<OnceLock<MessageId>>,
}

/// What the future of a task is handed.
pub type TaskContext = ServeContext;

impl ServeContext {
    pub(crate) fn of<A: Agent>(ctx: &Context<A>) -> Self {
        let (said, id) = (None, Arc::default());
        Self { system: ctx.system.clone(), path: ctx.path().clone(), life: Arc::clone(&ctx.life), said, id }
    }

    /// The same, for a request of which this is said.
    fn about(&self, said: Said) -> Self {
        let Self { system, path, life, .. } = self.clone();
        Self { system, path, life, said: Some(said), id: Arc::default() }
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Where this child stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which life this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.life.incarnation
    }

    /// Says that the running call is alive: its handler deadline begins anew.
    pub fn progress(&self) {
        self.life.note_progress(self.system.clock().now());
    }
}

/// The request that is being served. In a hook and in a task there is none, and these say so.
impl ServeContext {
    fn stamp(&self) -> Stamp {
        self.said.as_ref().map_or(Stamp::BLANK, Said::stamp)
    }

    /// Until when its sender waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.stamp().deadline
    }

    /// How much time is left until its sender waits no longer: the budget for whatever is done for it. `None` where nobody
    /// waits.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(self.system.clock().now()))
    }

    /// Its kind; plain where its sender said nothing.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.stamp().kind
    }

    /// How much it matters; medium where its sender said nothing.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.stamp().priority
    }

    /// The value of one of its headers.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.said.as_ref()?.envelope()?.header(name)
    }

    /// Who sent it, where its sender said so.
    #[must_use]
    pub fn sender(&self) -> Option<&Arc<AgentId>> {
        self.said.as_ref()?.envelope()?.sender()
    }

    /// A message that is sent because of the request: of its conversation, its trace, its priority, and with no more time
    /// than it has. Outside of a request, a message that begins a conversation. Its sender is this agent.
    pub fn because<N>(&self, payload: N) -> Envelope<N> {
        let (system, myself) = (&self.system, self.system.id(&self.path).ok());
        let fresh = || *self.id.get_or_init(|| MessageId::new(system.entropy().id()));
        let cause = self.said.clone().map(|said| origin_of(&mut said.into_envelope(), myself.clone(), fresh));
        because(cause, myself, payload)
    }

    /// Asks because of the request, within the time that is left for it less what is `kept` for the way back; where nobody
    /// waits, for as long as whoever is asked says: a route, or what the system's limits say. As
    /// [`Context::ask`](crate::Context::ask).
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// const ADD: Capability<(i64, i64), i64> = Capability::new("math.add", "1.0.0");
    /// const TWICE: Capability<i64, i64> = Capability::new("math.twice", "1.0.0");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let add = ChildSpec::serve("add", ADD, |_, (a, b): (i64, i64)| async move { Ok(a + b) });
    /// let twice = ChildSpec::serve("twice", TWICE, |ctx, number| async move {
    ///     // In the time of whoever asked for twice the number.
    ///     Ok(ctx.ask(&ADD, (number, number), Duration::from_millis(1)).await?)
    /// });
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(add).child(twice)).await?;
    /// assert_eq!(system.ask(&TWICE, 21).await?, 42);
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::Expired`] where no time is left, and nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message may or may not be handled.
    pub async fn ask<W: Addressee>(
        &self,
        whom: &W,
        message: W::Request,
        kept: Duration,
    ) -> Result<W::Reply, RequestError> {
        let question = self.because(message).hop(self.system.clock().now(), kept);
        whom.asked(&self.system, question).await
    }
}

/// An agent that is one function; see [`ChildSpec::serve`](crate::ChildSpec::serve).
pub struct Served<Q, R> {
    function: Function<Q, R>,
    ctx: ServeContext,
}

type Function<Q, R> = Arc<dyn Fn(ServeContext, Q) -> BoxFuture<'static, Result<R, BoxError>> + Send + Sync>;

/// The arguments of [`Served`] and of [`Once`].
pub struct FunctionArgs<F: ?Sized>(Arc<F>);

impl<F: ?Sized> Clone for FunctionArgs<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Wire, R: Wire> Served<Q, R> {
    pub(crate) fn args<F, Fut>(function: F) -> <Self as Agent>::Args
    where
        F: Fn(ServeContext, Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, BoxError>> + Send + 'static,
    {
        FunctionArgs(Arc::new(move |ctx, request| Box::pin(function(ctx, request))))
    }
}

impl<Q: Wire, R: Wire> Agent for Served<Q, R> {
    type Args = FunctionArgs<dyn Fn(ServeContext, Q) -> BoxFuture<'static, Result<R, BoxError>> + Send + Sync>;
    type Message = Q;
    type Reply = R;

    async fn start(args: Self::Args, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { function: args.0, ctx: ServeContext::of(ctx) })
    }

    async fn handle(&mut self, request: Q, ctx: &mut Context<Self>) -> Result<R, BoxError> {
        (self.function)(self.ctx.about(ctx.said()), request).await
    }
}

/// An agent that is one future; see [`ChildSpec::task`](crate::ChildSpec::task).
pub struct Once;

/// How the future of a [`Once`] ended.
pub struct Done {
    /// A word that waited in the mailbox while its life ended says nothing about the next one.
    of: Incarnation,
    outcome: Result<(), BoxError>,
}

impl Once {
    pub(crate) fn args<F, Fut>(function: F) -> <Self as Agent>::Args
    where
        F: Fn(TaskContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        FunctionArgs(Arc::new(move |ctx| Box::pin(function(ctx))))
    }
}

impl Agent for Once {
    type Args = FunctionArgs<dyn Fn(TaskContext) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;
    type Message = Done;
    type Reply = ();

    async fn start(args: Self::Args, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let work = (args.0)(ServeContext::of(ctx));
        let life = Arc::clone(&ctx.life);
        let myself = ctx.myself();
        ctx.spawn(async move {
            let outcome = work.await;
            if let Err(error) = &outcome {
                tracing::debug!(path = %myself.path(), %error, "the task failed");
            }
            // A life that is being stopped keeps the reason it was asked with.
            if !life.is_ending() {
                myself.tell_patiently(Done { of: life.incarnation, outcome }).await;
            }
        });
        Ok(Self)
    }

    async fn handle(&mut self, done: Done, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if done.of != ctx.incarnation() {
            return Ok(());
        }
        match done.outcome {
            Ok(()) => {
                ctx.stop(ExitReason::Normal);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
