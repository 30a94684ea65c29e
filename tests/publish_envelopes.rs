//! Guarantee: what an envelope says of a publication is said of the message to each receiver, and stays with what nobody
//! gets.

use std::time::Duration;

use steadfast::flow::Order as By;
use steadfast::message::{DeadReason, Envelope, Filter, Kind, Pattern, Priority, Subject};
use steadfast::testing::{Log, Order, Probe, settled};
use steadfast::{Published, Strategy, SupervisorSpec, System};

const SECOND: Duration = Duration::from_secs(1);

fn subject(text: &str) -> Subject {
    text.parse().expect("a subject")
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne)
}

/// A system with probes of these names.
async fn probes(names: &[&str], log: &Log) -> System {
    let spec = names.iter().fold(root(), |root, name| root.child(Probe::spec(name, log)));
    System::start(spec).await.expect("the tree starts")
}

fn delivered(published: Published) -> usize {
    assert!(published.is_complete(), "{published:?}");
    published.delivered
}

/// Writes who got a number, and what its envelope says.
fn said(log: &Log) -> impl Fn(u64) -> Order + Send + Sync + 'static {
    let log = log.clone();
    move |n| {
        let log = log.clone();
        Order::run(move |ctx| {
            Box::pin(async move {
                let (kind, priority, tenant) = (ctx.kind(), ctx.priority().get(), ctx.header("tenant"));
                let tenant = tenant.unwrap_or("nobody");
                log.write(format!("{}: {n} {kind} {priority} {tenant} {:?}", ctx.path(), ctx.remaining()));
                Ok(n)
            })
        })
    }
}

fn of_acme(n: u64) -> Envelope<u64> {
    let mut envelope = Envelope::new(0, n).with_kind(Kind::StatusUpdate).with_priority(Priority::HIGH);
    envelope.set_header("tenant", "acme").expect("a header");
    envelope
}

fn lines_of_numbers(log: &Log) -> Vec<String> {
    log.take().into_iter().filter(|line| line.starts_with("root/")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_an_envelope_says_goes_with_a_publication_to_each_receiver_and_lanes_go_by_its_priority() {
    let log = Log::default();
    let spec = root().child(Probe::spec("a", &log).order(By::Priority)).child(Probe::spec("b", &log));
    let system = System::start(spec).await.expect("the tree starts");
    for path in ["root/a", "root/b"] {
        system.subscribe(&Probe::at(&system, path), &pattern("news"), said(&log)).expect("it is there");
    }
    let deadline = system.clock().now() + SECOND;
    // Nobody has a turn on this thread meanwhile.
    assert_eq!(delivered(system.publish(&subject("news"), 1_u64)), 2);
    assert_eq!(delivered(system.publish_envelope(&subject("news"), of_acme(2).with_deadline(deadline))), 2);
    settled().await;
    let (plain, full) = ("1 PLAIN 5 nobody None", "2 STATUS_UPDATE 8 acme Some(1s)");
    let each = [("a", full), ("a", plain), ("b", plain), ("b", full)].map(|(at, what)| format!("root/{at}: {what}"));
    let mut seen = lines_of_numbers(&log);
    seen.sort_by_key(|line| line.starts_with("root/b"));
    assert_eq!(seen, each);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_publication_whose_time_is_over_is_not_handled_and_is_a_dead_letter_of_each_receiver_with_its_envelope() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    for path in ["root/a", "root/b"] {
        system.subscribe(&Probe::at(&system, path), &pattern("news"), said(&log)).expect("it is there");
        system.suspend(path).await.expect("it is active");
    }
    let short = of_acme(1).with_time_to_live(system.clock().now(), SECOND);
    assert_eq!(delivered(system.publish_envelope(&subject("news"), short)), 2);
    tokio::time::advance(2 * SECOND).await;
    for path in ["root/a", "root/b"] {
        system.resume(path).await.expect("it is suspended");
    }
    settled().await;
    assert!(lines_of_numbers(&log).is_empty());
    let dead = system.dead_letters(&Filter::all().because(DeadReason::Expired));
    let receivers: Vec<_> =
        dead.iter().filter_map(|letter| letter.receiver.as_ref()).map(ToString::to_string).collect();
    assert_eq!((receivers, system.dead_letter_counts().total()), (vec!["root/a".to_owned(), "root/b".to_owned()], 2));
    system.send_again(dead[0].id).expect("there is room");
    settled().await;
    assert_eq!(lines_of_numbers(&log), ["root/a: 1 STATUS_UPDATE 8 acme None"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_listens_to_keeps_its_envelope_but_for_its_end_and_is_published_again_with_it() {
    let log = Log::default();
    let system = probes(&["a"], &log).await;
    let now = system.clock().now();
    let short = of_acme(1).with_deadline(now + SECOND).with_time_to_live(now, SECOND);
    assert!(system.publish_envelope(&subject("news"), short).had_no_receiver());
    tokio::time::advance(2 * SECOND).await;
    let dead = system.dead_letters(&Filter::all());
    assert_eq!((dead.len(), dead[0].why, dead[0].message), (1, DeadReason::NoReceiver, "u64"));
    system.subscribe(&Probe::at(&system, "root/a"), &pattern("news"), said(&log)).expect("it is there");
    system.send_again(dead[0].id).expect("somebody listens now");
    settled().await;
    assert_eq!(lines_of_numbers(&log), ["root/a: 1 STATUS_UPDATE 8 acme None"]);
    assert_eq!(system.dead_letter_counts().total(), 1, "it is not over when it is published again");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_publishes_because_of_a_message_is_of_its_conversation_and_has_no_more_time() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    let (heard, at_b) = (log.clone(), Probe::at(&system, "root/b"));
    let origin = move |first: String| {
        let heard = heard.clone();
        Order::run(move |ctx| {
            Box::pin(async move {
                let correlation = ctx.origin().map(|origin| origin.correlation.to_string());
                let sender = ctx.sender().map(ToString::to_string);
                assert_eq!(
                    (correlation, sender),
                    (Some(first), ctx.system().id("root/a").ok().map(|id| id.to_string()))
                );
                heard.write(format!("root/b: {:?} {:?}", ctx.remaining(), ctx.priority()));
                Ok(0)
            })
        })
    };
    system.subscribe(&at_b, &pattern("news"), origin).expect("it is there");
    let publishes = Order::run(|ctx| {
        Box::pin(async move {
            let first = ctx.origin().map(|origin| origin.id.to_string()).unwrap_or_default();
            let because = ctx.because(first);
            assert_eq!(ctx.system().publish_envelope(&subject("news"), because).delivered, 1);
            Ok(0)
        })
    });
    let request = Envelope::new(0, publishes).with_priority(Priority::HIGH).within(system.clock().now(), SECOND);
    Probe::at(&system, "root/a").request(request).await.expect("a reply");
    settled().await;
    assert_eq!(lines_of_numbers(&log), [format!("root/b: Some(1s) {:?}", Priority::HIGH)]);
    system.shutdown().await.expect("an orderly end");
}
