//! The past of a goal is in the runs of it that are over, without those inside others.

mod common;

use common::hosting::{run, start};
use steadfast::seam::{AppendAt, Journal};
use steadfast::{MemoryJournal, RunId};
use steadfast_orchestration::history::past_runs;
use steadfast_orchestration::run::{Millis, Outcome, Parent, Record, Status, TaskId, UndoSummary, child_run, encode};

const GOAL: &str = "name = 'NAME'\n[[tasks]]\nid = 'a'\ncollect = 1\n";

async fn write(journal: &MemoryJournal, of: RunId, records: &[Record]) {
    let frames = records.iter().map(|record| encode(record).expect("it has bytes")).collect();
    let epoch = journal.fence(&of.into(), "test").await.expect("a right");
    journal.append(&of.into(), AppendAt { epoch, expected: 0 }, frames).await.expect("it is kept");
}

/// The records of a run of this goal, to its end or not.
fn records(of: RunId, goal: &str, parent: Option<Parent>, is_over: bool) -> Vec<Record> {
    let begun = start(of, &GOAL.replace("NAME", goal), None);
    let wall = Millis(5);
    let outcome = Outcome::Succeeded { value: "1".to_owned(), digest: String::new() };
    let first =
        Record::RunStarted { run: of, goal: begun.goal, params: begun.params, input: String::new(), parent, wall };
    let planned = Record::Planned { tasks: 1, critical_path: Vec::new(), at_least: 0 };
    let done = Record::Recorded { task: TaskId::single("a"), attempt: 1, outcome, wall };
    let ended = Record::Ended { status: Status::Reached, undone: UndoSummary::default(), wall };
    let mut all = vec![first, planned, done, ended];
    all.truncate(if is_over { 4 } else { 3 });
    all
}

#[tokio::test]
async fn the_past_of_a_goal_is_in_its_own_runs_that_are_over() {
    let journal = MemoryJournal::default();
    for (number, goal, is_over) in [(1, "g", true), (2, "h", true), (3, "g", false), (4, "g", true)] {
        write(&journal, run(number), &records(run(number), goal, None, is_over)).await;
    }
    // More than are looked at, and later than all others by their ids.
    for number in 0..600 {
        let task = TaskId::item("child", number);
        let inside = child_run(run(1), &task);
        write(&journal, inside, &records(inside, "g", Some(Parent { run: run(1), task }), true)).await;
    }
    let past = past_runs(&journal, "g").await.expect("the journal answers");
    assert_eq!(past.len(), 2, "{past:?}");
    assert_eq!(past_runs(&journal, "none").await.expect("the journal answers"), []);
}
