//! Guarantee: a domain has no more agents than it may, whoever starts them and however deep; restarts are never refused,
//! and what ends gives its place back.

use std::time::Duration;

use steadfast::flow::DomainLimits;
use steadfast::testing::{Log, Order, Probe, Recorder, Script, settled};
use steadfast::{
    BoxError, ChildError, Domain, DomainError, DomainSpec, DynamicSupervisor, DynamicSupervisorSpec, EventKind,
    Intensity, Restart, Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);

fn supervisor(name: &str) -> SupervisorSpec {
    SupervisorSpec::new(name, Strategy::OneForOne).intensity(Intensity::at_most(1000))
}

fn at_most(agents: u32) -> DomainLimits {
    let mut limits = DomainLimits::default();
    limits.agents = Some(agents);
    limits
}

/// Probes whose start takes so long, and fails where it takes an odd number of milliseconds.
fn many(name: &str, log: &Log) -> DynamicSupervisorSpec<Duration> {
    let log = log.clone();
    let spec = DynamicSupervisorSpec::new(name, move |takes: Duration| {
        let outcome = move || if takes.as_millis() % 2 == 1 { Err(BoxError::from("odd")) } else { Ok(()) };
        Probe::scripted("any", Script::new(&log).start_takes(takes).start(move |_| outcome()))
    });
    spec.intensity(Intensity::at_most(1000))
}

/// A domain `a` with so many agents at most, of which one is there, and in it `a/in`, in which `a/in/many` is.
async fn begun(most: u32, log: &Log) -> (System, Domain, DynamicSupervisor<Duration>) {
    let system = System::start(supervisor("root")).await.expect("the tree starts");
    let spec = DomainSpec::new("a")
        .intensity(Intensity::at_most(1000))
        .limits(at_most(most))
        .agent(Probe::spec("x", log))
        .agent(supervisor("in").child(many("many", log)));
    let domain = system.add_domain(spec).await.expect("it starts");
    let many = system.dynamic_supervisor("root/a/in/many").expect("it is one");
    (system, domain, many)
}

fn is_full(error: &ChildError, numbers: (u32, u32)) -> bool {
    matches!(error, ChildError::Full(limit) if limit.domain == "a" && (limit.present, limit.most) == numbers)
}

