//! What is known of a run.

use std::collections::BTreeSet;

use steadfast::RunId;

use super::tasks::Fate;
use super::{Counts, Held, RunState, TaskState};
use crate::run::budget::Usage;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::{Fan, Outline};
use crate::run::record::{Outcome, Parent, Status};
use crate::run::shared::Shared;

impl RunState {
    /// What the run is made of.
    #[must_use]
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The run, once it started.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Whose step the run is.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.parent.as_ref()
    }

    /// When the run started.
    #[must_use]
    pub fn started(&self) -> Millis {
        self.started
    }

    /// Whether the plan was made.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.planned
    }

    /// Why the goal cannot be carried out, where it cannot.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// How and when the run ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<(Status, Millis)> {
        self.ended
    }

    /// Every task of the run, by id. A task with `for_each` is one task until its list is known, and then as many as
    /// the list has items.
    pub fn tasks(&self) -> impl Iterator<Item = (&TaskId, &TaskState)> {
        self.tasks.iter()
    }

    /// The task with this id.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&TaskState> {
        self.tasks.get(id)
    }

    /// The items of an expanded task, in order.
    pub fn items(&self, id: &str) -> impl Iterator<Item = (&TaskId, &TaskState)> {
        self.tasks.range(TaskId::item(id, 0)..=TaskId::item(id, u32::MAX))
    }

    /// The tasks with `for_each` whose list is known, and how many items it has.
    pub fn groups(&self) -> impl Iterator<Item = (&str, u32)> {
        self.groups.iter().map(|(id, group)| (id.as_str(), group.items))
    }

    /// The leases that are out.
    pub fn held(&self) -> impl Iterator<Item = (&TaskId, &Held)> {
        self.held.iter()
    }

    /// The lease of this task that is out.
    #[must_use]
    pub fn lease(&self, id: &TaskId) -> Option<&Held> {
        self.held.get(id)
    }

    /// The result of a task of the goal whose outcome is known; null when it was skipped or failed.
    #[must_use]
    pub fn result(&self, id: &str) -> Option<&Shared> {
        self.results.get(id)
    }

    /// How many tasks have no outcome yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// What the run has used of what it may use.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// What happened, counted.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The tasks that may be given out at `now`, in the order of the plan, at most `limit` of them.
    pub(crate) fn due(&self, now: Millis, limit: usize) -> Vec<TaskId> {
        let waited = self.later.iter().take_while(|(due, _)| *due <= now);
        let waited = waited.filter_map(|(_, id)| Some((self.outline.position(id.task())?, id.clone())));
        let mut due: BTreeSet<_> = self.idle.iter().take(limit).cloned().collect();
        due.extend(waited);
        due.into_iter().take(limit).map(|(_, id)| id).collect()
    }

    /// When the next task that waits after a failure may be given out.
    pub(crate) fn next_due(&self, now: Millis) -> Option<Millis> {
        self.later.iter().map(|(due, _)| *due).find(|due| *due > now)
    }

    /// The tasks to skip because one that they need failed, in the order of their ids.
    pub(crate) fn doomed(&self) -> impl Iterator<Item = &str> {
        self.doomed.iter().map(String::as_str)
    }

    /// The needs of a task that failed or were skipped after a failure.
    pub(crate) fn failed_needs<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a str> {
        let needs = self.outline.entry(id).into_iter().flat_map(|entry| &entry.needs);
        needs.filter(|need| self.fates.get(*need) == Some(&Fate::Failed)).map(String::as_str)
    }

    /// The tasks whose results stand beside the journal and were not put back into their records, with the digests.
    pub fn not_whole(&self) -> impl Iterator<Item = (&TaskId, &str)> {
        self.stored.iter().filter_map(|id| match &self.tasks.get(id)?.settled.as_ref()?.outcome {
            Outcome::Stored { digest, .. } => Some((id, digest.as_str())),
            _ => None,
        })
    }

    /// The tasks without an outcome, by id.
    pub(crate) fn open_tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.tasks.iter().filter(|(_, task)| task.settled.is_none()).map(|(id, _)| id)
    }

    /// Whether this task runs once for each item of a list that is not known yet.
    pub(crate) fn is_unexpanded(&self, id: &TaskId) -> bool {
        id.index().is_none() && self.outline.entry(id.task()).is_some_and(|entry| entry.fan == Fan::ForEach)
    }
}
