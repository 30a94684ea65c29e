//! Where a run stands: what its records add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use steadfast::{Path, RunId};

use crate::run::id::{Millis, TaskId};
use crate::run::outline::{Fan, Outline};
use crate::run::record::{Class, Leased, Lookups, Outcome, Record, SkipCause, Status};
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
    /// How many attempts failed by themselves.
    pub failures: u32,
    /// How many attempts were lost with their agent.
    pub crashes: u32,
    /// The idempotency key, once an attempt was given out.
    pub key: Option<String>,
    /// The last lease, whether it is still out or not.
    pub last: Option<Held>,
    /// How the last failed attempt failed.
    pub last_failure: Option<(Class, String)>,
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
            Record::Failed { task, class, message, wall, .. } => {
                self.failed(task, (*class, message.clone()), *wall)?;
            }
            Record::Lost { task, .. } => self.lost(task)?,
            Record::Refused { .. } => self.counts.refused += 1,
            Record::Recorded { task, outcome, wall, .. } => {
                self.recorded(task, Settled { outcome: outcome.clone(), wall: *wall })?;
            }
            Record::Draining => self.draining = true,
            Record::Ended { status, wall } => self.ended = Some((*status, *wall)),
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

    fn failed(&mut self, id: &TaskId, failure: (Class, String), wall: Millis) -> Result<(), Misfit> {
        let outline = Arc::clone(&self.outline);
        let task = self.task_mut(id)?;
        task.failures += 1;
        task.last_failure = Some(failure);
        if let (None, Some(entry)) = (&task.settled, outline.entry(id.task())) {
            let due = wall.after(entry.backoff(task.failures));
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
        task.settled = Some(settled);
        self.open -= 1;
        self.rest(id);
        self.held.remove(id);
        self.doomed.remove(id.task());
        match (id.index(), self.groups.get_mut(id.task())) {
            (Some(_), Some(group)) => {
                group.open -= 1;
                if group.open == 0 {
                    let (fate, value) = self.group_result(id.task());
                    self.settle(id.task(), fate, value);
                }
            }
            _ => {
                let outcome = &self.tasks[id].settled.as_ref().expect("it was set above").outcome;
                let (fate, value) = (fate_of(outcome), value_of(outcome));
                self.settle(id.task(), fate, value);
            }
        }
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

/// What is known of a run.
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

    /// The tasks without an outcome, by id.
    pub(crate) fn open_tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.tasks.iter().filter(|(_, task)| task.settled.is_none()).map(|(id, _)| id)
    }

    /// Whether this task runs once for each item of a list that is not known yet.
    pub(crate) fn is_unexpanded(&self, id: &TaskId) -> bool {
        id.index().is_none() && self.outline.entry(id.task()).is_some_and(|entry| entry.fan == Fan::ForEach)
    }
}

fn fate_of(outcome: &Outcome) -> Fate {
    match outcome {
        Outcome::Succeeded { .. } | Outcome::Skipped { cause: SkipCause::Condition, .. } => Fate::Met,
        Outcome::Failed { .. } | Outcome::Skipped { cause: SkipCause::NeedFailed, .. } => Fate::Failed,
    }
}

/// The value that others see. A value of ours is always JSON; one that is not would be seen as null.
fn value_of(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Succeeded { value, .. } => serde_json::from_str(value).unwrap_or(Value::Null),
        Outcome::Failed { .. } | Outcome::Skipped { .. } => Value::Null,
    }
}
