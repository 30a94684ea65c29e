//! Stores of every layout that was ever released are opened, and those that are none or of a later program are refused.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, Executor};
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, Epoch, JournalError, Level, Snapshot, StreamInfo, Upto};
use steadfast_orchestration::run::Millis;
use steadfast_orchestration::seam::requests::Request;
use steadfast_storage::{Store, StoreError};
use tempfile::TempDir;
use uuid::Uuid;

/// Set, the golden file of the present layout is written anew. One of an earlier layout never is.
const WRITE: &str = "STEADFAST_WRITE_GOLDEN";

const GOLDEN: [(usize, &str); 1] = [(1, "layout-1.db")];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn stream(name: &str) -> StreamId {
    name.parse().expect("a stream id")
}

fn record(seq: u64) -> Vec<u8> {
    format!("record {seq} ").into_bytes().repeat(usize::try_from(seq % 5).expect("a small number"))
}

async fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, Level::Durable, "a test").await
}

/// Writes of everything something: blocks and a tail, a snapshot, pruned records, a request.
async fn fill(dir: &Path) {
    for (owner, from, upto) in [("first", 0, 20), ("second", 20, 25)] {
        // What the first one left in the tail the second one moves into blocks.
        let store = open(dir).await.expect("it opens");
        let journal = store.journal();
        let epoch = journal.fence(&stream("run/1"), owner).await.expect("a fence");
        for expected in from..upto {
            let at = AppendAt { epoch, expected };
            journal.append(&stream("run/1"), at, vec![record(expected + 1)]).await.expect("an append");
        }
    }
    let store = open(dir).await.expect("it opens");
    let (journal, agent, gone) = (store.journal(), stream("agent/root/cart"), stream("run/0"));
    let epoch = journal.fence(&agent, "cart").await.expect("a fence");
    let at = AppendAt { epoch, expected: 0 };
    journal.append(&agent, at, (1..=9).map(record).collect()).await.expect("an append");
    let snapshot = Snapshot { seq: 6, bytes: b"six".to_vec() };
    journal.save_snapshot(&agent, epoch, snapshot).await.expect("a snapshot");
    journal.prune(&agent, epoch, Upto::Snapshot).await.expect("they are pruned");
    let epoch = journal.fence(&gone, "gone").await.expect("a fence");
    journal.append(&gone, AppendAt { epoch, expected: 0 }, vec![record(1); 3]).await.expect("an append");
    journal.prune(&gone, epoch, Upto::All).await.expect("it is pruned");
    store.requests().expect("it is the owner's").put(request()).await.expect("it is kept");
}

fn request() -> Request {
    Request { id: Uuid::from_u128(7), wall: Millis(1_700_000_000_000), body: b"pause".to_vec() }
}

/// Whether a store holds what [`fill`] wrote.
async fn holds_all(store: &Store) {
    let (journal, agent) = (store.journal(), stream("agent/root/cart"));
    assert_eq!(journal.read(&stream("run/1"), 0).await, Ok((1..=25).map(record).collect()));
    assert_eq!(journal.read(&agent, 6).await, Ok((7..=9).map(record).collect()));
    assert_eq!(journal.read(&agent, 0).await, Err(JournalError::Pruned { first: 7 }));
    assert_eq!(journal.snapshot(&agent).await, Ok(Some(Snapshot { seq: 6, bytes: b"six".to_vec() })));
    assert_eq!(journal.read(&stream("run/0"), 0).await, Err(JournalError::Pruned { first: 4 }));
    let info = |name, first, last, epoch, owner: &str| StreamInfo {
        stream: stream(name),
        first,
        last,
        epoch: Epoch(epoch),
        owner: owner.to_owned(),
    };
    let expected = vec![info("agent/root/cart", 7, 9, 1, "cart"), info("run/1", 1, 25, 2, "second")];
    assert_eq!(journal.list("").await, Ok(expected));
    let verified = store.verify(&|_, _| Ok(())).await.expect("it can be read");
    assert_eq!((verified.streams, verified.records, verified.findings), (3, 28, Vec::new()));
}

/// A folder with this as its journal.
fn with(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("journal.db"), bytes).expect("it is written");
    folder
}

#[tokio::test]
async fn stores_of_every_layout_are_opened_and_hold_what_was_written() {
    if std::env::var_os(WRITE).is_some() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fill(folder.path()).await;
        // The last connection to be closed moves the log into the file, and that may take a moment.
        while folder.path().join("journal.db-wal").exists() {
            tokio::task::yield_now().await;
        }
        let (_, name) = GOLDEN[GOLDEN.len() - 1];
        fs::copy(folder.path().join("journal.db"), golden(name)).expect("it is copied");
    }
    for (layout, name) in GOLDEN {
        let folder = with(&fs::read(golden(name)).expect("a golden file"));
        if layout == GOLDEN.len() {
            holds_all(&Store::read_only(folder.path()).await.expect("it can be read")).await;
        }
        let store = open(folder.path()).await.expect("it opens");
        holds_all(&store).await;
        let requests = store.requests().expect("it is the owner's");
        assert_eq!(requests.pending().await, Ok(vec![request()]));
        let journal = store.journal();
        let epoch = journal.fence(&stream("run/1"), "next").await.expect("a fence");
        assert_eq!(epoch, Epoch(3));
        let at = AppendAt { epoch, expected: 25 };
        assert_eq!(journal.append(&stream("run/1"), at, vec![record(26)]).await, Ok(26));
    }
}

#[tokio::test]
async fn what_is_written_today_is_as_the_golden_file_has_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fill(folder.path()).await;
    holds_all(&open(folder.path()).await.expect("it opens")).await;
}

#[tokio::test]
async fn a_store_of_a_later_program_is_refused_and_left_as_it_is() {
    let folder = with(&fs::read(golden(GOLDEN[GOLDEN.len() - 1].1)).expect("a golden file"));
    let path = folder.path().join("journal.db");
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.expect("it opens");
    conn.execute("PRAGMA user_version = 99").await.expect("it is set");
    conn.close().await.expect("it closes");
    let before = fs::read(&path).expect("it is there");
    for error in
        [open(folder.path()).await.expect_err("newer"), Store::read_only(folder.path()).await.expect_err("newer")]
    {
        assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error:?}");
        assert!(error.to_string().ends_with("use the program that wrote it, or a later one"), "{error}");
    }
    assert_eq!(Store::owner(folder.path()).expect("a look"), None, "the lock is free again");
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let other = tempfile::tempdir().expect("a temporary folder");
    let path = other.path().join("other.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut conn = options.connect().await.expect("it opens");
    conn.execute("CREATE TABLE theirs (x)").await.expect("it is made");
    conn.close().await.expect("it closes");
    let database = fs::read(&path).expect("it is there");
    for bytes in [database, b"some text, long enough to be no empty database".repeat(40)] {
        let folder = with(&bytes);
        for error in [
            open(folder.path()).await.expect_err("foreign"),
            Store::read_only(folder.path()).await.expect_err("foreign"),
        ] {
            assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
        }
        assert_eq!(fs::read(folder.path().join("journal.db")).expect("it is there"), bytes);
    }
    let empty = with(b"");
    let missing = Store::read_only(empty.path()).await.expect_err("there is none yet");
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing:?}");
    open(empty.path()).await.expect("what is empty becomes one");
}
