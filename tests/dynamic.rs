//! Guarantee: a dynamic supervisor starts instances of its template on request, restarts each from its own arguments,
//! forgets those that end for good, and stops all at once with one time in common.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock};
use steadfast::{
    AutoShutdown, BoxError, ChildError, DynamicSupervisor, DynamicSupervisorSpec, ExitReason, Ignore, Incarnation,
    Intensity, Restart, Shutdown, Strategy, SupervisorSpec, System,
};

const MS: Duration = Duration::from_millis(1);

fn pool(log: &Log) -> DynamicSupervisorSpec<Duration> {
    let log = log.clone();
    DynamicSupervisorSpec::new("pool", move |stop_takes: Duration| {
        Probe::scripted("worker", Script::new(&log).stop_takes(stop_takes))
    })
}

async fn begun(pool: DynamicSupervisorSpec<Duration>) -> (System, DynamicSupervisor<Duration>, Recorder) {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(10)).child(pool);
    let system = System::start(spec).await.expect("the tree starts");
    let pool = system.dynamic_supervisor::<Duration>("root/pool").expect("it is one");
    let events = Recorder::of(&system);
    (system, pool, events)
}

#[tokio::test(start_paused = true)]
async fn rule_48_instances_are_numbered_or_named_and_counted_by_instance() {
    let log = Log::default();
    let (system, pool, _) = begun(pool(&log)).await;
    assert_eq!(pool.start_child(Duration::ZERO).await.expect("it starts").path.as_str(), "root/pool/1");
    assert_eq!(pool.start_named("blue", Duration::ZERO).await.expect("it starts").path.as_str(), "root/pool/blue");
    assert_eq!(pool.start_child(Duration::ZERO).await.expect("it starts").path.as_str(), "root/pool/2");
    let taken = pool.start_named("blue", Duration::ZERO).await.expect_err("the name is taken");
    assert!(matches!(taken, ChildError::AlreadyStarted { .. }), "{taken}");
    let counts = pool.count_children().await.expect("it answers");
    assert_eq!((counts.specs, counts.active, counts.workers, counts.supervisors), (1, 3, 3, 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_48_an_instance_is_terminated_by_name_or_path_and_one_that_is_gone_is_well_stopped() {
    let log = Log::default();
    let (system, pool, _) = begun(pool(&log)).await;
    let one = pool.start_child(Duration::ZERO).await.expect("it starts");
    pool.start_child(Duration::ZERO).await.expect("it starts");
    pool.terminate_child(&one.path).await.expect("it is stopped");
    pool.terminate_child(&one.path).await.expect("it is gone already");
    pool.terminate_child("2").await.expect("it is stopped");
    assert_eq!(pool.count_children().await.expect("it answers").active, 0);
    let foreign = pool.terminate_child("root/pool").await.expect_err("it lives, and elsewhere");
    assert!(matches!(foreign, ChildError::NotFound { .. }), "{foreign}");
    let supervisor = pool.supervisor();
    for refused in [
        supervisor.terminate_child("2").await,
        supervisor.delete_child("2").await,
        supervisor.restart_child("2").await.map(|_| ()),
        supervisor.start_child(Probe::spec("x", &log)).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(ChildError::Dynamic { .. })), "{refused:?}");
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_31_a_crashed_instance_is_restarted_from_its_own_arguments_and_no_other_is_touched() {
    let log = Log::default();
    let (system, pool, mut events) = begun(pool(&log)).await;
    pool.start_child(MS * 7).await.expect("it starts");
    pool.start_child(MS * 9).await.expect("it starts");
    Probe::at(&system, "root/pool/1").tell(Order::Panic("boom")).expect("there is room");
    events.started("root/pool/1", 2).await;
    assert_eq!(system.incarnation("root/pool/2"), Some(Incarnation::FIRST));
    let before = VirtualClock::new();
    pool.terminate_child("1").await.expect("it is stopped");
    assert_eq!(before.elapsed(), MS * 7);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_done_is_forgotten_and_leaves_nothing_in_the_system() {
    let log = Log::default();
    let (system, pool, mut events) = begun(pool(&log).restart(Restart::Transient)).await;
    for _ in 0..50 {
        let started = pool.start_child(Duration::ZERO).await.expect("it starts");
        Probe::at(&system, started.path.as_str()).tell(Order::Stop(ExitReason::Normal)).expect("there is room");
        events.exit(started.path.as_str()).await;
        assert!(system.state(&started.path).is_err(), "no slot is left");
    }
    assert_eq!(pool.count_children().await.expect("it answers").workers, 0);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_15_all_instances_are_asked_at_once_and_have_one_time_in_common() {
    let log = Log::default();
    let (system, pool, _) = begun(pool(&log).shutdown(Shutdown::Within(MS * 500))).await;
    for takes in [MS * 300, MS * 400, MS * 10_000, MS * 20_000] {
        pool.start_child(takes).await.expect("it starts");
    }
    let before = VirtualClock::new();
    system.shutdown().await.expect("an orderly end");
    assert_eq!(before.elapsed(), MS * 500);
}

#[tokio::test(start_paused = true)]
async fn at_the_maximum_no_further_instance_is_started() {
    let log = Log::default();
    let (system, pool, _) = begun(pool(&log).max_children(2)).await;
    pool.start_child(Duration::ZERO).await.expect("it starts");
    pool.start_child(Duration::ZERO).await.expect("it starts");
    let full = pool.start_child(Duration::ZERO).await.expect_err("it is full");
    assert_eq!(
        full.to_string(),
        "`root/pool` holds 2 instances, as many as it may; terminate one, or raise `max_children`"
    );
    pool.terminate_child("1").await.expect("it is stopped");
    pool.start_child(Duration::ZERO).await.expect("there is room again");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn quirk_q1_a_restart_that_says_there_is_nothing_to_run_forgets_the_instance() {
    let log = Log::default();
    let made = log.clone();
    let spec = DynamicSupervisorSpec::new("pool", move |(): ()| {
        let once = |life: Incarnation| if life.get() == 1 { Ok(()) } else { Err(BoxError::from(Ignore)) };
        Probe::scripted("worker", Script::new(&made).start(once))
    });
    let system = System::start(spec.intensity(Intensity::at_most(5))).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let pool = system.dynamic_supervisor::<()>("pool").expect("it is one");
    pool.start_child(()).await.expect("it starts");
    pool.start_child(()).await.expect("it starts");
    Probe::at(&system, "pool/1").tell(Order::Panic("boom")).expect("there is room");
    events.until(|event| matches!(event.kind, steadfast::EventKind::Closed)).await;
    let counts = pool.count_children().await.expect("it answers");
    assert_eq!((counts.active, counts.workers), (1, 1));
    system.shutdown().await.expect("an orderly end, the other instance stopped");
    assert!(log.take().contains(&"stop pool/2 #1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn rule_40_a_pool_ends_by_itself_with_its_last_significant_instance() {
    let log = Log::default();
    let spec = pool(&log).restart(Restart::Temporary).significant().auto_shutdown(AutoShutdown::AllSignificant);
    let (system, pool, mut events) = begun(spec).await;
    for _ in 0..3 {
        pool.start_child(Duration::ZERO).await.expect("it starts");
    }
    for name in ["2", "1", "3"] {
        assert_eq!(system.incarnation("root/pool"), Some(Incarnation::FIRST));
        Probe::at(&system, &format!("root/pool/{name}")).tell(Order::Stop(ExitReason::Normal)).expect("there is room");
        events.exit(&format!("root/pool/{name}")).await;
    }
    let ended = events.exit("root/pool").await;
    assert_eq!(ended.reason.to_string(), "shut down by itself, since its significant child `3` ended normally");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_supervisors_starts_and_forgets_whole_trees() {
    let log = Log::default();
    let made = log.clone();
    let spec = DynamicSupervisorSpec::of_supervisors("tenants", move |workers: usize| {
        (0..workers).fold(SupervisorSpec::new("tenant", Strategy::OneForAll), |spec, number| {
            spec.child(Probe::spec(&format!("w{number}"), &made))
        })
    });
    let system = System::start(spec).await.expect("the tree starts");
    let tenants = system.dynamic_supervisor::<usize>("tenants").expect("it is one");
    tenants.start_named("acme", 2).await.expect("it starts");
    assert_eq!(Probe::at(&system, "tenants/acme/w1").ask(Order::Which).await.expect("it answers"), 1);
    let counts = tenants.count_children().await.expect("it answers");
    assert_eq!((counts.active, counts.supervisors), (1, 1));
    tenants.terminate_child("acme").await.expect("it is stopped");
    assert!(system.state("tenants/acme/w1").is_err(), "nothing is left of it");
    system.shutdown().await.expect("an orderly end");
}

#[test]
fn a_dynamic_supervisor_with_children_of_its_own_is_refused() {
    let log = Log::default();
    let spec: SupervisorSpec = pool(&log).into();
    let error = spec.child(Probe::spec("a", &log)).lint().expect_err("it is refused").to_string();
    assert_eq!(error, "`pool`: a dynamic supervisor has one template and no list of children");
}
