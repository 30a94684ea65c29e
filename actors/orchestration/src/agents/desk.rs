//! Where an agent keeps the leases it holds, and carries them out.
//!
//! # Invariants
//!
//! * A lease for another incarnation is not taken.
//! * The same lease delivered twice is carried out once.
//! * What was carried out is reported until the orchestrator has recorded or refused it, or is gone. Once the orchestrator
//!   has taken the report it need not be asked again, unless it takes long to record it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use steadfast::{Agent, Context, Progress, RequestError, RunId, System, TaskId, bug_on_purpose};

use crate::agents::ask::{PAUSE, TRY, again};
use crate::agents::ends::Ends;
use crate::agents::floor::Floor;
use crate::agents::protocol::{
    Lease, LeaseId, LeaseReply, LeaseRequest, REPORT, ReportReply, ReportRequest, task_capability,
};
use crate::cache::Cache;
use crate::goal::model::FailureClass;
use crate::redact::Redactor;
use crate::seam::commands::{Commands, Heartbeat};
use crate::seam::files::Files;
use crate::work::{Failure, Outcome, Tools, Work, perform};

/// How long a lease may go without progress before its holder counts as hung. A running program is progress.
pub const PROGRESS_DEADLINE: Duration = Duration::from_secs(2);

/// How often a report is tried where there is no orchestrator to hear it: for about a minute.
const ORPHANED: u32 = 6000;

/// How many leases are remembered after they ended, so that a late copy of one is recognised.
const REMEMBERED: usize = 64;

/// What agents carry tasks out with, for all runs of a tree. Shared by all agents and given to every incarnation anew.
///
/// What belongs to one run is in a table: whoever carries a run [opens](Self::open) it before it begins, and
/// [closes](Self::close) it when it is over.
#[derive(Clone)]
pub struct Workshop {
    /// The programs.
    pub commands: Arc<dyn Commands>,
    /// What was read before.
    pub cache: Arc<Cache>,
    rooms: Arc<Mutex<BTreeMap<RunId, Room>>>,
    floor: Floor,
    ends: Ends,
}

/// What one run works with.
#[derive(Clone)]
pub struct Room {
    /// The input folder.
    pub files: Arc<dyn Files>,
    /// What may be told.
    pub redactor: Redactor,
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs: Vec<_> = self.rooms().keys().copied().collect();
        f.debug_struct("Workshop").field("runs", &runs).field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("root", &self.files.root()).finish_non_exhaustive()
    }
}

impl Workshop {
    /// A workshop in which there is no run yet.
    #[must_use]
    pub fn new(commands: Arc<dyn Commands>, cache: Arc<Cache>) -> Self {
        Self { commands, cache, rooms: Arc::default(), floor: Floor::default(), ends: Ends::default() }
    }

    /// Agents may work for this run from now on, with these.
    pub fn open(&self, run: RunId, room: Room) {
        self.rooms().insert(run, room);
    }

    /// The run is over: nothing of it is kept here.
    pub fn close(&self, run: RunId) {
        self.rooms().remove(&run);
        self.floor.leave(run);
        self.ends.leave(run);
    }

    /// What this run works with, if it is open.
    #[must_use]
    pub fn room(&self, run: RunId) -> Option<Room> {
        self.rooms().get(&run).cloned()
    }

