//! What a run has used of what it may use: a fold of its records.

use std::collections::{BTreeMap, BTreeSet};

use steadfast::Path;

use crate::run::id::{Millis, TaskId};
use crate::run::record::{BudgetKind, Leased, Outcome, Record};

/// What a run has used.
///
/// It changes with records alone, so that whoever has the records has the budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    attempts: u64,
    agents: BTreeMap<Path, BTreeSet<u64>>,
    lives: u64,
    output: u64,
    counters: BTreeMap<String, Counter>,
    /// How long attempts of each task took, in milliseconds.
    busy: BTreeMap<TaskId, u64>,
    spent: Option<Spent>,
    /// The attempts that are out.
    open: BTreeMap<TaskId, Open>,
}

/// What was charged to one counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What is used or set aside. What was set aside and never settled was used, as far as anybody knows.
    pub used: u64,
    /// How much of that is set aside by attempts that are out, and may be given back.
    pub set_aside: u64,
    /// The part of each task in what is used.
    pub by_task: BTreeMap<TaskId, u64>,
}

/// A budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Which.
    pub which: BudgetKind,
    /// What happened and what to do, for people.
    pub message: String,
}

/// An attempt that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    attempt: u32,
    since: Millis,
    /// What it has charged, by the name that the agent gave it.
    pub(super) charges: BTreeMap<String, Charge>,
    /// The calls that it has made, by the name that the agent gave them.
    pub(super) calls: BTreeSet<String>,
    pub(super) last_call: Option<Repeated>,
}

/// One charge of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) counter: String,
    pub(super) reserved: u64,
    pub(super) actual: Option<u64>,
}

/// A call, and how often it was made in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) tool: String,
    pub(super) digest: String,
    pub(super) times: u32,
}

impl Repeated {
    /// Whether the next call is the same one.
    pub(super) fn is(&self, tool: &str, digest: &str) -> bool {
        self.tool == tool && self.digest == digest
    }
}

impl Open {
    /// What it has set aside and not settled, of all counters.
    pub(super) fn set_aside(&self) -> u64 {
        let unsettled = self.charges.values().filter(|charge| charge.actual.is_none());
        unsettled.fold(0, |sum, charge| sum.saturating_add(charge.reserved))
    }
}

