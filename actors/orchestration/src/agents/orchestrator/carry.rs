//! From a task that is due to a lease that is out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::{BoxError, Context, RequestError, System, bug_on_purpose};

use super::{Orchestrator, OrchestratorMessage, Own, Ready, set_going};
use crate::agents::ask::{TRY, Unanswered, again, ask_any};
use crate::agents::protocol::{
    Attempt, CONTEXT, ContextReply, ContextRequest, Lease, LeaseId, LeaseReply, LeaseRequest, ROUTE, RouteReply,
    RouteRequest, Wanted, task_capability,
};
use crate::agents::retriever::{results_of_list, results_of_work};
use crate::goal::model::Task;
use crate::goal::template::Scope;
use crate::plan::PlannedTask;
use crate::run::{
    Class, Facts, Leased, Millis, Outcome, Record, Report, Restarts, Shared, SkipCause, Step, TaskId, next,
    value_digest,
};
use crate::work::Work;

/// How long to wait before a task for which nobody was free is routed again, unless a lease ends before.
const RETRY: Duration = Duration::from_millis(20);

/// How often the time of day is looked at while something is due later.
const LOOK: Duration = Duration::from_mins(1);

impl Orchestrator {
    /// Does everything that is to be done now.
    pub(super) async fn advance(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        loop {
            let now = self.wall();
            let steps = next(&self.state, now);
            let mut records = Vec::new();
            for step in steps {
                match step {
                    Step::Append(record) => records.push(record),
                    Step::Prepare { task, attempt } => self.prepare(task, attempt, ctx)?,
                    Step::Expand(task) => self.expand(task, ctx)?,
                    Step::WakeAt(then) => self.wake_at(then, ctx),
                }
            }
            if records.is_empty() {
                break;
            }
            self.release(&records, ctx);
            self.commit(records, ctx).await?;
        }
        self.route(ctx);
        self.publish(ctx);
        Ok(())
    }

    /// Appends records, and only then takes them into account and tells of them.
    pub(super) async fn commit(&mut self, records: Vec<Record>, ctx: &Context<Self>) -> Result<(), BoxError> {
        let is_told = bug_on_purpose!(ctx.system(), ToldBeforeJournal);
        if is_told {
            // On purpose: the journal will have it in a moment.
            for record in &records {
                self.args.feed.tell(record);
            }
        }
        for record in self.log.append(records, ctx).await? {
            self.state.apply(&record)?;
            if !is_told {
                self.args.feed.tell(&record);
            }
        }
        // Whoever held a lease may be free now.
        self.bench.crowded.clear();
        Ok(())
    }

