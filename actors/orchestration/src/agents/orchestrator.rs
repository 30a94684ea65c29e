//! Carries one goal from its plan to its result.
//!
//! There is one orchestrator per goal. It keeps nothing but what it folds from the journal: each thing that happens is
//! appended first and acted upon afterwards, so its own crash changes nothing.
//!
//! ```text
//! plan -> (route -> context -> lease -> report -> validate) for each task, as the plan allows -> report
//! ```
//!
//! # Invariants
//!
//! * A lease is journaled before it is sent, and an outcome before it is acknowledged.
//! * A report is only taken from the incarnation that holds the lease, for the attempt it holds.
//! * No handler waits for another agent but the journal, which answers or ends within a limit of its own.

mod carry;
mod children;
mod feed;
mod log;
mod reports;
mod resume;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use steadfast::seam::Clock;
use steadfast::{Agent, BoxError, Context, Incarnation, Path, RunId, Subject, TellError, bug_on_purpose};
use uuid::Uuid;

use crate::agents::ask::Unanswered;
use crate::agents::planner::plan_subject;
use crate::agents::protocol::{ContextReply, LeaseId, PlanReply, ReportReply, ReportRequest, RouteReply};
use crate::goal::model::Goal;
use crate::plan::Plan;
use crate::redact::Redactor;
use crate::run::{ChildEnd, Lookups, Millis, RunState, TaskId, Tell};
use crate::work::Work;
use crate::work::validate::Verdicts;

pub use children::Around;
pub(crate) use children::CHILDREN;
pub use feed::Feed;
use log::Log;

/// What an orchestrator carries out.
#[derive(Clone)]
pub struct RunArgs {
    /// The run.
    pub run: RunId,
    /// What is wanted.
    pub goal: Goal,
    /// The parameters that were given.
    pub params: BTreeMap<String, Value>,
    /// How many executors there are.
    pub jobs: usize,
    /// What may be told.
    pub redactor: Redactor,
    /// Where others hear of the run.
    pub feed: Feed,
    /// Who is told how it ended, where it is a step of another run.
    pub around: Option<Around>,
}

impl fmt::Debug for RunArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunArgs").field("run", &self.run).field("goal", &self.goal.name).finish_non_exhaustive()
    }
}

/// An orchestrator.
pub struct Orchestrator {
    args: RunArgs,
    clock: Arc<dyn Clock>,
    log: Log,
    /// Nothing until the plan is made.
    plan: Option<Arc<Plan>>,
    state: RunState,
    bench: Bench,
}

/// What is under way and dies with the incarnation; the next one begins it anew.
#[derive(Default)]
struct Bench {
    /// Tasks whose context is looked for, or that wait for an agent.
    preparing: BTreeSet<TaskId>,
    /// Tasks whose list is looked for.
    expanding: BTreeSet<String>,
    /// The lists of the tasks with `for_each`, once they were looked at.
    lists: BTreeMap<String, Arc<Vec<Value>>>,
    /// Tasks that wait for an agent, in the order of the plan.
    ready: BTreeMap<(usize, TaskId), Ready>,
    /// The task that an agent is chosen for; one at a time, so that no two are given to the same one.
    routing: Option<(usize, TaskId)>,
    /// Capabilities of which everybody is busy.
    crowded: BTreeSet<String>,
    /// Results that are being judged.
    judging: BTreeMap<LeaseId, Value>,
    /// The timer for the next moment at which something is due.
    wake: Option<(Millis, steadfast::TaskId)>,
    published: bool,
}

/// An attempt that waits for an agent.
struct Ready {
    attempt: u32,
    work: Work,
    lookups: Lookups,
}

/// What an orchestrator is told and asked.
pub enum OrchestratorMessage {
    /// How an attempt ended.
    Report(ReportRequest),
    /// To give out no more leases, and end when those that are out have ended.
    Drain,
    /// What a person decided, or what happened outside.
    Tell {
        /// What it is asked by, where it may be asked again: it is taken once.
        id: Option<Uuid>,
        /// What.
        tell: Tell,
    },
    /// A run inside this one is over.
    #[doc(hidden)]
    ChildOver {
        /// The task that the run is.
        task: TaskId,
        /// How it ended.
        end: ChildEnd,
    },
    /// What this incarnation set going has come back. Anything of an earlier incarnation is dropped.
    #[doc(hidden)]
    Own(Incarnation, Own),
}

/// What an orchestrator answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrchestratorReply {
    /// To a report.
    Report(ReportReply),
    /// It is so.
    Done,
    /// What was told makes no sense; why, for people.
    Untold(String),
}

