//! From a run in the journal to an orchestrator that carries it.

use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::{Journal, JournalError};
use steadfast::{ChildError, Context, RunId, StreamId, System};

use super::{Again, Carried, Host, HostArgs, HostEvent, HostOwn, TakenUp, set_going, tell};
use crate::agents::ask::{TRY, again};
use crate::agents::orchestrator::{Orchestrator, OrchestratorMessage, RunArgs, end_inside};
use crate::host::{Gear, Head, HostError, end_of, head};
use crate::preset::{Staff, children_path, goals_path, orchestrator, orchestrator_path};
use crate::run::{Kept, Standing, is_inside};
use crate::work::chain;

/// How often a start is tried again, and how long apart.
const STARTS: u32 = 10;
const APART: Duration = Duration::from_millis(100);

impl Host {
    /// Carries a run, unless it is carried.
    pub(super) fn take_up(&mut self, run: RunId, ctx: &mut Context<Self>) {
        // One inside another is carried with that one.
        if self.draining || is_inside(run) {
            return;
        }
        if self.asking.contains(&run) {
            // Whoever does what was asked writes to it as to one that nobody carries.
            self.held_back.insert(run);
            return;
        }
        match self.runs.get_mut(&run) {
            Some(Carried::Starting | Carried::Yes) => return,
            Some(Carried::Leaving(again)) => {
                *again = Again::Yes;
                return;
            }
            None => {}
        }
        self.runs.insert(run, Carried::Starting);
        self.args.feeds.carry(run);
        let (system, args, staff) = (ctx.system().clone(), self.args.clone(), self.staff.clone());
        set_going(ctx, async move {
            let outcome = taken_up(&system, (&args, &staff), run).await;
            Some(HostOwn::TakenUp { run, outcome })
        });
    }

    /// A run has an orchestrator, or has not.
    pub(super) fn taken_up(&mut self, run: RunId, outcome: TakenUp, ctx: &mut Context<Self>) {
        match outcome {
            TakenUp::Carried => {
                self.runs.insert(run, Carried::Yes);
                self.foreign.remove(&run);
                self.args.feeds.tell(HostEvent::TakenUp { run });
                self.watch(run, ctx);
                if self.draining {
                    drain(run, ctx);
                }
            }
            TakenUp::NotOurs => {
                self.runs.remove(&run);
                self.args.feeds.leave(run);
            }
            TakenUp::GivenUp(why) => {
                let standing = Standing::GivenUp { why };
                self.args.feeds.of(run).stand(standing.clone());
                self.runs.insert(run, Carried::Yes);
                self.over(run, standing, ctx);
            }
        }
    }

    /// Takes up everything that is unfinished in the journal, the latest first: one after the other, so that the first
    /// one does not wait for the rest.
    pub(super) fn scan(ctx: &mut Context<Self>) {
        let (myself, incarnation) = (ctx.myself(), ctx.incarnation());
        let journal = ctx.system().journal();
        ctx.spawn(async move {
            let mut unfinished = 0;
            let mut infos = patiently(|| journal.list(StreamId::RUNS)).await;
            infos.reverse();
            for info in infos {
                let Some(run) = info.stream.run().filter(|run| !is_inside(*run)) else { continue };
                let ended = patiently(|| Box::pin(end_of(&*journal, &info))).await;
                if ended.is_none() {
                    unfinished += 1;
                    tell(&myself, incarnation, HostOwn::Found(run)).await;
                }
            }
            tell(&myself, incarnation, HostOwn::Scanned { unfinished }).await;
        });
    }

    /// Gives out no more leases.
    pub(super) fn drain(&mut self, ctx: &mut Context<Self>) {
        self.draining = true;
        let carried: Vec<_> = self.runs.iter().filter(|(_, carried)| **carried == Carried::Yes).collect();
        let carried: Vec<_> = carried.into_iter().map(|(run, _)| *run).collect();
        for run in carried {
            drain(run, ctx);
        }
    }

    /// A run does nothing more here: its orchestrator ends, and nothing of it is kept.
    pub(super) fn over(&mut self, run: RunId, standing: Standing, ctx: &mut Context<Self>) {
        if self.runs.insert(run, Carried::Leaving(Again::No)).is_some_and(|was| matches!(was, Carried::Leaving(_))) {
            return;
        }
        if matches!(standing, Standing::TakenOver { .. }) {
            self.foreign.insert(run);
        }
        self.args.feeds.tell(HostEvent::Over { run, standing: standing.clone() });
        let (system, shop, feed) = (ctx.system().clone(), self.staff.shop.clone(), self.args.feeds.of(run));
        set_going(ctx, async move {
            forget(&system, run).await;
            if matches!(standing, Standing::GivenUp { .. }) {
                // Whatever is dropped is lost for whoever takes the run up again, though this host may end before it is told.
                feed.begin_anew();
            }
            if !matches!(standing, Standing::Ended(_)) {
                // Whoever takes the run up again, here as well, gives out anew what was out.
                shop.drop_leases(run, &system).await;
            }
            // Who led those inside is gone, and whoever takes the run up again starts them anew.
            end_inside((&system, &shop), &children_path(), (&feed, standing)).await;
            Some(HostOwn::Forgotten(run))
        });
    }

