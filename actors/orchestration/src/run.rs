//! One run of a plan: where it stands and what comes next.
//!
//! Everything that happens in a run is a [`Record`], appended to the journal before anything is done about it. A
//! [`RunState`] is what the records add up to, and [`next`] says what to do now. So whoever has the records has the
//! run: an orchestrator that crashed folds them again and goes on.
//!
//! This module is pure. It sends no message, reads no clock and knows no agent but by path.
//!
//! # Invariants
//!
//! * The same records give the same state, wherever the fold was interrupted.
//! * A task whose outcome is recorded is never leased again, and its outcome never changes.
//! * The [digest](result_digest) depends on the declared results alone: not on order, times, attempts or agents.

mod budget;
mod children;
mod decide;
mod digest;
mod estimate;
pub mod explain;
mod gather;
mod hold_up;
mod id;
pub mod large;
mod outline;
mod phase;
mod record;
mod report;
mod settle;
mod shared;
mod standing;
mod state;
mod waits;

pub use budget::{
    Account, Charge, ChargeRefusal, ChargeReply, Counter, Share, Spent, Usage, accounts, charge, end_of_time,
    has_agents, has_attempts, out_of_agents, out_of_attempts, out_of_output,
};
pub use children::{ChildEnd, Order, child_ended, child_run, child_undone, failures, is_inside, order, results};
pub(crate) use children::{after, as_who};
pub use decide::{Step, next};
pub use digest::{canonical, result_digest, sha256_hex, value_digest};
pub use estimate::{Estimate, PastRun, Spread, TaskEstimate};
pub use gather::Gathering;
pub use hold_up::{Lacking, hold_up};
pub use id::{InvalidTaskId, Millis, TaskId};
pub use outline::{Carried, Entry, Fan, Kept, Outline, RunLimits, Verdict};
pub use phase::{Phase, TaskStatus};
pub use record::{
    BudgetKind, Class, Leased, Lookups, Outcome, Parent, PauseCause, Record, RecordError, SkipCause, Status,
    UndoOutcome, UndoSummary, WaitFor, decode, encode,
};
pub use report::{CancelNote, Facts, FailureNote, Report, Restarts, SpentNote, TaskReport, Totals, UndoReport};
pub use settle::{AttemptEnd, attempt_ended, attempt_lost, given_up, taken_up, undo_ended, undo_lost};
pub use shared::Shared;
pub use standing::{Inside, PauseNote, Standing};
pub use state::{
    Cancel, Child, Counts, Held, Misfit, Pause, Resumption, RunState, Settled, TaskState, Uncancelled, UndoState,
    Waiting,
};
pub use waits::{Begin, On, Tell, Untold, Wait, begun, only_waits, standing, told};

#[cfg(test)]
mod tests;
