//! Guarantee: where nobody will carry a run inside another one any more, since its orchestrator was given up or the run
//! around it is gone, nothing goes on inside it either, and whoever asks something of it is told so.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::hosting::{Store, records, run, start, until_recorded};
use common::reads::Reads;
use steadfast::seam::{Journal, JournalError, Level, Upto};
use steadfast::testing::Disk;
use steadfast::{RunId, StreamId, System};
use steadfast_orchestration::agents::host::HostEvent;
use steadfast_orchestration::agents::orchestrator::{Orchestrator, OrchestratorMessage};
use steadfast_orchestration::host::{Answer, Ask, Asked, answer_to, apply};
use steadfast_orchestration::preset::{self, child_path, orchestrator_path};
use steadfast_orchestration::run::{Millis, Record, Standing, Status, TaskId, child_run};
use steadfast_orchestration::seam::testing::ScriptedCommands;
use uuid::Uuid;

const MS: Duration = Duration::from_millis(1);

/// How often it is looked for something before it does not come.
const LONG: u32 = 10_000;

/// A goal inside a goal inside a goal, in which a command does not end.
const DEEP: &str = "name = 'outer'\n\
    [[tasks]]\nid = 'child'\n\
    [tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'child'\n\
    [tasks.goal.inline.tasks.goal.inline]\nname = 'deepest'\n\
    [[tasks.goal.inline.tasks.goal.inline.tasks]]\nid = 'long'\ncommand = { program = 'long' }\n";

/// A goal whose command does not end.
const FLAT: &str = "name = 'outer'\n[[tasks]]\nid = 'long'\ncommand = { program = 'long' }\n";

/// The same inside another goal.
const INSIDE: &str = "name = 'outer'\n[[tasks]]\nid = 'child'\n[tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'long'\ncommand = { program = 'long' }\n";

fn child() -> RunId {
    child_run(run(1), &TaskId::single("child"))
}

fn deepest() -> RunId {
    child_run(child(), &TaskId::single("child"))
}

/// Counted as long as the command is under way.
struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A process that carries a goal of which the deepest part works.
struct Working {
    journal: Arc<dyn Journal>,
    /// Whether the records of the runs that were named are damaged.
    is_damaged: Arc<AtomicBool>,
    store: Store,
    system: System,
    under_way: Arc<AtomicU32>,
    /// How many commands were under way at once, at most.
    most: Arc<AtomicU32>,
    /// What lives where nothing is carried.
    idle: Vec<steadfast::Path>,
}

impl Working {
    async fn with_records_that_may_be_damaged(of: RunId) -> Self {
        Self::at(DEEP, &[of]).await
    }

