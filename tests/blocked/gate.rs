//! What tests of blocked threads share: a gate that agents wait at, a runtime of their own, and waiting for a report.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use steadfast::testing::{Order, Recorder};
use steadfast::{SupervisorSpec, System};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_mins(1);

/// How long a killed life may take to be gone in these tests, before it is given up.
pub(crate) const SECOND_DEADLINE: Duration = Duration::from_millis(50);

/// Blocks the threads that wait at it until it is opened.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Inner { open: Mutex::new(false), opened: Condvar::new(), waiting: watch::Sender::new(0) }))
    }
}

impl Gate {
    /// Blocks this thread until the gate is open.
    pub(crate) fn wait(&self) {
        self.0.waiting.send_modify(|waiting| *waiting += 1);
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.opened.wait_while(open, |open| !*open).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until so many threads have come to the gate.
    pub(crate) async fn entered(&self, threads: usize) {
        let mut waiting = self.0.waiting.subscribe();
        let came = tokio::time::timeout(LIMIT, waiting.wait_for(|waiting| *waiting >= threads)).await;
        came.expect("they come in time").expect("the gate is there");
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A test that failed must not leave threads behind, which its runtimes would wait for.
        if std::thread::panicking() {
            self.open();
        }
    }
}

/// An order that blocks the agent's thread at a gate.
pub(crate) fn block(gate: &Gate) -> Order {
    let gate = gate.clone();
    Order::run(move |_| {
        Box::pin(async move {
            gate.wait();
            Ok(0)
        })
    })
}

/// A runtime for agents.
pub(crate) struct Pool(Option<Runtime>);

impl Pool {
    pub(crate) fn of(name: &str, threads: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(threads).name(name).enable_time().build();
        Self(Some(runtime.expect("a runtime")))
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().expect("it is there until it is dropped").handle().clone()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A system whose watchdog looks often, and what it reports.
pub(crate) async fn system_of(spec: SupervisorSpec) -> (System, Recorder) {
    let builder = System::builder().watchdog(Duration::from_millis(20)).runtime_limit(Duration::from_secs(1));
    let system = builder.start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system).limit(LIMIT);
    (system, events)
}

/// Waits until a line stands in the story, which may have been told already.
pub(crate) async fn told(events: &mut Recorder, line: &str) {
    while !events.story().iter().any(|told| told == line) {
        events.until(|_| true).await;
    }
}
