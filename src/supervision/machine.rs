//! A supervisor as a state machine: what happened goes in, what must be done comes out.
//!
//! The machine knows the rules and nothing else: not how a child is started, not what time it is, not who carries out
//! its commands. It does one thing at a time (rule 3); whatever comes meanwhile waits in one line, first in, first out,
//! and so [`Machine::step`] can be called at any time and never waits.
//!
//! # Invariants
//!
//! * A child has at most one life: no start is commanded before the end of the life before it was reported.
//! * Children start in the order of the list and stop in reverse, one after another (rules 4 and 10).
//! * An event of an earlier life changes nothing: lives are told apart by the number of their [`Start`].
//! * No step looks through all children; each costs a few look-ups in ordered maps, however many siblings there are.
//!
//! ```
//! use std::time::Duration;
//! use steadfast::supervision::{ChildRules, Command, Event, Machine, Rules};
//! use steadfast::{ChildId, ExitReason};
//!
//! let mut machine = Machine::new(Rules::default(), vec![(ChildId::new("store")?, ChildRules::worker())]);
//! let now = Duration::ZERO;
//!
//! let Command::Start { child, start, .. } = machine.step(now, Event::Init)[0] else { panic!("a start") };
//! assert!(matches!(machine.step(now, Event::Started { child, start })[..], [Command::Ready]));
//!
//! let commands = machine.step(now, Event::Exited { child, start, reason: ExitReason::Killed });
//! assert!(matches!(commands[..], [Command::Note(_), Command::Start { .. }]));
//! # Ok::<(), steadfast::InvalidName>(())
//! ```

mod child;
mod command;
mod plan;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::exit::{Escalation, ExitReason, ShutdownCause};
use crate::id::ChildId;

use super::decision::{Decision, decide};
pub use super::intensity::Moment;
use super::intensity::{Tally, Window};
use super::policy::{ChildRules, Rules, Shutdown, Strategy};

pub use child::{ChildKey, ChildState, ChildView, Start};
pub use command::{ChildExit, Command, Event, Note, StartCause, Verdict};

use child::{Children, Life, Position};
use plan::{Batch, Culprit, Item, Leaving, Phase, Starting, Stopping, Then, Trigger, Why};

/// The first position.
const FIRST: Position = 0;
/// A position that no child reaches.
const END: Position = Position::MAX;

/// The state of one incarnation of a supervisor.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    children: Children,
    restarts: Window,
    line: VecDeque<Item>,
    phase: Phase,
    /// When the runtime will send [`Event::Timer`].
    armed: Option<Moment>,
    /// Whether children are killed instead of asked, since the supervisor itself is.
    killed: bool,
    now: Moment,
    out: Vec<Command>,
}

impl Machine {
    /// A supervisor that has not begun, with these children in start order. Keys are given in that order.
    #[must_use]
    pub fn new(rules: Rules, children: Vec<(ChildId, ChildRules)>) -> Self {
        let mut machine = Self {
            rules,
            children: Children::default(),
            restarts: Window::default(),
            line: VecDeque::new(),
            phase: Phase::New,
            armed: None,
            killed: false,
            now: Moment::ZERO,
            out: Vec::new(),
        };
        for (id, rules) in children {
            machine.children.append(id, rules);
        }
        machine
    }

    /// Takes an event and everything that follows from it, and returns what must be done, in order.
    #[must_use = "the commands must be carried out"]
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Command> {
        self.now = self.now.max(now);
        match event {
            Event::Init => self.begin(),
            Event::Started { child, start } => self.started(child, start),
            Event::Exited { child, start, reason } => self.exited(child, start, reason),
            Event::Stop { reason } => self.line.push_back(Item::Stop { reason }),
            Event::Kill => self.kill(),
            Event::Timer => self.timer(),
        }
        self.go_on();
        mem::take(&mut self.out)
    }

