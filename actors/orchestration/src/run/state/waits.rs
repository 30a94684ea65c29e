//! What a run waits for that no agent does, and what has come of it so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::RunId;
use uuid::Uuid;

use super::{Misfit, RunState};
use crate::goal::model::Take;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Carried;
use crate::run::record::{Outcome, Record, SkipCause, Status, WaitFor};

/// What the tasks that the run itself carries out wait for.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    /// Those that may begin.
    ready: BTreeSet<(usize, TaskId)>,
    begun: BTreeMap<TaskId, Waiting>,
    /// In the order in which they began.
    order: BTreeMap<u64, TaskId>,
    timers: BTreeSet<(Millis, TaskId)>,
    answered: BTreeMap<TaskId, Answer>,
    /// Signals that no task has taken yet, by name.
    signals: BTreeMap<String, VecDeque<Sent>>,
    children: BTreeMap<TaskId, Child>,
    /// Those that gather, and whose other needs are met.
    gathering: BTreeSet<String>,
    /// Of what is gathered, what succeeded, in the order in which it did.
    arrived: BTreeMap<String, Vec<String>>,
    /// Those of which it is known what they come to.
    ripe: BTreeSet<String>,
    /// Tasks that nothing needs any more.
    surplus: BTreeSet<TaskId>,
    /// What was asked by other processes, and why it was refused where it was.
    requests: BTreeMap<Uuid, Option<String>>,
    count: u64,
}

/// A task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub on: WaitFor,
    /// Since when.
    pub since: Millis,
    number: u64,
}

/// What a person said to a task that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) yes: bool,
    pub(crate) who: String,
    pub(crate) why: String,
}

/// A signal that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// What came with it, as JSON.
    pub(crate) data: String,
    pub(crate) wall: Millis,
}

/// The run of a task that is a goal of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The run.
    pub run: RunId,
    /// Since when.
    pub since: Millis,
    /// How it ended, once it did.
    pub ended: Option<Status>,
    /// How long it may take by the deadline of the run around it.
    pub time_left: Option<Duration>,
}

/// What a task that gathers comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// These succeeded, in the order of the goal.
    Taken(Vec<String>),
    /// Fewer than are needed can still succeed.
    Short {
        /// How many succeeded.
        have: usize,
        /// How many are needed.
        need: usize,
        /// Those that did not.
        without: Vec<String>,
    },
}

impl Waits {
    /// Whether a task gathers, and it is not known yet what it comes to.
    pub(super) fn gathers(&self, id: &str) -> bool {
        self.gathering.contains(id) && !self.ripe.contains(id)
    }
}

impl WaitFor {
    /// When the waiting ends by itself.
    #[must_use]
    pub fn until(&self) -> Option<Millis> {
        match self {
            Self::Approval { until, .. } | Self::Signal { until, .. } => *until,
            Self::Until(until) => Some(*until),
        }
    }
}

