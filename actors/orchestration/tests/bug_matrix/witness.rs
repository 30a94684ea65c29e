//! What is seen of a run from outside, in order: what its commands did, what its journal has, what was told of it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast::StreamId;
use steadfast::seam::{BoxFuture, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::testing::{SimJournal, VirtualClock};
use steadfast_orchestration::agents::protocol::ReportReply;
use steadfast_orchestration::run::{Record, Report, decode};
use steadfast_orchestration::seam::commands::{Completed, Exit, Invocation};

/// Something that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When, since the run began.
    pub(crate) at: Duration,
    /// What.
    pub(crate) what: What,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The node began, for the n-th time.
    Booted(u32),
    /// A command began: the n-th of all.
    Started { command: usize, key: String, attempt: u32 },
    /// It came to its end.
    Ended { command: usize, well: bool },
    /// It was broken off.
    BrokenOff { command: usize },
    /// The journal said that it has this record.
    Kept(Record),
    /// The journal said something else than before.
    Unsaid(String),
    /// Whoever follows the run was told of a record.
    Told(Arc<Record>),
    /// The report came.
    Reported(Arc<Report>),
    /// Somebody who held no lease any more reported on it, and was told this.
    Stranger { lease: String, reply: ReportReply },
}

/// Sees a run from outside. Clones are the same witness.
#[derive(Clone)]
pub(crate) struct Witness {
    clock: VirtualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    kept: Vec<Record>,
    commands: usize,
    /// The keys whose command ended, but not well.
    failed: Vec<String>,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self { clock: VirtualClock::new(), state: Arc::default() }
    }

    /// How long ago the run began.
    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Everything that was seen so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn note(&self, what: What) {
        let at = self.now();
        self.state().seen.push(Seen { at, what });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command: so many milliseconds, then so well, with this text.
    pub(crate) async fn work(self, invocation: Invocation) -> Completed {
        let of = |name: &str| invocation.env.get(name).cloned().unwrap_or_default();
        let (key, attempt) = (of("STEADFAST_IDEMPOTENCY_KEY"), of("STEADFAST_ATTEMPT").parse().unwrap_or(0));
        let command = {
            let mut state = self.state();
            state.commands += 1;
            state.commands
        };
        self.note(What::Started { command, key: key.clone(), attempt });
        let mut running = Running { witness: self.clone(), command, is_over: false };
        let [millis, how, text] = &invocation.args[..] else { panic!("three arguments: {:?}", invocation.args) };
        let beat = invocation.heartbeat.clone().expect("a lease has a heartbeat");
        let end = self.now() + Duration::from_millis(millis.parse().expect("a number"));
        while self.now() < end {
            beat();
            tokio::time::sleep(end.saturating_sub(self.now()).min(Duration::from_millis(100))).await;
        }
        let well = match how.as_str() {
            "well" => true,
            "third" => self.state().failed.iter().filter(|failed| **failed == key).count() >= 2,
            _ => false,
        };
        running.is_over = true;
        if !well {
            self.state().failed.push(key);
        }
        self.note(What::Ended { command, well });
        Completed::new(Exit::Code(i32::from(!well))).stdout(text.clone())
    }

    /// The journal has these records behind the first so many, and nothing behind them.
    fn kept(&self, from: Seq, frames: &[Vec<u8>]) {
        let (most, has) = (self.state().kept.len(), usize::try_from(from).expect("a small number") + frames.len());
        if has < most {
            self.note(What::Unsaid(format!("there were {most} records, and there are {has}")));
        }
        for (number, frame) in (usize::try_from(from).expect("a small number")..).zip(frames) {
            let record = decode(frame).expect("a record of the run");
            let known = self.state().kept.get(number).cloned();
            match known {
                Some(known) if known == record => {}
                Some(known) => self.note(What::Unsaid(format!("record {number} was {known:?} and is {record:?}"))),
                None => {
                    self.state().kept.push(record.clone());
                    self.note(What::Kept(record));
                }
            }
        }
    }
}

/// A command that runs.
struct Running {
    witness: Witness,
    command: usize,
    is_over: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.witness.note(What::BrokenOff { command: self.command });
        }
    }
}

/// A journal that a witness looks at: what it says that it has, it has.
pub(crate) struct Watched {
    journal: SimJournal,
    witness: Witness,
}

impl Watched {
    pub(crate) fn new(journal: SimJournal, witness: &Witness) -> Self {
        Self { journal, witness: witness.clone() }
    }
}

impl Journal for Watched {
    fn level(&self) -> Level {
        self.journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            let answers = self.journal.write(batch.clone()).await;
            for (write, answer) in batch.into_iter().zip(&answers) {
                if let (Write::Append { at, records, .. }, Ok(_)) = (write, answer) {
                    self.witness.kept(at.expected, &records);
                }
            }
            answers
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let records = self.journal.read(&stream, after).await?;
            self.witness.kept(after, &records);
            Ok(records)
        })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.journal.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.journal.list(prefix)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.6}s ", self.at.as_secs_f64())?;
        match &self.what {
            What::Booted(boot) => write!(f, "the node began, start {boot}"),
            What::Started { command, key, attempt } => write!(f, "command {command} began: {key}, attempt {attempt}"),
            What::Ended { command, well } => {
                write!(f, "command {command} ended, {}", if *well { "well" } else { "badly" })
            }
            What::BrokenOff { command } => write!(f, "command {command} was broken off"),
            What::Kept(record) => write!(f, "in the journal: {record:?}"),
            What::Unsaid(why) => write!(f, "the journal said otherwise before: {why}"),
            What::Told(record) => write!(f, "told: {record:?}"),
            What::Reported(report) => write!(f, "the report: {}", report.status.as_str()),
            What::Stranger { lease, reply } => write!(f, "a stranger reported on {lease}, and was told {reply:?}"),
        }
    }
}
