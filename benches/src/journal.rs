//! Records of many producers at once into one `SQLite` file: written by hand, by the store alone, and through a system.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection, Executor, SqlSafeStr, SqlStr};
use steadfast::id::StreamId;
use steadfast::seam::{AppendAt, Epoch, Journal, JournalError, Level, Write, Written};
use steadfast::{Strategy, SupervisorSpec, System};
use steadfast_storage::Store;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::goals::{RECORDS, STEPS};
use crate::harness::Flavor;

/// How many records each producer writes, one after the other.
const EACH: u64 = 300;

/// How many bytes a record has.
const RECORD: usize = 150;

/// How many records are written at once, as the agent of the journal does.
const AT_ONCE: usize = 1024;

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn record(seq: u64) -> Vec<u8> {
    seq.to_be_bytes().iter().copied().cycle().take(RECORD).collect()
}

/// Lets producers append, each time after what was before is acknowledged; nanoseconds per append of all together.
async fn produce<F, Fut>(producers: usize, each: u64, append: F) -> Vec<f64>
where
    F: Fn(usize, u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|producer| {
            let append = append.clone();
            tokio::spawn(async move {
                for number in 0..each {
                    append(producer, number).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a producer does not panic");
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let appends = (producers as u64 * each) as f64;
    vec![begun.elapsed().as_secs_f64() * 1e9 / appends]
}

/// What a producer hands to the task that writes, and where it hears of it.
struct Handed {
    stream: usize,
    /// Of the first of the records.
    seq: u64,
    /// They are in one transaction.
    records: Vec<Vec<u8>>,
    done: oneshot::Sender<()>,
}

/// What each producer appends, one after the other.
#[derive(Clone, Copy)]
struct Appends {
    /// How many times.
    each: u64,
    /// How many records at a time.
    records: u64,
}

impl Appends {
    /// So many records, each acknowledged by itself.
    fn single(each: u64) -> Self {
        Self { each, records: 1 }
    }

    /// So many steps, each as the two records at once that are the least that keeps it: the result of the one before, and
    /// that this one is given out.
    fn steps(each: usize) -> Self {
        Self { each: each as u64, records: RECORDS as u64 }
    }
}

/// The limit: sqlx, one table in the order of arrival, one transaction for all that wait.
struct ByHand {
    conn: SqliteConnection,
    statements: Vec<SqlStr>,
}

impl ByHand {
    async fn open(dir: &Path, level: Level) -> Self {
        let synchronous = if level == Level::Durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
        let options = SqliteConnectOptions::new().filename(dir.join("raw.db")).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(synchronous);
        let mut conn =
            options.statement_cache_capacity(200).disable_statement_logging().connect().await.expect("it opens");
        let table = "CREATE TABLE records (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, \
                     body BLOB NOT NULL) STRICT";
        conn.execute(table).await.expect("the table is made");
        let statement = |rows: usize| {
            let rows = vec!["(?, ?, ?)"; rows].join(", ");
            AssertSqlSafe(format!("INSERT INTO records (stream, seq, body) VALUES {rows}")).into_sql_str()
        };
        Self { conn, statements: (0..=64).map(statement).collect() }
    }

    async fn write(&mut self, batch: Vec<Handed>) {
        self.conn.execute(sqlx::query("BEGIN IMMEDIATE")).await.expect("it begins");
        let (mut rows, mut done) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for Handed { stream, seq, records, done: answer } in batch {
            rows.extend((seq..).zip(records).map(|(seq, record)| (stream, seq, record)));
            done.push(answer);
        }
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let mut arguments = SqliteArguments::default();
            let statement = self.statements[rows.len().min(64)].clone();
            for (stream, seq, record) in rows.by_ref().take(64) {
                arguments.add(i64::try_from(stream).expect("a small number")).expect("a number");
                arguments.add(i64::try_from(seq).expect("a small number")).expect("a number");
                arguments.add(record).expect("a blob");
            }
            self.conn.execute(sqlx::query_with(statement, arguments)).await.expect("they are inserted");
        }
        self.conn.execute(sqlx::query("COMMIT")).await.expect("it commits");
        for answer in done {
            let _ = answer.send(());
        }
    }
}

/// Nanoseconds per append.
fn by_hand(flavor: Flavor, level: Level, producers: usize, Appends { each, records }: Appends) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let mut file = ByHand::open(folder.path(), level).await;
        let (hand, mut handed) = mpsc::channel::<Handed>(16_384);
        let writer = tokio::spawn(async move {
            let mut batch = Vec::new();
            while handed.recv_many(&mut batch, AT_ONCE).await > 0 {
                file.write(std::mem::take(&mut batch)).await;
            }
            file.conn.close().await.expect("it closes");
        });
        let seen = produce(producers, each, move |stream, number| {
            let hand = hand.clone();
            async move {
                let (done, answer) = oneshot::channel();
                let seq = number * records;
                let handed = Handed { stream, seq, records: (seq..seq + records).map(record).collect(), done };
                assert!(hand.send(handed).await.is_ok(), "somebody writes");
                answer.await.expect("it was written");
            }
        })
        .await;
        writer.await.expect("the writer does not panic");
        seen
    })
}

