//! What a supervisor can be asked, and what it answers (rules 43 to 52).

use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::supervision::policy::{ChildKind, ChildRules, Rules, SpecProblem};

use super::child::{ChildKey, ChildState, Start};

/// Names a request, so that its answer finds whoever asked. Given by the runtime, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that a supervisor is asked. Waits in line like everything else (rule 3).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// Add a child at the end and start it (rule 43); of a dynamic supervisor: an instance of its template (rule 48).
    StartChild {
        /// Its name; a number of its own for an instance without a name.
        id: Option<ChildId>,
        /// Its rules; those of the template for an instance.
        rules: ChildRules,
    },
    /// Stop a child and keep its spec, or forget it when it is temporary (rule 44).
    TerminateChild(ChildId),
    /// Stop an instance of a dynamic supervisor, which is then forgotten; one that is gone is well stopped (rule 48).
    TerminateInstance(ChildId),
    /// Start a child that is stopped (rule 45).
    RestartChild(ChildId),
    /// Forget a child that is stopped (rule 46).
    DeleteChild(ChildId),
    /// List the children (rule 47).
    WhichChildren,
    /// Count them (rule 47).
    CountChildren,
    /// Tell the rules of a child (rule 47).
    ChildSpec(ChildId),
    /// Replace rules and specs, and start or stop nothing (rules 50 to 52).
    Update {
        /// The new rules of the supervisor.
        rules: Rules,
        /// The new children, in order; the template alone for a dynamic supervisor.
        children: Vec<(ChildId, ChildRules)>,
        /// How many instances a dynamic supervisor may hold from now on; any number when `None`. More that it has stay.
        max: Option<usize>,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// The child was started.
    Started {
        /// The child.
        child: ChildKey,
        /// The start of the life that runs now.
        start: Start,
    },
    /// The child's start said that there is nothing to run (rule 6).
    Ignored,
    /// Done.
    Done,
    /// The children, in order.
    Children(Vec<ChildRow>),
    /// How many there are.
    Counts(Counts),
    /// The rules of the child.
    Spec(ChildRules),
    /// It cannot be done; nothing has changed.
    Refused(Refusal),
}

/// A child in the answer to [`Request::WhichChildren`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildRow {
    /// Its key.
    pub key: ChildKey,
    /// Its name.
    pub id: ChildId,
    /// Where it stands.
    pub state: ChildState,
    /// The start of its present life, if it has one.
    pub start: Option<Start>,
    /// Worker or supervisor.
    pub kind: ChildKind,
}

/// The answer to [`Request::CountChildren`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Child specs; 1 for a dynamic supervisor.
    pub specs: usize,
    /// Children that are alive.
    pub active: usize,
    /// Supervisors among the children, running or not.
    pub supervisors: usize,
    /// Workers among them, running or not.
    pub workers: usize,
}

/// Why a request cannot be carried out. OTP's answers, and two of ours.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// A child of this name runs (rule 43).
    AlreadyStarted {
        /// The child.
        child: ChildKey,
        /// The start of its present life.
        start: Start,
    },
    /// A child of this name is kept, stopped or restarting (rule 43).
    AlreadyPresent,
    /// The child did not start; nothing is kept of a new one (rules 43 and 45).
    FailedToStart(ExitReason),
    /// No child has this name.
    NotFound,
    /// The child runs; stop it first (rules 45 and 46).
    Running,
    /// The child is being restarted (rules 38, 45 and 46).
    Restarting,
    /// The children of a dynamic supervisor cannot be asked for by this (rule 48). OTP's `simple_one_for_one`.
    Dynamic,
    /// The spec makes no sense (rules 9 and 52).
    Invalid(SpecProblem),
    /// The supervisor has ended, or ended before the request's turn came (rule 49). OTP's `noproc`.
    Ended,
    /// The dynamic supervisor holds as many instances as it may.
    TooMany {
        /// How many.
        max: usize,
    },
}
