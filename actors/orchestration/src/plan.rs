//! A goal that was checked, in the order in which it can be carried out.
//!
//! This module is pure: from the same goal and parameters it makes the same plan, so a planner that was restarted
//! rebuilds its plan instead of keeping it.
//!
//! # Invariants
//!
//! * Every task comes after all it depends on; among tasks that could come next, the order of the file decides.
//! * Every reference leads to a parameter, an input or a task that exists, and every task does exactly one thing.

mod examine;
pub mod notes;
mod order;
pub mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::goal::check::{Findings, capability_of, resolved_params};
use crate::goal::error::GoalErrors;
use crate::goal::model::{Goal, Task};
use crate::goal::work::{TaskKind, Work};
use examine::{Known, Shape, examine};

/// A checked goal with its parameters, its tasks in order, and its critical path.
///
/// It is written as the goal and the parameters, and checked again when it is read. Goals hold values of any JSON
/// type, so they need a format that describes itself, such as JSON.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
///
/// let text = "name = 'hello'\n\
///             [[tasks]]\nid = 'say'\nafter = ['think']\ncommand = { program = 'echo' }\n\
///             [[tasks]]\nid = 'think'\ncollect = 'hello'\n";
/// let loaded = steadfast_orchestration::goal::read("hello.toml", text)?;
/// let offered = BTreeSet::from(["task.command".to_owned(), "task.collect".to_owned()]);
/// let plan = loaded.plan(BTreeMap::new(), &offered)?;
/// let order: Vec<&str> = plan.tasks().map(|task| task.id()).collect();
/// assert_eq!(order, ["think", "say"]);
/// # Ok::<(), steadfast_orchestration::goal::GoalErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Plan {
    goal: Goal,
    params: BTreeMap<String, Value>,
    steps: Vec<Step>,
    /// The number of each task's step.
    by_id: BTreeMap<String, usize>,
    critical: Vec<String>,
    critical_length: Duration,
}

/// What a plan is rebuilt from.
#[derive(Serialize, Deserialize)]
struct Record {
    goal: Goal,
    params: BTreeMap<String, Value>,
}

/// A task in its place.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    /// The task's number in the file.
    task: usize,
    dependencies: Vec<String>,
    dependents: Vec<String>,
}

impl Plan {
    /// Checks a goal with the parameters that were given, against the capabilities that are offered, and orders it.
    pub fn new(goal: Goal, params: BTreeMap<String, Value>, offered: &BTreeSet<String>) -> Result<Self, GoalErrors> {
        Self::checked(goal, params, Some(offered))
    }

    /// Makes a plan again from the goal and the parameters of one that was made before, whatever is offered now.
    pub fn rebuild(goal: Goal, params: BTreeMap<String, Value>) -> Result<Self, GoalErrors> {
        Self::checked(goal, params, None)
    }

    fn checked(
        goal: Goal,
        params: BTreeMap<String, Value>,
        offered: Option<&BTreeSet<String>>,
    ) -> Result<Self, GoalErrors> {
        let mut findings = Findings::default();
        let params = resolved_params(&goal, params, &mut findings);
        let Shape { edges, ordered, critical, length } =
            examine(&goal, Known { params: &params, offered, depth: 1 }, &mut findings);
        GoalErrors::none_of(findings.into_errors())?;
        let critical = critical.iter().map(|&task| goal.tasks[task].id.clone()).collect();
        let steps = steps(&goal, &ordered, &edges);
        let by_id = (0..).zip(&ordered).map(|(step, &task)| (goal.tasks[task].id.clone(), step)).collect();
        Ok(Self { goal, params, steps, by_id, critical, critical_length: length })
    }

    /// The goal the plan was made from.
    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// The value of every parameter, given or by default.
    #[must_use]
    pub fn params(&self) -> &BTreeMap<String, Value> {
        &self.params
    }

    /// The tasks, each after all it depends on.
    #[must_use]
    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = PlannedTask<'_>> + ExactSizeIterator {
        (0..self.steps.len()).map(|step| PlannedTask { plan: self, step })
    }

    /// The task with this id.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<PlannedTask<'_>> {
        self.by_id.get(id).map(|&step| PlannedTask { plan: self, step })
    }

    /// How many tasks there are, each `for_each` counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are no tasks, which no plan is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The ids of the tasks on the critical path, first first: the chain with the largest sum of `at_least`, and among
    /// equal ones the one with most tasks.
    #[must_use]
    pub fn critical_path(&self) -> &[String] {
        &self.critical
    }

    /// The sum of `at_least` on the critical path: the run takes no less.
    #[must_use]
    pub fn critical_length(&self) -> Duration {
        self.critical_length
    }
}

impl From<Plan> for Record {
    fn from(plan: Plan) -> Self {
        Self { goal: plan.goal, params: plan.params }
    }
}

impl TryFrom<Record> for Plan {
    type Error = GoalErrors;

    fn try_from(record: Record) -> Result<Self, GoalErrors> {
        Self::rebuild(record.goal, record.params)
    }
}

/// A task of a plan, with its place among the others.
#[derive(Clone, Copy, Debug)]
pub struct PlannedTask<'p> {
    plan: &'p Plan,
    step: usize,
}

impl<'p> PlannedTask<'p> {
    fn step(&self) -> &'p Step {
        &self.plan.steps[self.step]
    }

    /// The task as the goal has it.
    #[must_use]
    pub fn task(&self) -> &'p Task {
        &self.plan.goal.tasks[self.step().task]
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> &'p str {
        &self.task().id
    }

    /// What the task does.
    ///
    /// # Panics
    ///
    /// Never: a plan's tasks do exactly one thing each.
    #[must_use]
    pub fn work(&self) -> Work<'p> {
        self.task().work().expect("the plan was refused unless every task has exactly one kind")
    }

    /// The kind of the task.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.work().kind()
    }

    /// The capability the task needs: its own, or that of its kind; nothing where the run itself carries it out.
    #[must_use]
    pub fn capability(&self) -> Option<&'p str> {
        capability_of(self.task())
    }

    /// The undo of the task, as a task of its own; nothing where it names none.
    #[must_use]
    pub fn undo(&self) -> Option<Task> {
        self.task().undo_task()
    }

    /// The capability that the undo of the task needs: its own, or that of its kind.
    #[must_use]
    pub fn undo_capability(&self) -> Option<String> {
        capability_of(&self.undo()?).map(str::to_owned)
    }

    /// Where the task stands in the order, from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.step
    }

    /// The ids of the tasks it waits for, by `after` and by reference, in the order of the file.
    #[must_use]
    pub fn dependencies(&self) -> &'p [String] {
        &self.step().dependencies
    }

    /// The ids of the tasks that wait for it, in the order of the file.
    #[must_use]
    pub fn dependents(&self) -> &'p [String] {
        &self.step().dependents
    }

    /// Whether the task is on the critical path.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.plan.critical.iter().any(|id| id == self.id())
    }
}

fn steps(goal: &Goal, ordered: &[usize], edges: &[Vec<usize>]) -> Vec<Step> {
    let mut dependents = vec![Vec::new(); goal.tasks.len()];
    for (task, needs) in edges.iter().enumerate() {
        for &need in needs {
            dependents[need].push(task);
        }
    }
    let ids = |tasks: &[usize]| tasks.iter().map(|&task| goal.tasks[task].id.clone()).collect();
    ordered
        .iter()
        .map(|&task| Step { task, dependencies: ids(&edges[task]), dependents: ids(&dependents[task]) })
        .collect()
}
