//! A supervisor as a state machine: what happened goes in, what must be done comes out.
//!
//! The machine knows the rules and nothing else: not how a child is started, not what time it is, not who carries out
//! its commands. It does one thing at a time (rule 3); whatever comes meanwhile waits in one line, first in, first out,
//! and so [`Machine::step`] can be called at any time and never waits.
//!
//! # Invariants
//!
//! * A child has at most one life: no start is commanded before the end of the life before it was reported, or before
//!   that life was abandoned.
//! * Children start in the order of the list and stop in reverse, one after another (rules 4 and 10), unless they say
//!   after whom they start.
//! * An event of an earlier life changes nothing: lives are told apart by the number of their [`Start`].
//! * Every request is answered once.
//! * No step looks through all children; each costs a few look-ups in ordered maps, however many siblings there are.
//!   Only requests that list them do, and what tells all of them the same.
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

#![cfg_attr(
    not(any(test, feature = "testing")),
    allow(clippy::match_same_arms, reason = "arms that differ only by what tests may break in them")
)]

#[macro_use]
mod wrong;

mod alarms;
mod asking;
mod child;
mod command;
mod deciding;
mod graph;
mod plan;
mod request;
mod starting;
mod stopping;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::exit::ExitReason;
use crate::id::ChildId;

use super::backoff::Jitter;
pub use super::intensity::Moment;
use super::intensity::Window;
use super::policy::{ChildRules, Rules};
use super::snapshot::Doing;

pub use child::{ChildKey, ChildState, ChildView, Start};
pub use command::{ChildExit, Command, Event, Note, Progress, StartCause, Verdict};
pub use request::{ChildRow, Counts, Refusal, Reply, Request, RequestId};

use child::{Children, Life, Position};
use plan::{Batch, Item, Phase, Why};

/// The first position.
const FIRST: Position = 0;
/// A position that no child reaches.
const END: Position = Position::MAX;

/// The state of one incarnation of a supervisor.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    children: Children,
    template: Option<Template>,
    restarts: Window,
    line: VecDeque<Item>,
    phase: Phase,
    /// When the runtime will send [`Event::Timer`].
    armed: Option<Moment>,
    /// Whether children are killed instead of asked, since the supervisor itself is.
    killed: bool,
    jitter: Jitter,
    now: Moment,
    out: Vec<Command>,
    #[cfg(any(test, feature = "testing"))]
    suspended: bool,
}

/// What a dynamic supervisor has instead of a list of children.
#[derive(Debug)]
struct Template {
    id: ChildId,
    rules: Arc<ChildRules>,
    max: Option<usize>,
    /// The last number that was given to an instance as its name.
    numbered: u64,
}

impl Machine {
    /// A supervisor that has not begun, with these children in start order. Keys are given in that order.
    #[must_use]
    pub fn new(rules: Rules, children: Vec<(ChildId, ChildRules)>) -> Self {
        Self::sharing(rules, children.into_iter().map(|(id, rules)| (id, Arc::new(rules))))
    }

    /// The same, of children that may share their rules.
    pub(crate) fn sharing(rules: Rules, children: impl ExactSizeIterator<Item = (ChildId, Arc<ChildRules>)>) -> Self {
        Self {
            rules,
            children: Children::of(children),
            template: None,
            restarts: Window::default(),
            line: VecDeque::new(),
            phase: Phase::New,
            armed: None,
            killed: false,
            jitter: Jitter::new(0),
            now: Moment::ZERO,
            out: Vec::new(),
            #[cfg(any(test, feature = "testing"))]
            suspended: false,
        }
    }

    /// A dynamic supervisor: without children, and with a template of which instances are started on request (rules 15,
    /// 31 and 48). Holds at most `max` instances; any number when `None`.
    #[must_use]
    pub fn dynamic(rules: Rules, template: (ChildId, impl Into<Arc<ChildRules>>), max: Option<usize>) -> Self {
        let (id, child) = template;
        let template = Template { id, rules: child.into(), max, numbered: 0 };
        Self { template: Some(template), ..Self::new(rules, Vec::new()) }
    }

