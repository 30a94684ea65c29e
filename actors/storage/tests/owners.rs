//! A store has one owner; others read it and leave requests, whether or not the owner lives.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, Epoch, Journal, JournalError, Level};
use steadfast_orchestration::run::Millis;
use steadfast_orchestration::seam::requests::Request;
use steadfast_storage::{Store, StoreError};
use tempfile::TempDir;
use uuid::Uuid;

/// Names the folder to the process that owns the store in the tests of two processes.
const FOLDER: &str = "STEADFAST_TEST_OWNS";

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("state");
    (folder, dir)
}

async fn open(dir: &Path) -> Store {
    Store::open(dir, Level::Durable, "a test").await.expect("the store opens")
}

fn stream() -> StreamId {
    "s/1".parse().expect("a stream id")
}

fn request(id: u128) -> Request {
    Request { id: Uuid::from_u128(id), wall: Millis(7), body: b"pause".to_vec() }
}

async fn append(journal: &dyn Journal, epoch: Epoch, expected: u64, record: &[u8]) {
    let at = AppendAt { epoch, expected };
    assert_eq!(journal.append(&stream(), at, vec![record.to_vec()]).await, Ok(expected + 1));
}

/// Another process, which owns the store and does what it is told.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The last record of which it said that it was acknowledged.
    last: u64,
}

impl Other {
    /// Starts it, and waits until it owns the store.
    #[expect(clippy::disallowed_methods, reason = "the other process is this program once more")]
    fn own(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["the_other_process_owns_the_store", "--exact", "--nocapture"]).env(FOLDER, dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut other = Self { child, input, output: BufReader::new(output), last: 0 };
        other.heard("owns");
        other
    }

    fn heard(&mut self, word: &str) {
        let mut line = String::new();
        while !line.ends_with(&format!("{word}\n")) {
            line.clear();
            assert!(self.output.read_line(&mut line).expect("it speaks") > 0, "it ended before it said `{word}`");
        }
    }

    /// Hears of one more record that was acknowledged.
    fn heard_line(&mut self) {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).expect("it speaks") > 0, "it ended");
        if let Some(last) = line.trim_end().strip_prefix(ACKNOWLEDGED) {
            self.last = last.parse().expect("a number");
        }
    }

    fn told(&mut self, word: &str) {
        writeln!(self.input, "{word}").expect("it listens");
        self.heard(word);
    }

    fn kill(mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it has ended");
    }
}

/// What the other process runs; of itself it does nothing.
#[tokio::test]
async fn the_other_process_owns_the_store() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = Store::open(&dir, Level::ProcessCrashSafe, "the other process").await.expect("it is free");
    let (journal, requests) = (store.journal(), store.requests().expect("it is the owner"));
    let epoch = journal.fence(&stream(), "the other process").await.expect("a fence");
    println!("owns");
    for line in std::io::stdin().lines() {
        let word = line.expect("it is told something");
        match word.as_str() {
            "append" => {
                let last = journal.read(&stream(), 0).await.expect("a read").len() as u64;
                append(&*journal, epoch, last, b"of the other process").await;
            }
            "carry-out" => {
                for request in requests.pending().await.expect("they are there") {
                    requests.done(request.id).await.expect("it is done");
                }
            }
            "append-and-append" => append_until_killed(&*journal, epoch).await,
            "close" => break,
            other => panic!("what is `{other}`?"),
        }
        println!("{word}");
    }
    store.close().await.expect("it closes");
    println!("close");
}

/// Says of each record that it was acknowledged, until it is killed.
async fn append_until_killed(journal: &dyn Journal, epoch: Epoch) {
    let begins = journal.read(&stream(), 0).await.expect("a read").len() as u64;
    for seq in begins.. {
        append(journal, epoch, seq, &seq.to_be_bytes()).await;
        println!("{ACKNOWLEDGED}{}", seq + 1);
    }
}

/// What is said before the number of a record that was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged: ";

