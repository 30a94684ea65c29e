//! What holds a run up, and what ends it before its time.

use std::time::Duration;

use steadfast::RunId;

use super::{Misfit, RunState};
use crate::run::children::as_who;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Kept;
use crate::run::record::{PauseCause, Record, Status};

/// Why a run stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub why: PauseCause,
    /// Who paused it; `steadfast` where nobody did.
    pub who: String,
    /// What happened, for people.
    pub message: String,
    /// Since when.
    pub wall: Millis,
}

/// That somebody does not want a run any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Whether what was done is undone.
    pub undo: bool,
    /// Who.
    pub who: String,
    /// Why, for people.
    pub why: String,
}

/// Why a run is not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncancelled {
    /// Somebody did before.
    #[error("the run was cancelled before; wait for its end")]
    Before,
    /// It goes on with taking back what it did.
    #[error("what the run did is being undone already; wait for its end")]
    Undoing,
    /// It takes back what it did, or one inside it does, and stands still, and is to be undone once more.
    #[error(
        "what the run did is being undone already, and stands still; resume it, or cancel it without undo, which leaves \
         to a person what is not undone"
    )]
    StandsStill,
}

/// That somebody resumed a run, for those inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The how manieth time it was, from 1 on.
    pub number: u32,
    /// When.
    pub wall: Millis,
}

impl PauseCause {
    /// The task that holds the run up, where one does.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Self::Exhausted { task, .. } | Self::Poison { task } => Some(task),
            Self::Asked | Self::MissingVariable { .. } | Self::MissingArtifact { .. } => None,
        }
    }

    /// What to do about it, before or by resuming the run, for people.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Asked => "resume it when it may go on".to_owned(),
            Self::Exhausted { class, .. } => format!("{}; then resume it", class.remedy()),
            Self::Poison { .. } => format!("{}; then resume it", crate::run::Class::Poison.remedy()),
            Self::MissingVariable { name } => {
                format!(
                    "set the environment variable {name} for the process that carries it on, and resume it; or cancel it"
                )
            }
            Self::MissingArtifact { digest, .. } => {
                format!("put the artifact {digest} back into the store, from a copy of it, and resume it; or cancel it")
            }
        }
    }
}

impl RunState {
    pub(super) fn paused(&mut self, pause: Pause) -> Result<(), Misfit> {
        if self.ended.is_some() {
            return Ok(());
        }
        if let Some(id) = pause.why.task() {
            let open = self.task_mut(id)?.settled.is_none();
            let id = id.clone();
            self.spent.remove(&id);
            self.rest(&id);
            self.give_back(&id);
            if open {
                self.exhausted.insert(id);
            }
        }
        self.pauses.push(pause);
        Ok(())
    }

