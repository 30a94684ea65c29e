//! The trace of a world as it is written, and what watches it while that happens.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Entry, MailStep, Trace, What};
use crate::event::Event;
use crate::id::{Incarnation, Path};
use crate::runtime::current;
use crate::runtime::guard::lock;
use crate::runtime::simulated;
use crate::runtime::system::System;
use crate::runtime::tap::Tap;
use crate::runtime::wait::{self, Signal};
use crate::testing::VirtualClock;

/// Writes the trace of a world. Rules are looked at after each entry, so that nothing between two of them is missed.
pub(in crate::testing) struct Recording {
    clock: VirtualClock,
    state: Mutex<State>,
    changed: Signal,
}

#[derive(Default)]
struct State {
    trace: Trace,
    rules: Vec<Rule>,
    next: u64,
    broken: Option<String>,
}

struct Rule {
    number: u64,
    name: String,
    holds: Box<dyn FnMut(&Trace) -> bool + Send>,
}

impl Recording {
    pub(in crate::testing) fn new(clock: VirtualClock) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default(), changed: Signal::default() })
    }

    pub(in crate::testing) fn write(&self, node: &Arc<str>, boot: u32, what: What) {
        let at = self.clock.elapsed();
        {
            let State { trace, rules, broken, .. } = &mut *self.state();
            trace.push(Entry { at, node: Arc::clone(node), boot, what });
            if broken.is_none() {
                let too_long = (trace.entries().len() == MOST).then(|| {
                    format!("the trace has {MOST} entries: let less virtual time pass, or set `Sim::limit`, if it waits for what never comes")
                });
                *broken = too_long.or_else(|| rules.iter_mut().find_map(|rule| rule.problem(trace)));
            }
        }
        self.changed.tell();
    }

    /// The first rule that was broken, with what broke it.
    pub(in crate::testing) fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    /// Resolves when a rule is broken. Cancel safe.
    pub(in crate::testing) async fn until_broken(&self) -> String {
        self.until(|| self.broken()).await
    }

    /// Something is wrong that no rule says.
    pub(in crate::testing) fn break_off(&self, problem: String) {
        self.state().broken.get_or_insert(problem);
        self.changed.tell();
    }

    /// Adds a rule, which must hold now. Returns its number.
    pub(in crate::testing) fn watch(&self, name: &str, holds: impl FnMut(&Trace) -> bool + Send + 'static) -> u64 {
        let State { trace, rules, next, broken } = &mut *self.state();
        *next += 1;
        let mut rule = Rule { number: *next, name: name.to_owned(), holds: Box::new(holds) };
        let problem = rule.problem(trace);
        *broken = broken.take().or(problem);
        rules.push(rule);
        *next
    }

    pub(in crate::testing) fn forget(&self, rule: u64) {
        self.state().rules.retain(|one| one.number != rule);
    }

    /// Forgets all rules: the test is over.
    pub(in crate::testing) fn forget_all(&self) {
        self.state().rules.clear();
    }

    /// Looks at the trace.
    pub(in crate::testing) fn look<T>(&self, look: impl FnOnce(&Trace) -> T) -> T {
        let state = self.state();
        let _inside = Inside::enter();
        look(&state.trace)
    }

    /// Waits until the trace is so, at most for a time. Cancel safe.
    pub(in crate::testing) async fn until_so(&self, limit: Duration, is_so: impl Fn(&Trace) -> bool) -> bool {
        let found = self.until(|| self.look(&is_so).then_some(()));
        wait::at_most(limit, found).await.is_some()
    }

    async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            let next = self.changed.next();
            if let Some(found) = look() {
                return found;
            }
            next.await;
        }
    }
}

/// How many entries a trace may have: more than anybody looks through, and less than memory.
const MOST: usize = 2_000_000;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A function of a test looks at the trace.
struct Inside;

impl Inside {
    fn enter() -> Self {
        IS_INSIDE.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IS_INSIDE.set(false);
    }
}

impl Recording {
    /// # Panics
    ///
    /// Where a function that looks at the trace asks the world for something: it would wait for itself.
    fn state(&self) -> MutexGuard<'_, State> {
        assert!(!IS_INSIDE.get(), "a function that looks at the trace must not ask the world for anything");
        lock(&self.state)
    }
}

impl Rule {
    /// What is wrong, if it does not hold.
    fn problem(&mut self, trace: &Trace) -> Option<String> {
        let _inside = Inside::enter();
        // Where this is asked a supervisor or an agent runs, which is not to fail for it.
        match catch_unwind(AssertUnwindSafe(|| (self.holds)(trace))) {
            Ok(true) => None,
            Ok(false) => Some(self.told(trace)),
            Err(panic) => Some(format!("{}:\n{}", self.told(trace), simulated::text_of(&*panic))),
        }
    }

    fn told(&self, trace: &Trace) -> String {
        let Self { name, .. } = self;
        match trace.last() {
            Some(entry) => format!("`{name}` does not hold any more, after\n{entry}"),
            None => format!("`{name}` does not hold, before anything happened"),
        }
    }
}

/// What is heard of one start of a node.
pub(in crate::testing) struct NodeTap {
    pub(in crate::testing) recording: Arc<Recording>,
    pub(in crate::testing) node: Arc<str>,
    pub(in crate::testing) boot: u32,
    is_off: AtomicBool,
    /// From before anything of it runs.
    system: Mutex<Option<System>>,
}

impl NodeTap {
    pub(in crate::testing) fn new(recording: &Arc<Recording>, node: &Arc<str>, boot: u32) -> Arc<Self> {
        let (recording, node) = (Arc::clone(recording), Arc::clone(node));
        Arc::new(Self { recording, node, boot, is_off: AtomicBool::new(false), system: Mutex::default() })
    }

    /// The system of this start, once there is one.
    pub(in crate::testing) fn system(&self) -> Option<System> {
        lock(&self.system).clone()
    }

    /// Nothing more is heard: the node is gone, and what is left of it in this process does not count.
    pub(in crate::testing) fn cut(&self) {
        self.is_off.store(true, Ordering::Release);
        self.let_go();
    }

    /// Nobody asks for the system any more.
    pub(in crate::testing) fn let_go(&self) {
        // The system has this, and this the system.
        let system = lock(&self.system).take();
        drop(system);
    }

    pub(in crate::testing) fn write(&self, what: What) {
        if !self.is_off.load(Ordering::Acquire) {
            self.recording.write(&self.node, self.boot, what);
        }
    }
}

impl Tap for NodeTap {
    fn made(&self, system: &System) {
        *lock(&self.system) = Some(system.clone());
    }

    fn event(&self, event: &Arc<Event>) {
        self.write(What::Event(Arc::clone(event)));
    }

    fn mail(&self, path: &Path, step: MailStep, due: Option<Instant>) {
        let from = if step == MailStep::Accepted { current::life() } else { None };
        let due = due.map(|due| self.recording.clock.until(due));
        self.write(What::Mail { path: path.clone(), step, from, due });
    }

    fn asked(&self, path: &Path, incarnation: Incarnation, place: Option<usize>) {
        self.write(What::Asked { path: path.clone(), incarnation, place });
    }

    fn code(&self, path: &Path, incarnation: Incarnation, is_there: bool) {
        self.write(What::Code { path: path.clone(), incarnation, is_there });
    }
}
