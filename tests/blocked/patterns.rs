//! What a life publishes, subscribes and takes away has no effect once it was given up, and takes nobody's turn.

use std::sync::mpsc;
use std::time::Duration;

use steadfast::message::{Pattern, Subject};
use steadfast::testing::{Log, Order, Probe};
use steadfast::{Intensity, Strategy, SubscribeError, SupervisorSpec};

use crate::gate::{Gate, Pool, SECOND_DEADLINE, system_of, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_life_that_was_given_up_publishes_or_subscribes_has_no_effect() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let a = Probe::spec("a", &log).runtime(pool.handle()).handler_deadline(Duration::from_millis(300));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(5))
        .child(Probe::spec("one", &log))
        .child(Probe::spec("two", &log))
        .child(a);
    let (system, mut events) = system_of(spec).await;
    let (news, work): (Pattern, Pattern) = ("news".parse().expect("a pattern"), "work".parse().expect("a pattern"));
    let group = system.group::<u64>("all").expect("a group");
    let mut subscriptions = Vec::new();
    for path in ["root/one", "root/two"] {
        let agent = Probe::at(&system, path);
        subscriptions.push(system.subscribe(&agent, &news, Order::Echo).expect("it is there"));
        system.subscribe_in_group(&agent, &work, "workers", Order::Echo).expect("it is there");
        group.join_with(&agent, Order::Echo).expect("it is there");
    }
    let broken: fn(u64) -> Order = |_| panic!("no message");
    system.subscribe(&Probe::at(&system, "root/one"), &"odd".parse().expect("a pattern"), broken).expect("it is there");

    let (report, reports) = mpsc::channel();
    let (inside, members) = (gate.clone(), group.clone());
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            inside.wait();
            let system = ctx.system().clone();
            let published = system.publish(&"news".parse()?, 1_u64);
            report.send((published.delivered, published.refused, 0))?;
            let published = system.publish(&"work".parse()?, 2_u64);
            report.send((published.delivered, published.refused, published.untaken))?;
            let published = members.broadcast(3);
            report.send((published.delivered, published.refused, 0))?;
            let published = system.publish(&"odd".parse()?, 5_u64);
            report.send((published.delivered, published.failed, 0))?;
            let subscribed = ctx.subscribe(&"news".parse()?, Order::Echo).map(|_| ());
            assert!(matches!(subscribed, Err(SubscribeError::Fenced { .. })));
            assert!(matches!(members.join_with(&ctx.myself(), Order::Echo), Err(SubscribeError::Fenced { .. })));
            let taken = subscriptions.iter().filter(|subscription| subscription.unsubscribe()).count();
            let left = members.leave(&system.agent::<Probe>("root/one")?);
            report.send((taken, usize::from(left), 0))?;
            Ok(0)
        })
    });
    Probe::at(&system, "root/a").tell(order).expect("there is room");
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;

    let reports: Vec<_> = reports.iter().collect();
    assert_eq!(reports, [(0, 2, 0), (0, 0, 1), (0, 2, 0), (0, 1, 0), (0, 0, 0)]);
    assert!(!log.lines().iter().any(|line| line.contains("echo")));
    assert_eq!(system.dead_letter_counts().total(), 0);
    let listeners = |subject: &str| system.listeners(&subject.parse::<Subject>().expect("a subject")).len();
    assert_eq!((listeners("news"), listeners("work"), group.len()), (2, 2, 2));
    let published = system.publish(&"work".parse().expect("a subject"), 4_u64);
    assert_eq!(published.delivered, 1);
    Probe::at(&system, "root/one").ask(Order::Which).await.expect("a reply");
    assert!(log.lines().contains(&"got root/one #1 echo 4".to_owned()), "it was its turn, and nobody took it");
    system.shutdown().await.expect("an orderly end");
}
