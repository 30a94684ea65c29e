//! A world for one supervisor's machine: children that start, end and stop as a test says, and a clock by hand.
//!
//! It holds the machine to what must always be true, whatever a test is about; see [`checks`].

mod checks;
mod obey;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast::supervision::{ChildKey, ChildRules, Event, Machine, Request, RequestId, Restart, Rules, Start};
use steadfast::{ChildId, ExitReason, Failure};

use checks::Checks;

/// How a child behaves when it is asked to stop.
#[derive(Clone, Debug)]
pub(crate) enum OnStop {
    /// It ends with this reason.
    Ends(ExitReason),
    /// It stays until it is killed.
    Stays,
    /// It stays even when it is killed: it has to be abandoned.
    Hangs,
}

/// Where a child's present life stands in the world. The machine learns of it by events only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Starting,
    Up,
    /// It is gone; the machine may not have heard of it.
    Gone,
}

pub(crate) struct World {
    pub(crate) machine: Machine,
    now: Duration,
    names: BTreeMap<ChildKey, String>,
    lives: BTreeMap<ChildKey, (Start, Life)>,
    /// What happened and was not told to the machine yet, oldest first.
    news: Vec<(ChildKey, Event)>,
    alarm: Option<Duration>,
    attempts: BTreeMap<String, u32>,
    failing: BTreeSet<(String, u32)>,
    ignoring: BTreeSet<(String, u32)>,
    waiting: BTreeSet<(String, u32)>,
    on_stop: BTreeMap<String, OnStop>,
    over: BTreeMap<ChildKey, Start>,
    answers: BTreeMap<RequestId, String>,
    asked: u64,
    checks: Checks,
    did: Vec<String>,
    verdicts: Vec<String>,
    causes: Vec<String>,
    pub(crate) gave_up: Option<String>,
    pub(crate) ended: Option<ExitReason>,
}

pub(crate) fn crash() -> ExitReason {
    ExitReason::Failed(Failure::new("crash"))
}

pub(crate) fn worker(restart: Restart) -> ChildRules {
    ChildRules::worker().restart(restart)
}

impl World {
    pub(crate) fn new(rules: Rules, children: &[(&str, ChildRules)]) -> Self {
        let specs = children.iter().map(|(name, rules)| (id(name), rules.clone()));
        Self::of(Machine::new(rules, specs.collect()))
    }

    /// A dynamic supervisor.
    pub(crate) fn dynamic(rules: Rules, template: ChildRules, max: Option<usize>) -> Self {
        Self::of(Machine::dynamic(rules, (id("template"), template), max))
    }

    fn of(machine: Machine) -> Self {
        let names = machine.children().map(|(key, child)| (key, child.id.to_string())).collect();
        Self {
            machine,
            now: Duration::ZERO,
            names,
            lives: BTreeMap::new(),
            news: Vec::new(),
            alarm: None,
            attempts: BTreeMap::new(),
            failing: BTreeSet::new(),
            ignoring: BTreeSet::new(),
            waiting: BTreeSet::new(),
            on_stop: BTreeMap::new(),
            over: BTreeMap::new(),
            answers: BTreeMap::new(),
            asked: 0,
            checks: Checks::default(),
            did: Vec::new(),
            verdicts: Vec::new(),
            causes: Vec::new(),
            gave_up: None,
            ended: None,
        }
    }

    /// Lets the start attempts with these numbers (from 1 on) fail.
    pub(crate) fn failing(mut self, name: &str, attempts: impl IntoIterator<Item = u32>) -> Self {
        self.failing.extend(attempts.into_iter().map(|attempt| (name.to_owned(), attempt)));
        self
    }

    /// Lets these start attempts say that there is nothing to run.
    pub(crate) fn ignoring(mut self, name: &str, attempts: impl IntoIterator<Item = u32>) -> Self {
        self.ignoring.extend(attempts.into_iter().map(|attempt| (name.to_owned(), attempt)));
        self
    }

    /// Lets this start attempt wait until it is released.
    pub(crate) fn waiting(mut self, name: &str, attempt: u32) -> Self {
        self.waiting.insert((name.to_owned(), attempt));
        self
    }

    pub(crate) fn on_stop(mut self, name: &str, behaviour: OnStop) -> Self {
        self.on_stop.insert(name.to_owned(), behaviour);
        self
    }

    /// Starts the supervisor, and settles.
    pub(crate) fn begun(mut self) -> Self {
        self.tell(Event::Init);
        self.settle();
        self
    }

    pub(crate) fn key(&self, name: &str) -> ChildKey {
        self.find(name).expect("a child of this world")
    }

    fn find(&self, name: &str) -> Option<ChildKey> {
        self.names.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
    }

    /// The start of a child's present life.
    pub(crate) fn start_of(&self, name: &str) -> Start {
        self.lives[&self.key(name)].0
    }

    pub(crate) fn is_up(&self, name: &str) -> bool {
        self.find(name).is_some_and(|key| matches!(self.lives.get(&key), Some((_, Life::Up))))
    }

    /// A child ends by itself; the machine is not told yet.
    pub(crate) fn end(&mut self, name: &str, reason: ExitReason) {
        self.end_life(self.key(name), reason);
    }

    /// A child ends by itself, and all that follows from it happens.
    pub(crate) fn exit(&mut self, name: &str, reason: ExitReason) {
        self.end(name, reason);
        self.settle();
    }

