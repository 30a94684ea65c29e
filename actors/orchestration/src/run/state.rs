//! Where a run stands: what its records add up to.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use steadfast::{Path, RunId};

use crate::run::id::{Millis, TaskId};
use crate::run::outline::Outline;
use crate::run::record::{Leased, Lookups, Outcome, Record, SkipCause, Status};
use crate::run::shared::Shared;

/// Where a run stands.
///
/// It changes by [`apply`](Self::apply) alone, so that two who applied the same records agree.
#[derive(Clone, Debug)]
pub struct RunState {
    outline: Arc<Outline>,
    run: Option<RunId>,
    started: Millis,
    planned: bool,
    problem: Option<String>,
    draining: bool,
    ended: Option<(Status, Millis)>,
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
    open: usize,
    counts: Counts,
}

/// Where one task stands.
#[derive(Clone, Debug, Default)]
pub struct TaskState {
    /// The highest attempt so far; 0 before the first.
    pub attempts: u32,
    /// The attempts that failed by themselves.
    pub failed: BTreeSet<u32>,
    /// How many attempts were lost with their agent.
    pub crashes: u32,
    /// The idempotency key, once an attempt was given out.
    pub key: Option<String>,
    /// The last lease, whether it is still out or not.
    pub last: Option<Held>,
    /// The outcome, once there is one.
    pub settled: Option<Settled>,
    /// Whether the last lease was lost with its agent and the task was not given out since.
    pub lost: bool,
    due: Option<Millis>,
}

/// A task's outcome.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What came of the task.
    pub outcome: Outcome,
    /// When it was recorded.
    pub wall: Millis,
}

/// A lease that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The attempt.
    pub attempt: u32,
    /// Who holds it.
    pub agent: Path,
    /// The incarnation that holds it.
    pub incarnation: u64,
    /// The idempotency key.
    pub key: String,
    /// The digest of everything that the attempt was given.
    pub input_digest: String,
}

impl TaskState {
    /// How many attempts failed by themselves.
    #[must_use]
    pub fn failures(&self) -> u32 {
        u32::try_from(self.failed.len()).unwrap_or(u32::MAX)
    }
}

impl Held {
    fn of(leased: &Leased) -> Self {
        Self {
            attempt: leased.attempt,
            agent: leased.agent.clone(),
            incarnation: leased.incarnation,
            key: leased.key.clone(),
            input_digest: leased.input_digest.clone(),
        }
    }
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

/// What the outcome of a task of the goal means for those who need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They may run.
    Met,
    /// They are skipped.
    Failed,
}

/// A task with `for_each` whose list is known.
#[derive(Clone, Copy, Debug)]
struct Group {
    items: u32,
    open: u32,
}

impl RunState {
    /// The state before the first record.
    #[must_use]
    pub fn new(outline: Arc<Outline>) -> Self {
        let mut state = Self {
            run: None,
            started: Millis(0),
            planned: false,
            problem: None,
            draining: false,
            ended: None,
            tasks: outline.order().iter().map(|id| (TaskId::single(id), TaskState::default())).collect(),
            groups: BTreeMap::new(),
            fates: BTreeMap::new(),
            results: BTreeMap::new(),
            waits: BTreeMap::new(),
            idle: BTreeSet::new(),
            later: BTreeSet::new(),
            doomed: BTreeSet::new(),
            held: BTreeMap::new(),
            open: outline.order().len(),
            counts: Counts::default(),
            outline,
        };
        for (position, id) in state.outline.order().iter().enumerate() {
            let needs = state.outline.entry(id).map_or(0, |entry| entry.needs.len());
            state.waits.insert(id.clone(), needs);
            if needs == 0 {
                state.idle.insert((position, TaskId::single(id)));
            }
        }
        state
    }

