//! What somebody wants of a run: that it stands still, goes on, or ends.

use std::fmt;

use steadfast::{BoxError, Context};

use super::{Orchestrator, OrchestratorMessage, OrchestratorReply};
use crate::run::{Cancel, Kept, PauseCause, Record, Uncancelled};

/// Why a run does not do what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is over.
    Over,
    /// It does not stand still.
    NotPaused,
    /// It cannot be cancelled.
    Uncancelled(Uncancelled),
    /// The run around it stands still, and this one with it.
    Around,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uncancelled(why) => return why.fmt(f),
            Self::Over => "the run is over; see its report, or begin another one",
            Self::NotPaused => "the run is not paused, so there is nothing to resume",
            Self::Around => "the run around it stands still; resume that one, and this one goes on with it",
        })
    }
}

impl Orchestrator {
    /// Gives out no more leases in this process.
    pub(super) async fn drain(&mut self, ctx: &Context<Self>) -> Result<OrchestratorReply, BoxError> {
        if !self.state.is_draining() && self.state.ended().is_none() {
            self.commit(vec![Record::Draining], ctx).await?;
        }
        Ok(OrchestratorReply::Done)
    }

    /// Lets the run stand still: what is in flight ends, and nothing more is given out until it is resumed.
    pub(super) async fn pause(&mut self, who: String, ctx: &Context<Self>) -> Result<OrchestratorReply, BoxError> {
        if self.state.ended().is_some() {
            return Ok(OrchestratorReply::Refused(Refusal::Over));
        }
        if self.is_paused_by_somebody() { Ok(OrchestratorReply::Done) } else { self.stand_still(who, ctx).await }
    }

    /// The same, whoever paused it before.
    pub(super) async fn stand_still(
        &mut self,
        who: String,
        ctx: &Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        if self.state.ended().is_some() {
            return Ok(OrchestratorReply::Refused(Refusal::Over));
        }
        let paused = self.asked_to_pause(who, "it was paused");
        self.commit(vec![paused], ctx).await?;
        Ok(OrchestratorReply::Done)
    }

    /// Lets the run go on, with their attempts given again to the tasks that had used them up.
    ///
    /// What stands still inside it goes on as well: it is told so.
    pub(super) async fn go_on(&mut self, who: String, ctx: &Context<Self>) -> Result<OrchestratorReply, BoxError> {
        let refusal = if self.state.ended().is_some() {
            Refusal::Over
        } else if self.state.held_by_parent().is_some() {
            Refusal::Around
        } else {
            let inside = self.still_inside(ctx).await?;
            if self.state.is_paused() || inside.is_some() {
                let wall = inside.map_or(self.wall(), |since| self.wall().max(since));
                self.commit(vec![Record::Resumed { who, wall }], ctx).await?;
                return Ok(OrchestratorReply::Done);
            }
            Refusal::NotPaused
        };
        Ok(OrchestratorReply::Refused(refusal))
    }

    /// Ends the run before its time. What is in flight is dropped when its tasks have their outcome.
    pub(super) async fn cancel(
        &mut self,
        undo: bool,
        (who, why): (String, String),
        ctx: &Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        let inside = self.still_inside(ctx).await?;
        let refusal = match (self.state.ended(), self.state.may_be_cancelled(undo, inside.is_some())) {
            (Some(_), _) => Refusal::Over,
            (None, Err(why)) => Refusal::Uncancelled(why),
            (None, Ok(())) => {
                let records = self.state.cancelling(Cancel { undo, who, why }, self.wall());
                self.commit(records, ctx).await?;
                return Ok(OrchestratorReply::Done);
            }
        };
        Ok(OrchestratorReply::Refused(refusal))
    }

    /// Drops everything that is in flight, at once, and gives out nothing more.
    ///
    /// It is recorded first: an agent that dropped a lease does not take it again, so the lease must not be out for an
    /// incarnation that follows.
    pub(super) async fn stop_at_once(
        &mut self,
        who: String,
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        if self.state.ended().is_some() {
            return Ok(OrchestratorReply::Refused(Refusal::Over));
        }
        let leases = self.leases();
        let mut records = Vec::new();
        match self.args.kept {
            Kept::Volatile if self.state.is_draining() => {}
            Kept::Volatile => records.push(Record::Draining),
            Kept::Journaled if self.is_paused_by_somebody() => {}
            Kept::Journaled => records.push(self.asked_to_pause(who.clone(), "it was stopped at once")),
        }
        records.extend(self.lost(&leases, &format!("{who} stopped the run at once")));
        self.commit(records, ctx).await?;
        self.release(leases, ctx);
        self.pass_on(|| OrchestratorMessage::Stop { who: who.clone() }, ctx);
        Ok(OrchestratorReply::Done)
    }

    fn is_paused_by_somebody(&self) -> bool {
        self.state.pauses().iter().any(|pause| pause.why == PauseCause::Asked)
    }

    fn asked_to_pause(&self, who: String, message: &str) -> Record {
        Record::Paused { why: PauseCause::Asked, who, message: message.to_owned(), wall: self.wall() }
    }
}
