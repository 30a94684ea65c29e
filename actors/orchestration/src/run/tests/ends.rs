//! What the end of a process means for what it had in flight, and what a fork has of another run.

use super::halts::{id, kept, undone};
use super::*;
use crate::run::settle::ENDS;

impl Drive {
    /// The process that carries the run ends, and another one takes it up.
    fn begin_process(&mut self) {
        let taken = taken_up(&self.state, "another process", self.now);
        self.append(taken);
    }

    fn crashes(&self, task: &str) -> u32 {
        self.state.task(&id(task)).expect("a task").crashes_that_count()
    }
}

fn two() -> Drive {
    let limits = RunLimits { crashes: 3, ..kept() };
    Drive::new(Outline::new(limits).task("a", entry(&[])).task("b", entry(&[])))
}

#[test]
fn what_a_cancelled_run_leaves_out_says_who_and_why_where_a_reason_was_given() {
    for (why, reason) in [("it rains", "the run was cancelled by ann: it rains"), (" ", "the run was cancelled by ann")]
    {
        let mut drive = two();
        let (who, why) = ("ann".to_owned(), why.to_owned());
        drive.append(vec![Record::CancelAsked { undo: false, who, why, wall: drive.now }]);
        let _ = drive.steps();
        let records = format!("{:?}", drive.records);
        assert!(records.contains(&format!("{reason:?}")), "{records}");
    }
}

#[test]
fn the_report_of_a_run_that_is_not_over_says_so() {
    let mut drive = two();
    drive.pause();
    let report = Report::of(&drive.state, Facts::default(), drive.now);
    assert_eq!((report.status.as_str(), report.phase, report.lost), ("unfinished", Phase::Paused, 0));
}

#[test]
fn an_attempt_that_was_alone_when_its_process_ended_counts_as_lost_with_its_agent() {
    let mut drive = two();
    for _ in 0..3 {
        drive.lease(&id("a"), "root/executor-1");
        drive.begin_process();
    }
    let _ = drive.steps();
    assert!(matches!(drive.state.pauses()[0].why, PauseCause::Poison { .. }), "{:?}", drive.state.pauses());
}

#[test]
fn attempts_that_were_in_flight_together_when_their_process_ended_are_nobodys_fault() {
    let mut drive = two();
    for _ in 0..10 {
        drive.lease(&id("a"), "root/executor-1");
        drive.lease(&id("b"), "root/executor-2");
        drive.begin_process();
        assert_eq!((drive.crashes("a"), drive.crashes("b")), (0, 0));
    }
    assert_eq!(drive.todo(), ["a#11", "b#11"]);
    // What its agent dies of counts as before, and so does the end of a process in which it is alone.
    drive.lease(&id("a"), "root/executor-1");
    let lost = attempt_lost(&drive.state, &id("a"), "it panicked", drive.now);
    drive.append(lost);
    drive.lease(&id("a"), "root/executor-1");
    drive.begin_process();
    assert_eq!((drive.crashes("a"), drive.crashes("b")), (2, 0));
    drive.resume();
    assert_eq!(drive.crashes("a"), 2, "nothing was paused for it");
}

#[test]
fn attempts_that_are_in_flight_together_do_not_end_one_process_after_the_other_for_ever() {
    let mut drive = two();
    for _ in 0..ENDS {
        assert!(drive.state.pauses().is_empty());
        drive.lease(&id("a"), "root/executor-1");
        drive.lease(&id("b"), "root/executor-2");
        drive.begin_process();
        let _ = drive.steps();
    }
    assert_eq!(drive.state.pauses().len(), 2, "{:?}", drive.state.pauses());
    drive.resume();
    assert_eq!(drive.todo(), [format!("a#{}", ENDS + 1), format!("b#{}", ENDS + 1)]);
}

#[test]
fn a_fork_undoes_what_it_did_and_not_what_it_took_over() {
    let outline = Outline::new(kept());
    let outline = outline.task("a", undone(entry(&[]))).task("b", undone(entry(&["a"]))).task("c", entry(&["b"]));
    let mut drive = Drive::new(outline);
    let (from, wall) = (RunId::new(uuid::Uuid::from_u128(8)), drive.now);
    let outcome = Outcome::Succeeded { value: "1".to_owned(), digest: String::new() };
    drive.append(vec![
        Record::Forked { from, task: id("b"), wall },
        Record::Recorded { task: id("a"), attempt: 1, outcome, wall },
    ]);
    drive.begin_process();
    drive.succeed("b", json!(2));
    drive.fail("c", Class::Denied);
    assert_eq!(drive.todo(), ["undo b#1"]);
    drive.undo("b", super::halts::done(Value::Null));
    let _ = drive.steps();
    assert_eq!((drive.status(), drive.state.undone().undone), (Some(Status::Failed), 1));
    assert_eq!(drive.state.status(&id("a")), Some(TaskStatus::Succeeded));
}

#[test]
fn what_is_undone_and_stands_still_can_be_cancelled_and_the_rest_is_left_to_a_person() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("b", undone(entry(&["a"])));
    let mut drive = Drive::new(outline.task("c", entry(&["b"])));
    drive.succeed("a", json!(1));
    drive.succeed("b", json!(2));
    drive.fail("c", Class::Denied);
    drive.undo("b", super::halts::done(Value::Null));
    assert_eq!(drive.todo(), ["undo a#1"]);
    let may = |drive: &Drive, undo| drive.state.may_be_cancelled(undo, false).is_ok();
    assert!(!may(&drive, false), "it goes on by itself");
    let (why, who, wall) = (PauseCause::MissingVariable { name: "X".to_owned() }, String::new(), drive.now);
    drive.append(vec![Record::Paused { why, who, message: String::new(), wall }]);
    assert!(may(&drive, false) && !may(&drive, true), "what is undone is not to be undone again");
    drive.cancel(false);
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
    assert_eq!(drive.state.undone(), UndoSummary { undone: 1, failed: 1 });
    let undo = drive.state.task(&id("a")).and_then(|task| task.undo.as_ref()).expect("it was left");
    assert!(matches!(&undo.outcome, Some(UndoOutcome::Failed { message, .. }) if message.contains("ann")), "{undo:?}");
}

