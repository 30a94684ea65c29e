//! What a run needs to know of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use steadfast::seam::Level;

use crate::goal::model::{Budget, FailureClass, Goal, OnExhausted, Retries};
use crate::goal::span::Span;
use crate::goal::work::Work;
use crate::plan::{Plan, PlannedTask};
use crate::run::gather::Gathering;
use crate::run::record::Class;

/// The tasks of a plan as a run sees them: what each waits for, and how it is tried again.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    order: Vec<String>,
    entries: BTreeMap<String, Entry>,
    positions: BTreeMap<String, usize>,
    dependents: BTreeMap<String, Vec<String>>,
    gatherers: BTreeMap<String, Vec<String>>,
    limits: RunLimits,
    budget: Budget,
}

/// One task of the goal in an [`Outline`].
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Ids of the tasks that end before this one starts, written or implied by references.
    pub needs: BTreeSet<String>,
    /// Whether the task runs once, or once for each item of a list.
    pub fan: Fan,
    /// What happens after a failed attempt.
    pub retries: Retries,
    /// What happens after a failed attempt to undo the task; nothing where it names no undo.
    pub undo: Option<Retries>,
    /// Who carries the task out.
    pub carried: Carried,
}

/// What a failed attempt means for its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is another attempt.
    Again,
    /// Another attempt might succeed, but those that there are have been used up.
    Exhausted,
    /// No other attempt would succeed: it was refused, or the goal says not to try again.
    Terminal,
}

/// Whether anybody keeps what happens in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nobody: a run that cannot go on here is over.
    Volatile,
    /// A journal that outlives this process, so that another one may go on.
    #[default]
    Journaled,
}

impl From<Level> for Kept {
    fn from(level: Level) -> Self {
        if level == Level::Volatile { Self::Volatile } else { Self::Journaled }
    }
}

/// Who carries a task out.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Carried {
    /// An agent, under a lease.
    #[default]
    ByAgent,
    /// The run itself, which waits.
    Waits {
        /// What the result must satisfy, as a JSON Schema.
        schema: Option<Value>,
    },
    /// A run of its own.
    Child {
        /// What its results must satisfy, as a JSON Schema.
        schema: Option<Value>,
        /// Whether that run takes back itself what it did.
        undone_inside: bool,
    },
    /// The run itself, from what comes of other tasks.
    Gathers(Gathering),
}

/// How often a task runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fan {
    /// Once.
    #[default]
    Once,
    /// Once for each item of a list that is known when the task's needs are met.
    ForEach,
}

/// What a whole run may use.
#[derive(Clone, Copy, Debug)]
pub struct RunLimits {
    /// How many leases may be out at the same time.
    pub concurrency: usize,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// How many attempts of one task may be lost with their agent before the task fails as poison.
    pub crashes: u32,
    /// What becomes of the run when a task has used up its attempts, where anybody keeps it.
    pub on_exhausted: OnExhausted,
    /// Whether anybody keeps it.
    pub kept: Kept,
}

impl RunLimits {
    /// Whether a run stands still, rather than fails, when a task has used up its attempts.
    #[must_use]
    pub fn pauses(&self) -> bool {
        self.kept == Kept::Journaled && self.on_exhausted == OnExhausted::Pause
    }
}

impl Default for RunLimits {
    fn default() -> Self {
        let (on_exhausted, kept) = (OnExhausted::default(), Kept::default());
        Self { concurrency: 4, deadline: None, crashes: 16, on_exhausted, kept }
    }
}

