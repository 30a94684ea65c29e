//! Guarantee: whoever writes to the journal of a system is heard, however many write at once, and however long the disk takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::seam::{
    AppendAt, BoxFuture, Epoch, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written,
};
use steadfast::{MemoryJournal, Strategy, StreamId, SupervisorSpec, System};

const SECOND: Duration = Duration::from_secs(1);

/// A journal in memory whose batches take some time, the first one another.
struct Slow {
    inner: MemoryJournal,
    first: Duration,
    others: Duration,
    batches: AtomicUsize,
    empty: AtomicUsize,
}

impl Slow {
    fn new(first: Duration, others: Duration) -> Arc<Self> {
        let (batches, empty) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { inner: MemoryJournal::default(), first, others, batches, empty })
    }
}

impl Journal for Slow {
    fn level(&self) -> Level {
        self.inner.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            if batch.is_empty() {
                self.empty.fetch_add(1, Ordering::Relaxed);
            }
            let is_first =
                batch.iter().any(|write| write.records() > 0) && self.batches.fetch_add(1, Ordering::Relaxed) == 0;
            tokio::time::sleep(if is_first { self.first } else { self.others }).await;
            self.inner.write(batch).await
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.inner.read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.inner.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.inner.list(prefix)
    }
}

async fn start(journal: &Arc<Slow>) -> System {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne);
    System::builder().journal(Arc::clone(journal) as _).start(spec).await.expect("the tree starts")
}

async fn fenced(journal: &dyn Journal, name: &str) -> (StreamId, Epoch) {
    let stream: StreamId = name.parse().expect("a name");
    let epoch = journal.fence(&stream, "the test").await.expect("a fence");
    (stream, epoch)
}

#[tokio::test(start_paused = true)]
async fn two_who_write_in_turns_do_not_fill_the_mailbox_of_the_journals_agent() {
    // More batches than its mailbox has room for.
    const WRITES: u64 = 15_000;
    let slow = Slow::new(Duration::ZERO, Duration::from_millis(2));
    let system = start(&slow).await;
    let writer = |name: &'static str, wait: Duration| {
        let journal = system.journal();
        async move {
            let (stream, epoch) = fenced(&*journal, name).await;
            tokio::time::sleep(wait).await;
            for expected in 0..WRITES {
                let at = AppendAt { epoch, expected };
                journal.append(&stream, at, vec![vec![1]]).await.expect("it is heard");
            }
        }
    };
    tokio::join!(writer("a", Duration::ZERO), writer("b", Duration::from_millis(1)));
    assert_eq!(slow.empty.load(Ordering::Relaxed), 0, "nothing is written where nothing waits");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_batch_and_gives_up_leaves_nobody_unheard() {
    let slow = Slow::new(31 * SECOND, Duration::ZERO);
    let system = start(&slow).await;
    let journal = system.journal();
    let ((large, first), (small, second)) = (fenced(&*journal, "large").await, fenced(&*journal, "small").await);
    // As many as are written at once; the other one waits behind them, and gives up.
    let at = |epoch| AppendAt { epoch, expected: 0 };
    let (one, other) = tokio::join!(
        journal.append(&large, at(first), vec![vec![1]; 1024]),
        journal.append(&small, at(second), vec![vec![1]])
    );
    assert!(matches!(one, Err(JournalError::InDoubt(_))), "{one:?}");
    assert!(matches!(other, Err(JournalError::Unavailable(_))), "{other:?}");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(journal.append(&small, at(second), vec![vec![1]]).await, Ok(1), "the next one is heard");
    system.shutdown().await.expect("an orderly end");
}
