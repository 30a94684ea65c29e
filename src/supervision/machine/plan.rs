//! What a machine is doing, and what waits in line meanwhile.

use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::supervision::intensity::{Moment, Tally};

use super::child::{ChildKey, Position, Start};
use super::command::{StartCause, Verdict};
use super::graph::Graph;
use super::request::{Request, RequestId};

/// What waits in line until the machine is idle. Strictly first in, first out.
#[derive(Debug)]
pub(super) enum Item {
    /// A running child ended; its reason is kept with the child.
    Exit { child: ChildKey, start: Start },
    /// A child that is being restarted is to be tried (again).
    Retry { child: ChildKey },
    /// Somebody asks for something.
    Request { request: RequestId, what: Box<Request> },
    /// Somebody asks the supervisor to end.
    Stop { reason: ExitReason },
}

/// What is done when its moment comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The child did not stop in time.
    Kill(ChildKey),
    /// The children that were asked to stop together did not in time (rule 15).
    KillAll,
    /// The child was killed and is not gone.
    Abandon(ChildKey),
    /// The child has not started in time.
    StartDeadline(ChildKey),
    /// The child's back-off is over.
    Retry(ChildKey),
}

impl Alarm {
    pub(super) fn child(self) -> Option<ChildKey> {
        match self {
            Self::Kill(child) | Self::Abandon(child) | Self::StartDeadline(child) | Self::Retry(child) => Some(child),
            Self::KillAll => None,
        }
    }
}

/// The one thing that a machine is doing (rule 3).
#[derive(Debug)]
pub(super) enum Phase {
    /// Not begun.
    New,
    /// Nothing: what is in line comes next.
    Idle,
    /// Starting children.
    Starting(Starting),
    /// Stopping children.
    Stopping(Stopping),
    /// The supervisor ended.
    Done,
}

#[derive(Debug)]
pub(super) struct Starting {
    pub(super) batch: Batch,
    /// How many starts are under way: one at most, unless children say that they do not need each other.
    pub(super) underway: usize,
    /// Whether a start of this batch failed, so that no further one begins.
    pub(super) failed: bool,
    /// Whose group is stopped, and until when it waits, once the starts that are under way have ended.
    pub(super) wait: Option<(ChildKey, Moment)>,
    /// Which may start now, where children say after whom they start.
    pub(super) graph: Option<Box<Graph>>,
}

/// The children from one position up to another, which are to be started in order.
///
/// The range is consumed from its front. A range instead of a list: a group of any size costs nothing to remember.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) from: Position,
    pub(super) end: Position,
    pub(super) why: Why,
}

/// Why a batch is started; says what a failure in it means.
#[derive(Debug)]
pub(super) enum Why {
    Init,
    Restart(Culprit),
    /// A new child, on request.
    Added(RequestId),
    /// A child that was stopped, on request.
    Again(RequestId),
}

/// The child that caused a restart.
#[derive(Debug)]
pub(super) struct Culprit {
    pub(super) child: ChildKey,
    pub(super) id: ChildId,
    pub(super) trigger: Trigger,
    pub(super) tally: Tally,
}

/// What the culprit did.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    Exit,
    FailedStart,
    /// It was stopped on request while its group waited with it: the others are started without it.
    Terminated,
}

impl Why {
    pub(super) fn cause_for(&self, child: ChildKey) -> StartCause {
        let culprit = match self {
            Self::Init => return StartCause::Init,
            Self::Added(_) | Self::Again(_) => return StartCause::Request,
            Self::Restart(culprit) => culprit,
        };
        let tally = culprit.tally;
        if culprit.child != child {
            return StartCause::Sibling { culprit: culprit.id.clone(), tally };
        }
        match culprit.trigger {
            Trigger::Exit => StartCause::Restart { tally },
            Trigger::FailedStart | Trigger::Terminated => StartCause::Retry { tally },
        }
    }

    /// Whether this child, which caused it, stays down.
    pub(super) fn is_without(&self, child: ChildKey) -> bool {
        matches!(self, Self::Restart(Culprit { child: culprit, trigger: Trigger::Terminated, .. }) if *culprit == child)
    }

    /// The request that waits for this batch.
    pub(super) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Added(request) | Self::Again(request) => Some(*request),
            Self::Init | Self::Restart(_) => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Stopping {
    /// How many children were told to go and are not gone.
    pub(super) leaving: usize,
    /// In which order the others follow.
    pub(super) order: Order,
    pub(super) then: Then,
}

/// In which order children are stopped.
#[derive(Debug)]
pub(super) enum Order {
    /// From the last before `end` to the first at or after `from`, one after another. Consumed from its back.
    Reverse { from: Position, end: Position },
    /// Each once nobody is left that needs it.
    Dependents(Box<Graph>),
    /// All were told at once.
    Together,
}

/// What follows when all are stopped.
#[derive(Debug)]
pub(super) enum Then {
    /// The group is started.
    Start(Batch),
    /// The group waits, as one, for the back-off of this child.
    Wait { child: ChildKey, until: Moment },
    /// The child was stopped on request.
    Answer {
        child: ChildKey,
        request: RequestId,
        /// Those who had been stopped to wait with it, and carry on without it.
        group: Option<Batch>,
    },
    /// The supervisor ends.
    Exit {
        reason: ExitReason,
        /// What is said of the children that are stopped for it.
        verdict: Verdict,
    },
}

impl Then {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Start(_) | Self::Wait { .. } => Verdict::StoppedWithGroup,
            Self::Answer { .. } => Verdict::Terminated,
            Self::Exit { verdict, .. } => *verdict,
        }
    }

    /// The request that waits for this.
    pub(super) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Answer { request, .. } => Some(*request),
            Self::Start(batch) => batch.why.request(),
            Self::Wait { .. } | Self::Exit { .. } => None,
        }
    }
}
