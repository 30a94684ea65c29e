//! Runs inside this one: each is carried by an orchestrator of its own, which the one around it starts and ends.
//!
//! # Invariants
//!
//! * The run of a task is recorded before its orchestrator is started, and it is the same however often that happens.
//! * How a run inside this one ended is recorded before its orchestrator is told so and ended.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use steadfast::{BoxError, ChildError, ChildSpec, Context, Path, RequestError, RunId, Supervisor, System};

use super::{Feed, Orchestrator, OrchestratorMessage, Own, RunArgs, set_going};
use crate::agents::REPORT;
use crate::agents::ask::{TRY, again};
use crate::agents::protocol::{Attempt, ContextReply};
use crate::goal::span::Span;
use crate::preset::HANDLER_DEADLINE;
use crate::run::{ChildEnd, Class, Outcome, Record, TaskId, child_ended, failures, results};

/// The name of the supervisor of these orchestrators.
pub(crate) const CHILDREN: &str = "children";

/// How many starts of one orchestrator may fail in a row, as of every agent in the tree.
const STARTS: u32 = 16;

/// Who is told how a run inside another one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// The orchestrator of the run around it.
    pub orchestrator: Path,
    /// The task there that this run is.
    pub task: TaskId,
}

impl Orchestrator {
    /// Has a run inside this one carried out, unless that is so already.
    pub(super) fn start_child(
        &mut self,
        task: &TaskId,
        params: &Value,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        let args = self.child_args(task, params, ctx)?;
        let Some(place) = nursery(ctx.path()) else { return Err("an orchestrator stands in no domain".into()) };
        let (system, task) = (ctx.system().clone(), task.clone());
        set_going(ctx, async move { start(&system, &place, args).await.map(|why| Own::Unstarted { task, why }) });
        Ok(())
    }

    fn child_args(&self, task: &TaskId, params: &Value, ctx: &Context<Self>) -> Result<RunArgs, BoxError> {
        let child = self.state.child(task).ok_or("the run inside this one was not recorded")?;
        let goal = self.planned_task(task.task())?.task().goal.as_ref().and_then(|goal| goal.inline.as_deref());
        let mut goal = goal.ok_or("the goal inside this one is not there")?.clone();
        // Its time ends with that of the run around it.
        let left = child.time_left.map(|left| Span::of(left.max(Duration::from_millis(1))));
        goal.limits.deadline = goal.limits.deadline.into_iter().chain(left).min();
        let params: BTreeMap<String, Value> = serde_json::from_value(params.clone())?;
        let around = Around { orchestrator: ctx.path().clone(), task: task.clone() };
        Ok(RunArgs { run: child.run, goal, params, feed: Feed::new(), around: Some(around), ..self.args.clone() })
    }

    /// Carries on with the runs inside this one that an earlier incarnation began.
    pub(super) fn take_up_children(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let open = |task: &TaskId| self.state.task(task).is_some_and(|task| task.settled.is_none());
        let children = self.state.children().filter(|(task, child)| child.ended.is_none() || open(task));
        let tasks: Vec<_> = children.map(|(task, _)| task.clone()).collect();
        for task in tasks {
            let request = self.context_of(Attempt { run: self.args.run, task: task.clone(), number: 1 })?;
            let system = ctx.system().clone();
            set_going(ctx, async move {
                Some(match super::carry::context(&system, request).await {
                    Ok(reply) => Own::Reborn { task, reply },
                    Err(unanswered) => Own::Unstarted { task, why: unanswered.why },
                })
            });
        }
        Ok(())
    }

    /// The parameters of a run that an earlier incarnation began are known again.
    pub(super) fn reborn(
        &mut self,
        task: &TaskId,
        reply: ContextReply,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        use crate::run::Begin;
        match reply {
            ContextReply::Begin(begin) if matches!(*begin, Begin::Child { .. }) => {
                if let Begin::Child { params } = *begin {
                    self.start_child(task, &params, ctx)?;
                }
                Ok(())
            }
            // The same question had an answer when the run was begun, and nothing that it depends on changes.
            other => Err(format!("the parameters of `{task}` cannot be found again: {other:?}").into()),
        }
    }

