//! Guarantee: a live update ends nobody, and whoever runs meanwhile is ended as what it is; the next life of a child is
//! what the update says, with all that it says of it.

use std::sync::Arc;
use std::time::Duration;

use steadfast::flow::Order as By;
use steadfast::testing::{Log, Order, Probe, Recorder, Script};
use steadfast::{
    Backoff, BoxError, Capability, ChildSpec, DynamicSupervisorSpec, EventKind, Incarnation, Intensity, SeededEntropy,
    Strategy, Supervisor, SupervisorSpec, System, TellError, TokioClock,
};

const DOUBLE: Capability<u64, u64> = Capability::new("math.double", "1.0.0");
const TRIPLE: Capability<u64, u64> = Capability::new("math.triple", "1.0.0");

fn root(child: impl Into<ChildSpec>) -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(9)).child(child)
}

fn nested(log: &Log) -> SupervisorSpec {
    SupervisorSpec::new("a", Strategy::OneForOne).child(Probe::spec("b", log))
}

async fn begun(child: impl Into<ChildSpec>) -> (System, Supervisor, Recorder) {
    let system = System::start(root(child)).await.expect("the tree starts");
    let supervisor = system.supervisor("root").expect("it is one");
    let events = Recorder::of(&system);
    (system, supervisor, events)
}

