//! Requests of other processes, in the table `requests`.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Executor, Row};
use steadfast_orchestration::run::Millis;
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::requests::{Request, Requests, RequestsError};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::connect::{self, Role};
use crate::error::{StoreError, Trouble};
use crate::journal::sql::{number, signed};
use crate::journal::writer::Writer;
use crate::schema;

/// The requests of a store, as its owner has them.
pub(crate) struct SqliteRequests {
    writer: Arc<Mutex<Writer>>,
    seen: Mutex<Seen>,
}

/// What was pending when another connection had written last.
#[derive(Default)]
struct Seen {
    /// The number of that moment; none where all is to be read anew.
    version: Option<i64>,
    pending: Vec<Request>,
}

impl SqliteRequests {
    pub(crate) fn new(writer: Arc<Mutex<Writer>>) -> Self {
        Self { writer, seen: Mutex::default() }
    }
}

/// Leaves a request for the owner of the store in this folder, from another process and without the lock. Whether there is
/// an owner, [`Store::owner`](crate::Store::owner) tells.
///
/// Once it is `Ok` the request survives a loss of power, whatever the level of the store.
///
/// # Errors
///
/// [`StoreError::Missing`] where there is no store, [`StoreError::Newer`], and [`StoreError::Database`].
pub(crate) async fn leave(path: &Path, request: &Request) -> Result<(), StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { dir: path.parent().unwrap_or(path).to_owned() });
    }
    schema::check(path, Role::Reader).await?;
    let mut conn = connect::open(path, Role::Guest).await?;
    insert(&mut conn, request).await.map_err(StoreError::database(path))?;
    conn.close().await.map_err(StoreError::database(path))
}

async fn insert(conn: &mut SqliteConnection, request: &Request) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO requests (id, wall, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql).bind(request.id.as_bytes().as_slice()).bind(signed(request.wall.0));
    conn.execute(query.bind(request.body.as_slice())).await.map(|_| ())
}

async fn all(conn: &mut SqliteConnection) -> Result<Vec<Request>, sqlx::Error> {
    let rows = conn.fetch_all(sqlx::query("SELECT id, wall, body FROM requests ORDER BY id")).await?;
    let request = |row: SqliteRow| {
        let id = Uuid::from_slice(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Request { id, wall: Millis(number(row.try_get(1)?)), body: row.try_get(2)? })
    };
    rows.into_iter().map(request).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "so that `map_err` takes it")]
fn failed(error: sqlx::Error) -> RequestsError {
    RequestsError(Trouble::of(&error).explain(&error))
}

impl Requests for SqliteRequests {
    fn put(&self, request: Request) -> BoxFuture<'_, Result<(), RequestsError>> {
        Box::pin(async move {
            let mut seen = self.seen.lock().await;
            // Whatever comes of it is read anew, also when this future is dropped.
            seen.version = None;
            let mut writer = self.writer.lock().await;
            insert(writer.aside().await.map_err(failed)?, &request).await.map_err(failed)
        })
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<Request>, RequestsError>> {
        Box::pin(async move {
            let mut seen = self.seen.lock().await;
            let mut writer = self.writer.lock().await;
            let version = writer.others_wrote().await.map_err(failed)?;
            if seen.version != Some(version) {
                seen.version = None;
                seen.pending = all(writer.aside().await.map_err(failed)?).await.map_err(failed)?;
                seen.version = Some(version);
            }
            Ok(seen.pending.clone())
        })
    }

    fn done(&self, id: Uuid) -> BoxFuture<'_, Result<(), RequestsError>> {
        Box::pin(async move {
            let mut seen = self.seen.lock().await;
            seen.version = None;
            let mut writer = self.writer.lock().await;
            let query = sqlx::query("DELETE FROM requests WHERE id = ?").bind(id.as_bytes().to_vec());
            writer.aside().await.map_err(failed)?.execute(query).await.map(|_| ()).map_err(failed)
        })
    }
}
