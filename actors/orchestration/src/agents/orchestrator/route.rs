//! From an attempt that is prepared to a lease that is out.

use std::collections::BTreeSet;

use serde_json::json;
use steadfast::{BoxError, Context, Path, RequestError, System, bug_on_purpose};

use super::carry::RETRY;
use super::{Orchestrator, Own, set_going};
use crate::agents::ask::{TRY, again, ask_any};
use crate::agents::floor::Asks;
use crate::agents::protocol::{
    Attempt, Lease, LeaseId, LeaseReply, LeaseRequest, Part, ROUTE, RouteReply, RouteRequest, task_capability,
};
use crate::run::{Leased, Record, TaskId, value_digest};
use crate::work::Work;

impl Orchestrator {
    /// Chooses an agent for the first attempt that waits for one and may have it.
    pub(super) fn route(&mut self, ctx: &mut Context<Self>) {
        let room = self.state.outline().limits().concurrency > self.state.held().count();
        if self.bench.routing.is_some() || !room || self.state.ended().is_some() {
            return;
        }
        let Some((key, attempt, capability)) = self.first_ready() else { return };
        self.bench.routing = Some(key.clone());
        let busy = self.holders().into_iter().collect();
        let last = self.last_holder(&attempt);
        let only = self.only(&attempt);
        let request = RouteRequest { attempt: attempt.clone(), capability, busy, only, last };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match ask_any(&system, &ROUTE, request).await {
                Ok(reply) => Own::Routed { task: key, reply },
                Err(unanswered) => Own::Unanswered { task: key.1, part: attempt.part, unanswered },
            })
        });
    }

    fn first_ready(&self) -> Option<((usize, TaskId), Attempt, String)> {
        self.bench.ready.iter().find_map(|(key, ready)| {
            let attempt = self.attempt(&key.1, (ready.attempt, ready.part));
            let capability = self.capability(&attempt).ok()?;
            let free = !self.bench.crowded.contains(&capability) && self.may_go_out(&attempt);
            free.then_some((key.clone(), attempt, capability))
        })
    }

    /// Whether this attempt is given out now; otherwise it waits until the run is resumed.
    fn may_go_out(&self, attempt: &Attempt) -> bool {
        match attempt.part {
            Part::Task => self.state.gives_out() && self.has_budget(attempt),
            Part::Undo => self.undoes_now(&attempt.task),
        }
    }

    /// The router answered.
    pub(super) async fn routed(
        &mut self,
        key: (usize, TaskId),
        reply: RouteReply,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.bench.routing = None;
        let Some(ready) = self.bench.ready.get(&key) else {
            self.take_seats();
            return Ok(());
        };
        let attempt = self.attempt(&key.1, (ready.attempt, ready.part));
        if !self.is_wanted(&attempt) {
            self.bench.ready.remove(&key);
            self.bench.preparing.remove(&key.1);
            self.take_seats();
            return Ok(());
        }
        let RouteReply::Assigned(chosen) = reply else {
            let capability = self.capability(&attempt)?;
            self.look_at_agents(&attempt, &capability, ctx).await?;
            self.bench.crowded.insert(capability);
            self.await_turn(ctx);
            return Ok(());
        };
        // It may have been chosen before the last one that the run may use was.
        if !self.may_go_out(&attempt) || !self.may_use(&attempt, (&chosen.agent, chosen.incarnation)) {
            self.take_seats();
            return Ok(());
        }
        let Some(ready) = self.bench.ready.remove(&key) else { return Ok(()) };
        self.bench.preparing.remove(&key.1);
        tracing::debug!(task = %key.1, agent = %chosen.agent, reason = chosen.reason, "routed");
        let leased = Leased {
            task: key.1,
            attempt: ready.attempt,
            agent: chosen.agent.clone(),
            incarnation: chosen.incarnation.get(),
            key: ready.work.key.clone(),
            input_digest: input_digest(&ready.work)?,
            context: ready.lookups,
            wall: self.wall(),
        };
        let record = match attempt.part {
            Part::Task => Record::Leased(leased),
            Part::Undo => Record::UndoLeased(leased),
        };
        let lease = LeaseId { attempt, agent: chosen.agent, incarnation: chosen.incarnation };
        if bug_on_purpose!(ctx.system(), SentBeforeJournal) {
            // On purpose: it will be recorded, so it may begin.
            self.deliver(lease.clone(), ready.work.clone(), ctx);
        }
        self.commit(vec![record], ctx).await?;
        self.deliver(lease, ready.work, ctx);
        Ok(())
    }

    /// Says on the floor who works for this run, and which leases are out.
    pub(super) fn take_seats(&self) {
        if self.log.behind() > 0 {
            // It is said once that is appended.
            return;
        }
        let asks = if self.bench.routing.is_some() { Asks::Yes } else { Asks::No };
        self.args.shop.floor().hold(self.args.run, self.holders(), asks, self.clock.now());
        let out = self.leases().into_iter();
        let out = out.filter_map(|lease| self.capability(&lease.attempt).ok().map(|capability| (lease, capability)));
        self.args.shop.ends().tell(self.args.run, out.collect());
    }

    /// Those who hold a lease.
    pub(super) fn holders(&self) -> BTreeSet<Path> {
        let of_tasks = self.state.held().map(|(_, held)| held);
        of_tasks.chain(self.state.undo_lease().map(|(_, held)| held)).map(|held| held.agent.clone()).collect()
    }

    /// Asks again when it may be this run's turn, or after a while: an agent that comes back tells nobody.
    fn await_turn(&self, ctx: &mut Context<Self>) {
        let turn = self.args.shop.floor().turn(self.args.run);
        set_going(ctx, async move {
            // That it took too long is no reason not to ask.
            let _ = tokio::time::timeout(RETRY, turn).await;
            Some(Own::Retry)
        });
    }

    /// Sends a lease until its holder has it, or is no more.
    pub(super) fn deliver(&self, id: LeaseId, work: Work, ctx: &mut Context<Self>) {
        let Ok(capability) = self.capability(&id.attempt) else { return };
        let lease = Lease { id, orchestrator: ctx.path().clone(), work };
        let system = ctx.system().clone();
        set_going(ctx, async move { deliver(&system, &capability, lease).await });
    }

    /// The leases that end with these records, though nobody reported on them.
    pub(super) fn ending_with(&self, records: &[Record]) -> Vec<LeaseId> {
        let tasks = records.iter().filter_map(|record| match record {
            Record::Recorded { task, .. } => Some(task),
            Record::Paused { why, .. } => why.task(),
            _ => None,
        });
        tasks.filter_map(|task| self.lease_of(task)).collect()
    }

    /// Tells the holders of leases that nobody waits for them any more.
    pub(super) fn release(&self, leases: Vec<LeaseId>, ctx: &mut Context<Self>) {
        for lease in leases {
            let Ok(capability) = self.capability(&lease.attempt) else { continue };
            let capability = task_capability(&capability);
            let system = ctx.system().clone();
            set_going(ctx, async move {
                let provider = system.provider(&capability, &lease.agent)?;
                // An agent that does not answer is gone, and the lease with it.
                let _ = provider.ask(LeaseRequest::Drop(lease), TRY).await;
                None
            });
        }
    }

    /// What an agent has to offer to get this attempt.
    pub(super) fn capability(&self, attempt: &Attempt) -> Result<String, BoxError> {
        let task = self.planned_task(attempt.task.task())?;
        match attempt.part {
            Part::Task => {
                task.capability().map(str::to_owned).ok_or_else(|| format!("no agent does `{}`", task.id()).into())
            }
            Part::Undo => task.undo_capability().ok_or_else(|| format!("`{}` has no undo", task.id()).into()),
        }
    }
}