/// Ends the running life of `root/a` and starts the next. Returns its number.
async fn renew(supervisor: &Supervisor) -> u64 {
    supervisor.terminate_child("a").await.expect("it is stopped");
    let started = supervisor.restart_child("a").await.expect("it starts");
    started.incarnation.map(Incarnation::get).expect("it runs")
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_an_update_makes_a_supervisor_is_stopped_as_a_worker_and_comes_back_as_a_supervisor() {
    let log = Log::default();
    let (system, supervisor, mut events) = begun(Probe::spec("a", &log)).await;
    let before = Probe::at(&system, "root/a");
    supervisor.update(root(nested(&log))).await.expect("it makes sense");
    assert_eq!(before.ask(Order::Which).await.expect("it goes on"), 1);
    let _ = log.take();
    assert_eq!(renew(&supervisor).await, 2, "the numbers go on");
    assert_eq!(log.take(), ["stop root/a #1", "gone root/a #1", "start root/a/b #1"]);
    assert!(matches!(before.tell(Order::Which), Err(TellError::Gone { .. })), "its slot is another one now");

    events.forget();
    system.kill("root/a").expect("it is there");
    assert_eq!(events.exit("root/a").await.reason.to_string(), "was killed");
    events.started("root/a", 3).await;
    assert_eq!(Probe::at(&system, "root/a/b").ask(Order::Which).await.expect("it came back with it"), 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_an_update_makes_a_worker_ends_with_its_children_and_nothing_is_left_of_them() {
    let log = Log::default();
    let (system, supervisor, mut events) = begun(nested(&log)).await;
    let below = Probe::at(&system, "root/a/b");
    supervisor.update(root(Probe::spec("a", &log))).await.expect("it makes sense");
    let _ = log.take();
    assert_eq!(renew(&supervisor).await, 2, "the numbers go on");
    assert_eq!(log.take(), ["stop root/a/b #1", "gone root/a/b #1", "start root/a #2"]);
    assert!(matches!(below.tell(Order::Which), Err(TellError::Gone { .. })));
    assert!(system.state("root/a/b").is_err(), "there is no such path any more");
    assert!(system.supervisor("root/a").is_err(), "it is none any more");
    assert!(!system.snapshot().to_string().contains("b "), "{}", system.snapshot());

    events.forget();
    system.kill("root/a").expect("it is there");
    assert_eq!(events.exit("root/a").await.reason.to_string(), "was killed");
    assert_eq!(Probe::at(&system, "root/a").ask(Order::Which).await.expect("it came back"), 3);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_plain_actor_and_a_supervisor_take_each_others_place() {
    struct Plain;
    impl ractor::Actor for Plain {
        type Msg = ();
        type State = ();
        type Arguments = ();
        async fn pre_start(&self, _: ractor::ActorRef<()>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
            Ok(())
        }
    }
    let log = Log::default();
    let (system, supervisor, mut events) = begun(nested(&log)).await;
    supervisor.update(root(ChildSpec::actor("a", || (Plain, ())))).await.expect("it makes sense");
    assert_eq!(renew(&supervisor).await, 2);
    assert!(system.state("root/a/b").is_err(), "there is no such path any more");
    assert!(system.actor::<()>("root/a").is_some());
    events.forget();
    system.kill("root/a").expect("it is there");
    assert_eq!(events.exit("root/a").await.reason.to_string(), "was killed");
    events.started("root/a", 3).await;
    supervisor.update(root(nested(&log))).await.expect("it makes sense");
    assert_eq!(renew(&supervisor).await, 4);
    assert_eq!(Probe::at(&system, "root/a/b").ask(Order::Which).await.expect("it runs"), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_a_child_offers_after_an_update_it_offers_from_its_next_start_on_and_nothing_else() {
    let serve = |capability: &Capability<u64, u64>, factor: u64| {
        ChildSpec::serve("a", capability, move |_, n: u64| async move { Ok::<u64, BoxError>(n * factor) })
    };
    let (system, supervisor, _) = begun(serve(&DOUBLE, 2)).await;
    supervisor.update(root(serve(&TRIPLE, 3))).await.expect("it makes sense");
    assert_eq!(system.ask(&DOUBLE, 5).await.expect("it goes on"), 10);
    renew(&supervisor).await;
    assert_eq!(system.ask(&TRIPLE, 5).await.expect("it is offered"), 15);
    assert!(system.ask(&DOUBLE, 5).await.is_err(), "it is not offered any more");
    assert_eq!(system.capabilities(), ["math.triple"]);

    let silent = Probe::spec("a", &Log::default());
    supervisor.update(root(silent)).await.expect("it makes sense");
    renew(&supervisor).await;
    assert_eq!(system.capabilities(), [""; 0]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_mailbox_bound_of_an_update_holds_from_the_next_start_on() {
    let log = Log::default();
    let (system, supervisor, _) = begun(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    let script = Script::new(&log).start_takes(Duration::from_secs(1));
    supervisor.update(root(Probe::scripted("a", script).mailbox(2))).await.expect("it makes sense");
    supervisor.terminate_child("a").await.expect("it is stopped");
    let starting = supervisor.restart_child("a");
    let filling = async {
        // Its start has begun and takes a second.
        tokio::time::sleep(Duration::from_millis(1)).await;
        agent.tell(Order::Echo(1)).expect("there is room");
        agent.tell(Order::Echo(2)).expect("there is room");
        match agent.tell(Order::Echo(3)) {
            Err(TellError::Full { bound, .. }) => bound,
            other => panic!("{other:?}"),
        }
    };
    let (started, bound) = tokio::join!(starting, filling);
    started.expect("it starts");
    assert_eq!(bound, 2);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_message_has_a_number_of_its_own_and_a_higher_one_than_before_also_when_updates_change_the_order() {
    let log = Log::default();
    let (system, supervisor, _) = begun(Probe::spec("a", &log)).await;
    let agent = Probe::at(&system, "root/a");
    let number = || agent.ask(Order::run(|ctx| Box::pin(async move { Ok(ctx.sequence().expect("it is handled")) })));
    let mut numbers = Vec::new();
    for order in [By::Priority, By::Arrival, By::Priority, By::Arrival] {
        numbers.push(number().await.expect("a reply"));
        supervisor.update(root(Probe::spec("a", &log).order(order))).await.expect("it makes sense");
        // Two wait when its life ends, and are handled in the next, of which the update speaks.
        agent.tell(Order::Panic("boom")).expect("there is room");
        let (one, two) = tokio::join!(number(), number());
        numbers.extend([one.expect("a reply"), two.expect("a reply")]);
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_maximum_of_an_update_is_in_force_at_once_and_ends_no_instance() {
    let log = Log::default();
    let pool = |max: usize| {
        let log = log.clone();
        DynamicSupervisorSpec::new("pool", move |(): ()| Probe::spec("worker", &log)).max_children(max)
    };
    let system = System::start(pool(2)).await.expect("it starts");
    let instances = system.dynamic_supervisor::<()>("pool").expect("it is one");
    for _ in 0..2 {
        instances.start_child(()).await.expect("there is room");
    }
    instances.supervisor().update(pool(1)).await.expect("it makes sense");
    assert_eq!(instances.count_children().await.expect("it answers").active, 2);
    instances.terminate_child("1").await.expect("it is stopped");
    let refused = instances.start_child(()).await.expect_err("one is the most now");
    assert!(refused.to_string().contains("holds 1 instances"), "{refused}");
    instances.supervisor().update(pool(3)).await.expect("it makes sense");
    instances.start_child(()).await.expect("there is room again");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_makes_another_kind_of_supervisor_is_refused_and_changes_nothing() {
    let log = Log::default();
    let numbers = |log: Log| DynamicSupervisorSpec::new("pool", move |_: u64| Probe::spec("worker", &log));
    let texts = DynamicSupervisorSpec::new("pool", {
        let log = log.clone();
        move |_: String| Probe::spec("worker", &log)
    });
    let system = System::start(root(numbers(log.clone()))).await.expect("it starts");
    let pool = system.dynamic_supervisor::<u64>("root/pool").expect("it is one");
    let supervisors =
        DynamicSupervisorSpec::of_supervisors("pool", |_: u64| SupervisorSpec::new("s", Strategy::OneForOne));
    for other in [texts.into(), SupervisorSpec::new("pool", Strategy::OneForOne), supervisors.into()] {
        let other: SupervisorSpec = other;
        let refused = pool.supervisor().update(other).await.expect_err("instances have arguments of another type");
        assert!(refused.to_string().contains("root/pool"), "{refused}");
    }
    pool.start_child(7).await.expect("it is what it was");
    let fixed = system.supervisor("root").expect("it is one");
    let refused = fixed.update(DynamicSupervisorSpec::new("root", |(): ()| Probe::spec("a", &Log::default()))).await;
    assert!(refused.is_err(), "a list of children does not become a template");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_replaces_a_supervisor_replaces_also_what_was_updated_below_it() {
    let log = Log::default();
    let middle = |child| SupervisorSpec::new("a", Strategy::OneForOne).child(child);
    let inner = |name: &str| SupervisorSpec::new("inner", Strategy::OneForOne).child(Probe::spec(name, &log));
    let (system, supervisor, _) = begun(middle(inner("old"))).await;
    let below = system.supervisor("root/a/inner").expect("it is one");
    below.update(inner("updated")).await.expect("it makes sense");
    supervisor.update(root(middle(inner("newest")))).await.expect("it makes sense");
    let _ = log.take();
    renew(&supervisor).await;
    assert_eq!(log.take(), ["stop root/a/inner/old #1", "gone root/a/inner/old #1", "start root/a/inner/newest #1"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_adds_jitter_draws_it_anew_for_each_seed_and_the_same_for_the_same() {
    let backoff = Backoff::exponential(Duration::from_secs(1)).jitter(0.5);
    let waited = |seed: u64| async move {
        let log = Log::default();
        let builder = System::builder().entropy(Arc::new(SeededEntropy::new(seed, Arc::new(TokioClock))));
        let system = builder.start(root(Probe::spec("a", &log))).await.expect("the tree starts");
        let mut events = Recorder::of(&system);
        let supervisor = system.supervisor("root").expect("it is one");
        supervisor.update(root(Probe::spec("a", &log).backoff(backoff))).await.expect("it makes sense");
        Probe::at(&system, "root/a").tell(Order::Panic("boom")).expect("there is room");
        let event = events.until(|event| matches!(event.kind, EventKind::BackingOff { .. })).await;
        system.shutdown().await.expect("an orderly end");
        match event.kind {
            EventKind::BackingOff { delay } => delay,
            _ => Duration::ZERO,
        }
    };
    assert_eq!(waited(1).await, waited(1).await);
    assert_ne!(waited(1).await, waited(2).await);
}

#[tokio::test(start_paused = true)]
async fn children_that_an_update_from_above_takes_away_are_refused_and_offer_nothing_any_more() {
    let log = Log::default();
    let serve = ChildSpec::serve("x", DOUBLE, |_, n: u64| async move { Ok::<u64, BoxError>(n * 2) });
    let middle = || SupervisorSpec::new("a", Strategy::OneForOne).child(Probe::spec("b", &log));
    let (system, supervisor, mut events) = begun(middle().child(Probe::spec("z", &log)).child(serve)).await;
    let gone = Probe::at(&system, "root/a/z");
    supervisor.update(root(middle())).await.expect("it makes sense");
    assert_eq!(gone.ask(Order::Which).await.expect("it runs until its supervisor ends"), 1);
    system.kill("root/a").expect("it is there");
    events.started("root/a", 2).await;
    assert!(matches!(gone.tell(Order::Which), Err(TellError::Gone { .. })), "nobody waits for who does not come back");
    assert!(system.state("root/a/z").is_err(), "nothing is left of it");
    assert!(system.ask(&DOUBLE, 3).await.is_err());
    assert_eq!(system.capabilities(), [""; 0]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_to_become_a_worker_is_shown_with_its_children_while_it_runs() {
    let log = Log::default();
    let (system, supervisor, _) = begun(nested(&log)).await;
    supervisor.update(root(Probe::spec("a", &log))).await.expect("it makes sense");
    assert!(system.snapshot().find("root/a/b").is_some(), "{}", system.snapshot());
    renew(&supervisor).await;
    assert!(system.snapshot().find("root/a/b").is_none(), "{}", system.snapshot());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn of_very_many_that_close_at_once_none_stays_registered() {
    let log = Log::default();
    let pool = DynamicSupervisorSpec::new("pool", move |offers: bool| -> ChildSpec {
        if offers {
            ChildSpec::serve("worker", DOUBLE, |_, n: u64| async move { Ok::<u64, BoxError>(n * 2) }).into()
        } else {
            Probe::spec("worker", &log).into()
        }
    });
    let (system, _, _events) = begun(pool).await;
    let pool = system.dynamic_supervisor::<bool>("root/pool").expect("it is one");
    // More than a reader of the events may be behind; all of them are told, since the test reads them.
    for number in 0..=steadfast::EVENT_BOUND {
        pool.start_child(number == 0).await.expect("it starts");
    }
    assert_eq!(system.capabilities(), ["math.double"]);
    system.kill("root/pool").expect("it is there");
    // It is known when this is answered: what the registrar missed it reads anew before it goes on.
    let looked = async {
        while !system.capabilities().is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(10), looked).await.expect("nobody is offered who is gone");
    system.shutdown().await.expect("an orderly end");
}
