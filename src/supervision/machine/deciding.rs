//! Deciding: what becomes of a child that ended, and when it is too much (rules 17 to 42).

use std::sync::Arc;

use crate::exit::{Escalation, ExitClass, ExitReason, Failure, ShutdownCause};
use crate::supervision::decision::{Decision, decide};
use crate::supervision::intensity::{Intensity, Tally};
use crate::supervision::policy::{AutoShutdown, Restart, Strategy};

use super::child::{Child, ChildKey, Life, Pending, Position, Start};
use super::command::{Command, Note, Verdict};
use super::plan::{Alarm, Batch, Culprit, Trigger, Why};
use super::{END, FIRST, Machine, Moment};

/// What the limits say of a restart.
enum Charge {
    Allowed(Tally),
    /// The supervisor's limit ran out.
    TooMany(Tally),
    /// The child's own limit ran out.
    OverBudget(Tally),
}

impl Machine {
    /// Decides about a child whose exit has come up in the line.
    pub(super) fn judge(&mut self, key: ChildKey, start: Start) {
        // A stop may have consumed this exit, and a new life may have begun.
        let is_it = |child: &&Child| matches!(&child.life, Life::Ended(end) if end.0 == start);
        let Some(child) = self.children.get(key).filter(is_it) else { return };
        let up_since = child.up_since();
        let Some(Life::Ended(end)) = self.children.set_life(key, Life::Stopped) else { return };
        let reason = end.1;
        match self.decide(key, &reason) {
            Decision::Keep => {
                self.note(key, start, (reason.clone(), Verdict::Kept));
                self.out.push(Command::Rest { child: key });
                self.significant_ended(key, reason);
            }
            Decision::Forget => {
                self.note(key, start, (reason.clone(), Verdict::Forgotten));
                let shuts_down = self.shuts_down_with(key);
                let id = self.children.get(key).map(|child| child.id.clone());
                self.forget(key);
                if let (true, Some(child)) = (shuts_down, id) {
                    self.shut_down(ShutdownCause::AutoShutdown { child, reason: Box::new(reason) });
                }
            }
            Decision::Restart => self.restart_or_not(key, (start, up_since), reason),
        }
    }

    fn decide(&self, key: ChildKey, reason: &ExitReason) -> Decision {
        let Some(child) = self.children.get(key) else { return Decision::Forget };
        let (restart, class) = (child.rules.restart, reason.class());
        let decision = match (restart, class) {
            (Restart::Permanent, ExitClass::Normal) if wrong!(self, PermanentEndsNormally) => Decision::Keep,
            (Restart::Permanent, ExitClass::Shutdown) if wrong!(self, PermanentEndsOnShutdown) => Decision::Keep,
            (Restart::Transient, ExitClass::Shutdown) if wrong!(self, TransientIgnoresShutdown) => Decision::Restart,
            (Restart::Transient, ExitClass::Normal) if wrong!(self, TransientIgnoresNormal) => Decision::Restart,
            (Restart::Transient, _) if matches!(reason, ExitReason::Killed) && wrong!(self, KilledIsSoft) => {
                Decision::Keep
            }
            (Restart::Temporary, ExitClass::Abnormal) if wrong!(self, TemporaryRestarted) => Decision::Restart,
            (Restart::Temporary, _) if wrong!(self, TemporaryKept) => Decision::Keep,
            _ => decide(restart, class),
        };
        let forgets = child.rules.forget_when_done || self.template.is_some() && !wrong!(self, DoneInstanceKept);
        if decision == Decision::Keep && forgets { Decision::Forget } else { decision }
    }

    fn restart_or_not(&mut self, key: ChildKey, (start, up_since): (Start, Moment), reason: ExitReason) {
        match self.charge(key) {
            Charge::Allowed(tally) => {
                self.note(key, start, (reason.clone(), Verdict::Restarting(tally)));
                let delay = self.delay(key, Some(self.now.saturating_sub(up_since)));
                if delay.is_zero() {
                    return self.restart(key, (Trigger::Exit, None), tally);
                }
                let Some(child) = self.children.get_mut(key) else { return };
                child.extra().pending =
                    Some(Pending { reason, trigger: Trigger::Exit, counted: Some(tally), first: None });
                self.announce_back_off(key, delay);
                self.stop_group_and_wait(key, self.now.saturating_add(delay));
            }
            Charge::TooMany(tally) => {
                self.note(key, start, (reason.clone(), Verdict::GaveUp));
                self.give_up(key, reason, limit_of(tally));
            }
            Charge::OverBudget(tally) => {
                self.note(key, start, (reason, Verdict::Quarantined(tally)));
                self.quarantine(key);
            }
        }
    }

