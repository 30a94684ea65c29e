//! What the records of a run add up to, with what the state of the run does not keep: who tried what, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use steadfast::{Path, RunId};

use crate::goal::model::{Goal, Task};
use crate::plan::Plan;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::{Kept, Outline};
use crate::run::phase::Phase;
use crate::run::record::{Class, Leased, Outcome, Parent, Record, SkipCause, UndoOutcome};
use crate::run::state::{Misfit, RunState};

/// What the records of a run add up to.
#[derive(Clone, Debug)]
pub struct Account {
    origin: Origin,
    state: RunState,
    phase_since: Millis,
    last: Millis,
    tries: BTreeMap<TaskId, Vec<Try>>,
    undo_tries: BTreeMap<TaskId, Vec<Try>>,
    since: BTreeMap<TaskId, Millis>,
    refused: BTreeMap<TaskId, u64>,
    taken_up: Option<(String, Millis)>,
    forked: Option<(RunId, TaskId)>,
}

/// What a run began with.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// What is wanted, where the record says it so that it can be read.
    pub goal: Option<Goal>,
    /// The parameters that were given.
    pub params: BTreeMap<String, Value>,
    /// The input folder; empty where the run has none that others could name.
    pub input: String,
    /// Whose step the run is.
    pub parent: Option<Parent>,
}

/// One attempt of a task, or of its undo.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Try {
    /// The number of the attempt.
    pub number: u32,
    /// Who had it.
    pub agent: Path,
    /// The incarnation that had it.
    pub incarnation: u64,
    /// Since when.
    pub began: Millis,
    /// How and when it ended; nothing while it is out.
    pub ended: Option<(TryEnd, Millis)>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryEnd {
    /// It did what it should.
    Succeeded,
    /// It found that the task need not be done.
    Skipped,
    /// It failed by itself.
    Failed(Class, String),
    /// Its agent was no more.
    Lost(String),
    /// Nobody waited for it any more.
    Dropped(String),
}

/// Records cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unexplained {
    /// There are none, or they do not begin with the beginning.
    #[error("the records do not begin with the beginning of a run; `steadfast verify` says what is missing")]
    Headless,
    /// The goal in the first record cannot be read.
    #[error("the goal of the run cannot be read: {0}")]
    Goal(String),
    /// A record is of another plan.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

impl Origin {
    /// What a record that begins a run says.
    ///
    /// # Errors
    ///
    /// [`Unexplained::Headless`] for any other record, [`Unexplained::Goal`] where the goal cannot be read.
    pub fn of(first: &Record) -> Result<Self, Unexplained> {
        let Record::RunStarted { goal, params, input, parent, .. } = first else { return Err(Unexplained::Headless) };
        let unread = |error: serde_json::Error| Unexplained::Goal(error.to_string());
        let goal = Some(serde_json::from_str(goal).map_err(unread)?);
        let params = serde_json::from_str(params).map_err(unread)?;
        Ok(Self { goal, params, input: input.clone(), parent: parent.clone() })
    }

    /// What a run of it is made of. A goal of which no plan can be made has no tasks.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let Some(goal) = &self.goal else { return Outline::default() };
        // How many executors there are makes no difference to what was.
        match Plan::rebuild(goal.clone(), self.params.clone()) {
            Ok(plan) => Outline::of(&plan, usize::MAX),
            Err(_) => Outline::unplanned(goal, usize::MAX),
        }
        .kept(Kept::Journaled)
    }
}

impl Account {
    /// What these records of a run add up to; they are all that there are, in order.
    ///
    /// # Errors
    ///
    /// [`Unexplained`] when they are not those of one run.
    pub fn of(records: &[Record]) -> Result<Self, Unexplained> {
        let origin = Origin::of(records.first().ok_or(Unexplained::Headless)?)?;
        let outline = Arc::new(origin.outline());
        Ok(Self::with(origin, outline, records)?)
    }

    /// What these records add up to, for a run that is made of this.
    ///
    /// # Errors
    ///
    /// [`Misfit`] when they are of another plan.
    pub fn with(origin: Origin, outline: Arc<Outline>, records: &[Record]) -> Result<Self, Misfit> {
        let mut account = Self {
            origin,
            state: RunState::new(outline),
            phase_since: Millis(0),
            last: Millis(0),
            tries: BTreeMap::new(),
            undo_tries: BTreeMap::new(),
            since: BTreeMap::new(),
            refused: BTreeMap::new(),
            taken_up: None,
            forked: None,
        };
        for record in records {
            account.add(record)?;
        }
        Ok(account)
    }

    /// Takes one more record into account.
    ///
    /// # Errors
    ///
    /// [`Misfit`] when it is of another plan.
    pub fn add(&mut self, record: &Record) -> Result<(), Misfit> {
        self.last = record.wall().unwrap_or(self.last);
        let before = self.state.phase();
        self.note(record);
        self.state.apply(record)?;
        if self.state.phase() != before {
            self.phase_since = self.last;
        }
        Ok(())
    }

