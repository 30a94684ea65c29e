//! Carrying out what the machine commands.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::task::AbortHandle;
use tokio::task::coop::has_budget_remaining;
use tracing::Level;

use super::{Child, Open, Parent, SupervisorMessage, SupervisorState};
use crate::event::EventKind;
use crate::exit::{ExitReason, Failure};
use crate::runtime::guard::{call_caught, lock};
use crate::runtime::life::{Above, Life};
use crate::runtime::spec::{Kind, StartOf, spawn_supervisor};
use crate::supervision::machine::{ChildKey, Command, Event, Start, StartCause};
use crate::supervision::policy::{ChildKind, Restart};

/// How many children may be started right here before the supervisor looks what else there is.
const STARTS_IN_A_ROW: usize = 64;

/// A timer that goes with the state of its supervisor, also where that is killed and cannot take it back.
pub(super) struct Armed(AbortHandle);

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SupervisorState {
    pub(super) fn carry_out(&mut self, myself: &ActorRef<SupervisorMessage>, command: Command) -> Option<Event> {
        match command {
            Command::Start { child, start, cause } => return self.start(myself, (child, start), cause),
            Command::Stop { child, start, reason } if self.dozes(child, start) => {
                return Some(self.ended_dozing(child, start, reason));
            }
            Command::Kill { child, start } if self.dozes(child, start) => {
                return Some(self.ended_dozing(child, start, ExitReason::Killed));
            }
            #[cfg(any(test, feature = "testing"))]
            Command::Stop { child, start, reason } if self.is_hasty(child) => {
                return Some(self.stop_hastily(child, start, reason));
            }
            Command::Stop { child, start, reason } => self.stop(child, start, reason),
            Command::Kill { child, start } => self.kill(child, start),
            Command::AskProgress { child, start } => {
                return Some(Event::Progress { child, start, progress: self.progress_of(child) });
            }
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
        self.renew(key);
        let child = self.children.get_mut(&key)?;
        child.slot.awaited();
        if cause.is_restart() {
            self.published.count_restart();
        }
        if child.spec(key, &self.first).is_lazy() && child.slot.queued() == 0 {
            return self.start_dozing(key, start, cause);
        }
        self.start_now(myself, (key, start), cause, false)
    }

    /// Starts a life. `is_known` where the machine takes the child for running already.
    pub(super) fn start_now(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        (key, start): (ChildKey, Start),
        cause: StartCause,
        is_known: bool,
    ) -> Option<Event> {
        let system = &self.system;
        let child = self.children.get_mut(&key)?;
        let spec = child.spec(key, &self.first);
        let life = child.slot.core().begin(system.epoch(), Some(&self.life))?;
        life.set_followed(spec.rules.restart == Restart::Permanent);
        if system.bus().is_heard(Level::DEBUG) {
            let path = &child.slot.core().path;
            system.bus().publish(path, EventKind::Starting { incarnation: life.incarnation, cause: cause.clone() });
        }
        let right_here =
            !is_known && matches!(cause, StartCause::Init) && self.starts_here && spec.may_start_in_place();
        // Now and then the supervisor must hear what else there is, and so must tokio.
        let right_here = right_here && self.started_here < STARTS_IN_A_ROW && has_budget_remaining();
        let start_of = StartOf {
            system: system.clone(),
            slot: Arc::clone(&child.slot),
            life: Arc::clone(&life),
            supervisor: myself.get_cell(),
            above: Some(Above { supervisor: Arc::clone(&self.life), child: key, start, incarnation: life.incarnation }),
            right_here,
        };
        let spawned = match &spec.kind {
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
        if failed.is_some() {
            // There was never anybody: neither to be given up, nor to say anything.
            life.fence();
        }
        child.open =
            Some(Box::new(Open { start, cell, life, at, cause, announced: false, is_known, is_ending: false }));
        if let Some(reason) = failed {
            child.slot.ended(incarnation);
            return Some(Event::Exited { child: key, start, reason });
        }
        // What was started on a thread of its own and was quick is heard of on its own way.
        if !(right_here && is_up) {
            return None;
        }
        self.started_here += 1;
        self.announce_started(key, start);
        Some(Event::Started { child: key, start })
    }

    pub(super) fn open(&self, key: ChildKey, start: Start) -> Option<(&Child, &Open)> {
        let child = self.children.get(&key)?;
        Some((child, child.open.as_deref().filter(|open| open.start == start)?))
    }

    /// Whatever it ends with from here on, it is its supervisor's doing.
    fn mark_ending(&mut self, key: ChildKey, start: Start) {
        if let Some(open) = self.children.get_mut(&key).and_then(|child| child.open.as_mut())
            && open.start == start
        {
            open.is_ending = true;
        }
    }

    /// Asks a child to end.
    fn stop(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        self.mark_ending(key, start);
        let Some((child, open)) = self.open(key, start) else { return };
        let Some(cell) = &open.cell else { return };
        // Who is told that the supervisor was killed is not asked in turn.
        if let Some(tap) = self.system.bus().tap().filter(|_| !reason.is_abnormal()) {
            let machine = lock(&self.machine);
            let place = machine.children().position(|(child, _)| child == key).filter(|_| machine.stops_in_turn());
            drop(machine);
            tap.asked(&child.slot.core().path, open.life.incarnation, place);
        }
        match child.kind {
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
        self.mark_ending(key, start);
        let Some((child, open)) = self.open(key, start) else { return };
        let path = &child.slot.core().path;
        self.system.bus().publish(path, EventKind::Killing { incarnation: open.life.incarnation });
        kill_life(&open.life, child.kind);
    }

    /// One timer for all children. The machine looks at the time itself when it fires.
    fn arm(&mut self, at: Duration) {
        drop(self.timer.take());
        let wait = at.saturating_sub(self.now());
        self.timers += 1;
        let number = self.timers;
        let life = Arc::clone(&self.life);
        let task = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            life.tell_supervisor(SupervisorMessage::Timer(number));
        });
        self.timer = Some(Armed(task.abort_handle()));
    }

    pub(super) fn exit(&mut self, myself: &ActorRef<SupervisorMessage>, reason: ExitReason) {
        if let Some(timer) = self.timer.take()
            && bug_on_purpose!(self.system, TimerOfTheEnded)
        {
            // On purpose: nobody takes it back.
            std::mem::forget(timer);
        }
        self.life.tasks.abort_all();
        // They do not come back with the next incarnation, which starts from its spec (rule 32).
        let mut added: Vec<_> = self.children.values().filter(|child| child.added).collect();
        if bug_on_purpose!(self.system, AddedStayOpen) {
            // On purpose: here, and when the next incarnation begins.
            added.clear();
        }
        added.sort_unstable_by(|one, other| one.slot.core().path.cmp(&other.slot.core().path));
        for child in added {
            self.close(child);
        }
        if self.system.is_ending() {
            self.rest_all();
        }
        self.slot.ended(self.life.incarnation);
        self.life.end(reason);
        myself.stop(None);
    }
}

#[cfg(any(test, feature = "testing"))]
impl SupervisorState {
    /// Whether a child that was asked to end counts as gone.
    fn is_hasty(&self, key: ChildKey) -> bool {
        match self.kind(key) {
            Some(ChildKind::Supervisor) => bug_on_purpose!(self.system, BranchGoneWhenAsked),
            Some(ChildKind::Worker) => bug_on_purpose!(self.system, GoneWhenAsked) && !self.system.is_ending(),
            None => false,
        }
    }

    fn stop_hastily(&mut self, child: ChildKey, start: Start, reason: ExitReason) -> Event {
        self.stop(child, start, reason.clone());
        // On purpose: nobody waits until it is gone.
        if let Some(cell) = self.open(child, start).and_then(|(_, open)| open.cell.clone()) {
            self.by_actor.remove(&cell.get_id());
        }
        Event::Exited { child, start, reason }
    }
}

/// Kills a life as its kind of child is killed.
pub(crate) fn kill_life(life: &Life, kind: ChildKind) {
    match kind {
        ChildKind::Supervisor => {
            life.tell_supervisor(SupervisorMessage::Kill);
        }
        ChildKind::Worker => {
            // One that has no actor yet cannot be killed, and must not be told that it ends: it would live on and do nothing.
            if let Some(cell) = life.cell() {
                life.mark_ending();
                life.kill_actor(cell);
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
