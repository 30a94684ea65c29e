//! Choosing one healthy provider of a capability, and sending nothing, while a writer registers and deregisters others.
//!
//! Who takes part is started once and kept for all rounds: 100,000 of each contender, which are 1,000 capabilities of 100
//! providers, and one of all of them. What picks is a thread without a runtime; the writer has the only worker of its own.

use std::future::Future;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use kameo::actor::Spawn;
use ractor::{ActorCell, pg};
use steadfast::registry::selection::{Selection, Stickiness};
use steadfast::{Agent, AgentRef, BoxError, Capability, ChildSpec, Context, Route, Strategy, SupervisorSpec, System};
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Flavor, Unit};

/// How many offer a capability where there are many capabilities.
pub(crate) const FEW: usize = 100;

/// How many offer one capability; as many are there in all.
pub(crate) const ALL: usize = 100_000;

/// So many instead, where it is only to be seen that it works: [`FEW`] in one go, and so many capabilities of ten.
pub(crate) const QUICK: usize = 10;

/// How often the writer registers or deregisters somebody.
const WRITES: u64 = 10_000;

/// How long one contender picks in one round.
const TIME: Duration = Duration::from_millis(200);

/// Whom the writer registers and deregisters: in between the others, so that all of the list changes.
const COMING: usize = 64;

/// How many are there, and how many of them offer the same.
#[derive(Clone, Copy)]
struct Shape {
    all: usize,
    each: usize,
}

impl Shape {
    fn of(n: usize) -> Self {
        if n == QUICK { Self { all: 10 * QUICK, each: n } } else { Self { all: ALL, each: n } }
    }

    fn groups(self) -> usize {
        self.all / self.each
    }
}

/// Numbers that cost next to nothing (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).expect("half a word") % count
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime starts")
}

