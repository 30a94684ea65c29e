//! A store: one folder, one owner.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use steadfast::MemoryJournal;
use steadfast::seam::{Journal, Level};
use steadfast_orchestration::seam::artifacts::{Artifacts, Digest, MemoryArtifacts};
use steadfast_orchestration::seam::requests::{MemoryRequests, Request, Requests};
use tokio::sync::Mutex;

use crate::artifacts::{DiskArtifacts, GRACE, Swept};
use crate::connect::{self, Role};
use crate::error::StoreError;
use crate::folders;
use crate::journal::SqliteJournal;
use crate::journal::writer::{self, Writer};
use crate::lock::{Lock, Owner};
use crate::readers::Readers;
use crate::requests::{self, SqliteRequests};
use crate::schema;
use crate::verify::{self, CheckRecord, Verified};

/// A folder in which everything is kept that outlives a process: a journal, artifacts, requests.
///
/// ```
/// use steadfast::seam::{AppendAt, Level};
/// use steadfast_storage::{Store, StoreError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let dir = folder.path();
/// let store = Store::open(dir, Level::Durable, "an example").await?;
/// let refused = Store::open(dir, Level::Durable, "somebody else").await.err();
/// assert!(matches!(refused, Some(StoreError::Owned { owner, .. }) if owner == "an example"));
///
/// let (journal, stream) = (store.journal(), "agent/root/cart".parse()?);
/// let epoch = journal.fence(&stream, "an example").await?;
/// journal.append(&stream, AppendAt { epoch, expected: 0 }, vec![b"one".to_vec()]).await?;
/// store.close().await?;
///
/// let reader = Store::read_only(dir).await?;
/// assert_eq!(reader.journal().read(&stream, 0).await?, [b"one"]);
/// # Ok(())
/// # }
/// ```
pub struct Store {
    dir: Option<PathBuf>,
    journal: Arc<dyn Journal>,
    artifacts: Arc<dyn Artifacts>,
    requests: Option<Arc<dyn Requests>>,
    kept: Option<Kept>,
}

/// What a store has that is kept on disk.
struct Kept {
    writer: Option<Arc<Mutex<Writer>>>,
    readers: Arc<Readers>,
    artifacts: Arc<DiskArtifacts>,
}

