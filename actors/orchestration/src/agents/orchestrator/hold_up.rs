//! Before anything is given out: whether everything is there that this process needs for it.

use steadfast::{BoxError, Context};

use super::Orchestrator;
use super::resume::outline;
use crate::agents::protocol::{LeaseId, Part};
use crate::run::{Kept, Lacking, Record, RunState, hold_up};

impl Orchestrator {
    /// Notes which variables the commands of the plan need and this process does not have.
    pub(super) fn look_what_is_lacking(&mut self) {
        if let Some(plan) = &self.plan {
            let commands = &self.args.shop.commands;
            self.lacking = Lacking::of(plan, |name| commands.variable(name).is_some());
        }
    }

    /// Lets the run stand still where something is missing, before it gives out anything.
    pub(super) async fn hold_up(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if self.state.gives_out() && self.lacking.is_short(&self.state) {
            // Somebody may have put it back: whoever resumes the run says so.
            self.fold_anew(ctx).await?;
            if let (Kept::Volatile, Some((task, digest))) = (self.args.kept, self.state.not_whole().next()) {
                // It cannot be resumed; the next incarnation looks once more.
                return Err(format!("the result of `{task}`, artifact {digest}, is missing or damaged").into());
            }
        }
        if !self.bench.unbegun.is_empty() {
            self.look_at_unbegun(ctx).await?;
        }
        let records = hold_up(&self.state, &self.lacking, self.wall());
        if records.is_empty() { Ok(()) } else { self.commit(records, ctx).await }
    }

    /// Reads the journal, and what stands beside it, once more.
    pub(super) async fn fold_anew(&mut self, ctx: &Context<Self>) -> Result<(), BoxError> {
        self.catch_up(ctx).await?;
        let records = self.log.read(ctx).await?;
        self.state = RunState::fold(outline(self.plan.as_deref(), &self.args), &records)?;
        Ok(())
    }

    /// Takes back everything that is out.
    pub(super) async fn lose_leases(&mut self, why: &str, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let leases = self.leases();
        self.commit(self.lost(&leases, why), ctx).await?;
        self.release(leases, ctx);
        Ok(())
    }

    /// What is recorded when everybody who holds these leases is to drop them.
    pub(super) fn lost(&self, leases: &[LeaseId], why: &str) -> Vec<Record> {
        let wall = self.wall();
        let lost = |lease: &LeaseId| {
            let (task, attempt, why) = (lease.attempt.task.clone(), lease.attempt.number, why.to_owned());
            match lease.attempt.part {
                Part::Task => Record::Lost { task, attempt, why, wall },
                Part::Undo => Record::UndoLost { task, attempt, why, wall },
            }
        };
        leases.iter().map(lost).collect()
    }
}
