//! What is damaged is said, with its place, and never given for something else.

use std::fs;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, JournalError, Level};
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
