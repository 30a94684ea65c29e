//! What is damaged is said, with its place, and never given for something else.

use std::fs;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, AtMost, JournalError, Level};
use steadfast_orchestration::seam::artifacts::{ArtifactError, Digest};
use steadfast_storage::{Finding, Store};
use tempfile::TempDir;

fn stream(number: u64) -> StreamId {
    format!("s/{number}").parse().expect("a stream id")
}

/// Frames as somebody might write them: a mark, and then the same byte over and over.
fn frame(stream: &StreamId, bytes: &[u8]) -> Result<(), String> {
    let mark = stream.as_str().as_bytes().last();
    if bytes.iter().all(|byte| Some(byte) == mark) { Ok(()) } else { Err("its checksum is another".to_owned()) }
}

/// A store with three streams: ten records of each in a block, and five in the tail.
async fn filled() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for from in [0, 10] {
        let store = Store::open(folder.path(), Level::Durable, "a test").await.expect("it opens");
        let journal = store.journal();
        for number in 1..4 {
            let epoch = journal.fence(&stream(number), "me").await.expect("a fence");
            let record = number.to_string().into_bytes().repeat(40);
            let records = vec![record; if from == 0 { 10 } else { 5 }];
            journal.append(&stream(number), AppendAt { epoch, expected: from }, records).await.expect("an append");
        }
        store.artifacts().put(b"large".to_vec()).await.expect("it is kept");
        drop((journal, store));
        closed(folder.path()).await;
    }
    folder
}

/// Waits until the last connection has moved the log into the file.
async fn closed(dir: &Path) {
    while dir.join("journal.db-wal").exists() {
        tokio::task::yield_now().await;
    }
}

async fn change(dir: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(dir.join("journal.db"));
    let mut conn = options.connect().await.expect("it opens");
    assert_eq!(conn.execute(sql).await.expect(sql).rows_affected(), 1, "{sql}");
    conn.close().await.expect("it closes");
}

async fn findings(dir: &Path) -> Vec<String> {
    let store = Store::read_only(dir).await.expect("it can be read");
    let verified = store.verify(&frame).await.expect("it can be read");
    verified.findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn where_nothing_is_wrong_everything_is_counted_and_nothing_found() {
    let folder = filled().await;
    let verified = Store::read_only(folder.path()).await.expect("it can be read").verify(&frame).await.expect("a look");
    assert_eq!((verified.streams, verified.records, verified.artifacts), (3, 45, 1));
    assert_eq!(verified.findings, Vec::<Finding>::new());
}

#[tokio::test]
async fn a_record_that_is_missing_doubled_or_changed_is_found_with_its_place() {
    for (sql, expected) in [
        (
            "DELETE FROM tail WHERE stream = 2 AND seq = 13",
            "record 13 of the stream `s/2`: it is missing; the next one is 14",
        ),
        ("DELETE FROM blocks WHERE stream = 3", "record 1 of the stream `s/3`: it is missing; the next one is 11"),
        ("UPDATE tail SET seq = 12 WHERE stream = 1 AND seq = 13", "record 12 of the stream `s/1`: it is there twice"),
        (
            "UPDATE tail SET body = x'3131ff' WHERE stream = 1 AND seq = 14",
            "record 14 of the stream `s/1`: its checksum is another",
        ),
        (
            "UPDATE blocks SET body = substr(body, 1, 150) WHERE stream = 2",
            "record 4 of the stream `s/2`: its block is cut off or overwritten here",
        ),
        (
            "UPDATE blocks SET body = CAST(substr(body, 1, 50) || x'ff' || substr(body, 52) AS BLOB) WHERE stream = 2",
            "record 2 of the stream `s/2`: its checksum is another",
        ),
    ] {
        let folder = filled().await;
        change(folder.path(), sql).await;
        let found = findings(folder.path()).await;
        assert_eq!(found.first().map(String::as_str), Some(expected), "{sql}: {found:?}");
        let number = expected.split_once("s/").map_or("", |(_, rest)| &rest[..1]);
        assert!(found.iter().all(|finding| finding.contains(&format!("`s/{number}`"))), "others are whole: {found:?}");
    }
}

/// Many records, each of which has a block of its own: more than are read at once.
async fn long() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path(), Level::ProcessCrashSafe, "a test").await.expect("it opens");
    let journal = store.journal();
    let epoch = journal.fence(&stream(1), "me").await.expect("a fence");
    let records = vec![b"1".repeat(40_000); 200];
    journal.append(&stream(1), AppendAt { epoch, expected: 0 }, records).await.expect("an append");
    drop(journal);
    store.close().await.expect("it closes");
    folder
}

