//! Carries one goal from its plan to its result.
//!
//! There is one orchestrator per goal. It keeps nothing but what it folds from the journal: nothing that happens has an effect
//! outside before it is appended, so its own crash changes nothing.
//!
//! ```text
//! plan -> (route -> context -> lease -> report -> validate) for each task, as the plan allows -> report
//! ```
//!
//! # Invariants
//!
//! * A lease is journaled before it is sent, and an outcome before it is acknowledged.
//! * A result is appended together with what follows from it without anybody's work: the next lease, or the end of the run.
//!   Until then the state is ahead of the journal, and nothing leaves the orchestrator but questions. It is appended alone
//!   as soon as anything is heard but the router's answer, so that it waits for nobody who is slow.
//! * A report is only taken from the incarnation that holds the lease, for the attempt it holds.
//! * No handler waits for another agent but the journal, which answers or ends within a limit of its own.

mod artifacts;
mod asked;
mod carry;
mod charges;
mod children;
mod control;
mod feed;
mod hold_up;
mod log;
mod nursery;
mod part;
mod reports;
mod resume;
mod route;
mod undo;
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
use crate::agents::desk::Workshop;
use crate::agents::planner::plan_subject;
use crate::agents::protocol::{
    Attempt, ChargeReply, ChargeRequest, ContextReply, LeaseId, Part, PlanReply, ReportReply, ReportRequest, RouteReply,
};
use crate::goal::model::Goal;
use crate::host::{Answer, Asked};
use crate::plan::Plan;
use crate::redact::Redactor;
use crate::run::{
    ChildEnd, Kept, Lacking, Lookups, Millis, Order, Parent, Resumption, RunState, Standing, TaskId, Tell,
};
use crate::seam::artifacts::Artifacts;
use crate::seam::files::Files;
use crate::work::Work;
use crate::work::validate::Verdicts;

pub use artifacts::{Lacks, NotWhole, make_whole};
pub use children::Around;
use children::Led;
pub use control::Refusal;
pub use feed::Feed;
use log::Log;
pub(crate) use nursery::{CHILDREN, end_inside};

/// What an orchestrator carries out.
#[derive(Clone)]
pub struct RunArgs {
    /// The run.
    pub run: RunId,
    /// What is wanted.
    pub goal: Goal,
    /// The parameters that were given.
    pub params: BTreeMap<String, Value>,
    /// The input folder, as it is recorded; empty where the run has none that others could name.
    pub input: String,
    /// Whose step this run is.
    pub parent: Option<Parent>,
    /// Whether anybody keeps what happens in it: by the level of the journal.
    pub kept: Kept,
    /// How many executors there are.
    pub jobs: usize,
    /// Who carries it: the name of this process, which no other one has. Where it is empty, nobody else can take the run
    /// over but an incarnation of the same orchestrator.
    pub by: String,
    /// The input folder.
    pub files: Arc<dyn Files>,
    /// Where agents find what the run works with. It is opened there when the orchestrator begins.
    pub shop: Workshop,
    /// What may be told.
    pub redactor: Redactor,
    /// Where large results are kept, as durably as the journal keeps their records.
    pub artifacts: Arc<dyn Artifacts>,
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
    /// What its commands need and this process does not have.
    lacking: Lacking,
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
    /// Somebody else carries the run, or nobody can: this incarnation does nothing more.
    parted: Option<Standing>,
    /// What the runs inside this one were told last.
    led: BTreeMap<TaskId, Led>,
    /// Those that are being told.
    leading: BTreeSet<TaskId>,
    /// Those that could not begin while a result was not to be had.
    unbegun: BTreeSet<TaskId>,
    /// Those that are let go of, with what they are begun with again once nothing of them is left.
    leaving: BTreeMap<TaskId, Option<Value>>,
}

/// An attempt that waits for an agent.
struct Ready {
    attempt: u32,
    part: Part,
    work: Work,
    lookups: Lookups,
}

