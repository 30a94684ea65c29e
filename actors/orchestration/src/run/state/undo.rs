//! How far the undoing of a run is.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::halt::Cancel;
use super::tasks::{Held, succeeded};
use super::{Child, Misfit, RunState};
use crate::run::id::{Millis, TaskId};
use crate::run::outline::{Carried, Entry, Verdict};
use crate::run::record::{Class, Leased, UndoOutcome, UndoSummary};
use crate::run::settle::poison;

/// Where the undo of one task stands.
#[derive(Clone, Debug, Default)]
pub struct UndoState {
    /// The highest attempt so far; 0 before the first.
    pub attempts: u32,
    /// The attempts that failed by themselves.
    pub failed: BTreeSet<u32>,
    /// How many attempts were lost with their agent.
    pub crashes: u32,
    /// The last lease, whether it is still out or not.
    pub last: Option<Held>,
    /// Whether that lease is out.
    pub is_out: bool,
    /// Whether the last lease was lost with its agent and the undo was not given out since.
    pub lost: bool,
    /// How the last attempt that failed, or the last agent that died, ended.
    pub trouble: Option<(Class, String)>,
    /// What came of it, once that is known.
    pub outcome: Option<UndoOutcome>,
    due: Option<Millis>,
    spent: bool,
}

impl UndoState {
    /// How many attempts failed by themselves.
    #[must_use]
    pub fn failures(&self) -> u32 {
        u32::try_from(self.failed.len()).unwrap_or(u32::MAX)
    }

    /// When the next attempt may begin, where it has to wait after a failure.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.due
    }

    /// Whether nobody tries again.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }
}

/// The undoing of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct UndoRun {
    /// What is still to be undone, in that order.
    queue: VecDeque<TaskId>,
    summary: UndoSummary,
    /// Who does not want the rest to be undone.
    pub(super) stopped: Option<Cancel>,
}

impl RunState {
    pub(super) fn begin_undoing(&mut self) {
        if self.undo.is_none() {
            let queue = self.done.iter().rev().cloned().collect();
            self.undo = Some(UndoRun { queue, ..UndoRun::default() });
        }
    }

    pub(super) fn undo_leased(&mut self, leased: &Leased) -> Result<(), Misfit> {
        self.counts.agents_used.insert(leased.agent.clone());
        self.counts.context.hits += leased.context.hits;
        self.counts.context.misses += leased.context.misses;
        let undo = self.undo_mut(&leased.task)?;
        undo.attempts = undo.attempts.max(leased.attempt);
        undo.last = Some(Held::of(leased));
        undo.is_out = undo.outcome.is_none();
        undo.lost = false;
        undo.due = None;
        Ok(())
    }

    pub(super) fn undo_failed(
        &mut self,
        id: &TaskId,
        attempt: u32,
        (class, message): (Class, &str),
        wall: Millis,
    ) -> Result<(), Misfit> {
        let outline = Arc::clone(&self.outline);
        let undo = self.undo_mut(id)?;
        undo.failed.insert(attempt);
        undo.trouble = Some((class, message.to_owned()));
        undo.is_out = false;
        if let Some(retries) = outline.entry(id.task()).and_then(|entry| entry.undo.as_ref()) {
            let failures = undo.failures();
            if Entry::judge(retries, class, failures) == Verdict::Again {
                undo.due = Some(wall.after(Entry::wait(retries, failures)));
            } else {
                undo.spent = true;
            }
        }
        Ok(())
    }

    pub(super) fn undo_lost(&mut self, id: &TaskId, why: &str) -> Result<(), Misfit> {
        let limit = self.outline.limits().crashes;
        let undo = self.undo_mut(id)?;
        undo.crashes += 1;
        undo.is_out = false;
        undo.lost = true;
        if undo.crashes >= limit {
            undo.trouble = Some((Class::Poison, poison(undo.crashes, why)));
            undo.spent = true;
        }
        Ok(())
    }

