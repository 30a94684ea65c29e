//! The one connection that writes, and what it knows of the database.
//!
//! What is known (where streams stand, what the tail holds) is of one moment of the database, which has a number: SQLite
//! changes it whenever another connection has written. A batch is written only while the number is the same; otherwise
//! everything is read anew first. So nothing wrong is kept even where the lock did not keep a second owner away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, JournalError, Level, Seq, Write, Written};

use super::draft::{Decided, Draft};
use super::heads::{Heads, Known};
use super::sql::{self, Statements};
use super::tail::Tail;
use crate::block::decode;
use crate::checkpoint::Checkpoint;
use crate::connect::{Role, connect};
use crate::error::{unavailable, uncommitted};
use crate::lock::Lock;

/// How many streams are known at least.
const KNOWN: usize = 8192;

/// How often a batch begins anew because another connection has written meanwhile.
const TRIES: usize = 8;

pub(super) type Answers = Vec<Result<Written, JournalError>>;

/// The connection that writes.
pub(crate) struct Writer {
    path: PathBuf,
    level: Level,
    /// None once it was closed.
    lock: Option<Arc<Lock>>,
    /// None where it broke; it is opened again by the next batch.
    conn: Option<SqliteConnection>,
    statements: Statements,
    heads: Heads,
    tail: Tail,
    /// None where nothing is known.
    moment: Option<Moment>,
    /// A batch was begun, and how it ended is not known: its future was dropped.
    begun: bool,
    checkpoint: Checkpoint,
}

/// The moment of which everything is known.
#[derive(Clone, Copy)]
struct Moment {
    /// Its number.
    version: i64,
    /// The row of the next new stream.
    next_row: i64,
}

/// A batch could not be written.
enum Failed {
    /// Certainly nothing of it was.
    Nothing(sqlx::Error),
    /// The commit failed.
    Commit(sqlx::Error),
    /// Another connection has written since.
    Outdated,
}

impl Writer {
    pub(crate) fn new(path: PathBuf, (level, lock): (Level, Arc<Lock>), conn: SqliteConnection) -> Self {
        Self {
            checkpoint: Checkpoint::new(path.clone(), level),
            path,
            level,
            lock: Some(lock),
            conn: Some(conn),
            statements: Statements::default(),
            heads: Heads::new(KNOWN),
            tail: Tail::default(),
            moment: None,
            begun: false,
        }
    }

    /// Carries out a batch in one transaction.
    pub(super) async fn write(&mut self, batch: &[Write]) -> Answers {
        match self.try_write(batch).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn try_write(&mut self, batch: &[Write]) -> Result<Answers, JournalError> {
        for _ in 0..TRIES {
            self.settle().await.map_err(|error| unavailable(&error))?;
            let (draft, answers) = self.decide(batch).await.map_err(|error| unavailable(&error))?;
            if draft.changes_nothing() {
                return Ok(answers);
            }
            match self.carry_out(&draft).await {
                Ok(pages) => {
                    self.keep(draft);
                    self.checkpoint.committed(pages, connection(&mut self.conn)).await;
                    return Ok(answers);
                }
                Err(Failed::Outdated) => {}
                Err(Failed::Nothing(error)) => return Ok(refused(answers, &unavailable(&error))),
                Err(Failed::Commit(error)) => return Ok(refused(answers, &uncommitted(&error))),
            }
        }
        Err(JournalError::Unavailable("other processes write to the store all the time".to_owned()))
    }

    /// Moves what an earlier owner left in the tail into blocks: its streams are about to be read.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.seal().await
    }

    /// Moves the tail into blocks as it is now, whoever wrote it. Where others write all the time it stays: nothing depends
    /// on it.
    async fn seal(&mut self) -> Result<(), sqlx::Error> {
        for _ in 0..TRIES {
            self.settle().await?;
            if self.tail.is_empty() {
                break;
            }
            self.begun = true;
            let sealed = self.try_seal().await;
            if let Err(failed) = &sealed {
                self.give_up(failed).await;
            }
            match sealed {
                Ok(()) => {
                    self.begun = false;
                    self.tail.clear();
                    break;
                }
                Err(Failed::Outdated) => {}
                Err(Failed::Nothing(error) | Failed::Commit(error)) => return Err(error),
            }
        }
        Ok(())
    }

    async fn try_seal(&mut self) -> Result<(), Failed> {
        let conn = begin_at(&mut self.conn, self.moment).await?;
        self.statements.seal(conn, &self.tail.blocks()).await.map_err(Failed::Nothing)?;
        sql::commit(conn).await.map_err(Failed::Commit)
    }

