//! A disk that outlives crashes of what runs on it, and a journal on it.

mod journal;
mod log;

use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use self::journal::SimJournal;
use self::log::Log;
use crate::fault::Crash;
use crate::id::StreamId;
use crate::runtime::guard::lock;
use crate::runtime::wait;
use crate::seam::{AppendAt, Level, Rng, seed_of};

/// How long the disk takes to write, to sync and to read when nothing else was said.
pub const DEFAULT_DISK_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(3);

/// A simulated disk. All clones are the same disk: it is kept while what runs on it crashes and starts again.
///
/// What is written is in the page cache of the machine until it is synced.
///
/// | [`Crash`] | of what was synced | of what was only written |
/// |---|---|---|
/// | `Process` | all is there | all is there |
/// | `Power` | all is there | nothing is there |
/// | `Torn` | all is there | all but the last append, and of that one the first half of its bytes |
///
/// A crash ends every [`SimJournal`] that was opened before it: what is asked of it then is refused. Opening the next one
/// finds a torn append by its checksum and cuts it off.
///
/// ```
/// use steadfast::{RunId, StreamId};
/// use steadfast::seam::{AppendAt, Journal, Level};
/// use steadfast::fault::Crash;
/// use steadfast::testing::Disk;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = Disk::new(7);
/// let run = StreamId::from(RunId::new(uuid::Uuid::from_u128(1)));
/// let journal = disk.journal(Level::Durable);
/// let epoch = journal.fence(&run, "first life").await?;
/// journal.append(&run, AppendAt { epoch, expected: 0 }, vec![b"begun".to_vec()]).await?;
///
/// disk.crash(Crash::Power);
/// assert!(journal.read(&run, 0).await.is_err());
/// assert_eq!(disk.journal(Level::Durable).read(&run, 0).await?, [b"begun"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Disk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Asked without the lock on the state: it is code of users.
    fails: Mutex<Option<Fails>>,
}

type Fails = Arc<dyn Fn(&Append<'_>) -> Option<DiskFault> + Send + Sync>;

struct State {
    log: Log,
    /// How often it crashed.
    life: u64,
    takes: RangeInclusive<Duration>,
    times: Rng,
    /// Draws what becomes of an append whose caller is gone.
    fates: Rng,
    fail_next: VecDeque<DiskFault>,
}

/// An append that is about to be written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Append<'a> {
    /// To which stream.
    pub stream: &'a StreamId,
    /// Where.
    pub at: AppendAt,
    /// What.
    pub records: &'a [Vec<u8>],
}

/// What is made to go wrong with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiskFault {
    /// Nothing is kept, and the caller knows: `Unavailable`.
    Unavailable,
    /// Nothing is kept, and the caller does not know: `InDoubt`.
    InDoubtLost,
    /// It is kept, and the caller does not know: `InDoubt`.
    InDoubtKept,
}

impl Disk {
    /// An empty disk, whose times follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            log: Log::default(),
            life: 0,
            takes: DEFAULT_DISK_TIME,
            times: Rng::new(seed_of(seed, "disk times")),
            fates: Rng::new(seed_of(seed, "disk fates")),
            fail_next: VecDeque::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), fails: Mutex::new(None) }))
    }

    /// Sets how long each write, sync and read takes from now on; [`DEFAULT_DISK_TIME`] when not set. Where the end is
    /// before the beginning, the beginning counts.
    #[must_use]
    pub fn takes(self, range: RangeInclusive<Duration>) -> Self {
        lock(&self.0.state).takes = range;
        self
    }

    /// Opens the journal that is on the disk, after a crash what is left of it.
    #[must_use]
    pub fn journal(&self, level: Level) -> SimJournal {
        let life = {
            let mut state = lock(&self.0.state);
            state.log.recover();
            state.life
        };
        SimJournal::new(self.clone(), life, level)
    }

    /// Crashes what runs on it. To be done when what appends to it is gone: as the last step of the crash of a node.
    pub fn crash(&self, kind: Crash) {
        let mut state = lock(&self.0.state);
        state.life += 1;
        match kind {
            Crash::Process => {}
            Crash::Power => state.log.lose_power(),
            Crash::Torn => state.log.tear(),
        }
    }

    /// Syncs all that was written, as the operating system does after a while.
    pub fn sync(&self) {
        lock(&self.0.state).log.sync();
    }

    /// Lets the next append go wrong; several, one after the other.
    pub fn fail_next(&self, fault: DiskFault) {
        lock(&self.0.state).fail_next.push_back(fault);
    }

    /// Asks this of every append from now on, in place of what was given before. What [`fail_next`](Self::fail_next) says
    /// goes first. Must not block.
    pub fn fail_when(&self, fails: impl Fn(&Append<'_>) -> Option<DiskFault> + Send + Sync + 'static) {
        *lock(&self.0.fails) = Some(Arc::new(fails));
    }

    /// Returns how many torn appends were found and cut off.
    #[must_use]
    pub fn torn(&self) -> u64 {
        lock(&self.0.state).log.torn()
    }

    /// Waits for as long as a write, a sync or a read takes.
    async fn wait(&self) {
        let time = {
            let mut state = lock(&self.0.state);
            let width = state.takes.end().saturating_sub(*state.takes.start());
            let unit = state.times.next_unit();
            *state.takes.start() + width.mul_f64(unit)
        };
        wait::sleep(time).await;
    }

    fn fault(&self, append: &Append<'_>) -> Option<DiskFault> {
        let next = lock(&self.0.state).fail_next.pop_front();
        let fails = lock(&self.0.fails).clone();
        next.or_else(|| fails.and_then(|fails| fails(append)))
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("Disk").field("life", &state.life).field("log", &state.log).finish_non_exhaustive()
    }
}
