//! What users write: an agent; and what it is handed: its context.

use std::any::{Any, TypeId};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{CheckpointError, RequestError};
use crate::exit::{BoxError, ExitReason};
use crate::fault::{Point, Subject};
use crate::id::{ChildId, Incarnation, Path};
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::blocking::{BlockingContext, blocking};
use crate::runtime::current::TaskOf;
use crate::runtime::faults::Visitor;
use crate::runtime::guard::{self, Watched};
use crate::runtime::life::Life;
use crate::runtime::shell::ShellMessage;
use crate::runtime::slot::{About, Slot};
use crate::runtime::supervisor::handle::Supervisor;
use crate::runtime::system::System;
use crate::runtime::tasks::TaskId;
use crate::runtime::turn::{Turn, WatchGuard};
use crate::runtime::watchdog::OnRuntime;

/// An agent: a state, and how it answers messages.
///
/// Every incarnation is made anew by [`start`](Agent::start) from the same arguments; a restart never inherits the
/// state that failed. One message is handled at a time.
///
/// An error or a panic in any of the methods ends the incarnation, and its supervisor decides what happens next. So
/// errors that a caller should see and live with belong into `Reply`.
///
/// ```
/// use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};
///
/// struct Counter(u64);
///
/// impl Agent for Counter {
///     type Args = u64;
///     type Message = u64;
///     type Reply = u64;
///
///     async fn start(first: u64, _: &mut Context<Self>) -> Result<Self, BoxError> {
///         Ok(Counter(first))
///     }
///
///     async fn handle(&mut self, add: u64, _: &mut Context<Self>) -> Result<u64, BoxError> {
///         self.0 = self.0.checked_add(add).ok_or("the counter is full")?;
///         Ok(self.0)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::agent::<Counter>("counter", 40));
/// let system = System::start(spec).await?;
/// let counter = system.agent::<Counter>("root/counter")?;
/// assert_eq!(counter.ask(2).await?, 42);
/// assert!(counter.ask(u64::MAX).await.is_err()); // It ends, is started again,
/// assert_eq!(counter.ask(2).await?, 42); // and begins where it began before.
/// # system.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub trait Agent: Sized + Send + 'static {
    /// What every incarnation is started from.
    type Args: Clone + Send + Sync + 'static;
    /// What it is told and asked. Needs no serde; only what travels by capability does.
    type Message: Send + 'static;
    /// What it answers. For a message that was told, the reply is dropped.
    type Reply: Send + 'static;

    /// Makes an incarnation. The agent counts as started once this returns `Ok`; until then its messages wait.
    ///
    /// # Errors
    ///
    /// An error is a failed start: the supervisor's own start fails with it, or, in a restart, it is tried again
    /// within the supervisor's limits.
    fn start(args: Self::Args, ctx: &mut Context<Self>) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Handles one message. Long work is not awaited here, but spawned on the context.
    ///
    /// # Errors
    ///
    /// An error ends the incarnation; whoever asked gets [`RequestError::Exited`] with it.
    ///
    /// # Cancel safety
    ///
    /// Dropped at an await point when the incarnation is killed or counts as hung.
    fn handle(
        &mut self,
        message: Self::Message,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Self::Reply, BoxError>> + Send;

    /// Runs when the incarnation ends in an orderly way: asked to stop, or by its own [`Context::stop`]. Not after a
    /// panic, an error or a kill.
    fn stop(&mut self, reason: &ExitReason, ctx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        let _ = (reason, ctx);
        async {}
    }

    /// Says what a message is about, for fault plans. Messages without a subject are never drawn for.
    #[must_use]
    fn subject(message: &Self::Message) -> Option<Subject> {
        let _ = message;
        None
    }

    /// The type that finds this agent. Another one only for what stands in for an agent in a test.
    #[doc(hidden)]
    #[must_use]
    fn found_as() -> TypeId {
        TypeId::of::<Self>()
    }
}

/// What an incarnation of an agent has at hand: itself, its siblings, its system, timers and tasks.
pub struct Context<A: Agent> {
    pub(crate) system: System,
    pub(crate) slot: Arc<Slot<A::Message, A::Reply>>,
    pub(crate) life: Arc<Life>,
    pub(crate) port: ractor::ActorRef<ShellMessage>,
    pub(crate) stopping: Option<Box<ExitReason>>,
    /// The message that is being handled, or was last.
    pub(crate) about: Option<About<A::Reply>>,
    /// The watchdog looks at this life, and after the runtime that it was given, until this is dropped.
    pub(crate) _overseen: Option<Box<Overseen>>,
}

/// What ends with a life's shell.
pub(crate) struct Overseen {
    pub(crate) _watched: Option<WatchGuard>,
    pub(crate) _runtime: Option<Arc<OnRuntime>>,
}

