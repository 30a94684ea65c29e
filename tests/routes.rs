//! Guarantee: a route sends each message to whom its strategy chooses among those who may be chosen, and says why it chose.

mod namers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast::flow::BreakerRules;
use steadfast::registry::selection::{
    Choice, Considered, Draw, Eligible, NoChoice, Pool, Reason, Select, Selection, Stickiness, Tally,
};
use steadfast::testing::{Log, Probe, Recorder, VirtualClock, settled};
use steadfast::{AtDeath, Capability, EventKind, RequestError, Restart, Route, Served};

use self::namers::{
    Ask, NAME, Namer, Number, PROBE, SECOND, answers, crash, namer, namers, offering, root, route, slow_starter, start,
};

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
        (route().breaker(BreakerRules::default().probes(0)), "`probes` of the breaker is 0"),
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
