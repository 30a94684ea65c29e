//! A world for one supervisor's machine: children that start, end and stop as a test says, and a clock by hand.
//!
//! It holds the machine to what must always be true, whatever a test is about: one life per child at a time, commands
//! only for the life they name, every end noted exactly once, stops in reverse order, never more restarts than the
//! intensity allows, nothing alive when the supervisor ends, and nothing commanded afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast::supervision::{
    ChildExit, ChildKey, ChildRules, Command, Event, Machine, Note, Restart, Rules, Start, Verdict,
};
use steadfast::{ChildId, ExitReason, Failure};

/// How a child behaves when it is asked to stop.
#[derive(Clone, Debug)]
pub(crate) enum OnStop {
    /// It ends with this reason.
    Ends(ExitReason),
    /// It stays until it is killed.
    Stays,
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
    rules: Rules,
    now: Duration,
    names: BTreeMap<ChildKey, String>,
    lives: BTreeMap<ChildKey, (Start, Life)>,
    /// What happened and was not told to the machine yet, oldest first.
    news: Vec<(ChildKey, Event)>,
    alarm: Option<Duration>,
    attempts: BTreeMap<String, u32>,
    failing: BTreeSet<(String, u32)>,
    waiting: BTreeSet<(String, u32)>,
    on_stop: BTreeMap<String, OnStop>,
    asked: BTreeSet<Start>,
    noted: BTreeSet<Start>,
    over: BTreeMap<ChildKey, Start>,
    restarts: Vec<Duration>,
    last_stopped: Option<usize>,
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
        let specs = children.iter().map(|(name, rules)| (ChildId::new(name).expect("a name"), rules.clone()));
        let machine = Machine::new(rules, specs.collect());
        let names = machine.children().map(|(key, child)| (key, child.id.to_string())).collect();
        Self {
            machine,
            rules,
            now: Duration::ZERO,
            names,
            lives: BTreeMap::new(),
            news: Vec::new(),
            alarm: None,
            attempts: BTreeMap::new(),
            failing: BTreeSet::new(),
            waiting: BTreeSet::new(),
            on_stop: BTreeMap::new(),
            asked: BTreeSet::new(),
            noted: BTreeSet::new(),
            over: BTreeMap::new(),
            restarts: Vec::new(),
            last_stopped: None,
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
        *self.names.iter().find(|(_, known)| *known == name).expect("a child of this world").0
    }

    /// The start of a child's present life.
    pub(crate) fn start_of(&self, name: &str) -> Start {
        self.lives[&self.key(name)].0
    }

    pub(crate) fn is_up(&self, name: &str) -> bool {
        matches!(self.lives.get(&self.key(name)), Some((_, Life::Up)))
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
        if matches!(self.lives.get(&self.key(name)), Some((_, Life::Starting))) {
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
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.alarm.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.alarm = None;
            self.tell(Event::Timer);
            self.settle();
        }
        self.now = end;
    }