impl<A: Agent> Context<A> {
    /// Where this agent stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.life.path
    }

    /// Which life this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.life.incarnation
    }

    /// A reference to this agent, which stays good over restarts.
    #[must_use]
    pub fn myself(&self) -> AgentRef<A> {
        AgentRef::new(Arc::clone(&self.slot))
    }

    /// A reference to another child of the same supervisor.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is no such child, [`RequestError::WrongAgent`] when it is of another type.
    pub fn sibling<B: Agent>(&self, name: &str) -> Result<AgentRef<B>, RequestError> {
        let unknown = || RequestError::Unknown { path: format!("sibling `{name}` of {}", self.life.path) };
        let name = ChildId::new(name).map_err(|_| unknown())?;
        let parent = self.life.path.parent().ok_or_else(unknown)?;
        self.system.agent(parent.child(&name))
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The supervisor of this agent. An agent must not wait for it to do something with the agent itself, nor ask it
    /// for anything during its own start: the supervisor does one thing at a time.
    #[must_use]
    pub fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.system.clone(), self.life.path.parent().unwrap_or_else(|| self.life.path.clone()))
    }

    /// Hands a value to whoever asked for this child to be started, as [`StartedChild::info`](crate::StartedChild)
    /// (rule 5). For use in the start; the first value stays.
    pub fn start_info(&self, info: impl Any + Send + Sync) {
        self.life.set_info(Arc::new(info));
    }

    /// Says that the running handler is alive: its deadline begins anew.
    pub fn progress(&self) {
        self.life.note_progress(self.system.clock().now());
    }

    /// Starts a task of this incarnation. It is aborted when the incarnation ends, and the next one is not started
    /// before it is gone. A panic in it ends the incarnation.
    ///
    /// Where as many run as the agent may run at once ([`AgentSpec::concurrent_tasks`](crate::AgentSpec::concurrent_tasks)),
    /// it waits in line until one of them has ended.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) -> TaskId {
        let place = self.life.tasks.queue_up();
        // What is awaited has a second place beside the one it came from, in each future around it: what may be large goes
        // into a box before any is.
        let work = Box::pin(work);
        self.spawn_at_once(async move {
            let _permit = place.turn().await;
            work.await;
        })
    }

    /// A place in the agent's own code where a fault plan may have something for it: `point:` and this name in a plan's
    /// text. Without a plan it costs one look.
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
    ///     ctx.fault_point("half-way").await?;
    ///     println!("second half of {line}");
    ///     Ok(())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A fault that is an error.
    ///
    /// # Panics
    ///
    /// A fault that is a panic.
    pub async fn fault_point(&self, name: &'static str) -> Result<(), BoxError> {
        match Visitor::of(self) {
            Some(visitor) => visitor.come_to(&Point::Named(name.into()), None).await,
            None => Ok(()),
        }
    }

    /// How many tasks of this incarnation wait until one before them has ended.
    #[must_use]
    pub fn waiting_tasks(&self) -> usize {
        self.life.tasks.waiting()
    }

    /// Timers do not count among the tasks that run at once, nor do tasks of ours: they would wait for those of the user.
    pub(crate) fn spawn_at_once(&mut self, work: impl Future<Output = ()> + Send + 'static) -> TaskId {
        let turn = Arc::default();
        let watched = self.life.watched_task(self.system.watch(), &turn, None);
        self.spawn_task(guard::run_caught(work), watched.map(|guard| (turn, guard)))
    }

    fn spawn_task(
        &mut self,
        work: impl Future<Output = Result<(), ExitReason>> + Send + 'static,
        turn: Option<(Arc<Turn>, WatchGuard)>,
    ) -> TaskId {
        let port = self.port.clone();
        let life = Arc::clone(&self.life);
        let to_its_end = async move {
            if let Err(reason) = work.await {
                life.end(reason);
                let _ = port.cast(ShellMessage::Wake);
            }
        };
        self.life.tasks.spawn(TaskOf::new(Arc::clone(&self.life), to_its_end, turn))
    }

    /// As [`spawn`](Self::spawn), for work that must show progress: when the given [`Progress`] is not beaten for
    /// `limit`, the incarnation ends as unresponsive. A lease's heartbeat is this.
    pub fn spawn_watched<W, F>(&mut self, limit: Duration, work: W) -> TaskId
    where
        W: FnOnce(Progress) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let progress = Progress(Watched::new(Arc::clone(self.system.clock())));
        let turn = Arc::clone(progress.0.turn());
        let place = self.life.tasks.queue_up();
        let heart = progress.0.clone();
        let work = Box::pin(work(progress));
        let watched = async move {
            let _permit = place.turn().await;
            // Nobody expected anything of it while it waited.
            heart.beat();
            guard::watch(heart, limit, work).await
        };
        let guard = self.life.watched_task(self.system.watch(), &turn, Some(limit));
        self.spawn_task(watched, guard.map(|guard| (turn, guard)))
    }

    /// Runs a closure that blocks its thread, or computes for long, on tokio's blocking pool, where it holds up nobody.
    ///
    /// The future borrows nothing, so it can be awaited here or in a task of [`spawn`](Self::spawn), where the agent
    /// handles other messages meanwhile. A panic in the closure is a panic of whoever awaits it. Awaited in a handler,
    /// the handler deadline goes on; [`BlockingContext::progress`] begins it anew.
    ///
    /// A closure cannot be aborted. When the life ends before it has returned, nobody waits for it: the life is fenced,
    /// so that nothing the closure does through steadfast has an effect, and is reported as leaked until it returns
    /// ([`EventKind::Leaked`](crate::EventKind::Leaked)).
    ///
    /// ```
    /// # use steadfast::{Agent, BoxError, Context};
    /// # struct Hasher;
    /// # impl Agent for Hasher {
    /// #     type Args = ();
    /// #     type Message = Vec<u8>;
    /// #     type Reply = u64;
    /// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self) }
    /// async fn handle(&mut self, bytes: Vec<u8>, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
    ///     Ok(ctx.blocking(move |_| bytes.iter().map(|byte| u64::from(*byte)).sum()).await)
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the closure runs on if it has begun, and its value is dropped;
    /// [`BlockingContext::is_wanted`] tells it so.
    pub fn blocking<T, F>(&self, work: F) -> impl Future<Output = T> + Send + use<A, T, F>
    where
        T: Send + 'static,
        F: FnOnce(BlockingContext) -> T + Send + 'static,
    {
        blocking(Arc::clone(&self.life), Arc::clone(self.system.clock()), work)
    }

    /// Keeps a state for the next incarnation, in place of the one that was kept before. Only where the child's spec
    /// says [`hand_over`](crate::AgentSpec::hand_over).
    ///
    /// It outlives this incarnation, and its supervisor's, until the child is forgotten. What is kept while the
    /// incarnation starts counts once it has started.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NotEnabled`] without that; [`CheckpointError::Fenced`] when this life was given up.
    pub fn checkpoint<T: Clone + Send + 'static>(&self, state: T) -> Result<(), CheckpointError> {
        self.slot.kept().put(&self.life, state)
    }

    /// A copy of the state that was kept last by [`checkpoint`](Self::checkpoint); for [`Agent::start`].
    ///
    /// `None` when nothing was kept, or a value of another type. A start that takes it and fails takes it along: the
    /// next start gets `None`, so that a state from which no life can start is tried once.
    #[must_use]
    pub fn handed_over<T: Clone + Send + 'static>(&self) -> Option<T> {
        self.slot.kept().take(&self.life)
    }

    /// Aborts a task or timer of this incarnation. One that has ended is left alone.
    pub fn cancel(&mut self, task: TaskId) {
        self.life.tasks.abort(task);
    }

    /// Tells itself a message after a delay, through its own mailbox. The timer ends with the incarnation.
    pub fn after(&mut self, delay: Duration, message: A::Message) -> TaskId {
        let myself = self.myself();
        let timer = async move {
            tokio::time::sleep(delay).await;
            myself.tell_patiently(message).await;
        };
        if bug_on_purpose!(self.system, TimerOutlivesLife) {
            // On purpose: it is no task of this life.
            tokio::spawn(timer);
            return self.spawn_at_once(async {});
        }
        self.spawn_at_once(timer)
    }

    /// Tells itself a message again and again, first after one period. The timer ends with the incarnation.
    pub fn every(&mut self, period: Duration, message: impl Fn() -> A::Message + Send + 'static) -> TaskId {
        let myself = self.myself();
        self.spawn_at_once(async move {
            loop {
                tokio::time::sleep(period).await;
                myself.tell_patiently(message()).await;
            }
        })
    }

    /// Ends the incarnation in an orderly way, with this reason, once the running handler, or the start, has returned.
    ///
    /// In the stop hook it changes the reason with which the incarnation ends (rule 12).
    pub fn stop(&mut self, reason: ExitReason) {
        self.stopping.get_or_insert_with(|| Box::new(reason));
        self.life.mark_ending();
    }
}

impl<A: Agent> Drop for Context<A> {
    fn drop(&mut self) {
        // A killed shell is dropped without another word; its tasks must not outlive it.
        self.life.tasks.abort_all();
    }
}

/// The heartbeat of a watched task.
#[derive(Clone)]
pub struct Progress(Watched);

impl Progress {
    /// Says that the task is alive.
    pub fn beat(&self) {
        self.0.beat();
    }
}