    /// Begins to prepare an attempt, unless that is under way.
    fn prepare(&mut self, task: TaskId, attempt: u32, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if !self.bench.preparing.insert(task.clone()) {
            return Ok(());
        }
        let request = self.context_of(Attempt { run: self.args.run, task: task.clone(), number: attempt })?;
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match context(&system, request).await {
                Ok(reply) => Own::Prepared { task, attempt, reply },
                Err(unanswered) => Own::Unanswered { task, unanswered },
            })
        });
        Ok(())
    }

    /// Begins to look for the items of a list, unless that is under way.
    fn expand(&mut self, task: String, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if !self.bench.expanding.insert(task.clone()) {
            return Ok(());
        }
        let spec = self.planned_task(&task)?.task().clone();
        let results = self.results(results_of_list(&spec));
        let attempt = Attempt { run: self.args.run, task: TaskId::single(&task), number: 1 };
        let request = ContextRequest { attempt, task: spec, params: self.params(), results, wanted: Wanted::Items };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match context(&system, request).await {
                Ok(reply) => Own::Listed { task, reply },
                Err(unanswered) => Own::Unanswered { task: TaskId::single(&task), unanswered },
            })
        });
        Ok(())
    }

    /// What the retriever needs to know to find the work of an attempt.
    pub(super) fn context_of(&mut self, attempt: Attempt) -> Result<ContextRequest, BoxError> {
        let task = self.planned_task(attempt.task.task())?.task().clone();
        let wanted = match attempt.task.index() {
            None => Wanted::Work,
            Some(index) => Wanted::ItemWork(self.item(&task, index)?),
        };
        let results = self.results(results_of_work(&task));
        Ok(ContextRequest { attempt, task, params: self.params(), results, wanted })
    }

    /// An item of a task's list. The list was recorded by its length; its items follow from results that are recorded.
    fn item(&mut self, task: &Task, index: u32) -> Result<Value, BoxError> {
        if !self.bench.lists.contains_key(&task.id) {
            let results = self.results(results_of_list(task));
            let results = results.into_iter().map(|(id, result)| (id, Value::clone(&result))).collect();
            let params = self.params();
            let items = task.items(&Scope::new(&params, &results))?.unwrap_or_default();
            self.bench.lists.insert(task.id.clone(), Arc::new(items));
        }
        let list = &self.bench.lists[&task.id];
        list.get(index as usize).cloned().ok_or_else(|| format!("the list of `{}` has no item {index}", task.id).into())
    }

    fn results(&self, ids: BTreeSet<String>) -> BTreeMap<String, Shared> {
        ids.into_iter().filter_map(|id| self.state.result(&id).cloned().map(|result| (id, result))).collect()
    }

    fn params(&self) -> BTreeMap<String, Value> {
        self.plan.as_ref().map(|plan| plan.params().clone()).unwrap_or_default()
    }

    pub(super) fn planned_task(&self, id: &str) -> Result<PlannedTask<'_>, BoxError> {
        let task = self.plan.as_ref().and_then(|plan| plan.task(id));
        task.ok_or_else(|| format!("the plan has no task `{id}`").into())
    }

    /// The retriever found what an attempt needs.
    pub(super) async fn prepared(
        &mut self,
        (task, attempt): (TaskId, u32),
        reply: ContextReply,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        if !self.is_open(&task) {
            return Ok(());
        }
        match reply {
            ContextReply::Work { work, lookups } => {
                let position = self.planned_task(task.task())?.position();
                self.bench.ready.insert((position, task), Ready { attempt, work: *work, lookups });
                Ok(())
            }
            ContextReply::Begin(begin) => self.begins(&task, *begin, ctx).await,
            other => self.not_run(&task, other, ctx).await,
        }
    }

    /// The retriever found the items of a list.
    pub(super) async fn listed(
        &mut self,
        task: String,
        reply: ContextReply,
        ctx: &Context<Self>,
    ) -> Result<(), BoxError> {
        let single = TaskId::single(&task);
        if !self.is_open(&single) {
            return Ok(());
        }
        match reply {
            ContextReply::Items(items) => {
                let count = u32::try_from(items.len())?;
                self.bench.lists.insert(task.clone(), Arc::new(items));
                self.commit(vec![Record::Expanded { task, items: count }], ctx).await
            }
            other => self.not_run(&single, other, ctx).await,
        }
    }

    /// A task has its outcome without having been run.
    async fn not_run(&mut self, task: &TaskId, reply: ContextReply, ctx: &Context<Self>) -> Result<(), BoxError> {
        let outcome = match reply {
            ContextReply::Skip(reason) => Outcome::Skipped { reason, cause: SkipCause::Condition },
            ContextReply::Impossible(failure) => Outcome::Failed { class: Class::Plan, message: failure.message },
            ContextReply::Work { .. } | ContextReply::Items(_) | ContextReply::Begin(_) => {
                return Err(format!("the retriever gave `{task}` what was not asked for").into());
            }
        };
        let attempt = self.state.task(task).map_or(0, |task| task.attempts);
        let wall = self.wall();
        self.commit(vec![Record::Recorded { task: task.clone(), attempt, outcome, wall }], ctx).await
    }

    /// A question about a task got no answer from anybody: the task ends with that.
    pub(super) async fn unanswered(
        &mut self,
        task: TaskId,
        unanswered: Unanswered,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.bench.routing.take_if(|(_, routed)| *routed == task);
        self.bench.ready.retain(|(_, ready), _| *ready != task);
        self.bench.judging.retain(|lease, _| lease.attempt.task != task);
        if !self.is_open(&task) {
            return Ok(());
        }
        let attempt = self.state.task(&task).map_or(0, |task| task.attempts);
        let message = format!("{}; run the task by itself to see what it does to them", unanswered.why);
        let outcome = Outcome::Failed { class: Class::Poison, message };
        let records = vec![Record::Recorded { task, attempt, outcome, wall: self.wall() }];
        self.release(&records, ctx);
        self.commit(records, ctx).await
    }

    /// Chooses an agent for the first task that waits for one and may have it.
    fn route(&mut self, ctx: &mut Context<Self>) {
        let room = self.state.outline().limits().concurrency > self.state.held().count();
        if self.bench.routing.is_some() || !room || self.state.is_draining() || self.state.ended().is_some() {
            return;
        }
        let Some((task, attempt, capability)) = self.first_ready() else { return };
        self.bench.routing = Some(task.clone());
        let attempt = Attempt { run: self.args.run, task: task.1.clone(), number: attempt };
        let busy = self.state.held().map(|(_, held)| held.agent.clone()).collect();
        let last = self.state.task(&task.1).and_then(|state| state.last.as_ref()).map(|held| held.agent.clone());
        let request = RouteRequest { attempt, capability, busy, last };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match ask_any(&system, &ROUTE, request).await {
                Ok(reply) => Own::Routed { task, reply },
                Err(unanswered) => Own::Unanswered { task: task.1, unanswered },
            })
        });
    }

    fn first_ready(&self) -> Option<((usize, TaskId), u32, String)> {
        self.bench.ready.iter().find_map(|(key, ready)| {
            let capability = self.planned_task(key.1.task()).ok()?.capability()?;
            let free = !self.bench.crowded.contains(capability);
            free.then(|| (key.clone(), ready.attempt, capability.to_owned()))
        })
    }

    /// The router answered.
    pub(super) async fn routed(
        &mut self,
        task: (usize, TaskId),
        reply: RouteReply,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.bench.routing = None;
        if !self.is_open(&task.1) {
            self.bench.ready.remove(&task);
            self.bench.preparing.remove(&task.1);
            return Ok(());
        }
        let RouteReply::Assigned(chosen) = reply else {
            self.bench.crowded.extend(self.planned_task(task.1.task())?.capability().map(str::to_owned));
            let message = OrchestratorMessage::Own(ctx.incarnation(), Own::Retry);
            ctx.after(RETRY, message);
            return Ok(());
        };
        if self.state.is_draining() {
            return Ok(());
        }
        let Some(ready) = self.bench.ready.remove(&task) else { return Ok(()) };
        let (_, task) = task;
        self.bench.preparing.remove(&task);
        tracing::debug!(%task, agent = %chosen.agent, reason = chosen.reason, "routed");
        let leased = Leased {
            task: task.clone(),
            attempt: ready.attempt,
            agent: chosen.agent.clone(),
            incarnation: chosen.incarnation.get(),
            key: ready.work.key.clone(),
            input_digest: input_digest(&ready.work)?,
            context: ready.lookups,
            wall: self.wall(),
        };
        let attempt = Attempt { run: self.args.run, task, number: ready.attempt };
        let lease = LeaseId { attempt, agent: chosen.agent, incarnation: chosen.incarnation };
        if bug_on_purpose!(ctx.system(), SentBeforeJournal) {
            // On purpose: it will be recorded, so it may begin.
            self.deliver(lease.clone(), ready.work.clone(), ctx);
        }
        self.commit(vec![Record::Leased(leased)], ctx).await?;
        self.deliver(lease, ready.work, ctx);
        Ok(())
    }

    /// Sends a lease until its holder has it, or is no more.
    pub(super) fn deliver(&self, id: LeaseId, work: Work, ctx: &mut Context<Self>) {
        let task = self.planned_task(id.attempt.task.task()).ok();
        let Some(capability) = task.and_then(|task| task.capability()).map(str::to_owned) else { return };
        let lease = Lease { id, orchestrator: ctx.path().clone(), work };
        let system = ctx.system().clone();
        set_going(ctx, async move { deliver(&system, &capability, lease).await });
    }

    /// Tells the holders of leases whose tasks get their outcome from elsewhere that nobody waits any more.
    fn release(&self, records: &[Record], ctx: &mut Context<Self>) {
        let recorded = records.iter().filter_map(|record| match record {
            Record::Recorded { task, .. } => Some(task),
            _ => None,
        });
        for task in recorded {
            let (Some(held), Ok(planned)) = (self.lease_of(task), self.planned_task(task.task())) else { continue };
            let Some(capability) = planned.capability().map(task_capability) else { continue };
            let system = ctx.system().clone();
            set_going(ctx, async move {
                let provider = system.provider(&capability, &held.agent)?;
                // An agent that does not answer is gone, and the lease with it.
                let _ = provider.ask(LeaseRequest::Drop(held), TRY).await;
                None
            });
        }
    }

    fn wake_at(&mut self, then: Millis, ctx: &mut Context<Self>) {
        if self.bench.wake.as_ref().is_some_and(|(at, _)| *at == then) {
            return;
        }
        if let Some((_, timer)) = self.bench.wake.take() {
            ctx.cancel(timer);
        }
        // The time of day may move on while this process sleeps with its machine, so it is looked at in between.
        let delay = then.since(self.wall()).clamp(Duration::from_millis(1), LOOK);
        let message = OrchestratorMessage::Own(ctx.incarnation(), Own::Tick);
        self.bench.wake = Some((then, ctx.after(delay, message)));
    }

    /// Tells of the report once the run is over. A new incarnation tells it again.
    fn publish(&mut self, ctx: &mut Context<Self>) {
        if self.bench.published || self.state.ended().is_none() {
            return;
        }
        self.bench.published = true;
        let restarts = ctx.system().restarts();
        let by_supervisor = restarts.by_supervisor.iter().map(|(path, count)| (path.to_string(), *count)).collect();
        let facts = Facts {
            goal: self.args.goal.name.clone(),
            description: self.args.goal.description.clone(),
            restarts: Restarts { total: restarts.total, by_supervisor },
        };
        self.args.feed.finish(Report::of(&self.state, facts, self.wall()).redacted(&self.args.redactor));
        self.tell_around(ctx);
    }

    fn is_open(&self, task: &TaskId) -> bool {
        let unsettled = self.state.task(task).is_some_and(|task| task.settled.is_none());
        unsettled && self.state.ended().is_none()
    }
}

