//! Everything that a system reports about itself.
//!
//! Events travel on a bounded stream. A reader that falls behind is told how many it missed and reads the state anew;
//! nothing that must not be lost depends on an event.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::exit::{Escalation, ExitReason};
use crate::flow::breaker::Change;
use crate::flow::limits::SpawnLimit;
use crate::id::{ChildId, Incarnation, Path};
use crate::lifecycle::StateName;
use crate::registry::selection::Decision;
use crate::supervision::intensity::Tally;
use crate::supervision::machine::{StartCause, Verdict};

/// Something that happened in the tree.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Instant,
    /// To whom.
    pub path: Path,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A supervisor is about to start a child. Every further incarnation of a child is announced by this.
    Starting {
        /// The new life.
        incarnation: Incarnation,
        /// By whose decision.
        cause: StartCause,
    },
    /// A child finished starting.
    Started {
        /// The life that started.
        incarnation: Incarnation,
    },
    /// A child ended, and this is what its supervisor made of it.
    Exited {
        /// The life that ended.
        incarnation: Incarnation,
        /// How it ended.
        reason: ExitReason,
        /// What its supervisor decided.
        verdict: Verdict,
    },
    /// An agent went from one state of its lifecycle to another.
    Lifecycle {
        /// Whose.
        incarnation: Incarnation,
        /// The state it left.
        from: StateName,
        /// The state it is in.
        to: StateName,
    },
    /// A failed start of a child was one too many for its own intensity: it is kept, stopped. Where an exit was one too
    /// many, that is the verdict of [`Exited`](Self::Exited).
    Quarantined {
        /// The restarts in its own window, this one included.
        tally: Tally,
    },
    /// The restart of a child waits for its back-off.
    BackingOff {
        /// How long.
        delay: Duration,
    },
    /// A supervisor gave up.
    GaveUp(Arc<Escalation>),
    /// The slot of a child closed: it will not come back, and messages to it are refused.
    Closed,
    /// A permanent agent was asked to drain and has ended; its next life starts. That is no restart that counts.
    Drained {
        /// The life that ended for it.
        incarnation: Incarnation,
    },
    /// A lazy agent had nothing to do and was put to rest; the next message starts it.
    Dozing {
        /// The life that ended for it.
        incarnation: Incarnation,
    },
    /// The slot of a child is at rest: it ended and its supervisor will not start it again by itself.
    Resting,
    /// A message was dropped.
    Dropped {
        /// Why.
        why: DropReason,
    },
    /// A message was not taken; its sender has it back, or an error.
    Refused {
        /// Why.
        why: RefuseReason,
    },
    /// A hook on a change of state failed.
    HookFailed {
        /// The life whose state was to change.
        incarnation: Incarnation,
        /// The change that it was for.
        from: StateName,
        /// The change that it was for.
        to: StateName,
        /// The hook's name.
        hook: String,
        /// How it failed.
        why: String,
        /// Whether the change was not made for it.
        refused: bool,
    },
    /// A message was routed: who was chosen, why, and among whom. The event is that of the chosen one. Made only for
    /// readers of [`System::decisions`](crate::System::decisions).
    Routed(Arc<Decision>),
    /// The circuit breaker that a route has before a provider changed.
    BreakerChanged(Change),
    /// A domain has as many agents as it may, and one that was to be started was not.
    SpawnRefused(SpawnLimit),
    /// A supervisor asked a child to stop and it did not within its time; it is killed.
    Killing {
        /// The life that is killed.
        incarnation: Incarnation,
    },
    /// A life that has ended, or was given up, still has code running: a handler or a task that blocks its thread, or a
    /// closure on the blocking pool. It is fenced: nothing that this code does through steadfast has an effect.
    Leaked {
        /// The life whose code runs on.
        incarnation: Incarnation,
    },
    /// The code of a life that had leaked has returned, and all that belonged to the life is gone.
    LeakEnded {
        /// The life.
        incarnation: Incarnation,
    },
    /// A runtime that agents, or the system, run on does not turn: all its threads are blocked. The system is not ready
    /// meanwhile.
    RuntimeBlocked {
        /// The runtime's name, or its number where it has none.
        runtime: String,
        /// For how long it had not run the watchdog's task.
        silent: Duration,
    },
    /// A runtime that was blocked turns again.
    RuntimeFree {
        /// The runtime's name, or its number where it has none.
        runtime: String,
        /// For how long it had not run the watchdog's task.
        silent: Duration,
    },
    /// The whole system is up.
    Ready,
    /// The whole system has ended. The last event of every stream.
    Ended,
    /// The whole system begins to end.
    Ending {
        /// The child of the system that began it, where one did.
        culprit: Option<ChildId>,
    },
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseReason {
    /// The mailbox held as many messages as it may.
    Full,
    /// The agent is not running, and no restart of it is coming.
    Gone,
    /// The agent is draining: it takes no new message.
    Draining,
    /// The sender has ended or was given up, and its code runs on.
    Fenced,
    /// The agent's domain got as many messages as it may within a time.
    RateLimited,
    /// As many requests as may were inside the agent's domain.
    Saturated,
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The asker's deadline had passed before the message was handled.
    Expired,
    /// The incarnation that handled it ended.
    HandlerEnded,
    /// The slot closed, or came to rest, while the message waited.
    Closed,
    /// The mailbox was full, and it made room for another.
    Shed,
    /// The mailbox was full, or its sender may not send any more; and nobody was there to take it back.
    Refused,
    /// Nobody listens to its subject, or offers what it asks for.
    NoReceiver,
    /// Its bytes, or its JSON, are not a message of the type that its receiver takes.
    DecodeError,
    /// The copy of what was published or broadcast, or its conversion to a message of its receiver, panicked.
    Unconverted,
    /// It is a reply, and whoever asked does not wait for it any more.
    LateReply,
}

/// Whether somebody should look at an exit. An ordinary end may be one too many for the child's budget.
pub(crate) fn is_a_warning(reason: &ExitReason, verdict: Verdict) -> bool {
    reason.is_abnormal() || matches!(verdict, Verdict::Quarantined(_))
}
