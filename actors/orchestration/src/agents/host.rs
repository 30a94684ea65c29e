//! Carries the runs of a journal: takes up what is unfinished, begins what is new, does what other processes ask for, and
//! lets go of what is over.
//!
//! It stands behind the supervisor of the orchestrators, so that when those are gone it begins anew and takes their runs
//! up again. It keeps nothing but which runs are carried; whatever it does may be done twice.
//!
//! # Invariants
//!
//! * A run is recorded before it is carried, and a request is forgotten after what came of it is recorded.
//! * A run that cannot be carried is given up by itself: no other one notices.
//! * A run that another process took over is left alone, and so are the requests about it.
//! * Requests about one run are done one after the other, in the order in which they were asked.

mod feeds;
mod requests;
mod take_up;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use steadfast::{Agent, BoxError, Context, Incarnation, RunId, TellError};
use uuid::Uuid;

use crate::host::{Asked, Outfit};
use crate::preset::Staff;
use crate::run::Standing;
use crate::seam::artifacts::{Artifacts, MemoryArtifacts};
use crate::seam::requests::{MemoryRequests, Requests};

pub use feeds::{Feeds, HostEvent};
pub(crate) use watch::put_aside;

/// How often it is looked whether another process asks for something.
pub const POLL: Duration = Duration::from_millis(250);

/// Which runs a host carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takes {
    /// All that are unfinished in the journal, and all that others ask for: a process that owns a store.
    #[default]
    All,
    /// Those that this process names. What others ask of the rest is recorded, and new runs are left to whoever takes
    /// all.
    Named,
}

/// What a host works with.
#[derive(Clone)]
pub struct HostArgs {
    /// The name of this process, which no other one has: who owns the runs.
    pub by: String,
    /// Which runs it carries.
    pub takes: Takes,
    /// Finds what a run works with.
    pub outfit: Arc<dyn Outfit>,
    /// Where large results are kept, as durably as the journal keeps their records.
    pub artifacts: Arc<dyn Artifacts>,
    /// What other processes ask for.
    pub requests: Arc<dyn Requests>,
    /// Where others hear of the runs.
    pub feeds: Feeds,
}

impl HostArgs {
    /// A host that carries everything, keeps large results in memory, and hears of no other process.
    #[must_use]
    pub fn new(by: impl Into<String>, outfit: Arc<dyn Outfit>) -> Self {
        Self {
            by: by.into(),
            takes: Takes::All,
            outfit,
            artifacts: Arc::new(MemoryArtifacts::new()),
            requests: Arc::new(MemoryRequests::new()),
            feeds: Feeds::new(),
        }
    }
}

impl fmt::Debug for HostArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostArgs").field("by", &self.by).field("takes", &self.takes).finish_non_exhaustive()
    }
}

/// A host.
pub struct Host {
    args: HostArgs,
    staff: Staff,
    runs: BTreeMap<RunId, Carried>,
    /// Runs that other processes took over.
    foreign: BTreeSet<RunId>,
    /// Runs about which something that was asked is being done, or about one inside.
    asking: BTreeSet<RunId>,
    /// Those of them that are carried once that is done.
    held_back: BTreeSet<RunId>,
    /// Requests that cannot be done here, as they were looked at.
    left: BTreeSet<Uuid>,
    polling: bool,
    draining: bool,
}

/// How far the host is with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    /// Its orchestrator is being started.
    Starting,
    /// It has one.
    Yes,
    /// It is let go of; and is to be taken up again after that, or not.
    Leaving(Again),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

/// What a host is told and asked.
pub enum HostMessage {
    /// To carry a run that is in the journal. Done as soon as it has heard; what comes of it is told by the run's feed.
    TakeUp(RunId),
    /// To give out no more leases, in any run, and to take up no more.
    Drain,
    /// What it set going has come back. Anything of an earlier incarnation is dropped.
    #[doc(hidden)]
    Own(Incarnation, HostOwn),
}

