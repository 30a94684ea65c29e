//! From a report to an outcome, and what becomes of leases whose holder died.

use steadfast::{BoxError, Context, Incarnation, Path, bug_on_purpose};

use super::{Orchestrator, Own, set_going};
use crate::agents::ask::ask_any;
use crate::agents::protocol::{Attempt, LeaseId, Part, ReportReply, ReportRequest, VALIDATE, ValidateRequest};
use crate::run::{
    self, AttemptEnd, Class, Held, Millis, Record, TaskId, TaskState, attempt_ended, attempt_lost, undo_lost,
};
use crate::work::bound::bounded;
use crate::work::validate::Verdicts;
use crate::work::{Failure, Outcome};

impl Orchestrator {
    /// An agent says how an attempt ended. The same report may come any number of times.
    pub(super) async fn report(
        &mut self,
        report: ReportRequest,
        ctx: &mut Context<Self>,
    ) -> Result<ReportReply, BoxError> {
        let ReportRequest { lease, end } = report;
        if !self.holds(&lease, ctx) {
            return self.settled_or_refused(&lease, ctx).await;
        }
        if lease.attempt.part == Part::Undo {
            return self.undo_reported(&lease, end, ctx).await;
        }
        let task = &lease.attempt.task;
        // Whoever offers a capability may report anything; what cannot be recorded must not get to the journal.
        let end = end.and_then(recordable);
        let end = match end {
            Ok(Outcome::Done { value }) => {
                if !self.bench.judging.contains_key(&lease) {
                    self.bench.judging.insert(lease.clone(), value.clone());
                    self.state.judge(task);
                    self.judge(lease, value, ctx)?;
                }
                return Ok(ReportReply::Received);
            }
            Ok(Outcome::Skipped { reason }) => AttemptEnd::Skipped { reason },
            Err(failure) => AttemptEnd::Failed { class: failure.class.into(), message: failure.message },
        };
        let records = attempt_ended(&self.state, task, end, self.wall());
        self.commit(records, ctx).await?;
        Ok(ReportReply::Settled)
    }

    /// A report for a lease that is not out: it was recorded before and only the answer got lost, or the lease is
    /// somebody else's by now.
    async fn settled_or_refused(&mut self, lease: &LeaseId, ctx: &Context<Self>) -> Result<ReportReply, BoxError> {
        let task = self.state.task(&lease.attempt.task);
        let ended = |task: &TaskState| !task.lost && task.last.as_ref().is_some_and(|last| is(last, lease));
        let number = lease.attempt.number;
        let recorded = match lease.attempt.part {
            Part::Task => task.is_some_and(|task| ended(task) || task.failed.contains(&number)),
            Part::Undo => task.and_then(|task| task.undo.as_ref()).is_some_and(|undo| {
                let ended = !undo.lost && undo.last.as_ref().is_some_and(|last| is(last, lease));
                ended || undo.failed.contains(&number)
            }),
        };
        if recorded
            && lease.attempt.part == Part::Task
            && bug_on_purpose!(ctx.system(), ResultRecordedTwice)
            && let Some(settled) = task.and_then(|task| task.settled.clone())
        {
            // On purpose: it was reported, so it is recorded.
            let (LeaseId { attempt, .. }, wall) = (lease.clone(), self.wall());
            let again =
                Record::Recorded { task: attempt.task, attempt: attempt.number, outcome: settled.outcome, wall };
            self.commit(vec![again], ctx).await?;
            return Ok(ReportReply::Settled);
        }
        if recorded || self.state.ended().is_some() {
            return Ok(if recorded { ReportReply::Settled } else { ReportReply::Refused });
        }
        let refused = Record::Refused {
            task: lease.attempt.task.clone(),
            attempt: lease.attempt.number,
            agent: lease.agent.clone(),
            incarnation: lease.incarnation.get(),
        };
        self.commit(vec![refused], ctx).await?;
        Ok(ReportReply::Refused)
    }

