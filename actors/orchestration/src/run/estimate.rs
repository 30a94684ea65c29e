//! How long a goal is going to take, from the runs of it that are over.
//!
//! A function of records: nothing is measured here, and nothing but what was recorded counts. With few runs an estimate is
//! a poor one, so it says from how many it is, and how far they were apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Plan;
use crate::run::id::{Millis, TaskId};
use crate::run::record::{Outcome, Record, Status};

/// What a run that is over tells of the next one of the same goal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastRun {
    goal: String,
    /// How long it took, in milliseconds, where it reached the goal.
    took: Option<u64>,
    tasks: BTreeMap<String, PastTask>,
}

/// What became of a task of the goal in a run, all items of its list together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PastTask {
    /// How long each attempt took that succeeded, in milliseconds.
    attempts: Vec<u64>,
    tries: u32,
    failed: u32,
    /// From the first lease to the last outcome.
    span: Option<(Millis, Millis)>,
}

/// How long a plan is going to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// From how many runs that are over.
    pub runs: usize,
    /// The whole run, from those that reached the goal.
    pub run: Option<Spread>,
    /// The longest chain of tasks that wait for each other, from those that reached the goal. What nobody works at, such
    /// as the time that a person takes, is left out.
    pub path: Option<Spread>,
    /// One attempt of each task, in the order of the plan.
    pub tasks: Vec<TaskEstimate>,
    /// The tasks that agents carry out and of which no attempt is recorded, in the order of the plan.
    pub unknown: Vec<String>,
}

/// How long one attempt of a task is going to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskEstimate {
    /// The task.
    pub task: String,
    /// Its attempts that succeeded; nothing where none did.
    pub attempt: Option<Spread>,
    /// How many attempts were given out.
    pub tries: u32,
    /// How many of them failed, or were lost with their agent.
    pub failed: u32,
}

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// How often it was seen.
    pub seen: usize,
    /// Half of them took no longer than this.
    pub p50: u64,
    /// 95 of 100 took no longer than this; below 20, it is the longest.
    pub p95: u64,
    /// Half of them differed from `p50` by no more than this.
    pub half_within: u64,
}

impl Spread {
    /// How values are spread; nothing where there are none.
    ///
    /// ```
    /// use steadfast_orchestration::run::Spread;
    ///
    /// let spread = Spread::of([30, 10, 20, 100]).expect("there are values");
    /// assert_eq!((spread.seen, spread.p50, spread.p95, spread.half_within), (4, 20, 100, 10));
    /// ```
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let p50 = nearest(&values, 50)?;
        let mut apart: Vec<u64> = values.iter().map(|value| value.abs_diff(p50)).collect();
        apart.sort_unstable();
        Some(Self { seen: values.len(), p50, p95: nearest(&values, 95)?, half_within: nearest(&apart, 50)? })
    }
}

/// The smallest of these, in order, that so many of a hundred do not exceed.
fn nearest(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

impl PastRun {
    /// What a run tells by its records; nothing where it is not over.
    #[must_use]
    pub fn of(records: &[Record]) -> Option<Self> {
        let mut past = Self::default();
        let (mut began, mut paused) = (None, 0);
        let mut paused_since = None;
        let mut out: BTreeMap<&TaskId, Millis> = BTreeMap::new();
        for record in records {
            match record {
                Record::RunStarted { goal, wall, .. } => {
                    past.goal = goal_name(goal)?;
                    began = Some(*wall);
                }
                Record::Paused { wall, .. } => {
                    paused_since.get_or_insert(*wall);
                }
                Record::Resumed { wall, .. } => {
                    paused += paused_since.take().map_or(0, |since| millis(since, *wall));
                }
                Record::Leased(leased) => {
                    out.insert(&leased.task, leased.wall);
                    past.leased(&leased.task, leased.wall);
                }
                Record::Failed { task, .. } | Record::Lost { task, .. } => {
                    out.remove(task);
                    past.task(task).failed += 1;
                }
                Record::Recorded { task, outcome, wall, .. } => past.recorded((task, out.remove(task)), outcome, *wall),
                Record::Ended { status, wall, .. } => {
                    let took = began.map(|began| millis(began, *wall).saturating_sub(paused));
                    past.took = took.filter(|_| *status == Status::Reached);
                    return began.map(|_| past);
                }
                _ => {}
            }
        }
        None
    }

    /// The name of its goal.
    #[must_use]
    pub fn goal(&self) -> &str {
        &self.goal
    }

    fn task(&mut self, task: &TaskId) -> &mut PastTask {
        self.tasks.entry(task.task().to_owned()).or_default()
    }

    fn leased(&mut self, task: &TaskId, wall: Millis) {
        let task = self.task(task);
        task.tries += 1;
        let (first, last) = task.span.unwrap_or((wall, wall));
        task.span = Some((first.min(wall), last));
    }

    fn recorded(&mut self, (task, since): (&TaskId, Option<Millis>), outcome: &Outcome, wall: Millis) {
        let Some(since) = since else { return };
        let task = self.task(task);
        if matches!(outcome, Outcome::Succeeded { .. } | Outcome::Stored { .. }) {
            task.attempts.push(millis(since, wall));
        }
        task.span = task.span.map(|(first, last)| (first, last.max(wall)));
    }

    /// How long the longest chain of tasks took that wait for each other.
    fn path(&self, plan: &Plan) -> u64 {
        let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
        for task in plan.tasks() {
            let before = task.dependencies().iter().filter_map(|need| ends.get(need.as_str())).max().copied();
            let span = self.tasks.get(task.id()).and_then(|task| task.span);
            let took = span.map_or(0, |(first, last)| millis(first, last));
            ends.insert(task.id(), before.unwrap_or(0) + took);
        }
        ends.into_values().max().unwrap_or(0)
    }
}

impl Estimate {
    /// How long a plan is going to take, by runs of the goal of its name; others are left out.
    #[must_use]
    pub fn of(plan: &Plan, past: &[PastRun]) -> Self {
        let past: Vec<&PastRun> = past.iter().filter(|run| run.goal == plan.goal().name).collect();
        let reached = || past.iter().filter(|run| run.took.is_some());
        let mut estimate = Self {
            runs: past.len(),
            run: Spread::of(reached().filter_map(|run| run.took)),
            path: Spread::of(reached().map(|run| run.path(plan))),
            ..Self::default()
        };
        for task in plan.tasks().filter(|task| task.capability().is_some()) {
            let seen = || past.iter().filter_map(|run| run.tasks.get(task.id()));
            let tries = seen().map(|task| task.tries).sum();
            if tries == 0 {
                estimate.unknown.push(task.id().to_owned());
                continue;
            }
            estimate.tasks.push(TaskEstimate {
                task: task.id().to_owned(),
                attempt: Spread::of(seen().flat_map(|task| task.attempts.iter().copied())),
                tries,
                failed: seen().map(|task| task.failed).sum(),
            });
        }
        estimate
    }
}

/// The name of a goal as a run recorded it.
fn goal_name(goal: &str) -> Option<String> {
    let goal: Value = serde_json::from_str(goal).ok()?;
    goal["name"].as_str().map(str::to_owned)
}

fn millis(from: Millis, to: Millis) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}
