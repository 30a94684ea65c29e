//! Carries out faults on purpose at the points of the runtime.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
#[cfg(any(test, feature = "testing"))]
use std::{
    mem,
    sync::Mutex,
    time::{Duration, Instant},
};

#[cfg(any(test, feature = "testing"))]
use tokio::{sync::Notify, task::AbortHandle, time::timeout_at};

use crate::exit::BoxError;
#[cfg(any(test, feature = "testing"))]
use crate::fault::{Action, FaultPlan, Fired, PathPattern, Plan, Progress, Unfired};
use crate::fault::{Fault, FaultPoint, Point, Subject};
use crate::id::Path;
use crate::runtime::agent::{Agent, Context};
#[cfg(any(test, feature = "testing"))]
use crate::runtime::guard::{after, lock};
use crate::runtime::life::Life;
use crate::runtime::supervisor::kill_life;
use crate::runtime::system::System;
#[cfg(any(test, feature = "testing"))]
use crate::runtime::world::TokioClock;
#[cfg(any(test, feature = "testing"))]
use crate::seam::Clock;
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
        let (system, life) = (ctx.system(), &ctx.life);
        system.faults().is_some().then(|| Self {
            system: system.clone(),
            path: ctx.path().clone(),
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

/// A plan that is being carried out in one system, and what has come of it so far.
///
/// Given to [`SystemBuilder::faults`](crate::SystemBuilder::faults) it meets whoever comes to a point. What is to happen at a
/// time, and to others than who is at a point, is done by [`attend`](Self::attend), from when the system runs.
///
/// ```
/// use std::sync::Arc;
/// use steadfast::testing::{FaultRun, Log, Order, Probe, Recorder};
/// use steadfast::{Strategy, SupervisorSpec, System};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = FaultRun::of("panic at before-message of root/a #2; kill root/a at 10s".parse()?);
/// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &Log::default()));
/// let system = System::builder().faults(Arc::clone(&run) as _).start(spec).await?;
/// let _attended = run.attend(&system);
/// let (agent, mut events) = (Probe::at(&system, "root/a"), Recorder::of(&system));
///
/// assert_eq!(agent.ask(Order::Echo(1)).await?, 1);
/// assert!(agent.ask(Order::Echo(2)).await.is_err());
/// events.started("root/a", 3).await; // After the panic came the kill.
/// assert_eq!((run.fired().len(), run.unfired().len()), (2, 0));
/// # Ok(system.shutdown().await?)
/// # }
/// ```
#[cfg(any(test, feature = "testing"))]
pub struct FaultRun {
    began: Instant,
    progress: Mutex<Progress>,
    /// Who is to be killed by the one who attends.
    victims: Mutex<Vec<PathPattern>>,
    told: Notify,
}

/// The task that does what a plan has for a time and for others; it ends when this is dropped.
#[cfg(any(test, feature = "testing"))]
#[must_use = "nothing happens at a time, or to others, without it"]
pub struct Attended(AbortHandle);

#[cfg(any(test, feature = "testing"))]
impl Drop for Attended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(any(test, feature = "testing"))]
impl FaultRun {
    /// Begins a plan; its times count from now on.
    #[must_use]
    pub fn of(plan: Plan) -> Arc<Self> {
        let (progress, victims) = (Mutex::new(Progress::of(plan)), Mutex::default());
        Arc::new(Self { began: TokioClock.now(), progress, victims, told: Notify::new() })
    }

    /// The faults that came, in order.
    #[must_use]
    pub fn fired(&self) -> Vec<Fired> {
        lock(&self.progress).fired().to_vec()
    }

    /// The faults that did not come, each with what came nearest to it.
    #[must_use]
    pub fn unfired(&self) -> Vec<Unfired> {
        lock(&self.progress).unfired()
    }

    /// Does from now on what the plan has for a time, and for others than who is at a point.
    pub fn attend(self: &Arc<Self>, system: &System) -> Attended {
        let (run, system) = (Arc::clone(self), system.clone());
        Attended(tokio::spawn(async move { run.go_on(&system).await }).abort_handle())
    }

    async fn go_on(&self, system: &System) {
        loop {
            let due = lock(&self.progress).by(self.elapsed());
            let due = due
                .into_iter()
                .filter_map(|action| if let Action::KillOther(path) = action { Some(path) } else { None });
            let victims: Vec<_> = due.chain(mem::take(&mut *lock(&self.victims))).collect();
            for pattern in &victims {
                kill_all(system, pattern);
            }
            let next = lock(&self.progress).next();
            let wait = next.map_or(Duration::MAX, |next| next.saturating_sub(self.elapsed()));
            let _ = timeout_at(after(wait), self.told.notified()).await;
        }
    }

    fn elapsed(&self) -> Duration {
        TokioClock.now().saturating_duration_since(self.began)
    }
}

#[cfg(any(test, feature = "testing"))]
fn kill_all(system: &System, pattern: &PathPattern) {
    for tree in [system.root().clone(), system.services_root()] {
        for path in system.paths_within(&tree, |_| true) {
            if pattern.matches(&path) {
                // One that is not there any more is as good as killed.
                let _ = system.kill(&path);
            }
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl FaultPlan for FaultRun {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        match lock(&self.progress).at(point, self.elapsed())? {
            Action::Panic => Some(Fault::Panic),
            Action::Error => Some(Fault::Error),
            Action::Hang => Some(Fault::Hang),
            Action::Slow(by) => Some(Fault::Slow(by)),
            Action::Kill => Some(Fault::Kill),
            Action::KillOther(path) => {
                lock(&self.victims).push(path);
                self.told.notify_one();
                None
            }
        }
    }
}
