//! Stopping: in reverse order, each after the one before is gone, or all at once (rules 10 to 15, 54).

use std::mem;

use crate::exit::ExitReason;
use crate::supervision::policy::{ChildKind, Shutdown};

use super::child::{ChildKey, Life, Position, Start};
use super::command::{Command, Verdict};
use super::graph::Graph;
use super::plan::{Alarm, Batch, Item, Order, Phase, Stopping, Then};
use super::request::{Refusal, Reply};
use super::{END, FIRST, Machine, Moment};

impl Stopping {
    /// Whether nothing can be done before a child that was told to go is gone.
    pub(super) fn must_wait(&self) -> bool {
        let may_go_on = matches!(&self.order, Order::Dependents(graph) if graph.has_next());
        self.leaving > 0 && !may_go_on
    }
}

impl Machine {
    /// Stops all children, then ends.
    pub(super) fn end(&mut self, reason: ExitReason, verdict: Verdict) {
        let then = Then::Exit { reason, verdict };
        if self.template.is_some() {
            self.stop_together(then);
        } else {
            self.stop_range(FIRST, END, then);
        }
    }

    /// Stops the children from one position up to another, last first.
    pub(super) fn stop_range(&mut self, from: Position, end: Position, then: Then) {
        let order = if self.children.any_dependent() {
            Order::Dependents(Box::new(Graph::of_stop(&self.children, from, end)))
        } else {
            Order::Reverse { from, end }
        };
        self.phase = Phase::Stopping(Stopping { leaving: 0, order, then });
    }

    /// Stops the group of a child that is being restarted later; it waits as one for that moment.
    pub(super) fn stop_group_and_wait(&mut self, child: ChildKey, until: Moment) {
        let (from, end) = self.group_of(child);
        self.stop_range(from, end, Then::Wait { child, until });
    }

    pub(super) fn stop_next(&mut self) {
        let in_start_order = wrong!(self, StopsInStartOrder);
        let Phase::Stopping(stopping) = &mut self.phase else { return };
        let next = match &mut stopping.order {
            Order::Together => None,
            Order::Dependents(graph) => graph.next(),
            Order::Reverse { from, end } if in_start_order => {
                self.children.first_in(*from, *end).map(|(position, key)| {
                    *from = position + 1;
                    key
                })
            }
            Order::Reverse { from, end } => self.children.last_in(*from, *end).map(|(position, key)| {
                *end = position;
                key
            }),
        };
        let Some(key) = next else { return self.all_stopped() };
        if !self.let_go(key) {
            self.is_gone(key);
        }
    }

    /// Tells a child to go, if there is somebody to be told. Returns whether there is somebody to be waited for.
    fn let_go(&mut self, key: ChildKey) -> bool {
        let Some(child) = self.children.get(key) else { return false };
        match child.life {
            Life::Starting(start) | Life::Running(start) | Life::Stopping(start) => {
                self.children.set_life(key, Life::Stopping(start));
                if let Phase::Stopping(stopping) = &mut self.phase {
                    stopping.leaving += 1;
                }
                self.send_away(key, start);
                true
            }
            // Its exit waits in line: this stop consumes it, and no restart follows (rule 14).
            Life::Ended(_) => {
                if let Some(Life::Ended(end)) = self.children.set_life(key, Life::Stopped) {
                    let (start, reason) = *end;
                    self.stopped(key, start, reason);
                }
                if wrong!(self, QueuedCrashCounts) {
                    self.restarts.add(self.now, self.rules.intensity);
                }
                false
            }
            Life::Restarting => {
                self.children.set_life(key, Life::Stopped);
                false
            }
            Life::Stopped | Life::Quarantined => false,
        }
    }