    pub(super) fn undo_recorded(&mut self, id: &TaskId, outcome: &UndoOutcome) -> Result<(), Misfit> {
        let undo = self.undo_mut(id)?;
        if undo.outcome.is_some() {
            return Ok(());
        }
        undo.outcome = Some(outcome.clone());
        undo.is_out = false;
        undo.due = None;
        if let Some(run) = &mut self.undo {
            run.queue.retain(|queued| queued != id);
            match outcome {
                UndoOutcome::Undone => run.summary.undone += 1,
                UndoOutcome::Failed { .. } => run.summary.failed += 1,
            }
        }
        Ok(())
    }

    fn undo_mut(&mut self, id: &TaskId) -> Result<&mut UndoState, Misfit> {
        Ok(self.task_mut(id)?.undo.get_or_insert_default())
    }

    /// Whether what was done is being undone.
    #[must_use]
    pub fn is_undoing(&self) -> bool {
        self.undo.is_some() && self.ended.is_none()
    }

    /// Whether there is anything that could be undone.
    pub(crate) fn has_undos(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether what a task did is taken back, or somebody began to: nobody may rely on it any more.
    pub(crate) fn is_taken_back(&self, id: &TaskId) -> bool {
        let Some(undo) = self.tasks.get(id).and_then(|task| task.undo.as_ref()) else { return false };
        // A goal inside that could not be undone as a whole may be so in part.
        let may_be =
            matches!(undo.outcome, Some(UndoOutcome::Undone | UndoOutcome::Failed { class: Class::Child, .. }));
        may_be || undo.attempts > 0
    }

    /// The same of a task, or any item of its list.
    pub(crate) fn is_undone_of(&self, id: &str) -> bool {
        self.is_taken_back(&TaskId::single(id)) || self.items(id).any(|(item, _)| self.is_taken_back(item))
    }

    /// How many tasks were done that can be undone.
    pub(crate) fn undos(&self) -> usize {
        self.done.len()
    }

    /// The tasks that are still to be undone.
    pub(crate) fn to_undo(&self) -> impl Iterator<Item = &TaskId> {
        self.undo.iter().filter(|run| run.stopped.is_none()).flat_map(|run| &run.queue)
    }

    /// Who does not want the rest to be undone, and why.
    pub(crate) fn undo_stopped(&self) -> Option<&Cancel> {
        self.undo.as_ref()?.stopped.as_ref()
    }

    /// The task that is undone now, or next.
    #[must_use]
    pub fn undo_at(&self) -> Option<&TaskId> {
        self.undo.as_ref()?.queue.front()
    }

    /// The run inside this one that takes back what it did, now or next, and its task. It reached its goal, and is open
    /// again once it was told: where it stands, it says itself.
    #[must_use]
    pub fn undone_inside(&self) -> Option<(&TaskId, &Child)> {
        let task = self.undo_at().filter(|_| self.is_undoing())?;
        let carried = self.outline.entry(task.task()).map(|entry| &entry.carried);
        let is_inside = matches!(carried, Some(Carried::Child { undone_inside: true, .. }));
        self.child(task).filter(|_| is_inside).map(|child| (task, child))
    }

    /// The runs inside this one that are not over, or are open again since they are undone, with their tasks.
    pub fn open_inside(&self) -> impl Iterator<Item = (&TaskId, &Child)> {
        let undone = self.undone_inside().map(|(task, _)| task);
        self.children().filter(move |(task, child)| child.ended.is_none() || Some(*task) == undone)
    }

    /// The undo that is out, and who has it.
    #[must_use]
    pub fn undo_lease(&self) -> Option<(&TaskId, &Held)> {
        let id = self.undo_at()?;
        let undo = self.tasks.get(id)?.undo.as_ref()?;
        let held = undo.last.as_ref().filter(|_| undo.is_out)?;
        Some((id, held))
    }

    /// How many tasks were undone so far.
    #[must_use]
    pub fn undone(&self) -> UndoSummary {
        self.undo.as_ref().map(|run| run.summary).unwrap_or_default()
    }

    /// The result that was recorded for a task itself, as its undo sees it.
    #[must_use]
    pub fn own_result(&self, id: &TaskId) -> Option<serde_json::Value> {
        let settled = self.tasks.get(id)?.settled.as_ref()?;
        succeeded(&settled.outcome).then(|| super::tasks::value_of(&settled.outcome))
    }
}
