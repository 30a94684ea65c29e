//! What agents charge, and what the run may still use.

use std::collections::BTreeSet;

use steadfast::{BoxError, Context, Incarnation, Path};

use super::Orchestrator;
use crate::agents::protocol::{Attempt, Charge, ChargeRequest, Part};
use crate::agents::task_capability;
use crate::run::{ChargeRefusal, ChargeReply, charge, has_agents, has_attempts, out_of_agents, out_of_attempts};

impl Orchestrator {
    /// The holder of a lease charges something, or tells of a call. It is recorded before it is answered.
    pub(super) async fn charge(
        &mut self,
        request: ChargeRequest,
        ctx: &mut Context<Self>,
    ) -> Result<ChargeReply, BoxError> {
        let ChargeRequest { lease, name, what } = request;
        if !self.holds(&lease, ctx) {
            return Ok(ChargeReply::Refused(ChargeRefusal::NotHolder));
        }
        let Attempt { task, number, part, .. } = &lease.attempt;
        if *part == Part::Undo {
            // What was begun is brought to its end, whatever it costs.
            return Ok(ChargeReply::Granted);
        }
        // A name without its secret would be the name of something else.
        if texts(&name, &what).into_iter().any(|text| self.args.redactor.text(text) != text) {
            return Ok(ChargeReply::Refused(ChargeRefusal::Name));
        }
        let (records, reply) = charge(&self.state, (task, *number), (&name, &what), self.wall());
        if !records.is_empty() {
            self.commit_ending(records, ctx).await?;
        }
        Ok(reply)
    }

    /// Whether the budgets let this attempt be given out.
    pub(super) fn has_budget(&self, attempt: &Attempt) -> bool {
        attempt.part == Part::Undo || has_attempts(&self.state)
    }

    /// The lives that may take this attempt, where the run may use no others.
    pub(super) fn only(&self, attempt: &Attempt) -> Option<BTreeSet<(Path, Incarnation)>> {
        if attempt.part == Part::Undo || has_agents(&self.state) {
            return None;
        }
        let lives = self.state.usage().lives().flat_map(|(path, lives)| lives.iter().map(move |life| (path, *life)));
        Some(lives.filter_map(|(path, life)| Some((path.clone(), Incarnation::new(life)?))).collect())
    }

    /// Ends the run where attempts are ready, nothing is in flight, and none may be given out any more. Returns whether it
    /// did.
    pub(super) async fn look_at_attempts(&mut self, ctx: &Context<Self>) -> Result<bool, BoxError> {
        let is_ready = self.bench.ready.values().any(|ready| ready.part == Part::Task);
        if !is_ready || !self.state.gives_out() || self.state.usage().spent().is_some() {
            return Ok(false);
        }
        let Some(spent) = out_of_attempts(&self.state, self.wall()) else { return Ok(false) };
        self.commit(vec![spent], ctx).await?;
        Ok(true)
    }

    /// Nobody was free for this attempt. Ends the run where the budget of agents is why, and nobody will be.
    pub(super) async fn look_at_agents(
        &mut self,
        attempt: &Attempt,
        capability: &str,
        ctx: &Context<Self>,
    ) -> Result<(), BoxError> {
        let Some(only) = self.only(attempt) else { return Ok(()) };
        let capability = task_capability(capability);
        let can = |(path, life): &(Path, Incarnation)| {
            ctx.system().incarnation(path) == Some(*life) && ctx.system().provider(&capability, path).is_some()
        };
        if only.iter().any(can) {
            return Ok(());
        }
        if let Some(spent) = out_of_agents(&self.state, &attempt.task, self.wall()) {
            self.commit(vec![spent], ctx).await?;
        }
        Ok(())
    }

    /// Whether a life that was chosen may be used: it was before, or there is room for another.
    pub(super) fn may_use(&self, attempt: &Attempt, life: (&Path, Incarnation)) -> bool {
        self.only(attempt).is_none_or(|only| only.contains(&(life.0.clone(), life.1)))
    }
}

/// What of a charge is recorded as it came.
fn texts<'c>(name: &'c str, what: &'c Charge) -> Vec<&'c str> {
    match what {
        Charge::Reserve { counter, .. } => vec![name, counter],
        Charge::Settle { .. } => vec![name],
        Charge::Call { tool, arguments_digest } => vec![name, tool, arguments_digest],
    }
}
