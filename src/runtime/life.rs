//! One life of a child, as its shell and its supervisor both see it.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use ractor::{ActorCell, ActorRef};

use crate::exit::ExitReason;
use crate::id::{Incarnation, Path};
use crate::runtime::guard::lock;
use crate::runtime::slot::AnySlot;
use crate::runtime::supervisor::{SupervisorMessage, hung};
use crate::runtime::tasks::Tasks;
use crate::runtime::turn::{Turn, WatchGuard};
use crate::runtime::watchdog::{Ward, Watch, blocks_its_thread};
use crate::supervision::machine::{ChildKey, Start};

/// The record of one incarnation, shared by its shell and its supervisor.
///
/// ractor tells ends apart by strings only, so the shell writes down here what really happened, and the supervisor
/// looks here first.
pub(crate) struct Life {
    pub(crate) path: Path,
    pub(crate) incarnation: Incarnation,
    pub(crate) tasks: Tasks,
    started: AtomicBool,
    stopped_itself: AtomicBool,
    dozes: AtomicBool,
    drained: AtomicBool,
    followed: AtomicBool,
    parted: AtomicBool,
    /// Whether it is handling a message. Here and not with what others read of the slot: whoever sends to the agent would
    /// wait for each change of it.
    handling: AtomicBool,
    /// How many messages it has handled since it was active last.
    handled: AtomicU64,
    ending: AtomicBool,
    shell: Mutex<Option<Waker>>,
    asked: OnceLock<Box<ExitReason>>,
    reason: OnceLock<Box<ExitReason>>,
    epoch: Instant,
    handler_since: AtomicU64,
    cell: OnceLock<ActorCell>,
    ignored: AtomicBool,
    info: OnceLock<StartInfo>,
    /// Messages to a supervisor that are under way or being handled.
    pending: AtomicUsize,
    fenced: AtomicBool,
    leaked: AtomicBool,
    /// Whether its thread is blocked by a fault on purpose, and whether it was killed meanwhile.
    blocked: AtomicU8,
    overseer: OnceLock<Overseer>,
}

/// Its thread is blocked on purpose.
const BLOCKED: u8 = 1;
/// And it was killed, which takes effect later.
const KILLED: u8 = 2;

/// What a child's start hands to whoever asked for it (rule 5).
pub type StartInfo = Arc<dyn Any + Send + Sync>;

/// Who started a life: the life of its supervisor, and what it calls this one.
#[derive(Clone)]
pub(crate) struct Above {
    pub(crate) supervisor: Arc<Life>,
    pub(crate) child: ChildKey,
    pub(crate) start: Start,
    /// The life. A lazy child has several with the same start.
    pub(crate) incarnation: Incarnation,
}

/// How a life that blocks its thread is found, and who is told.
pub(crate) struct Overseer {
    pub(crate) above: Above,
    /// How long a poll of the life's code may take, where there is a limit; and whether the shell is inside it, for the
    /// watchdog.
    pub(crate) limit: Option<Box<(Duration, Arc<Turn>)>>,
    /// The life's slot, where it is said that it hangs. The slot has the life.
    pub(crate) slot: Weak<dyn AnySlot>,
}

/// Tells the supervisor of a life that it is hung.
pub(crate) type Hung = Arc<dyn Fn(ExitReason) + Send + Sync>;

/// Tells the supervisor of a life that its actor is gone, which it does not hear if that actor cut its link (rule 13).
pub(crate) type Left = Box<dyn FnOnce(ActorCell) + Send + Sync>;

impl Life {
    pub(crate) fn new(path: Path, incarnation: Incarnation, epoch: Instant, tasks: Tasks) -> Self {
        Self {
            path,
            incarnation,
            tasks,
            started: AtomicBool::new(false),
            stopped_itself: AtomicBool::new(false),
            dozes: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            followed: AtomicBool::new(false),
            parted: AtomicBool::new(false),
            handling: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            shell: Mutex::new(None),
            asked: OnceLock::new(),
            reason: OnceLock::new(),
            epoch,
            handler_since: AtomicU64::new(0),
            cell: OnceLock::new(),
            ignored: AtomicBool::new(false),
            info: OnceLock::new(),
            pending: AtomicUsize::new(0),
            fenced: AtomicBool::new(false),
            leaked: AtomicBool::new(false),
            blocked: AtomicU8::new(0),
            overseer: OnceLock::new(),
        }
    }

    /// The actor says who it is, before anything of it runs.
    pub(crate) fn set_cell(&self, cell: ActorCell) {
        let _ = self.cell.set(cell);
    }

    /// The actor of this life, also while it is still starting.
    pub(crate) fn cell(&self) -> Option<&ActorCell> {
        self.cell.get()
    }

    /// Tells the supervisor whose life this is. Returns whether the message was taken.
    pub(crate) fn tell_supervisor(&self, message: SupervisorMessage) -> bool {
        let Some(cell) = self.cell.get() else { return false };
        self.begin_message();
        let sent = ActorRef::<SupervisorMessage>::from(cell.clone()).cast(message).is_ok();
        if !sent {
            self.end_message();
        }
        sent
    }

