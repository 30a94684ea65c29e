//! The shell: the ractor actor that every agent runs inside.
//!
//! It starts the agent, drains its slot's mailbox in bounded batches, catches panics, notices a hung handler, owns
//! timers and tasks, moves the lifecycle, and writes down how the life really ended before ractor reports that it did.
//!
//! # Invariants
//!
//! * The user's start runs in `post_start`, in the shell's own task: the child is linked and killable while it starts. In
//!   the first batch of a supervisor it is polled once before that; one that is not over then goes on in `post_start`.
//! * The reason of an end is written before ractor's exit event is sent, and last of all for an orderly stop: an agent
//!   that is killed while its stop hook hangs reads `killed`.
//! * No message is taken once the end has been asked for.

mod idle;
mod obey;
#[cfg(any(test, feature = "testing"))]
mod pace;

use std::marker::PhantomData;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tracing::Instrument;

use self::idle::Idle;
use self::obey::Running;
pub(crate) use self::obey::drains;
use crate::exit::{ExitReason, Failure};
use crate::fault::Point;
use crate::lifecycle::hook::{Change, Hooks, Refused};
use crate::lifecycle::{AgentState, Life as Lifecycle, StateName, state};
use crate::runtime::agent::{Agent, Context, Overseen};
use crate::runtime::current;
use crate::runtime::faults::{Visitor, start_with_faults, with_faults};
use crate::runtime::guard::{HandlerTimer, HandlerWatch, guarded, run_caught, run_handler, run_noted, within};
use crate::runtime::hooks::Action;
use crate::runtime::life::Life;
use crate::runtime::registrar;
use crate::runtime::slot::{AnySlot, Batch, Slot, Taken};
use crate::runtime::supervisor::start_failure;
use crate::runtime::system::System;
use crate::runtime::tasks::{Resident, Tasks};
use crate::runtime::watchdog::OnRuntime;

/// How many messages a shell takes from its slot at once. Between two batches ractor looks at its other ports.
const BATCH: usize = 64;

/// How often in a row a shell waits for its mailbox alone, before ractor looks at its other ports again.
const STAY: usize = 64;

/// How long an orderly stop lets the agent finish, as it is written into the lifecycle's `Draining` state.
const STOP_HORIZON: Duration = Duration::from_secs(5);

/// What a shell is woken with. Users' messages never travel on ractor's port. One word and no more: ractor boxes each
/// message, and a box of nothing is not allocated.
pub(crate) enum ShellMessage {
    /// There is something in the slot; or a task of the agent panicked or was silent, and the reason is noted.
    Wake,
}

/// What a shell is born with.
pub(crate) struct Birth<A: Agent> {
    pub(crate) system: System,
    pub(crate) slot: Arc<Slot<A::Message, A::Reply>>,
    pub(crate) life: Arc<Life>,
    pub(crate) args: A::Args,
    pub(crate) handler_deadline: Option<Duration>,
    pub(crate) runtime: Option<Arc<OnRuntime>>,
    pub(crate) hooks: Option<Arc<Hooks<Action>>>,
    /// After how long without work it is put to rest.
    pub(crate) lazy: Option<Duration>,
    /// Whether the user's start may be polled a first time before the shell has a task.
    pub(crate) right_here: bool,
}

pub(crate) struct Shell<A>(PhantomData<fn() -> A>);

impl<A> Shell<A> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) struct ShellState<A: Agent> {
    /// On the heap, since ractor moves a state about before it runs. `None` while a start holds it.
    body: Option<Box<Body<A>>>,
    start: Start<A>,
}

/// How far the user's start has come before the shell's own task runs.
enum Start<A: Agent> {
    ToBegin,
    /// Polled once. What it holds is of the life: that is not gone before it.
    UnderWay(Resident<Beginning<A>>),
    Over(Result<(), ExitReason>),
}

/// A start that is under way, with the body that it is about.
type Beginning<A> = Pin<Box<dyn Future<Output = (Box<Body<A>>, Result<(), ExitReason>)> + Send>>;

struct Body<A: Agent> {
    // Dropped in this order: first the agent, then its context, which aborts what is left of its tasks.
    agent: Option<Resident<A>>,
    args: Option<A::Args>,
    ctx: Context<A>,
    running: Running,
    idle: Option<Box<Idle>>,
    hooks: Option<Arc<Hooks<Action>>>,
    handler_deadline: Option<Duration>,
    timer: HandlerTimer,
    /// `None` where nobody listens.
    span: Option<Box<tracing::Span>>,
    #[cfg(any(test, feature = "testing"))]
    pace: Option<Box<pace::Pace>>,
}

impl<A: Agent> Actor for Shell<A> {
    type Msg = ShellMessage;
    type State = ShellState<A>;
    type Arguments = Birth<A>;

