//! What a supervisor's machine is told, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::exit::{Escalation, ExitReason};
use crate::id::ChildId;
use crate::supervision::intensity::{Moment, Tally};

use super::child::{ChildKey, Start};
use super::request::{Reply, Request, RequestId};

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
    /// A child's start said that there is nothing to run, and the child is wholly gone (rule 6).
    Ignored {
        /// The child.
        child: ChildKey,
        /// Which of its starts.
        start: Start,
    },
    /// A child makes no progress and is to be killed, whatever it is doing. Its life ends with this reason.
    Hung {
        /// The child.
        child: ChildKey,
        /// Which of its starts.
        start: Start,
        /// What is reported of it.
        reason: ExitReason,
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
    /// The answer to [`Command::AskProgress`].
    Progress {
        /// The child, a supervisor.
        child: ChildKey,
        /// Which of its lives.
        start: Start,
        /// What it waits for.
        progress: Progress,
    },
    /// Somebody asks for something. Answered by [`Command::Reply`], always.
    Request {
        /// Names it.
        request: RequestId,
        /// What is asked.
        what: Request,
    },
    /// The supervisor is to be killed (decision 12). Does not wait in line: all workers are killed at once, nested
    /// supervisors end theirs in order, and the supervisor exits as killed once all are gone (rule 54).
    Kill,
    /// The moment of [`Command::Arm`] has come.
    Timer,
    /// Begins nothing until [`Event::Resume`], so that what happens meanwhile waits in line. For tests.
    #[cfg(any(test, feature = "testing"))]
    Suspend,
    /// Goes on. For tests.
    #[cfg(any(test, feature = "testing"))]
    Resume,
}

/// What a supervisor that was killed and has not ended is waiting for. The greatest, of several, is what all wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Something without an end; or it did not even notice that it was killed.
    Unknown,
    /// Nothing: it has ended all it had, and its own exit is on its way.
    Leaving,
    /// Its next deadline, or that of a supervisor below it, by the clock of the machine that asks: then it kills or
    /// abandons somebody, and goes on.
    WaitsUntil(Moment),
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
        /// The reason it is given: a shutdown, or to a nested supervisor that its parent was killed.
        reason: ExitReason,
    },
    /// End this child now.
    Kill {
        /// The child.
        child: ChildKey,
        /// Which of its lives.
        start: Start,
    },
    /// This supervisor was killed and is not gone in time. It may be waiting for children of its own, which have deadlines
    /// too: answer at once with [`Event::Progress`].
    AskProgress {
        /// The child.
        child: ChildKey,
        /// Which of its lives.
        start: Start,
    },
    /// This child was killed and is not gone in time: what it still does must have no effect from now on, and it is
    /// reported as a leak. The machine takes it for gone.
    Abandon {
        /// The child.
        child: ChildKey,
        /// Which of its lives.
        start: Start,
        /// With which reason it counts as ended.
        reason: ExitReason,
    },
    /// From now on this child is started as the spec at this place of the request describes it.
    Adopt {
        /// The child: a new one, or one whose spec is replaced.
        child: ChildKey,
        /// The name it has.
        id: ChildId,
        /// The request that brought the spec.
        request: RequestId,
        /// The place of the spec in the request's list; 0 for a single one.
        place: usize,
    },
    /// The answer to a request.
    Reply {
        /// Which.
        request: RequestId,
        /// The answer.
        reply: Reply,
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
    /// The supervisor ends. No command follows, but for answers to those who ask later.
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
    /// Somebody asked for it.
    Request,
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

impl StartCause {
    /// Whether this start is a restart.
    #[must_use]
    pub fn is_restart(&self) -> bool {
        !matches!(self, Self::Init | Self::Request)
    }
}

impl fmt::Display for StartCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("init"),
            Self::Request => f.write_str("request"),
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
    /// A failed start was one too many for the child's own intensity: it is kept, stopped, and its siblings carry on.
    Quarantined {
        /// The child.
        child: ChildKey,
        /// Its name.
        id: ChildId,
        /// The restarts in its own window, this one included.
        tally: Tally,
    },
    /// The restart of a child waits for its back-off.
    BackingOff {
        /// The child.
        child: ChildKey,
        /// Its name.
        id: ChildId,
        /// How long.
        delay: Duration,
    },
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
/// `Display` is one phrase: `restarted (1 of 3 in 5s)`. That of a quarantine names the setting and what a person would
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is started again, and this counted.
    Restarting(Tally),
    /// Its start failed; it is tried again after what is already in line, or after its back-off, and that will count
    /// (rules 33 and 34).
    Retrying,
    /// Its own intensity ran out: it is kept, stopped, and its siblings carry on.
    Quarantined(Tally),
    /// Its start said that there is nothing to run (rule 6).
    Ignored,
    /// It was stopped because somebody asked for that (rule 44).
    Terminated,
    /// It did not start when somebody asked for it, and so nothing is kept of it (rule 43).
    NotAdded,
    /// It does not come back, and its spec is kept.
    Kept,
    /// It does not come back, and its spec is forgotten.
    Forgotten,
    /// It was stopped because of a sibling; it is started again with the group, unless it is temporary.
    StoppedWithGroup,
    /// It was stopped because somebody asked the supervisor to end.
    StoppedOnRequest,
    /// It was stopped because its supervisor gave up, shut down by itself, or did not start.
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
            Self::Quarantined(Tally { count, limit }) => {
                let restarts = if limit.max == 1 { "restart" } else { "restarts" };
                write!(
                    f,
                    "quarantined: its `budget` allows {} {restarts} in {:?}, and this would be number {count}; mend what ends \
                     it, or allow more, and bring it back with `restart_child`",
                    limit.max, limit.period
                )
            }
            Self::Ignored => f.write_str("nothing to run"),
            Self::Terminated => f.write_str("terminated"),
            Self::NotAdded => f.write_str("not added"),
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
