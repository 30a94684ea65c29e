//! The watchdog: one thread of each system, outside every runtime, that sees what a blocked thread cannot tell itself.
//!
//! It looks every so often at the user code that is watched, and calls code that is inside one and the same poll for
//! longer than its limit hung; and it hands every runtime that agents run on a task that does nothing, and calls one
//! that does not get round to it blocked.
//!
//! # Invariants
//!
//! * It decides nothing: it tells the supervisor, which does what its machine says.
//! * It looks only while tokio's clock goes with the real one. In a test that pauses the clock it does nothing at all:
//!   no task, no event.
//! * It ends with its system: at once when the system ends, or when nobody holds the system any more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::event::EventKind;
use crate::exit::ExitReason;
use crate::id::Path;
use crate::runtime::bus::Bus;
use crate::runtime::guard::lock;
use crate::runtime::life::Hung;
use crate::runtime::turn::{OnePoll, Turn, WatchGuard};

/// How often the watchdog looks, and for how long a runtime may not turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchRules {
    /// `None`: there is no watchdog.
    pub(crate) every: Option<Duration>,
    pub(crate) runtime_limit: Duration,
}

impl Default for WatchRules {
    fn default() -> Self {
        Self { every: Some(Duration::from_millis(250)), runtime_limit: Duration::from_secs(2) }
    }
}

/// What the thread and the system share.
pub(crate) struct Watch {
    rules: WatchRules,
    /// The runtime of the system: whose clock says whether time is real.
    home: Handle,
    root: Path,
    bus: Bus,
    over: Mutex<bool>,
    ended: Condvar,
    table: Mutex<Table>,
    blocked: AtomicUsize,
}

#[derive(Default)]
struct Table {
    next: u64,
    turns: BTreeMap<u64, Watched>,
    runtimes: Vec<Runtime>,
}

/// User code that is watched.
pub(crate) struct Ward {
    pub(crate) turn: Arc<Turn>,
    /// How long one poll may take.
    pub(crate) limit: Duration,
    pub(crate) what: &'static str,
    pub(crate) hung: Hung,
}

struct Watched {
    ward: Ward,
    seen: Option<OnePoll>,
    since: Instant,
    told: bool,
}

/// Keeps a runtime in the watchdog's table for as long as somebody runs on it.
pub(crate) struct OnRuntime(());

struct Runtime {
    handle: Handle,
    name: String,
    used: Weak<OnRuntime>,
    /// The number of the last task that ran.
    came: Arc<AtomicU64>,
    sent: u64,
    sent_at: Instant,
    blocked: bool,
}

/// The system's end of the watchdog; dropped, the thread ends.
pub(crate) struct Watchdog {
    watch: Arc<Watch>,
    /// The system itself runs on this one.
    _home: Arc<OnRuntime>,
    /// Nobody waits for it: it ends at once when it is told to.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look whether it ended"))]
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the thread, unless the rules say that there is none. Must be called on the system's runtime.
    pub(crate) fn start(rules: WatchRules, root: Path, bus: Bus) -> Self {
        let watch = Arc::new(Watch {
            rules,
            home: Handle::current(),
            root,
            bus,
            over: Mutex::new(false),
            ended: Condvar::new(),
            table: Mutex::new(Table::default()),
            blocked: AtomicUsize::new(0),
        });
        let home = watch.on(&watch.home);
        let thread = rules.every.and_then(|every| {
            let shared = Arc::clone(&watch);
            let thread = std::thread::Builder::new().name("steadfast-watchdog".to_owned());
            thread
                .spawn(move || shared.run(every))
                .inspect_err(|error| tracing::error!(%error, "there is no watchdog: its thread was refused"))
                .ok()
        });
        Self { watch, _home: home, thread }
    }

    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The system has ended.
    pub(crate) fn end(&self) {
        *lock(&self.watch.over) = true;
        self.watch.ended.notify_all();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.end();
    }
}

impl Watch {
    /// The runtime that the system runs on.
    pub(crate) fn home(&self) -> &Handle {
        &self.home
    }

    /// Whether there is a watchdog at all.
    pub(crate) fn looks(&self) -> bool {
        self.rules.every.is_some()
    }