/// Asks a retriever.
pub(super) async fn context(system: &System, request: ContextRequest) -> Result<ContextReply, Unanswered> {
    ask_any(system, &CONTEXT, request).await
}

/// The digest of what an attempt is given; the same for every attempt of a task.
fn input_digest(work: &Work) -> Result<String, BoxError> {
    let (spec, result) = (serde_json::to_value(&work.spec)?, serde_json::to_value(&work.result)?);
    Ok(value_digest(&json!({ "spec": spec, "result": result, "when": serde_json::to_value(&work.when)? })))
}

/// Sends a lease until its holder has it; what comes back says that the holder is no more.
async fn deliver(system: &System, capability: &str, lease: Lease) -> Option<Own> {
    let capability = task_capability(capability);
    let id = lease.id.clone();
    let lost = |why: String| Some(Own::Undelivered { lease: id.clone(), why });
    loop {
        let Some(provider) = system.provider(&capability, &id.agent) else {
            if system.incarnation(&id.agent) != Some(id.incarnation) {
                return lost(format!("`{}`, incarnation {}, is no more", id.agent, id.incarnation));
            }
            again("lease", &RequestError::Unknown { path: id.agent.to_string() }).await;
            continue;
        };
        match provider.ask(LeaseRequest::Take(Box::new(lease.clone())), TRY).await {
            Ok(LeaseReply::Accepted) => return None,
            Ok(LeaseReply::Stale) => {
                return lost(format!("`{}`, incarnation {}, is no more", id.agent, id.incarnation));
            }
            Err(error @ RequestError::Exited { .. }) => return lost(error.to_string()),
            Err(error) if system.incarnation(&id.agent) != Some(id.incarnation) => return lost(error.to_string()),
            Err(error) => again("lease", &error).await,
        }
    }
}