    /// Comes to a known state after whatever happened before.
    async fn settle(&mut self) -> Result<(), sqlx::Error> {
        if self.begun {
            self.forget();
            if let Some(conn) = &mut self.conn {
                sql::roll_back(conn).await;
            }
            self.begun = false;
        }
        let Some(lock) = &self.lock else { return Err(sqlx::Error::PoolClosed) };
        if self.conn.is_none() {
            self.conn = Some(open(&self.path, self.level, lock).await?);
            self.forget();
        }
        if self.moment.is_none() {
            self.learn().await?;
        }
        Ok(())
    }

    /// Reads what must be known before anything is written.
    async fn learn(&mut self) -> Result<(), sqlx::Error> {
        let conn = connection(&mut self.conn)?;
        // First of all: whatever somebody else writes from here on changes this number.
        let version = sql::version(conn).await?;
        let next_row = sql::next_row(conn).await?;
        self.tail.clear();
        for (stream, seq, kept) in sql::tail(conn).await? {
            self.tail.push(stream, seq, kept);
        }
        self.moment = Some(Moment { version, next_row });
        Ok(())
    }

    /// Nothing is known any more.
    fn forget(&mut self) {
        self.heads.clear();
        self.tail.clear();
        self.moment = None;
    }

    /// Decides every write of a batch.
    async fn decide(&mut self, batch: &[Write]) -> Result<(Draft, Answers), sqlx::Error> {
        let known = self.look_up(batch).await?;
        let mut draft = Draft::new(self.moment.map_or(1, |moment| moment.next_row), known);
        let mut answers = Vec::with_capacity(batch.len());
        for write in batch {
            answers.push(match (draft.decide(write), write) {
                (Decided::Answer(answer), _) => answer,
                (Decided::IfThere(at), Write::Append { stream, records, .. }) => {
                    if self.holds(&draft, (stream, at), records).await? {
                        Ok(Written::Seq(at.expected + records.len() as Seq))
                    } else {
                        Err(draft.moved(stream, at))
                    }
                }
                (Decided::IfThere(at), other) => Err(draft.moved(other.stream(), at)),
            });
        }
        Ok((draft, answers))
    }

    /// Where the streams of a batch stand.
    async fn look_up(&mut self, batch: &[Write]) -> Result<Vec<(StreamId, Known)>, sqlx::Error> {
        let mut known = Vec::with_capacity(batch.len());
        let mut unknown = Vec::new();
        for stream in batch.iter().map(Write::stream).collect::<BTreeSet<_>>() {
            match self.heads.get(stream) {
                Some(found) => known.push((stream.clone(), found.clone())),
                None => unknown.push(stream.clone()),
            }
        }
        if unknown.is_empty() {
            return Ok(known);
        }
        for (stream, mut found) in self.statements.find(connection(&mut self.conn)?, &unknown).await? {
            if let Some(last) = self.tail.last(found.row) {
                let more = last.saturating_sub(found.head.last());
                found.head.appended(usize::try_from(more).unwrap_or_default());
            }
            self.heads.put(stream.clone(), found.clone());
            known.push((stream, found));
        }
        Ok(known)
    }

