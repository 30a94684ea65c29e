//! How the database is opened: one connection that writes, others that read, and guests for a moment.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use steadfast::seam::Level;

use crate::error::StoreError;

/// How long is waited for another process that writes: a request takes it for some milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// The statements that are kept ready: one for each number of records that are inserted at once, and some more.
const STATEMENTS: usize = 256;

/// To what size the log is cut when it begins anew.
const LARGEST_LOG: u32 = 16 << 20;

/// Which connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one of the store's owner that writes.
    Writer(Level),
    /// One that copies the log into the database beside the one that writes.
    Checkpointer(Level),
    /// One that reads.
    Reader,
    /// One that reads a file that nobody writes and whose folder cannot be written to.
    Onlooker,
    /// One of another process, which leaves a request.
    Guest,
}

/// Opens a connection.
pub(crate) async fn connect(path: &Path, role: Role) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let writing = |options: SqliteConnectOptions, level| {
        let synchronous = match level {
            Level::Durable => SqliteSynchronous::Full,
            _ => SqliteSynchronous::Normal,
        };
        // The log is copied when the owner says so, never by a commit that somebody waits for.
        options
            .synchronous(synchronous)
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", LARGEST_LOG.to_string())
            .pragma("temp_store", "memory")
    };
    let owned = |options: SqliteConnectOptions| options.journal_mode(SqliteJournalMode::Wal);
    let options = match role {
        Role::Writer(level) => writing(owned(options.create_if_missing(true)), level),
        Role::Checkpointer(level) => writing(owned(options), level),
        // A guest does not know the owner's level, and a request is to be there when it was said to be. What is kept in the
        // file itself, as the mode of its journal is, is the owner's to set.
        Role::Guest => writing(options, Level::Durable),
        Role::Reader => options.read_only(true),
        Role::Onlooker => options.read_only(true).immutable(true),
    };
    options.connect().await
}

/// Opens a connection, with an error that names the file.
pub(crate) async fn open(path: &Path, role: Role) -> Result<SqliteConnection, StoreError> {
    connect(path, role).await.map_err(StoreError::database(path))
}