    /// Tries a child again. What was not counted before counts now, like a crash (rule 34).
    pub(super) fn retry(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(key).filter(|child| matches!(child.life, Life::Restarting)) else {
            return;
        };
        let Some(Pending { reason, trigger, counted, first }) = child.take_pending() else { return };
        let id = child.id.clone();
        self.children.set_life(key, Life::Stopped);
        if let Some(tally) = counted {
            return self.restart(key, (trigger, first), tally);
        }
        match self.charge_retry(key) {
            Charge::Allowed(tally) => {
                self.out.push(Command::Note(Note::Retrying { child: key, id, tally }));
                self.restart(key, (trigger, first), tally);
            }
            Charge::TooMany(tally) => self.give_up(key, reason, limit_of(tally)),
            Charge::OverBudget(tally) => {
                self.out.push(Command::Note(Note::Quarantined { child: key, id: id.clone(), tally }));
                self.quarantine(key);
                // Those that waited for it carry on without it.
                let (from, end) = self.group_from(key, first);
                let culprit = Culprit { child: key, id, trigger, tally };
                self.start_batch(Batch { from, end, why: Why::Restart(culprit) });
            }
        }
    }

    fn charge_retry(&mut self, key: ChildKey) -> Charge {
        if wrong!(self, RetryNotCounted) {
            let limit = self.rules.intensity;
            return Charge::Allowed(Tally { count: self.restarts.count(self.now, limit), limit });
        }
        self.charge(key)
    }

    /// Counts a restart: at the child's own limit if it has one, otherwise at the supervisor's (rules 21 and 22).
    fn charge(&mut self, key: ChildKey) -> Charge {
        let (now, limit) = (self.now, self.window());
        let per_child = wrong!(self, LimitPerChild);
        let Some(child) = self.children.get_mut(key) else {
            return Charge::TooMany(Tally { count: 0, limit });
        };
        if let Some(own) = child.rules.budget {
            let tally = child.extra().budget.add(now, own);
            return if tally.is_over() { Charge::OverBudget(tally) } else { Charge::Allowed(tally) };
        }
        #[cfg(any(test, feature = "testing"))]
        if wrong!(self, WindowTumbles) && self.restarts.has_expired(now, limit) {
            self.restarts = super::Window::default();
        }
        let mut tally = if per_child { child.extra().budget.add(now, limit) } else { self.restarts.add(now, limit) };
        tally.limit = self.rules.intensity;
        let over = match () {
            () if wrong!(self, OneRestartMore) => tally.count > 1 + tally.limit.max as usize,
            () if wrong!(self, OneRestartLess) => tally.count >= tally.limit.max as usize,
            () => tally.is_over(),
        };
        if over { Charge::TooMany(tally) } else { Charge::Allowed(tally) }
    }

    /// The intensity in force, but for mutations of its window.
    fn window(&self) -> Intensity {
        let Intensity { max, period } = self.rules.intensity;
        let period = match () {
            () if wrong!(self, WindowEdge) => period.saturating_sub(Moment::from_nanos(1)),
            () if wrong!(self, WindowOfWholeSeconds) => period.saturating_add(Moment::from_millis(999)),
            () if wrong!(self, WindowNeverSlides) => Moment::MAX,
            () => period,
        };
        Intensity::at_most(max).within(period)
    }

    /// Starts a child again, and whom the strategy names with it (rules 25 to 27).
    fn restart(&mut self, key: ChildKey, (trigger, first): (Trigger, Option<ChildKey>), tally: Tally) {
        let Some(child) = self.children.get(key) else { return };
        let culprit = Culprit { child: key, id: child.id.clone(), trigger, tally };
        let (from, end) = match (self.rules.strategy, trigger) {
            (Strategy::OneForAll, Trigger::FailedStart) if wrong!(self, RetryKeepsStarted) => (child.position, END),
            (Strategy::RestForOne, Trigger::FailedStart) if wrong!(self, RetryTakesAll) => (FIRST, END),
            _ => self.group_from(key, first),
        };
        self.break_group(key, from, end);
        // The child itself has no actor, so that only its siblings are stopped here.
        self.stop_and_start(Batch { from, end, why: Why::Restart(culprit) });
    }

    /// What mutations do to the group of a child that is restarted.
    fn break_group(&mut self, key: ChildKey, from: Position, end: Position) {
        let spares = wrong!(self, GroupLeavesStoppedAlone);
        let counts = wrong!(self, GroupCountsEach);
        if spares || counts {
            for sibling in self.children.within(from, end).into_iter().filter(|sibling| *sibling != key) {
                let has_life = self.children.get(sibling).is_some_and(|child| child.life.start().is_some());
                if spares && !has_life {
                    self.children.set_life(sibling, Life::Quarantined);
                }
                if counts && has_life {
                    self.restarts.add(self.now, self.rules.intensity);
                }
            }
        }
        if wrong!(self, RestartMovesToTheEnd) && end == from + 1 {
            let mut order = self.children.within(FIRST, END);
            order.retain(|other| *other != key);
            order.push(key);
            self.children.reorder(order);
        }
    }