    async fn pre_start(
        &self,
        myself: ActorRef<ShellMessage>,
        birth: Birth<A>,
    ) -> Result<Self::State, ActorProcessingErr> {
        birth.life.set_cell(myself.get_cell());
        let span = span_of(&birth.life);
        #[cfg(any(test, feature = "testing"))]
        let pace = pace::Pace::of(&birth.system, &birth.life);
        let watched = birth.life.watched(birth.system.watch(), "its code");
        let seen = watched.is_some() || birth.runtime.is_some();
        let overseen = seen.then(|| Box::new(Overseen { _watched: watched, _runtime: birth.runtime }));
        let ctx = Context {
            system: birth.system,
            slot: birth.slot,
            life: birth.life,
            port: myself,
            stopping: None,
            about: None,
            _overseen: overseen,
        };
        let body = Box::new(Body {
            agent: None,
            args: Some(birth.args),
            ctx,
            running: Running::Not,
            idle: birth.lazy.map(|limit| Box::new(Idle::new(limit))),
            hooks: birth.hooks,
            handler_deadline: birth.handler_deadline,
            timer: HandlerTimer::default(),
            span,
            #[cfg(any(test, feature = "testing"))]
            pace,
        });
        Ok(if birth.right_here { body.start_here() } else { ShellState { body: Some(body), start: Start::ToBegin } })
    }

    async fn post_start(&self, _: ActorRef<ShellMessage>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        let outcome = match std::mem::replace(&mut state.start, Start::Over(Ok(()))) {
            Start::Over(outcome) => outcome,
            // What most starts do not come to is on the heap: ractor moves this future about.
            Start::ToBegin => Box::pin(state.body().start()).await,
            Start::UnderWay(mut beginning) => {
                let (body, outcome) = beginning.get_mut().expect("it is held until it is over").await;
                state.body = Some(body);
                outcome
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(reason) => Err(Box::pin(state.body().fail(reason)).await),
        }
    }

    // On the heap: ractor keeps room for this future twice in every actor, also while it is at rest, and moves it about.
    fn handle(
        &self,
        _: ActorRef<ShellMessage>,
        _: ShellMessage,
        state: &mut Self::State,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        Box::pin(state.body().serve())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ShellMessage>,
        _: SupervisionEvent,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // ractor's default would stop the shell when an actor that the agent linked to itself ends. Agents have no
        // children here; who wants some describes a supervisor.
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<ShellMessage>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        let state = state.body();
        let (span, life) = state.span_and_life();
        current::within(life, state.end().instrument(span)).await
    }
}

impl<A: Agent> ShellState<A> {
    fn body(&mut self) -> &mut Body<A> {
        self.body.as_mut().expect("ractor handles nothing before `post_start` has it back")
    }
}

impl<A: Agent> Body<A> {
    /// Polls the start a first time. Most are over then.
    fn start_here(self: Box<Self>) -> ShellState<A> {
        let life = Arc::clone(&self.ctx.life);
        let mut beginning: Beginning<A> = Box::pin(async move {
            let mut body = self;
            let outcome = body.start().await;
            (body, outcome)
        });
        match beginning.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) {
            task::Poll::Ready((body, outcome)) => ShellState { body: Some(body), start: Start::Over(outcome) },
            // Whoever polls it next is who is woken.
            task::Poll::Pending => ShellState { body: None, start: Start::UnderWay(Tasks::house(&life, beginning)) },
        }
    }

    /// Runs the start, and opens the slot after it.
    async fn start(&mut self) -> Result<(), ExitReason> {
        let (span, life) = self.span_and_life();
        current::within(life, self.begin().instrument(span)).await?;
        self.ctx.life.mark_started();
        self.ctx.slot.open(&self.ctx.life, self.ctx.port.clone());
        self.watch_idleness();
        self.stop_if_asked();
        Ok(())
    }

    fn span_and_life(&self) -> (tracing::Span, Arc<Life>) {
        (self.span.as_deref().map_or_else(tracing::Span::none, Clone::clone), Arc::clone(&self.ctx.life))
    }

