//! What the agents say to each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::{Capability, Incarnation, Path, RunId, Subject};

use crate::goal::model::{Goal, Task};
use crate::plan::Plan;
use crate::run::{Begin, Lookups, Shared, TaskId};
use crate::work::validate::Verdicts;
use crate::work::{Failure, Outcome, Work};

/// Makes a plan of a goal.
pub const PLAN: Capability<PlanRequest, PlanReply> = Capability::new("plan", VERSION);

/// Chooses who takes a task.
pub const ROUTE: Capability<RouteRequest, RouteReply> = Capability::new("route", VERSION);

/// Finds what a task refers to, and makes of it what an agent can carry out.
pub const CONTEXT: Capability<ContextRequest, ContextReply> = Capability::new("context", VERSION);

/// Judges a result before it is recorded.
pub const VALIDATE: Capability<ValidateRequest, Verdicts> = Capability::new("validate", VERSION);

/// Takes the report about an attempt.
pub const REPORT: Capability<ReportRequest, ReportReply> = Capability::new("goal.report", VERSION);

const VERSION: &str = "1.0.0";

/// The capability to carry out tasks, by its name: `task.command`, `task.retrieve`, `task.check`, `task.collect`, or
/// one that a goal names.
#[must_use]
pub fn task_capability(name: &str) -> Capability<LeaseRequest, LeaseReply> {
    Capability::named(name.to_owned(), VERSION.to_owned())
}

/// Asks for a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanRequest {
    /// What is wanted.
    pub goal: Goal,
    /// The parameters that were given.
    pub params: BTreeMap<String, Value>,
}

/// What came of planning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PlanReply {
    /// The goal can be carried out like this.
    Planned(Box<Plan>),
    /// The goal cannot be carried out; why, and what to do.
    Refused(String),
    /// Nobody offers these capabilities now.
    Unoffered(Vec<String>),
}

/// Which attempt of which task a message is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// The number of the attempt, from 1 on.
    pub number: u32,
    /// Whether it carries the task out, or takes back what it did.
    #[serde(default)]
    pub part: Part,
}

/// What of a task an attempt is about. Both count their attempts by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The task.
    #[default]
    Task,
    /// Its undo.
    Undo,
}

impl Attempt {
    /// What faults are drawn by.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self.part {
            Part::Task => Subject::new(self.task.to_string(), self.number),
            Part::Undo => Subject::new(format!("{}/undo", self.task), self.number),
        }
    }
}

/// Asks who may take a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteRequest {
    /// For which attempt.
    pub attempt: Attempt,
    /// The capability the task needs.
    pub capability: String,
    /// Who holds a lease of this run already.
    pub busy: Vec<Path>,
    /// Who had this task last: somebody else is preferred, since it may have died of it.
    pub last: Option<Path>,
}

/// Who may take a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteReply {
    /// This incarnation.
    Assigned(Assignment),
    /// Everybody who could is busy, or between two incarnations, or it is the turn of another run.
    NoneFree,
    /// Nobody offers the capability.
    NoProvider,
}

/// Who takes a task, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The agent.
    pub agent: Path,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// How many agents offer the capability.
    pub candidates: usize,
    /// Why this one, for people.
    pub reason: String,
}

/// Asks for what a task refers to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContextRequest {
    /// For which attempt.
    pub attempt: Attempt,
    /// The task as the goal has it.
    pub task: Task,
    /// The parameters of the run.
    pub params: BTreeMap<String, Value>,
    /// The results that the task refers to, as they are recorded.
    pub results: BTreeMap<String, Shared>,
    /// What is to be found out.
    pub wanted: Wanted,
}

/// What is to be found out about a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Wanted {
    /// The work of a task that runs once.
    Work,
    /// The work of an item of a `for_each`.
    ItemWork(Value),
    /// The items of a `for_each`.
    Items,
    /// The work that takes back what a task did.
    Undo {
        /// The result that was recorded for it.
        result: Value,
        /// Its item, where it is one of a `for_each`.
        item: Option<Value>,
    },
}

/// What a task refers to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ContextReply {
    /// The work of the attempt, with everything in its place.
    Work {
        /// The work.
        work: Box<Work>,
        /// Where what it refers to came from.
        lookups: Lookups,
    },
    /// What a task that the run itself carries out begins to wait for.
    Begin(Box<Begin>),
    /// The items of the `for_each`.
    Items(Vec<Value>),
    /// The task's condition does not hold; why, for people.
    Skip(String),
    /// It cannot be found out; why, and what to do.
    Impossible(Failure),
}

/// Asks an agent to do something about a lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LeaseRequest {
    /// Carry this out.
    Take(Box<Lease>),
    /// Stop carrying this out; nobody waits for it any more.
    Drop(LeaseId),
}

impl LeaseRequest {
    /// What faults are drawn by. Dropping a lease is never drawn for: it is said once, and no harm comes of it.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Take(lease) => Some(lease.id.attempt.subject()),
            Self::Drop(_) => None,
        }
    }
}

/// A task given to one incarnation of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Which lease this is.
    pub id: LeaseId,
    /// The orchestrator that waits for the report.
    pub orchestrator: Path,
    /// What is to be done.
    pub work: Work,
}

/// Names a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseId {
    /// Of which attempt.
    pub attempt: Attempt,
    /// Who holds it.
    pub agent: Path,
    /// The incarnation that holds it, and no other.
    pub incarnation: Incarnation,
}

/// What an agent says to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseReply {
    /// It is being carried out, or was already, or is dropped, as was asked.
    Accepted,
    /// It is for another incarnation than the one that answers.
    Stale,
}

/// Reports how an attempt ended. Sent again until the answer is other than [`ReportReply::Received`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportRequest {
    /// The lease under which it was carried out.
    pub lease: LeaseId,
    /// How it ended.
    pub end: Result<Outcome, Failure>,
}

/// What the orchestrator says to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportReply {
    /// It is being judged; report again in a moment.
    Received,
    /// It is recorded.
    Settled,
    /// The lease is not, or no longer, that agent's.
    Refused,
}

/// Asks for a judgement on a result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidateRequest {
    /// The result of which attempt.
    pub attempt: Attempt,
    /// The name of the goal.
    pub goal: String,
    /// The result.
    pub value: Value,
    /// The schema that the task declares for it.
    pub schema: Option<Value>,
}