#[tokio::test]
async fn what_a_process_was_told_is_kept_is_there_after_it_was_killed_at_any_moment() {
    let (_folder, dir) = folder();
    let mut records = 0;
    for round in 0..10_u64 {
        let mut other = Other::own(&dir);
        writeln!(other.input, "append-and-append").expect("it listens");
        for _ in 0..=round * 37 % 100 {
            other.heard_line();
        }
        other.child.kill().expect("it is there");
        // What it said before it was killed, and nobody read.
        let mut rest = String::new();
        other.output.read_to_string(&mut rest).expect("it speaks");
        other.child.wait().expect("it has ended");
        let last = rest.lines().filter_map(|line| line.strip_prefix(ACKNOWLEDGED)?.parse().ok()).max();
        let last: u64 = last.unwrap_or(other.last);

        let found = Store::read_only(&dir).await.expect("it can be read").journal().read(&stream(), 0).await;
        let found = found.expect("a read");
        assert!(found.len() as u64 >= last, "round {round}: {} records, {last} were acknowledged", found.len());
        let expected: Vec<_> = (0..found.len() as u64).map(|seq| seq.to_be_bytes().to_vec()).collect();
        assert_eq!(found, expected, "round {round}");
        records = found.len();
    }
    assert!(records > 300, "{records} records in ten rounds");
}

