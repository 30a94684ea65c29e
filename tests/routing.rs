//! Guarantee: a request by capability reaches a live provider whose version and types fit, the least loaded one, and
//! never a dead incarnation; the registrar may crash or hang and nothing is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::fault::Point;
use steadfast::testing::{Faults, Log, Order, Probe, Recorder, VirtualClock, settled};
use steadfast::{
    Agent, AgentSpec, BoxError, Capability, ChildSpec, Context, Fault, Intensity, RequestError, Restart, Served,
    Shutdown, Strategy, Subject, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);

/// What a provider is asked: to say its name and life, at once, after a while, or never.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Ask {
    Now,
    After(Duration),
    Crash,
}

const NAME: Capability<Ask, String> = Capability::new("test.name", "1.0.0");
const SECOND_NAME: Capability<Ask, String> = Capability::new("test.second", "1.0.0");

fn offering(name: &str, capability: Capability<Ask, String>) -> AgentSpec<Served<Ask, String>> {
    ChildSpec::serve(name, capability, |ctx, ask| async move {
        match ask {
            Ask::Now => {}
            Ask::After(time) => tokio::time::sleep(time).await,
            Ask::Crash => return Err("as it was asked".into()),
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

async fn start(spec: SupervisorSpec) -> System {
    System::start(spec).await.expect("the tree starts")
}

#[tokio::test(start_paused = true)]
async fn a_later_compatible_version_answers_and_an_earlier_or_incompatible_one_does_not() {
    let offered = Capability::new("test.name", "1.4.0");
    let system = start(root().child(offering("a", offered))).await;
    for asked in ["1.0.0", "1.4.0"] {
        system.ask(&Capability::<Ask, String>::new("test.name", asked), Ask::Now).await.expect("1.4.0 is compatible");
    }
    for asked in ["1.5.0", "2.0.0", "0.9.0", "one"] {
        let asked = Capability::<Ask, String>::new("test.name", asked);
        let error = system.ask(&asked, Ask::Now).await.expect_err("1.4.0 is not compatible");
        let text =
            format!("nobody offers `test.name` in a version compatible with {}; offered: 1.4.0", asked.version());
        assert_eq!(error.to_string(), text);
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn two_versions_stand_side_by_side_and_each_asker_gets_the_one_that_fits() {
    let spec = root()
        .child(offering("old", Capability::new("test.name", "1.2.0")))
        .child(offering("new", Capability::new("test.name", "2.0.0")));
    let system = start(spec).await;
    assert_eq!(system.ask(&NAME, Ask::Now).await.expect("a reply"), "old #1");
    let two = Capability::<Ask, String>::new("test.name", "2.0.0");
    assert_eq!(system.ask(&two, Ask::Now).await.expect("a reply"), "new #1");
    let three = Capability::<Ask, String>::new("test.name", "3.0.0");
    let error = system.ask(&three, Ask::Now).await.expect_err("nobody does");
    assert!(error.to_string().ends_with("offered: 1.2.0, 2.0.0"), "{error}");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn other_types_under_the_same_name_are_refused_and_nobody_is_named() {
    let system = start(root().child(namer("a"))).await;
    let other = Capability::<u64, String>::new("test.name", "1.0.0");
    let error = system.ask(&other, 7).await.expect_err("it takes another type");
    assert_eq!(
        error.to_string(),
        "`test.name` is offered by `root/a` with other types of request or reply than this constant has"
    );
    let nobody = Capability::<Ask, String>::new("test.nobody", "1.0.0");
    let error = system.ask(&nobody, Ask::Now).await.expect_err("nobody does");
    assert_eq!(error.to_string(), "nobody offers `test.nobody` in a version compatible with 1.0.0");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_request_never_goes_to_a_dead_incarnation_while_another_provider_lives() {
    let spec = root().child(namer("a")).child(namer("b")).child(namer("c"));
    let system = start(spec).await;
    let mut events = Recorder::of(&system);
    for _ in 0..20 {
        let victim = system.providers(&NAME).into_iter().next().expect("there are three");
        let life = victim.incarnation().expect("it is live").get();
        let path = victim.path().as_str().to_owned();
        victim.ask(Ask::Crash, SECOND).await.expect_err("it crashes");
        // It is dead and its supervisor may not know yet.
        for _ in 0..6 {
            let reply = system.ask(&NAME, Ask::Now).await.expect("a live provider");
            assert_ne!(reply, format!("{} #{life}", victim.path().name()));
        }
        events.started(&path, life + 1).await;
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_only_provider_between_two_lives_at_most_to_its_deadline() {
    let log = Log::default();
    let slow = steadfast::testing::Script::new(&log).start_takes(SECOND);
    let system = start(root().child(Probe::scripted("a", slow).offers(&PROBE))).await;
    assert_eq!(system.ask(&PROBE, Number(0)).await.expect("a reply"), 0);
    Probe::at(&system, "root/a").ask(Order::Panic("boom")).await.expect_err("it crashes");
    let clock = VirtualClock::new();
    let error = system.ask_within(&PROBE, Number(1), SECOND / 2).await.expect_err("too early");
    assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
    assert_eq!(system.ask(&PROBE, Number(2)).await.expect("a reply"), 2);
    assert_eq!(clock.elapsed(), SECOND);
    system.shutdown().await.expect("an orderly end");
}

const PROBE: Capability<Number, u64> = Capability::new("test.probe", "1.0.0");

/// What a probe is asked by capability.
#[derive(Serialize, Deserialize)]
struct Number(u64);

impl From<Number> for Order {
    fn from(Number(number): Number) -> Self {
        Self::Echo(number)
    }
}

/// Asks so often for each of these capabilities in turn, and counts who answered.
async fn tally(system: &System, capabilities: &[Capability<Ask, String>], rounds: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..rounds {
        for capability in capabilities {
            let name = system.ask(capability, Ask::Now).await.expect("a reply");
            *tally.entry(name).or_default() += 1;
        }
    }
    tally
}

#[tokio::test(start_paused = true)]
async fn equal_providers_are_asked_in_turn_also_when_other_capabilities_are_asked_in_between() {
    let spec =
        root().child(namer("a")).child(namer("b")).child(offering("c", SECOND_NAME)).child(offering("d", SECOND_NAME));
    let system = start(spec).await;
    let tally = tally(&system, &[NAME, SECOND_NAME], 10).await;
    assert_eq!(tally.into_values().collect::<Vec<_>>(), [5, 5, 5, 5]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_least_loaded_provider_is_asked_and_a_message_in_hand_is_load() {
    let system = start(root().child(namer("a")).child(namer("b")).child(namer("c"))).await;
    let busy = |name: &str, requests: usize| {
        let provider = system.provider(&NAME, format!("root/{name}")).expect("it is live");
        for _ in 0..requests {
            let provider = provider.clone();
            tokio::spawn(async move { provider.ask(Ask::After(60 * SECOND), 600 * SECOND).await });
        }
        provider
    };
    let loads = [busy("a", 1), busy("b", 3), busy("c", 2)];
    settled().await;
    assert_eq!(loads.each_ref().map(steadfast::Provider::load), [1, 3, 2]);
    // Each of these stays with its provider; the level rises evenly.
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let system = system.clone();
        waiting.push(tokio::spawn(async move { system.ask_within(&NAME, Ask::Now, 600 * SECOND).await }));
        settled().await;
    }
    assert_eq!(loads.each_ref().map(steadfast::Provider::load), [4, 4, 4]);
    system.shutdown().await.expect("an orderly end");
}

/// An agent that offers two capabilities.
struct Calculator;

#[derive(Serialize, Deserialize)]
struct Sum(Vec<i64>);

#[derive(Serialize, Deserialize)]
struct Spell(i64);

enum Asked {
    Sum(Sum),
    Spell(Spell),
}

enum Answer {
    Number(i64),
    Text(String),
}

impl From<Sum> for Asked {
    fn from(sum: Sum) -> Self {
        Self::Sum(sum)
    }
}

impl From<Spell> for Asked {
    fn from(spell: Spell) -> Self {
        Self::Spell(spell)
    }
}

impl TryFrom<Answer> for i64 {
    type Error = ();

    fn try_from(answer: Answer) -> Result<Self, ()> {
        if let Answer::Number(number) = answer { Ok(number) } else { Err(()) }
    }
}

impl TryFrom<Answer> for String {
    type Error = ();

    fn try_from(answer: Answer) -> Result<Self, ()> {
        if let Answer::Text(text) = answer { Ok(text) } else { Err(()) }
    }
}

impl Agent for Calculator {
    type Args = ();
    type Message = Asked;
    type Reply = Answer;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, asked: Asked, _: &mut Context<Self>) -> Result<Answer, BoxError> {
        Ok(match asked {
            Asked::Sum(Sum(numbers)) => Answer::Number(numbers.iter().sum()),
            Asked::Spell(Spell(13)) => Answer::Number(13),
            Asked::Spell(Spell(number)) => Answer::Text(number.to_string()),
        })
    }
}

const SUM: Capability<Sum, i64> = Capability::new("math.sum", "1.0.0");
const SPELL: Capability<Spell, String> = Capability::new("math.spell", "1.0.0");

#[tokio::test(start_paused = true)]
async fn one_agent_may_offer_several_capabilities_and_a_reply_of_the_wrong_one_is_noticed() {
    let calculator = ChildSpec::agent::<Calculator>("calculator", ()).offers(&SUM).offers(&SPELL);
    let system = start(root().child(calculator)).await;
    assert_eq!(system.capabilities(), ["math.spell", "math.sum"]);
    assert_eq!(system.ask(&SUM, Sum(vec![1, 2])).await.expect("a reply"), 3);
    assert_eq!(system.ask(&SPELL, Spell(3)).await.expect("a reply"), "3");
    let error = system.ask(&SPELL, Spell(13)).await.expect_err("it replies with a number");
    assert_eq!(error.to_string(), "`root/calculator` replied to `math.spell` with a reply of another capability");
    system.shutdown().await.expect("an orderly end");
}

/// Crashes `root/b`, whose next registration then meets this fault of the registrar.
async fn with_a_registrar_that(point: Point, fault: Fault) -> (System, Arc<Faults>, Recorder) {
    let faults = Arc::new(Faults::default().at("system/registrar", point, Subject::new("root/b", 2), fault));
    let builder = System::builder().faults(faults.clone()).service_deadline(2 * SECOND);
    let spec = root().child(namer("a")).child(namer("b"));
    let system = builder.start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    let b = system.provider(&NAME, "root/b").expect("it is live");
    b.ask(Ask::Crash, SECOND).await.expect_err("it crashes");
    (system, faults, events)
}

#[tokio::test(start_paused = true)]
async fn a_registrar_that_crashes_or_hangs_loses_no_registration_and_routing_goes_on_meanwhile() {
    let faults = [
        (Point::BeforeMessage, Fault::Panic),
        (Point::AfterMessage, Fault::Panic),
        (Point::BeforeMessage, Fault::Hang),
    ];
    for (point, fault) in faults {
        let (system, faults, mut events) = with_a_registrar_that(point, fault).await;
        let clock = VirtualClock::new();
        // Whether the registrar is up or not: a live provider is reached, and at once.
        for _ in 0..4 {
            assert_ne!(system.ask(&NAME, Ask::Now).await.expect("a reply"), "b #1");
        }
        assert_eq!(clock.elapsed(), Duration::ZERO);
        events.started("root/b", 2).await;
        assert_eq!(faults.drawn().len(), 1, "{fault:?}");
        assert_eq!(system.incarnation("system/registrar").map(steadfast::Incarnation::get), Some(2));
        let tally = tally(&system, &[NAME], 4).await;
        assert_eq!(tally, BTreeMap::from([("a #1".to_owned(), 2), ("b #2".to_owned(), 2)]), "{fault:?}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_forgotten_leaves_the_index_and_is_not_asked_even_before() {
    let system = start(root().child(namer("a").restart(Restart::Temporary))).await;
    assert_eq!(system.capabilities(), ["test.name"]);
    let mut events = Recorder::of(&system);
    system.ask(&NAME, Ask::Crash).await.expect_err("it crashes");
    events.until(|event| matches!(event.kind, steadfast::EventKind::Closed)).await;
    let error = system.ask(&NAME, Ask::Now).await.expect_err("nobody is there");
    assert_eq!(error.to_string(), "nobody offers `test.name` in a version compatible with 1.0.0");
    settled().await;
    assert_eq!(system.capabilities(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_provider_at_rest_is_not_asked() {
    let log = Log::default();
    let system = start(root().child(Probe::spec("a", &log).restart(Restart::Transient).offers(&PROBE))).await;
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a").tell(Order::Stop(steadfast::ExitReason::Normal)).expect("there is room");
    events.until(|event| matches!(event.kind, steadfast::EventKind::Resting)).await;
    let error = system.ask(&PROBE, Number(1)).await.expect_err("it does not come back");
    assert_eq!(error.to_string(), "nobody offers `test.probe` in a version compatible with 1.0.0");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_registrar_that_missed_events_reads_the_slots_anew() {
    let log = Log::default();
    // Forgotten as one, in the order of paths: the word about `a` is overrun by what `flooded` had waiting.
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(0))
        .child(namer("a"))
        .child(Probe::spec("flooded", &log).shutdown(Shutdown::Kill));
    let spec = root().child(ChildSpec::supervisor(inner).restart(Restart::Temporary)).child(offering("b", SECOND_NAME));
    let system = start(spec).await;
    assert_eq!(system.capabilities(), ["test.name", "test.second"]);
    let mut reader = system.events();
    let flooded = Probe::at(&system, "root/inner/flooded");
    flooded.tell(Order::Hang).expect("there is room");
    settled().await;
    for number in 0..2 * steadfast::EVENT_BOUND as u64 {
        flooded.tell(Order::Echo(number)).expect("there is room");
    }
    system.ask(&NAME, Ask::Crash).await.expect_err("it crashes, and its supervisor gives up");
    settled().await;
    assert_eq!(system.capabilities(), ["test.second"]);
    assert_eq!(system.ask(&SECOND_NAME, Ask::Now).await.expect("a reply"), "b #1");
    let mut lagged = 0;
    while let Some(event) = reader.try_next().transpose() {
        lagged += usize::from(event.is_err());
    }
    assert_eq!(lagged, 1, "there were too many events at once");
    system.shutdown().await.expect("an orderly end");
}
