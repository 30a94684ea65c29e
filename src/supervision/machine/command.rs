//! What a supervisor's machine is told, and what it answers.

use std::fmt;
use std::sync::Arc;

use crate::exit::{Escalation, ExitReason};
use crate::id::ChildId;
use crate::supervision::intensity::{Moment, Tally};

use super::child::{ChildKey, Start};

/// Something that happened to a supervisor or its children.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The supervisor begins: it starts its children. Comes once.
    Init,
    /// A child's start succeeded.
    Started {
        /// The child.
        child: ChildKey,
        /// Which of its starts.
        start: Start,
    },
    /// A child is wholly gone. While it was still starting this is how its failed start is reported.
    Exited {
        /// The child.
        child: ChildKey,
        /// Which of its starts this life began with.
        start: Start,
        /// How it ended.
        reason: ExitReason,
    },
    /// The parent, or the owner of the system, asks the supervisor to end with this reason.
    ///
    /// May come at any time, and waits in line like everything else: what arrived before it is handled before it, and
    /// the start or stop that is under way ends first (rules 3 and 33).
    Stop {
        /// The reason with which the supervisor will exit.
        reason: ExitReason,
    },
    /// The supervisor is to be killed (decision 11). Does not wait in line: what is starting or stopping is killed, then
    /// all other children are, last first, and the supervisor exits as killed once all are gone.
    Kill,
    /// The moment of [`Command::Arm`] has come.
    Timer,
}

/// What the runtime must do, in the order in which the commands come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Start this child. Answer with [`Event::Started`], or with [`Event::Exited`] once it is wholly gone.
    Start {
        /// The child.
        child: ChildKey,
        /// The number of this start, which tags all events of the life that begins.
        start: Start,
        /// By whose decision.
        cause: StartCause,
    },
    /// Ask this child to stop.
    Stop {
        /// The child.
        child: ChildKey,
        /// Which of its lives.
        start: Start,
    },
    /// End this child now.
    Kill {
        /// The child.
        child: ChildKey,
        /// Which of its lives.
        start: Start,
    },
    /// Send [`Event::Timer`] at this moment or later. Replaces an earlier `Arm`; at most one is in force.
    Arm {
        /// The moment.
        at: Moment,
    },
    /// This child's spec is forgotten: its slot closes, and its key means nothing any more.
    ///
    /// Not said when the supervisor itself ends: what becomes of its children's slots then follows from what becomes
    /// of the supervisor.
    Forget {
        /// The child.
        child: ChildKey,
    },
    /// This child's spec is kept, but the child will not run for now: whoever waits for it need not wait longer.
    Rest {
        /// The child.
        child: ChildKey,
    },
    /// Something that people, events and the history should know.
    Note(Note),
    /// All children of the initial batch have started.
    Ready,
    /// The supervisor ends. No command follows.
    Exit {
        /// How it ended.
        reason: ExitReason,
    },
}

/// By whose decision a child was started.
///
/// `Display` is one phrase: `init`, `its own exit (1 of 3 in 5s)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartCause {
    /// Its supervisor began.
    Init,
    /// It ended, and its restart type brings it back.
    Restart {
        /// The restarts in the window, this one included.
        tally: Tally,
    },
    /// A sibling ended, and the strategy restarts this child with it.
    Sibling {
        /// The sibling that ended, or whose start failed.
        culprit: ChildId,
        /// The restarts in the window, this one included.
        tally: Tally,
    },
    /// Its last start failed (rule 33).
    Retry {
        /// The restarts in the window, this one included.
        tally: Tally,
    },
}

impl fmt::Display for StartCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("init"),
            Self::Restart { tally } => write!(f, "its own exit ({tally})"),
            Self::Sibling { culprit, tally } => write!(f, "the exit of `{culprit}` ({tally})"),
            Self::Retry { tally } => write!(f, "its failed start ({tally})"),
        }
    }
}

/// Something that people should know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Note {
    /// A child ended. Every life of a child that ended is noted exactly once, also an expected end.
    ChildExited(ChildExit),
    /// A failed start is tried again now, and that counts (rule 34).
    Retrying {
        /// The child.
        child: ChildKey,
        /// Its name.
        id: ChildId,
        /// The restarts in the window, this one included.
        tally: Tally,
    },
    /// The supervisor gives up: it will stop its other children and end.
    GaveUp(Arc<Escalation>),
}

/// The end of one life of a child, and what becomes of the child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildExit {
    /// The child.
    pub child: ChildKey,
    /// Its name, which outlives the key.
    pub id: ChildId,
    /// The start with which this life began.
    pub start: Start,
    /// How it ended.
    pub reason: ExitReason,
    /// What becomes of the child.
    pub verdict: Verdict,
}

/// What a supervisor made of the end of a child.
///
/// `Display` is one phrase: `restarted (1 of 3 in 5s)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is started again, and this counted.
    Restarting(Tally),
    /// Its start failed; it is tried again after what is already in line, and that will count (rules 33 and 34).
    Retrying,
    /// It does not come back, and its spec is kept.
    Kept,
    /// It does not come back, and its spec is forgotten.
    Forgotten,
    /// It was stopped because of a sibling; it is started again with the group, unless it is temporary.
    StoppedWithGroup,
    /// It was stopped because somebody asked the supervisor to end.
    StoppedOnRequest,
    /// It was stopped because its supervisor gave up or did not start.
    StoppedWithSupervisor,
    /// This end was one too many: the supervisor gives up.
    GaveUp,
    /// It did not start while its supervisor began, and so the supervisor does not start either (rule 7).
    InitFailed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restarting(tally) => write!(f, "restarted ({tally})"),
            Self::Retrying => f.write_str("to be tried again"),
            Self::Kept => f.write_str("not restarted"),
            Self::Forgotten => f.write_str("not restarted, forgotten"),
            Self::StoppedWithGroup => f.write_str("stopped with its group"),
            Self::StoppedOnRequest => f.write_str("stopped on request"),
            Self::StoppedWithSupervisor => f.write_str("stopped with its supervisor"),
            Self::GaveUp => f.write_str("its supervisor gave up"),
            Self::InitFailed => f.write_str("its supervisor did not start"),
        }
    }
}