/// How long this thread has had a core. `None` where the system does not say so.
fn on_core() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Picks while the writer writes. What is counted is the time on a core, since it is a rate of one core that is wanted. Per pick; says so where the writer did not come to its number.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn picks<W: Future<Output = ()> + Send>(
    runtime: &Runtime,
    write: Option<impl FnMut(u64) -> W + Send + 'static>,
    mut pick: impl FnMut(&mut Dice),
) -> Vec<f64> {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let is_calm = write.is_none();
    let writer = runtime.spawn(async move {
        let Some(mut write) = write else { return };
        let began = Instant::now();
        for number in 0.. {
            while began.elapsed() * u32::try_from(WRITES).expect("a small number") < Duration::from_secs(number) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            write(number).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (began, busy, mut picked) = (Instant::now(), on_core(), 0_u64);
    while began.elapsed() < TIME {
        // Reading the clock is not what is measured; but of the slowest one pick takes milliseconds.
        for _ in 0..(picked / 8).clamp(1, 256) {
            pick(&mut dice);
            picked += 1;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let rate = written.load(Ordering::Relaxed) as f64 / took;
    let busy = on_core().zip(busy).map_or(took, |(after, before)| after.saturating_sub(before).as_secs_f64());
    writer.abort();
    let _ = runtime.block_on(writer);
    if !is_calm && rate < 0.9 * WRITES as f64 {
        eprintln!("  (the writer came to {rate:.0} a second)");
    }
    vec![Unit::Nanoseconds.of_seconds(busy) / picked as f64]
}

/// An agent that is there to be picked.
struct Idle;

impl Agent for Idle {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        Ok(())
    }
}

type Offer = Capability<(), ()>;

/// The system of all rounds.
struct Ours {
    runtime: Runtime,
    system: System,
    coming: Vec<AgentRef<Idle>>,
    small: Vec<Offer>,
    large: Offer,
    keys: Vec<String>,
}

impl Ours {
    fn of(shape: Shape) -> &'static Self {
        static OURS: OnceLock<Ours> = OnceLock::new();
        OURS.get_or_init(|| Self::start(shape.all))
    }

    fn start(all: usize) -> Self {
        let each = if all == ALL { FEW } else { QUICK };
        let offer = |name: String| Offer::named(name, "1.0.0".to_owned());
        let small: Vec<_> = (0..all / each).map(|at| offer(format!("bench.c{at}"))).collect();
        let large = offer("bench.all".to_owned());
        let runtime = runtime();
        let root = (0..all).fold(SupervisorSpec::new("root", Strategy::OneForOne), |root, at| {
            let child = ChildSpec::agent::<Idle>(format!("c{at:06}"), ());
            // Those of one capability are not those that were started one after another.
            root.child(child.offers(&small[at % small.len()]).offers(&large))
        });
        let names: Vec<_> = (0..COMING).map(|at| format!("c{:06}-coming", at * all / COMING)).collect();
        let root = names.iter().fold(root, |root, name| root.child(ChildSpec::agent::<Idle>(name, ())));
        let system = runtime.block_on(System::start(root)).expect("the tree starts");
        let coming = names.iter().map(|name| system.agent(format!("root/{name}")).expect("it is there")).collect();
        let keys = (0..4096).map(|key| format!("customer-{key}")).collect();
        // All have answered once, so that there are latencies to go by.
        let route = system.route(&large).selection(Selection::RoundRobin).build().expect("a route");
        runtime.block_on(async {
            for _ in 0..all {
                route.ask(()).await.expect("it answers");
            }
        });
        Self { runtime, system, coming, small, large, keys }
    }

    /// The routes by a strategy, kept for all rounds as the rest: that they are made is not what is measured.
    fn routes(&self, shape: Shape, by: Selection) -> &'static [Route<(), ()>] {
        type Made = Vec<(usize, Selection, &'static [Route<(), ()>])>;
        static MADE: Mutex<Made> = Mutex::new(Vec::new());
        let mut made = MADE.lock().expect("nobody panics");
        if let Some((.., routes)) = made.iter().find(|(each, of, _)| (*each, *of) == (shape.each, by)) {
            return routes;
        }
        let route = |offer| self.system.route(offer).selection(by).build().expect("a route");
        let routes: &[_] = Vec::leak(self.offers(shape).iter().map(route).collect());
        made.push((shape.each, by, routes));
        routes
    }

    fn offers(&self, shape: Shape) -> Vec<Offer> {
        if shape.groups() == 1 { vec![self.large.clone()] } else { self.small.clone() }
    }
}

fn ours(n: usize, by: Selection, is_calm: bool) -> Vec<f64> {
    let shape = Shape::of(n);
    let Ours { runtime, system, coming, keys, .. } = Ours::of(shape);
    let offers = Ours::of(shape).offers(shape);
    let routes = Ours::of(shape).routes(shape, by);
    let write = move |number: u64| {
        let at = usize::try_from(number / 2).expect("a small number");
        let (agent, offer) = (coming[at % COMING].clone(), offers[at % offers.len()].clone());
        async move {
            if number.is_multiple_of(2) {
                system.register(&agent, &offer).await.expect("it is there");
            } else {
                system.deregister(agent.path(), &offer).await.expect("it was registered");
            }
        }
    };
    let is_sticky = matches!(by, Selection::Sticky(_));
    let pick = |route: &Route<(), ()>, key: &str| {
        let picked = if is_sticky { route.pick_about(key) } else { route.pick() };
        black_box(picked.expect("there are some"));
    };
    // A route learns who is there with its first pick.
    for route in routes {
        pick(route, "");
    }
    let write = (!is_calm).then_some(write);
    picks(runtime, write, |dice| pick(&routes[dice.below(routes.len())], &keys[dice.below(keys.len())]))
}

pub(crate) fn round_robin(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::RoundRobin, false)
}

pub(crate) fn random(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::Random, false)
}

pub(crate) fn power_of_two(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::PowerOfTwo, false)
}

pub(crate) fn least_loaded(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::LeastLoaded, false)
}

pub(crate) fn sticky(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::Sticky(Stickiness::Moves), false)
}

/// As [`round_robin`], while nobody comes or goes.
pub(crate) fn calm_round_robin(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::RoundRobin, true)
}

/// As [`power_of_two`], while nobody comes or goes.
pub(crate) fn calm_power_of_two(_: Flavor, n: usize) -> Vec<f64> {
    ours(n, Selection::PowerOfTwo, true)
}

/// A plain ractor actor that is there to be picked.
struct Plain;

impl ractor::Actor for Plain {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ractor::ActorRef<()>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
        Ok(())
    }
}

/// ractor's process groups of all rounds.
struct Groups {
    runtime: Runtime,
    coming: Vec<ActorCell>,
}