    /// Looks at a child; `None` when it is forgotten.
    #[must_use]
    pub fn child(&self, key: ChildKey) -> Option<ChildView<'_>> {
        self.children.view(key)
    }

    /// Looks at all children, in the order of the list.
    pub fn children(&self) -> impl Iterator<Item = (ChildKey, ChildView<'_>)> {
        self.children.views()
    }

    /// Counts the restarts that the window holds at this moment.
    #[must_use]
    pub fn restarts_in_window(&self, now: Moment) -> usize {
        self.restarts.count(now, self.rules.intensity)
    }

    /// Whether the supervisor ended. No event changes anything then.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Does what can be done until the machine waits for an event.
    fn go_on(&mut self) {
        loop {
            match &self.phase {
                Phase::Done => return self.line.clear(),
                Phase::Starting(Starting { current: Some(_), .. })
                | Phase::Stopping(Stopping { current: Some(_), .. }) => return,
                Phase::Starting(_) => self.start_next(),
                Phase::Stopping(_) => self.stop_next(),
                Phase::New | Phase::Idle => match self.line.pop_front() {
                    None => return,
                    Some(Item::Exit { child, start }) => self.judge(child, start),
                    Some(Item::Retry { child, reason }) => self.retry(child, reason),
                    Some(Item::Stop { reason }) => self.end(reason, Verdict::StoppedOnRequest),
                },
            }
        }
    }

    fn begin(&mut self) {
        if matches!(self.phase, Phase::New) {
            self.start_all(Batch { from: FIRST, to: END, why: Why::Init });
        }
    }

    fn started(&mut self, key: ChildKey, start: Start) {
        let Some(child) = self.children.get_mut(key) else { return };
        if !matches!(child.life, Life::Starting(current) if current == start) {
            return;
        }
        child.life = Life::Running(start);
        child.failed_starts = 0;
        if let Phase::Starting(starting) = &mut self.phase {
            starting.current = None;
        }
    }

    fn exited(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Some(child) = self.children.get_mut(key) else { return };
        match child.life {
            Life::Starting(current) if current == start => self.start_failed(key, start, reason),
            Life::Running(current) if current == start => {
                child.life = Life::Ended(start, Box::new(reason));
                self.line.push_back(Item::Exit { child: key, start });
            }
            Life::Stopping(current) if current == start => {
                let Phase::Stopping(stopping) = &mut self.phase else { return };
                stopping.current = None;
                self.stopped(key, start, reason);
            }
            _ => {}
        }
    }

    /// Kills the child that did not stop in time. A timer that comes early is armed again.
    fn timer(&mut self) {
        self.armed = None;
        let Phase::Stopping(Stopping { current: Some(leaving), .. }) = &mut self.phase else { return };
        let Some(kill_at) = leaving.kill_at else { return };
        if kill_at > self.now {
            return self.arm(kill_at);
        }
        leaving.kill_at = None;
        let child = leaving.child;
        if let Some(Life::Stopping(start)) = self.children.get(child).map(|child| &child.life) {
            self.out.push(Command::Kill { child, start: *start });
        }
    }

    fn arm(&mut self, at: Moment) {
        // One lazy timer: one that comes earlier is left alone, and finds the later moment when it comes.
        if self.armed.is_none_or(|armed| armed > at) {
            self.armed = Some(at);
            self.out.push(Command::Arm { at });
        }
    }

    fn note(&mut self, key: ChildKey, start: Start, end: (ExitReason, Verdict)) {
        let Some(child) = self.children.get(key) else { return };
        let (reason, verdict) = end;
        let exit = ChildExit { child: key, id: child.id.clone(), start, reason, verdict };
        self.out.push(Command::Note(Note::ChildExited(exit)));
    }

    fn forget(&mut self, key: ChildKey) {
        self.children.forget(key);
        self.out.push(Command::Forget { child: key });
    }
}

/// Starting.
impl Machine {
    fn start_all(&mut self, batch: Batch) {
        self.phase = Phase::Starting(Starting { current: None, rest: batch });
    }

    fn start_next(&mut self) {
        let Phase::Starting(Starting { current, rest }) = &mut self.phase else { return };
        let Some((position, key)) = self.children.first_in(rest.from, rest.to) else {
            if let Why::Init = rest.why {
                self.out.push(Command::Ready);
            }
            self.phase = Phase::Idle;
            return;
        };
        rest.from = position + 1;
        *current = Some(key);
        let start = self.children.next_start();
        if let Some(child) = self.children.get_mut(key) {
            child.life = Life::Starting(start);
        }
        self.out.push(Command::Start { child: key, start, cause: rest.why.cause_for(key) });
    }

