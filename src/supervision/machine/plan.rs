//! What a machine is doing, and what waits in line meanwhile.

use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::supervision::intensity::{Moment, Tally};

use super::child::{ChildKey, Position, Start};
use super::command::{StartCause, Verdict};

/// What waits in line until the machine is idle. Strictly first in, first out.
#[derive(Debug)]
pub(super) enum Item {
    /// A running child ended; its reason is kept with the child.
    Exit { child: ChildKey, start: Start },
    /// A child's start failed, for this reason, and is to be tried again.
    Retry { child: ChildKey, reason: ExitReason },
    /// Somebody asks the supervisor to end.
    Stop { reason: ExitReason },
}

/// The one thing that a machine is doing (rule 3).
#[derive(Debug)]
pub(super) enum Phase {
    /// Not begun.
    New,
    /// Nothing: what is in line comes next.
    Idle,
    /// Starting children, one after another.
    Starting(Starting),
    /// Stopping children, one after another.
    Stopping(Stopping),
    /// The supervisor ended.
    Done,
}

#[derive(Debug)]
pub(super) struct Starting {
    /// The child whose start is under way.
    pub(super) current: Option<ChildKey>,
    /// What is to be started after it.
    pub(super) rest: Batch,
}

/// The children from one position to another, which are to be started in order.
///
/// The range is consumed from its front. A range instead of a list: a group of any size costs nothing to remember.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) why: Why,
}

/// Why a batch is started; says what a failure in it means.
#[derive(Debug)]
pub(super) enum Why {
    Init,
    Restart(Culprit),
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
}

impl Why {
    pub(super) fn cause_for(&self, child: ChildKey) -> StartCause {
        let Self::Restart(culprit) = self else { return StartCause::Init };
        let tally = culprit.tally;
        if culprit.child != child {
            return StartCause::Sibling { culprit: culprit.id.clone(), tally };
        }
        match culprit.trigger {
            Trigger::Exit => StartCause::Restart { tally },
            Trigger::FailedStart => StartCause::Retry { tally },
        }
    }
}

#[derive(Debug)]
pub(super) struct Stopping {
    /// The child that is being stopped.
    pub(super) current: Option<Leaving>,
    /// The children from here ...
    pub(super) from: Position,
    /// ... up to here, this one excluded, are stopped after it, last first.
    pub(super) end: Position,
    pub(super) then: Then,
}

/// A child that was told to go.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) child: ChildKey,
    /// When it will be killed.
    pub(super) kill_at: Option<Moment>,
}

/// What follows when all are stopped.
#[derive(Debug)]
pub(super) enum Then {
    /// The group is started.
    Start(Batch),
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
            Self::Start(_) => Verdict::StoppedWithGroup,
            Self::Exit { verdict, .. } => *verdict,
        }
    }
}