#[tokio::test]
async fn what_is_wrong_anywhere_in_a_long_stream_is_found_once() {
    let folder = long().await;
    assert_eq!(findings(folder.path()).await, Vec::<String>::new());
    for sql in [
        "DELETE FROM blocks WHERE last = 30",
        "INSERT INTO blocks (stream, first, last, body) SELECT stream, first, last, body FROM blocks WHERE last = 60",
        "UPDATE blocks SET body = substr(body, 1, 100) WHERE last = 90",
        "UPDATE blocks SET body = x'' WHERE last = 120",
        "UPDATE blocks SET last = 201 WHERE last = 200",
        "INSERT INTO tail (stream, seq, epoch, body) VALUES (1, 180, 1, x'31')",
    ] {
        change(folder.path(), sql).await;
    }
    let expected = [
        "record 30 of the stream `s/1`: it is missing; the next one is 31",
        "record 60 of the stream `s/1`: it is there twice",
        "record 90 of the stream `s/1`: its block is cut off or overwritten here",
        "record 120 of the stream `s/1`: its block should go on to 120",
        "record 201 of the stream `s/1`: its block should go on to 201",
        "record 180 of the stream `s/1`: it is there twice",
    ];
    assert_eq!(findings(folder.path()).await, expected);

    // Up to what is damaged it can be read, and from behind it.
    let journal = Store::read_only(folder.path()).await.expect("it can be read").journal();
    for (after, damaged) in [(0, 30), (30, 60), (60, 90), (90, 120)] {
        let most = AtMost { records: 50, bytes: usize::MAX };
        let outcome = journal.read_some(&stream(1), after, most).await;
        assert!(matches!(&outcome, Err(JournalError::Corrupt { seq, .. }) if *seq == damaged), "{outcome:?}");
        let part =
            journal.read_some(&stream(1), after, AtMost { records: 5, bytes: 70_000 }).await.expect("it is whole");
        assert_eq!((part.records.len(), part.more), (1, true));
    }
}

#[tokio::test]
async fn a_read_of_what_is_damaged_is_an_error_with_the_place_and_other_streams_are_read() {
    let folder = filled().await;
    change(folder.path(), "DELETE FROM tail WHERE stream = 2 AND seq = 13").await;
    change(folder.path(), "UPDATE blocks SET body = substr(body, 1, 150) WHERE stream = 3").await;
    for store in [
        Store::read_only(folder.path()).await.expect("it can be read"),
        Store::open(folder.path(), Level::Durable, "a test").await.expect("it opens"),
    ] {
        let journal = store.journal();
        assert_eq!(journal.read(&stream(1), 0).await.map(|records| records.len()), Ok(15));
        for (number, damaged) in [(2, 13), (3, 4)] {
            let outcome = journal.read(&stream(number), 0).await;
            assert!(
                matches!(&outcome, Err(JournalError::Corrupt { stream: of, seq, .. }) if *of == stream(number) && *seq == damaged),
                "{outcome:?}"
            );
        }
        assert_eq!(journal.read(&stream(2), 13).await.map(|records| records.len()), Ok(2), "behind the damage");
    }
}

#[tokio::test]
async fn a_file_that_was_overwritten_is_said_by_verify_and_never_read_as_something_else() {
    let folder = filled().await;
    let path = folder.path().join("journal.db");
    let whole = fs::read(&path).expect("it is there");
    let pages = whole.len() / 4096;
    for page in 1..pages {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0x5a);
        fs::write(&path, &bytes).expect("it is written");
        let Ok(store) = Store::read_only(folder.path()).await else { continue };
        // Where even this cannot be done, that is an error.
        if let Ok(verified) = store.verify(&frame).await {
            assert!(!verified.findings.is_empty(), "page {page} of {pages}");
        }
        for number in 1..4 {
            if let Ok(records) = store.journal().read(&stream(number), 0).await {
                assert!(records.iter().all(|record| frame(&stream(number), record).is_ok()), "page {page} of {pages}");
            }
        }
    }
}

#[tokio::test]
async fn an_artifact_that_was_changed_is_found_and_replaced_when_it_is_put_again() {
    let folder = filled().await;
    let digest = Digest::of(b"large");
    let (begins, rest) = digest.as_str().split_at(2);
    let path = folder.path().join("artifacts").join(begins).join(rest);
    fs::write(&path, b"small").expect("it is there");
    let found = findings(folder.path()).await;
    assert!(found.len() == 1 && found[0].contains(digest.as_str()) && found[0].contains("damaged"), "{found:?}");

    let store = Store::open(folder.path(), Level::Durable, "a test").await.expect("it opens");
    let artifacts = store.artifacts();
    let damaged = artifacts.get(&digest).await;
    assert_eq!(damaged, Err(ArtifactError::Damaged { digest: digest.clone(), found: Digest::of(b"small") }));
    artifacts.put(b"large".to_vec()).await.expect("it is put again");
    assert_eq!(artifacts.get(&digest).await, Ok(b"large".to_vec()));
}

#[tokio::test]
async fn what_a_crash_left_of_an_artifact_is_removed_by_the_next_owner() {
    let folder = filled().await;
    let left = folder.path().join("artifacts/unfinished-1-0");
    fs::write(&left, b"lar").expect("it is written");
    assert_eq!(findings(folder.path()).await, Vec::<String>::new());
    Store::open(folder.path(), Level::Durable, "a test").await.expect("it opens");
    assert!(!left.exists());
}
