//! The journal on a simulated disk.

use std::fmt;

use super::log::{Request, Written};
use super::{Append, Disk, DiskFault, Level};
use crate::id::RunId;
use crate::runtime::guard::lock;
use crate::seam::{AppendAt, BoxFuture, Epoch, Journal, JournalError, Seq};

/// A journal on a [`Disk`], from [`Disk::journal`] until the disk crashes.
///
/// An append takes the time of a write, and at [`Level::Durable`] that of a sync. Where its caller is dropped before it
/// is written, the seed says whether it is. What is read at that level is synced first: it stays, whatever crashes.
pub struct SimJournal {
    disk: Disk,
    life: u64,
    level: Level,
}

/// What is asked for and not written yet.
struct Pending<'a> {
    journal: &'a SimJournal,
    request: Option<Request>,
}

impl Pending<'_> {
    /// Writes it now.
    fn write(&mut self) -> Result<Written, JournalError> {
        let request = self.request.take();
        let mut state = lock(&self.journal.disk.0.state);
        if state.life != self.journal.life {
            return Err(SimJournal::over());
        }
        match request {
            Some(request) => state.log.write(request),
            None => Err(JournalError::Unavailable("it was written already".to_owned())),
        }
    }

    /// Nothing is written.
    fn forget(&mut self) {
        self.request = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Its caller is gone, and nobody told the disk: it may have had it already.
        if self.request.is_some() && lock(&self.journal.disk.0.state).fates.next_u64() & 1 == 1 {
            // Nobody is left to be told.
            let _ = self.write();
        }
    }
}

impl SimJournal {
    pub(super) const fn new(disk: Disk, life: u64, level: Level) -> Self {
        Self { disk, life, level }
    }

    /// Returns when it says `Ok`.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    fn over() -> JournalError {
        JournalError::Unavailable("the disk crashed since this journal was opened; open the next one".to_owned())
    }

    /// Writes, and waits for as long as the level says.
    async fn carry_out(&self, mut pending: Pending<'_>) -> Result<Written, JournalError> {
        let written = pending.write()?;
        if self.level == Level::Durable {
            self.disk.wait().await;
            let mut state = lock(&self.disk.0.state);
            if state.life != self.life {
                return Err(JournalError::InDoubt("the disk crashed before it was synced".to_owned()));
            }
            state.log.sync();
        }
        Ok(written)
    }

    async fn begin(&self, request: Request) -> Pending<'_> {
        let pending = Pending { journal: self, request: Some(request) };
        self.disk.wait().await;
        pending
    }
}

impl fmt::Debug for SimJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { disk, level, .. } = self;
        f.debug_struct("SimJournal").field("disk", disk).field("level", level).finish_non_exhaustive()
    }
}

impl Journal for SimJournal {
    fn fence(&self, stream: RunId, owner: &str) -> BoxFuture<'_, Result<Epoch, JournalError>> {
        let owner = owner.to_owned();
        Box::pin(async move {
            let pending = self.begin(Request::Fence { stream, owner }).await;
            match self.carry_out(pending).await? {
                Written::Fence(epoch) => Ok(epoch),
                Written::Append(_) => Err(JournalError::InDoubt("the disk did something else".to_owned())),
            }
        })
    }

    fn append(&self, stream: RunId, at: AppendAt, records: Vec<Vec<u8>>) -> BoxFuture<'_, Result<Seq, JournalError>> {
        Box::pin(async move {
            let fault = self.disk.fault(&Append { stream, at, records: &records });
            let mut pending = self.begin(Request::Append { stream, at, records }).await;
            let doubt = || Err(JournalError::InDoubt("the disk did not answer".to_owned()));
            match fault {
                Some(DiskFault::Unavailable) => {
                    pending.forget();
                    return Err(JournalError::Unavailable("the disk refused".to_owned()));
                }
                Some(DiskFault::InDoubtLost) => {
                    pending.forget();
                    return doubt();
                }
                Some(DiskFault::InDoubtKept) | None => {}
            }
            let written = self.carry_out(pending).await?;
            match (written, fault) {
                (Written::Append(last), None) => Ok(last),
                _ => doubt(),
            }
        })
    }

    fn read(&self, stream: RunId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        Box::pin(async move {
            self.disk.wait().await;
            let mut state = lock(&self.disk.0.state);
            if state.life != self.life {
                return Err(Self::over());
            }
            // What is read and not synced could be gone after a crash, and who read it would have acted on it.
            if self.level == Level::Durable {
                state.log.sync();
            }
            Ok(state.log.read(stream, after))
        })
    }
}
