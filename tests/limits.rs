//! Guarantee: the limits of a domain and of an agent hold exactly, in the order of arrival, and whoever is refused learns
//! why and when to try again.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use steadfast::flow::{AtBound, BulkheadLimit, DomainLimits, Limits, Order as By, RateLimit};
use steadfast::seam::Clock;
use steadfast::testing::{Log, Order, Probe, Recorder, VirtualClock};
use steadfast::{
    Agent, AgentRef, BoxError, ChildSpec, Context, Domain, DomainError, DomainSpec, EventKind, ExitReason, Intensity,
    RefuseReason, RequestError, StartError, Strategy, SupervisorSpec, System, TellError, TokioClock,
};
use tokio::task::JoinHandle;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Counts what it handles.
struct Counter(Arc<AtomicU64>);

impl Agent for Counter {
    type Args = Arc<AtomicU64>;
    type Message = ();
    type Reply = ();

    async fn start(count: Self::Args, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(count))
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

async fn begun() -> System {
    System::start(root()).await.expect("the tree starts")
}

fn rate(count: u32, burst: u32) -> DomainLimits {
    let mut limits = DomainLimits::default();
    limits.messages = Some(RateLimit { count, per: SECOND, burst: Some(burst) });
    limits
}

fn bulkhead(permits: u32, waiting: u32) -> DomainLimits {
    let mut limits = DomainLimits::default();
    limits.bulkhead = Some(BulkheadLimit { permits, waiting });
    limits
}

/// A domain `a` with these probes, under these limits.
async fn domain_of(names: &[&str], log: &Log, limits: DomainLimits) -> (System, Domain) {
    let system = begun().await;
    let spec = DomainSpec::new("a").intensity(Intensity::at_most(100)).limits(limits);
    let spec = names.iter().fold(spec, |spec, name| spec.agent(Probe::spec(name, log)));
    let domain = system.add_domain(spec).await.expect("it starts");
    (system, domain)
}

/// Tells until it is refused.
fn tell_all(counter: &AgentRef<Counter>) -> (u64, TellError<()>) {
    let mut told = 0;
    loop {
        match counter.tell(()) {
            Ok(()) => told += 1,
            Err(error) => return (told, error),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_takes_a_hundred_thousand_messages_a_second_and_not_one_more_whoever_of_it_gets_them() {
    let system = begun().await;
    let counts: Vec<_> = (0..4).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let limits = Limits::seed_002().domain;
    let spec = counts.iter().enumerate().fold(DomainSpec::new("a").limits(limits), |spec, (number, count)| {
        let name = format!("c{number}");
        spec.agent(ChildSpec::agent::<Counter>(name, Arc::clone(count)).mailbox(1_000_000))
    });
    system.add_domain(spec).await.expect("it starts");
    let counters: Vec<AgentRef<Counter>> =
        (0..4).map(|number| system.agent(format!("root/a/c{number}")).expect("it is there")).collect();

    let (mut told, steps) = (tell_all(&counters[0]).0, 3_000_u32);
    assert_eq!(told, 10_000, "the burst, a tenth of it");
    for step in 1..=steps {
        tokio::time::advance(MS).await;
        let (more, refused) = tell_all(&counters[step as usize % 4]);
        told += more;
        assert_eq!(told, 10_000 + 100 * u64::from(step), "after {step} ms");
        let TellError::RateLimited { retry_after, .. } = refused else { panic!("{refused}") };
        assert_eq!(retry_after, Duration::from_micros(10));
    }
    tokio::time::sleep(MS).await;
    let handled: u64 = counts.iter().map(|count| count.load(Ordering::SeqCst)).sum();
    assert_eq!((told, handled), (310_000, 310_000));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_rate_gets_exactly_the_rate_in_the_order_of_arrival() {
    let log = Log::default();
    let (system, _) = domain_of(&["x"], &log, rate(100, 1)).await;
    let agent = Probe::at(&system, "root/a/x");
    let began = VirtualClock::new();
    let asks: Vec<JoinHandle<_>> = (0..300)
        .map(|number| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.ask_within(Order::Echo(number), SECOND * 10).await })
        })
        .collect();
    for (number, ask) in asks.into_iter().enumerate() {
        assert_eq!(ask.await.expect("it answers").expect("within its deadline"), number as u64);
        assert_eq!(began.elapsed(), MS * 10 * u32::try_from(number).expect("small"), "the {number}th");
    }
    let got: Vec<_> = log.take().into_iter().filter(|line| line.starts_with("got")).collect();
    let expected: Vec<_> = (0..300).map(|number| format!("got root/a/x #1 echo {number}")).collect();
    assert_eq!(got, expected);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_tell_over_the_rate_gives_the_message_back_with_the_time_to_try_again_and_is_reported() {
    let log = Log::default();
    let (system, _) = domain_of(&["x", "y"], &log, rate(10, 1)).await;
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a/x").tell(Order::Echo(1)).expect("the burst");
    let refused = Probe::at(&system, "root/a/y").tell(Order::Echo(2)).expect_err("the domain has had its one");
    assert_eq!(
        refused.to_string(),
        "not told to `root/a/y`: the domain `root/a` got as many messages as `domain.messages` allows; try again in 100ms, or wait with `tell_wait`"
    );
    let TellError::RateLimited { message, retry_after, .. } = refused else { panic!("{refused}") };
    let why = |event: &steadfast::Event| matches!(event.kind, EventKind::Refused { why: RefuseReason::RateLimited });
    assert_eq!(events.until(why).await.path.as_str(), "root/a/y");
    tokio::time::advance(retry_after).await;
    Probe::at(&system, "root/a/y").tell(message).expect("as it was told");
    system.shutdown().await.expect("an orderly end");
}

/// A clock that may run ahead of tokio's, so that a token is there before who waits for it is woken.
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> Instant {
        TokioClock.now() + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> SystemTime {
        TokioClock.wall()
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_takes_no_token_from_those_who_do() {
    let (log, clock) = (Log::default(), Arc::new(Ahead(AtomicU64::new(0))));
    let system = System::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).start(root()).await.expect("it starts");
    let spec = DomainSpec::new("a").limits(rate(10, 1)).agent(Probe::spec("x", &log));
    system.add_domain(spec).await.expect("it starts");
    let agent = Probe::at(&system, "root/a/x");
    agent.tell(Order::Echo(0)).expect("the burst");
    let waits = agent.clone();
    let waits = tokio::spawn(async move { waits.tell_wait(Order::Echo(1), SECOND).await });
    tokio::task::yield_now().await;
    clock.0.store(100, Ordering::SeqCst);
    let refused = agent.tell(Order::Echo(2)).expect_err("the token is of who waits");
    assert!(matches!(refused, TellError::RateLimited { retry_after, .. } if retry_after == MS * 100), "{refused}");
    waits.await.expect("it ends").expect("it had its turn");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn whose_turn_does_not_come_before_its_deadline_is_told_at_once_and_costs_nobody_a_token() {
    let log = Log::default();
    let (system, _) = domain_of(&["x"], &log, rate(1, 1)).await;
    let agent = Probe::at(&system, "root/a/x");
    agent.tell(Order::Echo(0)).expect("the burst");
    let began = VirtualClock::new();
    let refused = agent.ask_within(Order::Echo(1), MS * 500).await.expect_err("its turn is later");
    assert!(matches!(refused, RequestError::RateLimited { retry_after, .. } if retry_after == SECOND), "{refused}");
    assert_eq!(began.elapsed(), Duration::ZERO);
    agent.ask_within(Order::Echo(2), SECOND + MS).await.expect("in time");
    assert_eq!(began.elapsed(), SECOND);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_finds_no_room_costs_no_token() {
    let log = Log::default();
    let system = begun().await;
    let spec = DomainSpec::new("a").limits(rate(1, 3)).agent(Probe::spec("x", &log).mailbox(1));
    system.add_domain(spec).await.expect("it starts");
    let agent = Probe::at(&system, "root/a/x");
    for _ in 0..3 {
        agent.tell(Order::Echo(1)).expect("there is room, and a token");
        assert!(matches!(agent.tell(Order::Echo(2)), Err(TellError::Full { .. })));
        tokio::task::yield_now().await;
    }
    assert!(matches!(agent.tell(Order::Echo(3)), Err(TellError::RateLimited { .. })));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_message_for_which_another_one_has_to_go_costs_a_token_and_one_that_is_refused_none() {
    let log = Log::default();
    let system = begun().await;
    let shedding = |name, at_bound| Probe::spec(name, &log).mailbox(1).order(By::Priority).at_bound(at_bound);
    let spec = DomainSpec::new("a").limits(rate(1, 3)).agent(shedding("x", AtBound::ShedOldest));
    system.add_domain(spec.agent(shedding("y", AtBound::ShedLowest))).await.expect("it starts");
    let (x, y) = (Probe::at(&system, "root/a/x"), Probe::at(&system, "root/a/y"));
    y.tell(Order::Echo(1)).expect("there is room, and a token");
    for number in 0..10 {
        assert!(matches!(y.tell(Order::Echo(number)), Err(TellError::Full { .. })), "nothing is less urgent");
    }
    let told = (0..10).filter(|number| x.tell(Order::Echo(*number)).is_ok()).count();
    assert_eq!(told, 2, "the tokens that were left, although there always is room");
    assert!(matches!(x.tell(Order::Echo(1)), Err(TellError::RateLimited { .. })));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_is_first_in_line_gets_its_turn_as_soon_as_other_limits_allow_it() {
    let log = Log::default();
    for higher in [rate(1, 1), DomainLimits::default()] {
        let hour = RateLimit { count: 1, per: SECOND * 3600, burst: Some(1) };
        let mut slow = DomainLimits::default();
        slow.messages = Some(hour);
        let (system, domain) = domain_of(&["x"], &log, slow).await;
        let agent = Probe::at(&system, "root/a/x");
        agent.tell(Order::Echo(0)).expect("the burst");
        let began = VirtualClock::new();
        let first = asks(&agent, Order::Echo(1), SECOND * 7200);
        let second = asks(&agent, Order::Echo(2), SECOND * 7200);
        tokio::time::sleep(MS).await;
        domain.set_limits(higher.clone()).expect("they make sense");
        first.await.expect("it ends").expect("it answers");
        assert_eq!(began.elapsed(), MS);
        second.await.expect("it ends").expect("it answers");
        assert!(began.elapsed() <= SECOND + MS, "{:?}", began.elapsed());
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_may_be_set_raised_and_lifted_while_it_runs() {
    let log = Log::default();
    let (system, domain) = domain_of(&["x"], &log, DomainLimits::default()).await;
    let agent = Probe::at(&system, "root/a/x");
    let told = || (0..50).filter(|number| agent.tell(Order::Echo(*number)).is_ok()).count();
    assert_eq!(told(), 50);
    for (count, passes) in [(10, 10), (20, 20)] {
        domain.set_limits(rate(count, count)).expect("they make sense");
        assert_eq!(told(), passes);
        domain.set_limits(rate(count, count)).expect("the same again changes nothing");
        assert_eq!(told(), 0);
    }
    domain.set_limits(DomainLimits::default()).expect("they make sense");
    assert_eq!(told(), 50);
    let wrong = domain.set_limits(rate(0, 1)).expect_err("nothing would pass");
    assert_eq!(wrong.to_string(), "`domain.messages.count` is 0; expected at least 1");
    assert_eq!(told(), 50, "nothing has changed");
    system.shutdown().await.expect("an orderly end");
}

fn asks(agent: &AgentRef<Probe>, order: Order, limit: Duration) -> JoinHandle<Result<u64, RequestError>> {
    let agent = agent.clone();
    tokio::spawn(async move { agent.ask_within(order, limit).await })
}

#[tokio::test(start_paused = true)]
async fn so_many_requests_are_inside_at_once_and_the_others_wait_in_order() {
    let log = Log::default();
    let (system, domain) = domain_of(&["a", "b", "c", "d"], &log, bulkhead(2, 100)).await;
    let began = VirtualClock::new();
    let mut asked = Vec::new();
    for name in ["a", "b", "c", "d"] {
        asked.push(asks(&Probe::at(&system, &format!("root/a/{name}")), Order::Wait(SECOND), SECOND * 10));
        tokio::task::yield_now().await;
    }
    let occupancy = domain.occupancy().expect("it has one");
    assert_eq!((occupancy.inside, occupancy.waiting), (2, 2));
    for (number, ask) in asked.into_iter().enumerate() {
        ask.await.expect("it answers").expect("within its deadline");
        assert_eq!(began.elapsed(), SECOND * (1 + u32::try_from(number).expect("small") / 2));
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_permit_by_its_deadline_learns_how_the_domain_stands_and_was_not_sent() {
    let log = Log::default();
    let (system, _) = domain_of(&["x", "y"], &log, bulkhead(1, 1)).await;
    let inside = asks(&Probe::at(&system, "root/a/x"), Order::Wait(SECOND * 9), SECOND * 10);
    tokio::task::yield_now().await;
    let late = Probe::at(&system, "root/a/y").ask_within(Order::Echo(1), SECOND).await.expect_err("nobody leaves");
    assert_eq!(
        late.to_string(),
        "not asked of `root/a/y`: after 1s the domain `root/a` is as full as `domain.bulkhead` allows: 1 of 1 in use, 1 waiting"
    );
    let waits = asks(&Probe::at(&system, "root/a/y"), Order::Echo(2), SECOND * 20);
    tokio::task::yield_now().await;
    let began = VirtualClock::new();
    let full = Probe::at(&system, "root/a/y").ask(Order::Echo(3)).await.expect_err("the line is full");
    assert!(matches!(full, RequestError::Saturated { waited: Duration::ZERO, .. }), "{full}");
    assert_eq!(began.elapsed(), Duration::ZERO);
    inside.await.expect("it answers").expect("within its deadline");
    assert_eq!(waits.await.expect("it answers").expect("within its deadline"), 2);
    let got: Vec<_> = log.take().into_iter().filter(|line| line.contains("echo")).collect();
    assert_eq!(got, ["got root/a/y #1 echo 2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_permit_comes_back_however_a_request_ends() {
    let log = Log::default();
    let (system, domain) = domain_of(&["x"], &log, bulkhead(1, 0)).await;
    let agent = Probe::at(&system, "root/a/x");
    let is_free = || domain.occupancy().expect("it has one").inside == 0;
    assert!(matches!(agent.ask(Order::Panic("boom")).await, Err(RequestError::Exited { .. })) && is_free(), "a crash");
    assert!(
        matches!(agent.ask(Order::Wait(SECOND * 9)).await, Err(RequestError::Timeout { .. })) && is_free(),
        "a timeout"
    );
    tokio::time::timeout(SECOND, agent.ask(Order::Hang)).await.expect_err("it hangs");
    assert!(is_free(), "an asker that waits no longer");
    let killed = asks(&agent, Order::Hang, SECOND * 100);
    tokio::time::sleep(MS).await;
    assert!(!is_free());
    let mut events = Recorder::of(&system);
    system.kill("root/a/x").expect("it is there");
    events.exit("root/a/x").await;
    killed.abort();
    killed.await.expect_err("aborted");
    assert!(is_free(), "an asker that was aborted, and an agent that was killed");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn agents_of_a_domain_ask_each_other_without_another_permit() {
    let log = Log::default();
    let (system, _) = domain_of(&["x", "y"], &log, bulkhead(1, 0)).await;
    let passes_on = Order::run(|ctx| {
        Box::pin(async move {
            let y = ctx.sibling::<Probe>("y")?;
            Ok(y.ask(Order::Echo(42)).await?)
        })
    });
    assert_eq!(Probe::at(&system, "root/a/x").ask(passes_on).await.expect("it is inside already"), 42);
    system.shutdown().await.expect("an orderly end");
}

/// What tasks say when they begin, and how they are let go on.
async fn spawned(
    agent: &AgentRef<Probe>,
    log: &Log,
    names: &'static [&'static str],
) -> Vec<tokio::sync::oneshot::Sender<()>> {
    let (senders, receivers): (Vec<_>, Vec<_>) = names.iter().map(|_| tokio::sync::oneshot::channel::<()>()).unzip();
    let log = log.clone();
    let spawn = Order::run(move |ctx| {
        Box::pin(async move {
            for (name, goes) in names.iter().zip(receivers) {
                let log = log.clone();
                ctx.spawn(async move {
                    log.write(format!("task {name}"));
                    let _ = goes.await;
                });
            }
            Ok(ctx.waiting_tasks() as u64)
        })
    });
    let waiting = agent.ask(spawn).await.expect("it answers");
    assert_eq!(waiting, names.len() as u64 - 2);
    senders
}

fn tasks(log: &Log) -> Vec<String> {
    log.take().into_iter().filter(|line| line.starts_with("task")).collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_over_the_limit_wait_in_order_until_one_ends_and_timers_do_not_count() {
    let log = Log::default();
    let child = Probe::spec("x", &log).concurrent_tasks(2);
    let system = System::start(root().child(child)).await.expect("the tree starts");
    let agent = Probe::at(&system, "root/x");
    let mut goes = spawned(&agent, &log, &["1", "2", "3", "4"]).await;
    tokio::time::sleep(MS).await;
    assert_eq!(tasks(&log), ["task 1", "task 2"]);
    let timer = Order::run(|ctx| {
        ctx.after(MS, Order::Echo(7));
        Box::pin(async { Ok(0) })
    });
    agent.ask(timer).await.expect("it answers");
    tokio::time::sleep(MS * 2).await;
    assert!(log.take().contains(&"got root/x #1 echo 7".to_owned()), "the timer fired");
    goes.swap_remove(0).send(()).expect("it waits");
    tokio::time::sleep(MS).await;
    assert_eq!(tasks(&log), ["task 3"]);
    // The life ends: those that wait never begin, and the next life has all its places.
    let mut events = Recorder::of(&system);
    agent.tell(Order::Panic("boom")).expect("there is room");
    events.started("root/x", 2).await;
    drop(spawned(&agent, &log, &["5", "6"]).await);
    tokio::time::sleep(MS).await;
    assert_eq!(tasks(&log), ["task 5", "task 6"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_watched_task_is_expected_to_beat_from_when_its_turn_has_come() {
    let log = Log::default();
    let system =
        System::start(root().child(Probe::spec("x", &log).concurrent_tasks(1))).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let spawn = Order::run(|ctx| {
        ctx.spawn(async { tokio::time::sleep(SECOND * 60).await });
        ctx.spawn_watched(SECOND, |_| pending());
        Box::pin(async { Ok(0) })
    });
    let began = VirtualClock::new();
    Probe::at(&system, "root/x").ask(spawn).await.expect("it answers");
    let ended = events.exit("root/x").await;
    assert!(matches!(ended.reason, ExitReason::Unresponsive { .. }), "{}", ended.reason);
    assert_eq!(began.elapsed(), SECOND * 61);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_a_system_hold_where_a_spec_says_nothing() {
    let log = Log::default();
    let mut limits = Limits::seed_004();
    limits.agent.mailbox = 3;
    limits.agent.concurrent_tasks = Some(2);
    let tree = root().child(Probe::spec("x", &log)).child(Probe::spec("y", &log).mailbox(5));
    let system = System::builder().limits(limits).start(tree).await.expect("the tree starts");
    let full = |path: &str| {
        let agent = Probe::at(&system, path);
        std::iter::repeat_with(|| agent.tell(Order::Hang)).find_map(Result::err).expect("it is bounded")
    };
    assert!(matches!(full("root/x"), TellError::Full { bound: 3, .. }));
    assert!(matches!(full("root/y"), TellError::Full { bound: 5, .. }));
    let domain = system.add_domain(DomainSpec::new("a").agent(Probe::spec("x", &log))).await.expect("it starts");
    assert_eq!((domain.limits().agents, domain.limits().start_within), (Some(5), Some(SECOND * 10)));
    drop(spawned(&Probe::at(&system, "root/a/x"), &log, &["1", "2", "3"]).await);
    for name in ["2nd", "3rd", "4th", "5th"] {
        domain.provision(Probe::spec(name, &log)).await.expect("there is room");
    }
    let sixth = domain.provision(Probe::spec("6th", &log)).await.expect_err("five are the most");
    assert!(matches!(sixth, DomainError::Full(limit) if (limit.present, limit.most) == (5, 5)));
    system.kill("root").expect("it is there");
    assert!(system.ended().await.is_err(), "agents that hang need no orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_deadline_has_that_of_the_system() {
    let log = Log::default();
    let mut limits = Limits::default();
    limits.route.ask_within = Some(MS * 250);
    let system = System::builder().limits(limits).start(root().child(Probe::spec("x", &log))).await.expect("it starts");
    let began = VirtualClock::new();
    let late = Probe::at(&system, "root/x").ask(Order::Wait(SECOND)).await.expect_err("it takes longer");
    assert_eq!((began.elapsed(), late.to_string()), (MS * 250, "`root/x` did not reply within 250ms".to_owned()));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_system_that_make_no_sense_are_refused_by_name_and_nothing_starts() {
    let log = Log::default();
    let mut limits = Limits::seed_002();
    limits.agent.mailbox = 0;
    let start = System::builder().limits(limits).start(root().child(Probe::spec("x", &log))).await;
    let refused = start.expect_err("no message would fit");
    assert!(matches!(refused, StartError::Spec(_)));
    assert_eq!(refused.to_string(), "in the system's limits, `agent.mailbox` is 0; expected at least 1");
    let none =
        System::start(root().child(Probe::spec("x", &log).concurrent_tasks(0))).await.expect_err("none would run");
    assert_eq!(
        none.to_string(),
        "`root/x` has a number of concurrent tasks of zero; give it more, or leave the setting out"
    );
    assert!(log.take().is_empty(), "nothing was started");
}
