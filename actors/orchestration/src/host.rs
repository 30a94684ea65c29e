//! Between a store and the orchestrators: which runs there are, which goes on, what other processes ask for.
//!
//! What is here decides and reads; who carries runs out is the agent [`Host`](crate::agents::host::Host).
//!
//! | what | where |
//! |---|---|
//! | the runs of a journal, each in short | [`summaries`], [`unfinished`], [`RunSummary`] |
//! | whether a run, or one inside it, waits to be resumed | [`stands_still`] |
//! | the same goal again | [`Identity`], [`find_unfinished`], [`changed_steps`] |
//! | a run that begins in the middle of another | [`fork`] |
//! | what another process asks for, and what came of it | [`Ask`], [`Asked`], [`Answers`] |
//! | the run that carries one inside others, or why none will | [`carried_by`], [`outermost`], [`left_behind`] |
//! | the same where nobody carries the run | [`apply`] |
//! | what a run works with on this machine | [`Outfit`], [`DiskOutfit`] |
//!
//! # Invariants
//!
//! * A run goes on from its records alone: goal, parameters and input folder are in the first one.
//! * A run whose last record is its end is never looked at further, so that old runs cost little.
//! * What was asked once is done once: the record that says so is appended together with what was asked.

mod answer;
mod ask;
mod begin;
mod fork;
mod identity;
mod inside;
mod offline;
mod outfit;
mod summary;

pub(crate) use answer::answered;
pub use answer::{Answer, Answers, answer_of, answer_to, over, over_after};
pub use ask::{Ask, Asked, AskedError};
pub use begin::{BeginError, Start, begin, fork_run};
pub use fork::{ForkError, fork};
pub use identity::{Change, Difference, Identity, changed_steps, find_unfinished};
pub(crate) use inside::still_inside;
pub use inside::{carried_by, outermost, stands_still};
pub use offline::{ApplyError, apply, left_behind};
pub(crate) use offline::{answered_before, refuse};
pub use outfit::{DiskOutfit, Gear, Outfit, Unfit, secrets};
pub use summary::{Found, Head, HostError, RunSummary, end_of, found, head, records, summaries, summary, unfinished};
