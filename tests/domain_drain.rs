//! Guarantee: an agent that is ended through its domain drains first: its tasks may finish, at most for so long; it takes
//! nothing new meanwhile, and what waits goes to another provider where its route says so.

use std::time::{Duration, Instant};

use steadfast::message::{DeadReason, Filter};
use steadfast::registry::selection::Selection;
use steadfast::testing::{Log, settled};
use steadfast::{
    Agent, AgentRef, AgentSpec, AtDeath, BoxError, Capability, ChildSpec, Context, DomainSpec, Intensity, Route,
    StateName, Strategy, SupervisorSpec, System, TellError,
};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

const WORK: Capability<u64, String> = Capability::new("test.work", "1.0.0");

/// From this number on a message begins a task, which takes as many seconds more.
const TASK: u64 = 100;
/// From this number on the handler itself takes as many seconds more.
const SLOW: u64 = 200;

struct Worker(Log);

struct Reply(String);

impl From<Reply> for String {
    fn from(Reply(text): Reply) -> Self {
        text
    }
}

impl Agent for Worker {
    type Args = Log;
    type Message = u64;
    type Reply = Reply;

    async fn start(log: Log, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(log))
    }

    async fn handle(&mut self, number: u64, ctx: &mut Context<Self>) -> Result<Reply, BoxError> {
        let name = ctx.path().name().to_owned();
        self.0.write(format!("{name} got {number}"));
        if number >= SLOW {
            tokio::time::sleep(Duration::from_secs(number - SLOW)).await;
        } else if number >= TASK {
            let (log, name) = (self.0.clone(), name.clone());
            ctx.spawn(async move {
                tokio::time::sleep(Duration::from_secs(number - TASK)).await;
                log.write(format!("{name} is done"));
            });
        }
        Ok(Reply(name))
    }
}

fn worker(name: &str, log: &Log) -> AgentSpec<Worker> {
    ChildSpec::agent::<Worker>(name, log.clone()).offers(&WORK)
}

/// A domain `a` with these workers, and one outside of it, which is asked last.
async fn begun(names: &[&str], log: &Log) -> System {
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100));
    let system = System::start(root).await.expect("the tree starts");
    let template = log.clone();
    let domain = DomainSpec::new("a").template("w", move |_| worker("any", &template));
    let domain = names.iter().fold(domain, |domain, name| domain.agent(worker(name, log)));
    system.add_domain(domain).await.expect("it starts");
    system.supervisor("root").expect("it is one").start_child(worker("z", log)).await.expect("it starts");
    system
}

fn at(system: &System, path: &str) -> AgentRef<Worker> {
    system.agent(path).expect("it is there")
}

fn since(system: &System, began: Instant) -> Duration {
    system.clock().now().saturating_duration_since(began)
}

fn route(system: &System) -> Route<u64, String> {
    let route = system.route(&WORK).selection(Selection::InOrder).within(60 * SECOND);
    route.at_death(AtDeath::Elsewhere).build().expect("a route")
}

/// Asks by the route, and lets the question be where it goes.
async fn asked(route: &Route<u64, String>, number: u64) -> JoinHandle<String> {
    let route = route.clone();
    let asks = tokio::spawn(async move { route.ask(number).await.expect("a reply") });
    settled().await;
    asks
}

/// Lets two questions wait at the first of these, and wakes the last. All of them are suspended for it.
async fn two_wait(system: &System, paths: &[&str]) -> [JoinHandle<String>; 2] {
    for path in paths {
        system.suspend(path).await.expect("it is active");
    }
    let route = route(system);
    let asks = [asked(&route, 1).await, asked(&route, 2).await];
    system.resume(paths.last().expect("there are some")).await.expect("it is suspended");
    settled().await;
    assert!(asks.iter().all(|ask| !ask.is_finished()), "they wait at `{}`", paths[0]);
    asks
}

async fn replies(asks: [JoinHandle<String>; 2]) -> [String; 2] {
    let [one, two] = asks;
    [one.await.expect("no panic"), two.await.expect("no panic")]
}

