//! From a task that is due to a lease that is out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use steadfast::{BoxError, Context, System, bug_on_purpose};

use super::{Orchestrator, OrchestratorMessage, Own, Ready, set_going};
use crate::agents::ask::{Unanswered, ask_any};
use crate::agents::protocol::{Attempt, CONTEXT, ContextReply, ContextRequest, Part, Wanted};
use crate::agents::retriever::{at_hand, results_of_list, results_of_work};
use crate::goal::model::Task;
use crate::goal::template::Scope;
use crate::plan::PlannedTask;
use crate::run::{
    Class, Facts, Millis, Outcome, Record, Report, Restarts, Shared, SkipCause, Standing, Step, TaskId, given_up, next,
};

/// How long to wait before a task for which nobody was free is routed again, unless a lease ends before.
pub(super) const RETRY: Duration = Duration::from_millis(20);

/// How often the time of day is looked at while something is due later.
const LOOK: Duration = Duration::from_mins(1);

impl Orchestrator {
    /// Does everything that is to be done now.
    pub(super) async fn advance(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        loop {
            self.hold_up(ctx).await?;
            let now = self.wall();
            let steps = next(&self.state, now);
            let mut records = Vec::new();
            for step in steps {
                match step {
                    Step::Append(record) => records.push(record),
                    Step::Prepare { task, attempt } => self.prepare(task, attempt, ctx)?,
                    Step::Undo { task, attempt } => self.prepare_undo(task, attempt, ctx)?,
                    Step::Expand(task) => self.expand(task, ctx)?,
                    Step::WakeAt(then) => self.wake_at(then, ctx),
                }
            }
            if records.is_empty() {
                if self.look_at_attempts(ctx).await? {
                    continue;
                }
                break;
            }
            self.commit_ending(records, ctx).await?;
        }
        self.route(ctx);
        if self.log.behind() > 0 {
            if self.bench.routing.is_some() {
                // What the router says is appended together with it.
                return Ok(());
            }
            self.catch_up(ctx).await?;
            self.route(ctx);
        }
        self.lead(ctx);
        self.publish(ctx);
        Ok(())
    }

    /// Takes records into account that are appended with what is appended next, at the latest before the message after this
    /// one is heard. Until then nothing follows from them but questions.
    pub(super) fn put_off(&mut self, records: Vec<Record>, ctx: &Context<Self>) -> Result<(), BoxError> {
        for record in self.log.put_off(records) {
            self.state.apply(record)?;
            if bug_on_purpose!(ctx.system(), ToldBeforeJournal) {
                // On purpose: as in `commit`.
                self.args.feed.tell(record.clone());
            }
        }
        self.bench.crowded.clear();
        self.args.shop.floor().frees(self.args.run, &self.holders());
        Ok(())
    }

    /// Appends what was put off.
    pub(super) async fn catch_up(&mut self, ctx: &Context<Self>) -> Result<(), BoxError> {
        if self.log.behind() == 0 { Ok(()) } else { self.commit(Vec::new(), ctx).await }
    }

    /// Appends records after those that were put off, and only then takes them into account and tells of all.
    pub(super) async fn commit(&mut self, records: Vec<Record>, ctx: &Context<Self>) -> Result<(), BoxError> {
        let is_told = bug_on_purpose!(ctx.system(), ToldBeforeJournal);
        if is_told {
            // On purpose: the journal will have it in a moment.
            for record in &records {
                self.args.feed.tell(record.clone());
            }
        }
        let known = self.log.behind();
        for (number, record) in self.log.append(records, ctx).await?.into_iter().enumerate() {
            if number >= known {
                self.state.apply(&record)?;
            }
            if !is_told {
                self.args.feed.tell(record);
            }
        }
        // Whoever held a lease may be free now.
        self.bench.crowded.clear();
        self.take_seats();
        Ok(())
    }

    /// Appends records with which leases may end that nobody reported on, and then tells the holders.
    ///
    /// An agent that dropped a lease does not take it again, so that it must not be out for an incarnation that follows.
    pub(super) async fn commit_ending(
        &mut self,
        records: Vec<Record>,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        let leases = self.ending_with(&records);
        self.commit(records, ctx).await?;
        self.release(leases, ctx);
        Ok(())
    }

