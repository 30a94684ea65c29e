//! What the wire form of an envelope guarantees.

use std::num::{NonZeroU64, NonZeroU128};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use uuid::Uuid;

use super::*;
use crate::message::codec::Bincode;
use crate::message::kind::Role;

const PAYLOAD: Schema = Schema(3);

#[expect(clippy::disallowed_methods, reason = "the wire form reads no clock, and an `Instant` comes only from one")]
fn boundary() -> Boundary<'static, Bincode> {
    Boundary { codec: &Bincode, now: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(1) }
}

fn message_id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

fn agent_id(name: &str) -> Arc<AgentId> {
    Arc::new(format!("d/{name}@1.0.0#{}", Uuid::from_u128(1)).parse().expect("an id"))
}

fn write<M: Serialize>(at: &Boundary<'_, Bincode>, envelope: &mut Envelope<M>) -> Vec<u8> {
    at.write(envelope, PAYLOAD, || message_id(0xfe)).expect("it has bytes")
}

/// A message that has everything.
fn full(at: &Boundary<'_, Bincode>) -> Envelope<u8> {
    let mut message = Envelope::new(300, 7_u8)
        .with_kind(Kind::user(258, Role::Response))
        .with_priority(Priority::HIGH)
        .with_deadline(at.now + Duration::from_nanos(5))
        .with_time_to_live(at.now, Duration::from_nanos(6))
        .with_sender(agent_id("s"))
        .with_receiver(agent_id("r"))
        .with_correlation(message_id(2))
        .with_causation(message_id(3));
    message.trace_or(|| TraceContext { trace: NonZeroU128::MIN, span: NonZeroU64::MIN, flags: 1 });
    message.set_header("k", "v").expect("a header");
    message
}

fn sixteen(last: u8) -> [u8; 16] {
    u128::from(last).to_be_bytes()
}

#[test]
fn the_bytes_of_an_envelope_are_these_for_ever() {
    let at = boundary();
    let mut plain = Envelope::new(1, 7_u8);
    let mut expected = vec![1, 1]; // Codec, version.
    expected.extend(sixteen(0xfe)); // Id.
    expected.extend([1, 252, 0, 202, 154, 59]); // Number; a second in nanoseconds.
    let untraced = [&expected[..], &[0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 3, 1, 3, 7]].concat();
    expected.extend([&[1][..], &sixteen(0xfe), &0xfe_u64.to_be_bytes(), &[0]].concat()); // The trace that begins here.
    expected.extend([0, 5, 0, 0, 0, 0, 0, 0, 0]); // Plain, medium, and nothing else.
    expected.extend([3, 1, 3, 7]); // The payload's frame.
    assert_eq!(write(&at, &mut plain), expected);
    // A frame without a trace, as they were written once, is read.
    let read = at.read(&untraced).expect("a frame");
    assert_eq!((read.trace(), read.id()), (None, Some(message_id(0xfe))));

    let agent = |name: u8| [&[1, 1, b'd', 1, name][..], &sixteen(1), &[5], b"1.0.0"].concat();
    let expected = [
        vec![1, 1],
        sixteen(0xfe).to_vec(),
        vec![251, 44, 1, 252, 0, 202, 154, 59],
        [&[1][..], &sixteen(1), &1_u64.to_be_bytes(), &[1]].concat(),
        vec![10, 251, 2, 1, 1, 8],
        agent(b's'),
        agent(b'r'),
        [&[1][..], &sixteen(2), &[1], &sixteen(3)].concat(),
        vec![1, 5, 1, 6],
        vec![1, 1, b'k', 1, b'v'],
        vec![3, 1, 3, 7],
    ];
    assert_eq!(write(&at, &mut full(&at)), expected.concat());
}

#[test]
fn the_numbers_of_the_kinds_are_these_for_ever() {
    let bytes = |kind: Kind| Bincode.encode(SCHEMA, &layout::Kind::from(kind)).expect("it has bytes")[2..].to_vec();
    let words = [
        "PLAIN",
        "TASK_REQUEST",
        "TASK_RESPONSE",
        "VALIDATION_REQUEST",
        "VALIDATION_RESPONSE",
        "RETRIEVAL_REQUEST",
        "RETRIEVAL_RESPONSE",
        "ERROR_NOTIFICATION",
        "HEARTBEAT",
        "STATUS_UPDATE",
    ];
    for (number, word) in (0..).zip(words) {
        assert_eq!(bytes(word.parse().expect("a kind")), [number], "{word}");
    }
    for (number, role) in (0..).zip(["REQUEST", "RESPONSE", "NOTIFICATION"]) {
        assert_eq!(bytes(format!("USER_7_{role}").parse().expect("a kind")), [10, 7, number], "{role}");
    }
}

#[test]
fn an_old_reader_meets_a_newer_version_with_both_versions_named() {
    let at = boundary();
    let mut frame = write(&at, &mut Envelope::new(1, 7_u8));
    frame[1] = 2;
    let error = at.read(&frame).expect_err("it is of another version");
    assert!(matches!(error, ReadError::Frame(DecodeError::UnknownSchema { found: Schema(2), expected: Schema(1) })));
    assert_eq!(
        error.to_string(),
        "the bytes are not an envelope: the frame has schema version 2, expected 1; update the older side"
    );
}

#[test]
fn a_relay_reads_the_envelope_of_a_payload_that_it_does_not_know_and_the_receiver_is_told_its_version() {
    let at = boundary();
    let came = at.read(&write(&at, &mut Envelope::new(1, 7_u8))).expect("an envelope");
    assert_eq!(came.payload().as_bytes(), [1, 3, 7]);
    let error = came.payload().decode::<u8>(&Bincode, Schema(2)).expect_err("it is of another version");
    assert!(matches!(error, DecodeError::UnknownSchema { found: Schema(3), expected: Schema(2) }));
}

