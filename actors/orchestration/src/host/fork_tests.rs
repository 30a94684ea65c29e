//! A new run has what the old one recorded, up to a task, and nothing else.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::goal::read;
use crate::run::{Class, Status};

const GOAL: &str = "name = 'g'\n\
    [[tasks]]\nid = 'list'\ncollect = [1, 2]\n\
    [[tasks]]\nid = 'each'\nfor_each = '${tasks.list.result}'\ncollect = '${item}'\n\
    [[tasks]]\nid = 'beside'\ncollect = 1\n\
    [[tasks]]\nid = 'sum'\ncollect = '${tasks.each.result}'\n\
    [[tasks]]\nid = 'end'\ncollect = ['${tasks.sum.result}', '${tasks.beside.result}']\n";

const NOW: Millis = Millis(99);

fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

fn done(task: &str, value: &str) -> Record {
    outcome(task, Outcome::Succeeded { value: value.to_owned(), digest: "d".to_owned() })
}

fn failed(task: &str) -> Record {
    outcome(task, Outcome::Failed { class: Class::Exit, message: "no".to_owned() })
}

fn outcome(task: &str, outcome: Outcome) -> Record {
    Record::Recorded { task: task.parse().expect("a task"), attempt: 1, outcome, wall: Millis(5) }
}

fn begun(records: Vec<Record>) -> Vec<Record> {
    begun_of(GOAL, records)
}

fn begun_of(goal: &str, records: Vec<Record>) -> Vec<Record> {
    let goal = read("g.toml", goal).unwrap_or_else(|error| panic!("{error}")).goal;
    let start = crate::host::Start::of(run(1), &goal, &BTreeMap::new(), "/in").expect("JSON");
    let crate::host::Start { run, goal, params, input } = start;
    let first = Record::RunStarted { run, goal, params, input, parent: None, wall: Millis(1) };
    let planned = Record::Planned { tasks: 5, critical_path: Vec::new(), at_least: 0 };
    [first, planned].into_iter().chain(records).collect()
}

fn expanded() -> Record {
    Record::Expanded { task: "each".to_owned(), items: 2 }
}

fn all() -> Vec<Record> {
    let each = [done("list", "[1,2]"), expanded(), done("each[1]", "2"), done("each[0]", "1")];
    let rest = [done("beside", "1"), done("sum", "[1,2]"), done("end", "[[1,2],1]")];
    let ended = Record::Ended { status: Status::Reached, undone: crate::run::UndoSummary::default(), wall: Millis(9) };
    begun(each.into_iter().chain(rest).chain([ended]).collect())
}

/// The tasks whose outcomes the new run has.
#[track_caller]
fn check(records: &[Record], task: &str, kept: &[&str]) {
    let forked = fork(records, task, run(2), NOW).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(&forked[0], Record::RunStarted { run: new, parent: None, wall: NOW, .. } if *new == run(2)));
    assert!(matches!(&forked[1], Record::Forked { from, task: at, .. } if *from == run(1) && at.task() == task));
    assert!(matches!(&forked[2], Record::Planned { .. }));
    let names = forked[3..].iter().map(|record| match record {
        Record::Recorded { task, .. } => task.to_string(),
        Record::Expanded { task, .. } => format!("{task}[]"),
        other => panic!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), kept);
    // It is a run that can go on.
    crate::host::summary::stand(&forked).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_fork_keeps_what_does_not_need_the_task_and_does_the_rest_anew() {
    let before_sum = ["list", "each[]", "each[1]", "each[0]", "beside"];
    check(&all(), "sum", &before_sum);
    check(&all(), "end", &["list", "each[]", "each[1]", "each[0]", "beside", "sum"]);
    check(&all(), "each", &["list", "beside"]);
    check(&all(), "list", &["beside"]);
    check(&all(), "beside", &["list", "each[]", "each[1]", "each[0]", "sum"]);
}

#[test]
fn a_fork_does_anew_what_failed_and_whatever_came_of_that() {
    let skipped = Outcome::Skipped { reason: "why".to_owned(), cause: SkipCause::NeedFailed };
    let each = [done("list", "[1,2]"), expanded(), done("each[1]", "2"), failed("each[0]")];
    let rest = [done("beside", "1"), outcome("sum", skipped.clone()), outcome("end", skipped)];
    let records = begun(each.into_iter().chain(rest).collect());
    check(&records, "beside", &["list", "each[]", "each[1]"]);
    check(&records, "each", &["list", "beside"]);
    let error = fork(&records, "sum", run(2), NOW).expect_err("a need failed").to_string();
    assert!(error.contains("has not got as far as `sum`: `each` has no result"), "{error}");
}

