//! What is asked of a run by a request, which may come again.

use steadfast::{BoxError, Context};
use uuid::Uuid;

use super::Orchestrator;
use crate::agents::ask::wait_for;
use crate::host::{Answer, Asked, answered, still_inside};
use crate::run::{Millis, Record};

impl Orchestrator {
    /// Does what is asked, and records with it that it was done; or why it is not. What came before is only answered.
    pub(super) async fn asked(&mut self, asked: &Asked, ctx: &mut Context<Self>) -> Result<Answer, BoxError> {
        let asked = asked.clone().redacted(&self.args.redactor);
        let inside = if asked.what.concerns_inside() { self.still_inside(ctx).await? } else { None };
        let (records, answer) = answered(&self.state, &asked, inside, self.wall());
        if !records.is_empty() {
            self.commit_ending(records, ctx).await?;
        }
        Ok(answer)
    }

    /// Since when the last inside this run stands still that does. The records say so before those inside do, who are perhaps
    /// not carried yet.
    pub(super) async fn still_inside(&self, ctx: &Context<Self>) -> Result<Option<Millis>, BoxError> {
        let journal = ctx.system().journal();
        Ok(wait_for(ctx, still_inside(&*journal, &self.state)).await?)
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