    fn send_away(&mut self, child: ChildKey, start: Start) {
        let Some((shutdown, kind)) = self.children.get(child).map(|child| (child.rules.shutdown, child.kind)) else {
            return;
        };
        if self.killed && kind == ChildKind::Supervisor {
            // It ends its own in order, and says that it was killed (rule 54).
            return self.out.push(Command::Stop { child, start, reason: ExitReason::Killed });
        }
        // One that was killed already, since it was hung or late, is not asked.
        let is_doomed =
            self.children.get(child).and_then(|child| child.seen()).is_some_and(|extra| extra.doom.is_some());
        let shutdown = if self.killed || is_doomed || wrong!(self, AlwaysKills) { Shutdown::Kill } else { shutdown };
        if shutdown != Shutdown::Kill {
            self.out.push(Command::Stop { child, start, reason: ExitReason::SHUTDOWN });
        }
        match shutdown {
            Shutdown::Wait => {}
            Shutdown::Kill | Shutdown::Within(Moment::ZERO) => self.kill_child(child, start),
            // Those that are stopped together have one time in common (rule 15).
            Shutdown::Within(_) if self.stops_together() => {}
            Shutdown::Within(limit) => self.set_alarm(child, limit, Alarm::Kill(child)),
        }
    }

    fn stops_together(&self) -> bool {
        matches!(&self.phase, Phase::Stopping(Stopping { order: Order::Together, .. }))
    }

    /// Tells all children to go at once.
    fn stop_together(&mut self, then: Then) {
        self.phase = Phase::Stopping(Stopping { leaving: 0, order: Order::Together, then });
        let mut keys = self.children.within(FIRST, END);
        keys.reverse();
        for key in keys {
            self.let_go(key);
        }
        if let (Some(template), false) = (&self.template, self.killed)
            && let Shutdown::Within(limit) = template.rules.shutdown
            && !wrong!(self, NoCommonTimer)
        {
            self.children.set_common_alarm(self.now.saturating_add(limit), Alarm::KillAll);
        }
    }

    /// Ends everything now, whatever was being done.
    pub(super) fn kill(&mut self) {
        if self.is_done() {
            return;
        }
        self.reply_to_waiting(Reply::Refused(Refusal::Ended));
        self.killed = true;
        self.stop_together(Then::Exit { reason: ExitReason::Killed, verdict: Verdict::StoppedOnRequest });
    }

    /// A child that was told to go is gone.
    pub(super) fn left(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        self.children.set_life(key, Life::Stopped);
        let Phase::Stopping(stopping) = &mut self.phase else { return };
        stopping.leaving = stopping.leaving.saturating_sub(1);
        self.stopped(key, start, reason);
        self.is_gone(key);
    }

    fn is_gone(&mut self, key: ChildKey) {
        if let Phase::Stopping(Stopping { order: Order::Dependents(graph), .. }) = &mut self.phase {
            graph.done(key);
        }
    }

    /// Notes an end that was asked for. A temporary child is not restarted with its group, but forgotten (rule 28).
    fn stopped(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Phase::Stopping(Stopping { then, .. }) = &self.phase else { return };
        let (verdict, is_group) = (then.verdict(), matches!(then, Then::Start(_) | Then::Wait { .. }));
        self.note(key, start, (reason, verdict));
        let is_temporary = self.children.get(key).is_some_and(super::child::Child::is_temporary);
        if is_temporary && is_group && !wrong!(self, TemporarySiblingsKept) {
            self.forget(key);
        }
    }

    fn all_stopped(&mut self) {
        let Phase::Stopping(stopping) = mem::replace(&mut self.phase, Phase::Idle) else { return };
        match stopping.then {
            Then::Start(batch) => self.start_batch(batch),
            Then::Wait { child, until } => {
                self.children.set_life(child, Life::Restarting);
                self.children.set_alarm(child, Some((until, Alarm::Retry(child))));
            }
            Then::Answer { child, request, group } => {
                self.terminated(child, request);
                if let Some(group) = group {
                    self.start_batch(group);
                }
            }
            Then::Exit { reason, .. } => self.exit(reason),
        }
    }

    fn exit(&mut self, reason: ExitReason) {
        self.phase = Phase::Done;
        for item in mem::take(&mut self.line) {
            if let Item::Request { request, .. } = item {
                self.reply(request, Reply::Refused(Refusal::Ended));
            }
        }
        self.out.push(Command::Exit { reason });
    }

    /// Starts a group, once whom it holds is stopped.
    pub(super) fn stop_and_start(&mut self, batch: Batch) {
        self.stop_range(batch.from, batch.end, Then::Start(batch));
    }
}
