//! The file that a guard holds a lock on.
//!
//! The lock says that the guard lives. What is in the file is for whoever comes later: whose it is, and which groups.
//!
//! ```text
//! boot 6f0c…          numbers of processes mean nothing after another start of the system
//! guard 1240
//! owner 1234
//! group 1241
//! group 1243
//! ```

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many names are tried. Only where processes of several containers share a folder is the first one taken.
const NAMES: u32 = 100;

/// A file whose lock this process holds.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// A new file in this folder, for the guard `guard` of the process `owner`.
    pub(super) fn new(folder: &Path, guard: u32, owner: u32) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for number in 0..NAMES {
            let suffix = if number == 0 { String::new() } else { format!("-{number}") };
            let path = folder.join(format!("{guard}{suffix}.lock"));
            let file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            if let Some(mut lock) = Self::of(file, path)? {
                // Of a guard of the same number that did not finish; whoever started us has waited for what it names.
                lock.file.set_len(0)?;
                write!(lock.file, "boot {}\nguard {guard}\nowner {owner}\n", boot())?;
                return Ok(lock);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{NAMES} locks for the number {guard} are taken")))
    }

    /// The lock of this file, if nobody holds it and the file is still that of its path.
    pub(super) fn of(file: File, path: PathBuf) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever held the lock may have removed the file between our look at the path and the lock.
        let same = match std::fs::metadata(&path) {
            Ok(there) => file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino())),
            Err(_) => false,
        };
        Ok(same.then_some(Self { file, path }))
    }

    /// Writes that this group is watched.
    pub(super) fn watches(&mut self, group: i32) -> io::Result<()> {
        // One write, so that there is never half a number.
        self.file.write_all(format!("group {group}\n").as_bytes())
    }

    /// Removes the file, and lets the lock go.
    pub(super) fn remove(self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What is in the file of a lock.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) guard: Option<i32>,
    pub(super) owner: Option<i32>,
    /// The groups, unless the system was started again since.
    pub(super) groups: BTreeSet<i32>,
}

impl Entry {
    /// Reads what this boot of the system means by it.
    pub(super) fn read(text: &str) -> Self {
        Self::at(&boot(), text)
    }

    fn at(boot: &str, text: &str) -> Self {
        let mut entry = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("boot", other)) if other != boot => return Self::default(),
                Some(("guard", pid)) => entry.guard = pid.parse().ok(),
                Some(("owner", pid)) => entry.owner = pid.parse().ok(),
                Some(("group", group)) => entry.groups.extend(group.parse::<i32>()),
                _ => {}
            }
        }
        entry
    }
}

/// The files of locks in a folder, in the order of their names; none where there is no folder.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<_> = paths.into_iter().filter(|path| path.extension() == Some(OsStr::new("lock"))).collect();
    files.sort();
    Ok(files)
}

/// Which start of the system this is; empty where it does not tell.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guard_wrote_is_read_and_nothing_of_another_start_of_the_system() {
        let text = "boot b\nguard 3\nowner 2\ngroup 4\ngroup 5\nothers\ngroup x\n";
        let read = Entry { guard: Some(3), owner: Some(2), groups: [4, 5].into() };
        assert_eq!(Entry::at("b", text), read);
        assert_eq!(Entry::at("c", text), Entry::default());
    }

    #[test]
    fn a_lock_is_held_by_one_and_its_name_is_not_taken_by_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Lock::new(folder.path(), 7, 1).expect("a lock");
        let second = Lock::new(folder.path(), 7, 1).expect("a lock of another name");
        let names: Vec<_> = files(folder.path()).expect("they are listed");
        assert_eq!(names, [folder.path().join("7-1.lock"), folder.path().join("7.lock")]);
        let open = || File::open(folder.path().join("7.lock")).expect("it is there");
        assert!(Lock::of(open(), folder.path().join("7.lock")).expect("it is asked for").is_none());
        let stale = open();
        first.remove().expect("it is removed");
        let lock = Lock::of(stale, folder.path().join("7.lock")).expect("it is asked for");
        assert!(lock.is_none(), "the lock of a file that is no more is none");
        second.remove().expect("it is removed");
    }
}