/// What comes back to the host itself.
#[doc(hidden)]
#[derive(Debug)]
pub enum HostOwn {
    /// A run of the journal is unfinished.
    Found(RunId),
    /// All that were unfinished have been found.
    Scanned { unfinished: usize },
    /// A run has an orchestrator, is none of ours, or cannot have one.
    TakenUp { run: RunId, outcome: TakenUp },
    /// A run does nothing more here.
    Over { run: RunId, standing: Standing },
    /// Nothing of a run is left here.
    Forgotten(RunId),
    /// It is time to look at what others ask for.
    Poll,
    /// What others ask for, each with the run that is not taken up meanwhile.
    Pending(Vec<(RunId, Asked)>),
    /// What was asked about a run is done, as far as it can be; those that are left, and the run that is to be carried.
    Answered { run: RunId, left: Vec<Uuid>, carry: Option<RunId> },
}

/// What came of taking a run up.
#[doc(hidden)]
#[derive(Debug)]
pub enum TakenUp {
    /// It is carried.
    Carried,
    /// It is over, or a step of another one.
    NotOurs,
    /// It cannot be.
    GivenUp(String),
}

impl Agent for Host {
    type Args = (HostArgs, Staff);
    type Message = HostMessage;
    type Reply = ();

    async fn start((args, staff): (HostArgs, Staff), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let mut host = Self {
            args,
            staff,
            runs: BTreeMap::new(),
            foreign: BTreeSet::new(),
            asking: BTreeSet::new(),
            held_back: BTreeSet::new(),
            left: BTreeSet::new(),
            polling: false,
            draining: false,
        };
        host.watch_orchestrators(ctx);
        // An earlier life of this process carried these.
        for run in host.args.feeds.carried() {
            host.take_up(run, ctx);
        }
        if host.args.takes == Takes::All {
            Self::scan(ctx);
        }
        let incarnation = ctx.incarnation();
        ctx.every(POLL, move || HostMessage::Own(incarnation, HostOwn::Poll));
        host.poll(ctx);
        Ok(host)
    }

    async fn handle(&mut self, message: HostMessage, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        match message {
            HostMessage::TakeUp(run) => self.take_up(run, ctx),
            HostMessage::Drain => self.drain(ctx),
            HostMessage::Own(of, own) if of == ctx.incarnation() => self.own(own, ctx),
            HostMessage::Own(..) => {}
        }
        Ok(())
    }
}

impl Host {
    fn own(&mut self, own: HostOwn, ctx: &mut Context<Self>) {
        match own {
            HostOwn::Found(run) => self.take_up(run, ctx),
            // Behind all that were found, since it came the same way.
            HostOwn::Scanned { unfinished } => self.args.feeds.tell(HostEvent::Scanned { unfinished }),
            HostOwn::TakenUp { run, outcome } => self.taken_up(run, outcome, ctx),
            HostOwn::Over { run, standing } => self.over(run, standing, ctx),
            HostOwn::Forgotten(run) => self.forgotten(run, ctx),
            HostOwn::Poll => self.poll(ctx),
            HostOwn::Pending(asked) => self.pending(asked, ctx),
            HostOwn::Answered { run, left, carry } => self.answered(run, left, carry, ctx),
        }
    }
}

/// Sets something going whose answer comes back as a message to the agent itself, if there is one.
fn set_going(ctx: &mut Context<Host>, work: impl Future<Output = Option<HostOwn>> + Send + 'static) {
    let (myself, incarnation) = (ctx.myself(), ctx.incarnation());
    ctx.spawn(async move {
        let Some(own) = work.await else { return };
        tell(&myself, incarnation, own).await;
    });
}

async fn tell(myself: &steadfast::AgentRef<Host>, incarnation: Incarnation, own: HostOwn) {
    let mut message = HostMessage::Own(incarnation, own);
    while let Err(TellError::Full { message: back, .. }) = myself.tell_wait(message, Duration::from_secs(1)).await {
        message = back;
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("args", &self.args).field("runs", &self.runs).finish_non_exhaustive()
    }
}
