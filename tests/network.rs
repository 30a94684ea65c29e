//! Guarantee: on the simulated network everything follows from the seed and the plan, and what a fault does to one message
//! it does to no other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::fault::{Hop, MessageFault};
use steadfast::seam::{Clock, Inbox, Interest, Message, Transport, TransportError};
use steadfast::testing::{Network, VirtualClock};
use steadfast::{Fault, FaultPlan, FaultPoint};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// These faults, by payload's number: the n-th hop of all.
struct ByHop(Mutex<Vec<Option<MessageFault>>>);

impl FaultPlan for ByHop {
    fn at(&self, _: &FaultPoint<'_>) -> Option<Fault> {
        None
    }

    fn on_hop(&self, _: &Hop<'_>) -> Option<MessageFault> {
        let mut left = self.0.lock().expect("nobody panics");
        if left.is_empty() { None } else { left.remove(0) }
    }
}

/// A network with the seed 7.
fn network(faults: &[Option<MessageFault>]) -> Network {
    Network::new(7, Some(Arc::new(ByHop(Mutex::new(faults.to_vec())))))
}

fn all() -> Interest {
    Interest::new(">".parse().expect("a pattern"))
}

fn message(number: u8) -> Message {
    Message::new("a.b".parse().expect("a subject"), [number])
}

/// What comes until nothing comes for long, each with the time at which it came; all of it is acknowledged.
async fn received(inbox: &mut dyn Inbox, clock: VirtualClock) -> Vec<(u8, Duration)> {
    let mut came = Vec::new();
    while let Ok(Some(delivery)) = timeout(Duration::from_secs(5), inbox.next()).await {
        came.push((delivery.message().payload()[0], clock.elapsed()));
        delivery.ack().await.expect("in time");
    }
    came
}

fn numbers(came: &[(u8, Duration)]) -> Vec<u8> {
    came.iter().map(|(number, _)| *number).collect()
}

/// Sends so many from `a` to `b`, one after the other at intervals, and returns what came, and what was told.
async fn sent(network: &Network, count: u8, interval: Duration) -> (Vec<(u8, Duration)>, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    network.on_message(move |passed| log.lock().expect("nobody panics").push(passed.to_string()));
    let mut inbox = network.node("b").subscribe(all()).await.expect("a subscription");
    let (a, clock) = (network.node("a"), VirtualClock::new());
    let send = async {
        for number in 0..count {
            a.publish(message(number)).await.expect("it is connected");
            sleep(interval).await;
        }
    };
    let ((), came) = tokio::join!(send, received(&mut *inbox, clock));
    let told = told.lock().expect("nobody panics").clone();
    (came, told)
}

