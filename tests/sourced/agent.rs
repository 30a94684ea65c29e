//! The agent: answers after the append, doubts, fences, slow disks, snapshots.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::seam::{BoxFuture, Journal, JournalError, Level, Snapshot, StreamInfo, Upto, Write, Written};
use steadfast::testing::{Disk, DiskFault, World};
use steadfast::{
    BoxError, Incarnation, MemoryJournal, RequestError, Sourced, StartError, StreamId, SupervisorSpec, System,
};

use crate::ledger::{Known, Ledger, Order, ledger, order, root, stream};

const SECOND: Duration = Duration::from_secs(1);

async fn started(journal: &Arc<dyn Journal>, spec: SupervisorSpec) -> Result<System, StartError> {
    System::builder().journal(Arc::clone(journal)).start(spec).await
}

fn memory() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::default())
}

async fn records(journal: &Arc<dyn Journal>) -> usize {
    journal.read(&stream(), 0).await.expect("it is not pruned").len()
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_an_answer_and_no_failure_and_a_question_writes_nothing() -> Result<(), BoxError> {
    let journal = memory();
    let system = started(&journal, root(ledger())).await?;
    let ledger = system.agent::<Sourced<Ledger>>("root/ledger")?;
    assert_eq!(ledger.ask(Order::Book(7)).await?, Ok(vec![7]));
    assert_eq!(ledger.ask(Order::Book(7)).await?, Err(Known));
    assert_eq!(ledger.ask(Order::BookAll(vec![8, 7])).await?, Err(Known), "all of them or none");
    assert_eq!(ledger.ask(Order::BookAll(vec![8, 9])).await?, Ok(vec![7, 8, 9]));
    assert_eq!(ledger.ask(Order::Show).await?, Ok(vec![7, 8, 9]));
    assert_eq!(ledger.ask(Order::BookAll(Vec::new())).await?, Ok(vec![7, 8, 9]));
    assert_eq!((records(&journal).await, ledger.incarnation().map(Incarnation::get)), (3, Some(1)));
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn nobody_is_answered_before_the_append_is_kept() -> Result<(), BoxError> {
    let disk = Disk::new(7).takes(SECOND..=SECOND);
    let journal: Arc<dyn Journal> = Arc::new(disk.journal(Level::Durable));
    let system = started(&journal, root(ledger())).await?;
    let ledger = system.agent::<Sourced<Ledger>>("root/ledger")?;
    let asked = ledger.ask_within(Order::Book(1), SECOND + SECOND / 2);
    assert!(asked.await.is_err(), "it is written, and not synced yet");
    assert_eq!(ledger.ask_within(Order::Book(2), 10 * SECOND).await?, Ok(vec![1, 2]));
    Ok(system.shutdown().await?)
}

#[steadfast::sim_test(seeds = 20)]
async fn an_append_in_doubt_is_done_again_and_there_once(world: World) -> Result<(), BoxError> {
    let node = world.start(|| root(ledger())).await?;
    let ledger = node.agent::<Sourced<Ledger>>("root/ledger")?;
    for (number, fault) in (1..).zip([DiskFault::InDoubtKept, DiskFault::InDoubtLost, DiskFault::Unavailable]) {
        node.disk().fail_next(fault);
        node.disk().fail_next(fault);
        assert_eq!(ledger.ask(Order::Book(number)).await?, Ok((1..=number).collect()), "{fault:?}");
    }
    assert_eq!(ledger.incarnation().map(Incarnation::get), Some(1));
    assert_eq!(node.system().journal().read(&stream(), 0).await?.len(), 3);
    Ok(())
}

#[steadfast::sim_test(seeds = 20)]
async fn an_append_that_stays_in_doubt_ends_the_life_and_the_next_reads_what_is_there(
    world: World,
) -> Result<(), BoxError> {
    let node = world.start(|| root(ledger())).await?;
    let ledger = node.agent::<Sourced<Ledger>>("root/ledger")?;
    for (number, fault, kept) in [(1, DiskFault::InDoubtKept, 1), (2, DiskFault::InDoubtLost, 1)] {
        for _ in 0..7 {
            node.disk().fail_next(fault);
        }
        let error = ledger.ask(Order::Book(number)).await.expect_err("nobody knows");
        assert!(matches!(&error, RequestError::Exited { .. }) && error.to_string().contains("not known"), "{error}");
        assert_eq!(ledger.ask(Order::Show).await?.map(|all| all.len()), Ok(kept), "{fault:?}");
    }
    assert_eq!(ledger.incarnation().map(Incarnation::get), Some(3));
    assert_eq!(ledger.ask(Order::Book(3)).await?, Ok(vec![1, 3]));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_was_fenced_off_writes_nothing_any_more_and_ends() -> Result<(), BoxError> {
    let journal = memory();
    let old = started(&journal, root(ledger())).await?;
    let before = old.agent::<Sourced<Ledger>>("root/ledger")?;
    assert_eq!(before.ask(Order::Book(1)).await?, Ok(vec![1]));
    let new = started(&journal, root(ledger())).await?;
    let after = new.agent::<Sourced<Ledger>>("root/ledger")?;
    let error = before.ask(Order::Book(2)).await.expect_err("it is not the owner any more");
    assert!(error.to_string().contains("belongs to `root/ledger, incarnation 1`"), "{error}");
    assert_eq!(records(&journal).await, 1);
    // Its next life takes the stream back, with all that is in it.
    assert_eq!(before.ask(Order::Book(3)).await?, Ok(vec![1, 3]));
    assert!(after.ask(Order::Book(4)).await.is_err());
    assert_eq!(after.ask(Order::Show).await?, Ok(vec![1, 3]));
    old.shutdown().await?;
    Ok(new.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_is_no_hang_at_the_start_and_in_a_handler() -> Result<(), BoxError> {
    let disk = Disk::new(7).takes(3 * SECOND..=3 * SECOND);
    let journal: Arc<dyn Journal> = Arc::new(disk.journal(Level::Durable));
    let system = started(&journal, root(ledger().handler_deadline(SECOND / 5))).await?;
    let ledger = system.agent::<Sourced<Ledger>>("root/ledger")?;
    assert_eq!(ledger.ask_within(Order::Book(1), 60 * SECOND).await?, Ok(vec![1]));
    assert_eq!(ledger.incarnation().map(Incarnation::get), Some(1));
    Ok(system.shutdown().await?)
}

#[steadfast::sim_test(seeds = 20)]
async fn a_snapshot_is_saved_after_so_many_events_and_a_start_needs_only_it_and_the_rest(
    world: World,
) -> Result<(), BoxError> {
    let node = world.start(|| root(ledger().snapshot_and_prune_every(4))).await?;
    for number in 1..=10 {
        order(&world, &node, Order::Book(number)).await;
        // Off the way of the answer: it comes beside what follows.
        world.sleep(SECOND).await;
    }
    let journal = node.system().journal();
    assert_eq!(journal.snapshot(&stream()).await?.map(|snapshot| snapshot.seq), Some(8));
    assert_eq!(journal.list("agent/").await?.iter().map(|info| (info.first, info.last)).collect::<Vec<_>>(), [(9, 10)]);
    node.system().kill("root/ledger")?;
    assert_eq!(order(&world, &node, Order::Show).await, Some((1..=10).collect()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn commands_do_not_wait_for_a_snapshot() -> Result<(), BoxError> {
    let disk = Disk::new(7).takes(SECOND..=SECOND);
    let journal: Arc<dyn Journal> = Arc::new(disk.journal(Level::ProcessCrashSafe));
    let system = started(&journal, root(ledger().snapshot_every(1))).await?;
    let ledger = system.agent::<Sourced<Ledger>>("root/ledger")?;
    let before = system.clock().now();
    ledger.ask_within(Order::Book(1), 60 * SECOND).await?.expect("it is new");
    assert!(system.clock().now() - before < SECOND + SECOND / 2, "the answer waits for the append alone");
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_cannot_be_read_is_passed_over_while_all_events_are_there() -> Result<(), BoxError> {
    let journal = memory();
    let system = started(&journal, root(ledger().snapshot_every(1))).await?;
    system.agent::<Sourced<Ledger>>("root/ledger")?.ask(Order::BookAll(vec![1, 2])).await?.expect("they are new");
    system.shutdown().await?;
    let epoch = journal.fence(&stream(), "somebody").await?;
    journal.save_snapshot(&stream(), epoch, Snapshot { seq: 2, bytes: b"of a later version".to_vec() }).await?;

    let system = started(&journal, root(ledger().snapshot_every(9))).await?;
    let show = system.agent::<Sourced<Ledger>>("root/ledger")?.ask(Order::Show).await?;
    assert_eq!(show, Ok(vec![1, 2]));
    system.shutdown().await?;

    let epoch = journal.fence(&stream(), "somebody").await?;
    journal.prune(&stream(), epoch, Upto::Snapshot).await?;
    let error = told(started(&journal, root(ledger().snapshot_every(9))).await);
    assert!(error.contains("stream `agent/root/ledger`: record 2") && error.contains("checksum"), "{error}");
    let error = told(started(&journal, root(ledger())).await);
    assert!(error.contains("pruned") && error.contains("snapshot_every"), "{error}");
    Ok(())
}

/// A journal that tells in which order it is asked.
#[derive(Default)]
struct Told(MemoryJournal, Mutex<Vec<&'static str>>);

impl Told {
    fn tell(&self, what: &'static str) {
        self.1.lock().expect("nobody panics").push(what);
    }
}

impl Journal for Told {
    fn level(&self) -> Level {
        self.0.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        self.tell(if matches!(batch[..], [Write::Fence { .. }]) { "fence" } else { "append" });
        self.0.write(batch)
    }

    fn read(&self, stream: &StreamId, after: u64) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.tell("read");
        self.0.read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.tell("snapshot");
        self.0.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.0.list(prefix)
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_fences_the_stream_before_it_reads_it() -> Result<(), BoxError> {
    let journal = Arc::new(Told::default());
    let system = System::builder().journal(Arc::clone(&journal) as _).start(root(ledger().snapshot_every(9))).await?;
    system.agent::<Sourced<Ledger>>("root/ledger")?.ask(Order::Book(1)).await?.expect("it is new");
    assert_eq!(*journal.1.lock().expect("nobody panics"), ["fence", "snapshot", "read", "append"]);
    Ok(system.shutdown().await?)
}

fn told(outcome: Result<System, StartError>) -> String {
    let error = outcome.expect_err("it does not start");
    let mut told = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    told
}

#[tokio::test(start_paused = true)]
async fn what_a_spec_says_wrongly_is_told_at_the_start() -> Result<(), BoxError> {
    let error = told(started(&memory(), root(ledger().needs(Level::Durable))).await);
    assert!(error.contains("the journal is volatile, and the agent needs one that is durable"), "{error}");
    let error = told(started(&memory(), root(ledger().snapshot_every(0))).await);
    assert!(error.contains("give it one or more"), "{error}");
    let durable: Arc<dyn Journal> = Arc::new(Disk::new(7).journal(Level::Durable));
    started(&durable, root(ledger().needs(Level::Durable))).await?.shutdown().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_named_by_the_path_unless_the_spec_names_another() -> Result<(), BoxError> {
    let journal = memory();
    let other: StreamId = "ledger/old".parse()?;
    let odd = steadfast::ChildSpec::sourced::<Ledger>("a:1", ());
    let system = started(&journal, root(ledger().stream(other.clone())).child(odd)).await?;
    for path in ["root/ledger", "root/a:1"] {
        system.agent::<Sourced<Ledger>>(path)?.ask(Order::Book(1)).await?.expect("it is new");
    }
    let streams: Vec<_> = journal.list("").await?.into_iter().map(|info| info.stream.to_string()).collect();
    assert_eq!(streams, ["agent/root/a#1", "ledger/old"]);
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_no_event_is_told_with_its_stream_and_its_number() -> Result<(), BoxError> {
    let journal = memory();
    let epoch = journal.fence(&stream(), "somebody").await?;
    let at = steadfast::seam::AppendAt { epoch, expected: 0 };
    journal.append(&stream(), at, vec![b"no event".to_vec()]).await?;
    let error = told(started(&journal, root(ledger())).await);
    assert!(error.contains("stream `agent/root/ledger`: record 1"), "{error}");
    Ok(())
}
