//! Guarantee: what is asked of a run inside another one reaches it where it is carried, as part of the run around it; and
//! what is asked of a run reaches what stands still inside it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use common::hosting::{Store, all_ended, end, records, run, start, until_recorded};
use steadfast::seam::{Clock, Journal, Level};
use steadfast::testing::{Disk, VirtualClock};
use steadfast::{RunId, System};
use steadfast_orchestration::agents::host::HostEvent;
use steadfast_orchestration::host::{Answer, Ask, Asked, answer_of, apply, unfinished};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Class, Millis, Outcome, PauseCause, Record, Status, TaskId, child_run, is_inside};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::ScriptedCommands;
use tokio::sync::broadcast;
use uuid::Uuid;

const MS: Duration = Duration::from_millis(1);

/// How often it is looked for something before it does not come.
const LONG: u32 = 10_000;

const ASKS: &str = "name = 'outer'\n\
    [[tasks]]\nid = 'child'\n\
    [tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'ask'\napprove = { prompt = 'go?' }\n\
    [[tasks.goal.inline.tasks]]\nid = 'paid'\nsignal = { name = 'paid' }\n\
    [[tasks.goal.inline.tasks]]\nid = 'do'\nafter = ['ask', 'paid']\nresult = 'stdout'\n\
    command = { program = 'print', args = ['done'] }\n";

fn child() -> RunId {
    child_run(run(1), &TaskId::single("child"))
}

/// A store, and a process that serves it.
struct Served {
    journal: Arc<dyn Journal>,
    store: Store,
    system: System,
    events: broadcast::Receiver<HostEvent>,
    asked: u128,
}

impl Served {
    async fn begin(journal: &Arc<dyn Journal>, store: &Store) -> Self {
        Self::begin_by(Arc::new(VirtualClock::new()), journal, store).await
    }

    async fn begin_by(clock: Arc<dyn Clock>, journal: &Arc<dyn Journal>, store: &Store) -> Self {
        let spec = store.process()();
        let events = store.feeds().events();
        let builder = preset::builder().clock(clock).journal(Arc::clone(journal));
        let system = builder.start(spec).await.expect("the tree starts");
        Self { journal: Arc::clone(journal), store: store.clone(), system, events, asked: 100 }
    }

    async fn of(goal: &str) -> Self {
        let served = Self::begin(&disk(), &Store::new()).await;
        served.start(goal).await;
        served
    }

    async fn start(&self, goal: &str) {
        preset::start_run(&self.system, "process-0", &start(run(1), goal, None), Millis(5)).await.expect("begun");
    }

    /// Asks, and returns the answer.
    async fn ask(&mut self, what: Ask) -> Answer {
        self.asked += 1;
        let of = what.run();
        let id = self.store.ask(self.asked, what).await;
        self.answered(of, id).await
    }

    async fn answered(&self, of: RunId, id: Uuid) -> Answer {
        for _ in 0..LONG {
            match answer_of(&*self.journal, of, id).await.expect("it is read") {
                Answer::NotYet => tokio::time::sleep(MS).await,
                answer => return answer,
            }
        }
        panic!("it is not answered")
    }

    /// Waits until something is recorded in a run.
    async fn until(&self, of: RunId, what: impl Fn(&Record) -> bool) {
        until_recorded(&*self.journal, of, what).await;
    }

    async fn until_it_waits(&self) {
        for task in ["ask", "paid"] {
            self.until(child(), |record| matches!(record, Record::Waiting { task: of, .. } if of.task() == task)).await;
        }
    }

    async fn ended(&self) -> Status {
        let runs = [run(1)];
        let ended = all_ended(|| Some(Arc::clone(&self.journal)), &runs);
        tokio::time::timeout(MS * LONG, ended).await.expect("it ends");
        end(&*self.journal, run(1)).await.expect("it ended").0
    }

    async fn down(self) {
        self.system.shutdown().await.expect("in order");
    }
}

fn disk() -> Arc<dyn Journal> {
    Arc::new(Disk::new(1).journal(Level::Durable))
}

fn approve(run: RunId) -> Ask {
    Ask::Approve { run, task: TaskId::single("ask"), why: "fine".to_owned() }
}

fn paid(run: RunId) -> Ask {
    Ask::Signal { run, name: "paid".to_owned(), data: "3".to_owned() }
}

fn why(answer: Answer) -> String {
    if let Answer::Refused { why } = answer { why } else { panic!("{answer:?}") }
}