    /// Lets time pass up to the alarm, if one is set.
    pub(crate) fn pass_to_the_alarm(&mut self) -> bool {
        let Some(at) = self.alarm else { return false };
        self.pass(u64::try_from(at.saturating_sub(self.now).as_millis()).expect("a short time"));
        true
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
        if let Event::Exited { .. } = event {
            self.lives.remove(&key);
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

    pub(crate) fn tell(&mut self, event: Event) {
        for command in self.machine.step(self.now, event) {
            assert!(self.ended.is_none(), "{command:?} after the end");
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { child, start, cause } => {
                self.causes.push(format!("{} by {cause}", self.names[&child]));
                self.start(child, start);
            }
            Command::Stop { child, start, .. } => self.ask_to_stop(child, start),
            Command::Kill { child, start } => self.kill(child, start),
            Command::Arm { at } => {
                assert!(at > self.now, "armed for the past");
                self.alarm = Some(at);
            }
            Command::Forget { child } => self.did.push(format!("forget({})", self.names[&child])),
            Command::Rest { child } => self.did.push(format!("rest({})", self.names[&child])),
            Command::Ready => self.did.push("ready".to_owned()),
            Command::Note(Note::ChildExited(exit)) => self.note(&exit),
            Command::Note(Note::Retrying { .. }) => self.count_restart(),
            Command::Note(Note::GaveUp(escalation)) => self.gave_up = Some(escalation.limit.clone()),
            Command::Exit { reason } => {
                assert!(self.lives.is_empty(), "alive after the end: {:?}", self.lives);
                self.did.push("exit".to_owned());
                self.ended = Some(reason);
            }
            other => panic!("an unknown command: {other:?}"),
        }
    }

    fn start(&mut self, child: ChildKey, start: Start) {
        let name = self.names[&child].clone();
        assert!(!self.lives.contains_key(&child), "a second life of {name}");
        self.did.push(format!("start({name})"));
        self.last_stopped = None;
        self.lives.insert(child, (start, Life::Starting));
        let attempt = self.attempts.entry(name.clone()).or_default();
        *attempt += 1;
        let attempt = *attempt;
        if !self.waiting.contains(&(name, attempt)) {
            self.finish_start(child, start, attempt);
        }
    }

    fn finish_start(&mut self, child: ChildKey, start: Start, attempt: u32) {
        if self.failing.contains(&(self.names[&child].clone(), attempt)) {
            self.end_life(child, ExitReason::StartFailed(Failure::new("no luck")));
        } else {
            self.lives.insert(child, (start, Life::Up));
            self.news.push((child, Event::Started { child, start }));
        }
    }

    fn ask_to_stop(&mut self, child: ChildKey, start: Start) {
        let name = self.names[&child].clone();
        self.did.push(format!("stop({name})"));
        self.is_told_to_go(child, start);
        match self.on_stop.get(&name).cloned() {
            None => self.end_life(child, ExitReason::SHUTDOWN),
            Some(OnStop::Ends(reason)) => self.end_life(child, reason),
            Some(OnStop::Stays) => {}
        }
    }

    fn kill(&mut self, child: ChildKey, start: Start) {
        let name = self.names[&child].clone();
        self.did.push(format!("kill({name})"));
        if !self.asked.contains(&start) {
            self.is_told_to_go(child, start);
        }
        self.end_life(child, ExitReason::Killed);
    }

    fn is_told_to_go(&mut self, child: ChildKey, start: Start) {
        assert_eq!(self.lives.get(&child).map(|(start, _)| *start), Some(start), "told to go, but does not live");
        assert!(self.asked.insert(start), "told to go twice");
        let place = self.machine.children().position(|(key, _)| key == child).expect("it is known");
        assert!(self.last_stopped.is_none_or(|last| place < last), "not stopped in reverse order");
        self.last_stopped = Some(place);
    }

    fn end_life(&mut self, child: ChildKey, reason: ExitReason) {
        let Some((start, life)) = self.lives.get_mut(&child) else { return };
        if *life != Life::Gone {
            *life = Life::Gone;
            self.news.push((child, Event::Exited { child, start: *start, reason }));
        }
    }

    fn note(&mut self, exit: &ChildExit) {
        assert!(self.noted.insert(exit.start), "the end of {} was noted twice", exit.id);
        self.over.insert(exit.child, exit.start);
        if let Verdict::Restarting(_) = exit.verdict {
            self.count_restart();
        }
        self.verdicts.push(format!("{}: {}", exit.id, exit.verdict));
    }

    fn count_restart(&mut self) {
        self.restarts.push(self.now);
        let limit = self.rules.intensity;
        let recent = self.restarts.iter().filter(|then| self.now.saturating_sub(**then) <= limit.period).count();
        assert!(recent <= limit.max as usize, "{recent} restarts within {:?}, allowed are {limit}", limit.period);
    }

    /// How many lives began, and how many ended.
    pub(crate) fn lives_begun_and_noted(&self) -> (u32, usize) {
        (self.attempts.values().sum(), self.noted.len())
    }
}
