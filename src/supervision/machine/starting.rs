//! Starting: in order, each after the one before, or as the children say (rules 4 to 7, 33 to 37).

use crate::exit::{ExitReason, ShutdownCause};

use super::child::{ChildKey, Life, Pending, Start};
use super::command::{Command, Verdict};
use super::graph::Graph;
use super::plan::{Alarm, Batch, Item, Phase, Starting, Trigger, Why};
use super::request::{Refusal, Reply};
use super::{Machine, Moment};

impl Starting {
    /// Whether nothing can be done before a start that is under way has ended.
    pub(super) fn must_wait(&self) -> bool {
        let may_go_on = !self.failed && self.graph.as_ref().is_some_and(|graph| graph.has_next());
        self.underway > 0 && !may_go_on
    }
}

impl Machine {
    pub(super) fn start_batch(&mut self, batch: Batch) {
        let graph = self.children.any_dependent().then(|| Graph::of_start(&self.children, batch.from, batch.end));
        let graph = graph.map(Box::new);
        self.phase = Phase::Starting(Starting { batch, underway: 0, failed: false, wait: None, graph });
    }

    pub(super) fn start_next(&mut self) {
        let Phase::Starting(starting) = &mut self.phase else { return };
        let next = match &mut starting.graph {
            _ if starting.failed => None,
            Some(graph) => graph.next(),
            None => {
                let next = self.children.first_in(starting.batch.from, starting.batch.end);
                next.map(|(position, key)| {
                    starting.batch.from = position + 1;
                    key
                })
            }
        };
        let Some(key) = next else { return self.batch_is_over() };
        let is_stopped = self.children.get(key).is_some_and(|child| matches!(child.life, Life::Stopped));
        if is_stopped && !starting.batch.why.is_without(key) {
            return self.start(key);
        }
        if let Phase::Starting(Starting { graph: Some(graph), .. }) = &mut self.phase {
            graph.done(key);
        }
    }

    fn batch_is_over(&mut self) {
        self.remember_the_unstarted();
        let Phase::Starting(starting) = &self.phase else { return };
        if let Some((child, until)) = starting.wait {
            return self.stop_group_and_wait(child, until);
        }
        if let (Why::Init, false) = (&starting.batch.why, starting.failed) {
            self.out.push(Command::Ready);
        }
        self.phase = Phase::Idle;
    }

    /// Where children start side by side, a failed start may keep siblings down that stand before it in the list. Its
    /// retry begins with the first of them.
    fn remember_the_unstarted(&mut self) {
        let Phase::Starting(Starting { graph: Some(graph), failed: true, batch, .. }) = &self.phase else { return };
        let life = |key: &ChildKey| self.children.get(*key).map(|child| &child.life);
        let first = graph.not_taken().find(|key| matches!(life(key), Some(Life::Stopped)));
        let members = self.children.within(batch.from, batch.end);
        for key in members.into_iter().filter(|key| matches!(life(key), Some(Life::Restarting))).collect::<Vec<_>>() {
            if let Some(pending) = self.children.get_mut(key).and_then(|child| child.extra().pending.as_mut()) {
                pending.first = first;
            }
        }
    }

    fn start(&mut self, key: ChildKey) {
        let start = self.children.next_start();
        self.children.set_life(key, Life::Starting(start));
        if let Some(child) = self.children.get_mut(key) {
            child.kind = child.rules.kind;
        }
        let Phase::Starting(starting) = &mut self.phase else { return };
        starting.underway += 1;
        let cause = starting.batch.why.cause_for(key);
        self.out.push(Command::Start { child: key, start, cause });
        if let Some(limit) = self.children.get(key).and_then(|child| child.rules.start_deadline) {
            self.set_alarm(key, limit, Alarm::StartDeadline(key));
        }
    }

    /// A start of the batch has ended, one way or another.
    fn start_ended(&mut self, key: ChildKey) {
        if let Phase::Starting(starting) = &mut self.phase {
            starting.underway -= 1;
            if let Some(graph) = &mut starting.graph {
                graph.done(key);
            }
        }
    }

    fn waiting_request(&self) -> Option<super::RequestId> {
        match &self.phase {
            Phase::Starting(starting) => starting.batch.why.request(),
            Phase::Stopping(stopping) => stopping.then.request(),
            Phase::New | Phase::Idle | Phase::Done => None,
        }
    }

    /// Answers whoever waits for what the machine is doing.
    pub(super) fn reply_to_waiting(&mut self, reply: Reply) {
        if let Some(request) = self.waiting_request() {
            self.reply(request, reply);
        }
    }

    pub(super) fn started(&mut self, key: ChildKey, start: Start) {
        let now = self.now;
        let Some(child) = self.children.get_mut(key) else { return };
        if !matches!(child.life, Life::Starting(current) if current == start) {
            return;
        }
        child.set_up(now);
        child.failed_starts = 0;
        let doomed = child.seen().is_some_and(|extra| extra.doom.is_some());
        self.children.set_life(key, Life::Running(start));
        if doomed {
            // Its deadline had passed, and the kill is on its way to a child that just made it.
            self.set_alarm(key, self.rules.abandon_after, Alarm::Abandon(key));
        }
        self.start_ended(key);
        self.reply_to_waiting(Reply::Started { child: key, start });
    }

