//! What only the transport of one process can show; the rest is `tests/seam_conformance.rs`.

use std::time::Duration;

use super::*;
use crate::message::codec::LIMIT;
use crate::runtime::wait;

fn interest(pattern: &str) -> Interest {
    Interest::new(pattern.parse().expect("a pattern"))
}

fn message(text: &str) -> Message {
    Message::new("a.b".parse().expect("a subject"), text.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn when_the_transport_is_dropped_inboxes_end_and_its_task_with_it() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let transport = LocalTransport::new();
    let mut inbox = transport.subscribe(interest(">")).await.expect("it is open");
    let mut waiting = transport.subscribe(interest(">")).await.expect("it is open");
    let waiting = tokio::spawn(async move { waiting.next().await.is_none() });
    transport.publish(message("never read")).await.expect("it is open");
    wait::sleep(Duration::from_millis(1)).await;

    drop(transport);
    assert!(inbox.next().await.is_none());
    drop(inbox);
    // It had the message, gave it back when it was dropped, and nobody else is there.
    assert!(!waiting.await.expect("it does not panic"));
    wait::sleep(Duration::from_millis(1)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

#[test]
fn a_transport_can_be_made_outside_of_a_runtime() {
    let transport = LocalTransport::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut inbox = transport.subscribe(interest(">").ack_within(Duration::from_secs(1))).await.expect("open");
        transport.publish(message("1")).await.expect("it is open");
        let first = inbox.next().await.expect("it is open");
        // Its time ends because the task runs: on the runtime of who subscribed.
        assert_eq!(inbox.next().await.expect("it is open").deliveries(), 2);
        assert_eq!(first.ack().await, Err(TransportError::AckTooLate));
    });
}

#[tokio::test]
async fn a_payload_longer_than_the_limit_is_refused_with_both_numbers() {
    let transport = LocalTransport::new();
    let long = Message::new("a".parse().expect("a subject"), vec![0; LIMIT + 1]);
    assert_eq!(transport.publish(long).await, Err(TransportError::TooLong { length: LIMIT + 1, limit: LIMIT }));
    let longest = Message::new("a".parse().expect("a subject"), vec![0; LIMIT]);
    assert_eq!(transport.publish(longest).await, Ok(()));
}

/// Takes until nothing comes, and gives back every third at its first delivery.
async fn work(mut inbox: Box<dyn Inbox>) -> Vec<u32> {
    let mut done = Vec::new();
    while let Some(Some(delivery)) = wait::at_most(Duration::from_secs(2), inbox.next()).await {
        let number = u32::from_le_bytes(delivery.message().payload().try_into().expect("four bytes"));
        if delivery.deliveries() == 1 && number.is_multiple_of(3) {
            delivery.nak();
        } else {
            delivery.ack().await.expect("in time");
            done.push(number);
        }
        // Some leave in the middle; what waits for them goes to the others.
        if done.len() == 500 {
            break;
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_each_message_is_acknowledged_by_one_member_also_while_members_leave() {
    const EACH: u32 = 1000;
    let transport = Arc::new(LocalTransport::new());
    let mut members = Vec::new();
    for _ in 0..10 {
        let inbox = transport.subscribe(interest(">").in_group("g").bound(10_000)).await.expect("it is open");
        members.push(tokio::spawn(work(inbox)));
    }
    let publishers = (0..4).map(|publisher| {
        let transport = Arc::clone(&transport);
        tokio::spawn(async move {
            for number in publisher * EACH..(publisher + 1) * EACH {
                let message = Message::new("a".parse().expect("a subject"), number.to_le_bytes());
                transport.publish(message).await.expect("it is open");
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.expect("it does not panic");
    }
    let mut done = Vec::new();
    for member in members {
        done.extend(member.await.expect("it does not panic"));
    }
    done.sort_unstable();
    assert!(done.iter().copied().eq(0..4 * EACH), "{} were acknowledged", done.len());
}
