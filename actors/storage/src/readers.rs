//! A few connections that only read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::connect::{Role, connect};
use crate::error::StoreError;

/// How many read at once. Whoever comes then waits.
const MOST: usize = 4;

/// Connections that read, opened when they are first needed.
pub(crate) struct Readers {
    path: PathBuf,
    role: Role,
    room: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection, until it is given back. One that is dropped instead, with whoever read, is not used again.
pub(crate) struct Reader<'a> {
    readers: &'a Readers,
    conn: SqliteConnection,
    _room: SemaphorePermit<'a>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, role: Role) -> Self {
        Self { path, role, room: Semaphore::new(MOST), idle: Mutex::default() }
    }

    pub(crate) async fn take(&self) -> Result<Reader<'_>, sqlx::Error> {
        let room = self.room.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connect(&self.path, self.role).await?,
        };
        Ok(Reader { readers: self, conn, _room: room })
    }

    /// As [`take`](Self::take), with an error that names the file.
    pub(crate) async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        self.take().await.map_err(StoreError::database(&self.path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets nobody read any more, and gives the connections that are idle.
    pub(crate) fn close(&self) -> Vec<SqliteConnection> {
        self.room.close();
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reader<'_> {
    pub(crate) const fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    pub(crate) fn give_back(self) {
        if !self.readers.room.is_closed() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.conn);
        }
    }
}