    fn start_failed(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Phase::Starting(Starting { rest, .. }) = &self.phase else { return };
        let is_init = matches!(rest.why, Why::Init);
        let Some(child) = self.children.get_mut(key) else { return };
        child.life = Life::Stopped;
        child.failed_starts = child.failed_starts.saturating_add(1);
        let failed_starts = child.failed_starts;
        if is_init {
            let cause = ShutdownCause::ChildFailedToStart { child: child.id.clone(), reason: Box::new(reason.clone()) };
            self.note(key, start, (reason, Verdict::InitFailed));
            return self.end(ExitReason::Shutdown(cause), Verdict::StoppedWithSupervisor);
        }
        if self.rules.failed_starts.is_some_and(|most| failed_starts >= most) {
            self.note(key, start, (reason.clone(), Verdict::GaveUp));
            return self.give_up(key, reason, format!("{failed_starts} failed starts in a row (failed_starts)"));
        }
        // The children started so far stay up, the later ones stay down, until the retry comes up (rules 35 and 36).
        child.life = Life::Restarting;
        self.note(key, start, (reason.clone(), Verdict::Retrying));
        self.line.push_back(Item::Retry { child: key, reason });
        self.phase = Phase::Idle;
    }
}

/// Stopping.
impl Machine {
    /// Stops all children, then ends.
    fn end(&mut self, reason: ExitReason, verdict: Verdict) {
        let then = Then::Exit { reason, verdict };
        self.phase = Phase::Stopping(Stopping { current: None, from: FIRST, end: END, then });
    }

    fn stop_next(&mut self) {
        let Phase::Stopping(stopping) = &mut self.phase else { return };
        let Some((position, key)) = self.children.last_in(stopping.from, stopping.end) else {
            return self.all_stopped();
        };
        stopping.end = position;
        let Some(child) = self.children.get_mut(key) else { return };
        match mem::replace(&mut child.life, Life::Stopped) {
            Life::Starting(start) | Life::Running(start) | Life::Stopping(start) => {
                child.life = Life::Stopping(start);
                let shutdown = child.rules.shutdown;
                stopping.current = Some(Leaving { child: key, kill_at: None });
                self.send_away(key, start, shutdown);
            }
            // Its exit waits in line: this stop consumes it, and no restart follows (rule 14).
            Life::Ended(start, reason) => self.stopped(key, start, *reason),
            Life::Stopped | Life::Restarting => {}
        }
    }

    /// Ends everything now, whatever was being done.
    fn kill(&mut self) {
        if matches!(self.phase, Phase::Done) {
            return;
        }
        self.killed = true;
        let current = match &self.phase {
            Phase::Starting(starting) => starting.current,
            Phase::Stopping(stopping) => stopping.current.as_ref().map(|leaving| leaving.child),
            Phase::New | Phase::Idle | Phase::Done => None,
        };
        self.end(ExitReason::Killed, Verdict::StoppedOnRequest);
        let Some(key) = current else { return };
        let Some(child) = self.children.get_mut(key) else { return };
        if let Life::Starting(start) | Life::Stopping(start) = child.life {
            child.life = Life::Stopping(start);
            if let Phase::Stopping(stopping) = &mut self.phase {
                stopping.current = Some(Leaving { child: key, kill_at: None });
            }
            self.out.push(Command::Kill { child: key, start });
        }
    }

    fn send_away(&mut self, child: ChildKey, start: Start, shutdown: Shutdown) {
        let shutdown = if self.killed { Shutdown::Kill } else { shutdown };
        if shutdown != Shutdown::Kill {
            self.out.push(Command::Stop { child, start });
        }
        match shutdown {
            Shutdown::Wait => {}
            Shutdown::Kill | Shutdown::Within(Moment::ZERO) => self.out.push(Command::Kill { child, start }),
            Shutdown::Within(limit) => {
                let at = self.now.saturating_add(limit);
                if let Phase::Stopping(Stopping { current: Some(leaving), .. }) = &mut self.phase {
                    leaving.kill_at = Some(at);
                }
                self.arm(at);
            }
        }
    }

