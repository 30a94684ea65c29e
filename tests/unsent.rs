//! Guarantee: what a route says of a message reaches whoever handles it, the time that is left included; and a message that
//! a route cannot send is a dead letter with its reason, once, which can be sent again and goes the route's way then.

use std::time::Duration;

use serde_json::json;
use steadfast::message::{DeadReason, Envelope, Filter, Kind, Priority};
use steadfast::registry::selection::{
    Choice, Considered, Draw, Eligible, NoChoice, Pool, Reason, Select, Selection, Stickiness,
};
use steadfast::testing::{Log, settled};
use steadfast::{
    Agent, AgentRef, AgentSpec, AtDeath, BoxError, Capability, ChildSpec, Context, Intensity, RequestError, Restart,
    Route, RouteBuilder, SendAgainError, Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);

const WORK: Capability<u64, String> = Capability::new("test.work", "1.0.0");
const WRONG: Capability<u64, String> = Capability::new("no name at all", "1.0.0");

/// Says what it is told about each message, and asks the next worker for the numbers below 10.
struct Worker {
    log: Log,
    next: Option<Whom>,
}

/// Whom a worker asks.
#[derive(Clone, Debug)]
enum Whom {
    Route,
    Constant,
    Provider,
    Agent,
}

const CRASH: u64 = 13;
/// Leaves a task behind, for which a drain waits.
const TASK: u64 = 14;

impl Agent for Worker {
    type Args = (Log, Option<Whom>);
    type Message = u64;
    type Reply = String;

    async fn start((log, next): Self::Args, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { log, next })
    }

    async fn handle(&mut self, number: u64, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        let (kind, priority) = (ctx.kind(), ctx.priority());
        let header = ctx.header("tenant").unwrap_or("-").to_owned();
        let sender = ctx.sender().map_or("-", |sender| sender.name.as_str()).to_owned();
        let left = ctx.remaining().map_or("-".to_owned(), |left| format!("{}ms", left.as_millis()));
        let line = format!(
            "{} #{} {number} {kind} {priority} {header} from {sender} {left}",
            ctx.path().name(),
            ctx.incarnation()
        );
        self.log.write(line.clone());
        if number == CRASH {
            return Err("as it was asked".into());
        }
        if number == TASK {
            ctx.spawn(tokio::time::sleep(SECOND));
        }
        let Some(whom) = self.next.clone() else { return Ok(line) };
        let system = ctx.system().clone();
        let next = system.route(&WORK).requirement("test.work place=last").within(9 * SECOND).build()?;
        let reply = match whom {
            Whom::Route => ctx.ask(&next, number, SECOND).await,
            Whom::Constant => ctx.ask(&LAST, number, SECOND).await,
            Whom::Provider => ctx.ask(&next.pick()?.provider(), number, SECOND).await,
            Whom::Agent => {
                let last: AgentRef<Self> = system.agent("root/last")?;
                ctx.ask(&last, number, SECOND).await
            }
        };
        Ok(reply?)
    }
}

const LAST: Capability<u64, String> = Capability::new("test.last", "1.0.0");

fn worker(name: &str, log: &Log) -> AgentSpec<Worker> {
    ChildSpec::agent(name, (log.clone(), None)).offers(&WORK)
}

async fn start(children: impl IntoIterator<Item = AgentSpec<Worker>>) -> System {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100));
    let spec = children.into_iter().fold(root, SupervisorSpec::child);
    System::start(spec).await.expect("the tree starts")
}

fn way(system: &System) -> RouteBuilder<u64, String> {
    system.route(&WORK).within(10 * SECOND)
}

fn plain(system: &System) -> Route<u64, String> {
    way(system).build().expect("a route")
}

/// The dead letters, as reason, receiver and type.
fn dead(system: &System) -> Vec<String> {
    let letters = system.dead_letters(&Filter::all()).into_iter();
    let receiver = |path: Option<steadfast::Path>| path.map_or("nobody".to_owned(), |path| path.to_string());
    letters.map(|letter| format!("{} to {} ({})", letter.why, receiver(letter.receiver), letter.message)).collect()
}

