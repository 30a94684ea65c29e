//! What an envelope guarantees.

use std::time::UNIX_EPOCH;

use proptest::option::of;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use uuid::Uuid;

use super::*;
use crate::message::kind::Role;

#[expect(clippy::disallowed_methods, reason = "an envelope reads no clock, and an `Instant` comes only from one")]
fn now() -> Instant {
    Instant::now()
}

fn message_id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

fn agent(name: &str) -> Arc<AgentId> {
    Arc::new(format!("data/{name}@1.0.0#{}", Uuid::nil()).parse().expect("an id"))
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_message_costs_forty_bytes_above_its_payload_and_no_allocation() {
    assert_eq!(size_of::<Envelope<()>>(), 40);
    assert_eq!(size_of::<Envelope<[u64; 4]>>(), 40 + 32);
    let plain = Envelope::new(1, ()).with_kind(Kind::Heartbeat).with_priority(Priority::HIGH).with_deadline(now());
    assert!(plain.details.is_none());
}

#[test]
fn id_time_and_trace_are_made_when_first_asked_for_and_stay() {
    let mut message = Envelope::new(1, ());
    assert_eq!((message.id(), message.sent(), message.trace()), (None, None, None));
    let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a trace");
    assert_eq!(message.id_or(|| message_id(1)), message_id(1));
    assert_eq!(message.id_or(|| unreachable!("it has one")), message_id(1));
    assert_eq!(message.sent_or(UNIX_EPOCH), UNIX_EPOCH);
    assert_eq!(message.sent_or(UNIX_EPOCH + millis(1)), UNIX_EPOCH);
    assert_eq!(message.trace_or(|| trace), trace);
    assert_eq!(message.trace_or(|| unreachable!("it has one")), trace);
}

#[test]
fn a_reply_goes_back_names_the_request_and_shares_its_conversation() {
    let now = now();
    let mut request = Envelope::new(1, "?")
        .with_kind(Kind::RetrievalRequest)
        .with_priority(Priority::HIGH)
        .with_deadline(now + millis(50))
        .with_sender(agent("asker"))
        .with_receiver(agent("asked"))
        .with_correlation(message_id(9));
    let origin = request.origin(|| message_id(1));
    let reply = Envelope::reply_to(&origin, 2, "!");
    assert_eq!(reply.kind(), Kind::RetrievalResponse);
    assert_eq!(reply.sender(), Some(&agent("asked")));
    assert_eq!(reply.receiver(), Some(&agent("asker")));
    assert_eq!((reply.causation(), reply.correlation()), (Some(message_id(1)), Some(message_id(9))));
    assert_eq!((reply.priority(), reply.deadline()), (Priority::HIGH, Some(now + millis(50))));
    assert_eq!((reply.sequence(), reply.id()), (2, None));
}

#[test]
fn what_is_caused_by_a_message_is_of_its_conversation_which_that_one_begins_if_it_has_none() {
    let mut first = Envelope::new(1, ()).with_kind(Kind::user(3, Role::Request)).with_receiver(agent("asked"));
    let second = Envelope::caused_by(&first.origin(|| message_id(1)), 2, ());
    assert_eq!((second.causation(), second.correlation()), (Some(message_id(1)), Some(message_id(1))));
    assert_eq!((second.kind(), second.sender(), second.receiver()), (Kind::Plain, Some(&agent("asked")), None));
    let mut second = second;
    let third = Envelope::caused_by(&second.origin(|| message_id(2)), 3, ());
    assert_eq!((third.causation(), third.correlation()), (Some(message_id(2)), Some(message_id(1))));
}

#[test]
fn what_nobody_waits_for_outlives_the_request_that_caused_it() {
    let now = now();
    let mut request = Envelope::new(1, ()).with_deadline(now);
    let origin = request.origin(|| message_id(1));
    assert!(Envelope::caused_by(&origin, 2, ()).is_expired(now));
    assert!(!Envelope::caused_by(&origin, 2, ()).without_deadline().is_expired(now));
}

#[test]
fn the_answer_to_what_asks_nothing_is_plain() {
    let mut told = Envelope::new(1, ()).with_kind(Kind::StatusUpdate);
    assert_eq!(Envelope::reply_to(&told.origin(|| message_id(1)), 2, ()).kind(), Kind::Plain);
}

#[test]
fn a_message_expires_at_the_moment_of_its_deadline_or_of_its_time_to_live_whichever_is_first() {
    let now = now();
    let message = Envelope::new(1, ()).with_deadline(now + millis(20)).with_time_to_live(now, millis(10));
    assert!(!message.is_expired(now + millis(9)) && message.is_expired(now + millis(10)));
    let message = Envelope::new(1, ()).with_deadline(now + millis(10)).with_time_to_live(now, millis(20));
    assert!(!message.is_expired(now + millis(9)) && message.is_expired(now + millis(10)));
    assert!(!Envelope::new(1, ()).with_time_to_live(now, Duration::MAX).is_expired(now + millis(10)));
}

#[test]
fn another_payload_leaves_all_else_as_it_was() {
    let mut message = Envelope::new(1, 7).with_kind(Kind::Heartbeat).with_correlation(message_id(3));
    message.set_header("tenant", "acme").expect("a header");
    let mapped = message.map(|payload: i32| payload.to_string());
    assert_eq!(
        (mapped.payload().as_str(), mapped.kind(), mapped.correlation()),
        ("7", Kind::Heartbeat, Some(message_id(3)))
    );
    assert_eq!(mapped.header("tenant"), Some("acme"));
    assert!(mapped.try_map(|text| text.parse::<bool>()).is_err());
}

proptest! {
    #[test]
    fn the_budget_never_grows_along_the_hops_and_never_falls_below_nothing(
        first in of(0_u64..1000),
        hops in proptest::collection::vec((0_u64..100, 0_u64..100, of(0_u64..1000)), 0..8),
    ) {
        let mut at = now();
        let mut message = Envelope::new(1, ());
        if let Some(first) = first {
            message = message.within(at, millis(first));
        }
        let mut left = message.remaining(at);
        for (passed, kept, limit) in hops {
            at += millis(passed);
            let deadline = message.deadline();
            message = message.hop(at, millis(kept));
            prop_assert!(message.deadline() <= deadline);
            if let Some(limit) = limit {
                message = message.within(at, millis(limit));
            }
            let now_left = message.remaining(at);
            if let Some(left) = left {
                let now_left = now_left.expect("a deadline does not go away");
                let most = left.saturating_sub(millis(passed)).saturating_sub(millis(kept));
                prop_assert_eq!(now_left, limit.map_or(most, |limit| most.min(millis(limit))));
            } else {
                prop_assert_eq!(now_left, limit.map(millis));
            }
            left = now_left;
            prop_assert!(message.is_expired(at) == (left == Some(Duration::ZERO)));
        }
    }
}