/// Whether an agent refuses since it drains.
fn drains(system: &System, path: &str) -> bool {
    let refuses = matches!(at(system, path).tell(3), Err(TellError::Draining { .. }));
    refuses && system.state(path).expect("it is there").name() == StateName::Draining
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_terminated_finishes_its_tasks_and_hands_over_what_waits_and_takes_nothing_new() {
    let log = Log::default();
    let system = begun(&["one", "two"], &log).await;
    let (began, domain) = (system.clock().now(), system.domain("a").expect("it is there"));
    at(&system, "root/a/one").ask(TASK + 4).await.expect("it begins a task");
    let asks = two_wait(&system, &["root/a/one", "root/z", "root/a/two"]).await;
    at(&system, "root/a/one").tell(9).expect("there is room");
    let ends = tokio::spawn(async move { domain.terminate("one", 10 * SECOND).await });
    assert_eq!(replies(asks).await, ["two", "two"]);
    assert!(drains(&system, "root/a/one"));
    assert!(since(&system, began) < SECOND, "nothing waits for the tasks but the drain");
    assert_eq!(route(&system).ask(4).await.expect("a reply"), "two");
    tokio::time::sleep(Duration::from_millis(3999).saturating_sub(since(&system, began))).await;
    assert!(!ends.is_finished() && drains(&system, "root/a/one"), "its task is not done");
    ends.await.expect("no panic").expect("it ends");
    assert_eq!(since(&system, began), 4 * SECOND);
    assert!(log.take().contains(&"one is done".to_owned()) && system.state("root/a/one").is_err());
    // What was told to it alone has nowhere else to go.
    let gone = system.dead_letters(&Filter::all().because(DeadReason::Gone));
    assert_eq!((gone.len(), system.dead_letter_counts().total()), (1, 1));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_terminated_drains_at_most_for_so_long() {
    let log = Log::default();
    let system = begun(&["one"], &log).await;
    at(&system, "root/a/one").ask(TASK + 10).await.expect("it begins a task");
    let began = system.clock().now();
    system.terminate("a", "one", 2 * SECOND).await.expect("it ends");
    assert_eq!(since(&system, began), 2 * SECOND);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(log.take(), ["one got 110"], "its task has ended with it");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_agents_of_a_domain_that_is_removed_drain_all_at_once_and_hand_over_what_waits() {
    let log = Log::default();
    let system = begun(&["one", "two"], &log).await;
    let (began, removing) = (system.clock().now(), system.clone());
    at(&system, "root/a/one").ask(TASK + 4).await.expect("it begins a task");
    at(&system, "root/a/two").ask(TASK + 3).await.expect("it begins a task");
    let asks = two_wait(&system, &["root/a/one", "root/a/two", "root/z"]).await;
    let ends = tokio::spawn(async move { removing.remove_domain("a", 10 * SECOND).await });
    assert_eq!(replies(asks).await, ["z", "z"]);
    assert!(drains(&system, "root/a/one") && drains(&system, "root/a/two"));
    assert!(since(&system, began) < SECOND, "nothing waits for the tasks but the drain");
    tokio::time::sleep(Duration::from_millis(3999).saturating_sub(since(&system, began))).await;
    assert!(!ends.is_finished() && drains(&system, "root/a/two"), "one of them has a task");
    ends.await.expect("no panic").expect("it ends");
    assert_eq!(since(&system, began), 4 * SECOND);
    let done: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("is done")).collect();
    assert_eq!(done, ["two is done", "one is done"]);
    assert!(system.domain("a").is_err() && system.state("root/a/one").is_err());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_is_removed_drains_at_most_for_so_long_for_all_its_agents() {
    let log = Log::default();
    let system = begun(&["one", "two"], &log).await;
    for path in ["root/a/one", "root/a/two"] {
        at(&system, path).ask(TASK + 10).await.expect("it begins a task");
    }
    let began = system.clock().now();
    system.remove_domain("a", 2 * SECOND).await.expect("it ends");
    assert_eq!(since(&system, began), 2 * SECOND);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(log.take().len(), 2, "their tasks have ended with them");
    system.shutdown().await.expect("an orderly end");
}

/// It is not drained: it ends by its shutdown rule, which lets the running handler return, and no task finish.
#[tokio::test(start_paused = true)]
async fn an_agent_that_is_scaled_away_returns_from_its_handler_and_hands_over_what_waits_and_waits_for_no_task() {
    let log = Log::default();
    let system = begun(&[], &log).await;
    let domain = system.domain("a").expect("it is there");
    domain.scale(2).await.expect("there is room");
    let last = at(&system, "root/a/w-2");
    last.ask(TASK + 4).await.expect("it begins a task");
    system.suspend("root/a/w-1").await.expect("it is active");
    let route = route(&system);
    let began = system.clock().now();
    last.tell(SLOW + 2).expect("there is room");
    settled().await;
    let asks = [asked(&route, 1).await, asked(&route, 2).await];
    system.resume("root/a/w-1").await.expect("it is suspended");
    assert_eq!(domain.scale(1).await.expect("it ends"), 2);
    assert_eq!(since(&system, began), 2 * SECOND, "so long takes its handler");
    assert_eq!(replies(asks).await, ["w-1", "w-1"]);
    tokio::time::sleep(10 * SECOND).await;
    let lines = log.take();
    assert!(!lines.iter().any(|line| line.ends_with("is done")), "{lines:?}");
    assert_eq!(system.dead_letter_counts().total(), 0);
    system.shutdown().await.expect("an orderly end");
}
