//! Lazy children: the machine takes them for running while they are at rest, without an actor and without a life.
//!
//! # Invariants
//!
//! * To the machine a lazy child has started once, however often it was put to rest since; only a failure, or its own end,
//!   is an exit.
//! * Who is asked to end while at rest has ended.

use std::sync::Arc;

use ractor::ActorRef;

use super::{Open, SupervisorMessage, SupervisorState};
use crate::event::EventKind;
use crate::exit::{ExitReason, Failure};
use crate::id::Incarnation;
use crate::runtime::current::TaskOf;
use crate::runtime::life::Life;
use crate::runtime::registrar;
use crate::runtime::slot::Rouse;
use crate::supervision::machine::{ChildKey, Event, Start, StartCause};
use crate::supervision::policy::Restart;

impl SupervisorState {
    /// Whether this start of a child is at rest.
    pub(super) fn dozes(&self, key: ChildKey, start: Start) -> bool {
        self.children.get(&key).is_some_and(|child| child.dozes == Some(start))
    }

    /// A lazy child is to start, and nothing waits for it: it starts at rest.
    pub(super) fn start_dozing(&mut self, key: ChildKey, start: Start, cause: StartCause) -> Option<Event> {
        let child = self.children.get_mut(&key)?;
        child.dozes = Some(start);
        let core = child.slot.core();
        if core.is_well_registered() || !core.concerns_the_registrar() {
            self.doze(key, start);
            return Some(Event::Started { child: key, start });
        }
        // It has started once it can be found. Its supervisor must not wait for that.
        let (system, slot) = (self.system.clone(), Arc::clone(&child.slot));
        let (mine, cause) = (Arc::clone(&self.life), Box::new(cause));
        tokio::spawn(async move {
            let registered = registrar::register(&system, &*slot, Incarnation::FIRST).await;
            let outcome = registered.map(|_| ()).map_err(|error| ExitReason::StartFailed(Failure::new(error)));
            mine.tell_supervisor(SupervisorMessage::Registered { child: key, start, cause, outcome });
        });
        None
    }

    /// A lazy child can be found, or not.
    pub(super) fn registered(
        &mut self,
        (key, start): (ChildKey, Start),
        cause: Box<StartCause>,
        outcome: Result<(), ExitReason>,
    ) -> Option<Event> {
        if !self.dozes(key, start) {
            return None;
        }
        match outcome {
            Ok(()) => {
                self.doze(key, start);
                Some(Event::Started { child: key, start })
            }
            Err(reason) => {
                self.note_failed_start(key, start, cause);
                Some(self.ended_dozing(key, start, reason))
            }
        }
    }

    /// The start of a lazy child failed before it had a life. It is told of, and remembered, as that of any child: as of a
    /// life that nobody saw.
    fn note_failed_start(&mut self, key: ChildKey, start: Start, cause: Box<StartCause>) {
        let Some(child) = self.children.get_mut(&key) else { return };
        let core = child.slot.core();
        let Some(life) = core.begin(self.system.epoch(), Some(&self.life)) else { return };
        life.fence();
        let (incarnation, at) = (life.incarnation, self.system.clock().now());
        self.system.bus().publish(&core.path, EventKind::Starting { incarnation, cause: (*cause).clone() });
        let cause = (*cause != StartCause::Init).then_some(cause);
        let open = Open { start, cell: None, life, at, cause, announced: false, is_known: false, is_ending: false };
        child.open = Some(Box::new(open));
    }

    fn doze(&mut self, key: ChildKey, start: Start) {
        if let Some(child) = self.children.get_mut(&key) {
            child.dozes = Some(start);
            child.slot.doze(Rouse { supervisor: Arc::clone(&self.life), child: key, start });
        }
    }

    /// A child that is at rest is asked to end: it has.
    pub(super) fn ended_dozing(&mut self, key: ChildKey, start: Start, reason: ExitReason) -> Event {
        if let Some(child) = self.children.get_mut(&key) {
            child.dozes = None;
            // What comes now waits for the next start, if there is one.
            child.slot.awaited();
            if self.system.is_ending() {
                child.slot.rest();
            }
        }
        Event::Exited { child: key, start, reason }
    }

    /// A message came for a child that is at rest.
    pub(super) fn rouse(&mut self, myself: &ActorRef<SupervisorMessage>, key: ChildKey, start: Start) {
        // On purpose: what was true when the message came is taken for true.
        if !self.dozes(key, start) && !bug_on_purpose!(self.system, RousedAfterItsEnd) {
            return;
        }
        self.renew(key);
        if let Some(child) = self.children.get_mut(&key) {
            child.dozes = None;
            child.slot.awaited();
        }
        self.start_known(myself, key, start);
    }

    /// Starts a life of a child that the machine takes for running.
    fn start_known(&mut self, myself: &ActorRef<SupervisorMessage>, key: ChildKey, start: Start) {
        let failed = self.start_now(myself, (key, start), StartCause::Init, true);
        if let Some(event) = failed {
            return self.feed(myself, event);
        }
        // The machine looks at the deadline of a start that it commanded. This one it did not.
        let Some(child) = self.children.get(&key) else { return };
        let (Some(limit), Some(open)) = (child.spec(key, &self.first).rules.start_deadline, &child.open) else {
            return;
        };
        let (mine, life) = (Arc::clone(&self.life), Arc::clone(&open.life));
        let watch = async move {
            tokio::time::sleep(limit).await;
            if !life.has_started() && life.reason().is_none() {
                let reason = ExitReason::Unresponsive { what: "its start".to_owned(), limit };
                let incarnation = life.incarnation;
                mine.tell_supervisor(SupervisorMessage::Hung { child: key, start, incarnation, reason });
            }
        };
        // It goes with this supervisor.
        self.life.tasks.spawn(TaskOf::new(Arc::clone(&self.life), watch, None));
    }

    /// A life is gone that ended because it was wanted, and not by a failure: it had nothing to do, or was asked to drain.
    /// That is no exit to the machine. Returns whether it is so.
    pub(super) fn goes_on(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        key: ChildKey,
        start: Start,
        life: &Life,
    ) -> bool {
        let Some(child) = self.children.get_mut(&key) else { return false };
        let Some(open) = child.open.as_ref().filter(|open| open.start == start) else { return false };
        let spec = child.spec(key, &self.first);
        let (is_lazy, is_permanent) = (spec.is_lazy(), spec.rules.restart == Restart::Permanent);
        let (dozes, drained) = (life.dozes(), life.has_drained() && is_permanent);
        if !(dozes || drained) || open.is_ending || self.system.is_ending() {
            return false;
        }
        child.open = None;
        let incarnation = life.incarnation;
        let kind = if dozes { EventKind::Dozing { incarnation } } else { EventKind::Drained { incarnation } };
        self.system.bus().publish(&child.slot.core().path, kind);
        if dozes && is_lazy {
            self.doze(key, start);
        } else {
            // It is started again; also where an update says meanwhile that it is not lazy any more.
            self.renew(key);
            self.start_known(myself, key, start);
        }
        true
    }
}
