//! The supervisor's actor: asks the pure machine what to do, and does it.
//!
//! It never waits in a handler. A child's `pre_start` is trivial, so starting one is immediate; that a start succeeded
//! and that a life ended arrive as supervision events on one port, in their order.
//!
//! # Invariants
//!
//! * Every end is fed to the machine exactly once, and only when the child is wholly gone, its tasks included.
//! * An event of an actor that is not in the table is of an earlier life, and dropped.

mod abandon;

pub(crate) use abandon::hung;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::AbortHandle;

use crate::event::EventKind;
use crate::exit::{ExitReason, Failure};
use crate::id::{ChildId, Path};
use crate::lifecycle::AgentState;
use crate::runtime::guard::run_caught;
use crate::runtime::life::Life;
use crate::runtime::plain::reason_from_ractor;
use crate::runtime::slot::AnySlot;
use crate::runtime::spec::{ChildSpec, Kind, StartOf, SupervisorSpec, spawn_supervisor, supervisor_slot};
use crate::runtime::system::System;
use crate::supervision::history::Entry;
use crate::supervision::machine::{ChildExit, ChildKey, Command, Event, Machine, Note, Start, StartCause};
use crate::supervision::policy::ChildKind;

/// How a supervisor tells whoever started it that all its children are up.
pub(crate) type Parent = Box<dyn Fn() + Send + Sync>;

pub(crate) enum SupervisorMessage {
    /// Stop the children, in order, and end with this reason.
    Stop(ExitReason),
    /// Kill the children, and end as killed once they are gone.
    Kill,
    /// A nested supervisor has started all its children.
    ChildReady { child: ChildKey, start: Start },
    /// The tasks of a life that ended are gone too.
    Gone { child: ChildKey, start: Start, reason: ExitReason },
    /// The watchdog found that this life blocks its thread.
    Hung { child: ChildKey, start: Start, reason: ExitReason },
    /// The timer of this number fired. Only the last one is in force.
    Timer(u64),
}

pub(crate) struct SupervisorShell;

pub(crate) struct SupervisorBirth {
    pub(crate) spec: Arc<SupervisorSpec>,
    pub(crate) system: System,
    pub(crate) slot: Arc<dyn AnySlot>,
    pub(crate) life: Arc<Life>,
    pub(crate) parent: Parent,
}

pub(crate) struct SupervisorState {
    machine: Machine,
    began: std::time::Instant,
    path: Path,
    system: System,
    slot: Arc<dyn AnySlot>,
    life: Arc<Life>,
    parent: Parent,
    children: BTreeMap<ChildKey, Child>,
    by_actor: HashMap<ActorId, (ChildKey, Start)>,
    timer: Option<AbortHandle>,
    timers: u64,
}

struct Child {
    spec: ChildSpec,
    slot: Arc<dyn AnySlot>,
    open: Option<Open>,
}

/// The life of a child that has not ended, as far as its supervisor knows.
struct Open {
    start: Start,
    /// `None` when there was not even an actor.
    cell: Option<ActorCell>,
    life: Arc<Life>,
    at: std::time::Instant,
    cause: StartCause,
    announced: bool,
}

impl Actor for SupervisorShell {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorBirth;

    async fn pre_start(
        &self,
        _: ActorRef<SupervisorMessage>,
        birth: SupervisorBirth,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(SupervisorState::new(birth))
    }

