//! The two small kinds of agent: a function that serves a capability, and a future that is run.

use std::future::Future;
use std::sync::Arc;

use crate::exit::{BoxError, ExitReason};
use crate::id::{Incarnation, Path};
use crate::registry::capability::Wire;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::life::Life;
use crate::runtime::system::System;
use crate::seam::BoxFuture;

/// What a served function is handed besides the request.
#[derive(Clone)]
pub struct ServeContext {
    system: System,
    path: Path,
    life: Arc<Life>,
}

/// What the future of a task is handed.
pub type TaskContext = ServeContext;

impl ServeContext {
    pub(crate) fn of<A: Agent>(ctx: &Context<A>) -> Self {
        Self { system: ctx.system.clone(), path: ctx.path().clone(), life: Arc::clone(&ctx.life) }
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

    async fn handle(&mut self, request: Q, _: &mut Context<Self>) -> Result<R, BoxError> {
        (self.function)(self.ctx.clone(), request).await
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