    /// Who works for which run.
    #[must_use]
    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    /// Who waits for what ends leases to be recorded.
    pub(crate) fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Tells whoever holds a lease of a run that nobody waits for it any more, and waits until they have heard. Whoever
    /// carries the run says first that it gives out no more.
    pub(crate) async fn drop_leases(&self, run: RunId, system: &System) {
        let mut told: Vec<_> = self.ends.out(run).into_iter().map(|out| Box::pin(drop_lease(system, out))).collect();
        // All at once, so that those who do not answer take no longer than one of them.
        poll_fn(|cx| {
            told.retain_mut(|told| told.as_mut().poll(cx).is_pending());
            if told.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RunId, Room>> {
        // Nothing that can panic happens under the lock.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries one attempt of a run out.
    pub(crate) async fn perform(
        &self,
        run: RunId,
        work: &Work,
        heartbeat: &Heartbeat,
    ) -> Result<Outcome, crate::work::Failure> {
        let room = self.room(run).ok_or_else(|| unknown(run))?;
        let tools = Tools::new(&*room.files, &*self.commands, &room.redactor).cache(&self.cache).heartbeat(heartbeat);
        perform(work, tools).await
    }
}

async fn drop_lease(system: &System, (lease, capability): (LeaseId, String)) {
    // Who does not answer is gone, and with it what it carried.
    if let Some(holder) = system.provider(&task_capability(&capability), &lease.agent) {
        let _ = holder.ask(LeaseRequest::Drop(lease), TRY).await;
    }
}

/// The failure of work for a run that nobody opened. The run may be opened later, so that it is worth another attempt.
pub(crate) fn unknown(run: RunId) -> crate::work::Failure {
    let message = format!(
        "nobody here knows what the run {run} works with: its input folder is opened by whoever carries the run; resume \
         the run where it is carried"
    );
    crate::work::Failure::new(FailureClass::Start, message)
}

/// The leases of one incarnation.
#[derive(Debug, Default)]
pub struct Desk {
    taken: BTreeMap<LeaseId, TaskId>,
    order: VecDeque<LeaseId>,
}

impl Desk {
    /// Answers a request about a lease; what is taken is carried out by a task of the agent.
    pub fn handle<A: Agent>(&mut self, request: LeaseRequest, shop: &Workshop, ctx: &mut Context<A>) -> LeaseReply {
        match request {
            LeaseRequest::Take(lease) => self.take(*lease, shop, ctx),
            LeaseRequest::Drop(lease) => {
                // It stays remembered, so that a copy of it that comes later is not carried out.
                if let Some(task) = self.taken.get(&lease) {
                    ctx.cancel(*task);
                }
                LeaseReply::Accepted
            }
        }
    }

    fn take<A: Agent>(&mut self, lease: Lease, shop: &Workshop, ctx: &mut Context<A>) -> LeaseReply {
        if lease.id.agent != *ctx.path() || lease.id.incarnation != ctx.incarnation() {
            return LeaseReply::Stale;
        }
        // On purpose: whoever sends it wants it done.
        if self.taken.contains_key(&lease.id) && !bug_on_purpose!(ctx.system(), LeaseTakenTwice) {
            return LeaseReply::Accepted;
        }
        let id = lease.id.clone();
        let (shop, system) = (shop.clone(), ctx.system().clone());
        let task = ctx.spawn_watched(PROGRESS_DEADLINE, |progress| carry_out(lease, shop, system, progress));
        self.remember(id, task);
        LeaseReply::Accepted
    }

    fn remember(&mut self, id: LeaseId, task: TaskId) {
        self.order.push_back(id.clone());
        self.taken.insert(id, task);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.taken.remove(&oldest);
        }
    }
}

async fn carry_out(lease: Lease, shop: Workshop, system: System, progress: Progress) {
    let beats = progress.clone();
    let heartbeat: Heartbeat = Arc::new(move || beats.beat());
    let mut performing = pin!(shop.perform(lease.id.attempt.run, &lease.work, &heartbeat));
    // Each time the work is woken it gets on, be it by one more piece of a large file.
    let end = poll_fn(|cx| {
        progress.beat();
        performing.as_mut().poll(cx)
    })
    .await;
    let ended = shop.ends.of(&lease.id);
    report_until(&lease, end, ended, (&system, &progress)).await;
}

/// Reports how an attempt ended until it is recorded, or nobody waits for it any more. It beats while it waits.
///
/// For agents that carry leases out by themselves; a [`Desk`] does it.
///
/// # Cancel safety
///
/// When the future is dropped, the report may or may not have been taken; the same one may be sent again.
pub async fn report(lease: &Lease, end: Result<Outcome, Failure>, system: &System, progress: &Progress) {
    report_until(lease, end, pending(), (system, progress)).await;
}

/// The same, for those who may hear that it is recorded.
async fn report_until(
    lease: &Lease,
    end: Result<Outcome, Failure>,
    ended: impl Future<Output = ()>,
    (system, progress): (&System, &Progress),
) {
    let mut ended = pin!(ended);
    let report = ReportRequest { lease: lease.id.clone(), end };
    // Waiting for the orchestrator is progress as well: it may be between two incarnations, or judging the result.
    let mut pause = PAUSE;
    let mut alone = 0;
    loop {
        progress.beat();
        match deliver(lease, &report, system).await {
            // Its supervisor may be between two lives, after which it is started anew.
            Err(RequestError::Gone { .. } | RequestError::Unknown { .. }) if alone < ORPHANED => {
                alone += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Ok(ReportReply::Settled | ReportReply::Refused)
            | Err(RequestError::Gone { .. } | RequestError::Unknown { .. }) => return,
            Ok(ReportReply::Received) => {
                tokio::select! {
                    biased;
                    () = &mut ended => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (2 * pause).min(20 * PAUSE);
            }
            Err(error) => again("report", &error).await,
        }
    }
}

async fn deliver(lease: &Lease, report: &ReportRequest, system: &System) -> Result<ReportReply, RequestError> {
    let path = &lease.orchestrator;
    let unknown = || RequestError::Unknown { path: path.to_string() };
    system.provider(&REPORT, path).ok_or_else(unknown)?.ask(report.clone(), TRY).await
}