fn stream(producer: usize) -> StreamId {
    format!("run/{producer}").parse().expect("a stream id")
}

async fn fenced(journal: &dyn Journal, producers: usize) -> Arc<Vec<(StreamId, Epoch)>> {
    let mut streams = Vec::new();
    for producer in 0..producers {
        let stream = stream(producer);
        let epoch = journal.fence(&stream, "a producer").await.expect("a fence");
        streams.push((stream, epoch));
    }
    Arc::new(streams)
}

type Answer = Result<Written, JournalError>;

/// The store, with the same loop before it as the one by hand.
fn store(flavor: Flavor, level: Level, producers: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let store = Store::open(folder.path(), level, "a bench").await.expect("it opens");
        let journal = store.journal();
        let streams = fenced(&*journal, producers).await;
        let (hand, mut handed) = mpsc::channel::<(Write, oneshot::Sender<Answer>)>(16_384);
        let writer = tokio::spawn(async move {
            let mut batch = Vec::new();
            while handed.recv_many(&mut batch, AT_ONCE).await > 0 {
                let (writes, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
                for (written, answer) in journal.write(writes).await.into_iter().zip(answers) {
                    let _ = answer.send(written);
                }
            }
        });
        let seen = produce(producers, EACH, move |producer, expected| {
            let (hand, (stream, epoch)) = (hand.clone(), streams[producer].clone());
            async move {
                let (done, answer) = oneshot::channel();
                let write = Write::Append { stream, at: AppendAt { epoch, expected }, records: vec![record(expected)] };
                assert!(hand.send((write, done)).await.is_ok(), "somebody writes");
                assert_eq!(answer.await.expect("it was written"), Ok(Written::Seq(expected + 1)));
            }
        })
        .await;
        writer.await.expect("the writer does not panic");
        store.close().await.expect("it closes");
        seen
    })
}

/// The store behind the journal of a system, as goals have it.
fn system(flavor: Flavor, level: Level, producers: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let store = Store::open(folder.path(), level, "a bench").await.expect("it opens");
        let root = SupervisorSpec::new("root", Strategy::OneForOne);
        let system = System::builder().journal(store.journal()).start(root).await.expect("the system starts");
        let journal = system.journal();
        let streams = fenced(&*journal, producers).await;
        let seen = produce(producers, EACH, move |producer, expected| {
            let (journal, streams) = (Arc::clone(&journal), Arc::clone(&streams));
            async move {
                let (stream, epoch) = &streams[producer];
                let at = AppendAt { epoch: *epoch, expected };
                assert_eq!(journal.append(stream, at, vec![record(expected)]).await, Ok(expected + 1));
            }
        })
        .await;
        system.shutdown().await.expect("it ends");
        store.close().await.expect("it closes");
        seen
    })
}