/// The file of the journal.
fn journal_path(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

impl Store {
    /// How long an artifact stays at least that no record names; see [`sweep_artifacts`](Self::sweep_artifacts).
    pub const ARTIFACT_GRACE: Duration = GRACE;

    /// Opens the store in this folder as its only owner; makes it where there is none. `owner` is what somebody is told
    /// who comes later. At [`Level::Volatile`] nothing is kept, and there is no folder.
    ///
    /// # Errors
    ///
    /// | error | |
    /// |---|---|
    /// | [`StoreError::Owned`] | another process has it, or this one already |
    /// | [`StoreError::Foreign`], [`StoreError::Newer`] | it is something else, or of a later program |
    /// | [`StoreError::Io`], [`StoreError::Database`] | the disk refused |
    pub async fn open(dir: &Path, level: Level, owner: &str) -> Result<Self, StoreError> {
        if level == Level::Volatile {
            return Ok(Self::volatile());
        }
        folders::make(dir)?;
        let lock = Arc::new(Lock::take(dir, owner).await?);
        let path = journal_path(dir);
        let conn = own(&path, level, &lock).await?;
        let mut writer = Writer::new(path.clone(), (level, lock), conn);
        let artifacts = match begin(&mut writer, dir, level).await {
            Ok(artifacts) => Arc::new(artifacts),
            Err(error) => {
                // So that the lock is free when this returns.
                let _ = writer.release().await;
                return Err(error);
            }
        };
        let writer = Arc::new(Mutex::new(writer));
        let readers = Arc::new(Readers::new(path, Role::Reader));
        Ok(Self::on_disk(dir, level, Kept { writer: Some(writer), readers, artifacts }))
    }

    /// Opens the store in this folder to be read alone: without the lock, while its owner runs or while nobody does. What
    /// the owner writes is seen from the next read on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where there is none, [`StoreError::Foreign`], [`StoreError::Newer`],
    /// [`StoreError::Older`], [`StoreError::Database`].
    pub async fn read_only(dir: &Path) -> Result<Self, StoreError> {
        let path = journal_path(dir);
        if !path.exists() {
            return Err(StoreError::Missing { dir: dir.to_owned() });
        }
        let role = match schema::check(&path, Role::Reader).await {
            Ok(()) => Role::Reader,
            // Where nobody may write into the folder SQLite cannot share the log with others; where there is none, none
            // is needed.
            Err(StoreError::Database { .. }) if !has_log(&path) => {
                schema::check(&path, Role::Onlooker).await?;
                Role::Onlooker
            }
            Err(error) => return Err(error),
        };
        let readers = Arc::new(Readers::new(path, role));
        // Whatever it was opened with, of a reader nothing depends on it.
        let level = Level::Durable;
        let artifacts = Arc::new(DiskArtifacts::read_only(&dir.join("artifacts"), level));
        Ok(Self::on_disk(dir, level, Kept { writer: None, readers, artifacts }))
    }

    fn volatile() -> Self {
        Self {
            dir: None,
            journal: Arc::new(MemoryJournal::default()),
            artifacts: Arc::new(MemoryArtifacts::new()),
            requests: Some(Arc::new(MemoryRequests::new())),
            kept: None,
        }
    }

    fn on_disk(dir: &Path, level: Level, kept: Kept) -> Self {
        let (writer, readers) = (kept.writer.clone(), Arc::clone(&kept.readers));
        let requests = writer.clone().map(|writer| Arc::new(SqliteRequests::new(writer)) as Arc<dyn Requests>);
        Self {
            dir: Some(dir.to_owned()),
            journal: Arc::new(SqliteJournal { dir: dir.to_owned(), level, writer, readers }),
            artifacts: Arc::clone(&kept.artifacts) as Arc<dyn Artifacts>,
            requests,
            kept: Some(kept),
        }
    }

    /// Says who owns the store in this folder; nobody, where it is not owned or not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the lock cannot be looked at.
    pub fn owner(dir: &Path) -> Result<Option<Owner>, StoreError> {
        Lock::holder(dir)
    }

    /// Leaves a request for the owner of the store in this folder, from another process and without the lock. Whether
    /// there is an owner, [`owner`](Self::owner) tells.
    ///
    /// Once it is `Ok` the request outlives a loss of power, whatever the level of the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where there is no store, [`StoreError::Foreign`], [`StoreError::Newer`],
    /// [`StoreError::Older`], [`StoreError::Database`].
    pub async fn leave(dir: &Path, request: &Request) -> Result<(), StoreError> {
        requests::leave(&journal_path(dir), request).await
    }

    /// The folder; none where nothing is kept.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The journal. Give it to [`System`](steadfast::System), whose agent writes for all at once.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.journal)
    }

    /// Large results, by their digest.
    #[must_use]
    pub fn artifacts(&self) -> Arc<dyn Artifacts> {
        Arc::clone(&self.artifacts)
    }

    /// What other processes ask of the owner.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] where the store was opened for reading alone: requests are for its owner.
    pub fn requests(&self) -> Result<Arc<dyn Requests>, StoreError> {
        self.requests.clone().ok_or_else(|| self.read_only_error())
    }

    fn read_only_error(&self) -> StoreError {
        StoreError::ReadOnly { dir: self.dir.clone().unwrap_or_default() }
    }

    /// Removes the artifacts that are not among these, and says what that was. `named` are all that a record names; those that
    /// were put in the last hour ([`ARTIFACT_GRACE`](Self::ARTIFACT_GRACE)) stay in any case, since an artifact is put before
    /// the record is written that names it. So look for what is named first, and prune before that.
    ///
    /// The owner may go on meanwhile: what is put again is there once that is `Ok`.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] where the store was opened for reading alone, [`StoreError::Io`] where a file cannot be
    /// removed; some may be gone then.
    ///
    /// # Cancel safety
    ///
    /// Some are removed and some are not. The next one goes on.
    pub async fn sweep_artifacts(&self, named: &BTreeSet<Digest>) -> Result<Swept, StoreError> {
        self.sweep(named, GRACE).await
    }

    /// The same, and those that were put just now go too. It is for an owner that carries no runs: nobody else puts any,
    /// and what a run that was killed had put without naming it, it puts again.
    ///
    /// # Errors
    ///
    /// Those of [`sweep_artifacts`](Self::sweep_artifacts).
    ///
    /// # Cancel safety
    ///
    /// Some are removed and some are not. The next one goes on.
    pub async fn sweep_artifacts_now(&self, named: &BTreeSet<Digest>) -> Result<Swept, StoreError> {
        self.sweep(named, Duration::ZERO).await
    }

    async fn sweep(&self, named: &BTreeSet<Digest>, grace: Duration) -> Result<Swept, StoreError> {
        let Some(kept) = &self.kept else { return Ok(Swept::default()) };
        if kept.writer.is_none() {
            return Err(self.read_only_error());
        }
        kept.artifacts.sweep(named, grace).await
    }

    /// Looks at everything that is kept: SQLite's file, the numbers of each stream, each record by `check`, each artifact.
    /// What is wrong is in the answer; a running owner is no obstacle.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] and [`StoreError::Io`] where so little can be read that nothing can be said.
    pub async fn verify(&self, check: &CheckRecord<'_>) -> Result<Verified, StoreError> {
        match &self.kept {
            Some(kept) => verify::verify(&kept.readers, &kept.artifacts, check).await,
            None => Ok(Verified::default()),
        }
    }

    /// Closes the store: everything is moved into `journal.db`, and the lock is free. Whoever still holds its journal gets
    /// errors. A store that is dropped instead loses nothing; its lock is free once nobody holds a part of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] where something could not be moved: it is found there the next time. The lock is free all
    /// the same.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it is as if the store had been dropped.
    pub async fn close(self) -> Result<(), StoreError> {
        let Some(kept) = self.kept else { return Ok(()) };
        let mut outcome = Ok(());
        for conn in kept.readers.close() {
            outcome = outcome.and(conn.close().await);
        }
        if let Some(writer) = kept.writer {
            outcome = outcome.and(writer.lock().await.close().await);
        }
        outcome.map_err(StoreError::database(kept.readers.path()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).field("level", &self.journal.level()).finish_non_exhaustive()
    }
}

/// Opens the connection that writes, and brings the file to the layout of this program.
async fn own(path: &Path, level: Level, lock: &Arc<Lock>) -> Result<SqliteConnection, StoreError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        // Only looked at, because to open it for writing would change what belongs to others.
        let mut conn = connect::open(path, Role::Reader).await?;
        let refused = schema::refuse(&mut conn, path).await;
        // It has written nothing.
        let _ = conn.close().await;
        refused?;
    }
    let mut conn = writer::open(path, level, lock).await.map_err(StoreError::database(path))?;
    match schema::migrate(&mut conn, path).await {
        Ok(()) => Ok(conn),
        Err(error) => {
            // So that the lock is free when this returns.
            let _ = conn.close().await;
            Err(error)
        }
    }
}

/// Comes to what an owner begins with.
async fn begin(writer: &mut Writer, dir: &Path, level: Level) -> Result<DiskArtifacts, StoreError> {
    writer.begin().await.map_err(StoreError::database(&journal_path(dir)))?;
    let artifacts = DiskArtifacts::open(&dir.join("artifacts"), level)?;
    // Only now are all names there that the store has in it.
    folders::sync(dir)?;
    Ok(artifacts)
}

/// Whether something is in the log that is not in the database yet.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}
