//! Guarantee: a supervisor looks after its children and nobody else: strangers that are linked to it may end, and send
//! it what they like; and a child that cuts the link is still its child.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use steadfast::testing::{Log, Probe, Recorder, settled};
use steadfast::{ChildSpec, Intensity, Path, Shutdown, Strategy, SupervisorSpec, System};

/// Panics when it is told to, and otherwise stops when it is asked.
struct Plain;

impl Actor for Plain {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        panic!("boom")
    }
}

/// A plain actor and an agent, under a supervisor that allows no restart more than it is told.
async fn tree(intensity: u32) -> (System, Recorder) {
    let log = Log::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll)
        .intensity(Intensity::at_most(intensity))
        .child(ChildSpec::actor::<Plain, _>("plain", || (Plain, ())).shutdown(Shutdown::Wait))
        .child(Probe::spec("agent", &log));
    let system = System::start(spec).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

fn plain(system: &System) -> ActorRef<()> {
    let path: Path = "root/plain".parse().expect("a path");
    system.actor(&path).expect("it is alive")
}

fn supervisor_of(child: &ActorRef<()>) -> ActorCell {
    child.get_cell().try_get_supervisor().expect("it is linked")
}

#[tokio::test(start_paused = true)]
async fn rule_55_the_end_of_a_stranger_that_is_linked_to_a_supervisor_is_nothing_to_it() {
    let (system, mut events) = tree(0).await;
    for ends_by_itself in [true, false] {
        let supervisor = supervisor_of(&plain(&system));
        let (stranger, running) = Actor::spawn_linked(None, Plain, (), supervisor).await.expect("it starts");
        if ends_by_itself {
            stranger.send_message(()).expect("it is alive");
        } else {
            stranger.kill();
        }
        running.await.expect("it ended");
        settled().await;
    }
    assert_eq!(events.story(), Vec::<String>::new());
    assert!(system.is_ready());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_56_a_message_that_a_supervisor_does_not_know_changes_nothing() {
    let (system, mut events) = tree(0).await;
    let supervisor = supervisor_of(&plain(&system));
    supervisor.send_message("what is this?").expect_err("ractor knows the type of its messages");
    settled().await;
    assert_eq!(events.story(), Vec::<String>::new());
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn rule_13_a_child_that_cut_its_link_is_restarted_all_the_same() {
    let (system, mut events) = tree(1).await;
    let child = plain(&system);
    child.get_cell().unlink(supervisor_of(&child));
    child.send_message(()).expect("it is alive");
    events.started("root/plain", 2).await;
    system.shutdown().await.expect("an orderly end");
    assert_eq!(system.alive(), []);
}

#[tokio::test(start_paused = true)]
async fn rule_13_a_child_that_cut_its_link_cannot_hang_its_supervisor() {
    let (system, _events) = tree(1).await;
    let child = plain(&system);
    child.get_cell().unlink(supervisor_of(&child));
    system.shutdown().await.expect("an orderly end");
    assert_eq!(system.alive(), []);
}
