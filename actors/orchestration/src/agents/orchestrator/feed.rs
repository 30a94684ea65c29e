//! Where others hear of a run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::RunId;
use tokio::sync::{broadcast, watch};

use crate::run::{Millis, Record, Report, Standing};

/// How many records a reader may lag behind before it misses some.
const BOUND: usize = 4096;

/// What a run publishes: each record once it is in the journal, whether it goes on by itself, and the report when the
/// run is over.
///
/// It belongs to the run in one process, not to an incarnation of its orchestrator: the first incarnation that finds it
/// unused takes the run up from whichever process had it before. A process that begins again makes a new one, or builds
/// its [`tree`](crate::preset::tree) with this one.
#[derive(Clone, Debug)]
pub struct Feed {
    records: broadcast::Sender<Arc<Record>>,
    report: watch::Sender<Option<Arc<Report>>>,
    standing: watch::Sender<Standing>,
    taken_up: Arc<AtomicBool>,
    /// When the run around this one was resumed last, as far as this one was told.
    heard: Heard,
    /// Those of the runs inside this one of which anything may be left here.
    inside: Arc<Mutex<BTreeMap<RunId, Feed>>>,
}

/// When the run around another one was resumed last, as far as that was told. A clone knows the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

impl Heard {
    /// It was resumed at this moment, or later.
    pub(super) fn hear(&self, resumed: Millis) {
        self.0.fetch_max(resumed.0, Ordering::AcqRel);
    }

    /// The last moment that was told; nothing where none was.
    pub(super) fn last(&self) -> Option<Millis> {
        Some(Millis(self.0.load(Ordering::Acquire))).filter(|last| last.0 > 0)
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            records: broadcast::Sender::new(BOUND),
            report: watch::Sender::new(None),
            standing: watch::Sender::new(Standing::Working),
            taken_up: Arc::default(),
            heard: Heard::default(),
            inside: Arc::default(),
        }
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

    /// Whether the run goes on by itself, and if not, what it waits for; now and whenever that changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Waits until the run does not go on by itself any more: it is over, or waits for somebody outside.
    ///
    /// # Panics
    ///
    /// Never: this feed keeps its own channel open.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn stands_still(&self) -> Standing {
        let mut standing = self.standing.subscribe();
        let still = standing.wait_for(|standing| *standing != Standing::Working).await;
        still.expect("this feed holds the sender").clone()
    }

    /// The feed of a run inside this one, the same one for every incarnation of either orchestrator.
    #[must_use]
    pub fn inside(&self, run: RunId) -> Self {
        self.inside_mut().entry(run).or_default().clone()
    }

    /// When the run around this one was resumed last, for every incarnation.
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Of a run inside this one, which is over, nothing is left.
    pub(super) fn forget(&self, run: RunId) {
        self.inside_mut().remove(&run);
    }

    /// The runs inside this one of which anything may be left here.
    pub(super) fn all_inside(&self) -> BTreeMap<RunId, Self> {
        self.inside_mut().clone()
    }

    fn inside_mut(&self) -> MutexGuard<'_, BTreeMap<RunId, Self>> {
        // Whoever panicked had not begun to change the map.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stand(&self, standing: Standing) {
        self.standing.send_if_modified(|last| {
            let changed = *last != standing;
            *last = standing;
            changed
        });
    }

    /// Another process has the run from now on, in which no incarnation has taken it up.
    pub(crate) fn begin_anew(&self) {
        self.taken_up.store(false, Ordering::Release);
        let inside: Vec<_> = self.inside_mut().values().cloned().collect();
        inside.iter().for_each(Self::begin_anew);
    }

    /// Whether an incarnation of this process has the run already.
    pub(super) fn is_taken_up(&self) -> bool {
        self.taken_up.load(Ordering::Acquire)
    }

    /// An incarnation of this process has the run.
    pub(super) fn take_up(&self) {
        self.taken_up.store(true, Ordering::Release);
    }

    pub(super) fn tell(&self, record: Record) {
        // Nobody listens when this fails, which is no loss: the journal has it.
        let _ = self.records.send(Arc::new(record));
    }

    pub(super) fn finish(&self, report: Report) {
        self.report.send_replace(Some(Arc::new(report)));
    }
}
