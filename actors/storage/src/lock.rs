//! The lock of a store: who owns it.
//!
//! It is the operating system's lock on the file `lock`, and ends with whoever holds it, however that ends: a file that a
//! dead process left is no obstacle, and needs no removing. The file says who holds it, for people.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use steadfast::TokioClock;
use steadfast::seam::Clock;
use steadfast_orchestration::run::Millis;

use crate::error::StoreError;

/// How often the lock is tried while its file is exchanged, or somebody only looks whether it is held.
const TRIES: usize = 20;

/// The pause before the next try. Whoever only looks holds it for less.
const PAUSE: Duration = Duration::from_millis(1);

/// The lock, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Who owns a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Owner {
    /// What it calls itself.
    pub owner: String,
    /// Its process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// Since when.
    pub since: Millis,
}

impl Owner {
    fn here(owner: &str) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { owner: owner.to_owned(), pid: std::process::id(), host, since: Millis::of(TokioClock.wall()) }
    }

    /// Somebody of whom nothing is known: the file is written only after the lock was taken.
    fn unknown() -> Self {
        Self { owner: "another process".to_owned(), pid: 0, host: "this machine".to_owned(), since: Millis(0) }
    }

    fn refuse(self, dir: &Path) -> StoreError {
        let Self { owner, pid, host, since } = self;
        StoreError::Owned { dir: dir.to_owned(), owner, pid, host, since }
    }
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

impl Lock {
    /// Takes the lock of a store, or says who has it.
    pub(crate) async fn take(dir: &Path, owner: &str) -> Result<Self, StoreError> {
        let path = path(dir);
        let mut holder = Owner::unknown();
        for _ in 0..TRIES {
            let mut file = open(&path)?;
            if try_lock(&file).map_err(StoreError::io(&path))? {
                if !is_at(&file, &path) {
                    // Somebody removed it meanwhile, and the next one would lock another file.
                    continue;
                }
                write(&mut file, &Owner::here(owner)).map_err(StoreError::io(&path))?;
                return Ok(Self { file });
            }
            holder = read(&mut file).unwrap_or(holder);
            tokio::time::sleep(PAUSE).await;
        }
        Err(holder.refuse(dir))
    }

    /// Says who has the lock of a store; nobody, where it is free.
    pub(crate) fn holder(dir: &Path) -> Result<Option<Owner>, StoreError> {
        let path = path(dir);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&path)(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(read(&mut file).unwrap_or_else(Owner::unknown))),
            Err(error) => Err(StoreError::io(&path)(error.into())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // What it says is no longer so; who reads it in between is told of nobody in particular.
        let _ = self.file.set_len(0);
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(StoreError::io(path))
}

fn try_lock(file: &File) -> std::io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether this open file is the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(opened), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (opened.dev(), opened.ino()) == (there.dev(), there.ino())
}

fn write(file: &mut File, owner: &Owner) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(serde_json::to_string(owner)?.as_bytes())?;
    file.write_all(b"\n")
}

fn read(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_only_looks_for_a_moment_keeps_nobody_from_the_lock() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let looks = open(&path(folder.path())).expect("it opens");
        flock(&looks, FlockOperation::NonBlockingLockShared).expect("it is free");
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(looks);
        });
        Lock::take(folder.path(), "me").await.expect("it is free soon");
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_the_lock_is_named_after_a_moment() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let _held = Lock::take(folder.path(), "somebody").await.expect("it is free");
        let begun = TokioClock.now();
        let refused = Lock::take(folder.path(), "me").await.expect_err("it is held");
        assert!(matches!(refused, StoreError::Owned { owner, .. } if owner == "somebody"));
        assert!(TokioClock.now() - begun < Duration::from_millis(100));
    }
}
