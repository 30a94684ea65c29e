//! Guarantee: what is on a blackboard is the same for all, outlives crashes of its agent, ends when it was said to, and
//! whoever watches sees every change once or is told what was missed. A store by contract is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::data_persistence::{
    ErrorCode, PERSISTENCE, QUERY, Query, QueryResult, RETRIEVE, Request, Response, Retrieve, STORE, Store, Stored,
};
use steadfast::flow::Limits;
use steadfast::message::blackboard::{Change, What};
use steadfast::message::{BoardBounds, BoardError, Expected, Pattern, Put, Subject};
use steadfast::testing::{Log, Order, Probe, Recorder, VirtualClock};
use steadfast::{
    BlackboardRef, BoardCallError, ChildSpec, Incarnation, Intensity, RequestError, Strategy, SupervisorSpec, System,
    Watch, WatchError,
};

const SECOND: Duration = Duration::from_secs(1);

fn key(text: &str) -> Subject {
    text.parse().expect("a subject")
}

fn all() -> Pattern {
    ">".parse().expect("a pattern")
}

fn root(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec::new("root", strategy).intensity(Intensity::at_most(1000))
}

async fn start(spec: SupervisorSpec) -> System {
    System::start(spec).await.expect("the tree starts")
}

async fn board_of<V: Send + Sync + 'static>(bounds: BoardBounds) -> (System, BlackboardRef<V>) {
    let system = start(root(Strategy::OneForOne).child(ChildSpec::blackboard::<V>("board", bounds))).await;
    let board = system.blackboard("root/board").expect("it is there");
    (system, board)
}

/// What is at a key.
async fn at<V: Clone + Send + Sync + 'static>(board: &BlackboardRef<V>, name: &str) -> Option<V> {
    let entry = board.get(key(name)).await.expect("it answers");
    entry.map(|entry| V::clone(&entry.value))
}

/// Kills the board's agent and returns when the next life is up.
async fn crash(system: &System, path: &str, life: u64) {
    let mut events = Recorder::of(system);
    system.kill(path).expect("it is there");
    events.started(path, life).await;
}

fn words<V: std::fmt::Display>(change: &Change<V>) -> String {
    match &change.what {
        What::Set(value) => format!("{} {} = {value}", change.revision, change.key),
        What::Removed => format!("{} {} removed", change.revision, change.key),
        What::Expired => format!("{} {} expired", change.revision, change.key),
    }
}

/// What comes next, in virtual time; where nothing does, the test fails and does not hang.
async fn next<V: Send + Sync>(watch: &mut Watch<V>) -> Result<Change<V>, WatchError> {
    tokio::time::timeout(SECOND * 3600, watch.next()).await.expect("something comes")
}