    /// Has a result judged before it is recorded.
    fn judge(&mut self, lease: LeaseId, value: serde_json::Value, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let schema = self.planned_task(lease.attempt.task.task())?.task().schema.clone();
        let goal = self.args.goal.name.clone();
        let request = ValidateRequest { attempt: lease.attempt.clone(), goal, value, schema };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match ask_any(&system, &VALIDATE, request).await {
                Ok(verdicts) => Own::Judged { lease, verdicts },
                Err(unanswered) => Own::Unanswered { task: lease.attempt.task, part: Part::Task, unanswered },
            })
        });
        Ok(())
    }

    /// The validator answered. What follows from the result by itself is appended together with it.
    pub(super) fn judged(&mut self, lease: &LeaseId, verdicts: &Verdicts, ctx: &Context<Self>) -> Result<(), BoxError> {
        let Some(value) = self.bench.judging.remove(lease) else { return Ok(()) };
        if !self.holds(lease, ctx) {
            return Ok(());
        }
        let end = if verdicts.passed() {
            AttemptEnd::Succeeded(self.args.redactor.value(&value))
        } else {
            let class = if verdicts.policy.passed() { Class::Invalid } else { Class::Denied };
            AttemptEnd::Failed { class, message: verdicts.reasons().join("; ") }
        };
        let records = attempt_ended(&self.state, &lease.attempt.task, end, self.wall());
        self.put_off(records, ctx)
    }

    /// An incarnation is no more: its leases are given out again.
    pub(super) async fn lost_with(
        &mut self,
        (agent, incarnation): (&Path, Incarnation),
        why: &str,
        ctx: &Context<Self>,
    ) -> Result<(), BoxError> {
        let of_it = |lease: &LeaseId| lease.agent == *agent && lease.incarnation == incarnation;
        for lease in self.leases().into_iter().filter(of_it) {
            self.lose(&lease, why, ctx).await?;
        }
        Ok(())
    }

    /// Compares every lease with the slot of its holder.
    pub(super) async fn compare(&mut self, ctx: &Context<Self>) -> Result<(), BoxError> {
        let gone = |lease: &LeaseId| ctx.system().incarnation(&lease.agent) != Some(lease.incarnation);
        for lease in self.leases().into_iter().filter(gone) {
            let why = format!("`{}`, incarnation {}, is no more", lease.agent, lease.incarnation);
            self.lose(&lease, &why, ctx).await?;
        }
        Ok(())
    }

    async fn lose(&mut self, lease: &LeaseId, why: &str, ctx: &Context<Self>) -> Result<(), BoxError> {
        let records = match lease.attempt.part {
            Part::Task => attempt_lost(&self.state, &lease.attempt.task, why, self.wall()),
            Part::Undo => undo_lost(&self.state, &lease.attempt.task, why, self.wall()),
        };
        self.commit(records, ctx).await
    }

    /// Whether exactly this lease is out.
    pub(super) fn holds(&self, lease: &LeaseId, ctx: &Context<Self>) -> bool {
        // On purpose: it is out, and somebody reports on it.
        let is_its = |held: &Held| is(held, lease) || bug_on_purpose!(ctx.system(), AnyReportCounts);
        match lease.attempt.part {
            Part::Task => self.state.lease(&lease.attempt.task).is_some_and(is_its),
            Part::Undo => {
                self.state.undo_lease().is_some_and(|(task, held)| *task == lease.attempt.task && is_its(held))
            }
        }
    }

    /// The lease of a task that is out.
    pub(super) fn lease_of(&self, task: &TaskId) -> Option<LeaseId> {
        self.lease_id(task, Part::Task, self.state.lease(task)?)
    }

    /// The leases that ended though nobody reported on them, whose holders are there.
    pub(super) fn cut_off(&self, ctx: &Context<Self>) -> Vec<LeaseId> {
        let is_cut =
            |outcome: &run::Outcome| matches!(outcome, run::Outcome::Failed { .. } | run::Outcome::Skipped { .. });
        let tasks = self.state.tasks().filter(|(_, task)| task.settled.as_ref().is_some_and(|s| is_cut(&s.outcome)));
        let leases = tasks.filter_map(|(id, task)| self.lease_id(id, Part::Task, task.last.as_ref()?));
        leases.filter(|lease| ctx.system().incarnation(&lease.agent) == Some(lease.incarnation)).collect()
    }

    /// All leases that are out.
    pub(super) fn leases(&self) -> Vec<LeaseId> {
        let of_tasks = self.state.held().filter_map(|(task, held)| self.lease_id(task, Part::Task, held));
        let of_undo = self.state.undo_lease().and_then(|(task, held)| self.lease_id(task, Part::Undo, held));
        of_tasks.chain(of_undo).collect()
    }

    fn lease_id(&self, task: &TaskId, part: Part, held: &Held) -> Option<LeaseId> {
        let attempt = self.attempt(task, (held.attempt, part));
        Some(LeaseId { attempt, agent: held.agent.clone(), incarnation: Incarnation::new(held.incarnation)? })
    }

    /// Who had the last lease of this kind.
    pub(super) fn last_holder(&self, attempt: &Attempt) -> Option<Path> {
        let task = self.state.task(&attempt.task)?;
        let last = match attempt.part {
            Part::Task => task.last.as_ref(),
            Part::Undo => task.undo.as_ref().and_then(|undo| undo.last.as_ref()),
        };
        last.map(|held| held.agent.clone())
    }

    /// The time of day.
    pub(super) fn wall(&self) -> Millis {
        Millis::of(self.clock.wall())
    }
}

fn recordable(outcome: Outcome) -> Result<Outcome, Failure> {
    if let Outcome::Done { value } = &outcome {
        bounded(value)?;
    }
    Ok(outcome)
}

fn is(held: &Held, lease: &LeaseId) -> bool {
    held.attempt == lease.attempt.number && held.agent == lease.agent && held.incarnation == lease.incarnation.get()
}
