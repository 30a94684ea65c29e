//! The layout of the database, and the way there from every earlier one.
//!
//! `user_version` holds the number of the layout. Each step to the next one is a transaction of its own, so that a crash
//! leaves the one or the other. A layout that was once released is never changed: what it made is kept as a golden file.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor, Row};

use crate::connect::{self, Role};
use crate::error::StoreError;

/// The layout that this program writes and reads.
pub(crate) const LAYOUT: i64 = 1;

/// Tells our files from those of other programs: "STDF".
const APPLICATION: i64 = 0x5354_4446;

/// What makes each layout of the one before it, from the empty file on.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

/// What a file holds.
struct Found {
    application: i64,
    layout: i64,
    /// It has tables.
    used: bool,
}

async fn look(conn: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let sql = "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), \
               EXISTS (SELECT 1 FROM sqlite_schema)";
    let row = conn.fetch_one(sql).await?;
    Ok(Found { application: row.try_get(0)?, layout: row.try_get(1)?, used: row.try_get::<i64, _>(2)? != 0 })
}

/// Whether a file is ours, and not of a later program.
fn ours(path: &Path, found: &Found) -> Result<(), StoreError> {
    if found.used && found.application != APPLICATION {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found.layout > LAYOUT {
        return Err(StoreError::Newer { path: path.to_owned(), found: found.layout, known: LAYOUT });
    }
    Ok(())
}

/// Refuses a file that is not ours, or of a later program.
pub(crate) async fn refuse(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found = look(conn).await.map_err(StoreError::database(path))?;
    ours(path, &found)
}

/// Brings the file to the layout of this program.
pub(crate) async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found = look(conn).await.map_err(StoreError::database(path))?;
    ours(path, &found)?;
    let done = usize::try_from(found.layout).unwrap_or_default();
    for (step, sql) in STEPS.iter().enumerate().skip(done) {
        let whole = format!(
            "BEGIN IMMEDIATE; {sql}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {}; COMMIT",
            step + 1
        );
        conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(whole))).await.map_err(StoreError::database(path))?;
    }
    Ok(())
}

/// Whether this file is a journal with the layout of this program. It is only looked at: whatever it is, and whosever, it
/// stays as it is.
pub(crate) async fn check(path: &Path, role: Role) -> Result<(), StoreError> {
    let mut conn = connect::open(path, role).await?;
    let checked = has_our_layout(&mut conn, path).await;
    // It has written nothing.
    let _ = conn.close().await;
    checked
}

async fn has_our_layout(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found = look(conn).await.map_err(StoreError::database(path))?;
    ours(path, &found)?;
    if !found.used {
        return Err(StoreError::Missing { dir: path.parent().unwrap_or(path).to_owned() });
    }
    if found.layout < LAYOUT {
        return Err(StoreError::Older { path: path.to_owned(), found: found.layout, known: LAYOUT });
    }
    Ok(())
}
