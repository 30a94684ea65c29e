//! Nothing that a life does through steadfast has an effect once it was given up, one test for each kind of effect.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use steadfast::seam::{AppendAt, JournalError};
use steadfast::testing::{Log, Order, Probe};
use steadfast::{
    Agent, AgentRef, BoxError, Capability, CheckpointError, ChildError, ChildSpec, Context, EventKind, Intensity,
    RequestError, RunId, StateName, Strategy, StreamId, SupervisorSpec, TellError,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::gate::{Gate, Pool, SECOND_DEADLINE, block, system_of, told};

const DOUBLE: Capability<u64, u64> = Capability::new("math.double", "1.0.0");
const LIMIT: Duration = Duration::from_secs(30);

/// The agent `a` with two threads of its own, so that its next life has one, beside others on the system's.
fn tree(pool: &Pool, log: &Log) -> SupervisorSpec {
    let a = Probe::spec("a", log).runtime(pool.handle()).handler_deadline(Duration::from_millis(300)).hand_over();
    SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(5))
        .child(Probe::spec("peer", log))
        .child(ChildSpec::serve("doubler", DOUBLE, |_, number| async move { Ok(2 * number) }))
        .child(a)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_life_that_was_given_up_sends_is_refused_and_it_is_told_why() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let (system, mut events) = system_of(tree(&pool, &log)).await;
    let run = StreamId::from(RunId::new(Uuid::from_u128(1)));
    let epoch = system.journal().fence(&run, "the test").await.expect("a fence");
    let (report, reports) = mpsc::channel();
    let (inside, peer, of_run) = (gate.clone(), Probe::at(&system, "root/peer"), run.clone());
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            inside.wait();
            let system = ctx.system().clone();
            let told = peer.tell(Order::Echo(1)).expect_err("it is fenced");
            assert!(matches!(told, TellError::Fenced { .. }));
            report.send(told.to_string())?;
            report.send(peer.tell_wait(Order::Echo(2), LIMIT).await.expect_err("it is fenced").to_string())?;
            let asked = peer.ask(Order::Echo(3)).await.expect_err("it is fenced");
            assert!(matches!(asked, RequestError::Fenced { .. }));
            report.send(asked.to_string())?;
            report.send(ctx.myself().tell(Order::Echo(4)).expect_err("it is fenced").to_string())?;
            let sibling = ctx.sibling::<Probe>("peer")?;
            report.send(sibling.tell(Order::Echo(5)).expect_err("it is fenced").to_string())?;
            report.send(system.ask(&DOUBLE, 6).await.expect_err("it is fenced").to_string())?;
            let provider = system.provider(&DOUBLE, "root/doubler").ok_or("it is there")?;
            report.send(provider.ask(7, LIMIT).await.expect_err("it is fenced").to_string())?;
            let at = AppendAt { epoch, expected: 0 };
            let appended = system.journal().append(&of_run, at, vec![vec![8]]).await;
            assert!(matches!(appended, Err(JournalError::Unavailable(_))));
            report.send(appended.expect_err("it is fenced").to_string())?;
            report.send(system.journal().fence(&of_run, "late").await.expect_err("it is fenced").to_string())?;
            Ok(0)
        })
    });
    Probe::at(&system, "root/a").tell(order).expect("there is room");
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;

    let why = "`root/a`, incarnation 1, has ended or was given up, and nothing it does has an effect any more";
    assert_eq!(
        reports.iter().collect::<Vec<_>>(),
        [
            format!("not told to `root/peer`: {why}"),
            format!("not told to `root/peer`: {why}"),
            format!("not asked of `root/peer`: {why}"),
            format!("not told to `root/a`: {why}"),
            format!("not told to `root/peer`: {why}"),
            format!("not asked of `root/doubler`: {why}"),
            format!("not asked of `root/doubler`: {why}"),
            format!("the journal is not available: not written: {why}"),
            format!("the journal is not available: not written: {why}"),
        ]
    );
    assert_eq!(Probe::at(&system, "root/peer").ask(Order::Which).await.expect("a reply"), 1);
    assert_eq!(Probe::at(&system, "root/a").ask(Order::Which).await.expect("a reply"), 2);
    assert!(!log.lines().iter().any(|line| line.contains("echo")), "{:#?}", log.lines());
    assert_eq!(system.journal().read(&run, 0).await, Ok(vec![]));
    let at = AppendAt { epoch, expected: 0 };
    assert_eq!(system.journal().append(&run, at, vec![vec![9]]).await, Ok(1), "nobody fenced the stream since");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_that_was_given_up_starts_keeps_announces_and_ends_nothing() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let (system, mut events) = system_of(tree(&pool, &log)).await;
    let ran = Arc::new(AtomicBool::new(false));
    let (report, reports) = mpsc::channel();
    let (inside, mark) = (gate.clone(), Arc::clone(&ran));
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            ctx.checkpoint(1_u64)?;
            inside.wait();
            let (task, closure) = (Arc::clone(&mark), mark);
            ctx.spawn(async move { task.store(true, Ordering::SeqCst) });
            ctx.after(Duration::ZERO, Order::Echo(1));
            ctx.every(Duration::from_millis(1), || Order::Echo(2));
            report.send((ctx.checkpoint(2_u64).err(), ctx.handed_over::<u64>()))?;
            let system = ctx.system().clone();
            let root = system.supervisor("root")?;
            let ended = root.terminate_child("peer").await;
            assert!(matches!(ended, Err(ChildError::Fenced { .. })));
            let begun = root.start_child(ChildSpec::task("late", |_| async { Ok(()) })).await;
            assert!(matches!(begun, Err(ChildError::Fenced { .. })));
            system.kill("root/peer")?;
            report.send((ctx.checkpoint(3_u64).err(), None))?;
            let mut end = pin!(system.shutdown());
            poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx).is_ready())).await;
            let mut closure = pin!(ctx.blocking(move |_| closure.store(true, Ordering::SeqCst)));
            poll_fn(|cx| Poll::Ready(closure.as_mut().poll(cx).is_ready())).await;
            // Time for what must not happen: it would not be aborted before this thread goes on.
            std::thread::sleep(Duration::from_millis(50));
            closure.await;
            Ok(0)
        })
    });
    Probe::at(&system, "root/a").tell(order).expect("there is room");
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;

    let (refused, copy) = reports.recv().expect("a report");
    assert!(matches!(refused, Some(CheckpointError::Fenced { incarnation, .. }) if incarnation.get() == 1));
    assert_eq!(copy, None, "what is kept is the next life's");
    assert!(reports.recv().is_ok(), "it came past its children's requests");
    assert_eq!(Probe::at(&system, "root/peer").ask(Order::Which).await.expect("a reply"), 1);
    assert!(system.incarnation("root/late").is_none());
    let second = Order::run(|ctx| Box::pin(async move { Ok(ctx.handed_over::<u64>().unwrap_or(0)) }));
    assert_eq!(Probe::at(&system, "root/a").ask(second).await.expect("a reply"), 1, "kept before it was given up");
    assert!(!ran.load(Ordering::SeqCst), "neither the task nor the closure ran");
    assert!(!log.lines().iter().any(|line| line.contains("echo")));
    assert!(system.is_ready(), "nobody else asked it to end");
    let last: Vec<_> = events
        .seen()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Lifecycle { incarnation, to, .. } if incarnation.get() == 1 => Some(to),
            _ => None,
        })
        .collect();
    assert_eq!(last, [StateName::Terminated], "one last word, its supervisor's");
    assert_eq!(system.state("root/a").expect("it is there").name(), StateName::Active);
    system.shutdown().await.expect("an orderly end");
}

