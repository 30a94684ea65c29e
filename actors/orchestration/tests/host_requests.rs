//! Guarantee: what another process asks for is done once, wherever the process that does it ends, and whoever asked learns
//! what came of it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::hosting::{Store, all_ended, end, records, run, start};
use common::reads::Reads;
use steadfast::seam::{Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::testing::{self, Disk};
use steadfast::{BoxError, RunId, StreamId};
use steadfast_orchestration::host::{
    Answer, Ask, Asked, Gear, Head, Outfit, Unfit, answer_of, answer_to, apply, unfinished,
};
use steadfast_orchestration::preset;
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::{Millis, Record, Status};
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::requests::{MemoryRequests, Request, Requests, RequestsError};
use steadfast_orchestration::seam::testing::ScriptedCommands;
use uuid::Uuid;

const ASKS: &str = "name = 'asks'\n\
    [[tasks]]\nid = 'go'\napprove = { prompt = 'go?' }\n\
    [[tasks]]\nid = 'paid'\nsignal = { name = 'paid' }\n\
    [[tasks]]\nid = 'a'\nafter = ['go']\nresult = 'stdout'\ncommand = { program = 'print', args = ['a'] }\n\
    [[tasks]]\nid = 'end'\ncollect = ['${tasks.a.result}', '${tasks.paid.result}']\n";

const SECOND: Duration = Duration::from_secs(1);

/// Everything that is asked of a run, in order.
fn asks(run: RunId) -> Vec<Ask> {
    let text = |text: &str| text.to_owned();
    let go = "go".parse().expect("a task");
    vec![
        Ask::Start(start(run, ASKS, None)),
        Ask::Pause { run },
        Ask::Signal { run, name: text("paid"), data: text("3") },
        Ask::Resume { run },
        Ask::Approve { run, task: go, why: text("fine") },
    ]
}

/// Asks for everything, one after the other as each is answered, of a process that crashes where the plan says.
async fn asked(world: testing::World) -> Result<(), BoxError> {
    let store = Store::new();
    let node = world.node("a").configure(preset::set_up).start(store.process()).await?;
    let journal = || node.try_system().map(|system| system.journal());
    for (id, what) in (1..).zip(asks(run(1))) {
        if let Ask::Approve { .. } = what {
            // It is refused before the task asks.
            while !is_waiting(journal()).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let id = store.ask(id, what).await;
        while !store.requests.pending().await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let answer = loop {
            if let Some(journal) = journal()
                && let Ok(answer) = answer_of(&*journal, run(1), id).await
            {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(answer, Answer::Taken, "request {id}");
    }
    all_ended(journal, &[run(1)]).await;
    let all = records(&*node.system().journal(), run(1)).await;
    let count = |of: &dyn Fn(&Record) -> bool| all.iter().filter(|record| of(record)).count();
    let ids: std::collections::BTreeSet<_> = all.iter().filter_map(taken).collect();
    assert_eq!((count(&|record| taken(record).is_some()), ids.len()), (5, 5), "{all:#?}");
    for once in [
        count(&|record| matches!(record, Record::Paused { .. })),
        count(&|record| matches!(record, Record::Resumed { .. })),
        count(&|record| matches!(record, Record::Signalled { .. })),
        count(&|record| matches!(record, Record::Approved { .. })),
    ] {
        assert_eq!(once, 1, "{all:#?}");
    }
    let (status, digest) = end(&*node.system().journal(), run(1)).await.expect("it ended");
    assert_eq!(status, Status::Reached);
    world.note(format_args!("digest {digest}"));
    Ok(())
}

async fn is_waiting(journal: Option<Arc<dyn Journal>>) -> bool {
    let Some(journal) = journal else { return false };
    let all = records(&*journal, run(1)).await;
    all.iter().any(|record| matches!(record, Record::Waiting { task, .. } if task.task() == "go"))
}

fn taken(record: &Record) -> Option<Uuid> {
    if let Record::RequestTaken { id, .. } = record { Some(*id) } else { None }
}

#[test]
fn what_is_asked_is_done_once_wherever_the_process_stops() {
    let calm = testing::Sim::new("requests").try_seed(0, asked);
    assert_eq!(calm.failure, None);
    let digest = |trace: &testing::Trace| {
        trace
            .all("note digest")
            .map(|entry| entry.to_string().split(' ').next_back().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let calm = digest(&calm.trace);
    assert_eq!(calm.len(), 1);
    for number in 1.. {
        let mut came = false;
        for point in ["before-append", "after-append"] {
            let plan = format!("crash a for 30ms at {point} of root/system/journal #{number}");
            let sim = testing::Sim::new("requests").faults(&plan).may_not_fire();
            let ran = sim.try_seed(0, asked);
            assert_eq!(ran.failure, None, "{plan}");
            came |= ran.trace.has("crashed a");
            assert_eq!(digest(&ran.trace), calm, "{plan}");
        }
        if !came {
            assert!(number > 12, "it stopped at {number} places only");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_an_idle_host_is_done_within_a_second() {
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let store = Store::new();
    let system = preset::builder().journal(Arc::clone(&journal)).start(store.process()()).await.expect("it starts");
    let asked = [
        Ask::Start(start(run(1), ASKS, None)),
        Ask::Pause { run: run(1) },
        Ask::Resume { run: run(1) },
        Ask::Cancel { run: run(1), undo: false, why: "enough".to_owned() },
    ];
    for (id, what) in (1..).zip(asked) {
        tokio::time::sleep(Duration::from_hours(1)).await;
        let id = store.ask(id, what.clone()).await;
        let done = async {
            while answer_of(&*journal, run(1), id).await.expect("read") != Answer::Taken {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(SECOND, done).await.is_ok(), "{what:?}");
    }
    system.shutdown().await.expect("in order");
}

/// A store that counts how often it is asked.
struct Counted {
    journal: Arc<dyn Journal>,
    requests: MemoryRequests,
    looks: AtomicU32,
    calls: AtomicU32,
}

/// How often a host may look for requests. After that it gets no answer: time does not go on beside one that asks at once
/// again and again.
const LOOKS: u32 = 10_000;

impl Counted {
    fn new() -> Self {
        let (looks, calls) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { journal: Arc::new(Disk::new(1).journal(Level::Durable)), requests: MemoryRequests::new(), looks, calls }
    }

    /// How often it was looked for requests, and how often the journal was asked, since this was asked last.
    fn taken(&self) -> (u32, u32) {
        (self.looks.swap(0, Ordering::SeqCst), self.calls.swap(0, Ordering::SeqCst))
    }

    fn journal(&self) -> &dyn Journal {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &*self.journal
    }
}

impl Requests for Counted {
    fn put(&self, request: Request) -> BoxFuture<'_, Result<(), RequestsError>> {
        self.requests.put(request)
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<Request>, RequestsError>> {
        let look = self.looks.fetch_add(1, Ordering::SeqCst);
        if look < LOOKS { self.requests.pending() } else { Box::pin(std::future::pending()) }
    }

    fn done(&self, id: Uuid) -> BoxFuture<'_, Result<(), RequestsError>> {
        self.requests.done(id)
    }
}

impl Journal for Counted {
    fn level(&self) -> Level {
        self.journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        self.journal().write(batch)
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.journal().read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.journal().snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.journal().list(prefix)
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_host_looks_for_requests_four_times_a_second_and_asks_the_journal_nothing() {
    let (counted, mut store) = (Arc::new(Counted::new()), Store::new());
    let journal: Arc<dyn Journal> = Arc::clone(&counted) as _;
    store.requests = Arc::clone(&counted) as _;
    let system = preset::builder().journal(Arc::clone(&journal)).start(store.process()()).await.expect("it starts");
    store.ask(1, Ask::Start(start(run(1), ASKS, None))).await;
    store.ask(2, Ask::Cancel { run: run(1), undo: false, why: "enough".to_owned() }).await;
    all_ended(|| Some(Arc::clone(&journal)), &[run(1)]).await;
    tokio::time::sleep(SECOND).await;
    let (looks, calls) = counted.taken();
    assert!(looks < 20 && calls > 0, "{looks} looks and {calls} calls in about a second");
    tokio::time::sleep(Duration::from_mins(1)).await;
    let (looks, calls) = counted.taken();
    assert!((239..=241).contains(&looks) && calls == 0, "{looks} looks and {calls} calls in a minute");
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_and_whoever_asked_learns_why() {
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let store = Store::new();
    let system = preset::builder().journal(Arc::clone(&journal)).start(store.process()()).await.expect("it starts");
    store.ask(1, Ask::Start(start(run(1), ASKS, None))).await;
    while answer_of(&*journal, run(1), Uuid::from_u128(1)).await.expect("read") != Answer::Taken {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let strange = "strange".parse().expect("a task");
    let id = store.ask(2, Ask::Approve { run: run(1), task: strange, why: String::new() }).await;
    let unknown = store.ask(3, Ask::Pause { run: run(9) }).await;
    let resume = store.ask(4, Ask::Resume { run: run(1) }).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(store.requests.pending().await.expect("read"), []);
    let why = |answer| if let Answer::Refused { why } = answer { why } else { panic!("{answer:?}") };
    let of = async |run, id| answer_of(&*journal, run, id).await.expect("read");
    assert!(why(of(run(1), id).await).contains("`strange`"));
    assert!(why(of(run(1), resume).await).contains("not paused"));
    assert_eq!(of(run(9), unknown).await, Answer::NotYet, "there is no such run");
    store.ask(5, Ask::Cancel { run: run(1), undo: false, why: "enough".to_owned() }).await;
    while end(&*journal, run(1)).await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let late = store.ask(6, Ask::Pause { run: run(1) }).await;
    tokio::time::sleep(SECOND).await;
    assert!(why(of(run(1), late).await).contains("the run is over: cancelled"));
    assert_eq!(store.requests.pending().await.expect("read"), []);
    system.shutdown().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_is_refused_is_answered_whether_the_run_it_comes_from_goes_on_or_is_over() {
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let store = Store::new();
    let system = preset::builder().journal(Arc::clone(&journal)).start(store.process()()).await.expect("it starts");
    store.ask(1, Ask::Start(start(run(1), ASKS, None))).await;
    while !is_waiting(Some(Arc::clone(&journal))).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for number in [2, 3] {
        let what = Ask::Fork { from: run(1), task: "strange".to_owned(), run: run(number) };
        let id = store.ask(number, what.clone()).await;
        tokio::time::sleep(SECOND).await;
        let asked = Asked { id, who: "ann".to_owned(), wall: Millis(1), what };
        let answer = answer_to(&*journal, &asked).await.expect("read");
        assert!(matches!(&answer, Answer::Refused { why } if why.contains("no task `strange`")), "{answer:?}");
        assert_eq!(records(&*journal, run(number)).await, [], "there is no such run");
        if number == 2 {
            store.ask(9, Ask::Cancel { run: run(1), undo: false, why: "enough".to_owned() }).await;
            all_ended(|| Some(Arc::clone(&journal)), &[run(1)]).await;
        }
    }
    assert_eq!(system.restarts().total, 0, "nobody was outranked");
    assert!(unfinished(&*journal, Millis(9)).await.expect("listed").is_empty(), "what is over stays over");
    system.shutdown().await.expect("in order");
}

/// An outfit that knows a secret.
struct Discreet;

const SECRET: &str = "correct-horse-battery";

impl Outfit for Discreet {
    fn gear<'a>(&'a self, head: &'a Head) -> BoxFuture<'a, Result<Gear, Unfit>> {
        Box::pin(async { Err(Unfit { input: head.input.clone(), why: "it is not here".to_owned() }) })
    }

    fn redactor(&self, _: &Head) -> Redactor {
        Redactor::new().with_words([SECRET.to_owned()])
    }
}

#[tokio::test]
async fn what_is_written_where_nobody_carries_a_run_holds_no_secret() {
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let ask = async |id, what| {
        let asked = Asked { id: Uuid::from_u128(id), who: format!("ann {SECRET}"), wall: Millis(1), what };
        apply((&*journal, &Discreet), &asked, "cli", Millis(2)).await.expect("done or refused")
    };
    let run = run(1);
    assert_eq!(ask(1, Ask::Start(start(run, ASKS, None))).await, Answer::Taken);
    let data = format!("{{\"of\": \"it is {SECRET}\"}}");
    assert_eq!(ask(2, Ask::Signal { run, name: "paid".to_owned(), data }).await, Answer::Taken);
    let task = "strange".parse().expect("a task");
    let refused = ask(3, Ask::Approve { run, task, why: SECRET.to_owned() }).await;
    assert!(matches!(refused, Answer::Refused { .. }), "{refused:?}");
    assert_eq!(ask(4, Ask::Pause { run }).await, Answer::Taken);
    let why = format!("because of {SECRET}");
    assert_eq!(ask(5, Ask::Cancel { run, undo: false, why }).await, Answer::Taken);
    let frames = journal.read(&run.into(), 0).await.expect("read");
    assert!(frames.len() > 8, "{}", frames.len());
    for frame in frames {
        let text = String::from_utf8_lossy(&frame);
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_is_asked_for_does_the_rest_anew_under_keys_of_its_own() {
    const GOAL: &str = "name = 'two'\n[[tasks]]\nid = 'a'\nresult = 'stdout'\ncommand = { program = 'print', args = ['a'] }\n\
        [[tasks]]\nid = 'b'\nresult = 'stdout'\ncommand = { program = 'print', args = ['${tasks.a.result}'] }\n";
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let store = Store::new();
    let system = preset::builder().journal(Arc::clone(&journal)).start(store.process()()).await.expect("it starts");
    store.ask(1, Ask::Start(start(run(1), GOAL, None))).await;
    all_ended(|| Some(Arc::clone(&journal)), &[run(1)]).await;
    store.ask(2, Ask::Fork { from: run(1), task: "b".to_owned(), run: run(2) }).await;
    all_ended(|| Some(Arc::clone(&journal)), &[run(2)]).await;
    assert_eq!(end(&*journal, run(1)).await, end(&*journal, run(2)).await);
    let leased = records(&*journal, run(2)).await.into_iter().filter_map(|record| match record {
        Record::Leased(leased) => Some((leased.task.to_string(), leased.key)),
        _ => None,
    });
    assert_eq!(leased.collect::<Vec<_>>(), [("b".to_owned(), format!("{}:b", run(2)))]);
    system.shutdown().await.expect("in order");
}

#[tokio::test]
async fn a_run_that_nobody_carries_is_told_by_whoever_owns_the_store() {
    let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
    let ask = async |id, what| {
        let asked = Asked { id: Uuid::from_u128(id), who: "ann".to_owned(), wall: Millis(1), what };
        apply((&*journal, &Store::outfit()), &asked, "cli", Millis(2)).await
    };
    let text = |text: &str| text.to_owned();
    let unknown = ask(9, Ask::Pause { run: run(1) }).await.expect_err("no run").to_string();
    assert!(unknown.contains("there is no run"), "{unknown}");
    for _ in 0..2 {
        assert_eq!(ask(1, Ask::Start(start(run(1), ASKS, None))).await.expect("done"), Answer::Taken);
        assert_eq!(ask(2, Ask::Pause { run: run(1) }).await.expect("done"), Answer::Taken);
        assert_eq!(
            ask(3, Ask::Signal { run: run(1), name: text("paid"), data: text("3") }).await.expect("done"),
            Answer::Taken
        );
    }
    let Answer::Refused { why } =
        ask(4, Ask::Start(start(run(1), "name = 'x'\n[[tasks]]\nid = 'a'\ncollect = 1\n", None)))
            .await
            .expect("refused")
    else {
        panic!("another goal has this id");
    };
    assert!(why.contains("there is another run"), "{why}");
    assert_eq!(
        ask(5, Ask::Cancel { run: run(1), undo: false, why: text("enough") }).await.expect("done"),
        Answer::Taken
    );
    let all = records(&*journal, run(1)).await;
    assert!(matches!(all.last(), Some(Record::Ended { status: Status::Cancelled, .. })), "{all:#?}");
    let before = all.len();
    assert!(matches!(ask(6, Ask::Resume { run: run(1) }).await, Ok(Answer::Refused { .. })));
    assert_eq!(records(&*journal, run(1)).await.len(), before, "the end stays the last record");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_process_began_takes_back_nothing_that_it_gives_out() {
    const LONG: &str = "name = 'long'\n[[tasks]]\nid = 'a'\ncommand = { program = 'sleep' }\n";
    for slow in 0..8 {
        let journal: Arc<dyn Journal> = Arc::new(Disk::new(1).journal(Level::Durable));
        let mut store = Store::new();
        store.commands = Arc::new(ScriptedCommands::later(|_| Box::pin(std::future::pending())));
        let process = async |journal: &Arc<dyn Journal>| {
            let builder = preset::builder().journal(Arc::clone(journal));
            builder.start(store.process()()).await.expect("the tree starts")
        };
        let system = process(&journal).await;
        preset::start_run(&system, "process-0", &start(run(1), LONG, None), Millis(5)).await.expect("begun");
        while !records(&*journal, run(1)).await.iter().any(|record| matches!(record, Record::Leased(_))) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        system.shutdown().await.expect("in order");
        let before = records(&*journal, run(1)).await.len();
        let id = store.ask(1, Ask::Cancel { run: run(1), undo: false, why: "enough".to_owned() }).await;
        let reads = AtomicU32::new(0);
        let slowly = Reads::of((&journal, run(1)), move || {
            let is_slow = reads.fetch_add(1, Ordering::SeqCst) == slow;
            Box::pin(async move {
                if is_slow {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Ok(())
            })
        });
        let system = process(&slowly).await;
        for _ in 0..2_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(answer_of(&*journal, run(1), id).await.expect("it is read"), Answer::Taken, "{slow}");
        let all = records(&*journal, run(1)).await;
        let taken_up = |record: &&Record| matches!(record, Record::TakenUp { .. });
        assert_eq!(all[before..].iter().filter(taken_up).count(), 1, "{slow}: {:#?}", &all[before..]);
        assert_eq!(system.restarts().total, 0, "{slow}");
        system.shutdown().await.expect("in order");
    }
}