    async fn post_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.slot.core().open(&state.life, myself.get_cell());
        state.feed(&myself, Event::Init).await;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let event = match message {
            SupervisorMessage::Stop(reason) => Event::Stop { reason },
            SupervisorMessage::Kill => Event::Kill,
            SupervisorMessage::ChildReady { child, start } => {
                state.announce_started(child, start);
                Event::Started { child, start }
            }
            SupervisorMessage::Gone { child, start, reason } => return state.gone(&myself, child, start, reason).await,
            SupervisorMessage::Hung { child, start, reason } => {
                return state.hung(&myself, (child, start), reason).await;
            }
            // One that was replaced when it had just fired.
            SupervisorMessage::Timer(number) if number != state.timers => return Ok(()),
            SupervisorMessage::Timer(_) => {
                state.timer = None;
                Event::Timer
            }
        };
        state.feed(&myself, event).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorStarted(cell) => state.actor_started(&myself, &cell).await,
            SupervisionEvent::ActorTerminated(cell, remains, word) => {
                // The state of a killed child, whose tasks end with it: gone before its end is judged.
                drop(remains);
                state.actor_ended(&myself, &cell, |life| reason_from_ractor(life, word.as_deref())).await
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                let error = error.to_string();
                state.actor_ended(&myself, &cell, |_| ExitReason::Failed(Failure::new(error))).await
            }
            SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

impl SupervisorState {
    fn new(birth: SupervisorBirth) -> Self {
        let SupervisorBirth { spec, system, slot, life, parent } = birth;
        let path = slot.core().path.clone();
        let specs: Vec<_> = spec.children.iter().map(|child| (checked(&child.name), child.clone())).collect();
        let machine = Machine::new(spec.rules, specs.iter().map(|(id, child)| (id.clone(), child.rules)).collect());
        let keys: Vec<_> = machine.children().map(|(key, _)| key).collect();
        let children = keys
            .into_iter()
            .zip(specs)
            .map(|(key, (id, spec))| {
                let slot = child_slot(&system, &spec, &path.child(&id));
                (key, Child { spec, slot, open: None })
            })
            .collect();
        let began = system.clock().now();
        let by_actor = HashMap::new();
        Self { machine, began, path, system, slot, life, parent, children, by_actor, timer: None, timers: 0 }
    }

    fn now(&self) -> Duration {
        self.system.clock().now().saturating_duration_since(self.began)
    }

    /// Feeds the machine and carries out its commands, and what follows from them.
    async fn feed(&mut self, myself: &ActorRef<SupervisorMessage>, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now();
            for command in self.machine.step(now, event) {
                events.extend(self.carry_out(myself, command).await);
            }
        }
    }

    async fn carry_out(&mut self, myself: &ActorRef<SupervisorMessage>, command: Command) -> Option<Event> {
        match command {
            Command::Start { child, start, cause } => return self.start(myself, (child, start), cause).await,
            Command::Stop { child, start } => self.stop(child, start, false),
            Command::Kill { child, start } => self.stop(child, start, true),
            Command::Arm { at } => self.arm(myself, at),
            Command::Forget { child } => self.forget(child),
            Command::Rest { child } => self.rest(child),
            Command::Note(note) => self.note(note),
            Command::Ready => {
                self.slot.core().activate(&self.life, &self.system);
                self.life.mark_started();
                (self.parent)();
            }
            Command::Exit { reason } => {
                if let Some(timer) = self.timer.take() {
                    timer.abort();
                }
                self.slot.ended(self.life.incarnation);
                self.life.end(reason);
                myself.stop(None);
            }
        }
        None
    }

    async fn start(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        (key, start): (ChildKey, Start),
        cause: StartCause,
    ) -> Option<Event> {
        let system = self.system.clone();
        let child = self.children.get_mut(&key)?;
        child.slot.awaited();
        let life = child.slot.core().begin(system.epoch());
        if cause != StartCause::Init {
            system.count_restart(&self.path);
        }
        let path = child.slot.core().path.clone();
        system.bus().publish(&path, EventKind::Starting { incarnation: life.incarnation, cause: cause.clone() });
        let start_of = StartOf {
            system: system.clone(),
            slot: Arc::clone(&child.slot),
            life: Arc::clone(&life),
            supervisor: myself.get_cell(),
            child: Some((key, start)),
        };
        let spawned = match &child.spec.kind {
            // A user's code makes the arguments and, of a plain actor, the actor: its panic is the child's.
            Kind::Worker(worker) => run_caught(async { worker.spawn(start_of).await }).await,
            Kind::Supervisor(spec) => Ok(spawn_supervisor(Arc::clone(spec), start_of, ready(myself, key, start)).await),
            Kind::System => Ok(spawn_supervisor(system.services(), start_of, ready(myself, key, start)).await),
        };
        let spawned = spawned
            .and_then(|spawned| spawned.map_err(|error| ExitReason::StartFailed(Failure::new(error.to_string()))));
        let at = system.clock().now();
        let (cell, failed) = match spawned {
            Ok(cell) => (Some(cell), None),
            Err(reason) => (None, Some(reason)),
        };
        if let Some(cell) = &cell {
            self.by_actor.insert(cell.get_id(), (key, start));
        }
        let incarnation = life.incarnation;
        child.open = Some(Open { start, cell, life, at, cause, announced: false });
        failed.map(|reason| {
            child.slot.ended(incarnation);
            Event::Exited { child: key, start, reason }
        })
    }