#[test]
fn what_is_unknown_or_not_reached_is_refused_and_named() {
    let error = fork(&all(), "strange", run(2), NOW).expect_err("no task").to_string();
    assert_eq!(error, "the goal `g` has no task `strange`; it has `list`, `each`, `beside`, `sum`, `end`");
    let error = fork(&begun(vec![done("beside", "1")]), "end", run(2), NOW).expect_err("not yet").to_string();
    assert!(error.contains("`sum` has no result"), "{error}");
    let error = fork(&all()[..1], "end", run(2), NOW).expect_err("no plan").to_string();
    assert!(error.contains("has no plan yet"), "{error}");
}

#[test]
fn a_fork_of_a_fork_is_a_fork() {
    let first = fork(&all(), "sum", run(1), NOW).expect("a fork");
    check(&first, "each", &["list", "beside"]);
}

const GATHERS: &str = "name = 'g'\n\
    [[tasks]]\nid = 'x'\ncollect = 1\n\
    [[tasks]]\nid = 'y'\ncollect = 2\n\
    [[tasks]]\nid = 'one'\ngather = { of = ['x', 'y'], take = 'first' }\n\
    [[tasks]]\nid = 'end'\ncollect = '${tasks.one.result}'\n";

#[test]
fn who_gathers_what_is_done_anew_is_done_anew_too() {
    let not_needed = Outcome::Skipped { reason: "not needed".to_owned(), cause: SkipCause::NotNeeded };
    let rest = [done("one", "[]"), outcome("y", not_needed), done("end", "[]")];
    let records = begun_of(GATHERS, [done("x", "1")].into_iter().chain(rest).collect());
    check(&records, "x", &[]);
    check(&records, "y", &["x"]);
    check(&records, "one", &["x"]);
    check(&records, "end", &["x", "one", "y"]);
}

#[test]
fn who_gathered_enough_without_a_task_that_failed_keeps_its_result_where_nobody_needs_that_task() {
    let records = begun_of(GATHERS, vec![failed("x"), done("y", "2"), done("one", "[]"), done("end", "[]")]);
    check(&records, "end", &["y", "one"]);
    // Where somebody else needs it, it is done anew, and so is whoever gathers it.
    let needed = format!("{GATHERS}[[tasks]]\nid = 'also'\ncollect = '${{tasks.x.result}}'\n");
    let skipped = Outcome::Skipped { reason: "why".to_owned(), cause: SkipCause::NeedFailed };
    let rest = vec![failed("x"), done("y", "2"), done("one", "[]"), done("end", "[]"), outcome("also", skipped)];
    let records = begun_of(&needed, rest);
    check(&records, "one", &["y"]);
    let error = fork(&records, "end", run(2), NOW).expect_err("it is done anew").to_string();
    assert!(error.contains("`one` has no result"), "{error}");
}

#[test]
fn what_was_undone_is_done_anew_and_what_needs_it_cannot_be_the_first() {
    const UNDONE: &str = "name = 'g'\n\
        [[tasks]]\nid = 'kept'\ncommand = { program = 'p' }\n\
        [[tasks]]\nid = 'made'\ncommand = { program = 'p' }\nundo = { command = { program = 'p' } }\n\
        [[tasks]]\nid = 'used'\nafter = ['kept', 'made']\ncommand = { program = 'p' }\n\
        [[tasks]]\nid = 'end'\nafter = ['used']\ncommand = { program = 'p' }\n";
    let undone = |outcome| Record::UndoRecorded { task: TaskId::single("made"), attempt: 1, outcome, wall: Millis(7) };
    let records = |outcome| {
        let before = [done("kept", "1"), done("made", "2"), failed("used"), Record::Undoing { wall: Millis(6) }];
        begun_of(UNDONE, before.into_iter().chain([undone(outcome)]).collect())
    };
    let gone = records(crate::run::UndoOutcome::Undone);
    let refused = fork(&gone, "used", run(2), NOW).expect_err("what it needs is not there any more");
    assert!(matches!(&refused, ForkError::TakenBack { undone, .. } if *undone == ["made"]), "{refused}");
    assert!(matches!(fork(&gone, "end", run(2), NOW), Err(ForkError::TakenBack { .. })));
    check(&gone, "made", &["kept"]);
    check(&gone, "kept", &[]);
    // Nobody had begun to undo it: what it did is there.
    let left = crate::run::UndoOutcome::Failed { class: Class::Denied, message: "leave it".to_owned() };
    check(&records(left), "used", &["kept", "made"]);
}
