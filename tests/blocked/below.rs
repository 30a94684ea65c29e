//! What blocks below a nested supervisor is given up by that supervisor, and below one that is given up itself by
//! whoever gives that up.

use std::time::Duration;

use crate::gate::{Gate, Pool, SECOND_DEADLINE, block, system_of, told};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use steadfast::testing::{Log, Order, Probe};
use steadfast::{
    Agent, Backoff, BoxError, ChildSpec, Context, EventKind, Incarnation, Intensity, Shutdown, Strategy, SupervisorSpec,
};

const SOON: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_waits_for_a_blocked_child_is_not_given_up_before_that_child_is() {
    let (log, gate, pool) = (Log::default(), Gate::default(), Pool::of("agents", 1));
    let worker = Probe::spec("worker", &log).runtime(pool.handle()).shutdown(Shutdown::Within(6 * SECOND_DEADLINE));
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne).abandon_after(SECOND_DEADLINE).child(worker);
    let middle = SupervisorSpec::new("middle", Strategy::OneForOne).abandon_after(SECOND_DEADLINE).child(inner);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(ChildSpec::supervisor(middle).shutdown(Shutdown::Within(SOON)));
    let (system, mut events) = system_of(spec).await;
    Probe::at(&system, "root/middle/inner/worker").tell(block(&gate)).expect("there is room");
    gate.entered(1).await;

    let root = system.supervisor("root").expect("it is one");
    root.terminate_child("middle").await.expect("it is stopped");
    told(&mut events, "leaked root/middle/inner/worker #1").await;
    told(&mut events, "exited root/middle #1 killed").await;
    let leaked: Vec<_> = events.story().into_iter().filter(|line| line.starts_with("leaked")).collect();
    assert_eq!(leaked, ["leaked root/middle/inner/worker #1"], "nobody else had to be given up");
    gate.open();
    told(&mut events, "leak ended root/middle/inner/worker #1").await;
    system.shutdown().await.expect("an orderly end");
}

struct Plain;

impl Actor for Plain {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn with_a_supervisor_that_is_given_up_all_below_it_are_fenced_and_ended_and_added_children_are_forgotten() {
    let (log, gate) = (Log::default(), Gate::default());
    let block_from_second = {
        let (gate, made) = (gate.clone(), std::sync::atomic::AtomicUsize::new(0));
        move || {
            if made.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                gate.wait();
            }
            (Plain, ())
        }
    };
    // What makes a plain actor is the user's code, and runs in its supervisor: that one is blocked.
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(5))
        .child(Probe::spec("worker", &log))
        .child(ChildSpec::actor("plain", block_from_second));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(ChildSpec::supervisor(inner).shutdown(Shutdown::Within(SOON)));
    let (system, mut events) = system_of(spec).await;
    let nested = system.supervisor("root/inner").expect("it is one");
    nested.start_child(Probe::spec("added", &log)).await.expect("it starts");
    let (worker, added) = (Probe::at(&system, "root/inner/worker"), Probe::at(&system, "root/inner/added"));
    system.kill("root/inner/plain").expect("it is there");
    gate.entered(1).await;

    let root = system.supervisor("root").expect("it is one");
    root.terminate_child("inner").await.expect("it is stopped");
    for line in ["leaked root/inner #1", "leaked root/inner/worker #1", "leaked root/inner/added #1"] {
        told(&mut events, line).await;
    }
    assert!(worker.tell(Order::Which).is_err() && added.tell(Order::Which).is_err(), "nobody is there to take it");
    root.restart_child("inner").await.expect("the second call blocked, the third does not");
    assert_eq!(worker.ask(Order::Which).await.expect("it is back"), 2);
    assert!(system.state("root/inner/added").is_err(), "what was added is not part of the next incarnation");
    gate.open();
    // Their states were handed to their supervisor, as ractor does, and are gone with it.
    for path in ["root/inner", "root/inner/worker", "root/inner/added"] {
        told(&mut events, &format!("leak ended {path} #1")).await;
    }
    assert_eq!(worker.ask(Order::Which).await.expect("it is untouched"), 2);
    system.shutdown().await.expect("an orderly end");
}

/// Its first life blocks the thread that drops it.
struct Joins(Gate, Incarnation);

impl Drop for Joins {
    fn drop(&mut self) {
        if self.1 == Incarnation::FIRST {
            self.0.wait();
        }
    }
}

impl Agent for Joins {
    type Args = Gate;
    type Message = ();
    type Reply = u64;

    async fn start(gate: Gate, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(gate, ctx.incarnation()))
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<u64, BoxError> {
        Ok(self.1.get())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_supervisor_that_was_given_up_starts_nobody_and_counts_nothing_when_it_goes_on() {
    let gate = Gate::default();
    // ractor hands the state of a killed child to its supervisor, which drops it, and with that is blocked.
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(5))
        .child(ChildSpec::agent::<Joins>("worker", gate.clone()));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(ChildSpec::supervisor(inner).shutdown(Shutdown::Within(SOON)));
    let (system, mut events) = system_of(spec).await;
    system.kill("root/inner/worker").expect("it is there");
    gate.entered(1).await;
    let root = system.supervisor("root").expect("it is one");
    root.terminate_child("inner").await.expect("it is given up");
    root.restart_child("inner").await.expect("it starts");
    let worker = system.agent::<Joins>("root/inner/worker").expect("it is there");
    assert_eq!(worker.ask(()).await.expect("it is back"), 2);
    gate.open();
    told(&mut events, "leak ended root/inner #1").await;
    assert_eq!(worker.ask(()).await.expect("it is untouched"), 2);
    assert!(!events.story().contains(&"starting root/inner/worker #3".to_owned()), "{:#?}", events.story());
    let restarts = system.restarts().by_supervisor;
    assert_eq!(
        restarts.iter().filter(|(path, _)| path.as_str() == "root/inner").map(|(_, count)| count).sum::<u64>(),
        0,
        "it counts nothing"
    );
    system.kill("root/inner/worker").expect("it is there");
    told(&mut events, "started root/inner/worker #3").await;
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_life_that_never_began_is_no_leak() {
    let (log, gate) = (Log::default(), Gate::default());
    let at_second = |act: Box<dyn Fn() + Send + Sync>| {
        let made = std::sync::atomic::AtomicUsize::new(0);
        move || {
            if made.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                act();
            }
            (Plain, ())
        }
    };
    let wait = gate.clone();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(Intensity::at_most(5))
        .child(
            ChildSpec::actor("bad", at_second(Box::new(|| panic!("it cannot be made"))))
                .backoff(Backoff::constant(Duration::from_mins(10))),
        )
        .child(Probe::spec("worker", &log))
        .child(ChildSpec::actor("plain", at_second(Box::new(move || wait.wait()))));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .child(ChildSpec::supervisor(inner).shutdown(Shutdown::Within(SOON)));
    let (system, mut events) = system_of(spec).await;
    system.kill("root/inner/bad").expect("it is there");
    events.until(|event| matches!(event.kind, EventKind::BackingOff { .. })).await;
    system.kill("root/inner/plain").expect("it is there");
    gate.entered(1).await;
    let root = system.supervisor("root").expect("it is one");
    root.terminate_child("inner").await.expect("it is given up");
    told(&mut events, "leaked root/inner/worker #1").await;
    assert!(!events.story().iter().any(|line| line.contains("leaked root/inner/bad")), "{:#?}", events.story());
    gate.open();
    system.shutdown().await.expect("an orderly end");
}
