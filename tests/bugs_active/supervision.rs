//! Supervisors, lazy agents, fences, timers.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task;

use steadfast::testing::{Bug, Log, Order, Probe, Recorder, Script, settled};
use steadfast::{ChildSpec, Restart, Strategy, SupervisorSpec, System};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::{SECOND, echoes, of, root, seen, start, yes};

seen! {
    GoneWhenAsked by group_restart:
        "stop #1, gone #1, start #2", or "stop #1, start #2, gone #1";
    BranchGoneWhenAsked by shutdown:
        "stop branch/leaf #1, gone branch/leaf #1, stop first #1, gone first #1",
        or "stop first #1, stop branch/leaf #1, gone first #1, gone branch/leaf #1";
    ForgottenStaysOpen by told_when_forgotten: "refused", or "taken";
    AddedStayOpen by told_when_its_supervisor_was_started_again: "refused", or "taken";
    TimerOfTheEnded by tasks_left: "0", or "2";
    DozeMissesMessage by told_while_it_goes_to_rest: "2 echo 1", or "";
    RousedAfterItsEnd by stopped_as_it_is_roused: "no", or "yes";
    EndedIsNotFenced by closure_of_the_dead: "refused", or "taken";
    FencedIsHeard by closure_of_the_dead: "refused", or "taken";
    TimerOutlivesLife by timer_of_a_life_that_crashed: "", or "2 echo 9";
}

/// What the sibling of one that crashes does, whose stop takes a second.
async fn group_restart(bug: Option<Bug>) -> String {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .child(Probe::spec("a", &log))
        .child(Probe::scripted("b", Script::new(&log).stop_takes(SECOND)));
    let system = start(bug, spec).await;
    drop(log.take());
    Probe::at(&system, "root/a").tell(Order::Panic("boom")).expect("there is room");
    tokio::time::sleep(5 * SECOND).await;
    let seen = of(&log, "root/b");
    system.shutdown().await.expect("an orderly end");
    seen
}

/// In which order a tree ends whose last leaf takes a second to stop, and its first two.
async fn shutdown(bug: Option<Bug>) -> String {
    let log = Log::default();
    let slow = |name, time| Probe::scripted(name, Script::new(&log).stop_takes(time));
    let branch = SupervisorSpec::new("branch", Strategy::OneForOne).child(slow("leaf", SECOND));
    let system = start(bug, root().child(slow("first", SECOND)).child(ChildSpec::supervisor(branch))).await;
    drop(log.take());
    system.shutdown().await.expect("an orderly end");
    tokio::time::sleep(5 * SECOND).await;
    log.take().join(", ").replace("root/", "")
}

fn told(system: &System, agent: &steadfast::AgentRef<Probe>) -> String {
    let taken = agent.tell(Order::Echo(1)).is_ok();
    assert!(system.is_ready());
    if taken { "taken" } else { "refused" }.to_owned()
}

async fn told_when_forgotten(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root()).await;
    let supervisor = system.supervisor("root").expect("it runs");
    supervisor.start_child(Probe::spec("a", &log).restart(Restart::Temporary)).await.expect("it starts");
    let agent = Probe::at(&system, "root/a");
    supervisor.terminate_child("a").await.expect("it ends");
    let told = told(&system, &agent);
    system.shutdown().await.expect("an orderly end");
    told
}

async fn told_when_its_supervisor_was_started_again(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root().child(ChildSpec::supervisor(SupervisorSpec::new("b", Strategy::OneForOne)))).await;
    let supervisor = system.supervisor("root/b").expect("it runs");
    supervisor.start_child(Probe::spec("a", &log)).await.expect("it starts");
    let agent = Probe::at(&system, "root/b/a");
    let mut events = Recorder::of(&system);
    system.kill("root/b").expect("it is there");
    events.started("root/b", 2).await;
    let told = told(&system, &agent);
    system.shutdown().await.expect("an orderly end");
    told
}

/// How many tasks are left a moment after a tree has ended whose child was given five seconds to stop.
async fn tasks_left(bug: Option<Bug>) -> String {
    let log = Log::default();
    settled().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let system = System::builder().bug(bug).watchdog(None).start(root().child(Probe::spec("a", &log))).await;
    system.expect("the tree starts").shutdown().await.expect("an orderly end");
    settled().await;
    (Handle::current().metrics().num_alive_tasks() - before).to_string()
}

async fn told_while_it_goes_to_rest(bug: Option<Bug>) -> String {
    let log = Log::default();
    let script = Script::new(&log).stop_takes(3 * SECOND);
    let system = start(bug, root().child(Probe::scripted("a", script).lazy(10 * SECOND))).await;
    let agent = Probe::at(&system, "root/a");
    agent.ask(Order::Which).await.expect("a reply");
    // In the middle of its stop hook.
    tokio::time::sleep(11 * SECOND).await;
    agent.tell(Order::Echo(1)).expect("it waits");
    tokio::time::sleep(5 * SECOND).await;
    let seen = echoes(&log);
    system.shutdown().await.expect("an orderly end");
    seen
}

/// Whether a child runs that was stopped while it was at rest, just before a message came.
async fn stopped_as_it_is_roused(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root().child(Probe::spec("a", &log).lazy(SECOND))).await;
    let (supervisor, agent) = (system.supervisor("root").expect("it runs"), Probe::at(&system, "root/a"));
    let mut ends = pin!(supervisor.terminate_child("a"));
    assert!(ends.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())).is_pending());
    agent.tell(Order::Echo(1)).expect("nobody knows yet");
    ends.await.expect("it ends");
    settled().await;
    let runs = system.incarnation("root/a").is_some();
    system.shutdown().await.expect("an orderly end");
    yes(runs)
}

/// What becomes of a message that a closure sends when its life has been killed.
async fn closure_of_the_dead(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root().child(Probe::spec("a", &log)).child(Probe::spec("peer", &log))).await;
    let mut events = Recorder::of(&system);
    let (go, gate) = mpsc::channel();
    let (report, outcome) = oneshot::channel();
    let (begins, begun) = oneshot::channel();
    let peer = Probe::at(&system, "root/peer");
    let order = Order::run(move |ctx| {
        let closure = ctx.blocking(move |_| {
            begins.send(()).expect("the test listens");
            gate.recv().expect("the test goes on");
            let taken = peer.tell(Order::Echo(1)).is_ok();
            report.send(if taken { "taken" } else { "refused" }).expect("the test listens");
        });
        ctx.spawn(closure);
        Box::pin(async { Ok(0) })
    });
    Probe::at(&system, "root/a").ask(order).await.expect("a reply");
    begun.await.expect("it begins");
    system.kill("root/a").expect("it is there");
    events.started("root/a", 2).await;
    go.send(()).expect("it waits");
    let told = outcome.await.expect("it says");
    system.shutdown().await.expect("an orderly end");
    told.to_owned()
}

async fn timer_of_a_life_that_crashed(bug: Option<Bug>) -> String {
    let log = Log::default();
    let system = start(bug, root().child(Probe::spec("a", &log))).await;
    let agent = Probe::at(&system, "root/a");
    let order = Order::run(|ctx| {
        ctx.after(5 * SECOND, Order::Echo(9));
        Box::pin(async { Ok(0) })
    });
    agent.tell(order).and(agent.tell(Order::Panic("boom"))).expect("there is room");
    tokio::time::sleep(10 * SECOND).await;
    let seen = echoes(&log);
    system.shutdown().await.expect("an orderly end");
    seen
}