    /// Messages to this child, and to all below it, are refused from now on.
    fn forget(&mut self, key: ChildKey) {
        let Some(child) = self.children.remove(&key) else { return };
        match child.spec.rules.kind {
            ChildKind::Worker => child.slot.close(),
            ChildKind::Supervisor => self.system.each_within(&child.slot.core().path, |slot| slot.close()),
        }
    }

    /// Messages to this child, and to all below it, are refused until it is started again.
    fn rest(&self, key: ChildKey) {
        let Some(child) = self.children.get(&key) else { return };
        match child.spec.rules.kind {
            ChildKind::Worker => child.slot.rest(),
            ChildKind::Supervisor => self.system.each_within(&child.slot.core().path, |slot| slot.rest()),
        }
    }

    /// Asks a child to end, or kills it. A nested supervisor is not killed by ractor's means, which would leave its
    /// children behind: it is told, kills them, and reports that it was killed once they are gone.
    fn stop(&mut self, key: ChildKey, start: Start, kill: bool) {
        let Some(child) = self.children.get(&key) else { return };
        let Some(open) = child.open.as_ref().filter(|open| open.start == start) else { return };
        let Some(cell) = &open.cell else { return };
        let path = &child.slot.core().path;
        if kill {
            self.system.bus().publish(path, EventKind::Killing { incarnation: open.life.incarnation });
        }
        match (child.spec.rules.kind, kill) {
            (ChildKind::Supervisor, _) => {
                let word = if kill { SupervisorMessage::Kill } else { SupervisorMessage::Stop(ExitReason::SHUTDOWN) };
                // Refused only by a supervisor that has ended, whose exit event is on its way.
                let _ = ActorRef::<SupervisorMessage>::from(cell.clone()).cast(word);
            }
            (ChildKind::Worker, false) => {
                open.life.ask_to_stop(ExitReason::SHUTDOWN);
                cell.stop(None);
            }
            (ChildKind::Worker, true) => {
                open.life.mark_ending();
                cell.kill();
            }
        }
    }

