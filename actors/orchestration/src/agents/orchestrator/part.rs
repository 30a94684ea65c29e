//! How an orchestrator ends for good before its run does: somebody else carries the run, or nobody can.

use steadfast::seam::JournalError;
use steadfast::{BoxError, Context, ExitReason, Ignore, Path, StreamId};

use super::{Orchestrator, OrchestratorMessage, OrchestratorReply, Own, RunArgs, set_going};
use crate::agents::ask::{TRY, wait_for};
use crate::agents::orchestrator::{Lacks, NotWhole};
use crate::agents::protocol::{ChargeRefusal, ChargeReply, ReportReply};
use crate::goal::GoalErrors;
use crate::host::Answer;
use crate::preset::child_path;
use crate::run::{Misfit, RecordError, Standing};
use crate::seam::artifacts::ArtifactError;
use crate::work::chain;

/// Who owns the stream of a run that this process carries, but for the number of the incarnation.
pub(super) fn owned(by: &str, path: &Path) -> String {
    if by.is_empty() { path.to_string() } else { format!("{by}:{path}") }
}

/// Looks whether another process took the run over since this one did: an incarnation that was fenced and then died of
/// something else would take it back otherwise.
pub(super) async fn still_ours(args: &RunArgs, ctx: &Context<Orchestrator>) -> Result<(), BoxError> {
    if args.by.is_empty() {
        return Ok(());
    }
    let (journal, stream) = (ctx.system().journal(), StreamId::from(args.run));
    let infos = wait_for(ctx, journal.list(stream.as_str())).await?;
    let owner = infos.into_iter().find(|info| info.stream == stream).map(|info| info.owner).unwrap_or_default();
    if owner.is_empty() || is_ours(&args.by, &owner) { Ok(()) } else { Err(JournalError::Fenced { owner }.into()) }
}

/// Whether this owner of a stream is of this process.
fn is_ours(by: &str, owner: &str) -> bool {
    by.is_empty() || owner == by || owner.strip_prefix(by).is_some_and(|rest| rest.starts_with(':'))
}

/// What an error says about who carries the run on; nothing where the next incarnation may do better.
fn for_good(error: &BoxError, by: &str) -> Option<Standing> {
    if let Some(JournalError::Fenced { owner }) = error.downcast_ref() {
        return (!is_ours(by, owner)).then(|| Standing::TakenOver { owner: owner.clone() });
    }
    let lacks = |lacks: &Lacks| match lacks {
        Lacks::Store(error) => !matches!(error, ArtifactError::Unavailable(_)),
        _ => true,
    };
    let damaged = error.is::<RecordError>()
        || error.is::<Misfit>()
        || error.is::<GoalErrors>()
        || matches!(error.downcast_ref(), Some(JournalError::Corrupt { .. } | JournalError::Pruned { .. }))
        || error.downcast_ref::<NotWhole>().is_some_and(|not| lacks(&not.source));
    damaged.then(|| Standing::GivenUp { why: chain(&**error) })
}

impl Orchestrator {
    /// Begins an incarnation, unless the run is somebody else's, or nobody can carry it.
    pub(super) async fn begin(args: RunArgs, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let (feed, by) = (args.feed.clone(), args.by.clone());
        Self::resume(args, ctx).await.map_err(|error| match for_good(&error, &by) {
            Some(standing) => {
                tracing::warn!(path = %ctx.path(), error = %chain(&*error), "the run is not carried here");
                feed.stand(standing);
                Ignore.into()
            }
            None => error,
        })
    }

    /// Ends for good, where this error says so.
    pub(super) fn part(&mut self, error: BoxError, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let Some(standing) = for_good(&error, &self.args.by) else { return Err(error) };
        tracing::warn!(path = %ctx.path(), error = %chain(&*error), "the run is not carried here any more");
        self.abandon(standing, ctx);
        Ok(())
    }

    /// Ends for good: what is in flight here is dropped first, and so are the runs inside this one.
    pub(super) fn abandon(&mut self, standing: Standing, ctx: &mut Context<Self>) {
        let inside: Vec<_> = self.state.open_inside().map(|(_, child)| child.run).collect();
        self.bench.parted = Some(standing.clone());
        let (system, shop, run) = (ctx.system().clone(), self.args.shop.clone(), self.args.run);
        set_going(ctx, async move {
            shop.drop_leases(run, &system).await;
            for run in inside {
                let abandon = OrchestratorMessage::Abandon(standing.clone());
                let has_heard = match system.agent::<Self>(&child_path(run)) {
                    Ok(child) => child.ask_within(abandon, TRY).await.is_ok(),
                    Err(_) => false,
                };
                if !has_heard {
                    shop.drop_leases(run, &system).await;
                }
            }
            Some(Own::Parted)
        });
    }

    /// What is said to this message where nobody carries the run here.
    pub(super) fn reply_of_parted(message: &OrchestratorMessage) -> OrchestratorReply {
        match message {
            OrchestratorMessage::Charge(_) => OrchestratorReply::Charge(ChargeReply::Refused(ChargeRefusal::NotHolder)),
            OrchestratorMessage::Report(_) => OrchestratorReply::Report(ReportReply::Refused),
            OrchestratorMessage::Asked(_) => OrchestratorReply::Answered(Answer::NotYet),
            _ => OrchestratorReply::Done,
        }
    }

    /// Ends once those who held leases know, and tells then how the run stands.
    pub(super) fn after_parting(
        &self,
        standing: Standing,
        message: &OrchestratorMessage,
        ctx: &mut Context<Self>,
    ) -> OrchestratorReply {
        if matches!(message, OrchestratorMessage::Own(of, Own::Parted) if *of == ctx.incarnation()) {
            self.args.feed.stand(standing);
            ctx.stop(ExitReason::Normal);
        }
        Self::reply_of_parted(message)
    }
}
