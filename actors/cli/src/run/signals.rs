//! Ctrl-C, SIGTERM, and SIGHUP, which says that the terminal is gone.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens to the signals that ask for an end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    heard: u32,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let hang_up = signal(SignalKind::hangup())?;
        Ok(Self { interrupt, terminate, hang_up, heard: 0 })
    }

    /// Waits for the next signal. Dropped before it returns, it loses none.
    pub(crate) async fn next(&mut self) {
        let heard = tokio::select! {
            biased;
            heard = self.interrupt.recv() => heard,
            heard = self.terminate.recv() => heard,
            heard = self.hang_up.recv() => heard,
        };
        if heard.is_none() {
            std::future::pending::<()>().await;
        }
        self.heard += 1;
    }

    /// Waits until two signals have come since the beginning.
    pub(crate) async fn second(&mut self) {
        while self.heard < 2 {
            self.next().await;
        }
    }
}
