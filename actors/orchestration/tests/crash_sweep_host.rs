//! Guarantee: the process of a host that is stopped right before or right after any append to its journal, with a power cut,
//! ends where the calm one does, what it was asked for included: no recorded step runs again, nothing that was acknowledged is
//! lost. Exhaustive: each seed stops at another append.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::hosting::{Store, all_ended, end, records, run, start};
use common::stops::{Witness, check, lock, one_stop};
use steadfast::seam::{Journal, Level};
use steadfast::testing::{self, Disk, Node};
use steadfast::{BoxError, RunId};
use steadfast_orchestration::host::{Answer, Ask, answer_of};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Record, Status, TaskId, child_run};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::ScriptedCommands;
use uuid::Uuid;

/// A run with another one inside, in which a person is asked.
const ASKS: &str = "name = 'asks'\n\
    [[tasks]]\nid = 'child'\n[tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'ask'\napprove = { prompt = '?' }\n\
    [[tasks.goal.inline.tasks]]\nid = 'do'\nafter = ['ask']\nresult = 'stdout'\n\
    command = { program = 'print', args = ['inside'] }\n\
    [[tasks]]\nid = 'end'\ncollect = '${tasks.child.result}'\n";

/// A run that is cancelled, and undone.
const BOOKS: &str = "name = 'books'\n\
    [[tasks]]\nid = 'book'\nresult = 'stdout'\ncommand = { program = 'print', args = ['booked'] }\n\
    [tasks.undo]\ncommand = { program = 'undo', args = ['${result}'] }\n\
    [[tasks]]\nid = 'go'\nafter = ['book']\napprove = { prompt = '?' }\n";

/// A run whose goal inside cannot take back what it did, since a variable is not set, and that is cancelled then.
const STUCK: &str = "name = 'stuck'\non_exhausted = 'fail'\n\
    [[tasks]]\nid = 'child'\n[tasks.goal.inline]\nname = 'inner'\n\
    [[tasks.goal.inline.tasks]]\nid = 'book'\nresult = 'stdout'\ncommand = { program = 'print', args = ['booked'] }\n\
    undo = { command = { program = 'undo', env = { X = { from = 'TOKEN' } } } }\n\
    [[tasks]]\nid = 'wrong'\nafter = ['child']\ncommand = { program = 'wrong' }\n";

fn store(witness: &Arc<Mutex<Witness>>) -> Store {
    let (mut store, witness) = (Store::new(), Arc::clone(witness));
    store.jobs = 2;
    store.commands = Arc::new(ScriptedCommands::later(move |invocation| {
        let witness = Arc::clone(&witness);
        Box::pin(async move {
            let of = |name: &str| invocation.env.get(name).cloned().unwrap_or_default();
            lock(&witness).begin(of("STEADFAST_IDEMPOTENCY_KEY"), of("STEADFAST_ATTEMPT"));
            tokio::time::sleep(Duration::from_millis(5)).await;
            let code = i32::from(invocation.program == "wrong");
            Ok(Completed::new(Exit::Code(code)).stdout(invocation.args.join(" ")))
        })
    }));
    store
}

fn inside(number: u128) -> RunId {
    child_run(run(number), &TaskId::single("child"))
}

/// What a seed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ran {
    is_stopped: bool,
    appends: u64,
    ends: Vec<(Status, String)>,
}

async fn until_waits(journal: impl Fn() -> Option<Arc<dyn Journal>>, of: RunId) {
    let waits = |record: &Record| matches!(record, Record::Waiting { .. } | Record::Paused { .. });
    loop {
        if let Some(journal) = journal()
            && records(&*journal, of).await.iter().any(waits)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks for three runs, answers the one and cancels the others, over one stop, which the seed chooses.
async fn carry_out(world: testing::World) -> Result<Ran, BoxError> {
    let witness: Arc<Mutex<Witness>> = Arc::default();
    let (store, disk) = (store(&witness), Disk::new(world.seed()));
    let (journal, is_stopped) = one_stop(&world, &disk, &witness);
    for (id, (number, goal)) in (1..).zip([(1, ASKS), (2, BOOKS), (3, STUCK)]) {
        store.ask(id, Ask::Start(start(run(number), goal, None))).await;
    }
    let builder = world.node("a").configure(move |builder| preset::set_up(builder).journal(Arc::new(journal())));
    let process = store.process();
    world.spawn(async move {
        let _ = builder.start(process).await;
    });
    let own = world.clone();
    let looks = move || own.find_node("a").as_ref().and_then(Node::try_system).map(|system| system.journal());
    until_waits(&looks, inside(1)).await;
    let approve = Ask::Approve { run: inside(1), task: TaskId::single("ask"), why: String::new() };
    store.ask(11, approve).await;
    until_waits(&looks, run(2)).await;
    store.ask(12, Ask::Cancel { run: run(2), undo: true, why: "it rains".to_owned() }).await;
    until_waits(&looks, inside(3)).await;
    store.ask(13, Ask::Cancel { run: run(3), undo: false, why: "leave it".to_owned() }).await;
    all_ended(&looks, &[run(1), run(2), run(3)]).await;
    // What a stop before the answer left is asked again by nobody, and is not done twice.
    world.sleep(Duration::from_secs(1)).await;
    let (is_stopped, appends) = (*lock(&is_stopped), lock(&witness).appends);
    let seen = std::mem::take(&mut lock(&witness).seen);
    check(&seen, &disk).await;
    let journal = disk.journal(Level::Durable);
    for (of, id) in [(inside(1), 11), (run(2), 12), (run(3), 13)] {
        assert_eq!(answer_of(&journal, of, Uuid::from_u128(id)).await?, Answer::Taken);
    }
    let mut ends = Vec::new();
    // The one inside that was to take something back is not left in the middle of that.
    for of in [run(1), inside(1), run(2), run(3), inside(3)] {
        ends.push(end(&journal, of).await.expect("it ended"));
    }
    let undone = records(&journal, run(2)).await;
    let undone = undone.iter().filter(|record| matches!(record, Record::UndoRecorded { .. })).count();
    assert_eq!(undone, 1, "it is undone once");
    Ok(Ran { is_stopped, appends, ends })
}

#[test]
fn a_host_ends_its_runs_as_the_calm_one_wherever_its_process_is_stopped() {
    let ran = |seed: u64| {
        let told: Arc<Mutex<Ran>> = Arc::default();
        let tell = Arc::clone(&told);
        let sim = testing::Sim::new("crash_sweep_host").try_seed(seed, move |world| {
            let tell = Arc::clone(&tell);
            async move { carry_out(world).await.map(|ran| *lock(&tell) = ran) }
        });
        assert_eq!(sim.failure, None, "seed {seed}");
        std::mem::take(&mut *lock(&told))
    };
    let calm = ran(2_000);
    assert!(!calm.is_stopped && calm.appends > 20, "{calm:?}");
    assert_eq!(
        calm.ends.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
        [Status::Reached, Status::Reached, Status::Cancelled, Status::Failed, Status::Cancelled]
    );
    for seed in 0.. {
        let again = ran(seed);
        // Runs share appends, so that not each seed has as many.
        if !again.is_stopped {
            assert!(seed > 40, "it stopped at {seed} places only");
            return;
        }
        assert_eq!(again.ends, calm.ends, "seed {seed}");
    }
}
