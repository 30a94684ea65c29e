//! What is asked of a run by a request, which may come again.

use steadfast::{BoxError, Context};

use super::Orchestrator;
use crate::host::{Answer, Asked, answered};
use crate::run::{PauseCause, Record};

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

    /// Lets the run stand still where a variable that its goal names is not set here: what needs it would fail.
    pub(super) async fn pause_for_missing(&mut self, ctx: &Context<Self>) -> Result<(), BoxError> {
        if !self.state.gives_out() || !self.state.outline().limits().pauses_for_variables() {
            return Ok(());
        }
        let paused = self.args.missing.iter().map(|name| Record::Paused {
            why: PauseCause::MissingVariable { name: name.clone() },
            who: crate::run::NOBODY.to_owned(),
            message: format!("the environment variable `{name}`, which the goal names, is not set here"),
            wall: self.wall(),
        });
        let paused: Vec<_> = paused.collect();
        if paused.is_empty() { Ok(()) } else { self.commit(paused, ctx).await }
    }
}
