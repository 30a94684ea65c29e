//! `ctx.blocking` is where work that blocks its thread holds up nobody.

use std::sync::mpsc;
use std::time::Duration;

use steadfast::testing::{Log, Order, Probe};
use steadfast::{AgentSpec, ExitReason, Intensity, Strategy, SupervisorSpec, TellError};

use crate::gate::{Gate, Pool, system_of, told};

const LIMIT: Duration = Duration::from_secs(30);

/// One thread for both agents.
fn pair(pool: &Pool, log: &Log, deadline: Duration) -> SupervisorSpec {
    let on = |agent: AgentSpec<Probe>| agent.runtime(pool.handle()).handler_deadline(deadline);
    SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(5))
        .child(on(Probe::spec("a", log)))
        .child(on(Probe::spec("b", log)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_on_the_blocking_pool_gives_its_value_and_holds_up_nobody_on_the_agents_runtime() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 1));
    let (system, mut events) = system_of(pair(&pool, &log, LIMIT)).await;
    let inside = gate.clone();
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            let waits = move || {
                inside.wait();
                7
            };
            Ok(ctx.blocking(move |_| waits()).await)
        })
    });
    let asked = tokio::spawn({
        let agent = Probe::at(&system, "root/a");
        async move { agent.ask_within(order, LIMIT).await }
    });
    gate.entered(1).await;
    assert_eq!(Probe::at(&system, "root/b").ask(Order::Which).await.expect("the thread is free"), 1);
    gate.open();
    assert_eq!(asked.await.expect("no panic").expect("a reply"), 7);
    assert!(events.story().is_empty(), "{:#?}", events.story());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awaited_in_a_task_the_agent_handles_other_messages_meanwhile() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 1));
    let (system, _) = system_of(pair(&pool, &log, LIMIT)).await;
    let agent = Probe::at(&system, "root/a");
    let (inside, (done, result)) = (gate.clone(), tokio::sync::oneshot::channel());
    let order = Order::run(move |ctx| {
        let work = ctx.blocking(move |_| {
            inside.wait();
            7
        });
        ctx.spawn(async move {
            let _ = done.send(work.await);
        });
        Box::pin(async { Ok(0) })
    });
    agent.ask(order).await.expect("at once");
    gate.entered(1).await;
    assert_eq!(agent.ask(Order::Which).await.expect("it answers meanwhile"), 1);
    gate.open();
    assert_eq!(result.await, Ok(7));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_closure_is_the_agents_panic() {
    let (log, pool) = (Log::default(), Pool::of("agents", 1));
    let (system, mut events) = system_of(pair(&pool, &log, LIMIT)).await;
    let order = Order::run(|ctx| Box::pin(async move { Ok(ctx.blocking(|_| panic!("on the blocking pool")).await) }));
    let error = Probe::at(&system, "root/a").ask(order).await.expect_err("it panics");
    assert_eq!(error.to_string(), "root/a, incarnation 1, panicked: on the blocking pool");
    told(&mut events, "started root/a #2").await;
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_outlives_its_life_is_fenced_and_reported_as_leaked_until_it_returns() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 1));
    let (system, mut events) = system_of(pair(&pool, &log, Duration::from_millis(200))).await;
    let (report, reports) = mpsc::channel();
    let (inside, peer) = (gate.clone(), Probe::at(&system, "root/b"));
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            let work = ctx.blocking(move |work| {
                let before = (work.is_wanted(), peer.tell(Order::Echo(1)).is_ok());
                inside.wait();
                let after = peer.tell(Order::Echo(2));
                let _ = report.send((before, (work.is_wanted(), matches!(after, Err(TellError::Fenced { .. })))));
            });
            work.await;
            Ok(0)
        })
    });
    let error = Probe::at(&system, "root/a").ask_within(order, LIMIT).await.expect_err("its deadline passes");
    assert_eq!(
        error.to_string(),
        "root/a, incarnation 1, was unresponsive: its handler made no progress for 200ms",
        "the thread of the agent is free: the shell itself sees it"
    );
    told(&mut events, "leaked root/a #1").await;
    told(&mut events, "started root/a #2").await;
    assert!(system.is_ready());
    gate.open();
    told(&mut events, "leak ended root/a #1").await;
    assert_eq!(reports.recv().expect("a report"), ((true, true), (false, true)));
    assert_eq!(Probe::at(&system, "root/b").ask(Order::Which).await.expect("a reply"), 1);
    let got: Vec<_> = log.lines().into_iter().filter(|line| line.contains("echo")).collect();
    assert_eq!(got, ["got root/b #1 echo 1"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_in_a_closure_counts_for_the_handler_that_waits_for_it_and_for_no_other() {
    let (log, pool) = (Log::default(), Pool::of("agents", 1));
    let (system, mut events) = system_of(pair(&pool, &log, Duration::from_millis(400))).await;
    let agent = Probe::at(&system, "root/a");
    let beats = Order::run(|ctx| {
        Box::pin(async move {
            let work = ctx.blocking(|work| {
                for _ in 0..120 {
                    std::thread::sleep(Duration::from_millis(10));
                    work.progress();
                }
                7
            });
            Ok(work.await)
        })
    });
    assert_eq!(agent.ask_within(beats, LIMIT).await.expect("a reply, after thrice the deadline"), 7);

    let beside = Order::run(|ctx| {
        let work = ctx.blocking(|work| {
            while work.is_wanted() {
                std::thread::sleep(Duration::from_millis(5));
                work.progress();
            }
        });
        ctx.spawn(work);
        Box::pin(std::future::pending())
    });
    agent.tell(beside).expect("there is room");
    let exit = events.exit("root/a").await;
    assert!(matches!(exit.reason, ExitReason::Unresponsive { .. }), "{}", exit.reason);
    told(&mut events, "started root/a #2").await;
    system.shutdown().await.expect("an orderly end");
}
