//! What agents charge themselves, and the calls that they tell of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::usage::Open;
use super::{budget, spent};
use crate::goal::check::is_counter;
use crate::run::id::{Millis, TaskId};
use crate::run::record::{BudgetKind, Class, Record};
use crate::run::settle::{AttemptEnd, attempt_ended};
use crate::run::state::RunState;

/// How many bytes the name of a charge, a call or a tool may have.
const NAME: usize = 128;

/// How many charges and calls one attempt may make.
const MOST: usize = 100_000;

/// What the holder of a lease says that it is about to use, or has used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Charge {
    /// It is about to use at most so much of a counter.
    Reserve {
        /// The counter.
        counter: String,
        /// How much at most.
        amount: u64,
    },
    /// It has used so much of what was set aside by the charge of the same name; the rest is given back.
    Settle {
        /// How much, at most what was set aside.
        amount: u64,
    },
    /// It is about to call a tool.
    Call {
        /// The tool.
        tool: String,
        /// The digest of what it is called with.
        arguments_digest: String,
    },
}

/// What follows from a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChargeReply {
    /// It is recorded, and may be used.
    Granted,
    /// What is left is set aside by others, who may give some of it back: ask again in a moment.
    Later,
    /// It is more than is left. The run ends, and this attempt with it.
    Spent {
        /// How much there is in all.
        limit: u64,
        /// How much of it is used or set aside.
        used: u64,
    },
    /// The call was made so often in a row that the step is stopped.
    Repeated {
        /// The how many-th time this would have been.
        times: u32,
    },
    /// Nothing was charged.
    Refused(ChargeRefusal),
}

/// Why a charge is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChargeRefusal {
    /// The lease is not, or no longer, that agent's.
    NotHolder,
    /// No charge of this name was made under this lease.
    Unknown,
    /// The name was used for another charge before.
    Differs,
    /// More was used than had been set aside.
    TooMuch,
    /// A name is empty, too long, no name of a counter, or looks like a secret.
    Name,
    /// The attempt has made as many charges and calls as one may.
    TooMany,
}

impl fmt::Display for ChargeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHolder => "the lease is not, or no longer, held by whoever charges",
            Self::Unknown => "nothing was set aside under this name; charge it first",
            Self::Differs => "another charge has this name; give each one a name of its own",
            Self::TooMuch => "more was used than was set aside; charge the rest under a name of its own",
            Self::Name => "a name is wrong; expected a counter of letters, digits, `.`, `-` and `_`, and short names without secrets",
            Self::TooMany => "the attempt has charged 100000 times; charge larger amounts",
        })
    }
}

/// Returns what to append when the attempt that holds the task's lease charges something, and what to answer once that
/// is appended.
///
/// The same charge may come any number of times, and is made once.
#[must_use]
pub fn charge(
    state: &RunState,
    (task, attempt): (&TaskId, u32),
    (name, what): (&str, &Charge),
    now: Millis,
) -> (Vec<Record>, ChargeReply) {
    let Some(open) = state.usage().attempt(task, attempt) else { return refused(ChargeRefusal::NotHolder) };
    if !is_name(name) {
        return refused(ChargeRefusal::Name);
    }
    let is_full = open.charges.len() + open.calls.len() >= MOST;
    let is_known = open.charges.contains_key(name) || open.calls.contains(name);
    if is_full && !is_known {
        return refused(ChargeRefusal::TooMany);
    }
    let at = At { state, task, attempt, open, name, now };
    match what {
        Charge::Reserve { counter, amount } => at.reserve(counter, *amount),
        Charge::Settle { amount } => at.settle(*amount),
        Charge::Call { tool, arguments_digest } => at.call(tool, arguments_digest),
    }
}

/// One charge of one attempt.
struct At<'s> {
    state: &'s RunState,
    task: &'s TaskId,
    attempt: u32,
    open: &'s Open,
    name: &'s str,
    now: Millis,
}

impl At<'_> {
    fn reserve(&self, counter: &str, amount: u64) -> (Vec<Record>, ChargeReply) {
        if let Some(before) = self.open.charges.get(self.name) {
            let same = before.counter == counter && before.reserved == amount;
            return if same { granted(Vec::new()) } else { refused(ChargeRefusal::Differs) };
        }
        if !is_counter(counter) {
            return refused(ChargeRefusal::Name);
        }
        let limit = budget(self.state).counters.get(counter).copied();
        let of = self.state.usage().counters().get(counter);
        let (used, set_aside) = of.map_or((0, 0), |counter| (counter.used, counter.set_aside));
        let fits = |used: u64| limit.is_none_or(|limit| used.checked_add(amount).is_some_and(|sum| sum <= limit));
        if fits(used) {
            return granted(vec![Record::Reserved {
                task: self.task.clone(),
                attempt: self.attempt,
                charge: self.name.to_owned(),
                counter: counter.to_owned(),
                amount,
            }]);
        }
        // Whoever waits holds nothing that somebody else could wait for, so that no two wait for each other.
        if self.open.set_aside() == 0 && fits(used.saturating_sub(set_aside)) {
            return (Vec::new(), ChargeReply::Later);
        }
        let limit = limit.unwrap_or(u64::MAX);
        let is = format!("{used} are used or set aside, and `{}`, attempt {}, needs {amount}", self.task, self.attempt);
        let which = BudgetKind::Counter(counter.to_owned());
        let record = spent(self.state, which, (&format!("{limit} {counter}"), &is), self.now);
        (vec![record], ChargeReply::Spent { limit, used })
    }

    fn settle(&self, amount: u64) -> (Vec<Record>, ChargeReply) {
        let Some(before) = self.open.charges.get(self.name) else { return refused(ChargeRefusal::Unknown) };
        match before.actual {
            Some(actual) if actual == amount => granted(Vec::new()),
            Some(_) => refused(ChargeRefusal::Differs),
            None if amount > before.reserved => refused(ChargeRefusal::TooMuch),
            None => granted(vec![Record::Charged {
                task: self.task.clone(),
                attempt: self.attempt,
                charge: self.name.to_owned(),
                counter: before.counter.clone(),
                amount,
            }]),
        }
    }

    fn call(&self, tool: &str, digest: &str) -> (Vec<Record>, ChargeReply) {
        if !is_name(tool) || !is_name(digest) {
            return refused(ChargeRefusal::Name);
        }
        if self.open.calls.contains(self.name) {
            return granted(Vec::new());
        }
        let before = self.open.last_call.as_ref().filter(|last| last.is(tool, digest)).map_or(0, |last| last.times);
        let (times, most) = (before + 1, budget(self.state).repeats());
        if times >= most {
            let message = format!(
                "it called `{tool}` {times} times in a row with the same arguments and was stopped; look at why, or \
                 raise `budget.repeats`, {most}, in the goal file"
            );
            let end = AttemptEnd::Failed { class: Class::Repeats, message };
            return (attempt_ended(self.state, self.task, end, self.now), ChargeReply::Repeated { times });
        }
        granted(vec![Record::ToolCalled {
            task: self.task.clone(),
            attempt: self.attempt,
            call: self.name.to_owned(),
            tool: tool.to_owned(),
            arguments_digest: digest.to_owned(),
        }])
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len())
}

fn granted(records: Vec<Record>) -> (Vec<Record>, ChargeReply) {
    (records, ChargeReply::Granted)
}

fn refused(why: ChargeRefusal) -> (Vec<Record>, ChargeReply) {
    (Vec::new(), ChargeReply::Refused(why))
}
