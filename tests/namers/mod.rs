//! Providers that say their name and life, and routes to them: what the tests of routes share.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::registry::selection::Select;
use steadfast::testing::{Log, Order, Probe, Script};
use steadfast::{AgentSpec, Capability, ChildSpec, Intensity, Route, Served, Strategy, SupervisorSpec, System};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a provider is asked: to say its name and life, at once or after a while, or to crash.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Now,
    After(Duration),
    Crash,
    /// Crash, if that is your name.
    CrashAt(char),
    /// Crash, unless this is the life of that number or a later one.
    CrashBefore(u64),
}

pub(crate) type Namer = Capability<Ask, String>;

pub(crate) const NAME: Namer = Capability::new("test.name", "1.0.0");

pub(crate) fn offering(name: &str, capability: Namer) -> AgentSpec<Served<Ask, String>> {
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

pub(crate) fn namer(name: &str) -> AgentSpec<Served<Ask, String>> {
    offering(name, NAME)
}

pub(crate) fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

/// A system with a namer for each of these names.
pub(crate) async fn namers(names: &[&str]) -> System {
    start(names.iter().fold(root(), |spec, name| spec.child(namer(name)))).await
}

pub(crate) async fn start(spec: SupervisorSpec) -> System {
    System::start(spec).await.expect("the tree starts")
}

pub(crate) fn route(system: &System, by: impl Select + 'static) -> Route<Ask, String> {
    system.route(&NAME).selection(by).build().expect("a route")
}

/// Who answers so many requests, one after the other.
pub(crate) async fn answers(route: &Route<Ask, String>, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(route.ask(Ask::Now).await.expect("a reply"));
    }
    names
}

pub(crate) const PROBE: Capability<Number, u64> = Capability::new("test.probe", "1.0.0");

/// What a probe is asked by capability.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Number(pub(crate) u64);

impl From<Number> for Order {
    fn from(Number(number): Number) -> Self {
        Self::Echo(number)
    }
}

/// A probe whose every start takes a second, so that a crash leaves it between two lives for that long.
pub(crate) fn slow_starter(name: &str) -> AgentSpec<Probe> {
    Probe::scripted(name, Script::new(&Log::default()).start_takes(SECOND)).offers(&PROBE)
}

pub(crate) async fn crash(system: &System, path: &str) {
    Probe::at(system, path).ask(Order::Panic("boom")).await.expect_err("it crashes");
}