    /// Which positions share the failure of a child.
    pub(super) fn group_of(&self, key: ChildKey) -> (Position, Position) {
        let position = self.children.get(key).map_or(END, |child| child.position);
        let strategy = match self.rules.strategy {
            _ if self.template.is_some() => Strategy::OneForOne,
            Strategy::OneForAll if wrong!(self, OneForAllIsRest) => Strategy::RestForOne,
            Strategy::RestForOne if wrong!(self, RestForOneIsAll) => Strategy::OneForAll,
            Strategy::RestForOne if wrong!(self, RestForOneIsOne) => Strategy::OneForOne,
            strategy => strategy,
        };
        match strategy {
            Strategy::OneForOne => (position, position.saturating_add(1)),
            Strategy::OneForAll => (FIRST, END),
            Strategy::RestForOne => (position, END),
        }
    }

    /// The group of a child, from the first of those that its failed start had kept from starting.
    pub(super) fn group_from(&self, key: ChildKey, first: Option<ChildKey>) -> (Position, Position) {
        let (from, end) = self.group_of(key);
        let first = first.filter(|_| end == END).and_then(|first| self.children.get(first));
        (first.map_or(from, |first| from.min(first.position)), end)
    }

    /// How long the next restart of a child waits. After a life that was long enough it begins anew.
    pub(super) fn delay(&mut self, key: ChildKey, lived: Option<Moment>) -> Moment {
        let Some(child) = self.children.get_mut(key) else { return Moment::ZERO };
        let Some(backoff) = child.rules.backoff else { return Moment::ZERO };
        let random = self.jitter.next_u64();
        let extra = child.extra();
        if lived.is_some_and(|lived| backoff.resets_after(lived)) {
            extra.step = 0;
        }
        let delay = backoff.delay(extra.step, random);
        extra.step = extra.step.saturating_add(1);
        delay
    }

    pub(super) fn back_off(&mut self, key: ChildKey, delay: Moment) {
        self.announce_back_off(key, delay);
        self.set_alarm(key, delay, Alarm::Retry(key));
    }

    fn announce_back_off(&mut self, key: ChildKey, delay: Moment) {
        let Some(child) = self.children.get(key) else { return };
        self.out.push(Command::Note(Note::BackingOff { child: key, id: child.id.clone(), delay }));
    }

    fn quarantine(&mut self, key: ChildKey) {
        self.children.set_life(key, Life::Quarantined);
        self.out.push(Command::Rest { child: key });
    }

    /// Whether the end of this child, which will not be restarted, ends its supervisor (rules 39 and 40).
    fn shuts_down_with(&self, key: ChildKey) -> bool {
        let significant = self.children.get(key).is_some_and(|child| child.rules.significant);
        if !significant && !wrong!(self, AnybodyIsSignificant) {
            return false;
        }
        match self.rules.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => !(wrong!(self, AnyMeansAll) && self.children.any_significant_present()),
            AutoShutdown::AllSignificant if wrong!(self, AllMeansAny) => true,
            AutoShutdown::AllSignificant if wrong!(self, RestartingIsAbsent) => {
                !self.children.views().any(|(_, child)| child.rules.significant && child.start.is_some())
            }
            AutoShutdown::AllSignificant => !self.children.any_significant_present(),
        }
    }

    pub(super) fn significant_ended(&mut self, key: ChildKey, reason: ExitReason) {
        if self.shuts_down_with(key)
            && let Some(child) = self.children.get(key)
        {
            self.shut_down(ShutdownCause::AutoShutdown { child: child.id.clone(), reason: Box::new(reason) });
        }
    }

    fn shut_down(&mut self, cause: ShutdownCause) {
        self.end(ExitReason::Shutdown(cause), Verdict::StoppedWithSupervisor);
    }

    pub(super) fn give_up(&mut self, key: ChildKey, reason: ExitReason, (limit, setting): (String, &'static str)) {
        let Some(child) = self.children.get(key) else { return };
        let limit = format!("{limit} ({setting})");
        let escalation = Arc::new(Escalation { child: child.id.clone(), reason, limit, setting });
        self.out.push(Command::Note(Note::GaveUp(escalation.clone())));
        if wrong!(self, GivesUpAbnormally) {
            return self.end(ExitReason::Failed(Failure::new("gave up")), Verdict::StoppedWithSupervisor);
        }
        self.shut_down(ShutdownCause::GaveUp(escalation));
    }
}

fn limit_of(tally: Tally) -> (String, &'static str) {
    let restarts = if tally.limit.max == 1 { "restart" } else { "restarts" };
    (format!("more than {} {restarts} in {:?}", tally.limit.max, tally.limit.period), "intensity")
}