    /// The state after all these records.
    pub fn fold<'r>(outline: Arc<Outline>, records: impl IntoIterator<Item = &'r Record>) -> Result<Self, Misfit> {
        let mut state = Self::new(outline);
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Takes one more record into account.
    pub fn apply(&mut self, record: &Record) -> Result<(), Misfit> {
        match record {
            Record::RunStarted { run, wall, .. } => {
                self.run = Some(*run);
                self.started = *wall;
            }
            Record::Planned { .. } => self.planned = true,
            Record::Unplannable { message } => self.problem = Some(message.clone()),
            Record::Expanded { task, items } => self.expanded(task, *items)?,
            Record::Leased(leased) => self.leased(leased)?,
            Record::Failed { task, attempt, wall, .. } => self.failed(task, *attempt, *wall)?,
            Record::Lost { task, .. } => self.lost(task)?,
            Record::Refused { .. } => self.counts.refused += 1,
            Record::Recorded { task, outcome, wall, .. } => {
                self.recorded(task, Settled { outcome: outcome.clone(), wall: *wall })?;
            }
            Record::Draining => self.draining = true,
            Record::TakenUp { .. } => self.draining = false,
            Record::Ended { status, wall, .. } => self.ended = Some((*status, *wall)),
            Record::Forked { .. }
            | Record::Paused { .. }
            | Record::Resumed { .. }
            | Record::CancelAsked { .. }
            | Record::Undoing { .. }
            | Record::UndoLeased(_)
            | Record::UndoFailed { .. }
            | Record::UndoLost { .. }
            | Record::UndoRecorded { .. }
            | Record::Waiting { .. }
            | Record::Approved { .. }
            | Record::Rejected { .. }
            | Record::Signalled { .. }
            | Record::ChildStarted { .. }
            | Record::ChildEnded { .. }
            | Record::Reserved { .. }
            | Record::Charged { .. }
            | Record::BudgetSpent { .. }
            | Record::ToolCalled { .. }
            | Record::RequestTaken { .. }
            | Record::RequestRefused { .. } => {}
        }
        Ok(())
    }

    fn expanded(&mut self, id: &str, items: u32) -> Result<(), Misfit> {
        let position = self.position(id)?;
        let single = TaskId::single(id);
        if self.groups.contains_key(id) || self.tasks.remove(&single).is_none() {
            return Ok(());
        }
        self.groups.insert(id.to_owned(), Group { items, open: items });
        self.idle.remove(&(position, single));
        self.open = self.open - 1 + items as usize;
        for item in (0..items).map(|item| TaskId::item(id, item)) {
            self.tasks.insert(item.clone(), TaskState::default());
            self.idle.insert((position, item));
        }
        if items == 0 {
            self.settle(id, Fate::Met, Value::Array(Vec::new()));
        }
        Ok(())
    }

    fn leased(&mut self, leased: &Leased) -> Result<(), Misfit> {
        self.counts.agents_used.insert(leased.agent.clone());
        self.counts.context.hits += leased.context.hits;
        self.counts.context.misses += leased.context.misses;
        let task = self.task_mut(&leased.task)?;
        task.attempts = task.attempts.max(leased.attempt);
        task.key = Some(leased.key.clone());
        let held = Held::of(leased);
        task.last = Some(held.clone());
        let reissued = std::mem::take(&mut task.lost);
        if task.settled.is_some() {
            self.counts.completed_rerun += 1;
            return Ok(());
        }
        self.counts.reissued += u64::from(reissued);
        self.rest(&leased.task);
        self.held.insert(leased.task.clone(), held);
        Ok(())
    }

    fn failed(&mut self, id: &TaskId, attempt: u32, wall: Millis) -> Result<(), Misfit> {
        let outline = Arc::clone(&self.outline);
        let task = self.task_mut(id)?;
        task.failed.insert(attempt);
        if let (None, Some(entry)) = (&task.settled, outline.entry(id.task())) {
            let due = wall.after(entry.backoff(task.failures()));
            task.due = Some(due);
            self.later.insert((due, id.clone()));
        }
        self.held.remove(id);
        Ok(())
    }

    fn lost(&mut self, id: &TaskId) -> Result<(), Misfit> {
        let position = self.position(id.task())?;
        let task = self.task_mut(id)?;
        task.crashes += 1;
        task.lost = true;
        let settled = task.settled.is_some();
        self.held.remove(id);
        if !settled {
            self.idle.insert((position, id.clone()));
        }
        Ok(())
    }

    fn recorded(&mut self, id: &TaskId, settled: Settled) -> Result<(), Misfit> {
        let task = self.task_mut(id)?;
        if task.settled.is_some() {
            return Ok(());
        }
        let settlement = (fate_of(&settled.outcome), value_of(&settled.outcome));
        task.settled = Some(settled);
        self.open -= 1;
        self.rest(id);
        self.held.remove(id);
        self.doomed.remove(id.task());
        let (fate, value) = match self.groups.get_mut(id.task()) {
            Some(group) => {
                group.open -= 1;
                if group.open > 0 {
                    return Ok(());
                }
                self.group_result(id.task())
            }
            None => settlement,
        };
        self.settle(id.task(), fate, value);
        Ok(())
    }

    /// The result of a task with `for_each`: the results of its items, in order.
    fn group_result(&self, id: &str) -> (Fate, Value) {
        let outcomes = || self.items(id).filter_map(|(_, task)| task.settled.as_ref()).map(|settled| &settled.outcome);
        let failed = outcomes().any(|outcome| fate_of(outcome) == Fate::Failed);
        (if failed { Fate::Failed } else { Fate::Met }, Value::Array(outcomes().map(value_of).collect()))
    }

    /// A task of the goal is done with: those who need it wait for one task less.
    fn settle(&mut self, id: &str, fate: Fate, value: Value) {
        self.fates.insert(id.to_owned(), fate);
        self.results.insert(id.to_owned(), Shared::new(value));
        let outline = Arc::clone(&self.outline);
        for dependent in outline.dependents(id) {
            let waits = self.waits.get_mut(dependent).expect("every task of the outline has an entry");
            *waits -= 1;
            let open = self.tasks.get(&TaskId::single(dependent)).is_some_and(|task| task.settled.is_none());
            if *waits > 0 || !open {
                continue;
            }
            if self.failed_needs(dependent).next().is_some() {
                self.doomed.insert(dependent.to_owned());
            } else if let Some(position) = outline.position(dependent) {
                self.idle.insert((position, TaskId::single(dependent)));
            }
        }
    }

    /// The task is leased or done, so it is not to be given out.
    fn rest(&mut self, id: &TaskId) {
        if let Some(position) = self.outline.position(id.task()) {
            self.idle.remove(&(position, id.clone()));
        }
        if let Some(due) = self.tasks.get_mut(id).and_then(|task| task.due.take()) {
            self.later.remove(&(due, id.clone()));
        }
    }

    fn position(&self, id: &str) -> Result<usize, Misfit> {
        self.outline.position(id).ok_or_else(|| Misfit { task: id.to_owned() })
    }

    fn task_mut(&mut self, id: &TaskId) -> Result<&mut TaskState, Misfit> {
        self.tasks.get_mut(id).ok_or_else(|| Misfit { task: id.to_string() })
    }
}

fn fate_of(outcome: &Outcome) -> Fate {
    match outcome {
        Outcome::Succeeded { .. }
        | Outcome::Stored { .. }
        | Outcome::Skipped { cause: SkipCause::Condition | SkipCause::NotNeeded, .. } => Fate::Met,
        Outcome::Failed { .. } | Outcome::Skipped { cause: SkipCause::NeedFailed | SkipCause::Closed, .. } => {
            Fate::Failed
        }
    }
}

/// The value that others see.
///
/// A recorded value always reads back: it is the canonical JSON of a value that passed `work::bound`, which is less deep
/// than a reader of JSON puts up with. Only a journal that somebody else wrote could hold another; it is seen as null.
/// So is a result in the artifact store: whoever reads the journal puts it in its place before it is folded.
fn value_of(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Succeeded { value, .. } => serde_json::from_str(value).unwrap_or(Value::Null),
        Outcome::Stored { .. } | Outcome::Failed { .. } | Outcome::Skipped { .. } => Value::Null,
    }
}
