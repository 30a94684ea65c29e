//! What people see on stderr: lines, and in a terminal one line of progress below them.
//!
//! # Invariants
//!
//! * Everything passes the [`Redactor`] before it is queued.
//! * Whoever writes a line never waits: a thread of its own writes, and when it falls behind by [`BOUND`] lines, further
//!   ones are left out, and their number is told.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use steadfast_orchestration::redact::Redactor;

use crate::names::short;

/// How many lines wait at most to be written.
const BOUND: usize = 4096;

/// How long the end of the process waits for the last lines, where nobody reads them.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a full queue is tried again while the end of the process waits.
const TRY: Duration = Duration::from_millis(5);

/// Moves to the start of the line and erases it.
const ERASE: &str = "\r\x1b[2K";

enum Item {
    Line(String),
    Progress(Option<String>),
    Flush(SyncSender<()>),
}

/// Writes to stderr. A clone writes to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    items: SyncSender<Item>,
    left_out: Arc<AtomicU64>,
    redactor: Arc<OnceLock<Redactor>>,
    terminal: bool,
}

impl Screen {
    /// The screen on stderr.
    pub(crate) fn open() -> Self {
        Self::on(std::io::stderr(), std::io::stderr().is_terminal())
    }

    /// A screen on something else.
    fn on(sink: impl Write + Send + 'static, terminal: bool) -> Self {
        let (items, queue) = sync_channel(BOUND);
        let left_out = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&left_out);
        std::thread::spawn(move || write_all(&queue, &told, sink));
        Self { items, left_out, redactor: Arc::default(), terminal }
    }

    /// From now on takes out what this redactor takes out.
    pub(crate) fn redact_by(&self, redactor: &Redactor) {
        // Only a run calls this, and there is one run in a process.
        let _ = self.redactor.set(redactor.clone());
    }

    /// What takes secrets out.
    pub(crate) fn redactor(&self) -> Redactor {
        self.redactor.get().cloned().unwrap_or_default()
    }

    /// Writes a line, or several at once, with the names of processes [cut short](short).
    ///
    /// Panics are counted by the lines that say `panicked at`, so that no other line says it.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        self.panic(&short(text.as_ref()).replace("panicked at", "panicked in"));
    }

    /// Writes the line of a panic.
    pub(crate) fn panic(&self, text: &str) {
        let text = self.redactor.get().unwrap_or(&Redactor::new()).text(text).into_owned();
        if let Err(TrySendError::Full(_)) = self.items.try_send(Item::Line(text)) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there is a line of progress.
    pub(crate) fn has_progress(&self) -> bool {
        self.terminal
    }

    /// Replaces the line of progress, or takes it away. Does nothing where stderr is no terminal.
    pub(crate) fn progress(&self, text: Option<String>) {
        if self.terminal {
            // One that finds no room is outdated when there is room again.
            let _ = self.items.try_send(Item::Progress(text));
        }
    }

    /// Waits until all is written, but not for ever.
    pub(crate) fn flush(&self) {
        let (written, done) = sync_channel(1);
        let mut item = Item::Flush(written);
        for _ in 0..PATIENCE.as_millis() / TRY.as_millis() {
            match self.items.try_send(item) {
                Ok(()) => {
                    let _ = done.recv_timeout(PATIENCE);
                    return;
                }
                Err(TrySendError::Full(back)) => item = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(TRY);
        }
    }
}

fn write_all(queue: &Receiver<Item>, left_out: &AtomicU64, mut sink: impl Write) {
    let mut progress: Option<String> = None;
    for item in queue {
        let (mut text, mut done) = (String::new(), None);
        if progress.is_some() {
            text.push_str(ERASE);
        }
        match item {
            Item::Line(line) => {
                text.push_str(line.trim_end());
                text.push('\n');
            }
            Item::Progress(next) => progress = next,
            Item::Flush(written) => done = Some(written),
        }
        let missed = left_out.swap(0, Ordering::Relaxed);
        if missed > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "... {missed} lines were left out, since nobody read them in time");
        }
        if let Some(progress) = &progress {
            text.push_str(progress);
        }
        // Nobody can be told that stderr is closed.
        let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
        if let Some(done) = done {
            let _ = done.try_send(());
        }
    }
}

/// Prints what was asked for on stdout.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed stdout does not want the rest.
    let _ = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        /// A screen that writes here.
        pub(crate) fn screen(&self) -> Screen {
            Screen::on(self.clone(), false)
        }

        /// Everything that was written to the screen.
        pub(crate) fn text(&self, screen: &Screen) -> String {
            screen.flush();
            String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Writes nothing until it is let go.
    struct Stuck(Receiver<()>, Kept);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn secrets_are_taken_out_before_a_line_is_written() {
        let kept = Kept::default();
        let screen = kept.screen();
        screen.line("Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123");
        screen.redact_by(&Redactor::new().with_literals(["correct horse"]));
        screen.line("it is correct horse");
        let text = kept.text(&screen);
        assert!(!text.contains("abcdefghij") && !text.contains("correct horse"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn whoever_writes_to_a_screen_that_nobody_reads_does_not_wait() {
        let (go, gate) = sync_channel(2 * BOUND);
        let kept = Kept::default();
        let screen = Screen::on(Stuck(gate, kept.clone()), false);
        for number in 0..BOUND + 100 {
            screen.line(number.to_string());
        }
        drop(go);
        let text = kept.text(&screen);
        assert!(text.contains("lines were left out"), "{}", text.len());
        assert!(text.lines().count() <= BOUND + 2);
    }

    #[test]
    fn the_line_of_progress_is_erased_before_a_line_and_drawn_again_after_it() {
        let kept = Kept::default();
        let screen = Screen::on(kept.clone(), true);
        screen.progress(Some("1/2".to_owned()));
        screen.line("done");
        screen.progress(None);
        assert_eq!(kept.text(&screen), format!("1/2{ERASE}done\n1/2{ERASE}"));
    }

    #[test]
    fn only_the_line_of_a_panic_says_panicked_at() {
        let kept = Kept::default();
        let screen = kept.screen();
        screen.line("agent x panicked at src/x.rs");
        screen.panic("thread `x` panicked at src/x.rs");
        assert_eq!(kept.text(&screen).matches("panicked at").count(), 1);
    }
}
