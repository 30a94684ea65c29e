//! Guarantee: what is published reaches every agent that listens to its subject, once, in order and without waiting, over
//! restarts of the agent; and the publisher is told who did not get it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::message::{DeadReason, Filter, Pattern, Subject};
use steadfast::testing::{Log, Order, Probe, Recorder, Script};
use steadfast::{
    Agent, AgentRef, BoxError, ChildSpec, Context, Intensity, Published, Strategy, SubscribeError, SupervisorSpec,
    System,
};

const SECOND: Duration = Duration::from_secs(1);

fn subject(text: &str) -> Subject {
    text.parse().expect("a subject")
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(1000))
}

/// A system with probes of these names.
async fn probes(names: &[&str], log: &Log) -> System {
    let spec = names.iter().fold(root(), |root, name| root.child(Probe::spec(name, log)));
    System::start(spec).await.expect("the tree starts")
}

/// Subscribes a probe so that each number is an echo of it.
fn listen(system: &System, path: &str, to: &str) -> steadfast::Subscription {
    system.subscribe(&Probe::at(system, path), &pattern(to), Order::Echo).expect("it is there")
}

/// What the probes got, once all these have handled what was in front of them.
async fn got(system: &System, paths: &[&str], log: &Log) -> Vec<String> {
    for path in paths {
        Probe::at(system, path).ask(Order::Which).await.expect("a reply");
    }
    log.take().into_iter().filter(|line| line.contains("echo")).collect()
}

fn delivered(published: Published) -> usize {
    assert!(published.is_complete(), "{published:?}");
    published.delivered
}

