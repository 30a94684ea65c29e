//! What goes wrong with a store, and what a journal says of it.

use std::path::{Path, PathBuf};

use steadfast::seam::JournalError;
use steadfast_orchestration::run::Millis;

/// A store could not be opened, or something about it did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has it, and a store has one owner.
    #[error(
        "the store `{}` belongs to {owner} (process {pid} on {host}, since {since}); wait until that has ended, or name \
         another folder",
        dir.display()
    )]
    Owned {
        /// The folder of the store.
        dir: PathBuf,
        /// What its owner calls itself.
        owner: String,
        /// The process of its owner; 0 where that is not known.
        pid: u32,
        /// The machine of its owner.
        host: String,
        /// Since when it has the store.
        since: Millis,
    },
    /// There is no store in this folder.
    #[error("there is no store in `{}`; the first run that keeps its journal there makes one", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// The file is one of another program.
    #[error("`{}` is no journal of steadfast; name another folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote the store.
    #[error(
        "`{}` has layout {found}, and this program knows layouts up to {known}; use the program that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The latest layout that this program knows.
        known: i64,
    },
    /// An older version of this program wrote the store, and it was opened for reading alone.
    #[error("`{}` has layout {found}, older than {known}; open it once as its owner, which brings it up to date", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The layout that this program reads.
        known: i64,
    },
    /// The store was opened for reading alone.
    #[error("the store `{}` was opened for reading alone", dir.display())]
    ReadOnly {
        /// The folder of the store.
        dir: PathBuf,
    },
    /// The system refused something about a file.
    #[error("`{}` cannot be read or written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("`{}`: {}", path.display(), Trouble::of(source).explain(source))]
    Database {
        /// Its file.
        path: PathBuf,
        /// What it said.
        source: sqlx::Error,
    },
}

impl StoreError {
    /// An error about this file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// An error of the database in this file.
    pub(crate) fn database(path: &Path) -> impl FnOnce(sqlx::Error) -> Self + '_ {
        |source| match Trouble::of(&source) {
            Trouble::Foreign => Self::Foreign { path: path.to_owned() },
            _ => Self::Database { path: path.to_owned(), source },
        }
    }
}

/// What kind of error the database gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The disk is full.
    Full,
    /// Another process writes, and did not end in time.
    Busy,
    /// What is kept is damaged.
    Corrupt,
    /// The file is something else.
    Foreign,
    /// Anything else: the disk, a permission, the connection.
    Other,
}

impl Trouble {
    /// The kind of an error, by SQLite's code; its upper bits only say more of the same.
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy,
            Some(11) => Self::Corrupt,
            Some(13) => Self::Full,
            Some(26) => Self::Foreign,
            _ => Self::Other,
        }
    }

    /// What happened, and what to do about it.
    pub(crate) fn explain(self, error: &sqlx::Error) -> String {
        match self {
            Self::Full => "the disk is full; make room and try again".to_owned(),
            Self::Busy => "another process writes to the store and did not end in time; try again".to_owned(),
            Self::Corrupt => format!("the store is damaged ({error}); `steadfast verify` says where"),
            Self::Foreign => "the file is no journal of steadfast".to_owned(),
            Self::Other if matches!(error, sqlx::Error::PoolClosed) => "the store was closed".to_owned(),
            Self::Other => error.to_string(),
        }
    }

    /// Whether a commit that ended so has certainly kept nothing.
    ///
    /// The disk is full before the last frame of a commit was written as a whole, and without that frame there is no
    /// commit. A database that is busy did not begin. After anything else the last frame may be on the disk.
    pub(crate) const fn kept_nothing(self) -> bool {
        matches!(self, Self::Full | Self::Busy)
    }
}

/// The error of a write that certainly changed nothing.
pub(crate) fn unavailable(error: &sqlx::Error) -> JournalError {
    JournalError::Unavailable(Trouble::of(error).explain(error))
}

/// The error of a write whose commit failed.
pub(crate) fn uncommitted(error: &sqlx::Error) -> JournalError {
    let trouble = Trouble::of(error);
    let text = trouble.explain(error);
    if trouble.kept_nothing() { JournalError::Unavailable(text) } else { JournalError::InDoubt(text) }
}
