//! Guarantee: what chaos did in a run is told as a plan, and the run under that plan alone goes the same way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::fault::{Chaos, Crash, Hop, MessageFault, PathPattern, Plan, Present, Skew};
use steadfast::testing::{FaultRun, Injector, Log, NotInjected, Order, Probe, Recorder, settled};
use steadfast::{AgentRef, Backoff, FaultPlan, Intensity, SeededEntropy, Strategy, SupervisorSpec, System, TokioClock};

const SECOND: Duration = Duration::from_secs(1);

/// What happened in a run: the faults, what the system told, and what the agents did, all with their times.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    fired: Vec<String>,
    events: Vec<String>,
    log: Vec<String>,
}

async fn tree(run: &Arc<FaultRun>, log: &Log, seed: u64) -> System {
    let probe = |name| Probe::spec(name, log).handler_deadline(2 * SECOND).backoff(Backoff::exponential(SECOND / 10));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10_000))
        .abandon_after(SECOND)
        .child(probe("a"))
        .child(probe("b"))
        .child(probe("c"));
    let entropy = SeededEntropy::new(seed, Arc::new(TokioClock));
    let builder = System::builder().faults(Arc::clone(run) as _).entropy(Arc::new(entropy));
    builder.service_intensity(Intensity::at_most(10_000)).start(spec).await.expect("the tree starts")
}

/// Twenty seconds in the life of three agents that are asked for something all the time.
async fn live(run: &Arc<FaultRun>, seed: u64) -> Story {
    let log = Log::default();
    let system = tree(run, &log, seed).await;
    let (_attended, mut events) = (run.attend(&system), Recorder::of(&system));
    let asks = ["a", "b", "c"].map(|name| {
        let agent: AgentRef<Probe> = Probe::at(&system, &format!("root/{name}"));
        tokio::spawn(async move {
            for number in 0..100 {
                let order = if number % 3 == 0 { Order::Wait(SECOND / 20) } else { Order::Echo(number) };
                let _ = agent.ask_within(order, SECOND).await;
                tokio::time::sleep(SECOND / 7).await;
            }
        })
    });
    tokio::time::sleep(20 * SECOND).await;
    for ask in asks {
        ask.abort();
    }
    let fired = run.fired().iter().map(|fired| format!("{:?} {} {:?}", fired.at, fired.fault, fired.who)).collect();
    let story = Story { fired, events: events.story(), log: log.lines() };
    drop(system);
    story
}

const CHAOS: &str = "panic 3% at before-message of root/*; hang 1% at during-message of root/**; error 5% at after-message of root/a; \
                     slow 70ms 5% at before-message of root/b from 1s to 9s; block 3s 1% at before-message of root/c; \
                     kill root/b 2% at after-message of root/a; kill root/* every 3s; kill system/* every 9s; kill root/nobody every 15ms; kill at 1s";