#[tokio::test]
async fn a_second_owner_in_the_same_process_is_told_of_the_first_and_what_to_do() {
    let (_folder, dir) = folder();
    let first = Store::open(&dir, Level::Durable, "steadfast serve").await.expect("it is free");
    let error = Store::open(&dir, Level::Durable, "another").await.expect_err("it is owned");
    let StoreError::Owned { owner, pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!((owner.as_str(), *pid), ("steadfast serve", std::process::id()));
    let text = error.to_string();
    for part in ["belongs to steadfast serve (process", "since 20", "wait until that has ended, or name another folder"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(Store::owner(&dir).expect("a look").map(|owner| owner.owner).as_deref(), Some("steadfast serve"));
    first.close().await.expect("it closes");
    assert_eq!(Store::owner(&dir).expect("a look"), None);
    open(&dir).await;
}

#[tokio::test]
async fn a_second_process_is_told_of_the_first_and_takes_over_once_that_was_killed() {
    let (_folder, dir) = folder();
    let mut other = Other::own(&dir);
    let refused = Store::open(&dir, Level::Durable, "a test").await.expect_err("it is owned");
    let StoreError::Owned { owner, pid, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((owner.as_str(), pid), ("the other process", other.child.id()));
    other.told("append");
    other.kill();

    assert!(fs::read_to_string(dir.join("lock")).expect("a lock file").contains("the other process"), "it was left");
    assert_eq!(Store::owner(&dir).expect("a look"), None, "and says nothing once its process is dead");
    let journal = open(&dir).await.journal();
    assert_eq!(journal.read(&stream(), 0).await, Ok(vec![b"of the other process".to_vec()]));
    let epoch = journal.fence(&stream(), "a test").await.expect("a fence");
    append(&*journal, epoch, 1, b"mine").await;
}

#[tokio::test]
async fn a_lock_file_that_was_removed_lets_nobody_write_what_the_other_does_not_know() {
    let (_folder, dir) = folder();
    let (first, stream) = (open(&dir).await, stream());
    let journal = first.journal();
    let old = journal.fence(&stream, "first").await.expect("a fence");
    append(&*journal, old, 0, b"1").await;
    fs::remove_file(dir.join("lock")).expect("it is there");
    let second = open(&dir).await.journal();
    let new = second.fence(&stream, "second").await.expect("a fence");
    assert_eq!(second.read(&stream, 0).await, Ok(vec![b"1".to_vec()]));

    let fenced = Err(JournalError::Fenced { owner: "second".to_owned() });
    assert_eq!(journal.append(&stream, AppendAt { epoch: old, expected: 1 }, vec![b"late".to_vec()]).await, fenced);
    append(&*second, new, 1, b"2").await;
    let later = journal.fence(&stream, "first").await.expect("a fence");
    assert!(later > new, "{later:?} after {new:?}");
    append(&*journal, later, 2, b"3").await;
    assert_eq!(second.read(&stream, 0).await.map(|records| records.len()), Ok(3));
}

#[tokio::test]
async fn an_owner_that_closes_after_another_took_over_keeps_what_the_other_has_written() {
    let (_folder, dir) = folder();
    let first = open(&dir).await;
    let old = first.journal().fence(&stream(), "first").await.expect("a fence");
    append(&*first.journal(), old, 0, b"1").await;
    fs::remove_file(dir.join("lock")).expect("it is there");
    let second = open(&dir).await;
    let journal = second.journal();
    let new = journal.fence(&stream(), "second").await.expect("a fence");
    append(&*journal, new, 1, b"2").await;

    first.close().await.expect("it closes");
    assert_eq!(journal.read(&stream(), 0).await, Ok(vec![b"1".to_vec(), b"2".to_vec()]));
    append(&*journal, new, 2, b"3").await;
    assert_eq!(journal.read(&stream(), 0).await.map(|records| records.len()), Ok(3));
    let verified = second.verify(&|_, _| Ok(())).await.expect("a look");
    assert_eq!((verified.records, verified.findings), (3, Vec::new()));
}

#[tokio::test]
async fn the_lock_is_held_until_a_write_whose_store_and_future_were_dropped_has_ended() {
    let (_folder, dir) = folder();
    let store = open(&dir).await;
    let journal = store.journal();
    let epoch = journal.fence(&stream(), "old").await.expect("a fence");
    // Somebody else writes, so that SQLite's thread waits with the write that it gets now.
    let options = SqliteConnectOptions::new().filename(dir.join("journal.db"));
    let mut other = options.connect().await.expect("it opens");
    other.execute("BEGIN IMMEDIATE").await.expect("it begins");
    let mut late = journal.append(&stream(), AppendAt { epoch, expected: 0 }, vec![b"late".to_vec()]);
    // Polled once: the statement is on its way, and nobody waits for it.
    let poll = late.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(poll.is_pending());
    drop(late);
    drop((journal, store));
    for _ in 0..5 {
        let refused = Store::open(&dir, Level::Durable, "new").await.expect_err("the old one's thread has the store");
        assert!(matches!(refused, StoreError::Owned { .. }), "{refused}");
    }

    other.execute("ROLLBACK").await.expect("it ends");
    other.close().await.expect("it closes");
    let next = loop {
        match Store::open(&dir, Level::Durable, "new").await {
            Ok(next) => break next,
            Err(StoreError::Owned { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let journal = next.journal();
    journal.fence(&stream(), "new").await.expect("a fence");
    assert_eq!(journal.read(&stream(), 0).await, Ok(Vec::new()));
}

/// As somebody who may not write there, unless the tests run as one who may do everything.
#[tokio::test]
async fn a_store_in_a_folder_that_cannot_be_written_to_is_read_after_it_was_closed_and_while_it_is_owned() {
    let (_folder, dir) = folder();
    let store = open(&dir).await;
    let journal = store.journal();
    let epoch = journal.fence(&stream(), "me").await.expect("a fence");
    append(&*journal, epoch, 0, b"1").await;
    let mode = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).expect("it is ours");
    mode(0o555);
    let read = async || Store::read_only(&dir).await.expect("it can be read").journal().read(&stream(), 0).await;
    assert_eq!(read().await, Ok(vec![b"1".to_vec()]), "while it is owned");
    mode(0o755);
    drop(journal);
    store.close().await.expect("it closes");
    mode(0o555);
    assert_eq!(read().await, Ok(vec![b"1".to_vec()]), "after it was closed");
    mode(0o755);
}

#[tokio::test]
async fn what_the_owner_wrote_is_read_while_it_runs_after_it_was_killed_and_after_it_closed() {
    let (_folder, dir) = folder();
    let missing = Store::read_only(&dir).await.expect_err("there is none");
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    assert!(!dir.exists(), "and none was made");

    let mut other = Other::own(&dir);
    let reader = Store::read_only(&dir).await.expect("it can be read");
    for records in 1..4 {
        other.told("append");
        assert_eq!(reader.journal().read(&stream(), 0).await.map(|found| found.len()), Ok(records));
    }
    other.kill();
    assert_eq!(reader.journal().read(&stream(), 0).await.map(|found| found.len()), Ok(3));
    drop(reader);
    let log = dir.join("journal.db-wal");
    let before = fs::read(&log).expect("there is a log");
    let reader = Store::read_only(&dir).await.expect("it can be read");
    assert_eq!(reader.journal().read(&stream(), 0).await.map(|found| found.len()), Ok(3));
    reader.close().await.expect("it closes");
    assert_eq!(fs::read(&log).expect("it is still there"), before, "who only reads changes nothing");

    open(&dir).await.close().await.expect("it closes");
    assert!(!log.exists(), "all is in one file");
    let reader = Store::read_only(&dir).await.expect("it can be read");
    assert_eq!(reader.journal().read(&stream(), 0).await.map(|found| found.len()), Ok(3));
}

#[tokio::test]
async fn who_only_reads_writes_nothing_and_is_no_owner() {
    let (_folder, dir) = folder();
    open(&dir).await.close().await.expect("it closes");
    let reader = Store::read_only(&dir).await.expect("it can be read");
    let refused = reader.journal().fence(&stream(), "me").await;
    assert!(matches!(&refused, Err(JournalError::Unavailable(why)) if why.contains("reading alone")), "{refused:?}");
    assert!(reader.artifacts().put(b"x".to_vec()).await.is_err());
    assert!(matches!(reader.requests().err(), Some(StoreError::ReadOnly { .. })));
    assert_eq!(Store::owner(&dir).expect("a look"), None);
    open(&dir).await;
}

#[tokio::test]
async fn a_request_of_another_process_is_seen_by_the_owner_until_it_is_done() {
    let (_folder, dir) = folder();
    let nowhere = Store::leave(&dir, &request(1)).await.expect_err("there is no store");
    assert!(matches!(nowhere, StoreError::Missing { .. }), "{nowhere}");
    let store = open(&dir).await;
    let (journal, requests) = (store.journal(), store.requests().expect("it is the owner's"));
    let epoch = journal.fence(&stream(), "me").await.expect("a fence");
    for id in 1..4 {
        // A connection of its own, as another process has.
        Store::leave(&dir, &request(id)).await.expect("it is left");
        let pending = requests.pending().await.expect("they are there");
        assert_eq!(
            pending.iter().map(|request| request.id.as_u128()).collect::<Vec<_>>(),
            (1..=id).collect::<Vec<_>>()
        );
        // What was known of the streams before somebody else wrote is read anew, and right.
        append(&*journal, epoch, u64::try_from(id).expect("a small number") - 1, b"x").await;
    }
    requests.done(request(2).id).await.expect("it is done");
    assert_eq!(requests.pending().await.map(|pending| pending.len()), Ok(2));
    store.close().await.expect("it closes");

    // Without an owner it is left all the same.
    Store::leave(&dir, &request(9)).await.expect("it is left");
    let requests = open(&dir).await.requests().expect("it is the owner's");
    let ids: Vec<_> = requests.pending().await.expect("they are there").iter().map(|r| r.id.as_u128()).collect();
    assert_eq!(ids, [1, 3, 9]);
}

#[tokio::test]
async fn a_request_that_is_left_in_something_else_is_refused_and_changes_nothing_of_it() {
    let (_folder, dir) = folder();
    fs::create_dir(&dir).expect("it is new");
    let path = dir.join("journal.db");
    fs::write(&path, b"").expect("it is written");
    let refused = Store::leave(&dir, &request(1)).await.expect_err("there is nothing in it");
    assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
    assert!(fs::read(&path).expect("it is there").is_empty());

    for mode in ["DELETE", "WAL"] {
        fs::remove_file(&path).expect("it is there");
        let mut theirs =
            SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.expect("new");
        let sql = format!("PRAGMA journal_mode = {mode}; CREATE TABLE requests (id, wall, body)");
        theirs.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.expect("it is theirs");
        let log = dir.join("journal.db-wal");
        let look = || (fs::read(&path).expect("it is there"), fs::read(&log).ok());
        let before = look();
        let refused = Store::leave(&dir, &request(1)).await.expect_err("it is no journal");
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
        assert!(look() == before, "in the mode {mode}");
        theirs.close().await.expect("it closes");
        let (before, _) = look();
        Store::leave(&dir, &request(1)).await.expect_err("it is no journal");
        assert!(look().0 == before, "in the mode {mode}, when nobody has it open");
    }
}

#[tokio::test]
async fn an_owner_in_another_process_carries_out_what_this_one_asks_for() {
    let (_folder, dir) = folder();
    let mut other = Other::own(&dir);
    Store::leave(&dir, &request(1)).await.expect("it is left");
    other.told("carry-out");
    other.told("append");
    Store::leave(&dir, &request(2)).await.expect("it is left");
    other.told("append");
    other.told("close");
    other.child.wait().expect("it has ended");
    let store = open(&dir).await;
    let pending = store.requests().expect("it is the owner's").pending().await.expect("they are there");
    assert_eq!(pending, [request(2)]);
    assert_eq!(store.journal().read(&stream(), 0).await.map(|found| found.len()), Ok(2));
}

#[tokio::test]
async fn a_store_that_was_closed_says_so() {
    let (_folder, dir) = folder();
    let store = open(&dir).await;
    let (journal, requests) = (store.journal(), store.requests().expect("it is the owner's"));
    store.close().await.expect("it closes");
    let closed = Err(JournalError::Unavailable("the store was closed".to_owned()));
    assert_eq!(journal.fence(&stream(), "me").await.map(|_| ()), closed);
    assert_eq!(journal.read(&stream(), 0).await.map(|_| ()), closed);
    assert!(requests.pending().await.is_err());
    open(&dir).await;
}

#[tokio::test]
async fn a_store_that_could_not_be_closed_in_order_is_given_up_all_the_same() {
    let (_folder, dir) = folder();
    let store = open(&dir).await;
    // Somebody holds its journal, and with it all that it is made of.
    let journal = store.journal();
    let epoch = journal.fence(&stream(), "me").await.expect("a fence");
    append(&*journal, epoch, 0, b"1").await;
    let options = SqliteConnectOptions::new().filename(dir.join("journal.db"));
    let mut other = options.connect().await.expect("it opens");
    other.execute("ALTER TABLE blocks RENAME TO hidden").await.expect("it is renamed");
    store.close().await.expect_err("there is no table to move the records to");
    assert_eq!(Store::owner(&dir).expect("a look"), None);
    assert!(matches!(journal.read(&stream(), 0).await, Err(JournalError::Unavailable(why)) if why.contains("closed")));

    // Nor does who could not open it keep it.
    let refused = Store::open(&dir, Level::Durable, "a test").await.expect_err("what is there cannot be moved");
    assert!(matches!(refused, StoreError::Database { .. }), "{refused}");
    assert_eq!(Store::owner(&dir).expect("a look"), None);
    other.execute("ALTER TABLE hidden RENAME TO blocks").await.expect("it is renamed");
    assert_eq!(open(&dir).await.journal().read(&stream(), 0).await, Ok(vec![b"1".to_vec()]));
}