    /// Whether exactly these records stand there, written by this epoch.
    async fn holds(
        &mut self,
        draft: &Draft,
        (stream, at): (&StreamId, AppendAt),
        records: &[Vec<u8>],
    ) -> Result<bool, sqlx::Error> {
        let Some(touched) = draft.get(stream) else { return Ok(false) };
        let (row, epoch) = (touched.known.row, at.epoch.0);
        let end = at.expected + records.len() as Seq;
        let blocks = sql::in_blocks(connection(&mut self.conn)?, row, (at.expected, end)).await?;
        let mut older = blocks.iter().flat_map(|(first, body)| (*first..).zip(decode(body).0)).peekable();
        for (seq, record) in (at.expected + 1..).zip(records) {
            while older.next_if(|(there, _)| *there < seq).is_some() {}
            let kept = touched.new_record(seq).or_else(|| self.tail.get(row, seq));
            let kept = kept.or_else(|| older.peek().filter(|(there, _)| *there == seq).map(|(_, kept)| kept));
            if !kept.is_some_and(|kept| kept.epoch == epoch && kept.body == *record) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what a batch does, and says how many pages that were, about.
    async fn carry_out(&mut self, draft: &Draft) -> Result<usize, Failed> {
        self.begun = true;
        let pages = match self.fill(draft).await {
            Ok(pages) => pages,
            Err(failed) => {
                self.give_up(&failed).await;
                return Err(failed);
            }
        };
        let committed = match connection(&mut self.conn) {
            Ok(conn) => sql::commit(conn).await,
            Err(error) => Err(error),
        };
        if let Err(error) = committed {
            let failed = Failed::Commit(error);
            self.give_up(&failed).await;
            return Err(failed);
        }
        self.begun = false;
        Ok(pages)
    }

    /// Begins, and writes everything but the end.
    async fn fill(&mut self, draft: &Draft) -> Result<usize, Failed> {
        if draft.only_appends(&self.tail) {
            return self.fill_at_once(draft).await;
        }
        let conn = begin_at(&mut self.conn, self.moment).await?;
        self.statements.fill(conn, draft, &self.tail).await.map_err(Failed::Nothing)
    }

    /// As [`fill`](Self::fill), in one errand instead of two: each way to SQLite's thread and back costs as much as a small
    /// commit. So it is known only afterwards whether somebody else has written since, and then nothing is committed.
    async fn fill_at_once(&mut self, draft: &Draft) -> Result<usize, Failed> {
        let (conn, records) =
            (connection(&mut self.conn).map_err(Failed::Nothing)?, draft.records().collect::<Vec<_>>());
        let version = self.statements.begin_with(conn, &records).await.map_err(Failed::Nothing)?;
        let is_known = self.moment.is_some_and(|moment| moment.version == version);
        if is_known { Ok(sql::pages(draft.bytes())) } else { Err(Failed::Outdated) }
    }

    /// Takes back what was begun. What was known stays so where certainly nothing happened.
    async fn give_up(&mut self, failed: &Failed) {
        if let Some(conn) = &mut self.conn {
            sql::roll_back(conn).await;
        }
        self.begun = false;
        match failed {
            Failed::Nothing(error) if !matches!(error, sqlx::Error::WorkerCrashed) => {}
            Failed::Outdated => self.forget(),
            // The connection is in no state that is known either.
            Failed::Nothing(_) | Failed::Commit(_) => {
                self.conn = None;
                self.forget();
            }
        }
    }

    /// What was committed is what is known now.
    fn keep(&mut self, draft: Draft) {
        if let Some(moment) = &mut self.moment {
            moment.next_row = draft.next_row();
        }
        let sealed = draft.seals(&self.tail);
        for (stream, touched) in draft.into_streams() {
            let row = touched.known.row;
            if let Some(pruned) = touched.pruned {
                self.tail.prune(row, pruned);
            }
            if !sealed {
                for (seq, kept) in (touched.first_new..).zip(touched.new) {
                    self.tail.push(row, seq, kept);
                }
            }
            if row != 0 {
                self.heads.put(stream, touched.known);
            }
        }
        if sealed {
            self.tail.clear();
        }
    }

    /// A number that changes whenever another connection has written.
    pub(crate) async fn others_wrote(&mut self) -> Result<i64, sqlx::Error> {
        sql::version(self.aside().await?).await
    }

    /// The connection, in a known state, for a statement that concerns no stream.
    pub(crate) async fn aside(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.settle().await?;
        connection(&mut self.conn)
    }

    /// Moves all into the database file, closes the connections, and gives the lock up, whatever comes of the rest.
    pub(crate) async fn close(&mut self) -> Result<(), sqlx::Error> {
        let moved = self.move_all().await;
        let released = self.release().await;
        moved.and(released)
    }

    async fn move_all(&mut self) -> Result<(), sqlx::Error> {
        self.seal().await?;
        self.checkpoint.end().await;
        sql::checkpoint(connection(&mut self.conn)?, sql::Checkpoint::Whole).await.map(|_| ())
    }

    /// Closes the connections as all is, and gives the lock up.
    pub(crate) async fn release(&mut self) -> Result<(), sqlx::Error> {
        self.lock = None;
        self.forget();
        self.checkpoint.end().await;
        match self.conn.take() {
            Some(conn) => conn.close().await,
            None => Ok(()),
        }
    }
}

/// Opens the connection that writes. The lock is held until SQLite has closed it, wherever it is dropped: a statement that
/// is on its way is carried out before the next owner comes.
pub(crate) async fn open(path: &Path, level: Level, lock: &Arc<Lock>) -> Result<SqliteConnection, sqlx::Error> {
    let mut conn = connect(path, Role::Writer(level)).await?;
    let held = Arc::clone(lock);
    conn.lock_handle().await?.set_commit_hook(move || {
        let _ = &held;
        true
    });
    Ok(conn)
}

fn connection(conn: &mut Option<SqliteConnection>) -> Result<&mut SqliteConnection, sqlx::Error> {
    conn.as_mut().ok_or(sqlx::Error::WorkerCrashed)
}

/// Begins to write where nobody else has written since that moment, of which everything is known.
async fn begin_at(conn: &mut Option<SqliteConnection>, known: Option<Moment>) -> Result<&mut SqliteConnection, Failed> {
    let conn = connection(conn).map_err(Failed::Nothing)?;
    let version = sql::begin(conn).await.map_err(Failed::Nothing)?;
    if known.is_some_and(|moment| moment.version == version) { Ok(conn) } else { Err(Failed::Outdated) }
}

/// The answers of a batch that was not kept: those that would have been `Ok` are this error.
fn refused(answers: Answers, error: &JournalError) -> Answers {
    answers.into_iter().map(|answer| answer.and_then(|_| Err(error.clone()))).collect()
}
