//! What the journal says when SQLite fails in the middle of it, and that it goes on afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, Epoch, Journal, JournalError, Level, Upto, Write};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::SqliteJournal;
use super::writer::{self, Writer};
use crate::connect::{Role, connect};
use crate::lock::Lock;
use crate::readers::Readers;
use crate::schema;

async fn journal(dir: &Path) -> SqliteJournal {
    let path = dir.join("journal.db");
    let (level, lock) = (Level::Durable, Arc::new(Lock::take(dir, "a test").await.expect("it is free")));
    let mut conn = writer::open(&path, level, &lock).await.expect("it opens");
    schema::migrate(&mut conn, &path).await.expect("it is new");
    let writer = Some(Arc::new(Mutex::new(Writer::new(path.clone(), (level, lock), conn))));
    SqliteJournal { dir: dir.to_owned(), level, writer, readers: Arc::new(Readers::new(path, Role::Reader)) }
}

/// Whether somebody was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Desk {
    _folder: TempDir,
    journal: SqliteJournal,
    epoch: Epoch,
}

fn stream() -> StreamId {
    "s/1".parse().expect("a stream id")
}

impl Desk {
    /// A journal with one record.
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = journal(folder.path()).await;
        let epoch = journal.fence(&stream(), "me").await.expect("a fence");
        let desk = Self { _folder: folder, journal, epoch };
        assert_eq!(desk.append(0, b"1").await, Ok(1));
        desk
    }

    fn write(&self, expected: u64, record: &[u8]) -> Write {
        let at = AppendAt { epoch: self.epoch, expected };
        Write::Append { stream: stream(), at, records: vec![record.to_vec()] }
    }

    async fn append(&self, expected: u64, record: &[u8]) -> Result<u64, JournalError> {
        let at = AppendAt { epoch: self.epoch, expected };
        self.journal.append(&stream(), at, vec![record.to_vec()]).await
    }

    /// Does something to the connection that writes.
    async fn with(&self, change: impl AsyncFnOnce(&mut SqliteConnection)) {
        let mut writer = self.journal.writer.as_ref().expect("it writes").lock().await;
        change(writer.aside().await.expect("it works")).await;
    }

    async fn records(&self) -> Vec<Vec<u8>> {
        self.journal.read(&stream(), 0).await.expect("a read")
    }
}

#[tokio::test]
async fn at_durable_every_commit_is_synced_and_at_process_crash_safe_the_log_before_it_is_copied() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // SQLite's numbers: 2 is FULL, 1 is NORMAL.
    for (level, expected) in [(Level::Durable, 2), (Level::ProcessCrashSafe, 1)] {
        let path = folder.path().join(format!("{level}.db"));
        for role in [Role::Writer(level), Role::Checkpointer(level)] {
            let mut conn = connect(&path, role).await.expect("it opens");
            let mut ask = async |sql: &'static str| {
                conn.fetch_one(sqlx::query(sql)).await.and_then(|row| row.try_get::<i64, _>(0)).expect("a number")
            };
            assert_eq!(ask("PRAGMA synchronous").await, expected, "{role:?}");
            assert_eq!(ask("PRAGMA wal_autocheckpoint").await, 0, "no commit copies the log");
        }
        let mut guest = connect(&path, Role::Guest).await.expect("it opens");
        let row = guest.fetch_one(sqlx::query("PRAGMA synchronous")).await.expect("it answers");
        assert_eq!(row.try_get::<i64, _>(0).expect("a number"), 2, "a request is kept whatever the level");
    }
}

