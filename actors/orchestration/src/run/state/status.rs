//! Where a run and its tasks stand, in one word.

use super::{RunState, TaskState};
use crate::run::id::TaskId;
use crate::run::phase::{Phase, TaskStatus};
use crate::run::record::{Outcome, Status, UndoOutcome, WaitFor};

impl RunState {
    /// Where the run stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.ended {
            Some((Status::Reached, _)) => Phase::Complete,
            Some((Status::Failed, _)) => Phase::Failed,
            Some((Status::Cancelled, _)) => Phase::Cancelled,
            Some((Status::BudgetSpent, _)) => Phase::BudgetSpent,
            Some((Status::Drained, _)) => Phase::Drained,
            None if self.run.is_none() => Phase::Init,
            None if self.is_paused() => Phase::Paused,
            None if self.undo.is_some() => Phase::Undoing,
            None if self.planned && self.open == 0 => Phase::Validating,
            None if self.planned => Phase::Executing,
            None if self.taken_up => Phase::Planning,
            None => Phase::Ready,
        }
    }

    /// Where a task stands; nothing when the run has no such task.
    #[must_use]
    pub fn status(&self, id: &TaskId) -> Option<TaskStatus> {
        let task = self.tasks.get(id)?;
        Some(match task.settled.as_ref().map(|settled| &settled.outcome) {
            Some(Outcome::Succeeded { .. } | Outcome::Stored { .. }) => undo_status(task),
            Some(Outcome::Failed { .. }) => TaskStatus::Failed,
            Some(Outcome::Skipped { .. }) => TaskStatus::Skipped,
            None => self.open_status(id, task),
        })
    }

    fn open_status(&self, id: &TaskId, task: &TaskState) -> TaskStatus {
        if self.held.contains_key(id) {
            return if self.judged.contains(id) { TaskStatus::Validating } else { TaskStatus::Leased };
        }
        if self.exhausted.contains(id) {
            return TaskStatus::Exhausted;
        }
        if task.due.is_some() || self.spent.contains(id) {
            return TaskStatus::BackingOff;
        }
        match self.waits_on(id).map(|waiting| &waiting.on) {
            Some(WaitFor::Approval { .. }) => return TaskStatus::AwaitingApproval,
            Some(WaitFor::Signal { .. }) => return TaskStatus::AwaitingSignal,
            Some(WaitFor::Until(_)) => return TaskStatus::AwaitingTime,
            None if self.child(id).is_some() => return TaskStatus::ChildRunning,
            None => {}
        }
        let waits = id.index().is_none() && self.waits.get(id.task()).is_some_and(|waits| *waits > 0);
        let gathers = self.wait.gathers(id.task());
        if waits || gathers || self.doomed.contains(id.task()) { TaskStatus::Waiting } else { TaskStatus::Ready }
    }

    /// The tasks that this one still waits for: those that it needs, and those that it gathers while it cannot do without.
    pub fn waits_for<'a>(&'a self, id: &TaskId) -> impl Iterator<Item = &'a str> {
        let needs = self.outline.entry(id.task()).into_iter().flat_map(|entry| &entry.needs);
        let gathered = self.outline.gathering(id.task()).filter(|_| self.gathered(id.task()).is_none());
        let gathered = gathered.into_iter().flat_map(|gathering| &gathering.of);
        needs.chain(gathered).filter(|need| !self.fates.contains_key(*need)).map(String::as_str)
    }

    /// Notes that the result of a task is judged, until its lease ends. Nobody else knows of it: it is not recorded.
    pub(crate) fn judge(&mut self, id: &TaskId) {
        if self.held.contains_key(id) {
            self.judged.insert(id.clone());
        }
    }
}

fn undo_status(task: &TaskState) -> TaskStatus {
    match task.undo.as_ref().map(|undo| &undo.outcome) {
        None => TaskStatus::Succeeded,
        Some(None) => TaskStatus::Undoing,
        Some(Some(UndoOutcome::Undone)) => TaskStatus::Undone,
        Some(Some(UndoOutcome::Failed { .. })) => TaskStatus::UndoFailed,
    }
}
