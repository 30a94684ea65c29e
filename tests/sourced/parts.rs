//! Streams that are long: whoever reads one has a part of it in memory, and never all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::seam::{
    AppendAt, AtMost, BoxFuture, Journal, JournalError, Level, Part, Seq, Snapshot, StreamInfo, Write, Written,
};
use steadfast::sourcing::events_since;
use steadfast::{BoxError, ChildSpec, MemoryJournal, Sourced, StreamId, System};

use crate::ledger::{Booked, Ledger, List, Order, ledger, root, stream};

/// A journal of which nobody may read a whole stream.
#[derive(Default)]
struct ByParts {
    inner: MemoryJournal,
    parts: AtomicUsize,
}

impl Journal for ByParts {
    fn level(&self) -> Level {
        self.inner.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        self.inner.write(batch)
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        panic!("somebody reads all of {stream} after {after}")
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        self.parts.fetch_add(1, Ordering::Relaxed);
        let reading = self.inner.read_some(stream, after, most);
        Box::pin(async move {
            // It does not look whether there is more, which it need not.
            reading.await.map(|part| Part { more: !part.records.is_empty(), ..part })
        })
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.inner.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.inner.list(prefix)
    }
}

const MANY: u64 = 10_000;

/// A journal with many events of the ledger.
async fn long() -> Result<Arc<ByParts>, BoxError> {
    let journal = Arc::new(ByParts::default());
    let system = System::builder().journal(Arc::clone(&journal) as _).start(root(ledger())).await?;
    let ledger = system.agent::<Sourced<Ledger>>("root/ledger")?;
    ledger.ask(Order::BookAll((1..=MANY).collect())).await?.expect("they are new");
    system.shutdown().await?;
    journal.parts.store(0, Ordering::Relaxed);
    Ok(journal)
}

#[tokio::test(start_paused = true)]
async fn an_agent_with_a_long_stream_starts_from_it_part_by_part() -> Result<(), BoxError> {
    let journal = long().await?;
    let system = System::builder().journal(Arc::clone(&journal) as _).start(root(ledger())).await?;
    let all = system.agent::<Sourced<Ledger>>("root/ledger")?.ask(Order::Show).await?.expect("an answer");
    assert!(all.into_iter().eq(1..=MANY));
    assert_eq!(journal.parts.load(Ordering::Relaxed), 4, "three that hold something, and the end");
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn a_projection_of_a_long_stream_takes_it_part_by_part_and_knows_how_far_there_is_to_go() -> Result<(), BoxError>
{
    let journal = long().await?;
    let list = ChildSpec::projection::<List>("list", stream(), ());
    let system = System::builder().journal(Arc::clone(&journal) as _).start(root(list)).await?;
    let list = system.projection::<List>("root/list")?;
    let mut seen = Vec::new();
    while !seen.contains(&MANY) {
        let there = list.clone();
        let look = move |list: &List| (list.0.len() as u64, there.lag().records);
        let (applied, behind) = list.read(look).await?;
        assert!(applied == 0 || applied + behind == MANY, "{behind} behind, {applied} taken in");
        seen.push(applied);
    }
    assert!(seen.iter().any(|applied| (1..8000).contains(applied)), "in none but the last part: {seen:?}");
    // What was there before is there for who reads the latest, however many parts it is.
    system.kill("root/list")?;
    let all = list.clone().within(Duration::from_mins(1)).read_latest(|list| list.0.clone()).await?;
    assert!(all.into_iter().eq((1..=MANY).map(|number| (number, number))));
    assert_eq!(list.lag().records, 0);
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn who_follows_or_reads_a_long_stream_reads_it_part_by_part() -> Result<(), BoxError> {
    let journal = long().await?;
    let system = System::builder().journal(Arc::clone(&journal) as _).start(root(ledger())).await?;
    let mut follow = system.follow::<Booked>(&stream(), 1);
    for number in 2..=MANY {
        assert_eq!(follow.next().await?.event, Booked(number));
    }
    let events = events_since::<Booked>(&*system.journal(), &stream(), 3).await?;
    assert!(events.iter().map(|event| event.seq).eq(4..=MANY));
    Ok(system.shutdown().await?)
}

/// Records may be long, too.
#[tokio::test(start_paused = true)]
async fn a_part_has_one_megabyte_unless_one_record_has_more() -> Result<(), BoxError> {
    let journal = MemoryJournal::default();
    let epoch = journal.fence(&stream(), "me").await?;
    let lengths = [500_000, 500_000, 500_000, 3_000_000, 1];
    let records = lengths.map(|length| vec![7; length]).to_vec();
    journal.append(&stream(), AppendAt { epoch, expected: 0 }, records).await?;
    let (mut after, mut counts) = (0, Vec::new());
    loop {
        let part = journal.read_some(&stream(), after, AtMost::default()).await?;
        after += part.records.len() as u64;
        counts.push(part.records.len());
        if !part.more {
            break;
        }
    }
    assert_eq!(counts, [2, 1, 1, 1]);
    Ok(())
}