    /// A child is gone as it should be. A temporary one is not restarted with its group, but forgotten (rule 28).
    fn stopped(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Phase::Stopping(Stopping { then, .. }) = &self.phase else { return };
        let (verdict, is_group) = (then.verdict(), matches!(then, Then::Start(_)));
        let Some(child) = self.children.get_mut(key) else { return };
        child.life = Life::Stopped;
        let is_temporary = child.is_temporary();
        self.note(key, start, (reason, verdict));
        if is_temporary && is_group {
            self.forget(key);
        }
    }

    fn all_stopped(&mut self) {
        let Phase::Stopping(stopping) = mem::replace(&mut self.phase, Phase::Done) else { return };
        match stopping.then {
            Then::Start(batch) => self.start_all(batch),
            Then::Exit { reason, .. } => self.out.push(Command::Exit { reason }),
        }
    }
}

/// Deciding.
impl Machine {
    /// Decides about a child whose exit has come up in the line.
    fn judge(&mut self, key: ChildKey, start: Start) {
        let Some(child) = self.children.get_mut(key) else { return };
        // A stop may have consumed this exit, and a new life may have begun.
        if !matches!(child.life, Life::Ended(ended, _) if ended == start) {
            return;
        }
        let Life::Ended(_, reason) = mem::replace(&mut child.life, Life::Stopped) else { return };
        match decide(child.rules.restart, reason.class()) {
            Decision::Keep => {
                self.note(key, start, (*reason, Verdict::Kept));
                self.out.push(Command::Rest { child: key });
            }
            Decision::Forget => {
                self.note(key, start, (*reason, Verdict::Forgotten));
                self.forget(key);
            }
            Decision::Restart => {
                let tally = self.restarts.add(self.now, self.rules.intensity);
                if tally.is_over() {
                    self.note(key, start, ((*reason).clone(), Verdict::GaveUp));
                    return self.give_up(key, *reason, limit_of(tally));
                }
                self.note(key, start, (*reason, Verdict::Restarting(tally)));
                self.restart(key, Trigger::Exit, tally);
            }
        }
    }

    /// Tries a failed start again, which counts like a crash (rule 34).
    fn retry(&mut self, key: ChildKey, reason: ExitReason) {
        let Some(child) = self.children.get_mut(key) else { return };
        if !matches!(child.life, Life::Restarting) {
            return;
        }
        child.life = Life::Stopped;
        let id = child.id.clone();
        let tally = self.restarts.add(self.now, self.rules.intensity);
        if tally.is_over() {
            return self.give_up(key, reason, limit_of(tally));
        }
        self.out.push(Command::Note(Note::Retrying { child: key, id, tally }));
        self.restart(key, Trigger::FailedStart, tally);
    }

    /// Starts a child again, and whom the strategy names with it (rules 25 to 27).
    fn restart(&mut self, key: ChildKey, trigger: Trigger, tally: Tally) {
        let Some(child) = self.children.get(key) else { return };
        let culprit = Culprit { child: key, id: child.id.clone(), trigger, tally };
        let (from, to) = match self.rules.strategy {
            Strategy::OneForOne => (child.position, child.position),
            Strategy::OneForAll => (FIRST, END),
            Strategy::RestForOne => (child.position, END),
        };
        let group = Batch { from, to, why: Why::Restart(culprit) };
        // The child itself has no actor, so that only its siblings are stopped here.
        self.phase = Phase::Stopping(Stopping { current: None, from, end: to, then: Then::Start(group) });
    }

    fn give_up(&mut self, key: ChildKey, reason: ExitReason, limit: String) {
        let Some(child) = self.children.get(key) else { return };
        let escalation = Arc::new(Escalation { child: child.id.clone(), reason, limit });
        self.out.push(Command::Note(Note::GaveUp(escalation.clone())));
        self.end(ExitReason::Shutdown(ShutdownCause::GaveUp(escalation)), Verdict::StoppedWithSupervisor);
    }
}

fn limit_of(tally: Tally) -> String {
    let restarts = if tally.limit.max == 1 { "restart" } else { "restarts" };
    format!("more than {} {restarts} in {:?} (intensity)", tally.limit.max, tally.limit.period)
}
