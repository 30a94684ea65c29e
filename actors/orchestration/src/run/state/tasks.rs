//! What records about tasks change.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use steadfast::Path;

use super::{Misfit, RunState, UndoState};
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Verdict;
use crate::run::record::{Class, Leased, Outcome, SkipCause};
use crate::run::settle::{ENDS, poison};
use crate::run::shared::Shared;

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
    /// How the last attempt that failed, or the last agent that died, ended.
    pub trouble: Option<(Class, String)>,
    /// What became of its undo, once that began.
    pub undo: Option<UndoState>,
    pub(super) due: Option<Millis>,
    /// How many of those that were lost were lost with their process, while others were in flight.
    pub(super) ends: u32,
    /// How many failures, losses and ends of processes do not count any more, since the run was resumed after them.
    forgiven: (u32, u32, u32),
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

/// What the outcome of a task of the goal means for those who need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They may run.
    Met,
    /// They are skipped.
    Failed,
}

/// A task with `for_each` whose list is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) items: u32,
    open: u32,
}

impl TaskState {
    /// How many attempts failed by themselves.
    #[must_use]
    pub fn failures(&self) -> u32 {
        u32::try_from(self.failed.len()).unwrap_or(u32::MAX)
    }

    /// When the next attempt may begin, where it has to wait after a failure.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        self.due
    }

    /// How many of them count: those since the task was given its attempts.
    pub(crate) fn failures_that_count(&self) -> u32 {
        self.failures().saturating_sub(self.forgiven.0)
    }

    /// How many losses count: those since the task was given its attempts, of which nobody else can be the reason.
    pub(crate) fn crashes_that_count(&self) -> u32 {
        self.crashes.saturating_sub(self.ends).saturating_sub(self.forgiven.1)
    }

    /// How many ends of processes count that others may be the reason of as well.
    fn ends_that_count(&self) -> u32 {
        self.ends.saturating_sub(self.forgiven.2)
    }

    /// The task has its attempts again.
    pub(super) fn forgive(&mut self) {
        self.forgiven = (self.failures(), self.crashes.saturating_sub(self.ends), self.ends);
    }
}

impl Held {
    pub(super) fn of(leased: &Leased) -> Self {
        Self {
            attempt: leased.attempt,
            agent: leased.agent.clone(),
            incarnation: leased.incarnation,
            key: leased.key.clone(),
            input_digest: leased.input_digest.clone(),
        }
    }
}

impl RunState {
    pub(super) fn expanded(&mut self, id: &str, items: u32) -> Result<(), Misfit> {
        let position = self.position(id)?;
        let single = TaskId::single(id);
        if self.groups.contains_key(id) || self.tasks.remove(&single).is_none() {
            return Ok(());
        }
        self.groups.insert(id.to_owned(), Group { items, open: items });
        self.begins_no_more(&(position, single));
        self.open = self.open - 1 + items as usize;
        for item in (0..items).map(|item| TaskId::item(id, item)) {
            self.tasks.insert(item.clone(), TaskState::default());
            self.may_begin(position, item);
        }
        if items == 0 {
            self.settle(id, Fate::Met, Value::Array(Vec::new()));
        }
        Ok(())
    }

