//! One run: a tree, those who send, those who disturb, and the count at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::flow::{BreakerRules, BulkheadLimit, DomainLimits, RateLimit};
use steadfast::message::{Envelope, Filter, LetterId, Pattern, Priority, Subject};
use steadfast::registry::selection::{Selection, Stickiness};
use steadfast::{
    AgentRef, AtDeath, DomainSpec, Group, Intensity, Path, RequestError, Route, Strategy, SupervisorSpec, System,
    SystemBuilder,
};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::ledger::{Ledger, Outcomes};
use crate::worker::{Act, Args, Draw, Job, WORK, Worker, spec};

const SENDERS: usize = 24;
const TOPICS: usize = 10;
const OFTEN: Intensity = Intensity::at_most(10_000_000);

/// How big a run is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) domains: usize,
    /// In each domain.
    pub(crate) agents: usize,
    pub(crate) deliveries: usize,
    /// How long nobody sends anything before the end.
    pub(crate) rest: Duration,
    /// Whether the clock is paused.
    pub(crate) time_stands: bool,
}

/// What came of a run.
pub(crate) struct Report {
    pub(crate) outcomes: Outcomes,
    pub(crate) wrong: Vec<String>,
    pub(crate) sent: usize,
    pub(crate) restarts: u64,
}

/// What is published: who subscribes makes a delivery of its own of it.
#[derive(Clone)]
struct News {
    fan: usize,
    act: Act,
}

/// What is published for one member of each queue group.
#[derive(Clone)]
struct Task(Job);

/// What is broadcast.
#[derive(Clone)]
struct Call(News);

struct Ground {
    system: System,
    ledger: Ledger,
    size: Size,
    paths: Vec<String>,
    agents: Vec<AgentRef<Worker>>,
    routes: Vec<Named>,
    groups: Vec<Group<Call>>,
    over: AtomicBool,
}

struct Named {
    route: Route<Job, u64>,
    ask: &'static str,
    tell: &'static str,
    may_repeat: bool,
}

/// A tree without domains.
pub(crate) fn bare() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(OFTEN)
}

pub(crate) fn set_up(builder: SystemBuilder, size: Size) -> SystemBuilder {
    builder.service_intensity(OFTEN).dead_letters(10 * size.deliveries)
}

/// Runs in a system that was set up so; and ends it.
pub(crate) async fn run_in(system: System, seed: u64, size: Size) -> Report {
    let (ledger, ends_under_load) = (Ledger::default(), !seed.is_multiple_of(2));
    let ground = Arc::new(ground(system, seed, size, ledger.clone()).await);
    let mut busy = JoinSet::new();
    for number in 0..SENDERS {
        busy.spawn(send_on(Arc::clone(&ground), Draw::new(seed, &format!("sender {number}"))));
    }
    let disturbed = tokio::spawn(disturb(Arc::clone(&ground), Draw::new(seed, "disturbance")));
    let system = &ground.system;
    if ends_under_load {
        // Those who send and disturb go on although the system ends.
        while ledger.sent() < size.deliveries / 10 * 9 {
            sleep(Duration::from_millis(1)).await;
        }
        system.shutdown().await.expect("an orderly end");
    }
    while let Some(sender) = busy.join_next().await {
        sender.expect("no panic");
    }
    ground.over.store(true, Ordering::Relaxed);
    disturbed.await.expect("no panic");
    // Whatever is under way ends; what then waits for somebody who is suspended, or in a back-off, waits on.
    sleep(size.rest).await;
    let restarts = system.restarts().total;
    system.shutdown().await.expect("an orderly end");
    count_the_dead(system, &ledger);
    let (outcomes, wrong) = ledger.outcomes();
    Report { outcomes, wrong, sent: ledger.sent(), restarts }
}

/// Takes all dead letters out, and notes of which deliveries they are.
fn count_the_dead(system: &System, ledger: &Ledger) {
    let counts = system.dead_letter_counts();
    assert_eq!(counts.overflowed(), 0, "there is room for all");
    let letters = system.dead_letters(&Filter::all());
    assert_eq!(letters.len() as u64, counts.total());
    // What the system's own services did not get to is none of ours.
    let is_ours = |receiver: &Path| receiver.as_str().starts_with("root");
    for letter in letters.into_iter().filter(|letter| letter.receiver.as_ref().is_none_or(is_ours)) {
        // News without a listener was delivered to nobody.
        if system.take_dead_letter::<Arc<News>>(letter.id).is_none() {
            ledger.dead(number_of(system, letter.id), letter.why);
        }
    }
}

/// Of which delivery a dead letter is.
fn number_of(system: &System, id: LetterId) -> usize {
    let job = system.take_dead_letter::<Job>(id).map(|letter| letter.message.number);
    let job = job.or_else(|| system.take_dead_letter::<Arc<Task>>(id).map(|letter| letter.message.0.number));
    job.expect("nothing else is sent")
}