const NONE: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_times_and_another_gives_others_within_the_range_and_in_order() {
    let run = async |seed| {
        let range = Duration::from_millis(20)..=Duration::from_millis(90);
        sent(&Network::new(seed, None).latency(range), 50, Duration::from_millis(10)).await
    };
    let (one, other) = (run(7).await, run(8).await);
    assert_eq!(one, run(7).await);
    assert_ne!(one.0, other.0);
    let (came, _) = one;
    assert_eq!(numbers(&came), (0..50).collect::<Vec<_>>(), "none overtakes another");
    for (number, at) in came {
        let way = at.saturating_sub(u32::from(number) * Duration::from_millis(10));
        // One that waits for the one before it takes no longer than that; timers go by whole milliseconds.
        assert!((Duration::from_millis(20)..=Duration::from_millis(92)).contains(&way), "#{number} took {way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_dropped_never_comes_and_changes_no_time_of_the_others() {
    let interval = Duration::from_millis(10);
    let (whole, _) = sent(&Network::new(7, None), 4, interval).await;
    let (came, told) = sent(&network(&[None, Some(MessageFault::Drop)]), 4, interval).await;
    assert_eq!(came, [whole[0], whole[2], whole[3]]);
    assert_eq!(told[2..4], ["sent a -> b a.b #1", "dropped a -> b a.b #1"]);
    assert_eq!(told.iter().filter(|line| line.starts_with("arrived")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_duplicated_comes_twice_and_changes_no_time_of_the_others() {
    let interval = Duration::from_millis(10);
    let (whole, _) = sent(&Network::new(7, None), 3, interval).await;
    let (came, told) = sent(&network(&[Some(MessageFault::Duplicate)]), 3, interval).await;
    assert_eq!(numbers(&came), [0, 0, 1, 2]);
    assert_eq!([came[0], came[2], came[3]], whole[..]);
    assert_eq!(told[1], "duplicated a -> b a.b #0");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_delayed_comes_so_much_later_and_others_overtake_it() {
    let delay = Duration::from_millis(500);
    let (whole, _) = sent(&Network::new(7, None), 3, NONE).await;
    let (came, told) = sent(&network(&[Some(MessageFault::Delay(delay))]), 3, NONE).await;
    assert_eq!(numbers(&came), [1, 2, 0]);
    assert_eq!(came[2].1, whole[0].1 + delay);
    assert_eq!(told[1], "delayed 500000us a -> b a.b #0");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_reordered_comes_right_after_the_next_one_or_alone_where_none_follows() {
    let reorder = Some(MessageFault::Reorder);
    assert_eq!(numbers(&sent(&network(&[reorder]), 3, NONE).await.0), [1, 0, 2]);
    // Two wait for the same one, and keep their order; one that is dropped overtakes nobody.
    assert_eq!(numbers(&sent(&network(&[reorder, reorder]), 4, NONE).await.0), [2, 0, 1, 3]);
    let dropped = network(&[reorder, Some(MessageFault::Drop)]);
    assert_eq!(numbers(&sent(&dropped, 3, NONE).await.0), [2, 0]);

    let (came, _) = sent(&network(&[reorder]), 1, NONE).await;
    assert_eq!(numbers(&came), [0]);
    assert!(came[0].1 <= Duration::from_millis(30), "it waits for another not longer than is said: {came:?}");
}

#[tokio::test(start_paused = true)]
async fn delays_that_are_longer_than_time_goes_are_no_panic() {
    let network = network(&[Some(MessageFault::Delay(Duration::MAX)), None]);
    let network = network.latency(Duration::from_secs(3)..=Duration::from_secs(1));
    assert_eq!(numbers(&sent(&network, 2, NONE).await.0), [1]);
    assert_eq!(network.in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn within_a_node_a_message_is_there_at_once_and_no_fault_hits_it() {
    let network = network(&[Some(MessageFault::Drop)]);
    let a = network.node("a");
    let mut inbox = a.subscribe(all()).await.expect("a subscription");
    let clock = VirtualClock::new();
    a.publish(message(1)).await.expect("it is connected");
    assert_eq!(received(&mut *inbox, clock).await, [(1, NONE)]);
}

#[tokio::test(start_paused = true)]
async fn a_message_for_several_of_a_node_crosses_once() {
    let network = Network::new(7, None);
    let crossed = Arc::new(Mutex::new(0));
    let count = Arc::clone(&crossed);
    network.on_message(move |passed| {
        *count.lock().expect("nobody panics") += u32::from(passed.to_string().starts_with("sent"));
    });
    let b = network.node("b");
    let mut first = b.subscribe(all()).await.expect("a subscription");
    let mut second = b.subscribe(all()).await.expect("a subscription");
    network.node("a").publish(message(1)).await.expect("it is connected");
    let clock = VirtualClock::new();
    let (one, two) = (received(&mut *first, clock).await, received(&mut *second, clock).await);
    assert_eq!((numbers(&one), numbers(&two)), (vec![1], vec![1]));
    assert_eq!(*crossed.lock().expect("nobody panics"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_hears_and_says_nothing_more_and_what_was_on_its_way_to_it_is_lost() {
    let network = Network::new(7, None);
    let (a, b) = (network.node("a"), network.node("b"));
    let mut of_a = a.subscribe(all()).await.expect("a subscription");
    let mut of_b = b.subscribe(all()).await.expect("a subscription");
    b.publish(message(1)).await.expect("it is connected");
    of_b.next().await.expect("it is there").ack().await.expect("in time");
    a.publish(message(2)).await.expect("it is connected");
    network.disconnect("b");

    assert!(of_b.next().await.is_none(), "its inbox ends");
    assert_eq!(b.publish(message(3)).await, Err(TransportError::Closed));
    assert!(matches!(b.subscribe(all()).await, Err(TransportError::Closed)));
    // What it had sent arrives all the same, and so does what is sent within other nodes.
    assert_eq!(numbers(&received(&mut *of_a, VirtualClock::new()).await), [2, 1]);

    // In its next life it hears what is sent from then on.
    let mut of_b = network.node("b").subscribe(all()).await.expect("a subscription");
    a.publish(message(4)).await.expect("it is connected");
    assert_eq!(numbers(&received(&mut *of_b, VirtualClock::new()).await), [4]);
    assert_eq!(b.publish(message(5)).await, Err(TransportError::Closed), "the old life stays cut off");
}

#[tokio::test(start_paused = true)]
async fn what_a_member_that_is_cut_off_had_or_was_to_have_goes_to_another_of_its_group() {
    let network = Network::new(7, None);
    let (a, b, c) = (network.node("a"), network.node("b"), network.node("c"));
    let mut of_b = b.subscribe(all().in_group("workers")).await.expect("a subscription");
    // A second one of the same node, which goes with it.
    let _also_of_b = b.subscribe(all().in_group("workers")).await.expect("a subscription");
    for number in 0..6 {
        a.publish(message(number)).await.expect("it is connected");
    }
    sleep(Duration::from_millis(50)).await;
    let out = of_b.next().await.expect("it is there");
    of_b.next().await.expect("it is there").ack().await.expect("in time");
    a.publish(message(6)).await.expect("it is connected");
    let mut of_c = c.subscribe(all().in_group("workers")).await.expect("a subscription");
    network.disconnect("b");

    let mut came = numbers(&received(&mut *of_c, VirtualClock::new()).await);
    came.sort_unstable();
    // The second of b's own was acknowledged: 2, as the members take turns.
    assert_eq!(came, [0, 1, 3, 4, 5, 6]);
    assert_eq!(out.ack().await, Err(TransportError::AckTooLate));
}

#[tokio::test(start_paused = true)]
async fn when_the_network_is_dropped_nothing_of_it_lives_on() {
    let network = Network::new(7, None);
    let (a, b) = (network.node("a"), network.node("b"));
    let mut inbox = b.subscribe(all()).await.expect("a subscription");
    a.publish(message(1)).await.expect("it is connected");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    drop(network);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    assert!(inbox.next().await.is_none());
    assert_eq!(a.publish(message(2)).await, Err(TransportError::Closed));
}

#[test]
fn the_transport_is_a_value_without_type_parameters() {
    fn takes(_: Option<&dyn Transport>) {}
    takes(None);
    assert!(VirtualClock::new().now() <= VirtualClock::new().now());
}