/// What comes back to the orchestrator itself.
#[doc(hidden)]
pub enum Own {
    /// From the planner.
    Planned(PlanReply),
    /// From the retriever, for an attempt that is to be given out.
    Prepared { task: TaskId, attempt: u32, reply: ContextReply },
    /// From the retriever, for a lease that was out when this incarnation began.
    Resumed { lease: LeaseId, reply: ContextReply },
    /// From the retriever, for a list.
    Listed { task: String, reply: ContextReply },
    /// From the retriever, for a run inside this one that was begun before this incarnation.
    Reborn { task: TaskId, reply: ContextReply },
    /// A run inside this one cannot be carried out.
    Unstarted { task: TaskId, why: String },
    /// From the router.
    Routed { task: (usize, TaskId), reply: RouteReply },
    /// From the validator.
    Judged { lease: LeaseId, verdicts: Verdicts },
    /// Everybody who was asked about a task died or hung with the question.
    Unanswered { task: TaskId, unanswered: Unanswered },
    /// A lease cannot be delivered, since its incarnation is no more.
    Undelivered { lease: LeaseId, why: String },
    /// An incarnation ended.
    Exited { agent: Path, incarnation: Incarnation, why: String },
    /// Events were missed.
    Compare,
    /// Something may be due.
    Tick,
    /// Somebody may be free.
    Retry,
}

impl Agent for Orchestrator {
    type Args = RunArgs;
    type Message = OrchestratorMessage;
    type Reply = OrchestratorReply;

    async fn start(args: RunArgs, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        Self::resume(args, ctx).await
    }

    async fn handle(
        &mut self,
        message: OrchestratorMessage,
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        let reply = match message {
            OrchestratorMessage::Report(report) => OrchestratorReply::Report(self.report(report, ctx).await?),
            OrchestratorMessage::Drain => {
                self.drain(ctx).await?;
                OrchestratorReply::Done
            }
            OrchestratorMessage::Tell { id, tell } => self.told(id, tell, ctx).await?,
            OrchestratorMessage::ChildOver { task, end } => {
                self.child_over(&task, &end, ctx).await?;
                OrchestratorReply::Done
            }
            OrchestratorMessage::Own(of, own) => {
                // On purpose: an answer is an answer.
                if of == ctx.incarnation() || bug_on_purpose!(ctx.system(), StaleAnswerCounts) {
                    self.own(own, ctx).await?;
                }
                OrchestratorReply::Done
            }
        };
        self.advance(ctx).await?;
        Ok(reply)
    }

    fn subject(message: &OrchestratorMessage) -> Option<Subject> {
        match message {
            OrchestratorMessage::Report(report) => Some(report.lease.attempt.subject()),
            OrchestratorMessage::Own(_, Own::Planned(_)) => Some(plan_subject()),
            OrchestratorMessage::ChildOver { task, .. } => Some(Subject::new(task.to_string(), 1)),
            OrchestratorMessage::Drain | OrchestratorMessage::Tell { .. } | OrchestratorMessage::Own(..) => None,
        }
    }
}

impl Orchestrator {
    async fn own(&mut self, own: Own, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        match own {
            Own::Planned(reply) => self.planned(reply, ctx).await,
            Own::Prepared { task, attempt, reply } => self.prepared((task, attempt), reply, ctx).await,
            Own::Resumed { lease, reply } => self.resumed(lease, reply, ctx),
            Own::Listed { task, reply } => self.listed(task, reply, ctx).await,
            Own::Reborn { task, reply } => self.reborn(&task, reply, ctx),
            Own::Unstarted { task, why } => self.unstarted(task, why, ctx).await,
            Own::Routed { task, reply } => self.routed(task, reply, ctx).await,
            Own::Judged { lease, verdicts } => self.judged(&lease, &verdicts, ctx).await,
            Own::Unanswered { task, unanswered } => self.unanswered(task, unanswered, ctx).await,
            Own::Undelivered { lease, why } => self.lost_with((&lease.agent, lease.incarnation), &why, ctx).await,
            // On purpose: whoever holds a lease reports on it.
            Own::Exited { .. } if bug_on_purpose!(ctx.system(), LeaseNotTakenBack) => Ok(()),
            Own::Exited { agent, incarnation, why } => self.lost_with((&agent, incarnation), &why, ctx).await,
            Own::Compare => self.compare(ctx).await,
            Own::Tick => {
                self.bench.wake = None;
                Ok(())
            }
            Own::Retry => {
                self.bench.crowded.clear();
                Ok(())
            }
        }
    }
}

/// Sets something going whose answer comes back as a message to the agent itself, if there is one.
fn set_going(ctx: &mut Context<Orchestrator>, work: impl Future<Output = Option<Own>> + Send + 'static) {
    let (myself, incarnation) = (ctx.myself(), ctx.incarnation());
    ctx.spawn(async move {
        let Some(own) = work.await else { return };
        let mut message = OrchestratorMessage::Own(incarnation, own);
        while let Err(TellError::Full { message: back, .. }) = myself.tell_wait(message, Duration::from_secs(1)).await {
            message = back;
        }
    });
}

impl From<ReportRequest> for OrchestratorMessage {
    fn from(report: ReportRequest) -> Self {
        Self::Report(report)
    }
}

impl TryFrom<OrchestratorReply> for ReportReply {
    type Error = OrchestratorReply;

    fn try_from(reply: OrchestratorReply) -> Result<Self, OrchestratorReply> {
        if let OrchestratorReply::Report(reply) = reply { Ok(reply) } else { Err(reply) }
    }
}

impl fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrator")
            .field("args", &self.args)
            .field("open", &self.state.open())
            .finish_non_exhaustive()
    }
}
