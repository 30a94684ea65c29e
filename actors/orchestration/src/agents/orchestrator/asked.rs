//! What is asked of a run by a request, which may come again.

use steadfast::{BoxError, Context};

use super::Orchestrator;
use crate::host::{Answer, Asked, answered};

impl Orchestrator {
    /// Does what is asked, and records with it that it was done; or why it is not. What came before is only answered.
    pub(super) async fn asked(&mut self, asked: &Asked, ctx: &mut Context<Self>) -> Result<Answer, BoxError> {
        let asked = asked.clone().redacted(&self.args.redactor);
        let (records, answer) = answered(&self.state, &asked, self.wall());
        if !records.is_empty() {
            let leases = self.ending_with(&records);
            self.release(leases, ctx);
            self.commit(records, ctx).await?;
        }
        Ok(answer)
    }
}
