//! The supervisor's actor: asks the pure machine what to do, and does it.
//!
//! It never waits in a handler. A child's `pre_start` is trivial, so starting one is immediate; that a start succeeded
//! and that a life ended arrive as supervision events on one port, in their order.
//!
//! # Invariants
//!
//! * Every end is fed to the machine exactly once, and only when the child is wholly gone, its tasks included, or when
//!   the child was abandoned.
//! * An event of an actor that is not in the table is of an earlier life, and dropped.
//! * The machine is locked only while it takes a step, which never waits: whoever looks at it from outside neither
//!   waits for the supervisor nor holds it up.

mod abandon;
mod ask;
mod carry;
mod doze;
mod ends;
pub(crate) mod handle;
mod slots;

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::exit::{BoxError, ExitReason, Failure};
use crate::id::{Incarnation, Path};
use crate::number::{Number, NumberMap, Numbered};
use crate::runtime::current::TaskOf;
use crate::runtime::guard::{lock, run_caught};
use crate::runtime::life::Life;
use crate::runtime::plain::reason_from_ractor;
use crate::runtime::slot::AnySlot;
use crate::runtime::spec::{ChildSpec, SupervisorSpec};
use crate::runtime::system::{Published, System};
use crate::supervision::machine::{ChildKey, Command, Event, Machine, RequestId, Start, StartCause};
use crate::supervision::policy::ChildKind;

pub(crate) use abandon::{hung, left};
pub(crate) use ask::{Answer, Ask};
use carry::Armed;
pub(crate) use carry::kill_life;
use slots::{child_slot, clear};

/// How a supervisor tells whoever started it that all its children are up.
pub(crate) type Parent = Box<dyn Fn() + Send + Sync>;

pub(crate) enum SupervisorMessage {
    /// What runs before the first child has ended.
    InitDone(Result<(), ExitReason>),
    /// Stop the children, in order, and end with this reason.
    Stop(ExitReason),
    /// Kill the children, and end as killed once they are gone.
    Kill,
    /// A nested supervisor has started all its children.
    ChildReady { child: ChildKey, start: Start },
    /// The tasks of a life that ended are gone too.
    Gone { child: ChildKey, start: Start, reason: ExitReason },
    /// Somebody asks for something.
    Ask(Box<Ask>),
    /// The watchdog found that this life blocks its thread.
    Hung { child: ChildKey, start: Start, incarnation: Incarnation, reason: ExitReason },
    /// This actor is gone. Heard only here of one that cut its link; of any other it is known already.
    Left(ActorCell),
    /// A message came for a child that dozes.
    Rouse { child: ChildKey, start: Start },
    /// A lazy child is registered, before it has ever run; or why not.
    Registered { child: ChildKey, start: Start, cause: Box<StartCause>, outcome: Result<(), ExitReason> },
    /// The timer of this number fired. Only the last one is in force.
    Timer(u64),
    /// Let what happens wait in line until `Resume`.
    #[cfg(any(test, feature = "testing"))]
    Suspend,
    #[cfg(any(test, feature = "testing"))]
    Resume,
}

pub(crate) struct SupervisorShell;

pub(crate) struct SupervisorBirth {
    pub(crate) spec: Arc<SupervisorSpec>,
    pub(crate) system: System,
    pub(crate) slot: Arc<dyn AnySlot>,
    pub(crate) life: Arc<Life>,
    pub(crate) parent: Parent,
}

/// What runs before a supervisor starts its children is handed this.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorContext {
    /// The system.
    pub system: System,
    /// Where the supervisor stands in the tree.
    pub path: Path,
    /// Which of its lives this is.
    pub incarnation: Incarnation,
}

pub(crate) struct SupervisorState {
    machine: Arc<Mutex<Machine>>,
    began: Instant,
    path: Path,
    spec: Arc<SupervisorSpec>,
    /// As it was when this life began: what an update changes is kept with each child that it is about.
    first: Arc<SupervisorSpec>,
    system: System,
    slot: Arc<dyn AnySlot>,
    life: Arc<Life>,
    parent: Parent,
    published: Arc<Published>,
    children: Numbered<ChildKey, Child>,
    by_actor: NumberMap<ActorId, (ChildKey, Start)>,
    asked: BTreeMap<RequestId, Ask>,
    requests: u64,
    /// How many of those that were asked have room in a domain for a child that has no name yet.
    unnamed: usize,
    timer: Option<Armed>,
    timers: u64,
    /// How many starts in a row were over before their actor ran, so that nothing else could come in between.
    started_here: usize,
    /// Whether the first children may be started by the supervisor itself: not side by side, and only in its first life.
    /// A supervisor that is started again may be so since a start went wrong, and must hear a kill.
    starts_here: bool,
}

struct Child {
    /// What it is started from, where its supervisor did not begin with that.
    own: Option<Box<ChildSpec>>,
    slot: Arc<dyn AnySlot>,
    /// What the slot is for, and what lives in it. The spec may say something else since an update.
    kind: ChildKind,
    /// Whether an update brought a spec that the slot has not seen.
    renewed: bool,
    /// In a box: there may be a million that have none.
    open: Option<Box<Open>>,
    /// The start that is taken for a running child, while it is lazy and at rest, or about to be.
    dozes: Option<Start>,
    /// Whether it came by a request, so that it does not come back with its supervisor (rule 32).
    added: bool,
}