    pub(super) fn ignored(&mut self, key: ChildKey, start: Start) {
        let Some(child) = self.children.get(key) else { return };
        let was_starting = matches!(child.life, Life::Starting(_));
        match child.life {
            // A lazy child runs before it starts: what says that there is nothing to run is its first message's start.
            Life::Starting(current) | Life::Running(current) if current == start => {}
            // It was told to go while it was starting.
            Life::Stopping(current) if current == start => return self.left(key, start, ExitReason::Normal),
            _ => return,
        }
        let forgotten = match (self.template.is_some(), child.is_temporary()) {
            (true, _) => !wrong!(self, IgnoredInstanceKept),
            (false, true) => !wrong!(self, IgnoredTemporaryKept),
            (false, false) => wrong!(self, IgnoredForgotten),
        };
        self.children.set_life(key, Life::Stopped);
        self.note(key, start, (ExitReason::Normal, Verdict::Ignored));
        if was_starting {
            self.start_ended(key);
        }
        if forgotten {
            self.forget(key);
        } else {
            self.out.push(Command::Rest { child: key });
        }
        if was_starting {
            self.reply_to_waiting(Reply::Ignored);
        }
    }

    pub(super) fn start_failed(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        self.start_ended(key);
        let Phase::Starting(starting) = &mut self.phase else { return };
        let had_failed = std::mem::replace(&mut starting.failed, true);
        match starting.batch.why {
            Why::Init => self.init_failed(key, start, reason),
            Why::Added(request) => {
                self.children.set_life(key, Life::Stopped);
                self.note(key, start, (reason.clone(), Verdict::NotAdded));
                if wrong!(self, FailedChildKept) {
                    self.out.push(Command::Rest { child: key });
                } else {
                    self.forget(key);
                }
                self.reply(request, Reply::Refused(Refusal::FailedToStart(reason)));
                if wrong!(self, FailedChildCounted) {
                    self.restarts.add(self.now, self.rules.intensity);
                }
            }
            Why::Again(request) => {
                // An instance is started again only out of its quarantine, and is kept nowhere else.
                let life = if self.template.is_some() { Life::Quarantined } else { Life::Stopped };
                self.children.set_life(key, life);
                self.note(key, start, (reason.clone(), Verdict::Kept));
                self.out.push(Command::Rest { child: key });
                self.reply(request, Reply::Refused(Refusal::FailedToStart(reason)));
            }
            Why::Restart(_) => self.restart_failed(key, start, reason, had_failed),
        }
    }

    fn init_failed(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        if wrong!(self, InitRetries) {
            return self.try_again(key, start, reason, Moment::ZERO);
        }
        self.children.set_life(key, Life::Stopped);
        let Some(child) = self.children.get(key) else { return };
        let cause = ShutdownCause::ChildFailedToStart { child: child.id.clone(), reason: Box::new(reason.clone()) };
        self.note(key, start, (reason, Verdict::InitFailed));
        self.end(ExitReason::Shutdown(cause), Verdict::StoppedWithSupervisor);
    }

    fn restart_failed(&mut self, key: ChildKey, start: Start, reason: ExitReason, had_failed: bool) {
        let Some(child) = self.children.get_mut(key) else { return };
        child.failed_starts = child.failed_starts.saturating_add(1);
        let failed_starts = child.failed_starts;
        if self.rules.failed_starts.is_some_and(|most| failed_starts >= most) {
            self.children.set_life(key, Life::Stopped);
            self.note(key, start, (reason.clone(), Verdict::GaveUp));
            return self.give_up(key, reason, (format!("{failed_starts} failed starts in a row"), "failed_starts"));
        }
        let delay = self.delay(key, None);
        self.try_again(key, start, reason, delay);
        if let (Phase::Starting(starting), false, false) = (&mut self.phase, had_failed, delay.is_zero()) {
            // The group waits as one: who was started of it does not go on alone.
            starting.wait = Some((key, self.now.saturating_add(delay)));
        }
    }

    /// The children started so far stay up, the later ones stay down, until the retry comes up (rules 35 and 36).
    fn try_again(&mut self, key: ChildKey, start: Start, reason: ExitReason, delay: Moment) {
        self.children.set_life(key, Life::Restarting);
        self.note(key, start, (reason.clone(), Verdict::Retrying));
        let Some(child) = self.children.get_mut(key) else { return };
        child.extra().pending = Some(Pending { reason, trigger: Trigger::FailedStart, counted: None, first: None });
        if delay.is_zero() {
            self.enqueue(Item::Retry { child: key });
        } else {
            self.back_off(key, delay);
        }
    }
}