#[tokio::test(start_paused = true)]
async fn the_run_under_what_chaos_did_and_without_chaos_is_the_same_run() {
    let chaos = CHAOS.trim_end_matches("; kill at 1s");
    let plan = "panic at before-message of root/* #9; kill root/c at 4s";
    for seed in 0..12 {
        let swarm = if seed % 3 == 0 { "; swarm" } else { "" };
        let chaos: Chaos = format!("{chaos}{swarm}").parse().expect("chaos");
        let first = FaultRun::with_chaos(plan.parse().expect("a plan"), &chaos, seed);
        let story = live(&first, seed).await;
        let replay = first.fired_plan();
        let again = FaultRun::of(replay.clone());
        let same = live(&again, seed).await;
        assert!(!swarm.is_empty() || replay.faults.len() > 2, "{replay}");
        assert_eq!(story, same, "seed {seed}: {replay}");
        assert!(first.unfired().is_empty() && again.unfired().is_empty(), "{:?}", again.unfired());
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_something_to_do_at_the_very_moment_of_a_fault_comes_first_whichever_timer_was_set_first() {
    for before in ["", "kill root/nobody at 999ms; ", "kill root/nobody at 500ms; "] {
        let run = FaultRun::of(format!("{before}kill root/a at 1s").parse().expect("a plan"));
        let system = tree(&run, &Log::default(), 1).await;
        let _attended = run.attend(&system);
        settled().await;
        let agent = Probe::at(&system, "root/a");
        assert!(agent.ask(Order::Wait(Duration::from_millis(999))).await.is_ok(), "{before}");
        settled().await;
        assert_eq!(run.fired().last().map(|fired| fired.at), Some(SECOND));
        system.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_of_chaos_that_makes_no_sense_is_refused() {
    assert!(CHAOS.parse::<Chaos>().expect_err("the last line is none").to_string().contains("how likely"));
}

/// Writes down what it is to do. There are two nodes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, node: &str, text: String) -> Result<(), NotInjected> {
        if !["a", "b"].contains(&node) {
            return Err(NotInjected::because(format!("there is no node `{node}`; there are a and b")));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        Ok(())
    }
}

impl Injector for Notes {
    fn present(&self) -> Present {
        let path = "root/w".parse().expect("a path");
        Present::new(vec!["b".to_owned(), "a".to_owned()], vec![(Some("a".to_owned()), path)])
    }

    fn kill(&self, pattern: &PathPattern) -> Result<(), NotInjected> {
        self.note("a", format!("kill {pattern}"))
    }

    fn crash(&self, node: &str, how: Crash, down_for: Option<Duration>) -> Result<(), NotInjected> {
        self.note(node, format!("{how} {node} {down_for:?}"))
    }

    fn skew(&self, node: &str, by: Skew) -> Result<(), NotInjected> {
        self.note(node, format!("{node} {by:?}"))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_for_nodes_is_done_by_who_attends_and_what_cannot_be_done_is_told() {
    let plan = "crash a at 1s; power-cut b for 2s at 2s; tear a for ever at 3s; skew b 5ms behind at 4s; kill a:root/w at 5s; crash c at 6s; \
                crash * at before-message of a:root/w";
    let run = FaultRun::of(plan.parse().expect("a plan"));
    let (notes, log) = (Arc::new(Notes::default()), Log::default());
    let _attended = run.attend_with(Arc::clone(&notes) as _);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("w", &log));
    let [a, b] = [run.on_node("a"), run.on_node("b")];
    for (node, plan) in [("b", Arc::clone(&b)), ("a", a)] {
        let system = System::builder().faults(plan).start(spec.clone()).await.expect("the tree starts");
        Probe::at(&system, "root/w").tell(Order::Which).expect("there is room");
        settled().await;
        assert_eq!(log.take().contains(&"got root/w #1 which".to_owned()), node == "b", "on `a` it goes no further");
        let done = notes.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(done.contains(&"crash a Some(0ns)".to_owned()), node == "a", "{done:?}");
        system.shutdown().await.expect("an orderly end");
    }
    tokio::time::sleep(10 * SECOND).await;
    let done = notes.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let expected = [
        "crash a Some(0ns)",
        "crash a Some(0ns)",
        "power-cut b Some(2s)",
        "tear a None",
        "b Behind(5ms)",
        "kill a:root/w",
    ];
    assert_eq!(done, expected);
    let unfired: Vec<_> = run.unfired().iter().map(ToString::to_string).collect();
    assert_eq!(unfired, ["`crash c at 6s` never came: there is no node `c`; there are a and b"]);
    assert_eq!(b.on_hop(&Hop::new("a", "b", "x")), None);
    let who: Vec<_> = run.fired().iter().filter_map(|fired| fired.who.clone()?.node).collect();
    assert_eq!(who, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn in_one_system_there_is_no_node_and_a_plan_for_one_says_so() {
    let plan = "crash a at 1s; skew a 1s ahead at 1s; kill a:root/b at 1s; crash * at before-message of root/a";
    let run = FaultRun::of(plan.parse().expect("a plan"));
    let system = tree(&run, &Log::default(), 1).await;
    let _attended = run.attend(&system);
    Probe::at(&system, "root/a").ask(Order::Which).await.expect("a reply");
    tokio::time::sleep(2 * SECOND).await;
    let told: Vec<_> = run.unfired().iter().map(|unfired| unfired.nearest.clone()).collect();
    let no_node = |node: &str| format!("there is one system here, and no node `{node}`");
    assert_eq!(told, [no_node("a"), no_node("a"), no_node("a"), no_node("*")]);
    assert!(run.fired().is_empty() && run.fired_plan() == Plan::default());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn messages_between_nodes_meet_the_faults_of_their_link_whichever_node_asks() {
    let run =
        FaultRun::of("partition at link a to b from 1s to 2s; duplicate at link b to a #2".parse().expect("a plan"));
    let [a, b] = [run.on_node("a"), run.on_node("b")];
    let there = |node: &Arc<dyn FaultPlan>| node.on_hop(&Hop::new("a", "b", "x"));
    let back = |node: &Arc<dyn FaultPlan>| node.on_hop(&Hop::new("b", "a", "x"));
    assert_eq!([there(&a), back(&a), back(&b)], [None, None, Some(MessageFault::Duplicate)]);
    tokio::time::sleep(SECOND).await;
    assert_eq!([there(&a), there(&b), back(&b)], [Some(MessageFault::Drop), Some(MessageFault::Drop), None]);
    tokio::time::sleep(SECOND).await;
    assert_eq!(there(&a), None);
    assert_eq!(run.fired().len(), 3);
}
