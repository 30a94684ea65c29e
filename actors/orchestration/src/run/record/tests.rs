//! Journals of every layout, as they stand in files, are read and replayed.
//!
//! `GOLDEN=write` writes the file of the present layout anew. That of an earlier one never changes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::run::{Entry, Fan, Outline, RunLimits, RunState, sha256_hex};

const V1_FILE: &str = include_str!("../../../tests/golden/journal-v1.hex");
const V2_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records-v2.hex");

fn id(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

fn task(id: &str) -> TaskId {
    id.parse().expect("a task")
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn leased(id: &str, attempt: u32, agent: &str, wall: u64) -> Leased {
    Leased {
        task: task(id),
        attempt,
        agent: agent.parse().expect("a path"),
        incarnation: 3,
        key: format!("run:{id}"),
        input_digest: sha256_hex(id.as_bytes()),
        context: Lookups { hits: 1, misses: 2 },
        wall: Millis(wall),
    }
}

fn recorded(id: &str, attempt: u32, outcome: Outcome, wall: u64) -> Record {
    Record::Recorded { task: task(id), attempt, outcome, wall: Millis(wall) }
}

fn succeeded(value: &str) -> Outcome {
    Outcome::Succeeded { value: text(value), digest: sha256_hex(value.as_bytes()) }
}

fn skipped(cause: SkipCause) -> Outcome {
    Outcome::Skipped { reason: text("why"), cause }
}

fn ended(status: Status, wall: u64) -> Record {
    Record::Ended { status, undone: UndoSummary::default(), wall: Millis(wall) }
}

fn started() -> Record {
    Record::RunStarted {
        run: id(0x0198_0000_0000_7000_8000_0000_0000_0007),
        goal: text(r#"{"name":"golden","tasks":[]}"#),
        params: text(r#"{"tag":"v1"}"#),
        input: String::new(),
        parent: None,
        wall: Millis(1_795_708_181_000),
    }
}

fn planned() -> Record {
    Record::Planned { tasks: 5, critical_path: vec![text("list"), text("each")], at_least: 1500 }
}

/// The classes that layout 1 had.
const CLASSES: [Class; 9] = [
    Class::Exit,
    Class::Timeout,
    Class::Start,
    Class::Output,
    Class::Invalid,
    Class::Denied,
    Class::Plan,
    Class::Poison,
    Class::Deadline,
];

/// What stands in the file of layout 1.
fn journals_of_v1() -> Vec<(&'static str, Vec<Record>)> {
    let first = Record::Leased(leased("list", 1, "root/executor-1", 10));
    let reached = vec![
        started(),
        planned(),
        first.clone(),
        recorded("list", 1, succeeded("[]"), 11),
        Record::Expanded { task: text("each"), items: 0 },
        recorded("maybe", 0, skipped(SkipCause::Condition), 12),
        Record::Leased(leased("sum", 1, "root/executor-1", 10)),
        recorded("sum", 1, succeeded("0"), 11),
        ended(Status::Reached, 13),
    ];
    let unplannable = vec![started(), Record::Unplannable { message: text("nobody can") }, ended(Status::Failed, 33)];
    let drained = vec![
        started(),
        planned(),
        first,
        Record::Draining,
        recorded("list", 1, succeeded("[1]"), 15),
        ended(Status::Drained, 33),
    ];
    vec![("failed", failed_in_v1()), ("reached", reached), ("unplannable", unplannable), ("drained", drained)]
}

fn failed_in_v1() -> Vec<Record> {
    let mut run = vec![
        started(),
        planned(),
        Record::Leased(leased("list", 1, "root/executor-1", 10)),
        Record::Failed {
            task: task("list"),
            attempt: 1,
            class: Class::Timeout,
            message: text("too long"),
            wall: Millis(11),
        },
        Record::Leased(leased("list", 2, "root/executor-2", 12)),
        Record::Lost { task: task("list"), attempt: 2, why: text("it panicked"), wall: Millis(13) },
        Record::Leased(leased("list", 3, "root/executor-1", 14)),
        Record::Refused {
            task: task("list"),
            attempt: 2,
            agent: "root/executor-2".parse().expect("a path"),
            incarnation: 4,
        },
        recorded("list", 3, succeeded("[1,2,3,4,5,6,7,8,9]"), 15),
        Record::Expanded { task: text("each"), items: 9 },
    ];
    for (item, class) in CLASSES.iter().enumerate() {
        let id = format!("each[{item}]");
        run.push(Record::Leased(leased(&id, 1, "root/executor-1", 20)));
        let outcome = Outcome::Failed { class: *class, message: format!("it is {}", class.as_str()) };
        run.push(recorded(&id, 1, outcome, 30));
    }
    run.push(recorded("maybe", 0, skipped(SkipCause::Condition), 31));
    run.push(recorded("sum", 0, skipped(SkipCause::NeedFailed), 32));
    run.push(ended(Status::Failed, 33));
    run
}

/// One of each variant of the present layout, and of each variant inside it.
fn one_of_each() -> Vec<Record> {
    let mut records = failed_in_v1();
    records.extend(journals_of_v1().into_iter().flat_map(|(_, records)| records));
    records.extend(about_the_run());
    records.extend(about_undoing());
    records.extend(about_waiting());
    records.extend(about_budgets());
    records
}

fn about_the_run() -> Vec<Record> {
    let wall = Millis(40);
    let paused = |why| Record::Paused { why, who: text("anna"), message: text("it says"), wall };
    vec![
        Record::RunStarted {
            run: id(8),
            goal: text("{}"),
            params: text("{}"),
            input: text("/data"),
            parent: Some(Parent { run: id(7), task: task("each[2]") }),
            wall,
        },
        Record::Forked { from: id(6), task: task("each[1]"), wall },
        Record::TakenUp { by: text("root/orchestrator#2"), wall },
        paused(PauseCause::Asked),
        paused(PauseCause::Exhausted { task: task("list"), class: Class::Exit }),
        paused(PauseCause::Poison { task: task("list") }),
        paused(PauseCause::MissingVariable { name: text("TOKEN") }),
        paused(PauseCause::MissingArtifact { task: task("list"), digest: sha256_hex(b"list") }),
        Record::Resumed { who: text("anna"), wall },
        Record::CancelAsked { undo: false, who: text("anna"), why: text("not needed"), wall },
        Record::CancelAsked { undo: true, who: text("anna"), why: text("wrong"), wall },
        Record::RequestTaken { id: Uuid::from_u128(9), wall },
        Record::RequestRefused { id: Uuid::from_u128(10), why: text("it is over"), wall },
        recorded("list", 3, Outcome::Stored { digest: sha256_hex(b"long"), bytes: 1 << 20 }, 41),
        recorded("sum", 0, skipped(SkipCause::NotNeeded), 41),
        recorded("sum", 0, skipped(SkipCause::Closed), 41),
        ended(Status::Cancelled, 42),
        ended(Status::BudgetSpent, 42),
        Record::Ended { status: Status::Failed, undone: UndoSummary { undone: 3, failed: 1 }, wall },
    ]
}

fn about_undoing() -> Vec<Record> {
    let (task, wall) = (task("list"), Millis(50));
    let undone = |outcome| Record::UndoRecorded { task: task.clone(), attempt: 3, outcome, wall };
    vec![
        Record::Undoing { wall },
        Record::UndoLeased(leased("list", 1, "root/executor-1", 51)),
        Record::UndoFailed { task: task.clone(), attempt: 1, class: Class::Exit, message: text("no"), wall },
        Record::UndoLost { task: task.clone(), attempt: 2, why: text("it died"), wall },
        undone(UndoOutcome::Undone),
        undone(UndoOutcome::Failed { class: Class::Timeout, message: text("too long") }),
    ]
}

fn about_waiting() -> Vec<Record> {
    let (task, wall, until) = (task("list"), Millis(60), Some(Millis(61)));
    let waiting = |on| Record::Waiting { task: task.clone(), on, wall };
    vec![
        waiting(WaitFor::Approval { prompt: text("ship it?"), until }),
        waiting(WaitFor::Approval { prompt: text("ship it?"), until: None }),
        waiting(WaitFor::Until(Millis(62))),
        waiting(WaitFor::Signal { name: text("payment"), until }),
        Record::Approved { task: task.clone(), who: text("anna"), why: text("good"), wall },
        Record::Rejected { task: task.clone(), who: text("bob"), why: text("bad"), wall },
        Record::Signalled { name: text("payment"), data: text(r#"{"amount":3}"#), who: text("bank"), wall },
        Record::ChildStarted { task: task.clone(), run: id(11), wall },
        Record::ChildEnded { task: task.clone(), run: id(11), status: Status::Reached, wall },
    ]
}

fn about_budgets() -> Vec<Record> {
    let (task, wall) = (task("list"), Millis(70));
    let spent = |which| Record::BudgetSpent { which, message: text("it is used up"), wall };
    let mut records = vec![
        Record::Reserved { task: task.clone(), attempt: 1, counter: text("tokens"), amount: 1000 },
        Record::Charged { task: task.clone(), attempt: 1, counter: text("tokens"), amount: 900 },
        spent(BudgetKind::Wall),
        spent(BudgetKind::Attempts),
        spent(BudgetKind::Agents),
        spent(BudgetKind::Output),
        spent(BudgetKind::Counter(text("tokens"))),
        spent(BudgetKind::Repeats { tool: text("grep") }),
        Record::ToolCalled { task: task.clone(), attempt: 1, tool: text("grep"), arguments_digest: sha256_hex(b"a") },
    ];
    for class in [Class::Rejected, Class::Child, Class::Budget, Class::Repeats] {
        let outcome = Outcome::Failed { class, message: text("no") };
        records.push(Record::Recorded { task: task.clone(), attempt: 1, outcome, wall });
    }
    records
}

/// The number of a variant. A new one does not compile here until it is counted, and then not below until it is shown.
fn number(record: &Record) -> usize {
    match record {
        Record::RunStarted { .. } => 0,
        Record::Forked { .. } => 1,
        Record::TakenUp { .. } => 2,
        Record::Planned { .. } => 3,
        Record::Unplannable { .. } => 4,
        Record::Expanded { .. } => 5,
        Record::Leased(_) => 6,
        Record::Failed { .. } => 7,
        Record::Lost { .. } => 8,
        Record::Refused { .. } => 9,
        Record::Recorded { .. } => 10,
        Record::Paused { .. } => 11,
        Record::Resumed { .. } => 12,
        Record::CancelAsked { .. } => 13,
        Record::Undoing { .. } => 14,
        Record::UndoLeased(_) => 15,
        Record::UndoFailed { .. } => 16,
        Record::UndoLost { .. } => 17,
        Record::UndoRecorded { .. } => 18,
        Record::Waiting { .. } => 19,
        Record::Approved { .. } => 20,
        Record::Rejected { .. } => 21,
        Record::Signalled { .. } => 22,
        Record::ChildStarted { .. } => 23,
        Record::ChildEnded { .. } => 24,
        Record::Reserved { .. } => 25,
        Record::Charged { .. } => 26,
        Record::BudgetSpent { .. } => 27,
        Record::ToolCalled { .. } => 28,
        Record::RequestTaken { .. } => 29,
        Record::RequestRefused { .. } => 30,
        Record::Draining => 31,
        Record::Ended { .. } => 32,
    }
}

fn outline() -> Arc<Outline> {
    let needs = |needs: &[&str]| needs.iter().map(|need| text(need)).collect();
    let outline = Outline::new(RunLimits::default())
        .task("list", Entry::default())
        .task("each", Entry { needs: needs(&["list"]), fan: Fan::ForEach, ..Entry::default() })
        .task("maybe", Entry::default())
        .task("sum", Entry { needs: needs(&["each"]), ..Entry::default() });
    Arc::new(outline)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut line, byte| {
        write!(line, "{byte:02x}").expect("a text takes anything");
        line
    })
}

fn bytes(line: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&line[at..at + 2], 16).expect("two digits");
    (0..line.len()).step_by(2).map(byte).collect()
}

/// The journals of a file: `# name`, then a frame per line.
fn journals(file: &str) -> Vec<(&str, Vec<Record>)> {
    let mut journals: Vec<(&str, Vec<Record>)> = Vec::new();
    for line in file.lines() {
        match (line.strip_prefix("# "), journals.last_mut()) {
            (Some(name), _) => journals.push((name, Vec::new())),
            (None, Some((_, records))) => records.push(decode(&bytes(line)).expect("a record")),
            (None, None) => panic!("a file of journals begins with the name of one"),
        }
    }
    journals
}

#[test]
fn journals_of_the_first_layout_are_read_as_what_they_say_today() {
    assert_eq!(journals(V1_FILE), journals_of_v1());
}

#[test]
fn runs_of_the_first_layout_are_where_they_ended() {
    for (name, records) in journals(V1_FILE) {
        let state = RunState::fold(outline(), &records).expect("records of this plan");
        let status = state.ended().map(|(status, _)| status.as_str());
        assert_eq!(status, Some(if name == "unplannable" { "failed" } else { name }), "{name}");
    }
}

#[test]
fn the_bytes_of_records_are_these_for_ever() {
    let written: String =
        one_of_each().iter().map(|record| hex(&encode(record).expect("it can be written")) + "\n").collect();
    if std::env::var_os("GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(V2_PATH, &written).expect("the folder is there");
    }
    let file = std::fs::read_to_string(V2_PATH).expect("the file is there");
    assert_eq!(file, written, "another layout needs another number");
    let read: Vec<_> = file.lines().map(|line| decode(&bytes(line)).expect("a record")).collect();
    assert_eq!(read, one_of_each());
}

#[test]
fn each_kind_of_record_stands_in_the_file_of_the_present_layout() {
    let numbers: BTreeSet<_> = one_of_each().iter().map(number).collect();
    assert_eq!(numbers, (0..=32).collect());
}

#[test]
fn a_run_takes_each_kind_of_record_into_account_whenever_it_comes() {
    let mut state = RunState::fold(outline(), &failed_in_v1()).expect("records of this plan");
    for record in one_of_each() {
        state.apply(&record).expect("a record of this plan");
    }
    for record in one_of_each() {
        let mut state = RunState::new(outline());
        // What is about an item of a list that nobody knows yet does not fit, and says so.
        let _ = state.apply(&record);
    }
}

#[test]
fn a_record_of_a_version_to_come_is_refused_and_so_is_a_damaged_one() {
    let frame = encode(&Record::Draining).expect("it can be written");
    let mut later = record::open(&frame).expect("it is whole").to_vec();
    later[1] = 99;
    let error = decode(&record::seal(later)).expect_err("nobody knows it");
    assert!(matches!(error, RecordError::Read(record::RecordError::UnknownLayout { .. })), "{error:?}");
    let mut damaged = frame;
    damaged[2] ^= 1;
    let error = decode(&damaged).expect_err("it is damaged");
    assert!(matches!(error, RecordError::Read(record::RecordError::Damaged { .. })), "{error:?}");
}