impl Groups {
    fn of(shape: Shape) -> &'static Self {
        static GROUPS: OnceLock<Groups> = OnceLock::new();
        GROUPS.get_or_init(|| {
            let runtime = runtime();
            let spawn = async || ractor::Actor::spawn(None, Plain, ()).await.expect("it starts").0.get_cell();
            let (members, coming) = runtime.block_on(async {
                let (mut members, mut coming) = (Vec::new(), Vec::new());
                for _ in 0..shape.all {
                    members.push(spawn().await);
                }
                for _ in 0..COMING {
                    coming.push(spawn().await);
                }
                (members, coming)
            });
            let each = if shape.all == ALL { FEW } else { QUICK };
            for at in 0..shape.all / each {
                let those = members.iter().skip(at).step_by(shape.all / each).cloned().collect();
                pg::join(Self::name(each, at), those);
            }
            pg::join(Self::name(shape.all, 0), members);
            Self { runtime, coming }
        })
    }

    fn name(each: usize, at: usize) -> String {
        format!("bench-{each}-{at}")
    }
}

/// ractor's process groups: the members are looked up, and one is drawn at random. Whether it is alive is not looked at.
pub(crate) fn process_groups(_: Flavor, n: usize) -> Vec<f64> {
    let shape = Shape::of(n);
    let Groups { runtime, coming } = Groups::of(shape);
    let names: Vec<_> = (0..shape.groups()).map(|at| Groups::name(shape.each, at)).collect();
    let written = names.clone();
    let write = move |number: u64| {
        let at = usize::try_from(number / 2).expect("a small number");
        let (name, cell) = (written[at % written.len()].clone(), coming[at % COMING].clone());
        if number.is_multiple_of(2) {
            pg::join(name, vec![cell]);
        } else {
            pg::leave(name, vec![cell]);
        }
        std::future::ready(())
    };
    picks(runtime, Some(write), |dice| {
        let members = pg::get_members(&names[dice.below(names.len())]);
        black_box(&members[dice.below(members.len())]);
    })
}

/// An actor of kameo that is there to be looked up.
struct Peer;

impl kameo::Actor for Peer {
    type Args = ();
    type Error = kameo::error::Infallible;

    async fn on_start((): (), _: kameo::actor::ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Self)
    }
}

/// kameo's registry of all rounds: a name for each.
struct Names {
    runtime: Runtime,
    all: Vec<String>,
    coming: kameo::actor::ActorRef<Peer>,
    /// What has a name is kept.
    _peers: Vec<kameo::actor::ActorRef<Peer>>,
}

impl Names {
    fn of(shape: Shape) -> &'static Self {
        static NAMES: OnceLock<Names> = OnceLock::new();
        NAMES.get_or_init(|| {
            let runtime = runtime();
            let names: Vec<_> = (0..shape.all).map(|at| format!("bench-{at}")).collect();
            let (peers, coming) = {
                let _inside = runtime.enter();
                let spawn = |name: &String| {
                    let peer = Peer::spawn(());
                    peer.register(name.clone()).expect("the name is new");
                    peer
                };
                (names.iter().map(spawn).collect(), Peer::spawn(()))
            };
            Self { runtime, all: names, coming, _peers: peers }
        })
    }
}

/// kameo: one actor of that name is looked up. It has no capabilities, and nothing is chosen.
pub(crate) fn lookup(_: Flavor, n: usize) -> Vec<f64> {
    let Names { runtime, all: names, coming, .. } = Names::of(Shape::of(n));
    let write = |number: u64| {
        let name = format!("coming-{}", number / 2);
        if number.is_multiple_of(2) {
            coming.register(name).expect("the name is new");
        } else {
            let mut registry = kameo::registry::ACTOR_REGISTRY.lock().expect("nobody panics");
            registry.remove(name.as_str());
        }
        std::future::ready(())
    };
    let seen = picks(runtime, Some(write), |dice| {
        let found = kameo::actor::ActorRef::<Peer>::lookup(names[dice.below(names.len())].as_str());
        black_box(found.expect("its type").expect("it is there"));
    });
    // The writer may have been stopped between the two.
    kameo::registry::ACTOR_REGISTRY.lock().expect("nobody panics").remove_by_id(&coming.id());
    seen
}
