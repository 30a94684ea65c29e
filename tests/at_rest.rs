//! An agent that waits between two messages hears of everything: the next message, its stop, its kill, its task's crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::{
    Agent, AgentRef, BoxError, ChildSpec, Context, ExitReason, Shutdown, Strategy, SupervisorSpec, System,
};

const STOP: Shutdown = Shutdown::Within(Duration::from_secs(5));

/// Counts, and can start a task that panics.
struct Counter {
    count: u64,
    stops: Arc<AtomicU64>,
}

#[derive(Clone, Copy)]
enum Word {
    Count,
    CrashIn(Duration),
}

impl Agent for Counter {
    type Args = Arc<AtomicU64>;
    type Message = Word;
    type Reply = u64;

    async fn start(stops: Self::Args, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { count: 0, stops })
    }

    async fn handle(&mut self, word: Word, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        self.count += 1;
        if let Word::CrashIn(delay) = word {
            ctx.spawn(async move {
                tokio::time::sleep(delay).await;
                panic!("a task on purpose");
            });
        }
        Ok(self.count)
    }

    async fn stop(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        self.stops.fetch_add(1, Ordering::SeqCst);
    }
}

async fn counting(shutdown: Shutdown) -> (System, AgentRef<Counter>, Arc<AtomicU64>) {
    let stops = Arc::new(AtomicU64::new(0));
    let child = ChildSpec::agent::<Counter>("counter", Arc::clone(&stops)).shutdown(shutdown);
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await;
    let system = system.expect("it starts");
    let counter = system.agent("root/counter").expect("it is there");
    (system, counter, stops)
}

/// A question, and then long enough for the agent to be at rest.
async fn ask(counter: &AgentRef<Counter>) -> u64 {
    let answer = counter.ask(Word::Count).await.expect("it answers");
    tokio::time::sleep(Duration::from_secs(1)).await;
    answer
}

#[tokio::test(start_paused = true)]
async fn every_message_is_handled_however_often_the_agent_was_at_rest_in_between() {
    let (system, counter, _) = counting(STOP).await;
    for turn in 1..=300 {
        assert_eq!(ask(&counter).await, turn);
    }
    system.shutdown().await.expect("it did not give up");
}

#[tokio::test(start_paused = true)]
async fn an_agent_at_rest_is_stopped_at_once_and_its_stop_hook_runs() {
    let (system, counter, stops) = counting(STOP).await;
    ask(&counter).await;
    let began = system.clock().now();
    system.shutdown().await.expect("it did not give up");
    assert_eq!((system.clock().now() - began, stops.load(Ordering::SeqCst)), (Duration::ZERO, 1));
    assert!(counter.tell(Word::Count).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_agent_at_rest_is_killed_at_once() {
    let (system, counter, stops) = counting(Shutdown::Kill).await;
    ask(&counter).await;
    let began = system.clock().now();
    system.shutdown().await.expect("it did not give up");
    assert_eq!((system.clock().now() - began, stops.load(Ordering::SeqCst)), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_its_task_ends_an_agent_at_rest_and_the_next_life_gets_the_next_message() {
    let (system, counter, _) = counting(STOP).await;
    ask(&counter).await;
    counter.tell(Word::CrashIn(Duration::from_secs(3))).expect("there is room");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(counter.incarnation().map(steadfast::Incarnation::get), Some(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(counter.incarnation().map(steadfast::Incarnation::get), Some(2));
    assert_eq!(ask(&counter).await, 1);
    system.shutdown().await.expect("it did not give up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_left_lying_however_it_meets_an_agent_that_comes_to_rest() {
    const EACH: u64 = 20_000;
    let (system, counter, _) = counting(STOP).await;
    let askers: Vec<_> = (0..4_u64)
        .map(|asker| {
            let counter = counter.clone();
            tokio::spawn(async move {
                for turn in 0..EACH {
                    counter.ask_within(Word::Count, Duration::from_mins(1)).await.expect("it answers");
                    if turn % (asker + 2) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.expect("it was always answered");
    }
    assert_eq!(counter.ask(Word::Count).await.expect("it answers"), 4 * EACH + 1);
    system.shutdown().await.expect("it did not give up");
}
