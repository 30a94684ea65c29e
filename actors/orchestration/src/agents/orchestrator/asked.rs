//! What is asked of a run by a request, which may come again.

use steadfast::{BoxError, Context};
use uuid::Uuid;

use super::Orchestrator;
use crate::agents::ask::wait_for;
use crate::host::{Answer, Ask, Asked, Inside, answered, stands_inside};
use crate::run::Record;

impl Orchestrator {
    /// Does what is asked, and records with it that it was done; or why it is not. What came before is only answered.
    pub(super) async fn asked(&mut self, asked: &Asked, ctx: &mut Context<Self>) -> Result<Answer, BoxError> {
        let asked = asked.clone().redacted(&self.args.redactor);
        let inside = self.stands_inside(&asked.what, ctx).await?;
        let (records, answer) = answered(&self.state, &asked, inside, self.wall());
        if !records.is_empty() {
            self.commit_ending(records, ctx).await?;
        }
        Ok(answer)
    }

    /// Whether anything inside this run stands still, where what is asked depends on that. Those inside say so themselves,
    /// once they are carried; until then their records do.
    async fn stands_inside(&self, what: &Ask, ctx: &Context<Self>) -> Result<Inside, BoxError> {
        if !what.concerns_inside() {
            return Ok(Inside::GoesOn);
        }
        if let Some(since) = self.held_up_inside() {
            return Ok(Inside::StandsStill(since));
        }
        let journal = ctx.system().journal();
        Ok(wait_for(ctx, stands_inside(&*journal, &self.state)).await?)
    }

    /// Records why a request is not done that is not about this run alone.
    pub(super) async fn refuse(&mut self, id: Uuid, why: String, ctx: &Context<Self>) -> Result<Answer, BoxError> {
        if self.state.request(id).is_none() {
            let refused = Record::RequestRefused { id, why: why.clone(), wall: self.wall() };
            self.commit(vec![refused], ctx).await?;
        }
        Ok(Answer::Refused { why })
    }
}
