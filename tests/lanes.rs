//! Guarantee: where an agent's mailbox has lanes the urgent goes first, in order within a priority, over restarts too;
//! what has expired is not handled; what goes for want of room is a dead letter, and whoever asked is told.

use std::time::Duration;

use steadfast::flow::{AtBound, Order as By};
use steadfast::message::{DeadReason, Envelope, Filter, Kind, Priority};
use steadfast::testing::{Log, Order, Probe, settled};
use steadfast::{
    AgentRef, AgentSpec, DropReason, EventKind, RequestError, Strategy, SupervisorSpec, System, TellError,
};

const SECOND: Duration = Duration::from_secs(1);

async fn with(child: AgentSpec<Probe>) -> (System, AgentRef<Probe>) {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child);
    let system = System::start(spec).await.expect("the tree starts");
    let agent = Probe::at(&system, "root/a");
    (system, agent)
}

fn got(log: &Log) -> Vec<String> {
    let lines = log.take().into_iter();
    lines.filter_map(|line| line.strip_prefix("got root/a ").map(str::to_owned)).collect()
}

fn echo(number: u64, priority: Priority) -> Envelope<Order> {
    Envelope::new(0, Order::Echo(number)).with_priority(priority)
}

#[tokio::test(start_paused = true)]
async fn the_urgent_goes_first_and_the_order_within_a_priority_stays_over_a_crash() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log).order(By::Priority)).await;
    // All wait before the agent looks.
    agent.send(echo(1, Priority::LOW)).expect("there is room");
    agent.tell(Order::Echo(2)).expect("there is room");
    agent.send(echo(3, Priority::CRITICAL)).expect("there is room");
    agent.send(Envelope::new(0, Order::Panic("boom")).with_priority(Priority::HIGH)).expect("there is room");
    agent.send(echo(4, Priority::CRITICAL)).expect("there is room");
    agent.send(echo(5, Priority::LOW)).expect("there is room");
    settled().await;
    assert_eq!(got(&log), ["#1 echo 3", "#1 echo 4", "#1 panic", "#2 echo 2", "#2 echo 1", "#2 echo 5"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_sends_an_envelope_can_wait_for_room_and_has_it_again_where_none_comes() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log).order(By::Priority).mailbox(1)).await;
    system.suspend("root/a").await.expect("it is active");
    agent.tell(Order::Echo(1)).expect("there is room");
    let refused = agent.send_wait(echo(2, Priority::HIGH), SECOND).await.expect_err("there is no room");
    let envelope = refused.into_message();
    assert_eq!(envelope.priority(), Priority::HIGH);
    let waits = tokio::spawn({
        let agent = agent.clone();
        async move { agent.send_wait(envelope, SECOND).await }
    });
    settled().await;
    system.resume("root/a").await.expect("it is suspended");
    waits.await.expect("no panic").expect("there is room");
    settled().await;
    assert_eq!(got(&log), ["#1 echo 1", "#1 echo 2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn without_lanes_a_priority_changes_nothing() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log)).await;
    agent.send(echo(1, Priority::LOW)).expect("there is room");
    agent.send(echo(2, Priority::CRITICAL)).expect("there is room");
    settled().await;
    assert_eq!(got(&log), ["#1 echo 1", "#1 echo 2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_before_its_turn_is_not_handled_with_lanes_and_without() {
    for order in [By::Arrival, By::Priority] {
        let log = Log::default();
        let (system, agent) = with(Probe::spec("a", &log).order(order)).await;
        let now = system.clock().now();
        agent.tell(Order::Wait(2 * SECOND)).expect("there is room");
        agent.send(Envelope::new(0, Order::Echo(1)).with_deadline(now + 2 * SECOND)).expect("there is room");
        agent.send(Envelope::new(0, Order::Echo(2)).with_time_to_live(now, SECOND)).expect("there is room");
        agent.send(Envelope::new(0, Order::Echo(3)).with_deadline(now + 3 * SECOND)).expect("there is room");
        assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 1);
        assert_eq!(got(&log), ["#1 wait", "#1 echo 3", "#1 which"], "{order:?}");
        let late = system.dead_letters(&Filter::all().because(DeadReason::Expired));
        assert_eq!(late.len(), 2);
        assert_eq!(late[0].receiver.as_ref().map(steadfast::Path::as_str), Some("root/a"));
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_the_oldest_or_the_lowest_goes_and_whoever_asked_is_told() {
    let log = Log::default();
    let spec = Probe::spec("a", &log).mailbox(2).at_bound(AtBound::ShedOldest);
    let (system, agent) = with(spec).await;
    system.suspend("root/a").await.expect("it is active");
    let asked = tokio::spawn({
        let agent = agent.clone();
        async move { agent.ask(Order::Echo(1)).await }
    });
    settled().await;
    for number in 2..=3 {
        agent.tell(Order::Echo(number)).expect("the oldest goes");
    }
    let error = asked.await.expect("no panic").expect_err("it went");
    assert!(matches!(error, RequestError::Shed { .. }), "{error}");
    system.resume("root/a").await.expect("it is suspended");
    settled().await;
    assert_eq!(got(&log), ["#1 echo 2", "#1 echo 3"]);
    assert_eq!(system.dead_letter_counts().because(DeadReason::Shed), 1);
    system.shutdown().await.expect("an orderly end");

    let spec = Probe::spec("a", &log).mailbox(2).order(By::Priority).at_bound(AtBound::ShedLowest);
    let (system, agent) = with(spec).await;
    system.suspend("root/a").await.expect("it is active");
    agent.send(echo(1, Priority::LOW)).and(agent.send(echo(2, Priority::HIGH))).expect("there is room");
    agent.send(echo(3, Priority::HIGH)).expect("something less urgent goes");
    let deadline = system.clock().now() + SECOND;
    let urgent = echo(4, Priority::HIGH).with_kind(Kind::Heartbeat).with_sequence(7).with_deadline(deadline);
    let refused = agent.send(urgent).expect_err("nothing less urgent waits");
    let TellError::Full { message, bound: 2, .. } = refused else { panic!("{refused}") };
    assert_eq!((message.priority(), message.kind()), (Priority::HIGH, Kind::Heartbeat), "the envelope comes back");
    assert_eq!((message.sequence(), message.deadline()), (7, Some(deadline)));
    system.resume("root/a").await.expect("it is suspended");
    settled().await;
    assert_eq!(got(&log), ["#1 echo 2", "#1 echo 3"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn shedding_the_lowest_without_priorities_is_refused_before_anything_starts() {
    let spec = Probe::spec("a", &Log::default()).at_bound(AtBound::ShedLowest);
    let error = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(spec)).await.expect_err("a limit");
    let text = "`root/a`: `agent.at_bound` is shed_lowest; expected `reject` or `shed_oldest` where `agent.order` is `arrival`";
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_what_its_message_says_and_what_it_sends_because_of_it_has_no_more_time() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log)).await;
    let now = system.clock().now();
    let order = Order::run(|ctx| {
        Box::pin(async move {
            assert_eq!((ctx.kind(), ctx.priority(), ctx.sequence()), (Kind::TaskRequest, Priority::HIGH, Some(2)));
            assert_eq!((ctx.header("tenant"), ctx.remaining()), (Some("acme"), Some(3 * SECOND)));
            let origin = ctx.origin().expect("a message is being handled");
            let next = ctx.because("more");
            assert_eq!((next.causation(), next.correlation()), (Some(origin.id), Some(origin.id)));
            assert_eq!(next.deadline(), ctx.deadline());
            assert_eq!(ctx.origin().map(|origin| origin.id), Some(origin.id), "an id stays");
            Ok(1)
        })
    });
    agent.tell(Order::Echo(0)).expect("there is room");
    let mut request = Envelope::new(0, order)
        .with_kind(Kind::TaskRequest)
        .with_priority(Priority::HIGH)
        .with_deadline(now + 3 * SECOND);
    request.set_header("tenant", "acme").expect("a header");
    assert_eq!(agent.request(request).await.expect("a reply"), 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_an_envelope_says_is_known_to_the_handler_whatever_kind_of_mailbox_it_waited_in() {
    let log = Log::default();
    let plain = Probe::spec("a", &log);
    let (sheds, lanes) =
        (Probe::spec("a", &log).at_bound(AtBound::ShedOldest), Probe::spec("a", &log).order(By::Priority));
    for spec in [plain, sheds, lanes] {
        let (system, agent) = with(spec).await;
        let deadline = system.clock().now() + 3 * SECOND;
        let (done, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let order = Order::run(move |ctx| {
            Box::pin(async move {
                let said = (ctx.kind(), ctx.priority(), ctx.deadline());
                let origin = ctx.origin().expect("a message is being handled");
                let because = ctx.because(());
                assert_eq!((origin.kind, origin.priority, origin.deadline), said);
                assert_eq!(
                    (because.priority(), because.deadline(), because.causation()),
                    (said.1, said.2, Some(origin.id))
                );
                done.send(said).expect("the test listens");
                Ok(1)
            })
        });
        // It waits over a crash.
        agent.tell(Order::Panic("boom")).expect("there is room");
        let envelope = Envelope::new(0, order).with_kind(Kind::Heartbeat).with_priority(Priority::LOW);
        agent.send(envelope.with_deadline(deadline)).expect("there is room");
        settled().await;
        assert_eq!(seen.try_recv(), Ok((Kind::Heartbeat, Priority::LOW, Some(deadline))));
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_asked_because_of_another_keeps_time_for_the_way_back() {
    let log = Log::default();
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log)).child(Probe::spec("b", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let (agent, other) = (Probe::at(&system, "root/a"), Probe::at(&system, "root/b"));
    let (inner, spent) = (other.clone(), other);
    let asks = Order::run(move |ctx| {
        Box::pin(async move {
            let left = Order::run(|ctx| {
                Box::pin(async move { Ok(ctx.remaining().map_or(0, |left| left.as_millis().try_into().unwrap_or(0))) })
            });
            Ok(ctx.ask(&inner, left, SECOND).await?)
        })
    });
    assert_eq!(agent.ask_within(asks, 4 * SECOND).await.expect("a reply"), 3000);
    let too_much = Order::run(move |ctx| {
        Box::pin(async move {
            let error = ctx.ask(&spent, Order::Echo(1), 4 * SECOND).await.expect_err("no time is left");
            assert!(matches!(error, RequestError::Expired { .. }), "{error}");
            Ok(0)
        })
    });
    agent.ask_within(too_much, 4 * SECOND).await.expect("a reply");
    assert!(!log.lines().iter().any(|line| line.contains("root/b") && line.ends_with("echo 1")), "nothing was sent");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_reply_after_its_deadline_is_counted_and_dropped() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log)).await;
    let mut events = steadfast::testing::Recorder::of(&system);
    let error = agent.ask_within(Order::Wait(3 * SECOND), SECOND).await.expect_err("it takes too long");
    assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
    let late = |kind: &EventKind| matches!(kind, EventKind::Dropped { why: DropReason::LateReply });
    events.until(|event| late(&event.kind)).await;
    assert_eq!((system.late_replies(), system.dead_letter_counts().total()), (1, 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_can_be_sent_again_or_taken_and_is_counted_once() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log).mailbox(1)).await;
    system.suspend("root/a").await.expect("it is active");
    agent.tell(Order::Echo(1)).expect("there is room");
    let full = agent.ask_within(Order::Echo(2), SECOND).await.expect_err("there is no room");
    assert!(matches!(full, RequestError::Full { .. }), "{full}");
    let dead = system.dead_letters(&Filter::all());
    assert_eq!((dead.len(), dead[0].why, dead[0].message.ends_with("Order")), (1, DeadReason::Refused, true));

    let again = system.send_again(dead[0].id).expect_err("there is still no room").to_string();
    assert!(again.contains("was refused again: the mailbox of `root/a` is full (1 messages)"), "{again}");
    let dead = system.dead_letters(&Filter::all());
    assert_eq!(dead.len(), 1, "it is kept");
    assert!(system.take_dead_letter::<u8>(dead[0].id).is_none(), "of another type");
    system.resume("root/a").await.expect("it is suspended");
    settled().await;
    system.send_again(dead[0].id).expect("there is room");
    settled().await;
    assert_eq!(got(&log), ["#1 echo 1", "#1 echo 2"]);
    assert!(system.send_again(dead[0].id).is_err(), "it is gone");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_its_agent_is_forgotten_is_a_dead_letter() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log)).await;
    system.suspend("root/a").await.expect("it is active");
    agent.tell(Order::Echo(1)).expect("there is room");
    let asked = tokio::spawn(async move { agent.ask(Order::Echo(2)).await });
    settled().await;
    system.supervisor("root").expect("it is there").terminate_child("a").await.expect("it ends");
    let error = asked.await.expect("no panic").expect_err("it does not come back");
    assert!(matches!(error, RequestError::Gone { .. }), "{error}");
    let gone = system.dead_letters(&Filter::all().because(DeadReason::Gone));
    assert_eq!(gone.len(), 2);
    let letter = system.take_dead_letter::<Order>(gone[0].id).expect("it is of this type");
    assert!(matches!(letter.message, Order::Echo(1)), "{:?}", letter.message);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_expires_behind_another_in_a_lane_keeps_its_kind_and_priority_among_the_dead_letters() {
    let log = Log::default();
    let (system, agent) = with(Probe::spec("a", &log).order(By::Priority)).await;
    let now = system.clock().now();
    let said = Order::run(|ctx| {
        let line = format!("{} {}", ctx.kind(), ctx.priority());
        Box::pin(async move { Err(line.into()) })
    });
    agent.send(Envelope::new(0, Order::Wait(2 * SECOND)).with_priority(Priority::CRITICAL)).expect("there is room");
    let late = Envelope::new(0, said).with_kind(Kind::Heartbeat).with_priority(Priority::HIGH);
    agent.send(late.with_deadline(now + SECOND)).expect("there is room");
    tokio::time::sleep(3 * SECOND).await;
    let letter = system.dead_letters(&Filter::all().because(DeadReason::Expired))[0].id;
    let mut events = steadfast::testing::Recorder::of(&system);
    system.send_again(letter).expect("there is room");
    assert!(events.exit("root/a").await.reason.to_string().contains("HEARTBEAT high"));
    system.shutdown().await.expect("an orderly end");
}