    /// Nothing of a run is left here.
    pub(super) fn forgotten(&mut self, run: RunId, ctx: &mut Context<Self>) {
        let was = self.runs.remove(&run);
        self.staff.shop.close(run);
        self.args.feeds.leave(run);
        if was == Some(Carried::Leaving(Again::Yes)) {
            self.take_up(run, ctx);
        }
    }
}

fn drain(run: RunId, ctx: &mut Context<Host>) {
    let system = ctx.system().clone();
    set_going(ctx, async move {
        while let Ok(orchestrator) = system.agent::<Orchestrator>(orchestrator_path(run).as_str()) {
            match orchestrator.ask_within(OrchestratorMessage::Drain, TRY).await {
                Ok(_) | Err(steadfast::RequestError::Gone { .. }) => break,
                Err(error) => again("drain", &error).await,
            }
        }
        None
    });
}

/// Starts the orchestrator of a run.
async fn taken_up(system: &System, (args, staff): (&HostArgs, &Staff), run: RunId) -> TakenUp {
    let journal = system.journal();
    let (head, gear) = match prepared((args, staff), &*journal, run).await {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return TakenUp::NotOurs,
        Err(why) => return TakenUp::GivenUp(why),
    };
    let orders = RunArgs {
        run,
        goal: head.goal,
        params: head.params,
        input: head.input,
        parent: None,
        kept: Kept::from(journal.level()),
        jobs: staff.jobs,
        by: args.by.clone(),
        files: gear.files,
        shop: staff.shop.clone(),
        redactor: gear.redactor,
        artifacts: Arc::clone(&args.artifacts),
        feed: args.feeds.of(run),
        around: None,
    };
    let mut failed = 0;
    loop {
        let Ok(goals) = system.supervisor(goals_path().as_str()) else {
            // The tree ends, or begins anew; so does this host.
            return TakenUp::Carried;
        };
        match goals.start_child(orchestrator(orders.clone(), staff.restarts)).await {
            // Where its start says that it is not to be carried here, the feed says why.
            Ok(_) | Err(ChildError::AlreadyStarted { .. } | ChildError::Gone { .. }) => return TakenUp::Carried,
            Err(ChildError::AlreadyPresent { .. }) => forget(system, run).await,
            Err(error) => {
                failed += 1;
                if failed == STARTS {
                    return TakenUp::GivenUp(format!("its orchestrator does not start: {}", chain(&error)));
                }
                tokio::time::sleep(APART).await;
            }
        }
    }
}

/// What a run begins with and works with; nothing where it is over, or a step of another run.
async fn prepared(
    (args, staff): (&HostArgs, &Staff),
    journal: &dyn Journal,
    run: RunId,
) -> Result<Option<(Head, Gear)>, String> {
    let mut failed = 0;
    let head = loop {
        match head(journal, run).await {
            Ok(head) => break head,
            Err(HostError::Journal { source, .. }) if source.passes() && failed < STARTS => {
                failed += 1;
                tokio::time::sleep(APART).await;
            }
            Err(error) => return Err(chain(&error)),
        }
    };
    if head.parent.is_some() {
        return Ok(None);
    }
    if let Some(room) = staff.shop.room(run) {
        return Ok(Some((head, Gear::new(room.files, room.redactor))));
    }
    let gear = args.outfit.gear(&head).await.map_err(|unfit| unfit.to_string())?;
    Ok(Some((head, gear)))
}

/// Ends the orchestrator of a run, wherever it stands.
async fn forget(system: &System, run: RunId) {
    let Ok(goals) = system.supervisor(goals_path().as_str()) else { return };
    let name = run.to_string();
    // It may be gone already, which is what is wanted.
    let _ = goals.terminate_child(&name).await;
    let _ = goals.delete_child(&name).await;
}

/// Asks the journal until it answers.
async fn patiently<'j, T>(ask: impl Fn() -> crate::seam::BoxFuture<'j, Result<T, JournalError>>) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::warn!(%error, "the runs of the journal cannot be listed; trying again");
                tokio::time::sleep(APART).await;
            }
        }
    }
}