    /// Lets a waiting start go on, and settles.
    pub(crate) fn release(&mut self, name: &str) {
        let (key, attempt) = (self.key(name), self.attempts[name]);
        if self.waiting.remove(&(name.to_owned(), attempt)) {
            let (start, life) = self.lives[&key];
            assert_eq!(life, Life::Starting, "{name} waits in its start");
            self.finish_start(key, start, attempt);
        }
        self.settle();
    }

    /// The watchdog finds a child hung, and all that follows from it happens.
    pub(crate) fn hang(&mut self, name: &str) {
        let reason = ExitReason::Unresponsive { what: "a handler".to_owned(), limit: Duration::from_secs(1) };
        let (child, start) = (self.key(name), self.start_of(name));
        self.tell(Event::Hung { child, start, reason });
        self.settle();
    }

    /// Asks, without letting anything else happen.
    pub(crate) fn request(&mut self, what: Request) -> RequestId {
        self.asked += 1;
        let request = RequestId(self.asked);
        self.checks.asked(request);
        self.tell(Event::Request { request, what });
        request
    }

    /// Asks, settles, and returns the answer; nothing while it is not there.
    pub(crate) fn ask(&mut self, what: Request) -> String {
        let request = self.request(what);
        self.settle();
        self.answer(request)
    }

    /// The answer to a request; nothing while it is not there.
    pub(crate) fn answer(&self, request: RequestId) -> String {
        self.answers.get(&request).cloned().unwrap_or_default()
    }

    /// Whether a start waits to be released.
    pub(crate) fn waits(&self) -> bool {
        self.lives.values().any(|(_, life)| *life == Life::Starting)
    }

    /// Releases whatever start waits, and settles.
    pub(crate) fn release_all(&mut self) {
        for name in self.names.values().cloned().collect::<Vec<_>>() {
            self.release_if_waiting(&name);
        }
    }

    pub(crate) fn release_if_waiting(&mut self, name: &str) {
        let key = self.find(name).filter(|key| matches!(self.lives.get(key), Some((_, Life::Starting))));
        if key.is_some_and(|key| self.waiting.contains(&(name.to_owned(), self.attempts[&self.names[&key]]))) {
            self.release(name);
        }
    }

    /// A life of this child that is over and noted.
    pub(crate) fn an_earlier_life(&self, place: usize) -> Option<(ChildKey, Start)> {
        let (key, _) = self.names.iter().nth(place)?;
        self.over.get(key).map(|start| (*key, *start))
    }

    /// Somebody kills the supervisor.
    pub(crate) fn kill_supervisor(&mut self) {
        self.tell(Event::Kill);
        self.settle();
    }

    /// The owner asks the supervisor to end.
    pub(crate) fn stop(&mut self) {
        self.tell(Event::Stop { reason: ExitReason::SHUTDOWN });
        self.settle();
    }

    /// Lets time pass, with the alarm when it is due, and settles.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.pass_until(self.now + Duration::from_millis(ms));
    }

    fn pass_until(&mut self, end: Duration) {
        while let Some(at) = self.alarm.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.alarm = None;
            self.tell(Event::Timer);
            self.settle();
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass up to the alarm, if one is set.
    pub(crate) fn pass_to_the_alarm(&mut self) -> bool {
        let Some(at) = self.alarm else { return false };
        self.pass_until(at);
        true
    }

    /// Lets everything happen that will happen by itself, also what waits for a release or for time to pass.
    pub(crate) fn settle_for_good(&mut self) {
        loop {
            self.release_all();
            self.settle();
            if self.ended.is_some() || !(self.pass_to_the_alarm() || self.waits()) {
                return;
            }
        }
    }

    /// Whether a child's last start said that there is nothing to run.
    pub(crate) fn was_ignored(&self, name: &str) -> bool {
        let last = self.attempts.get(name).copied().unwrap_or_default();
        self.ignoring.contains(&(name.to_owned(), last))
    }

    /// Tells the machine all news, oldest first, until there is none.
    pub(crate) fn settle(&mut self) {
        while !self.news.is_empty() {
            self.tell_news(0);
        }
    }

    pub(crate) fn news(&self) -> usize {
        self.news.len()
    }

    /// Tells the machine one piece of news, out of turn; but what one child did stays in order.
    pub(crate) fn tell_news(&mut self, index: usize) {
        let child = self.news[index].0;
        let first = self.news.iter().position(|(of, _)| *of == child).expect("this one at least");
        let (key, event) = self.news.remove(first);
        match event {
            Event::Exited { start, .. } | Event::Ignored { start, .. } if self.is_life(key, start) => {
                self.lives.remove(&key);
            }
            Event::Started { start, .. } => self.checks.is_up(start),
            _ => {}
        }
        self.tell(event);
    }

    /// What the machine commanded since the last look.
    pub(crate) fn did(&mut self) -> String {
        std::mem::take(&mut self.did).join(" ")
    }

    /// What the machine noted since the last look.
    pub(crate) fn verdicts(&mut self) -> String {
        std::mem::take(&mut self.verdicts).join(", ")
    }

    /// By whose decision children were started since the last look.
    pub(crate) fn causes(&mut self) -> String {
        std::mem::take(&mut self.causes).join(", ")
    }

    /// The children's states, in order.
    pub(crate) fn states(&self) -> String {
        let states = self.machine.children().map(|(_, child)| format!("{} {}", child.id, child.state));
        states.collect::<Vec<_>>().join(", ")
    }

    /// The end of the supervisor was the end of everything.
    pub(crate) fn check_the_end(&self) {
        assert!(self.machine.is_done());
        self.checks.at_the_end();
    }
}

pub(crate) fn id(name: &str) -> ChildId {
    ChildId::new(name).expect("a name")
}