impl Child {
    /// One that its supervisor began with.
    fn first(spec: &ChildSpec, slot: Arc<dyn AnySlot>) -> Self {
        Self { own: None, slot, kind: spec.rules.kind, renewed: false, open: None, dozes: None, added: false }
    }

    /// One that came by a request.
    fn added(spec: ChildSpec, slot: Arc<dyn AnySlot>) -> Self {
        let added = Self { added: true, ..Self::first(&spec, slot) };
        Self { own: Some(Box::new(spec)), ..added }
    }

    /// What it is started from. `first` is what its supervisor began with: the machine gave those children their keys in
    /// the order of the list.
    fn spec<'a>(&'a self, key: ChildKey, first: &'a SupervisorSpec) -> &'a ChildSpec {
        let listed = || &first.children[usize::try_from(key.number()).unwrap_or(usize::MAX)];
        self.own.as_deref().unwrap_or_else(listed)
    }
}

/// The life of a child that has not ended, as far as its supervisor knows.
struct Open {
    start: Start,
    /// `None` when there was not even an actor.
    cell: Option<ActorCell>,
    life: Arc<Life>,
    at: Instant,
    /// Why it was started, but for the first time.
    cause: Option<Box<StartCause>>,
    announced: bool,
    /// Whether the machine takes it for running already: a lazy child that was roused.
    is_known: bool,
    /// Whether it was asked to end, or killed, by its supervisor.
    is_ending: bool,
}

impl Actor for SupervisorShell {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorBirth;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        birth: SupervisorBirth,
    ) -> Result<Self::State, ActorProcessingErr> {
        birth.life.set_cell(myself.get_cell());
        Ok(SupervisorState::new(birth))
    }

    async fn post_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.slot.core().open(&state.life);
        if state.spec.init.is_some() {
            state.run_init();
        } else {
            state.feed(&myself, Event::Init);
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.take(&myself, message);
        state.life.end_message();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.life.begin_message();
        match event {
            _ if state.life.is_fenced() => {}
            SupervisionEvent::ActorStarted(cell) => state.actor_started(&myself, &cell),
            SupervisionEvent::ActorTerminated(cell, remains, word) => {
                // The state of a killed child, whose tasks end with it: gone before its end is judged.
                drop(remains);
                state.actor_ended(&myself, &cell, |life| reason_from_ractor(life, word.as_deref()));
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                let reason = |_: &Life| ExitReason::Failed(Failure::new(error.to_string()));
                state.actor_ended(&myself, &cell, reason);
            }
            SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        state.life.end_message();
        Ok(())
    }
}

impl SupervisorState {
    fn new(birth: SupervisorBirth) -> Self {
        let SupervisorBirth { spec, system, slot, life, parent } = birth;
        let path = slot.core().path.clone();
        let published = system.published(&path);
        // An update of an earlier incarnation is what it is started from (rule 50).
        let spec = published.updated().unwrap_or(spec);
        clear(&system, &published, &path, &spec.children);
        let began = system.clock().now();
        let machine = machine_of(&spec, &system, &path);
        // The machine gives its first keys in the order of the list.
        let children = Numbered::of(spec.children.iter().map(|child| {
            let slot = child_slot(&system, child, &path.child(&child.name));
            Child::first(child, slot)
        }));
        let side_by_side = spec.children.iter().any(|child| child.rules.after.is_some());
        let starts_here = !side_by_side && life.incarnation == Incarnation::FIRST;
        // Those that are lazy may never have an actor.
        let with_actor = spec.children.iter().filter(|child| !child.is_lazy()).count();
        let by_actor = NumberMap::with_capacity_and_hasher(with_actor, BuildHasherDefault::default());
        let machine = Arc::new(Mutex::new(machine));
        published.seat(Arc::clone(&machine), began, Arc::clone(&spec));
        Self {
            machine,
            began,
            path,
            first: Arc::clone(&spec),
            spec,
            system,
            slot,
            life,
            parent,
            published,
            children,
            by_actor,
            asked: BTreeMap::new(),
            requests: 0,
            unnamed: 0,
            timer: None,
            timers: 0,
            started_here: 0,
            starts_here,
        }
    }

    fn now(&self) -> Duration {
        self.system.clock().now().saturating_duration_since(self.began)
    }

    fn run_init(&self) {
        let Some(init) = self.spec.init.clone() else { return };
        let (system, path, incarnation) = (self.system.clone(), self.path.clone(), self.life.incarnation);
        let ctx = SupervisorContext { system, path, incarnation };
        let life = Arc::clone(&self.life);
        let work = async move {
            let outcome = run_caught(async { init(ctx).await }).await;
            let outcome = outcome.and_then(|done| done.map_err(|error| start_failure(&life, error)));
            life.tell_supervisor(SupervisorMessage::InitDone(outcome));
        };
        self.life.tasks.spawn(TaskOf::new(Arc::clone(&self.life), work, None));
    }