/// What an orchestrator is told and asked.
pub enum OrchestratorMessage {
    /// How an attempt ended.
    Report(ReportRequest),
    /// What an attempt is about to use, or has used.
    Charge(ChargeRequest),
    /// To give out no more leases in this process. When those that are out have ended, a run that nobody keeps ends; one
    /// that is kept goes on in another process.
    Drain,
    /// To stand still until it is resumed. What is in flight ends, and nothing is undone.
    Pause {
        /// Who wants it.
        who: String,
    },
    /// To go on, and give their attempts again to tasks that had used them up.
    Resume {
        /// Who wants it.
        who: String,
    },
    /// To end before its time. What is in flight is dropped.
    Cancel {
        /// Whether what was done is undone.
        undo: bool,
        /// Who wants it.
        who: String,
        /// Why, for people.
        why: String,
    },
    /// To drop what is in flight at once. A run that is kept stands still then, as if it had been paused; one that nobody
    /// keeps ends.
    Stop {
        /// Who wants it.
        who: String,
    },
    /// The run around this one is not carried here any more, and so is this one.
    #[doc(hidden)]
    Abandon(Standing),
    /// Something that was asked by a request, which may come again: it is done once.
    Asked(Box<Asked>),
    /// A request about this run is not done; that is recorded here for whoever asks.
    #[doc(hidden)]
    Refuse {
        /// The request.
        id: Uuid,
        /// Why, for people.
        why: String,
    },
    /// What a person decided, or what happened outside.
    Tell {
        /// What it is asked by, where it may be asked again: it is taken once.
        id: Option<Uuid>,
        /// What.
        tell: Tell,
    },
    /// What the run around this one wants of it.
    #[doc(hidden)]
    Follow {
        /// That run.
        around: RunId,
        /// What it wants.
        order: Order,
        /// When that run was resumed last.
        resumed: Option<Resumption>,
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

impl OrchestratorMessage {
    /// The same once more, for those that may be said again.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Follow { around, order, resumed } => {
                Some(Self::Follow { around: *around, order: order.clone(), resumed: *resumed })
            }
            Self::Stop { who } => Some(Self::Stop { who: who.clone() }),
            _ => None,
        }
    }
}

/// What an orchestrator answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrchestratorReply {
    /// To a report.
    Report(ReportReply),
    /// To a charge.
    Charge(ChargeReply),
    /// It is so.
    Done,
    /// What was told makes no sense; why, for people.
    Untold(String),
    /// It is not so.
    Refused(Refusal),
    /// To what was asked by a request.
    Answered(Answer),
}

/// What comes back to the orchestrator itself.
#[doc(hidden)]
pub enum Own {
    /// From the planner.
    Planned(PlanReply),
    /// From the retriever, for an attempt that is to be given out.
    Prepared { attempt: Attempt, reply: ContextReply },
    /// From the retriever, for a lease that was out when this incarnation began.
    Resumed { lease: LeaseId, reply: ContextReply },
    /// From the retriever, for a list.
    Listed { task: String, reply: ContextReply },
    /// What a run inside this one was begun with before this incarnation.
    Reborn { task: TaskId, params: Value },
    /// A run inside this one was to begin before this incarnation, and did not.
    Unbegun { task: TaskId },
    /// A run inside this one stands otherwise than before.
    ChildStands { task: TaskId, now: Standing },
    /// A run inside this one was told what is wanted of it.
    Led { task: TaskId, led: Led },
    /// Nothing of a run inside this one is left here.
    Left { task: TaskId },
    /// A run inside this one cannot be carried out.
    Unstarted { task: TaskId, why: String },
    /// From the router.
    Routed { task: (usize, TaskId), reply: RouteReply },
    /// From the validator.
    Judged { lease: LeaseId, verdicts: Verdicts },
    /// Everybody who was asked about a task died or hung with the question.
    Unanswered { task: TaskId, part: Part, unanswered: Unanswered },
    /// A lease cannot be delivered, since its incarnation is no more.
    Undelivered { lease: LeaseId, why: String },
    /// An incarnation ended.
    Exited { agent: Path, incarnation: Incarnation, why: String },
    /// An agent failed too often, and does not come back by itself.
    PutAside { agent: Path, why: String },
    /// Events were missed.
    Compare,
    /// Something may be due.
    Tick,
    /// Somebody may be free.
    Retry,
    /// Those who held leases know that nobody here waits for them.
    Parted,
}

impl Agent for Orchestrator {
    type Args = RunArgs;
    type Message = OrchestratorMessage;
    type Reply = OrchestratorReply;

    async fn start(args: RunArgs, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        Self::begin(args, ctx).await
    }

    async fn handle(
        &mut self,
        message: OrchestratorMessage,
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        let parted = Self::reply_of_parted(&message);
        if let Some(standing) = self.bench.parted.clone() {
            return Ok(self.after_parting(standing, &message, ctx));
        }
        match self.heard(message, ctx).await {
            Ok(reply) => Ok(reply),
            Err(error) => self.part(error, ctx).map(|()| parted),
        }
    }

    fn subject(message: &OrchestratorMessage) -> Option<Subject> {
        match message {
            OrchestratorMessage::Report(report) => Some(report.lease.attempt.subject()),
            OrchestratorMessage::Charge(request) => Some(request.lease.attempt.subject()),
            OrchestratorMessage::Own(_, Own::Planned(_)) => Some(plan_subject()),
            OrchestratorMessage::ChildOver { task, .. } => Some(Subject::new(task.to_string(), 1)),
            _ => None,
        }
    }
}

