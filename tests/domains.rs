//! Guarantee: a domain is added to a running system, holds its limits, comes back as it was, and says how its agents
//! are although some hang.

use std::time::Duration;

use steadfast::flow::{DomainLimits, Limits, PoolRules, SpawnCondition};
use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock};
use steadfast::{
    AgentSpec, BoxError, ChildError, ChildSpec, Domain, DomainError, DomainSpec, EventKind, ExitReason, Health,
    Incarnation, Intensity, Path, Restart, Strategy, SupervisorSpec, System,
};
use tokio::runtime::Handle;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

async fn begun() -> System {
    System::start(root()).await.expect("the tree starts")
}

fn at_most(agents: u32) -> DomainLimits {
    let mut limits = DomainLimits::default();
    limits.agents = Some(agents);
    limits
}

fn workers(log: &Log) -> DomainSpec {
    let log = log.clone();
    DomainSpec::new("a").intensity(Intensity::at_most(100)).template("w", move |_| Probe::spec("any", &log))
}

fn names(domain: &Domain) -> Vec<String> {
    domain.agents().iter().map(|path| path.name().to_owned()).collect()
}

async fn killed(system: &System, path: &str) {
    let mut events = Recorder::of(system);
    system.kill(path).expect("it is there");
    let ended = events.exit(path).await;
    assert!(matches!(ended.reason, ExitReason::Killed), "{}", ended.reason);
    let back =
        |event: &steadfast::Event| event.path.as_str() == path && matches!(event.kind, EventKind::Started { .. });
    events.until(back).await;
}