/// Tells somebody a number when it is dropped.
struct AtDrop(AgentRef<Probe>, u64);

impl Drop for AtDrop {
    fn drop(&mut self) {
        let _ = self.0.tell(Order::Echo(self.1));
    }
}

/// Holds something that tells at its drop, in its state, in a task, and in its handler.
struct Holder {
    peer: AgentRef<Probe>,
    _state: AtDrop,
}

impl Agent for Holder {
    type Args = Gate;
    type Message = Option<Gate>;
    type Reply = ();

    async fn start(_: Gate, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let peer = ctx.sibling::<Probe>("peer")?;
        let in_task = AtDrop(peer.clone(), 10 * ctx.incarnation().get() + 1);
        ctx.spawn(async move {
            let _held = in_task;
            std::future::pending::<()>().await;
        });
        Ok(Self { _state: AtDrop(peer.clone(), 10 * ctx.incarnation().get() + 2), peer })
    }

    async fn handle(&mut self, gate: Option<Gate>, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let _in_handler = AtDrop(self.peer.clone(), 10 * ctx.incarnation().get() + 3);
        let Some(gate) = gate else { return Err("an ordinary failure".into()) };
        gate.wait();
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_with_a_life_that_was_given_up_has_no_effect_and_with_an_ordinary_failure_it_has() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let holder = ChildSpec::agent::<Holder>("holder", gate.clone())
        .runtime(pool.handle())
        .handler_deadline(Duration::from_millis(300));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(5))
        .child(Probe::spec("peer", &log))
        .child(holder);
    let (system, mut events) = system_of(spec).await;
    let agent = system.agent::<Holder>("root/holder").expect("it is there");
    agent.tell(Some(gate.clone())).expect("there is room");
    told(&mut events, "started root/holder #2").await;
    gate.open();
    told(&mut events, "leak ended root/holder #1").await;
    agent.ask(None).await.expect_err("it fails");
    told(&mut events, "started root/holder #3").await;
    Probe::at(&system, "root/peer").ask(Order::Which).await.expect("a reply, after what was told before");
    let mut got: Vec<_> = log.take().into_iter().filter(|line| line.contains("echo")).collect();
    got.sort_unstable();
    assert_eq!(got, ["got root/peer #1 echo 21", "got root/peer #1 echo 22", "got root/peer #1 echo 23"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_late_is_dropped_and_counts_for_nobody() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let (system, mut events) = system_of(tree(&pool, &log)).await;
    let agent = Probe::at(&system, "root/a");
    let error = agent.ask_within(block(&gate), LIMIT).await.expect_err("it blocks");
    assert!(matches!(error, RequestError::Exited { incarnation, .. } if incarnation.get() == 1), "{error}");
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;
    assert_eq!(agent.ask(Order::Which).await.expect("a reply"), 2);
    let handled = match system.state("root/a").expect("it is there") {
        steadfast::AgentState::Active { message_count, .. } => message_count,
        other => panic!("{other}"),
    };
    assert_eq!(handled, 1);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_life_that_was_given_up_finishes_is_not_taken_for_what_the_next_one_is_handling() {
    let (log, told_gate, asked_gate, pool) = (Log::default(), Gate::default(), Gate::default(), Pool::of("agents", 3));
    let (system, mut events) = system_of(tree(&pool, &log)).await;
    let agent = Probe::at(&system, "root/a");
    agent.tell(block(&told_gate)).expect("there is room");
    told(&mut events, "started root/a #2").await;
    agent.ask_within(block(&asked_gate), LIMIT).await.expect_err("it blocks too");
    told(&mut events, "started root/a #3").await;

    // The third life is handling an ask while the two before it finish, one with an answer.
    let ((tell, handling), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel());
    let order = Order::run(move |_| {
        Box::pin(async move {
            let _ = tell.send(());
            goes_on.await?;
            Err("and then it fails".into())
        })
    });
    let asking = tokio::spawn(async move { agent.ask_within(order, LIMIT).await });
    handling.await.expect("it is being handled");
    events.forget();
    told_gate.open();
    told(&mut events, "leak ended root/a #1").await;
    asked_gate.open();
    told(&mut events, "leak ended root/a #2").await;
    assert!(!asking.is_finished(), "the answer of another life is not its answer");
    go_on.send(()).expect("it waits");
    let error = asking.await.expect("no panic").expect_err("it fails");
    assert_eq!(error.to_string(), "root/a, incarnation 3, failed: and then it fails");
    told(&mut events, "started root/a #4").await;
    assert!(events.story().contains(&"dropped root/a".to_owned()), "what it was handling is reported as dropped");
    system.shutdown().await.expect("an orderly end");
}
