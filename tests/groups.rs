//! Guarantee: of a queue group exactly one member gets each message, in turn and never one that cannot take it while
//! another can; what is broadcast to a group reaches all its members.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::flow::Order as By;
use steadfast::message::{DeadReason, Envelope, Filter, Pattern, Priority, Subject};
use steadfast::testing::{Log, Order, Probe, Recorder, Script, settled};
use steadfast::{
    Agent, AgentRef, BoxError, ChildSpec, Context, DropReason, EventKind, Intensity, Strategy, SubscribeError,
    SupervisorSpec, System,
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

async fn start(spec: SupervisorSpec) -> System {
    System::start(spec).await.expect("the tree starts")
}

async fn probes(names: &[&str], log: &Log) -> System {
    start(names.iter().fold(root(), |root, name| root.child(Probe::spec(name, log)))).await
}

fn join(system: &System, path: &str, to: &str, group: &str) -> steadfast::Subscription {
    let agent = Probe::at(system, path);
    system.subscribe_in_group(&agent, &pattern(to), group, Order::Echo).expect("it is there")
}

/// Publishes these numbers as work; each must be taken by one.
fn work(system: &System, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let published = system.publish(&subject("work"), n);
        assert!(published.is_complete() && published.delivered == 1, "{published:?}");
    }
}

