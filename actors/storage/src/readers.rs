//! A few connections that only read.
//!
//! One with which a read failed, or was dropped, is not used again: in what state it is nobody knows.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::connect::{Role, connect};

/// How many read at once. Whoever comes then waits.
const MOST: usize = 4;

/// Connections that read, opened when they are first needed.
pub(crate) struct Readers {
    path: PathBuf,
    role: Role,
    room: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, role: Role) -> Self {
        Self { path, role, room: Semaphore::new(MOST), idle: Mutex::default() }
    }

    /// Reads with one of the connections.
    pub(crate) async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let (room, mut conn) = self.take().await?;
        let found = read(&mut conn).await?;
        let mut idle = self.idle();
        // Asked with the lock: who closes takes what is idle after that.
        if !self.room.is_closed() {
            idle.push(conn);
        }
        drop((idle, room));
        Ok(found)
    }

    async fn take(&self) -> Result<(SemaphorePermit<'_>, SqliteConnection), sqlx::Error> {
        let room = self.room.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connect(&self.path, self.role).await?,
        };
        Ok((room, conn))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        // Each change is one call, so a panic elsewhere cannot have left half of one.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets nobody read any more, and gives the connections that are idle.
    pub(crate) fn close(&self) -> Vec<SqliteConnection> {
        self.room.close();
        std::mem::take(&mut *self.idle())
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Executor, Row};

    use super::*;

    async fn ask(conn: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
        conn.fetch_one(sqlx::query(sql)).await?.try_get(0)
    }

    #[tokio::test]
    async fn a_connection_is_used_again_until_a_read_with_it_fails() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.db");
        drop(std::fs::File::create(&path).expect("it is new"));
        let readers = Readers::new(path, Role::Reader);
        // A mark by which it is known again.
        let mark = async |conn: &mut SqliteConnection| ask(conn, "PRAGMA busy_timeout = 77").await;
        let look = async |conn: &mut SqliteConnection| ask(conn, "PRAGMA busy_timeout").await;
        assert_eq!(readers.read(mark).await.expect("it is set"), 77);
        assert_eq!(readers.read(look).await.expect("a look"), 77);
        let failed = readers.read(async |conn| ask(conn, "SELECT gone FROM nowhere").await).await;
        assert!(failed.is_err());
        assert_eq!(readers.read(look).await.expect("a look"), 5000, "another one");
        assert_eq!(readers.close().len(), 1);
        assert!(matches!(readers.read(look).await, Err(sqlx::Error::PoolClosed)));
    }
}
