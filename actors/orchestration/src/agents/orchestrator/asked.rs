//! What is asked of a run by a request, which may come again.

use steadfast::{BoxError, Context};
use uuid::Uuid;

use super::Orchestrator;
use crate::host::{Answer, Asked, Inside, answered};
use crate::run::Record;

impl Orchestrator {
    /// Does what is asked, and records with it that it was done; or why it is not. What came before is only answered.
    pub(super) async fn asked(&mut self, asked: &Asked, ctx: &mut Context<Self>) -> Result<Answer, BoxError> {
        let asked = asked.clone().redacted(&self.args.redactor);
        let inside = if self.is_held_up_inside() { Inside::StandsStill } else { Inside::GoesOn };
        let (records, answer) = answered(&self.state, &asked, inside, self.wall());
        if !records.is_empty() {
            self.commit_ending(records, ctx).await?;
        }
        Ok(answer)
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