impl Outline {
    /// An outline without tasks.
    #[must_use]
    pub fn new(limits: RunLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What a run needs to know of a goal that has no plan yet, on so many executors.
    #[must_use]
    pub fn unplanned(goal: &Goal, jobs: usize) -> Self {
        let limits = &goal.limits;
        let concurrency = limits.concurrency.map_or(jobs, |limit| jobs.min(limit as usize)).max(1);
        let deadline = limits.deadline.map(Span::duration);
        let limits = RunLimits { concurrency, deadline, on_exhausted: goal.on_exhausted, ..RunLimits::default() };
        Self::new(limits).within(goal.budget.clone())
    }

    /// What a run needs to know of a plan, on so many executors.
    #[must_use]
    pub fn of(plan: &Plan, jobs: usize) -> Self {
        plan.tasks().fold(Self::unplanned(plan.goal(), jobs), |outline, task| {
            let fan = if task.task().for_each.is_some() { Fan::ForEach } else { Fan::Once };
            let carried = carried(task);
            let gathered: &[String] = if let Carried::Gathers(gathering) = &carried { &gathering.of } else { &[] };
            let is_need = |id: &&String| !gathered.contains(id) || task.task().after.contains(id);
            let needs = task.dependencies().iter().filter(is_need).cloned().collect();
            let inside = task.task().is_undone_inside().then(Retries::default);
            let undo = task.task().undo.as_ref().map(|undo| undo.retries.clone()).or(inside);
            outline.task(task.id(), Entry { needs, fan, retries: task.task().retries.clone(), undo, carried })
        })
    }

    /// The same for a run that may use no more than this.
    #[must_use]
    pub fn within(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The same for a run that is kept like this.
    #[must_use]
    pub fn kept(mut self, kept: Kept) -> Self {
        self.limits.kept = kept;
        self
    }

    /// Adds a task. Tasks are added in an order in which each comes after all it needs.
    #[must_use]
    pub fn task(mut self, id: &str, entry: Entry) -> Self {
        for need in &entry.needs {
            self.dependents.entry(need.clone()).or_default().push(id.to_owned());
        }
        if let Carried::Gathers(gathering) = &entry.carried {
            for member in &gathering.of {
                self.gatherers.entry(member.clone()).or_default().push(id.to_owned());
            }
        }
        self.positions.insert(id.to_owned(), self.order.len());
        self.order.push(id.to_owned());
        self.entries.insert(id.to_owned(), entry);
        self
    }

    /// The ids of the tasks, each after all it needs.
    #[must_use]
    pub fn order(&self) -> &[String] {
        &self.order
    }

    /// Where a task stands in the order, from 0.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// The task with this id.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The tasks that need this one, in the order of the plan.
    pub fn dependents(&self, id: &str) -> impl Iterator<Item = &str> {
        self.dependents.get(id).into_iter().flatten().map(String::as_str)
    }

    /// What the run may use before it ends with that.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The tasks that gather this one, in the order of the plan.
    pub fn gatherers(&self, id: &str) -> impl Iterator<Item = &str> {
        self.gatherers.get(id).into_iter().flatten().map(String::as_str)
    }

    /// What the run may use.
    #[must_use]
    pub fn limits(&self) -> RunLimits {
        self.limits
    }
}

fn carried(task: PlannedTask<'_>) -> Carried {
    match task.work() {
        Work::Gather(gather) => Carried::Gathers(Gathering { of: gather.of.clone(), take: gather.take }),
        Work::Goal(_) => {
            let (schema, undone_inside) = (task.task().schema.clone(), task.task().is_undone_inside());
            Carried::Child { schema, undone_inside }
        }
        work if work.kind().capability().is_none() => Carried::Waits { schema: task.task().schema.clone() },
        _ => Carried::ByAgent,
    }
}

impl Entry {
    /// What an attempt that failed like this means, the `failures`th failure that counts.
    #[must_use]
    pub fn verdict(&self, class: Class, failures: u32) -> Verdict {
        Self::judge(&self.retries, class, failures)
    }

    /// How long to wait after the `failures`th failure.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        Self::wait(&self.retries, failures)
    }

    /// What a failure of this class means where this is said of retries.
    pub(crate) fn judge(retries: &Retries, class: Class, failures: u32) -> Verdict {
        let is_retried = match class {
            Class::Exit => retries.on.contains(&FailureClass::Exit),
            Class::Timeout => retries.on.contains(&FailureClass::Timeout),
            Class::Start => retries.on.contains(&FailureClass::Start),
            Class::Output => retries.on.contains(&FailureClass::Output),
            Class::Invalid => retries.on.contains(&FailureClass::Invalid),
            // Its agents are used up, whatever its retries.
            Class::Poison => return Verdict::Exhausted,
            Class::Denied
            | Class::Plan
            | Class::Deadline
            | Class::Rejected
            | Class::Child
            | Class::Budget
            | Class::Repeats
            | Class::Quorum => false,
        };
        match (is_retried, failures < retries.attempts) {
            (false, _) => Verdict::Terminal,
            (true, true) => Verdict::Again,
            (true, false) => Verdict::Exhausted,
        }
    }

    /// How long to wait after the `failures`th failure, where this is said of retries.
    pub(crate) fn wait(retries: &Retries, failures: u32) -> Duration {
        let limit = retries.max_backoff.duration();
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = retries.backoff.duration().as_secs_f64() * retries.factor.max(1.0).powi(exponent);
        // An infinite or overlong wait is no error, it is the longest wait.
        Duration::try_from_secs_f64(seconds).map_or(limit, |wait| wait.min(limit))
    }
}