#[tokio::test(start_paused = true)]
async fn in_a_full_domain_no_supervisor_starts_an_agent_at_any_depth_and_the_numbers_are_told() {
    let log = Log::default();
    let (system, domain, many) = begun(3, &log).await;
    let inner = system.supervisor("root/a/in").expect("it is one");
    inner.start_child(Probe::spec("y", &log)).await.expect("there is room");
    many.start_child(Duration::ZERO).await.expect("there is room");
    drop(log.take());
    let mut events = Recorder::of(&system);
    for refused in [
        many.start_child(Duration::ZERO).await,
        many.start_named("blue", Duration::ZERO).await,
        inner.start_child(Probe::spec("z", &log)).await,
        inner.start_child(supervisor("more").child(Probe::spec("z", &log))).await,
        domain.supervisor().start_child(Probe::spec("z", &log)).await,
    ] {
        let error = refused.expect_err("it is full");
        assert!(is_full(&error, (3, 3)), "{error}");
        assert_eq!(error.to_string(), "`a` has 3 agents, and `domain.agents` allows 3; end one, or raise the limit");
        let told = events.until(|event| matches!(event.kind, EventKind::SpawnRefused(_))).await;
        assert_eq!(told.path.as_str(), "root/a");
    }
    assert!(log.take().is_empty(), "nothing was started");
    let error = domain.provision(Probe::spec("z", &log)).await.expect_err("it is full");
    assert!(matches!(error, DomainError::Full(_)), "{error}");
    let taken = inner.start_child(Probe::spec("y", &log)).await.expect_err("it runs");
    assert!(matches!(taken, ChildError::AlreadyStarted { .. }), "who is there is no agent more: {taken}");
    inner.start_child(supervisor("empty")).await.expect("it brings no agent");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_for_good_or_does_not_start_gives_its_place_in_the_domain_back() {
    let log = Log::default();
    let (system, domain, many) = begun(2, &log).await;
    let inner = system.supervisor("root/a/in").expect("it is one");
    for _ in 0..3 {
        let one = many.start_child(Duration::ZERO).await.expect("there is room");
        many.start_child(Duration::ZERO).await.expect_err("it is full");
        many.terminate_child(&one.path).await.expect("it ends");

        let failed = many.start_child(Duration::from_millis(1)).await.expect_err("its start fails");
        assert!(matches!(failed, ChildError::FailedToStart { .. }), "{failed}");

        let temporary = Probe::spec("t", &log).restart(Restart::Temporary);
        inner.start_child(temporary).await.expect("there is room");
        Probe::at(&system, "root/a/in/t").ask(Order::Panic("boom")).await.expect_err("it ends");
        settled().await;

        domain.provision(Probe::spec("p", &log)).await.expect("there is room");
        inner.start_child(Probe::spec("y", &log)).await.expect_err("it is full");
        domain.terminate("p", SECOND).await.expect("it ends");
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_a_full_domain_is_never_refused_also_where_fewer_may_be_there_by_now() {
    let log = Log::default();
    let (system, domain, many) = begun(3, &log).await;
    let inner = system.supervisor("root/a/in").expect("it is one");
    let one = many.start_child(Duration::ZERO).await.expect("there is room");
    inner.start_child(Probe::spec("y", &log)).await.expect("there is room");
    domain.set_limits(at_most(1)).expect("they make sense");
    let mut events = Recorder::of(&system);
    for path in ["root/a/x", "root/a/in/y", one.path.as_str()] {
        Probe::at(&system, path).ask(Order::Panic("boom")).await.expect_err("it crashes");
        assert_eq!(Probe::at(&system, path).ask(Order::Which).await.expect("its next life"), 2);
    }
    inner.terminate_child("y").await.expect("it ends");
    inner.restart_child("y").await.expect("it is no new agent");
    system.kill("root/a").expect("it runs");
    events.started("root/a/x", 3).await;
    settled().await;
    assert!(!events.story().iter().any(|line| line.starts_with("spawn refused")), "{:?}", events.story());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_start_takes_long_counts_all_the_time_also_when_nobody_waits_for_it() {
    let log = Log::default();
    let (system, domain, many) = begun(2, &log).await;
    let slow = many.clone();
    let asker = tokio::spawn(async move { slow.start_child(4 * SECOND).await });
    settled().await;
    asker.abort();
    for _ in 0..3 {
        let refused = domain.supervisor().start_child(Probe::spec("z", &log)).await.expect_err("it is full");
        assert!(is_full(&refused, (2, 2)), "{refused}");
        tokio::time::sleep(SECOND).await;
    }
    many.terminate_child("1").await.expect("it ends");
    domain.supervisor().start_child(Probe::spec("z", &log)).await.expect("there is room");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_counts_in_each_domain_around_it() {
    let log = Log::default();
    let system = System::start(supervisor("root")).await.expect("the tree starts");
    let outer = system.add_domain(DomainSpec::new("a").limits(at_most(2))).await.expect("it starts");
    let below = |name| DomainSpec::new(name).under("root/a");
    let inner = system.add_domain(below("b")).await.expect("it starts");
    inner.provision(Probe::spec("x", &log)).await.expect("there is room");
    inner.supervisor().start_child(Probe::spec("y", &log)).await.expect("there is room");
    let refused = inner.provision(Probe::spec("z", &log)).await.expect_err("the outer one is full");
    assert!(matches!(&refused, DomainError::Full(limit) if limit.domain == "a"), "{refused}");
    let refused = system.add_domain(below("c").agent(Probe::spec("z", &log))).await.expect_err("it is full");
    assert!(matches!(&refused, DomainError::Full(limit) if limit.domain == "a"), "{refused}");
    assert!(system.domain("c").is_err(), "nothing is left of it");
    assert_eq!(outer.agents().len(), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_start_agents_at_once_fill_a_domain_exactly_and_nobody_is_refused_while_there_is_room() {
    const ROOM: u32 = 9;
    let log = Log::default();
    let (system, domain, many) = begun(ROOM, &log).await;
    let inner = system.supervisor("root/a/in").expect("it is one");
    for round in 0..60 {
        // As many as there is room for, and in every other round twice as many.
        let starts = if round % 2 == 0 { 8 } else { 16 };
        let all = (0..starts).map(|number| {
            let (domain, many, inner, log) = (domain.clone(), many.clone(), inner.clone(), log.clone());
            tokio::spawn(async move {
                let name = format!("n{number}");
                match number % 4 {
                    0 => many.start_child(Duration::ZERO).await,
                    1 => many.start_named(&name, Duration::ZERO).await,
                    2 => inner.start_child(Probe::spec(&name, &log)).await,
                    _ => domain.supervisor().start_child(Probe::spec(&name, &log)).await,
                }
            })
        });
        let mut started = Vec::new();
        for one in all.collect::<Vec<_>>() {
            match one.await.expect("no panic") {
                Ok(child) => started.push(child.path),
                Err(error) => assert!(matches!(error, ChildError::Full(_)), "{error}"),
            }
        }
        assert_eq!((started.len(), domain.agents().len()), (8, 9), "round {round}");
        for path in started {
            let above = path.parent().expect("it is no root");
            if above == *many.path() {
                many.terminate_child(&path).await.expect("it ends");
            } else {
                let above = system.supervisor(&above).expect("it is one");
                above.terminate_child(path.name()).await.expect("it ends");
                above.delete_child(path.name()).await.expect("it is stopped");
            }
        }
    }
    system.shutdown().await.expect("an orderly end");
}
