//! Where a run stands: what its records add up to.

mod halt;
mod status;
mod tasks;
mod undo;
mod view;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use steadfast::{Path, RunId};

use crate::run::budget::Usage;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Outline;
use crate::run::record::{Lookups, Parent, Record, Status};
use crate::run::shared::Shared;
pub use halt::{Cancel, Pause, Resumption, Uncancelled};
use tasks::{Fate, Group};
pub use tasks::{Held, Settled, TaskState};
use undo::UndoRun;
pub use undo::UndoState;
pub(crate) use waits::Gathered;
use waits::Waits;
pub use waits::{Child, Waiting};

/// Where a run stands.
///
/// It changes by [`apply`](Self::apply) alone, so that two who applied the same records agree.
#[derive(Clone, Debug)]
pub struct RunState {
    outline: Arc<Outline>,
    run: Option<RunId>,
    parent: Option<Parent>,
    started: Millis,
    taken_up: bool,
    /// The run whose results it begins with, until a process takes it up. That one has to undo them.
    forked: Option<RunId>,
    planned: bool,
    problem: Option<String>,
    draining: bool,
    ended: Option<(Status, Millis)>,
    pauses: Vec<Pause>,
    resumed: Option<Resumption>,
    /// How long the run stood still, all pauses that are over together.
    paused_for: Duration,
    cancel: Option<Cancel>,
    left: Option<Cancel>,
    budget: Option<String>,
    undo: Option<UndoRun>,
    tasks: BTreeMap<TaskId, TaskState>,
    groups: BTreeMap<String, Group>,
    // What follows is derived from the fields above, and kept so that no step needs to look at every task.
    fates: BTreeMap<String, Fate>,
    results: BTreeMap<String, Shared>,
    waits: BTreeMap<String, usize>,
    idle: BTreeSet<(usize, TaskId)>,
    later: BTreeSet<(Millis, TaskId)>,
    doomed: BTreeSet<String>,
    held: BTreeMap<TaskId, Held>,
    /// Tasks that were out together when their process ended, until that is recorded of each.
    adrift: BTreeSet<TaskId>,
    /// Tasks that are not tried again, of which nobody has said yet what that means.
    spent: BTreeSet<TaskId>,
    /// Tasks that have used up their attempts, for which the run is paused.
    exhausted: BTreeSet<TaskId>,
    /// Tasks that succeeded and name an undo, in the order of their outcomes.
    done: Vec<TaskId>,
    /// Tasks whose results stand beside the journal, and not in the records that were applied.
    stored: BTreeSet<TaskId>,
    /// Tasks whose result is judged, which is not recorded.
    judged: BTreeSet<TaskId>,
    failures: usize,
    open: usize,
    counts: Counts,
    usage: Usage,
    wait: Waits,
}

/// What happened in a run, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leases given out again because the agent died or hung.
    pub reissued: u64,
    /// Attempts started after the task's outcome was recorded.
    pub completed_rerun: u64,
    /// Reports refused.
    pub refused: u64,
    /// Where the contexts of the attempts came from.
    pub context: Lookups,
    /// The agents that held a lease.
    pub agents_used: BTreeSet<Path>,
}

/// A record does not belong to this plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal speaks of a task `{task}`, which is not in the plan: it belongs to another goal")]
pub struct Misfit {
    /// The task.
    pub task: String,
}

impl RunState {
    /// The state before the first record.
    #[must_use]
    pub fn new(outline: Arc<Outline>) -> Self {
        let mut state = Self {
            run: None,
            parent: None,
            started: Millis(0),
            taken_up: false,
            forked: None,
            planned: false,
            problem: None,
            draining: false,
            ended: None,
            pauses: Vec::new(),
            resumed: None,
            paused_for: Duration::ZERO,
            cancel: None,
            left: None,
            budget: None,
            undo: None,
            tasks: outline.order().iter().map(|id| (TaskId::single(id), TaskState::default())).collect(),
            groups: BTreeMap::new(),
            fates: BTreeMap::new(),
            results: BTreeMap::new(),
            waits: BTreeMap::new(),
            idle: BTreeSet::new(),
            later: BTreeSet::new(),
            doomed: BTreeSet::new(),
            held: BTreeMap::new(),
            adrift: BTreeSet::new(),
            spent: BTreeSet::new(),
            exhausted: BTreeSet::new(),
            done: Vec::new(),
            stored: BTreeSet::new(),
            judged: BTreeSet::new(),
            failures: 0,
            open: outline.order().len(),
            counts: Counts::default(),
            usage: Usage::default(),
            wait: Waits::default(),
            outline,
        };
        let outline = Arc::clone(&state.outline);
        for (position, id) in outline.order().iter().enumerate() {
            let needs = outline.entry(id).map_or(0, |entry| entry.needs.len());
            state.waits.insert(id.clone(), needs);
            if needs == 0 {
                state.may_begin(position, TaskId::single(id));
            }
        }
        state
    }

