//! Guarantee: one tree carries many runs, which share its agents and do not mix; each goes on from its records wherever
//! agents and processes end, and one that cannot be carried takes no other one down.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::hosting::{Store, all_ended, end, goal, records, run, start};
use steadfast::seam::{AppendAt, Journal, Level};
use steadfast::testing::{self, Disk};
use steadfast::{BoxError, FaultPlan, MemoryJournal, System};
use steadfast_orchestration::agents::host::{HostEvent, Takes};
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::host::{
    Answer, Ask, Asked, Identity, apply, begin, changed_steps, find_unfinished, found, summary, unfinished,
};
use steadfast_orchestration::preset::{self, orchestrator_path};
use steadfast_orchestration::run::{Millis, PauseCause, Record, Standing, Status};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::ScriptedCommands;
use tokio::sync::{Notify, broadcast};

const MS: Duration = Duration::from_millis(1);
const NOW: Millis = Millis(5);

const SMALL: &str = "name = 'small'\nparams = { number = {} }\n\
    [[tasks]]\nid = 'list'\ncollect = [1, 2, 3]\n\
    [[tasks]]\nid = 'each'\nfor_each = '${tasks.list.result}'\nresult = 'stdout'\n\
    command = { program = 'print', args = ['${params.number}', '${item}'] }\n\
    [[tasks]]\nid = 'file'\nretrieve = { content = 'a.txt', cache = '1h' }\n\
    [[tasks]]\nid = 'end'\ncollect = ['${tasks.each.result}', '${tasks.file.result}']\n";

const ONE: &str = "name = 'one'\n[[tasks]]\nid = 'a'\ncommand = { program = 'x' }\n";

async fn fifty(world: testing::World) -> Result<(), BoxError> {
    let runs: Vec<_> = (1..=50).map(run).collect();
    let mut calm = Vec::new();
    for chaotic in [false, true] {
        let store = Store::new();
        let seed = world.seed();
        let faults: Arc<dyn FaultPlan> = Arc::new(Chaos::new("crash=10%,hang=1%".parse()?, seed));
        let node = world.node(if chaotic { "chaos" } else { "calm" }).configure(move |builder| {
            let builder = preset::set_up(builder);
            if chaotic { builder.faults(Arc::clone(&faults)) } else { builder }
        });
        for (number, run) in (0..).zip(&runs) {
            store.ask(100 + u128::from(number), Ask::Start(start(*run, SMALL, Some(number)))).await;
        }
        let node = node.start(store.process()).await?;
        if chaotic {
            let (own, node, mut random) = (world.clone(), node.clone(), world.rng("crashes"));
            world.spawn(async move {
                for _ in 0..3 {
                    own.sleep(MS * u32::try_from(100 + random.next_u64() % 400).expect("small")).await;
                    node.crash().await;
                    node.restart().await.expect("it starts");
                    own.sleep(MS * 50).await;
                    // Everything that carries runs, and everything behind it.
                    let branch = ["goals", "executors", "host"][usize::try_from(random.next_u64() % 3).expect("small")];
                    let _ = node.system().kill(format!("root/domains/orchestration/{branch}"));
                }
            });
        }
        let journal = || node.try_system().map(|system| system.journal());
        all_ended(journal, &runs).await;
        let mut ends = Vec::new();
        for run in &runs {
            ends.push(end(&*node.system().journal(), *run).await.expect("it ended"));
        }
        assert!(ends.iter().all(|(status, _)| *status == Status::Reached), "{ends:?}");
        if chaotic {
            assert_eq!(ends, calm, "each ends as its calm run");
        }
        calm = ends;
    }
    assert!(calm.windows(2).all(|pair| pair[0].1 != pair[1].1), "each run has its own results");
    Ok(())
}

#[test]
fn fifty_runs_at_once_end_as_their_calm_runs_whichever_agents_and_processes_end() {
    testing::Sim::new("hosts").seeds(2).run(fifty);
}

/// A process on a journal, outside of a simulated world.
async fn process(store: &Store, journal: &Arc<dyn Journal>) -> (System, broadcast::Receiver<HostEvent>) {
    let spec = store.process()();
    let events = store.feeds().events();
    let system = preset::builder().journal(Arc::clone(journal)).start(spec).await.expect("the tree starts");
    (system, events)
}

