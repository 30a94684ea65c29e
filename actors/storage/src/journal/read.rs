//! What is read: each by one statement, so that it is of one moment.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Executor, Row};
use steadfast::id::StreamId;
use steadfast::seam::{Epoch, Head, JournalError, Seq, Snapshot};

use super::sql::{number, signed};
use crate::block::decode;
use crate::error::{Trouble, unavailable};

/// The pruned records of a stream, its blocks and its part of the tail after a number.
const RECORDS: &str = "WITH s AS (SELECT id, pruned FROM streams WHERE name = ?1) \
     SELECT 0, pruned, x'' FROM s UNION ALL \
     SELECT 1, first, body FROM (SELECT first, body FROM blocks WHERE stream = (SELECT id FROM s) AND last > ?2 ORDER BY last) \
     UNION ALL \
     SELECT 2, seq, body FROM (SELECT seq, body FROM tail WHERE stream = (SELECT id FROM s) AND seq > ?2 ORDER BY seq)";

/// Where streams stand, by name.
const STREAMS: &str = "SELECT s.name, s.epoch, s.owner, s.pruned, \
     max(s.pruned, coalesce((SELECT max(last) FROM blocks WHERE stream = s.id), 0), coalesce(t.last, 0)), p.seq \
     FROM streams s LEFT JOIN snapshots p ON p.stream = s.id \
     LEFT JOIN (SELECT stream, max(seq) AS last FROM tail GROUP BY stream) t ON t.stream = s.id \
     WHERE s.name >= ?1 AND s.name < ?1 || char(1114111) ORDER BY s.name";

/// What was found of a stream.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// How many of its records are forgotten.
    pub(crate) pruned: Seq,
    /// Its records, with their numbers as they stand there.
    pub(crate) records: Vec<(Seq, Vec<u8>)>,
    /// What is wrong with it, and the number of the record at which it is seen.
    pub(crate) wrong: Vec<(Seq, String)>,
}

impl Found {
    /// The records after a number, as they are promised.
    pub(super) fn records(self, stream: &StreamId, after: Seq) -> Result<Vec<Vec<u8>>, JournalError> {
        if after < self.pruned {
            return Err(JournalError::Pruned { first: self.pruned + 1 });
        }
        if let Some((seq, what)) = self.wrong.into_iter().next() {
            return Err(JournalError::Corrupt { stream: stream.clone(), seq, what });
        }
        Ok(self.records.into_iter().map(|(_, record)| record).collect())
    }

    fn add(&mut self, row: &SqliteRow, after: Seq) -> Result<(), sqlx::Error> {
        let (kind, at): (i64, Seq) = (row.try_get(0)?, number(row.try_get(1)?));
        // A block goes as a whole, so one may hold records that were pruned.
        let after = after.max(self.pruned);
        match kind {
            0 => self.pruned = at,
            1 => {
                let (kept, wrong) = decode(row.try_get(2)?);
                let next = at + kept.len() as Seq;
                let new = (at..).zip(kept).filter(|(seq, _)| *seq > after);
                self.records.extend(new.map(|(seq, kept)| (seq, kept.body)));
                self.wrong.extend(wrong.map(|what| (next, what)));
            }
            _ => self.records.push((at, row.try_get(2)?)),
        }
        Ok(())
    }

    /// Says where numbers are missing or doubled.
    fn count(&mut self, after: Seq) {
        let mut expected = after + 1;
        for (seq, _) in &self.records {
            // Where a block is cut off, that is what is wrong.
            if *seq > expected && !self.wrong.iter().any(|(seq, _)| *seq == expected) {
                self.wrong.push((expected, format!("it is missing; the next one is {seq}")));
            } else if *seq < expected {
                self.wrong.push((*seq, "it is there twice".to_owned()));
            }
            expected = seq + 1;
        }
        self.wrong.sort();
    }
}

