//! Guarantee: from the moment that an agent is told to drain, or ends, no new work is lost: it is refused to those who named
//! the agent, goes to others, or waits for the next life; and what runs is cut off when the time to drain is over.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use steadfast::lifecycle::hook::On;
use steadfast::message::Filter;
use steadfast::registry::selection::Selection;
use steadfast::testing::{Recorder, VirtualClock, settled};
use steadfast::{
    Agent, AgentRef, AgentSpec, AtDeath, Backoff, BoxError, Capability, ChildSpec, Context, ControlError, ExitReason,
    Intensity, RequestError, Restart, Route, StateName, Strategy, SupervisorSpec, System, TellError,
};

const SECOND: Duration = Duration::from_secs(1);
const WORK: Capability<u64, String> = Capability::new("test.work", "1.0.0");

/// What a worker takes; others send numbers.
#[derive(Debug)]
enum Job {
    Number(u64),
    /// Fills a place in the mailbox.
    Filler,
}

impl From<u64> for Job {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

const END_ITSELF: u64 = 10;
const CRASH: u64 = 13;
/// Leaves a task of a second behind.
const TASK: u64 = 14;
/// Takes five seconds, and crashes.
const FUSE: u64 = 15;
/// Takes five seconds.
const LONG: u64 = 16;

/// Its stop takes two seconds.
struct Worker;

impl Agent for Worker {
    type Args = ();
    type Message = Job;
    type Reply = String;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        let Job::Number(number) = job else { return Ok("filler".to_owned()) };
        match number {
            END_ITSELF => ctx.stop(ExitReason::Normal),
            CRASH => return Err("as it was asked".into()),
            TASK => drop(ctx.spawn(tokio::time::sleep(SECOND))),
            FUSE => {
                tokio::time::sleep(5 * SECOND).await;
                return Err("the fuse has burnt down".into());
            }
            LONG => tokio::time::sleep(5 * SECOND).await,
            _ => {}
        }
        Ok(format!("{} #{} {number}", ctx.path().name(), ctx.incarnation()))
    }

    async fn stop(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        tokio::time::sleep(2 * SECOND).await;
    }
}

fn worker(name: &str) -> AgentSpec<Worker> {
    ChildSpec::agent(name, ()).offers(&WORK)
}

fn root(strategy: Strategy, children: impl IntoIterator<Item = AgentSpec<Worker>>) -> SupervisorSpec {
    let root = SupervisorSpec::new("root", strategy).intensity(Intensity::at_most(1_000_000));
    children.into_iter().fold(root, SupervisorSpec::child)
}

async fn start(children: impl IntoIterator<Item = AgentSpec<Worker>>) -> System {
    System::start(root(Strategy::OneForOne, children)).await.expect("the tree starts")
}

fn route(system: &System, fate: AtDeath) -> Route<u64, String> {
    let route = system.route(&WORK).selection(Selection::InOrder).within(60 * SECOND);
    route.at_death(fate).build().expect("a route")
}

fn agent(system: &System, path: &str) -> AgentRef<Worker> {
    system.agent(path).expect("it is there")
}

fn dead(system: &System) -> Vec<String> {
    let letters = system.dead_letters(&Filter::all()).into_iter();
    let receiver = |path: Option<steadfast::Path>| path.map_or("nobody".to_owned(), |path| path.to_string());
    let kind = |name: &'static str| name.rsplit("::").next().unwrap_or(name);
    letters.map(|dead| format!("{} to {} ({})", dead.why, receiver(dead.receiver), kind(dead.message))).collect()
}

fn ask(route: &Route<u64, String>, number: u64) -> tokio::task::JoinHandle<Result<String, RequestError>> {
    let route = route.clone();
    tokio::spawn(async move { route.ask(number).await })
}

