//! The registry and the journal.

use std::sync::Arc;
use std::time::Duration;

use steadfast::fault::Point;
use steadfast::seam::{AppendAt, BoxFuture, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::testing::{Bug, FaultRun, Faults, VirtualClock};
use steadfast::{Fault, MemoryJournal, Restart, RunId, StreamId, Subject, System};
use uuid::Uuid;

use crate::{SECOND, WORK, root, seen, start, worker};

seen! {
    RegistrationNotRepeated by found_when_its_registrar_died: "1", or "0";
    WithdrawnIsFound by found_when_withdrawn: "0", or "1";
    ForgottenIsFound by found_when_forgotten: "0", or "1";
    AcknowledgedFirst by an_append_that_takes_a_second: "1", or "0";
    FencedWriterLetIn by an_append_of_who_was_fenced_off: "refused", or "taken";
    DoubtfulRepeated by records_of_an_append_in_doubt: "1", or "2";
}

fn found(system: &System) -> String {
    system.discover(&"test.work".parse().expect("a requirement")).len().to_string()
}

async fn found_when_its_registrar_died(bug: Option<Bug>) -> String {
    let dies =
        Faults::default().at("system/registrar", Point::BeforeMessage, Subject::new("root/late", 1), Fault::Panic);
    let system = System::builder().bug(bug).faults(Arc::new(dies)).start(root()).await.expect("the tree starts");
    system.supervisor("root").expect("it runs").start_child(worker("late")).await.expect("it starts");
    let found = found(&system);
    system.shutdown().await.expect("an orderly end");
    found
}

async fn found_when_withdrawn(bug: Option<Bug>) -> String {
    let system = start(bug, root().child(worker("a"))).await;
    system.deregister("root/a", &WORK).await.expect("it is offered");
    let found = found(&system);
    system.shutdown().await.expect("an orderly end");
    found
}

async fn found_when_forgotten(bug: Option<Bug>) -> String {
    let system = start(bug, root()).await;
    let supervisor = system.supervisor("root").expect("it runs");
    supervisor.start_child(worker("a").restart(Restart::Temporary)).await.expect("it starts");
    supervisor.terminate_child("a").await.expect("it ends");
    tokio::time::sleep(SECOND).await;
    let found = found(&system);
    system.shutdown().await.expect("an orderly end");
    found
}

/// A journal in memory that appends after so long.
struct Slow(MemoryJournal, Duration);

impl Journal for Slow {
    fn level(&self) -> Level {
        self.0.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            if batch.iter().any(|write| write.records() > 0) {
                tokio::time::sleep(self.1).await;
            }
            self.0.write(batch).await
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.0.read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.0.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.0.list(prefix)
    }
}

fn run() -> StreamId {
    RunId::new(Uuid::from_u128(1)).into()
}

/// After how many seconds it is acknowledged.
async fn an_append_that_takes_a_second(bug: Option<Bug>) -> String {
    let journal = Arc::new(Slow(MemoryJournal::default(), SECOND));
    let system = System::builder().bug(bug).journal(journal).start(root()).await.expect("the tree starts");
    let journal = system.journal();
    let epoch = journal.fence(&run(), "the test").await.expect("a fence");
    let clock = VirtualClock::new();
    journal.append(&run(), AppendAt { epoch, expected: 0 }, vec![vec![1]]).await.expect("it is kept");
    let took = clock.elapsed();
    system.shutdown().await.expect("an orderly end");
    took.as_secs().to_string()
}

async fn an_append_of_who_was_fenced_off(bug: Option<Bug>) -> String {
    let system = start(bug, root()).await;
    let journal = system.journal();
    let epoch = journal.fence(&run(), "one").await.expect("a fence");
    journal.fence(&run(), "the next").await.expect("a fence");
    let taken = journal.append(&run(), AppendAt { epoch, expected: 0 }, vec![vec![1]]).await.is_ok();
    system.shutdown().await.expect("an orderly end");
    if taken { "taken" } else { "refused" }.to_owned()
}

/// How many records there are of one.
async fn records_of_an_append_in_doubt(bug: Option<Bug>) -> String {
    let dies = FaultRun::of("panic at after-append of system/journal".parse().expect("a plan"));
    let system = System::builder().bug(bug).faults(dies).start(root()).await.expect("the tree starts");
    let journal = system.journal();
    let epoch = journal.fence(&run(), "the test").await.expect("a fence");
    drop(journal.append(&run(), AppendAt { epoch, expected: 0 }, vec![vec![1]]).await);
    let records = journal.read(&run(), 0).await.expect("they are there").len();
    system.shutdown().await.expect("an orderly end");
    records.to_string()
}