#[cfg(feature = "json")]
#[test]
fn an_envelope_survives_another_codec_too() {
    use crate::message::codec::Json;
    let binary = boundary();
    let at = Boundary { codec: &Json, now: binary.now, wall: binary.wall };
    let mut sent = full(&binary);
    let frame = at.write(&mut sent, PAYLOAD, || message_id(0xfe)).expect("it has bytes");
    let came = at.read(&frame).map(|came| came.try_map(|payload| payload.decode::<u8>(&Json, PAYLOAD)));
    let came = came.expect("an envelope").expect("a number");
    assert_eq!(format!("{came:?}"), format!("{sent:?}"));
    assert!(matches!(binary.read(&frame), Err(ReadError::Frame(DecodeError::UnknownCodec { id: 2, expected: 1 }))));
}

/// The frame of a message that has everything, spoilt.
fn spoilt(spoil: impl FnOnce(&mut Frame)) -> String {
    let at = boundary();
    let mut frame: Frame = Bincode.decode(SCHEMA, &write(&at, &mut full(&at))).expect("a frame");
    spoil(&mut frame);
    match at.read(&Bincode.encode(SCHEMA, &frame).expect("it has bytes")) {
        Ok(_) => "accepted".to_owned(),
        Err(ReadError::Field { field, .. }) => field.to_owned(),
        Err(other) => other.to_string(),
    }
}

#[test]
fn what_breaks_a_rule_in_process_is_refused_where_it_comes_in() {
    assert_eq!(spoilt(|_| ()), "accepted");
    assert_eq!(spoilt(|frame| frame.priority = 0), "priority");
    assert_eq!(spoilt(|frame| frame.priority = 11), "priority");
    assert_eq!(spoilt(|frame| frame.sender.as_mut().expect("it has one").domain = "a b".to_owned()), "sender");
    assert_eq!(spoilt(|frame| frame.receiver.as_mut().expect("it has one").version = "one".to_owned()), "receiver");
    assert_eq!(spoilt(|frame| frame.headers.push(("k".to_owned(), "again".to_owned()))), "headers");
    assert_eq!(spoilt(|frame| frame.headers.push(("line".to_owned(), "a\nb".to_owned()))), "headers");
    let many = |frame: &mut Frame| frame.headers = (0..33).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(spoilt(many), "headers");
    let zero = TraceContext { trace: NonZeroU128::MIN, span: NonZeroU64::MIN, flags: 0 };
    let mut bytes = Bincode.encode(SCHEMA, &Trace::from(zero)).expect("it has bytes");
    bytes[2..18].fill(0);
    let trace: Trace = Bincode.decode(SCHEMA, &bytes).expect("a trace");
    assert_eq!(spoilt(|frame| frame.trace = Some(trace)), "trace");
}

#[test]
fn the_longest_budget_and_life_of_a_frame_can_be_read() {
    assert_eq!(spoilt(|frame| (frame.budget_nanos, frame.life_nanos) = (Some(u64::MAX), Some(u64::MAX))), "accepted");
    assert_eq!(spoilt(|frame| frame.sent_nanos = u64::MAX), "accepted");
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let roles = select(vec![Role::Request, Role::Response, Role::Notification]);
    let own = (any::<u16>(), roles).prop_map(|(number, role)| Kind::user(number, role));
    proptest::prop_oneof![select(Kind::NAMED.to_vec()), proptest::strategy::Just(Kind::Plain), own]
}

proptest! {
    #[test]
    fn what_was_written_is_read_as_it_was_at_the_same_moment(
        (sequence, kind, priority) in (any::<u64>(), any_kind(), 1_u8..=10),
        (budget, life) in (of(0_u64..1 << 50), of(0_u64..1 << 50)),
        (sender, receiver) in (of("[a-z.]{1,9}"), of("[a-z.]{1,9}")),
        (correlation, causation) in (of(any::<u128>()), of(any::<u128>())),
        headers in vec(("[a-z]{1,4}", "\\PC{0,8}"), 0..6),
        payload in vec(any::<u8>(), 0..40),
    ) {
        let at = boundary();
        let mut sent = Envelope::new(sequence, payload)
            .with_kind(kind)
            .with_priority(Priority::new(priority).expect("one to ten"));
        if let Some(budget) = budget { sent = sent.within(at.now, Duration::from_nanos(budget)); }
        if let Some(life) = life { sent = sent.with_time_to_live(at.now, Duration::from_nanos(life)); }
        if let Some(sender) = sender { sent = sent.with_sender(agent_id(&sender)); }
        if let Some(receiver) = receiver { sent = sent.with_receiver(agent_id(&receiver)); }
        if let Some(first) = correlation { sent = sent.with_correlation(message_id(first)); }
        if let Some(cause) = causation { sent = sent.with_causation(message_id(cause)); }
        for (name, value) in headers { sent.set_header(&name, &value).expect("few and short"); }

        let frame = write(&at, &mut sent);
        let came = at.read(&frame).expect("an envelope");
        let mut came = came.try_map(|payload| payload.decode::<Vec<u8>>(&Bincode, PAYLOAD)).expect("bytes");
        prop_assert_eq!(format!("{came:?}"), format!("{sent:?}"));
        prop_assert_eq!(write(&at, &mut came), frame);
    }

    #[test]
    fn a_frame_with_one_byte_changed_or_cut_off_is_an_envelope_or_an_error(place in any::<usize>(), to in any::<u8>()) {
        let at = boundary();
        let mut frame = write(&at, &mut full(&at));
        let place = place % frame.len();
        prop_assert!(at.read(&frame[..place]).is_err());
        frame[place] = to;
        let _ = at.read(&frame);
    }
}
