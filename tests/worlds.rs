//! Guarantee: a simulated world is a world of its own: its time, its chance, its nodes; it ends with nothing left, and what
//! fails in it can be run again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Script, Sim, Trace, World};
use steadfast::{BoxError, Intensity, Strategy, SupervisorSpec};

const SECOND: Duration = Duration::from_secs(1);

/// Two probes.
fn two(log: &Log) -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(100))
        .child(Probe::spec("a", log))
        .child(Probe::scripted("b", Script::new(log).stop_takes(SECOND)))
}

/// What a failing test tells.
fn told(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it fails");
    panic.downcast_ref::<String>().cloned().expect("a text")
}

#[test]
fn a_crash_is_seen_and_made_good_without_a_sleep() {
    Sim::new("worlds").seeds(5).twice().run(|world: World| async move {
        let node = world.start(|| two(&Log::default())).await?;
        node.agent::<Probe>("root/a")?.tell(Order::Panic("boom"))?;
        world.eventually(SECOND, "started root/a #2").await;
        world.look(|trace| {
            assert_eq!((trace.restarts_of("root/a"), trace.restarts_of("root/b")), (1, 0));
            trace.expect_order(&["begun root/a #1", "exited root/a #1 panicked", "starting root/a #2"]);
            trace.expect_never("exited root/b");
            trace.expect_at_most(1, "exited");
            trace.expect_within(SECOND, "exited root/a", "started root/a");
        });
        Ok::<_, BoxError>(())
    });
}

#[test]
fn time_goes_on_only_when_everybody_waits_and_costs_nothing() {
    Sim::new("worlds").run(|world: World| async move {
        let node = world.start(|| two(&Log::default())).await?;
        let agent = node.agent::<Probe>("root/a")?;
        for number in 0..1000 {
            assert_eq!(agent.ask(Order::Echo(number)).await?, number);
        }
        assert_eq!(world.now(), Duration::ZERO);
        world.sleep(Duration::from_hours(24)).await;
        assert_eq!(world.now(), Duration::from_hours(24));
        Ok::<_, BoxError>(())
    });
}