#[tokio::test(start_paused = true)]
async fn a_domain_is_added_to_a_running_system_and_removed_without_a_trace() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(DomainSpec::new("a").agent(Probe::spec("x", &log))).await.expect("it starts");
    assert_eq!((domain.name(), domain.path().as_str()), ("a", "root/a"));
    assert_eq!(Probe::at(&system, "root/a/x").ask(Order::Echo(7)).await.expect("it answers"), 7);
    assert_eq!(system.domains().len(), 1);
    let twice = system.add_domain(DomainSpec::new("a")).await.expect_err("the name is taken");
    assert_eq!(twice.to_string(), "there is a domain `a` already, at `root/a`");

    system.remove_domain("a", SECOND).await.expect("it ends");
    assert!(system.state("root/a").is_err() && system.state("root/a/x").is_err(), "nothing is left of it");
    let unknown = system.domain("a").expect_err("it is gone");
    assert_eq!(unknown.to_string(), "there is no domain `a`; add it with `System::add_domain`");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_domain_is_added_below_domains_where_there_is_such_a_supervisor_or_where_it_is_told_to() {
    let inner = |name| SupervisorSpec::new(name, Strategy::OneForOne);
    let system = System::start(root().child(inner("domains")).child(inner("other"))).await.expect("the tree starts");
    let one = system.add_domain(DomainSpec::new("one")).await.expect("it starts");
    let two = system.add_domain(DomainSpec::new("two").under("/root/other")).await.expect("it starts");
    assert_eq!((one.path().as_str(), two.path().as_str()), ("root/domains/one", "root/other/two"));
    let nowhere = system.add_domain(DomainSpec::new("three").under("root/none")).await.expect_err("nobody is there");
    assert_eq!(nowhere.to_string(), "there is no supervisor `root/none` to add a domain to");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_does_not_start_leaves_nothing_behind() {
    let (system, log) = (begun().await, Log::default());
    let fails = Probe::scripted("x", Script::new(&log).start(|_| Err(BoxError::from("no"))));
    let error = system.add_domain(DomainSpec::new("a").agent(fails)).await.expect_err("it does not start");
    assert!(matches!(error, DomainError::Child(ChildError::FailedToStart { .. })), "{error}");
    assert!(system.domains().is_empty() && system.state("root/a").is_err());
    system.add_domain(DomainSpec::new("a")).await.expect("the name is free");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn at_the_most_agents_the_next_is_refused_with_the_numbers_and_nothing_is_started() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log).limits(at_most(2))).await.expect("it starts");
    domain.provision(Probe::spec("x", &log)).await.expect("there is room");
    system.provision("a", Probe::spec("y", &log)).await.expect("there is room");
    drop(log.take());
    let mut events = Recorder::of(&system);
    for refused in [
        domain.provision(Probe::spec("z", &log)).await.map(|_| ()),
        domain.scale(1).await.map(|_| ()),
        domain.provision(root().child(Probe::spec("z", &log))).await.map(|_| ()),
    ] {
        let error = refused.expect_err("it is full");
        assert!(matches!(&error, DomainError::Full(limit) if (limit.present, limit.most) == (2, 2)), "{error}");
        let told = events.until(|event| matches!(event.kind, EventKind::SpawnRefused(_))).await;
        assert_eq!(told.path.as_str(), "root/a");
        assert_eq!(error.to_string(), "`a` has 2 agents, and `domain.agents` allows 2; end one, or raise the limit");
    }
    assert!(log.take().is_empty(), "nothing was started");
    domain.terminate("x", SECOND).await.expect("it ends");
    domain.provision(Probe::spec("z", &log)).await.expect("there is room again");
    domain.set_limits(at_most(3)).expect("they make sense");
    domain.scale(1).await.expect("there is room");
    assert_eq!(names(&domain), ["y", "z", "w-1"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn two_who_ask_at_once_do_not_pass_the_limit_together() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log).limits(at_most(3))).await.expect("it starts");
    let slow = |name: &str| Probe::scripted(name, Script::new(&log).start_takes(MS * 10));
    let all = ["a", "b", "c", "d", "e"].map(|name| {
        let (domain, child) = (domain.clone(), slow(name));
        tokio::spawn(async move { domain.provision(child).await.is_ok() })
    });
    let mut started = 0;
    for one in all {
        started += usize::from(one.await.expect("it answers"));
    }
    assert_eq!((started, domain.agents().len()), (3, 3));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_no_new_agent() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log).limits(at_most(2))).await.expect("it starts");
    domain.scale(2).await.expect("there is room");
    for _ in 0..20 {
        killed(&system, "root/a/w-1").await;
    }
    assert_eq!(names(&domain), ["w-1", "w-2"]);
    assert!(domain.provision(Probe::spec("x", &log)).await.is_err());
    domain.terminate("w-2", SECOND).await.expect("it ends");
    domain.provision(Probe::spec("x", &log)).await.expect("restarts took no room");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn scaling_makes_exactly_so_many_and_ends_the_last_first() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log).agent(Probe::spec("other", &log))).await.expect("it starts");
    assert_eq!(domain.scale(4).await.expect("no limit"), 0);
    assert_eq!(names(&domain), ["other", "w-1", "w-2", "w-3", "w-4"]);
    drop(log.take());
    assert_eq!(system.scale("a", 2).await.expect("they end"), 4);
    let stops: Vec<_> = log.take().into_iter().filter(|line| line.starts_with("stop")).collect();
    assert_eq!(stops, ["stop root/a/w-4 #1", "stop root/a/w-3 #1"]);
    domain.terminate("w-1", SECOND).await.expect("it ends");
    domain.scale(3).await.expect("no limit");
    assert_eq!(names(&domain), ["other", "w-2", "w-1", "w-3"], "the first free numbers");
    domain.scale(0).await.expect("they end");
    assert_eq!(names(&domain), ["other"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn scaling_replaces_those_that_are_stopped_or_in_quarantine() {
    let (system, log) = (begun().await, Log::default());
    let made = log.clone();
    let spec = DomainSpec::new("a").template("w", move |_| Probe::spec("any", &made).restart(Restart::Transient));
    let domain = system.add_domain(spec).await.expect("it starts");
    domain.scale(3).await.expect("no limit");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a/w-2").tell(Order::Stop(ExitReason::Normal)).expect("there is room");
    events.exit("root/a/w-2").await;
    assert_eq!(names(&domain), ["w-1", "w-3"]);
    assert_eq!(domain.scale(3).await.expect("no limit"), 2);
    assert_eq!(names(&domain), ["w-1", "w-3", "w-2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_was_provisioned_comes_back_with_its_domain_and_with_all_domains() {
    let inner = SupervisorSpec::new("domains", Strategy::OneForOne).intensity(Intensity::at_most(100));
    let (system, log) = (System::start(root().child(inner)).await.expect("the tree starts"), Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    domain.scale(3).await.expect("no limit");
    domain.provision(Probe::spec("x", &log)).await.expect("no limit");
    // Another domain, which changes the spec of the supervisor above both; and then this one changes again.
    let other = system.add_domain(DomainSpec::new("b").agent(Probe::spec("y", &log))).await.expect("it starts");
    domain.terminate("w-2", SECOND).await.expect("it ends");
    other.provision(Probe::spec("z", &log)).await.expect("no limit");
    for path in ["root/domains/a", "root/domains", "root/domains/b", "root/domains"] {
        killed(&system, path).await;
        assert_eq!(
            (names(&domain), names(&other)),
            (vec!["w-1".into(), "w-3".into(), "x".into()], vec!["y".into(), "z".into()]),
            "{path}"
        );
        for agent in ["a/w-1", "a/w-3", "a/x", "b/y", "b/z"] {
            let answer = Probe::at(&system, &format!("root/domains/{agent}")).ask(Order::Echo(1)).await;
            assert_eq!(answer.expect("it answers"), 1, "{agent}");
        }
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_provisioned_while_the_supervisor_above_is_told_of_another_domain_comes_back_too() {
    let inner = SupervisorSpec::new("domains", Strategy::OneForOne);
    let (system, log) = (System::start(root().child(inner)).await.expect("the tree starts"), Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    system.add_domain(DomainSpec::new("b")).await.expect("it starts");
    // The supervisor above is busy, so that what it is told of the other domain waits, and is older when its turn comes.
    let above = system.supervisor("root/domains").expect("it is one");
    let slow = Probe::scripted("slow", Script::new(&log).start_takes(SECOND));
    let busy = tokio::spawn(async move { above.start_child(slow).await.is_ok() });
    tokio::task::yield_now().await;
    let removing = system.clone();
    let removed = tokio::spawn(async move { removing.remove_domain("b", SECOND).await.is_ok() });
    tokio::time::sleep(MS).await;
    domain.provision(Probe::spec("late", &log)).await.expect("no limit");
    assert!(!removed.is_finished(), "its turn has not come");
    assert!(busy.await.expect("it answers") && removed.await.expect("it answers"));
    killed(&system, "root/domains/a").await;
    assert_eq!(names(&domain), ["late"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_agent_does_not_come_back_with_its_domain() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    domain.provision(Probe::spec("once", &log).restart(Restart::Temporary)).await.expect("no limit");
    domain.provision(Probe::spec("x", &log)).await.expect("no limit");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a/once").tell(Order::Stop(ExitReason::Normal)).expect("there is room");
    events.exit("root/a/once").await;
    killed(&system, "root/a").await;
    assert_eq!(names(&domain), ["x"]);
    assert!(!log.take().contains(&"start root/a/once #2".to_owned()));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_forgotten_when_done_does_not_come_back_and_its_name_is_free_again() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    let job = || Probe::spec("job", &log).restart(Restart::Transient).forget_when_done();
    for _ in 0..3 {
        domain.provision(job()).await.expect("the name is free");
        // Another change leaves it alone.
        domain.scale(1).await.expect("no limit");
        domain.scale(0).await.expect("it ends");
        let mut events = Recorder::of(&system);
        Probe::at(&system, "root/a/job").tell(Order::Stop(ExitReason::Normal)).expect("it runs");
        events.exit("root/a/job").await;
    }
    domain.provision(Probe::spec("x", &log)).await.expect("no limit");
    killed(&system, "root/a").await;
    assert_eq!(names(&domain), ["x"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_takes_the_place_of_a_child_that_was_ended_past_the_domain_comes_back_and_so_does_what_came_with_it() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    domain.scale(2).await.expect("no limit");
    domain.supervisor().terminate_child("w-1").await.expect("it is one");
    domain.supervisor().delete_child("w-1").await.expect("it has ended");
    domain.scale(3).await.expect("both names are free");
    assert_eq!(names(&domain), ["w-2", "w-1", "w-3"]);
    killed(&system, "root/a").await;
    assert_eq!(names(&domain), ["w-2", "w-1", "w-3"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_template_that_panics_is_named_with_its_cause_and_nothing_was_started() {
    let (system, log) = (begun().await, Log::default());
    let made = log.clone();
    let spec = DomainSpec::new("a").template("w", move |number| {
        assert!(number < 3, "no third");
        Probe::spec("any", &made)
    });
    let domain = system.add_domain(spec).await.expect("it starts");
    let error = domain.scale(3).await.expect_err("the template panics");
    assert!(error.to_string().starts_with("`root/a/w-3` panicked: no third"), "{error}");
    assert!(names(&domain).is_empty());
    assert_eq!(domain.scale(2).await.expect("the domain goes on"), 0);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_start_takes_no_longer_than_the_domain_allows_where_the_agent_says_nothing() {
    let (system, log) = (begun().await, Log::default());
    let domain = DomainSpec::new("a").limits(Limits::seed_004().domain);
    let domain = system.add_domain(domain).await.expect("it starts");
    let hangs = |name| Probe::scripted(name, Script::new(&log).start_takes(Duration::from_hours(1)));
    for (spec, takes) in [(hangs("x"), 10), (hangs("y").start_deadline(SECOND * 2), 2)] {
        let began = VirtualClock::new();
        let error = domain.provision(spec).await.expect_err("it hangs");
        assert!(matches!(error, DomainError::Child(ChildError::FailedToStart { .. })), "{error}");
        assert_eq!(began.elapsed(), SECOND * takes);
    }
    assert!(domain.agents().is_empty());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_carried_out_also_when_nobody_waits_for_it() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    let slow = Probe::scripted("x", Script::new(&log).start_takes(SECOND));
    tokio::time::timeout(MS, domain.provision(slow)).await.expect_err("it takes longer");
    tokio::time::advance(SECOND * 2).await;
    // Behind it in line.
    domain.scale(1).await.expect("no limit");
    killed(&system, "root/a").await;
    assert_eq!(names(&domain), ["x", "w-1"], "it is part of the domain");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn agents_run_on_the_runtime_of_their_domain_where_they_name_none() {
    let runtime = |name: &str| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().name(name).build();
        runtime.expect("a runtime")
    };
    let (of_domain, of_agent) = (runtime("domain"), runtime("agent"));
    let (system, log) = (begun().await, Log::default());
    let made = log.clone();
    let nested = ChildSpec::pool("pool", PoolRules::fixed(1), move |_| Probe::spec("any", &made));
    let spec = DomainSpec::new("a")
        .runtime(of_domain.handle().clone())
        .agent(Probe::spec("x", &log))
        .agent(Probe::spec("y", &log).runtime(of_agent.handle().clone()))
        .agent(nested);
    let domain = system.add_domain(spec).await.expect("it starts");
    domain.provision(Probe::spec("z", &log)).await.expect("no limit");
    for (path, expected) in [("x", &of_domain), ("y", &of_agent), ("pool/1", &of_domain), ("z", &of_domain)] {
        let expected = expected.handle().id();
        let look = Order::run(move |_| Box::pin(async move { Ok(u64::from(Handle::current().id() == expected)) }));
        assert_eq!(Probe::at(&system, &format!("root/a/{path}")).ask(look).await.expect("it answers"), 1, "{path}");
    }
    system.shutdown().await.expect("an orderly end");
    of_domain.shutdown_background();
    of_agent.shutdown_background();
}

fn agent(name: &str, log: &Log) -> AgentSpec<Probe> {
    Probe::spec(name, log)
}

#[tokio::test(start_paused = true)]
async fn the_health_of_all_is_known_in_the_time_of_one_although_many_hang_and_a_busy_one_is_not_hung() {
    let (system, log) = (begun().await, Log::default());
    let mut spec = DomainSpec::new("a").agent(agent("idle", &log));
    for number in 0..50 {
        spec = spec.agent(agent(&format!("hangs-{number:02}"), &log));
    }
    spec = spec
        .agent(agent("busy", &log).handler_deadline(SECOND * 60))
        .agent(agent("works", &log))
        .agent(agent("done", &log).restart(Restart::Temporary));
    let domain = system.add_domain(spec).await.expect("it starts");
    for number in 0..50 {
        Probe::at(&system, &format!("root/a/hangs-{number:02}")).tell(Order::Hang).expect("there is room");
    }
    Probe::at(&system, "root/a/busy").tell(Order::Wait(SECOND * 30)).expect("there is room");
    for _ in 0..100 {
        Probe::at(&system, "root/a/works").tell(Order::Wait(MS * 300)).expect("there is room");
    }
    tokio::time::sleep(SECOND).await;

    let began = VirtualClock::new();
    let health = domain.health_check_all(SECOND).await;
    assert_eq!(began.elapsed(), SECOND, "one limit for all");
    let of = |name: &str| health.iter().find(|(path, _)| path.name() == name).map(|(_, health)| health.clone());
    assert_eq!(health.len(), 54);
    assert_eq!(of("idle"), Some(Health::Idle));
    assert_eq!(of("busy"), Some(Health::Busy { queued: 1 }));
    assert!(matches!(of("works"), Some(Health::Busy { .. })), "{:?}", of("works"));
    for number in 0..50 {
        let hangs = of(&format!("hangs-{number:02}"));
        assert!(matches!(hangs, Some(Health::Hung { queued: 1, .. })), "{hangs:?}");
    }
    system.kill("root").expect("it is there");
    assert!(system.ended().await.is_err(), "agents that hang need no orderly end");
}

#[tokio::test(start_paused = true)]
async fn where_every_answer_is_clear_health_is_known_at_once() {
    let (system, log) = (begun().await, Log::default());
    let spec = DomainSpec::new("a").agent(agent("idle", &log)).agent(agent("busy", &log).handler_deadline(SECOND * 60));
    system.add_domain(spec).await.expect("it starts");
    let root = system.supervisor("root").expect("it is one");
    root.start_child(agent("rests", &log)).await.expect("it starts");
    root.terminate_child("rests").await.expect("it ends");
    Probe::at(&system, "root/a/busy").tell(Order::Wait(SECOND)).expect("there is room");
    tokio::time::sleep(MS * 500).await;
    let began = VirtualClock::new();
    let health = system.health_check_all(SECOND * 1000).await;
    let expected =
        [("root/a/busy", Health::Busy { queued: 1 }), ("root/a/idle", Health::Idle), ("root/rests", Health::Down)];
    let expected: Vec<(Path, Health)> =
        expected.into_iter().map(|(path, health)| (path.parse().expect("a path"), health)).collect();
    assert_eq!((began.elapsed(), health), (Duration::ZERO, expected));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_drains_is_not_hung_although_messages_wait() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(DomainSpec::new("a").agent(agent("x", &log))).await.expect("it starts");
    let x = Probe::at(&system, "root/a/x");
    let task = Order::run(|ctx| {
        ctx.spawn(async { tokio::time::sleep(SECOND * 60).await });
        Box::pin(async { Ok(0) })
    });
    x.ask(task).await.expect("it answers");
    system.suspend("root/a/x").await.expect("it is active");
    x.tell(Order::Echo(1)).expect("it waits");
    system.drain("root/a/x", SECOND * 60).await.expect("it is suspended");
    let health = domain.health_check_all(SECOND).await;
    assert_eq!(health[0].1, Health::Draining);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_a_condition_makes_is_made_without_a_lock_and_where_that_panics_it_fires_again() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log)).await.expect("it starts");
    let (inner, logs) = (domain.clone(), log.clone());
    let gamma = move |fired: u64| {
        // This would wait for ever for a lock that is held meanwhile.
        let other = SpawnCondition::new("OTHER", 1.0, "OTHER");
        inner.spawn_when(other, |_| ChildSpec::supervisor(root())).expect("it makes sense");
        assert!(fired > 1, "not yet");
        Probe::spec("any", &logs)
    };
    domain.spawn_when(SpawnCondition::new("LOAD", 0.8, "GAMMA"), gamma).expect("it makes sense");
    let error = domain.observe("LOAD", 0.9).await.expect_err("it panics");
    assert!(error.to_string().starts_with("`root/a/GAMMA-1` panicked: not yet"), "{error}");
    let again = domain.observe("LOAD", 0.9).await.expect("the firing was taken back");
    assert_eq!(again[0].path.as_str(), "root/a/GAMMA-2");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_condition_starts_one_agent_per_crossing_and_one_that_was_refused_fires_again() {
    let (system, log) = (begun().await, Log::default());
    let domain = system.add_domain(workers(&log).limits(at_most(1))).await.expect("it starts");
    let made = log.clone();
    let condition = SpawnCondition::new("LOAD", 0.8, "GAMMA").rearm_below(0.6);
    domain.spawn_when(condition, move |_| Probe::spec("any", &made)).expect("it makes sense");
    let nameless = domain.spawn_when(SpawnCondition::new("", 0.8, "x"), |_| ChildSpec::supervisor(root()));
    assert!(matches!(nameless, Err(DomainError::Condition(_))));

    assert!(domain.observe("OTHER", 1.0).await.expect("nothing to do").is_empty());
    let first = domain.observe("LOAD", 0.9).await.expect("there is room");
    assert_eq!(first[0].path.as_str(), "root/a/GAMMA-1");
    assert!(domain.observe("LOAD", 0.95).await.expect("nothing to do").is_empty(), "once per crossing");
    assert!(domain.observe("LOAD", 0.5).await.expect("nothing to do").is_empty());
    assert!(matches!(domain.observe("LOAD", 0.9).await, Err(DomainError::Full(_))));
    domain.set_limits(at_most(2)).expect("they make sense");
    let again = domain.observe("LOAD", 0.9).await.expect("there is room");
    assert_eq!(again.len(), 1, "the firing that came to nothing was taken back");
    assert_eq!(system.incarnation(&again[0].path), Some(Incarnation::FIRST));
    system.shutdown().await.expect("an orderly end");
}
