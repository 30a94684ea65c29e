//! Guarantee: a goal inside that takes back what it did is part of the run around it: where it stands still, that one says
//! why, and pauses, resumes and cancels reach it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::hosting::{Store, all_ended, records, run, start, until_recorded};
use common::reads::Reads;
use steadfast::seam::{Journal, Level};
use steadfast::testing::{Disk, VirtualClock};
use steadfast::{RunId, System};
use steadfast_orchestration::host::{Answer, Ask, answer_of, stands_still};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Millis, On, PauseCause, Record, Standing, Status, TaskId, child_run};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::ScriptedCommands;
use tokio::sync::Notify;

const MS: Duration = Duration::from_millis(1);

/// How often it is looked for something before it does not come.
const LONG: u32 = 10_000;

const TAKES_BACK: &str = "name = 'outer'\non_exhausted = 'fail'\n\
    [[tasks]]\nid = 'child'\n\
    [tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'book'\ncommand = { program = 'book' }\n\
    undo = { command = { program = 'unbook', env = { X = { from = 'TOKEN' } } } }\n\
    [[tasks.goal.inline.tasks]]\nid = 'pay'\nafter = ['book']\ncommand = { program = 'pay' }\n\
    undo = { command = { program = 'unpay' } }\n\
    [[tasks]]\nid = 'wrong'\nafter = ['child']\ncommand = { program = 'wrong' }\n";

fn child() -> RunId {
    child_run(run(1), &TaskId::single("child"))
}

/// A disk, and what the processes that serve it one after the other share.
struct World {
    journal: Arc<dyn Journal>,
    store: Store,
    /// An undo began.
    began: Arc<Notify>,
    /// Whether an undo ends.
    ends: Arc<AtomicBool>,
    asked: u128,
}

impl World {
    fn new() -> Self {
        let journal = Arc::new(Disk::new(1).journal(Level::Durable));
        let (began, ends) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(true)));
        Self { journal, store: Store::new(), began, ends, asked: 100 }
    }

    /// A process, with or without the variable that the undo needs.
    async fn process(&mut self, is_set: bool) -> System {
        let (began, ends) = (Arc::clone(&self.began), Arc::clone(&self.ends));
        let commands = ScriptedCommands::later(move |invocation| {
            let (began, ends) = (Arc::clone(&began), Arc::clone(&ends));
            Box::pin(async move {
                if invocation.program == "unpay" {
                    began.notify_one();
                    while !ends.load(Ordering::SeqCst) {
                        tokio::time::sleep(MS).await;
                    }
                }
                Ok(Completed::new(Exit::Code(i32::from(invocation.program == "wrong"))))
            })
        });
        let commands = if is_set { commands.variable("TOKEN", "a value") } else { commands };
        self.store.commands = Arc::new(commands);
        let builder = preset::builder().clock(Arc::new(VirtualClock::new())).journal(Arc::clone(&self.journal));
        builder.start(self.store.process()()).await.expect("the tree starts")
    }

    async fn begin(&mut self, is_set: bool) -> System {
        let system = self.process(is_set).await;
        preset::start_run(&system, "process-0", &start(run(1), TAKES_BACK, None), Millis(5)).await.expect("begun");
        system
    }

    /// A run whose goal inside cannot take back what it did, since a variable is not set.
    async fn stuck(&mut self) -> System {
        let system = self.begin(false).await;
        self.until(child(), |record| matches!(record, Record::Paused { .. })).await;
        system
    }

    async fn ask(&mut self, what: Ask) -> Answer {
        self.asked += 1;
        let of = what.run();
        let id = self.store.ask(self.asked, what).await;
        for _ in 0..LONG {
            match answer_of(&*self.journal, of, id).await.expect("it is read") {
                Answer::NotYet => tokio::time::sleep(MS).await,
                answer => return answer,
            }
        }
        panic!("it is not answered")
    }

    async fn count(&self, of: RunId, what: impl Fn(&Record) -> bool) -> usize {
        records(&*self.journal, of).await.iter().filter(|record| what(record)).count()
    }

    async fn until(&self, of: RunId, what: impl Fn(&Record) -> bool) {
        until_recorded(&*self.journal, of, what).await;
    }

    /// Waits until an undo begins.
    async fn undo_begins(&self) {
        let begins = tokio::time::timeout(MS * LONG, self.began.notified()).await;
        assert!(begins.is_ok(), "no undo begins: {:#?}", records(&*self.journal, child()).await);
    }

    /// Waits until the run around it stands like this.
    async fn stands(&self, like: impl Fn(&Standing) -> bool) {
        let mut standing = self.store.feeds().of(run(1)).standing();
        let stands = tokio::time::timeout(MS * LONG, standing.wait_for(like)).await;
        let last = stands.is_err().then(|| self.store.feeds().of(run(1)).standing().borrow().clone());
        assert!(stands.is_ok(), "it stands otherwise: {last:?}");
    }

    /// Waits until the run around it says what its goal inside lacks.
    async fn says_what_is_lacking(&self) {
        self.stands(|standing| {
            let Standing::Waiting(waits) = standing else { return false };
            let lacks = |on: &On| matches!(on, On::Paused(note) if note.message.contains("TOKEN"));
            waits.iter().any(|wait| wait.run == Some(child()) && lacks(&wait.on))
        })
        .await;
    }

    /// Waits for the end, and returns how many tasks were undone, and could not be.
    async fn ended(&self) -> (Status, u32, u32) {
        let runs = [run(1)];
        let ended = all_ended(|| Some(Arc::clone(&self.journal)), &runs);
        let ended = tokio::time::timeout(MS * LONG, ended).await;
        assert!(ended.is_ok(), "it does not end: {:#?}", records(&*self.journal, run(1)).await);
        match records(&*self.journal, run(1)).await.last() {
            Some(Record::Ended { status, undone, .. }) => (*status, undone.undone, undone.failed),
            other => panic!("{other:?}"),
        }
    }
}

