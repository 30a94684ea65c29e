//! How an incarnation begins: where the last one ended.

use std::sync::Arc;
use std::time::Duration;

use steadfast::{BoxError, Context, EventKind, Events, EventsError, System, TellError, Verdict, bug_on_purpose};

use super::{Log, Orchestrator, Own, RunArgs, set_going};
use crate::agents::ask::ask_any;
use crate::agents::desk::Room;
use crate::agents::orchestrator::part::{owned, still_ours};
use crate::agents::orchestrator::{Bench, OrchestratorMessage};
use crate::agents::protocol::{ContextReply, LeaseId, PLAN, Part, PlanReply, PlanRequest};
use crate::plan::Plan;
use crate::run::{Lacking, Millis, Outline, Record, RunState, taken_up};

/// How often and how long apart the planner is asked while nobody offers a capability that the goal needs.
const TRIES: u32 = 100;
const APART: Duration = Duration::from_millis(50);

impl Orchestrator {
    /// Fences the journal, reads it, and goes on from there.
    pub(super) async fn resume(args: RunArgs, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        args.shop.open(args.run, Room { files: Arc::clone(&args.files), redactor: args.redactor.clone() });
        // Before anything is read, so that no exit falls between the two.
        watch(ctx);
        let owner = format!("{}#{}", owned(&args.by, ctx.path()), ctx.incarnation());
        if args.feed.is_taken_up() {
            still_ours(&args, ctx).await?;
        }
        let (mut log, mut records) = Log::open(&args, &owner, ctx).await?;
        if records.len() > 1 && bug_on_purpose!(ctx.system(), LastRecordOverlooked) {
            // On purpose: the end of the stream is where the last one begins.
            records.pop();
        }
        if records.is_empty() {
            let wall = Millis::of(ctx.system().clock().wall());
            let first = Record::RunStarted {
                run: args.run,
                goal: serde_json::to_string(&args.goal)?,
                params: serde_json::to_string(&args.params)?,
                input: args.input.clone(),
                parent: args.parent.clone(),
                wall,
            };
            records = log.append(vec![first, Record::TakenUp { by: owner.clone(), wall }], ctx).await?;
            args.feed.take_up();
            for record in &records {
                args.feed.tell(record.clone());
            }
        }
        let planned = records.iter().any(|record| matches!(record, Record::Planned { .. }));
        let plan = if planned { Some(Arc::new(Plan::rebuild(args.goal.clone(), args.params.clone())?)) } else { None };
        let state = RunState::fold(outline(plan.as_deref(), &args), &records)?;
        let (clock, bench, lacking) = (Arc::clone(ctx.system().clock()), Bench::default(), Lacking::default());
        let mut orchestrator = Self { args, clock, log, plan, lacking, state, bench };
        orchestrator.look_what_is_lacking();
        orchestrator.take_over(&owner, ctx).await?;
        // Also where nothing is appended for long: an earlier incarnation may have ended before it said who works here.
        orchestrator.take_seats();
        orchestrator.take_up(ctx).await?;
        orchestrator.advance(ctx).await?;
        Ok(orchestrator)
    }

    /// Goes on where another process ended, if this is the first incarnation of this one.
    async fn take_over(&mut self, owner: &str, ctx: &Context<Self>) -> Result<(), BoxError> {
        if self.args.feed.is_taken_up() {
            return Ok(());
        }
        // Agents of this process may have the paths and incarnations of those of the last one, and hold none of their
        // leases.
        let records = taken_up(&self.state, owner, self.wall());
        if !records.is_empty() {
            self.commit(records, ctx).await?;
        }
        self.args.feed.take_up();
        Ok(())
    }

    /// Sends again what is out and whose holder lives, and takes back the rest.
    async fn take_up(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        // An earlier incarnation may have ended before it told them.
        self.release(self.cut_off(ctx), ctx);
        if self.state.ended().is_some() {
            return Ok(());
        }
        if self.plan.is_none() {
            self.ask_for_a_plan(ctx);
            return Ok(());
        }
        self.compare(ctx).await?;
        if self.state.not_whole().next().is_some() {
            self.lose_leases("a result of the run is not to be had", ctx).await?;
        }
        self.take_up_children(ctx);
        for lease in self.leases() {
            let attempt = lease.attempt.clone();
            let context = match attempt.part {
                Part::Task => self.context_of(attempt)?,
                Part::Undo => self.context_of_undo(attempt)?,
            };
            let system = ctx.system().clone();
            set_going(ctx, async move {
                Some(match super::carry::context(&system, context).await {
                    Ok(reply) => Own::Resumed { lease, reply },
                    Err(unanswered) => {
                        let (task, part) = (lease.attempt.task, lease.attempt.part);
                        Own::Unanswered { task, part, unanswered }
                    }
                })
            });
        }
        Ok(())
    }