#[test]
fn a_run_inside_another_one_is_known_by_its_id() {
    assert!(is_inside(child()) && !is_inside(run(1)));
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_a_run_inside_another_one_is_done_by_whoever_carries_it_and_it_goes_on_there() {
    let mut served = Served::of(ASKS).await;
    served.until_it_waits().await;
    let all = [Ask::Pause { run: child() }, Ask::Resume { run: child() }, paid(child()), approve(child())];
    for what in all {
        assert_eq!(served.ask(what.clone()).await, Answer::Taken, "{what:?}");
    }
    assert_eq!(served.ended().await, Status::Reached);
    // Nobody was outranked, and nobody lacked what the run works with.
    assert_eq!(served.system.restarts().total, 0);
    let inside = records(&*served.journal, child()).await;
    let failed = inside.iter().find(|record| matches!(record, Record::Failed { .. } | Record::Lost { .. }));
    assert_eq!(failed, None);
    served.down().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_inside_another_one_that_is_cancelled_ends_and_its_task_fails_with_that() {
    let mut served = Served::of(ASKS).await;
    served.until_it_waits().await;
    let cancel = Ask::Cancel { run: child(), undo: false, why: "enough".to_owned() };
    assert_eq!(served.ask(cancel).await, Answer::Taken);
    assert_eq!(served.ended().await, Status::Failed);
    let failed = |record: &Record| {
        matches!(record, Record::Recorded { outcome: Outcome::Failed { class: Class::Child, message }, .. }
            if message.contains("cancelled"))
    };
    assert!(records(&*served.journal, run(1)).await.iter().any(failed));
    assert!(why(served.ask(Ask::Pause { run: child() }).await).contains("is over"));
    served.down().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_inside_one_that_stands_still_does_not_go_on_before_that_one_does() {
    let mut served = Served::of(ASKS).await;
    served.until_it_waits().await;
    assert_eq!(served.ask(Ask::Pause { run: child() }).await, Answer::Taken);
    assert_eq!(served.ask(Ask::Pause { run: run(1) }).await, Answer::Taken);
    served.until(child(), |record| matches!(record, Record::Paused { who, .. } if who.contains("run "))).await;
    let refused = why(served.ask(Ask::Resume { run: child() }).await);
    assert!(refused.contains(&run(1).to_string()), "{refused}");
    // The one around it goes on, and with it what is inside.
    assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    served.until(child(), |record| matches!(record, Record::Resumed { .. })).await;
    assert_eq!(served.ask(paid(child())).await, Answer::Taken);
    assert_eq!(served.ask(approve(child())).await, Answer::Taken);
    assert_eq!(served.ended().await, Status::Reached);
    served.down().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_a_run_inside_one_that_nobody_carries_is_found_by_whoever_carries_that_on() {
    let (journal, store) = (disk(), Store::new());
    let served = Served::begin(&journal, &store).await;
    served.start(ASKS).await;
    served.until_it_waits().await;
    served.down().await;
    let ask = async |id, what| {
        let asked = Asked { id: Uuid::from_u128(id), who: "ann".to_owned(), wall: Millis(1), what };
        apply((&*journal, &Store::outfit()), &asked, "cli", Millis(2)).await.expect("done or refused")
    };
    assert_eq!(ask(1, paid(child())).await, Answer::Taken);
    assert_eq!(ask(2, approve(child())).await, Answer::Taken);
    let mut served = Served::begin(&journal, &store).await;
    let scanned = loop {
        if let HostEvent::Scanned { unfinished } = served.events.recv().await.expect("not too far behind") {
            break unfinished;
        }
    };
    assert_eq!(scanned, 1, "the one inside is no run of its own");
    assert_eq!(served.ended().await, Status::Reached);
    served.down().await;
    // Nobody would hear of it any more.
    let refused = why(ask(3, Ask::Pause { run: child() }).await);
    assert!(refused.contains("is over"), "{refused}");
    assert!(unfinished(&*journal, Millis(9)).await.expect("listed").is_empty());
}

/// A goal inside a goal inside a goal, in which a command fails until it was tried twice.
const DEEP: &str = "name = 'outer'\n\
    [[tasks]]\nid = 'child'\n\
    [tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'child'\n\
    [tasks.goal.inline.tasks.goal.inline]\nname = 'deepest'\n\
    [[tasks.goal.inline.tasks.goal.inline.tasks]]\nid = 'flaky'\ncommand = { program = 'flaky' }\n";

fn deepest() -> RunId {
    child_run(child(), &TaskId::single("child"))
}

fn flaky() -> Store {
    let (mut store, tries) = (Store::new(), Arc::new(AtomicU32::new(0)));
    store.commands = Arc::new(ScriptedCommands::new(move |_| {
        let fails = tries.fetch_add(1, Ordering::SeqCst) < 2;
        Ok(Completed::new(Exit::Code(i32::from(fails))))
    }));
    store
}

async fn until_paused(served: &Served, times: usize) {
    let exhausted = |record: &&Record| matches!(record, Record::Paused { why: PauseCause::Exhausted { .. }, .. });
    let mut looks = 0;
    while records(&*served.journal, deepest()).await.iter().filter(exhausted).count() < times {
        tokio::time::sleep(MS).await;
        looks += 1;
        assert!(looks < LONG, "it does not stand still: {:#?}", records(&*served.journal, deepest()).await);
    }
    // And those around it have heard.
    tokio::time::sleep(100 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_resumed_resumes_what_stands_still_inside_it_however_deep() {
    let served = &mut Served::begin(&disk(), &flaky()).await;
    served.start(DEEP).await;
    for times in 1..=2 {
        until_paused(served, times).await;
        assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken, "{times}");
    }
    assert_eq!(served.ended().await, Status::Reached);
    assert!(why(served.ask(Ask::Resume { run: run(1) }).await).contains("is over"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_carries_and_is_resumed_goes_on_inside_when_it_is_carried() {
    let (journal, store) = (disk(), flaky());
    let served = Served::begin(&journal, &store).await;
    served.start(DEEP).await;
    until_paused(&served, 1).await;
    let now = Millis::of(served.system.clock().wall());
    served.down().await;
    let ask = async |id, what| {
        let asked = Asked { id: Uuid::from_u128(id), who: "ann".to_owned(), wall: Millis(1), what };
        apply((&*journal, &Store::outfit()), &asked, "cli", now).await.expect("done or refused")
    };
    assert_eq!(ask(1, Ask::Resume { run: run(1) }).await, Answer::Taken);
    let served = Served::begin(&journal, &store).await;
    until_paused(&served, 2).await;
    served.down().await;
}

/// A clock that can be set back.
struct SetBack {
    clock: VirtualClock,
    by: AtomicU32,
}

const HOUR: Duration = Duration::from_hours(1);

impl SetBack {
    fn new() -> Arc<Self> {
        Arc::new(Self { clock: VirtualClock::new(), by: AtomicU32::new(0) })
    }

    fn an_hour(&self) {
        self.by.fetch_add(1, Ordering::SeqCst);
    }
}

impl Clock for SetBack {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall() - HOUR * self.by.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_resumed_resumes_what_stands_still_inside_it_though_the_clock_was_set_back() {
    for carried in [true, false] {
        let (journal, store, clock) = (disk(), flaky(), SetBack::new());
        let mut served = Served::begin_by(Arc::clone(&clock) as _, &journal, &store).await;
        served.start(DEEP).await;
        until_paused(&served, 1).await;
        clock.an_hour();
        if carried {
            assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
        } else {
            served.down().await;
            let what = Ask::Resume { run: run(1) };
            let asked = Asked { id: Uuid::from_u128(1), who: "ann".to_owned(), wall: Millis(1), what };
            let answer = apply((&*journal, &Store::outfit()), &asked, "cli", Millis::of(clock.wall())).await;
            assert_eq!(answer.expect("done or refused"), Answer::Taken);
            served = Served::begin_by(Arc::clone(&clock) as _, &journal, &store).await;
        }
        until_paused(&served, 2).await;
        served.down().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_still_anew_inside_a_resumed_run_waits_for_somebody_though_the_clock_was_set_back() {
    let (journal, mut store, clock) = (disk(), Store::new(), SetBack::new());
    store.commands = Arc::new(ScriptedCommands::later(|_| {
        Box::pin(async {
            tokio::time::sleep(20 * MS).await;
            Ok(Completed::new(Exit::Code(1)))
        })
    }));
    let mut served = Served::begin_by(Arc::clone(&clock) as _, &journal, &store).await;
    served.start(DEEP).await;
    until_paused(&served, 1).await;
    assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    let resumed = |record: &Record| matches!(record, Record::Resumed { .. });
    served.until(deepest(), resumed).await;
    clock.an_hour();
    until_paused(&served, 2).await;
    served.down().await;
    served = Served::begin_by(Arc::clone(&clock) as _, &journal, &store).await;
    tokio::time::sleep(1_000 * MS).await;
    assert_eq!(records(&*journal, deepest()).await.iter().filter(|record| resumed(record)).count(), 1);
    served.asked += 100;
    assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    until_paused(&served, 3).await;
    served.down().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_inside_that_somebody_paused_stays_so_though_the_clock_was_set_back_since_the_run_around_it_was_resumed()
{
    let (journal, mut store, clock) = (disk(), Store::new(), SetBack::new());
    store.commands = Arc::new(ScriptedCommands::later(|_| Box::pin(std::future::pending())));
    let mut served = Served::begin_by(Arc::clone(&clock) as _, &journal, &store).await;
    served.start(DEEP).await;
    served.until(deepest(), |record| matches!(record, Record::Leased(_))).await;
    assert_eq!(served.ask(Ask::Pause { run: run(1) }).await, Answer::Taken);
    served.until(deepest(), |record| matches!(record, Record::Paused { .. })).await;
    assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
    served.until(deepest(), |record| matches!(record, Record::Resumed { .. })).await;
    served.down().await;
    clock.an_hour();
    let what = Ask::Pause { run: child() };
    let asked = Asked { id: Uuid::from_u128(1), who: "ann".to_owned(), wall: Millis(1), what };
    let answer = apply((&*journal, &Store::outfit()), &asked, "cli", Millis::of(clock.wall())).await;
    assert_eq!(answer.expect("done or refused"), Answer::Taken);
    let resumed = |record: &&Record| matches!(record, Record::Resumed { .. });
    let before = records(&*journal, child()).await.iter().filter(resumed).count();
    served = Served::begin_by(Arc::clone(&clock) as _, &journal, &store).await;
    tokio::time::sleep(2_000 * MS).await;
    assert_eq!(records(&*journal, child()).await.iter().filter(resumed).count(), before);
    served.down().await;
}

/// A goal inside, and beside it, or before it, one in which a command fails once; in the deepest one it always does.
fn deep_beside(after: &str) -> String {
    format!(
        "name = 'outer'\n\
        [[tasks]]\nid = 'other'\n\
        [tasks.goal.inline]\nname = 'other'\n\
        [[tasks.goal.inline.tasks]]\nid = 'once'\ncommand = {{ program = 'once' }}\n\
        [[tasks]]\nid = 'child'\nafter = [{after}]\n\
        [tasks.goal.inline]\nname = 'inner'\n\
        [[tasks.goal.inline.tasks]]\nid = 'ask'\napprove = {{ prompt = 'go?' }}\n\
        [[tasks.goal.inline.tasks]]\nid = 'child'\nafter = ['ask']\n\
        [tasks.goal.inline.tasks.goal.inline]\nname = 'deepest'\n\
        [[tasks.goal.inline.tasks.goal.inline.tasks]]\nid = 'never'\ncommand = {{ program = 'never' }}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn what_came_to_stand_still_inside_after_the_run_was_resumed_does_not_go_on_by_a_crash_or_a_restart() {
    for (after, restarts) in [("", false), ("", true), ("'other'", false), ("'other'", true)] {
        let (mut store, tries) = (Store::new(), Arc::new(AtomicU32::new(0)));
        store.commands = Arc::new(ScriptedCommands::new(move |invocation| {
            let fails = invocation.program == "never" || tries.fetch_add(1, Ordering::SeqCst) == 0;
            Ok(Completed::new(Exit::Code(i32::from(fails))))
        }));
        let journal = disk();
        let mut served = Served::begin(&journal, &store).await;
        served.start(&deep_beside(after)).await;
        let other = child_run(run(1), &TaskId::single("other"));
        served.until(other, |record| matches!(record, Record::Paused { .. })).await;
        tokio::time::sleep(100 * MS).await;
        assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
        served.until(child(), |record| matches!(record, Record::Waiting { .. })).await;
        tokio::time::sleep(100 * MS).await;
        assert_eq!(served.ask(approve(child())).await, Answer::Taken);
        until_paused(&served, 1).await;
        if restarts {
            served.down().await;
            served = Served::begin(&journal, &store).await;
        } else {
            served.system.kill(preset::orchestrator_path(run(1)).as_str()).expect("it is there");
        }
        tokio::time::sleep(1_000 * MS).await;
        let resumed = |record: &Record| matches!(record, Record::Resumed { .. });
        assert!(!records(&*journal, deepest()).await.iter().any(resumed), "after {after:?}, restarts {restarts}");
        // Somebody looked at it.
        served.asked += 100;
        assert_eq!(served.ask(Ask::Resume { run: run(1) }).await, Answer::Taken);
        until_paused(&served, 2).await;
        served.down().await;
    }
}