    /// The same with a seed for the jitter of back-offs. Equal seeds draw equal delays.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.jitter = Jitter::new(seed);
        self
    }

    /// Takes an event and everything that follows from it, and returns what must be done, in order.
    #[must_use = "the commands must be carried out"]
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Command> {
        self.now = self.now.max(now);
        match event {
            Event::Init => self.begin(),
            Event::Started { child, start } => self.started(child, start),
            Event::Ignored { child, start } => self.ignored(child, start),
            Event::Exited { child, start, reason } => self.exited(child, start, reason),
            Event::Hung { child, start, reason } => self.hung(child, start, reason),
            Event::Progress { child, start, progress } => self.progressed(child, start, progress),
            Event::Stop { reason } => self.enqueue(Item::Stop { reason }),
            Event::Request { request, what } => self.enqueue(Item::Request { request, what: Box::new(what) }),
            Event::Kill => self.kill(),
            Event::Timer => self.timer(),
            #[cfg(any(test, feature = "testing"))]
            Event::Suspend => self.suspended = true,
            #[cfg(any(test, feature = "testing"))]
            Event::Resume => self.suspended = false,
        }
        self.go_on();
        self.rearm();
        mem::take(&mut self.out)
    }

    /// Its rules, as they are now.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether it has a template instead of a list of children.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.template.is_some()
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

    /// Whether those who are stopped together go one after the other: not instances of a template (rule 15), nor where children
    /// say after whom they start.
    #[must_use]
    pub fn stops_in_turn(&self) -> bool {
        self.template.is_none() && !self.children.any_dependent()
    }

    /// Counts the restarts that the window holds at this moment.
    #[must_use]
    pub fn restarts_in_window(&self, now: Moment) -> usize {
        self.restarts.count(now, self.rules.intensity)
    }

    /// Counts the restarts that a child's own intensity holds at this moment, if it has one.
    #[must_use]
    pub fn budget_used(&self, key: ChildKey, now: Moment) -> Option<super::Tally> {
        let child = self.children.get(key)?;
        let limit = child.rules.budget?;
        Some(super::Tally { count: child.seen().map_or(0, |extra| extra.budget.count(now, limit)), limit })
    }

    /// Whether the supervisor ended. No event changes anything then.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Whether it has begun, is doing nothing, and nothing waits in line that it could do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && (self.line.is_empty() || self.is_suspended())
    }

    /// When it will do something by itself next: kill who does not stop, abandon who cannot be killed, try again.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Moment> {
        self.children.next_alarm()
    }

    /// What it waits for, by its own clock, for whoever killed it. [`Progress::Unknown`] also where it waits for a
    /// supervisor below it that has a deadline: that one is to be asked then.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match &self.phase {
            Phase::Done => Progress::Leaving,
            Phase::Stopping(_) => self.children.next_end().map_or(Progress::Unknown, Progress::WaitsUntil),
            // It does not know yet that it is to end, whatever else it waits for.
            Phase::New | Phase::Idle | Phase::Starting(_) => Progress::Unknown,
        }
    }

    /// How many things wait in line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// What it is doing.
    #[must_use]
    pub fn doing(&self) -> Doing {
        let first = |state| self.children().find(|(_, child)| child.state == state).map(|(_, child)| child.id.clone());
        match &self.phase {
            Phase::Starting(_) => first(ChildState::Starting).map_or(Doing::Idle, Doing::Starting),
            Phase::Stopping(stopping) => Doing::Stopping(stopping.leaving),
            Phase::Idle if self.children.restarting() > 0 => {
                first(ChildState::Restarting).map_or(Doing::Idle, Doing::WaitingToRestart)
            }
            Phase::New | Phase::Idle | Phase::Done => Doing::Idle,
        }
    }

    #[cfg(any(test, feature = "testing"))]
    fn is_suspended(&self) -> bool {
        self.suspended
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "only tests suspend a machine")]
    fn is_suspended(&self) -> bool {
        false
    }

    fn enqueue(&mut self, item: Item) {
        if let (Phase::Done, Item::Request { request, .. }) = (&self.phase, &item) {
            return self.reply(*request, Reply::Refused(Refusal::Ended));
        }
        let jumps = match &item {
            Item::Stop { .. } => wrong!(self, StopJumpsTheQueue),
            Item::Retry { .. } => wrong!(self, RetryAtOnce),
            Item::Exit { .. } if wrong!(self, ExitsBeforeRequests) => return self.enqueue_before_requests(item),
            Item::Exit { .. } | Item::Request { .. } => false,
        };
        if jumps { self.line.push_front(item) } else { self.line.push_back(item) }
    }

    /// What a mutation does with an exit.
    fn enqueue_before_requests(&mut self, item: Item) {
        let first = self.line.iter().position(|waiting| matches!(waiting, Item::Request { .. }));
        self.line.insert(first.unwrap_or(self.line.len()), item);
    }

    /// Does what can be done until the machine waits for an event.
    fn go_on(&mut self) {
        loop {
            match &self.phase {
                Phase::Done => return,
                Phase::Starting(starting) if starting.must_wait() => return,
                Phase::Stopping(stopping) if stopping.must_wait() => return,
                Phase::Starting(_) => self.start_next(),
                Phase::Stopping(_) => self.stop_next(),
                Phase::New | Phase::Idle if self.is_suspended() => return,
                // Before it has begun it can only be told to end; everything else waits for its children.
                Phase::New => {
                    let stop = self.line.iter().position(|item| matches!(item, Item::Stop { .. }));
                    let Some(Item::Stop { reason }) = stop.and_then(|place| self.line.remove(place)) else { return };
                    self.end(reason, Verdict::StoppedOnRequest);
                }
                Phase::Idle => match self.line.pop_front() {
                    None => return,
                    Some(Item::Exit { child, start }) => self.judge(child, start),
                    Some(Item::Retry { child }) => self.retry(child),
                    Some(Item::Request { request, what }) => self.answer(request, *what),
                    Some(Item::Stop { reason }) => self.end(reason, Verdict::StoppedOnRequest),
                },
            }
        }
    }

    fn begin(&mut self) {
        if matches!(self.phase, Phase::New) {
            self.start_batch(Batch { from: FIRST, end: END, why: Why::Init });
        }
    }

    fn exited(&mut self, key: ChildKey, start: Start, reason: ExitReason) {
        let Some(child) = self.children.get_mut(key).filter(|child| child.life.start() == Some(start)) else { return };
        let reason = child.take_doom().unwrap_or(reason);
        match child.life {
            Life::Starting(_) => self.start_failed(key, start, reason),
            Life::Running(_) => {
                self.children.set_life(key, Life::Ended(Box::new((start, reason))));
                self.enqueue(Item::Exit { child: key, start });
            }
            Life::Stopping(_) => self.left(key, start, reason),
            Life::Stopped | Life::Ended(_) | Life::Restarting | Life::Quarantined => {}
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

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.out.push(Command::Reply { request, reply });
    }
}