/// Who got which numbers, as `a1 b2`, in the order in which they were given out.
async fn got(system: &System, paths: &[&str], log: &Log) -> String {
    for path in paths {
        Probe::at(system, path).ask(Order::Which).await.expect("a reply");
    }
    let mut seen: Vec<(u64, String)> = Vec::new();
    for line in log.take().iter().filter(|line| line.contains("echo")) {
        let words: Vec<_> = line.split(' ').collect();
        let number: u64 = words[4].parse().expect("a number");
        seen.push((number, format!("{}{number}", words[1].trim_start_matches("root/"))));
    }
    seen.sort_unstable();
    seen.into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn each_message_goes_to_exactly_one_member_and_they_take_turns_over_all_patterns() {
    let log = Log::default();
    let system = probes(&["a", "b", "c"], &log).await;
    let all = ["root/a", "root/b", "root/c"];
    join(&system, "root/a", "work", "workers");
    join(&system, "root/b", "*", "workers");
    let c = join(&system, "root/c", ">", "workers");
    work(&system, 1..8);
    assert_eq!(got(&system, &all, &log).await, "a1 b2 c3 a4 b5 c6 a7");
    // Of two members that listen to this subject.
    for n in 8..11_u64 {
        assert_eq!(system.publish(&subject("other"), n).delivered, 1);
    }
    assert_eq!(got(&system, &all, &log).await, "b8 c9 b10");
    assert!(c.unsubscribe());
    work(&system, 11..14);
    assert_eq!(got(&system, &all, &log).await, "a11 b12 a13");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn groups_and_those_who_listen_for_themselves_do_not_take_anything_from_each_other() {
    let log = Log::default();
    let system = probes(&["a", "b", "c", "d", "e"], &log).await;
    for (path, group) in [("root/a", "one"), ("root/b", "one"), ("root/c", "two"), ("root/d", "two")] {
        join(&system, path, "work", group);
    }
    let e = Probe::at(&system, "root/e");
    system.subscribe(&e, &pattern("work"), |n: u64| Order::Echo(n)).expect("it is there");
    for n in 1..3_u64 {
        assert_eq!(system.publish(&subject("work"), n).delivered, 3);
    }
    let all = ["root/a", "root/b", "root/c", "root/d", "root/e"];
    assert_eq!(got(&system, &all, &log).await, "a1 c1 e1 b2 d2 e2");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_full_is_passed_over_and_where_all_are_the_publisher_is_told() {
    let log = Log::default();
    let small = |name, bound| Probe::spec(name, &log).mailbox(bound);
    let system = start(root().child(small("a", 1)).child(small("b", 3)).child(small("c", 1))).await;
    let all = ["root/a", "root/b", "root/c"];
    for path in all {
        join(&system, path, "work", "workers");
    }
    // Nobody has a turn on this thread meanwhile.
    work(&system, 1..6);
    let published = system.publish(&subject("work"), 6_u64);
    assert_eq!((published.delivered, published.untaken, published.had_no_receiver()), (0, 1, false));
    assert_eq!(got(&system, &all, &log).await, "a1 b2 c3 b4 b5");
    work(&system, 7..10);
    assert_eq!(got(&system, &all, &log).await.split(' ').count(), 3);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_member_between_two_lives_gets_nothing_while_another_lives_and_waits_for_nobody_else() {
    let log = Log::default();
    let slow = |name| Probe::scripted(name, Script::new(&log).start_takes(SECOND));
    let system = start(root().child(slow("a")).child(slow("b"))).await;
    let all = ["root/a", "root/b"];
    for path in all {
        join(&system, path, "work", "workers");
    }
    Probe::at(&system, "root/a").ask(Order::Panic("boom")).await.expect_err("it crashes");
    work(&system, 1..4);
    Probe::at(&system, "root/b").ask(Order::Panic("boom")).await.expect_err("it crashes");
    assert_eq!((system.incarnation("root/a"), system.incarnation("root/b")), (None, None));
    work(&system, 4..6);
    assert_eq!(got(&system, &all, &log).await, "b1 b2 b3 a4 b5", "where nobody lives, it waits for the next life");
    work(&system, 6..8);
    assert_eq!(got(&system, &all, &log).await, "a6 b7");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_member_at_rest_is_passed_over_and_one_that_is_forgotten_is_none_any_more() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    join(&system, "root/a", "work", "workers");
    join(&system, "root/b", "work", "workers");
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.terminate_child("a").await.expect("it is there");
    work(&system, 1..3);
    assert_eq!(got(&system, &["root/b"], &log).await, "b1 b2");
    supervisor.delete_child("a").await.expect("it is stopped");
    assert_eq!(system.listeners(&subject("work")).len(), 1);
    supervisor.terminate_child("b").await.expect("it is there");
    assert_eq!(system.publish(&subject("work"), 3_u64).untaken, 1, "its only member is at rest");
    supervisor.delete_child("b").await.expect("it is stopped");
    assert!(system.publish(&subject("work"), 4_u64).had_no_receiver());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_member_for_another_type_gets_nothing_and_costs_the_others_no_turn() {
    let log = Log::default();
    let system = probes(&["a", "b", "c"], &log).await;
    join(&system, "root/a", "work", "workers");
    let b = Probe::at(&system, "root/b");
    let texts = |text: String| Order::Echo(text.len() as u64);
    system.subscribe_in_group(&b, &pattern("work"), "workers", texts).expect("it is there");
    join(&system, "root/c", "work", "workers");
    work(&system, 1..5);
    assert_eq!(got(&system, &["root/a", "root/b", "root/c"], &log).await, "a1 c2 a3 c4");
    let published = system.publish(&subject("work"), 'x');
    assert_eq!((published.strangers, published.untaken, published.had_no_receiver()), (1, 0, true));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_get_equally_much_when_several_publish_at_once() {
    let log = Log::default();
    let system = probes(&["a", "b", "c", "d"], &log).await;
    let all = ["root/a", "root/b", "root/c", "root/d"];
    for path in all {
        join(&system, path, "work", "workers");
    }
    std::thread::scope(|scope| {
        for sender in 0..4_u64 {
            let system = &system;
            scope.spawn(move || work(system, sender * 1000..(sender + 1) * 1000));
        }
    });
    let seen = got(&system, &all, &log).await;
    for name in ["a", "b", "c", "d"] {
        assert_eq!(seen.split(' ').filter(|word| word.starts_with(name)).count(), 1000, "{name}");
    }
    system.shutdown().await.expect("an orderly end");
}

/// An agent whose messages are not those of a probe.
struct Adder(u64);

struct Add(u64);

impl From<u64> for Add {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl Agent for Adder {
    type Args = ();
    type Message = Add;
    type Reply = u64;

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        ctx.system().group::<u64>("numbers")?.join(&ctx.myself())?;
        Ok(Self(0))
    }

    async fn handle(&mut self, Add(number): Add, _: &mut Context<Self>) -> Result<u64, BoxError> {
        self.0 += number;
        if number == 13 { Err("thirteen".into()) } else { Ok(self.0) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_every_member_once_over_restarts_and_whatever_its_own_messages_are() {
    let log = Log::default();
    let spec = root()
        .child(ChildSpec::agent::<Adder>("adder", ()))
        .child(Probe::spec("probe", &log))
        .child(Probe::spec("other", &log));
    let system = start(spec).await;
    let adder: AgentRef<Adder> = system.agent("root/adder").expect("it is there");
    let numbers = system.group::<u64>("numbers").expect("its members take numbers");
    numbers.join_with(&Probe::at(&system, "root/probe"), Order::Echo).expect("it is there");

    assert_eq!(numbers.broadcast(2).delivered, 2);
    adder.ask(Add(13)).await.expect_err("it fails");
    assert_eq!(adder.ask(Add(1)).await.expect("the next life"), 1);
    assert!(numbers.broadcast(4).is_complete());
    assert_eq!(numbers.len(), 2, "it joined in both its starts");
    assert_eq!(adder.ask(Add(1)).await.expect("a reply"), 6);
    assert_eq!(got(&system, &["root/probe"], &log).await, "probe2 probe4");
    assert_eq!(numbers.members().iter().map(ToString::to_string).collect::<Vec<_>>(), ["root/adder", "root/probe"]);

    assert!(numbers.leave(&adder) && !numbers.leave(&adder));
    assert!(!numbers.leave(&Probe::at(&system, "root/other")));
    assert_eq!(numbers.broadcast(5).delivered, 1);
    system.shutdown().await.expect("an orderly end");
    assert!(numbers.is_empty(), "all have left");
}

#[tokio::test(start_paused = true)]
async fn who_is_forgotten_leaves_its_groups_and_cannot_join_one() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    let (one, two) = (system.group::<u64>("one").expect("a group"), system.group::<u64>("two").expect("a group"));
    let a = Probe::at(&system, "root/a");
    for group in [&one, &two] {
        for path in ["root/a", "root/b"] {
            group.join_with(&Probe::at(&system, path), Order::Echo).expect("it is there");
        }
    }
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.terminate_child("a").await.expect("it is there");
    let told = one.broadcast(1);
    assert_eq!((told.delivered, told.refused), (1, 1), "at rest it is still a member");
    supervisor.delete_child("a").await.expect("it is stopped");
    assert_eq!((one.len(), two.len(), one.broadcast(2).delivered), (1, 1, 1));
    let late = one.join_with(&a, Order::Echo).expect_err("it is forgotten");
    assert_eq!(late, SubscribeError::Gone { path: a.path().clone() });
    assert_eq!(one.len(), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_group_takes_one_type_and_says_which_and_a_name_that_nobody_uses_is_forgotten() {
    let system = probes(&["a"], &Log::default()).await;
    let numbers = system.group::<u64>("kept").expect("a group");
    let other = system.group::<String>("kept").expect_err("it takes numbers");
    let text = "the group `kept` takes `u64`, not `alloc::string::String`; use another name, or the same type";
    assert_eq!(other.to_string(), text);
    system.group::<u64>("dropped").expect("a group");
    for n in 0..1000 {
        system.group::<u64>(&format!("any {n}")).expect("a group");
    }
    system.group::<String>("dropped").expect("nobody used it");
    system.group::<String>("kept").expect_err("somebody has a handle");
    drop(numbers);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_full_member_refuses_a_broadcast_for_itself_alone_and_what_one_sender_says_keeps_its_order() {
    let log = Log::default();
    let system = start(root().child(Probe::spec("a", &log).mailbox(1)).child(Probe::spec("b", &log))).await;
    let group = system.group::<u64>("all").expect("a group");
    let b = Probe::at(&system, "root/b");
    for agent in [&Probe::at(&system, "root/a"), &b] {
        group.join_with(agent, Order::Echo).expect("it is there");
    }
    assert_eq!(group.broadcast(1).delivered, 2);
    b.tell(Order::Echo(2)).expect("there is room");
    let told = group.broadcast(3);
    assert_eq!((told.delivered, told.refused), (1, 1));
    b.ask(Order::Which).await.expect("a reply");
    let of_b: Vec<_> = log.take().into_iter().filter(|line| line.contains("root/b") && line.contains("echo")).collect();
    assert_eq!(of_b, ["got root/b #1 echo 1", "got root/b #1 echo 2", "got root/b #1 echo 3"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_an_envelope_says_goes_with_a_broadcast_to_each_member_and_to_the_one_of_a_queue_group() {
    let log = Log::default();
    let by_priority = |name| Probe::spec(name, &log).order(By::Priority);
    let system = start(root().child(by_priority("a")).child(by_priority("b"))).await;
    let (all, group) = (["root/a", "root/b"], system.group::<u64>("all").expect("a group"));
    for path in all {
        group.join_with(&Probe::at(&system, path), Order::Echo).expect("it is there");
        join(&system, path, "work", "workers");
    }
    let now = system.clock().now();
    let urgent = |n: u64| Envelope::new(0, n).with_priority(Priority::HIGH);
    // Nobody has a turn on this thread meanwhile.
    assert_eq!(group.broadcast(1).delivered, 2);
    assert_eq!(group.broadcast_envelope(urgent(2)).delivered, 2);
    for n in [3, 4] {
        assert_eq!(system.publish_envelope(&subject("work"), urgent(n)).delivered, 1);
    }
    assert_eq!(group.broadcast_envelope(urgent(5).with_time_to_live(now, SECOND)).delivered, 2);
    tokio::time::advance(2 * SECOND).await;
    settled().await;
    let lines = log.take();
    let of = |name: &str| {
        let echoes = lines.iter().filter_map(|line| line.strip_prefix(&format!("got root/{name} #1 echo ")));
        echoes.collect::<Vec<_>>().join(" ")
    };
    assert_eq!((of("a").as_str(), of("b").as_str()), ("2 3 1", "2 4 1"));
    let dead = system.dead_letters(&Filter::all());
    let each = dead.iter().map(|letter| (letter.receiver.as_ref().map_or("", |path| path.as_str()), letter.why));
    assert_eq!(each.collect::<Vec<_>>(), all.map(|path| (path, DeadReason::Expired)));
    system.shutdown().await.expect("an orderly end");
}

/// A conversion that panics as long as this says so.
fn fragile(broken: &Arc<AtomicBool>) -> impl Fn(u64) -> Order + Send + Sync + 'static {
    let broken = Arc::clone(broken);
    move |n| if broken.load(Ordering::Relaxed) { panic!("not this one") } else { Order::Echo(n) }
}

/// For whom there are dead letters, and why.
fn dead(system: &System) -> Vec<(String, DeadReason)> {
    let letters = system.dead_letters(&Filter::all()).into_iter();
    letters.map(|letter| (letter.receiver.map_or_else(String::new, |path| path.to_string()), letter.why)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_turned_into_a_message_is_an_event_and_one_dead_letter_of_its_receiver() {
    let log = Log::default();
    let system = probes(&["a", "b"], &log).await;
    let (broken, group) = (Arc::new(AtomicBool::new(true)), system.group::<u64>("all").expect("a group"));
    let (a, b) = (Probe::at(&system, "root/a"), Probe::at(&system, "root/b"));
    for convert in [&broken, &Arc::default()].map(fragile) {
        let agent = if group.is_empty() { &a } else { &b };
        let convert = Arc::new(convert);
        let same = Arc::clone(&convert);
        group.join_with(agent, move |n| convert(n)).expect("it is there");
        system.subscribe(agent, &pattern("work"), move |n| same(n)).expect("it is there");
    }
    let mut events = Recorder::of(&system);
    for published in [system.publish(&subject("work"), 1_u64), group.broadcast(2)] {
        assert_eq!((published.delivered, published.failed), (1, 1));
    }
    assert_eq!(dead(&system), vec![("root/a".to_owned(), DeadReason::Unconverted); 2]);
    let dropped = |kind: &EventKind| matches!(kind, EventKind::Dropped { why: DropReason::Unconverted });
    assert_eq!(events.seen().iter().filter(|event| event.path == *a.path() && dropped(&event.kind)).count(), 2);
    assert_eq!(events.story(), ["dropped root/a"; 2]);

    // Sent again it is for whom it was, as soon as that makes something of it.
    for letter in system.dead_letters(&Filter::all()) {
        let refused = system.send_again(letter.id).expect_err("it panics as before").to_string();
        assert!(refused.contains("`root/a` cannot make a message of it"), "{refused}");
    }
    broken.store(false, Ordering::Relaxed);
    // What stands in the place of the old one by now, as after a restart.
    system.subscribe(&a, &pattern("work"), |n: u64| Order::Echo(n * 100)).expect("it is there");
    group.join_with(&a, |n: u64| Order::Echo(n * 100)).expect("it is there");
    for letter in system.dead_letters(&Filter::all()) {
        system.send_again(letter.id).expect("it is converted now");
    }
    assert_eq!(got(&system, &["root/a", "root/b"], &log).await, "b1 b2 a100 a200");
    let counts = system.dead_letter_counts();
    assert_eq!((counts.because(DeadReason::Unconverted), counts.because(DeadReason::Refused)), (2, 2));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_was_not_converted_can_be_taken_and_is_for_nobody_once_its_subscription_has_ended() {
    let system = probes(&["a"], &Log::default()).await;
    let broken = Arc::new(AtomicBool::new(true));
    let a = Probe::at(&system, "root/a");
    let subscription = system.subscribe(&a, &pattern("work"), fragile(&broken)).expect("it is there");
    system.publish(&subject("work"), 7_u64);
    assert!(subscription.unsubscribe());
    let letter = system.dead_letters(&Filter::all()).remove(0);
    let refused = system.send_again(letter.id).expect_err("it listens no more").to_string();
    assert!(refused.contains("does not listen any more"), "{refused}");
    let letter = system.dead_letters(&Filter::all()).remove(0);
    assert!(system.take_dead_letter::<u64>(letter.id).is_none(), "it was shared");
    assert_eq!(*system.take_dead_letter::<Arc<u64>>(letter.id).expect("it is kept").message, 7);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn of_a_queue_group_where_each_member_refuses_or_fails_there_is_one_dead_letter() {
    let log = Log::default();
    let system = start(root().child(Probe::spec("a", &log).mailbox(1)).child(Probe::spec("b", &log))).await;
    let broken = Arc::new(AtomicBool::new(true));
    let (a, b) = (Probe::at(&system, "root/a"), Probe::at(&system, "root/b"));
    // It is asked a second time at the end, and panics then.
    let asked = AtomicBool::new(false);
    let once = move |n: u64| if asked.swap(true, Ordering::Relaxed) { panic!("not again") } else { Order::Echo(n) };
    system.subscribe_in_group(&a, &pattern("work"), "workers", once).expect("it is there");
    a.tell(Order::Which).expect("there is room");
    let published = system.publish(&subject("work"), 1_u64);
    assert_eq!((published.failed, published.untaken), (0, 1));
    assert_eq!(dead(&system), [("root/a".to_owned(), DeadReason::Unconverted)]);

    join(&system, "root/a", "work", "workers");
    system.subscribe_in_group(&b, &pattern("work"), "workers", fragile(&broken)).expect("it is there");
    // Whose turn is first: each of the two once.
    for n in [2_u64, 3] {
        let published = system.publish(&subject("work"), n);
        assert_eq!((published.failed, published.untaken), (1, 0), "{n}");
    }
    let letters = dead(&system);
    assert_eq!(letters[1..], vec![("root/b".to_owned(), DeadReason::Unconverted); 2]);
    system.shutdown().await.expect("an orderly end");
}