impl Usage {
    /// Takes one more record into account.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Leased(leased) => self.leased(leased),
            Record::Failed { task, attempt, wall, .. } | Record::Lost { task, attempt, wall, .. } => {
                self.ended(task, *attempt, *wall);
            }
            Record::Recorded { task, attempt, outcome, wall } => {
                if self.attempt(task, *attempt).is_some() {
                    self.output = self.output.saturating_add(size(outcome));
                }
                self.ended(task, *attempt, *wall);
            }
            Record::Paused { why, wall, .. } => {
                if let Some((task, attempt)) = why.task().and_then(|task| Some((task, self.open.get(task)?.attempt))) {
                    self.ended(task, attempt, *wall);
                }
            }
            Record::Reserved { task, attempt, charge, counter, amount } => {
                self.reserved((task, *attempt), charge, (counter, *amount));
            }
            Record::Charged { task, attempt, charge, amount, .. } => self.charged((task, *attempt), charge, *amount),
            Record::ToolCalled { task, attempt, call, tool, arguments_digest } => {
                self.called((task, *attempt), call, (tool, arguments_digest));
            }
            Record::BudgetSpent { which, message, .. } => {
                self.spent.get_or_insert_with(|| Spent { which: which.clone(), message: message.clone() });
            }
            _ => {}
        }
    }

    fn leased(&mut self, leased: &Leased) {
        self.attempts += 1;
        let is_new = self.agents.entry(leased.agent.clone()).or_default().insert(leased.incarnation);
        self.lives += u64::from(is_new);
        let (charges, calls) = (BTreeMap::new(), BTreeSet::new());
        let open = Open { attempt: leased.attempt, since: leased.wall, charges, calls, last_call: None };
        self.open.insert(leased.task.clone(), open);
    }

    /// The attempt is out no more. What it had set aside and did not settle stays used.
    fn ended(&mut self, task: &TaskId, attempt: u32, wall: Millis) {
        if self.attempt(task, attempt).is_none() {
            return;
        }
        let Some(open) = self.open.remove(task) else { return };
        let took = u64::try_from(wall.since(open.since).as_millis()).unwrap_or(u64::MAX);
        let busy = self.busy.entry(task.clone()).or_default();
        *busy = busy.saturating_add(took);
        for charge in open.charges.values().filter(|charge| charge.actual.is_none()) {
            if let Some(counter) = self.counters.get_mut(&charge.counter) {
                counter.set_aside = counter.set_aside.saturating_sub(charge.reserved);
            }
        }
    }

    fn reserved(&mut self, (task, attempt): (&TaskId, u32), id: &str, (name, amount): (&str, u64)) {
        let counter = self.counters.entry(name.to_owned()).or_default();
        counter.used = counter.used.saturating_add(amount);
        let part = counter.by_task.entry(task.clone()).or_default();
        *part = part.saturating_add(amount);
        if let Some(open) = self.open.get_mut(task).filter(|open| open.attempt == attempt) {
            counter.set_aside = counter.set_aside.saturating_add(amount);
            let charge = Charge { counter: name.to_owned(), reserved: amount, actual: None };
            open.charges.insert(id.to_owned(), charge);
        }
    }

    fn charged(&mut self, (task, attempt): (&TaskId, u32), id: &str, actual: u64) {
        let Some(open) = self.open.get_mut(task).filter(|open| open.attempt == attempt) else { return };
        let Some(charge) = open.charges.get_mut(id).filter(|charge| charge.actual.is_none()) else { return };
        charge.actual = Some(actual);
        let back = charge.reserved.saturating_sub(actual);
        if let Some(counter) = self.counters.get_mut(&charge.counter) {
            counter.set_aside = counter.set_aside.saturating_sub(charge.reserved);
            counter.used = counter.used.saturating_sub(back);
            if let Some(part) = counter.by_task.get_mut(task) {
                *part = part.saturating_sub(back);
            }
        }
    }

    fn called(&mut self, (task, attempt): (&TaskId, u32), id: &str, (tool, digest): (&str, &str)) {
        let Some(open) = self.open.get_mut(task).filter(|open| open.attempt == attempt) else { return };
        if !open.calls.insert(id.to_owned()) {
            return;
        }
        match open.last_call.as_mut().filter(|last| last.is(tool, digest)) {
            Some(last) => last.times += 1,
            None => {
                open.last_call = Some(Repeated { tool: tool.to_owned(), digest: digest.to_owned(), times: 1 });
            }
        }
    }

    /// The attempt, while it is out.
    pub(super) fn attempt(&self, task: &TaskId, attempt: u32) -> Option<&Open> {
        self.open.get(task).filter(|open| open.attempt == attempt)
    }

    /// How many attempts were given out.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// How many agents were given attempts; each life of an agent is one of its own.
    #[must_use]
    pub fn agents(&self) -> u64 {
        self.lives
    }

    /// The lives of each agent that was given attempts.
    pub fn lives(&self) -> impl Iterator<Item = (&Path, &BTreeSet<u64>)> {
        self.agents.iter()
    }

    /// How many bytes of results were recorded that agents reported.
    #[must_use]
    pub fn output(&self) -> u64 {
        self.output
    }

    /// What was charged to each counter.
    #[must_use]
    pub fn counters(&self) -> &BTreeMap<String, Counter> {
        &self.counters
    }

    /// How long attempts of each task took, in milliseconds; without those that are out.
    #[must_use]
    pub fn busy(&self) -> &BTreeMap<TaskId, u64> {
        &self.busy
    }

    /// The attempts that are out, and since when.
    pub(super) fn since(&self) -> impl Iterator<Item = (&TaskId, Millis)> {
        self.open.iter().map(|(id, open)| (id, open.since))
    }

    /// The budget that is used up, if one is.
    #[must_use]
    pub fn spent(&self) -> Option<&Spent> {
        self.spent.as_ref()
    }
}

/// How many bytes of result an outcome has.
pub(crate) fn size(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Succeeded { value, .. } => value.len() as u64,
        Outcome::Stored { bytes, .. } => *bytes,
        Outcome::Failed { .. } | Outcome::Skipped { .. } => 0,
    }
}
