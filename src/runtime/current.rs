//! Which life's code this thread is running, so that what it does through steadfast can be refused once it is fenced.
//!
//! Set for each poll of a life's code, for its closures on the blocking pool, and while what belongs to it is dropped.
//! A reference to an agent is the same value in everybody's hands; who uses it is known only here.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::exit::ExitReason;
use crate::id::{Incarnation, Path};
use crate::runtime::guard::poll_caught;
use crate::runtime::life::Life;
use crate::runtime::turn::{Turn, WatchGuard};

thread_local! {
    static RUNNING: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

type Entry = (Arc<Life>, Part);

/// Which part of a life is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its start, a handler, its stop hook.
    Shell,
    /// A task, a timer, a closure.
    Task,
}

/// A life that is fenced, and whose code is running here.
#[derive(Clone, Debug)]
pub(crate) struct FencedLife {
    pub(crate) path: Path,
    pub(crate) incarnation: Incarnation,
}

/// Whether the code that runs here belongs to a life that is fenced. Then it must have no effect.
pub(crate) fn fenced() -> Option<FencedLife> {
    look(|(life, _)| life.is_fenced().then(|| FencedLife { path: life.path.clone(), incarnation: life.incarnation }))
        .flatten()
}

/// Whether the code that runs here belongs to a life at this path or below it.
pub(crate) fn is_within(place: &Path) -> bool {
    look(|(life, _)| life.path.is_within(place)).unwrap_or(false)
}

/// Which life's code runs here, if one's does.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn life() -> Option<(Path, Incarnation)> {
    look(|(life, _)| (life.path.clone(), life.incarnation))
}

/// Which part of a life is running here, if one is.
pub(crate) fn part() -> Option<Part> {
    look(|(_, part)| *part)
}

fn look<T>(at: impl FnOnce(&Entry) -> T) -> Option<T> {
    // While a thread ends its locals are gone; nothing of a life runs there then.
    RUNNING.try_with(|running| running.borrow().last().map(at)).ok().flatten()
}

/// Runs a function as code of a life.
pub(crate) fn run<T>(life: &Arc<Life>, part: Part, function: impl FnOnce() -> T) -> T {
    let mut home = Some((Arc::clone(life), part));
    let _inside = Inside::enter(&mut home);
    function()
}

/// The life is on the thread's stack for as long as this lives, and back at its home afterwards: no counting of
/// references per poll.
struct Inside<'a>(&'a mut Option<Entry>);

impl<'a> Inside<'a> {
    fn enter(home: &'a mut Option<Entry>) -> Self {
        if let Some(entry) = home.take() {
            let _ = RUNNING.try_with(|running| running.borrow_mut().push(entry));
        }
        Self(home)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.0 = RUNNING.try_with(|running| running.borrow_mut().pop()).ok().flatten();
    }
}

/// Polls a future as code of a life's shell.
///
/// When it is dropped unfinished, by a kill, what it holds is dropped as code of the life too.
pub(crate) async fn within<F: Future>(life: Arc<Life>, future: F) -> F::Output {
    Home::of(life).poll_by(future, F::poll).await
}

/// Where the note of a life is kept between its handlers, by whoever runs one after another: no reference is counted
/// for each.
pub(crate) struct Home(Option<Entry>);

impl Home {
    pub(crate) fn of(life: Arc<Life>) -> Self {
        Self(Some((life, Part::Shell)))
    }

    /// As [`within`], and a panic becomes the reason. There is no future in between: this is what a message to a plain
    /// actor costs beyond the message.
    pub(crate) async fn run<F: Future>(&mut self, future: F) -> Result<F::Output, ExitReason> {
        self.poll_by(future, poll_caught).await
    }

    async fn poll_by<F, T>(&mut self, future: F, poll: impl Fn(Pin<&mut F>, &mut Context<'_>) -> Poll<T>) -> T {
        // Locals go last first: `enter`, the future, `leave`.
        let mut leave = LeaveAtDrop(true);
        let mut future = pin!(future);
        let mut enter = EnterAtDrop(Some(self));
        let outcome = poll_fn(|cx| {
            let _inside = enter.0.as_mut().map(|home| Inside::enter(&mut home.0));
            poll(future.as_mut(), cx)
        })
        .await;
        // A future that has finished holds nothing.
        (enter.0, leave.0) = (None, false);
        outcome
    }
}

struct EnterAtDrop<'a>(Option<&'a mut Home>);

impl Drop for EnterAtDrop<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take().and_then(|home| home.0.take()) {
            let _ = RUNNING.try_with(|running| running.borrow_mut().push(entry));
        }
    }
}

struct LeaveAtDrop(bool);

impl Drop for LeaveAtDrop {
    fn drop(&mut self) {
        if self.0 {
            let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
        }
    }
}

/// The work of a task: polled, and dropped, as code of its life, with a note of each poll for the watchdog.
pub(crate) struct TaskOf {
    home: Option<Entry>,
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    turn: Option<(Arc<Turn>, WatchGuard)>,
}

impl TaskOf {
    pub(crate) fn new(
        life: Arc<Life>,
        work: impl Future<Output = ()> + Send + 'static,
        turn: Option<(Arc<Turn>, WatchGuard)>,
    ) -> Self {
        Self { home: Some((life, Part::Task)), work: Some(Box::pin(work)), turn }
    }
}

impl Future for TaskOf {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(work) = &mut this.work else { return Poll::Ready(()) };
        let _inside = Inside::enter(&mut this.home);
        let _noted = this.turn.as_ref().map(|(turn, _)| turn.enter());
        work.as_mut().poll(cx)
    }
}

impl Drop for TaskOf {
    fn drop(&mut self) {
        let _inside = Inside::enter(&mut self.home);
        self.work = None;
    }
}
