//! What a run needs to know of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::goal::model::{FailureClass, Goal, Retries};
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
    /// Who carries the task out.
    pub carried: Carried,
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
}

impl Default for RunLimits {
    fn default() -> Self {
        Self { concurrency: 4, deadline: None, crashes: 16 }
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
        Self::new(RunLimits { concurrency, deadline, ..RunLimits::default() })
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
            outline.task(task.id(), Entry { needs, fan, retries: task.task().retries.clone(), carried })
        })
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
        Work::Goal(_) => Carried::Child { schema: task.task().schema.clone() },
        work if work.kind().capability().is_none() => Carried::Waits { schema: task.task().schema.clone() },
        _ => Carried::ByAgent,
    }
}

impl Entry {
    /// Whether an attempt that failed like this, the `failures`th failure, is followed by another one.
    #[must_use]
    pub fn tries_again(&self, class: Class, failures: u32) -> bool {
        failures < self.retries.attempts && class.retried_as().is_some_and(|class| self.retries.on.contains(&class))
    }

    /// How long to wait after the `failures`th failure.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        let limit = self.retries.max_backoff.duration();
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.retries.backoff.duration().as_secs_f64() * self.retries.factor.max(1.0).powi(exponent);
        // An infinite or overlong wait is no error, it is the longest wait.
        Duration::try_from_secs_f64(seconds).map_or(limit, |wait| wait.min(limit))
    }
}

impl Class {
    /// The class by which a goal file names this failure, or `None` when it is never tried again.
    fn retried_as(self) -> Option<FailureClass> {
        match self {
            Self::Exit => Some(FailureClass::Exit),
            Self::Timeout => Some(FailureClass::Timeout),
            Self::Start => Some(FailureClass::Start),
            Self::Output => Some(FailureClass::Output),
            Self::Invalid => Some(FailureClass::Invalid),
            Self::Denied
            | Self::Plan
            | Self::Poison
            | Self::Deadline
            | Self::Rejected
            | Self::Child
            | Self::Budget
            | Self::Repeats
            | Self::Quorum => None,
        }
    }
}