#[test]
fn a_goal_inside_that_is_undone_and_stands_still_is_told_to_leave_the_rest_before_the_run_around_it_ends() {
    let inside = Entry { carried: Carried::Child { schema: None, undone_inside: true }, ..entry(&["a"]) };
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("one", undone(inside));
    let mut drive = Drive::new(outline.task("c", entry(&["one"])));
    drive.succeed("a", json!(1));
    let task = id("one");
    let begun = begun(&drive.state, &task, &Begin::Child { params: json!({}) }, drive.now);
    drive.append(begun.into_iter().collect());
    let run = drive.state.child(&task).expect("it began").run;
    let end = |status, undone| ChildEnd { run, status, results: json!({}), why: String::new(), undone };
    drive.append(child_ended(&drive.state, &task, &end(Status::Reached, UndoSummary::default()), drive.now));
    drive.fail("c", Class::Denied);
    assert_eq!(drive.todo(), ["undo one#1"]);
    assert!(matches!(order(&drive.state, &task), Order::Undo { .. }));
    assert_eq!(drive.state.may_be_cancelled(false, false), Err(Uncancelled::Undoing));
    assert_eq!(drive.state.may_be_cancelled(true, true), Err(Uncancelled::StandsStill));
    assert!(drive.state.may_be_cancelled(false, true).is_ok(), "it stands still inside");
    let cancel = Cancel { undo: false, who: "ann".to_owned(), why: "it rains".to_owned() };
    let records = drive.state.cancelling(cancel, drive.now);
    drive.append(records);
    assert!(!drive.state.is_paused(), "it goes on to its end");
    assert_eq!(drive.state.may_be_cancelled(false, true), Err(Uncancelled::Before));
    // It is not over before that one is.
    assert_eq!((drive.todo(), drive.status()), (vec!["undo one#1".to_owned()], None));
    assert!(matches!(order(&drive.state, &task), Order::LeaveUndone { why } if why.contains("ann")));
    let undone = UndoSummary { undone: 1, failed: 2 };
    let records = child_undone(&drive.state, &task, &end(Status::Cancelled, undone), drive.now);
    drive.append(records.into_iter().collect());
    assert!(drive.todo().is_empty());
    assert_eq!((drive.status(), drive.state.undone()), (Some(Status::Failed), UndoSummary { undone: 0, failed: 2 }));
}

#[test]
fn what_a_goal_inside_undoes_of_a_run_that_was_cancelled_with_undo_is_left_once_it_stands_still() {
    let inside = Entry { carried: Carried::Child { schema: None, undone_inside: true }, ..entry(&[]) };
    let mut drive = Drive::new(Outline::new(kept()).task("a", undone(entry(&[]))).task("one", undone(inside)));
    drive.succeed("a", json!(1));
    let task = id("one");
    let begun = begun(&drive.state, &task, &Begin::Child { params: json!({}) }, drive.now);
    drive.append(begun.into_iter().collect());
    drive.cancel(true);
    let _ = drive.steps();
    assert!(matches!(order(&drive.state, &task), Order::Cancel { undo: true, leaves: false, .. }));
    assert_eq!(drive.state.may_be_cancelled(false, false), Err(Uncancelled::Before), "nothing stands still");
    assert_eq!(drive.state.may_be_cancelled(true, true), Err(Uncancelled::StandsStill));
    assert_eq!(drive.state.may_be_cancelled(false, true), Ok(()));
    drive.cancel(false);
    assert!(matches!(order(&drive.state, &task), Order::Cancel { undo: false, leaves: true, .. }));
    assert_eq!(drive.state.may_be_cancelled(false, true), Err(Uncancelled::Before));
    let run = drive.state.child(&task).expect("it began").run;
    let undone = UndoSummary { undone: 0, failed: 1 };
    let end = ChildEnd { run, status: Status::Cancelled, results: Value::Null, why: String::new(), undone };
    drive.append(child_ended(&drive.state, &task, &end, drive.now));
    assert!(drive.todo().is_empty(), "nothing is undone after that");
    assert_eq!(drive.status(), Some(Status::Cancelled));
}

#[test]
fn the_results_of_a_goal_inside_are_what_its_task_declares_or_it_fails() {
    let schema = Some(json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } }));
    let one = Entry { carried: Carried::Child { schema, undone_inside: false }, ..entry(&[]) };
    for (value, expected) in [(json!(1), "{\"a\":1}".to_owned()), (json!("x"), "invalid".to_owned())] {
        let mut drive = Drive::new(Outline::new(kept()).task("one", one.clone()));
        let task = id("one");
        let begun = begun(&drive.state, &task, &Begin::Child { params: json!({}) }, drive.now);
        drive.append(begun.into_iter().collect());
        let run = drive.state.child(&task).expect("it began").run;
        let (status, undone) = (Status::Reached, UndoSummary::default());
        let end = ChildEnd { run, status, results: json!({ "a": value }), why: String::new(), undone };
        let records = child_ended(&drive.state, &task, &end, drive.now);
        drive.append(records);
        assert!(drive.outcome("one").starts_with(&expected), "{}", drive.outcome("one"));
    }
}
