//! Artifacts as files: `artifacts/ab/cdef…`, by their digest.
//!
//! A file is written under another name, brought to the disk where the level asks for it, and renamed: under its digest
//! there is the whole of it or nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::seam::Level;
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::artifacts::{ArtifactError, Artifacts, Digest};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use crate::error::StoreError;

/// Files that are not whole yet are named so; what a crash left of them is removed by the next owner.
const UNFINISHED: &str = "unfinished-";

/// Artifacts below a folder.
#[derive(Debug)]
pub struct DiskArtifacts {
    folder: PathBuf,
    level: Level,
    /// Whether it may write.
    writes: Writes,
    number: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Yes,
    No,
}

impl DiskArtifacts {
    /// The artifacts in this folder, which is made if it is not there. What was begun and not finished is removed, so
    /// that it must be the only one that writes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the folder cannot be made or read.
    pub fn open(folder: &Path, level: Level) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
        for entry in std::fs::read_dir(folder).map_err(StoreError::io(folder))? {
            let entry = entry.map_err(StoreError::io(folder))?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                std::fs::remove_file(entry.path()).map_err(StoreError::io(&entry.path()))?;
            }
        }
        Ok(Self { folder: folder.to_owned(), level, writes: Writes::Yes, number: AtomicU64::new(0) })
    }

    /// The artifacts in this folder, to be read alone.
    #[must_use]
    pub fn read_only(folder: &Path, level: Level) -> Self {
        Self { folder: folder.to_owned(), level, writes: Writes::No, number: AtomicU64::new(0) }
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
            let written = if self.writes == Writes::No {
                Err(std::io::Error::new(ErrorKind::ReadOnlyFilesystem, "the store was opened for reading alone"))
            } else if self.read(&digest).await.is_ok() {
                self.sync(&path).await
            } else {
                // What is damaged is replaced.
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