#[tokio::test]
async fn a_commit_that_failed_is_in_doubt_for_all_that_would_have_been_ok_and_the_same_again_is_not() {
    let desk = Desk::new().await;
    // SQLite asks it before each commit, and takes the transaction back when it says no: an error of the commit itself.
    desk.with(async |conn| conn.lock_handle().await.expect("it works").set_commit_hook(|| false)).await;
    let fence = Write::Fence { stream: "s/2".parse().expect("a stream id"), owner: "me".to_owned() };
    let batch = vec![desk.write(1, b"2"), desk.write(9, b"x"), desk.write(2, b"3"), fence];
    let answers = desk.journal.write(batch).await;
    let doubt = |answer: &Result<_, _>| matches!(answer, Err(JournalError::InDoubt(_)));
    assert!(doubt(&answers[0]) && doubt(&answers[2]) && doubt(&answers[3]), "{answers:?}");
    assert_eq!(answers[1], Err(JournalError::Moved { expected: 9, actual: 2 }), "refused is refused");
    assert_eq!(desk.records().await, [b"1"]);

    // The connection was opened anew, and with it the hook is gone.
    assert_eq!(desk.append(1, b"2").await, Ok(2));
    assert_eq!(desk.append(1, b"2").await, Ok(2), "the same once more");
    assert_eq!(desk.append(2, b"3").await, Ok(3));
    assert_eq!(desk.records().await, [b"1", b"2", b"3"]);
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_was_kept_and_with_room_it_goes_on() {
    let desk = Desk::new().await;
    desk.with(async |conn| {
        // As few pages as it has already.
        conn.execute("PRAGMA max_page_count = 1").await.expect("it is set");
    })
    .await;
    let refused = desk.append(1, &vec![7; 100_000]).await;
    assert!(matches!(&refused, Err(JournalError::Unavailable(why)) if why.contains("disk is full")), "{refused:?}");
    assert_eq!(desk.records().await, [b"1"]);
    desk.with(async |conn| {
        conn.execute("PRAGMA max_page_count = 100000").await.expect("it is set");
    })
    .await;
    assert_eq!(desk.append(1, &vec![7; 100_000]).await, Ok(2));
}

#[tokio::test]
async fn a_write_that_was_dropped_after_any_number_of_steps_is_there_as_a_whole_or_not_at_all() {
    let mut most = 0;
    for steps in 0..30 {
        let desk = Desk::new().await;
        let batch = vec![desk.write(1, b"2"), desk.write(2, &[3; 5000]), desk.write(3, b"4")];
        let mut writing = desk.journal.write(batch);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut ended = false;
        for _ in 0..steps {
            ended = writing.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            if ended {
                break;
            }
            // SQLite's thread answers each statement, so that each step is another place in the batch.
            while !woken.0.swap(false, Ordering::Acquire) {
                std::thread::yield_now();
            }
        }
        drop(writing);
        most = most.max(if ended { steps } else { 0 });
        let epoch = desk.journal.fence(&stream(), "next").await.expect("a fence");
        let found = desk.records().await.len();
        assert!([1, 4].contains(&found) && (!ended || found == 4), "{found} records after {steps} steps");
        let at = AppendAt { epoch, expected: found as u64 };
        assert_eq!(desk.journal.append(&stream(), at, vec![b"5".to_vec()]).await, Ok(found as u64 + 1));
    }
    assert!(most > 5, "it ended after {most} steps, which is too few to be dropped in between");
}

#[tokio::test]
async fn what_is_known_of_many_streams_is_found_again_when_it_was_forgotten() {
    let desk = Desk::new().await;
    let stream = |number: u64| format!("many/{number}").parse::<StreamId>().expect("a stream id");
    let fence = |number| Write::Fence { stream: stream(number), owner: "me".to_owned() };
    let answers = desk.journal.write((0..200).map(fence).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    let append = |number, expected| {
        let at = AppendAt { epoch: Epoch(1), expected };
        Write::Append { stream: stream(number), at, records: vec![number.to_be_bytes().to_vec(); 3] }
    };
    let answers = desk.journal.write((0..200).map(|number| append(number, 0)).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    for _ in 0..2 {
        // All is forgotten with the connection.
        desk.with(async |conn| conn.lock_handle().await.expect("it works").set_commit_hook(|| false)).await;
        assert!(matches!(desk.append(1, b"2").await, Err(JournalError::InDoubt(_))));
        let again = (0..200).map(|number| append(number, 0)).collect();
        assert!(desk.journal.write(again).await.iter().all(Result::is_ok), "they stand there already");
    }
    let answers = desk.journal.write((0..200).map(|number| append(number, 3)).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "and go on where they ended");
    let prune = Write::Prune { stream: stream(7), epoch: Epoch(1), upto: Upto::All };
    assert!(desk.journal.write(vec![prune]).await[0].is_ok());
    assert_eq!(desk.journal.list("many/").await.expect("a list").len(), 199);
    assert_eq!(desk.journal.read(&stream(7), 0).await, Err(JournalError::Pruned { first: 7 }));
}
