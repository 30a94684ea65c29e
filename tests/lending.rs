//! Guarantee: a pool lends whoever of its members can be reached, at rest or not, and what becomes of one member costs
//! nobody a turn at another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::flow::{AcquireError, Occupancy, PoolRules};
use steadfast::testing::{Log, Order, Probe, Recorder, VirtualClock};
use steadfast::{
    BoxError, ChildSpec, ExitReason, Intensity, Pool, PoolGuard, PoolSpec, Restart, Strategy, SupervisorSpec, System,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

async fn begun(pool: PoolSpec<Probe>) -> (System, Pool<Probe>) {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).child(pool.intensity(Intensity::at_most(100)));
    let system = System::start(root).await.expect("the tree starts");
    let pool = system.pool("root/pool").expect("it is one");
    (system, pool)
}

async fn acquired(pool: &Pool<Probe>) -> PoolGuard<Probe> {
    pool.acquire().await.expect("one is free")
}

#[tokio::test(start_paused = true)]
async fn a_lazy_member_at_rest_is_lent_and_who_gets_none_waits_no_longer_than_its_limit() {
    let log = Log::default();
    let made = log.clone();
    let lazy = move |_| Probe::spec("any", &made).lazy(SECOND * 10);
    let (system, pool) = begun(ChildSpec::pool("pool", PoolRules::fixed(2), lazy)).await;
    let (one, two) = (acquired(&pool).await, acquired(&pool).await);
    assert_ne!(one.path(), two.path());
    let began = VirtualClock::new();
    let late = pool.acquire_within(SECOND).await.expect_err("both are held");
    assert!(matches!(late, AcquireError::Timeout { .. }), "{late}");
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(two.ask(Order::Which).await.expect("the message rouses it"), 1);
    drop((one, two));
    let first = acquired(&pool).await;
    assert_eq!(first.path().name(), "2", "it runs, and the one that was free longer is at rest");
    assert_eq!(acquired(&pool).await.path().name(), "1");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_child_with_the_name_of_a_member_that_is_none_is_lent_to_nobody_and_nobody_waits_longer_for_it() {
    let log = Log::default();
    let (system, pool) = begun(ChildSpec::pool("pool", PoolRules::fixed(1), move |_| Probe::spec("any", &log))).await;
    let stranger = ChildSpec::task("2", |_| std::future::pending::<Result<(), BoxError>>());
    system.supervisor("root/pool").expect("it is one").start_child(stranger).await.expect("it starts");
    assert_eq!(pool.members().len(), 2);
    let held = acquired(&pool).await;
    let began = VirtualClock::new();
    let late = pool.acquire_within(SECOND).await.expect_err("there is one");
    assert!(matches!(late, AcquireError::Timeout { .. }), "{late}");
    assert_eq!(began.elapsed(), SECOND);
    // The first has a permit and finds nobody, the second waits for a permit: each keeps its turn.
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waits = Vec::new();
    for number in [1, 2] {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        waits.push(tokio::spawn(async move {
            let member = pool.acquire().await.expect("in time");
            order.lock().expect("nobody panics").push((number, member.path().name().to_owned()));
        }));
    }
    tokio::time::sleep(MS * 5).await;
    let began = VirtualClock::new();
    drop(held);
    for one in waits {
        one.await.expect("it ends");
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "they are woken");
    assert_eq!(*order.lock().expect("nobody panics"), [(1, "1".to_owned()), (2, "1".to_owned())]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_held_member_that_stops_or_is_quarantined_takes_no_turn_from_the_others() {
    let log = Log::default();
    let made = log.clone();
    let member = move |_| Probe::spec("any", &made).restart(Restart::Transient).budget(Intensity::at_most(0));
    for ends in [Order::Stop(ExitReason::Normal), Order::Panic("boom")] {
        let (system, pool) = begun(ChildSpec::pool("pool", PoolRules::fixed(2), member.clone())).await;
        let mut events = Recorder::of(&system);
        let held = acquired(&pool).await;
        held.tell(ends).expect("there is room");
        events.exit("root/pool/1").await;
        assert_eq!(pool.members().len(), 1, "it is none any more");
        let other = pool.acquire_within(SECOND).await.expect("it is free");
        assert_eq!(other.path().name(), "2");
        drop(held);
        assert_eq!(pool.occupancy(), Occupancy { permits: 1, inside: 1, waiting: 0 });
        drop(other);
        assert_eq!(pool.occupancy(), Occupancy { permits: 1, inside: 0, waiting: 0 });
        system.shutdown().await.expect("an orderly end");
    }
}