    /// How many runtimes do not turn.
    pub(crate) fn blocked(&self) -> usize {
        self.blocked.load(Ordering::Acquire)
    }

    /// Watches user code until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, ward: Ward) -> WatchGuard {
        let mut table = lock(&self.table);
        table.next += 1;
        let number = table.next;
        table.turns.insert(number, Watched { ward, seen: None, since: real_now(), told: false });
        WatchGuard { watch: Arc::clone(self), number }
    }

    pub(super) fn leave(&self, number: u64) {
        let gone = lock(&self.table).turns.remove(&number);
        drop(gone);
    }

    /// Looks after a runtime for as long as what this returns is held.
    pub(crate) fn on(&self, handle: &Handle) -> Arc<OnRuntime> {
        let mut table = lock(&self.table);
        let known = table.runtimes.iter_mut().find(|runtime| runtime.handle.id() == handle.id());
        let token = Arc::new(OnRuntime(()));
        match known {
            Some(runtime) => match runtime.used.upgrade() {
                Some(token) => return token,
                None => runtime.used = Arc::downgrade(&token),
            },
            None => table.runtimes.push(Runtime {
                handle: handle.clone(),
                name: handle.name().map_or_else(|| format!("runtime {}", handle.id()), str::to_owned),
                used: Arc::downgrade(&token),
                came: Arc::default(),
                sent: 0,
                sent_at: real_now(),
                blocked: false,
            }),
        }
        token
    }

    fn run(&self, every: Duration) {
        // Events are dated, and time is compared, by the clock of the system's runtime.
        let _home = self.home.enter();
        let mut clocks = Clocks::read();
        loop {
            let over = lock(&self.over);
            let waited = self.ended.wait_timeout_while(over, every, |over| !*over);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            let before = std::mem::replace(&mut clocks, Clocks::read());
            if clocks.are_in_step_since(&before) {
                self.look(clocks.real);
            }
        }
    }

    fn look(&self, now: Instant) {
        let (hung, changed) = {
            let mut table = lock(&self.table);
            let hung: Vec<_> = table.turns.values_mut().filter_map(|watched| watched.look(now)).collect();
            let limit = self.rules.runtime_limit;
            let changed: Vec<_> = table.runtimes.iter_mut().filter_map(|runtime| runtime.look(now, limit)).collect();
            table.runtimes.retain(|runtime| runtime.used.strong_count() > 0);
            (hung, changed)
        };
        // Without the lock: who is told may ask for it.
        for kind in changed {
            match kind {
                EventKind::RuntimeBlocked { .. } => self.blocked.fetch_add(1, Ordering::AcqRel),
                _ => self.blocked.fetch_sub(1, Ordering::AcqRel),
            };
            self.bus.publish(&self.root, kind);
        }
        for (tell, reason) in hung {
            tell(reason);
        }
    }
}

type Report = (Hung, ExitReason);

/// How a life ends that is inside one poll for so long.
pub(crate) fn blocks_its_thread(what: &str, limit: Duration) -> ExitReason {
    ExitReason::Unresponsive { what: format!("{what}, which blocks its thread,"), limit }
}

impl Watched {
    fn look(&mut self, now: Instant) -> Option<Report> {
        let seen = self.ward.turn.running();
        if seen.is_none() || seen != self.seen {
            self.seen = seen;
            self.since = now;
            self.told = false;
            return None;
        }
        let limit = self.ward.limit;
        if self.told || now.saturating_duration_since(self.since) < limit {
            return None;
        }
        self.told = true;
        Some((Arc::clone(&self.ward.hung), blocks_its_thread(self.ward.what, limit)))
    }
}

impl Runtime {
    /// Sends the next task if the last one ran; says when the runtime became blocked, and when it is free again.
    fn look(&mut self, now: Instant, limit: Duration) -> Option<EventKind> {
        let since = now.saturating_duration_since(self.sent_at);
        if self.used.strong_count() > 0 && self.came.load(Ordering::Acquire) != self.sent {
            if self.blocked || since < limit {
                return None;
            }
            self.blocked = true;
            return Some(EventKind::RuntimeBlocked { runtime: self.name.clone(), silent: since });
        }
        self.sent += 1;
        self.sent_at = now;
        let (came, number) = (Arc::clone(&self.came), self.sent);
        // One that was shut down takes the task and never runs it: blocked for good, as far as agents on it know.
        self.handle.spawn(async move { came.store(number, Ordering::Release) });
        std::mem::take(&mut self.blocked).then(|| EventKind::RuntimeFree { runtime: self.name.clone(), silent: since })
    }
}