    /// One timer for all children. The machine looks at the time itself when it fires.
    fn arm(&mut self, myself: &ActorRef<SupervisorMessage>, at: Duration) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let wait = at.saturating_sub(self.now());
        self.timers += 1;
        let number = self.timers;
        let myself = myself.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = myself.cast(SupervisorMessage::Timer(number));
        });
        self.timer = Some(task.abort_handle());
    }

    async fn actor_started(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        cell: &ActorCell,
    ) -> Result<(), ActorProcessingErr> {
        let Some(&(child, start)) = self.by_actor.get(&cell.get_id()) else { return Ok(()) };
        // A supervisor has started only once its children have; it says so itself.
        if self.children.get(&child).is_some_and(|child| child.spec.rules.kind == ChildKind::Worker) {
            self.announce_started(child, start);
            self.feed(myself, Event::Started { child, start }).await;
        }
        Ok(())
    }

    fn announce_started(&mut self, child: ChildKey, start: Start) {
        if let Some(child) = self.children.get_mut(&child)
            && let Some(open) = child.open.as_mut().filter(|open| open.start == start && !open.announced)
        {
            open.announced = true;
            let kind = EventKind::Started { incarnation: open.life.incarnation };
            self.system.bus().publish(&child.slot.core().path, kind);
        }
    }

    async fn actor_ended(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        cell: &ActorCell,
        otherwise: impl FnOnce(&Life) -> ExitReason,
    ) -> Result<(), ActorProcessingErr> {
        let Some((child, start)) = self.by_actor.remove(&cell.get_id()) else { return Ok(()) };
        let Some(open) = self.children.get(&child).and_then(|child| child.open.as_ref()) else { return Ok(()) };
        let life = Arc::clone(&open.life);
        let reason = life.reason().cloned().unwrap_or_else(|| otherwise(&life));
        if life.tasks.is_empty() {
            return self.gone(myself, child, start, reason).await;
        }
        // Killed: its tasks are being aborted, its state is being dropped. The life is over when all of that is gone, and
        // nobody is to take it for a living one until then.
        if let Some(child) = self.children.get(&child) {
            child.slot.ended(life.incarnation);
        }
        let myself = myself.clone();
        tokio::spawn(async move {
            life.tasks.emptied().await;
            let _ = myself.cast(SupervisorMessage::Gone { child, start, reason });
        });
        Ok(())
    }

    async fn gone(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        child: ChildKey,
        start: Start,
        reason: ExitReason,
    ) -> Result<(), ActorProcessingErr> {
        let Some(entry) = self.children.get_mut(&child) else { return Ok(()) };
        let Some(open) = entry.open.as_ref().filter(|open| open.start == start) else { return Ok(()) };
        entry.slot.ended(open.life.incarnation);
        abandon::part_with(&self.system, &open.life);
        // A killed shell could not say so itself; one that could has, and then this changes nothing.
        entry.slot.core().set_state(&open.life, AgentState::Terminated { reason: reason.to_string() });
        // The word of a nested supervisor that it is up travels on another port than its end, and may come later.
        let was_ready = open.life.has_started() && entry.spec.rules.kind == ChildKind::Supervisor;
        if was_ready {
            self.announce_started(child, start);
            self.feed(myself, Event::Started { child, start }).await;
        }
        if self.system.is_ending() {
            // No restart is coming: whoever asks it need not wait.
            self.rest(child);
        }
        self.feed(myself, Event::Exited { child, start, reason }).await;
        Ok(())
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::ChildExited(exit) => self.note_exit(exit),
            // The start that follows carries the same as its cause, and is an event itself.
            Note::Retrying { .. } => {}
            Note::GaveUp(escalation) => {
                if self.path.parent().is_none() {
                    // Before anything else: whoever asks must not be sent here any more.
                    self.system.set_ending();
                }
                self.system.bus().publish(&self.path, EventKind::GaveUp(escalation));
            }
        }
    }

    fn note_exit(&mut self, exit: ChildExit) {
        let path = self.path.child(&exit.id);
        let open =
            self.children.get_mut(&exit.child).and_then(|child| child.open.take_if(|open| open.start == exit.start));
        let Some(open) = open else { return };
        let now = self.system.clock().now();
        let incarnation = open.life.incarnation;
        self.system.remember(
            &self.path,
            Entry {
                child: exit.id,
                incarnation,
                started: open.at.saturating_duration_since(self.system.epoch()),
                lived: now.saturating_duration_since(open.at),
                cause: open.cause,
                reason: exit.reason.clone(),
                verdict: exit.verdict,
            },
        );
        let kind = EventKind::Exited { incarnation, reason: exit.reason, verdict: exit.verdict };
        self.system.bus().publish(&path, kind);
    }
}

fn ready(myself: &ActorRef<SupervisorMessage>, child: ChildKey, start: Start) -> Parent {
    let myself = myself.clone();
    Box::new(move || {
        let _ = myself.cast(SupervisorMessage::ChildReady { child, start });
    })
}

fn child_slot(system: &System, spec: &ChildSpec, path: &Path) -> Arc<dyn AnySlot> {
    let slot = system.slot_or_make(path, || match &spec.kind {
        Kind::Worker(worker) => worker.slot(system, path.clone()),
        Kind::Supervisor(_) | Kind::System => supervisor_slot(system, path.clone()),
    });
    slot.awaited();
    slot
}

fn checked(name: &str) -> ChildId {
    ChildId::new(name).expect("`System::start` checked all names of the tree")
}