impl Orchestrator {
    async fn heard(
        &mut self,
        message: OrchestratorMessage,
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        // What was put off is appended with what the router says, or before anything else is heard.
        let is_routed =
            matches!(&message, OrchestratorMessage::Own(of, Own::Routed { .. }) if *of == ctx.incarnation());
        if !is_routed {
            self.catch_up(ctx).await?;
        }
        let reply = match message {
            OrchestratorMessage::Report(report) => OrchestratorReply::Report(self.report(report, ctx).await?),
            OrchestratorMessage::Charge(request) => OrchestratorReply::Charge(self.charge(request, ctx).await?),
            OrchestratorMessage::Drain => self.drain(ctx).await?,
            OrchestratorMessage::Pause { who } => self.pause(who, ctx).await?,
            OrchestratorMessage::Resume { who } => self.go_on(who, ctx).await?,
            OrchestratorMessage::Cancel { undo, who, why } => self.cancel(undo, (who, why), ctx).await?,
            OrchestratorMessage::Stop { who } => self.stop_at_once(who, ctx).await?,
            OrchestratorMessage::Tell { id, tell } => self.told(id, tell, ctx).await?,
            OrchestratorMessage::Follow { around, order, resumed } => {
                self.follow(around, (order, resumed), ctx).await?
            }
            OrchestratorMessage::ChildOver { task, end } => {
                self.child_over(&task, &end, ctx).await?;
                OrchestratorReply::Done
            }
            OrchestratorMessage::Abandon(standing) => {
                self.abandon(standing, ctx);
                return Ok(OrchestratorReply::Done);
            }
            OrchestratorMessage::Asked(asked) => OrchestratorReply::Answered(self.asked(&asked, ctx).await?),
            OrchestratorMessage::Refuse { id, why } => OrchestratorReply::Answered(self.refuse(id, why, ctx).await?),
            OrchestratorMessage::Own(of, own) => {
                // On purpose: an answer is an answer.
                if of == ctx.incarnation() || bug_on_purpose!(ctx.system(), StaleAnswerCounts) {
                    self.own(own, ctx).await?;
                }
                OrchestratorReply::Done
            }
        };
        if is_routed {
            self.catch_up(ctx).await?;
        }
        self.advance(ctx).await?;
        Ok(reply)
    }

    async fn own(&mut self, own: Own, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        match own {
            Own::Planned(reply) => self.planned(reply, ctx).await,
            Own::Prepared { attempt, reply } => self.prepared(attempt, reply, ctx).await,
            Own::Resumed { lease, reply } => self.resumed(lease, reply, ctx),
            Own::Listed { task, reply } => self.listed(task, reply, ctx).await,
            Own::Reborn { task, params } => self.reborn(&task, &params, ctx),
            Own::Unbegun { task } => self.unbegun(task, ctx),
            Own::Unstarted { task, why } | Own::ChildStands { task, now: Standing::GivenUp { why } } => {
                self.unstarted(&task, why, ctx).await
            }
            Own::ChildStands { task, now } => {
                self.watch_child(&task, now, ctx);
                Ok(())
            }
            Own::Led { task, led } => {
                self.bench.leading.remove(&task);
                self.bench.led.insert(task, led);
                Ok(())
            }
            Own::Left { task } => self.left(&task, ctx),
            Own::Routed { task, reply } => self.routed(task, reply, ctx).await,
            Own::Judged { lease, verdicts } => self.judged(&lease, &verdicts, ctx),
            Own::Unanswered { task, part, unanswered } => self.unanswered((task, part), unanswered, ctx).await,
            Own::Undelivered { lease, why } => self.lost_with((&lease.agent, lease.incarnation), &why, ctx).await,
            // On purpose: whoever holds a lease reports on it.
            Own::Exited { .. } if bug_on_purpose!(ctx.system(), LeaseNotTakenBack) => Ok(()),
            Own::Exited { agent, incarnation, why } => self.lost_with((&agent, incarnation), &why, ctx).await,
            Own::PutAside { agent, why } => {
                self.compare(ctx).await?;
                self.put_aside(&agent, &why, ctx).await
            }
            Own::Compare => {
                self.compare(ctx).await?;
                self.compare_children(ctx).await
            }
            Own::Tick => {
                self.bench.wake = None;
                Ok(())
            }
            Own::Retry => {
                self.bench.crowded.clear();
                Ok(())
            }
            Own::Parted => Ok(()),
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

impl From<ChargeRequest> for OrchestratorMessage {
    fn from(request: ChargeRequest) -> Self {
        Self::Charge(request)
    }
}

impl TryFrom<OrchestratorReply> for ChargeReply {
    type Error = OrchestratorReply;

    fn try_from(reply: OrchestratorReply) -> Result<Self, OrchestratorReply> {
        if let OrchestratorReply::Charge(reply) = reply { Ok(reply) } else { Err(reply) }
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
