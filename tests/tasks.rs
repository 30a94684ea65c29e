//! Guarantee: tasks and timers belong to an incarnation: they end with it however it ends, and the next one does not
//! start before they, and the state they belong to, are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::testing::{Log, Order, Probe, Recorder, Script};
use steadfast::{
    Agent, BoxError, ChildSpec, Context, ExitReason, Intensity, Shutdown, Strategy, SupervisorSpec, System,
};

const SECOND: Duration = Duration::from_secs(1);

/// Writes a line when it is dropped.
struct Marks(Log, &'static str);

impl Drop for Marks {
    fn drop(&mut self) {
        self.0.write(self.1);
    }
}

/// A task that holds on to something until it is aborted.
fn spawn_forever(log: &Log) -> Order {
    let log = log.clone();
    Order::run(move |ctx| {
        Box::pin(async move {
            ctx.spawn(async move {
                let _held = Marks(log, "task gone");
                std::future::pending::<()>().await;
            });
            // Once more round the scheduler, so that the task has begun.
            tokio::task::yield_now().await;
            Ok(0)
        })
    })
}

/// Runs a task in `root/a`, ends that life in the given way, and returns the log up to the start of the next one.
async fn end_with_a_task(order: Order, log: &Log) -> Vec<String> {
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .child(Probe::spec("killer", &Log::default()))
        .child(Probe::spec("a", log).shutdown(Shutdown::Kill));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a").ask(spawn_forever(log)).await.expect("a reply");
    let _ = log.take();
    let path = if matches!(order, Order::Hang) { "root/killer" } else { "root/a" };
    let order = if matches!(order, Order::Hang) { Order::Panic("kills the other") } else { order };
    Probe::at(&system, path).tell(order).expect("there is room");
    events.started("root/a", 2).await;
    let lines = log.take().into_iter().filter(|line| !line.starts_with("got")).collect();
    system.shutdown().await.expect("an orderly end");
    lines
}

#[tokio::test(start_paused = true)]
async fn a_task_is_gone_before_the_next_life_starts_however_the_last_one_ended() {
    let log = Log::default();
    let ended = end_with_a_task(Order::Stop(ExitReason::Normal), &log).await;
    assert_eq!(ended, ["stop root/a #1", "gone root/a #1", "task gone", "start root/a #2"]);
    let log = Log::default();
    let ended = end_with_a_task(Order::Panic("boom"), &log).await;
    assert_eq!(ended, ["gone root/a #1", "task gone", "start root/a #2"]);
    let log = Log::default();
    let ended = end_with_a_task(Order::Fail("no disk"), &log).await;
    assert_eq!(ended, ["gone root/a #1", "task gone", "start root/a #2"]);
    let log = Log::default();
    let ended = end_with_a_task(Order::Hang, &log).await;
    assert_eq!(ended, ["gone root/a #1", "task gone", "start root/a #2"], "killed");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_aborted_before_it_ran_is_gone_too() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let held = Marks(log.clone(), "task gone");
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            ctx.spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            Err("at once".into())
        })
    });
    Probe::at(&system, "root/a").tell(order).expect("there is room");
    events.started("root/a", 2).await;
    assert_eq!(log.take()[2..], ["gone root/a #1", "task gone", "start root/a #2"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_task_ends_the_life() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let order = Order::run(|ctx| {
        Box::pin(async move {
            ctx.spawn(async { panic!("in a task") });
            Ok(0)
        })
    });
    Probe::at(&system, "root/a").ask(order).await.expect("a reply");
    assert_eq!(events.exit("root/a").await.reason.to_string(), "panicked: in a task");
    events.started("root/a", 2).await;
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_task_while_its_agent_starts_is_a_failed_start() {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::agent::<Hasty>("hasty", ()));
    let error = System::start(spec).await.expect_err("its task panics");
    assert_eq!(error.to_string(), "`root/hasty` panicked: in a task");
}

struct Hasty;

impl Agent for Hasty {
    type Args = ();
    type Message = ();
    type Reply = ();

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        ctx.spawn(async { panic!("in a task") });
        tokio::time::sleep(SECOND).await;
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_goes_and_the_life_goes_on() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let order = Order::run({
        let log = log.clone();
        move |ctx| {
            Box::pin(async move {
                let task = ctx.spawn(async move {
                    let _held = Marks(log, "task gone");
                    std::future::pending::<()>().await;
                });
                tokio::task::yield_now().await;
                ctx.cancel(task);
                Ok(0)
            })
        }
    });
    let agent = Probe::at(&system, "root/a");
    agent.ask(order).await.expect("a reply");
    agent.ask(Order::Wait(SECOND)).await.expect("a reply");
    assert!(log.lines().contains(&"task gone".to_owned()));
    assert_eq!(events.story(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_message_to_itself_comes_after_its_delay_or_at_every_period_and_ends_with_the_life() {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let timers = Order::run(|ctx| {
        Box::pin(async move {
            ctx.after(5 * SECOND, Order::Echo(50));
            ctx.every(2 * SECOND, || Order::Echo(2));
            ctx.after(100 * SECOND, Order::Echo(100));
            Ok(0)
        })
    });
    let agent = Probe::at(&system, "root/a");
    agent.ask(timers).await.expect("a reply");
    let _ = log.take();
    // Time must pass for a timer to come; nothing is waited for.
    tokio::time::sleep(7 * SECOND).await;
    assert_eq!(
        log.take(),
        ["got root/a #1 echo 2", "got root/a #1 echo 2", "got root/a #1 echo 50", "got root/a #1 echo 2"]
    );
    agent.tell(Order::Panic("boom")).expect("there is room");
    events.started("root/a", 2).await;
    let _ = log.take();
    tokio::time::sleep(200 * SECOND).await;
    assert_eq!(log.take(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

/// Counts the lives and tasks of one child that are there at the same time.
#[derive(Clone, Default)]
struct Census(Arc<CensusOf>);

#[derive(Default)]
struct CensusOf {
    present: AtomicUsize,
    starts: AtomicUsize,
    overlaps: AtomicUsize,
}

struct Counted(Census);

impl Census {
    fn enter(&self) -> Counted {
        self.0.present.fetch_add(1, Ordering::SeqCst);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Long enough for another thread to start the next life, if it could.
        std::thread::yield_now();
        self.0.0.present.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Holder {
    _held: Counted,
}

impl Agent for Holder {
    type Args = Census;
    type Message = bool;
    type Reply = ();

    async fn start(census: Census, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        if census.0.present.load(Ordering::SeqCst) != 0 {
            census.0.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        census.0.starts.fetch_add(1, Ordering::SeqCst);
        for _ in 0..4 {
            let held = census.enter();
            ctx.spawn(async move {
                let _held = held;
                loop {
                    tokio::task::yield_now().await;
                }
            });
        }
        Ok(Self { _held: census.enter() })
    }

    async fn handle(&mut self, panics: bool, _: &mut Context<Self>) -> Result<(), BoxError> {
        assert!(!panics, "as it was told");
        std::future::pending().await
    }

    async fn stop(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        std::future::pending().await
    }
}

/// Crashes or kills a child again and again on several threads. Real time: it is about threads.
async fn no_overlap(rounds: u64, shutdown: Shutdown, panics: bool) {
    let census = Census::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .intensity(Intensity::at_most(10_000))
        .child(Probe::scripted("killer", Script::new(&Log::default())))
        .child(ChildSpec::agent::<Holder>("holder", census.clone()).shutdown(shutdown));
    let system = System::start(spec).await.expect("the tree starts");
    let mut events = Recorder::of(&system).limit(30 * SECOND);
    let holder = system.agent::<Holder>(&"root/holder".parse().expect("a path")).expect("an agent");
    for round in 0..rounds {
        if panics {
            holder.tell(true).expect("there is room");
        } else {
            if round % 2 == 0 {
                holder.tell(false).expect("there is room");
            }
            Probe::at(&system, "root/killer").tell(Order::Panic("kills the other")).expect("there is room");
        }
        events.started("root/holder", round + 2).await;
    }
    system.shutdown().await.expect("an orderly end");
    let starts = u64::try_from(census.0.starts.load(Ordering::SeqCst)).expect("not so many");
    assert_eq!((starts, census.0.overlaps.load(Ordering::SeqCst)), (rounds + 1, 0));
    assert_eq!(census.0.present.load(Ordering::SeqCst), 0, "nothing is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_lives_of_a_child_never_overlap_when_it_panics_on_several_threads() {
    no_overlap(200, Shutdown::Kill, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_lives_of_a_child_never_overlap_when_it_is_killed_on_several_threads() {
    no_overlap(200, Shutdown::Kill, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_lives_of_a_child_never_overlap_when_it_is_killed_in_its_stop_hook_on_several_threads() {
    no_overlap(50, Shutdown::Within(Duration::from_millis(2)), false).await;
}