#[test]
fn a_node_that_crashes_runs_no_stop_hook_leaves_nothing_and_comes_back_as_described() {
    let log = Log::default();
    let lines = log.clone();
    Sim::new("worlds").run(move |world: World| {
        let log = log.clone();
        async move {
            let spec = move || two(&log);
            let node = world.node("one").start(spec.clone()).await?;
            let other = world.node("two").start(spec).await?;
            let agent = node.agent::<Probe>("root/a")?;
            agent.tell(Order::Hang)?;
            agent.tell(Order::Echo(1))?;
            world.eventually(SECOND, "begun one:root/a").await;
            node.crash().await;
            assert!(!node.is_up() && other.is_up());
            assert!(agent.ask(Order::Echo(1)).await.is_err(), "whoever asks a node that is gone is told");
            node.restart().await?;
            assert_eq!(node.agent::<Probe>("root/a")?.ask(Order::Which).await?, 1);
            Ok::<_, BoxError>(())
        }
    });
    let lines = lines.take();
    let stops = lines.iter().filter(|line| line.starts_with("stop")).count();
    assert_eq!(stops, 4, "only those of the two nodes that end in order: {lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("gone root/a")).count(), 3);
}

#[test]
fn two_worlds_in_one_process_do_not_see_each_other() {
    let seen = Arc::new(Mutex::new(Vec::<Trace>::new()));
    std::thread::scope(|scope| {
        for panics in [false, true] {
            let seen = Arc::clone(&seen);
            scope.spawn(move || {
                Sim::new("worlds").run(move |world: World| {
                    let seen = Arc::clone(&seen);
                    async move {
                        let node = world.start(|| two(&Log::default())).await?;
                        if panics {
                            node.agent::<Probe>("root/a")?.tell(Order::Panic("boom"))?;
                        }
                        world.sleep(SECOND).await;
                        seen.lock().expect("no panic").push(world.trace());
                        Ok::<_, BoxError>(())
                    }
                });
            });
        }
    });
    let seen = seen.lock().expect("no panic");
    let mut restarts: Vec<_> = seen.iter().map(|trace| trace.restarts_of("root/*")).collect();
    restarts.sort_unstable();
    assert_eq!(restarts, [0, 1]);
}

#[test]
fn a_failure_tells_the_seed_the_fewest_faults_what_happened_and_how_to_run_it_again() {
    let told = told(|| {
        let plan = "slow 2s at before-message of root/b; panic at before-message of root/a #3; kill root/b at 3s";
        Sim::new("worlds::one").seeds(20).faults(plan).run(|world: World| async move {
            let node = world.start(|| two(&Log::default())).await?;
            for path in ["root/a", "root/b", "root/a", "root/a"] {
                node.agent::<Probe>(path)?.tell(Order::Echo(1))?;
                world.sleep(SECOND).await;
            }
            let lives = world.look(|trace| trace.restarts_of("root/a"));
            assert!(world.seed() < 7 || lives == 0, "seed 7 and those after it fail");
            Ok::<_, BoxError>(())
        });
    });
    for part in [
        "fails for seed 7",
        "seed 7 and those after it fail",
        "faults that came: slow 2s at before-message of root/b; panic at before-message of root/a #3; kill root/b at 3s",
        "fewest that still fail: panic at before-message of root/a\n",
        "exited node:root/a #1 panicked",
        "SIM_SEED=7 SIM_PLAN='panic at before-message of root/a' cargo",
        "cargo test -p steadfast one -- --exact",
    ] {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }
}

#[test]
fn a_rule_that_is_broken_for_a_moment_only_fails_the_test_at_that_moment() {
    let past = Arc::new(AtomicU64::new(0));
    let told = told({
        let past = Arc::clone(&past);
        move || {
            Sim::new("worlds").run(move |world: World| {
                let past = Arc::clone(&past);
                async move {
                    let node = world.start(|| two(&Log::default())).await?;
                    world.always("nobody of `a` ends", |trace| !trace.has("exited root/a"));
                    world.stays(SECOND, "nothing happens", |trace| !trace.has("exited")).await;
                    node.agent::<Probe>("root/a")?.tell(Order::Fail("no"))?;
                    world.sleep(SECOND).await;
                    past.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, BoxError>(())
                }
            });
        }
    });
    assert!(told.contains("`nobody of `a` ends` does not hold any more, after\n"), "{told}");
    assert!(told.contains("exited node:root/a #1 failed"), "{told}");
    assert_eq!(past.load(Ordering::Relaxed), 0, "the test does not go on");
    let never = Sim::new("worlds").try_seed(0, |world: World| async move {
        let node = world.start(|| two(&Log::default())).await?;
        node.agent::<Probe>("root/a")?.tell(Order::Echo(1))?;
        world.sleep(SECOND).await;
        world.never("begun root/a");
        world.sleep(SECOND).await;
        node.agent::<Probe>("root/a")?.tell(Order::Echo(2))?;
        world.sleep(SECOND).await;
        Ok::<_, BoxError>(())
    });
    let failure = never.failure.expect("it happens again");
    assert!(failure.contains("`never begun root/a` does not hold") && failure.contains("2.000000s"), "{failure}");
}

#[test]
fn what_is_waited_for_in_vain_and_a_fault_that_never_comes_fail_the_test_with_what_came_instead() {
    let vain = told(|| {
        Sim::new("worlds").run(|world: World| async move {
            world.start(|| two(&Log::default())).await?;
            world.eventually(SECOND, "started root/c").await;
            Ok::<_, BoxError>(())
        });
    });
    assert!(vain.contains("`started root/c` did not come within 1s") && vain.contains("ready node:root"), "{vain}");
    let unfired = told(|| {
        Sim::new("worlds")
            .faults("panic at before-start of root/a #2")
            .run(|world: World| async move { world.start(|| two(&Log::default())).await.map(drop) });
    });
    assert!(unfired.contains("never came: that happened 1 times"), "{unfired}");
}

#[test]
fn what_is_left_alive_at_the_end_fails_the_test() {
    let told = told(|| {
        Sim::new("worlds").run(|world: World| async move {
            world.start(|| two(&Log::default())).await?;
            tokio::spawn(std::future::pending::<()>());
            Ok::<_, BoxError>(())
        });
    });
    assert!(told.contains("nothing-alive: 1 tasks are left at the end"), "{told}");
}

#[test]
fn a_test_that_waits_for_ever_and_a_part_of_it_that_panics_fail_it_at_once() {
    let waits = Sim::new("worlds").try_seed(0, |_: World| std::future::pending::<()>());
    assert!(waits.failure.expect("it never ends").contains("did not end within 172800s of virtual time"));
    let panics = Sim::new("worlds").try_seed(0, |world: World| async move {
        let own = world.clone();
        world.spawn(async move {
            own.eventually(SECOND, |trace: &Trace| trace.entries().is_empty()).await;
            panic!("a part of it");
        });
        world.sleep(SECOND).await;
        assert_eq!(world.now(), Duration::ZERO, "it does not go on");
    });
    assert_eq!(panics.failure.as_deref(), Some("a part of the test beside it panicked: a part of it"));
}