    /// Runs the user's start and registers what the agent offers.
    async fn begin(&mut self) -> Result<(), ExitReason> {
        let started_at = self.ctx.system.clock().now();
        let machine = Lifecycle::new().enter(state::Registering { started_at });
        self.pass(StateName::Unregistered, machine.snapshot()).await?;
        let args = self.args.take().expect("a shell starts once");
        let (clock, life) = (Arc::clone(self.ctx.system.clock()), Arc::clone(&self.ctx.life));
        let visitor = Visitor::of(&self.ctx);
        let start = async {
            match visitor {
                // What most starts do not have is on the heap: ractor moves this future about.
                Some(visitor) => Box::pin(start_with_faults(args, &mut self.ctx, visitor)).await,
                None => A::start(args, &mut self.ctx).await,
            }
        };
        let started = match self.handler_deadline {
            None => run_caught(start).await?,
            Some(limit) => {
                let watch = HandlerWatch { life: &life, clock: &*clock, limit, what: "its start" };
                run_handler(start, watch, &mut self.timer).await?
            }
        };
        let agent = started.map_err(|error| start_failure(&life, error))?;
        self.agent = Some(Tasks::house(&self.ctx.life, agent));
        if let Some(reason) = self.ctx.life.reason() {
            // A task of it failed while it started.
            return Err(reason.clone());
        }
        let registry_id = if self.ctx.slot.core().concerns_the_registrar() {
            // A question to another agent, of which most starts need not keep room.
            let registered = registrar::register(&self.ctx.system, &*self.ctx.slot, self.ctx.life.incarnation);
            Box::pin(registered).await.map_err(|error| ExitReason::StartFailed(Failure::new(error)))?
        } else {
            self.ctx.system.entropy().id()
        };
        let machine = machine.enter(state::Registered { registry_id });
        self.pass(StateName::Registering, machine.snapshot()).await?;
        let machine = machine.enter(state::Active { since: self.ctx.system.clock().now(), message_count: 0 });
        self.pass(StateName::Registered, machine.snapshot()).await?;
        self.running = Running::Active(machine);
        Ok(())
    }

    /// Enters a state on the way up. A hook that refuses it makes the start fail.
    async fn pass(&mut self, from: StateName, to: AgentState) -> Result<(), ExitReason> {
        let change = Change { from, to: to.name() };
        let passed = self.change(change, |body| body.announce(to)).await;
        passed.map_err(|refused| ExitReason::StartFailed(Failure::new(refused)))
    }

    /// Handles what there is, and stays with the mailbox for a while.
    async fn serve(&mut self) -> Result<(), ActorProcessingErr> {
        for _ in 0..STAY {
            // A box of its own: an agent that waits keeps only what it needs for that.
            Box::pin(self.woken()).await?;
            // ractor runs this in the span of whoever sent the wake-up; a span must not stay open while nothing is done.
            if !tracing::Span::current().is_none() || !self.ctx.slot.linger(&self.ctx.life).await {
                return Ok(());
            }
        }
        Box::pin(self.woken()).await
    }

    /// Handles up to a batch of messages, and ends the life where that is due.
    async fn woken(&mut self) -> Result<(), ActorProcessingErr> {
        if self.ctx.slot.is_called() {
            Box::pin(self.obey()).await;
        }
        let (span, life) = self.span_and_life();
        if let Err(reason) = current::within(Arc::clone(&life), self.drain(&life).instrument(span)).await {
            return Err(self.fail(reason).await);
        }
        // A task's failure is noted by the task, and then nothing was drained.
        if let Some(reason) = life.reason().cloned() {
            return Err(self.fail(reason).await);
        }
        self.note_activity();
        self.stop_if_asked();
        Ok(())
    }

    fn announce(&self, state: AgentState) {
        self.ctx.slot.core().set_state(&self.ctx.life, state);
    }

    /// Ends the life if the agent asked for it through its context.
    fn stop_if_asked(&self) {
        if let Some(reason) = self.ctx.stopping.clone() {
            // By its own will it ends for good where it is not permanent, and does not only go to rest.
            let (life, is_failure) = (&self.ctx.life, reason.is_abnormal());
            if !life.is_followed() && !is_failure && !life.is_put_to_rest() {
                self.ctx.slot.core().gauge().set_ends_for_good();
            }
            self.ctx.life.ask_to_stop(*reason);
            self.ctx.port.stop(None);
        }
    }

    /// Handles up to a batch of messages.
    async fn drain(&mut self, life: &Life) -> Result<(), ExitReason> {
        let slot = Arc::clone(&self.ctx.slot);
        #[cfg(any(test, feature = "testing"))]
        let most = self.hold_back().await;
        #[cfg(not(any(test, feature = "testing")))]
        let most = BATCH;
        if life.is_ending() {
            return Ok(());
        }
        let mut batch = slot.take(life, most);
        while let Some(taken) = batch.next() {
            self.one(life, taken, &mut batch).await?;
            if self.ctx.stopping.is_some() || life.is_ending() || slot.is_called() {
                break;
            }
        }
        Ok(())
    }

    async fn one(
        &mut self,
        life: &Life,
        taken: Taken<A::Message, A::Reply>,
        batch: &mut Batch<'_, A::Message, A::Reply>,
    ) -> Result<(), ExitReason> {
        let Taken { message, about, is_asked } = taken;
        self.ctx.about = Some(about);
        let outcome = self.handle_guarded(life, message).await;
        life.count_handled();
        match outcome {
            Ok(Ok(answer)) if is_asked => {
                batch.answer(answer);
                Ok(())
            }
            Ok(Ok(_)) => {
                batch.finish();
                Ok(())
            }
            Ok(Err(error)) => Err(self.ended_in_handler(ExitReason::Failed(Failure::new(error)))),
            Err(reason) => Err(self.ended_in_handler(reason)),
        }
    }