    fn ask_for_a_plan(&self, ctx: &mut Context<Self>) {
        let request = PlanRequest { goal: self.args.goal.clone(), params: self.args.params.clone() };
        let system = ctx.system().clone();
        set_going(ctx, async move { Some(Own::Planned(ask_for_a_plan(&system, request).await)) });
    }

    /// The planner answered.
    pub(super) async fn planned(&mut self, reply: PlanReply, ctx: &Context<Self>) -> Result<(), BoxError> {
        if self.plan.is_some() || self.state.ended().is_some() {
            return Ok(());
        }
        let plan = match reply {
            PlanReply::Planned(plan) => plan,
            PlanReply::Refused(message) => return self.commit(vec![Record::Unplannable { message }], ctx).await,
            PlanReply::Unoffered(names) => {
                let message = format!(
                    "nobody offers {}; name a capability that an agent of this tree offers, or leave `capability` out",
                    names.join(", ")
                );
                return self.commit(vec![Record::Unplannable { message }], ctx).await;
            }
        };
        let planned = Record::Planned {
            tasks: u32::try_from(plan.len())?,
            critical_path: plan.critical_path().to_vec(),
            at_least: u64::try_from(plan.critical_length().as_millis())?,
        };
        self.commit(vec![planned], ctx).await?;
        self.plan = Some(Arc::new(*plan));
        self.look_what_is_lacking();
        self.fold_anew(ctx).await
    }

    /// A lease that was out when this incarnation began has its work again.
    pub(super) fn resumed(
        &mut self,
        lease: LeaseId,
        reply: ContextReply,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        if !self.holds(&lease, ctx) {
            return Ok(());
        }
        match reply {
            ContextReply::Work { work, .. } => {
                self.deliver(lease, *work, ctx);
                Ok(())
            }
            // The same question had an answer when the lease was given out, and nothing that it depends on changes.
            other => Err(format!("the context of `{}` cannot be found again: {other:?}", lease.attempt.task).into()),
        }
    }
}

/// What the run needs to know of its plan.
pub(super) fn outline(plan: Option<&Plan>, args: &RunArgs) -> Arc<Outline> {
    let outline = match plan {
        Some(plan) => Outline::of(plan, args.jobs),
        None => Outline::unplanned(&args.goal, args.jobs),
    };
    Arc::new(outline.kept(args.kept))
}

/// Asks until somebody offers everything the goal needs: at the start of a tree an offer may be on its way.
async fn ask_for_a_plan(system: &System, request: PlanRequest) -> PlanReply {
    let mut tries = 0;
    loop {
        tries += 1;
        match ask_any(system, &PLAN, request.clone()).await {
            Ok(PlanReply::Unoffered(_)) if tries < TRIES => tokio::time::sleep(APART).await,
            Ok(reply) => return reply,
            Err(unanswered) => return PlanReply::Refused(unanswered.why),
        }
    }
}

/// Turns every exit into a message to the orchestrator.
fn watch(ctx: &mut Context<Orchestrator>) {
    let mut events = ctx.system().events();
    let (myself, incarnation) = (ctx.myself(), ctx.incarnation());
    ctx.spawn(async move {
        while let Some(own) = next_exit(&mut events).await {
            let mut message = OrchestratorMessage::Own(incarnation, own);
            while let Err(error) = myself.tell_wait(message, Duration::from_mins(1)).await {
                let TellError::Full { .. } = error else { return };
                // Of what happens meanwhile events may be missed as well, so every lease is compared.
                tracing::warn!("the mailbox of the orchestrator is full; an exit is told later");
                message = OrchestratorMessage::Own(incarnation, Own::Compare);
            }
        }
    });
}

async fn next_exit(events: &mut Events) -> Option<Own> {
    loop {
        match events.next().await {
            Ok(event) => match &event.kind {
                EventKind::Exited { reason, verdict: Verdict::Quarantined(_), .. } => {
                    return Some(Own::PutAside { agent: event.path.clone(), why: reason.to_string() });
                }
                EventKind::Quarantined { .. } => {
                    let why = "it does not start".to_owned();
                    return Some(Own::PutAside { agent: event.path.clone(), why });
                }
                EventKind::Exited { incarnation, reason, .. } => {
                    let why = format!("`{}`, incarnation {incarnation}, {reason}", event.path);
                    return Some(Own::Exited { agent: event.path.clone(), incarnation: *incarnation, why });
                }
                _ => {}
            },
            Err(EventsError::Lagged { .. }) => return Some(Own::Compare),
            Err(_) => return None,
        }
    }
}
