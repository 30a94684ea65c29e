//! What the small children of all contenders do alike: they crash when told, and mark what they reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a small child is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// From itself, at its start: handling it shows that it serves.
    Hello,
    /// End with an error.
    Fail,
    /// End with a panic.
    Panic,
}

/// Where all children of a tree mark what they reach.
pub(crate) struct Probe {
    greets: AtomicBool,
    serving: UnboundedSender<()>,
    to_start: AtomicUsize,
    all_started: Notify,
    left: AtomicUsize,
    out_of_order: AtomicUsize,
}

impl Probe {
    /// For so many children, and how it is heard that one of them serves again.
    pub(crate) fn of(children: usize) -> (Arc<Self>, UnboundedReceiver<()>) {
        let (serving, heard) = unbounded_channel();
        let probe = Self {
            greets: AtomicBool::new(false),
            serving,
            to_start: AtomicUsize::new(children),
            all_started: Notify::new(),
            left: AtomicUsize::new(children),
            out_of_order: AtomicUsize::new(0),
        };
        (Arc::new(probe), heard)
    }

    /// From now on every child that starts greets itself.
    pub(crate) fn begin_greeting(&self) {
        self.greets.store(true, Ordering::SeqCst);
    }

    pub(crate) fn greets(&self) -> bool {
        self.greets.load(Ordering::Relaxed)
    }

    /// A child started; for contenders whose own word for that comes earlier.
    pub(crate) fn started(&self) {
        if self.to_start.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.all_started.notify_one();
        }
    }

    /// Resolves when as many children have started as there are.
    pub(crate) async fn all_started(&self) {
        self.all_started.notified().await;
    }

    /// A child handled a message.
    pub(crate) fn serves(&self) {
        let _ = self.serving.send(());
    }

    /// The stop hook of the child at this position ran.
    pub(crate) fn stopped(&self, at: usize) {
        if self.left.fetch_sub(1, Ordering::Relaxed) != at + 1 {
            self.out_of_order.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many stop hooks did not run, and how many ran out of the reverse order.
    pub(crate) fn after_stop(&self) -> (usize, usize) {
        (self.left.load(Ordering::SeqCst), self.out_of_order.load(Ordering::SeqCst))
    }
}

/// Counts messages, and says when the last one was handled.
pub(crate) struct Countdown {
    left: usize,
    done: Arc<Notify>,
}

impl Countdown {
    pub(crate) fn new(messages: usize, done: Arc<Notify>) -> Self {
        Self { left: messages, done }
    }

    pub(crate) fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.done.notify_one();
        }
    }
}