    /// Notes the end before the slot takes back what the life has in hand, so that the asker hears of it with its reason.
    fn ended_in_handler(&self, reason: ExitReason) -> ExitReason {
        self.ctx.life.end(reason.clone());
        // From here on nobody takes this life for a living one, also before its supervisor hears of it.
        self.ctx.slot.ended(self.ctx.life.incarnation);
        reason
    }

    async fn handle_guarded(
        &mut self,
        life: &Life,
        message: A::Message,
    ) -> Result<Result<A::Reply, crate::BoxError>, ExitReason> {
        let agent = self.agent.as_mut().and_then(Resident::get_mut).expect("messages come only after the start");
        let ctx = &mut self.ctx;
        let watched = self.handler_deadline.map(|limit| (limit, Arc::clone(ctx.system.clock())));
        if let Some(visitor) = Visitor::of(ctx) {
            let handler = Box::pin(with_faults(agent, message, ctx, visitor));
            return guarded(handler, life, watched, &mut self.timer).await;
        }
        // Nothing between the user's code and the catch of its panics: what a panic passes costs it dearly.
        // And pinned where it is made: moved, it would be copied, and kept twice.
        guarded(pin!(agent.handle(message, ctx)), life, watched, &mut self.timer).await
    }

    /// The life ends by a crash: what belongs to it goes first.
    async fn fail(&mut self, reason: ExitReason) -> ActorProcessingErr {
        let life = Arc::clone(&self.ctx.life);
        life.end(reason);
        self.ctx.slot.ended(life.incarnation);
        self.agent = None;
        life.tasks.abort_all();
        life.tasks.emptied().await;
        if let Some(reason) = life.reason() {
            self.terminate(reason).await;
        }
        Box::new(Noted)
    }

    /// The life ends in an orderly way.
    async fn end(&mut self) -> Result<(), ActorProcessingErr> {
        let reason = self.ctx.life.asked().cloned().unwrap_or(ExitReason::Normal);
        self.ctx.stopping = None;
        self.ctx.about = None;
        // One that is draining already goes on from there; and a hook that refuses it does not keep the agent.
        let _ = self.drain_for(STOP_HORIZON, reason.to_string()).await;
        let life = Arc::clone(&self.ctx.life);
        if let Some(agent) = self.agent.as_mut().and_then(Resident::get_mut) {
            let visitor = Visitor::of(&self.ctx);
            let hook = run_noted(&life, async {
                if let Some(visitor) = visitor {
                    // A stop cannot fail by an error: it is as good as a panic.
                    Box::pin(visitor.come_to(&Point::InStop, None)).await.unwrap_or_else(|error| panic!("{error}"));
                }
                agent.stop(&reason, &mut self.ctx).await;
            });
            let ended = if life.is_put_down() {
                // No supervisor asked for this end, and so none has an eye on its deadline.
                let limit = self.handler_deadline.unwrap_or(STOP_HORIZON);
                let hung = || Err(ExitReason::Unresponsive { what: "its stop hook".to_owned(), limit });
                within(&life, limit, hook).await.unwrap_or_else(hung)
            } else {
                hook.await
            };
            if let Err(reason) = ended {
                return Err(self.fail(reason).await);
            }
        }
        self.agent = None;
        self.ctx.life.tasks.abort_all();
        self.ctx.life.tasks.emptied().await;
        // A task's crash while the hook ran is how this life ended, if there was one; or as the hook said (rule 12).
        let reason = self.ctx.stopping.take().map_or(reason, |reason| *reason);
        let reason = self.ctx.life.reason().cloned().unwrap_or(reason);
        self.ctx.slot.ended(self.ctx.life.incarnation);
        self.terminate(&reason).await;
        self.ctx.life.mark_stopped();
        self.ctx.life.end(reason);
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        let from = mem::take(&mut self.running).name();
        let to = AgentState::Terminated { reason: reason.to_string() };
        let change = Change { from, to: to.name() };
        // Nobody keeps an agent from ending: this is not refused.
        let _: Result<(), Refused> = self.change(change, |body| body.announce(to)).await;
    }
}

/// The error with which ractor ends a life that failed; how it failed is noted in its record.
#[derive(Debug, thiserror::Error)]
#[error("how it ended is noted")]
struct Noted;

/// The span of a life.
fn span_of(life: &Life) -> Option<Box<tracing::Span>> {
    let span = tracing::debug_span!("agent", path = %life.path, incarnation = life.incarnation.get());
    (!span.is_disabled()).then(|| Box::new(span))
}