    pub(super) fn leased(&mut self, leased: &Leased) -> Result<(), Misfit> {
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

    pub(super) fn failed(
        &mut self,
        id: &TaskId,
        attempt: u32,
        (class, message): (Class, &str),
        wall: Millis,
    ) -> Result<(), Misfit> {
        let outline = Arc::clone(&self.outline);
        let task = self.task_mut(id)?;
        task.failed.insert(attempt);
        task.trouble = Some((class, message.to_owned()));
        if let (None, Some(entry)) = (&task.settled, outline.entry(id.task())) {
            if entry.verdict(class, task.failures_that_count()) == Verdict::Again {
                let due = wall.after(entry.backoff(task.failures_that_count()));
                task.due = Some(due);
                self.later.insert((due, id.clone()));
            } else {
                self.spent.insert(id.clone());
            }
        }
        self.give_back(id);
        Ok(())
    }

    pub(super) fn lost(&mut self, id: &TaskId, why: &str) -> Result<(), Misfit> {
        let position = self.position(id.task())?;
        let limit = self.outline.limits().crashes;
        let with_others = self.adrift.remove(id);
        let task = self.task_mut(id)?;
        task.crashes += 1;
        task.ends += u32::from(with_others);
        task.lost = true;
        let (crashes, ends) = (task.crashes_that_count(), task.ends_that_count());
        let spent = crashes >= limit || ends >= ENDS;
        if spent {
            task.trouble = Some((Class::Poison, poison(crashes.max(ends), why)));
        }
        let settled = task.settled.is_some();
        self.give_back(id);
        if !settled && spent {
            self.spent.insert(id.clone());
        } else if !settled {
            self.idle.insert((position, id.clone()));
        }
        Ok(())
    }

    pub(super) fn recorded(&mut self, id: &TaskId, settled: Settled) -> Result<(), Misfit> {
        let task = self.task_mut(id)?;
        if task.settled.is_some() {
            return Ok(());
        }
        let wall = settled.wall;
        let (succeeded, failed) = (succeeded(&settled.outcome), matches!(settled.outcome, Outcome::Failed { .. }));
        // Data that its schema refuses is taken, too: the next one waits for another signal.
        let takes = succeeded || matches!(settled.outcome, Outcome::Failed { class: Class::Invalid, .. });
        if matches!(settled.outcome, Outcome::Stored { .. }) {
            self.stored.insert(id.clone());
        }
        // What a fork took over is undone by the run that did it.
        let is_ours = self.forked.is_none();
        let task = self.task_mut(id)?;
        task.settled = Some(settled);
        self.open -= 1;
        self.failures += usize::from(failed && !self.outline.is_spare(id.task()));
        if succeeded && is_ours && self.outline.entry(id.task()).is_some_and(|entry| entry.undo.is_some()) {
            self.done.push(id.clone());
        }
        self.rest(id);
        self.waits_no_more(id, takes);
        self.give_back(id);
        self.spent.remove(id);
        self.no_longer_paused_for(id, wall);
        self.doomed.remove(id.task());
        let (fate, value) = match self.groups.get_mut(id.task()) {
            Some(group) => {
                group.open -= 1;
                if group.open > 0 {
                    return Ok(());
                }
                self.group_result(id.task())
            }
            None => self.single_result(id),
        };
        self.settle(id.task(), fate, value);
        Ok(())
    }

    /// The result of a task that runs once.
    fn single_result(&self, id: &TaskId) -> (Fate, Value) {
        let settled = self.tasks.get(id).and_then(|task| task.settled.as_ref());
        settled.map_or((Fate::Failed, Value::Null), |settled| (fate_of(&settled.outcome), value_of(&settled.outcome)))
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
                self.may_begin(position, TaskId::single(dependent));
            }
        }
        self.is_gathered(id, fate == Fate::Met);
    }

    /// No lease of the task is out any more.
    pub(super) fn give_back(&mut self, id: &TaskId) {
        self.held.remove(id);
        self.judged.remove(id);
    }

    /// The task is leased or done, so it is not to be given out.
    pub(super) fn rest(&mut self, id: &TaskId) {
        if let Some(position) = self.outline.position(id.task()) {
            self.begins_no_more(&(position, id.clone()));
        }
        if let Some(due) = self.tasks.get_mut(id).and_then(|task| task.due.take()) {
            self.later.remove(&(due, id.clone()));
        }
    }
}

pub(super) fn succeeded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded { .. } | Outcome::Stored { .. })
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
pub(super) fn value_of(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Succeeded { value, .. } => serde_json::from_str(value).unwrap_or(Value::Null),
        Outcome::Stored { .. } | Outcome::Failed { .. } | Outcome::Skipped { .. } => Value::Null,
    }
}
