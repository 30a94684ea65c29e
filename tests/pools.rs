//! Guarantee: a pool lends each member to one at a time, in the order in which they asked, gets it back however its holder
//! ends, and has as many members as the work needs, within its bounds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::flow::{AcquireError, DomainLimits, Occupancy, PoolRules};
use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock};
use steadfast::{
    Agent, BoxError, ChildSpec, Context, DomainError, DomainSpec, ExitReason, Intensity, Pool, PoolGuard, PoolSpec,
    RequestError, Restart, Strategy, SupervisorSpec, System,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(1_000))
}

fn pool_of(log: &Log, rules: PoolRules) -> PoolSpec<Probe> {
    let log = log.clone();
    ChildSpec::pool("pool", rules, move |_| Probe::spec("any", &log)).intensity(Intensity::at_most(100))
}

/// From 1 to 4 members: one more for each 2 that wait, one fewer after 10 s with nothing to do.
fn elastic() -> PoolRules {
    PoolRules::elastic(1, 4).thresholds(2, 1).shrink_after(SECOND * 10)
}

async fn begun(pool: PoolSpec<Probe>) -> (System, Pool<Probe>) {
    let system = System::start(root().child(pool)).await.expect("the tree starts");
    let pool = system.pool("root/pool").expect("it is one");
    (system, pool)
}

async fn acquired(pool: &Pool<Probe>) -> PoolGuard<Probe> {
    pool.acquire().await.expect("one is free")
}

fn names(pool: &Pool<Probe>) -> Vec<String> {
    pool.members().iter().map(|path| path.name().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_member_is_lent_to_one_at_a_time_and_the_one_that_was_free_longest_first() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, PoolRules::fixed(3))).await;
    assert_eq!(names(&pool), ["1", "2", "3"]);
    let (one, two, three) = (acquired(&pool).await, acquired(&pool).await, acquired(&pool).await);
    assert_eq!([one.path().name(), two.path().name(), three.path().name()], ["1", "2", "3"]);
    assert_eq!(pool.occupancy(), Occupancy { permits: 3, inside: 3, waiting: 0 });
    assert_eq!(two.ask(Order::Echo(7)).await.expect("it answers"), 7);
    drop((three, one));
    let again = (acquired(&pool).await, acquired(&pool).await);
    assert_eq!([again.0.path().name(), again.1.path().name()], ["3", "1"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_asked_first_gets_the_first_that_comes_free() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, PoolRules::fixed(1))).await;
    let held = acquired(&pool).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waits = Vec::new();
    for number in 0..20 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        waits.push(tokio::spawn(async move {
            let member = pool.acquire().await.expect("in time");
            order.lock().expect("nobody panics").push(number);
            member.ask(Order::Wait(MS)).await.expect("it answers");
        }));
        tokio::task::yield_now().await;
    }
    // Two leave the line; nobody behind them loses a place.
    for left in [3, 7] {
        waits[left].abort();
    }
    drop(held);
    for (number, one) in waits.into_iter().enumerate() {
        assert_eq!(one.await.is_ok(), number != 3 && number != 7);
    }
    let expected: Vec<_> = (0..20).filter(|number| *number != 3 && *number != 7).collect();
    assert_eq!(*order.lock().expect("nobody panics"), expected);
    assert_eq!(pool.occupancy(), Occupancy { permits: 1, inside: 0, waiting: 0 });
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_gets_nobody_in_time_learns_how_long_it_waited_and_how_the_pool_stands() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, PoolRules::fixed(2)).waiting(1)).await;
    let _held = (acquired(&pool).await, acquired(&pool).await);
    let began = VirtualClock::new();
    let late = pool.acquire().await.expect_err("nobody comes back");
    assert_eq!(began.elapsed(), SECOND * 30, "the default");
    assert_eq!(late.to_string(), "no member of the pool came free within 30s: 2 of 2 in use, 1 waiting");
    let waits = pool.clone();
    let waits = tokio::spawn(async move { waits.acquire_within(SECOND).await.is_err() });
    tokio::task::yield_now().await;
    let full = pool.acquire().await.expect_err("the line is full");
    assert!(matches!(full, AcquireError::LineFull(line) if (line.permits, line.waiting) == (2, 1)), "{full}");
    assert!(waits.await.expect("it ends"));
    system.shutdown().await.expect("an orderly end");
}

