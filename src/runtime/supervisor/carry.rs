//! Carrying out what the machine commands.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tracing::Level;

use super::{Child, Open, Parent, SupervisorMessage, SupervisorState, child_slot};
use crate::event::EventKind;
use crate::exit::{ExitReason, Failure};
use crate::id::ChildId;
use crate::runtime::guard::call_caught;
use crate::runtime::life::{Above, Life};
use crate::runtime::spec::{Kind, StartOf, spawn_supervisor};
use crate::supervision::machine::{ChildKey, Command, Event, Start, StartCause};
use crate::supervision::policy::ChildKind;

/// How many children may be started right here before the supervisor looks what else there is.
const STARTS_IN_A_ROW: usize = 64;

impl SupervisorState {
    pub(super) fn carry_out(&mut self, myself: &ActorRef<SupervisorMessage>, command: Command) -> Option<Event> {
        match command {
            Command::Start { child, start, cause } => return self.start(myself, (child, start), cause),
            Command::Stop { child, start, reason } => self.stop(child, start, reason),
            Command::Kill { child, start } => self.kill(child, start),
            Command::Abandon { child, start, reason } => self.abandon(child, start, reason),
            Command::Adopt { child, id, request, place } => {
                if let Some(spec) = self.asked.get(&request).and_then(|ask| ask.specs.get(place)).cloned() {
                    self.adopt(child, &id, spec);
                }
            }
            Command::Reply { request, reply } => self.reply(request, reply),
            Command::Arm { at } => self.arm(at),
            Command::Forget { child } => self.forget(child),
            Command::Rest { child } => self.rest(child),
            Command::Note(note) => self.note(note),
            Command::Ready => {
                self.slot.core().activate(&self.life, &self.system);
                self.life.mark_started();
                (self.parent)();
            }
            Command::Exit { reason } => self.exit(myself, reason),
        }
        None
    }

