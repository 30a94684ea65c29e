//! Guarantee: a route sends each message to whom its strategy chooses among those who may be chosen, waits, fails, tries
//! again and spares a provider as it was told, and says why it chose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::flow::{BreakerRules, BreakerState, RouteLimits};
use steadfast::registry::selection::{
    Choice, Considered, Draw, Eligible, NoChoice, Pool, Reason, Select, Selection, Stickiness, Tally,
};
use steadfast::testing::{Log, Order, Probe, Recorder, Script, VirtualClock, settled};
use steadfast::{
    AgentSpec, AtDeath, Backoff, Capability, ChildSpec, EventKind, Intensity, RequestError, Restart, Route, Served,
    Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);

/// What a provider is asked: to say its name and life, at once or after a while, or to crash.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Ask {
    Now,
    After(Duration),
    Crash,
    /// Crash, if that is your name.
    CrashAt(char),
    /// Crash, unless this is the life of that number or a later one.
    CrashBefore(u64),
}

type Namer = Capability<Ask, String>;

const NAME: Namer = Capability::new("test.name", "1.0.0");

fn offering(name: &str, capability: Namer) -> AgentSpec<Served<Ask, String>> {
    ChildSpec::serve(name, capability, |ctx, ask| async move {
        match ask {
            Ask::Now => {}
            Ask::After(time) => tokio::time::sleep(time).await,
            Ask::CrashBefore(life) if ctx.incarnation().get() >= life => {}
            Ask::CrashAt(name) if !ctx.path().name().starts_with(name) => {}
            Ask::Crash | Ask::CrashAt(_) | Ask::CrashBefore(_) => return Err("as it was asked".into()),
        }
        Ok(format!("{} #{}", ctx.path().name(), ctx.incarnation()))
    })
}

fn namer(name: &str) -> AgentSpec<Served<Ask, String>> {
    offering(name, NAME)
}

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

/// A system with a namer for each of these names.
async fn namers(names: &[&str]) -> System {
    start(names.iter().fold(root(), |spec, name| spec.child(namer(name)))).await
}

async fn start(spec: SupervisorSpec) -> System {
    System::start(spec).await.expect("the tree starts")
}

fn route(system: &System, by: impl Select + 'static) -> Route<Ask, String> {
    system.route(&NAME).selection(by).build().expect("a route")
}

/// Who answers so many requests, one after the other.
async fn answers(route: &Route<Ask, String>, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(route.ask(Ask::Now).await.expect("a reply"));
    }
    names
}

const PROBE: Capability<Number, u64> = Capability::new("test.probe", "1.0.0");

/// What a probe is asked by capability.
#[derive(Clone, Serialize, Deserialize)]
struct Number(u64);

impl From<Number> for Order {
    fn from(Number(number): Number) -> Self {
        Self::Echo(number)
    }
}

/// A probe whose every start takes a second, so that a crash leaves it between two lives for that long.
fn slow_starter(name: &str) -> AgentSpec<Probe> {
    Probe::scripted(name, Script::new(&Log::default()).start_takes(SECOND)).offers(&PROBE)
}

async fn crash(system: &System, path: &str) {
    Probe::at(system, path).ask(Order::Panic("boom")).await.expect_err("it crashes");
}

/// Says that the last of those who are ready is to be chosen.
#[derive(Debug)]
struct Last;

