//! Guarantee: a seed may change whose turn comes first, and never the order from one sender to one receiver.

use std::collections::BTreeSet;
use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, settled};
use steadfast::{Intensity, Strategy, SupervisorSpec, System};

async fn system(log: &Log, interleaving: Option<(u64, u32)>) -> System {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10))
        .child(Probe::spec("a", log))
        .child(Probe::spec("b", log));
    let mut builder = System::builder();
    if let Some((seed, most)) = interleaving {
        builder = builder.interleave(seed, most);
    }
    builder.start(spec).await.expect("the tree starts")
}

/// What both agents got, in order: three messages to each, told in turns, and a crash between them.
async fn got(interleaving: Option<(u64, u32)>) -> Vec<String> {
    let log = Log::default();
    let system = system(&log, interleaving).await;
    let mut events = Recorder::of(&system);
    let (a, b) = (Probe::at(&system, "root/a"), Probe::at(&system, "root/b"));
    for number in 1..=3 {
        a.tell(Order::Echo(number)).expect("there is room");
        b.tell(Order::Echo(number)).expect("there is room");
        if number == 2 {
            a.tell(Order::Panic("in the middle")).expect("there is room");
        }
    }
    events.started("root/a", 2).await;
    settled().await;
    system.shutdown().await.expect("an orderly end");
    let got = log.lines().into_iter().filter_map(|line| line.strip_prefix("got root/").map(str::to_owned));
    got.filter(|line| line.contains("echo")).map(|line| format!("{}{}", &line[..1], &line[line.len() - 1..])).collect()
}

#[tokio::test(start_paused = true)]
async fn over_seeds_the_effects_of_two_agents_come_in_different_orders_and_those_of_one_pair_in_theirs() {
    let mut orders = BTreeSet::new();
    for seed in 0..40 {
        let order = got(Some((seed, 3))).await;
        for who in ["a", "b"] {
            let of_one: Vec<_> = order.iter().filter(|one| one.starts_with(who)).map(|one| &one[1..]).collect();
            assert_eq!(of_one, ["1", "2", "3"], "seed {seed}, {who}: {order:?}");
        }
        assert_eq!(order, got(Some((seed, 3))).await, "the same seed shows the same order");
        orders.insert(order);
    }
    let firsts: BTreeSet<_> = orders.iter().map(|order| order[0].clone()).collect();
    assert_eq!(firsts, ["a1", "b1"].map(str::to_owned).into(), "either may be first");
    assert!(orders.len() > 5, "{orders:?}");
}

#[tokio::test(start_paused = true)]
async fn without_it_and_with_no_turn_to_wait_for_there_is_one_order() {
    let plain: BTreeSet<_> = [got(None).await, got(None).await].into();
    assert_eq!(plain.len(), 1);
    let none: BTreeSet<_> = [got(Some((1, 0))).await, got(Some((2, 0))).await].into();
    assert_eq!(none.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_held_back_is_asked_killed_stopped_and_suspended_as_any_other() {
    for seed in 0..20 {
        let log = Log::default();
        let system = system(&log, Some((seed, 5))).await;
        let mut events = Recorder::of(&system);
        let a = Probe::at(&system, "root/a");
        assert_eq!(a.ask(Order::Echo(1)).await.expect("a reply"), 1);
        a.tell(Order::Echo(2)).expect("there is room");
        tokio::task::yield_now().await;
        system.kill("root/a").expect("it is there");
        events.started("root/a", 2).await;
        assert_eq!(a.ask(Order::Which).await.expect("a reply"), 2);
        system.suspend("root/a").await.expect("it is active");
        a.tell(Order::Echo(3)).expect("there is room");
        settled().await;
        assert!(!log.lines().iter().any(|line| line.ends_with("echo 3")));
        system.resume("root/a").await.expect("it is suspended");
        assert_eq!(a.ask(Order::Which).await.expect("a reply"), 2);
        tokio::time::timeout(Duration::from_secs(1), system.shutdown())
            .await
            .expect("in time")
            .expect("an orderly end");
        // What it had not begun when it was killed reached its next life.
        assert_eq!(log.lines().iter().filter(|line| line.ends_with("echo 2")).count(), 1);
    }
}