/// Both clocks at one moment.
struct Clocks {
    real: Instant,
    tokios: Instant,
}

impl Clocks {
    #[expect(clippy::disallowed_methods, reason = "whether a test paused tokio's clock shows only beside the real one")]
    fn read() -> Self {
        Self { real: real_now(), tokios: tokio::time::Instant::now().into_std() }
    }

    /// Whether both went on by the same time. One that is paused stands still, and jumps.
    fn are_in_step_since(&self, before: &Self) -> bool {
        let real = self.real.saturating_duration_since(before.real);
        let tokios = self.tokios.saturating_duration_since(before.tokios);
        // They are not read at the very same moment; a thread may lose the processor in between.
        real.abs_diff(tokios) <= real / 4
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread that is blocked is blocked in real time; see decision 0010")]
fn real_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::id::ChildId;
    use crate::runtime::world::TokioClock;

    const MOMENT: Duration = Duration::from_millis(1);

    fn watchdog() -> Watchdog {
        let root = Path::root(&ChildId::new("root").expect("a name"));
        let rules = WatchRules { every: Some(MOMENT), runtime_limit: 5 * MOMENT };
        Watchdog::start(rules, root, Bus::new(Arc::new(TokioClock)))
    }

    /// A ward that is inside a poll for good, and what the watchdog says of it.
    fn stuck(watchdog: &Watchdog) -> (WatchGuard, mpsc::Receiver<ExitReason>) {
        let (tell, told) = mpsc::channel();
        let turn = Arc::new(Turn::default());
        std::mem::forget(turn.enter());
        let hung = Arc::new(move |reason| tell.send(reason).expect("the test listens"));
        let ward = Ward { turn, limit: 5 * MOMENT, what: "its code", hung };
        (watchdog.watch().enter(ward), told)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_is_in_one_poll_for_too_long_is_told_of_once_and_the_thread_ends_when_it_is_told_to() {
        let mut watchdog = watchdog();
        let (_guard, told) = stuck(&watchdog);
        let reason = told.recv_timeout(Duration::from_mins(1)).expect("it is told");
        assert!(matches!(reason, ExitReason::Unresponsive { .. }));
        std::thread::sleep(50 * MOMENT);
        assert!(told.try_recv().is_err(), "once");
        watchdog.end();
        watchdog.thread.take().expect("it was started").join().expect("it did not panic");
    }

    #[tokio::test(start_paused = true)]
    async fn while_tokios_clock_is_paused_it_says_nothing_and_hands_out_nothing() {
        let watchdog = watchdog();
        let mut events = watchdog.watch().bus.subscribe();
        let (_guard, told) = stuck(&watchdog);
        for _ in 0..20 {
            // The thread is blocked in real time, and virtual time jumps.
            std::thread::sleep(5 * MOMENT);
            tokio::time::sleep(Duration::from_hours(1)).await;
        }
        assert!(told.try_recv().is_err());
        assert!(matches!(events.try_next(), Ok(None)));
        assert_eq!(watchdog.watch().blocked(), 0);
        assert_eq!(lock(&watchdog.watch().table).runtimes[0].sent, 0);
    }

    #[test]
    fn a_runtime_that_nobody_uses_any_more_is_not_looked_after() {
        let home = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _entered = home.enter();
        let root = Path::root(&ChildId::new("root").expect("a name"));
        let rules = WatchRules { every: None, ..WatchRules::default() };
        let watchdog = Watchdog::start(rules, root, Bus::new(Arc::new(TokioClock)));
        let other = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (one, two) = (watchdog.watch().on(other.handle()), watchdog.watch().on(other.handle()));
        let runtimes = || {
            watchdog.watch().look(real_now());
            lock(&watchdog.watch().table).runtimes.len()
        };
        assert_eq!(runtimes(), 2);
        drop(one);
        assert_eq!(runtimes(), 2);
        drop(two);
        assert_eq!(runtimes(), 1);
    }
}