    /// The records of these runs of this goal may be damaged.
    async fn at(goal: &str, of: &[RunId]) -> Self {
        let (mut store, under_way, most) = (Store::new(), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (counted, highest) = (Arc::clone(&under_way), Arc::clone(&most));
        store.commands = Arc::new(ScriptedCommands::later(move |_| {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let under_way = UnderWay(Arc::clone(&counted));
            Box::pin(async move {
                let _under_way = under_way;
                std::future::pending().await
            })
        }));
        let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
        let is_damaged = Arc::new(AtomicBool::new(false));
        let shown = of.iter().fold(Arc::clone(&journal), |shown, of| {
            let (damaged, stream) = (Arc::clone(&is_damaged), StreamId::from(*of));
            Reads::of((&shown, *of), move || {
                let corrupt = JournalError::Corrupt { stream: stream.clone(), seq: 1, what: "on purpose".to_owned() };
                let answer = if damaged.load(Ordering::SeqCst) { Err(corrupt) } else { Ok(()) };
                Box::pin(std::future::ready(answer))
            })
        });
        let system = preset::builder().journal(shown).start(store.process()()).await.expect("the tree starts");
        let idle = system.alive();
        preset::start_run(&system, "process-0", &start(run(1), goal, None), Millis(5)).await.expect("begun");
        let working = Self { journal, is_damaged, store, system, under_way, most, idle };
        working.until("the command is under way", || working.under_way.load(Ordering::SeqCst) == 1).await;
        working
    }

    async fn until(&self, what: &str, so: impl Fn() -> bool) {
        for _ in 0..LONG {
            if so() {
                return;
            }
            tokio::time::sleep(MS).await;
        }
        panic!("it does not come: {what}")
    }

    async fn until_recorded(&self, of: RunId, what: impl Fn(&Record) -> bool) {
        until_recorded(&*self.journal, of, what).await;
    }

    /// As soon as this is recorded, while what follows from it is under way.
    async fn soon(&self, of: RunId, what: impl Fn(&Record) -> bool) {
        for _ in 0..10 * LONG {
            if records(&*self.journal, of).await.iter().any(&what) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it does not come: {:#?}", records(&*self.journal, of).await)
    }

    async fn child_failed(&self) {
        self.soon(run(1), |record| matches!(record, Record::ChildEnded { status: Status::Failed, .. })).await;
    }

    async fn nothing_goes_on_inside(&self) {
        self.until("nothing goes on inside it", || self.under_way.load(Ordering::SeqCst) == 0).await;
        let gone =
            || [child(), deepest()].iter().all(|run| self.system.agent::<Orchestrator>(&child_path(*run)).is_err());
        self.until("nobody carries what is inside it", gone).await;
        self.until("nothing of it is kept", || !self.keeps(child()) && !self.keeps(deepest())).await;
    }

    /// Whether anything of this run is kept for those who work.
    fn keeps(&self, run: RunId) -> bool {
        let shop = self.store.shop();
        format!("{shop:?} {:?}", shop.floor()).contains(&run.to_string())
    }

    /// The next life of this orchestrator finds that the records of its run are damaged.
    fn is_given_up(&self, orchestrator: &steadfast::Path) {
        self.is_damaged.store(true, Ordering::SeqCst);
        self.system.kill(orchestrator.as_str()).expect("it is there");
    }

    async fn answer(&self, id: u128, what: Ask) -> Answer {
        let asked = Asked { id: Uuid::from_u128(id), who: "ann".to_owned(), wall: Millis(1), what: what.clone() };
        self.store.ask(id, what).await;
        for _ in 0..LONG {
            match answer_to(&*self.journal, &asked).await.expect("it is read") {
                Answer::NotYet => tokio::time::sleep(MS).await,
                answer => return answer,
            }
        }
        panic!("it is not answered: {asked:?}")
    }
}

fn cancel() -> OrchestratorMessage {
    OrchestratorMessage::Cancel { undo: false, who: "ann".to_owned(), why: "no more".to_owned() }
}

fn why(answer: Answer) -> String {
    if let Answer::Refused { why } = answer { why } else { panic!("{answer:?}") }
}

fn refused(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::RequestRefused { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn where_an_orchestrator_inside_is_given_up_what_is_inside_it_ends_and_whoever_asks_is_told() {
    let working = Working::with_records_that_may_be_damaged(child()).await;
    // So that its end does not follow from that of its task.
    assert_eq!(working.answer(1, Ask::Pause { run: run(1) }).await, Answer::Taken);
    working.is_given_up(&child_path(child()));
    let ended = |record: &Record| matches!(record, Record::ChildEnded { status: Status::Failed, .. });
    working.until_recorded(run(1), ended).await;
    working.until("nothing goes on inside it", || working.under_way.load(Ordering::SeqCst) == 0).await;
    let gone = || working.system.agent::<Orchestrator>(&child_path(deepest())).is_err();
    working.until("nobody carries what is inside it", gone).await;
    // They can be read again; nobody carries it for that.
    working.is_damaged.store(false, Ordering::SeqCst);
    assert!(why(working.answer(2, Ask::Pause { run: child() }).await).contains("has done with it"));
    assert!(why(working.answer(3, Ask::Resume { run: deepest() }).await).contains("has done with it"));
    let fork = Ask::Fork { from: child(), task: "strange".to_owned(), run: run(7) };
    assert!(why(working.answer(4, fork).await).contains("no task `strange`"));
    assert_eq!(refused(&records(&*working.journal, child()).await), 2);
    working.system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn where_a_run_is_given_up_what_is_inside_it_ends_with_it() {
    let working = Working::with_records_that_may_be_damaged(run(1)).await;
    let mut events = working.store.feeds().events();
    working.is_given_up(&orchestrator_path(run(1)));
    loop {
        if let HostEvent::Over { run: over, standing } = events.recv().await.expect("not too far behind") {
            assert!(over == run(1) && matches!(standing, Standing::GivenUp { .. }), "{standing:?}");
            break;
        }
    }
    working.until("nothing of it is left", || working.system.alive() == working.idle).await;
    working
        .until("nothing of it is kept", || ![run(1), child(), deepest()].iter().any(|run| working.keeps(*run)))
        .await;
    assert_eq!(working.under_way.load(Ordering::SeqCst), 0);
    // Whoever takes it up again begins those inside anew, and hears of them.
    working.is_damaged.store(false, Ordering::SeqCst);
    assert_eq!(
        working.answer(1, Ask::Signal { run: run(1), name: "x".to_owned(), data: "1".to_owned() }).await,
        Answer::Taken
    );
    working.until("it goes on", || working.under_way.load(Ordering::SeqCst) == 1).await;
    working.system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_given_up_drops_what_it_gave_out_before_it_is_taken_up_again() {
    for at_once in [false, true] {
        let working = Working::at(FLAT, &[run(1)]).await;
        let mut events = working.store.feeds().events();
        working.is_given_up(&orchestrator_path(run(1)));
        while !matches!(events.recv().await.expect("not too far behind"), HostEvent::Over { .. }) {}
        if !at_once {
            working.until("it is dropped", || working.under_way.load(Ordering::SeqCst) == 0).await;
        }
        working.is_damaged.store(false, Ordering::SeqCst);
        let signal = Ask::Signal { run: run(1), name: "x".to_owned(), data: "1".to_owned() };
        assert_eq!(working.answer(1, signal).await, Answer::Taken);
        working.until_recorded(run(1), |record| matches!(record, Record::Leased(leased) if leased.attempt == 2)).await;
        working.until("it goes on", || working.under_way.load(Ordering::SeqCst) == 1).await;
        tokio::time::sleep(1_000 * MS).await;
        assert_eq!((working.under_way.load(Ordering::SeqCst), working.most.load(Ordering::SeqCst)), (1, 1));
        working.system.shutdown().await.expect("in order");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_inside_that_is_given_up_drops_what_it_gave_out() {
    let working = Working::at(INSIDE, &[child()]).await;
    assert_eq!(working.answer(1, Ask::Pause { run: run(1) }).await, Answer::Taken);
    working.is_given_up(&child_path(child()));
    working.child_failed().await;
    working.nothing_goes_on_inside().await;
    working.system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn what_is_inside_one_that_was_given_up_ends_though_the_orchestrator_around_it_dies_meanwhile() {
    for goal in [DEEP, INSIDE] {
        for later in 0..20 {
            let working = Working::at(goal, &[child()]).await;
            assert_eq!(working.answer(1, Ask::Pause { run: run(1) }).await, Answer::Taken);
            working.is_given_up(&child_path(child()));
            working.child_failed().await;
            for _ in 0..later {
                tokio::task::yield_now().await;
            }
            working.system.kill(orchestrator_path(run(1)).as_str()).expect("it is there");
            working.nothing_goes_on_inside().await;
            working.system.shutdown().await.expect("in order");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_inside_one_that_was_given_up_is_dropped_though_its_own_orchestrator_cannot_be_asked() {
    let working = Working::at(DEEP, &[child(), deepest()]).await;
    assert_eq!(working.answer(1, Ask::Pause { run: run(1) }).await, Answer::Taken);
    working.is_given_up(&child_path(child()));
    working.is_given_up(&child_path(deepest()));
    working.child_failed().await;
    working.nothing_goes_on_inside().await;
    working.system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_a_run_inside_that_is_over_whoever_dies_meanwhile() {
    let (outer, inner) = (orchestrator_path(run(1)), child_path(child()));
    for (who, later) in (0..20).flat_map(|later| [(&outer, later), (&inner, later)]) {
        let working = Working::at(INSIDE, &[]).await;
        working
            .system
            .agent::<Orchestrator>(&child_path(child()))
            .expect("it is there")
            .tell(cancel())
            .expect("it hears");
        working.soon(child(), |record| matches!(record, Record::Ended { .. })).await;
        for _ in 0..later {
            tokio::task::yield_now().await;
        }
        // It may be gone already.
        let _ = working.system.kill(who.as_str());
        working.nothing_goes_on_inside().await;
        working.system.shutdown().await.expect("in order");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_inside_one_that_is_not_kept_any_more_refuses_what_is_asked_of_it_and_says_why() {
    let working = Working::with_records_that_may_be_damaged(run(9)).await;
    let journal = Arc::clone(&working.journal);
    working.system.shutdown().await.expect("in order");
    let stream = run(1).into();
    let epoch = journal.fence(&stream, "test").await.expect("a right");
    journal.prune(&stream, epoch, Upto::All).await.expect("it is forgotten");
    for (id, of) in [(1, child()), (2, deepest())] {
        let asked =
            Asked { id: Uuid::from_u128(id), who: "ann".to_owned(), wall: Millis(1), what: Ask::Pause { run: of } };
        let answer = apply((&*journal, &Store::outfit()), &asked, "cli", Millis(9)).await.expect("it is refused");
        assert!(why(answer).contains("is not kept any more"), "{of}");
    }
    let system = preset::builder().journal(Arc::clone(&journal)).start(working.store.process()()).await;
    let system = system.expect("the tree starts");
    for (id, of) in [(3, child()), (4, deepest())] {
        let answer = working.answer(id, Ask::Resume { run: of }).await;
        assert!(why(answer).contains("is not kept any more"), "{of}");
    }
    assert_eq!(working.store.feeds().carried(), [], "it is not carried for that");
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_is_refused_is_recorded_once_however_often_it_comes_and_nobody_is_outranked_for_it() {
    const ONE: &str = "name = 'one'\n[[tasks]]\nid = 'a'\ncommand = { program = 'a' }\n";
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let store = Store::new();
    let system = preset::builder().journal(Arc::clone(&journal)).start(store.process()()).await.expect("it starts");
    preset::start_run(&system, "process-0", &start(run(1), ONE, None), Millis(5)).await.expect("begun");
    common::hosting::all_ended(|| Some(Arc::clone(&journal)), &[run(1)]).await;
    let mut epochs = Vec::new();
    for _ in 0..3 {
        store.ask(1, Ask::Fork { from: run(1), task: "strange".to_owned(), run: run(2) }).await;
        tokio::time::sleep(1_000 * MS).await;
        let infos = journal.list(StreamId::from(run(1)).as_str()).await.expect("listed");
        epochs.push(infos.into_iter().map(|info| info.epoch).collect::<Vec<_>>());
        assert_eq!(refused(&records(&*journal, run(1)).await), 1);
    }
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    system.shutdown().await.expect("in order");
}
