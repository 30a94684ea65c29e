//! Carries out faults on purpose at the points of the runtime.

mod block;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod run;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

pub(crate) use self::block::Blocks;
use self::block::block;
use crate::exit::BoxError;
use crate::fault::{Fault, FaultPoint, Point, Subject};
use crate::id::Path;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::life::Life;
use crate::runtime::supervisor::kill_life;
use crate::runtime::system::System;
use crate::supervision::policy::ChildKind;

/// Somebody who comes to points.
#[derive(Clone)]
pub(crate) struct Visitor {
    system: System,
    path: Path,
    life: Arc<Life>,
}

impl Visitor {
    /// `None` where there is no plan: nobody needs to come to a point then.
    pub(crate) fn of<A: Agent>(ctx: &Context<A>) -> Option<Self> {
        Self::of_life(ctx.system(), &ctx.life)
    }

    /// As [`of`](Self::of), for whoever has no context of ours.
    pub(crate) fn of_life(system: &System, life: &Arc<Life>) -> Option<Self> {
        system.faults().is_some().then(|| Self {
            system: system.clone(),
            path: life.path.clone(),
            life: Arc::clone(life),
        })
    }

    fn ask(&self, point: &Point, subject: Option<&Subject>) -> Option<Fault> {
        self.system.faults()?.at(&FaultPoint::new(&self.path, self.life.incarnation, point, subject))
    }

    /// Comes to a point, and meets what the plan has for it.
    ///
    /// # Errors
    ///
    /// A fault that is an error.
    ///
    /// # Panics
    ///
    /// A fault that is a panic.
    pub(crate) async fn come_to(&self, point: &Point, subject: Option<&Subject>) -> Result<(), BoxError> {
        match self.ask(point, subject) {
            Some(fault) => self.meet(fault, point).await,
            None => Ok(()),
        }
    }

    async fn meet(&self, fault: Fault, point: &Point) -> Result<(), BoxError> {
        match fault {
            Fault::Panic => panic!("a fault on purpose: {point}"),
            Fault::Error => Err(format!("a fault on purpose: {point}").into()),
            Fault::Kill => {
                kill_life(&self.life, ChildKind::Worker);
                pending().await
            }
            Fault::Hang => pending().await,
            Fault::Slow(by) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
            Fault::Block(time) => {
                block(&self.system, &self.life, time).await;
                Ok(())
            }
        }
    }

    /// Runs a handler, and comes to a point when it waits for something for the first time.
    pub(crate) async fn during<T>(
        &self,
        subject: Option<&Subject>,
        handler: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, BoxError> {
        let mut handler = pin!(handler);
        let first = poll_fn(|cx| Poll::Ready(handler.as_mut().poll(cx))).await;
        if let Poll::Ready(outcome) = first {
            return outcome;
        }
        self.come_to(&Point::DuringMessage, subject).await?;
        handler.await
    }
}

/// Handles a message, with the faults that a plan has for it.
pub(crate) async fn with_faults<A: Agent>(
    agent: &mut A,
    message: A::Message,
    ctx: &mut Context<A>,
    visitor: Visitor,
) -> Result<A::Reply, BoxError> {
    let subject = A::subject(&message);
    visitor.come_to(&Point::BeforeMessage, subject.as_ref()).await?;
    let reply = visitor.during(subject.as_ref(), agent.handle(message, ctx)).await?;
    visitor.come_to(&Point::AfterMessage, subject.as_ref()).await?;
    Ok(reply)
}

/// Starts an agent, with the faults that a plan has for it.
pub(crate) async fn start_with_faults<A: Agent>(
    args: A::Args,
    ctx: &mut Context<A>,
    visitor: Visitor,
) -> Result<A, BoxError> {
    visitor.come_to(&Point::BeforeStart, None).await?;
    let agent = A::start(args, ctx).await?;
    visitor.come_to(&Point::AfterStart, None).await?;
    Ok(agent)
}

/// A place in an agent's code where a fault plan may have something for it, compiled with the feature `testing` only. See
/// [`Context::fault_point`](crate::Context::fault_point), which is always there. An error of the plan leaves the function by
/// `?`.
///
/// ```
/// # use steadfast::{Agent, BoxError, Context};
/// # struct Writer;
/// # impl Agent for Writer {
/// #     type Args = ();
/// #     type Message = String;
/// #     type Reply = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self) }
/// async fn handle(&mut self, line: String, ctx: &mut Context<Self>) -> Result<(), BoxError> {
///     println!("first half of {line}");
///     steadfast::faultpoint!(ctx, "half-way");
///     println!("second half of {line}");
///     Ok(())
/// }
/// # }
/// ```
#[cfg(feature = "testing")]
#[macro_export]
macro_rules! faultpoint {
    ($ctx:expr, $name:literal) => {
        $ctx.fault_point($name).await?
    };
}

/// A place in an agent's code where a fault plan may have something for it: nothing without the feature `testing`.
#[cfg(not(feature = "testing"))]
#[macro_export]
macro_rules! faultpoint {
    ($ctx:expr, $name:literal) => {
        if false {
            $ctx.fault_point($name).await?;
        }
    };
}