impl Select for Last {
    fn select(&self, pool: &dyn Pool, _: &Draw<'_>) -> Result<Choice, NoChoice> {
        let ready = |position: &usize| pool.view(*position).eligible() == Ok(Eligible::Now);
        let last = (0..pool.len()).rev().find(ready).ok_or(NoChoice::Nobody(Tally::of(pool)))?;
        Ok(Choice::new(last, Eligible::Now, Reason::Other("it is the last"), Considered::All))
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_goes_by_the_strategy_that_it_was_given() {
    let system = namers(&["a", "b", "c"]).await;
    assert_eq!(answers(&route(&system, Selection::RoundRobin), 4).await, ["a #1", "b #1", "c #1", "a #1"]);
    assert_eq!(answers(&route(&system, Selection::InOrder), 2).await, ["a #1", "a #1"]);
    assert_eq!(answers(&route(&system, Last), 2).await, ["c #1", "c #1"]);
    let drawn: BTreeSet<_> = answers(&route(&system, Selection::Random), 60).await.into_iter().collect();
    assert_eq!(drawn.len(), 3);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_default_is_the_least_loaded_and_what_waits_and_what_is_in_hand_is_load() {
    let system = namers(&["a", "b"]).await;
    let a = system.provider(&NAME, "root/a").expect("it is live");
    for _ in 0..2 {
        let a = a.clone();
        tokio::spawn(async move { a.ask(Ask::After(SECOND), 60 * SECOND).await });
    }
    settled().await;
    assert_eq!(a.load(), 2);
    let route = system.route(&NAME).build().expect("a route");
    assert_eq!(answers(&route, 4).await, ["b #1"; 4]);
    let decision = route.choose().expect("somebody").to_string();
    assert_eq!(
        decision.split(", latency").next(),
        Some("root/b: it had the least load, 0; considered: root/a (load 2), root/b (load 0")
    );
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn of_two_equally_loaded_ones_the_quicker_is_chosen_as_routes_saw_it() {
    let system = namers(&["a", "b"]).await;
    let turns = route(&system, Selection::RoundRobin);
    turns.ask(Ask::After(SECOND)).await.expect("a reply");
    turns.ask(Ask::After(SECOND / 100)).await.expect("a reply");
    assert_eq!(answers(&route(&system, Selection::PowerOfTwo), 20).await, ["b #1"; 20]);
    let latencies: Vec<_> = system.discover(&"test.name".parse().expect("a requirement"));
    let latencies: Vec<_> = latencies.iter().map(|found| found.view.latency.expect("it answered")).collect();
    assert!(latencies[0] > SECOND / 2 && latencies[1] < SECOND / 50, "{latencies:?}");
    system.shutdown().await.expect("an orderly end");
}

/// The owner of each of a hundred keys.
async fn owners(route: &Route<Ask, String>) -> Vec<String> {
    let mut owners = Vec::new();
    for key in 0..100_u32 {
        owners.push(route.ask_about(key.to_be_bytes(), Ask::Now).await.expect("a reply"));
    }
    owners
}

#[tokio::test(start_paused = true)]
async fn on_a_sticky_route_only_the_keys_of_who_leaves_move_and_come_back_with_it() {
    let system = namers(&["a", "b", "c", "d"]).await;
    let sticky = route(&system, Selection::Sticky(Stickiness::Moves));
    let before = owners(&sticky).await;
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(owners(&sticky).await, before);

    system.deregister("root/c", &NAME).await.expect("it is offered");
    let without = owners(&sticky).await;
    for (before, without) in before.iter().zip(&without) {
        assert_ne!(without, "c #1");
        assert!(before == without || before == "c #1", "{before} gave a key to {without}");
    }
    let c = system.agent::<Served<Ask, String>>("root/c").expect("it runs");
    system.register(&c, &NAME).await.expect("it can be offered");
    assert_eq!(owners(&sticky).await, before);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_key_of_an_owner_between_two_lives_moves_or_waits_as_the_route_says() {
    let system = start(root().child(slow_starter("a")).child(slow_starter("b"))).await;
    let make = |stickiness| system.route(&PROBE).selection(Selection::Sticky(stickiness)).build().expect("a route");
    let (moves, waits) = (make(Stickiness::Moves), make(Stickiness::Waits));
    let owner = waits.choose_about("customer-42").expect("somebody").chosen;
    crash(&system, owner.as_str()).await;
    let clock = VirtualClock::new();
    assert_ne!(moves.choose_about("customer-42").expect("somebody").chosen, owner);
    moves.ask_about("customer-42", Number(1)).await.expect("another one answers");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    assert_eq!(waits.choose_about("customer-42").expect("the owner").chosen, owner);
    waits.ask_about("customer-42", Number(1)).await.expect("the owner answers");
    assert_eq!(clock.elapsed(), SECOND);
    let error = waits.ask(Number(1)).await.expect_err("it has no key");
    let text = "the route to `test.probe` goes by a key; ask with `ask_about`, or choose another selection";
    assert_eq!(error.to_string(), text);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_the_next_life_and_with_fail_fast_it_fails_at_once_and_says_why() {
    let system = start(root().child(slow_starter("a"))).await;
    let patient = system.route(&PROBE).build().expect("a route");
    let fast = system.route(&PROBE).fail_fast().build().expect("a route");
    assert_eq!(fast.ask(Number(7)).await.expect("it is live"), 7);
    crash(&system, "root/a").await;
    let clock = VirtualClock::new();
    let error = fast.ask(Number(7)).await.expect_err("it is between two lives");
    let why = "nobody who offers `test.probe` in a version compatible with ^1.0.0 can be asked: 1 candidates: ";
    assert_eq!(error.to_string(), format!("{why}1 between two lives"));
    fast.tell(Number(7)).expect_err("that neither");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    assert_eq!(patient.choose().expect("it will be back").eligible, Eligible::WhenBack);
    assert_eq!(patient.ask(Number(8)).await.expect("a reply"), 8);
    assert_eq!(clock.elapsed(), SECOND);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_coming_back_a_message_fails_at_once_and_says_how_all_stand() {
    let spec = root().child(namer("a").restart(Restart::Transient)).child(namer("b").restart(Restart::Transient));
    let system = start(spec).await;
    let turns = route(&system, Selection::RoundRobin);
    let supervisor = system.supervisor("root").expect("it runs");
    for child in ["a", "b"] {
        supervisor.terminate_child(child).await.expect("it stops");
    }
    let clock = VirtualClock::new();
    let error = turns.ask(Ask::Now).await.expect_err("all are at rest");
    let why = "nobody who offers `test.name` in a version compatible with ^1.0.0 can be asked: 2 candidates: 2 away";
    assert_eq!(error.to_string(), why);
    assert_eq!(turns.choose().expect_err("nobody").to_string(), why);
    assert!(turns.providers().is_empty());
    assert_eq!(clock.elapsed(), Duration::ZERO);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_ask_fails_at_its_deadline_less_what_is_kept_for_the_answer() {
    let system = namers(&["a"]).await;
    let mut limits = RouteLimits::default();
    (limits.ask_within, limits.keep_for_answer) = (Some(3 * SECOND), Some(SECOND));
    let described = [
        (system.route(&NAME).within(3 * SECOND), 3),
        (system.route(&NAME).within(3 * SECOND).keep_for_answer(SECOND), 2),
        (system.route(&NAME).limits(&limits), 2),
    ];
    for (route, seconds) in described {
        let route = route.build().expect("a route");
        let clock = VirtualClock::new();
        let error = route.ask(Ask::After(60 * SECOND)).await.expect_err("it takes too long");
        assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
        assert_eq!(clock.elapsed(), seconds * SECOND);
        system.kill("root/a").expect("it is there");
    }
    system.shutdown().await.expect("an orderly end");
}

/// A provider that fails for as long as it is sick.
fn patient(name: &str, sick: &Arc<AtomicBool>) -> AgentSpec<Served<Ask, String>> {
    let sick = Arc::clone(sick);
    ChildSpec::serve(name, NAME, move |ctx, ask| {
        let fails = sick.load(Ordering::SeqCst);
        async move {
            if let Ask::After(time) = ask {
                tokio::time::sleep(time).await;
            }
            if fails { Err("it is sick".into()) } else { Ok(ctx.path().name().to_owned()) }
        }
    })
}

fn rules() -> BreakerRules {
    BreakerRules::default().minimum_calls(2).probes(1).open_for(Backoff::constant(5 * SECOND))
}

fn is_breaker(event: &steadfast::Event) -> bool {
    matches!(event.kind, EventKind::BreakerChanged(_))
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_before_a_provider_that_fails_and_heals_once_it_answers_again() {
    let sick = Arc::new(AtomicBool::new(true));
    let system = start(root().child(patient("a", &sick)).child(namer("b"))).await;
    let mut events = Recorder::of(&system);
    let route = system.route(&NAME).selection(Selection::InOrder).breaker(rules()).build().expect("a route");
    for _ in 0..2 {
        route.ask(Ask::Now).await.expect_err("a is sick");
    }
    // It is up again, and spared all the same.
    assert_eq!(answers(&route, 3).await, ["b #1"; 3]);
    let decision = route.choose().expect("b").to_string();
    assert!(decision.contains("considered: root/a (breaker open), root/b (load 0"), "{decision}");

    tokio::time::advance(5 * SECOND).await;
    // Half open: one probe goes there, and it fails.
    route.clone().ask(Ask::Now).await.expect_err("a is still sick");
    assert_eq!(answers(&route, 2).await, ["b #1"; 2]);
    sick.store(false, Ordering::SeqCst);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(answers(&route, 3).await, ["a"; 3]);

    events
        .until(|event| matches!(event.kind, EventKind::BreakerChanged(change) if change.to == BreakerState::Closed))
        .await;
    let changes: Vec<_> =
        events.seen().iter().filter(|event| is_breaker(event)).map(|event| event.path.clone()).collect();
    assert_eq!(changes.len(), 5, "opened, half open, opened, half open, closed");
    assert!(changes.iter().all(|path| path.as_str() == "root/a"));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn where_all_breakers_are_open_a_message_fails_at_once_and_another_route_does_not_mind() {
    let sick = Arc::new(AtomicBool::new(true));
    let system = start(root().child(patient("a", &sick))).await;
    let guarded = system.route(&NAME).breaker(rules()).build().expect("a route");
    for _ in 0..2 {
        guarded.ask(Ask::Now).await.expect_err("a is sick");
    }
    sick.store(false, Ordering::SeqCst);
    let error = guarded.ask(Ask::Now).await.expect_err("its breaker is open");
    assert!(error.to_string().ends_with(": 1 candidates: 1 with an open breaker"), "{error}");
    assert!(guarded.tell(Ask::Now).is_err());
    assert_eq!(route(&system, Selection::LeastLoaded).ask(Ask::Now).await.expect("a reply"), "a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_its_caller_gives_up_says_nothing_and_lets_the_next_one_through() {
    let sick = Arc::new(AtomicBool::new(true));
    let system = start(root().child(patient("a", &sick))).await;
    let route = system.route(&NAME).breaker(rules()).build().expect("a route");
    for _ in 0..2 {
        route.ask(Ask::Now).await.expect_err("a is sick");
    }
    sick.store(false, Ordering::SeqCst);
    tokio::time::advance(5 * SECOND).await;
    {
        let probe = route.ask(Ask::After(SECOND / 2));
        tokio::pin!(probe);
        assert!(tokio::time::timeout(SECOND / 4, &mut probe).await.is_err());
        let error = route.ask(Ask::Now).await.expect_err("the only probe is out");
        assert!(error.to_string().ends_with("1 with an open breaker"), "{error}");
    }
    assert_eq!(route.ask(Ask::Now).await.expect("a probe"), "a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_request_whose_handler_crashed_is_sent_again_at_most_so_often() {
    let system = namers(&["a"]).await;
    let once = system.route(&NAME).build().expect("a route");
    let error = once.ask(Ask::CrashBefore(2)).await.expect_err("it crashes");
    assert!(matches!(error, RequestError::Exited { incarnation, .. } if incarnation.get() == 1), "{error}");
    let again = system.route(&NAME).idempotent().build().expect("a route");
    assert_eq!(again.ask(Ask::CrashBefore(4)).await.expect("the third attempt"), "a #4");
    let error = again.ask(Ask::Crash).await.expect_err("it always crashes");
    assert!(matches!(error, RequestError::Exited { incarnation, .. } if incarnation.get() == 6), "{error}");
    let five = system.route(&NAME).idempotent().attempts(5).build().expect("a route");
    assert_eq!(five.ask(Ask::CrashBefore(11)).await.expect("the fifth attempt"), "a #11");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_goes_to_somebody_ready_and_ends_with_the_time_of_the_first() {
    let late = |name: &str| namer(name).backoff(Backoff::constant(10 * SECOND));
    let system = start(root().child(late("a")).child(late("b"))).await;
    let route = system.route(&NAME).selection(Selection::InOrder).idempotent().within(3 * SECOND).build();
    let route = route.expect("a route");
    let clock = VirtualClock::new();
    assert_eq!(route.ask(Ask::CrashAt('a')).await.expect("the other answers"), "b #1");
    assert_eq!(clock.elapsed(), Duration::ZERO);
    // Now both are between two lives, and the third attempt waits for one of them.
    let error = route.ask(Ask::CrashAt('b')).await.expect_err("nobody is back in time");
    assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
    assert_eq!(clock.elapsed(), 3 * SECOND);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_is_asked_for_is_the_one_that_the_next_message_takes_and_is_told_to_who_listens() {
    let system = namers(&["a", "b", "c"]).await;
    let all = [Selection::LeastLoaded, Selection::RoundRobin, Selection::Random, Selection::PowerOfTwo];
    let mut decisions = system.decisions();
    for selection in all {
        let route = route(&system, selection);
        for _ in 0..10 {
            let expected = route.choose().expect("somebody");
            assert_eq!(route.choose().expect("the same"), expected);
            let reply = route.ask(Ask::Now).await.expect("a reply");
            assert_eq!(reply, format!("{} #1", expected.chosen.name()), "{selection}");
            let event = decisions.next().await.expect("an event");
            let EventKind::Routed(decision) = &event.kind else { panic!("{event:?}") };
            assert_eq!((&**decision, &event.path), (&expected, &expected.chosen));
        }
    }
    system.ask(&NAME, Ask::Now).await.expect("a reply");
    let event = decisions.next().await.expect("an event");
    assert!(matches!(&event.kind, EventKind::Routed(decision) if decision.considered == 3), "{event:?}");
    system.shutdown().await.expect("an orderly end");
    assert!(matches!(decisions.next().await.expect("the last event").kind, EventKind::Ended));
}

#[tokio::test(start_paused = true)]
async fn who_reads_all_events_is_not_told_of_decisions() {
    let system = namers(&["a"]).await;
    let mut events = Recorder::of(&system);
    let decisions = system.decisions();
    route(&system, Selection::RoundRobin).ask(Ask::Now).await.expect("a reply");
    drop(decisions);
    assert_eq!(events.story(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

fn lang(lang: &'static str) -> Namer {
    Capability::new("test.name", "1.2.0").attribute("lang", lang)
}

#[tokio::test(start_paused = true)]
async fn a_route_goes_to_offers_that_it_needs_and_rather_to_those_that_it_prefers_while_they_are_ready() {
    let spec = root()
        .child(offering("a", lang("de")))
        .child(offering("b", lang("en").attribute("gpu", "yes")).restart(Restart::Transient))
        .child(offering("c", lang("en")))
        .child(offering("d", Capability::new("test.name", "1.1.0")));
    let system = start(spec).await;
    let made =
        |text: &str| system.route(&NAME).requirement(text).selection(Selection::RoundRobin).build().expect("a route");
    assert_eq!(answers(&made("test.name lang=de"), 2).await, ["a #1"; 2]);
    assert_eq!(answers(&made("test.name@~1.1"), 2).await, ["d #1"; 2]);
    let preferring = made("test.name lang ~gpu ~lang=en");
    assert_eq!(answers(&preferring, 2).await, ["b #1"; 2]);
    system.supervisor("root").expect("it runs").terminate_child("b").await.expect("it stops");
    assert_eq!(answers(&preferring, 2).await, ["c #1"; 2]);
    let error = made("test.name@^1.1 lang=fr").ask(Ask::Now).await.expect_err("nobody does");
    assert_eq!(
        error.to_string(),
        "nobody offers `test.name` in a version compatible with ^1.1 lang=fr; offered: 1.1.0, 1.2.0 gpu=yes lang=en, \
         1.2.0 lang=de, 1.2.0 lang=en"
    );
    let stranger = system.route(&Capability::<u64, u64>::new("test.name", "1.0.0")).build().expect("a route");
    assert!(matches!(stranger.ask(1).await, Err(RequestError::WrongType { .. })));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_route_that_makes_no_sense_is_refused_and_the_error_names_the_setting() {
    let system = namers(&["a"]).await;
    let route = || system.route(&NAME);
    let refused = [
        (route().requirement("test.name@"), "the requirement of the route: expected a range of versions such as"),
        (route().requirement("test.other"), "the route is to `test.name`, and `test.other` means something else"),
        (route().requirement("test.*"), "the route is to `test.name`, and `test.*` means something else"),
        (route().breaker(rules().probes(0)), "`probes` of the breaker is 0"),
        (route().within(SECOND).keep_for_answer(SECOND), "an ask has 1s, of which 1s are kept for the answer"),
        (route().idempotent().attempts(0), "the route sends a request at most 0 times"),
        (system.route(&Capability::new("test.name", "one")), "the version of the capability is `one`"),
        (system.route(&Capability::new("test name", "1.0.0")), "the name of the capability: expected a letter"),
    ];
    for (route, text) in refused {
        let error = route.build().expect_err(text);
        assert!(error.to_string().starts_with(text), "{error}");
    }
    assert_eq!(route().at_death(AtDeath::Return).build().expect("a route").at_death(), AtDeath::Return);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_goes_to_whom_the_strategy_chooses_and_a_full_mailbox_is_an_error() {
    let log = Log::default();
    let probe = |name: &str| Probe::spec(name, &log).offers(&PROBE).mailbox(2);
    let system = start(root().child(probe("a")).child(probe("b"))).await;
    let sticky = system.route(&PROBE).selection(Selection::Sticky(Stickiness::Moves)).build().expect("a route");
    let owner = sticky.choose_about("k").expect("somebody").chosen;
    for number in 0..2 {
        sticky.tell_about("k", Number(number)).expect("there is room");
    }
    let error = sticky.tell_about("k", Number(9)).expect_err("two is what it holds");
    assert!(matches!(&error, RequestError::Full { path, bound: 2, .. } if *path == owner), "{error}");
    settled().await;
    let lines = log.take();
    let got: Vec<_> = lines.iter().filter(|line| line.starts_with("got")).collect();
    assert_eq!(got, [&format!("got {owner} #1 echo 0"), &format!("got {owner} #1 echo 1")]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_route_follows_who_comes_and_goes_without_being_made_anew() {
    let system = namers(&["a"]).await;
    let turns = route(&system, Selection::RoundRobin);
    assert_eq!(answers(&turns, 2).await, ["a #1"; 2]);
    let supervisor = system.supervisor("root").expect("it runs");
    supervisor.start_child(namer("b")).await.expect("it starts");
    let mut tally = BTreeMap::<_, usize>::new();
    for name in answers(&turns, 10).await {
        *tally.entry(name).or_default() += 1;
    }
    assert_eq!(tally.into_iter().collect::<Vec<_>>(), [("a #1".to_owned(), 5), ("b #1".to_owned(), 5)]);
    supervisor.terminate_child("a").await.expect("it stops");
    assert_eq!(answers(&turns, 3).await, ["b #1"; 3]);
    system.shutdown().await.expect("an orderly end");
}

const PLAN_B: Namer = Capability::new("test.plan-b", "1.0.0");
const PLAN_C: Namer = Capability::new("test.plan-c", "1.0.0");

#[tokio::test(start_paused = true)]
async fn where_nobody_is_ready_a_fallback_chooses_along_the_chain_and_else_whoever_is_back_first() {
    let spec = [("a", NAME), ("b", PLAN_B), ("c", PLAN_C)];
    let spec = spec.into_iter().fold(root(), |spec, (name, offer)| spec.child(offering(name, offer)));
    let system = start(spec).await;
    let last = system.route(&PLAN_C).build().expect("a route");
    let next = system.route(&PLAN_B).fallback(&last).build().expect("a route");
    let route = system.route(&NAME).fallback(&next).build().expect("a route");
    let mut decisions = system.decisions();
    for (name, suspended) in [("a", false), ("b", true), ("c", true)] {
        if suspended {
            let before = if name == "b" { "root/a" } else { "root/b" };
            system.suspend(before).await.expect("it is active");
        }
        assert_eq!(route.choose().expect("somebody").chosen.name(), name);
        assert_eq!(route.pick().expect("somebody").path().name(), name);
        assert_eq!(route.ask(Ask::Now).await.expect("a reply"), format!("{name} #1"));
    }
    system.suspend("root/c").await.expect("it is active");
    assert_eq!(route.choose().expect("the first who is back").chosen.name(), "a");
    let asked = tokio::spawn({
        let route = route.clone();
        async move { route.ask(Ask::Now).await }
    });
    settled().await;
    system.resume("root/a").await.expect("it is suspended");
    assert_eq!(asked.await.expect("no panic").expect("a reply"), "a #1");
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.terminate_child("a").await.expect("it is there");
    assert_eq!(route.choose().expect("the first who is back").chosen.name(), "b");
    supervisor.terminate_child("b").await.expect("it is there");
    supervisor.terminate_child("c").await.expect("it is there");
    let error = route.ask(Ask::Now).await.expect_err("nobody is there");
    assert!(matches!(&error, RequestError::NoProvider { capability, .. } if capability == NAME.name()), "{error}");
    assert_eq!(decisions.next().await.expect("a decision").path.as_str(), "root/a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn along_a_chain_only_who_is_chosen_takes_a_turn_and_is_told_of_and_haste_is_that_of_the_first() {
    let spec = [("a", NAME), ("b", PLAN_B), ("c", PLAN_B)];
    let spec = spec.into_iter().fold(root(), |spec, (name, offer)| spec.child(offering(name, offer)));
    let system = start(spec).await;
    let next = system.route(&PLAN_B).selection(Selection::RoundRobin).build().expect("a route");
    let patient = system.route(&NAME).fallback(&next).build().expect("a route");
    let hasty = system.route(&NAME).fallback(&next).fail_fast().build().expect("a route");
    let mut decisions = system.decisions();
    patient.ask(Ask::Now).await.expect("a reply");
    system.suspend("root/a").await.expect("it is active");
    for name in ["b", "c"] {
        assert_eq!(patient.ask(Ask::Now).await.expect("a reply"), format!("{name} #1"), "each takes its turn");
    }
    for name in ["a", "b", "c"] {
        assert_eq!(decisions.next().await.expect("a decision").path.name(), name);
    }
    for path in ["root/b", "root/c"] {
        system.suspend(path).await.expect("it is active");
    }
    let error = hasty.ask(Ask::Now).await.expect_err("nobody is ready");
    assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    assert!(hasty.choose().is_err() && patient.choose().is_ok());
    assert!(decisions.try_next().expect("nothing was missed").is_none(), "nobody was chosen");
    // Of a hasty route behind a patient one it is the patience that counts.
    let behind = system.route(&PLAN_B).fail_fast().build().expect("a route");
    let first = system.route(&PLAN_C).fallback(&behind).build().expect("a route");
    assert_eq!(first.choose().expect("somebody who comes back").chosen.name(), "b");
    system.shutdown().await.expect("an orderly end");
}
