//! Artifacts as files: `artifacts/ab/cdef…`, by their digest.
//!
//! A file is written under another name, brought to the disk where the level asks for it, and renamed: under its digest
//! there is the whole of it or nothing.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::TokioClock;
use steadfast::seam::{Clock, Level};
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::artifacts::{ArtifactError, Artifacts, Digest};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tokio::sync::RwLock;

use crate::error::StoreError;

/// Files that are not whole yet are named so; what a crash left of them is removed by the next owner.
const UNFINISHED: &str = "unfinished-";

/// How long an artifact stays that no record names: it is put before the record is written that names it.
pub(crate) const GRACE: Duration = Duration::from_hours(1);

/// What was removed of the artifacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// How many.
    pub artifacts: usize,
    /// How many bytes they had.
    pub bytes: u64,
}

/// Artifacts below a folder.
#[derive(Debug)]
pub(crate) struct DiskArtifacts {
    folder: PathBuf,
    level: Level,
    /// Whether it may write.
    writes: Writes,
    number: AtomicU64,
    /// Shared by those who put, so that none finds a file there that is removed just then.
    puts: RwLock<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Yes,
    No,
}

impl DiskArtifacts {
    /// The artifacts in this folder, which is made if it is not there. What was begun and not finished is removed, so
    /// that it must be the only one that writes.
    pub(crate) fn open(folder: &Path, level: Level) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
        for entry in std::fs::read_dir(folder).map_err(StoreError::io(folder))? {
            let entry = entry.map_err(StoreError::io(folder))?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                std::fs::remove_file(entry.path()).map_err(StoreError::io(&entry.path()))?;
            }
        }
        Ok(Self::at(folder, level, Writes::Yes))
    }

    /// The artifacts in this folder, to be read alone.
    pub(crate) fn read_only(folder: &Path, level: Level) -> Self {
        Self::at(folder, level, Writes::No)
    }

    fn at(folder: &Path, level: Level, writes: Writes) -> Self {
        let (folder, number, puts) = (folder.to_owned(), AtomicU64::new(0), RwLock::default());
        Self { folder, level, writes, number, puts }
    }

    /// Removes those that are not named and were put this long ago at least.
    pub(crate) async fn sweep(&self, named: &BTreeSet<Digest>, grace: Duration) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for digest in self.list()?.iter().filter(|digest| !named.contains(digest)) {
            let path = self.path(digest);
            let _nobody_puts = self.puts.write().await;
            // At once, so that nothing is left to be done where this is dropped.
            if let Some(bytes) = remove_old(&path, grace).map_err(StoreError::io(&path))? {
                swept.artifacts += 1;
                swept.bytes += bytes;
            }
        }
        Ok(swept)
    }

    /// The names of all that are kept, sorted.
    pub(crate) fn list(&self) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        for folder in entries(&self.folder)? {
            let Some(begins) = folder.file_name().and_then(|name| name.to_str()).filter(|name| name.len() == 2) else {
                continue;
            };
            for file in entries(&folder)? {
                let rest = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                found.extend(format!("{begins}{rest}").parse::<Digest>());
            }
        }
        found.sort();
        Ok(found)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let (begins, rest) = digest.as_str().split_at(2);
        self.folder.join(begins).join(rest)
    }

    async fn read(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
        let bytes = fs::read(self.path(digest)).await.map_err(|source| match source.kind() {
            ErrorKind::NotFound => ArtifactError::Missing { digest: digest.clone() },
            _ => unavailable(digest, &source),
        })?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(ArtifactError::Damaged { digest: digest.clone(), found }) }
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let unfinished = Unfinished(self.folder.join(format!("{UNFINISHED}{}-{number}", std::process::id())));
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).await?;
        let mut file = File::create(&unfinished.0).await?;
        file.write_all(bytes).await?;
        if self.level == Level::Durable {
            file.sync_all().await?;
        } else {
            file.flush().await?;
        }
        fs::rename(&unfinished.0, path).await?;
        self.sync_folders(folder).await
    }

    /// Brings the names to the disk: of the file, and of its folder, which may be new.
    async fn sync_folders(&self, folder: &Path) -> std::io::Result<()> {
        if self.level == Level::Durable {
            for folder in [folder, &self.folder] {
                File::open(folder).await?.sync_all().await?;
                #[cfg(test)]
                crate::folders::tests::was_synced(folder);
            }
        }
        Ok(())
    }

    /// Brings to the disk what is there, whoever put it there and did not come to that.
    async fn sync(&self, path: &Path) -> std::io::Result<()> {
        if self.level == Level::Durable {
            File::open(path).await?.sync_all().await?;
        }
        self.sync_folders(path.parent().unwrap_or(&self.folder)).await
    }
}

/// Lets a file be as young as if it was written now: the record that names it is still to come.
async fn renew(path: &Path) -> std::io::Result<()> {
    File::open(path).await?.into_std().await.set_modified(TokioClock.wall())
}

/// Removes a file that is as old as this, and says how many bytes it had.
fn remove_old(path: &Path, grace: Duration) -> std::io::Result<Option<u64>> {
    let file = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // Where its time lies ahead a clock was set back, and it is as good as new.
    let age = TokioClock.wall().duration_since(file.modified()?).unwrap_or_default();
    if age < grace {
        return Ok(None);
    }
    std::fs::remove_file(path)?;
    Ok(Some(file.len()))
}

fn unavailable(digest: &Digest, error: &std::io::Error) -> ArtifactError {
    ArtifactError::Unavailable(format!("{digest} cannot be read or written: {error}"))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let found = match std::fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(folder)(error)),
    };
    found.map(|entry| entry.map(|entry| entry.path()).map_err(StoreError::io(folder))).collect()
}

impl Artifacts for DiskArtifacts {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Digest, ArtifactError>> {
        Box::pin(async move {
            let digest = Digest::of(&bytes);
            let path = self.path(&digest);
            let _nothing_is_removed = self.puts.read().await;
            let written = if self.writes == Writes::No {
                Err(std::io::Error::new(ErrorKind::ReadOnlyFilesystem, "the store was opened for reading alone"))
            } else if self.read(&digest).await.is_ok() && renew(&path).await.is_ok() {
                self.sync(&path).await
            } else {
                // What is damaged is replaced, and what belongs to somebody else.
                self.write(&path, &bytes).await
            };
            match written {
                Ok(()) => Ok(digest),
                Err(error) => Err(unavailable(&digest, &error)),
            }
        })
    }

    fn get(&self, digest: &Digest) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        let digest = digest.clone();
        Box::pin(async move { self.read(&digest).await })
    }
}

/// A file that is removed unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}
