//! What is read: each by one statement, so that it is of one moment.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Executor, Row};
use steadfast::id::StreamId;
use steadfast::seam::{AtMost, Epoch, Head, JournalError, Seq, Snapshot};

use super::sql::{number, signed};
use crate::block::decode;
use crate::error::{Trouble, unavailable};

/// The pruned records of a stream, its blocks and its part of the tail after a number.
const RECORDS: &str = "WITH s AS (SELECT id, pruned FROM streams WHERE name = ?1) \
     SELECT 0, pruned, x'', 0, 0 FROM s UNION ALL \
     SELECT 1, first, body, last, id FROM (SELECT first, body, last, id FROM blocks \
     WHERE stream = (SELECT id FROM s) AND last > ?2 ORDER BY last) UNION ALL \
     SELECT 2, seq, body, seq, 0 FROM (SELECT seq, body FROM tail \
     WHERE stream = (SELECT id FROM s) AND seq > ?2 ORDER BY seq)";

/// The pruned records of a stream, and as many of its blocks behind a place as come to so many bytes. Where it has no block
/// behind it, its part of the tail. So the next part begins where this one ends, also where the tail was moved meanwhile.
const SOME: &str = "WITH s AS (SELECT id, pruned FROM streams WHERE name = ?1), \
     b AS (SELECT id, last, length(body) AS size FROM blocks \
     WHERE stream = (SELECT id FROM s) AND (last, id) > (?2, ?3) ORDER BY last, id LIMIT ?4), \
     some AS (SELECT id, sum(size) OVER (ORDER BY last, id ROWS UNBOUNDED PRECEDING) - size AS before FROM b) \
     SELECT 0, pruned, x'', 0, 0 FROM s UNION ALL \
     SELECT 1, first, body, last, id FROM (SELECT first, body, last, id FROM blocks \
     WHERE id IN (SELECT id FROM some WHERE before < ?5) ORDER BY last, id) UNION ALL \
     SELECT 2, seq, body, seq, 0 FROM (SELECT seq, body FROM tail \
     WHERE stream = (SELECT id FROM s) AND seq > ?6 AND NOT EXISTS (SELECT 1 FROM b) ORDER BY seq)";

/// How many blocks are looked at for one part. With records of the usual length they have 4 MB.
const BLOCKS: i64 = 64;

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
    /// The number of the last record of the last block that they are from, and its row.
    pub(crate) block: Option<(Seq, i64)>,
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
                let (kept, cut_off) = decode(row.try_get(2)?);
                let (next, last) = (at + kept.len() as Seq, number(row.try_get(3)?));
                let new = (at..).zip(kept).filter(|(seq, _)| *seq > after);
                self.records.extend(new.map(|(seq, kept)| (seq, kept.body)));
                let ends_elsewhere = || (next != last + 1).then(|| format!("its block should go on to {last}"));
                self.wrong.extend(cut_off.or_else(ends_elsewhere).map(|what| (next, what)));
                self.block = Some((last, row.try_get(4)?));
            }
            _ => self.records.push((at, row.try_get(2)?)),
        }
        Ok(())
    }

    /// Says where numbers are missing or doubled, and which one is expected next.
    fn count(&mut self, mut expected: Seq) -> Seq {
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
        // What a block lacks at its end was said.
        self.block.map_or(expected, |(last, _)| expected.max(last + 1))
    }
}

/// Finds the records of a stream after a number, and none that are forgotten.
pub(crate) async fn find(conn: &mut SqliteConnection, stream: &StreamId, after: Seq) -> Result<Found, sqlx::Error> {
    let query = sqlx::query(RECORDS).bind(stream.as_str()).bind(signed(after));
    let mut found = Found::default();
    for row in conn.fetch_all(query).await? {
        found.add(&row, after)?;
    }
    found.count(after.max(found.pruned).saturating_add(1));
    Ok(found)
}

/// Finds the first records of a stream after a number: as many as so many bytes, and about a block more.
pub(super) async fn find_some(
    conn: &mut SqliteConnection,
    stream: &StreamId,
    (after, bytes): (Seq, usize),
) -> Result<Found, sqlx::Error> {
    let mut found = some(conn, stream, ((after, i64::MAX), after), bytes).await?;
    found.count(after.max(found.pruned).saturating_add(1));
    Ok(found)
}

/// How far a look at all records of a stream has come.
pub(crate) struct Look {
    /// The last block that was looked at.
    block: (Seq, i64),
    /// The number of the record that comes next.
    pub(crate) expected: Seq,
}

impl Look {
    /// At the beginning.
    pub(crate) const fn new() -> Self {
        Self { block: (0, 0), expected: 1 }
    }

    /// Finds the next records. Where they were not of a [block](Found::block) there are no more.
    pub(crate) async fn next(&mut self, conn: &mut SqliteConnection, stream: &StreamId) -> Result<Found, sqlx::Error> {
        // All of the tail, so that a record is seen that is there and in a block, too.
        let mut found = some(conn, stream, (self.block, 0), AtMost::default().bytes).await?;
        self.expected = found.count(self.expected.max(found.pruned + 1));
        self.block = found.block.unwrap_or(self.block);
        Ok(found)
    }
}

/// The records in the blocks behind one; where there is none behind it, those in the tail after a number.
async fn some(
    conn: &mut SqliteConnection,
    stream: &StreamId,
    ((last, block), after): ((Seq, i64), Seq),
    bytes: usize,
) -> Result<Found, sqlx::Error> {
    let bytes = i64::try_from(bytes.max(1)).unwrap_or(i64::MAX);
    let query = sqlx::query(SOME).bind(stream.as_str()).bind(signed(last)).bind(block);
    let mut found = Found::default();
    for row in conn.fetch_all(query.bind(BLOCKS).bind(bytes).bind(signed(after))).await? {
        found.add(&row, after)?;
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
