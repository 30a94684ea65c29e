//! Where others hear of a run.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::run::{Record, Report};

/// How many records a reader may lag behind before it misses some.
const BOUND: usize = 4096;

/// What a run publishes: each record once it is in the journal, and the report when the run is over. It belongs to the
/// run, not to an incarnation of its orchestrator.
#[derive(Clone, Debug)]
pub struct Feed {
    records: broadcast::Sender<Arc<Record>>,
    report: watch::Sender<Option<Arc<Report>>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { records: broadcast::Sender::new(BOUND), report: watch::Sender::new(None) }
    }
}

impl Feed {
    /// A feed that nobody wrote to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the records from now on. A reader that falls too far behind is told so and misses some; what the run is
    /// worth is in its report.
    #[must_use]
    pub fn records(&self) -> broadcast::Receiver<Arc<Record>> {
        self.records.subscribe()
    }

    /// Waits until the run is over, and returns its report.
    ///
    /// # Panics
    ///
    /// Never: this feed keeps its own channel open.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn report(&self) -> Arc<Report> {
        let mut reports = self.report.subscribe();
        let report = reports.wait_for(Option::is_some).await.expect("this feed holds the sender");
        Arc::clone(report.as_ref().expect("it was waited for"))
    }

    pub(super) fn tell(&self, record: &Record) {
        // Nobody listens when this fails, which is no loss: the journal has it.
        let _ = self.records.send(Arc::new(record.clone()));
    }

    pub(super) fn finish(&self, report: Report) {
        self.report.send_replace(Some(Arc::new(report)));
    }
}