/// Holds a member of the pool for as long as it lives.
struct Holder(#[expect(dead_code, reason = "held")] PoolGuard<Probe>);

impl Agent for Holder {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(ctx.system().pool::<Probe>("root/pool")?.acquire().await?))
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        panic!("boom")
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_comes_back_when_its_holder_crashes_or_is_killed() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, PoolRules::fixed(1))).await;
    let mut events = Recorder::of(&system);
    for crash in [true, false] {
        let holder = ChildSpec::agent::<Holder>("holder", ()).restart(Restart::Temporary);
        system.supervisor("root").expect("it is one").start_child(holder).await.expect("it starts");
        assert_eq!(pool.occupancy().inside, 1);
        if crash {
            system.agent::<Holder>("root/holder").expect("it is there").tell(()).expect("there is room");
        } else {
            system.kill("root/holder").expect("it is there");
        }
        events.exit("root/holder").await;
        assert_eq!(pool.occupancy(), Occupancy { permits: 1, inside: 0, waiting: 0 });
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_crashes_while_it_is_held_comes_back_as_its_next_life() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, PoolRules::fixed(1))).await;
    let held = acquired(&pool).await;
    held.ask(Order::Panic("boom")).await.expect_err("it crashes");
    assert_eq!(held.ask(Order::Which).await.expect("the guard stays good"), 2);
    assert!(pool.acquire_within(SECOND).await.is_err(), "it is still held");
    drop(held);
    assert_eq!(acquired(&pool).await.ask(Order::Which).await.expect("it answers"), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn one_that_runs_is_lent_before_one_that_is_being_restarted_and_one_that_rests_is_not() {
    let log = Log::default();
    let made = log.clone();
    let slow = move |_| {
        let script = Script::new(&made).start_takes(SECOND);
        Probe::scripted("any", script).restart(Restart::Transient)
    };
    let pool = ChildSpec::pool("pool", PoolRules::fixed(3), slow).intensity(Intensity::at_most(100));
    let (system, pool) = begun(pool).await;
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/pool/2").tell(Order::Stop(ExitReason::Normal)).expect("there is room");
    events.exit("root/pool/2").await;
    system.kill("root/pool/1").expect("it is there");
    events.exit("root/pool/1").await;
    let first = acquired(&pool).await;
    let second = acquired(&pool).await;
    assert_eq!([first.path().name(), second.path().name()], ["3", "1"]);
    assert_eq!(second.ask(Order::Which).await.expect("it waits for the next life"), 2);
    assert_eq!(names(&pool), ["1", "3"]);
    // It is started again while somebody waits for a member.
    let waits = pool.clone();
    let waits = tokio::spawn(async move { waits.acquire().await.map(|member| member.path().name().to_owned()) });
    tokio::task::yield_now().await;
    system.supervisor("root/pool").expect("it is one").restart_child("2").await.expect("it starts");
    assert_eq!(waits.await.expect("it ends").expect("in time"), "2");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_pool_grows_with_those_who_wait_and_shrinks_when_nothing_waits_within_its_bounds() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, elastic())).await;
    assert_eq!(names(&pool), ["1"]);
    let held = acquired(&pool).await;
    let waits: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(|member| member.path().name().to_owned()) })
        })
        .collect();
    tokio::time::sleep(MS).await;
    assert_eq!(pool.members().len(), 4, "the most it may have, although twenty wait");
    for one in waits {
        one.await.expect("it ends").expect("it got one");
    }
    drop(held);
    let began = VirtualClock::new();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        tokio::time::sleep(SECOND * 11).await;
        sizes.push(pool.members().len());
    }
    assert_eq!((sizes, began.elapsed()), (vec![3, 2, 1, 1], SECOND * 44), "one at a time, to the fewest");
    assert_eq!(names(&pool), ["1"], "the youngest went first");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_pool_grows_with_the_messages_that_wait_and_does_not_swing_under_steady_work() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, elastic())).await;
    let first = Probe::at(&system, "root/pool/1");
    // Always five waiting: three members are needed.
    let askers: Vec<_> = (0..5)
        .map(|_| {
            let first = first.clone();
            tokio::spawn(async move { while first.ask(Order::Wait(MS * 400)).await.is_ok() {} })
        })
        .collect();
    let mut sizes = vec![pool.members().len()];
    for _ in 0..120 {
        tokio::time::sleep(MS * 500).await;
        sizes.push(pool.members().len());
    }
    for one in askers {
        one.abort();
    }
    sizes.dedup();
    assert_eq!(sizes, [1, 3]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_shrinks_ends_no_member_that_is_held() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, elastic())).await;
    let first = acquired(&pool).await;
    let crowd: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire_within(SECOND).await.ok() })
        })
        .collect();
    let mut held = Vec::new();
    for one in crowd {
        held.extend(one.await.expect("it ends"));
    }
    assert_eq!(names(&pool), ["1", "2"], "three waited");
    assert_eq!(held.len(), 1);
    tokio::time::sleep(SECOND * 120).await;
    assert_eq!(names(&pool), ["1", "2"], "both are held");
    assert_eq!((first.ask(Order::Which).await.ok(), held[0].ask(Order::Which).await.ok()), (Some(1), Some(1)));
    drop(first);
    tokio::time::sleep(SECOND * 120).await;
    assert_eq!(names(&pool), ["2"], "the one that nobody holds went, although it is the older");
    assert_eq!(held[0].ask(Order::Which).await.ok(), Some(1));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_itself_restarted_lends_its_members_anew_and_loses_none() {
    let log = Log::default();
    for rules in [PoolRules::fixed(2), PoolRules::elastic(2, 4)] {
        let (system, pool) = begun(pool_of(&log, rules)).await;
        let mut events = Recorder::of(&system);
        let held = acquired(&pool).await;
        system.kill("root/pool").expect("it is there");
        events.started("root/pool", 2).await;
        assert_eq!(held.ask(Order::Which).await.expect("the guard stays good"), 2);
        let other = acquired(&pool).await;
        assert_ne!(other.path(), held.path());
        assert!(pool.acquire_within(MS * 10).await.is_err(), "both are held");
        drop((held, other));
        assert_eq!(pool.occupancy(), Occupancy { permits: 2, inside: 0, waiting: 0 });
        system.shutdown().await.expect("an orderly end");
        let gone = pool.acquire().await.expect_err("there is no pool any more");
        assert_eq!(gone, AcquireError::Gone);
    }
}