fn send_all_again(system: &System) -> Vec<Result<(), SendAgainError>> {
    system.dead_letters(&Filter::all()).into_iter().map(|letter| system.send_again(letter.id)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_message_goes_through_a_route_and_its_time_is_less_by_what_is_kept() {
    let log = Log::default();
    let system = start([worker("a", &log)]).await;
    let route = way(&system).keep_for_answer(2 * SECOND).build().expect("a route");
    let now = system.clock().now();
    let mut letter = Envelope::new(0, 1).with_kind(Kind::Heartbeat).with_priority(Priority::HIGH);
    letter.set_header("tenant", "blue").expect("a header");

    route.send(letter.clone()).expect("there is room");
    route.send_about(b"key", letter.clone().with_deadline(now + SECOND)).expect("there is room");
    let asked = route.request(letter.clone().with_deadline(now + 5 * SECOND)).await.expect("a reply");
    route.request_about(b"key", letter.clone()).await.expect("a reply");
    route.ask(2).await.expect("a reply");
    assert_eq!(asked, "a #1 1 HEARTBEAT high blue from - 3000ms");
    let lines = [
        "a #1 1 HEARTBEAT high blue from - -",
        "a #1 1 HEARTBEAT high blue from - 1000ms",
        "a #1 1 HEARTBEAT high blue from - 3000ms",
        "a #1 1 HEARTBEAT high blue from - 8000ms",
        "a #1 2 PLAIN medium - from - 8000ms",
    ];
    assert_eq!(log.take(), lines);

    let error = route.request(letter.with_deadline(now + 2 * SECOND)).await.expect_err("all of its time is kept");
    assert!(matches!(error, RequestError::Expired { .. }), "{error}");
    settled().await;
    assert_eq!((log.take(), dead(&system)), (vec![], vec!["expired to root/a (u64)".to_owned()]));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_asks_whomever_for_the_sake_of_a_message_in_the_time_that_is_left_for_it() {
    for whom in [Whom::Route, Whom::Constant, Whom::Provider, Whom::Agent] {
        let log = Log::default();
        let place = WORK.attribute("place", "last");
        let last = ChildSpec::agent("last", (log.clone(), None)).offers(&place).offers(&LAST);
        let first = ChildSpec::agent("first", (log.clone(), Some(whom.clone())));
        let system = start([last, first]).await;
        let first: AgentRef<Worker> = system.agent("root/first").expect("it is there");
        let now = system.clock().now();
        let urgent = Envelope::new(0, 7).with_priority(Priority::CRITICAL).with_deadline(now + 4 * SECOND);
        let reply = first.request(urgent).await.expect("a reply");
        assert_eq!(reply, "last #1 7 PLAIN critical - from first 3000ms", "{whom:?}");

        let hopeless = first.request(Envelope::new(0, 8).with_deadline(now + SECOND)).await;
        assert!(matches!(hopeless, Err(RequestError::Exited { .. })), "{whom:?}: {hopeless:?}");
        assert_eq!(dead(&system), ["expired to root/last (u64)"], "{whom:?}");
        // Where nobody waits, whoever is asked says how long.
        first.tell(9).expect("there is room");
        settled().await;
        let own = if matches!(whom, Whom::Route) { "9000ms" } else { "5000ms" };
        assert_eq!(log.take().last(), Some(&format!("last #1 9 PLAIN medium - from first {own}")), "{whom:?}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_is_there_for_is_a_dead_letter_and_is_sent_again_once_somebody_is() {
    let log = Log::default();
    let system = start([]).await;
    let route = plain(&system);
    let mut letter = Envelope::new(0, 1).with_kind(Kind::Heartbeat);
    letter.set_header("tenant", "blue").expect("a header");
    let sent = [route.send(letter.with_deadline(system.clock().now() + SECOND)), route.tell(2)];
    let asked = [route.ask(3).await, system.ask(&WORK, 4).await];
    for error in sent.into_iter().filter_map(Result::err).chain(asked.into_iter().filter_map(Result::err)) {
        assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    }
    assert_eq!(dead(&system), ["no receiver to nobody (u64)"; 4]);
    let refused = send_all_again(&system);
    assert!(refused.iter().all(|sent| matches!(sent, Err(SendAgainError::Refused { .. }))), "{refused:?}");
    assert_eq!(dead(&system).len(), 4, "each is one dead letter still");

    let taken = system.dead_letters(&Filter::all())[1].id;
    assert_eq!(system.take_dead_letter::<u64>(taken).map(|letter| letter.message), Some(2));
    drop(route);
    tokio::time::sleep(2 * SECOND).await;
    system.supervisor("root").expect("it is there").start_child(worker("a", &log)).await.expect("it starts");
    assert_eq!(send_all_again(&system), [Ok(()), Ok(()), Ok(())]);
    settled().await;
    let lines =
        ["a #1 1 HEARTBEAT medium blue from - -", "a #1 3 PLAIN medium - from - -", "a #1 4 PLAIN medium - from - -"];
    assert_eq!((log.take(), dead(&system).len()), (lines.map(str::to_owned).to_vec(), 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_capability_at_all_says_so_when_it_is_sent_again() {
    let system = start([]).await;
    system.ask(&WRONG, 1).await.expect_err("nobody offers that");
    let again = send_all_again(&system);
    assert!(
        matches!(&again[..], [Err(SendAgainError::Refused { problem, .. })] if problem.contains("name")),
        "{again:?}"
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_sent_again_goes_by_its_key_as_long_as_its_route_is_there() {
    let log = Log::default();
    let names = ["a", "b", "c", "d"];
    let system = start(names.map(|name| worker(name, &log).mailbox(1))).await;
    let route = way(&system).selection(Selection::Sticky(Stickiness::Moves)).build().expect("a route");
    let error = route.tell(1).expect_err("the route goes by a key");
    assert!(matches!(error, RequestError::NoKey { .. }), "{error}");
    assert_eq!(dead(&system), ["refused to nobody (u64)"]);
    system.take_dead_letter::<u64>(system.dead_letters(&Filter::all())[0].id).expect("it is there");

    let owner = route.pick_about(b"k").expect("somebody").path().clone();
    let root = system.supervisor("root").expect("it is there");
    for name in names {
        root.terminate_child(name).await.expect("it is there");
    }
    route.tell_about(b"k", 7).expect_err("nobody is there");
    assert_eq!(dead(&system), ["no receiver to nobody (u64)"]);
    for name in names {
        root.restart_child(name).await.expect("it starts again");
    }
    assert_eq!(send_all_again(&system), [Ok(())]);
    settled().await;
    assert_eq!(log.take(), [format!("{} #2 7 PLAIN medium - from - -", owner.name())]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_refuses_is_one_dead_letter_for_it_whatever_the_route_does_at_a_death() {
    for fate in [AtDeath::Stay, AtDeath::Elsewhere, AtDeath::Return] {
        let log = Log::default();
        let system = start([worker("a", &log).mailbox(1)]).await;
        let route = way(&system).at_death(fate).build().expect("a route");
        system.suspend("root/a").await.expect("it is active");
        let mut blue = Envelope::new(0, 2);
        blue.set_header("tenant", "blue").expect("a header");
        route.tell(1).expect("there is room");
        let told = route.send(blue).expect_err("there is no room");
        assert!(matches!(told, RequestError::Full { bound: 1, .. }), "{fate}: {told}");
        let asked = route.ask_within(3, SECOND).await.expect_err("there is no room");
        assert!(matches!(asked, RequestError::Full { .. }), "{fate}: {asked}");
        assert_eq!(dead(&system), ["refused to root/a (u64)"; 2], "{fate}");
        system.resume("root/a").await.expect("it is suspended");
        settled().await;
        for letter in system.dead_letters(&Filter::all()) {
            system.send_again(letter.id).expect("there is room");
            settled().await;
        }
        let headers: Vec<_> = log.take().iter().map(|line| line[5..].replace(" PLAIN medium", "")).collect();
        assert_eq!(headers, ["1 - from - -", "2 blue from - -", "3 - from - -"], "{fate}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_go_elsewhere_at_a_death_is_one_dead_letter_of_who_had_it() {
    let log = Log::default();
    let system = start([worker("a", &log).restart(Restart::Temporary), worker("b", &log).mailbox(1)]).await;
    let route = way(&system).selection(Selection::InOrder).at_death(AtDeath::Elsewhere).build().expect("a route");
    system.suspend("root/b").await.expect("it is active");
    system.agent::<Worker>("root/b").expect("it is there").tell(0).expect("there is room");
    route.tell(CRASH).and(route.tell(1)).expect("there is room");
    let asked = tokio::spawn(async move { route.ask_within(2, SECOND).await });
    settled().await;
    assert!(system.dead_letters(&Filter::all()).iter().all(|letter| letter.why == DeadReason::Gone));
    tokio::time::sleep(2 * SECOND).await;
    let error = asked.await.expect("no panic").expect_err("nobody has room");
    assert!(matches!(error, RequestError::Full { .. }), "{error}");
    assert_eq!(dead(&system), ["gone to root/a (u64)", "refused to root/b (u64)"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_handler_began_is_no_dead_letter_when_nobody_is_there_for_another_attempt() {
    let log = Log::default();
    let system = start([worker("a", &log).restart(Restart::Temporary)]).await;
    let route = way(&system).idempotent().build().expect("a route");
    let error = route.ask(CRASH).await.expect_err("it crashes");
    assert!(matches!(error, RequestError::Exited { .. }), "{error}");
    assert_eq!((log.take().len(), dead(&system).len()), (1, 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn while_the_only_provider_drains_a_message_waits_for_its_next_life_if_that_comes() {
    for fate in [AtDeath::Stay, AtDeath::Elsewhere] {
        let log = Log::default();
        let system = start([worker("a", &log)]).await;
        let route = way(&system).at_death(fate).build().expect("a route");
        let hasty = way(&system).at_death(fate).fail_fast().build().expect("a route");
        route.ask(TASK).await.expect("a reply");
        log.take().clear();
        system.suspend("root/a").await.expect("it is active");
        let ask = |number| {
            let route = route.clone();
            tokio::spawn(async move { route.ask(number).await })
        };
        route.tell(1).expect("there is room");
        let before = ask(2);
        settled().await;
        let agent: AgentRef<Worker> = system.agent("root/a").expect("it is there");
        system.drain("root/a", 9 * SECOND).await.expect("it is suspended");
        let refused = hasty.ask(9).await.expect_err("nobody is ready");
        assert!(matches!(refused, RequestError::NoProvider { .. }), "{fate}: {refused}");
        let direct = agent.tell(9).expect_err("it takes no new work").into_message();
        route.tell(3).expect("it waits");
        let asked = [before, ask(4)];
        for (asked, number) in asked.into_iter().zip([2, 4]) {
            let reply = asked.await.expect("no panic").expect("a reply");
            assert!(reply.starts_with(&format!("a #2 {number}")), "{fate}: {reply}");
        }
        settled().await;
        let mut handled: Vec<_> = log.take().iter().map(|line| line[..6].to_owned()).collect();
        handled.sort();
        assert_eq!((handled, direct), (["a #2 1", "a #2 2", "a #2 3", "a #2 4"].map(str::to_owned).to_vec(), 9));
        assert_eq!(dead(&system), ["no receiver to nobody (u64)"], "{fate}: the hasty one alone");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_only_provider_drains_for_good_a_message_waits_for_nothing() {
    let log = Log::default();
    let system = start([worker("a", &log).restart(Restart::Transient)]).await;
    let route = plain(&system);
    route.ask(TASK).await.expect("a reply");
    log.take().clear();
    system.drain("root/a", 9 * SECOND).await.expect("it is active");
    let error = route.tell(1).expect_err("nobody is coming");
    assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    let error = route.ask(2).await.expect_err("nobody is coming");
    assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    assert_eq!((log.take().len(), dead(&system)), (0, vec!["no receiver to nobody (u64)".to_owned(); 2]));
    system.shutdown().await.expect("an orderly end");
}

/// Always chooses whoever stands at that position, and says that it is ready.
#[derive(Debug)]
struct Stubborn(usize);

impl Select for Stubborn {
    fn select(&self, _: &dyn Pool, _: &Draw<'_>) -> Result<Choice, NoChoice> {
        Ok(Choice::new(self.0, Eligible::Now, Reason::Other("as always"), Considered::One))
    }
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_chooses_somebody_who_is_away_or_nobody_at_all_has_chosen_nobody() {
    let log = Log::default();
    let system = start([worker("a", &log), worker("b", &log)]).await;
    let stubborn = |position| way(&system).selection(Stubborn(position)).at_death(AtDeath::Elsewhere).build();
    let (to_a, beyond) = (stubborn(0).expect("a route"), stubborn(2).expect("a route"));
    to_a.ask(1).await.expect("a reply");
    system.supervisor("root").expect("it is there").terminate_child("a").await.expect("it is there");
    // Without an end it would be sent to `a`, and come back.
    for route in [to_a, beyond] {
        let error = route.ask(2).await.expect_err("nobody was chosen");
        assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    }
    assert_eq!((log.take().len(), dead(&system)), (1, vec!["no receiver to nobody (u64)".to_owned(); 2]));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn json_that_nobody_takes_is_a_dead_letter_with_the_reason() {
    let log = Log::default();
    let system = start([]).await;
    let wanted = "test.work@^1".parse().expect("a requirement");
    let nobody = system.ask_json(&wanted, json!(1), SECOND).await.expect_err("nobody is there");
    assert!(matches!(nobody, RequestError::NoProvider { .. }), "{nobody}");
    let root = system.supervisor("root").expect("it is there");
    root.start_child(worker("a", &log).mailbox(1)).await.expect("it starts");
    let malformed = system.ask_json(&wanted, json!("one"), SECOND).await.expect_err("it takes numbers");
    assert!(matches!(malformed, RequestError::Malformed { .. }), "{malformed}");
    let (first, second) = ("no receiver to nobody (serde_json::Value)", "decode error to root/a (serde_json::Value)");
    assert_eq!(dead(&system), [first, second]);

    let again = send_all_again(&system);
    assert!(matches!(&again[..], [Ok(()), Err(SendAgainError::Refused { .. })]), "{again:?}");
    settled().await;
    assert_eq!(log.take(), ["a #1 1 PLAIN medium - from - -"]);
    let letter = system.dead_letters(&Filter::all())[0].id;
    assert_eq!(system.take_dead_letter::<serde_json::Value>(letter).map(|letter| letter.message), Some(json!("one")));
    system.shutdown().await.expect("an orderly end");
}

const OUTER: Capability<u64, String> = Capability::new("test.outer", "1.0.0");

#[tokio::test(start_paused = true)]
async fn a_function_that_serves_knows_what_is_said_of_its_request_and_asks_on_in_its_time() {
    let log = Log::default();
    let outer = ChildSpec::serve("outer", OUTER, |ctx, number: u64| async move {
        let said =
            format!("{} {} {} {:?}", ctx.kind(), ctx.priority(), ctx.header("tenant").unwrap_or("-"), ctx.remaining());
        Ok(format!("{said}; {}", ctx.ask(&WORK, number, SECOND).await?))
    });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(worker("a", &log)).child(outer);
    let system = System::start(spec).await.expect("the tree starts");
    let route = system.route(&OUTER).build().expect("a route");
    let now = system.clock().now();
    let mut urgent = Envelope::new(0, 1).with_priority(Priority::HIGH).with_deadline(now + 4 * SECOND);
    urgent.set_header("tenant", "blue").expect("a header");
    let reply = route.request(urgent).await.expect("a reply");
    assert_eq!(reply, "PLAIN high blue Some(4s); a #1 1 PLAIN high - from outer 3000ms");
    let reply = system.ask(&OUTER, 2).await.expect("a reply");
    assert_eq!(reply, "PLAIN medium - Some(5s); a #1 2 PLAIN medium - from outer 4000ms");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_a_function_sends_because_of_a_plain_request_is_of_one_conversation() {
    let (seen, told) = (Log::default(), Log::default());
    let noting = seen.clone();
    let outer = ChildSpec::serve("outer", OUTER, move |ctx, number: u64| {
        let noting = noting.clone();
        async move {
            let other = ctx.clone();
            for ctx in [ctx, other] {
                let because = ctx.because(number);
                noting.write(format!("{:?} {:?}", because.correlation(), because.causation()));
            }
            Ok(String::new())
        }
    });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(worker("a", &told)).child(outer);
    let system = System::start(spec).await.expect("the tree starts");
    system.route(&OUTER).build().expect("a route").tell(1).expect("there is room");
    settled().await;
    let seen = seen.take();
    assert!(seen.len() == 2 && seen[0] == seen[1] && seen[0].starts_with("Some"), "{seen:?}");
    system.shutdown().await.expect("an orderly end");
}

const TRACE: Capability<u64, (String, String)> = Capability::new("test.trace", "1.0.0");

/// Says in which trace it was asked, and of which conversation it is; asks on as often as it is told.
struct Tracer;

impl Agent for Tracer {
    type Args = ();
    type Message = u64;
    type Reply = (String, String);

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, hops: u64, ctx: &mut Context<Self>) -> Result<(String, String), BoxError> {
        if hops > 0 {
            let next: AgentRef<Self> = ctx.system().agent(format!("root/t{hops}"))?;
            return Ok(ctx.ask(&next, hops - 1, Duration::ZERO).await?);
        }
        let trace = ctx.trace().map(|trace| trace.to_string()).unwrap_or_default();
        Ok((trace, ctx.origin().map(|origin| origin.correlation.to_string()).unwrap_or_default()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_and_a_conversation_go_on_over_every_hop() {
    let tracers = (0..4).map(|number| ChildSpec::agent::<Tracer>(format!("t{number}"), ()).offers(&TRACE));
    let root = SupervisorSpec::new("root", Strategy::OneForOne);
    let system = System::start(tracers.fold(root, SupervisorSpec::child)).await.expect("the tree starts");
    let first: AgentRef<Tracer> = system.agent("root/t0").expect("it is there");
    let trace: steadfast::message::TraceContext =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a trace");
    let mut letter = Envelope::new(0, 3);
    letter.trace_or(|| trace);
    let id = letter.id_or(|| steadfast::MessageId::new(uuid::Uuid::from_u128(7)));
    let expected = (trace.to_string(), id.to_string());
    assert_eq!(first.request(letter.clone()).await.expect("a reply"), expected);
    let route = system.route(&TRACE).selection(Selection::InOrder).build().expect("a route");
    assert_eq!(route.request(letter).await.expect("a reply"), expected);
    // Without one it begins where somebody asks, and each conversation has its own.
    let (one, other) = (first.ask(0).await.expect("a reply"), first.ask(0).await.expect("a reply"));
    assert!(one.0.starts_with("00-") && one.0 != other.0 && one.1 != other.1, "{one:?} {other:?}");
    system.shutdown().await.expect("an orderly end");
}
