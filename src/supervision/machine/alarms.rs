//! What a machine does when a moment comes: kill who did not stop, abandon who cannot be killed, try again.

use crate::exit::{ExitReason, Failure};
use crate::supervision::policy::ChildKind;

use super::child::{ChildKey, ChildState, Life, Start};
use super::command::{Command, Progress};
use super::plan::{Alarm, Item};
use super::{Machine, Moment};

impl Machine {
    /// Sets the alarm of a child, so long from now.
    pub(super) fn set_alarm(&mut self, child: ChildKey, wait: Moment, alarm: Alarm) {
        let at = self.now.saturating_add(wait);
        self.children.set_alarm(child, Some((at, alarm)));
    }

    /// Tells the runtime when the next alarm is due.
    pub(super) fn rearm(&mut self) {
        let Some(at) = self.children.next_alarm().filter(|_| !self.is_done()) else { return };
        // One lazy timer: one that comes earlier is left alone, and finds the later moment when it comes.
        if self.armed.is_none_or(|armed| armed > at) {
            self.armed = Some(at);
            self.out.push(Command::Arm { at });
        }
    }

    /// Does what is due. A timer that comes early is armed again.
    pub(super) fn timer(&mut self) {
        self.armed = None;
        while let Some(alarm) = self.children.due(self.now) {
            match alarm {
                Alarm::Kill(child) => self.kill_in_time(child),
                Alarm::KillAll => self.kill_all_in_time(),
                Alarm::Abandon(child) => self.is_overdue(child),
                Alarm::StartDeadline(child) => self.start_takes_too_long(child),
                Alarm::Retry(child) => self.enqueue(Item::Retry { child }),
            }
        }
    }

    fn kill_in_time(&mut self, child: ChildKey) {
        if wrong!(self, NeverKills) {
            return;
        }
        if let Some(Life::Stopping(start)) = self.children.get(child).map(|child| &child.life) {
            self.kill_child(child, *start);
        }
    }

    fn kill_all_in_time(&mut self) {
        let late = self.children.views().filter(|(_, child)| child.state == ChildState::Stopping);
        let late: Vec<_> = late.filter_map(|(key, child)| Some((key, child.start?))).collect();
        for (child, start) in late {
            self.kill_child(child, start);
        }
    }

    /// Kills a child, and waits for its end no longer than the second deadline.
    pub(super) fn kill_child(&mut self, child: ChildKey, start: Start) {
        self.out.push(Command::Kill { child, start });
        if let Some(child) = self.children.get_mut(child) {
            child.forget_progress();
        }
        self.set_alarm(child, self.rules.abandon_after, Alarm::Abandon(child));
    }

    /// A worker that is not gone by now never will be. A supervisor may have started to wait later than its own: who
    /// gave it up first would leave behind what blocks below it, unfenced.
    fn is_overdue(&mut self, key: ChildKey) {
        let Some(child) = self.children.get(key) else { return };
        match (child.kind, child.life.start()) {
            (ChildKind::Supervisor, Some(start)) => self.out.push(Command::AskProgress { child: key, start }),
            _ => self.abandon(key),
        }
    }

    /// Gives a supervisor another second deadline after each moment for which it waits itself, and one for its exit.
    pub(super) fn progressed(&mut self, key: ChildKey, start: Start, progress: Progress) {
        let Some(child) = self.children.get_mut(key).filter(|child| child.life.start() == Some(start)) else { return };
        let waits_until = match progress {
            Progress::WaitsUntil(until) => until.max(self.now),
            Progress::Leaving => self.now,
            Progress::Unknown => return self.abandon(key),
        };
        // What it waited for the last time has passed without effect.
        if child.extra().progress.replace(progress) == Some(progress) {
            return self.abandon(key);
        }
        let at = waits_until.saturating_add(self.rules.abandon_after);
        self.children.set_alarm(key, Some((at, Alarm::Abandon(key))));
    }

    /// A child that cannot be killed is taken for gone.
    fn abandon(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(key) else { return };
        let Some(start) = child.life.start() else { return };
        let reason = child.take_doom().unwrap_or(ExitReason::Killed);
        self.out.push(Command::Abandon { child: key, start, reason: reason.clone() });
        self.exited(key, start, reason);
    }

    fn start_takes_too_long(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(key) else { return };
        let Life::Starting(start) = child.life else { return };
        let limit = child.rules.start_deadline.unwrap_or_default();
        let reason =
            ExitReason::StartFailed(Failure::new(format!("it was not ready within {limit:?} (start_deadline)")));
        self.doom(key, start, reason);
    }

    /// A child that makes no progress is killed, and ends with the reason that says so.
    pub(super) fn hung(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Some(child) = self.children.get(key) else { return };
        match child.life {
            Life::Starting(current) | Life::Running(current) if current == start => self.doom(key, start, reason),
            _ => {}
        }
    }

    fn doom(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Some(child) = self.children.get_mut(key) else { return };
        child.extra().doom.get_or_insert(reason);
        self.kill_child(key, start);
    }
}
