//! A market: services that are looked up, asked through routes with breakers, lent by a pool and kept in bounds by a domain,
//! while their registrar dies, those who ask go away, and dead letters are sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::flow::{BreakerRules, BulkheadLimit, DomainLimits, PoolRules};
use steadfast::message::Filter;
use steadfast::registry::selection::Selection;
use steadfast::{
    AtDeath, Backoff, ChildSpec, DomainSpec, Restart, Route, SendAgainError, Strategy, SupervisorSpec, System,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::citizen::{Act, Args, Citizen, EXTRA, Note, SOLO, TRADE, citizen};
use super::post::Mark;
use super::town::{BUSY, OFTEN, Town};
use crate::worker::{Draw, MS};

const SECOND: Duration = Duration::from_secs(1);
const STALLS: usize = 4;
const SHOPS: usize = 4;

/// What the test knows of the market.
#[derive(Clone)]
pub(super) struct Market {
    town: Town,
    system: System,
    routes: Vec<Route<Note, u64>>,
    /// Who offers what, as far as that is known: what is under way, or went wrong midway, is not.
    offers: Arc<Mutex<BTreeMap<(String, String), bool>>>,
    /// How many hold a member of the pool.
    held: Arc<Mutex<BTreeSet<String>>>,
    /// How many dead letters were refused again.
    refused_again: Arc<Mutex<u64>>,
}

fn args(town: &Town) -> Args {
    Args { post: town.post.clone(), seed: town.seed, fails_in: 5, stop_takes: Duration::ZERO }
}

pub(super) fn spec(town: &Town) -> SupervisorSpec {
    let mut spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(OFTEN).abandon_after(SECOND);
    for number in 0..STALLS {
        let name = format!("p{number}");
        town.add(format!("root/{name}"));
        let stall = citizen(&name, args(town)).handler_deadline(SECOND).offers(&TRADE).mailbox(2 + number);
        let stall = if number == 0 { stall.lazy(200 * MS) } else { stall };
        spec = spec.child(stall.backoff(Backoff::exponential(10 * MS)));
    }
    town.add("root/solo".to_owned());
    spec = spec.child(citizen("solo", args(town)).handler_deadline(SECOND).offers(&SOLO));
    let member = args(town);
    let crew =
        ChildSpec::pool("crew", PoolRules::fixed(3), move |_| citizen("any", member.clone()).handler_deadline(SECOND));
    spec.child(crew.intensity(OFTEN))
}

impl Market {
    pub(super) async fn of(town: &Town, system: &System) -> Result<Self, String> {
        let mut limits = DomainLimits::default();
        limits.bulkhead = Some(BulkheadLimit { permits: 6, waiting: 3 });
        let mut domain = DomainSpec::new("shop").intensity(OFTEN).limits(limits);
        for number in 0..SHOPS {
            let name = format!("c{number}");
            town.add(format!("root/shop/{name}"));
            domain = domain.agent(citizen(&name, args(town)).handler_deadline(SECOND).mailbox(1 + number));
        }
        system.add_domain(domain).await.map_err(|error| error.to_string())?;
        let routes = routes(system);
        let mut offers = BTreeMap::new();
        for number in 0..STALLS {
            offers.insert((format!("root/p{number}"), TRADE.name().to_owned()), true);
        }
        let (held, refused_again) = (Arc::default(), Arc::default());
        let offers = Arc::new(Mutex::new(offers));
        Ok(Self { town: town.clone(), system: system.clone(), routes, offers, held, refused_again })
    }

    /// Everybody who is busy here, until they are not.
    pub(super) fn busy(&self, work: &mut JoinSet<()>) {
        let draw = |label: &str| Draw::new(self.town.seed, label);
        for number in 0..5 {
            work.spawn(self.clone().borrow(draw(&format!("borrower {number}"))));
            work.spawn(self.clone().route(draw(&format!("router {number}"))));
        }
        work.spawn(self.clone().register(draw("registrations")));
        for number in 0..3 {
            work.spawn(self.clone().come_and_go(number, draw(&format!("temporaries {number}"))));
        }
        work.spawn(self.clone().send_again(draw("dead letters")));
        work.spawn(self.clone().disturb(draw("market")));
    }

    /// Who offers what from now on; `None` while nobody knows.
    fn is_offered(&self, key: (String, String), is_offered: Option<bool>) {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        match is_offered {
            Some(is_offered) => offers.insert(key, is_offered),
            None => offers.remove(&key),
        };
    }

    fn is_busy(&self) -> bool {
        self.town.post.world.now() < BUSY
    }

    /// Borrows members of the pool, each of whom nobody else may have.
    async fn borrow(self, mut random: Draw) {
        while self.is_busy() {
            sleep(random.time(30)).await;
            let Ok(pool) = self.system.pool::<Citizen>("root/crew") else { continue };
            let Ok(member) = pool.acquire_within(random.time(100)).await else { continue };
            let path = member.path().to_string();
            if !self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone()) {
                self.town.post.wrong(format!("pool: {path} is lent, and lent again"));
            }
            let letter = self.town.post.ledger.delivery("ask a member", false);
            let note = Note { mark: Mark::Letter(letter), act: Act::Wait(random.time(40)) };
            let limit = random.time(100);
            let _ = self.town.post.ask(letter, limit, member.ask_within(note, limit)).await;
            self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
            drop(member);
        }
    }

    /// Asks and tells by routes; some go away before they have their answer.
    async fn route(self, mut random: Draw) {
        while self.is_busy() {
            sleep(random.time(40)).await;
            let post = &self.town.post;
            let route = random.of(&self.routes);
            let act = match random.below(8) {
                0 => Act::Panic,
                1..=3 => Act::Wait(random.time(60)),
                _ => Act::Reply,
            };
            match random.below(4) {
                0 => {
                    let letter = post.ledger.delivery("tell by a route", false);
                    // Where it is refused it is a dead letter, which may be sent again.
                    drop(route.tell(Note { mark: Mark::Letter(letter), act }));
                    post.ledger.told(letter, Ok::<(), String>(()));
                }
                1 => {
                    let note = Note { mark: Mark::Loose, act };
                    let _ = timeout(random.time(20), route.ask_within(note, SECOND)).await;
                }
                _ => {
                    let letter = post.ledger.delivery("ask by a route", false);
                    let limit = random.time(100);
                    let note = Note { mark: Mark::Letter(letter), act };
                    let _ = post.ask(letter, limit, route.ask_within(note, limit)).await;
                }
            }
        }
    }

    /// Offers and withdraws what the stalls have.
    async fn register(self, mut random: Draw) {
        while self.is_busy() {
            sleep(random.time(150)).await;
            let path = format!("root/p{}", random.below(STALLS));
            let capability = random.of(&[TRADE, EXTRA]).clone();
            let wanted = random.one_in(2);
            let Ok(agent) = self.system.agent::<Citizen>(&path) else { continue };
            let key = (path.clone(), capability.name().to_owned());
            self.is_offered(key.clone(), None);
            let outcome = timeout(5 * SECOND, async {
                if wanted {
                    self.system.register(&agent, &capability).await.is_ok()
                } else {
                    let outcome = self.system.deregister(&path, &capability).await;
                    matches!(outcome, Ok(()) | Err(steadfast::RegisterError::NotOffered { .. }))
                }
            });
            if outcome.await == Ok(true) {
                self.is_offered(key, Some(wanted));
            }
        }
    }

    /// Some come for a while, and are forgotten.
    async fn come_and_go(self, group: usize, mut random: Draw) {
        for number in 0.. {
            if !self.is_busy() {
                return;
            }
            sleep(random.time(400)).await;
            let Ok(root) = self.system.supervisor("root") else { continue };
            let (name, capability) = (format!("t{group}-{number}"), random.of(&[TRADE, EXTRA]).clone());
            let spec =
                citizen(&name, Args { fails_in: 0, ..args(&self.town) }).offers(&capability).handler_deadline(SECOND);
            if random.one_in(2) {
                drop(self.system.kill("system/registrar"));
            }
            let come = timeout(5 * SECOND, root.start_child(spec.restart(Restart::Temporary)));
            if !matches!(come.await, Ok(Ok(_))) {
                continue;
            }
            let path = format!("root/{name}");
            self.town.add(path.clone());
            if random.one_in(3) {
                // It stays, if it is still there at the end.
                self.is_offered((path, capability.name().to_owned()), Some(true));
                continue;
            }
            sleep(random.time(600)).await;
            if matches!(timeout(5 * SECOND, root.terminate_child(&name)).await, Ok(Ok(()) | Err(_))) {
                self.is_offered((path, capability.name().to_owned()), Some(false));
            }
        }
    }

    /// Sends dead letters again, while their receivers may refuse them.
    async fn send_again(self, mut random: Draw) {
        while self.is_busy() {
            sleep(random.time(80)).await;
            let letters = self.system.dead_letters(&Filter::all());
            let is_ours = |path: &steadfast::Path| path.as_str().starts_with("root");
            let ours: Vec<_> = letters.iter().filter(|letter| letter.receiver.as_ref().is_some_and(is_ours)).collect();
            if ours.is_empty() {
                continue;
            }
            let letter = random.of(&ours);
            if let Err(SendAgainError::Refused { .. }) = self.system.send_again(letter.id) {
                *self.refused_again.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            }
        }
    }

    async fn disturb(self, mut random: Draw) {
        let mut under_way = JoinSet::new();
        while self.is_busy() {
            sleep(random.time(100)).await;
            let (paths, system, post) = (self.town.paths(), self.system.clone(), self.town.post.clone());
            let (path, time) = (random.of(&paths).clone(), random.time(600));
            match random.below(8) {
                0..=1 => drop(system.kill(&path)),
                2 => drop(system.kill("system/registrar")),
                3 => drop(system.kill(format!("root/crew/{}", 1 + random.below(3)))),
                4..=5 => {
                    under_way.spawn(async move {
                        // Whoever hangs is never suspended.
                        drop(timeout(5 * SECOND, system.suspend(&path)).await);
                        sleep(time).await;
                        drop(timeout(5 * SECOND, system.resume(&path)).await);
                    });
                }
                _ => {
                    let path = if random.one_in(2) { "root/solo".to_owned() } else { path };
                    under_way.spawn(async move {
                        post.set_sick(&path, true);
                        sleep(time).await;
                        post.set_sick(&path, false);
                    });
                }
            }
        }
        while let Some(done) = under_way.join_next().await {
            done.expect("no panic");
        }
    }

    /// What is not true of the market when it is at rest.
    pub(super) async fn problem(&self) -> Option<String> {
        self.untrue_registry().or_else(|| self.taken_permits()).or(self.unanswered_routes().await)
    }

    fn untrue_registry(&self) -> Option<String> {
        let offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for capability in [TRADE, EXTRA] {
            let found: BTreeSet<String> = self
                .system
                .discover(&capability.name().parse().ok()?)
                .iter()
                .map(|found| found.path.to_string())
                .collect();
            for ((path, _), is_offered) in offers.iter().filter(|((_, name), _)| *name == capability.name()) {
                let is_there = self.system.incarnation(path).is_some() || path == "root/p0";
                // Who is kept and does not run may come back, and is listed as away.
                if !is_there && !path.starts_with("root/t") {
                    continue;
                }
                if *is_offered && is_there && !found.contains(path) {
                    return Some(format!("registry: {path} offers {capability}, and is not found"));
                }
                if !(*is_offered && is_there) && found.contains(path) {
                    return Some(format!("registry: {path} does not offer {capability}, and is found"));
                }
            }
        }
        None
    }

    fn taken_permits(&self) -> Option<String> {
        let occupancy = self.system.domain("shop").ok()?.occupancy()?;
        let is_free = occupancy.inside == 0 && occupancy.waiting == 0;
        (!is_free).then(|| format!("permits: nobody asks anybody in the domain, and there is {occupancy:?}"))
    }

    /// Who is well is asked again at the latest when its breaker has been open for as long as it may.
    async fn unanswered_routes(&self) -> Option<String> {
        for (number, route) in self.routes.iter().enumerate() {
            let mut last = None;
            for _ in 0..5 {
                let note = Note { mark: Mark::Loose, act: Act::Reply };
                match route.ask_within(note, 10 * SECOND).await {
                    Ok(_) => {
                        last = None;
                        break;
                    }
                    Err(error) => last = Some(error),
                }
                sleep(60 * SECOND).await;
            }
            // Nobody may offer it any more.
            if let Some(error) = last.filter(|_| !route.providers().is_empty()) {
                return Some(format!("routes: all is well, and nobody answers by route {number}: {error}"));
            }
        }
        None
    }

    pub(super) fn refused_again(&self) -> u64 {
        *self.refused_again.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn routes(system: &System) -> Vec<Route<Note, u64>> {
    let rules = BreakerRules::default().minimum_calls(2).probes(1);
    let trade = || system.route(&TRADE);
    let builders = [
        system.route(&SOLO).breaker(rules),
        trade().selection(Selection::RoundRobin),
        trade().selection(Selection::Random).at_death(AtDeath::Elsewhere),
        trade().breaker(rules),
        trade().selection(Selection::PowerOfTwo).fail_fast(),
    ];
    builders.into_iter().map(|builder| builder.build().expect("a route")).collect()
}