impl RunState {
    /// Takes a record about waiting into account; those about anything else change nothing here.
    pub(super) fn apply_wait(&mut self, record: &Record) -> Result<(), Misfit> {
        match record {
            Record::Waiting { task, on, wall } => self.waits_from(task, on.clone(), *wall)?,
            Record::Approved { task, who, why, .. } => {
                self.answered(task, Answer { yes: true, who: who.clone(), why: why.clone() })?;
            }
            Record::Rejected { task, who, why, .. } => {
                self.answered(task, Answer { yes: false, who: who.clone(), why: why.clone() })?;
            }
            Record::Signalled { name, data, wall, .. } => {
                let sent = Sent { data: data.clone(), wall: *wall };
                self.wait.signals.entry(name.clone()).or_default().push_back(sent);
            }
            Record::ChildStarted { task, run, wall } => self.child_started(task, *run, *wall)?,
            Record::ChildEnded { task, status, .. } => {
                if let Some(child) = self.wait.children.get_mut(task) {
                    child.ended = Some(*status);
                }
            }
            Record::RequestTaken { id, .. } => {
                self.wait.requests.insert(*id, None);
            }
            Record::RequestRefused { id, why, .. } => {
                self.wait.requests.insert(*id, Some(why.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    fn waits_from(&mut self, id: &TaskId, on: WaitFor, since: Millis) -> Result<(), Misfit> {
        if self.task_mut(id)?.settled.is_some() || self.wait.begun.contains_key(id) {
            return Ok(());
        }
        self.rest(id);
        let number = self.wait.count;
        self.wait.count += 1;
        self.wait.order.insert(number, id.clone());
        self.wait.timers.extend(on.until().map(|until| (until, id.clone())));
        self.wait.begun.insert(id.clone(), Waiting { on, since, number });
        Ok(())
    }

    /// The run stood still for some time, which does not count for those who wait for somebody. A moment is a moment.
    pub(super) fn wait_longer(&mut self, from: Millis, to: Millis) {
        let Waits { begun, timers, .. } = &mut self.wait;
        for (id, Waiting { on, since, .. }) in begun {
            let (WaitFor::Approval { until: Some(until), .. } | WaitFor::Signal { until: Some(until), .. }) = on else {
                continue;
            };
            timers.remove(&(*until, id.clone()));
            *until = until.after(to.since(from.max(*since)));
            timers.insert((*until, id.clone()));
        }
    }

    fn answered(&mut self, id: &TaskId, answer: Answer) -> Result<(), Misfit> {
        let asks = matches!(self.wait.begun.get(id), Some(Waiting { on: WaitFor::Approval { .. }, .. }));
        if self.task_mut(id)?.settled.is_none() && asks {
            // What was said first counts.
            self.wait.answered.entry(id.clone()).or_insert(answer);
        }
        Ok(())
    }

    fn child_started(&mut self, id: &TaskId, run: RunId, since: Millis) -> Result<(), Misfit> {
        self.task_mut(id)?;
        self.rest(id);
        let time_left = self.time_left(since);
        self.wait.children.entry(id.clone()).or_insert(Child { run, since, ended: None, time_left });
        Ok(())
    }

    /// How long the run may still take. The time in which it stood still does not count.
    fn time_left(&self, now: Millis) -> Option<Duration> {
        let stands = self.pauses.first().map_or(Duration::ZERO, |pause| now.since(pause.wall));
        let took = now.since(self.started).saturating_sub(self.paused_for).saturating_sub(stands);
        self.outline.limits().deadline.map(|limit| limit.saturating_sub(took))
    }

    /// A task may begin. Those that the run itself carries out need no agent.
    pub(super) fn may_begin(&mut self, position: usize, id: TaskId) {
        match self.outline.entry(id.task()).map(|entry| &entry.carried) {
            Some(Carried::Gathers(_)) => {
                self.wait.gathering.insert(id.task().to_owned());
                self.look_at_gathering(id.task());
            }
            Some(Carried::Waits { .. } | Carried::Child { .. }) => {
                self.wait.ready.insert((position, id));
            }
            _ => {
                self.idle.insert((position, id));
            }
        }
    }

    /// A task may not begin any more, or has begun.
    pub(super) fn begins_no_more(&mut self, place: &(usize, TaskId)) {
        self.idle.remove(place);
        self.wait.ready.remove(place);
    }

    /// A task has its outcome, so that it waits for nothing; with it, it may have taken what it waited for.
    pub(super) fn waits_no_more(&mut self, id: &TaskId, takes: bool) {
        self.wait.answered.remove(id);
        self.wait.surplus.remove(id);
        self.wait.ripe.remove(id.task());
        self.wait.gathering.remove(id.task());
        let Some(Waiting { on, number, .. }) = self.wait.begun.remove(id) else { return };
        self.wait.order.remove(&number);
        if let Some(until) = on.until() {
            self.wait.timers.remove(&(until, id.clone()));
        }
        if let (WaitFor::Signal { name, .. }, true) = (on, takes)
            && let Some(queue) = self.wait.signals.get_mut(&name)
        {
            queue.pop_front();
            if queue.is_empty() {
                self.wait.signals.remove(&name);
            }
        }
    }

    /// A task of the goal is done with: those that gather it may be, too.
    pub(super) fn is_gathered(&mut self, id: &str, is_met: bool) {
        let outline = Arc::clone(&self.outline);
        let succeeded = is_met && !self.is_passed_over(id);
        for gather in outline.gatherers(id) {
            if succeeded {
                self.wait.arrived.entry(gather.to_owned()).or_default().push(id.to_owned());
            }
            self.look_at_gathering(gather);
        }
        self.look_for_surplus(id);
    }

    fn look_at_gathering(&mut self, id: &str) {
        if self.wait.gathering.contains(id) && self.gathered(id).is_some() {
            self.wait.ripe.insert(id.to_owned());
        }
    }

    /// What a task that gathers comes to, once that is known.
    pub(crate) fn gathered(&self, id: &str) -> Option<Gathered> {
        let gathering = self.outline.gathering(id)?;
        let arrived = self.wait.arrived.get(id).map_or(&[] as &[String], Vec::as_slice);
        let open = gathering.of.iter().filter(|member| !self.fates.contains_key(*member)).count();
        let can = gathering.of.iter().filter(|member| !self.is_passed_over(member)).count();
        let need = gathering.needed(can);
        let all = gathering.take == Take::All;
        if arrived.len() + open < need {
            let without = gathering.of.iter().filter(|member| self.fates.contains_key(*member));
            let without = without.filter(|member| !arrived.contains(member)).cloned().collect();
            return Some(Gathered::Short { have: arrived.len(), need, without });
        }
        if arrived.len() < need || (all && open > 0) {
            return None;
        }
        let first = arrived;
        Some(Gathered::Taken(gathering.of.iter().filter(|member| first.contains(member)).cloned().collect()))
    }

    /// The value of a task that took these.
    pub(crate) fn gathered_value(&self, taken: &[String]) -> Value {
        let of = |id: &String| json!({ "task": id, "result": self.results.get(id).map(|result| &**result) });
        Value::Array(taken.iter().map(of).collect())
    }

    /// Whether a task was not run because it did not have to be.
    fn is_passed_over(&self, id: &str) -> bool {
        let outcome = self.tasks.get(&TaskId::single(id)).and_then(|task| task.settled.as_ref());
        outcome.is_some_and(|settled| {
            let cause = match &settled.outcome {
                Outcome::Skipped { cause, .. } => Some(*cause),
                _ => None,
            };
            matches!(cause, Some(SkipCause::Condition | SkipCause::NotNeeded))
        })
    }

    /// Finds what nothing needs any more, now that a task of the goal is done with.
    fn look_for_surplus(&mut self, id: &str) {
        let outline = Arc::clone(&self.outline);
        let before: Vec<&str> = match outline.gathering(id) {
            Some(gathering) => gathering.of.iter().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let needs = outline.entry(id).into_iter().flat_map(|entry| &entry.needs).map(String::as_str);
        let candidates = before.into_iter().chain(needs.filter(|_| self.is_not_needed(id)));
        let left_over = candidates.filter(|id| !self.fates.contains_key(*id) && self.is_left_over(id));
        let open = left_over.flat_map(|id| self.all_of(id)).filter(|(_, task)| task.settled.is_none());
        let open: Vec<_> = open.map(|(id, _)| id.clone()).collect();
        self.wait.surplus.extend(open);
    }

    /// Whether everything that needs a task goes on, or went on, without it.
    fn is_left_over(&self, id: &str) -> bool {
        let mut gatherers = self.outline.gatherers(id).peekable();
        let mut dependents = self.outline.dependents(id).peekable();
        (gatherers.peek().is_some() || dependents.peek().is_some())
            && gatherers.all(|gather| self.has_taken(gather) || self.is_not_needed(gather))
            && dependents.all(|dependent| self.is_not_needed(dependent))
    }

    fn has_taken(&self, gather: &str) -> bool {
        let task = self.tasks.get(&TaskId::single(gather)).and_then(|task| task.settled.as_ref());
        task.is_some_and(|settled| matches!(settled.outcome, Outcome::Succeeded { .. } | Outcome::Stored { .. }))
    }

    fn is_not_needed(&self, id: &str) -> bool {
        let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped { cause: SkipCause::NotNeeded, .. });
        let mut all = self.all_of(id).peekable();
        all.peek().is_some()
            && all.all(|(_, task)| task.settled.as_ref().is_some_and(|settled| skipped(&settled.outcome)))
    }

    /// The task of the run, or all items, that a task of the goal is.
    fn all_of(&self, id: &str) -> impl Iterator<Item = (&TaskId, &super::TaskState)> {
        let single = self.tasks.get_key_value(&TaskId::single(id));
        single.into_iter().chain(self.items(id))
    }
}

/// What is known of what a run waits for.
impl RunState {
    /// The tasks that the run itself carries out and that may begin, in the order of the plan. Of runs inside this one there
    /// are no more at a time than leases.
    pub(crate) fn ready_to_wait(&self) -> impl Iterator<Item = &TaskId> {
        let mut room = self.outline.limits().concurrency.saturating_sub(self.children_running());
        let ready = self.wait.ready.iter().map(|(_, id)| id);
        ready.filter(move |id| {
            let entry = self.outline.entry(id.task());
            // The list of a task is found out before there is any run.
            let begins = !self.is_unexpanded(id);
            let is_child = entry.is_some_and(|entry| matches!(entry.carried, Carried::Child { .. })) && begins;
            let fits = !is_child || room > 0;
            room = room.saturating_sub(usize::from(is_child));
            fits
        })
    }

    /// How many runs inside this one are not over.
    #[must_use]
    pub fn children_running(&self) -> usize {
        self.wait.children.values().filter(|child| child.ended.is_none()).count()
    }

    /// The tasks that wait, and for what, by id.
    pub fn waiting(&self) -> impl Iterator<Item = (&TaskId, &Waiting)> {
        self.wait.begun.iter()
    }

    /// What a task waits for.
    #[must_use]
    pub fn waits_on(&self, id: &TaskId) -> Option<&Waiting> {
        self.wait.begun.get(id)
    }

    /// The tasks that wait, in the order in which they began to.
    pub(crate) fn waiting_in_order(&self) -> impl Iterator<Item = (&TaskId, &Waiting)> {
        self.wait.order.values().filter_map(|id| self.wait.begun.get_key_value(id))
    }

    /// What was said to tasks that ask, and has not become their outcome yet.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (&TaskId, &Answer)> {
        self.wait.answered.iter()
    }

    /// What a person said to a task, where that has not become its outcome yet.
    pub(crate) fn answer(&self, id: &TaskId) -> Option<&Answer> {
        self.wait.answered.get(id)
    }

    /// The signals of a name that no task has taken yet, the first first.
    pub(crate) fn sent(&self, name: &str) -> impl Iterator<Item = &Sent> {
        self.wait.signals.get(name).into_iter().flatten()
    }

    /// The names of the signals that no task has taken yet, and how many there are of each.
    pub fn untaken(&self) -> impl Iterator<Item = (&str, usize)> {
        self.wait.signals.iter().map(|(name, sent)| (name.as_str(), sent.len()))
    }

    /// The tasks whose waiting ends by itself, and when, the first first.
    pub(crate) fn timers(&self) -> impl Iterator<Item = &(Millis, TaskId)> {
        self.wait.timers.iter()
    }

    /// The tasks that gather, of which it is known what they come to.
    pub(crate) fn ripe(&self) -> impl Iterator<Item = &str> {
        self.wait.ripe.iter().map(String::as_str)
    }

    /// The tasks that gather and go on doing so.
    pub(crate) fn gathering(&self) -> impl Iterator<Item = &str> {
        self.wait.gathering.iter().filter(|id| self.wait.gathers(id)).map(String::as_str)
    }

    /// The tasks that nothing needs any more.
    pub(crate) fn surplus(&self) -> impl Iterator<Item = &TaskId> {
        self.wait.surplus.iter()
    }

    /// The tasks that are goals of their own and have a run, by id.
    pub fn children(&self) -> impl Iterator<Item = (&TaskId, &Child)> {
        self.wait.children.iter()
    }

    /// The run of a task that is a goal of its own.
    #[must_use]
    pub fn child(&self, id: &TaskId) -> Option<&Child> {
        self.wait.children.get(id)
    }

    /// What came of something that another process asked for: done, or refused and why. Nothing when it is new.
    #[must_use]
    pub fn request(&self, id: Uuid) -> Option<Result<(), &str>> {
        let refused = self.wait.requests.get(&id)?;
        Some(refused.as_deref().map_or(Ok(()), Err))
    }
}
