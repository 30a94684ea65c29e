//! Guarantee: what looks at every run raises no alarm where a tree is stopped as it says, and what a test says wrongly is told.

use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Script, Sim, Trace, World};
use steadfast::{BoxError, ChildSpec, DynamicSupervisorSpec, Strategy, SupervisorSpec};

const SECOND: Duration = Duration::from_secs(1);

fn tree() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("w", &Log::default()))
}

#[steadfast::sim_test]
async fn children_that_say_after_whom_they_start_may_be_stopped_together(world: World) -> Result<(), BoxError> {
    let slow = |name: &str| Probe::scripted(name, Script::new(&Log::default()).stop_takes(SECOND));
    let spec = move || {
        let root = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("db", &Log::default()));
        root.child(slow("mail").after(["db"])).child(slow("search").after(["db"]))
    };
    world.start(spec).await?;
    Ok(())
}

#[steadfast::sim_test]
async fn instances_with_names_of_their_own_are_stopped_together(world: World) -> Result<(), BoxError> {
    let spec = || {
        let slow = |log: Log| Probe::scripted("sessions", Script::new(&log).stop_takes(SECOND));
        let sessions = DynamicSupervisorSpec::new("sessions", slow);
        SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(sessions))
    };
    let node = world.start(spec).await?;
    let sessions = node.system().dynamic_supervisor::<Log>("root/sessions")?;
    for name in ["anna", "bert", "7"] {
        sessions.start_named(name, Log::default()).await?;
    }
    Ok(())
}

#[steadfast::sim_test]
async fn a_child_that_was_forgotten_may_be_added_again(world: World) -> Result<(), BoxError> {
    let node = world.start(tree).await?;
    let root = node.system().supervisor("root")?;
    for _ in 0..3 {
        root.start_child(Probe::spec("guest", &Log::default())).await?;
        node.agent::<Probe>("root/guest")?.tell(Order::Echo(1))?;
        root.terminate_child("guest").await?;
        root.delete_child("guest").await?;
    }
    Ok(())
}

#[test]
fn who_starts_a_node_again_that_just_crashed_finds_its_network_and_its_disk() {
    Sim::new("world_rules").faults("crash a for ever at 1s").run(|world: World| async move {
        let node = world.node("a").start(tree).await?;
        world.eventually(2 * SECOND, "crashed a").await;
        node.restart().await?;
        let subject = "news.today".parse()?;
        node.system().transport().publish(steadfast::seam::Message::new(subject, *b"")).await?;
        let run = steadfast::RunId::new(uuid::Uuid::from_u128(1));
        node.system().journal().fence(&run.into(), "me").await?;
        Ok::<_, BoxError>(())
    });
}

#[test]
fn a_node_that_is_down_cannot_crash_and_nobody_can_kill_who_is_not_there_which_is_told() {
    let plan = "crash a for ever at 1s; crash a for 1s at 5s; kill b:root/typo at 1s";
    let ran = Sim::new("world_rules").faults(plan).try_seed(0, |world: World| async move {
        world.node("a").start(tree).await?;
        world.node("b").start(tree).await?;
        world.stays(10 * SECOND, "it stays down", |trace: &Trace| trace.count("booting a") == 1).await;
        Ok::<_, BoxError>(())
    });
    let failure = ran.failure.expect("they never came");
    assert!(failure.contains("node `a` is down already"), "{failure}");
    assert!(failure.contains("there is no `b:root/typo`; among others there are: root"), "{failure}");
}

#[test]
fn what_a_test_says_wrongly_is_told_and_does_not_pass() {
    let failure = |test: fn(&World)| {
        let ran = Sim::new("world_rules").try_seed(0, move |world: World| async move {
            let node = world.start(tree).await?;
            test(&world);
            node.agent::<Probe>("root/w")?.tell(Order::Echo(1))?;
            world.sleep(SECOND).await;
            Ok::<_, BoxError>(())
        });
        ran.failure.expect("it fails")
    };
    let panics = failure(|world| world.always("one is one", |trace| panic!("after {}", trace.entries().len().min(1))));
    assert!(panics.contains("`one is one` does not hold") && panics.contains("after 1"), "{panics}");
    let asks = failure(|world| {
        let own = world.clone();
        world.always("it asks", move |_| own.now() == Duration::ZERO && own.trace().entries().is_empty());
    });
    assert!(asks.contains("must not ask the world for anything"), "{asks}");
    let typo = failure(|world| world.look(|trace| trace.expect_never("exit root/w")));
    assert!(typo.contains("`exit root/w` is no pattern of a trace"), "{typo}");
    let none = std::panic::catch_unwind(|| Sim::new("world_rules").seeds(0).run(|_: World| async {}));
    assert!(none.is_err(), "with no seed at all nothing is tested");
}

/// Fails where its environment says so, as the test of somebody who looks for a mistake does.
#[steadfast::sim_test(seeds = 3, chaos = "panic 50% at before-message of root/w")]
async fn a_test_that_fails_on_request(world: World) -> Result<(), BoxError> {
    let node = world.start(|| tree().intensity(steadfast::Intensity::at_most(100))).await?;
    for number in 0..5 {
        let _ = node.agent::<Probe>("root/w")?.ask(Order::Echo(number)).await;
    }
    let fails = std::env::var_os("WORLD_RULES_FAIL").is_some() && world.look(|trace| trace.has("exited root/w"));
    assert!(!fails, "it fails on request");
    Ok(())
}

#[test]
fn the_line_that_a_failure_tells_runs_exactly_that_again() {
    let run = |envs: &[(&str, &str)]| {
        #[expect(clippy::disallowed_methods, reason = "the other process is this program again")]
        let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
        again.args(["a_test_that_fails_on_request", "--exact", "--nocapture"]).env("WORLD_RULES_FAIL", "1");
        let output = again.envs(envs.iter().copied()).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (passed, told) = run(&[]);
    let line = told.lines().find(|line| line.trim_start().starts_with("SIM_SEED=")).expect("a line");
    assert!(
        !passed && line.ends_with("cargo test -p steadfast a_test_that_fails_on_request -- --exact --nocapture"),
        "{line}"
    );
    let seed = line.split("SIM_SEED=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a seed");
    let plan = line.split("SIM_PLAN='").nth(1).and_then(|rest| rest.split('\'').next()).expect("a plan");
    assert_eq!(plan, "panic at before-message of node:root/w");
    let (passed, again) = run(&[("SIM_SEED", seed), ("SIM_PLAN", plan)]);
    assert!(!passed && again.contains(&format!("fails for seed {seed}")) && again.contains(plan), "{again}");
    assert!(run(&[("SIM_SEED", seed), ("SIM_PLAN", "")]).0, "without the fault it does not fail");
}

#[steadfast::sim_test]
async fn the_start_deadline_of_an_agent_that_a_message_rouses_goes_with_its_supervisor(
    world: World,
) -> Result<(), BoxError> {
    let spec = || {
        let lazy = Probe::spec("w", &Log::default()).lazy(SECOND).start_deadline(100 * SECOND);
        SupervisorSpec::new("root", Strategy::OneForOne).child(lazy)
    };
    let node = world.start(spec).await?;
    assert_eq!(node.agent::<Probe>("root/w")?.ask(Order::Echo(1)).await?, 1);
    Ok(())
}
