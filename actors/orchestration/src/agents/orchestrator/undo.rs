//! What was done is undone: each undo is a lease of its own, and recorded before the next begins.

use serde_json::Value;
use steadfast::{BoxError, Context};

use super::{Orchestrator, Own, set_going};
use crate::agents::protocol::{Attempt, ContextReply, ContextRequest, LeaseId, Part, ReportReply, Wanted};
use crate::agents::retriever::results_of_undo;
use crate::run::{AttemptEnd, Class, Record, TaskId, UndoOutcome, undo_ended};
use crate::work::{Failure, Outcome};

impl Orchestrator {
    /// Begins to prepare an attempt to undo a task, unless that is under way.
    pub(super) fn prepare_undo(&mut self, task: TaskId, attempt: u32, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if !self.bench.preparing.insert(task.clone()) {
            return Ok(());
        }
        if self.planned_task(task.task())?.task().is_undone_inside() {
            self.find_child(&task, ctx);
            return Ok(());
        }
        let request = self.context_of_undo(self.attempt(&task, (attempt, Part::Undo)))?;
        let system = ctx.system().clone();
        set_going(ctx, async move {
            let attempt = request.attempt.clone();
            Some(match super::carry::context(&system, request).await {
                Ok(reply) => Own::Prepared { attempt, reply },
                Err(unanswered) => Own::Unanswered { task, part: Part::Undo, unanswered },
            })
        });
        Ok(())
    }

    /// What the retriever needs to know to find out how a task is undone.
    pub(super) fn context_of_undo(&mut self, attempt: Attempt) -> Result<ContextRequest, BoxError> {
        let task = self.planned_task(attempt.task.task())?.task().clone();
        let item = attempt.task.index().map(|index| self.item(&task, index)).transpose()?;
        let result = self.state.own_result(&attempt.task).unwrap_or(Value::Null);
        let results = self.results(results_of_undo(&task));
        Ok(ContextRequest { attempt, task, params: self.params(), results, wanted: Wanted::Undo { result, item } })
    }

    /// Whether the undo of this task is given out now.
    pub(super) fn undoes_now(&self, task: &TaskId) -> bool {
        self.is_to_undo(task) && !self.state.is_paused() && !self.state.goes_on_elsewhere()
    }

    /// Whether this task is the one to undo, and nobody does it.
    pub(super) fn is_to_undo(&self, task: &TaskId) -> bool {
        self.state.is_undoing() && self.state.undo_at() == Some(task) && self.state.undo_lease().is_none()
    }

    /// An undo cannot even be tried: it is left to a person.
    pub(super) async fn undo_impossible(
        &mut self,
        task: TaskId,
        (class, message): (Class, String),
        ctx: &Context<Self>,
    ) -> Result<(), BoxError> {
        let undo = self.state.task(&task).and_then(|task| task.undo.as_ref());
        let attempt = undo.map_or(0, |undo| undo.attempts);
        let outcome = UndoOutcome::Failed { class, message };
        self.commit(vec![Record::UndoRecorded { task, attempt, outcome, wall: self.wall() }], ctx).await
    }

    /// The retriever did not say how a task is undone.
    pub(super) async fn undo_not_found(
        &mut self,
        task: TaskId,
        reply: ContextReply,
        ctx: &Context<Self>,
    ) -> Result<(), BoxError> {
        self.bench.preparing.remove(&task);
        match reply {
            ContextReply::Impossible(failure) => self.undo_impossible(task, (Class::Plan, failure.message), ctx).await,
            _ => Err(format!("the retriever gave `{task}` what was not asked for").into()),
        }
    }

    /// An agent says how an attempt to undo a task ended. Nobody sees the result of an undo, so it is not judged.
    pub(super) async fn undo_reported(
        &mut self,
        lease: &LeaseId,
        end: Result<Outcome, Failure>,
        ctx: &Context<Self>,
    ) -> Result<ReportReply, BoxError> {
        let end = match end {
            Ok(Outcome::Done { value }) => AttemptEnd::Succeeded(value),
            Ok(Outcome::Skipped { reason }) => AttemptEnd::Skipped { reason },
            Err(failure) => AttemptEnd::Failed { class: failure.class.into(), message: failure.message },
        };
        let records = undo_ended(&self.state, &lease.attempt.task, end, self.wall());
        self.commit(records, ctx).await?;
        Ok(ReportReply::Settled)
    }
}