#[tokio::test(start_paused = true)]
async fn members_count_as_agents_of_their_domain_and_a_pool_does_not_grow_over_its_limit() {
    let log = Log::default();
    let system = System::start(root()).await.expect("the tree starts");
    let mut limits = DomainLimits::default();
    limits.agents = Some(3);
    let domain = system.add_domain(DomainSpec::new("a").limits(limits)).await.expect("it starts");
    let refused = domain.provision(pool_of(&log, PoolRules::elastic(4, 8))).await.expect_err("four are too many");
    assert!(matches!(refused, DomainError::Full(_)), "{refused}");
    domain.provision(pool_of(&log, elastic())).await.expect("one is not");
    domain.provision(Probe::spec("x", &log)).await.expect("two are not");
    let pool = system.pool::<Probe>("root/a/pool").expect("it is one");
    let _held = acquired(&pool).await;
    let crowd: Vec<_> = (0..8).map(|_| tokio::spawn(with_timeout(wait_at(pool.clone())))).collect();
    for one in crowd {
        let _ = one.await;
    }
    assert_eq!((pool.members().len(), domain.agents().len()), (2, 3));
    assert!(domain.provision(Probe::spec("y", &log)).await.is_err());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn pools_that_grow_at_once_do_not_pass_the_limit_of_their_domain_together() {
    let log = Log::default();
    let system = System::start(root()).await.expect("the tree starts");
    let mut limits = DomainLimits::default();
    limits.agents = Some(4);
    let domain = system.add_domain(DomainSpec::new("a").limits(limits)).await.expect("it starts");
    let (mut crowd, names) = (Vec::new(), ["one", "two", "three"]);
    for name in names {
        let made = log.clone();
        let slow = move |_| Probe::scripted("any", Script::new(&made).start_takes(MS * 10));
        domain.provision(ChildSpec::pool(name, elastic(), slow)).await.expect("there is room");
    }
    for name in names {
        let pool = system.pool::<Probe>(format!("root/a/{name}")).expect("it is one");
        for _ in 0..8 {
            let pool = pool.clone();
            crowd.push(tokio::spawn(async move { pool.acquire().await.map(std::mem::forget) }));
        }
    }
    tokio::time::sleep(SECOND * 3).await;
    assert_eq!(domain.agents().len(), 4, "{:?}", domain.agents());
    for one in crowd {
        one.abort();
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_start_hangs_holds_up_nobody_else_of_its_domain() {
    let log = Log::default();
    let system = System::start(root()).await.expect("the tree starts");
    let mut limits = DomainLimits::default();
    limits.agents = Some(4);
    let domain = system.add_domain(DomainSpec::new("a").limits(limits)).await.expect("it starts");
    let made = log.clone();
    let hangs = move |number| {
        let takes = if number == 1 { Duration::ZERO } else { Duration::from_hours(1_000) };
        Probe::scripted("any", Script::new(&made).start_takes(takes))
    };
    domain.provision(ChildSpec::pool("pool", elastic(), hangs)).await.expect("there is room");
    let pool = system.pool::<Probe>("root/a/pool").expect("it is one");
    let _held = acquired(&pool).await;
    let crowd: Vec<_> = (0..3).map(|_| tokio::spawn(with_timeout(wait_at(pool.clone())))).collect();
    for one in crowd {
        one.await.expect("it ends");
    }
    let began = VirtualClock::new();
    domain.provision(Probe::spec("x", &log)).await.expect("the one that hangs counts, and there is room beside it");
    domain.provision(Probe::spec("y", &log)).await.expect("and once more");
    let full = domain.provision(Probe::spec("z", &log)).await.expect_err("there are four");
    assert!(matches!(full, DomainError::Full(limit) if limit.present == 4));
    assert_eq!(began.elapsed(), Duration::ZERO);
    system.kill("root").expect("it is there");
    assert!(system.ended().await.is_err(), "a start that hangs needs no orderly end");
}

async fn wait_at(pool: Pool<Probe>) -> Result<PoolGuard<Probe>, AcquireError> {
    pool.acquire().await
}

/// Waits for a while, and gives back at once what it gets.
async fn with_timeout<F: Future<Output = Result<PoolGuard<Probe>, AcquireError>>>(one: F) {
    let _ = tokio::time::timeout(MS * 1_500, one).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_found_by_its_path_and_the_type_of_its_agents_and_its_rules_are_checked() {
    let log = Log::default();
    let (system, _) = begun(pool_of(&log, PoolRules::fixed(1))).await;
    assert!(matches!(system.pool::<Holder>("root/pool"), Err(RequestError::WrongAgent { .. })));
    assert!(matches!(system.pool::<Probe>("root"), Err(RequestError::WrongAgent { .. })));
    assert!(matches!(system.pool::<Probe>("root/none"), Err(RequestError::Unknown { .. })));
    system.shutdown().await.expect("an orderly end");
    let wrong = System::start(root().child(pool_of(&log, PoolRules::elastic(3, 2)))).await.expect_err("no number fits");
    assert_eq!(
        wrong.to_string(),
        "`root/pool`: `minimum` of the pool is 3; expected at most its `maximum`, which is 2"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_no_member_is_lent_twice_and_all_come_back() {
    let log = Log::default();
    let (system, pool) = begun(pool_of(&log, PoolRules::fixed(3))).await;
    let lent: Arc<[AtomicBool; 4]> = Arc::default();
    let askers: Vec<_> = (0..16)
        .map(|asker: u64| {
            let (pool, lent) = (pool.clone(), Arc::clone(&lent));
            tokio::spawn(async move {
                for turn in 0..200 {
                    // Some leave the line again, at whatever moment.
                    let limit =
                        if (asker + turn).is_multiple_of(3) { Duration::from_micros(turn) } else { SECOND * 60 };
                    let Ok(member) = pool.acquire_within(limit).await else { continue };
                    let number: usize = member.path().name().parse().expect("a number");
                    assert!(!lent[number].swap(true, Ordering::SeqCst), "it is lent already");
                    assert_eq!(member.ask(Order::Echo(turn)).await.expect("it answers"), turn);
                    lent[number].store(false, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.expect("nobody panics");
    }
    assert_eq!(pool.occupancy(), Occupancy { permits: 3, inside: 0, waiting: 0 });
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn whoever_crashes_and_whenever_the_pool_is_whole_again_afterwards() {
    let log = Log::default();
    let rules = PoolRules::elastic(2, 5).thresholds(2, 1).shrink_after(SECOND);
    let (system, pool) = begun(pool_of(&log, rules).intensity(Intensity::at_most(30).within(SECOND))).await;
    let askers: Vec<_> = (0..12_u64)
        .map(|asker| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for turn in 0..100 {
                    let limit = MS * u32::try_from((asker * 7 + turn * 13) % 40).expect("small");
                    let Ok(member) = pool.acquire_within(limit).await else { continue };
                    match (asker + turn) % 5 {
                        0 => drop(member.ask(Order::Panic("boom")).await),
                        1 => drop(tokio::time::timeout(MS, member.ask(Order::Wait(MS * 3))).await),
                        _ => drop(member.ask(Order::Wait(MS * 2)).await),
                    }
                }
            })
        })
        .collect();
    // The pool itself is killed too, besides giving up now and then.
    for _ in 0..20 {
        tokio::time::sleep(MS * 37).await;
        let _ = system.kill("root/pool");
    }
    for asker in askers {
        asker.await.expect("nobody panics");
    }
    tokio::time::sleep(SECOND * 30).await;
    assert_eq!(pool.members().len(), 2, "it has shrunk to the fewest: {:?}", pool.members());
    assert_eq!(pool.occupancy(), Occupancy { permits: 2, inside: 0, waiting: 0 });
    let (one, two) = (acquired(&pool).await, acquired(&pool).await);
    assert_ne!(one.path(), two.path());
    for member in [one, two] {
        assert_eq!(member.ask(Order::Echo(7)).await.expect("it answers"), 7);
    }
    system.shutdown().await.expect("an orderly end");
}