/// All changes that are there now.
fn read(watch: &mut Watch<u64>) -> Vec<String> {
    std::iter::from_fn(|| watch.try_next().expect("it did not fall behind")).map(|change| words(&change)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_board_or_of_all_around_it_costs_nothing_and_watchers_go_on() {
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(ChildSpec::blackboard::<u64>("board", BoardBounds::default()));
    let log = Log::default();
    let spec = root(Strategy::OneForAll).child(ChildSpec::supervisor(inner)).child(Probe::spec("a", &log));
    let system = start(spec).await;
    let board: BlackboardRef<u64> = system.blackboard("root/inner/board").expect("it is there");
    let (_, mut watch) = board.watch(&all()).await.expect("it answers");
    let first = board.set(key("x"), 1).await.expect("there is room");

    crash(&system, "root/inner/board", 2).await;
    assert_eq!(at(&board, "x").await, Some(1));
    board.put(Put::new(key("x"), 2).expecting(Expected::Revision(first))).await.expect("it is what was there");

    let mut events = Recorder::of(&system);
    Probe::at(&system, "root/a").ask(Order::Panic("boom")).await.expect_err("it takes all others along");
    events.started("root/a", 2).await;
    assert_eq!(system.incarnation("root/inner/board").map(Incarnation::get), Some(3));
    assert_eq!(at(&board, "x").await, Some(2));
    board.remove(key("x"), Expected::Anything).await.expect("it is there");
    assert_eq!(read(&mut watch), ["1 x = 1", "2 x = 2", "3 x removed"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_a_board_is_gone_with_its_child_and_watchers_are_told() {
    let (system, board) = board_of::<u64>(BoardBounds::default()).await;
    board.set(key("x"), 1).await.expect("there is room");
    let (_, mut watch) = board.watch(&all()).await.expect("it answers");
    let supervisor = system.supervisor("root").expect("it is there");
    supervisor.terminate_child("board").await.expect("it is there");
    assert_eq!(watch.try_next(), Ok(None), "it may be started again");
    supervisor.restart_child("board").await.expect("it is kept");
    assert_eq!(at(&board, "x").await, Some(1));

    supervisor.terminate_child("board").await.expect("it is there");
    supervisor.delete_child("board").await.expect("it is stopped");
    assert_eq!(next(&mut watch).await, Err(WatchError::Gone));
    assert_eq!(watch.anew().err(), Some(WatchError::Gone));
    assert!(matches!(board.get(key("x")).await, Err(RequestError::Gone { .. })));
    let again = ChildSpec::blackboard::<u64>("board", BoardBounds::default());
    supervisor.start_child(again).await.expect("the name is free");
    let board: BlackboardRef<u64> = system.blackboard("root/board").expect("it is there");
    assert_eq!(at(&board, "x").await, None);

    let (_, mut watch) = board.watch(&all()).await.expect("it answers");
    system.shutdown().await.expect("an orderly end");
    assert_eq!(next(&mut watch).await, Err(WatchError::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_what_is_there_and_then_tells_every_change_that_matches_once_and_in_order() {
    let (system, board) = board_of::<u64>(BoardBounds::default()).await;
    board.set(key("plan.a"), 1).await.expect("there is room");
    board.set(key("other"), 2).await.expect("there is room");
    let plans = "plan.*".parse().expect("a pattern");
    let (there, mut watch) = board.watch(&plans).await.expect("it answers");
    let there: Vec<_> = there.iter().map(|(key, entry)| format!("{key} = {}", entry.value)).collect();
    assert_eq!(there, ["plan.a = 1"]);

    let writer = board.clone();
    let task = tokio::spawn(async move {
        for n in 3..6 {
            writer.set(key("plan.a"), n).await.expect("there is room");
            writer.set(key("other"), n).await.expect("there is room");
        }
        writer.remove(key("plan.a"), Expected::Anything).await.expect("it is there");
    });
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(words(&next(&mut watch).await.expect("a change")));
    }
    assert_eq!(seen, ["3 plan.a = 3", "5 plan.a = 4", "7 plan.a = 5", "9 plan.a removed"]);
    task.await.expect("it wrote");
    assert_eq!(watch.try_next(), Ok(None));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_value_ends_at_its_time_also_where_its_board_crashed_meanwhile_and_watchers_are_told_then() {
    let (system, board) = board_of::<u64>(BoardBounds::default()).await;
    let clock = VirtualClock::new();
    let (_, mut watch) = board.watch(&all()).await.expect("it answers");
    for (name, life) in [("late", 5), ("soon", 1), ("next", 3)] {
        board.put(Put::new(key(name), life).living(Duration::from_secs(life))).await.expect("there is room");
    }
    assert_eq!(read(&mut watch).len(), 3);
    assert_eq!((words(&next(&mut watch).await.expect("a change")), clock.elapsed()), ("4 soon expired".into(), SECOND));
    crash(&system, "root/board", 2).await;
    assert_eq!(
        (words(&next(&mut watch).await.expect("a change")), clock.elapsed()),
        ("5 next expired".into(), SECOND * 3)
    );
    // Set anew, it lives longer, and its old end is no end.
    board.put(Put::new(key("late"), 9).living(SECOND * 9)).await.expect("there is room");
    assert_eq!(words(&next(&mut watch).await.expect("a change")), "6 late = 9");
    tokio::time::advance(SECOND * 8).await;
    assert_eq!((at(&board, "late").await, watch.try_next()), (Some(9), Ok(None)));
    assert_eq!(
        (words(&next(&mut watch).await.expect("a change")), clock.elapsed()),
        ("7 late expired".into(), SECOND * 12)
    );
    assert_eq!(at(&board, "late").await, None);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_who_read_the_same_value_one_writes_so_that_no_step_is_lost() {
    const EACH: u64 = 200;
    let (system, board) = board_of::<u64>(BoardBounds::default()).await;
    board.set(key("sum"), 0).await.expect("there is room");
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let board = board.clone();
            tokio::spawn(async move {
                let mut written = 0;
                while written < EACH {
                    let entry = board.get(key("sum")).await.expect("it answers").expect("it is set");
                    let next = Put::new(key("sum"), *entry.value + 1);
                    match board.put(next.expecting(Expected::Revision(entry.revision))).await {
                        Ok(_) => written += 1,
                        Err(BoardCallError::Refused(BoardError::Moved { .. })) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("it wrote");
    }
    assert_eq!(at(&board, "sum").await, Some(4 * EACH));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_falls_behind_is_told_how_far_reads_the_state_anew_and_misses_nothing_more() {
    let (system, board) = board_of::<u64>(BoardBounds { keys: 10, changes: 4 }).await;
    let (_, mut watch) = board.watch(&all()).await.expect("it answers");
    for n in 1..8 {
        board.set(key("x"), n).await.expect("there is room");
    }
    assert_eq!(next(&mut watch).await, Err(WatchError::Lagged { missed: 3 }));
    board.set(key("y"), 8).await.expect("there is room");
    let there: Vec<_> = watch.anew().expect("it is there").iter().map(|(_, entry)| *entry.value).collect();
    assert_eq!((there, watch.try_next()), (vec![7, 8], Ok(None)));
    board.set(key("x"), 9).await.expect("there is room");
    assert_eq!(words(&next(&mut watch).await.expect("a change")), "9 x = 9");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_board_at_its_bound_refuses_a_key_more_and_says_so() {
    let (system, board) = board_of::<u64>(BoardBounds { keys: 1, changes: 4 }).await;
    board.set(key("x"), 1).await.expect("there is room");
    let refused = board.set(key("y"), 2).await.expect_err("it is full");
    assert!(matches!(refused, BoardCallError::Refused(BoardError::Full { bound: 1 })), "{refused}");
    board.set(key("x"), 3).await.expect("it is there");
    assert_eq!(board.query(&all()).await.expect("it answers").len(), 1);
    system.shutdown().await.expect("an orderly end");
}

/// Looks at the board when it is dropped, and panics then if it is to.
struct Last {
    watch: Option<Watch<Last>>,
    dropped: Arc<AtomicUsize>,
    panics: bool,
}

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(watch) = &mut self.watch {
            // This would wait for ever for a lock that is held meanwhile.
            watch.anew().expect("it is there");
        }
        self.dropped.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn no_value_is_dropped_while_the_board_is_locked_and_one_that_panics_then_costs_nothing() {
    let (system, board) = board_of::<Last>(BoardBounds { keys: 4, changes: 1 }).await;
    let dropped = Arc::new(AtomicUsize::new(0));
    for n in 1..5 {
        let (_, watch) = board.watch(&all()).await.expect("it answers");
        let value = Last { watch: Some(watch), dropped: Arc::clone(&dropped), panics: n % 2 == 1 };
        assert_eq!(board.set(key("x"), value).await.expect("there is room").get(), n);
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 3, "nobody remembers those before the last");
    assert_eq!(system.incarnation("root/board").map(Incarnation::get), Some(1));
    board.remove(key("x"), Expected::Anything).await.expect("it is there");
    system.shutdown().await.expect("an orderly end");
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn many_values_that_panic_while_they_are_dropped_with_their_board_or_watch_are_dropped_each() {
    let (system, board) = board_of::<Last>(BoardBounds { keys: 4, changes: 4 }).await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let (_, mut watch) = board.watch(&all()).await.expect("it answers");
    let set = async |name| {
        let value = Last { watch: None, dropped: Arc::clone(&dropped), panics: true };
        board.set(key(name), value).await.expect("there is room");
    };
    for name in ["x", "x", "x", "x"] {
        set(name).await;
    }
    drop(next(&mut watch).await.expect("a change"));
    for name in ["y", "y", "y", "y"] {
        set(name).await;
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the watch has read the next three, and the fourth is there");
    drop(watch);
    assert_eq!(dropped.load(Ordering::SeqCst), 3, "two at once");
    drop(board);
    system.shutdown().await.expect("an orderly end");
    assert_eq!(dropped.load(Ordering::SeqCst), 8);
}

#[tokio::test(start_paused = true)]
async fn a_board_is_asked_for_as_long_as_the_system_says_where_nothing_else_is_said() {
    let mut limits = Limits::default();
    limits.route.ask_within = Some(SECOND * 2);
    let spec = root(Strategy::OneForOne).child(ChildSpec::blackboard::<u64>("board", BoardBounds::default()));
    let system = System::builder().limits(limits).start(spec).await.expect("the tree starts");
    let board: BlackboardRef<u64> = system.blackboard("root/board").expect("it is there");
    system.suspend("root/board").await.expect("it is active");
    for (board, takes) in [(board.clone(), 2), (board.within(SECOND), 1)] {
        let began = VirtualClock::new();
        board.get(key("x")).await.expect_err("nobody answers");
        assert_eq!(began.elapsed(), SECOND * takes);
    }
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn two_boards_share_nothing_and_one_for_other_values_is_refused() {
    let spec = root(Strategy::OneForOne).child(ChildSpec::blackboard::<u64>("board", BoardBounds::default()));
    let (one, two) = (start(spec.clone()).await, start(spec).await);
    let board: BlackboardRef<u64> = one.blackboard("root/board").expect("it is there");
    board.set(key("x"), 1).await.expect("there is room");
    assert_eq!(at(&two.blackboard::<u64>("root/board").expect("it is there"), "x").await, None);
    assert!(matches!(one.blackboard::<i64>("root/board"), Err(RequestError::WrongAgent { .. })));
    one.shutdown().await.expect("an orderly end");
    two.shutdown().await.expect("an orderly end");
}

fn store(name: &str, value: &str) -> Store {
    Store { key: name.to_owned(), value: value.as_bytes().to_vec(), ttl: None, expected: None }
}

async fn stored(system: &System, request: Store) -> Result<u64, ErrorCode> {
    let answer = system.ask(&STORE, request).await.expect("somebody offers it");
    answer.map(|stored| stored.version).map_err(|failure| failure.code)
}

async fn retrieved(system: &System, name: &str) -> (Option<String>, u64) {
    let answer = system.ask(&RETRIEVE, Retrieve { key: name.to_owned() }).await.expect("somebody offers it");
    let answer = answer.expect("it is a key");
    (answer.value.map(|value| String::from_utf8(value).expect("text")), answer.version)
}

#[tokio::test(start_paused = true)]
async fn a_store_keeps_values_with_versions_that_grow_for_as_long_as_was_said_over_crashes() {
    let system = start(root(Strategy::OneForOne).child(ChildSpec::data_store("store", BoardBounds::default()))).await;
    assert_eq!(retrieved(&system, "users.ann").await, (None, 0));
    assert_eq!(stored(&system, store("users.ann", "1")).await, Ok(1));
    assert_eq!(stored(&system, Store { ttl: Some(SECOND), ..store("users.bob", "2") }).await, Ok(2));
    crash(&system, "root/store", 2).await;
    assert_eq!(stored(&system, store("users.ann", "3")).await, Ok(3));
    assert_eq!(retrieved(&system, "users.ann").await, (Some("3".to_owned()), 3));
    assert_eq!(retrieved(&system, "users.bob").await, (Some("2".to_owned()), 2));
    tokio::time::advance(SECOND).await;
    assert_eq!(retrieved(&system, "users.bob").await, (None, 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_store_writes_over_the_version_that_was_expected_and_refuses_what_makes_no_sense_with_a_code() {
    let bounds = BoardBounds { keys: 1, changes: 16 };
    let system = start(root(Strategy::OneForOne).child(ChildSpec::data_store("store", bounds))).await;
    let expecting = |version, value| Store { expected: Some(version), ..store("a", value) };
    assert_eq!(stored(&system, expecting(0, "1")).await, Ok(1));
    assert_eq!(stored(&system, expecting(0, "2")).await, Err(ErrorCode::Conflict));
    assert_eq!(stored(&system, expecting(1, "3")).await, Ok(2));
    assert_eq!(stored(&system, expecting(1, "4")).await, Err(ErrorCode::Conflict));
    assert_eq!(stored(&system, store("b", "5")).await, Err(ErrorCode::Full));
    assert_eq!(stored(&system, store("no key", "6")).await, Err(ErrorCode::InvalidKey));
    assert_eq!(retrieved(&system, "a").await, (Some("3".to_owned()), 2));
    let wrong = Query { filter: "a.>.b".to_owned(), limit: 1 };
    let refused = system.ask(&QUERY, wrong).await.expect("somebody offers it").expect_err("it is no pattern");
    assert_eq!(refused.code, ErrorCode::InvalidFilter);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_query_gives_the_first_by_key_and_says_how_many_there_are() {
    let system = start(root(Strategy::OneForOne).child(ChildSpec::data_store("store", BoardBounds::default()))).await;
    for name in ["b.two", "b.one", "c", "b.three"] {
        stored(&system, store(name, name)).await.expect("there is room");
    }
    let answer = async |filter: &str, limit| -> QueryResult {
        let query = Query { filter: filter.to_owned(), limit };
        system.ask(&QUERY, query).await.expect("somebody offers it").expect("it is a pattern")
    };
    let found = answer("b.*", 2).await;
    let keys: Vec<_> = found.results.iter().map(|record| (record.key.as_str(), record.version)).collect();
    assert_eq!((keys, found.total), (vec![("b.one", 2), ("b.three", 4)], 3));
    assert_eq!((answer(">", 9).await.results.len(), answer("x", 9).await.total), (4, 0));
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn the_whole_contract_is_one_capability_too() {
    let system = start(root(Strategy::OneForOne).child(ChildSpec::data_store("store", BoardBounds::default()))).await;
    let ask = async |request| system.ask(&PERSISTENCE, request).await.expect("somebody offers it");
    let answer = ask(Request::Store(store("a", "1"))).await;
    assert_eq!(answer, Response::Stored(Stored { key: "a".to_owned(), version: 1 }));
    let answer = ask(Request::Retrieve(Retrieve { key: "a".to_owned() })).await;
    assert!(matches!(answer, Response::Retrieved(found) if found.value == Some(b"1".to_vec())));
    let answer = ask(Request::Query(Query { filter: ">".to_owned(), limit: 0 })).await;
    assert!(matches!(answer, Response::QueryResult(found) if (found.results.len(), found.total) == (0, 1)));
    let answer = ask(Request::Store(store("", "1"))).await;
    assert!(matches!(answer, Response::Error(failure) if failure.code == ErrorCode::InvalidKey));
    let names = ["data.persistence", "data.persistence.query", "data.persistence.retrieve", "data.persistence.store"];
    assert_eq!(system.capabilities(), names);
    system.shutdown().await.expect("an orderly end");
}