    pub(crate) fn begin_message(&self) {
        self.pending.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn end_message(&self) {
        self.pending.fetch_sub(1, Ordering::AcqRel);
    }

    #[cfg(any(test, feature = "testing"))]
    /// How many messages to this supervisor are under way or being handled.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// The child's start said that there is nothing to run.
    pub(crate) fn mark_ignored(&self) {
        self.ignored.store(true, Ordering::Release);
    }

    pub(crate) fn was_ignored(&self) -> bool {
        self.ignored.load(Ordering::Acquire)
    }

    pub(crate) fn set_info(&self, info: StartInfo) {
        let _ = self.info.set(info);
    }

    pub(crate) fn info(&self) -> Option<StartInfo> {
        self.info.get().cloned()
    }

    /// The child finished starting.
    pub(crate) fn mark_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// The supervisor, or the child itself, asks the child to stop with this reason. The first reason stays.
    pub(crate) fn ask_to_stop(&self, reason: ExitReason) {
        self.asked.get_or_init(|| Box::new(reason));
        self.mark_ending();
    }

    /// The child is about to be killed: a shell that is between two messages takes no further one.
    pub(crate) fn mark_ending(&self) {
        self.ending.store(true, Ordering::Release);
        let shell = lock(&self.shell).take();
        if let Some(shell) = shell {
            shell.wake();
        }
    }

    /// The shell is to be woken when its end has been asked for.
    pub(crate) fn nudge(&self, shell: &Waker) {
        lock(&self.shell).get_or_insert_with(|| shell.clone()).clone_from(shell);
    }

    /// Whether the shell should take no further message.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The reason that was given to whoever asked the child to stop.
    pub(crate) fn asked(&self) -> Option<&ExitReason> {
        self.asked.get().map(Box::as_ref)
    }

    /// Notes how the life ended. The first note stays.
    pub(crate) fn end(&self, reason: ExitReason) {
        self.reason.get_or_init(|| Box::new(reason));
        self.mark_ending();
    }

    pub(crate) fn reason(&self) -> Option<&ExitReason> {
        self.reason.get().map(Box::as_ref)
    }

    /// The stop hook ran to its end: what ractor reports as `killed` was a stop with that word as its reason.
    pub(crate) fn mark_stopped(&self) {
        self.stopped_itself.store(true, Ordering::Release);
    }

    /// It ends since it had nothing to do, until the next message comes.
    pub(crate) fn mark_dozing(&self) {
        self.dozes.store(true, Ordering::Release);
    }

    /// Whether it ends, or ended, since it had nothing to do.
    pub(crate) fn is_put_to_rest(&self) -> bool {
        self.dozes.load(Ordering::Acquire)
    }

    /// Whether its end was asked for by nobody who would look whether it comes.
    pub(crate) fn is_put_down(&self) -> bool {
        self.is_put_to_rest() || self.drained.load(Ordering::Acquire)
    }

    /// Another life follows also where this one ends as it was asked to, or does not.
    pub(crate) fn set_followed(&self, followed: bool) {
        self.followed.store(followed, Ordering::Release);
    }

    /// It begins to handle a message.
    #[inline]
    pub(crate) fn begin_handling(&self) {
        self.handling.store(true, Ordering::Release);
    }

    /// Whether it is handling a message.
    #[inline]
    pub(crate) fn is_handling(&self) -> bool {
        self.handling.load(Ordering::Acquire)
    }

    /// It has handled a message, unless that was broken off. Returns whether it was not.
    #[inline]
    pub(crate) fn finish_handling(&self) -> bool {
        let was_handling = self.is_handling();
        if was_handling {
            self.handling.store(false, Ordering::Release);
        }
        was_handling
    }

    /// What it handles is not its own any more. Returns whether it was handling anything.
    pub(crate) fn break_off(&self) -> bool {
        self.handling.swap(false, Ordering::AcqRel)
    }

    /// A new count begins.
    pub(crate) fn none_handled(&self) {
        self.handled.store(0, Ordering::Relaxed);
    }

    /// Said by its own shell, so no locked addition is needed.
    #[inline]
    pub(crate) fn count_handled(&self) {
        self.handled.store(self.handled() + 1, Ordering::Relaxed);
    }

    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// Its slot parts with it. Returns whether it did so for the first time.
    pub(crate) fn part(&self) -> bool {
        !self.parted.swap(true, Ordering::AcqRel)
    }

    /// Whether another life follows also where this one ends as it was asked to.
    pub(crate) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Acquire)
    }

    /// It ends since it was asked to drain.
    pub(crate) fn mark_drained(&self) {
        self.drained.store(true, Ordering::Release);
    }

    /// Whether it ended since it was asked to drain, and for no other reason.
    pub(crate) fn has_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire) && matches!(self.reason(), Some(ExitReason::Shutdown(_)))
    }

    /// Whether it ended since it had nothing to do, and for no other reason.
    pub(crate) fn dozes(&self) -> bool {
        self.dozes.load(Ordering::Acquire) && matches!(self.reason(), Some(ExitReason::Normal))
    }

    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped_itself.load(Ordering::Acquire)
    }

    /// A handler begins, or made progress.
    pub(crate) fn note_handler(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        self.handler_since.store(u64::try_from(micros).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
    }

    /// The running handler says that it is alive.
    pub(crate) fn note_progress(&self, now: Instant) {
        self.note_handler(now);
        if let Some(turn) = self.turn() {
            turn.sign();
        }
    }

    /// Its thread is blocked on purpose from here on.
    pub(crate) fn block(&self) {
        self.blocked.fetch_or(BLOCKED, Ordering::AcqRel);
    }

    /// Its thread is free again: a kill that came meanwhile takes effect.
    pub(crate) fn unblock(&self) {
        if self.blocked.fetch_and(!BLOCKED, Ordering::AcqRel) & KILLED != 0
            && let Some(cell) = self.cell()
        {
            cell.kill();
        }
    }

    /// Whether its thread is blocked on purpose.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) & BLOCKED != 0
    }

    /// Whether it was killed while its thread was blocked on purpose.
    pub(crate) fn is_killed(&self) -> bool {
        self.blocked.load(Ordering::Acquire) & KILLED != 0
    }

    /// Kills its actor: at its next await point, and so not before its thread is free.
    pub(crate) fn kill_actor(&self, cell: &ActorCell) {
        if self.is_blocked() && self.blocked.fetch_or(KILLED, Ordering::AcqRel) & BLOCKED != 0 {
            return;
        }
        cell.kill();
    }

    /// From here on nothing that the life does through steadfast has an effect, and it starts no task.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, Ordering::Release);
        self.ending.store(true, Ordering::Release);
        self.tasks.abort_all();
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }

    /// How long a poll or a handler of it may take, where there is a limit.
    pub(crate) fn handler_limit(&self) -> Option<Duration> {
        self.overseer.get()?.limit.as_deref().map(|(limit, _)| *limit)
    }

    /// Notes that the life is reported as leaked. Returns whether it was not before.
    pub(crate) fn mark_leaked(&self) -> bool {
        !self.leaked.swap(true, Ordering::AcqRel)
    }

    /// The watchdog of the system, and who is to be told; before the life runs.
    pub(crate) fn oversee(&self, overseer: Overseer) {
        let _ = self.overseer.set(overseer);
    }

    /// Lets the watchdog look at the shell's own turn until the guard is dropped.
    pub(crate) fn watched(&self, watch: &Arc<Watch>, what: &'static str) -> Option<WatchGuard> {
        let (limit, turn) = self.overseer.get()?.limit.as_deref()?;
        self.watch(watch, (Arc::clone(turn), *limit), what)
    }

    /// Where it is noted that the shell is inside the user's code, if the watchdog looks at that.
    pub(crate) fn turn(&self) -> Option<&Turn> {
        self.overseer.get()?.limit.as_deref().map(|(_, turn)| &**turn)
    }

    /// Lets the watchdog look at a task of this life. `limit` where the task has one of its own.
    pub(crate) fn watched_task(
        &self,
        watch: &Arc<Watch>,
        turn: &Arc<Turn>,
        limit: Option<Duration>,
    ) -> Option<WatchGuard> {
        let own = || self.overseer.get()?.limit.as_deref().map(|(limit, _)| *limit);
        let limit = limit.or_else(own)?;
        self.watch(watch, (Arc::clone(turn), limit), "a task of it")
    }

    fn watch(
        &self,
        watch: &Arc<Watch>,
        (turn, limit): (Arc<Turn>, Duration),
        what: &'static str,
    ) -> Option<WatchGuard> {
        Some(watch.enter(Ward { turn, limit, what, hung: self.hung()? }))
    }

    /// How it is told that this life is hung.
    fn hung(&self) -> Option<Hung> {
        let Overseer { above, slot, .. } = self.overseer.get()?;
        let (tell, slot, life) = (hung(above), Weak::clone(slot), self.incarnation);
        Some(Arc::new(move |reason| {
            if let Some(slot) = slot.upgrade() {
                slot.core().set_hung(life);
            }
            tell(reason);
        }))
    }

    /// Tells that this life was inside one and the same poll for that long, as the watchdog does.
    pub(crate) fn tell_hung(&self, what: &str, limit: Duration) {
        if let Some(tell) = self.hung() {
            tell(blocks_its_thread(what, limit));
        }
    }

    /// No handler is running.
    pub(crate) fn note_idle(&self) {
        self.handler_since.store(0, Ordering::Release);
    }

    /// When the running handler began or last made progress, or `None` when none runs.
    pub(crate) fn handler_since(&self) -> Option<Instant> {
        match self.handler_since.load(Ordering::Acquire) {
            0 => None,
            micros => Some(self.epoch + Duration::from_micros(micros - 1)),
        }
    }
}