#[tokio::test(start_paused = true)]
async fn no_new_work_comes_once_an_agent_is_told_to_drain_although_its_handler_runs_on() {
    let system = start([worker("a"), worker("b")]).await;
    let route = route(&system, AtDeath::Elsewhere);
    let (running, waiting) = (ask(&route, LONG), ask(&route, 1));
    settled().await;
    let drain = tokio::spawn({
        let system = system.clone();
        async move { system.drain("root/a", 60 * SECOND).await }
    });
    settled().await;
    assert!(matches!(agent(&system, "root/a").tell(Job::Filler), Err(TellError::Draining { .. })));
    assert_eq!(waiting.await.expect("no panic").expect("a reply"), "b #1 1", "what waited is handed over at once");
    assert_eq!(route.ask(2).await.expect("a reply"), "b #1 2");
    assert!(!drain.is_finished(), "the handler runs on");
    assert_eq!(running.await.expect("no panic").expect("a reply"), "a #1 16");
    drain.await.expect("no panic").expect("it drains");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_longer_than_the_time_to_drain_is_cut_off_and_that_is_no_failure() {
    for restart in [Restart::Permanent, Restart::Transient] {
        let system = start([worker("a").restart(restart)]).await;
        let route = route(&system, AtDeath::Stay);
        let mut events = Recorder::of(&system);
        let (running, waiting) = (ask(&route, LONG), ask(&route, 1));
        settled().await;
        let clock = VirtualClock::new();
        system.drain("root/a", 2 * SECOND).await.expect("it has ended by then");
        assert_eq!(clock.elapsed(), 2 * SECOND);
        let cut = running.await.expect("no panic").expect_err("it was cut off");
        assert_eq!(cut.to_string(), "root/a, incarnation 1, was stopped: its time to drain was over");
        let waited = waiting.await.expect("no panic");
        if restart == Restart::Permanent {
            assert_eq!(waited.expect("a reply"), "a #2 1");
            assert!(events.story().contains(&"drained root/a #1".to_owned()));
        } else {
            assert!(matches!(waited, Err(RequestError::Gone { .. })), "{waited:?}");
        }
        assert_eq!(system.restarts().total, 0, "{restart:?}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_a_hook_refuses_leaves_the_agent_as_it_was() {
    for suspended in [false, true] {
        let refuse = |_, _| async { Err("not today".into()) };
        let system = start([worker("a").hook_before("refuse", On::Entering(StateName::Draining), refuse)]).await;
        if suspended {
            system.suspend("root/a").await.expect("it is active");
        }
        let error = system.drain("root/a", SECOND).await.expect_err("a hook refuses it");
        assert!(matches!(error, ControlError::Change { .. }), "{error}");
        let route = route(&system, AtDeath::Stay);
        let asked = ask(&route, 1);
        settled().await;
        assert_eq!(asked.is_finished(), !suspended);
        if suspended {
            system.resume("root/a").await.expect("it is suspended");
        }
        assert_eq!(asked.await.expect("no panic").expect("a reply"), "a #1 1");
        assert_eq!(dead(&system), [""; 0]);
        system.shutdown().await.expect("an orderly end");
    }
}

/// An agent that is on the way to its next life for these reasons.
async fn on_the_way(why: &str) -> System {
    match why {
        "a hook runs since it drains" => {
            let slow = |_, _| async {
                tokio::time::sleep(SECOND).await;
                Ok(())
            };
            let system = start([worker("a").hook_after("slow", On::Entering(StateName::Draining), slow)]).await;
            let drain = system.clone();
            tokio::spawn(async move { drain.drain("root/a", 9 * SECOND).await });
            system
        }
        "it is put to rest" => {
            let system = start([worker("a").lazy(10 * SECOND)]).await;
            route(&system, AtDeath::Stay).ask(1).await.expect("a reply");
            tokio::time::sleep(11 * SECOND).await;
            system
        }
        "it stops itself" => {
            let system = start([worker("a")]).await;
            route(&system, AtDeath::Stay).ask(END_ITSELF).await.expect("a reply");
            system
        }
        _ => {
            let spec = root(Strategy::OneForAll, [worker("a")]).child(ChildSpec::agent::<Worker>("x", ()));
            let system = System::start(spec).await.expect("the tree starts");
            agent(&system, "root/x").tell(Job::Number(CRASH)).expect("there is room");
            system
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_on_the_way_to_another_life_is_waited_for_by_routes_as_by_those_who_name_it() {
    for why in ["a hook runs since it drains", "it is put to rest", "it stops itself", "its sibling crashed"] {
        let system = on_the_way(why).await;
        settled().await;
        assert_eq!(system.state("root/a").expect("it is there").name(), StateName::Draining, "{why}");
        let route = route(&system, AtDeath::Stay);
        route.tell(2).unwrap_or_else(|error| panic!("{why}: {error}"));
        let asked = [
            ask(&route, 3),
            tokio::spawn({
                let system = system.clone();
                async move { system.ask_within(&WORK, 4, 60 * SECOND).await }
            }),
        ];
        for (asked, number) in asked.into_iter().zip([3, 4]) {
            let reply = asked.await.expect("no panic").unwrap_or_else(|error| panic!("{why}: {error}"));
            assert_eq!(reply, format!("a #2 {number}"), "{why}");
        }
        assert_eq!(dead(&system), [""; 0], "{why}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn whether_another_life_follows_a_drain_goes_by_the_rules_that_an_update_left() {
    for (before, after) in [(Restart::Permanent, Restart::Transient), (Restart::Transient, Restart::Permanent)] {
        let spec = |restart| root(Strategy::OneForOne, [worker("a").restart(restart)]);
        let system = System::start(spec(before)).await.expect("the tree starts");
        let route = route(&system, AtDeath::Stay);
        route.ask(TASK).await.expect("a reply");
        system.supervisor("root").expect("it is there").update(spec(after)).await.expect("it is right");
        system.drain("root/a", 9 * SECOND).await.expect("it is active");
        let asked = route.ask(2).await;
        if after == Restart::Permanent {
            assert_eq!(asked.expect("a reply"), "a #2 2");
        } else {
            assert!(matches!(asked, Err(RequestError::NoProvider { .. })), "{asked:?}");
        }
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_return_at_a_death_does_not_wait_at_one_who_drains_and_waits_at_one_who_has_ended() {
    let slow = |_, _| async {
        tokio::time::sleep(SECOND).await;
        Ok(())
    };
    let system = start([worker("a").hook_before("slow", On::Entering(StateName::Terminated), slow)]).await;
    let route = route(&system, AtDeath::Return);
    route.ask(TASK).await.expect("a reply");
    system.drain("root/a", 9 * SECOND).await.expect("it is active");
    let told = route.tell(1).expect_err("it would come back at the end of this life");
    assert!(matches!(told, RequestError::Draining { .. }), "{told}");
    assert_eq!(dead(&system), ["refused to root/a (Job)"]);

    tokio::time::sleep(9 * SECOND).await;
    route.ask(CRASH).await.expect_err("it crashes");
    assert_eq!(system.incarnation("root/a"), None, "its hook takes a second");
    route.tell(2).expect("it is for the next life");
    assert_eq!(route.ask(3).await.expect("a reply"), "a #3 3");
    assert_eq!(dead(&system).len(), 1, "as before");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_begun_is_no_dead_letter_whatever_becomes_of_another_attempt() {
    for fate in [AtDeath::Stay, AtDeath::Elsewhere, AtDeath::Return] {
        for full in [false, true] {
            let spec = worker("a").backoff(Backoff::constant(3 * SECOND)).mailbox(1);
            let system = start([spec]).await;
            let within = if full { 8 } else { 7 } * SECOND;
            let route = system.route(&WORK).within(within).at_death(fate).idempotent().build().expect("a route");
            let asked = ask(&route, FUSE);
            settled().await;
            if full {
                // It stays in the mailbox over the gap.
                agent(&system, "root/a").tell(Job::Filler).expect("there is room");
            }
            let error = asked.await.expect("no panic").expect_err("its handler crashed");
            let is_told = matches!(error, RequestError::Exited { .. }) || matches!(error, RequestError::Timeout { .. });
            assert!(is_told, "{fate}, {full}: {error}");
            tokio::time::sleep(9 * SECOND).await;
            assert_eq!(dead(&system), [""; 0], "{fate}, {full}");
            system.shutdown().await.expect("an orderly end");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_back_when_its_asker_has_gone_is_a_dead_letter() {
    for fate in [AtDeath::Elsewhere, AtDeath::Return] {
        let system = start([worker("a"), worker("b")]).await;
        let route = route(&system, fate);
        route.tell(FUSE).expect("there is room");
        settled().await;
        let mut asked: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin({
            let route = route.clone();
            async move { route.ask(7).await }
        });
        let polled = std::future::poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_ready())).await;
        assert!(!polled, "it waits");
        // The life dies; nobody polls the asker between that and its end.
        tokio::time::sleep(6 * SECOND).await;
        drop(asked);
        assert_eq!(dead(&system), ["gone to root/a (Job)"], "{fate}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_the_same_dead_letter_whatever_the_route_does_at_a_death() {
    for fate in [AtDeath::Stay, AtDeath::Elsewhere, AtDeath::Return] {
        let system = start([worker("a").mailbox(1), worker("b").mailbox(1)]).await;
        let route = system.route(&WORK).selection(Selection::InOrder).within(SECOND).at_death(fate).build();
        let route = route.expect("a route");
        for path in ["root/a", "root/b"] {
            system.suspend(path).await.expect("it is active");
            agent(&system, path).tell(Job::Filler).expect("there is room");
        }
        let told = route.tell(1).expect_err("there is no room");
        assert_eq!(told.to_string(), "the mailbox of `root/a` is full (1 messages)", "{fate}");
        route.ask(2).await.expect_err("there is no room");
        assert_eq!(dead(&system), ["refused to root/a (Job)"; 2], "{fate}");
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_came_to_nobody_and_is_refused_when_it_is_sent_again_is_of_who_refused_it() {
    let system = start([]).await;
    route(&system, AtDeath::Stay).tell(7).expect_err("nobody is there");
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.start_child(worker("a").mailbox(1)).await.expect("it starts");
    system.suspend("root/a").await.expect("it is active");
    agent(&system, "root/a").tell(Job::Filler).expect("there is room");
    let error = system.send_again(system.dead_letters(&Filter::all())[0].id).expect_err("there is no room");
    assert!(error.to_string().contains("the mailbox of `root/a` is full (1 messages)"), "{error}");
    assert_eq!(dead(&system), ["refused to root/a (Job)"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_time_takes_nobodys_turn() {
    let system = start([worker("a"), worker("b")]).await;
    let route = system.route(&WORK).selection(Selection::RoundRobin).build().expect("a route");
    let mut decisions = system.decisions();
    let error = route.ask_within(1, Duration::ZERO).await.expect_err("there is no time");
    assert!(matches!(error, RequestError::Expired { .. }), "{error}");
    assert_eq!(decisions.try_next().expect("nothing was missed").map(|event| event.path.clone()), None);
    assert_eq!(route.pick().expect("somebody").path().as_str(), "root/a");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_idle_agent_that_has_no_time_to_drain_ends_in_order_and_its_hooks_run() {
    let log = steadfast::testing::Log::default();
    let noting = log.clone();
    let system = start([worker("a").hook_before("note", On::Any, move |_, change| {
        noting.write(change.to_string());
        async { Ok(()) }
    })])
    .await;
    settled().await;
    log.take().clear();
    let mut events = Recorder::of(&system);
    system.drain("root/a", Duration::ZERO).await.expect("it is active");
    events.started("root/a", 2).await;
    assert_eq!(log.take()[..2], ["active to draining", "draining to terminated"].map(str::to_owned));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_changes_nothing_of_the_first() {
    let system = start([worker("a")]).await;
    let route = route(&system, AtDeath::Stay);
    route.ask(TASK).await.expect("a reply");
    system.drain("root/a", 9 * SECOND).await.expect("it is active");
    let again = system.drain("root/a", SECOND / 10).await.expect_err("it drains");
    assert!(matches!(again, ControlError::Change { .. }), "{again}");
    assert!(matches!(agent(&system, "root/a").tell(Job::Filler), Err(TellError::Draining { .. })));
    assert_eq!(route.ask(2).await.expect("a reply"), "a #2 2");
    assert_eq!(dead(&system), [""; 0]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ends_itself_for_good_is_not_chosen_any_more() {
    let system = start([worker("a").restart(Restart::Transient)]).await;
    let route = route(&system, AtDeath::Stay);
    route.ask(END_ITSELF).await.expect("a reply");
    settled().await;
    assert_eq!(system.state("root/a").expect("it is there").name(), StateName::Draining);
    let error = route.tell(1).expect_err("it does not come back");
    assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    system.shutdown().await.expect("an orderly end");
}

/// In real time, for what is only seen where two do something at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn while_agents_drain_again_and_again_no_route_loses_or_refuses_a_message() {
    let quick = |name: &str| ChildSpec::serve(name, WORK, |_, n: u64| async move { Ok(n.to_string()) });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(1_000_000));
    let system = System::start(spec.child(quick("a")).child(quick("b"))).await.expect("the tree starts");
    let drains = tokio::spawn({
        let system = system.clone();
        async move {
            for _ in 0..300 {
                drop(system.drain("root/a", SECOND).await);
                tokio::task::yield_now().await;
            }
        }
    });
    let of = |fate| system.route(&WORK).selection(Selection::RoundRobin).at_death(fate).build().expect("a route");
    let routes = [of(AtDeath::Stay), of(AtDeath::Elsewhere)];
    while !drains.is_finished() {
        for route in &routes {
            route.ask(1).await.expect("a reply");
            route.tell(2).expect("it is taken");
        }
    }
    drains.await.expect("no panic");
    assert_eq!(system.dead_letter_counts().total(), 0);
    system.shutdown().await.expect("an orderly end");
}
