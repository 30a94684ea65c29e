//! The journal on a simulated disk.

use std::fmt;
use std::sync::Mutex;

use super::{Append, Disk, DiskFault};
use crate::id::StreamId;
use crate::runtime::guard::lock;
use crate::seam::{
    AtMost, BoxFuture, Journal, JournalError, Level, Part, Seq, Snapshot, StreamInfo, Streams, Write, Written,
};

/// A journal on a [`Disk`], from [`Disk::journal`] until the disk crashes.
///
/// Writes that come together take the time of one write, and at [`Level::Durable`] that of one sync. Where their caller
/// is dropped before they are written, the seed says whether they are. What is read at that level is synced first: it
/// stays, whatever crashes. At [`Level::Volatile`] nothing gets to the disk.
pub struct SimJournal {
    disk: Disk,
    life: u64,
    level: Level,
    /// What is kept for as long as the process lives.
    volatile: Mutex<Streams>,
}

/// What is asked for and not written yet, each write with what is made to go wrong with it.
struct Pending<'a> {
    journal: &'a SimJournal,
    batch: Vec<(Write, Option<DiskFault>)>,
}

type Answers = Vec<Result<Written, JournalError>>;

impl Pending<'_> {
    /// Writes it now.
    fn write(&mut self) -> Answers {
        let batch = std::mem::take(&mut self.batch);
        let mut state = lock(&self.journal.disk.0.state);
        if state.life != self.journal.life {
            return batch.iter().map(|_| Err(SimJournal::over())).collect();
        }
        let write = |(write, fault): (Write, Option<DiskFault>)| {
            let doubt = || JournalError::InDoubt("the disk did not answer".to_owned());
            match fault {
                Some(DiskFault::Unavailable) => Err(JournalError::Unavailable("the disk refused".to_owned())),
                Some(DiskFault::InDoubtLost) => Err(doubt()),
                Some(DiskFault::InDoubtKept) => state.log.write(write).and_then(|_| Err(doubt())),
                None => state.log.write(write),
            }
        };
        batch.into_iter().map(write).collect()
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Its caller is gone, and nobody told the disk: it may have had it already.
        if !self.batch.is_empty() && lock(&self.journal.disk.0.state).fates.next_u64() & 1 == 1 {
            // Nobody is left to be told.
            let _ = self.write();
        }
    }
}

impl SimJournal {
    pub(super) fn new(disk: Disk, life: u64, level: Level) -> Self {
        Self { disk, life, level, volatile: Mutex::default() }
    }

    fn over() -> JournalError {
        JournalError::Unavailable("the disk crashed since this journal was opened; open the next one".to_owned())
    }

    /// Writes, and waits for as long as the level says.
    async fn carry_out(&self, batch: Vec<Write>) -> Answers {
        let with_fault = |write: Write| {
            let fault = match &write {
                Write::Append { stream, at, records } => self.disk.fault(&Append { stream, at: *at, records }),
                _ => None,
            };
            (write, fault)
        };
        let mut pending = Pending { journal: self, batch: batch.into_iter().map(with_fault).collect() };
        self.disk.wait().await;
        let answers = pending.write();
        if self.level != Level::Durable || answers.iter().all(Result::is_err) {
            return answers;
        }
        self.disk.wait().await;
        let mut state = lock(&self.disk.0.state);
        if state.life != self.life {
            let doubt = || JournalError::InDoubt("the disk crashed before it was synced".to_owned());
            return answers.into_iter().map(|answer| answer.and_then(|_| Err(doubt()))).collect();
        }
        state.log.sync();
        answers
    }

    /// Writes to what is kept for as long as the process lives.
    fn keep(&self, batch: Vec<Write>) -> Answers {
        if lock(&self.disk.0.state).life != self.life {
            return batch.iter().map(|_| Err(Self::over())).collect();
        }
        lock(&self.volatile).write(batch)
    }

    /// Looks at what is there, in the time of a read.
    async fn look<T>(&self, look: impl FnOnce(&Streams) -> T) -> Result<T, JournalError> {
        if self.level == Level::Volatile {
            return Ok(look(&lock(&self.volatile)));
        }
        self.disk.wait().await;
        let mut state = lock(&self.disk.0.state);
        if state.life != self.life {
            return Err(Self::over());
        }
        // What is read and not synced could be gone after a crash, and who read it would have acted on it.
        if self.level == Level::Durable {
            state.log.sync();
        }
        Ok(look(state.log.streams()))
    }
}

impl fmt::Debug for SimJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { disk, level, .. } = self;
        f.debug_struct("SimJournal").field("disk", disk).field("level", level).finish_non_exhaustive()
    }
}

impl Journal for SimJournal {
    fn level(&self) -> Level {
        self.level
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Answers> {
        if self.level == Level::Volatile {
            let answers = self.keep(batch);
            return Box::pin(async move { answers });
        }
        Box::pin(self.carry_out(batch))
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move { self.look(|streams| streams.read(&stream, after)).await? })
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move { self.look(|streams| streams.read_some(&stream, after, most)).await? })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        let stream = stream.clone();
        Box::pin(async move { self.look(|streams| streams.snapshot(&stream)).await })
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        let prefix = prefix.to_owned();
        Box::pin(async move { self.look(|streams| streams.list(&prefix)).await })
    }
}
