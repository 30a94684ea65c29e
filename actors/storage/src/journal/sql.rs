//! The statements by which a batch is written.

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Executor, Row, SqlSafeStr, SqlStr};
use steadfast::id::StreamId;
use steadfast::seam::{Epoch, Head, Seq, Snapshot};

use super::draft::{Change, Draft, Touched};
use super::heads::Known;
use super::tail::{Block, Tail};
use crate::block::Kept;

/// How many rows one statement inserts at most. There is one statement for each number up to it.
pub(super) const ROWS: usize = 64;

/// Begins a transaction, and says whether somebody else has changed the database.
const BEGIN: &str = "BEGIN IMMEDIATE; PRAGMA data_version";

/// Statements that take several rows at once, each for every number of rows.
pub(super) struct Statements {
    find: Many,
    records: Many,
    /// Begins, inserts the first records, and says whether somebody else has changed the database: all in one errand of
    /// SQLite's thread.
    first_records: Many,
    streams: Many,
    blocks: Many,
}

/// One statement for each number of rows.
struct Many(Vec<SqlStr>);

impl Many {
    fn new(before: &str, row: &str, after: &str) -> Self {
        let statement = |rows: usize| {
            let rows = vec![row; rows].join(", ");
            AssertSqlSafe(format!("{before} {rows} {after}")).into_sql_str()
        };
        Self((0..=ROWS).map(statement).collect())
    }

    async fn run<T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&mut SqliteArguments, &T) -> Bound,
    ) -> Result<(), sqlx::Error> {
        for some in rows.chunks(ROWS) {
            conn.execute(self.query(some, &bind)?).await?;
        }
        Ok(())
    }

    /// The statement for these rows, of which there are no more than [`ROWS`].
    fn query<T>(&self, rows: &[T], bind: impl Fn(&mut SqliteArguments, &T) -> Bound) -> Result<Bounded, sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        for row in rows {
            bind(&mut arguments, row).map_err(sqlx::Error::Encode)?;
        }
        Ok(sqlx::query_with(self.0[rows.len()].clone(), arguments))
    }
}

/// A statement with what is bound to it.
type Bounded = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

type Bound = Result<(), sqlx::error::BoxDynError>;

impl Default for Statements {
    fn default() -> Self {
        Self {
            find: Many::new(
                "SELECT s.name, s.id, s.epoch, s.owner, s.pruned, \
                 (SELECT max(last) FROM blocks WHERE stream = s.id), p.seq \
                 FROM streams s LEFT JOIN snapshots p ON p.stream = s.id WHERE s.name IN (",
                "?",
                ")",
            ),
            records: Many::new("INSERT INTO tail (stream, seq, epoch, body) VALUES", "(?, ?, ?, ?)", ""),
            first_records: Many::new(
                "BEGIN IMMEDIATE; INSERT INTO tail (stream, seq, epoch, body) VALUES",
                "(?, ?, ?, ?)",
                "; PRAGMA data_version",
            ),
            streams: Many::new(
                "INSERT INTO streams (id, name, epoch, owner, pruned) VALUES",
                "(?, ?, ?, ?, ?)",
                "ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner, \
                 pruned = excluded.pruned",
            ),
            blocks: Many::new("INSERT INTO blocks (stream, first, last, body) VALUES", "(?, ?, ?, ?)", ""),
        }
    }
}