async fn down(system: System) {
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_goal_inside_whose_undo_lacks_something_lets_the_run_around_it_stand_still_until_that_is_there() {
    let mut world = World::new();
    let system = world.stuck().await;
    world.says_what_is_lacking().await;
    assert!(stands_still(&*world.journal, run(1)).await.expect("it is read"));
    // It still lacks it, and says so again.
    assert_eq!(world.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    world.until(child(), |record| matches!(record, Record::Resumed { .. })).await;
    world.says_what_is_lacking().await;
    down(system).await;
    let system = world.process(true).await;
    world.says_what_is_lacking().await;
    assert_eq!(world.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    assert_eq!(world.ended().await, (Status::Failed, 1, 0));
    down(system).await;
}

#[tokio::test(start_paused = true)]
async fn a_goal_inside_that_stands_still_while_it_is_undone_can_be_asked_itself() {
    let mut world = World::new();
    let system = world.stuck().await;
    let cancel = Ask::Cancel { run: child(), undo: false, why: "leave it".to_owned() };
    assert_eq!(world.ask(cancel).await, Answer::Taken);
    assert_eq!(world.ended().await, (Status::Failed, 0, 1));
    down(system).await;
}

impl World {
    /// What the goal inside ended with: how many of its tasks were undone, and could not be.
    async fn ended_inside(&self) -> (u32, u32) {
        match records(&*self.journal, child()).await.last() {
            Some(Record::Ended { undone, .. }) => (undone.undone, undone.failed),
            other => panic!("it is left behind: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_cancelled_while_a_goal_inside_that_is_undone_stands_still_and_that_one_ends_first() {
    for crash in [None, Some(false), Some(true)] {
        let mut world = World::new();
        let mut system = world.stuck().await;
        world.says_what_is_lacking().await;
        let cancel = |undo| Ask::Cancel { run: run(1), undo, why: "leave it".to_owned() };
        let again = world.ask(cancel(true)).await;
        assert!(matches!(&again, Answer::Refused { why } if why.contains("without undo")), "{again:?}");
        if crash == Some(true) {
            use steadfast_orchestration::host::{Asked, apply};
            down(system).await;
            let (id, who) = (uuid::Uuid::from_u128(7), "ann".to_owned());
            let asked = Asked { id, who, wall: Millis(1), what: cancel(false) };
            let answer = apply((&*world.journal, &Store::outfit()), &asked, "cli", Millis(9)).await;
            assert_eq!(answer.expect("done or refused"), Answer::Taken);
            system = world.process(false).await;
        } else {
            assert_eq!(world.ask(cancel(false)).await, Answer::Taken);
            if crash.is_some() {
                system.kill(preset::orchestrator_path(run(1)).as_str()).expect("it is there");
            }
        }
        assert_eq!(world.ended().await, (Status::Failed, 0, 1), "{crash:?}");
        assert_eq!(world.ended_inside().await, (0, 2), "{crash:?}");
        down(system).await;
    }
}

/// A goal inside that waits for a person, with something to take back.
const IN_FLIGHT: &str = "name = 'outer'\non_exhausted = 'fail'\n\
    [[tasks]]\nid = 'child'\n\
    [tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'book'\ncommand = { program = 'book' }\n\
    undo = { command = { program = 'unbook', env = { X = { from = 'TOKEN' } } } }\n\
    [[tasks.goal.inline.tasks]]\nid = 'ask'\nafter = ['book']\napprove = { prompt = 'go?' }\n";

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cancelled_with_undo_or_had_too_little_time_is_cancelled_without_where_it_stands_still_inside() {
    for asks in [true, false] {
        let mut world = World::new();
        let system = world.process(false).await;
        let deadline = "on_exhausted = 'fail'\nlimits = { deadline = '5s' }\n";
        let goal = if asks { IN_FLIGHT.to_owned() } else { IN_FLIGHT.replace("on_exhausted = 'fail'\n", deadline) };
        let now = Millis::of(system.clock().wall());
        preset::start_run(&system, "process-0", &start(run(1), &goal, None), now).await.expect("begun");
        world.until(child(), |record| matches!(record, Record::Waiting { .. })).await;
        let cancel = |undo| Ask::Cancel { run: run(1), undo, why: "leave it".to_owned() };
        if asks {
            assert_eq!(world.ask(cancel(true)).await, Answer::Taken);
        }
        world.until(child(), |record| matches!(record, Record::Paused { .. })).await;
        world.says_what_is_lacking().await;
        if asks {
            let again = world.ask(cancel(true)).await;
            assert!(matches!(&again, Answer::Refused { why } if why.contains("without undo")), "{again:?}");
        }
        assert_eq!(world.ask(cancel(false)).await, Answer::Taken);
        assert_eq!(world.ended().await.0, Status::Cancelled, "{asks}");
        assert_eq!(world.ended_inside().await, (0, 1), "{asks}");
        down(system).await;
    }
}

#[tokio::test(start_paused = true)]
async fn that_a_goal_inside_stands_still_is_known_before_it_is_carried_again() {
    for cancels in [true, false] {
        let mut world = World::new();
        down(world.stuck().await).await;
        // It is long before it is carried.
        let slowly = Reads::of((&world.journal, child()), || {
            Box::pin(async {
                tokio::time::sleep(2_000 * MS).await;
                Ok(())
            })
        });
        let quickly = std::mem::replace(&mut world.journal, slowly);
        let system = world.process(false).await;
        world.journal = quickly;
        let taken_up = |record: &Record| matches!(record, Record::TakenUp { by, .. } if by.starts_with("process-1:"));
        world.until(run(1), taken_up).await;
        let cancel = Ask::Cancel { run: run(1), undo: false, why: "leave it".to_owned() };
        let what = if cancels { cancel } else { Ask::Resume { run: run(1) } };
        assert_eq!(world.ask(what).await, Answer::Taken);
        down(system).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_out_in_a_goal_inside_ends_before_the_rest_of_its_undo_is_left() {
    let mut world = World::new();
    world.ends.store(false, Ordering::SeqCst);
    let system = world.begin(true).await;
    world.began.notified().await;
    assert_eq!(world.ask(Ask::Pause { run: run(1) }).await, Answer::Taken);
    let cancel = Ask::Cancel { run: run(1), undo: false, why: "leave it".to_owned() };
    assert_eq!(world.ask(cancel).await, Answer::Taken);
    world.until(child(), |record| matches!(record, Record::CancelAsked { undo: false, .. })).await;
    let ended = |record: &Record| matches!(record, Record::Ended { .. });
    // That it reached its goal was its end before it was undone.
    assert_eq!((world.count(child(), ended).await, world.count(run(1), ended).await), (1, 0));
    world.ends.store(true, Ordering::SeqCst);
    assert_eq!(world.ended().await, (Status::Failed, 0, 1));
    assert_eq!(world.ended_inside().await, (1, 1));
    down(system).await;
}

#[tokio::test(start_paused = true)]
async fn a_goal_inside_that_nobody_carries_and_is_undone_is_resumed_where_it_is_carried_on() {
    use steadfast_orchestration::host::{Asked, apply};
    for what in [Ask::Resume { run: child() }, Ask::Resume { run: run(1) }] {
        let mut world = World::new();
        down(world.stuck().await).await;
        let now = Millis::of(std::time::SystemTime::UNIX_EPOCH + Duration::from_hours(1_000_000));
        let asked = Asked { id: uuid::Uuid::from_u128(1), who: "ann".to_owned(), wall: Millis(1), what };
        let answer = apply((&*world.journal, &Store::outfit()), &asked, "cli", now).await.expect("done or refused");
        assert_eq!(answer, Answer::Taken);
        let system = world.process(true).await;
        assert_eq!(world.ended().await, (Status::Failed, 1, 0));
        down(system).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_goal_inside_that_is_undone_stands_still_with_the_run_around_it_and_goes_on_with_it() {
    for crash in [None, Some(false), Some(true)] {
        let mut world = World::new();
        world.ends.store(false, Ordering::SeqCst);
        let mut system = world.begin(true).await;
        world.undo_begins().await;
        assert_eq!(world.ask(Ask::Pause { run: run(1) }).await, Answer::Taken);
        world.until(child(), |record| matches!(record, Record::Paused { why: PauseCause::Asked, .. })).await;
        match crash {
            None => {}
            Some(false) => system.kill(preset::orchestrator_path(run(1)).as_str()).expect("it is there"),
            Some(true) => {
                down(system).await;
                system = world.process(true).await;
            }
        }
        world.ends.store(true, Ordering::SeqCst);
        world.stands(|standing| matches!(standing, Standing::Paused(_))).await;
        assert_eq!(world.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
        assert_eq!(world.ended().await, (Status::Failed, 1, 0), "{crash:?}");
        down(system).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_while_a_goal_inside_is_undone_drops_the_undo_there() {
    use steadfast_orchestration::agents::orchestrator::{Orchestrator, OrchestratorMessage};
    let mut world = World::new();
    world.ends.store(false, Ordering::SeqCst);
    let system = world.begin(true).await;
    world.undo_begins().await;
    let orchestrator = system.agent::<Orchestrator>(&preset::orchestrator_path(run(1))).expect("it is there");
    orchestrator.ask(OrchestratorMessage::Stop { who: "ann".to_owned() }).await.expect("it hears it");
    world.until(child(), |record| matches!(record, Record::UndoLost { .. })).await;
    world.stands(|standing| matches!(standing, Standing::Paused(_))).await;
    world.ends.store(true, Ordering::SeqCst);
    assert_eq!(world.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    assert_eq!(world.ended().await, (Status::Failed, 1, 0));
    down(system).await;
}
