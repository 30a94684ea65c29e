//! Guarantee: who offers what can be found, followed and changed while the tree runs; the slots are the truth, whatever
//! becomes of an agent's lives and of the registrar's.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use steadfast::registry::requirement::Requirement;
use steadfast::testing::{Log, Order, Probe, Recorder, Script, settled};
use steadfast::{
    AgentRef, AgentSpec, CHANGE_BOUND, Capability, ChildSpec, DomainSpec, Found, Intensity, RegisterError,
    RegistryChange, RegistryWatch, RequestError, Restart, Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);

/// What a probe is asked by capability.
#[derive(Serialize, Deserialize)]
struct Number(u64);

impl From<Number> for Order {
    fn from(Number(number): Number) -> Self {
        Self::Echo(number)
    }
}

type Echo = Capability<Number, u64>;

const ECHO: Echo = Capability::new("test.echo", "1.0.0");
const EXTRA: Echo = Capability::new("test.extra", "2.1.0");

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

async fn start(spec: SupervisorSpec) -> System {
    System::start(spec).await.expect("the tree starts")
}

fn probe(name: &str) -> AgentSpec<Probe> {
    Probe::spec(name, &Log::default())
}

fn wanted(text: &str) -> Requirement {
    text.parse().expect("a requirement")
}

fn lines(found: &[Found]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

async fn crash(system: &System, path: &str) {
    Probe::at(system, path).ask(Order::Panic("boom")).await.expect_err("it crashes");
}

fn at(system: &System, path: &str) -> AgentRef<Probe> {
    Probe::at(system, path)
}

#[tokio::test(start_paused = true)]
async fn discover_gives_the_most_suitable_first_with_the_reason_and_judge_also_those_that_do_not_suit() {
    let offering = |name: &str, version: &'static str, lang: &'static str| {
        probe(name).offers(&Echo::new("test.echo", version).attribute("lang", lang))
    };
    let spec = root()
        .child(offering("a", "1.0.0", "de"))
        .child(offering("b", "1.4.0", "en"))
        .child(offering("c", "1.2.0", "en"))
        .child(offering("d", "2.0.0", "en"))
        .child(probe("e").offers(&EXTRA));
    let system = start(spec).await;
    let expected = [
        "root/b offers test.echo@1.4.0: fits with version 1.4.0, meets all of 1 preferences",
        "root/c offers test.echo@1.2.0: fits with version 1.2.0, meets all of 1 preferences",
        "root/a offers test.echo@1.0.0: fits with version 1.0.0, meets none of 1 preferences",
    ];
    assert_eq!(lines(&system.discover(&wanted("test.*@^1 ~lang=en"))), expected);
    let judged = lines(&system.judge(&wanted("test.*@^1 ~lang=en")));
    assert_eq!(judged[..3], expected);
    assert_eq!(
        judged[3..],
        [
            "root/d offers test.echo@2.0.0: offers version 2.0.0, not `^1`",
            "root/e offers test.extra@2.1.0: offers version 2.1.0, not `^1`"
        ]
    );
    assert_eq!(lines(&system.discover(&wanted("test.nothing"))), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn who_is_healthy_is_alive_now_and_who_is_not_is_still_discovered_while_it_is_registered() {
    let slow = |name| Probe::scripted(name, Script::new(&Log::default()).start_takes(SECOND)).offers(&ECHO);
    let spec = root().child(slow("a")).child(slow("b").restart(Restart::Transient));
    let system = start(spec).await;
    let names = |found: Vec<Found>| found.iter().map(|found| found.path.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(system.find_healthy(&wanted("test.echo"))), ["a", "b"]);
    system.supervisor("root").expect("it runs").terminate_child("b").await.expect("it stops");
    assert_eq!(names(system.find_healthy(&wanted("test.echo"))), ["a"]);
    system.suspend("root/a").await.expect("it is active");
    assert_eq!(names(system.find_healthy(&wanted("test.echo"))), Vec::<String>::new(), "it handles nothing now");
    system.resume("root/a").await.expect("it is suspended");
    assert_eq!(names(system.find_healthy(&wanted("test.echo"))), ["a"]);
    crash(&system, "root/a").await;
    assert_eq!(names(system.find_healthy(&wanted("test.echo"))), Vec::<String>::new());
    assert_eq!(names(system.discover(&wanted("test.echo"))), ["a", "b"]);
    system.shutdown().await.expect("an orderly end");
}

/// Kills the registrar and waits for its next life.
async fn new_registrar(system: &System, events: &mut Recorder) {
    let life = system.incarnation("system/registrar").expect("it is up").get();
    system.kill("system/registrar").expect("it is there");
    events.started("system/registrar", life + 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_at_run_time_outlives_the_agents_lives_and_the_registrars() {
    let system = start(root().child(probe("a"))).await;
    let mut events = Recorder::of(&system);
    system.register(&at(&system, "root/a"), &EXTRA).await.expect("it can be offered");
    assert_eq!(system.ask(&EXTRA, Number(1)).await.expect("a reply"), 1);
    crash(&system, "root/a").await;
    events.started("root/a", 2).await;
    assert_eq!(system.ask(&EXTRA, Number(2)).await.expect("a reply"), 2);
    new_registrar(&system, &mut events).await;
    assert_eq!(system.ask(&EXTRA, Number(3)).await.expect("a reply"), 3);
    crash(&system, "root/a").await;
    events.started("root/a", 3).await;
    assert_eq!(system.capabilities(), ["test.extra"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_withdrawn_stays_withdrawn_over_all_lives_until_it_is_offered_again() {
    let system = start(root().child(probe("a").offers(&ECHO).offers(&EXTRA))).await;
    let mut events = Recorder::of(&system);
    system.deregister("root/a", &ECHO).await.expect("it is offered");
    for round in 2..4 {
        assert!(matches!(system.ask(&ECHO, Number(1)).await, Err(RequestError::NoProvider { .. })));
        assert_eq!(system.ask(&EXTRA, Number(1)).await.expect("a reply"), 1);
        new_registrar(&system, &mut events).await;
        crash(&system, "root/a").await;
        events.started("root/a", round).await;
    }
    system.register(&at(&system, "root/a"), &ECHO).await.expect("it can be offered");
    assert_eq!(system.ask(&ECHO, Number(1)).await.expect("a reply"), 1);
    system.deregister("root/a", &ECHO).await.expect("it is offered");
    system.deregister("root/a", &EXTRA).await.expect("it is offered");
    crash(&system, "root/a").await;
    events.started("root/a", 4).await;
    assert_eq!(system.capabilities(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_update_of_the_spec_leaves_what_was_changed_at_run_time() {
    let system = start(root().child(probe("a").offers(&ECHO))).await;
    let mut events = Recorder::of(&system);
    system.register(&at(&system, "root/a"), &EXTRA).await.expect("it can be offered");
    system.deregister("root/a", &ECHO).await.expect("it is offered");
    let other = Echo::new("test.other", "1.0.0");
    let update = root().child(probe("a").offers(&ECHO).offers(&other));
    system.supervisor("root").expect("it runs").update(update).await.expect("it makes sense");
    crash(&system, "root/a").await;
    events.started("root/a", 2).await;
    assert_eq!(system.capabilities(), ["test.extra", "test.other"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_cannot_be_changed_is_refused_and_the_error_says_why() {
    let system = start(root().child(probe("a").offers(&ECHO).restart(Restart::Transient))).await;
    let a = at(&system, "root/a");
    let error = system.register(&a, &Echo::new("test extra", "1.0.0")).await.expect_err("no name");
    assert!(error.to_string().starts_with("the name of the capability: expected a letter"), "{error}");
    let error = system.deregister("root/a", &EXTRA).await.expect_err("it is not offered");
    assert_eq!(error.to_string(), "`root/a` does not offer `test.extra@2.1.0`");
    let error = system.deregister("root/b", &ECHO).await.expect_err("there is no b");
    assert_eq!(error.to_string(), "there is no `root/b` in the tree");
    system.supervisor("root").expect("it runs").terminate_child("a").await.expect("it stops");
    let error = system.register(&a, &EXTRA).await.expect_err("it is at rest");
    assert!(matches!(error, RegisterError::Request(RequestError::Gone { .. })), "{error}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_between_two_lives_is_offered_with_the_next_one() {
    let slow = Probe::scripted("a", Script::new(&Log::default()).start_takes(SECOND));
    let system = start(root().child(slow)).await;
    let mut events = Recorder::of(&system);
    crash(&system, "root/a").await;
    settled().await;
    system.register(&at(&system, "root/a"), &EXTRA).await.expect("it can be offered");
    assert_eq!(system.capabilities(), Vec::<String>::new());
    events.started("root/a", 2).await;
    assert_eq!(system.ask(&EXTRA, Number(2)).await.expect("a reply"), 2);
    system.shutdown().await.expect("an orderly end");
}

/// The next word, which comes before a minute is over.
async fn next(watch: &mut RegistryWatch) -> String {
    let change = tokio::time::timeout(60 * SECOND, watch.next()).await.expect("a change is told");
    let all = |found: &[Found]| found.iter().map(|found| found.path.name()).collect::<Vec<_>>().join(" ");
    match change {
        Some(RegistryChange::Snapshot(found)) => format!("all: {}", all(&found)),
        Some(RegistryChange::Joined(found)) => format!("joined: {} {}", found.path.name(), found.offer.attributes),
        Some(RegistryChange::Changed(found)) => format!("changed: {} {}", found.path.name(), found.offer.attributes),
        Some(RegistryChange::Left { path, .. }) => format!("left: {}", path.name()),
        None => "over".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_follows_the_registry_gets_a_snapshot_and_then_each_change_of_what_suits() {
    let system = start(root().child(probe("a").offers(&ECHO)).child(probe("b").offers(&EXTRA))).await;
    let mut echoes = system.watch_registry(&wanted("test.echo lang!=fr"));
    let (a, b) = (at(&system, "root/a"), at(&system, "root/b"));
    // Before the snapshot, so it is a part of it and is not told again.
    system.register(&b, &ECHO).await.expect("it can be offered");
    assert_eq!(next(&mut echoes).await, "all: a b");

    system.register(&a, &ECHO.attribute("lang", "de")).await.expect("it can be offered");
    assert_eq!(next(&mut echoes).await, "changed: a lang=de");
    system.register(&a, &ECHO.attribute("lang", "fr")).await.expect("it can be offered");
    assert_eq!(next(&mut echoes).await, "left: a");
    system.register(&a, &ECHO.attribute("lang", "en")).await.expect("it can be offered");
    assert_eq!(next(&mut echoes).await, "joined: a lang=en");
    let supervisor = system.supervisor("root").expect("it runs");
    supervisor.start_child(probe("c").offers(&ECHO)).await.expect("it starts");
    assert_eq!(next(&mut echoes).await, "joined: c ");
    // A crash, of an agent or of the registrar, changes nothing of who offers what.
    let mut events = Recorder::of(&system);
    crash(&system, "root/c").await;
    events.started("root/c", 2).await;
    new_registrar(&system, &mut events).await;
    system.deregister("root/b", &ECHO).await.expect("it is offered");
    assert_eq!(next(&mut echoes).await, "left: b");
    supervisor.terminate_child("c").await.expect("it stops");
    supervisor.delete_child("c").await.expect("it is there");
    assert_eq!(next(&mut echoes).await, "left: c");
    system.shutdown().await.expect("an orderly end");
    while next(&mut echoes).await != "over" {}
    assert!(echoes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_follows_the_registry_and_falls_behind_gets_a_new_snapshot() {
    let system = start(root().child(probe("a").offers(&ECHO)).child(probe("b"))).await;
    let mut echoes = system.watch_registry(&wanted("test.echo"));
    assert_eq!(next(&mut echoes).await, "all: a");
    let b = at(&system, "root/b");
    for _ in 0..=CHANGE_BOUND / 2 {
        system.register(&b, &ECHO).await.expect("it can be offered");
        system.deregister("root/b", &ECHO).await.expect("it is offered");
    }
    system.register(&b, &ECHO).await.expect("it can be offered");
    assert_eq!(next(&mut echoes).await, "all: a b");
    system.deregister("root/a", &ECHO).await.expect("it is offered");
    assert_eq!(next(&mut echoes).await, "left: a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_has_one_id_over_its_lives_by_which_it_is_found_and_another_kind_in_its_place_has_another() {
    let system = start(root().child(probe("a").offers(&EXTRA)).child(probe("b"))).await;
    let id = system.id("root/a").expect("it is there");
    assert_eq!((id.domain.as_str(), id.name.as_str(), id.version.to_string().as_str()), ("root", "a", "2.1.0"));
    assert_ne!(id.instance, system.id("root/b").expect("it is there").instance);
    let mut events = Recorder::of(&system);
    crash(&system, "root/a").await;
    events.started("root/a", 2).await;
    assert_eq!(system.id("/root/a").expect("it is there"), id);
    assert_eq!(system.resolve(&id).expect("it is a child").as_str(), "root/a");
    let supervisor = system.supervisor("root").expect("it runs");
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.delete_child("a").await.expect("it is there");
    assert_eq!(system.resolve(&id), None);
    // In its place comes the same kind of agent, and then another kind.
    supervisor.start_child(probe("a")).await.expect("it starts");
    assert_eq!(system.resolve(&id).expect("it is a child").as_str(), "root/a");
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.delete_child("a").await.expect("it is there");
    let other = ChildSpec::serve("a", Capability::<u8, u8>::new("test.other", "1.0.0"), |_, n| async move { Ok(n) });
    supervisor.start_child(other).await.expect("it starts");
    assert_ne!(system.id("root/a").expect("it is there"), id);
    assert_eq!(system.resolve(&id), None);
    assert!(system.id("root/c").is_err());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_capability_is_asked_by_name_with_json_and_what_is_wrong_is_told() {
    let adder = ChildSpec::serve("adder", Capability::<Vec<i64>, i64>::new("math.sum", "1.2.0"), |_, xs| async move {
        Ok(xs.iter().sum::<i64>())
    });
    let system = start(root().child(adder)).await;
    let ask = async |text: &str, request| system.ask_json(&wanted(text), request, SECOND).await;
    assert_eq!(ask("math.sum", json!([1, 2, 3])).await.expect("a reply"), json!(6));
    assert_eq!(ask("math.*@^1.1", json!([])).await.expect("a reply"), json!(0));
    let error = ask("math.sum", json!({ "xs": [1] })).await.expect_err("it is no list");
    let text = "`root/adder` does not take this as a request for `math.sum`: ";
    assert!(error.to_string().starts_with(text), "{error}");
    let error = ask("math.sum@^2", json!([])).await.expect_err("nobody does");
    assert_eq!(error.to_string(), "nobody offers `math.sum` in a version compatible with ^2");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_id_of_an_agent_names_its_domain_wherever_that_stands_and_the_version_that_it_has_by_now() {
    let log = Log::default();
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).child(SupervisorSpec::new("domains", Strategy::OneForOne));
    let system = System::start(spec).await.expect("the tree starts");
    for name in ["left", "right"] {
        let of = |version: &'static str| {
            DomainSpec::new(name)
                .agent(Probe::spec("x", &log).offers(&Capability::<Number, u64>::new("test.number", version)))
        };
        system.add_domain(of("1.0.0")).await.expect("it starts");
        let path = format!("root/domains/{name}/x");
        let id = system.id(&path).expect("it is there");
        assert_eq!((id.domain.as_str(), id.name.as_str(), id.version.to_string().as_str()), (name, "x", "1.0.0"));

        let supervisor = system.supervisor(format!("root/domains/{name}")).expect("it runs");
        let next = Probe::spec("x", &log).offers(&Capability::<Number, u64>::new("test.number", "1.1.0"));
        let update = SupervisorSpec::new(name, Strategy::OneForOne).child(next);
        supervisor.update(update).await.expect("it is right");
        system.kill(&path).expect("it is there");
        settled().await;
        let by_now = system.id(&path).expect("it is there");
        assert_eq!((by_now.version.to_string().as_str(), by_now.instance), ("1.1.0", id.instance));
        assert_eq!(system.resolve(&id).expect("it is there still").as_str(), path);
    }
    system.shutdown().await.expect("an orderly end");
}