fn disk() -> Arc<dyn Journal> {
    Arc::new(Disk::new(1).journal(Level::Durable))
}

async fn over(events: &mut broadcast::Receiver<HostEvent>) -> (steadfast::RunId, Standing) {
    loop {
        if let HostEvent::Over { run, standing } = events.recv().await.expect("not too far behind") {
            return (run, standing);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_on_one_journal_the_later_one_has_the_runs_and_the_earlier_writes_nothing_more() {
    for crashes in [false, true] {
        let (journal, mut store) = (disk(), Store::new());
        let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (seen, gone) = (Arc::clone(&started), Arc::clone(&go));
        store.commands = Arc::new(ScriptedCommands::later(move |_| {
            let (started, go) = (Arc::clone(&seen), Arc::clone(&gone));
            Box::pin(async move {
                started.notify_one();
                go.notified().await;
                Ok(Completed::new(Exit::Code(0)))
            })
        }));
        let (first, mut of_first) = process(&store, &journal).await;
        preset::start_run(&first, "process-0", &start(run(1), ONE, None), NOW).await.expect("it is started");
        started.notified().await;
        let (second, mut of_second) = process(&store, &journal).await;
        started.notified().await;
        // From here on nothing of the first one gets in.
        let before = records(&*journal, run(1)).await.len();
        if crashes {
            first.kill(orchestrator_path(run(1)).as_str()).expect("it is there");
        }
        go.notify_waiters();
        if !crashes {
            // Both commands end; the report of the first one is recorded nowhere.
            let (taken, standing) = over(&mut of_first).await;
            let Standing::TakenOver { owner } = standing else { panic!("{standing:?}") };
            assert!(taken == run(1) && owner.starts_with("process-1:"), "{owner}");
        }
        let (ended, standing) = over(&mut of_second).await;
        assert_eq!((ended, standing), (run(1), Standing::Ended(Status::Reached)));
        let after = records(&*journal, run(1)).await;
        let recorded = after[before..].iter().filter(|record| matches!(record, Record::Recorded { .. })).count();
        let leased = after.iter().filter(|record| matches!(record, Record::Leased(_))).count();
        assert_eq!((recorded, leased), (1, 2), "{after:?}");
        if crashes {
            assert!(matches!(over(&mut of_first).await.1, Standing::TakenOver { .. }), "it does not take it back");
        }
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(records(&*journal, run(1)).await.len(), after.len());
        for system in [first, second] {
            system.shutdown().await.expect("in order");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_be_carried_is_given_up_by_itself_and_the_others_go_on() {
    let (journal, store) = (disk(), Store::new());
    // Nothing that begins a run; and one whose second record is no record.
    let good = start(run(2), ONE, None);
    for number in [1, 3] {
        let stream = run(number).into();
        if number == 3 {
            begin(&*journal, &start(run(3), ONE, None), (None, "test"), NOW).await.expect("it is recorded");
        }
        let epoch = journal.fence(&stream, "test").await.expect("a right");
        let expected = u64::from(number == 3);
        journal.append(&stream, AppendAt { epoch, expected }, vec![b"damaged".to_vec()]).await.expect("it is kept");
    }
    let (system, mut events) = process(&store, &journal).await;
    preset::start_run(&system, "process-0", &good, NOW).await.expect("it is started");
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(over(&mut events).await);
    }
    ends.sort_by_key(|(run, _)| *run);
    assert!(matches!(&ends[0].1, Standing::GivenUp { why } if why.contains("record 1")), "{ends:?}");
    assert_eq!(ends[1].1, Standing::Ended(Status::Reached));
    assert!(matches!(&ends[2].1, Standing::GivenUp { why } if why.contains("cannot be read")), "{ends:?}");
    assert_eq!(system.restarts().total, 0);
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_forgotten_and_an_idle_host_holds_nothing() {
    let (journal, store) = (disk(), Store::new());
    let (system, mut events) = process(&store, &journal).await;
    let idle = system.alive();
    for number in 1..=20 {
        preset::start_run(&system, "process-0", &start(run(number), ONE, None), NOW).await.expect("it is started");
    }
    for _ in 0..20 {
        assert_eq!(over(&mut events).await.1, Standing::Ended(Status::Reached));
    }
    let forgotten = async {
        while system.alive() != idle {
            tokio::time::sleep(MS).await;
        }
    };
    let forgotten = tokio::time::timeout(Duration::from_secs(10), forgotten).await;
    let alive = system.alive();
    let left: Vec<_> = alive.iter().filter(|path| !idle.contains(path)).collect();
    assert!(forgotten.is_ok(), "{left:?} are left");
    assert_eq!(store.feeds().carried(), []);
    assert!((1..=20).all(|number| store.shop().room(run(number)).is_none()), "{:?}", store.shop());
    assert_eq!(format!("{:?}", store.shop().floor()), "Floor([])");
    assert!(found(&*journal).await.expect("listed").iter().all(|found| found.ended.is_some()));
    assert_eq!(unfinished(&*journal, NOW).await.expect("listed").len(), 0);
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn the_first_of_a_thousand_unfinished_runs_does_not_wait_for_the_others() {
    let (journal, store) = (disk(), Store::new());
    for number in 1..=1000 {
        begin(&*journal, &start(run(number), ONE, None), (None, "test"), NOW).await.expect("it is recorded");
    }
    let spec = store.process()();
    let mut events = store.feeds().events();
    let system = preset::builder().journal(Arc::clone(&journal)).start(spec).await.expect("the tree starts");
    let first = events.recv().await.expect("an event");
    assert!(matches!(first, HostEvent::TakenUp { run: first } if first == run(1000)), "{first:?}");
    let leased = records(&*journal, run(1)).await;
    assert_eq!(leased.len(), 1, "the oldest one has not begun");
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn when_it_is_told_that_all_were_found_each_of_them_is_being_carried_or_is_over() {
    // It answers at once, so that what was found waits in the mailbox of the host.
    let (journal, store): (Arc<dyn Journal>, _) = (Arc::new(MemoryJournal::default()), Store::new());
    for number in 1..=300 {
        begin(&*journal, &start(run(number), ONE, None), (None, "test"), NOW).await.expect("it is recorded");
    }
    let (system, mut events) = process(&store, &journal).await;
    let mut heard = std::collections::BTreeSet::new();
    loop {
        match events.recv().await.expect("not too far behind") {
            HostEvent::TakenUp { run } | HostEvent::Over { run, .. } => heard.extend([run]),
            HostEvent::Scanned { unfinished } => {
                heard.extend(store.feeds().carried());
                assert_eq!((unfinished, heard.len()), (300, 300));
                break;
            }
            _ => {}
        }
    }
    system.shutdown().await.expect("in order");
}

/// A goal of so many commands, which wait for nothing.
fn many(program: &str, commands: u32) -> String {
    let list = (0..commands).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    format!(
        "name = 'many'\n[[tasks]]\nid = 'list'\ncollect = [{list}]\n\
         [[tasks]]\nid = 'each'\nfor_each = '${{tasks.list.result}}'\ncommand = {{ program = '{program}' }}\n"
    )
}

/// Whose commands began, in order, and how many were under way at once.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<(Vec<String>, usize, usize)>>);

impl Turns {
    /// Commands that take a hundredth of a second, or ten seconds.
    fn commands(&self) -> ScriptedCommands {
        let turns = self.0.clone();
        ScriptedCommands::later(move |invocation| {
            let turns = Arc::clone(&turns);
            Box::pin(async move {
                let run = invocation.env["STEADFAST_IDEMPOTENCY_KEY"].split(':').next().expect("a run").to_owned();
                {
                    let (began, now, most) = &mut *turns.lock().expect("nobody panicked");
                    began.push(run);
                    *now += 1;
                    *most = (*most).max(*now);
                }
                tokio::time::sleep(MS * if invocation.program == "long" { 10_000 } else { 10 }).await;
                turns.lock().expect("nobody panicked").1 -= 1;
                Ok(Completed::new(Exit::Code(0)))
            })
        })
    }

    /// How many commands of each run had begun when the first of them had begun so many.
    fn when_one_had(&self, all: usize) -> Vec<usize> {
        let mut counts = BTreeMap::new();
        for run in &self.0.lock().expect("nobody panicked").0 {
            let count = counts.entry(run.clone()).or_default();
            *count += 1;
            if *count == all {
                break;
            }
        }
        counts.into_values().collect()
    }

    /// Whose commands began from when so many runs had begun one, until one of them had begun all.
    fn while_all_go_on(&self, runs: usize, all: usize) -> Vec<String> {
        let began = self.0.lock().expect("nobody panicked").0.clone();
        let had = |upto: usize| began[..upto].iter().collect::<BTreeSet<_>>().len();
        let of = |run: &String, upto: usize| began[..upto].iter().filter(|other| *other == run).count();
        let from = (0..began.len()).find(|upto| had(*upto) == runs).expect("all begin");
        let until = (from..began.len()).find(|at| of(&began[*at], at + 1) == all).expect("one begins all");
        began[from..until].to_vec()
    }

    /// How many were under way at once.
    fn most(&self) -> usize {
        self.0.lock().expect("nobody panicked").2
    }
}

#[tokio::test(start_paused = true)]
async fn runs_take_turns_and_no_more_of_their_commands_are_under_way_at_once_than_there_are_executors() {
    let (journal, mut store, turns) = (disk(), Store::new(), Turns::default());
    (store.jobs, store.commands) = (2, Arc::new(turns.commands()));
    for number in 1..=6 {
        begin(&*journal, &start(run(number), &many("x", 30), None), (None, "test"), NOW).await.expect("it is recorded");
    }
    let (system, mut events) = process(&store, &journal).await;
    for _ in 1..=6 {
        assert_eq!(over(&mut events).await.1, Standing::Ended(Status::Reached));
    }
    let began = turns.while_all_go_on(6, 30);
    assert!(began.len() > 100, "they begin one after the other: {began:?}");
    let all = |window: &&[String]| window.iter().collect::<BTreeSet<_>>().len() == 6;
    let left_out = began.windows(12).find(|window| !all(window));
    assert_eq!(left_out, None, "of twelve that begin each run has one");
    assert_eq!(turns.most(), 2);
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_commands_take_long_does_not_have_all_executors_while_another_one_waits() {
    let (journal, mut store, turns) = (disk(), Store::new(), Turns::default());
    (store.jobs, store.commands) = (2, Arc::new(turns.commands()));
    let (system, mut events) = process(&store, &journal).await;
    preset::start_run(&system, "process-0", &start(run(1), &many("long", 40), None), NOW).await.expect("it is started");
    while turns.most() < 2 {
        tokio::time::sleep(MS).await;
    }
    preset::start_run(&system, "process-0", &start(run(2), &many("x", 30), None), NOW).await.expect("it is started");
    assert_eq!(over(&mut events).await, (run(2), Standing::Ended(Status::Reached)));
    let counts = turns.when_one_had(30);
    assert!(counts[0] < 15, "{} long commands began before the other run was done", counts[0]);
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_run_with_thousands_of_tasks_does_not_keep_a_short_one_waiting() {
    let (journal, mut store) = (disk(), Store::new());
    store.jobs = 1;
    let (system, mut events) = process(&store, &journal).await;
    let long = start(run(1), &many("x", 3000), None);
    preset::start_run(&system, "process-0", &long, NOW).await.expect("it is started");
    let leases = |records: &[Record]| records.iter().filter(|record| matches!(record, Record::Leased(_))).count();
    while leases(&records(&*journal, run(1)).await) < 20 {
        tokio::time::sleep(MS).await;
    }
    let before = leases(&records(&*journal, run(1)).await);
    let short = "name = 'short'\n[[tasks]]\nid = 'a'\ncommand = { program = 'x' }\n\
        [[tasks]]\nid = 'b'\nafter = ['a']\ncommand = { program = 'x' }\n\
        [[tasks]]\nid = 'c'\nafter = ['b']\ncommand = { program = 'x' }\n";
    preset::start_run(&system, "process-0", &start(run(2), short, None), NOW).await.expect("it is started");
    assert_eq!(over(&mut events).await, (run(2), Standing::Ended(Status::Reached)));
    let meanwhile = leases(&records(&*journal, run(1)).await) - before;
    assert!(meanwhile < 12, "{meanwhile} leases of the long one went before");
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_variable_that_is_missing_lets_the_run_stand_still_and_is_named() {
    const NEEDS: &str =
        "name = 'one'\n[[tasks]]\nid = 'a'\ncommand = { program = 'x', env = { A = { from = 'TOKEN' } } }\n";
    let (journal, mut store) = (disk(), Store::new());
    let (system, _events) = process(&store, &journal).await;
    let feed = store.feeds().of(run(1));
    preset::start_run(&system, "process-0", &start(run(1), NEEDS, None), NOW).await.expect("it is started");
    let Standing::Paused(notes) = feed.stands_still().await else { panic!("it goes on") };
    assert!(notes[0].cause == "missing variable" && notes[0].message.contains("`TOKEN`"), "{notes:?}");
    system.shutdown().await.expect("in order");

    // Another process, which has it: it stays paused until somebody resumes it.
    let commands = ScriptedCommands::new(|_| Ok(Completed::new(Exit::Code(0)))).variable("TOKEN", "value of token");
    store.commands = Arc::new(commands);
    let (system, mut events) = process(&store, &journal).await;
    let feed = store.feeds().of(run(1));
    while !matches!(&*feed.standing().borrow(), Standing::Paused(_)) {
        tokio::time::sleep(MS).await;
    }
    store.ask(7, Ask::Resume { run: run(1) }).await;
    assert_eq!(over(&mut events).await.1, Standing::Ended(Status::Reached));
    let all = records(&*journal, run(1)).await;
    let named = |record: &&Record| matches!(record, Record::Paused { why: PauseCause::MissingVariable { .. }, .. });
    assert_eq!(all.iter().filter(named).count(), 1);
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn the_same_goal_again_is_found_and_what_changed_in_it_is_named() {
    let (journal, mut store) = (disk(), Store::new());
    store.takes = Takes::Named;
    begin(&*journal, &start(run(1), SMALL, Some(1)), (None, "test"), NOW).await.expect("it is recorded");
    begin(&*journal, &start(run(2), SMALL, Some(2)), (None, "test"), NOW).await.expect("it is recorded");
    let params = |number: u64| BTreeMap::from([("number".to_owned(), number.into())]);
    let identity = Identity::new("small", "/in", &params(1));
    // What is damaged, what is over, and another folder.
    begin(&*journal, &start(run(3), SMALL, Some(1)), (None, "test"), NOW).await.expect("it is recorded");
    let epoch = journal.fence(&run(3).into(), "test").await.expect("a right");
    journal
        .append(&run(3).into(), AppendAt { epoch, expected: 1 }, vec![b"damaged".to_vec()])
        .await
        .expect("it is kept");
    begin(&*journal, &start(run(4), SMALL, Some(1)), (None, "test"), NOW).await.expect("it is recorded");
    let what = Ask::Cancel { run: run(4), undo: false, why: String::new() };
    let asked = Asked { id: uuid::Uuid::from_u128(1), who: "ann".to_owned(), wall: NOW, what };
    let cancelled = apply((&*journal, &Store::outfit()), &asked, "test", NOW).await.expect("it is done");
    assert_eq!(cancelled, Answer::Taken);
    let mut elsewhere = start(run(5), SMALL, Some(1));
    elsewhere.input = "/other".to_owned();
    begin(&*journal, &elsewhere, (None, "test"), NOW).await.expect("it is recorded");
    let (found, damaged) = find_unfinished(&*journal, &identity, NOW).await.expect("listed");
    assert_eq!(found.map(|summary| summary.run), Some(run(1)));
    assert!(damaged.len() == 1 && damaged[0].to_string().contains("record 2"), "{damaged:?}");
    begin(&*journal, &start(run(6), SMALL, Some(1)), (None, "test"), NOW).await.expect("it is recorded");
    let (found, _) = find_unfinished(&*journal, &identity, NOW).await.expect("listed");
    assert_eq!(found.map(|summary| summary.run), Some(run(6)), "the latest");
    let head = steadfast_orchestration::host::head(&*journal, run(1)).await.expect("it begins");
    assert_eq!(changed_steps(&head.goal, &goal(SMALL)), []);
    let changed = changed_steps(&head.goal, &goal(&SMALL.replace("[1, 2, 3]", "[1, 2]")));
    assert_eq!(format!("{changed:?}"), "[Step { id: \"list\", change: Changed }]");

    // A process that carries only what it names.
    let (system, mut events) = process(&store, &journal).await;
    preset::take_up(&system, run(1)).await.expect("there is a host");
    assert_eq!(over(&mut events).await, (run(1), Standing::Ended(Status::Reached)));
    let other = summary(&*journal, run(2), NOW).await.expect("it makes sense");
    assert_eq!((other.records, other.is_unfinished()), (1, true));
    system.shutdown().await.expect("in order");
}