    pub(super) fn resumed(&mut self, wall: Millis) {
        for id in std::mem::take(&mut self.exhausted) {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.forgive();
            }
            if let Some(position) = self.outline.position(id.task()) {
                self.may_begin(position, id);
            }
        }
        let number = self.resumed.map_or(0, |resumed| resumed.number) + 1;
        self.resumed = Some(Resumption { number, wall });
        self.lift(wall);
    }

    pub(super) fn cancelled(&mut self, cancel: Cancel, wall: Millis) {
        if let Some(undo) =
            self.undo.as_mut().filter(|_| self.ended.is_none() && !self.pauses.is_empty() && !cancel.undo)
        {
            // It stands still while it is undone: what is left of that is left to a person.
            undo.stopped = Some(cancel);
            self.lift(wall);
            return;
        }
        if let Some(before) =
            self.cancel.as_mut().filter(|_| self.undo.is_none() && self.ended.is_none() && !cancel.undo)
        {
            // What is undone inside stood still: what is left of that, and all that was to be undone after it, is left.
            before.undo = false;
            self.left.get_or_insert(cancel);
            self.lift(wall);
            return;
        }
        // Once it is being undone, or over, there is nothing left to cancel; but what was reached can still be undone.
        if self.cancel.is_none() && self.undo.is_none() && (self.ended.is_none() || self.may_be_undone(cancel.undo)) {
            self.ended = None;
            self.cancel = Some(cancel);
            self.lift(wall);
        }
    }

    /// Whether the run reached its goal, and what it did can be taken back.
    pub(crate) fn may_be_undone(&self, undo: bool) -> bool {
        undo && self.undo.is_none() && self.has_undos() && matches!(self.ended, Some((Status::Reached, _)))
    }

    /// Whether it can be cancelled now, where it, or something inside it, stands still or does not; why not, for people.
    pub(crate) fn may_be_cancelled(&self, undo: bool, stands_still: bool) -> Result<(), Uncancelled> {
        let is_undoing = self.is_undoing();
        let stands_still = stands_still || (is_undoing && self.is_paused());
        if !is_undoing && self.cancel.is_none() {
            Ok(())
        } else if self.left.is_some() || self.undo_stopped().is_some() {
            Err(Uncancelled::Before)
        } else if !stands_still {
            Err(if is_undoing { Uncancelled::Undoing } else { Uncancelled::Before })
        } else if undo {
            Err(Uncancelled::StandsStill)
        } else {
            Ok(())
        }
    }

    /// What says that somebody does not want the run any more. Where what it did is being undone, it stands still first:
    /// only then the rest of that can be left.
    pub(crate) fn cancelling(&self, cancel: Cancel, wall: Millis) -> Vec<Record> {
        let Cancel { undo, who, why } = cancel;
        let goes_on = self.is_undoing() && !self.is_paused();
        let message = "it is cancelled while it is undone".to_owned();
        let paused = goes_on.then(|| Record::Paused { why: PauseCause::Asked, who: who.clone(), message, wall });
        paused.into_iter().chain([Record::CancelAsked { undo, who, why, wall }]).collect()
    }

    /// Whether no task is wanted any more that has no outcome.
    pub(crate) fn is_closing(&self) -> bool {
        self.cancel.is_some() || self.budget.is_some()
    }

    pub(super) fn budget_spent(&mut self, message: &str, wall: Millis) {
        if self.undo.is_none() && self.ended.is_none() && self.budget.is_none() {
            self.budget = Some(message.to_owned());
            self.lift(wall);
        }
    }

    /// A task has its outcome, so that the run does not stand still because of it any more.
    pub(super) fn no_longer_paused_for(&mut self, id: &TaskId, wall: Millis) {
        if self.exhausted.remove(id) {
            let since = self.pauses.first().map(|pause| pause.wall);
            self.pauses.retain(|pause| pause.why.task() != Some(id));
            if let (true, Some(since)) = (self.pauses.is_empty(), since) {
                self.paused_for = self.paused_for.saturating_add(wall.since(since));
                self.wait_longer(since, wall);
            }
        }
    }

    fn lift(&mut self, wall: Millis) {
        if let Some(first) = self.pauses.first() {
            let since = first.wall;
            self.paused_for = self.paused_for.saturating_add(wall.since(since));
            self.wait_longer(since, wall);
        }
        self.pauses.clear();
    }

    /// Why the run stands still; nothing when it does not.
    #[must_use]
    pub fn pauses(&self) -> &[Pause] {
        &self.pauses
    }

    /// Whether the run stands still until it is resumed.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        !self.pauses.is_empty()
    }

    /// Whether this process gives out nothing more, and another one may.
    pub(crate) fn goes_on_elsewhere(&self) -> bool {
        self.draining && self.outline.limits().kept == Kept::Journaled
    }

    /// When somebody resumed the run last. What stood still inside it before that goes on, too.
    #[must_use]
    pub fn resumption(&self) -> Option<Resumption> {
        self.resumed
    }

    /// The run around this one, where that is why this one stands still.
    #[must_use]
    pub fn held_by_parent(&self) -> Option<RunId> {
        let parent = self.parent.as_ref()?.run;
        let who = as_who(parent);
        self.pauses.iter().any(|pause| pause.why == PauseCause::Asked && pause.who == who).then_some(parent)
    }

    /// Whether the run stands still for nothing but tasks that have used up their attempts.
    pub(crate) fn is_paused_by_tasks(&self) -> bool {
        self.is_paused() && self.pauses.iter().all(|pause| pause.why.task().is_some())
    }

    /// How long the run stood still, but for the pause that is not over. That time does not count for its deadline.
    #[must_use]
    pub fn paused_for(&self) -> Duration {
        self.paused_for
    }

    /// Whether it makes a difference that somebody does not want anything to be undone any more.
    pub(crate) fn may_be_left(&self) -> bool {
        let is_left = self.undo_stopped().or(self.left()).is_some();
        let was_cancelled_so = !self.is_undoing() && self.cancel.as_ref().is_some_and(|before| !before.undo);
        self.ended.is_none() && !is_left && !was_cancelled_so
    }

    /// Who wants to be left what those inside have not undone, though the run was cancelled before.
    pub(crate) fn left(&self) -> Option<&Cancel> {
        self.left.as_ref()
    }

    /// Who does not want the run any more.
    #[must_use]
    pub fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// What is said of the budget that is used up.
    #[must_use]
    pub fn budget_message(&self) -> Option<&str> {
        self.budget.as_deref()
    }

    /// Whether a task failed for good, so that the goal cannot be reached any more.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// The tasks that have used up their attempts, for which the run is paused.
    pub fn exhausted(&self) -> impl Iterator<Item = &TaskId> {
        self.exhausted.iter()
    }

    /// The tasks that are not tried again, of which nobody has said yet what that means.
    pub(crate) fn spent(&self) -> impl Iterator<Item = &TaskId> {
        self.spent.iter()
    }
}
