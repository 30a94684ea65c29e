//! Copies the log into the database beside the writer.
//!
//! A commit appends to the log and nothing else. Once the log is long, a connection of its own, which has a thread of its
//! own, copies it into the database while the writer goes on. What came meanwhile is little; the writer copies that
//! itself, so that the log is wholly copied once, and can begin anew. Only where the copying is much slower than the
//! writing, the writer waits for it.
//!
//! Nothing is spawned: the copying is a future that is looked at after each commit, and its work is done by SQLite's
//! thread whether somebody looks or not.

use std::path::PathBuf;
use std::task::{Context, Poll, Waker};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use steadfast::seam::{BoxFuture, Level};

use crate::connect::{Role, connect};
use crate::journal::sql::{self, Checkpoint as Which};

/// After how many pages the log is copied: 4 MB.
const PAGES: usize = 1000;

/// How many pages the writer is ahead of the copying at most; then it waits for it. So the log has a bound, as long as no
/// reader holds on to its beginning.
const AHEAD: usize = 3000;

type Copying = BoxFuture<'static, Result<SqliteConnection, sqlx::Error>>;

/// Where the copying stands.
pub(crate) struct Checkpoint {
    path: PathBuf,
    level: Level,
    /// Written since the log was copied last, about.
    pages: usize,
    conn: Option<SqliteConnection>,
    copying: Option<Copying>,
}

impl Checkpoint {
    pub(crate) fn new(path: PathBuf, level: Level) -> Self {
        Self { path, level, pages: 0, conn: None, copying: None }
    }

    /// So many pages were committed by the writer.
    pub(crate) async fn committed(&mut self, pages: usize, writer: Result<&mut SqliteConnection, sqlx::Error>) {
        self.pages += pages;
        if self.pages >= PAGES && self.copying.is_none() {
            self.pages = 0;
            self.copying = Some(Box::pin(copy(self.path.clone(), self.level, self.conn.take())));
        }
        let Some(copying) = &mut self.copying else { return };
        let copied = match look_at(copying) {
            Poll::Ready(copied) => copied,
            Poll::Pending if self.pages >= AHEAD => copying.await,
            Poll::Pending => return,
        };
        self.copying = None;
        // An error is of no consequence: the log stays as it is, and is copied the next time.
        let (Ok(conn), Ok(writer)) = (copied, writer) else { return };
        self.conn = Some(conn);
        let _ = sql::checkpoint(writer, Which::Passive).await;
    }

    /// Waits for what is being copied, and closes the connection.
    pub(crate) async fn end(&mut self) {
        if let Some(copying) = self.copying.take()
            && let Ok(conn) = copying.await
        {
            self.conn = Some(conn);
        }
        if let Some(conn) = self.conn.take() {
            // It has nothing that could be lost.
            let _ = conn.close().await;
        }
    }
}

/// Whether it is done; nobody is told once it is.
fn look_at(copying: &mut Copying) -> Poll<Result<SqliteConnection, sqlx::Error>> {
    copying.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

async fn copy(path: PathBuf, level: Level, conn: Option<SqliteConnection>) -> Result<SqliteConnection, sqlx::Error> {
    let mut conn = match conn {
        Some(conn) => conn,
        None => connect(&path, Role::Checkpointer(level)).await?,
    };
    sql::checkpoint(&mut conn, Which::Passive).await?;
    Ok(conn)
}