#[tokio::test(start_paused = true)]
async fn a_payload_reaches_every_agent_whose_pattern_matches_once_and_no_other() {
    let log = Log::default();
    let system = probes(&["a", "b", "c", "d"], &log).await;
    listen(&system, "root/a", "agents.data.cache.evicted");
    listen(&system, "root/b", "agents.*.cache.evicted");
    listen(&system, "root/c", "agents.>");
    listen(&system, "root/d", "agents.data.cache");
    let all = ["root/a", "root/b", "root/c", "root/d"];

    assert_eq!(delivered(system.publish(&subject("agents.data.cache.evicted"), 1_u64)), 3);
    assert_eq!(
        got(&system, &all, &log).await,
        ["got root/a #1 echo 1", "got root/b #1 echo 1", "got root/c #1 echo 1"]
    );
    assert_eq!(delivered(system.publish(&subject("agents.data.cache"), 2_u64)), 2);
    assert_eq!(got(&system, &all, &log).await, ["got root/c #1 echo 2", "got root/d #1 echo 2"]);
    let listeners = system.listeners(&subject("agents.ai.cache.evicted"));
    assert_eq!(listeners.iter().map(steadfast::Path::as_str).collect::<Vec<_>>(), ["root/b", "root/c"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_published_to_nobody_says_so() {
    let system = probes(&["a"], &Log::default()).await;
    let published = system.publish(&subject("agents.data.cache"), 1_u64);
    assert!(published.had_no_receiver() && !published.is_complete());
    assert_eq!(published, Published::default());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_outlives_restarts_and_what_is_published_between_two_lives_waits_for_the_next() {
    let log = Log::default();
    let slow = Script::new(&log).start_takes(SECOND);
    let system = System::start(root().child(Probe::scripted("a", slow))).await.expect("the tree starts");
    listen(&system, "root/a", "news");
    for life in 2..5_u64 {
        Probe::at(&system, "root/a").ask(Order::Panic("boom")).await.expect_err("it crashes");
        assert_eq!(system.incarnation("root/a"), None, "its start takes a second");
        assert_eq!(delivered(system.publish(&subject("news"), life)), 1);
        assert_eq!(got(&system, &["root/a"], &log).await, [format!("got root/a #{life} echo {life}")]);
    }
    system.shutdown().await.expect("an orderly end");
}

/// Subscribes in every start.
struct Ear;

impl Agent for Ear {
    type Args = Log;
    type Message = Option<u64>;
    type Reply = ();

    async fn start(_: Log, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        ctx.subscribe(&pattern("news"), Some)?;
        ctx.subscribe_shared(&pattern("texts"), |text: Arc<String>| text.parse().ok())?;
        ctx.subscribe_in_group(&pattern("work"), "ears", |number: u64| Some(number))?;
        Ok(Self)
    }

    async fn handle(&mut self, number: Option<u64>, _: &mut Context<Self>) -> Result<(), BoxError> {
        number.map(|_| ()).ok_or_else(|| "no number".into())
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_subscribes_in_every_start_gets_each_payload_once() {
    let spec = root().child(ChildSpec::agent::<Ear>("ear", Log::default()));
    let system = System::start(spec).await.expect("the tree starts");
    let ear: AgentRef<Ear> = system.agent("root/ear").expect("it is there");
    for _ in 0..3 {
        ear.ask(None).await.expect_err("it fails");
        ear.ask(Some(0)).await.expect("the next life is up");
        assert_eq!(delivered(system.publish(&subject("news"), 1_u64)), 1);
        assert_eq!(delivered(system.publish(&subject("texts"), "7".to_owned())), 1);
        assert_eq!(delivered(system.publish(&subject("work"), 1_u64)), 1);
        assert_eq!(system.listeners(&subject("work")).len(), 1);
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_last_conversion_counts_where_an_agent_subscribes_anew() {
    let log = Log::default();
    let system = probes(&["a"], &log).await;
    let first = listen(&system, "root/a", "news");
    let agent = Probe::at(&system, "root/a");
    system.publish(&subject("news"), 1_u64);
    system.subscribe(&agent, &pattern("news"), |n: u64| Order::Echo(n * 100)).expect("it is there");
    assert_eq!(delivered(system.publish(&subject("news"), 1_u64)), 1);
    assert_eq!(got(&system, &["root/a"], &log).await, ["got root/a #1 echo 1", "got root/a #1 echo 100"]);
    assert!(first.unsubscribe(), "both are the same subscription");
    assert!(system.publish(&subject("news"), 1_u64).had_no_receiver());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_comes_or_leaves_is_seen_by_whatever_is_published_next() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    let news = subject("news");
    for _ in 0..3 {
        assert!(system.publish(&news, 0_u64).had_no_receiver());
        let a = listen(&system, "root/a", "news");
        assert_eq!(delivered(system.publish(&news, 1_u64)), 1);
        let b = listen(&system, "root/b", "*");
        assert_eq!(delivered(system.publish(&news, 2_u64)), 2);
        assert!(a.is_active() && a.unsubscribe() && !a.is_active() && !a.unsubscribe());
        assert_eq!(delivered(system.publish(&news, 3_u64)), 1);
        assert!(b.unsubscribe());
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_when_its_agent_is_forgotten_and_not_while_it_may_be_started_again() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    let a = listen(&system, "root/a", "news");
    listen(&system, "root/b", "news");
    let agent = Probe::at(&system, "root/a");
    let supervisor = system.supervisor("root").expect("it is there");

    supervisor.terminate_child("a").await.expect("it is there");
    let resting = system.publish(&subject("news"), 1_u64);
    assert_eq!((resting.delivered, resting.refused), (1, 1), "it is at rest, and still listens");
    supervisor.restart_child("a").await.expect("it is kept");
    assert_eq!(delivered(system.publish(&subject("news"), 2_u64)), 2);

    supervisor.terminate_child("a").await.expect("it is there");
    supervisor.delete_child("a").await.expect("it is stopped");
    assert!(!a.is_active());
    assert_eq!(delivered(system.publish(&subject("news"), 3_u64)), 1, "nobody is refused any more");
    let late = system.subscribe(&agent, &pattern("news"), Order::Echo).expect_err("it is forgotten");
    assert_eq!(late, SubscribeError::Gone { path: agent.path().clone() });
    assert_eq!(delivered(system.publish(&subject("news"), 4_u64)), 1, "and nothing is left of the try");
    system.shutdown().await.expect("an orderly end");
    assert!(system.listeners(&subject("news")).is_empty(), "nor of anybody in a system that has ended");
}

#[tokio::test(start_paused = true)]
async fn a_payload_of_another_type_is_not_delivered_and_the_publisher_is_told() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    listen(&system, "root/a", "news");
    let b = Probe::at(&system, "root/b");
    system.subscribe(&b, &pattern("news"), |text: String| Order::Echo(text.len() as u64)).expect("it is there");

    let published = system.publish(&subject("news"), 7_u64);
    assert_eq!((published.delivered, published.strangers, published.is_complete()), (1, 1, false));
    let published = system.publish(&subject("news"), "seven");
    assert_eq!((published.delivered, published.strangers), (0, 2), "a `&str` is not a `String`");
    assert!(published.had_no_receiver());
    assert_eq!(got(&system, &["root/a", "root/b"], &log).await, ["got root/a #1 echo 7"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_for_itself_alone_and_that_is_an_event() {
    let log = Log::default();
    let small = |name| Probe::spec(name, &log).mailbox(1);
    let spec = root().child(small("a")).child(Probe::spec("b", &log)).child(small("c"));
    let system = System::start(spec).await.expect("the tree starts");
    let all = ["root/a", "root/b", "root/c"];
    for path in all {
        listen(&system, path, "news");
    }
    let mut events = Recorder::of(&system);
    assert_eq!(delivered(system.publish(&subject("news"), 1_u64)), 3);
    // Nobody has had a turn on this thread since.
    let published = system.publish(&subject("news"), 2_u64);
    assert_eq!((published.delivered, published.refused), (1, 2));
    // What is refused is a dead letter.
    let story = ["refused root/a Full", "dropped root/a", "refused root/c Full", "dropped root/c"];
    assert_eq!(events.story(), story);
    let seen = got(&system, &all, &log).await;
    assert_eq!(seen.iter().filter(|line| line.ends_with("echo 1")).count(), 3);
    assert_eq!(seen.iter().filter(|line| line.ends_with("echo 2")).collect::<Vec<_>>(), ["got root/b #1 echo 2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_conversion_that_panics_costs_nobody_else_anything() {
    let log = Log::default();
    let system = probes(&["a", "b", "c"], &log).await;
    listen(&system, "root/a", "news");
    let b = Probe::at(&system, "root/b");
    let broken = |n: u64| if n == 1 { panic!("not this one") } else { Order::Echo(n) };
    system.subscribe(&b, &pattern("news"), broken).expect("it is there");
    listen(&system, "root/c", "news");
    let published = system.publish(&subject("news"), 1_u64);
    assert_eq!((published.delivered, published.failed), (2, 1));
    assert_eq!(delivered(system.publish(&subject("news"), 2_u64)), 3);
    assert_eq!(system.restarts().total, 0);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_one_sender_publishes_and_tells_arrives_in_that_order_over_a_crash_too() {
    let log = Log::default();
    let system = probes(&["a"], &log).await;
    listen(&system, "root/a", "news.>");
    let agent = Probe::at(&system, "root/a");
    for n in 0..100_u64 {
        match n % 3 {
            0 => agent.tell(Order::Echo(n)).expect("there is room"),
            1 => assert_eq!(delivered(system.publish(&subject("news.one"), n)), 1),
            _ => assert_eq!(delivered(system.publish(&subject("news.two"), n)), 1),
        }
        if n == 50 {
            agent.tell(Order::Panic("boom")).expect("there is room");
        }
    }
    let seen = got(&system, &["root/a"], &log).await;
    let expected: Vec<_> = (0..100).map(|n| format!("got root/a #{} echo {n}", if n <= 50 { 1 } else { 2 })).collect();
    assert_eq!(seen, expected);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_of_several_senders_publishes_at_once_arrives_in_its_order_at_every_receiver() {
    const EACH: u64 = 500;
    let log = Log::default();
    let system = probes(&["a", "b", "c"], &log).await;
    let all = ["root/a", "root/b", "root/c"];
    for path in all {
        listen(&system, path, "news.*");
    }
    std::thread::scope(|scope| {
        for sender in 0..4_u64 {
            let system = &system;
            scope.spawn(move || {
                let subject = subject(&format!("news.{sender}"));
                for n in 0..EACH {
                    assert_eq!(delivered(system.publish(&subject, sender * EACH + n)), 3);
                }
            });
        }
    });
    let seen = got(&system, &all, &log).await;
    for path in all {
        for sender in 0..4 {
            let of = seen.iter().filter(|line| line.contains(path)).filter_map(|line| line.rsplit(' ').next());
            let of: Vec<u64> = of.filter_map(|n| n.parse().ok()).filter(|n| n / EACH == sender).collect();
            assert_eq!(of, (sender * EACH..(sender + 1) * EACH).collect::<Vec<_>>(), "of {sender} at {path}");
        }
    }
    system.shutdown().await.expect("an orderly end");
}

/// Counts its copies.
#[derive(Default)]
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_is_copied_once_for_each_subscriber_and_never_for_those_who_share_it() {
    let log = Log::default();
    let system = probes(&["a", "b", "c", "d"], &log).await;
    let at = |path| Probe::at(&system, path);
    for path in ["root/a", "root/b"] {
        system.subscribe(&at(path), &pattern("news"), |_: Counted| Order::Echo(1)).expect("it is there");
    }
    for path in ["root/c", "root/d"] {
        system.subscribe_shared(&at(path), &pattern("news"), |_: Arc<Counted>| Order::Echo(2)).expect("it is there");
    }
    let copies = Counted::default();
    assert_eq!(delivered(system.publish(&subject("news"), Counted(Arc::clone(&copies.0)))), 4);
    assert_eq!(copies.0.load(Ordering::Relaxed), 2);
    system.shutdown().await.expect("an orderly end");
}

/// Publishes when it is dropped.
struct LastWord(System);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.publish(&subject("last"), 9_u64);
    }
}

#[tokio::test(start_paused = true)]
async fn no_lock_is_held_while_code_of_a_subscriber_runs_or_is_dropped() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    let word = listen(&system, "root/b", "last");
    let agent = Probe::at(&system, "root/a");
    let (inner, last) = (system.clone(), LastWord(system.clone()));
    let busy = move |n: u64| {
        // Each of these would wait for ever for a lock that is held meanwhile.
        let _kept = &last;
        inner.publish(&subject("last"), n);
        listen(&inner, "root/b", "other").unsubscribe();
        inner.group::<u64>("any").expect("a new group").broadcast(1);
        Order::Echo(n)
    };
    let subscription = system.subscribe(&agent, &pattern("news"), busy).expect("it is there");
    assert_eq!(delivered(system.publish(&subject("news"), 1_u64)), 1);
    assert!(subscription.unsubscribe());
    let mut seen = got(&system, &["root/a", "root/b"], &log).await;
    seen.sort_unstable();
    assert_eq!(seen, ["got root/a #1 echo 1", "got root/b #1 echo 1", "got root/b #1 echo 9"]);
    assert!(word.is_active());
    system.shutdown().await.expect("an orderly end");
}

/// Panics when it is dropped.
struct Bad(Arc<AtomicUsize>);

impl Drop for Bad {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn many_conversions_that_panic_while_they_are_dropped_together_are_dropped_each() {
    let log = Log::default();
    let system = probes(&["a"], &log).await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let agent = Probe::at(&system, "root/a");
    let convert = || {
        let bad = Bad(Arc::clone(&dropped));
        move |n: u64| {
            let _kept = &bad;
            Order::Echo(n)
        }
    };
    for news in ["news.one", "news.two", "news.*"] {
        system.subscribe(&agent, &pattern(news), convert()).expect("it is there");
        system.subscribe_in_group(&agent, &pattern(news), "g", convert()).expect("it is there");
        system.group::<u64>(news).expect("a new group").join_with(&agent, convert()).expect("it is there");
    }
    system.publish(&subject("news.one"), 1_u64);
    system.supervisor("root").expect("it is one").terminate_child("a").await.expect("it ends");
    system.supervisor("root").expect("it is one").delete_child("a").await.expect("it is forgotten");
    assert_eq!(dropped.load(Ordering::SeqCst), 9);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_gets_is_a_dead_letter_once_and_can_be_published_again() {
    let log = Log::default();
    let spec = root().child(Probe::spec("a", &log).mailbox(1)).child(Probe::spec("b", &log).mailbox(1));
    let system = System::start(spec).await.expect("the tree starts");
    system.publish(&subject("news"), 1_u64);
    let dead = system.dead_letters(&Filter::all());
    assert_eq!((dead.len(), dead[0].why, dead[0].message), (1, DeadReason::NoReceiver, "u64"));
    assert!(system.send_again(dead[0].id).is_err(), "nobody listens yet");

    listen(&system, "root/a", "news");
    for path in ["root/a", "root/b"] {
        let agent = Probe::at(&system, path);
        system.subscribe_in_group(&agent, &pattern("jobs"), "workers", Order::Echo).expect("it is there");
    }
    let dead = system.dead_letters(&Filter::all());
    system.send_again(dead[0].id).expect("somebody listens now");
    assert_eq!(got(&system, &["root/a"], &log).await, ["got root/a #1 echo 1"]);

    for path in ["root/a", "root/b"] {
        system.suspend(path).await.expect("it is active");
        Probe::at(&system, path).tell(Order::Which).expect("there is room");
    }
    // Full mailboxes: of one who listens, and of a whole queue group.
    assert_eq!(system.publish(&subject("news"), 2_u64).refused, 1);
    assert_eq!(system.publish(&subject("jobs"), 3_u64).untaken, 1);
    let dead = system.dead_letters(&Filter::all());
    assert_eq!(dead.iter().map(|letter| letter.why).collect::<Vec<_>>(), [DeadReason::Refused; 2]);
    system.shutdown().await.expect("an orderly end");
}