pub(crate) fn by_hand_durable(flavor: Flavor, producers: usize) -> Vec<f64> {
    by_hand(flavor, Level::Durable, producers, Appends::single(EACH))
}

pub(crate) fn store_durable(flavor: Flavor, producers: usize) -> Vec<f64> {
    store(flavor, Level::Durable, producers)
}

pub(crate) fn system_durable(flavor: Flavor, producers: usize) -> Vec<f64> {
    system(flavor, Level::Durable, producers)
}

pub(crate) fn by_hand_crash_safe(flavor: Flavor, producers: usize) -> Vec<f64> {
    by_hand(flavor, Level::ProcessCrashSafe, producers, Appends::single(EACH))
}

pub(crate) fn store_crash_safe(flavor: Flavor, producers: usize) -> Vec<f64> {
    store(flavor, Level::ProcessCrashSafe, producers)
}

pub(crate) fn system_crash_safe(flavor: Flavor, producers: usize) -> Vec<f64> {
    system(flavor, Level::ProcessCrashSafe, producers)
}

/// As many records as so many goals at once have for their steps, each acknowledged by itself.
pub(crate) fn by_hand_like_goals(flavor: Flavor, goals: usize) -> Vec<f64> {
    by_hand(flavor, Level::Durable, goals, Appends::single((STEPS * RECORDS) as u64))
}

/// One after the other, as many steps as a chain has; microseconds per step.
pub(crate) fn by_hand_like_a_chain(flavor: Flavor, steps: usize) -> Vec<f64> {
    let each = by_hand(flavor, Level::ProcessCrashSafe, 1, Appends::steps(steps));
    each.into_iter().map(|nanos| nanos / 1e3).collect()
}

/// One after the other, as many steps as a goal has, many times; milliseconds for all of a goal.
#[expect(clippy::cast_precision_loss, reason = "a few")]
pub(crate) fn by_hand_like_a_short_goal(flavor: Flavor, steps: usize) -> Vec<f64> {
    let each = by_hand(flavor, Level::Durable, 1, Appends::steps(50 * steps));
    each.into_iter().map(|nanos| nanos * steps as f64 / 1e6).collect()
}

/// How many streams the records of `disk` are of.
const STREAMS: usize = 64;

/// Bytes of the file for each of `n` records by hand, once the log is copied.
pub(crate) fn bytes_by_hand(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let mut file = ByHand::open(folder.path(), Level::ProcessCrashSafe).await;
        for begins in (0..n).step_by(STREAMS) {
            let records = || vec![record(begins as u64)];
            let handed = |stream| Handed { stream, seq: 0, records: records(), done: oneshot::channel().0 };
            file.write((0..STREAMS).map(handed).collect()).await;
        }
        file.conn.close().await.expect("it closes");
        vec![bytes_of(&folder.path().join("raw.db"), n)]
    })
}

/// The same of the store.
pub(crate) fn bytes_of_a_store(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let folder = folder();
        let store = Store::open(folder.path(), Level::ProcessCrashSafe, "a bench").await.expect("it opens");
        let journal = store.journal();
        let streams = fenced(&*journal, STREAMS).await;
        for begins in (0..n).step_by(STREAMS) {
            let append = |(stream, epoch): &(StreamId, Epoch)| {
                let at = AppendAt { epoch: *epoch, expected: (begins / STREAMS) as u64 };
                Write::Append { stream: stream.clone(), at, records: vec![record(begins as u64)] }
            };
            let answers = journal.write(streams.iter().map(append).collect()).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
        store.close().await.expect("it closes");
        vec![bytes_of(&folder.path().join("journal.db"), n)]
    })
}

pub(crate) fn bytes_of(path: &Path, n: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (bytes, records) = (std::fs::metadata(path).expect("it is there").len() as f64, n as f64);
    bytes / records
}