    /// A run inside this one cannot be carried out.
    pub(super) async fn unstarted(&mut self, task: TaskId, why: String, ctx: &Context<Self>) -> Result<(), BoxError> {
        if self.state.task(&task).is_none_or(|task| task.settled.is_some()) {
            return Ok(());
        }
        let message = format!("the goal of its own cannot be carried out: {why}");
        let outcome = Outcome::Failed { class: Class::Child, message };
        self.commit(vec![Record::Recorded { task, attempt: 0, outcome, wall: self.wall() }], ctx).await
    }

    /// A run inside this one is over: that is recorded, and its orchestrator ends.
    pub(super) async fn child_over(
        &mut self,
        task: &TaskId,
        end: &ChildEnd,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        if self.state.ended().is_none() {
            let records = child_ended(&self.state, task, end, self.wall());
            self.commit(records, ctx).await?;
        }
        if let Some(place) = nursery(ctx.path()) {
            let (system, run) = (ctx.system().clone(), end.run);
            set_going(ctx, async move {
                forget(&system, &place, run).await;
                None
            });
        }
        Ok(())
    }

    /// Tells the orchestrator around this one how the run ended, until it has recorded that.
    pub(super) fn tell_around(&self, ctx: &mut Context<Self>) {
        let (Some(around), Some((status, _))) = (self.args.around.clone(), self.state.ended()) else { return };
        let why = self.args.redactor.text(&failures(&self.state)).into_owned();
        let end = ChildEnd { run: self.args.run, status, results: results(&self.state), why };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            tell(&system, &around, end).await;
            None
        });
    }
}

/// Where the orchestrators of runs inside others stand: beside the supervisor of the outermost ones.
fn nursery(orchestrator: &Path) -> Option<Path> {
    format!("{}/{CHILDREN}", orchestrator.parent()?.parent()?).parse().ok()
}

/// Starts the orchestrator of a run, if it is not there; says why it cannot be.
async fn start(system: &System, place: &Path, args: RunArgs) -> Option<String> {
    let name = args.run.to_string();
    let mut failed = 0;
    loop {
        let Ok(supervisor) = system.supervisor(place) else {
            return Some(format!("there is no `{place}`"));
        };
        let spec = ChildSpec::agent::<Orchestrator>(&name, args.clone()).offers(&REPORT);
        let spec: ChildSpec = spec.handler_deadline(HANDLER_DEADLINE).into();
        match supervisor.start_child(spec).await {
            Ok(_) | Err(ChildError::AlreadyStarted { .. } | ChildError::Gone { .. }) => return None,
            Err(ChildError::AlreadyPresent { .. }) => return present(&supervisor, &name).await,
            Err(error) => {
                failed += 1;
                if failed == STARTS {
                    return Some(error.to_string());
                }
                tracing::debug!(%error, run = name, "starting it again");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// The orchestrator is stopped, or between two incarnations.
async fn present(supervisor: &Supervisor, name: &str) -> Option<String> {
    match supervisor.restart_child(name).await {
        Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting { .. } | ChildError::Gone { .. }) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Ends the orchestrator of a run that is over.
async fn forget(system: &System, place: &Path, run: RunId) {
    let Ok(supervisor) = system.supervisor(place) else { return };
    let name = run.to_string();
    let ended = supervisor.terminate_child(&name).await;
    let forgotten = supervisor.delete_child(&name).await;
    if let Some(error) = ended.and(forgotten).err() {
        // It is not there any more, which is what was wanted; or the tree ends.
        tracing::debug!(%error, %run, "it was ended already");
    }
}

async fn tell(system: &System, around: &Around, end: ChildEnd) {
    loop {
        let message = OrchestratorMessage::ChildOver { task: around.task.clone(), end: end.clone() };
        let error = match system.agent::<Orchestrator>(&around.orchestrator) {
            Ok(agent) => match agent.ask_within(message, TRY).await {
                Ok(_) | Err(RequestError::Gone { .. }) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        again("child", &error).await;
    }
}