impl Statements {
    /// Says where streams stand, without what the tail holds of them. Those that were never fenced are left out.
    pub(super) async fn find(
        &self,
        conn: &mut SqliteConnection,
        names: &[StreamId],
    ) -> Result<Vec<(StreamId, Known)>, sqlx::Error> {
        let mut found = Vec::new();
        for some in names.chunks(ROWS) {
            let mut arguments = SqliteArguments::default();
            for name in some {
                arguments.add(name.as_str()).map_err(sqlx::Error::Encode)?;
            }
            for row in conn.fetch_all(sqlx::query_with(self.find.0[some.len()].clone(), arguments)).await? {
                let name: String = row.try_get(0)?;
                let Some(stream) = some.iter().find(|stream| stream.as_str() == name) else { continue };
                let (pruned, blocks): (i64, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
                let last = blocks.unwrap_or(0).max(pruned);
                let head = Head::found(
                    (Epoch(number(row.try_get(2)?)), row.try_get(3)?),
                    (number(pruned), number(last)),
                    row.try_get::<Option<i64>, _>(6)?.map(number),
                );
                found.push((stream.clone(), Known { row: row.try_get(1)?, head }));
            }
        }
        Ok(found)
    }

    pub(super) async fn insert_records(
        &self,
        conn: &mut SqliteConnection,
        records: &[(i64, Seq, &Kept)],
    ) -> Result<(), sqlx::Error> {
        self.records.run(conn, records, bind_record).await
    }

    /// Begins to write with records and nothing else, all that a draft holds; returns what [`begin`] does.
    pub(super) async fn begin_with(
        &self,
        conn: &mut SqliteConnection,
        records: &[(i64, Seq, &Kept)],
    ) -> Result<i64, sqlx::Error> {
        let (first, others) = records.split_at(records.len().min(ROWS));
        let version = conn.fetch_one(self.first_records.query(first, bind_record)?).await?.try_get(0)?;
        self.insert_records(conn, others).await?;
        Ok(version)
    }

    pub(super) async fn put_streams(
        &self,
        conn: &mut SqliteConnection,
        streams: &[(&StreamId, &Touched)],
    ) -> Result<(), sqlx::Error> {
        let bind = |arguments: &mut SqliteArguments, (stream, touched): &(&StreamId, &Touched)| {
            let known = &touched.known;
            arguments.add(known.row)?;
            arguments.add(stream.as_str())?;
            arguments.add(signed(known.head.epoch().0))?;
            arguments.add(known.head.owner())?;
            arguments.add(signed(known.head.first() - 1))
        };
        self.streams.run(conn, streams, bind).await
    }

    /// Writes all that a draft holds, and says how many pages that were, about.
    pub(super) async fn fill(
        &self,
        conn: &mut SqliteConnection,
        draft: &Draft,
        tail: &Tail,
    ) -> Result<usize, sqlx::Error> {
        let rows: Vec<_> = draft.streams().filter(|(_, touched)| touched.row_changed).collect();
        self.put_streams(conn, &rows).await?;
        for (_, touched) in draft.streams() {
            let row = touched.known.row;
            if let Some(pruned) = touched.pruned {
                prune(conn, row, pruned).await?;
            }
            match &touched.snapshot {
                Some(Change::Save(snapshot)) => save_snapshot(conn, row, snapshot).await?,
                Some(Change::Forget) => forget_snapshot(conn, row).await?,
                None => {}
            }
        }
        if draft.seals(tail) {
            let blocks = draft.blocks(tail);
            self.seal(conn, &blocks).await?;
            return Ok(blocks.iter().map(|block| pages(block.body.len())).sum::<usize>() + rows.len());
        }
        let records: Vec<_> = draft.records().collect();
        self.insert_records(conn, &records).await?;
        Ok(pages(draft.bytes()) + rows.len())
    }

    /// Moves the tail into blocks.
    pub(super) async fn seal(&self, conn: &mut SqliteConnection, blocks: &[Block]) -> Result<(), sqlx::Error> {
        let bind = |arguments: &mut SqliteArguments, block: &Block| {
            arguments.add(block.stream)?;
            arguments.add(signed(block.first))?;
            arguments.add(signed(block.last))?;
            arguments.add(block.body.as_slice())
        };
        self.blocks.run(conn, blocks, bind).await?;
        conn.execute("DELETE FROM tail").await.map(|_| ())
    }
}

fn bind_record(arguments: &mut SqliteArguments, (stream, seq, kept): &(i64, Seq, &Kept)) -> Bound {
    arguments.add(*stream)?;
    arguments.add(signed(*seq))?;
    arguments.add(signed(kept.epoch))?;
    arguments.add(kept.body.as_slice())
}

/// How many pages so many bytes are about, with what stands beside them.
pub(super) const fn pages(bytes: usize) -> usize {
    bytes / 4096 + 2
}

/// Begins to write; returns what changes whenever another connection has written.
pub(super) async fn begin(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    conn.fetch_one(sqlx::query(BEGIN)).await?.try_get(0)
}

pub(super) async fn commit(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    conn.execute(sqlx::query("COMMIT")).await.map(|_| ())
}

/// Takes back what was begun; where nothing was, nothing happens.
pub(super) async fn roll_back(conn: &mut SqliteConnection) {
    // It is an error where no transaction is open, which is what is wanted.
    let _ = conn.execute(sqlx::query("ROLLBACK")).await;
}

/// Forgets the records of a stream up to a number. A block goes once all of it may go.
pub(super) async fn prune(conn: &mut SqliteConnection, stream: i64, upto: Seq) -> Result<(), sqlx::Error> {
    for sql in ["DELETE FROM tail WHERE stream = ? AND seq <= ?", "DELETE FROM blocks WHERE stream = ? AND last <= ?"] {
        conn.execute(sqlx::query(sql).bind(stream).bind(signed(upto))).await?;
    }
    Ok(())
}

pub(super) async fn save_snapshot(
    conn: &mut SqliteConnection,
    stream: i64,
    snapshot: &Snapshot,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO snapshots (stream, seq, body) VALUES (?, ?, ?) \
               ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, body = excluded.body";
    let query = sqlx::query(sql).bind(stream).bind(signed(snapshot.seq)).bind(snapshot.bytes.as_slice());
    conn.execute(query).await.map(|_| ())
}

pub(super) async fn forget_snapshot(conn: &mut SqliteConnection, stream: i64) -> Result<(), sqlx::Error> {
    conn.execute(sqlx::query("DELETE FROM snapshots WHERE stream = ?").bind(stream)).await.map(|_| ())
}

/// What the table `tail` holds: row of the stream, number, record.
pub(super) async fn tail(conn: &mut SqliteConnection) -> Result<Vec<(i64, Seq, Kept)>, sqlx::Error> {
    let rows = conn.fetch_all(sqlx::query("SELECT stream, seq, epoch, body FROM tail ORDER BY stream, seq")).await?;
    let record = |row: sqlx::sqlite::SqliteRow| {
        let kept = Kept { epoch: number(row.try_get(2)?), body: row.try_get(3)? };
        Ok((row.try_get(0)?, number(row.try_get(1)?), kept))
    };
    rows.into_iter().map(record).collect()
}

/// A number that changes whenever another connection has written.
pub(super) async fn version(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    conn.fetch_one(sqlx::query("PRAGMA data_version")).await?.try_get(0)
}

/// The row of the next stream that is new.
pub(super) async fn next_row(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    conn.fetch_one(sqlx::query("SELECT coalesce(max(id), 0) + 1 FROM streams")).await?.try_get(0)
}

/// How much of the log is copied into the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// What can be without waiting for anybody, nor holding up anybody.
    Passive,
    /// All, and the log is empty then.
    Whole,
}

/// Copies the log into the database, and says how many pages are left to be copied.
pub(crate) async fn checkpoint(conn: &mut SqliteConnection, which: Checkpoint) -> Result<u64, sqlx::Error> {
    let sql = match which {
        Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Checkpoint::Whole => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let row = conn.fetch_one(sqlx::query(sql)).await?;
    let (log, copied): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    Ok(number(log - copied))
}

/// The records of a stream that blocks hold after a number and up to another, with the number of the first.
pub(super) async fn in_blocks(
    conn: &mut SqliteConnection,
    stream: i64,
    (after, upto): (Seq, Seq),
) -> Result<Vec<(Seq, Vec<u8>)>, sqlx::Error> {
    let sql = "SELECT first, body FROM blocks WHERE stream = ? AND last > ? AND first <= ? ORDER BY last";
    let query = sqlx::query(sql).bind(stream).bind(signed(after)).bind(signed(upto));
    let rows = conn.fetch_all(query).await?;
    rows.into_iter().map(|row| Ok((number(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// SQLite's integers are signed. No number of ours comes near their end; one that is given from outside may.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn number(signed: i64) -> u64 {
    u64::try_from(signed).unwrap_or_default()
}
