//! The read side: what was written is read, lag is told, other processes are noticed.

use std::sync::Arc;
use std::time::Duration;

use steadfast::seam::{AppendAt, Journal};
use steadfast::sourcing::Lag;
use steadfast::testing::{Recorder, World};
use steadfast::{
    AgentSpec, BoxError, ChildSpec, Incarnation, Intensity, MemoryJournal, Projecting, ProjectionError, Sourced,
    Strategy, SupervisorSpec, System,
};
use tokio::time::timeout;

use crate::ledger::{Booked, Ledger, List, Order, ledger, order, root, stream};

const SECOND: Duration = Duration::from_secs(1);

fn list() -> AgentSpec<Projecting<List>> {
    ChildSpec::projection::<List>("list", stream(), ())
}

#[steadfast::sim_test(seeds = 50)]
async fn whoever_wrote_reads_what_it_wrote(world: World) -> Result<(), BoxError> {
    let node = world.start(|| root(ledger()).child(list())).await?;
    let list = node.system().projection::<List>("root/list")?;
    let mut random = world.rng("kills");
    for number in 1..=20 {
        order(&world, &node, Order::Book(number)).await.expect("it is new");
        if random.next_u64().is_multiple_of(3) {
            node.system().kill("root/list")?;
        }
        let read = list.read_latest(|list| list.0.last().copied()).await?;
        assert_eq!(read, Some((number, number)));
        list.caught_up(number, Duration::ZERO).await?;
    }
    Ok(())
}

#[steadfast::sim_test]
async fn a_projection_that_does_not_come_along_tells_by_how_much_it_is_behind(world: World) -> Result<(), BoxError> {
    let node = world.start(|| root(ledger()).child(list())).await?;
    let list = node.system().projection::<List>("root/list")?.within(SECOND);
    order(&world, &node, Order::Book(1)).await;
    list.read_latest(|_| ()).await?;
    assert_eq!(list.lag(), Lag::default());
    node.system().suspend("root/list").await?;
    for number in 2..=4 {
        order(&world, &node, Order::Book(number)).await;
        world.sleep(SECOND).await;
    }
    let lag = list.lag();
    assert_eq!(lag.records, 3);
    assert!(lag.age >= 3 * SECOND && lag.age < 4 * SECOND, "since the oldest of them: {lag:?}");
    let behind = list.caught_up(4, SECOND).await.expect_err("it does not come along");
    assert_eq!(behind.to_string(), "the projection root/list had event 1 after 1s, and was asked for event 4");
    let error = list.read_latest(|_| ()).await.expect_err("nor here");
    assert!(matches!(&error, ProjectionError::Behind(behind) if behind.wanted.is_none()), "{error}");
    node.system().resume("root/list").await?;
    assert_eq!(list.read_latest(|list| list.0.len()).await?, 4);
    assert_eq!(list.lag(), Lag::default());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_another_process_appends_is_found_within_the_poll() -> Result<(), BoxError> {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let writes = System::builder().journal(Arc::clone(&journal)).start(root(ledger())).await?;
    let reads = System::builder().journal(journal).start(root(list().poll(5 * SECOND))).await?;
    let list = reads.projection::<List>("root/list")?;
    let ledger = writes.agent::<Sourced<Ledger>>("root/ledger")?;
    for number in 1..=3 {
        ledger.ask(Order::Book(number)).await?.expect("it is new");
        list.caught_up(number, 5 * SECOND + SECOND / 10).await?;
    }
    assert_eq!(list.read(|list| list.0.clone()).await?, [(1, 1), (2, 2), (3, 3)]);
    writes.shutdown().await?;
    Ok(reads.shutdown().await?)
}

#[steadfast::sim_test(seeds = 20)]
async fn whoever_follows_a_stream_from_a_place_gets_each_event_after_it_once_and_in_order(
    world: World,
) -> Result<(), BoxError> {
    let node = world.start(|| root(ledger())).await?;
    order(&world, &node, Order::BookAll(vec![1, 2, 3])).await;
    let mut events = node.system().follow::<Booked>(&stream(), 1);
    let (writing, beside) = (node.clone(), world.clone());
    let writer = world.spawn(async move {
        for number in 4..=9 {
            order(&beside, &writing, Order::Book(number)).await;
        }
    });
    for number in 2..=9 {
        // It may be dropped while it waits.
        let next = loop {
            if let Ok(next) = timeout(Duration::from_millis(5), events.next()).await {
                break next?;
            }
        };
        assert_eq!((next.seq, next.event), (number, Booked(number)));
    }
    writer.over().await;
    assert!(timeout(SECOND, events.next()).await.is_err(), "there is no other");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_in_the_same_system_is_not_waited_for() -> Result<(), BoxError> {
    let hour = Duration::from_hours(1);
    let system = System::start(root(ledger()).child(list().poll(hour))).await?;
    let list = system.projection::<List>("root/list")?;
    let ledger = system.agent::<Sourced<Ledger>>("root/ledger")?;
    for number in 1..=300 {
        ledger.ask(Order::Book(number)).await?.expect("it is new");
    }
    list.caught_up(300, SECOND).await?;
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn who_reads_can_neither_break_nor_change_a_projection() -> Result<(), BoxError> {
    let system = System::start(root(ledger()).child(list())).await?;
    let list = system.projection::<List>("root/list")?;
    let reading = list.clone();
    let read = tokio::spawn(async move { reading.read(|_| -> u8 { panic!("of the reader") }).await });
    assert!(read.await.expect_err("it panics where it is awaited").is_panic());
    assert_eq!(list.read(|list| list.0.len()).await?, 0);
    assert_eq!(system.incarnation("root/list").map(Incarnation::get), Some(1));
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn a_projection_whose_events_were_pruned_says_what_to_do() -> Result<(), BoxError> {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let writes = System::builder().journal(Arc::clone(&journal));
    let writes = writes.start(root(ledger().snapshot_and_prune_every(2))).await?;
    writes.agent::<Sourced<Ledger>>("root/ledger")?.ask(Order::BookAll(vec![1, 2])).await?.expect("they are new");
    steadfast::testing::settled().await;
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(0)).child(list());
    let reads = System::builder().journal(journal).start(spec).await?;
    let gave_up = reads.ended().await.expect_err("it cannot follow").to_string();
    assert!(gave_up.contains("before 3 were pruned") && gave_up.contains("keep_every"), "{gave_up}");
    Ok(writes.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_no_event_ends_the_projection_and_is_told() -> Result<(), BoxError> {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let system = System::builder().journal(Arc::clone(&journal)).start(root(list())).await?;
    let mut recorder = Recorder::of(&system);
    let epoch = journal.fence(&stream(), "somebody").await?;
    journal.append(&stream(), AppendAt { epoch, expected: 0 }, vec![b"no event".to_vec()]).await?;
    let reason = recorder.exit("root/list").await.reason.to_string();
    assert!(reason.contains("record 1 is no event"), "{reason}");
    Ok(system.shutdown().await?)
}

#[tokio::test(start_paused = true)]
async fn what_the_spec_of_a_projection_says_wrongly_is_told_at_the_start() {
    for (spec, told) in [(list().poll(Duration::ZERO), "above zero"), (list().keep_every(0), "one or more")] {
        let error = System::start(root(spec)).await.expect_err("it does not start").to_string();
        assert!(error.contains(told), "{error}");
    }
}