    fn take(&mut self, myself: &ActorRef<SupervisorMessage>, message: SupervisorMessage) {
        if self.life.is_fenced() {
            return;
        }
        let event = match message {
            SupervisorMessage::InitDone(Ok(())) => Event::Init,
            SupervisorMessage::InitDone(Err(reason)) => return self.exit(myself, reason),
            SupervisorMessage::Stop(reason) => Event::Stop { reason },
            SupervisorMessage::Kill => Event::Kill,
            SupervisorMessage::ChildReady { child, start } => {
                self.announce_started(child, start);
                Event::Started { child, start }
            }
            SupervisorMessage::Gone { child, start, reason } => return self.gone(myself, child, start, reason),
            SupervisorMessage::Left(cell) => {
                let reason = |life: &Life| reason_from_ractor(life, (!life.was_stopped()).then_some("killed"));
                return self.actor_ended(myself, &cell, reason);
            }
            SupervisorMessage::Rouse { child, start } => return self.rouse(myself, child, start),
            SupervisorMessage::Registered { child, start, cause, outcome } => {
                match self.registered((child, start), cause, outcome) {
                    Some(event) => event,
                    None => return,
                }
            }
            SupervisorMessage::Hung { child, start, incarnation, reason } => match self.open(child, start) {
                Some((_, open)) if open.life.incarnation == incarnation => Event::Hung { child, start, reason },
                _ => return,
            },
            SupervisorMessage::Ask(ask) => self.asked(*ask),
            // One that was replaced when it had just fired.
            SupervisorMessage::Timer(number) if number != self.timers => return,
            SupervisorMessage::Timer(_) => {
                self.timer = None;
                Event::Timer
            }
            #[cfg(any(test, feature = "testing"))]
            SupervisorMessage::Suspend => Event::Suspend,
            #[cfg(any(test, feature = "testing"))]
            SupervisorMessage::Resume => Event::Resume,
        };
        self.feed(myself, event);
    }

    /// Lets the machine decide.
    fn step(&mut self, now: Duration, event: Event) -> Vec<Command> {
        if self.unnamed == 0 {
            return lock(&self.machine).step(now, event);
        }
        // Who counts the agents of a domain meanwhile is to see an instance either as coming, or under its name.
        let system = self.system.clone();
        let mut held = system.coming().hold();
        let commands = lock(&self.machine).step(now, event);
        for command in &commands {
            if let Command::Adopt { id, request, .. } = command
                && let Some(coming) = self.asked.get_mut(request).and_then(|ask| ask.coming.as_mut())
            {
                self.unnamed -= usize::from(!coming.is_named());
                held.name(coming, &self.path.child(id));
            }
        }
        commands
    }

    /// Feeds the machine and carries out its commands, and what follows from them.
    fn feed(&mut self, myself: &ActorRef<SupervisorMessage>, event: Event) {
        self.started_here = 0;
        let mut next = Some(event);
        let mut more = VecDeque::new();
        while let Some(event) = next {
            // One that was given up decides nothing any more: its children are somebody else's by now.
            if self.life.is_fenced() {
                return;
            }
            let now = self.now();
            let commands = self.step(now, event);
            more.extend(commands.into_iter().filter_map(|command| self.carry_out(myself, command)));
            next = more.pop_front();
        }
    }
}

fn machine_of(spec: &SupervisorSpec, system: &System, path: &Path) -> Machine {
    let machine = if let Some(template) = &spec.template {
        Machine::dynamic(spec.rules, (template.id.clone(), Arc::clone(&template.rules)), template.max)
    } else {
        let children = spec.children.iter().map(|child| (child.name.clone(), Arc::clone(&child.rules)));
        Machine::sharing(spec.rules, children)
    };
    // Also where no child has a back-off now: one that has may be added.
    machine.seeded(system.entropy().stream(&format!("back-off of {path}")).next_u64())
}

/// The reason of a start that returned an error: a failure, or that there is nothing to run.
pub(crate) fn start_failure(life: &Life, error: BoxError) -> ExitReason {
    if error.is::<Ignore>() {
        life.mark_ignored();
        return ExitReason::Normal;
    }
    ExitReason::StartFailed(Failure::new(error))
}

/// Returned as the error of a start, says that there is nothing to run (rule 6).
///
/// The start counts as a success: a supervisor keeps the child's spec, stopped, and goes on; a temporary child and an
/// instance of a dynamic supervisor are forgotten.
///
/// ```
/// use steadfast::{Agent, BoxError, Context, Ignore};
///
/// struct Uploader;
///
/// impl Agent for Uploader {
///     type Args = Option<String>;
///     type Message = ();
///     type Reply = ();
///
///     async fn start(address: Option<String>, _: &mut Context<Self>) -> Result<Self, BoxError> {
///         let _address = address.ok_or(Ignore)?;
///         Ok(Uploader)
///     }
///
///     async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing to run")]
pub struct Ignore;