async fn ground(system: System, seed: u64, size: Size, ledger: Ledger) -> Ground {
    let mut paths = Vec::new();
    for at in 0..size.domains {
        let name = format!("d{at}");
        let mut limits = DomainLimits::default();
        if at % 5 == 1 {
            limits.messages = Some(RateLimit { count: 2_000, per: Duration::from_secs(1), burst: Some(50) });
        }
        if at % 5 == 2 {
            limits.bulkhead = Some(BulkheadLimit { permits: 8, waiting: 4 });
        }
        let strategy = if at % 7 == 3 { Strategy::RestForOne } else { Strategy::OneForOne };
        let mut domain = DomainSpec::new(&name).strategy(strategy).intensity(OFTEN).limits(limits);
        for number in 0..size.agents {
            let (child, place) = (format!("w{number}"), at * size.agents + number);
            paths.push(format!("root/{name}/{child}"));
            domain =
                domain.agent(spec(&child, place, Args { ledger: ledger.clone(), seed, time_stands: size.time_stands }));
        }
        system.add_domain(domain).await.expect("it starts");
    }
    let agents: Vec<_> = paths.iter().map(|path| system.agent::<Worker>(path).expect("it is there")).collect();
    let groups: Vec<_> = (0..3).map(|n| system.group::<Call>(&format!("g{n}")).expect("its type")).collect();
    let mut random = Draw::new(seed, "listeners");
    listen(&system, &ledger, &agents, &groups, &mut random);
    let routes = routes(&system);
    Ground { system, ledger, size, paths, agents, routes, groups, over: AtomicBool::new(false) }
}

/// Subscribes agents to topics and as members of queue groups, and lets them join groups.
fn listen(system: &System, ledger: &Ledger, agents: &[AgentRef<Worker>], groups: &[Group<Call>], random: &mut Draw) {
    for topic in 0..TOPICS {
        let pattern: Pattern = format!("news.{topic}").parse().expect("a pattern");
        let tasks: Pattern = format!("tasks.{topic}").parse().expect("a pattern");
        for _ in 0..6 {
            let ledger = ledger.clone();
            let convert = move |News { fan, act }| Job { number: ledger.part("publish", fan), act };
            system.subscribe(random.of(agents), &pattern, convert).expect("it is there");
        }
        for _ in 0..4 {
            system.subscribe_in_group(random.of(agents), &tasks, "one", |Task(job)| job).expect("it is there");
        }
    }
    for group in groups {
        for _ in 0..8 {
            let ledger = ledger.clone();
            let convert = move |Call(News { fan, act })| Job { number: ledger.part("broadcast", fan), act };
            group.join_with(random.of(agents), convert).expect("it is there");
        }
    }
}

fn routes(system: &System) -> Vec<Named> {
    let plain = || system.route(&WORK);
    let (moves, waits) = (Selection::Sticky(Stickiness::Moves), Selection::Sticky(Stickiness::Waits));
    let named = |route: steadfast::RouteBuilder<Job, u64>, ask, tell, may_repeat| Named {
        route: route.build().expect("a route"),
        ask,
        tell,
        may_repeat,
    };
    vec![
        named(plain().selection(Selection::RoundRobin), "ask stay", "tell stay", false),
        named(
            plain().selection(Selection::Random).at_death(AtDeath::Elsewhere),
            "ask elsewhere",
            "tell elsewhere",
            false,
        ),
        named(plain().selection(moves).at_death(AtDeath::Return), "ask return", "tell return", false),
        named(
            plain().selection(waits).at_death(AtDeath::Elsewhere),
            "ask elsewhere, sticky",
            "tell elsewhere, sticky",
            false,
        ),
        named(
            plain().selection(Selection::PowerOfTwo).breaker(BreakerRules::default()).idempotent(),
            "ask again",
            "tell",
            true,
        ),
        named(
            plain().selection(Selection::Random).at_death(AtDeath::Elsewhere).idempotent().fail_fast(),
            "ask again, elsewhere",
            "tell, elsewhere, fast",
            true,
        ),
    ]
}

/// Sends until enough was sent.
async fn send_on(ground: Arc<Ground>, mut random: Draw) {
    let mut asks = JoinSet::new();
    while ground.ledger.sent() < ground.size.deliveries {
        let limit = if random.one_in(3) { random.time(2_000) } else { random.time(60) };
        ground.send(&mut random, limit, &mut asks).await;
        if random.one_in(4) {
            sleep(random.time(6)).await;
        }
        while asks.try_join_next().is_some() {}
    }
    while let Some(asked) = asks.join_next().await {
        asked.expect("no panic");
    }
}