    fn start(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        (key, start): (ChildKey, Start),
        cause: StartCause,
    ) -> Option<Event> {
        let system = &self.system;
        let child = self.children.get_mut(&key)?;
        if !child.spec.fits(&child.slot) {
            // An update put another kind of child in its place.
            let path = child.slot.core().path.clone();
            child.slot = child_slot(system, &child.spec, &path);
        }
        child.slot.awaited();
        let life = child.slot.core().begin(system.epoch());
        if cause.is_restart() {
            self.published.count_restart();
        }
        if system.bus().is_heard(Level::DEBUG) {
            let path = &child.slot.core().path;
            system.bus().publish(path, EventKind::Starting { incarnation: life.incarnation, cause: cause.clone() });
        }
        // With a deadline somebody looks whether it is over; and now and then the supervisor must hear what else there is.
        let right_here = matches!(cause, StartCause::Init)
            && child.spec.rules.start_deadline.is_none()
            && self.started_here < STARTS_IN_A_ROW;
        let start_of = StartOf {
            system: system.clone(),
            slot: Arc::clone(&child.slot),
            life: Arc::clone(&life),
            supervisor: myself.get_cell(),
            above: Some(Above { supervisor: Arc::clone(&self.life), child: key, start }),
            right_here,
        };
        let spawned = match &child.spec.kind {
            // A user's code makes the arguments and, of a plain actor, the actor: its panic is the child's.
            Kind::Worker(worker) => call_caught(|| worker.spawn(start_of)),
            Kind::Supervisor(spec) => Ok(spawn_supervisor(Arc::clone(spec), start_of, ready(&self.life, key, start))),
            Kind::System => Ok(spawn_supervisor(system.services(), start_of, ready(&self.life, key, start))),
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
        let cause = (!matches!(cause, StartCause::Init)).then(|| Box::new(cause));
        let (incarnation, is_up) = (life.incarnation, life.has_started());
        child.open = Some(Open { start, cell, life, at, cause, announced: false });
        if let Some(reason) = failed {
            child.slot.ended(incarnation);
            return Some(Event::Exited { child: key, start, reason });
        }
        // What was started on a thread of its own and was quick is heard of on its own way.
        if !(right_here && is_up && child.spec.rules.kind == ChildKind::Worker) {
            return None;
        }
        self.started_here += 1;
        self.announce_started(key, start);
        Some(Event::Started { child: key, start })
    }

    /// The child is started as this spec says from now on.
    fn adopt(&mut self, key: ChildKey, id: &ChildId, mut spec: crate::ChildSpec) {
        spec.name = id.clone();
        let path = self.path.child(id);
        // What an update of the supervisor at this path said is older than this.
        if spec.rules.kind == ChildKind::Supervisor {
            self.system.forget_update(&path);
        }
        if let Some(child) = self.children.get_mut(&key) {
            child.spec = spec;
        } else {
            let slot = child_slot(&self.system, &spec, &path);
            self.children.insert(key, Child { spec, slot, open: None, added: true });
        }
    }

    /// Messages to this child, and to all below it, are refused from now on.
    fn forget(&mut self, key: ChildKey) {
        let Some(child) = self.children.remove(&key) else { return };
        self.close(&child);
    }

    /// Closes the slots of a child that will not come back. One that came by request leaves nothing behind: there may
    /// be very many of them, one after the other.
    fn close(&self, child: &Child) {
        let path = &child.slot.core().path;
        match child.spec.rules.kind {
            ChildKind::Worker => child.slot.close(),
            ChildKind::Supervisor => self.system.each_within(path, |slot| slot.close()),
        }
        if child.added {
            self.system.drop_slots(path, child.spec.rules.kind);
        }
    }

    /// Messages to this child, and to all below it, are refused until it is started again.
    pub(super) fn rest(&self, key: ChildKey) {
        let Some(child) = self.children.get(&key) else { return };
        match child.spec.rules.kind {
            ChildKind::Worker => child.slot.rest(),
            ChildKind::Supervisor => self.system.each_within(&child.slot.core().path, |slot| slot.rest()),
        }
    }

    pub(super) fn open(&self, key: ChildKey, start: Start) -> Option<(&Child, &Open)> {
        let child = self.children.get(&key)?;
        Some((child, child.open.as_ref().filter(|open| open.start == start)?))
    }

    /// Asks a child to end.
    fn stop(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Some((child, open)) = self.open(key, start) else { return };
        let Some(cell) = &open.cell else { return };
        match child.spec.rules.kind {
            ChildKind::Supervisor => {
                // Refused only by a supervisor that has ended, whose exit event is on its way.
                open.life.tell_supervisor(SupervisorMessage::Stop(reason));
            }
            ChildKind::Worker => {
                open.life.ask_to_stop(reason);
                cell.stop(None);
            }
        }
    }

    /// Ends a child now. A nested supervisor is not killed by ractor's means, which would leave its children behind: it
    /// is told, kills them, and reports that it was killed once they are gone.
    fn kill(&mut self, key: ChildKey, start: Start) {
        let Some((child, open)) = self.open(key, start) else { return };
        let path = &child.slot.core().path;
        self.system.bus().publish(path, EventKind::Killing { incarnation: open.life.incarnation });
        kill_life(&open.life, child.spec.rules.kind);
    }

    /// One timer for all children. The machine looks at the time itself when it fires.
    fn arm(&mut self, at: Duration) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let wait = at.saturating_sub(self.now());
        self.timers += 1;
        let number = self.timers;
        let life = Arc::clone(&self.life);
        let task = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            life.tell_supervisor(SupervisorMessage::Timer(number));
        });
        self.timer = Some(task.abort_handle());
    }

    pub(super) fn exit(&mut self, myself: &ActorRef<SupervisorMessage>, reason: ExitReason) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        self.life.tasks.abort_all();
        // They do not come back with the next incarnation, which starts from its spec (rule 32).
        let mut added: Vec<_> = self.children.values().filter(|child| child.added).collect();
        added.sort_unstable_by(|one, other| one.slot.core().path.cmp(&other.slot.core().path));
        for child in added {
            self.close(child);
        }
        self.slot.ended(self.life.incarnation);
        self.life.end(reason);
        myself.stop(None);
    }
}

/// Kills a life as its kind of child is killed.
pub(crate) fn kill_life(life: &Life, kind: ChildKind) {
    match kind {
        ChildKind::Supervisor => {
            life.tell_supervisor(SupervisorMessage::Kill);
        }
        ChildKind::Worker => {
            life.mark_ending();
            if let Some(cell) = life.cell() {
                cell.kill();
            }
        }
    }
}

/// How a nested supervisor says that it is up.
fn ready(life: &Arc<Life>, child: ChildKey, start: Start) -> Parent {
    let life = Arc::clone(life);
    Box::new(move || {
        life.tell_supervisor(SupervisorMessage::ChildReady { child, start });
    })
}