    /// Begins to prepare an attempt, unless that is under way.
    fn prepare(&mut self, task: TaskId, attempt: u32, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if !self.bench.preparing.insert(task.clone()) {
            return Ok(());
        }
        let request = self.context_of(self.attempt(&task, (attempt, Part::Task)))?;
        if let Some((work, lookups)) = at_hand(&request) {
            let position = self.planned_task(task.task())?.position();
            self.bench.ready.insert((position, task), Ready { attempt, part: Part::Task, work, lookups });
            return Ok(());
        }
        let system = ctx.system().clone();
        set_going(ctx, async move {
            let attempt = request.attempt.clone();
            Some(match context(&system, request).await {
                Ok(reply) => Own::Prepared { attempt, reply },
                Err(unanswered) => Own::Unanswered { task, part: Part::Task, unanswered },
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
        let attempt = self.attempt(&TaskId::single(&task), (1, Part::Task));
        let request = ContextRequest { attempt, task: spec, params: self.params(), results, wanted: Wanted::Items };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match context(&system, request).await {
                Ok(reply) => Own::Listed { task, reply },
                Err(unanswered) => Own::Unanswered { task: TaskId::single(&task), part: Part::Task, unanswered },
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
    pub(super) fn item(&mut self, task: &Task, index: u32) -> Result<Value, BoxError> {
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

    pub(super) fn results(&self, ids: BTreeSet<String>) -> BTreeMap<String, Shared> {
        ids.into_iter().filter_map(|id| self.state.result(&id).cloned().map(|result| (id, result))).collect()
    }

    pub(super) fn params(&self) -> BTreeMap<String, Value> {
        self.plan.as_ref().map(|plan| plan.params().clone()).unwrap_or_default()
    }

    pub(super) fn planned_task(&self, id: &str) -> Result<PlannedTask<'_>, BoxError> {
        let task = self.plan.as_ref().and_then(|plan| plan.task(id));
        task.ok_or_else(|| format!("the plan has no task `{id}`").into())
    }

    /// The retriever found what an attempt needs.
    pub(super) async fn prepared(
        &mut self,
        attempt: Attempt,
        reply: ContextReply,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        if !self.is_wanted(&attempt) {
            return Ok(());
        }
        let Attempt { task, number, part, .. } = attempt;
        match (reply, part) {
            (ContextReply::Work { work, lookups }, _) => {
                let position = self.planned_task(task.task())?.position();
                self.bench.ready.insert((position, task), Ready { attempt: number, part, work: *work, lookups });
                Ok(())
            }
            (ContextReply::Begin(begin), Part::Task) => self.begins(&task, *begin, ctx).await,
            (other, Part::Task) => self.not_run(&task, other, ctx).await,
            (other, Part::Undo) => self.undo_not_found(task, other, ctx).await,
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

    /// A question about a task got no answer from anybody: the task is not tried again by itself.
    pub(super) async fn unanswered(
        &mut self,
        (task, part): (TaskId, Part),
        unanswered: Unanswered,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.bench.routing.take_if(|(_, routed)| *routed == task);
        self.bench.ready.retain(|(_, ready), _| *ready != task);
        self.bench.judging.retain(|lease, _| lease.attempt.task != task);
        // If the run is resumed, it is asked once more.
        self.bench.preparing.remove(&task);
        self.bench.expanding.remove(task.task());
        let message = format!("{}; run the task by itself to see what it does to them", unanswered.why);
        if part == Part::Undo {
            let is_next = self.is_to_undo(&task);
            return if is_next { self.undo_impossible(task, (Class::Poison, message), ctx).await } else { Ok(()) };
        }
        if !self.is_open(&task) {
            return Ok(());
        }
        let attempt = self.state.task(&task).map_or(0, |task| task.attempts);
        let records = vec![given_up(&self.state, (&task, attempt), (Class::Poison, message), self.wall())];
        self.commit_ending(records, ctx).await
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
        self.args.feed.stand(Standing::of(&self.state, self.wall()).with(self.inside()));
        // A run inside another one may be taken up again when that is undone.
        self.bench.published &= self.state.ended().is_some();
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
            estimate: None,
        };
        self.args.feed.finish(Report::of(&self.state, facts, self.wall()).redacted(&self.args.redactor));
        self.tell_around(ctx);
    }

    /// Whether anybody waits for this attempt.
    pub(super) fn is_wanted(&self, attempt: &Attempt) -> bool {
        match attempt.part {
            Part::Task => self.is_open(&attempt.task),
            Part::Undo => self.is_to_undo(&attempt.task),
        }
    }

    fn is_open(&self, task: &TaskId) -> bool {
        let unsettled = self.state.task(task).is_some_and(|task| task.settled.is_none());
        unsettled && self.state.ended().is_none()
    }

    /// An attempt of this run.
    pub(super) fn attempt(&self, task: &TaskId, (number, part): (u32, Part)) -> Attempt {
        Attempt { run: self.args.run, task: task.clone(), number, part }
    }
}

/// Asks a retriever.
pub(super) async fn context(system: &System, request: ContextRequest) -> Result<ContextReply, Unanswered> {
    ask_any(system, &CONTEXT, request).await
}