impl Ground {
    async fn send(self: &Arc<Self>, random: &mut Draw, limit: Duration, asks: &mut JoinSet<()>) {
        let act = Act::draw(random, &self.paths);
        let ledger = &self.ledger;
        let job = |how, may_repeat| Job { number: ledger.delivery(how, may_repeat), act: act.clone() };
        let agent = random.of(&self.agents).clone();
        match random.below(20) {
            0..=4 => {
                let job = job("tell", false);
                ledger.told_or_given_back(job.number, agent.tell(job));
            }
            5..=7 => {
                let job = job("send", false);
                ledger.told_or_given_back(job.number, agent.send(self.envelope(job, random)));
            }
            8 => {
                let job = job("tell and wait", false);
                ledger.told_or_given_back(job.number, agent.tell_wait(job, limit).await);
            }
            9..=10 => {
                let job = job("ask", false);
                self.ask((job.number, false), async move { agent.ask_within(job, limit).await }, asks);
            }
            11 => {
                let job = job("request", false);
                let number = job.number;
                let envelope = self.envelope(job, random);
                self.ask((number, false), async move { agent.request(envelope).await }, asks);
            }
            12 => {
                let job = job("ask by capability", false);
                let system = self.system.clone();
                self.ask((job.number, false), async move { system.ask_within(&WORK, job, limit).await }, asks);
            }
            13..=14 => {
                let named = random.of(&self.routes);
                let (job, route) = (job(named.ask, named.may_repeat), named.route.clone());
                let (key, returns) = (random.below(1000).to_be_bytes(), route.at_death() == AtDeath::Return);
                let number = job.number;
                if random.one_in(3) {
                    let envelope = self.envelope(job, random);
                    self.ask((number, returns), async move { route.request_about(key, envelope).await }, asks);
                } else {
                    self.ask((number, returns), async move { route.ask_about_within(key, job, limit).await }, asks);
                }
            }
            15..=16 => {
                let named = random.of(&self.routes);
                let job = job(named.tell, false);
                let (number, key) = (job.number, random.below(1000).to_be_bytes());
                let told = if random.one_in(3) {
                    named.route.send_about(key, self.envelope(job, random))
                } else {
                    named.route.tell_about(key, job)
                };
                ledger.told(number, told);
            }
            17 => {
                let fan = ledger.fan();
                let subject = subject("news", random);
                ledger.published(fan, self.system.publish(&subject, News { fan, act }));
            }
            18 => {
                let job = job("queue group", false);
                let (number, subject) = (job.number, subject("tasks", random));
                let published = self.system.publish(&subject, Task(job));
                assert!(published.delivered + published.untaken <= 1, "{published:?}");
                ledger.told(number, if published.delivered == 1 { Ok(()) } else { Err("nobody took it") });
            }
            _ => {
                let fan = ledger.fan();
                ledger.published(fan, random.of(&self.groups).broadcast(Call(News { fan, act })));
            }
        }
    }

    fn ask(
        &self,
        (number, returns): (usize, bool),
        asking: impl Future<Output = Result<u64, RequestError>> + Send + 'static,
        asks: &mut JoinSet<()>,
    ) {
        let ledger = self.ledger.clone();
        asks.spawn(async move {
            let outcome = asking.await;
            ledger.asked(number, outcome.map(|reply| usize::try_from(reply).expect("a number of ours")), returns);
        });
    }

    fn envelope(&self, job: Job, random: &mut Draw) -> Envelope<Job> {
        let now = self.system.clock().now();
        let envelope = Envelope::new(0, job).with_priority(*random.of(&[
            Priority::LOW,
            Priority::MEDIUM,
            Priority::HIGH,
            Priority::CRITICAL,
        ]));
        match random.below(3) {
            0 => envelope.with_deadline(now + random.time(100)),
            1 => envelope.with_time_to_live(now, random.time(100)),
            _ => envelope,
        }
    }
}

fn subject(of: &str, random: &mut Draw) -> Subject {
    format!("{of}.{}", random.below(TOPICS)).parse().expect("a subject")
}

/// Kills, suspends, drains, ends and starts whom chance names, until all was sent.
async fn disturb(ground: Arc<Ground>, mut random: Draw) {
    let mut under_way = JoinSet::new();
    let Ground { system, paths, size, .. } = &*ground;
    while !ground.over.load(Ordering::Relaxed) {
        sleep(random.time(2)).await;
        let (path, system) = (random.of(paths).clone(), system.clone());
        match random.below(40) {
            0..=9 => drop(system.kill(&path)),
            10..=11 => drop(system.kill("system/registrar")),
            12 if random.one_in(8) => drop(system.kill(format!("root/d{}", random.below(size.domains)))),
            13..=16 => {
                let time = random.time(300);
                under_way.spawn(async move {
                    let is_suspended = system.suspend(&path).await.is_ok();
                    sleep(time).await;
                    // Some stay suspended for good.
                    if is_suspended && !time.as_millis().is_multiple_of(10) {
                        drop(system.resume(&path).await);
                    }
                });
            }
            17..=20 => {
                let within = random.time(100);
                under_way.spawn(async move { drop(system.drain(&path, within).await) });
            }
            21..=22 => {
                let time = random.time(200);
                under_way.spawn(async move {
                    let (domain, child) = path.rsplit_once('/').expect("it has a domain");
                    let Ok(supervisor) = system.supervisor(domain) else { return };
                    let is_ended = supervisor.terminate_child(child).await.is_ok();
                    sleep(time).await;
                    if is_ended {
                        drop(supervisor.restart_child(child).await);
                    }
                });
            }
            _ => {}
        }
        while under_way.try_join_next().is_some() {}
    }
    while let Some(done) = under_way.join_next().await {
        done.expect("no panic");
    }
}
