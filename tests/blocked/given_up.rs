//! An agent that blocks its thread is noticed, reported as leaked and replaced, and a busy one is not mistaken for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::gate::{Gate, Pool, SECOND_DEADLINE, block, system_of, told};
use steadfast::registry::selection::Selection;
use steadfast::testing::{Log, Order, Probe, Recorder, Script, resume, suspend};
use steadfast::{
    AgentSpec, Capability, ChildSpec, ExitReason, Incarnation, Intensity, RequestError, Strategy, SupervisorSpec,
    System,
};

/// Polls a future once.
async fn once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    let mut future = Some(future);
    poll_fn(move |cx| Poll::Ready(future.take().map_or(Poll::Pending, |future| future.poll(cx)))).await
}

/// What a probe is asked by capability.
#[derive(serde::Serialize, serde::Deserialize)]
struct Number(u64);

impl From<Number> for Order {
    fn from(Number(number): Number) -> Self {
        Self::Echo(number)
    }
}

const LIMIT: Duration = Duration::from_secs(30);

fn on(pool: &Pool, agent: AgentSpec<Probe>) -> AgentSpec<Probe> {
    agent.runtime(pool.handle()).handler_deadline(Duration::from_millis(300))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_agents_block_all_threads_of_their_runtime_the_supervisors_go_on_and_say_so_and_replacements_run_when_one_is_free()
 {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let with = |name, child: AgentSpec<Probe>| {
        SupervisorSpec::new(name, Strategy::OneForOne)
            .abandon_after(SECOND_DEADLINE)
            .intensity(Intensity::at_most(5))
            .child(child)
    };
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(ChildSpec::supervisor(with("left", on(&pool, Probe::spec("a", &log)))))
        .child(ChildSpec::supervisor(with("right", on(&pool, Probe::spec("b", &log)))))
        .child(ChildSpec::supervisor(with("other", Probe::spec("c", &log))));
    let (system, mut events) = system_of(spec).await;
    let agents = [Probe::at(&system, "root/left/a"), Probe::at(&system, "root/right/b")];
    assert!(system.is_ready());
    for agent in &agents {
        // The second life says to its supervisor that it has started, and with that blocks its thread.
        agent.tell(Order::Panic("so that a second life starts")).expect("there is room");
        agent.tell(block(&gate)).expect("there is room");
        agent.tell(Order::Echo(1)).expect("there is room");
    }
    gate.entered(2).await;

    for path in ["root/left/a", "root/right/b"] {
        told(&mut events, &format!("started {path} #2")).await;
        told(&mut events, &format!("leaked {path} #2")).await;
        told(&mut events, &format!("exited {path} #2 unresponsive")).await;
        told(&mut events, &format!("starting {path} #3")).await;
    }
    told(&mut events, "blocked agents").await;
    assert!(!system.is_ready(), "not while a runtime of the tree is blocked");
    // The supervisors are busy with those starts, which wait for a thread, and nobody else is.
    Probe::at(&system, "root/other/c").tell(Order::Panic("meanwhile")).expect("there is room");
    told(&mut events, "started root/other/c #2").await;
    assert!(!events.story().iter().any(|line| line.starts_with("started") && line.ends_with("#3")));

    gate.open();
    for (agent, path) in agents.iter().zip(["root/left/a", "root/right/b"]) {
        told(&mut events, &format!("started {path} #3")).await;
        told(&mut events, &format!("leak ended {path} #2")).await;
        assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 3);
        assert!(log.lines().contains(&format!("got {path} #3 echo 1")), "what waited behind reaches the third life");
    }
    told(&mut events, "free agents").await;
    assert!(system.is_ready());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_blocked_life_had_taken_reaches_the_next_one_and_its_askers_are_told_while_its_thread_is_still_blocked()
{
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(on(&pool, Probe::spec("a", &log)));
    let (system, mut events) = system_of(spec).await;
    let agent = Probe::at(&system, "root/a");
    // All in one batch: what blocks, and what comes behind it, wait while the agent is held up by an honest message.
    let (hold, go) = tokio::sync::oneshot::channel::<()>();
    agent.tell(Order::run(|_| Box::pin(async { Ok(go.await.map_or(1, |()| 0)) }))).expect("there is room");
    let asking = agent.ask_within(block(&gate), LIMIT);
    let mut asking = std::pin::pin!(asking);
    assert!(once(asking.as_mut()).await.is_pending(), "it is sent, and waits");
    for number in 1..=3 {
        agent.tell(Order::Echo(number)).expect("there is room");
    }
    hold.send(()).expect("the agent waits for it");
    let error = asking.await.expect_err("it blocks");
    match &error {
        RequestError::Exited { incarnation, reason: ExitReason::Unresponsive { .. }, .. } => {
            assert_eq!(incarnation.get(), 1);
        }
        other => panic!("{other}"),
    }
    assert_eq!(
        error.to_string(),
        "root/a, incarnation 1, was unresponsive: its code, which blocks its thread, made no progress for 300ms"
    );
    assert_eq!(agent.ask(Order::Which).await.expect("the other thread runs it"), 2);
    let got: Vec<_> = log.lines().into_iter().filter(|line| line.contains("echo")).collect();
    assert_eq!(got, ["got root/a #2 echo 1", "got root/a #2 echo 2", "got root/a #2 echo 3"]);
    assert!(!events.story().contains(&"leak ended root/a #1".to_owned()), "it blocks still");
    gate.open();
    told(&mut events, "leak ended root/a #1").await;
    let dropped = events.story().iter().filter(|line| line.starts_with("dropped")).count();
    assert_eq!(dropped, 1, "the one message that it was handling, and once");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_blocks_its_thread_is_given_up_and_does_not_take_the_slot_when_it_returns() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let script = {
        let gate = gate.clone();
        Script::new(&log).start(move |life| {
            if life.get() == 2 {
                gate.wait();
            }
            Ok(())
        })
    };
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(5))
        .child(on(&pool, Probe::scripted("a", script)));
    let (system, mut events) = system_of(spec).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(Order::Panic("so that a second life starts")).expect("there is room");
    told(&mut events, "leaked root/a #2").await;
    told(&mut events, "started root/a #3").await;
    gate.open();
    told(&mut events, "leak ended root/a #2").await;
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 3);
    assert_eq!(system.incarnation("root/a").map(Incarnation::get), Some(3));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_blocks_its_thread_ends_its_life_as_unresponsive() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(on(&pool, Probe::spec("a", &log)));
    let (system, mut events) = system_of(spec).await;
    let agent = Probe::at(&system, "root/a");
    let inside = gate.clone();
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            ctx.spawn(async move { inside.wait() });
            Ok(0)
        })
    });
    agent.ask(order).await.expect("the handler returns at once");
    let exit = events.exit("root/a").await;
    assert_eq!(
        exit.reason.to_string(),
        "was unresponsive: a task of it, which blocks its thread, made no progress for 300ms"
    );
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_agent_whose_every_message_keeps_its_thread_for_a_moment_is_never_called_hung() {
    let (log, pool) = (Log::default(), Pool::of("agents", 1));
    let busy = Probe::spec("a", &log).runtime(pool.handle()).handler_deadline(Duration::from_millis(500));
    let (system, mut events) =
        system_of(SupervisorSpec::new("root", Strategy::OneForOne).abandon_after(SECOND_DEADLINE).child(busy)).await;
    let agent = Probe::at(&system, "root/a");
    let moment = || {
        Order::run(|_| {
            Box::pin(async {
                std::thread::sleep(Duration::from_millis(1));
                Ok(0)
            })
        })
    };
    // Without an await point between them: one poll of the shell handles many, for far longer than the deadline.
    for _ in 0..1500 {
        agent.tell(moment()).expect("there is room");
    }
    assert_eq!(agent.ask_within(Order::Which, LIMIT).await.expect("a reply"), 1);
    let hung = |line: &String| line.starts_with("leaked") || line.starts_with("exited");
    assert!(!events.story().iter().any(hung), "{:#?}", events.story());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_keeps_its_thread_and_shows_progress_is_not_called_hung() {
    let (log, pool) = (Log::default(), Pool::of("agents", 1));
    let busy = Probe::spec("a", &log).runtime(pool.handle()).handler_deadline(Duration::from_millis(500));
    let (system, mut events) =
        system_of(SupervisorSpec::new("root", Strategy::OneForOne).abandon_after(SECOND_DEADLINE).child(busy)).await;
    let computes = Order::run(|ctx| {
        Box::pin(async move {
            for _ in 0..150 {
                std::thread::sleep(Duration::from_millis(10));
                ctx.progress();
            }
            Ok(7)
        })
    });
    assert_eq!(Probe::at(&system, "root/a").ask_within(computes, LIMIT).await.expect("a reply"), 7);
    assert!(!events.story().iter().any(|line| line.starts_with("leaked")), "{:#?}", events.story());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_watchdog_nothing_is_noticed_and_nothing_is_given_up() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 1));
    let agent = Probe::spec("a", &log).runtime(pool.handle()).handler_deadline(Duration::from_millis(50));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).abandon_after(SECOND_DEADLINE).child(agent);
    let system = System::builder().watchdog(None).start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system).limit(LIMIT);
    let agent = Probe::at(&system, "root/a");
    agent.tell(block(&gate)).expect("there is room");
    gate.entered(1).await;
    std::thread::sleep(Duration::from_millis(500));
    assert!(events.story().is_empty() && system.is_ready());
    gate.open();
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 1);
    system.shutdown().await.expect("an orderly end");
}

const ECHO: Capability<Number, u64> = Capability::new("test.echo", "1.0.0");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_found_to_hang_is_not_chosen_before_it_is_replaced_although_its_supervisor_is_busy() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let offering = |name| on(&pool, Probe::spec(name, &log)).offers(&ECHO);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(5))
        .child(offering("a"))
        .child(offering("b"));
    let (system, mut events) = system_of(spec).await;
    let route = system.route(&ECHO).selection(Selection::InOrder).build().expect("a route");
    assert_eq!(route.choose().expect("both are ready").chosen.as_str(), "root/a");
    suspend(&system, "root").expect("it is a supervisor");
    Probe::at(&system, "root/a").tell(block(&gate)).expect("there is room");
    gate.entered(1).await;
    let found = async {
        while route.choose().expect("one is ready").chosen.as_str() != "root/b" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, found).await.expect("the watchdog finds it");
    assert_eq!(system.incarnation("root/a").map(Incarnation::get), Some(1), "it is still there");

    resume(&system, "root").expect("it is a supervisor");
    told(&mut events, "started root/a #2").await;
    assert_eq!(route.choose().expect("both are ready").chosen.as_str(), "root/a");
    gate.open();
    system.shutdown().await.expect("an orderly end");
}
