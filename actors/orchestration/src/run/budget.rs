//! What a run may use, what it has used, and what follows when a budget is used up.
//!
//! What is used follows from the records alone. Before anything is used it stands in the journal: the record that gives
//! a lease out is the one that counts an attempt and an agent, the record of a result is the one that counts its bytes,
//! and what agents charge is set aside by [`Record::Reserved`] before they are told that they may.
//!
//! # Invariants
//!
//! * No budget is ever exceeded, in whichever order things happen; the time a run takes is, by what is under way in the
//!   moment in which it ends.
//! * What was set aside and never settled counts as used.
//! * Undoing costs nothing: what was begun is brought to its end.

mod charge;
mod share;
mod usage;

use crate::goal::model::Budget;
use crate::goal::span::Span;
use crate::run::id::{Millis, TaskId};
use crate::run::record::{BudgetKind, Record};
use crate::run::state::RunState;
pub use charge::{Charge, ChargeRefusal, ChargeReply, charge};
pub use share::{Account, Share, accounts};
pub use usage::{Counter, Spent, Usage};

impl BudgetKind {
    /// Its key in a goal file, below `budget`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Wall => "wall".to_owned(),
            Self::Attempts => "attempts".to_owned(),
            Self::Agents => "agents".to_owned(),
            Self::Output => "output".to_owned(),
            Self::Counter(name) => format!("counters.{name}"),
            Self::Repeats { .. } => "repeats".to_owned(),
        }
    }

    /// What to do about it, for people.
    #[must_use]
    pub fn remedy(&self) -> String {
        let otherwise = match self {
            Self::Wall => "give the run more `--jobs`",
            Self::Attempts => "lower `retries.attempts` of the tasks that fail",
            Self::Agents => "look at why its agents are started again",
            Self::Output => "declare smaller results",
            Self::Counter(_) => "have the tasks use less",
            Self::Repeats { .. } => "look at why the task calls the same tool with the same arguments",
        };
        format!("raise `budget.{}` in the goal file, or {otherwise}", self.key())
    }
}

/// Whether any attempt may still be given out.
#[must_use]
pub fn has_attempts(state: &RunState) -> bool {
    budget(state).attempts.is_none_or(|limit| state.usage().attempts() < limit)
}

/// Whether a life that was not used yet may be given an attempt.
#[must_use]
pub fn has_agents(state: &RunState) -> bool {
    budget(state).agents.is_none_or(|limit| state.usage().agents() < limit)
}

/// Returns what to append where a task could be given out, and there are no attempts left for it: nothing while others
/// are in flight, since these were paid for.
#[must_use]
pub fn out_of_attempts(state: &RunState, now: Millis) -> Option<Record> {
    let limit = budget(state).attempts?;
    let idle = state.held().next().is_none();
    (idle && !has_attempts(state)).then(|| {
        let used = format!("{} were given out, and more are needed", state.usage().attempts());
        spent(state, BudgetKind::Attempts, (&format!("{limit} attempts"), &used), now)
    })
}

/// Returns what to append where a task could be given out, and nobody can take it who was used before: nothing while
/// others are in flight.
#[must_use]
pub fn out_of_agents(state: &RunState, task: &TaskId, now: Millis) -> Option<Record> {
    let limit = budget(state).agents?;
    let idle = state.held().next().is_none();
    (idle && !has_agents(state)).then(|| {
        let used = format!("{} were used, and none of them can take `{task}`", state.usage().agents());
        spent(state, BudgetKind::Agents, (&format!("{limit} agents"), &used), now)
    })
}

/// Returns what to append instead of a result of so many bytes, where these are too many.
#[must_use]
pub fn out_of_output(state: &RunState, (task, attempt): (&TaskId, u32), bytes: u64, now: Millis) -> Option<Record> {
    let limit = budget(state).output?;
    let used = state.usage().output();
    (used.saturating_add(bytes) > limit).then(|| {
        let used = format!("{used} are recorded, and the result of `{task}`, attempt {attempt}, has {bytes}");
        spent(state, BudgetKind::Output, (&format!("{limit} bytes of output"), &used), now)
    })
}

/// The moment at which the run has used up its time, while it does not stand still.
#[must_use]
pub fn end_of_time(state: &RunState) -> Option<Millis> {
    let limit = budget(state).wall.filter(|_| !state.is_paused() && state.usage().spent().is_none())?;
    Some(state.started().after(limit.duration()).after(state.paused_for()))
}

/// Returns what to append when the run has used up its time, and something is left to do.
#[must_use]
pub(crate) fn out_of_time(state: &RunState, now: Millis) -> Option<Record> {
    let limit = budget(state).wall?;
    end_of_time(state).filter(|end| now >= *end)?;
    let used = format!("it began {} ago", Span::of(now.since(state.started())));
    Some(spent(state, BudgetKind::Wall, (&limit.to_string(), &used), now))
}

fn budget(state: &RunState) -> &Budget {
    state.outline().budget()
}

/// The record that a budget is used up: which, its limit, what is used, by whom most, and what to do.
fn spent(state: &RunState, which: BudgetKind, (limit, used): (&str, &str), now: Millis) -> Record {
    let most = share::most(state, &which, now).map_or_else(String::new, |share| format!("; the most is of {share}"));
    let message = format!("the budget of {limit} is spent: {used}{most}; {}", which.remedy());
    Record::BudgetSpent { which, message, wall: now }
}