/// Finds the records of a stream after a number, and none that are forgotten.
pub(crate) async fn find(conn: &mut SqliteConnection, stream: &StreamId, after: Seq) -> Result<Found, sqlx::Error> {
    let query = sqlx::query(RECORDS).bind(stream.as_str()).bind(signed(after));
    let mut found = Found::default();
    for row in conn.fetch_all(query).await? {
        found.add(&row, after)?;
    }
    if !found.records.is_empty() {
        found.count(after.max(found.pruned));
    }
    Ok(found)
}

/// Finds all streams whose names begin like this, sorted by name, also those that hold nothing any more.
pub(crate) async fn streams(conn: &mut SqliteConnection, prefix: &str) -> Result<Vec<(StreamId, Head)>, sqlx::Error> {
    let rows = conn.fetch_all(sqlx::query(STREAMS).bind(prefix)).await?;
    let stream = |row: SqliteRow| {
        let name: String = row.try_get(0)?;
        let id = name.parse::<StreamId>().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let head = Head::found(
            (Epoch(number(row.try_get(1)?)), row.try_get(2)?),
            (number(row.try_get(3)?), number(row.try_get(4)?)),
            row.try_get::<Option<i64>, _>(5)?.map(number),
        );
        Ok((id, head))
    };
    rows.into_iter().map(stream).collect()
}

/// Finds the snapshot of a stream.
pub(super) async fn snapshot(conn: &mut SqliteConnection, stream: &StreamId) -> Result<Option<Snapshot>, sqlx::Error> {
    let sql = "SELECT p.seq, p.body FROM snapshots p JOIN streams s ON s.id = p.stream WHERE s.name = ?";
    let row = conn.fetch_optional(sqlx::query(sql).bind(stream.as_str())).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Snapshot { seq: number(row.try_get(0)?), bytes: row.try_get(1)? }))
}

/// The error of a read that failed.
pub(super) fn failed(error: &sqlx::Error, stream: &StreamId, after: Seq) -> JournalError {
    match Trouble::of(error) {
        Trouble::Corrupt => {
            JournalError::Corrupt { stream: stream.clone(), seq: after.saturating_add(1), what: error.to_string() }
        }
        _ => unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use steadfast::seam::{AppendAt, Level, Upto};

    use super::*;
    use crate::Store;
    use crate::connect::{Role, connect};

    /// As somebody reads who asked where the stream begins before its owner pruned it.
    #[tokio::test]
    async fn what_was_pruned_since_it_was_known_where_a_stream_begins_is_not_missing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stream: StreamId = "s/1".parse().expect("a stream id");
        // In the tail, and in a block of which a part is pruned.
        for sealed in [false, true] {
            let mut store = Store::open(folder.path(), Level::Durable, "me").await.expect("it opens");
            let epoch = store.journal().fence(&stream, "me").await.expect("a fence");
            let last = if sealed { 5 } else { 0 };
            let at = AppendAt { epoch, expected: last };
            store.journal().append(&stream, at, vec![b"x".to_vec(); 5]).await.expect("an append");
            if sealed {
                store.close().await.expect("it closes");
                store = Store::open(folder.path(), Level::Durable, "me").await.expect("it opens");
            }
            let (journal, snapshot) = (store.journal(), Snapshot { seq: last + 3, bytes: Vec::new() });
            journal.save_snapshot(&stream, epoch, snapshot).await.expect("it is saved");
            journal.prune(&stream, epoch, Upto::Snapshot).await.expect("it is pruned");
            let mut conn = connect(&folder.path().join("journal.db"), Role::Reader).await.expect("it opens");
            let found = find(&mut conn, &stream, last).await.expect("a read");
            assert_eq!(found.wrong, []);
            let numbers: Vec<_> = found.records.iter().map(|(seq, _)| *seq).collect();
            assert_eq!(numbers, [last + 4, last + 5]);
            drop(journal);
            store.close().await.expect("it closes");
        }
    }
}
