//! How a supervisor hears of its children: that they started, that they ended, and what is told of it.

use std::sync::Arc;

use ractor::{ActorCell, ActorRef};
use tracing::Level;

use super::abandon::part_with;
use super::{SupervisorMessage, SupervisorState};
use crate::event::{EventKind, is_a_warning};
use crate::exit::ExitReason;
use crate::fault::{FaultPoint, Point};
use crate::id::Incarnation;
use crate::runtime::life::Life;
use crate::supervision::history::Entry;
use crate::supervision::machine::{ChildExit, ChildKey, Event, Note, Start, StartCause};
use crate::supervision::policy::ChildKind;

impl SupervisorState {
    pub(super) fn actor_started(&mut self, myself: &ActorRef<SupervisorMessage>, cell: &ActorCell) {
        let Some(&(child, start)) = self.by_actor.get(&cell.get_id()) else { return };
        let Some((entry, open)) = self.open(child, start) else { return };
        // A supervisor has started only once its children have; it says so itself. What was started right here is known.
        if entry.kind == ChildKind::Supervisor || open.announced {
            return;
        }
        let is_known = open.is_known;
        self.announce_started(child, start);
        if !is_known {
            self.feed(myself, Event::Started { child, start });
        }
    }

    pub(super) fn announce_started(&mut self, child: ChildKey, start: Start) {
        if let Some(child) = self.children.get_mut(&child)
            && let Some(open) = child.open.as_mut().filter(|open| open.start == start && !open.announced)
        {
            open.announced = true;
            let kind = EventKind::Started { incarnation: open.life.incarnation };
            self.system.bus().publish(&child.slot.core().path, kind);
        }
    }

    pub(super) fn actor_ended(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        cell: &ActorCell,
        otherwise: impl FnOnce(&Life) -> ExitReason,
    ) {
        let Some((child, start)) = self.by_actor.remove(&cell.get_id()) else { return };
        let Some(open) = self.children.get(&child).and_then(|child| child.open.as_ref()) else { return };
        let life = Arc::clone(&open.life);
        let reason = life.reason().cloned().unwrap_or_else(|| otherwise(&life));
        if life.tasks.is_empty() {
            return self.gone(myself, child, start, reason);
        }
        // Killed: its tasks are being aborted, its state is being dropped. The life is over when all of that is gone, and
        // nobody is to take it for a living one until then.
        if let Some(child) = self.children.get(&child) {
            child.slot.ended(life.incarnation);
        }
        let mine = Arc::clone(&self.life);
        tokio::spawn(async move {
            life.tasks.emptied().await;
            mine.tell_supervisor(SupervisorMessage::Gone { child, start, reason });
        });
    }

    pub(super) fn gone(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        child: ChildKey,
        start: Start,
        reason: ExitReason,
    ) {
        let is_supervisor = self.kind(child) == Some(ChildKind::Supervisor);
        let Some(entry) = self.children.get_mut(&child) else { return };
        let Some(open) = entry.open.as_ref().filter(|open| open.start == start) else { return };
        let life = Arc::clone(&open.life);
        entry.slot.ended(life.incarnation);
        part_with(&self.system, &life);
        // A killed shell could not say so itself; one that could has, and then this changes nothing.
        entry.slot.core().set_terminated(&life, &reason);
        // The word of a nested supervisor that it is up travels on another port than its end, and may come later.
        if life.has_started() && is_supervisor {
            self.announce_started(child, start);
            self.feed(myself, Event::Started { child, start });
        }
        if let Some(entry) = self.children.get(&child)
            && self.system.is_ending()
        {
            // No restart is coming: whoever asks it need not wait. Those below it were told by their own supervisor.
            entry.slot.rest();
        }
        #[cfg(any(test, feature = "testing"))]
        if let Some(entry) = self.children.get(&child) {
            self.system.tell_end(&entry.slot.core().path, &life, &reason);
        }
        if self.goes_on(myself, child, start, &life) {
            return;
        }
        let ignored = life.was_ignored() && !life.has_started();
        let event = if ignored { Event::Ignored { child, start } } else { Event::Exited { child, start, reason } };
        self.feed(myself, event);
    }

    pub(super) fn note(&mut self, note: Note) {
        match note {
            Note::ChildExited(exit) => self.note_exit(exit),
            // The start that follows carries the same as its cause, and is an event itself.
            Note::Retrying { .. } => {}
            Note::Quarantined { id, tally, .. } => {
                self.system.bus().publish(&self.path.child(&id), EventKind::Quarantined { tally });
            }
            Note::BackingOff { id, delay, .. } => {
                let path = self.path.child(&id);
                if let Some(plan) = self.system.faults() {
                    // Nobody is there to whom anything could happen. But a plan may have something for another now.
                    let last = self.system.slot(&path).and_then(|slot| slot.core().life());
                    let last = last.map_or(Incarnation::FIRST, |life| life.incarnation);
                    let _ = plan.at(&FaultPoint::new(&path, last, &Point::BackOff, None));
                }
                self.system.bus().publish(&path, EventKind::BackingOff { delay });
            }
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
        let Some(child) = self.children.get_mut(&exit.child) else { return };
        let Some(open) = child.open.take_if(|open| open.start == exit.start) else { return };
        let open = *open;
        let now = self.system.clock().now();
        let incarnation = open.life.incarnation;
        let level = if is_a_warning(&exit.reason, exit.verdict) { Level::WARN } else { Level::DEBUG };
        let heard = self.system.bus().is_heard(level);
        let kind = heard.then(|| EventKind::Exited { incarnation, reason: exit.reason.clone(), verdict: exit.verdict });
        self.published.remember(Entry {
            child: exit.id,
            incarnation,
            started: open.at.saturating_duration_since(self.system.epoch()),
            lived: now.saturating_duration_since(open.at),
            cause: open.cause.map_or(StartCause::Init, |cause| *cause),
            reason: exit.reason,
            verdict: exit.verdict,
        });
        if let Some(kind) = kind {
            self.system.bus().publish(&child.slot.core().path, kind);
        }
    }
}