/// The digest of what an attempt is given; the same for every attempt of a task.
fn input_digest(work: &Work) -> Result<String, BoxError> {
    let (spec, result) = (serde_json::to_value(&work.spec)?, serde_json::to_value(&work.result)?);
    Ok(value_digest(&json!({ "spec": spec, "result": result, "when": serde_json::to_value(&work.when)? })))
}

/// Sends a lease until its holder has it; what comes back says that the holder is no more.
async fn deliver(system: &System, capability: &str, lease: Lease) -> Option<Own> {
    let capability = task_capability(capability);
    let id = lease.id.clone();
    let lost = |why: String| Some(Own::Undelivered { lease: id.clone(), why });
    loop {
        let Some(provider) = system.provider(&capability, &id.agent) else {
            if system.incarnation(&id.agent) != Some(id.incarnation) {
                return lost(format!("`{}`, incarnation {}, is no more", id.agent, id.incarnation));
            }
            again("lease", &RequestError::Unknown { path: id.agent.to_string() }).await;
            continue;
        };
        match provider.ask(LeaseRequest::Take(Box::new(lease.clone())), TRY).await {
            Ok(LeaseReply::Accepted) => return None,
            Ok(LeaseReply::Stale) => {
                return lost(format!("`{}`, incarnation {}, is no more", id.agent, id.incarnation));
            }
            Err(error @ RequestError::Exited { .. }) => return lost(error.to_string()),
            Err(error) if system.incarnation(&id.agent) != Some(id.incarnation) => return lost(error.to_string()),
            Err(error) => again("lease", &error).await,
        }
    }
}