    /// The state after all these records.
    ///
    /// # Errors
    ///
    /// [`Misfit`] when they are of another plan.
    pub fn fold<'r>(outline: Arc<Outline>, records: impl IntoIterator<Item = &'r Record>) -> Result<Self, Misfit> {
        let mut state = Self::new(outline);
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Takes one more record into account.
    ///
    /// # Errors
    ///
    /// [`Misfit`] when it is of another plan.
    pub fn apply(&mut self, record: &Record) -> Result<(), Misfit> {
        self.usage.apply(record);
        match record {
            Record::RunStarted { run, parent, wall, .. } => {
                self.run = Some(*run);
                self.parent.clone_from(parent);
                self.started = *wall;
            }
            Record::TakenUp { .. } => self.begin_process(),
            Record::Forked { from, .. } => self.forked = Some(*from),
            Record::Planned { .. } => self.planned = true,
            Record::Unplannable { message } => self.problem = Some(message.clone()),
            Record::Expanded { task, items } => self.expanded(task, *items)?,
            Record::Leased(leased) => self.leased(leased)?,
            Record::Failed { task, attempt, class, message, wall } => {
                self.failed(task, *attempt, (*class, message), *wall)?;
            }
            Record::Lost { task, why, .. } => self.lost(task, why)?,
            Record::Refused { .. } => self.counts.refused += 1,
            Record::Recorded { task, outcome, wall, .. } => {
                self.recorded(task, Settled { outcome: outcome.clone(), wall: *wall })?;
            }
            Record::Draining => self.draining = true,
            Record::Ended { status, wall, .. } => self.ended = Some((*status, *wall)),
            other => return self.apply_halt(other),
        }
        Ok(())
    }

    fn apply_halt(&mut self, record: &Record) -> Result<(), Misfit> {
        match record {
            Record::Paused { why, who, message, wall } => {
                self.paused(Pause { why: why.clone(), who: who.clone(), message: message.clone(), wall: *wall })?;
            }
            Record::Resumed { wall, .. } => self.resumed(*wall),
            Record::CancelAsked { undo, who, why, wall } => {
                self.cancelled(Cancel { undo: *undo, who: who.clone(), why: why.clone() }, *wall);
            }
            Record::BudgetSpent { message, wall, .. } => self.budget_spent(message, *wall),
            Record::Undoing { .. } => self.begin_undoing(),
            Record::UndoLeased(leased) => self.undo_leased(leased)?,
            Record::UndoFailed { task, attempt, class, message, wall } => {
                self.undo_failed(task, *attempt, (*class, message), *wall)?;
            }
            Record::UndoLost { task, why, .. } => self.undo_lost(task, why)?,
            Record::UndoRecorded { task, outcome, .. } => self.undo_recorded(task, outcome)?,
            // What a run waits for, and what it uses.
            other => self.apply_wait(other)?,
        }
        Ok(())
    }

    /// Another process has the run. What was out ended with the one before, which is recorded next.
    fn begin_process(&mut self) {
        self.taken_up = true;
        self.draining = false;
        self.forked = None;
        self.adrift = if self.held.len() > 1 { self.held.keys().cloned().collect() } else { BTreeSet::new() };
    }

    fn position(&self, id: &str) -> Result<usize, Misfit> {
        self.outline.position(id).ok_or_else(|| Misfit { task: id.to_owned() })
    }

    fn task_mut(&mut self, id: &TaskId) -> Result<&mut TaskState, Misfit> {
        self.tasks.get_mut(id).ok_or_else(|| Misfit { task: id.to_string() })
    }
}
