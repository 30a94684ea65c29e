//! Who used how much of what a run may use.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::usage::size;
use crate::goal::span::Span;
use crate::run::id::Millis;
use crate::run::record::BudgetKind;
use crate::run::state::RunState;

/// What is used of one budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// Its key in the goal file, below `budget`: `wall`, `attempts`, `agents`, `output`, `counters.NAME`.
    pub budget: String,
    /// How much there is; nothing where the goal sets no limit. `wall` is in milliseconds.
    pub limit: Option<u64>,
    /// How much is used.
    pub used: u64,
    /// Who used the most.
    pub most: Option<Share>,
}

/// What one task or agent used of a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The task; the path of the agent where the budget is about agents.
    pub who: String,
    /// How much, in the unit of the budget.
    pub used: u64,
    /// The same for people.
    pub shown: String,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.who, self.shown)
    }
}

/// What is used of every budget that has a limit, and of every counter that was charged.
#[must_use]
pub fn accounts(state: &RunState, now: Millis) -> Vec<Account> {
    let (budget, usage) = (state.outline().budget(), state.usage());
    let end = state.ended().map_or(now, |(_, end)| end);
    let took = millis(end.since(state.started()).saturating_sub(state.paused_for()));
    let limits = [
        (BudgetKind::Wall, budget.wall.map(|wall| millis(wall.duration())), took),
        (BudgetKind::Attempts, budget.attempts, usage.attempts()),
        (BudgetKind::Agents, budget.agents, usage.agents()),
        (BudgetKind::Output, budget.output, usage.output()),
    ];
    let limited = limits.into_iter().filter(|(_, limit, _)| limit.is_some());
    let names = budget.counters.keys().chain(usage.counters().keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    let counters = names.into_iter().map(|name| {
        let used = usage.counters().get(name).map_or(0, |counter| counter.used);
        (BudgetKind::Counter(name.clone()), budget.counters.get(name).copied(), used)
    });
    limited
        .chain(counters)
        .map(|(which, limit, used)| Account { budget: which.key(), limit, used, most: most(state, &which, now) })
        .collect()
}

/// Who used the most of a budget; the first by name among equals.
pub(super) fn most(state: &RunState, which: &BudgetKind, now: Millis) -> Option<Share> {
    let (who, used) = match which {
        BudgetKind::Wall => largest(busy(state, now)),
        BudgetKind::Attempts => largest(state.tasks().map(|(id, task)| (id.to_string(), u64::from(task.attempts)))),
        BudgetKind::Agents => {
            largest(state.usage().lives().map(|(path, lives)| (path.to_string(), lives.len() as u64)))
        }
        BudgetKind::Output => largest(state.tasks().map(|(id, task)| {
            let reported = task.settled.as_ref().filter(|_| task.last.is_some());
            (id.to_string(), reported.map_or(0, |settled| size(&settled.outcome)))
        })),
        BudgetKind::Counter(name) => {
            let counter = state.usage().counters().get(name)?;
            largest(counter.by_task.iter().map(|(id, used)| (id.to_string(), *used)))
        }
        BudgetKind::Repeats { .. } => None,
    }?;
    let shown = match which {
        BudgetKind::Wall => Span::from_millis(used).to_string(),
        BudgetKind::Agents => format!("{used} lives"),
        _ => used.to_string(),
    };
    Some(Share { who, used, shown })
}

/// How long attempts of each task took, those that are out included.
fn busy(state: &RunState, now: Millis) -> impl Iterator<Item = (String, u64)> {
    let mut busy: BTreeMap<String, u64> =
        state.usage().busy().iter().map(|(id, took)| (id.to_string(), *took)).collect();
    for (id, since) in state.usage().since() {
        *busy.entry(id.to_string()).or_default() += millis(now.since(since));
    }
    busy.into_iter()
}

fn largest(shares: impl Iterator<Item = (String, u64)>) -> Option<(String, u64)> {
    let more = |most: Option<(String, u64)>, share: (String, u64)| match most {
        Some(most) if most.1 >= share.1 => Some(most),
        _ => Some(share),
    };
    shares.filter(|(_, used)| *used > 0).fold(None, more)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