    fn note(&mut self, record: &Record) {
        let now = self.last;
        match record {
            Record::TakenUp { by, wall } => self.taken_up = Some((by.clone(), *wall)),
            Record::Forked { from, task, .. } => self.forked = Some((*from, task.clone())),
            Record::Leased(leased) => began(&mut self.tries, leased),
            Record::Failed { task, attempt, class, message, .. } => {
                ended(&mut self.tries, (task, *attempt), TryEnd::Failed(*class, message.clone()), now);
            }
            Record::Lost { task, attempt, why, .. } => {
                ended(&mut self.tries, (task, *attempt), TryEnd::Lost(why.clone()), now);
            }
            Record::Recorded { task, attempt, outcome, .. } => {
                ended(&mut self.tries, (task, *attempt), end_of(outcome), now);
            }
            Record::Refused { task, .. } => *self.refused.entry(task.clone()).or_default() += 1,
            Record::UndoLeased(leased) => began(&mut self.undo_tries, leased),
            Record::UndoFailed { task, attempt, class, message, .. } => {
                ended(&mut self.undo_tries, (task, *attempt), TryEnd::Failed(*class, message.clone()), now);
            }
            Record::UndoLost { task, attempt, why, .. } => {
                ended(&mut self.undo_tries, (task, *attempt), TryEnd::Lost(why.clone()), now);
            }
            Record::UndoRecorded { task, attempt, outcome, .. } => {
                ended(&mut self.undo_tries, (task, *attempt), undo_end_of(outcome), now);
            }
            _ => {}
        }
        if let Some(task) = touched(record) {
            self.since.insert(task.clone(), now);
        }
    }

    /// Where the run stands.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// What the run began with.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where the run stands, and since when.
    #[must_use]
    pub fn phase(&self) -> (Phase, Millis) {
        let since = if self.phase_since == Millis(0) { self.state.started() } else { self.phase_since };
        (self.state.phase(), since)
    }

    /// When something happened last.
    #[must_use]
    pub fn last(&self) -> Millis {
        self.last
    }

    /// The attempts of a task, the first first.
    #[must_use]
    pub fn tries(&self, task: &TaskId) -> &[Try] {
        self.tries.get(task).map_or(&[], Vec::as_slice)
    }

    /// The attempts to undo a task, the first first.
    #[must_use]
    pub fn undo_tries(&self, task: &TaskId) -> &[Try] {
        self.undo_tries.get(task).map_or(&[], Vec::as_slice)
    }

    /// When something was recorded of a task last.
    #[must_use]
    pub fn since(&self, task: &TaskId) -> Option<Millis> {
        self.since.get(task).copied()
    }

    /// How many reports about a task were refused.
    #[must_use]
    pub fn refused(&self, task: &TaskId) -> u64 {
        self.refused.get(task).copied().unwrap_or_default()
    }

    /// Which process took the run up last, and when.
    #[must_use]
    pub fn taken_up(&self) -> Option<(&str, Millis)> {
        self.taken_up.as_ref().map(|(by, wall)| (by.as_str(), *wall))
    }

    /// From which run it took recorded results, and which task is the first that it did not take.
    #[must_use]
    pub fn forked(&self) -> Option<(RunId, &TaskId)> {
        self.forked.as_ref().map(|(from, task)| (*from, task))
    }

    /// The task of the goal with this id.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<&Task> {
        self.origin.goal.as_ref()?.tasks.iter().find(|task| task.id == id)
    }

    /// The name of the goal; empty where it cannot be read.
    #[must_use]
    pub fn goal(&self) -> &str {
        self.origin.goal.as_ref().map_or("", |goal| &goal.name)
    }
}

fn began(tries: &mut BTreeMap<TaskId, Vec<Try>>, leased: &Leased) {
    tries.entry(leased.task.clone()).or_default().push(Try {
        number: leased.attempt,
        agent: leased.agent.clone(),
        incarnation: leased.incarnation,
        began: leased.wall,
        ended: None,
    });
}

fn ended(tries: &mut BTreeMap<TaskId, Vec<Try>>, (task, attempt): (&TaskId, u32), end: TryEnd, now: Millis) {
    let tries = tries.get_mut(task).into_iter().flatten();
    if let Some(out) = tries.rev().find(|one| one.number == attempt && one.ended.is_none()) {
        out.ended = Some((end, now));
    }
}

fn end_of(outcome: &Outcome) -> TryEnd {
    match outcome {
        Outcome::Succeeded { .. } | Outcome::Stored { .. } => TryEnd::Succeeded,
        Outcome::Failed { class, message } => TryEnd::Failed(*class, message.clone()),
        Outcome::Skipped { cause: SkipCause::Condition, .. } => TryEnd::Skipped,
        Outcome::Skipped { reason, .. } => TryEnd::Dropped(reason.clone()),
    }
}

fn undo_end_of(outcome: &UndoOutcome) -> TryEnd {
    match outcome {
        UndoOutcome::Undone => TryEnd::Succeeded,
        UndoOutcome::Failed { class, message } => TryEnd::Failed(*class, message.clone()),
    }
}

/// The task that a record changes.
fn touched(record: &Record) -> Option<&TaskId> {
    match record {
        Record::Leased(leased) | Record::UndoLeased(leased) => Some(&leased.task),
        Record::Failed { task, .. }
        | Record::Lost { task, .. }
        | Record::Recorded { task, .. }
        | Record::Waiting { task, .. }
        | Record::ChildStarted { task, .. }
        | Record::UndoFailed { task, .. }
        | Record::UndoLost { task, .. }
        | Record::UndoRecorded { task, .. } => Some(task),
        Record::Paused { why, .. } => why.task(),
        _ => None,
    }
}
