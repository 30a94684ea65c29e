//! What people and programs are told of a run, from its records alone.
//!
//! | question | answer |
//! |---|---|
//! | where does it stand, task by task? | [`tree`], `steadfast show RUN` |
//! | why does it stand there, and what is there to do? | [`why`], `steadfast why RUN [TASK]` |
//! | what happened, one line each? | [`line`](line()), [`Log`], `steadfast log RUN` |
//! | which runs are there? | [`table`], [`json_lines`], [`Filter`], `steadfast runs` |
//! //!
//! All of it begins with an [`Account`], which is made of the records of a run, and a [`View`], which says who asks and
//! when. Nothing here reads a clock or a journal.
//!
//! # Invariants
//!
//! * The same records and the same view give the same characters.
//! * Nothing is told that is not in a record, so that no secret is: records are redacted before they are written.
//! * Whatever a run and its tasks come to, there is an answer, and where somebody can do something it names the command.

mod account;
mod line;
mod runs;
mod tree;
mod view;
mod why;
mod words;

pub use account::{Account, Origin, Try, TryEnd, Unexplained};
pub use line::{Entry, Log, line};
pub use runs::{Filter, Row, UnknownStatus, Wanted, json_lines, table};
pub use tree::{Attempt, ChildNote, OutcomeNote, TaskNode, Tree, UndoNote, tree};
pub use view::View;
pub use why::{NoSuchTask, Todo, Why, why};

#[cfg(test)]
mod tests;
